/**
 * One step of decoding: every text that could be hidden in this one by a common encoding, as candidates for another look.
 *
 * Guarantees: pure and deterministic; never throws; reads the text a constant number of times and each encoded span a constant
 * number of times more (work is counted in characters, never in time); ordinary words are not touched.
 * Does not guarantee that a candidate means anything, nor to follow candidates further: that is the caller's loop.
 */
import { ASCII85, BASE32, BASE32HEX, BASE64, BASE85, caesarOf, STOP, Z85 } from './decode-bits.ts'
import { looksCompressed, looksLikeText, stringsOf } from './decode-bytes.ts'
import {
  percentBytes,
  unbackslash,
  unentity,
  uninvisible,
  unpercent,
  unpunycode,
  unquotedPrintable,
} from './decode-escape.ts'
import { numbers } from './decode-numbers.ts'
import { decodeRadix, RADIX_MAX, RADIX_MIN, RADIXES } from './decode-radix.ts'
import {
  bytesOf,
  type Candidate,
  ciphered,
  type DecodeTools,
  disguised,
  follow,
  fromBytes,
  inflated,
  MAX_COMPRESSED,
  PEEK,
  peek,
  plain,
  Stretch,
  type Variant,
} from './decode-span.ts'

/** Characters of work between two points where the caller may pause. */
const PAUSE = 32_768
const MAX_STRINGS = 65_536
const MAX_REALIGNED = 8192

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

/** Trying to decompress costs as much as reading so many characters. */
const ATTEMPT = 1024
/** Headers in one text; more of them are a spent budget, not an all-clear. */
const MAX_PACKED = 32

/** Compressed bytes written with percent signs: as text they are noise, so they are looked for by their beginning. */
function* packedPercent(text: string, tools: DecodeTools): Generator<Candidate | null, void, undefined> {
  let tried = 0
  for (const { index } of text.matchAll(PACKED_PERCENT)) {
    if (++tried > MAX_PACKED) {
      tools.work.tooLarge = true
      return
    }
    yield null
    const start = percentBytes(text, index, PEEK * 4)
    tools.work.spent += start.length + ATTEMPT
    const format = looksCompressed(start)
    // Two bytes are little evidence: the beginning must decompress.
    if (format === undefined || tools.inflate?.(start, format) === undefined) continue
    const bytes = percentBytes(text, index, MAX_COMPRESSED + 1)
    tools.work.spent += bytes.length
    yield* inflated(bytes, format, 'percent', tools)
  }
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
