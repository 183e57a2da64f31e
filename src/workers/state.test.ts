/** State and signatures over a connection: the contract of shared state, and what a dead or lying worker may not do. */

import { createPublicKey, verify } from 'node:crypto'
import { duplexPair } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../core/clock.ts'
import type { AuditWriter } from '../core/row.ts'
import { IssuedCapabilities } from '../gate/issued.ts'
import { SigningKey } from '../keys/signing.ts'
import { ScheduledSigners } from '../keys/signing-keys.ts'
import { issueReceipt } from '../receipt/issue.ts'
import { MemoryEscalationStore } from '../state/escalations/memory.ts'
import { MemoryRedemptionStore } from '../state/redemptions/memory.ts'
import { contract } from '../state/testing/contract.test-support.ts'
import { CheckDurations } from '../telemetry/check-durations.ts'
import { Frames } from './frames.ts'
import { Link, type LinkPorts } from './link.ts'
import { memoryShared, quietPorts } from './testing/memory.test-support.ts'
import { Worker } from './worker.ts'

const audit: AuditWriter = {
  append: () => {
    throw new Error('no rows here')
  },
  ok: true,
  head: { size: 0n, hmac: undefined },
  drain: async () => undefined,
  close: async () => undefined,
}

async function settled(): Promise<void> {
  for (let i = 0; i < 30; i++) await new Promise(resolve => setImmediate(resolve))
}

async function connect(ports: Partial<LinkPorts> = {}) {
  const memory = memoryShared()
  const [here, there] = duplexPair()
  const link = new Link(
    here,
    { audit, ...quietPorts(), shared: memory.shared, ...ports },
    { onListening: () => undefined, onFailed: () => undefined },
  )
  let over = false
  const worker = new Worker(there, { onOver: () => (over = true) })
  await settled()
  return { link, worker, memory, over: () => over }
}

contract('over a connection', async () => {
  const { worker } = await connect()
  let now = 0
  return {
    ...worker.ground.shared,
    at: async (ms: number) => {
      now = ms
    },
    now: () => now,
  }
})

const MINUTE = 60_000

