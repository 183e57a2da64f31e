/**
 * Which of several keys signs when. A key signs from its `notBefore` until the next one begins or its own `notAfter`;
 * rotation is therefore one new entry, and nothing about the old key has to be rewritten.
 *
 * Guarantees: for any moment at most one key signs, and an older key never comes back when a newer one has ended. What a
 * key signed is accepted for `OVERLAP_MS` after its successor began: a gate needs a moment to notice a rotation.
 */

/** Milliseconds since 1970; both ends may be open. */
export interface Period {
  readonly notBefore: number | undefined
  readonly notAfter: number | undefined
}

/** How long after its successor began a key's signatures still count, in milliseconds. */
export const OVERLAP_MS = 10 * 60_000

export class Schedule<T extends Period> {
  /** By `notBefore`; those that end before they begin are left out. */
  readonly #order: readonly T[]

  constructor(entries: readonly T[]) {
    this.#order = entries.filter(e => from(e) < until(e)).sort((a, b) => from(a) - from(b))
  }

  /** The one that signs at `ms`; `undefined` when none may. */
  at(ms: number): T | undefined {
    const entry = this.begunBy(ms)
    return entry !== undefined && ms < until(entry) ? entry : undefined
  }

  /** The last one that had begun by `ms`, whether it has ended or not. */
  begunBy(ms: number): T | undefined {
    return this.#order.findLast(e => from(e) <= ms)
  }

  get first(): T | undefined {
    return this.#order[0]
  }

  /** When the entry that signs at `ms` stops doing so: its own end or its successor's beginning. */
  changesAfter(ms: number): number {
    const next = this.#order.find(e => from(e) > ms)
    const entry = this.begunBy(ms)
    return Math.min(next === undefined ? Infinity : from(next), entry === undefined ? Infinity : until(entry))
  }

  /** Until when what it signed is accepted; Infinity for one without an end. */
  acceptedUntil(entry: T): number {
    const at = this.#order.indexOf(entry)
    const next = at < 0 ? undefined : this.#order[at + 1]
    return Math.min(until(entry), next === undefined ? Infinity : from(next) + OVERLAP_MS)
  }

  /** Is a signature of this entry that says it was made at `ms` to be believed? */
  accepts(entry: T, ms: number): boolean {
    return ms >= from(entry) && ms < this.acceptedUntil(entry)
  }
}

function from(period: Period): number {
  return period.notBefore ?? -Infinity
}

function until(period: Period): number {
  return period.notAfter ?? Infinity
}
