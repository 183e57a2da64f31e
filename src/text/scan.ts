/**
 * The joined scan: every check's patterns in one pass over one fold of the text.
 *
 * Guarantees: the hits of a stream are those of the whole text, however it is cut; hold-back is exact for literals (see
 * `prefix-closed.ts` for patterns); a stream keeps its undecided tail and a little context, never the text.
 * Not guaranteed: speed of a hostile PATTERN. The work per place is bounded by the pattern's own longest match or its
 * `maxMatch`; `assertLinearEnough` refuses the known catastrophic shapes.
 */
import type { PatternSet, Scanner } from './contract.ts'
import { glanceOf } from './glance.ts'
import { compileRules } from './rules.ts'
import { StreamScan, scanOnce } from './stream.ts'

export type { Hit, LiteralRule, PatternSet, RegexRule, Rule, Scan, Scanner, ScanStream } from './contract.ts'
export { assertLinearEnough } from './linear.ts'
export { PatternError } from './pattern.ts'
export { assertUsable } from './rules.ts'

/** Joins the rules of all sets. Throws an error naming set and rule for a rule that cannot be used. */
export function compileScanner(sets: readonly PatternSet[]): Scanner {
  const rules = compileRules(sets)
  const glance = glanceOf(rules)
  return {
    whole: text => scanOnce(rules, text, glance),
    open: () => new StreamScan(rules),
  }
}
