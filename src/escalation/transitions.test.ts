import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { agentOwner, humanOwner } from '../core/owner.ts'
import { currentApprovers, mayNotApprove, ruleFor } from './approvers.ts'
import { approvalDigest, argumentsDigest } from './digest.ts'
import type { ApprovalRule, ApproverDecision, Escalation } from './escalation.ts'
import { decide, expire, release, type Transition, withdraw } from './transitions.ts'

const AGENT = agentOwner('crawler-7', { authenticatedBy: 'api_key', notApprovers: ['human:alice'] })
const CHAIN: ApprovalRule = { kind: 'chain', approvers: ['human:bob', 'human:carol'] }

function escalation(over: Partial<Escalation> = {}): Escalation {
  const text = '{"amount":50000,"to":"X"}'
  const base = {
    id: '01900000-0000-7000-8000-000000000001',
    exchange: '01900000-0000-7000-8000-000000000002',
    owner: AGENT,
    stage: 'commitment' as const,
    surface: 'chat',
    upstream: 'demo',
    policyDigest: 'p'.repeat(64),
    requestDigest: `sha256:${'a'.repeat(64)}`,
    check: 'tool_call_inspector',
    reason: 'irreversible',
    calls: [
      {
        key: '0:0',
        id: 'call_1',
        tool: 'issue_refund',
        argumentsText: text,
        argumentsDigest: argumentsDigest(text) ?? '',
      },
    ],
    createdAtMs: 1_000,
    expiresAtMs: 2_000,
    rule: CHAIN,
    ...over,
  }
  return { ...base, digest: approvalDigest(base), tokenHash: 'h', state: 'pending', decisions: [], ...over }
}

function says(approver: string, e: Escalation, over: Partial<ApproverDecision> = {}): ApproverDecision {
  return { approver, decision: 'approve', by: 'token', atMs: 1_500, digest: e.digest, ...over }
}

function mustGoOn(t: Transition): Escalation {
  if (t.kind !== 'next') throw new Error(`refused: ${t.because}`)
  return t.escalation
}

const RELEASE = { atMs: 1_600, untilMs: 1_720, jtis: ['j'], body: 'sha256:00', tail: 0 }

describe('a chain', () => {
  it('is asked in turn, and is approved when the last has said yes', () => {
    const e = escalation()
    expect(currentApprovers(e)).toEqual(['human:bob'])
    expect(decide(e, says('human:carol', e))).toMatchObject({ because: 'not_your_turn' })
    const half = mustGoOn(decide(e, says('human:bob', e)))
    expect(half.state).toBe('pending')
    expect(currentApprovers(half)).toEqual(['human:carol'])
    expect(decide(half, says('human:bob', half))).toMatchObject({ because: 'already_decided' })
    expect(release(half, RELEASE)).toMatchObject({ because: 'not_approved' })
    const done = mustGoOn(decide(half, says('human:carol', half)))
    expect(done.state).toBe('approved')
    expect(currentApprovers(done)).toEqual([])
    expect(mustGoOn(release(done, RELEASE))).toMatchObject({ state: 'released', release: RELEASE })
  })

  it('ends with the first no', () => {
    const e = escalation()
    const denied = mustGoOn(decide(e, says('human:bob', e, { decision: 'deny', reason: 'wrong account' })))
    expect(denied.state).toBe('denied')
    expect(decide(denied, says('human:carol', denied))).toMatchObject({ because: 'not_pending' })
    expect(release(denied, RELEASE)).toMatchObject({ because: 'not_approved' })
  })
})

describe('a quorum', () => {
  const rule: ApprovalRule = { kind: 'quorum', approvers: ['human:bob', 'human:carol', 'human:dave'], needed: 2 }
  it('takes any two different ones in any order, and never one twice', () => {
    const e = escalation({ rule })
    const one = mustGoOn(decide(e, says('human:dave', e)))
    expect(decide(one, says('human:dave', one))).toMatchObject({ because: 'already_decided' })
    expect(mustGoOn(decide(one, says('human:bob', one))).state).toBe('approved')
  })
})

describe('a decision that says what it has seen', () => {
  const rule: ApprovalRule = { kind: 'quorum', approvers: ['human:bob', 'human:carol', 'human:dave'], needed: 2 }
  it('counts while that is so, and not once somebody else has decided', () => {
    const e = escalation({ rule })
    const one = mustGoOn(decide(e, says('human:dave', e), 0))
    expect(decide(one, says('human:bob', one), 0)).toMatchObject({ because: 'changed' })
    expect(decide(one, says('human:bob', one, { decision: 'deny', reason: 'no' }), 0)).toMatchObject({
      because: 'changed',
    })
    expect(mustGoOn(decide(one, says('human:bob', one), 1)).state).toBe('approved')
    // Whoever says nothing of it is heard, as before.
    expect(mustGoOn(decide(one, says('human:bob', one))).state).toBe('approved')
  })
})

