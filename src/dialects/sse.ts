/**
 * Cuts a byte stream into server-sent events (WHATWG HTML section 9.2, "event stream").
 *
 * Guarantees: the raw bytes of all events, in order, are the bytes that came in; any cutting of the same bytes into
 * chunks gives the same events and the same fault; lines end at CR, LF and CRLF only (never U+2028, U+2029 or U+0085,
 * which are ordinary text inside JSON); text is strict UTF-8; memory is bounded by the event limit and work is linear.
 * An event that ends in a bare CR is complete once the next byte is known, because an LF there would still belong to
 * it; streams that end lines with LF or CRLF are never delayed.
 * Does not: dispatch the unterminated rest of a stream as an event. `end()` hands it over as `tail`, to be judged.
 */
import type { Fault } from '../core/wire.ts'
import { decodeUtf8, fault } from './json.ts'

export interface SseEvent {
  readonly kind: 'event' | 'tail'
  readonly raw: Uint8Array
  /** `raw` decoded. */
  readonly text: string
  /** The `data` lines joined by LF; `undefined` without one. */
  readonly data: string | undefined
  /** Every `data` line, in offsets of `text`. */
  readonly dataLines: readonly SseLine[]
  /** Every other line that is not blank: comments, `event`, `id`, `retry`, unknown fields. */
  readonly otherLines: readonly SseLine[]
}

export interface SseLine {
  /** `''` for a comment. For a field the standard does not know, the whole line is the value. */
  readonly field: string
  readonly value: string
  readonly start: number
  /** Where `value` starts and ends. */
  readonly from: number
  readonly to: number
  /** Behind the line's terminator. */
  readonly end: number
}

export const MAX_EVENT_BYTES = 1024 * 1024

const LF = 0x0a
const CR = 0x0d
const NOTHING: readonly (SseEvent | Fault)[] = []

export class SseFramer {
  readonly #maxBytes: number
  /** The unfinished event: the first `#held` bytes of `#hold`. */
  #hold = new Uint8Array(0)
  #held = 0
  #lineEmpty = true
  /** The last byte was a CR: an LF now belongs to the same line end. */
  #afterCr = false
  /** That CR also ended a blank line, and so the event. */
  #complete = false
  #first = true
  #spent = false

  constructor(maxBytes = MAX_EVENT_BYTES) {
    this.#maxBytes = maxBytes
  }

