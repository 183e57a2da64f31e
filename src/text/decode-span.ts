/**
 * One encoded span: is it one, what bytes are in it, and what text they give. What every encoding with a digit table shares.
 *
 * Guarantees: pure; never throws; a span is read whole only when its beginning was text or can be decompressed.
 */
import { atbashOf, caesarOf, type DigitTable, type Radix, readDigits, STOP } from './decode-bits.ts'
import { looksCompressed, looksLikeText, stringsOf, textExtent, textOf } from './decode-bytes.ts'

export interface Candidate {
  readonly text: string
  /** `base64`, `rot13-base64`, `hex`, `percent`, `base64-gzip`, … */
  readonly encoding: string
}

/** Decompression is lent, so that this file stays free of any platform. `too_large`: the bound was hit; `undefined`: not compressed. */
export type Inflate = (bytes: Uint8Array, format: 'gzip' | 'zlib') => Uint8Array | 'too_large' | undefined

export interface DecodeTools {
  readonly inflate?: Inflate | undefined
  /** Shortest base64 run looked at. */
  readonly base64MinLength: number
  /** Characters processed; decoders add to it. */
  readonly work: { spent: number; tooLarge: boolean }
}

/** Bytes that tell a text from noise. */
export const PEEK = 12
/** The first of them, which most spans fail on. */
export const GLANCE = 4
export const MAX_COMPRESSED = 65_536
const peeked = new Uint8Array(PEEK)
const firstBytes = new Uint8Array(GLANCE)

export interface Variant {
  readonly name: string
  readonly table: DigitTable
  readonly backwards: boolean
  /** The digits themselves went through a cipher, or run backwards. */
  readonly disguised: boolean
}
export const plain = (name: string, table: DigitTable): Variant => ({ name, table, backwards: false, disguised: false })
export const ciphered = (name: string, table: DigitTable): Variant => ({
  name,
  table,
  backwards: false,
  disguised: true,
})
export const disguised = (name: string, table: DigitTable): readonly Variant[] => [
  { name: `reversed-${name}`, table, backwards: true, disguised: true },
  ciphered(`rot13-${name}`, caesarOf(table, 13)),
  ciphered(`atbash-${name}`, atbashOf(table)),
]

/** Could this be the beginning of encoded text? Four bytes first: most spans fail on them. */
export function peek(text: string, from: number, to: number, v: Variant, radix: Radix, second = peeked): boolean {
  for (const out of [firstBytes, second]) {
    const n = v.backwards
      ? readDigits(text, to - 1, from - 1, v.table, radix, out)
      : readDigits(text, from, to, v.table, radix, out)
    if (n < out.length && n < (out === second ? 6 : 4)) return false
    if (!looksLikeText(out, n)) return false
    // Two bytes of a zlib header are too little evidence among thirty readings of one run.
    if (v.disguised && looksCompressed(out) !== undefined) return false
  }
  return true
}

export function bytesOf(
  text: string,
  from: number,
  to: number,
  v: Variant,
  radix: Radix,
  work: DecodeTools['work'],
): Uint8Array {
  work.spent += to - from
  const out = new Uint8Array(radix === 85 ? Math.ceil((to - from) * 0.8) + 4 : Math.ceil(((to - from) * radix) / 8))
  const n = v.backwards
    ? readDigits(text, to - 1, from - 1, v.table, radix, out)
    : readDigits(text, from, to, v.table, radix, out)
  return out.subarray(0, n)
}

/** The candidates that decoded bytes give: their text, or what they decompress to. */
export function* fromBytes(
  bytes: Uint8Array,
  encoding: string,
  tools: DecodeTools,
): Generator<Candidate, void, undefined> {
  const format = looksCompressed(bytes)
  if (format !== undefined) yield* inflated(bytes, format, encoding, tools)
  const text = textOf(bytes)
  if (text !== undefined) yield { text, encoding }
}

export function* inflated(
  bytes: Uint8Array,
  format: 'gzip' | 'zlib',
  encoding: string,
  tools: DecodeTools,
): Generator<Candidate, void, undefined> {
  if (tools.inflate === undefined) return
  // More than the bound cannot be looked into: that is a spent budget, not an all-clear.
  if (bytes.length > MAX_COMPRESSED) {
    if (format === 'gzip') tools.work.tooLarge = true
    return
  }
  const out = tools.inflate(bytes, format)
  if (out === undefined) return
  if (out === 'too_large') {
    tools.work.tooLarge = true
    return
  }
  tools.work.spent += out.length
  const text = textOf(out) ?? stringsOf(out, PEEK)
  if (text !== undefined) yield { text, encoding: `${encoding}-${format}` }
}

/**
 * Where a stretch of digits, padding and whitespace ends. Remembered, because every run of one stretch has the same end:
 * asking for each of them would be quadratic.
 */
export class Stretch {
  readonly #text: string
  readonly #table: DigitTable
  #from = 0
  #end = 0

  constructor(text: string, table: DigitTable) {
    this.#text = text
    this.#table = table
  }

  endFrom(from: number): number {
    if (from < this.#from || from >= this.#end) {
      let i = from
      while (i < this.#text.length) {
        const c = this.#text.charCodeAt(i)
        if (c >= 128 || this.#table[c] === STOP) break
        i++
      }
      this.#from = from
      this.#end = i
    }
    return this.#end
  }
}

/** Position just behind the digits that gave the first `bytes` bytes. */
function positionOf(text: string, from: number, to: number, table: DigitTable, bits: number, bytes: number): number {
  let left = Math.ceil((bytes * 8) / bits)
  let i = from
  for (; i < to && left > 0; i++) if ((table[text.charCodeAt(i) & 127] ?? STOP) >= 0) left--
  return i
}

const FIRST_LOOK = 512

/**
 * Follows an encoded stretch whose beginning looked like text. Decodes a bounded beginning first, and the whole only when all
 * of that was text. Returns where the text ended.
 */
export function* follow(
  text: string,
  from: number,
  to: number,
  v: Variant,
  bits: 4 | 5 | 6,
  tools: DecodeTools,
): Generator<Candidate, number, undefined> {
  const near = Math.min(to, from + FIRST_LOOK)
  let bytes = bytesOf(text, from, near, v, bits, tools.work)
  if (near < to) {
    const format = looksCompressed(bytes)
    // Header bytes alone are not worth a long decoding: the beginning must decompress.
    const worth =
      format === undefined ? textExtent(bytes) >= bytes.length - 8 : tools.inflate?.(bytes, format) !== undefined
    const far = format === undefined ? to : Math.min(to, from + 4 * MAX_COMPRESSED)
    if (worth) bytes = bytesOf(text, from, far, v, bits, tools.work)
  }
  yield* fromBytes(bytes, v.name, tools)
  return positionOf(text, from, to, v.table, bits, textExtent(bytes))
}
