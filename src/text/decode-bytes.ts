/** Are these bytes text, and which? Decides which decodings are worth following; wrong guesses cost work, never a crash. */

const utf8 = new TextDecoder('utf-8')
const latin1 = new TextDecoder('latin1')

/** Length of the well-formed, printable UTF-8 sequence at `i`; 0 when there is none. A sequence cut off by the end counts. */
function sequence(b: Uint8Array, i: number, end: number): number {
  const c = b[i] ?? 0
  if (c < 0x80) return (c >= 32 && c < 127) || c === 9 || c === 10 || c === 13 ? 1 : 0
  const need = c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 0
  if (need === 0) return 0
  for (let k = 1; k <= need; k++) {
    if (i + k >= end) return end - i
    if (((b[i + k] ?? 0) & 0xc0) !== 0x80) return 0
  }
  return need + 1
}

/** RFC 1952 and RFC 1950 headers. */
export function looksCompressed(b: Uint8Array, at = 0): 'gzip' | 'zlib' | undefined {
  const a = b[at] ?? 0
  const c = b[at + 1] ?? 0
  if (a === 0x1f && c === 0x8b && b[at + 2] === 8) return 'gzip'
  if (a === 0x78 && (c === 0x01 || c === 0x5e || c === 0x9c || c === 0xda)) return 'zlib'
  return undefined
}

/** UTF-16 of mostly ASCII text, little- or big-endian: every other byte is zero. */
function wide(b: Uint8Array, n: number): 0 | 1 | undefined {
  if (n < 4) return undefined
  const start = (b[0] === 0xff && b[1] === 0xfe) || (b[0] === 0xfe && b[1] === 0xff) ? 2 : 0
  const limit = Math.min(n - (n % 2), start + 16)
  for (const parity of [0, 1] as const) {
    let good = true
    for (let i = start; i < limit && good; i++) good = (i % 2 === parity) === (b[i] !== 0)
    if (good) return parity
  }
  return undefined
}

/** Could the first `n` bytes begin a text? Cheap and strict: every byte counts. */
export function looksLikeText(b: Uint8Array, n: number): boolean {
  if (n === 0) return false
  let i = 0
  while (i < n) {
    const step = sequence(b, i, n)
    if (step === 0) return n >= 4 && (looksCompressed(b) !== undefined || wide(b, n) !== undefined)
    i += step
  }
  return true
}

/** How many bytes from the start are text: up to where three of the last eight stop being so; 0 when it is not worth reading. */
export function textExtent(bytes: Uint8Array): number {
  if (wide(bytes, bytes.length) !== undefined) return bytes.length
  let i = 0
  let end = 0
  let bad = 0
  let window = 0
  while (i < bytes.length) {
    const step = sequence(bytes, i, bytes.length)
    window = (window << 1) & 0xff
    if (step === 0) {
      window |= 1
      bad++
      if (bits(window) >= 3) break
      i++
    } else {
      i += step
      end = i
    }
  }
  return end < 4 || bad * 3 > end ? 0 : end
}

/** The text at the start of the bytes; `undefined` below four characters. */
export function textOf(bytes: Uint8Array): string | undefined {
  const end = textExtent(bytes)
  if (end === 0) return undefined
  const parity = wide(bytes, bytes.length)
  if (parity === undefined) return utf8.decode(bytes.subarray(0, end))
  const half = new Uint8Array(bytes.length >> 1)
  for (let i = 0; i < half.length; i++) half[i] = bytes[2 * i + parity] ?? 0
  return utf8.decode(half)
}

function bits(v: number): number {
  let n = 0
  for (let x = v; x !== 0; x &= x - 1) n++
  return n
}

/** Printable ASCII runs of at least `least` characters in binary data, one a line. */
export function stringsOf(bytes: Uint8Array, least: number): string | undefined {
  const found: string[] = []
  let start = 0
  for (let i = 0; i <= bytes.length; i++) {
    const c = bytes[i] ?? 0
    if (c >= 32 && c < 127) continue
    if (i - start >= least) found.push(latin1.decode(bytes.subarray(start, i)))
    start = i + 1
  }
  return found.length === 0 ? undefined : found.join('\n')
}
