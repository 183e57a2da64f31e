/** Text written as numbers: hexadecimal and binary digits, decimal and octal code points. */
import { digitTable } from './decode-bits.ts'
import {
  bytesOf,
  type Candidate,
  ciphered,
  type DecodeTools,
  follow,
  fromBytes,
  GLANCE,
  peek,
  plain,
} from './decode-span.ts'

const HEX = digitTable('0123456789abcdef', '\t\n\r :,;-', '')
for (let i = 65; i < 71; i++) HEX[i] = i - 55
const BINARY = digitTable('01', '\t\n\r ,;', '')
const HEX_PLAIN = plain('hex', HEX)
/** Of digits that were turned round already. */
const HEX_REVERSED = ciphered('reversed-hex', HEX)
/** Of hexadecimal few bytes are asked for: words behind the pairs often are pairs too. */
const fewBytes = new Uint8Array(8)

const isHex = (c: number): boolean => c < 128 && (HEX[c] ?? -1) >= 0

/** Hexadecimal and binary digits and decimal or octal code points, however they are separated. */
export function* numbers(text: string, tools: DecodeTools): Generator<Candidate, void, undefined> {
  tools.work.spent += 2 * text.length
  for (let i = 0; i < text.length; ) {
    const end = isHex(text.charCodeAt(i)) ? hexReach(text, i) : i
    if (end - i >= 12) yield* hexadecimal(text.slice(i, end).replace(/0x|\\x/gi, ' '), tools)
    i = Math.max(i + 1, end)
  }
  for (let i = 0; i < text.length; ) {
    const c = text.charCodeAt(i)
    const end = c >= 48 && c < 58 ? codeReach(text, i) : i
    if (end - i >= 11) yield* codePoints(text.slice(i, end), tools)
    i = Math.max(i + 1, end)
  }
}

/** Every text among the pairs: neither a word that ends in such letters (`decode 69 67`) nor bytes that are none may hide it. */
function* hexadecimal(source: string, tools: DecodeTools): Generator<Candidate, void, undefined> {
  for (const [v, digits] of [
    [HEX_PLAIN, source],
    [HEX_REVERSED, [...source].reverse().join('')],
  ] as const) {
    tools.work.spent += digits.length
    for (let at = 0; at < digits.length; ) {
      tools.work.spent += GLANCE
      const found = isHex(digits.charCodeAt(at)) && peek(digits, at, digits.length, v, 4, fewBytes)
      const end = found ? yield* follow(digits, at, digits.length, v, 4, tools) : at
      at = Math.max(at + 1, end)
    }
  }
}

/** End of a stretch of hexadecimal pairs with `0x`, `\x`, and separators between them. */
function hexReach(text: string, from: number): number {
  let i = from
  let end = from
  while (i < text.length) {
    let c = text.charCodeAt(i)
    if ((c === 48 || c === 92) && (text.charCodeAt(i + 1) | 32) === 120) i += 2
    if (!isHex(text.charCodeAt(i)) || !isHex(text.charCodeAt(i + 1))) break
    i += 2
    end = i
    for (let gap = 0; gap < 3; gap++) {
      c = text.charCodeAt(i)
      if (c < 128 && HEX[c] === -2) i++
      else break
    }
  }
  return end
}

const separates = (c: number): boolean =>
  c === 32 || c === 44 || c === 10 || c === 13 || c === 9 || c === 59 || c === 124 || c === 45 || c === 46 || c === 47

/** End of a stretch of decimal digits and separators. */
function codeReach(text: string, from: number): number {
  let i = from
  let end = from
  while (i < text.length) {
    const c = text.charCodeAt(i)
    if (c >= 48 && c < 58) end = ++i
    else if (separates(c) && i - end < 3) i++
    else break
  }
  return end
}

function* codePoints(source: string, tools: DecodeTools): Generator<Candidate, void, undefined> {
  tools.work.spent += source.length
  const numbers = source.split(/[^0-9]+/)
  if (numbers.length === 1) {
    if (/^[01]{48}/.test(source)) yield* binary(source, tools)
    return
  }
  if (/^[01]{7,8}$/.test(numbers[0] ?? '')) {
    yield* binary(source, tools)
    return
  }
  if (numbers.length < 6) return
  const found = spelled(numbers, 10)
  if (found !== undefined) yield { text: found, encoding: 'decimal' }
  if (/^[1-7][0-7]{1,2}$/.test(numbers[0] ?? '')) {
    const octal = spelled(numbers, 8)
    if (octal !== undefined) yield { text: octal, encoding: 'octal' }
  }
}

/** Stretches of at least six printable code points, one a line. */
function spelled(numbers: readonly string[], radix: 8 | 10): string | undefined {
  const lines: string[] = []
  let line = ''
  for (const n of [...numbers, '']) {
    const v = n.length > 0 && n.length <= 4 ? Number.parseInt(n, radix) : 0
    if ((v >= 32 && v < 127) || v === 10) line += String.fromCharCode(v)
    else {
      if (line.length >= 6) lines.push(line)
      line = ''
    }
  }
  return lines.length === 0 ? undefined : lines.join('\n')
}

function* binary(source: string, tools: DecodeTools): Generator<Candidate, void, undefined> {
  const v = plain('binary', BINARY)
  if (peek(source, 0, source.length, v, 1))
    yield* fromBytes(bytesOf(source, 0, source.length, v, 1, tools.work), 'binary', tools)
}
