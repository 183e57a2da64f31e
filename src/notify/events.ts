/**
 * What happens to an escalation that somebody may want to be told. Derived from the escalation itself, so that whoever
 * missed a change (a crash, a full disk) finds it again: the same escalation gives the same events with the same ids.
 */
import { isSatisfied } from '../escalation/approvers.ts'
import type { Escalation } from '../escalation/escalation.ts'

export const EVENT_TYPES = [
  'escalation.created',
  /** One of several has approved, and others are asked now. */
  'escalation.progressed',
  'escalation.approved',
  'escalation.denied',
  'escalation.expired',
  'escalation.released',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

export interface Happened {
  /** Never holds a full stop: Standard Webhooks signs `id.timestamp.body`. */
  readonly id: string
  readonly type: EventType
  readonly atMs: number
}

/** In the order in which it happened. */
export function eventsOf(e: Escalation): readonly Happened[] {
  const events: Happened[] = []
  const add = (type: EventType, atMs: number, nth = ''): void => {
    events.push({ id: `evt_${e.id}_${type.slice(type.indexOf('.') + 1)}${nth}`, type, atMs })
  }
  add('escalation.created', e.createdAtMs)
  for (const [i, said] of e.decisions.entries()) {
    if (said.decision === 'deny') continue
    const after = isSatisfied(e.rule, e.decisions.slice(0, i + 1))
    if (!after) add('escalation.progressed', said.atMs, `_${i + 1}`)
    else if (!isSatisfied(e.rule, e.decisions.slice(0, i))) add('escalation.approved', said.atMs)
  }
  switch (e.state) {
    case 'denied':
      add('escalation.denied', e.decisions.at(-1)?.atMs ?? e.createdAtMs)
      break
    case 'expired':
      add('escalation.expired', e.expiresAtMs)
      break
    case 'released':
      add('escalation.released', e.release?.atMs ?? e.expiresAtMs)
      break
    case 'pending':
    case 'approved':
      break
  }
  return events
}

export function isEventType(text: string): text is EventType {
  return EVENT_TYPES.some(type => type === text)
}
