/**
 * Owners: the accountable principals, `human:…`, `agent:…`, `policy:…`.
 *
 * Guarantees: two principals that a person could take for one another through invisible characters, bidirectional
 * controls or letters borrowed from another script are never both accepted; the doubtful one is REFUSED, not folded
 * into somebody else's name. What is accepted is in NFKC, so one name has one spelling.
 * Does not guarantee: that a whole name in one foreign script (`human:Сара`) looks unlike a Latin name, nor that the
 * owner is who it says; that is for the identity strategy named in `authenticatedBy`.
 */
import type { Owner, OwnerClaims, OwnerType } from './exchange.ts'

/** Longest principal id, in UTF-16 units, before and after normalisation. */
export const PRINCIPAL_MAX = 256

/** No owner is known. The only owner with an empty id. */
export const UNRESOLVED: Owner = Object.freeze({
  type: 'unresolved',
  id: '',
  approvalChain: Object.freeze([]),
  authenticatedBy: 'none',
})

export type PrincipalResult<T> = ({ readonly ok: true } & T) | { readonly ok: false; readonly problem: string }

export interface OwnerOptions {
  /** The identity strategy or check that names this owner. */
  readonly authenticatedBy: string
  /** Principals who may approve, in order. Default: the owner's own principal. */
  readonly approvalChain?: readonly string[]
  /** Principals who may not approve what it does, besides itself. */
  readonly notApprovers?: readonly string[]
  /** What a verified credential says about it. */
  readonly claims?: OwnerClaims
}

export const humanOwner = (id: string, options: OwnerOptions): Owner => makeOwner('human', id, options)
export const agentOwner = (id: string, options: OwnerOptions): Owner => makeOwner('agent', id, options)
export const policyOwner = (id: string, options: OwnerOptions): Owner => makeOwner('policy', id, options)

/** `type:id`, or `unresolved`. */
export function ownerString(owner: Pick<Owner, 'type' | 'id'>): string {
  return owner.type === 'unresolved' ? 'unresolved' : `${owner.type}:${owner.id}`
}

/**
 * `human:alice@example.com` to its parts. The type prefix is case-sensitive and required: a bare `root` is nobody.
 * The problem text never repeats the value, so it can be shown and logged.
 */
export function parsePrincipal(
  text: string,
): PrincipalResult<{ readonly type: Exclude<OwnerType, 'unresolved'>; readonly id: string }> {
  const trimmed = trimBlanks(text)
  const colon = trimmed.indexOf(':')
  const type = colon < 0 ? '' : trimmed.slice(0, colon)
  if (type !== 'human' && type !== 'agent' && type !== 'policy') {
    return { ok: false, problem: "expected a principal beginning exactly 'human:', 'agent:' or 'policy:'" }
  }
  const cleaned = cleanPrincipalId(trimmed.slice(colon + 1))
  return cleaned.ok ? { ok: true, type, id: cleaned.id } : cleaned
}

/** The id part of a principal in its one accepted spelling, or why it is refused. */
export function cleanPrincipalId(raw: string): PrincipalResult<{ readonly id: string }> {
  const trimmed = trimBlanks(raw)
  if (trimmed === '') return refused('is empty')
  if (trimmed.length > PRINCIPAL_MAX) return refused(`is longer than ${PRINCIPAL_MAX} characters`)
  if (PLAIN_ASCII.test(trimmed)) return { ok: true, id: trimmed }
  const id = trimBlanks(trimmed.normalize('NFKC'))
  if (id === '') return refused('is empty')
  if (id.length > PRINCIPAL_MAX) return refused(`is longer than ${PRINCIPAL_MAX} characters when normalised`)
  // Both forms: normalisation can hide a format character inside a composition as well as reveal one.
  if (INVISIBLE.test(trimmed) || INVISIBLE.test(id)) return refused('holds a control, format or invisible character')
  if (ODD_SPACE.test(id)) return refused('holds a space other than U+0020')
  if (LEADING_MARK.test(id)) return refused('begins a word with a combining mark')
  if (mixesScripts(id)) return refused('mixes letters of different scripts')
  return { ok: true, id }
}

