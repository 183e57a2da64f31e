/**
 * One step of decoding: every text that could be hidden in this one by a common encoding, as candidates for another look.
 *
 * Guarantees: pure and deterministic; never throws; reads the text a constant number of times and each encoded span a constant
 * number of times more (work is counted in characters, never in time); ordinary words are not touched.
 * Does not guarantee that a candidate means anything, nor to follow candidates further: that is the caller's loop.
 */
import {
  ASCII85,
  atbashOf,
  BASE32,
  BASE32HEX,
  BASE64,
  BASE85,
  caesarOf,
  type DigitTable,
  digitTable,
  type Radix,
  readDigits,
  STOP,
  Z85,
} from './decode-bits.ts'
import { looksCompressed, looksLikeText, stringsOf, textExtent, textOf } from './decode-bytes.ts'
import {
  percentBytes,
  unbackslash,
  unentity,
  uninvisible,
  unpercent,
  unpunycode,
  unquotedPrintable,
} from './decode-escape.ts'
import { decodeRadix, RADIX_MAX, RADIX_MIN, RADIXES } from './decode-radix.ts'

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

const PEEK = 12
/** Characters of work between two points where the caller may pause. */
const PAUSE = 32_768
const MAX_COMPRESSED = 65_536
const MAX_STRINGS = 65_536
const MAX_REALIGNED = 8192
const peeked = new Uint8Array(PEEK)
const firstBytes = new Uint8Array(4)
/** Of hexadecimal: words behind the pairs often are pairs too. */
const fewBytes = new Uint8Array(8)

const HEX = digitTable('0123456789abcdef', '\t\n\r :,;-', '')
for (let i = 65; i < 71; i++) HEX[i] = i - 55
const BINARY = digitTable('01', '\t\n\r ,;', '')

interface Variant {
  readonly name: string
  readonly table: DigitTable
  readonly backwards: boolean
  /** The digits themselves went through a cipher, or run backwards. */
  readonly disguised: boolean
}
const plain = (name: string, table: DigitTable): Variant => ({ name, table, backwards: false, disguised: false })
const ciphered = (name: string, table: DigitTable): Variant => ({ name, table, backwards: false, disguised: true })
const disguised = (name: string, table: DigitTable): readonly Variant[] => [
  { name: `reversed-${name}`, table, backwards: true, disguised: true },
  ciphered(`rot13-${name}`, caesarOf(table, 13)),
  ciphered(`atbash-${name}`, atbashOf(table)),
]

const HEX_PLAIN = plain('hex', HEX)
/** Of digits that were turned round already. */
const HEX_REVERSED = ciphered('reversed-hex', HEX)
const BASE64_PLAIN = plain('base64', BASE64)
const BASE64_DISGUISED: readonly Variant[] = [
  ...disguised('base64', BASE64),
  ...Array.from({ length: 25 }, (_, i) => i + 1)
    .filter(k => k !== 13)
    .map(k => ciphered(`caesar-${k}-base64`, caesarOf(BASE64, k))),
]
const BASE32_VARIANTS = [
  plain('base32', BASE32),
  plain('base32hex', BASE32HEX),
  ...disguised('base32', BASE32),
  ...disguised('base32hex', BASE32HEX),
]
const BASE85_VARIANTS = [
  plain('base85', BASE85),
  plain('ascii85', ASCII85),
  plain('z85', Z85),
  ...disguised('base85', BASE85),
  ...disguised('ascii85', ASCII85),
]

// Character classes of the one pass over the text.
const LOWER = 1
const UPPER = 2
const DIGIT = 4
const SIGN = 8 // + / - _
const OTHER = 16 // any other printable ASCII
const FOREIGN = 32 // beyond ASCII
const CLASS = new Uint8Array(128)
for (let c = 33; c < 127; c++) CLASS[c] = OTHER
for (let c = 48; c < 58; c++) CLASS[c] = DIGIT
for (let c = 65; c < 91; c++) CLASS[c] = UPPER
for (let c = 97; c < 123; c++) CLASS[c] = LOWER
for (const c of '+/-_') CLASS[c.charCodeAt(0)] = SIGN

interface Run {
  readonly from: number
  readonly to: number
  /** Union of the classes of its characters. */
  readonly classes: number
  /** Not an ordinary word: a capital after a small letter or a digit, or letters and digits mixed. */
  readonly odd: boolean
}

