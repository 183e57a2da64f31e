/**
 * Walks the rows of a stretch of a log and lists what is broken. The verifier walks whole logs with it (several
 * stretches at once), opening a log its last rows.
 *
 * Guarantees: constant memory (a stretch keeps at most `MAX_BREAKS` breaks and counts the rest); no line, however
 * damaged, throws. Does not: notice a repeated `entry_id` (that would need memory for every id; a row that was copied
 * breaks the link after it anyway).
 */
import { isUtf8 } from 'node:buffer'
import type { Key, KeyRing } from '../keys/ring.ts'
import { type LineFacts, newFacts, scanLine } from './line.ts'
import { readStored } from './stored.ts'

export type BreakKind =
  | 'self_mismatch'
  | 'link_mismatch'
  | 'unknown_key'
  | 'missing_key_id'
  | 'malformed_line'
  | 'duplicate_key'
  | 'unknown_field'
  | 'not_canonical'
  | 'timestamp_regression'
  | 'torn_tail'
  | 'head_mismatch'
  | 'log_truncated'
  | 'segment_missing'
  | 'segment_damaged'
  | 'segment_swapped'
  | 'segment_mismatch'
  | 'segment_unlisted'
  | 'manifest_invalid'
  | 'checkpoint_mismatch'

export interface Break {
  /** 0-based. */
  readonly index: number
  /** Empty when the line does not say. */
  readonly entry_id: string
  readonly kind: BreakKind
  readonly detail: string
  /** 1-based line of the file. */
  readonly line: number
  /** Name of the file, when it is not the live one. */
  readonly file?: string
}

export const MAX_BREAKS = 1000

/** Before the stretch's first row: what its `prev_hmac` must be; `undefined` where the stretch before will tell. */
export interface WalkStart {
  readonly prevHmac: string | undefined
  readonly tsNs: bigint | undefined
}

/** Plain data: it crosses threads. */
export interface WalkReport {
  readonly rows: number
  readonly bytes: number
  readonly breaks: readonly Break[]
  readonly moreBreaks: number
  /** What the next stretch needs, and what joins this one to the stretch before. */
  readonly firstPrevHmac: string | undefined
  readonly firstEntryId: string
  readonly firstTsNs: bigint | undefined
  readonly firstSalted: boolean
  readonly lastHmac: string | undefined
  readonly lastTsNs: bigint | undefined
  /** Some row was written by this gate, so there must be a head file. */
  readonly salted: boolean
  readonly lastSalted: boolean
  /** Rows before the first break, and the HMAC of the last of them. */
  readonly goodRows: number
  readonly goodHmac: string
}

const NEWLINE = 0x0a
const DIGITS = 64
const GIGA = 1_000_000_000

/**
 * What a row says, in one place that is written again for every row: a log has millions, and an object, a closure and a
 * `bigint` for each would cost as much as its HMAC.
 */
interface Said {
  prevHmac: string | undefined
  tsHi: number
  tsLo: number
  salted: boolean
  keyId: 'missing' | 'unknown' | 'known'
  sound: boolean
}

export class Walk {
  readonly #ring: KeyRing
  readonly #facts = newFacts()
  readonly #breaks: Break[] = []
  #moreBreaks = 0
  #rows = 0
  #bytes = 0
  /** The HMAC of the row before: 64 digits, none for a log's first row; not `#prevKnown` after a line that does not say. */
  readonly #prev = Buffer.alloc(DIGITS)
  #prevLength = 0
  #prevKnown = false
  /** Seconds and nanoseconds of the row before; -1 when unknown. Two numbers hold what one cannot. */
  #tsHi = -1
  #tsLo = 0
  /** The key that signed the row before, and its id in bytes: nearly always the next one's too. */
  #key: Key | undefined
  #keyId: Buffer = Buffer.alloc(0)
  readonly #said: Said = { prevHmac: undefined, tsHi: 0, tsLo: 0, salted: false, keyId: 'missing', sound: false }
  #firstPrevHmac: string | undefined
  #firstEntryId = ''
  #firstTsNs: bigint | undefined
  #firstSalted = false
  #salted = false
  #lastSalted = false
  #goodRows = 0
  #goodHmac = ''

  constructor(ring: KeyRing, start: WalkStart) {
    this.#ring = ring
    if (start.prevHmac !== undefined) this.#setPrev(start.prevHmac)
    if (start.tsNs !== undefined) this.#setTs(start.tsNs)
  }

  /** All complete lines of `b[0, end)`; returns how many bytes they were. */
  lines(b: Buffer, end: number): number {
    let at = 0
    for (;;) {
      const newline = b.indexOf(NEWLINE, at)
      if (newline < 0 || newline >= end) return at
      this.line(b, at, newline)
      at = newline + 1
    }
  }

