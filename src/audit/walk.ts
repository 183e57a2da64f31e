/**
 * Walks the rows of a stretch of a log and lists what is broken. The verifier walks whole logs with it (several
 * stretches at once), opening a log its last rows.
 *
 * Guarantees: constant memory (a stretch keeps at most `MAX_BREAKS` breaks and counts the rest); no line, however
 * damaged, throws. Does not: notice a repeated `entry_id` (that would need memory for every id; a row that was copied
 * breaks the link after it anyway).
 */
import { isUtf8 } from 'node:buffer'
import type { KeyRing } from '../keys/ring.ts'
import { newFacts, scanLine } from './line.ts'
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

export class Walk {
  readonly #ring: KeyRing
  readonly #facts = newFacts()
  readonly #breaks: Break[] = []
  #moreBreaks = 0
  #rows = 0
  #bytes = 0
  /** As text: 64 digits, or empty; `undefined` after a line that does not say, and before a stretch. */
  #prev: string | undefined
  #tsNs: bigint | undefined
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
    this.#prev = start.prevHmac
    this.#tsNs = start.tsNs
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
    const keyId = facts.keyId < 0 ? undefined : b.toString('latin1', facts.keyId, facts.keyIdEnd)
    const key = keyId === undefined ? undefined : this.#ring.get(keyId)
    const hmac = b.toString('latin1', facts.hmac, facts.hmac + 64)
    this.#row({
      entryId: () => text(b, facts.entryId, facts.entryIdEnd),
      prevHmac: b.toString('latin1', facts.prevHmac, facts.prevHmacEnd),
      hmac,
      tsNs: BigInt(b.toString('latin1', facts.tsNs, facts.tsNsEnd)),
      salted: facts.salted,
      keyId,
      sound: key === undefined ? undefined : key.macWithout(b, from, facts.cut, facts.resume, to) === hmac,
    })
  }

  /** A line that the fast scan did not take: say exactly what is wrong with it, if anything is. */
  #slow(b: Buffer, from: number, to: number): void {
    const line = b.subarray(from, to)
    const read = readStored(line)
    if (!read.ok) {
      this.#break('', read.fault.kind, read.fault.detail)
      // What it chained to is unknown, so the next row's link says nothing.
      this.#prev = undefined
      this.#rows++
      return
    }
    const { row } = read
    if (!read.isCanonical) {
      this.#break(row.entryId, 'not_canonical', 'the line is not the canonical form of the row it parses to')
      this.#prev = row.hmac
      this.#tsNs = row.tsNs
      this.#rows++
      return
    }
    const id = row.metadata.get('_signing_key_id')
    if (id !== undefined && typeof id !== 'string') {
      this.#break(row.entryId, 'malformed_line', '_signing_key_id must be a string')
      this.#prev = row.hmac
      this.#rows++
      return
    }
    const key = id === undefined ? undefined : this.#ring.get(id)
    this.#row({
      entryId: () => row.entryId,
      prevHmac: row.prevHmac,
      hmac: row.hmac,
      tsNs: row.tsNs,
      salted: row.metadata.has('_salt'),
      keyId: id,
      sound: key === undefined ? undefined : key.mac(withoutHmac(line, row.hmac)) === row.hmac,
    })
  }

  #row(row: {
    readonly entryId: () => string
    readonly prevHmac: string
    readonly hmac: string
    readonly tsNs: bigint
    readonly salted: boolean
    readonly keyId: string | undefined
    /** `undefined` when no key was found to ask. */
    readonly sound: boolean | undefined
  }): void {
    if (this.#rows === 0) {
      this.#firstPrevHmac = row.prevHmac
      this.#firstEntryId = row.entryId()
      this.#firstTsNs = row.tsNs
      this.#firstSalted = row.salted
    }
    const linked = this.#prev === undefined || this.#prev === row.prevHmac
    if (!linked) {
      this.#break(row.entryId(), 'link_mismatch', linkDetail(this.#prev))
    }
    if (row.keyId === undefined || row.keyId === '') {
      this.#break(row.entryId(), 'missing_key_id', 'metadata._signing_key_id is missing')
    } else if (row.sound === undefined) {
      this.#break(row.entryId(), 'unknown_key', `key ${shortId(row.keyId)} is not in the key ring`)
    } else if (!row.sound && linked) {
      this.#break(row.entryId(), 'self_mismatch', 'hmac does not match the row')
    } else if (linked && row.salted && this.#tsNs !== undefined && row.tsNs <= this.#tsNs) {
      // Only this gate promises rising timestamps; the Python implementation stamps before it sequences.
      this.#break(row.entryId(), 'timestamp_regression', `ts_ns ${row.tsNs} is not after ${this.#tsNs}`)
    }
    this.#salted ||= row.salted
    this.#lastSalted = row.salted
    this.#prev = row.hmac
    this.#tsNs = row.tsNs
    this.#rows++
    if (this.#breaks.length === 0) {
      this.#goodRows = this.#rows
      this.#goodHmac = row.hmac
    }
  }

  #break(entryId: string, kind: BreakKind, detail: string): void {
    if (this.#breaks.length >= MAX_BREAKS) this.#moreBreaks++
    else this.#breaks.push({ index: this.#rows, entry_id: entryId, kind, detail, line: this.#rows + 1 })
  }

  report(): WalkReport {
    return {
      rows: this.#rows,
      bytes: this.#bytes,
      breaks: this.#breaks,
      moreBreaks: this.#moreBreaks,
      firstPrevHmac: this.#firstPrevHmac,
      firstEntryId: this.#firstEntryId,
      firstTsNs: this.#firstTsNs,
      firstSalted: this.#firstSalted,
      lastHmac: this.#prev,
      lastTsNs: this.#tsNs,
      salted: this.#salted,
      lastSalted: this.#lastSalted,
      goodRows: this.#goodRows,
      goodHmac: this.#goodHmac,
    }
  }
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