/** `null` is a point where the caller may pause. */
export function* decode(text: string, tools: DecodeTools): Generator<Candidate | null, void, undefined> {
  const { work } = tools
  work.spent += text.length
  const seen = survey(text)
  yield null

  const escaped = unescapeAll(text, work)
  if (escaped !== undefined) yield escaped
  if ((seen.classes & OTHER) !== 0) yield* packedPercent(text, tools)
  const invisible = seen.ascii ? undefined : uninvisible(text)
  if (invisible !== undefined) yield { text: invisible, encoding: 'invisible' }
  if ((seen.classes & SIGN) !== 0) {
    const domain = unpunycode(text)
    if (domain !== undefined) yield { text: domain, encoding: 'punycode' }
  }
  if (seen.runs.length > 0) {
    yield null
    yield* base64(text, seen.runs, tools)
    yield null
    yield* alphanumeric(text, seen.runs, tools)
  }
  if ((seen.classes & DIGIT) !== 0) {
    yield null
    yield* numbers(text, tools)
  }
  if (seen.dense.length > 0) {
    yield null
    for (const span of seen.dense) yield* base85(text, span, tools)
  }
  if ((seen.classes & OTHER) !== 0) yield* uuencode(text, tools)
}

interface Survey {
  readonly runs: readonly Run[]
  /** Unbroken spans of printable ASCII long enough for base85. */
  readonly dense: readonly (readonly [number, number])[]
  readonly classes: number
  readonly ascii: boolean
}

const DENSE_MIN = 14
const SHORTEST_RUN = 4
/** Letters of one case and no digit: a word, unless it is longer than words are. */
const LONG_WORD = 20

function survey(text: string): Survey {
  const runs: Run[] = []
  const dense: (readonly [number, number])[] = []
  let all = 0
  let runFrom = -1
  let classes = 0
  let odd = false
  let before = 0
  let denseFrom = -1
  for (let i = 0; i <= text.length; i++) {
    const c = i < text.length ? text.charCodeAt(i) : 32
    const k = c < 128 ? (CLASS[c] ?? 0) : FOREIGN
    // Everything below happens where the class changes: most characters cost one look-up.
    if (k === before && i < text.length) continue
    all |= k
    const blank = k === 0 || k === FOREIGN
    if (blank) {
      if (denseFrom >= 0 && i - denseFrom >= DENSE_MIN) dense.push([denseFrom, i])
      denseFrom = -1
    } else if (denseFrom < 0) denseFrom = i
    if (!blank && k !== OTHER) {
      if (runFrom < 0) {
        runFrom = i
        classes = k
        odd = false
      } else {
        const pair = k | before
        if ((k === UPPER && (before & LOWER) !== 0) || ((pair & DIGIT) !== 0 && (pair & (LOWER | UPPER)) !== 0))
          odd = true
        classes |= k
      }
    } else if (runFrom >= 0) {
      const length = i - runFrom
      if (odd ? length >= SHORTEST_RUN : length >= (classes & DIGIT ? RADIX_MIN : LONG_WORD)) {
        runs.push({ from: runFrom, to: i, classes, odd })
      }
      runFrom = -1
    }
    before = k
  }
  return { runs, dense, classes: all, ascii: (all & FOREIGN) === 0 }
}

/** All in-place escapes at once: nested orders unfold with the caller's depth, and the number of candidates stays one. */
function unescapeAll(text: string, work: DecodeTools['work']): Candidate | undefined {
  let current = text
  let name = ''
  for (const [kind, apply] of ESCAPES) {
    const next = apply(current)
    if (next !== current) {
      name = name === '' ? kind : 'escapes'
      work.spent += current.length
      current = next
    }
  }
  return name === '' ? undefined : { text: current, encoding: name }
}
const ESCAPES: readonly (readonly [string, (text: string) => string])[] = [
  ['percent', unpercent],
  ['entity', unentity],
  ['escape', unbackslash],
  ['quoted-printable', unquotedPrintable],
]

/** The header of gzip or zlib as RFC 3986 writes it; `x` is 0x78, and needs no escape. */
const PACKED_PERCENT = /%1f%8b%08|(?:%78|x)(?:%01|%5e|%9c|%da)/gi

/** Compressed bytes written with percent signs: as text they are noise, so they are looked for by their beginning. */
function* packedPercent(text: string, tools: DecodeTools): Generator<Candidate, void, undefined> {
  for (const { index } of text.matchAll(PACKED_PERCENT)) {
    const start = percentBytes(text, index, PEEK * 4)
    tools.work.spent += start.length
    const format = looksCompressed(start)
    // Two bytes are little evidence: the beginning must decompress.
    if (format === undefined || tools.inflate?.(start, format) === undefined) continue
    const bytes = percentBytes(text, index, MAX_COMPRESSED + 1)
    tools.work.spent += bytes.length
    yield* inflated(bytes, format, 'percent', tools)
  }
}

