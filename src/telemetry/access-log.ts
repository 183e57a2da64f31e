/**
 * The access log: one line of JSON for each request, for operators. Not the audit log: nothing waits for it.
 *
 * Guarantees: writing a line does no I/O and never throws or waits; lines go to the sink in batches, one at a time. No more
 * than `MOST_WAITING` characters wait for a sink that is slow or fails; what comes then is dropped and counted, and the next
 * batch that is written begins with the number. No character of a line can move a cursor or start another line.
 *
 * Does not: keep lines through a crash, or write them twice when a batch fails half-way (what was in it counts as dropped).
 */
import type { Clock } from '../core/clock.ts'
import { escapeJson } from '../text/visible.ts'
import type { CountedOutcome } from './counters.ts'

/** Where lines go. Rejects when a batch could not be written whole. */
export interface LineSink {
  append(lines: Uint8Array): Promise<void>
  /** Gives up what it has not written. */
  close?(): void
}

/** Nothing that a caller wrote but the owner it was taken for. */
export interface AccessEntry {
  /** When it came, and for how long the gate had it, in milliseconds. */
  readonly at: number
  readonly ms: number
  readonly method: string
  /** The route's, never the caller's spelling: a path may hold an id or a token. */
  readonly path: string
  /** 0: the caller left before there was an answer. */
  readonly status: number
  /** The whole answer was handed to the connection. */
  readonly complete: boolean
  /** What follows is known of gated exchanges only. */
  readonly exchange?: string
  readonly owner?: string
  readonly outcome?: CountedOutcome
  readonly decision?: 'allow' | 'block' | 'redact' | 'escalate'
  readonly code?: string
}

export interface AccessLogOptions {
  readonly sink: LineSink
  readonly clock: Clock
  /** Owners in the clear. Without it a line says only that there was one. */
  readonly owners: boolean
  /** Lines stopped being written, or are again. */
  readonly onState?: (ok: boolean, reason: string) => void
}

const FLUSH_MS = 200
/** Characters; several thousand lines. */
export const MOST_WAITING = 1024 * 1024
const LONGEST_OWNER = 512
const LONGEST_CODE = 128
const CLOSING_MS = 1_000

export class AccessLog {
  readonly #o: AccessLogOptions
  #waiting: string[] = []
  /** Characters that wait or are being written. */
  #held = 0
  #dropped = 0
  #writing: Promise<void> | undefined
  #cancel: (() => void) | undefined
  #ok = true
  #closed = false

  constructor(options: AccessLogOptions) {
    this.#o = options
  }

  write(entry: AccessEntry): void {
    const line = this.#line(entry)
    if (this.#held + line.length > MOST_WAITING) {
      this.#dropped += 1
      return
    }
    this.#held += line.length
    this.#waiting.push(line)
    this.#later()
  }

  /** Writes what waits; gives up on a sink that does not take it. */
  async close(): Promise<void> {
    let cancel: () => void = () => undefined
    const late = new Promise<void>(resolve => {
      cancel = this.#o.clock.timer(CLOSING_MS, resolve)
    })
    await Promise.race([this.#rest(), late])
    cancel()
    this.#cancel?.()
    // The operator may be told on the very pipe that is full.
    this.#closed = true
    this.#o.sink.close?.()
  }

  async #rest(): Promise<void> {
    if (this.#writing !== undefined) await this.#writing
    this.#flush()
    if (this.#writing !== undefined) await this.#writing
  }

  #later(): void {
    if (this.#cancel !== undefined || this.#writing !== undefined) return
    this.#cancel = this.#o.clock.timer(FLUSH_MS, () => this.#flush())
  }

  #flush(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#writing !== undefined || this.#waiting.length === 0) return
    const lines = this.#waiting
    const dropped = this.#dropped
    this.#waiting = []
    this.#dropped = 0
    const text = `${this.#head(dropped)}${lines.join('')}`
    this.#writing = this.#append(text).then(failure => {
      this.#writing = undefined
      this.#held = this.#waiting.reduce((sum, line) => sum + line.length, 0)
      if (failure !== undefined) this.#dropped += dropped + lines.length
      this.#tell(failure)
      if (this.#waiting.length > 0) this.#later()
    })
  }

  async #append(text: string): Promise<string | undefined> {
    try {
      await this.#o.sink.append(Buffer.from(text))
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message : 'it failed'
    }
  }

  /** A batch that failed may have left half a line behind. */
  #head(dropped: number): string {
    const fresh = this.#ok ? '' : '\n'
    if (dropped === 0) return fresh
    return `${fresh}${JSON.stringify({ time: new Date(this.#o.clock.now()).toISOString(), event: 'dropped', lines: dropped })}\n`
  }

  #tell(failure: string | undefined): void {
    const ok = failure === undefined
    if (this.#closed || ok === this.#ok) return
    this.#ok = ok
    this.#o.onState?.(ok, ok ? 'the access log is written again' : `the access log cannot be written: ${failure}`)
  }

  #line({ at, ms, owner, code, exchange, outcome, decision, ...rest }: AccessEntry): string {
    const shown = this.#o.owners ? owner?.slice(0, LONGEST_OWNER) : owner && 'sealed'
    const line = {
      time: new Date(at).toISOString(),
      event: 'request',
      ...rest,
      ms: Math.round(ms * 1000) / 1000,
      exchange,
      owner: shown,
      outcome,
      decision,
      code: code?.slice(0, LONGEST_CODE),
    }
    return `${escapeJson(JSON.stringify(line))}\n`
  }
}