  /** One line `b[from, to)`; its newline is at `to`. */
  line(b: Buffer, from: number, to: number): void {
    const facts = this.#facts
    this.#bytes += to - from + 1
    if (!isUtf8(b.subarray(from, to)) || !scanLine(b, from, to, facts)) {
      this.#slow(b, from, to)
      return
    }
    const said = this.#said
    const key = facts.keyId < 0 || facts.keyId === facts.keyIdEnd ? undefined : this.#keyAt(b, facts)
    said.keyId = facts.keyId < 0 || facts.keyId === facts.keyIdEnd ? 'missing' : key === undefined ? 'unknown' : 'known'
    said.sound =
      key !== undefined &&
      key.macWithout(b, from, facts.cut, facts.resume, to) === b.toString('latin1', facts.hmac, facts.hmac + DIGITS)
    said.salted = facts.salted
    readTs(b, facts.tsNs, facts.tsNsEnd, said)
    const linked =
      !this.#prevKnown ||
      (this.#prevLength === facts.prevHmacEnd - facts.prevHmac &&
        (this.#prevLength === 0 || this.#prev.compare(b, facts.prevHmac, facts.prevHmacEnd) === 0))
    said.prevHmac = this.#rows === 0 ? b.toString('latin1', facts.prevHmac, facts.prevHmacEnd) : undefined
    const wrong = this.#judge(linked)
    if (wrong || this.#rows === 0) this.#note(text(b, facts.entryId, facts.entryIdEnd), linked)
    b.copy(this.#prev, 0, facts.hmac, facts.hmac + DIGITS)
    this.#prevLength = DIGITS
    this.#after()
  }

  #keyAt(b: Buffer, facts: LineFacts): Key | undefined {
    const length = facts.keyIdEnd - facts.keyId
    if (this.#keyId.length === length && this.#keyId.compare(b, facts.keyId, facts.keyIdEnd) === 0) return this.#key
    this.#key = this.#ring.get(b.toString('latin1', facts.keyId, facts.keyIdEnd))
    this.#keyId = Buffer.from(b.subarray(facts.keyId, facts.keyIdEnd))
    return this.#key
  }

  /** A line that the fast scan did not take: say exactly what is wrong with it, if anything is. */
  #slow(b: Buffer, from: number, to: number): void {
    const line = b.subarray(from, to)
    const read = readStored(line)
    if (!read.ok) {
      this.#break('', read.fault.kind, read.fault.detail)
      // What it chained to is unknown, so the next row's link says nothing.
      this.#prevKnown = false
      this.#rows++
      return
    }
    const { row } = read
    if (!read.isCanonical) {
      this.#break(row.entryId, 'not_canonical', 'the line is not the canonical form of the row it parses to')
      this.#setPrev(row.hmac)
      this.#setTs(row.tsNs)
      this.#rows++
      return
    }
    const id = row.metadata.get('_signing_key_id')
    if (id !== undefined && typeof id !== 'string') {
      this.#break(row.entryId, 'malformed_line', '_signing_key_id must be a string')
      this.#setPrev(row.hmac)
      this.#rows++
      return
    }
    const key = id === undefined ? undefined : this.#ring.get(id)
    this.#key = key
    this.#keyId = Buffer.from(id ?? '')
    const said = this.#said
    said.keyId = id === undefined || id === '' ? 'missing' : key === undefined ? 'unknown' : 'known'
    said.sound = key !== undefined && key.mac(withoutHmac(line, row.hmac)) === row.hmac
    said.salted = row.metadata.has('_salt')
    said.tsHi = Number(row.tsNs / BigInt(GIGA))
    said.tsLo = Number(row.tsNs % BigInt(GIGA))
    said.prevHmac = row.prevHmac
    const linked = !this.#prevKnown || this.#prevHex() === row.prevHmac
    const wrong = this.#judge(linked)
    if (wrong || this.#rows === 0) this.#note(row.entryId, linked)
    this.#setPrev(row.hmac)
    this.#after()
  }

  /** True when something is wrong with the row. */
  #judge(linked: boolean): boolean {
    const { keyId, sound, salted, tsHi, tsLo } = this.#said
    return !linked || keyId !== 'known' || !sound || (salted && !this.#rises(tsHi, tsLo))
  }

  #rises(hi: number, lo: number): boolean {
    return this.#tsHi < 0 || hi > this.#tsHi || (hi === this.#tsHi && lo > this.#tsLo)
  }

  /** The row's breaks, and what the stretch before it needs when it is the first. */
  #note(entryId: string, linked: boolean): void {
    const { prevHmac, tsHi, tsLo, salted, keyId, sound } = this.#said
    const tsNs = BigInt(tsHi) * BigInt(GIGA) + BigInt(tsLo)
    if (this.#rows === 0) {
      this.#firstPrevHmac = prevHmac
      this.#firstEntryId = entryId
      this.#firstTsNs = tsNs
      this.#firstSalted = salted
    }
    if (!linked) this.#break(entryId, 'link_mismatch', linkDetail(this.#prevHex()))
    if (keyId === 'missing') this.#break(entryId, 'missing_key_id', 'metadata._signing_key_id is missing')
    else if (keyId === 'unknown') {
      const id = this.#keyId.toString()
      this.#break(entryId, 'unknown_key', `key ${shortId(id)} is not in the key ring`)
    } else if (!sound && linked) this.#break(entryId, 'self_mismatch', 'hmac does not match the row')
    else if (sound && linked && salted && !this.#rises(tsHi, tsLo)) {
      // Only this gate promises rising timestamps; the Python implementation stamps before it sequences.
      this.#break(entryId, 'timestamp_regression', `ts_ns ${tsNs} is not after ${this.#lastTs()}`)
    }
  }

  /** The row is the one before, now. Its HMAC is in `#prev` already. */
  #after(): void {
    const { tsHi, tsLo, salted } = this.#said
    this.#prevKnown = true
    this.#tsHi = tsHi
    this.#tsLo = tsLo
    this.#salted ||= salted
    this.#lastSalted = salted
    this.#rows++
  }

  #break(entryId: string, kind: BreakKind, detail: string): void {
    if (this.#breaks.length === 0) {
      this.#goodRows = this.#rows
      this.#goodHmac = this.#rows === 0 ? '' : this.#prevHex()
    }
    if (this.#breaks.length >= MAX_BREAKS) this.#moreBreaks++
    else this.#breaks.push({ index: this.#rows, entry_id: entryId, kind, detail, line: this.#rows + 1 })
  }

  #setPrev(hmac: string): void {
    this.#prevLength = this.#prev.write(hmac, 'latin1')
    this.#prevKnown = true
  }

