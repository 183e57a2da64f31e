/**
 * Looks for injection in one text and in everything that the text decodes to.
 *
 * Guarantees: deterministic (no clock; work is counted in characters); breadth-first, smallest candidate first, so padding cannot
 * starve a small payload; pauses often enough that a caller can let others run; a budget that runs out is reported, never hidden.
 * Does not guarantee to see through languages, metaphors or ciphers that it has no rule for, nor more than sixteen layers.
 */
import { decode } from '../../text/decode.ts'
import { rot47 } from '../../text/decode-cipher.ts'
import type { Candidate, DecodeTools, Inflate } from '../../text/decode-span.ts'
import { type Folded, fold } from '../../text/fold.ts'
import type { InjectionRule, Severity } from './rule.ts'
import { ENGLISH_RULES } from './rules-english.ts'
import { LATIN_LANGUAGE_RULES, NATIVE_LANGUAGE_RULES } from './rules-languages.ts'
import { BIDI_RULE, MARKUP_RULES, TOOL_RESULT_RULES } from './rules-markup.ts'
import { findSpread } from './spread.ts'
import { indexStems, rulesFor } from './stems.ts'

export interface Finding {
  readonly rule: string
  readonly severity: Severity
  /** `raw`, `normalized`, `spread`, `decoded-base64`, … */
  readonly source: string
  /** UTF-16 offset in the text; only for `raw`. */
  readonly offset?: number
}

export interface Detection {
  readonly findings: readonly Finding[]
  /** The decoders ran out of budget before everything was seen. */
  readonly exhausted: boolean
  /** Characters processed. */
  readonly work: number
}

export interface DetectOptions {
  readonly decode: boolean
  readonly base64MinLength: number
  /** Characters that may be processed in all; 0 for the default, which grows with the text. */
  readonly budget: number
  readonly inflate?: Inflate | undefined
  /** The text is a tool's result: the rules for those apply too. */
  readonly toolResult: boolean
}

const MAX_DEPTH = 16
const SLICE = 4096
/** More than any rule can match. */
const OVERLAP = 768
/** Characters processed between two pauses. */
const BREATH = 65_536
const BASE_BUDGET = 8_388_608
const BUDGET_PER_CHARACTER = 64
/** What one depth may hand to the next, on top of twice the text. */
const DEPTH_CHARACTERS = 1_048_576

/** Yields where the caller may let others run; returns what was found. Stops at the first text with a finding of high severity. */
export function* detect(text: string, options: DetectOptions): Generator<void, Detection, undefined> {
  const work = { spent: 0, tooLarge: false }
  const tools: DecodeTools = { inflate: options.inflate, base64MinLength: options.base64MinLength, work }
  const budget = options.budget > 0 ? options.budget : BASE_BUDGET + BUDGET_PER_CHARACTER * text.length
  const findings: Finding[] = []
  let exhausted = false
  let breath = 0

  let level: Candidate[] = [{ text, encoding: '' }]
  // Made with the first candidate: most texts decode to nothing.
  let seen: Set<string> | undefined
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth++) {
    const next: Candidate[] = []
    let room = 2 * text.length + DEPTH_CHARACTERS
    for (const candidate of level) {
      yield* match(candidate, options.toolResult, work, findings)
      if (findings.some(f => f.severity === 'high')) return { findings, exhausted: false, work: work.spent }
      if (work.spent > budget) return { findings, exhausted: true, work: work.spent }
      if (!options.decode || depth === MAX_DEPTH) continue
      for (const found of decode(candidate.text, tools)) {
        if (work.spent - breath > BREATH) {
          breath = work.spent
          yield
        }
        if (work.spent > budget) {
          exhausted = true
          break
        }
        if (found === null || found.text === candidate.text) continue
        seen ??= new Set([text])
        if (seen.has(found.text)) continue
        seen.add(found.text)
        if (found.text.length > room) {
          exhausted = true
          continue
        }
        room -= found.text.length
        next.push({ text: found.text, encoding: chain(candidate.encoding, found.encoding) })
      }
    }
    level = next.length > 1 ? next.sort((a, b) => a.text.length - b.text.length) : next
  }
  return { findings, exhausted: exhausted || work.tooLarge, work: work.spent }
}

/** Runs of the same encoding are told by their count, so the name stays short. */
function chain(outer: string, inner: string): string {
  if (outer === '') return inner
  return outer.length > 48 ? outer : `${outer}+${inner}`
}

