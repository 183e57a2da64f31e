/** The patterns of `regex_content` and `regex_output`: reading them, and ordering what they find. */
import type { TextEdit } from '../core/verdict.ts'
import { measure, parsePattern } from '../text/pattern.ts'
import type { Hit, PatternSet, RegexRule } from '../text/scan.ts'
import { assertLinearEnough, assertUsable } from '../text/scan.ts'
import { type CheckOptions, shown } from './options.ts'

export interface Pattern {
  /** A regular expression; matched anywhere, case-sensitive unless its flags say otherwise. */
  readonly pattern: string | RegExp
  /** Default `block`. */
  readonly action?: 'block' | 'redact'
  /** What stands in place of a match. Never empty. Default `[REDACTED]`. */
  readonly replacement?: string
  /** What reasons and rows call it. Default `match`. */
  readonly label?: string
  /** Longest match, UTF-16 units. Default 1024 for a pattern that has no bound of its own. */
  readonly maxMatch?: number
}

export interface ReadPattern {
  readonly label: string
  readonly action: 'block' | 'redact'
  readonly replacement: string
  readonly rule: RegexRule
}

/** What an unbounded pattern may match at most, unless it says so itself. */
export const DEFAULT_MAX_MATCH = 1024
const FIELDS = ['pattern', 'action', 'replacement', 'label', 'maxMatch']
/** `g` and `d` change nothing here. `y` would, and is refused. */
const FLAGS = /^[dgimsuv]*$/

export interface Patterns {
  readonly set: PatternSet
  readonly list: readonly ReadPattern[]
  of(hit: Hit): ReadPattern
  /** Registration order. */
  rank(hit: Hit): number
}

export function readPatterns(read: CheckOptions, id: string): Patterns {
  const given = read.raw('patterns')
  if (!Array.isArray(given))
    throw read.wrong('patterns', "a list such as [{ pattern: '\\\\d{16}', label: 'card' }]", given)
  const list = given.map((item: unknown, index) => readPattern(read, index, item))
  const byRule = new Map(list.map((pattern, index) => [pattern.rule.id, { pattern, index }]))
  const find = (hit: Hit) => {
    const found = byRule.get(hit.id)
    if (found === undefined) throw new Error(`${id}: the scan reports a rule that was never registered`)
    return found
  }
  return {
    set: Object.freeze({ id, rules: Object.freeze(list.map(({ rule }) => rule)) }),
    list,
    of: hit => find(hit).pattern,
    rank: hit => find(hit).index,
  }
}

function readPattern(read: CheckOptions, index: number, item: unknown): ReadPattern {
  const at = (field: string) => `patterns[${index}].${field}`
  if (item === null || typeof item !== 'object')
    throw read.wrong(`patterns[${index}]`, 'an object with a pattern', item)
  const fields: Readonly<Record<string, unknown>> = { ...item }
  for (const field of Object.keys(fields)) {
    if (!FIELDS.includes(field)) throw read.wrong(`patterns[${index}]`, `made of ${FIELDS.join(', ')} only`, field)
  }
  const { pattern, action = 'block', replacement = '[REDACTED]', label = 'match', maxMatch } = fields
  if (typeof label !== 'string' || label === '' || label.length > 64) {
    throw read.wrong(at('label'), '1 to 64 characters', label)
  }
  if (action !== 'block' && action !== 'redact') throw read.wrong(at('action'), "'block' or 'redact'", action)
  if (typeof replacement !== 'string' || replacement === '')
    throw read.wrong(at('replacement'), 'a non-empty string', replacement)
  if (maxMatch !== undefined && !(typeof maxMatch === 'number' && Number.isSafeInteger(maxMatch) && maxMatch >= 1)) {
    throw read.wrong(at('maxMatch'), 'a whole number >= 1', maxMatch)
  }
  const rule = ruleOf(read, at('pattern'), label, `${index}`, pattern, maxMatch)
  return { label, action, replacement, rule }
}

function ruleOf(
  read: CheckOptions,
  setting: string,
  label: string,
  id: string,
  given: unknown,
  maxMatch: number | undefined,
): RegexRule {
  const source = given instanceof RegExp ? given.source : given
  const written = given instanceof RegExp ? given.flags : ''
  if (typeof source !== 'string' || source === '') throw read.wrong(setting, 'a regular expression', given)
  if (!FLAGS.test(written)) throw read.wrong(setting, 'without the flag y', written)
  const flags = written.replace(/[dg]/g, '')
  try {
    assertLinearEnough(source, flags)
    const { max, ahead, backreferences } = measure(parsePattern(source, flags))
    const bounded = Number.isFinite(max) && Number.isFinite(ahead) && !backreferences
    const limit = maxMatch ?? (bounded ? undefined : DEFAULT_MAX_MATCH)
    const rule: RegexRule = { kind: 'regex', id, source, flags }
    const whole = limit === undefined ? rule : { ...rule, maxMatch: limit }
    assertUsable({ id: setting, rules: [whole] }, whole)
    return whole
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it cannot be used'
    throw read.wrong(setting, `a usable regular expression (label ${shown(label)}: ${why})`, source)
  }
}

export function describePatterns(list: readonly ReadPattern[]) {
  return list.map(({ label, action, replacement, rule }) => ({
    pattern: rule.source,
    flags: rule.flags ?? '',
    action,
    replacement,
    label,
    maxMatch: rule.maxMatch ?? null,
  }))
}

/** The edits that redact every hit: overlapping hits are one edit, with the replacement of the one that begins first. */
export function redactions(hits: readonly Hit[], patterns: Patterns): readonly TextEdit[] {
  const edits: TextEdit[] = []
  for (const hit of [...hits].sort(inOrder(patterns))) {
    const last = edits.at(-1)
    if (last === undefined || hit.from >= last.to) {
      edits.push({ from: hit.from, to: hit.to, text: patterns.of(hit).replacement })
    } else if (hit.to > last.to) {
      edits[edits.length - 1] = { ...last, to: hit.to }
    }
  }
  return edits
}

/** By place, then by registration. */
export function inOrder(patterns: Patterns): (a: Hit, b: Hit) => number {
  return (a, b) => a.from - b.from || patterns.rank(a) - patterns.rank(b)
}