function makeOwner(type: Exclude<OwnerType, 'unresolved'>, id: string, options: OwnerOptions): Owner {
  const cleaned = cleanPrincipalId(id)
  if (!cleaned.ok) throw new TypeError(`${type} owner: ${cleaned.problem}`)
  return Object.freeze({
    type,
    id: cleaned.id,
    approvalChain: Object.freeze([...(options.approvalChain ?? [`${type}:${cleaned.id}`])]),
    authenticatedBy: options.authenticatedBy,
    ...(options.notApprovers === undefined ? {} : { notApprovers: Object.freeze([...options.notApprovers]) }),
    ...(options.claims === undefined ? {} : { claims: Object.freeze({ ...options.claims }) }),
  })
}

function refused(why: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: `the principal ${why}` }
}

/** Optional white space as HTTP knows it (RFC 9110 5.6.3). CR, LF and NUL are not trimmed: they are refused. */
function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}

const PLAIN_ASCII = /^[\x20-\x7e]+$/
// Control (C0, DEL, C1), format, surrogate, private use, unassigned, line and paragraph separators, and whatever
// else renders as nothing: variation selectors, Hangul fillers, tags.
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u
const ODD_SPACE = /[^\S ]/u
const LEADING_MARK = /(?:^|[^\p{L}\p{M}\p{N}])\p{M}/u

/** Scripts that people write names in. A letter of none of these counts as a script of its own, `Other`. */
const SCRIPTS: readonly (readonly [name: string, letters: RegExp])[] = [
  'Latin',
  'Cyrillic',
  'Greek',
  'Han',
  'Hiragana',
  'Katakana',
  'Hangul',
  'Bopomofo',
  'Arabic',
  'Hebrew',
  'Devanagari',
  'Bengali',
  'Gurmukhi',
  'Gujarati',
  'Oriya',
  'Tamil',
  'Telugu',
  'Kannada',
  'Malayalam',
  'Sinhala',
  'Thai',
  'Lao',
  'Tibetan',
  'Myanmar',
  'Khmer',
  'Georgian',
  'Armenian',
  'Ethiopic',
  'Mongolian',
  'Cherokee',
  'Coptic',
  'Lisu',
].map(name => [name, new RegExp(`\\p{Script=${name}}`, 'u')] as const)

/** Script combinations one language really uses (UTS 39 5.2, "highly restrictive", without the Latin part). */
const TOGETHER: readonly ReadonlySet<string>[] = [
  new Set(['Han', 'Hiragana', 'Katakana']),
  new Set(['Han', 'Hangul']),
  new Set(['Han', 'Bopomofo']),
]

/** Cyrillic, Greek, Armenian and Cherokee letters that are drawn like Latin ones, so a word of them alone reads as Latin. */
const LATIN_TWINS = /^[аеорсухіјѕԁһԛԝӏьгпкмтвнАВЕКМНОРСТУХІЈЅҮԌԚԜαινορτυχγκΑΒΕΖΗΙΚΜΝΟΡΤΥΧօոսհցոա\d]+$/u

/**
 * A word may use one script (or one of the combinations above). Words of different scripts may stand side by side
 * (`алиса@example.com`), except a non-Latin word that reads as Latin beside real Latin ones (`root@ехаmple` is caught
 * by the first rule, `аре@example.com` by this one).
 */
function mixesScripts(id: string): boolean {
  let latin = false
  let twin = false
  for (const word of id.split(/[^\p{L}\p{M}\p{N}]+/u)) {
    const scripts = scriptsOf(word)
    if (scripts.size > 1 && !TOGETHER.some(set => [...scripts].every(script => set.has(script)))) return true
    if (scripts.has('Latin')) latin = true
    else if (scripts.size === 1 && LATIN_TWINS.test(word)) twin = true
  }
  return latin && twin
}

function scriptsOf(word: string): ReadonlySet<string> {
  const found = new Set<string>()
  for (const char of word) {
    if (!/\p{L}/u.test(char)) continue
    if (/\p{Script=Common}/u.test(char)) continue
    found.add(SCRIPTS.find(([, letters]) => letters.test(char))?.[0] ?? 'Other')
  }
  return found
}