function* match(
  candidate: Candidate,
  toolResult: boolean,
  work: DecodeTools['work'],
  findings: Finding[],
): Generator<void, void, undefined> {
  const { text } = candidate
  const whole = text.length <= SLICE + OVERLAP
  for (let from = 0; from < text.length || from === 0; from += SLICE) {
    // Everything, the fold too, happens slice by slice: the pauses between them are what keeps others running.
    const part = whole ? text : text.slice(from, from + SLICE + OVERLAP)
    work.spent += part.length
    const folded = fold(part)
    const raw = folded.identity ? folded.lower : part.toLowerCase()
    matchSlice(raw, folded, folded.identity ? raw : readable(raw), candidate.encoding, toolResult, from, findings)
    if (whole || findings.some(f => f.severity === 'high')) break
    yield
  }
}

function matchSlice(
  raw: string,
  folded: Folded,
  clean: string,
  encoding: string,
  toolResult: boolean,
  base: number,
  findings: Finding[],
): void {
  const before = findings.length
  const source = (view: 'raw' | 'normalized' | 'spread'): string =>
    encoding === '' ? view : view === 'raw' ? `decoded-${encoding}` : `decoded-${encoding}-${view}`

  const add = (rule: InjectionRule, view: 'raw' | 'normalized', at: number | undefined): void => {
    if (findings.some(f => f.rule === rule.name)) return
    const offset = view === 'raw' && encoding === '' ? at : undefined
    findings.push({
      rule: rule.name,
      severity: rule.severity,
      source: source(view),
      ...(offset === undefined ? {} : { offset: base + offset }),
    })
  }
  const apply = (rules: readonly InjectionRule[] | undefined, text: string, asWritten: boolean): void => {
    if (rules === undefined) return
    for (const rule of rules) {
      const m = rule.pattern.exec(text)
      if (m !== null) add(rule, asWritten ? 'raw' : 'normalized', asWritten ? m.index : undefined)
    }
  }
  const lower = folded.lower
  const plain = folded.identity
  const wanted = rulesFor(toolResult ? TOOL_RESULT_INDEX : INDEX, lower)
  if (wanted !== undefined) {
    for (const rule of wanted) {
      const written = AS_WRITTEN.has(rule)
      const m = rule.pattern.exec(written ? raw : lower)
      if (m !== null) add(rule, written || plain ? 'raw' : 'normalized', m.index)
    }
  }
  if (!plain) {
    apply(SCRIPTS.test(clean) ? NATIVE_LANGUAGE_RULES : undefined, clean, true)
    if (BIDI.test(raw)) apply([BIDI_RULE], raw, true)
    if (findings.length > before) sayRaw(findings, before, raw)
    for (const view of alternates(raw)) apply(rulesFor(FOLDED, view), view, false)
  }
  const leet = unleet(lower)
  if (leet !== undefined) for (const view of leet) apply(rulesFor(FOLDED, view), view, false)

  if (findings.length > before) return
  const spread = findSpread(folded.lower) ?? (leet === undefined ? undefined : spreadIn(leet))
  if (spread !== undefined) {
    const view =
      spread.cipher === '' ? source('spread') : `decoded-${encoding === '' ? '' : `${encoding}+`}${spread.cipher}`
    findings.push({ rule: spread.rule, severity: 'high', source: view })
    return
  }
  if (ROT47.test(folded.text)) {
    const turned = rot47(folded.text).toLowerCase()
    for (const rule of ENGLISH_RULES) {
      if (rule.pattern.test(turned))
        findings.push({
          rule: rule.name,
          severity: rule.severity,
          source: `decoded-${encoding === '' ? '' : `${encoding}+`}rot47`,
        })
    }
  }
}

/** A folded rule that also matches the text as written was not hidden: say so, and where. */
function sayRaw(findings: Finding[], from: number, raw: string): void {
  for (let i = from; i < findings.length; i++) {
    const f = findings[i]
    if (f === undefined || f.source !== 'normalized') continue
    const rule = FOLDED.rules.find(r => r.name === f.rule && r.pattern.test(raw))
    if (rule !== undefined) findings[i] = { ...f, source: 'raw', offset: Math.max(0, raw.search(rule.pattern)) }
  }
}

function spreadIn(views: readonly string[]): ReturnType<typeof findSpread> {
  for (const view of views) {
    const found = findSpread(view)
    if (found !== undefined) return found
  }
  return undefined
}

