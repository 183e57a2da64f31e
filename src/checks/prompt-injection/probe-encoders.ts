/** Writes what the decoders read, for the probes. Small and plain: inputs are short sentences. */
import { deflateSync, gzipSync } from 'node:zlib'

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8')
const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const LOWER = UPPER.toLowerCase()
const DIGITS = '0123456789'

export type Encoder = (text: string) => string

export const base64: Encoder = text => bytes(text).toString('base64')
export const base64Bare: Encoder = text => base64(text).replace(/=+$/, '')
export const base64Url: Encoder = text => bytes(text).toString('base64url')
export const hex: Encoder = text => bytes(text).toString('hex')
export const gzipBase64: Encoder = text => gzipSync(bytes(text)).toString('base64')
export const gzipHex: Encoder = text => gzipSync(bytes(text)).toString('hex')
export const zlibBase64: Encoder = text => deflateSync(bytes(text)).toString('base64')
export const gzipPercent: Encoder = text => percentEach(gzipSync(bytes(text)).toString('base64'))

function bitsOf(alphabet: string, width: number): Encoder {
  return text => {
    const bits = [...bytes(text)].map(b => b.toString(2).padStart(8, '0')).join('')
    let out = ''
    for (let i = 0; i < bits.length; i += width)
      out += alphabet[Number.parseInt(bits.slice(i, i + width).padEnd(width, '0'), 2)] ?? ''
    return out
  }
}
export const base32: Encoder = bitsOf(`${UPPER}234567`, 5)
export const base32Hex: Encoder = bitsOf(DIGITS + UPPER.slice(0, 22), 5)

function radix(alphabet: string): Encoder {
  return text => {
    const base = BigInt(alphabet.length)
    let value = BigInt(`0x${hex(text)}`)
    let out = ''
    while (value > 0n) {
      out = (alphabet[Number(value % base)] ?? '') + out
      value /= base
    }
    return out
  }
}
export const base36: Encoder = radix(DIGITS + LOWER)
export const base58: Encoder = radix('123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz')
export const base62: Encoder = radix(DIGITS + UPPER + LOWER)

function groups85(alphabet: string): Encoder {
  return text => {
    const source = bytes(text)
    let out = ''
    for (let i = 0; i < source.length; i += 4) {
      const size = Math.min(4, source.length - i)
      let value = 0
      for (let k = 0; k < 4; k++) value = value * 256 + (source[i + k] ?? 0)
      let group = ''
      for (let k = 0; k < 5; k++) {
        group = (alphabet[value % 85] ?? '') + group
        value = Math.floor(value / 85)
      }
      out += group.slice(0, size + 1)
    }
    return out
  }
}
export const base85: Encoder = groups85(`${DIGITS}${UPPER}${LOWER}!#$%&()*+-;<=>?@^_\`{|}~`)
export const ascii85: Encoder = groups85(Array.from({ length: 85 }, (_, i) => String.fromCharCode(33 + i)).join(''))

export const percentEach: Encoder = text => [...bytes(text)].map(b => `%${b.toString(16).padStart(2, '0')}`).join('')
export const decimalEntities: Encoder = text => [...text].map(c => `&#${c.codePointAt(0)};`).join('')
export const hexEntities: Encoder = text => [...text].map(c => `&#x${c.codePointAt(0)?.toString(16)};`).join('')
export const unicodeEscapes: Encoder = text =>
  [...text].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
export const curlyEscapes: Encoder = text => [...text].map(c => `\\u{${c.charCodeAt(0).toString(16)}}`).join('')
export const hexEscapes: Encoder = text => [...text].map(c => `\\x${c.charCodeAt(0).toString(16)}`).join('')
export const quotedPrintable: Encoder = text =>
  [...bytes(text)]
    .map(b => `=${b.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('')
    .replace(/(.{72})/g, '$1=\r\n')
export const codePoints =
  (between: string): Encoder =>
  text =>
    [...text].map(c => c.codePointAt(0)).join(between)
export const binary: Encoder = text => [...bytes(text)].map(b => b.toString(2).padStart(8, '0')).join(' ')

export const caesar =
  (shift: number): Encoder =>
  text =>
    text.replace(/[a-z]/gi, c => {
      const base = c < 'a' ? 65 : 97
      return String.fromCharCode(base + ((c.charCodeAt(0) - base + shift) % 26))
    })
export const rot13: Encoder = caesar(13)
export const atbash: Encoder = text =>
  text.replace(/[a-z]/gi, c => String.fromCharCode((c < 'a' ? 155 : 219) - c.charCodeAt(0)))
export const reverse: Encoder = text => [...text].reverse().join('')
export const rot47: Encoder = text =>
  text.replace(/[!-~]/g, c => String.fromCharCode(33 + ((c.charCodeAt(0) - 33 + 47) % 94)))

export const uuencode: Encoder = text => {
  const source = bytes(text)
  const lines = ['begin 644 note.txt']
  for (let i = 0; i < source.length; i += 45) {
    const part = source.subarray(i, i + 45)
    let line = String.fromCharCode(32 + part.length)
    for (let k = 0; k < part.length; k += 3) {
      const v = ((part[k] ?? 0) << 16) | ((part[k + 1] ?? 0) << 8) | (part[k + 2] ?? 0)
      for (const shift of [18, 12, 6, 0])
        line += String.fromCharCode(((v >> shift) & 63) === 0 ? 96 : 32 + ((v >> shift) & 63))
    }
    lines.push(line)
  }
  return [...lines, '`', 'end'].join('\n')
}

/** ASCII as invisible tag characters. */
export const tags: Encoder = text => [...text].map(c => String.fromCodePoint(0xe0000 + c.charCodeAt(0))).join('')
/** Bytes as variation selectors behind an emoji. */
export const variationSelectors: Encoder = text =>
  `😀${[...bytes(text)].map(b => String.fromCodePoint(b < 16 ? 0xfe00 + b : 0xe0100 + b - 16)).join('')}`

export const between =
  (mark: string): Encoder =>
  text =>
    [...text].join(mark)
export const swap =
  (table: Readonly<Record<string, string>>): Encoder =>
  text =>
    [...text].map(c => table[c] ?? c).join('')
export const times =
  (n: number, encode: Encoder): Encoder =>
  text => {
    let out = text
    for (let i = 0; i < n; i++) out = encode(out)
    return out
  }
export const chain =
  (...encoders: readonly Encoder[]): Encoder =>
  text =>
    encoders.reduce((current, encode) => encode(current), text)
export const lines =
  (width: number, newline = '\r\n'): Encoder =>
  text =>
    text.replace(new RegExp(`(.{${width}})`, 'g'), `$1${newline}`)
