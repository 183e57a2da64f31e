export type Severity = 'high' | 'medium' | 'low'
export const SEVERITIES: readonly Severity[] = ['high', 'medium', 'low']

export interface InjectionRule {
  readonly name: string
  readonly severity: Severity
  /** Literals (lower case) of which the text must contain one, or the pattern is not tried: whatever the pattern matches contains one. */
  readonly anchors: readonly string[]
  /** Never stateful (no `g`, no `y`). */
  readonly pattern: RegExp
}
