/**
 * The fold: one plain spelling for text that a reader would take for the same.
 *
 * Guarantees: per code point and free of context, so folding the pieces of a text (cut on code points) gives the fold of
 * the whole; every folded unit maps back to the original code point it came from; ASCII is its own fold; no input throws.
 * Not promised: normalisation of meaning (no stemming, no leetspeak), or a readable result in scripts whose vowel signs
 * are combining marks.
 */
import { LOOK_ALIKES } from './look-alikes.ts'

export interface Folded {
  readonly original: string
  /** Folded, case preserved. */
  readonly text: string
  /** `text` in lower case, unit for unit. */
  readonly lower: string
  /** The fold changed nothing: `text === original`. */
  readonly identity: boolean
  /** All ASCII, so also `identity`. */
  readonly ascii: boolean
  /** Offset of the original code point that folded unit `i` came from; the original's length at `text.length`. */
  toOriginal(i: number): number
  /** End (exclusive) of the original code point behind folded unit `i - 1`: where a match ending at `i` ends. */
  toOriginalEnd(i: number): number
}

/** The fold of one code point, as is and in lower case. */
interface Spelling {
  readonly text: string
  readonly lower: string
}

/** Marks, format characters and everything the Unicode standard tells a renderer to show as nothing. */
const INVISIBLE = /^[\p{M}\p{Cf}\p{Default_Ignorable_Code_Point}]$/u
const DIGIT = /^\p{Nd}$/u

const pages: (readonly (Spelling | undefined)[] | undefined)[] = []

export function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800
}

export function isLowSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00
}

/** True when a cut at `i` would fall inside a surrogate pair. */
export function splitsPair(text: string, i: number): boolean {
  return i > 0 && i < text.length && isLowSurrogate(text.charCodeAt(i)) && isHighSurrogate(text.charCodeAt(i - 1))
}

