/**
 * Escalations in memory, for tests and for gates that may forget what they hold.
 *
 * Guarantees: bounded; never drops an escalation to make room for another; compare-and-set is one synchronous step.
 * Does not guarantee: survival of a restart.
 */
import { StateFull } from '../../core/memory-state.ts'
import type { EscalationBounds, EscalationQuery, EscalationStore, StoredEscalation } from '../../core/state.ts'
import { type Bounds, OPEN_STATES, readBounds } from './bounds.ts'

interface Kept {
  readonly e: StoredEscalation
  readonly answer: Uint8Array | undefined
}

export class MemoryEscalationStore implements EscalationStore {
  readonly #kept = new Map<string, Kept>()
  readonly #bounds: Bounds
  #bytes = 0

  constructor(bounds: EscalationBounds = {}) {
    this.#bounds = readBounds(bounds)
  }

  get size(): number {
    return this.#kept.size
  }

  get bytes(): number {
    return this.#bytes
  }

  create(e: StoredEscalation, answer: Uint8Array): void {
    if (this.#kept.has(e.id)) throw new Error('an escalation of this id exists already')
    let owned = 0
    for (const k of this.#kept.values()) if (k.e.ownerTag === e.ownerTag && isOpen(k.e.state)) owned += 1
    const { maxEntries, maxBytes, maxPerOwner } = this.#bounds
    if (owned >= maxPerOwner) throw new StateFull(`one owner has ${owned} escalations that wait; no more than that`)
    if (this.#kept.size >= maxEntries || this.#bytes + e.record.length + answer.length > maxBytes) {
      throw new StateFull(`no room for another escalation (${this.#kept.size} kept, ${this.#bytes} bytes)`)
    }
    this.#set({ e: copy(e), answer: answer.slice() })
  }

  get(id: string): StoredEscalation | undefined {
    const kept = this.#kept.get(id)
    return kept === undefined ? undefined : copy(kept.e)
  }

  answer(id: string): Uint8Array | undefined {
    return this.#kept.get(id)?.answer?.slice()
  }

  replace(next: StoredEscalation, answer?: Uint8Array | 'drop'): boolean {
    const kept = this.#kept.get(next.id)
    if (kept === undefined || kept.e.version !== next.version - 1) return false
    this.#set({ e: copy(next), answer: answer === 'drop' ? undefined : (answer?.slice() ?? kept.answer) })
    return true
  }

  list({ states, before, limit }: EscalationQuery): readonly StoredEscalation[] {
    const found = [...this.#kept.values()]
      .map(k => k.e)
      .filter(e => (states === undefined || states.includes(e.state)) && (before === undefined || e.id < before))
      .sort((a, b) => (a.id < b.id ? 1 : -1))
    return found.slice(0, limit).map(copy)
  }

  due(nowMs: number, states: readonly string[], limit: number): readonly string[] {
    const found: string[] = []
    for (const { e } of this.#kept.values()) {
      if (found.length >= limit) break
      if (states.includes(e.state) && e.expiresAtMs <= nowMs) found.push(e.id)
    }
    return found
  }

  forget(beforeMs: number, states: readonly string[]): void {
    for (const [id, kept] of this.#kept) {
      if (!states.includes(kept.e.state) || kept.e.expiresAtMs >= beforeMs) continue
      this.#bytes -= size(kept)
      this.#kept.delete(id)
    }
  }

  close(): void {
    this.#kept.clear()
    this.#bytes = 0
  }

  #set(kept: Kept): void {
    const before = this.#kept.get(kept.e.id)
    this.#bytes += size(kept) - (before === undefined ? 0 : size(before))
    this.#kept.set(kept.e.id, kept)
  }
}

function isOpen(state: string): boolean {
  return OPEN_STATES.some(open => open === state)
}

function size(kept: Kept): number {
  return kept.e.record.length + (kept.answer?.length ?? 0)
}

/** The caller may reuse its buffers. */
function copy(e: StoredEscalation): StoredEscalation {
  return { ...e, record: e.record.slice() }
}
