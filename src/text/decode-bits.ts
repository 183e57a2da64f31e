/**
 * Encodings whose digit carries a fixed number of bits: base64, base32, base16, base2, and base85 by groups.
 *
 * Guarantees: never throws, reads each character a bounded number of times, allocates at most the input's length.
 * Does not guarantee that the result means anything: `looksLikeText` and `textOf` judge that.
 */

/** Digit value, or one of the three below. Indexed by an ASCII code. */
export type DigitTable = Int8Array
export const STOP = -1
export const SKIP = -2
/** Padding: drops the bits left over and starts a fresh group, so concatenated padded chunks decode. */
export const FLUSH = -3

const WHITESPACE = '\t\n\r '

export function digitTable(alphabet: string, skip = WHITESPACE, flush = '='): DigitTable {
  const table = new Int8Array(128).fill(STOP)
  for (let i = 0; i < skip.length; i++) table[skip.charCodeAt(i)] = SKIP
  for (let i = 0; i < flush.length; i++) table[flush.charCodeAt(i)] = FLUSH
  for (let i = 0; i < alphabet.length; i++) table[alphabet.charCodeAt(i)] = i
  return table
}

const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const LOWER = 'abcdefghijklmnopqrstuvwxyz'
const DIGITS = '0123456789'

/** The same table for a text whose ASCII letters went through a substitution: `letter(i)` is the plain letter of cipher letter i. */
function enciphered(table: DigitTable, letter: (i: number) => number): DigitTable {
  const out = table.slice()
  for (let i = 0; i < 26; i++) {
    out[65 + i] = table[65 + letter(i)] ?? STOP
    out[97 + i] = table[97 + letter(i)] ?? STOP
  }
  return out
}

export const caesarOf = (table: DigitTable, shift: number): DigitTable => enciphered(table, i => (i - shift + 26) % 26)
export const atbashOf = (table: DigitTable): DigitTable => enciphered(table, i => 25 - i)

function base64Table(): DigitTable {
  const table = digitTable(`${UPPER}${LOWER}${DIGITS}+/`)
  table[45] = 62 // RFC 4648 section 5: '-' and '_' of the URL-safe alphabet
  table[95] = 63
  return table
}
function eitherCase(alphabet: string): DigitTable {
  const table = digitTable(alphabet)
  for (let i = 0; i < 26; i++) {
    const value = table[65 + i] ?? STOP
    if (value >= 0) table[97 + i] = value
  }
  return table
}

export const BASE64 = base64Table()
/** RFC 4648 section 6 and 7, any case. */
export const BASE32 = eitherCase(`${UPPER}234567`)
export const BASE32HEX = eitherCase(DIGITS + UPPER.slice(0, 22))
/** RFC 1924 order, as Python's `b85encode` writes it. */
export const BASE85 = digitTable(`${DIGITS}${UPPER}${LOWER}!#$%&()*+-;<=>?@^_\`{|}~`, WHITESPACE, '')
export const ASCII85 = digitTable(
  Array.from({ length: 85 }, (_, i) => String.fromCharCode(33 + i)).join(''),
  WHITESPACE,
  '',
)
/** ZeroMQ's alphabet. */
export const Z85 = digitTable(`${DIGITS}${LOWER}${UPPER}.-:+=^!/*?&<>()[]{}@%$#`, WHITESPACE, '')

/** How digits become bytes: `bits` per digit, or 85 for groups of five digits to four bytes. */
export type Radix = 1 | 4 | 5 | 6 | 85

/** Reads digits of `text` from `from` towards `to` (exclusive; backwards when `to < from`) into `out`; returns bytes written. */
export function readDigits(
  text: string,
  from: number,
  to: number,
  table: DigitTable,
  radix: Radix,
  out: Uint8Array,
): number {
  const step = from <= to ? 1 : -1
  return radix === 85 ? readGroups(text, from, to, step, table, out) : readBits(text, from, to, step, table, radix, out)
}

function readBits(
  text: string,
  from: number,
  to: number,
  step: 1 | -1,
  table: DigitTable,
  bits: number,
  out: Uint8Array,
): number {
  let held = 0
  let have = 0
  let n = 0
  for (let i = from; i !== to && n < out.length; i += step) {
    const c = text.charCodeAt(i)
    const v = c < 128 ? (table[c] ?? STOP) : STOP
    if (v >= 0) {
      held = ((held << bits) | v) & 0xffff
      have += bits
      if (have >= 8) {
        have -= 8
        out[n++] = (held >> have) & 255
      }
    } else if (v === FLUSH) {
      have = 0
    } else if (v === STOP) {
      break
    }
  }
  return n
}

function readGroups(text: string, from: number, to: number, step: 1 | -1, table: DigitTable, out: Uint8Array): number {
  let n = 0
  let count = 0
  let value = 0
  const z = table === ASCII85
  for (let i = from; i !== to && n < out.length; i += step) {
    const c = text.charCodeAt(i)
    // In ASCII85 'z' stands for four zero bytes: no text has them.
    if (z && c === 122) break
    const v = c < 128 ? (table[c] ?? STOP) : STOP
    if (v < 0) {
      if (v === STOP) break
      continue
    }
    value = value * 85 + v
    if (++count === 5) {
      if (value > 0xffffffff) break
      n = put(out, n, value, 4)
      count = 0
      value = 0
    }
  }
  if (count > 1) {
    for (let i = count; i < 5; i++) value = value * 85 + 84
    if (value <= 0xffffffff) n = put(out, n, value, count - 1)
  }
  return n
}

function put(out: Uint8Array, n: number, value: number, bytes: number): number {
  for (let i = 0; i < bytes && n < out.length; i++) out[n++] = Math.floor(value / 256 ** (3 - i)) % 256
  return n
}
