/**
 * Vectors in an embeddings answer: lists of floats, or the same floats as base64.
 *
 * An answer holds millions of numbers, and a JSON node for each would cost fifty times its bytes. So lists of numbers that
 * are no bytes are checked here and left out of the tree: in its place stands an empty list with the same span. Linear in
 * the text; a list with anything but finite numbers in it is left to the strict reader.
 */
import { isUtf8 } from 'node:buffer'
import type { Fault } from '../core/wire.ts'
import { isFault, type JsonDocument, parseJson } from './json.ts'

/** Offsets, and so spans, are those of `text`. */
export function parseWithoutVectors(text: string): JsonDocument | Fault {
  const doc = parseJson(blankVectors(text))
  return isFault(doc) ? doc : { ...doc, text }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN = 0x5b

/** The text with every vector's numbers turned into spaces. In step with the strict reader up to the first error. */
function blankVectors(text: string): string {
  const ahead = new Ahead(text)
  const pieces: string[] = []
  let copied = 0
  let at = 0
  while (at < text.length) {
    const c = text.charCodeAt(at)
    if (c === QUOTE) at = behindString(text, at)
    else if (c === OPEN) {
      const close = ahead.flatListEnd(at)
      const found = close < 0 ? 'other' : judgeList(text.slice(at, close + 1))
      if (found === 'malformed') break
      if (found === 'vector') {
        pieces.push(text.slice(copied, at + 1), ' '.repeat(close - at - 1))
        copied = close
      }
      at = found === 'vector' ? close + 1 : at + 1
    } else at++
  }
  if (copied === 0) return text
  pieces.push(text.slice(copied))
  return pieces.join('')
}

function behindString(text: string, from: number): number {
  let at = from
  for (;;) {
    at = text.indexOf('"', at + 1)
    if (at < 0) return text.length
    let escapes = at
    while (text.charCodeAt(escapes - 1) === BACKSLASH) escapes--
    if ((at - escapes) % 2 === 0) return at + 1
  }
}

/** Where the next of each character is. Each is looked for once per place, or a text of brackets would be quadratic. */
class Ahead {
  readonly #text: string
  #close = -1
  #open = -1
  #quote = -1

  constructor(text: string) {
    this.#text = text
  }

  /** The end of the list at `from`, if that list begins with a number and has neither lists nor strings in it. */
  flatListEnd(from: number): number {
    if (!/[-0-9]/.test(this.#text.charAt(behindSpace(this.#text, from + 1)))) return -1
    if (this.#close <= from) this.#close = this.#find(']', from)
    if (this.#open <= from) this.#open = this.#find('[', from)
    if (this.#quote <= from) this.#quote = this.#find('"', from)
    return this.#close < this.#open && this.#close < this.#quote ? this.#close : -1
  }

  #find(what: string, from: number): number {
    const at = this.#text.indexOf(what, from + 1)
    return at < 0 ? this.#text.length : at
  }
}

function behindSpace(text: string, from: number): number {
  let at = from
  for (;;) {
    const c = text.charCodeAt(at)
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return at
    at++
  }
}

/** Of finite numbers, and not all of them bytes. For a list of numbers the runtime's reader is as strict as ours. */
function judgeList(json: string): 'vector' | 'other' | 'malformed' {
  let list: unknown
  try {
    list = JSON.parse(json)
  } catch {
    // Then so is the whole document, and the strict reader says where.
    return 'malformed'
  }
  if (!Array.isArray(list) || !list.every(Number.isFinite)) return 'other'
  return list.every(isByte) ? 'other' : 'vector'
}

function isByte(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255
}

/** Shorter than this, a payload is read as text too: it costs nothing, and a word is also base64. */
const LEAST_FLOATS = 32
/** Real vectors are of length one or not far from it. Text taken for floats mostly has values of 10^10 and more. */
const LARGEST = 1e6

/**
 * Base64 (RFC 4648 section 4, as an encoder writes it) of little-endian 32-bit floats: `numbers` if they could be a
 * vector, the bytes if they are the UTF-8 of a text (no vector of that size is), `undefined` for anything else.
 */
export function readVector(text: string): 'numbers' | Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  // The decoder is forgiving; what it would write itself is not.
  if (bytes.length === 0 || bytes.toString('base64') !== text) return undefined
  if (isUtf8(bytes)) return bytes
  if (bytes.length % 4 !== 0 || bytes.length < LEAST_FLOATS * 4) return undefined
  const floats = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length; at += 4) {
    // Not a number and infinity fail the comparison as well.
    if (!(Math.abs(floats.getFloat32(at, true)) <= LARGEST)) return undefined
  }
  return 'numbers'
}