const FOLDED_RULES = [...ENGLISH_RULES, ...LATIN_LANGUAGE_RULES]
const FOLDED = indexStems(FOLDED_RULES)
const INDEX = indexStems([...FOLDED_RULES, ...MARKUP_RULES])
const TOOL_RESULT_INDEX = indexStems([...FOLDED_RULES, ...MARKUP_RULES, ...TOOL_RESULT_RULES])
const AS_WRITTEN: ReadonlySet<InjectionRule> = new Set([...MARKUP_RULES, ...TOOL_RESULT_RULES])
/** A text without any of these scripts has nothing for the rules of other scripts. */
const SCRIPTS = /[\u0370-\u1fff\u3040-\u9fff\uac00-\ud7af]/
const BIDI = /[\u202d\u202e]/

/** What an anchor looks like after ROT47, in the three usual capitalisations. */
const ROT47 = new RegExp(
  [
    'gnore',
    'isregard',
    'orget',
    'verrid',
    'ypass',
    'ailbreak',
    'nstruction',
    'ystem prompt',
    'GNORE',
    'ISREGARD',
    'NSTRUCTION',
  ]
    .map(w => rot47(w).replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('|'),
)

/** For rules in other scripts: nothing invisible, one form per letter, lower case; marks and letters stay. */
function readable(lower: string): string {
  return /[\u00ad\u200b-\u200f\u2060-\u2064\u202a-\u202e\ufeff\u0640]/.test(lower)
    ? lower.replace(/[\u00ad\u200b-\u200f\u2060-\u2064\u202a-\u202e\ufeff\u0640]/g, '')
    : lower
}

const GREEK_BESIDE_LATIN = /[a-z][\u0370-\u03ff]|[\u0370-\u03ff][a-z]/
const DIGIT_IN_WORD = /[a-z][0134578@$!|]{1,2}[a-z]|[1!|]gn/

/** Second readings of Greek letters that resemble two Latin ones (rho as r, sigma as s or o, omega as w or o, …). */
function alternates(raw: string): readonly string[] {
  if (!GREEK_BESIDE_LATIN.test(raw)) return []
  return [GREEK_SOUND, GREEK_SHAPE].map(table => fold(raw.replace(/[\u0370-\u03ff]/g, c => table[c] ?? c)).lower)
}
const GREEK_SOUND: Readonly<Record<string, string>> = {
  α: 'a',
  β: 'b',
  γ: 'g',
  δ: 'd',
  ε: 'e',
  ζ: 'z',
  η: 'e',
  θ: 'th',
  ι: 'i',
  κ: 'k',
  λ: 'l',
  μ: 'm',
  ν: 'n',
  ξ: 'x',
  ο: 'o',
  π: 'p',
  ρ: 'r',
  σ: 's',
  ς: 's',
  τ: 't',
  υ: 'u',
  φ: 'f',
  χ: 'x',
  ψ: 'y',
  ω: 'o',
}
const GREEK_SHAPE: Readonly<Record<string, string>> = {
  α: 'a',
  β: 'b',
  γ: 'y',
  δ: 'o',
  ε: 'e',
  ζ: 'z',
  η: 'n',
  θ: 'o',
  ι: 'i',
  κ: 'k',
  λ: 'a',
  μ: 'u',
  ν: 'v',
  ξ: 'e',
  ο: 'o',
  π: 'n',
  ρ: 'p',
  σ: 'o',
  ς: 's',
  τ: 't',
  υ: 'u',
  φ: 'o',
  χ: 'x',
  ψ: 'u',
  ω: 'w',
}

/** Digits and signs written for letters: two readings, because `1` and `|` are both i and l. */
function unleet(lower: string): readonly string[] | undefined {
  if (!DIGIT_IN_WORD.test(lower)) return undefined
  const read = (one: string): string =>
    lower.replace(/[0134578@$!|]/g, c => (c === '1' || c === '|' ? one : (LEET[c] ?? c)))
  const asI = read('i')
  const asL = read('l')
  return asI === asL ? [asI] : [asI, asL]
}
const LEET: Readonly<Record<string, string>> = {
  0: 'o',
  3: 'e',
  4: 'a',
  5: 's',
  7: 't',
  8: 'b',
  '@': 'a',
  $: 's',
  '!': 'i',
}
