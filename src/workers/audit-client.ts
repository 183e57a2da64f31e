/**
 * The audit writer of a worker: rows go to the primary, the one sequencer of the log.
 *
 * Guarantees: as `core/row.ts` says, and as the writer in one process keeps it (one contract test runs over both): `append`
 * is synchronous and never throws, rows of one worker keep their order, `durable` resolves only when the primary has
 * synced the row. When the connection is over, everything that waits is refused at once and so is all that comes after:
 * a worker without its sequencer releases nothing more.
 *
 * Back-pressure: with more than `MOST_PENDING` bytes on the way, `ok` is false, so admission refuses until they are gone.
 */
import { LostTicket } from '../audit/ticket.ts'
import { AuditUnavailable, type AuditWriter, type Placed, type Row, type Ticket } from '../core/row.ts'
import type { Frames } from './frames.ts'
import type { Health, PlacedFacts, ToWorker } from './messages.ts'
import { portable } from './row-text.ts'

const MOST_PENDING = 16 * 1024 * 1024

const GONE = 'the process that writes the audit log is gone; nothing is released'

export class AuditClient implements AuditWriter {
  readonly #frames: Frames
  #next = 0
  /** By number; a row leaves when it is durable or lost. */
  readonly #tickets = new Map<number, RemoteTicket>()
  #health: Health = { ok: false, reason: 'not connected yet', size: 0n, hmac: undefined }
  #closed = false

  constructor(frames: Frames) {
    this.#frames = frames
  }

  get ok(): boolean {
    return this.#health.ok && !this.#closed && !this.#frames.over && this.#frames.pending < MOST_PENDING
  }

  get reason(): string | undefined {
    if (this.#frames.over) return GONE
    return this.ok ? undefined : this.#health.reason
  }

  get head(): { readonly size: bigint; readonly hmac: string | undefined } {
    return { size: this.#health.size, hmac: this.#health.hmac }
  }

  append(row: Row): Ticket {
    if (this.#frames.over || this.#closed) return new LostTicket(row.entryId, this.#unavailable())
    if (!this.#health.ok) return new LostTicket(row.entryId, new AuditUnavailable(this.#health.reason))
    const sent = portable(row)
    const n = this.#next++
    const ticket = new RemoteTicket(row.entryId, () => this.#frames.say(['durable', n]))
    this.#tickets.set(n, ticket)
    this.#frames.say(['row', n, sent])
    return ticket
  }

  async drain(): Promise<void> {
    if (this.#frames.over) throw this.#unavailable()
    let last: RemoteTicket | undefined
    for (const ticket of this.#tickets.values()) last = ticket
    await last?.durable()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    const drained = this.drain()
    this.#closed = true
    await drained
  }

  /** True when the message was about the log. */
  take(said: ToWorker): boolean {
    switch (said.kind) {
      case 'placed':
        this.#tickets.get(said.n)?.place(said.facts)
        return true
      case 'durable':
        this.#health = { ...this.#health, size: said.size, hmac: said.hmac }
        for (const [n, ticket] of this.#tickets) {
          // In the order they were appended.
          if (n > said.n) break
          this.#tickets.delete(n)
          ticket.resolve()
        }
        return true
      case 'lost':
        this.#tickets.get(said.n)?.reject(new AuditUnavailable(said.reason))
        this.#tickets.delete(said.n)
        return true
      case 'health':
        this.#health = said.health
        return true
      case 'answer':
      case 'refusal':
      case 'keys':
      case 'noticed':
      case 'begin':
      case 'leave':
        return false
    }
  }

  /** The connection is over. */
  fence(): void {
    const error = this.#unavailable()
    for (const ticket of this.#tickets.values()) ticket.reject(error)
    this.#tickets.clear()
  }

  #unavailable(): AuditUnavailable {
    return new AuditUnavailable(this.#frames.over ? GONE : 'the audit log is closed')
  }
}

type Settle = { readonly resolve: (p: Placed) => void; readonly reject: (e: AuditUnavailable) => void }

/** Promises are made when asked for: most rows' are not. */
class RemoteTicket implements Ticket {
  readonly entryId: string
  readonly #want: () => void
  #facts: Placed | undefined
  #lost: AuditUnavailable | undefined
  #isDurable = false
  #placed: Promise<Placed> | undefined
  #onPlaced: Settle | undefined
  #durable: Promise<Placed> | undefined
  #onDurable: Settle | undefined

  constructor(entryId: string, want: () => void) {
    this.entryId = entryId
    this.#want = want
  }

  get placed(): Promise<Placed> {
    if (this.#placed !== undefined) return this.#placed
    if (this.#lost !== undefined) return this.#keep(Promise.reject(this.#lost))
    if (this.#facts !== undefined) return Promise.resolve(this.#facts)
    this.#placed = this.#keep(
      new Promise((resolve, reject) => {
        this.#onPlaced = { resolve, reject }
      }),
    )
    return this.#placed
  }

  durable(): Promise<Placed> {
    if (this.#durable !== undefined) return this.#durable
    if (this.#lost !== undefined) return this.#keep(Promise.reject(this.#lost))
    if (this.#isDurable && this.#facts !== undefined) return Promise.resolve(this.#facts)
    this.#durable = this.#keep(
      new Promise((resolve, reject) => {
        this.#onDurable = { resolve, reject }
      }),
    )
    this.#want()
    return this.#durable
  }

  place(facts: PlacedFacts): void {
    this.#facts = new RemotePlaced(facts)
    this.#onPlaced?.resolve(this.#facts)
  }

  resolve(): void {
    this.#isDurable = true
    // The place of a row is always told before it is durable.
    if (this.#facts !== undefined) this.#onDurable?.resolve(this.#facts)
  }

  reject(error: AuditUnavailable): void {
    this.#lost = error
    // A row that had its place and lost it again has none: the place may be another's.
    this.#placed = undefined
    this.#onPlaced?.reject(error)
    this.#onDurable?.reject(error)
  }

  /** Asking without waiting is allowed; `ok` shows the failure. */
  #keep(promise: Promise<Placed>): Promise<Placed> {
    promise.catch(() => undefined)
    return promise
  }
}

class RemotePlaced implements Placed {
  readonly index: bigint
  readonly tsNs: bigint
  readonly hmac: string
  readonly commit: string
  readonly canonical: string
  readonly leaf: string

  constructor({ index, tsNs, hmac, commit, canonical, leaf }: PlacedFacts) {
    this.index = index
    this.tsNs = tsNs
    this.hmac = hmac
    this.commit = commit
    this.canonical = canonical
    this.leaf = leaf
  }
}
