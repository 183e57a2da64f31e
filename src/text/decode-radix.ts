/**
 * Encodings that treat the whole run as one number: base36, base58, base62. Decoding is quadratic in the run, so runs are
 * bounded and the first bytes are estimated in floating point before any long division.
 */

const DIGITS = '0123456789'
const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const LOWER = 'abcdefghijklmnopqrstuvwxyz'
const BITCOIN = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

export const RADIX_MIN = 11
export const RADIX_MAX = 256

interface Alphabet {
  readonly name: string
  readonly base: number
  readonly table: Int8Array
  readonly log2: number
}

function alphabet(name: string, digits: string, anyCase = false): Alphabet {
  const table = new Int8Array(128).fill(-1)
  for (let i = 0; i < digits.length; i++) {
    table[digits.charCodeAt(i)] = i
    if (anyCase) table[digits[i]?.toUpperCase().charCodeAt(0) ?? 0] = i
  }
  return { name, base: digits.length, table, log2: Math.log2(digits.length) }
}

export const RADIXES: readonly Alphabet[] = [
  alphabet('base36', DIGITS + LOWER, true),
  alphabet('base58', BITCOIN),
  alphabet('base62', DIGITS + UPPER + LOWER),
  alphabet('base62', DIGITS + LOWER + UPPER),
  alphabet('base62', UPPER + LOWER + DIGITS),
]

/** Bytes of the number written in `text[from, to)`, or `undefined` when a digit is foreign or the number cannot begin a text. */
export function decodeRadix(text: string, from: number, to: number, a: Alphabet): Uint8Array | undefined {
  const length = to - from
  if (length < RADIX_MIN || length > RADIX_MAX) return undefined
  let head = 0
  for (let i = from; i < from + 8; i++) {
    const v = digit(text, i, a)
    if (v < 0) return undefined
    head = head * a.base + v
  }
  if (head === 0) return undefined
  if (!plausible(Math.log2(head + 0.5) + (length - 8) * a.log2)) return undefined
  for (let i = from + 8; i < to; i++) if (digit(text, i, a) < 0) return undefined
  // Limbs of 24 bits: limb * 62 + carry stays far below 2^53.
  const limbs: number[] = []
  for (let i = from; i < to; i++) {
    let carry = digit(text, i, a)
    for (let k = 0; k < limbs.length; k++) {
      const v = (limbs[k] ?? 0) * a.base + carry
      limbs[k] = v & 0xffffff
      carry = Math.floor(v / 0x1000000)
    }
    if (carry > 0) limbs.push(carry)
  }
  const bytes = new Uint8Array(limbs.length * 3)
  for (let k = 0; k < limbs.length; k++) {
    const v = limbs[k] ?? 0
    const at = bytes.length - 3 * k
    bytes[at - 1] = v & 255
    bytes[at - 2] = (v >> 8) & 255
    bytes[at - 3] = v >> 16
  }
  let zeros = 0
  while (zeros < bytes.length && bytes[zeros] === 0) zeros++
  return bytes.subarray(zeros)
}

function digit(text: string, i: number, a: Alphabet): number {
  const c = text.charCodeAt(i)
  return c < 128 ? (a.table[c] ?? -1) : -1
}

/** From the number's binary logarithm, its three leading bytes: printable, or the header of gzip. */
function plausible(log2: number): boolean {
  const bytes = Math.floor(log2 / 8) + 1
  if (bytes < 4) return false
  const top = Math.floor(2 ** (log2 - 8 * (bytes - 3)))
  const b0 = (top >> 16) & 255
  const b1 = (top >> 8) & 255
  const b2 = top & 255
  return (printable(b0) && printable(b1) && printable(b2)) || (b0 === 0x1f && b1 === 0x8b) || b0 === 0x78
}

const printable = (b: number): boolean => (b >= 32 && b < 127) || b === 9 || b === 10 || b === 13 || b >= 0xc2