describe('several workers', () => {
  it('share one bucket, one ledger, one session, one record of ids', async () => {
    const one = await connect()
    const ports = { shared: one.memory.shared }
    const two = await connect(ports)
    const [a, b] = [one.worker.ground, two.worker.ground]
    let taken = 0
    for (let i = 0; i < 10; i++) if ((await (i % 2 ? a : b).shared.rateLimits.take('o', 5, 0, 0)).ok) taken++
    expect(taken).toBe(5)
    expect((await a.shared.budgets.reserve('o', 60, 100, MINUTE, 0)).ok).toBe(true)
    expect(await b.shared.budgets.reserve('o', 60, 100, MINUTE, 0)).toMatchObject({ ok: false, reserved: 60 })
    await a.shared.sessions.touch('o', 's', 1)
    expect((await b.shared.sessions.touch('o', 's', 2)).requestCount).toBe(2)
    await a.shared.references.remember('o', 'file', 'f1', 2)
    expect(await b.shared.references.find('o', 'file', 'f1')).toBe(2)
    expect(await b.shared.references.find('other', 'file', 'f1')).toBeUndefined()
  })

  it('share one store of escalations, and hear of each change', async () => {
    const heard: string[] = []
    const store = new MemoryEscalationStore()
    const ports = { escalations: store, onEscalation: (id: string) => heard.push(id) }
    const [a, b] = [(await connect(ports)).worker, (await connect(ports)).worker]
    const answer = Uint8Array.from({ length: 3_000_000 }, (_, i) => i)
    const first = {
      id: 'e1',
      ownerTag: 'o',
      state: 'pending',
      createdAtMs: 1,
      expiresAtMs: 9,
      version: 1,
      record: Uint8Array.of(1, 2),
    }
    await a.ground.escalations.create(first, answer)
    const got = await b.ground.escalations.get('e1')
    expect({ ...got, record: [...(got?.record ?? [])] }).toEqual({ ...first, record: [1, 2] })
    expect(Buffer.from((await b.ground.escalations.answer('e1')) ?? []).equals(answer)).toBe(true)
    await expect(async () => a.ground.escalations.create(first, answer)).rejects.toThrow()
    // Compare and set: of two, one.
    const next = { ...first, version: 2, state: 'approved' }
    const took = await Promise.all([a, b].map(w => w.ground.escalations.replace(next)))
    expect([...took].sort()).toEqual([false, true])
    expect((await a.ground.escalations.get('e1'))?.state).toBe('approved')
    expect((await a.ground.escalations.answer('e1'))?.length).toBe(answer.length)
    expect(await b.ground.escalations.replace({ ...next, version: 3 }, Uint8Array.of(7))).toBe(true)
    expect([...((await a.ground.escalations.answer('e1')) ?? [])]).toEqual([7])
    expect(await b.ground.escalations.replace({ ...next, version: 4 }, 'drop')).toBe(true)
    expect(await a.ground.escalations.answer('e1')).toBeUndefined()
    expect(await a.ground.escalations.get('none')).toBeUndefined()
    expect(heard).toEqual(['e1', 'e1', 'e1', 'e1'])
    const noticed = Promise.withResolvers<string>()
    const other = await connect(ports)
    other.worker.onNoticed = noticed.resolve
    other.link.noticed('e1')
    expect(await noticed.promise).toBe('e1')
  })

  it("know of each other's capabilities, and use one up once among them", async () => {
    const issued = new IssuedCapabilities({ now: () => 0 })
    const ports = { issued, redemptions: new MemoryRedemptionStore() }
    const [a, b] = [(await connect(ports)).worker.ground, (await connect(ports)).worker.ground]
    const one = { jti: 'j1', call: 'c', tool: 't', capability: 'x.y.z', expiresAtMs: 1000 }
    await a.issued.put('human:a', 'e1', one)
    expect(await b.issued.of('human:a', 'e1')).toEqual([one])
    expect(await b.issued.of('human:b', 'e1')).toEqual([])
    expect(await b.issued.knows('j1')).toBe(true)
    expect(await b.issued.knows('j2')).toBe(false)
    const uses = await Promise.all([a, b, a].map(w => w.redemptions(false).redeem('j1', '{"n":1}', 1000, 0)))
    expect([...uses].sort()).toEqual([false, false, true])
    expect(await b.redemptions(true).find('j1')).toBe('{"n":1}')
    expect(await b.redemptions(true).find('j2')).toBeUndefined()
    expect(await a.redemptions(true).settle('j1')).toBe(true)
    expect(await b.redemptions(true).settle('j1')).toBe(false)
    expect(a.redemptions(true).durable).toBe(true)
  })

  it('wait for the one transparency log, and count in the one place', async () => {
    const asked: unknown[] = []
    const counted: string[] = []
    const status = { ok: true, reason: undefined, halted: false, size: 3, behind: 1, behindMs: 5, witnessed: undefined }
    const one = await connect({
      log: {
        status,
        reached: async (index, level) => {
          asked.push([index, level])
          if (level === 'witnessed') throw new Error('not in time')
        },
      },
      counter: { exchange: outcome => counted.push(outcome) },
    })
    const { log, counting } = one.worker.ground
    await log.reached(7, 'logged')
    await expect(log.reached(8, 'witnessed')).rejects.toThrow()
    expect(asked).toEqual([
      [7, 'logged'],
      [8, 'witnessed'],
    ])
    expect(await log.status).toEqual(status)
    counting(() => ({ active: 4, heldBytes: 99 })).exchange('completed')
    await settled()
    expect(counted).toEqual(['completed'])
    expect(one.link.load).toEqual({ active: 4, heldBytes: 99 })
  })

  it('have what their checks took added up in the one place: when the timer runs, and at the end', async () => {
    const times = new CheckDurations(() => 0)
    times.at('a', 'admission')
    const [one, two] = [await connect({ times }), await connect({ times })]
    const timers: (() => void)[] = []
    const clock: Clock = {
      now: () => 0,
      nowNs: () => 0n,
      timer: (_, f) => {
        timers.push(f)
        return () => undefined
      },
    }
    const [first, second] = [one, two].map(w => w.worker.ground.timing(clock, () => 0).at('a', 'admission'))
    for (const ms of [1, 2, 3]) first?.(ms)
    second?.(40)
    await settled()
    // One timer each, however much is measured; nothing has been said yet.
    expect([timers.length, times.of('a', 'admission')]).toEqual([2, undefined])
    timers[0]?.()
    await settled()
    expect(times.of('a', 'admission')).toMatchObject({ n: 3, maxMs: 3 })
    await two.worker.finish()
    await settled()
    expect(times.of('a', 'admission')).toMatchObject({ n: 4, maxMs: 40 })
    first?.(5)
    expect(timers).toHaveLength(3)
  })

  it('are charged for what they had reserved when they die, whole, and for what they settled, once', async () => {
    const one = await connect()
    const { budgets } = one.worker.ground.shared
    const first = await budgets.reserve('o', 30, 100, MINUTE, 0)
    await budgets.reserve('o', 40, 100, MINUTE, 0)
    if (first.ok) {
      await budgets.settle(first.reservation, 5)
      await budgets.settle(first.reservation, 5)
    }
    one.link.end()
    expect(await one.link.over).toBe(1)
    expect(one.memory.budgets.open).toBe(0)
    expect(one.memory.budgets.reserve('o', 56, 100, MINUTE, 0)).toMatchObject({ ok: false, used: 45, reserved: 0 })
    expect(one.memory.budgets.reserve('o', 55, 100, MINUTE, 0)).toMatchObject({ ok: true })
  })

  it("cannot settle each other's reservations", async () => {
    const one = await connect()
    const two = await connect({ shared: one.memory.shared })
    const made = await one.worker.ground.shared.budgets.reserve('o', 100, 100, MINUTE, 0)
    if (made.ok) await two.worker.ground.shared.budgets.settle(made.reservation, 0)
    expect((await two.worker.ground.shared.budgets.reserve('o', 1, 100, MINUTE, 0)).ok).toBe(false)
  })

  it('fail every call when the primary is gone, and say that state is out of reach', async () => {
    const never = new Promise<never>(() => undefined)
    const one = await connect({ shared: { ...memoryShared().shared, sessions: { touch: () => never } } })
    const waiting = one.worker.ground.shared.sessions.touch('o', 's', 1)
    one.link.end()
    await expect(waiting).rejects.toThrow(/primary process is gone/)
    await expect(one.worker.ground.shared.rateLimits.take('o', 1, 1, 0)).rejects.toThrow(/gone/)
    expect(await one.worker.ground.shared.reachable()).toBe(false)
    expect(one.over()).toBe(true)
  })

  it("get a failure's name and not its text", async () => {
    const one = await connect({
      shared: {
        ...memoryShared().shared,
        sessions: {
          touch: () => {
            throw new RangeError('human:alice has done it')
          },
        },
      },
    })
    await expect(one.worker.ground.shared.sessions.touch('o', 's', 1)).rejects.toMatchObject({
      name: 'RangeError',
      message: expect.not.stringContaining('alice'),
    })
  })
})