  push(chunk: Uint8Array): readonly (SseEvent | Fault)[] {
    if (this.#spent || chunk.length === 0) return NOTHING
    const out: (SseEvent | Fault)[] = []
    const end = chunk.length
    let from = 0
    let at = 0
    let nextLf = -1
    let nextCr = -1
    for (;;) {
      if (this.#afterCr) {
        if (at === end) break
        if (chunk[at] === LF) at++
        this.#afterCr = false
        if (this.#complete) {
          this.#complete = false
          if (!this.#take(chunk.subarray(from, at), out)) return out
          from = at
        }
      }
      if (at === end) break
      if (nextLf < at) nextLf = find(chunk, LF, at)
      if (nextCr < at) nextCr = find(chunk, CR, at)
      const stop = Math.min(nextLf, nextCr)
      if (stop === end) {
        this.#lineEmpty = false
        break
      }
      const blank = this.#lineEmpty && stop === at
      this.#lineEmpty = true
      at = stop + 1
      if (stop === nextCr) {
        this.#afterCr = true
        this.#complete = blank
      } else if (blank) {
        if (!this.#take(chunk.subarray(from, at), out)) return out
        from = at
      }
    }
    if (from < end) this.#keep(chunk.subarray(from), out)
    return out
  }

  end(): readonly (SseEvent | Fault)[] {
    if (this.#spent) return NOTHING
    const out: (SseEvent | Fault)[] = []
    if (this.#complete) this.#take(new Uint8Array(0), out)
    else if (this.#held > 0) this.#take(new Uint8Array(0), out, 'tail')
    this.#spent = true
    return out
  }

  /** Finishes the held event with `last`. False after a fault. */
  #take(last: Uint8Array, out: (SseEvent | Fault)[], kind: SseEvent['kind'] = 'event'): boolean {
    if (this.#held + last.length > this.#maxBytes) return this.#fail(tooLong(this.#maxBytes), out)
    let raw = last
    if (this.#held > 0) {
      raw = new Uint8Array(this.#held + last.length)
      raw.set(this.#hold.subarray(0, this.#held))
      raw.set(last, this.#held)
      this.#held = 0
      if (this.#hold.length > 65_536) this.#hold = new Uint8Array(0)
    }
    const text = decodeUtf8(raw)
    if (text === undefined) {
      return this.#fail(fault('upstream_protocol_violation', 'an event of the upstream stream is not UTF-8'), out)
    }
    out.push(readEvent(raw, text, this.#first, kind))
    this.#first = false
    return true
  }

  #keep(bytes: Uint8Array, out: (SseEvent | Fault)[]): void {
    const length = this.#held + bytes.length
    if (length > this.#maxBytes) {
      this.#fail(tooLong(this.#maxBytes), out)
      return
    }
    if (length > this.#hold.length) {
      const grown = new Uint8Array(Math.min(this.#maxBytes, Math.max(length, 2 * this.#hold.length, 1024)))
      grown.set(this.#hold.subarray(0, this.#held))
      this.#hold = grown
    }
    this.#hold.set(bytes, this.#held)
    this.#held = length
  }

  #fail(why: Fault, out: (SseEvent | Fault)[]): false {
    this.#spent = true
    this.#hold = new Uint8Array(0)
    this.#held = 0
    out.push(why)
    return false
  }
}

function tooLong(limit: number): Fault {
  return fault('upstream_sse_unterminated', `an event of the upstream stream is longer than ${limit} bytes`)
}

function find(bytes: Uint8Array, byte: number, from: number): number {
  const at = bytes.indexOf(byte, from)
  return at < 0 ? bytes.length : at
}

const NO_LINES: readonly SseLine[] = []

/** Reads the lines of one event. `first`: a byte order mark at the very start of a stream is not part of its first line. */
export function readEvent(raw: Uint8Array, text: string, first: boolean, kind: SseEvent['kind'] = 'event'): SseEvent {
  // Nearly every event is one `data: …` line and a blank one.
  const length = text.length
  if (text.startsWith('data: ') && text.endsWith('\n\n') && text.indexOf('\n') === length - 2 && !text.includes('\r')) {
    const data = text.slice(6, -2)
    const line = { field: 'data', value: data, start: 0, from: 6, to: length - 2, end: length - 1 }
    return { kind, raw, text, data, dataLines: [line], otherLines: NO_LINES }
  }
  // Anthropic's are an `event: …` line, a `data: …` line and a blank one.
  if (text.startsWith('event: ') && text.endsWith('\n\n') && !text.includes('\r')) {
    const named = text.indexOf('\n')
    if (text.startsWith('data: ', named + 1) && text.indexOf('\n', named + 1) === length - 2) {
      const data = text.slice(named + 7, -2)
      const event = { field: 'event', value: text.slice(7, named), start: 0, from: 7, to: named, end: named + 1 }
      const line = { field: 'data', value: data, start: named + 1, from: named + 7, to: length - 2, end: length - 1 }
      return { kind, raw, text, data, dataLines: [line], otherLines: [event] }
    }
  }
  const dataLines: SseLine[] = []
  const otherLines: SseLine[] = []
  let at = first && text.charCodeAt(0) === 0xfeff ? 1 : 0
  const ends = /\r\n|\r|\n/g
  while (at < length) {
    ends.lastIndex = at
    const match = ends.exec(text)
    const stop = match === null ? length : match.index
    const next = match === null ? length : ends.lastIndex
    if (stop > at) {
      const line = readLine(text, at, stop, next)
      if (line.field === 'data') dataLines.push(line)
      else otherLines.push(line)
    }
    at = next
  }
  const data = dataLines.length === 0 ? undefined : dataLines.map(line => line.value).join('\n')
  return { kind, raw, text, data, dataLines, otherLines }
}

function readLine(text: string, start: number, stop: number, end: number): SseLine {
  const line = text.slice(start, stop)
  const colon = line.indexOf(':')
  const field = colon < 0 ? line : line.slice(0, colon)
  if (colon >= 0 && (field === '' || field === 'data' || field === 'event' || field === 'id' || field === 'retry')) {
    const from = start + colon + (line.charCodeAt(colon + 1) === 0x20 ? 2 : 1)
    return { field, value: text.slice(from, stop), start, from, to: stop, end }
  }
  // A field name alone is that field with an empty value; only `data` matters here.
  if (colon < 0 && field === 'data') return { field, value: '', start, from: stop, to: stop, end }
  return { field: 'unknown', value: line, start, from: start, to: stop, end }
}

/** What replaces the data lines of an event, in offsets of `event.text`; LF in `data` separates lines. */
export function dataReplacements(
  event: SseEvent,
  data: string,
): { readonly start: number; readonly end: number; readonly text: string }[] {
  const [first, ...rest] = event.dataLines
  if (first === undefined) return []
  return [
    { start: first.start, end: first.to, text: data.split('\n').map(dataLine).join('\n') },
    ...rest.map(line => ({ start: line.start, end: line.end, text: '' })),
  ]
}

function dataLine(text: string): string {
  return text === '' ? 'data:' : `data: ${text}`
}
