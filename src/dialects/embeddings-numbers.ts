/**
 * Vectors in an embeddings answer: lists of floats, or the same floats as base64.
 *
 * An answer holds millions of numbers, and a JSON node for each would cost fifty times its bytes. So lists of numbers that
 * are no bytes are checked here and left out of the tree: in its place stands an empty list with the same span. Linear in
 * the text; the grammar is the strict reader's own, and a list with anything unusual in it is left to that reader.
 */
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
const CLOSE = 0x5d
const COMMA = 0x2c

/** The text with every vector's numbers turned into spaces. In step with the strict reader up to the first error. */
function blankVectors(text: string): string {
  const pieces: string[] = []
  let copied = 0
  let at = 0
  while (at < text.length) {
    const c = text.charCodeAt(at)
    if (c === QUOTE) at = behindString(text, at)
    else if (c === OPEN) {
      const close = vectorEnd(text, at)
      if (close < 0) at++
      else {
        pieces.push(text.slice(copied, at + 1), ' '.repeat(close - at - 1))
        copied = close
        at = close + 1
      }
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

/** Where the list that opens at `open` closes, if it is a vector: numbers only, and not all of them bytes. */
function vectorEnd(text: string, open: number): number {
  let isBytes = true
  let at = behindSpace(text, open + 1)
  for (;;) {
    const end = numberEnd(text, at)
    if (end < 0) return -1
    if (isBytes) {
      const value = Number(text.slice(at, end))
      isBytes = Number.isInteger(value) && value >= 0 && value <= 255
    }
    at = behindSpace(text, end)
    const c = text.charCodeAt(at)
    if (c === CLOSE) return isBytes ? -1 : at
    if (c !== COMMA) return -1
    at = behindSpace(text, at + 1)
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

/** Past this length a number might be beyond a double. */
const LONGEST = 300

/** RFC 8259 section 6; -1 for what is no number, or might not be finite. */
function numberEnd(text: string, from: number): number {
  let at = text.charCodeAt(from) === 0x2d ? from + 1 : from
  const whole = behindDigits(text, at)
  if (whole === at || (whole > at + 1 && text.charCodeAt(at) === 0x30)) return -1
  at = whole
  if (text.charCodeAt(at) === 0x2e) {
    const fraction = behindDigits(text, at + 1)
    if (fraction === at + 1) return -1
    at = fraction
  }
  const c = text.charCodeAt(at)
  const hasExponent = c === 0x65 || c === 0x45
  if (hasExponent) {
    const sign = text.charCodeAt(at + 1)
    const digits = sign === 0x2b || sign === 0x2d ? at + 2 : at + 1
    const end = behindDigits(text, digits)
    if (end === digits) return -1
    at = end
  }
  if ((hasExponent || at - from > LONGEST) && !Number.isFinite(Number(text.slice(from, at)))) return -1
  return at
}

function behindDigits(text: string, from: number): number {
  let at = from
  for (;;) {
    const c = text.charCodeAt(at)
    if (!(c >= 0x30 && c <= 0x39)) return at
    at++
  }
}

/** Shorter than this, a payload is read as text too: it costs nothing, and a word is also base64. */
const LEAST_FLOATS = 32
/** Real vectors are of length one or not far from it. Text taken for floats has values of 10^18 and more. */
const LARGEST = 1e6

/** Base64 (RFC 4648 section 4, as an encoder writes it) of little-endian 32-bit floats that could be a vector. */
export function isFloatVector(text: string): boolean {
  if (text.length < (LEAST_FLOATS * 16) / 3 || text.length % 4 !== 0) return false
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length % 4 !== 0 || bytes.length < LEAST_FLOATS * 4) return false
  // The decoder is forgiving; what it would write itself is not.
  if (bytes.toString('base64') !== text) return false
  for (let at = 0; at < bytes.length; at += 4) {
    // Not a number and infinity fail the comparison as well.
    if (!(Math.abs(bytes.readFloatLE(at)) <= LARGEST)) return false
  }
  return true
}