  #setTs(tsNs: bigint): void {
    this.#tsHi = tsNs < 0n ? -1 : Number(tsNs / BigInt(GIGA))
    this.#tsLo = tsNs < 0n ? 0 : Number(tsNs % BigInt(GIGA))
  }

  #prevHex(): string {
    return this.#prev.toString('latin1', 0, this.#prevLength)
  }

  #lastTs(): bigint | undefined {
    return this.#tsHi < 0 ? undefined : BigInt(this.#tsHi) * BigInt(GIGA) + BigInt(this.#tsLo)
  }

  report(): WalkReport {
    const sound = this.#breaks.length === 0
    const lastHmac = this.#prevKnown ? this.#prevHex() : undefined
    return {
      rows: this.#rows,
      bytes: this.#bytes,
      breaks: this.#breaks,
      moreBreaks: this.#moreBreaks,
      firstPrevHmac: this.#firstPrevHmac,
      firstEntryId: this.#firstEntryId,
      firstTsNs: this.#firstTsNs,
      firstSalted: this.#firstSalted,
      lastHmac,
      lastTsNs: this.#lastTs(),
      salted: this.#salted,
      lastSalted: this.#lastSalted,
      goodRows: sound ? this.#rows : this.#goodRows,
      goodHmac: sound ? (this.#rows === 0 ? '' : (lastHmac ?? '')) : this.#goodHmac,
    }
  }
}

/** Up to 19 digits as seconds and nanoseconds, exactly. */
function readTs(b: Buffer, from: number, to: number, into: Said): void {
  const cut = Math.max(from, to - 9)
  let hi = 0
  let lo = 0
  for (let i = from; i < cut; i++) hi = hi * 10 + (b[i] ?? 0) - 0x30
  for (let i = cut; i < to; i++) lo = lo * 10 + (b[i] ?? 0) - 0x30
  into.tsHi = hi
  into.tsLo = lo
}

/**
 * The canonical line minus its top-level `hmac` member. `,"hmac":"<value>",` is found from the left: only
 * `approval_chain`, `check_name`, `decision` and `entry_id` come before it, and inside a string a quote is escaped.
 */
export function withoutHmac(line: Buffer, hmac: string): Buffer {
  const member = `,"hmac":"${hmac}","metadata":{`
  const at = line.indexOf(member, 0, 'latin1')
  if (at < 0) return line
  return Buffer.concat([line.subarray(0, at + 1), line.subarray(at + `,"hmac":"${hmac}",`.length)])
}

function text(b: Buffer, from: number, to: number): string {
  const value: unknown = JSON.parse(b.toString('utf8', from, to))
  return typeof value === 'string' ? value : ''
}

export function linkDetail(prev: string | undefined): string {
  return `prev_hmac is not the hmac of the row before (${prev === undefined || prev === '' ? 'none' : `${prev.slice(0, 16)}…`})`
}

function shortId(id: string): string {
  return JSON.stringify(id.length > 64 ? `${id.slice(0, 64)}…` : id)
}
