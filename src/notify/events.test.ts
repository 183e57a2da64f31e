import { describe, expect, it } from 'vitest'
import { humanOwner } from '../core/owner.ts'
import type { ApprovalRule, ApproverDecision, Escalation } from '../escalation/escalation.ts'
import { eventsOf } from './events.ts'

const ID = '01900000-0000-7000-8000-000000000001'
const APPROVERS = ['human:bob', 'human:carol']
const said = (approver: string, decision: 'approve' | 'deny', atMs: number): ApproverDecision => ({
  approver,
  decision,
  by: 'api_key',
  atMs,
  digest: 'd',
})

function escalation(
  over: Partial<Escalation>,
  rule: ApprovalRule = { kind: 'chain', approvers: APPROVERS },
): Escalation {
  return {
    id: ID,
    exchange: 'x',
    owner: humanOwner('alice', { authenticatedBy: 'api_key' }),
    stage: 'commitment',
    surface: 'chat',
    upstream: 'u',
    policyDigest: 'p',
    requestDigest: 'r',
    check: 'c',
    reason: 'why',
    calls: [],
    createdAtMs: 1,
    expiresAtMs: 100,
    rule,
    digest: 'd',
    tokenHash: 't',
    state: 'pending',
    decisions: [],
    ...over,
  }
}

const bob = said('human:bob', 'approve', 2)
const carol = said('human:carol', 'approve', 3)
const release = { atMs: 5, untilMs: 9, jtis: [], body: 'b', tail: 0 }
const QUORUM: ApprovalRule = { kind: 'quorum', approvers: APPROVERS, needed: 1 }

describe('what happened to an escalation', () => {
  it.each<[string, Escalation, string]>([
    ['it waits', escalation({}), 'created@1'],
    ['one of two has approved', escalation({ decisions: [bob] }), 'created@1 progressed@2'],
    ['both have', escalation({ state: 'approved', decisions: [bob, carol] }), 'created@1 progressed@2 approved@3'],
    ['one is enough', escalation({ state: 'approved', decisions: [bob] }, QUORUM), 'created@1 approved@2'],
    [
      'released',
      escalation({ state: 'released', decisions: [bob, carol], release }),
      'created@1 progressed@2 approved@3 released@5',
    ],
    [
      'denied by the second',
      escalation({ state: 'denied', decisions: [bob, said('human:carol', 'deny', 4)] }),
      'created@1 progressed@2 denied@4',
    ],
    [
      'approved, and withdrawn by a stricter policy',
      escalation({ state: 'denied', decisions: [bob, said('policy:pipeline', 'deny', 6)] }, QUORUM),
      'created@1 approved@2 denied@6',
    ],
    ['nobody decided', escalation({ state: 'expired' }), 'created@1 expired@100'],
    [
      'nobody fetched it',
      escalation({ state: 'expired', decisions: [bob] }, QUORUM),
      'created@1 approved@2 expired@100',
    ],
  ])('%s', (_, e, wanted) => {
    const events = eventsOf(e)
    expect(events.map(({ type, atMs }) => `${type.slice('escalation.'.length)}@${atMs}`).join(' ')).toBe(wanted)
    // Standard Webhooks signs `id.timestamp.body`: a full stop in an id would let one be read as another.
    for (const { id } of events) expect(id).toMatch(/^evt_[0-9a-f-]{36}_[a-z]+(?:_[0-9]+)?$/)
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length)
    expect(eventsOf(structuredClone(e))).toEqual(events)
  })

  it('has the same ids whichever of its states is looked at', () => {
    const last = eventsOf(escalation({ state: 'released', decisions: [bob, carol], release }))
    for (const e of [escalation({}), escalation({ decisions: [bob] })])
      expect(last).toEqual(expect.arrayContaining([...eventsOf(e)]))
  })
})
