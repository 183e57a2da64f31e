/**
 * In-memory rate-limit buckets and budget ledgers: the default state of the checks that need one.
 *
 * Guarantees: every call is one synchronous step, so concurrent exchanges cannot both take the last token; memory is
 * bounded; making up new owners never resets anybody's bucket or ledger, because only entries that hold nothing worth
 * keeping (a full bucket, a window that is over) make room. When none does, the call throws and the check refuses. An owner
 * whose keys are many, because a caller or a model chooses part of them, never has more of them than there is room left for others.
 * Does not guarantee: anything across processes or restarts. Use a shared driver for that.
 */
import type { BudgetState, RateLimitState } from './state.ts'

export interface MemoryStateOptions {
  /** Most entries remembered at once. Default 50,000. */
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
    owner?: string,
  ): { readonly ok: boolean; readonly remaining: number; readonly retryAfterS?: number } {
    const bucket = this.#buckets.get(
      key,
      nowMs,
      () => ({ tokens: capacity, atMs: nowMs, capacity, refillPerSecond }),
      owner,
    )
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
    owner?: string,
  ):
    | { readonly ok: true; readonly reservation: string }
    | { readonly ok: false; readonly used: number; readonly reserved: number; readonly retryAfterS: number } {
    if (!(amount >= 0 && Number.isFinite(amount))) throw new RangeError('reserve: the amount must be a number >= 0')
    // Windows are aligned to the epoch, so that every host of a shared budget means the same one.
    const startMs = Math.floor(nowMs / windowMs) * windowMs
    const fresh = (): Ledger => ({ startMs, endMs: startMs + windowMs, used: 0, reserved: 0, open: 0 })
    let ledger = this.#ledgers.get(key, nowMs, fresh, owner)
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

interface Entry<V> {
  value: V
  readonly share: Share<V> | undefined
}

/** The entries of one owner. */
interface Share<V> {
  readonly owner: string
  readonly entries: Map<string, Entry<V>>
  cursor: Iterator<[string, Entry<V>]>
}

/** A map that, when full, drops only entries that `idle` says carry no information; it throws when it finds none. */
class BoundedTable<V> {
  readonly #entries = new Map<string, Entry<V>>()
  readonly #shares = new Map<string, Share<V>>()
  readonly #max: number
  readonly #idle: (value: V, nowMs: number) => boolean
  #cursor: Iterator<[string, Entry<V>]>

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

  /** `owner`: whose share a new entry is of. */
  get(key: string, nowMs: number, make: () => V, owner?: string): V {
    const known = this.#entries.get(key)
    if (known !== undefined) return known.value
    const full = owner === undefined ? undefined : this.#shares.get(owner)
    // One owner stops at half of the room, two at a third each: something is always left for the next.
    const left = this.#max - this.#entries.size
    if (full !== undefined && full.entries.size >= left && !this.#makeRoom(full.entries, full, nowMs)) {
      throw new StateFull(`one owner holds ${full.entries.size} of ${this.#max} entries; use a shared driver`)
    }
    if (this.#entries.size >= this.#max && !this.#makeRoom(this.#entries, undefined, nowMs)) {
      throw new StateFull(`all ${this.#max} remembered owners are in use; raise maxOwners or use a shared driver`)
    }
    const share = owner === undefined ? undefined : this.#shareOf(owner)
    const entry = { value: make(), share }
    this.#entries.set(key, entry)
    share?.entries.set(key, entry)
    return entry.value
  }

  replace(key: string, value: V): void {
    const known = this.#entries.get(key)
    if (known !== undefined) known.value = value
  }

  /** As it is now: room may have been made of the last entry that it had. */
  #shareOf(owner: string): Share<V> {
    const known = this.#shares.get(owner)
    if (known !== undefined) return known
    const entries = new Map<string, Entry<V>>()
    const share = { owner, entries, cursor: entries.entries() }
    this.#shares.set(owner, share)
    return share
  }

  /** Drops one idle entry of these: all, or a share. */
  #makeRoom(entries: ReadonlyMap<string, Entry<V>>, share: Share<V> | undefined, nowMs: number): boolean {
    for (let probe = 0; probe < Math.min(PROBES, entries.size); ) {
      const next = (share?.cursor ?? this.#cursor).next()
      if (next.done === true) {
        if (share === undefined) this.#cursor = this.#entries.entries()
        else share.cursor = share.entries.entries()
        continue
      }
      probe++
      const [key, entry] = next.value
      if (!this.#idle(entry.value, nowMs)) continue
      this.#drop(key, entry)
      return true
    }
    return false
  }

  #drop(key: string, { share }: Entry<V>): void {
    this.#entries.delete(key)
    if (share === undefined) return
    share.entries.delete(key)
    if (share.entries.size === 0) this.#shares.delete(share.owner)
  }
}
