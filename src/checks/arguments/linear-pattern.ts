/**
 * Patterns that a hostile text cannot slow down. A pattern has to pass the same test as every other one of a
 * configuration (`text/linear.ts`), and is then matched by RE2, whose work is linear in the text for every pattern it
 * takes: arguments are whole texts of up to a megabyte, which no window bounds, and `.*a.*a.*b` passes that test.
 */
import { assertLinearEnough } from '../../text/linear.ts'
import { parsePattern } from '../../text/pattern.ts'
import { re2Package } from './packages.ts'
import { re2Source } from './re2-source.ts'

export interface LinearPattern {
  readonly source: string
  /** Does it match the whole text? */
  matches(text: string): boolean
  /** Does it match somewhere in the text? */
  found(text: string): boolean
}

/** Throws an error whose message says why, in one line. */
export function linearPattern(source: string): LinearPattern {
  // JSON Schema's own reading of a pattern (ECMA-262, flag u).
  assertLinearEnough(source, 'u')
  const inRe2 = re2Source(source, parsePattern(source, 'u').tree)
  const { RE2JS } = re2Package()
  let compiled: InstanceType<typeof RE2JS>
  try {
    compiled = RE2JS.compile(RE2JS.translateRegExp(inRe2))
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/\s+/g, ' ').slice(0, 120) : 'syntax'
    throw new Error(`not in the syntax of RE2, which has no look-around and no back-references (${why})`)
  }
  return {
    source,
    matches: text => compiled.testExact(text),
    found: text => compiled.test(text),
  }
}
