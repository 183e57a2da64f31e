/**
 * In-memory rate-limit buckets and budget ledgers: the default state of the checks that need one.
 *
 * Guarantees: every call is one synchronous step, so concurrent exchanges cannot both take the last token; memory is
 * bounded; making up new owners never resets anybody's bucket or ledger, because only entries that hold nothing worth
 * keeping (a full bucket, a window that is over) make room. When none does, the call throws and the check refuses.
 * Does not guarantee: anything across processes or restarts. Use a shared driver for that.
 */
import type { BudgetState, RateLimitState } from './state.ts'

export interface MemoryStateOptions {
  /** Most owners remembered at once. Default 50,000. */
  readonly maxOwners?: number
}

const MAX_OWNERS = 50_000
/** Entries looked at for room by one call: keeps a full table cheap; the next call looks further on. */
const PROBES = 256

export class StateFull extends Error {
  override readonly name = 'StateFull'
}

/** What is kept could not be written or read, or may not have been: for now, not for ever. */
export class StoreFailed extends Error {
  override readonly name = 'StoreFailed'
}

interface Bucket {
  tokens: number
  atMs: number
  capacity: number
  refillPerSecond: number
}

export class MemoryRateLimitState implements RateLimitState {
  readonly #buckets: BoundedTable<Bucket>

  constructor(options: MemoryStateOptions = {}) {
    this.#buckets = new BoundedTable(options, (bucket, nowMs) => refilled(bucket, nowMs) >= bucket.capacity)
  }

  get size(): number {
    return this.#buckets.size
  }

  take(
    key: string,
    capacity: number,
    refillPerSecond: number,
    nowMs: number,
  ): { readonly ok: boolean; readonly remaining: number; readonly retryAfterS?: number } {
    const bucket = this.#buckets.get(key, nowMs, () => ({ tokens: capacity, atMs: nowMs, capacity, refillPerSecond }))
    // A changed limit applies at once, and never hands out more than the new capacity.
    bucket.capacity = capacity
    bucket.refillPerSecond = refillPerSecond
    bucket.tokens = refilled(bucket, nowMs)
    bucket.atMs = nowMs
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1
      return { ok: true, remaining: Math.floor(bucket.tokens) }
    }
    if (refillPerSecond === 0) return { ok: false, remaining: 0 }
    return { ok: false, remaining: 0, retryAfterS: (1 - bucket.tokens) / refillPerSecond }
  }
}

/** A clock that was set back refills nothing; it does not stop refilling until the old time is reached again. */
function refilled(bucket: Bucket, nowMs: number): number {
  const elapsedMs = Math.max(0, nowMs - bucket.atMs)
  return Math.min(bucket.capacity, bucket.tokens + (elapsedMs * bucket.refillPerSecond) / 1000)
}

interface Ledger {
  readonly startMs: number
  readonly endMs: number
  used: number
  reserved: number
  /** Reservations not settled yet: a ledger with one is never forgotten, even for an amount of 0. */
  open: number
}

export class MemoryBudgetState implements BudgetState {
  readonly #ledgers: BoundedTable<Ledger>
  /** A reservation points at the ledger of ITS window: settling late never touches the next window. */
  readonly #open = new Map<string, { readonly ledger: Ledger; readonly amount: number }>()
  #count = 0

  constructor(options: MemoryStateOptions = {}) {
    this.#ledgers = new BoundedTable(
      options,
      (ledger, nowMs) => nowMs >= ledger.endMs || (ledger.used === 0 && ledger.open === 0),
    )
  }

  get size(): number {
    return this.#ledgers.size
  }

  /** Reservations not settled yet. */
  get open(): number {
    return this.#open.size
  }

  reserve(
    key: string,
    amount: number,
    cap: number,
    windowMs: number,
    nowMs: number,
  ):
    | { readonly ok: true; readonly reservation: string }
    | { readonly ok: false; readonly used: number; readonly reserved: number; readonly retryAfterS: number } {
    if (!(amount >= 0 && Number.isFinite(amount))) throw new RangeError('reserve: the amount must be a number >= 0')
    // Windows are aligned to the epoch, so that every host of a shared budget means the same one.
    const startMs = Math.floor(nowMs / windowMs) * windowMs
    const fresh = (): Ledger => ({ startMs, endMs: startMs + windowMs, used: 0, reserved: 0, open: 0 })
    let ledger = this.#ledgers.get(key, nowMs, fresh)
    // A clock set back stays in the later window instead of opening the earlier one afresh.
    if (startMs >= ledger.endMs) this.#ledgers.replace(key, (ledger = fresh()))
    if (ledger.used + ledger.reserved + amount > cap) {
      const retryAfterS = Math.max(0, ledger.endMs - nowMs) / 1000
      return { ok: false, used: ledger.used, reserved: ledger.reserved, retryAfterS }
    }
    ledger.reserved += amount
    ledger.open += 1
    const reservation = String(++this.#count)
    this.#open.set(reservation, { ledger, amount })
    return { ok: true, reservation }
  }

  settle(reservation: string, used: number): void {
    if (!(used >= 0 && Number.isFinite(used))) throw new RangeError('settle: what was used must be a number >= 0')
    const held = this.#open.get(reservation)
    if (held === undefined) return
    this.#open.delete(reservation)
    held.ledger.reserved -= held.amount
    held.ledger.open -= 1
    held.ledger.used += used
  }
}

/** A map that, when full, drops only entries that `idle` says carry no information; it throws when it finds none. */
class BoundedTable<V> {
  readonly #entries = new Map<string, V>()
  readonly #max: number
  readonly #idle: (value: V, nowMs: number) => boolean
  #cursor: Iterator<[string, V]>

  constructor(options: MemoryStateOptions, idle: (value: V, nowMs: number) => boolean) {
    const max = options.maxOwners ?? MAX_OWNERS
    if (!Number.isSafeInteger(max) || max < 1)
      throw new TypeError(`maxOwners: expected a whole number >= 1, got ${String(max)}`)
    this.#max = max
    this.#idle = idle
    this.#cursor = this.#entries.entries()
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string, nowMs: number, make: () => V): V {
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    if (this.#entries.size >= this.#max && !this.#makeRoom(nowMs)) {
      throw new StateFull(`all ${this.#max} remembered owners are in use; raise maxOwners or use a shared driver`)
    }
    const value = make()
    this.#entries.set(key, value)
    return value
  }

  replace(key: string, value: V): void {
    this.#entries.set(key, value)
  }

  #makeRoom(nowMs: number): boolean {
    for (let probe = 0; probe < Math.min(PROBES, this.#entries.size); ) {
      const next = this.#cursor.next()
      if (next.done === true) {
        this.#cursor = this.#entries.entries()
        continue
      }
      probe++
      if (!this.#idle(next.value[1], nowMs)) continue
      this.#entries.delete(next.value[0])
      return true
    }
    return false
  }
}
