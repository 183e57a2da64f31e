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
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
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

  constructor(text: string, ascii: boolean, lower?: string) {
    this.original = text
    this.ascii = ascii
    this.#lower = lower
  }

  get text(): string {
    return this.original
  }

  get lower(): string {
    return (this.#lower ??= this.original.toLowerCase())
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
  readonly lower: string
  readonly identity = false
  readonly ascii = false
  readonly #starts: Int32Array

  constructor(original: string, text: string, lower: string, starts: Int32Array) {
    this.original = original
    this.text = text
    this.lower = lower
    this.#starts = starts
  }

  toOriginal(i: number): number {
    return this.#starts[i] ?? this.original.length
  }

  toOriginalEnd(i: number): number {
    const start = i > 0 ? this.#starts[i - 1] : undefined
    if (start === undefined) return i > 0 ? this.original.length : 0
    return splitsPair(this.original, start + 1) ? start + 2 : start + 1
  }
}

function foldUnicode(original: string): Folded {
  let text = ''
  let lower = ''
  let starts = new Int32Array(original.length + 16)
  let identity = true
  /** Start of the stretch of unchanged units not yet copied. */
  let copied = 0
  const length = original.length
  let i = 0
  let written = 0
  while (i < length) {
    const unit = original.charCodeAt(i)
    let width = 1
    let spelt: Spelling | undefined
    if (unit > 0x7f) {
      let point = unit
      if (isHighSurrogate(unit) && i + 1 < length && isLowSurrogate(original.charCodeAt(i + 1))) {
        point = (unit - 0xd800) * 0x400 + (original.charCodeAt(i + 1) - 0xdc00) + 0x10000
        width = 2
      }
      spelt = spelling(point)
    }
    const units = spelt === undefined ? width : spelt.text.length
    if (written + units >= starts.length) {
      const more = new Int32Array(starts.length * 2 + units)
      more.set(starts)
      starts = more
    }
    for (let k = 0; k < units; k++) starts[written++] = i
    if (spelt !== undefined) {
      const unchanged = original.slice(copied, i)
      text += unchanged + spelt.text
      lower += unchanged.toLowerCase() + spelt.lower
      copied = i + width
      if (identity && (spelt.text.length !== width || spelt.text !== original.slice(i, i + width))) identity = false
    }
    i += width
  }
  const rest = original.slice(copied)
  text += rest
  lower += rest.toLowerCase()
  return identity ? new Same(original, false, lower) : new Changed(original, text, lower, starts.subarray(0, written))
}

/**
 * The fold of a stream. A high surrogate at the end of a piece waits for its other half, so `push` may fold one unit
 * less, or one more, than it was given.
 */
export interface FoldStream {
  push(text: string): Folded
  /** What was waiting: at most one lone surrogate. */
  end(): Folded
  /** Units held back: 0 or 1. */
  readonly waiting: number
}

export function openFold(): FoldStream {
  let half = ''
  return {
    push(text) {
      if (text === '') return fold('')
      let ready = half === '' ? text : half + text
      half = ''
      if (isHighSurrogate(ready.charCodeAt(ready.length - 1))) {
        half = ready.slice(-1)
        ready = ready.slice(0, -1)
      }
      return fold(ready)
    },
    end() {
      const last = half
      half = ''
      return fold(last)
    },
    get waiting() {
      return half.length
    },
  }
}
