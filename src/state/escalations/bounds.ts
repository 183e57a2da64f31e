/** How many escalations a store holds, and which of them still take their owner's room. */
import type { EscalationBounds } from '../../core/state.ts'

export type Bounds = Required<EscalationBounds>

/** States in which a human may still be asked, or the answer still be fetched. */
export const OPEN_STATES = ['pending', 'approved'] as const

export function isOpen(state: string): boolean {
  return OPEN_STATES.some(open => open === state)
}

export function readBounds(given: EscalationBounds = {}): Bounds {
  return {
    maxEntries: whole('maxEntries', given.maxEntries ?? 1_000),
    maxBytes: whole('maxBytes', given.maxBytes ?? 256 * 1024 * 1024),
    maxPerOwner: whole('maxPerOwner', given.maxPerOwner ?? 100),
  }
}

function whole(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new TypeError(`${name}: expected a whole number >= 1, got ${String(value)}`)
  }
  return value
}