/** Could this be the beginning of encoded text? Four bytes first: most spans fail on them. */
function peek(text: string, from: number, to: number, v: Variant, radix: Radix, second = peeked): boolean {
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

function bytesOf(
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
function* fromBytes(bytes: Uint8Array, encoding: string, tools: DecodeTools): Generator<Candidate, void, undefined> {
  const format = looksCompressed(bytes)
  if (format !== undefined) yield* inflated(bytes, format, encoding, tools)
  const text = textOf(bytes)
  if (text !== undefined) yield { text, encoding }
}

function* inflated(
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

/** Only whitespace or padding up to further digits: line-wrapped or spaced base64 goes on. */
function goesOn(text: string, from: number): boolean {
  for (let i = from; i < from + 7; i++) {
    const v = BASE64[text.charCodeAt(i) & 127] ?? STOP
    if (i >= text.length || v === STOP) return false
    if (v >= 0) return i > from
  }
  return false
}

/**
 * Where a stretch of digits, padding and whitespace ends. Remembered, because every run of one stretch has the same end:
 * asking for each of them would be quadratic.
 */
class Stretch {
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
function* follow(
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

function* base64(text: string, runs: readonly Run[], tools: DecodeTools): Generator<Candidate | null, void, undefined> {
  const { work } = tools
  const stretch = new Stretch(text, BASE64)
  let done = 0
  let joined = 0
  let paused = work.spent
  for (const run of runs) {
    if (work.spent - paused > PAUSE) {
      paused = work.spent
      yield null
    }
    if (!run.odd || run.from < done) continue
    const length = run.to - run.from
    const spaced = goesOn(text, run.to)
    if (length < tools.base64MinLength && !spaced) continue
    work.spent += length + PEEK
    const end = spaced ? stretch.endFrom(run.to) : run.to
    // The run alone too: words behind a short one are digits that spell nothing.
    const alone = spaced && length >= tools.base64MinLength && peek(text, run.from, run.to, BASE64_PLAIN, 6)
    if (alone || peek(text, run.from, end, BASE64_PLAIN, 6)) {
      done = yield* follow(text, run.from, end, BASE64_PLAIN, 6, tools)
      // The run alone, for a payload shorter than the words that happen to follow it.
      if (spaced && length >= tools.base64MinLength) {
        yield* fromBytes(bytesOf(text, run.from, run.to, BASE64_PLAIN, 6, work), 'base64', tools)
      }
      continue
    }
    if (length < tools.base64MinLength) continue
    const v = BASE64_DISGUISED.find(d => peek(text, run.from, d.backwards ? run.to : end, d, 6))
    if (v !== undefined) {
      if (v.backwards) yield* fromBytes(bytesOf(text, run.from, run.to, v, 6, work), v.name, tools)
      else done = yield* follow(text, run.from, end, v, 6, tools)
    } else if (length >= 16) {
      // Lines of wrapped binary data are one piece, taken once; a lone word among words is its own.
      const whole = length >= 60 && run.from >= joined ? end : run.to
      joined = Math.max(joined, whole)
      yield* glued(text, run, whole, tools)
    }
  }
}

/** Base64 behind other base64 characters: after a sign (`path/aWdub3Jl`), out of step by one to three, or inside binary data. */
function* glued(text: string, run: Run, end: number, tools: DecodeTools): Generator<Candidate, void, undefined> {
  const { work } = tools
  if ((run.classes & SIGN) !== 0) {
    for (let i = run.from + 1; i < run.to - tools.base64MinLength; i++) {
      if (CLASS[text.charCodeAt(i - 1)] !== SIGN) continue
      work.spent += PEEK
      if (!peek(text, i, end, BASE64_PLAIN, 6)) continue
      yield* fromBytes(bytesOf(text, i, end, BASE64_PLAIN, 6, work), 'base64', tools)
      break
    }
  }
  const alignments = end - run.from <= MAX_REALIGNED ? 4 : 1
  const stop = Math.min(end, run.from + MAX_STRINGS * 2)
  for (let shift = 0; shift < alignments; shift++) {
    const bytes = bytesOf(text, run.from + shift, stop, BASE64_PLAIN, 6, work)
    const inside = stringsOf(bytes, PEEK)
    if (inside !== undefined) yield { text: inside, encoding: 'base64' }
    if (shift === 0 && tools.inflate !== undefined) {
      const limit = Math.min(bytes.length - 8, 512)
      for (let i = 1; i < limit; i++) {
        if (bytes[i] === 0x1f && looksCompressed(bytes, i) === 'gzip') {
          yield* inflated(bytes.subarray(i), 'gzip', 'base64', tools)
          break
        }
      }
    }
  }
}

/** Base32 and the number bases, on runs of letters and digits. */
function* alphanumeric(
  text: string,
  runs: readonly Run[],
  tools: DecodeTools,
): Generator<Candidate | null, void, undefined> {
  const { work } = tools
  const stretches: (Stretch | undefined)[] = []
  const done: number[] = []
  let paused = work.spent
  for (const run of runs) {
    if (work.spent - paused > PAUSE) {
      paused = work.spent
      yield null
    }
    const length = run.to - run.from
    if (length < RADIX_MIN) continue
    work.spent += PEEK
    for (const [i, v] of BASE32_VARIANTS.entries()) {
      if (run.from < (done[i] ?? 0)) continue
      if (!peek(text, run.from, run.to, v, 5)) continue
      if (v.backwards) yield* fromBytes(bytesOf(text, run.from, run.to, v, 5, work), v.name, tools)
      else {
        const stretch = (stretches[i] ??= new Stretch(text, v.table))
        const end = stretch.endFrom(run.to)
        done[i] = yield* follow(text, run.from, end, v, 5, tools)
        // As with base64: words that follow are digits too.
        if (end > run.to) yield* fromBytes(bytesOf(text, run.from, run.to, v, 5, work), v.name, tools)
      }
    }
    if (length > RADIX_MAX || (run.classes & SIGN) !== 0) continue
    for (const a of RADIXES) {
      const bytes = decodeRadix(text, run.from, run.to, a)
      if (bytes === undefined) continue
      work.spent += length + ((length * length) >> 4)
      yield* fromBytes(bytes, a.name, tools)
    }
  }
}

/** `~`, `:`, `=`, quotes, `(`. */
const introduces = (c: number): boolean =>
  c === 126 || c === 58 || c === 61 || c === 34 || c === 39 || c === 40 || c === 96

function* base85(
  text: string,
  [from, to]: readonly [number, number],
  tools: DecodeTools,
): Generator<Candidate, void, undefined> {
  tools.work.spent += to - from
  let starts = 0
  for (let i = from; i <= to - DENSE_MIN && starts < 6; i++) {
    // The span's own start, and behind what usually introduces a value.
    if (i > from && !introduces(text.charCodeAt(i - 1))) continue
    starts++
    for (const v of BASE85_VARIANTS) {
      if (!peek(text, i, to, v, 85)) continue
      // Wrapped lines go on behind the span.
      const end = v.backwards ? to : wrapped(text, to)
      yield* fromBytes(bytesOf(text, i, end, v, 85, tools.work), v.name, tools)
    }
  }
}

function wrapped(text: string, to: number): number {
  let end = to
  while (end < text.length && (text.charCodeAt(end) === 10 || text.charCodeAt(end) === 13)) {
    let i = end
    while (i < text.length && (text.charCodeAt(i) === 10 || text.charCodeAt(i) === 13)) i++
    const line = i
    while (i < text.length && text.charCodeAt(i) > 32 && text.charCodeAt(i) < 127) i++
    if (i === line || text.charCodeAt(i) === 32) break
    end = i
  }
  return end
}

const isHex = (c: number): boolean => c < 128 && (HEX[c] ?? -1) >= 0

/** Hexadecimal and binary digits and decimal or octal code points, however they are separated. */
function* numbers(text: string, tools: DecodeTools): Generator<Candidate, void, undefined> {
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
      tools.work.spent += firstBytes.length
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

/** Lines of uuencode: the first character tells how many bytes the rest must hold, which ordinary text does not. */
function* uuencode(text: string, tools: DecodeTools): Generator<Candidate, void, undefined> {
  const bytes: number[] = []
  for (let from = 0; from < text.length; ) {
    let to = text.indexOf('\n', from)
    if (to < 0) to = text.length
    const end = text.charCodeAt(to - 1) === 13 ? to - 1 : to
    uuLine(text, from, end, bytes)
    from = to + 1
  }
  if (bytes.length >= 6) {
    tools.work.spent += bytes.length
    const found = Uint8Array.from(bytes)
    if (looksLikeText(found, Math.min(PEEK, found.length))) yield* fromBytes(found, 'uuencode', tools)
  }
}

function uuLine(text: string, from: number, end: number, out: number[]): void {
  const count = text.charCodeAt(from) - 32
  if (end - from < 9 || count < 6 || count > 45) return
  const digits = Math.ceil(count / 3) * 4
  // Some encoders trim trailing blanks; some add a checksum character.
  const given = end - from - 1
  if (given > digits + 1 || given < digits - 3) return
  for (let i = from + 1; i < end; i++) {
    const c = text.charCodeAt(i)
    if (c < 32 || c > 96) return
  }
  const start = out.length
  for (let i = 0; i < digits; i += 4) {
    const at = (k: number): number => {
      const p = from + 1 + i + k
      return p < end ? (text.charCodeAt(p) - 32) & 63 : 0
    }
    const v = (at(0) << 18) | (at(1) << 12) | (at(2) << 6) | at(3)
    out.push(v >> 16, (v >> 8) & 255, v & 255)
  }
  out.length = start + count
}