describe('signing through the primary', () => {
  const claims = {
    iss: 'i',
    iat: 1,
    jti: 'j',
    exchange: 'e',
    stage: 'admission',
    decision: 'allow',
    final: false,
    req: 'sha256:00',
    leaf: { v: 1, entry_id: 'j', exchange: 'e', ts_ns: '1', decision: 'allow', commit: 'c' },
  } as const
  const dated = (signer: SigningKey, notBefore?: number, notAfter?: number) => ({
    signer,
    notBefore,
    notAfter,
    withdrawn: false,
  })

  it('gives the signature of its key, and only to receipts', async () => {
    const key = SigningKey.generate()
    const { worker } = await connect({ receipts: ScheduledSigners.of(key) })
    expect(worker.ground.receipts.published(0)).toEqual([key.publicJwk])
    const signer = worker.ground.receipts.at(Date.now())
    if (signer === undefined) throw new Error('expected a signer')
    const receipt = await issueReceipt(claims, signer)
    const cut = receipt.lastIndexOf('.')
    const signature = Buffer.from(receipt.slice(cut + 1), 'base64url')
    expect(verify(null, Buffer.from(receipt.slice(0, cut)), createPublicKey(key.publicPem()), signature)).toBe(true)
    const capability = Buffer.from('{"alg":"EdDSA","typ":"signet-capability+jwt"}').toString('base64url')
    await expect(signer.sign(Buffer.from(`${capability}.e30`))).rejects.toThrow()
    await expect(signer.sign(Buffer.from('signet-head-v1'))).rejects.toThrow()
  })

  it('keeps the keys of the two purposes apart', async () => {
    const [receipts, capabilities] = [SigningKey.generate(), SigningKey.generate()]
    const { worker } = await connect({
      receipts: ScheduledSigners.of(receipts),
      capabilities: ScheduledSigners.of(capabilities),
    })
    const { ground } = worker
    expect(ground.receipts.at(0)?.kid).toBe(receipts.kid)
    const signer = ground.capabilities.at(0)
    expect(signer?.kid).toBe(capabilities.kid)
    const header = (typ: string) =>
      Buffer.from(`{"alg":"EdDSA","typ":"${typ}","kid":"${signer?.kid}"}`).toString('base64url')
    expect(await signer?.sign(Buffer.from(`${header('signet-capability+jwt')}.e30`))).toHaveLength(64)
    await expect(signer?.sign(Buffer.from(`${header('signet-receipt+jwt')}.e30`))).rejects.toThrow()
  })

  it('follows a rotation, signs for a moment longer with the old key, and stops when none is valid', async () => {
    const [one, two] = [SigningKey.generate(), SigningKey.generate()]
    const day = 86_400_000
    let now = day
    const keys = new ScheduledSigners([dated(one)])
    const { worker, link } = await connect({ receipts: keys, now: () => now })
    const { receipts } = worker.ground
    const before = receipts.at(now)
    keys.replace([dated(one), dated(two, 2 * day, 3 * day)])
    link.keys()
    await settled()
    expect(receipts.published(now).map(k => k.kid)).toEqual([one.kid, two.kid])
    expect(receipts.at(now)?.kid).toBe(one.kid)
    now = 2 * day
    expect(receipts.at(now)?.kid).toBe(two.kid)
    if (before === undefined) throw new Error('expected a signer')
    await issueReceipt(claims, before)
    now += 3_600_000
    await expect(issueReceipt(claims, before)).rejects.toThrow()
    now = 3 * day
    expect(receipts.at(now)).toBeUndefined()
    // A signer process that is down.
    keys.replace([])
    link.keys()
    await settled()
    expect(receipts.at(day)).toBeUndefined()
  })
})

