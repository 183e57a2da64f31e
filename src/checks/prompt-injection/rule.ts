export type Severity = 'high' | 'medium' | 'low'
export const SEVERITIES: readonly Severity[] = ['high', 'medium', 'low']

export interface InjectionRule {
  /** Several patterns may share a name: users know families, not patterns. */
  readonly name: string
  readonly severity: Severity
  /**
   * Groups of letters-only stems, lower case. Whatever the pattern matches contains one stem of each group, so the pattern is
   * tried only when the text has them all.
   */
  readonly stems: readonly (readonly string[])[]
  /** Never stateful (no `g`, no `y`). */
  readonly pattern: RegExp
}
