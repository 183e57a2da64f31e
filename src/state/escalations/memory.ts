/**
 * Escalations in memory, for tests and for gates that may forget what they hold.
 *
 * Guarantees: bounded; never drops an escalation to make room for another; compare-and-set is one synchronous step.
 * Does not guarantee: survival of a restart.
 */
import { StateFull } from '../../core/memory-state.ts'
import type { EscalationBounds, EscalationQuery, EscalationStore, StoredEscalation } from '../../core/state.ts'
import { type Bounds, isOpen, readBounds } from './bounds.ts'

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
    let open = 0
    for (const k of this.#kept.values()) {
      if (!isOpen(k.e.state)) continue
      open += 1
      if (k.e.ownerTag === e.ownerTag) owned += 1
    }
    const { maxEntries, maxPerOwner } = this.#bounds
    if (owned >= maxPerOwner) throw new StateFull(`one owner has ${owned} escalations that wait; no more than that`)
    if (open >= maxEntries || !this.#makeRoom(e.record.length + answer.length)) {
      throw new StateFull(`no room for another escalation (${open} wait, ${this.#bytes} bytes)`)
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
    const { ownerTag, createdAtMs } = kept.e
    this.#set({
      e: { ...copy(next), ownerTag, createdAtMs },
      answer: answer === 'drop' ? undefined : (answer?.slice() ?? kept.answer),
    })
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

  dropAnswers(nowMs: number, states: readonly string[]): void {
    for (const kept of this.#kept.values()) {
      if (states.includes(kept.e.state) && kept.e.expiresAtMs <= nowMs) this.#set({ e: kept.e, answer: undefined })
    }
  }

  forget(beforeMs: number, states: readonly string[]): void {
    for (const [id, kept] of this.#kept) {
      if (!states.includes(kept.e.state) || kept.e.expiresAtMs >= beforeMs) continue
      this.#remove(id, kept)
    }
  }

  close(): void {
    this.#kept.clear()
    this.#bytes = 0
  }

  #makeRoom(bytes: number): boolean {
    const { maxEntries, maxBytes } = this.#bounds
    const over = [...this.#kept].filter(([, k]) => !isOpen(k.e.state)).sort(([a], [b]) => (a < b ? -1 : 1))
    let left = over.length
    for (const [id, kept] of over) {
      if (left <= maxEntries && this.#bytes + bytes <= maxBytes) break
      this.#remove(id, kept)
      left -= 1
    }
    return this.#bytes + bytes <= maxBytes
  }

  #remove(id: string, kept: Kept): void {
    this.#bytes -= size(kept)
    this.#kept.delete(id)
  }

  #set(kept: Kept): void {
    const before = this.#kept.get(kept.e.id)
    this.#bytes += size(kept) - (before === undefined ? 0 : size(before))
    this.#kept.set(kept.e.id, kept)
  }
}

function size(kept: Kept): number {
  return kept.e.record.length + (kept.answer?.length ?? 0)
}

/** The caller may reuse its buffers. */
function copy(e: StoredEscalation): StoredEscalation {
  return { ...e, record: e.record.slice() }
}