export function isAscii(text: string): boolean {
  const { length } = text
  let i = 0
  for (; i + 3 < length; i += 4) {
    const four = text.charCodeAt(i) | text.charCodeAt(i + 1) | text.charCodeAt(i + 2) | text.charCodeAt(i + 3)
    if (four > 0x7f) return false
  }
  for (; i < length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

export function fold(text: string): Folded {
  return isAscii(text) ? new Same(text, true) : foldUnicode(text)
}

/** Lower case without ever changing the length (the one exception, dotted capital I, is decomposed by the fold). */
function lowerPoint(character: string): string {
  const lower = character.toLowerCase()
  return lower.length === character.length ? lower : character
}

function digitValue(point: number): number {
  let zero = point
  while (DIGIT.test(String.fromCodePoint(zero - 1))) zero--
  return (point - zero) % 10
}

function spellPoint(point: number): string {
  const alike = LOOK_ALIKES.get(point)
  if (alike !== undefined) return alike
  const character = String.fromCodePoint(point)
  // A lone half must not find a partner when what stood between them is dropped.
  if (point >= 0xd800 && point <= 0xdfff) return '\ufffd'
  if (INVISIBLE.test(character)) return ''
  if (DIGIT.test(character)) return String(digitValue(point))
  const parts = character.normalize('NFKD')
  if (parts === character) return character
  let out = ''
  for (const part of parts) {
    const inner = part.codePointAt(0) ?? 0
    out += inner < 0x80 || inner === point ? part : spellPoint(inner)
  }
  return out
}

function buildPage(page: number): readonly (Spelling | undefined)[] {
  const entries: (Spelling | undefined)[] = new Array<Spelling | undefined>(256).fill(undefined)
  for (let low = 0; low < 256; low++) {
    const point = page * 256 + low
    const character = String.fromCodePoint(point)
    const text = spellPoint(point)
    let lower = ''
    for (const part of text) lower += lowerPoint(part)
    if (text !== character || lower !== character) entries[low] = { text, lower }
  }
  return entries
}

/** `undefined`: the code point is its own fold, in lower case too. */
function spelling(point: number): Spelling | undefined {
  const page = point >> 8
  let entries = pages[page]
  if (entries === undefined) {
    entries = buildPage(page)
    pages[page] = entries
  }
  return entries[point & 0xff]
}

/** The fold changed nothing. */
class Same implements Folded {
  readonly original: string
  readonly identity = true
  readonly ascii: boolean
  #lower: string | undefined

  constructor(text: string, ascii: boolean) {
    this.original = text
    this.ascii = ascii
  }

  get text(): string {
    return this.original
  }

  get lower(): string {
    return (this.#lower ??= lowerText(this.original))
  }

  toOriginal(i: number): number {
    return !this.ascii && splitsPair(this.original, i) ? i - 1 : i
  }

  toOriginalEnd(i: number): number {
    return !this.ascii && splitsPair(this.original, i) ? i + 1 : i
  }
}

class Changed implements Folded {
  readonly original: string
  readonly text: string
  readonly identity = false
  readonly ascii = false
  #lower: string | undefined
  #starts: Int32Array | undefined

  constructor(original: string, text: string) {
    this.original = original
    this.text = text
  }

  get lower(): string {
    return (this.#lower ??= lowerText(this.text))
  }

  toOriginal(i: number): number {
    this.#starts ??= startsOf(this.original, this.text.length)
    return this.#starts[i] ?? this.original.length
  }

  toOriginalEnd(i: number): number {
    this.#starts ??= startsOf(this.original, this.text.length)
    const start = i > 0 ? this.#starts[i - 1] : undefined
    if (start === undefined) return i > 0 ? this.original.length : 0
    return splitsPair(this.original, start + 1) ? start + 2 : start + 1
  }
}

/** Folded text in lower case. Nothing folded is lower-cased by its neighbours: the capital sigma is folded away. */
function lowerText(text: string): string {
  const lower = text.toLowerCase()
  if (lower.length === text.length) return lower
  let out = ''
  for (const character of text) out += lowerPoint(character)
  return out
}

/** What one unit folds to: itself or another one, `DROPPED`, or `OTHER` where a look at its page must tell. Filled by page. */
const UNITS = new Uint16Array(0x10000)
const filled = new Uint8Array(256)
const DROPPED = 0
const OTHER = 0xffff

function fillPage(page: number): void {
  filled[page] = 1
  for (let low = 0; low < 256; low++) {
    const unit = page * 256 + low
    const text = unit < 0x80 ? undefined : spelling(unit)?.text
    if (text === undefined) UNITS[unit] = unit
    else UNITS[unit] = text === '' ? DROPPED : text.length === 1 ? text.charCodeAt(0) : OTHER
  }
}

function unitFold(unit: number): number {
  const page = unit >> 8
  if (filled[page] === 0) fillPage(page)
  return UNITS[unit] ?? OTHER
}

/** The code point at `i`, whose unit is `unit`. */
function pointAt(text: string, i: number, unit: number): number {
  if (!isHighSurrogate(unit) || i + 1 >= text.length) return unit
  const low = text.charCodeAt(i + 1)
  return isLowSurrogate(low) ? (unit - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000 : unit
}

function foldUnicode(original: string): Folded {
  const unchanged = unchangedUntil(original)
  if (unchanged === original.length) return new Same(original, false)
  let units = new Uint16Array(original.length + 16)
  let written = 0
  for (; written < unchanged; written++) units[written] = original.charCodeAt(written)
  for (let i = unchanged; i < original.length; i++) {
    const unit = original.charCodeAt(i)
    const folded = unit < 0x80 ? unit : unitFold(unit)
    if (folded !== OTHER && (unit & 0xf800) !== 0xd800) {
      units[written] = folded
      if (folded !== DROPPED || unit === 0) written++
    } else {
      const point = pointAt(original, i, unit)
      const text = spelling(point)?.text ?? String.fromCodePoint(point)
      if (point > 0xffff) i++
      // Room for this, and for one unit for each that is left.
      const needed = written + text.length + original.length - i
      if (needed > units.length) {
        const more = new Uint16Array(needed + (needed >> 1))
        more.set(units)
        units = more
      }
      for (let k = 0; k < text.length; k++) units[written++] = text.charCodeAt(k)
    }
  }
  return new Changed(original, stringOf(units, written))
}

/** Offset of the first code point that the fold changes; the text's length when there is none. */
function unchangedUntil(text: string): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if ((unit & 0xf800) !== 0xd800) {
      if (unitFold(unit) !== unit) return i
    } else {
      const point = pointAt(text, i, unit)
      const spelt = spelling(point)
      if (spelt !== undefined && spelt.text !== String.fromCodePoint(point)) return i
      if (point > 0xffff) i++
    }
  }
  return text.length
}

/** For each folded unit, where the code point that it came from begins. */
function startsOf(original: string, length: number): Int32Array {
  const starts = new Int32Array(length)
  let written = 0
  for (let i = 0; i < original.length; i++) {
    const unit = original.charCodeAt(i)
    const folded = unit < 0x80 ? unit : unitFold(unit)
    if (folded !== OTHER && (unit & 0xf800) !== 0xd800) {
      if (folded !== DROPPED || unit === 0) starts[written++] = i
    } else {
      const point = pointAt(original, i, unit)
      const width = point > 0xffff ? 2 : 1
      const count = spelling(point)?.text.length ?? width
      for (let k = 0; k < count; k++) starts[written++] = i
      i += width - 1
    }
  }
  return starts
}

const CHUNK = 8192

function stringOf(units: Uint16Array, length: number): string {
  let text = ''
  for (let i = 0; i < length; i += CHUNK) {
    const chunk: unknown = Reflect.apply(String.fromCharCode, String, units.subarray(i, Math.min(i + CHUNK, length)))
    text += String(chunk)
  }
  return text
}