describe('a connection', () => {
  it.each([
    ['a word that it does not know', [['what', 1]]],
    ['a row without an owner', [['row', 0, { entryId: 'x' }]]],
    ['a call that is none', [['call', 0, 'audit.close', []]]],
    ['arguments that are objects', [['call', 0, 'session.touch', [{}]]]],
    ['no list', { row: 1 }],
  ])('ends at %s', async (_, said) => {
    const [here, there] = duplexPair()
    const link = new Link(
      here,
      { audit, ...quietPorts() },
      {
        onListening: () => undefined,
        onFailed: () => undefined,
      },
    )
    const body = Buffer.from(JSON.stringify(said))
    const head = Buffer.alloc(4)
    head.writeUInt32BE(body.length)
    there.write(Buffer.concat([head, body]))
    expect(await link.over).toBe(0)
  })

  it('ends at a frame that is too long, before it is read', async () => {
    const [here, there] = duplexPair()
    const { promise, resolve } = Promise.withResolvers<void>()
    new Frames(here, () => undefined, resolve)
    there.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))
    await promise
  })

  it('gives whole messages in order, however the bytes are cut', async () => {
    const [here, there] = duplexPair()
    const sent: Buffer[] = []
    there.on('data', (chunk: Buffer) => sent.push(chunk))
    const said = Array.from({ length: 40 }, (_, i) => ['m', i, 'é'.repeat(i * 7)])
    const out = new Frames(
      here,
      () => undefined,
      () => undefined,
    )
    for (const [i, message] of said.entries()) {
      out.say(message)
      if (i % 3 === 0) await settled()
    }
    await settled()
    const bytes = Buffer.concat(sent)
    for (const step of [1, 2, 3, 5, 7, 64, 1000, bytes.length]) {
      const [a, b] = duplexPair()
      const got: unknown[] = []
      new Frames(
        b,
        m => got.push(m),
        () => undefined,
      )
      for (let at = 0; at < bytes.length; at += step) {
        a.write(bytes.subarray(at, at + step))
        if (step > 2) await new Promise(resolve => setImmediate(resolve))
      }
      while (got.length < said.length) await settled()
      expect(got).toEqual(said)
    }
  })
})