describe('nobody is heard who', () => {
  const e = escalation({ rule: { kind: 'chain', approvers: ['human:bob', 'human:Alice', 'agent:crawler-7'] } })
  it.each([
    ['is no approver', says('human:mallory', e), 'not_an_approver'],
    ['differs from an approver in letter case', says('human:Bob', e), 'not_an_approver'],
    ['is the owner, though listed', says('agent:crawler-7', e), 'own_request'],
    ['is the human behind the agent, in other letters', says('human:Alice', e), 'own_request'],
    ['approves another digest', says('human:bob', e, { digest: `sha256:${'0'.repeat(64)}` }), 'digest_mismatch'],
    ['approves a prefix of the digest', says('human:bob', e, { digest: e.digest.slice(0, -1) }), 'digest_mismatch'],
    ['comes at the very end', says('human:bob', e, { atMs: 2_000 }), 'expired'],
  ])('%s', (_, said, because) => {
    expect(decide(e, said)).toMatchObject({ kind: 'refused', because })
  })
})

describe('a rule that demands passkeys', () => {
  const evidence = {
    kind: 'passkey' as const,
    credentialId: 'a',
    publicKey: 'b',
    authenticatorData: 'c',
    clientDataJson: 'd',
    signature: 'e',
    rpId: 'localhost',
    origin: 'http://localhost',
  }
  const rules: ApprovalRule[] = [
    { kind: 'chain', approvers: ['human:bob', 'human:carol'], auth: 'passkey' },
    { kind: 'quorum', approvers: ['human:bob', 'human:carol', 'human:dave'], needed: 2, auth: 'passkey' },
  ]
  it.each(rules)('counts a yes with one, and a no without ($kind)', rule => {
    const e = escalation({ rule })
    expect(decide(e, says('human:bob', e))).toMatchObject({ because: 'passkey_required' })
    expect(mustGoOn(decide(e, says('human:bob', e, { decision: 'deny', reason: 'no' }))).state).toBe('denied')
    const one = mustGoOn(decide(e, says('human:bob', e, { evidence })))
    expect(decide(one, says('human:carol', one))).toMatchObject({ because: 'passkey_required' })
    const both = mustGoOn(decide(one, says('human:carol', one, { evidence })))
    expect(both.state).toBe('approved')
    expect(release(both, RELEASE)).toMatchObject({ kind: 'next' })
    // A stored state is believed only as far as the evidence beside it carries it.
    const bare = { ...both, decisions: both.decisions.map(({ evidence: _, ...d }) => d) }
    expect(release(bare, RELEASE)).toMatchObject({ because: 'not_approved' })
  })

  it('is made by the policy or by a tool that waits', () => {
    const alice = humanOwner('alice', { authenticatedBy: 'jwt' })
    const policy = { approvers: ['human:bob', 'human:carol'] }
    expect(ruleFor(policy, alice, true)).not.toHaveProperty('auth')
    expect(ruleFor(policy, alice, true, 'passkey')).toMatchObject({ auth: 'passkey' })
    expect(ruleFor({ ...policy, auth: 'passkey', quorum: 2 }, alice, true)).toMatchObject({
      auth: 'passkey',
      needed: 2,
    })
  })
})

it('is not released after its time, nor on a state that its decisions do not carry', () => {
  const approved = escalation({ state: 'approved' })
  expect(release(approved, RELEASE)).toMatchObject({ because: 'not_approved' })
  const e = escalation({ rule: { kind: 'chain', approvers: ['human:bob'] } })
  const yes = mustGoOn(decide(e, says('human:bob', e)))
  expect(release(yes, { ...RELEASE, atMs: 2_000 })).toMatchObject({ because: 'expired' })
  expect(mustGoOn(expire(yes, 2_000)).state).toBe('expired')
  expect(expire(yes, 1_999)).toMatchObject({ kind: 'refused' })
  expect(mustGoOn(withdraw(yes, 'the policy changed', 1_700))).toMatchObject({ state: 'denied' })
})

describe('the digest', () => {
  it('changes with everything that would fire differently', () => {
    const e = escalation()
    const call = e.calls[0]
    if (call === undefined) throw new Error('no call')
    const others: Partial<Escalation>[] = [
      { exchange: 'x' },
      { owner: humanOwner('crawler-7', { authenticatedBy: 'api_key' }) },
      { policyDigest: 'q' },
      { upstream: 'other' },
      { requestDigest: 'sha256:b' },
      { expiresAtMs: 2_001 },
      { calls: [] },
      { calls: [call, call] },
      { calls: [{ ...call, tool: 'issue_refunds' }] },
      { calls: [{ ...call, id: 'call_2' }] },
      { calls: [{ ...call, audience: 'https://payments' }] },
      { calls: [{ ...call, argumentsText: `${call.argumentsText} ` }] },
      { calls: [{ ...call, argumentsDigest: argumentsDigest('{"amount":50001,"to":"X"}') ?? '' }] },
    ]
    const seen = new Set([e.digest, ...others.map(o => escalation(o).digest)])
    expect(seen.size).toBe(others.length + 1)
  })

  it('takes arguments in any spelling of one value for the same, and what two readers could read differently for none', () => {
    expect(argumentsDigest('{"to":"X", "amount":5e4}')).toBe(argumentsDigest('{"amount":50000,"to":"\\u0058"}'))
    expect(argumentsDigest('')).toBe(argumentsDigest('{}'))
    for (const text of [
      '{"a":1,"a":2}',
      '{"a":12345678901234567890}',
      '[1]',
      '{"a":"\\ud800"}',
      'null',
      '{"a":1e400}',
    ]) {
      expect(argumentsDigest(text)).toBeUndefined()
    }
  })
})

