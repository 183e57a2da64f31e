/** What `append` hands out: the place of a row, and the promise that it is durable. No promise is made until asked for. */
import { AuditUnavailable, type Placed, type Ticket } from '../core/row.ts'
import type { Stamped } from './chain.ts'

export class RowTicket implements Ticket {
  readonly entryId: string
  readonly stamped: Stamped
  readonly #want: (ticket: RowTicket) => void
  #state: 'pending' | 'durable' | AuditUnavailable = 'pending'
  #promise: Promise<Placed> | undefined
  #settle: { readonly resolve: (p: Placed) => void; readonly reject: (e: AuditUnavailable) => void } | undefined

  constructor(entryId: string, stamped: Stamped, want: (ticket: RowTicket) => void) {
    this.entryId = entryId
    this.stamped = stamped
    this.#want = want
  }

  /** Known as soon as the row is sequenced: a receipt can be signed beside write and sync. */
  get placed(): Promise<Placed> {
    return this.#state instanceof AuditUnavailable ? rejected(this.#state) : Promise.resolve(this.stamped.placed)
  }

  durable(): Promise<Placed> {
    if (this.#promise !== undefined) return this.#promise
    if (this.#state === 'durable') return Promise.resolve(this.stamped.placed)
    if (this.#state !== 'pending') return rejected(this.#state)
    this.#promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // Asking without waiting is allowed; `ok` shows the failure.
    this.#promise.catch(() => undefined)
    this.#want(this)
    return this.#promise
  }

  resolve(): void {
    this.#state = 'durable'
    this.#settle?.resolve(this.stamped.placed)
  }

  reject(error: AuditUnavailable): void {
    this.#state = error
    this.#settle?.reject(error)
  }
}

export class LostTicket implements Ticket {
  readonly entryId: string
  readonly #error: AuditUnavailable
  constructor(entryId: string, error: AuditUnavailable) {
    this.entryId = entryId
    this.#error = error
  }
  get placed(): Promise<Placed> {
    return rejected(this.#error)
  }
  durable(): Promise<Placed> {
    return rejected(this.#error)
  }
}

/** Rejected without being an unhandled rejection when nobody looks. */
function rejected(error: AuditUnavailable): Promise<never> {
  const promise: Promise<never> = Promise.reject(error)
  promise.catch(() => undefined)
  return promise
}
