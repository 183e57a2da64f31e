import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Clock, Random } from '../core/clock.ts'
import { agentOwner, humanOwner } from '../core/owner.ts'
import { AuditUnavailable, type AuditWriter, type Row } from '../core/row.ts'
import type { EscalationStore } from '../core/state.ts'
import { MemoryEscalationStore } from '../state/escalations/memory.ts'
import { createBox, SealBroken } from './box.ts'
import { Desk, type DeskPorts, type Held, type Made } from './desk.ts'

/** A clock that stands until it is moved; timers fire when it passes them. */
class StillClock implements Clock {
  ms = 1_000_000
  #timers = new Set<{ readonly at: number; readonly f: () => void }>()
  now = () => this.ms
  nowNs = () => BigInt(this.ms) * 1_000_000n
  timer = (ms: number, f: () => void) => {
    const t = { at: this.ms + ms, f }
    this.#timers.add(t)
    return () => this.#timers.delete(t)
  }
  pass(ms: number): void {
    this.ms += ms
    for (const t of [...this.#timers]) {
      if (t.at > this.ms) continue
      this.#timers.delete(t)
      t.f()
    }
  }
}

/** A log that can be made to fail. */
class Log implements AuditWriter {
  readonly rows: Row[] = []
  ok = true
  readonly head = { size: 0n, hmac: undefined }
  append(row: Row) {
    const lost = this.ok ? undefined : new AuditUnavailable('the log cannot be written')
    if (lost === undefined) this.rows.push(row)
    const placed = () =>
      lost === undefined
        ? Promise.resolve({ index: 0n, tsNs: 0n, hmac: '', commit: '', canonical: '', leaf: '' })
        : Promise.reject(lost)
    return {
      entryId: row.entryId,
      get placed() {
        return placed()
      },
      durable: placed,
    }
  }
  drain = () => Promise.resolve()
  close = () => Promise.resolve()
  named = (name: string) => this.rows.filter(r => r.metadata['_check_name'] === name)
}

let count = 0
const random: Random = {
  bytes: n => Buffer.alloc(n, ++count),
  uuid: () => `01900000-0000-7000-8000-${String(++count).padStart(12, '0')}`,
}
const box = createBox(Buffer.alloc(32, 7), random)
const OWNER = agentOwner('crawler-7', { authenticatedBy: 'api_key', notApprovers: ['human:alice'] })

function held(over: Partial<Held> = {}): Held {
  return {
    exchange: 'x-1',
    owner: OWNER,
    claimsVerified: true,
    stage: 'commitment',
    surface: 'chat',
    upstream: 'demo',
    policyDigest: 'p',
    requestDigest: 'sha256:r',
    check: 'tool_call_inspector',
    reason: 'irreversible',
    audienceOf: () => undefined,
    answer: {
      dialect: 'chat',
      request: Buffer.from('{}'),
      stream: false,
      status: 200,
      headers: [],
      context: {
        peerAddress: undefined,
        declared: { classification: undefined, clearance: undefined, clearanceVerified: true },
        levels: undefined,
        session: undefined,
      },
      calls: [{ key: '0:0', id: 'call_1', name: 'issue_refund', argumentsText: '{"amount":50000}' }],
      frames: [{ raw: Buffer.from('frame'), edits: [] }],
      given: [],
      shadowed: false,
    },
    ...over,
  }
}

function desk(over: Partial<DeskPorts> = {}) {
  const clock = new StillClock()
  const audit = new Log()
  const store: EscalationStore = new MemoryEscalationStore()
  const ports = { store, box, audit, clock, random, policy: { approvers: ['human:bob'] }, ttlMs: 60_000, ...over }
  return { clock, audit, store, ports, desk: new Desk(ports) }
}

type Make = Parameters<Desk['release']>[1]
const made = (text: string, clock: Clock): Make => {
  return async (_, answer): Promise<Made> => {
    // As the gate would find: what was released already cannot be opened once more.
    if (answer.frames.length === 0) throw new SealBroken('the held answer is not whole')
    return { kind: 'bytes', bytes: Buffer.from(text), jtis: ['j'], tail: 0, untilMs: clock.now() + 120_000 }
  }
}
const yes = (digest: string, approver = 'human:bob') => ({
  approver,
  decision: 'approve' as const,
  by: 'token',
  digest,
})

async function opened(d: Desk, over: Partial<Held> = {}) {
  const o = await d.hold(held(over))
  if ('kind' in o) throw new Error('nobody may approve it')
  return o
}

describe('an escalation', () => {
  it('is approved, released once, and read again as the same bytes, with a row for each', async () => {
    const { desk: d, clock, audit, store } = desk()
    const { escalation: e, token } = await opened(d)
    expect(await d.release(e.id, made('early', clock))).toMatchObject({ kind: 'not_released' })
    expect(await d.decide(e.id, yes(e.digest))).toMatchObject({ kind: 'decided', escalation: { state: 'approved' } })
    const first = await d.release(e.id, made('the bytes', clock))
    const again = await d.release(e.id, made('other bytes', clock))
    for (const r of [first, again]) {
      expect(r.kind === 'released' && Buffer.from(r.bytes).toString()).toBe('the bytes')
    }
    expect(audit.rows.map(r => [r.metadata['_check_name'], r.decision, r.owner.id])).toEqual([
      ['escalation.decided', 'allow', 'bob'],
      ['escalation.released', 'allow', 'crawler-7'],
      ['escalation.released', 'allow', 'crawler-7'],
    ])
    for (const r of audit.rows) {
      expect(r.metadata).toMatchObject({ _escalation_id: e.id, _exchange_id: 'x-1', _approval_digest: e.digest })
    }
    expect(await d.ofOwner(e.id, OWNER, token)).toMatchObject({ state: 'released' })
    clock.pass(120_000)
    expect(await d.release(e.id, made('late', clock))).toMatchObject({ kind: 'not_released' })
    await d.sweep()
    expect(await store.answer(e.id)).toBeUndefined()
    await d.close()
  })

  it('shows itself to its owner with its token, and to nobody else', async () => {
    const { desk: d } = desk()
    const { escalation: e, token } = await opened(d)
    expect(await d.ofOwner(e.id, OWNER, token)).toMatchObject({ id: e.id })
    expect(await d.ofOwner(e.id, OWNER, `${token}x`)).toBeUndefined()
    expect(await d.ofOwner(e.id, OWNER, '')).toBeUndefined()
    expect(await d.ofOwner(e.id, humanOwner('crawler-7', { authenticatedBy: 'x' }), token)).toBeUndefined()
    expect(await d.ofOwner('another', OWNER, token)).toBeUndefined()
    await d.close()
  })

  it('that nobody may approve is not held', async () => {
    const { desk: d, ports } = desk({ policy: { approvers: ['human:ALICE', 'agent:crawler-7'] } })
    expect(await d.hold(held())).toEqual({ kind: 'nobody' })
    expect(await ports.store.list({ limit: 9 })).toEqual([])
    await d.close()
  })

  it('expires: at its time for whoever asks, and by the sweep for the log', async () => {
    const { desk: d, clock, audit, store } = desk()
    const { escalation: e } = await opened(d)
    clock.ms += 60_000
    expect(await d.find(e.id)).toMatchObject({ state: 'expired' })
    expect(await d.decide(e.id, yes(e.digest))).toMatchObject({ kind: 'refused', because: 'expired' })
    expect(audit.named('escalation.not_counted')).toHaveLength(1)
    await d.sweep()
    await d.sweep()
    expect(audit.named('escalation.expired')).toHaveLength(1)
    expect((await store.get(e.id))?.state).toBe('expired')
    expect(await store.answer(e.id)).toBeUndefined()
    clock.ms += 8 * 24 * 3_600_000
    await d.sweep()
    expect(await d.find(e.id)).toBeUndefined()
    await d.close()
  })

  it('expires also when it was approved and nobody came, and a policy that says no now wins over an approval', async () => {
    const { desk: d, clock, audit } = desk()
    const one = (await opened(d)).escalation
    await d.decide(one.id, yes(one.digest))
    clock.ms += 60_000
    expect(await d.release(one.id, made('late', clock))).toMatchObject({
      kind: 'not_released',
      escalation: { state: 'expired' },
    })
    const two = (await opened(d)).escalation
    await d.decide(two.id, yes(two.digest))
    const denied = async (): Promise<Made> => ({ kind: 'denied', reason: 'the tool is gone' })
    expect(await d.release(two.id, denied)).toMatchObject({ kind: 'not_released', escalation: { state: 'denied' } })
    expect(await d.release(two.id, made('bytes', clock))).toMatchObject({ kind: 'not_released' })
    expect(audit.named('escalation.withdrawn')).toHaveLength(1)
    await d.close()
  })

  it('takes no effect that has no row: a log that fails leaves it as it was', async () => {
    const { desk: d, clock, audit } = desk()
    const { escalation: e } = await opened(d)
    audit.ok = false
    await expect(d.decide(e.id, yes(e.digest))).rejects.toThrow(AuditUnavailable)
    expect(await d.find(e.id)).toMatchObject({ state: 'pending', decisions: [] })
    audit.ok = true
    await d.decide(e.id, yes(e.digest))
    audit.ok = false
    await expect(d.release(e.id, made('bytes', clock))).rejects.toThrow(AuditUnavailable)
    audit.ok = true
    const released = await d.release(e.id, made('other bytes', clock))
    expect(released.kind === 'released' && Buffer.from(released.bytes).toString()).toBe('bytes')
    expect(audit.named('escalation.released')).toHaveLength(1)
    await d.close()
  })

  it('wakes whoever waits for it, at a change, at the end of the wait, or when they leave', async () => {
    const { desk: d, clock } = desk()
    const { escalation: e } = await opened(d)
    const change = d.changed(e.id, 10_000)
    await d.decide(e.id, yes(e.digest))
    await change
    const end = d.changed(e.id, 10_000)
    clock.pass(10_000)
    await end
    const leaving = new AbortController()
    const left = d.changed(e.id, 10_000, leaving.signal)
    leaving.abort()
    await left
    const closing = d.changed(e.id, 10_000)
    await d.close()
    await closing
  })

  it.each([1, 150])(
    '%i that cannot be opened hide no other, keep none from expiring, and are forgotten when due',
    async bad => {
      const { desk: d, ports, clock, audit } = desk({ store: new MemoryEscalationStore({ maxPerOwner: 1_000 }) })
      const other = createBox(Buffer.alloc(32, 8), random)
      const foreign = new Desk({ ...ports, box: other, sweptElsewhere: true })
      const { escalation: before } = await opened(d)
      const lost: string[] = []
      for (let i = 0; i < bad; i++) lost.push((await opened(foreign)).escalation.id)
      const { escalation: after } = await opened(d)
      expect((await d.list({ limit: 2 })).map(e => e.id)).toEqual([after.id, before.id])
      expect((await d.list({ limit: 1, before: after.id })).map(e => e.id)).toEqual([before.id])
      clock.ms += 60_000
      for (let i = 0; i < 3; i++) await d.sweep()
      expect(audit.named('escalation.expired').map(r => r.metadata['_escalation_id'])).toEqual([before.id, after.id])
      expect(audit.named('escalation.unreadable').map(r => r.metadata['_escalation_id'])).toEqual(lost)
      expect((await ports.store.list({ limit: 1_000 })).map(e => [e.id, e.state])).toEqual([
        [after.id, 'expired'],
        [before.id, 'expired'],
      ])
      await d.close()
    },
  )

  it('is believed only as it was sealed: another state, version or id beside the record is refused', async () => {
    const { desk: d, ports } = desk()
    const { escalation: e } = await opened(d)
    const stored = await ports.store.get(e.id)
    if (stored === undefined) throw new Error('not stored')
    for (const bent of [
      { ...stored, state: 'approved' },
      { ...stored, expiresAtMs: stored.expiresAtMs + 1 },
      { ...stored, version: 2 },
      { ...stored, record: Buffer.from(stored.record).reverse() },
    ]) {
      const other = new Desk({ ...ports, store: { ...stubStore(ports.store), get: () => bent } })
      await expect(other.find(e.id)).rejects.toThrow(SealBroken)
    }
    await d.close()
  })
})

it('of two processes that release at once, the later one gives what the earlier one released', async () => {
  const { desk: d, ports, clock, audit } = desk()
  const { escalation: e } = await opened(d)
  await d.decide(e.id, yes(e.digest))
  let between = true
  const late = new Desk({
    ...ports,
    store: {
      ...stubStore(ports.store),
      // The other one is done between this one's reading of the record and of the answer.
      answer: async id => {
        if (between) {
          between = false
          await d.release(id, made('the bytes', clock))
        }
        return ports.store.answer(id)
      },
    },
  })
  const second = await late.release(e.id, made('other bytes', clock))
  expect(second).toMatchObject({ kind: 'released', first: false })
  expect(second.kind === 'released' && Buffer.from(second.bytes).toString()).toBe('the bytes')
  expect(audit.named('escalation.released').map(r => r.reason)).toEqual([
    'the approved answer was released',
    'the released answer was read again',
  ])
  await late.close()
  await d.close()
})

function stubStore(store: EscalationStore): EscalationStore {
  return {
    create: (e, a) => store.create(e, a),
    get: id => store.get(id),
    answer: id => store.answer(id),
    replace: (n, a) => store.replace(n, a),
    list: q => store.list(q),
    due: (n, s, l) => store.due(n, s, l),
    dropAnswers: (b, s) => store.dropAnswers(b, s),
    forget: (b, s) => store.forget(b, s),
    close: () => undefined,
  }
}

it('however many decide, release and sweep at once, on several gates over one store, one answer is released', async () => {
  const act = fc.record({
    gate: fc.integer({ min: 0, max: 2 }),
    what: fc.constantFrom('bob', 'carol', 'carol', 'deny', 'release', 'release', 'sweep', 'time'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 16 }), fc.scheduler(), async (acts, scheduler) => {
      const store = new MemoryEscalationStore()
      const slow = <A extends unknown[], T>(f: (...a: A) => T) => scheduler.scheduleFunction(async (...a: A) => f(...a))
      const shared: EscalationStore = {
        ...stubStore(store),
        get: slow(id => store.get(id)),
        replace: slow((n, a) => store.replace(n, a)),
        answer: slow(id => store.answer(id)),
      }
      const clock = new StillClock()
      const audit = new Log()
      const ports = {
        store: shared,
        box,
        audit,
        clock,
        random,
        policy: { approvers: ['human:bob', 'human:carol'] },
        ttlMs: 60_000,
      }
      const gates = [new Desk(ports), new Desk(ports), new Desk(ports)]
      const first = gates[0]
      if (first === undefined) return
      const { escalation: e } = await opened(first)
      const seen = new Set<string>()
      const work = acts.map(async ({ gate, what }, i): Promise<void> => {
        const d = gates[gate] ?? first
        if (what === 'time') clock.ms += 20_000
        else if (what === 'sweep') await d.sweep()
        else if (what === 'release') {
          const r = await d.release(e.id, made(`bytes ${i}`, clock))
          if (r.kind === 'released') seen.add(Buffer.from(r.bytes).toString())
        } else if (what === 'deny') await d.decide(e.id, { ...yes(e.digest), decision: 'deny' })
        else await d.decide(e.id, yes(e.digest, `human:${what}`))
      })
      await scheduler.waitFor(Promise.all(work))
      expect(seen.size).toBeLessThanOrEqual(1)
      const end = store.get(e.id)
      if (seen.size === 1) {
        expect(end?.state).toBe('released')
        const counted = audit.named('escalation.decided').filter(r => r.decision === 'allow')
        expect(new Set(counted.map(r => r.owner.id))).toEqual(new Set(['bob', 'carol']))
        expect(audit.named('escalation.released').length).toBeGreaterThan(0)
      } else expect(end?.state).not.toBe('released')
    }),
    { numRuns: 150 },
  )
})
