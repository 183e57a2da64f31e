/**
 * The in-memory drivers of every state port, for one process.
 *
 * Guarantees: bounded memory; a session belongs to its owner.
 * Does not guarantee: survival of a restart, or anything across processes. Escalations are in `escalations/`.
 */
import type { ReferenceState, Session, SessionState } from '../core/state.ts'

export { MemoryBudgetState, MemoryRateLimitState, type MemoryStateOptions, StateFull } from '../core/memory-state.ts'

export interface MemorySessionOptions {
  /** Most sessions remembered; the one unused longest is forgotten first. Default 10,000. */
  readonly maxSessions?: number
  /** A session unused for longer begins afresh, in milliseconds. Default one hour. */
  readonly ttlMs?: number
}

/**
 * Sessions count and date what one owner does; nothing is granted by them, so forgetting the oldest is safe.
 * The owner is part of the key: another owner's session of the same id is another session.
 */
export class MemorySessionState implements SessionState {
  readonly #sessions = new Map<string, Session>()
  readonly #maxSessions: number
  readonly #ttlMs: number

  constructor(options: MemorySessionOptions = {}) {
    this.#maxSessions = wholeNumber('maxSessions', options.maxSessions ?? 10_000)
    this.#ttlMs = wholeNumber('ttlMs', options.ttlMs ?? 3_600_000)
  }

  get size(): number {
    return this.#sessions.size
  }

  touch(owner: string, id: string, nowMs: number): Session {
    // The length makes the pair unambiguous whatever characters the two hold.
    const key = `${owner.length}:${owner}:${id}`
    const known = this.#sessions.get(key)
    const live = known !== undefined && nowMs - known.lastSeenAtMs <= this.#ttlMs ? known : undefined
    const session: Session = Object.freeze({
      id,
      owner,
      createdAtMs: live?.createdAtMs ?? nowMs,
      lastSeenAtMs: nowMs,
      requestCount: (live?.requestCount ?? 0) + 1,
    })
    // Deleting first moves the session to the end of the map's order: the first key is the one unused longest.
    this.#sessions.delete(key)
    if (this.#sessions.size >= this.#maxSessions) {
      const oldest = this.#sessions.keys().next()
      if (oldest.done !== true) this.#sessions.delete(oldest.value)
    }
    this.#sessions.set(key, session)
    return session
  }
}

function wholeNumber(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new TypeError(`${name}: expected a whole number >= 1, got ${String(value)}`)
  }
  return value
}

export interface MemoryReferenceOptions {
  /** Most ids remembered; the one unused longest is forgotten first. Default 100,000. */
  readonly maxReferences?: number
}

/**
 * Forgetting an id refuses the request that names it, so the bound costs convenience and never safety. The owner is part
 * of the key: an id means nothing to another owner.
 */
export class MemoryReferenceState implements ReferenceState {
  readonly #ranks = new Map<string, number>()
  readonly #max: number

  constructor(options: MemoryReferenceOptions = {}) {
    this.#max = wholeNumber('maxReferences', options.maxReferences ?? 100_000)
  }

  remember(owner: string, kind: string, id: string, rank: number): void {
    const key = referenceKey(owner, kind, id)
    const before = this.#ranks.get(key) ?? 0
    this.#ranks.delete(key)
    this.#ranks.set(key, Math.max(before, rank))
    if (this.#ranks.size <= this.#max) return
    for (const oldest of this.#ranks.keys()) {
      this.#ranks.delete(oldest)
      break
    }
  }

  find(owner: string, kind: string, id: string): number | undefined {
    const key = referenceKey(owner, kind, id)
    const rank = this.#ranks.get(key)
    if (rank === undefined) return undefined
    this.#ranks.delete(key)
    this.#ranks.set(key, rank)
    return rank
  }
}

function referenceKey(owner: string, kind: string, id: string): string {
  return JSON.stringify([owner, kind, id])
}
