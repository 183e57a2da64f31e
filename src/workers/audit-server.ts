/**
 * The primary's side of one worker's rows: appends them in the order they come, tells their place at once and their
 * durability when it was asked for.
 *
 * Guarantees: nothing is said to be durable before the writer says so. A row that arrived whole is appended even if its
 * worker dies right after. Tickets are kept until the row, or a later one of the same worker, is durable; beyond
 * `MOST_OPEN` the writer is asked to sync.
 */
import type { AuditWriter, Row, Ticket } from '../core/row.ts'
import type { Frames } from './frames.ts'

const MOST_OPEN = 4096

export class AuditServer {
  readonly #audit: AuditWriter
  readonly #frames: Frames
  readonly #open = new Map<number, Ticket>()
  /** What the worker believes of the log. */
  #told = false

  constructor(audit: AuditWriter, frames: Frames) {
    this.#audit = audit
    this.#frames = frames
    this.health('')
  }

  row(n: number, row: Row): void {
    const ticket = this.#audit.append(row)
    this.#open.set(n, ticket)
    ticket.placed.then(
      ({ index, tsNs, hmac, commit, canonical, leaf }) => {
        this.#frames.say(['placed', n, [index.toString(), tsNs.toString(), hmac, commit, canonical, leaf]])
      },
      (error: unknown) => this.#lost(n, error),
    )
    if (this.#open.size > MOST_OPEN) this.durable(n)
  }

  durable(n: number): void {
    const ticket = this.#open.get(n)
    // Durable already, with a later one; or lost, and it has been told.
    if (ticket === undefined) return
    ticket.durable().then(
      () => {
        for (const known of this.#open.keys()) {
          if (known > n) break
          this.#open.delete(known)
        }
        const { size, hmac } = this.#audit.head
        this.#frames.say(['durable', n, size.toString(), hmac ?? ''])
      },
      (error: unknown) => this.#lost(n, error),
    )
  }

  /** The log can be written, or not: also when nobody has asked. */
  health(reason: string): void {
    const { ok, head } = this.#audit
    this.#told = ok
    this.#frames.say(['health', ok, ok ? '' : reason, head.size.toString(), head.hmac ?? null])
    if (ok) return
    // What is not durable by now is lost, and nobody may wait for it.
    for (const n of [...this.#open.keys()]) this.durable(n)
  }

  /** A key ends, or a new one begins, without anybody saying so. */
  look(): void {
    if (this.#audit.ok !== this.#told) this.health('no row can be signed or written now')
  }

  #lost(n: number, error: unknown): void {
    this.look()
    if (!this.#open.delete(n)) return
    this.#frames.say(['lost', n, error instanceof Error ? error.message : 'the audit log cannot be written'])
  }
}
