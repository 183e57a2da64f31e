/** The channels of texts that stream. */
import type { Channel } from '../core/wire.ts'
import type { SlotKind } from './responses-events.ts'

export interface SlotFacts {
  readonly pointer: string
  readonly name: Channel['name']
  /** Blocks of one answer read as one text. */
  readonly joins: boolean
}

/** Every one of these pointers begins so, and no other. */
export const SLOT_PREFIX = '/output/'

export const SLOTS: Readonly<Record<SlotKind, SlotFacts>> = {
  content: { pointer: '/output/content/text', name: 'content', joins: true },
  refusal: { pointer: '/output/content/refusal', name: 'refusal', joins: true },
  reasoning: { pointer: '/output/reasoning/content', name: 'reasoning', joins: true },
  summary: { pointer: '/output/reasoning/summary', name: 'reasoning', joins: true },
  transcript: { pointer: '/output/audio/transcript', name: 'transcript', joins: true },
  code: { pointer: '/output/code_interpreter_call/code', name: 'other', joins: false },
  mcp: { pointer: '/output/mcp_call/arguments', name: 'arguments', joins: false },
}