describe('whose rule', () => {
  const policy = { approvers: ['human:alice', 'human:bob'] }
  it('is the claimed chain of a verified owner, else the configured list, without the owner and who stands behind it', () => {
    expect(ruleFor(policy, AGENT, true)).toEqual({ kind: 'chain', approvers: ['human:bob'] })
    const claimed = agentOwner('a', { authenticatedBy: 'jwt', approvalChain: ['human:carol'] })
    expect(ruleFor(policy, claimed, true)).toEqual({ kind: 'chain', approvers: ['human:carol'] })
    expect(ruleFor(policy, claimed, false)).toEqual({ kind: 'chain', approvers: ['human:alice', 'human:bob'] })
  })
  it.each([
    ['straße', 'STRASSE'],
    ['αλεξισ', 'ΑΛΕΞΙΣ'],
    ['ﬁona'.normalize('NFKC'), 'FIONA'],
  ])('is not for the owner in another spelling: %s, %s', (name, other) => {
    const owner = humanOwner(name, { authenticatedBy: 'jwt' })
    expect(mayNotApprove(`human:${other}`, owner)).toBe(true)
    expect(ruleFor({ approvers: [`human:${other}`] }, owner, true)).toBeUndefined()
    expect(ruleFor({ approvers: [`human:${name}`, `human:${other}`], quorum: 2 }, AGENT, true)).toBeUndefined()
  })
  it('is none where nobody is left, or fewer than the quorum asks for', () => {
    const alice = humanOwner('Alice', { authenticatedBy: 'jwt' })
    expect(ruleFor({ approvers: ['human:alice'] }, alice, true)).toBeUndefined()
    expect(ruleFor({ ...policy, quorum: 2 }, alice, true)).toBeUndefined()
    expect(ruleFor({ approvers: ['human:bob', 'human:BOB', 'human:bob'], quorum: 2 }, alice, true)).toBeUndefined()
    expect(ruleFor({ approvers: ['human:bob', 'human:carol'], quorum: 2 }, alice, true)).toMatchObject({ needed: 2 })
  })
})

it('whatever is said in whatever order, only the rule’s own people approve, each once and before the end', () => {
  const people = ['human:bob', 'human:carol', 'human:dave', 'human:mallory', 'agent:crawler-7', 'human:alice']
  const step = fc.record({
    approver: fc.constantFrom(...people),
    decision: fc.constantFrom<'approve' | 'deny'>('approve', 'approve', 'approve', 'deny'),
    atMs: fc.integer({ min: 1_000, max: 2_100 }),
    right: fc.boolean(),
    act: fc.constantFrom('decide', 'decide', 'decide', 'release', 'expire'),
  })
  const rules = fc.constantFrom<ApprovalRule>(CHAIN, { kind: 'quorum', approvers: people.slice(0, 3), needed: 2 })
  fc.assert(
    fc.property(rules, fc.array(step, { maxLength: 20 }), (rule, steps) => {
      let e = escalation({ rule })
      let releases = 0
      for (const s of steps) {
        const t =
          s.act === 'decide'
            ? decide(e, says(s.approver, e, { ...s, digest: s.right ? e.digest : 'sha256:other' }))
            : s.act === 'release'
              ? release(e, { ...RELEASE, atMs: s.atMs })
              : expire(e, s.atMs)
        if (t.kind === 'refused') continue
        if (t.escalation.state === 'released') releases += 1
        e = t.escalation
      }
      expect(releases).toBeLessThanOrEqual(1)
      for (const d of e.decisions) {
        expect(rule.approvers).toContain(d.approver)
        expect(d.atMs).toBeLessThan(e.expiresAtMs)
        expect(d.digest).toBe(e.digest)
      }
      expect(new Set(e.decisions.map(d => d.approver)).size).toBe(e.decisions.length)
      if (e.state === 'approved' || e.state === 'released') {
        const yes = e.decisions.filter(d => d.decision === 'approve').map(d => d.approver)
        expect(yes.length).toBeGreaterThanOrEqual(rule.kind === 'chain' ? rule.approvers.length : rule.needed)
        if (rule.kind === 'chain') expect(yes).toEqual(rule.approvers)
      }
    }),
    { numRuns: 500 },
  )
})
