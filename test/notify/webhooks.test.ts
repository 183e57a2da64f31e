/** Webhooks to real receivers, good and bad: what they get, when they get it again, and that nothing else depends on them. */
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { NoticeStore } from '../../src/core/state.ts'
import { Notifier, type NotifierPorts } from '../../src/notify/notifier.ts'
import { readNotifications } from '../../src/notify/settings.ts'
import { webhookDestination } from '../../src/notify/webhook/webhook.ts'
import { type Egress, EgressFailed, openEgress } from '../../src/plugins/egress.ts'
import { openSqliteNotices } from '../../src/state/notices/sqlite-thread.ts'
import { systemRandom } from '../../src/state/system.ts'
import { type Got, impatient, type Receiver, receiver, type TestDesk, testDesk } from './stand.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-webhooks-'))
const egress = openEgress()
const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(async () => {
  await egress.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Nothing but that, however much time passes. */
const CREATED = { events: ['escalation.created'] }
const SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`
let files = 0
const newFile = () => join(folder, `${++files}.db`)

interface Setup {
  readonly t: TestDesk
  readonly notifier: Notifier
  readonly store: NoticeStore
  readonly said: string[]
}

interface Options {
  readonly t?: TestDesk
  readonly path?: string
  readonly input?: object
  readonly egress?: Egress
  readonly wrap?: (store: NoticeStore) => NoticeStore
  readonly ports?: Partial<NotifierPorts>
  readonly start?: boolean
}

/** A notifier over a desk, with one webhook at `url`. */
async function setUp(url: string, o: Options = {}): Promise<Setup> {
  const t = o.t ?? testDesk()
  const { webhooks } = readNotifications({ webhooks: [{ name: 'ops', url, ...o.input }] })
  const random = systemRandom()
  const destinations = webhooks.map(w =>
    webhookDestination(w, {
      egress: o.egress ?? egress,
      consoleUrl: 'https://signet.example.com',
      sealed: false,
      secrets: [SECRET],
      newId: () => random.uuid(),
    }),
  )
  const real = await openSqliteNotices(o.path ?? newFile())
  const store = o.wrap?.(real) ?? real
  const said: string[] = []
  const { audit, clock } = t
  const notifier = new Notifier({
    store,
    destinations,
    audit,
    clock,
    random,
    onState: (_, text) => said.push(text),
    ...o.ports,
  })
  await notifier.open()
  t.followers.push(notifier.tell)
  if (o.start !== false) notifier.start(t.desk)
  ends.push(() => notifier.close())
  return { t, notifier, store, said }
}

async function listening(answer: (res: ServerResponse, got: Got, nth: number) => void): Promise<Receiver> {
  const r = await receiver(answer)
  ends.push(() => r.close())
  return r
}
function hurried(calls: number): Egress {
  const made = impatient(calls)
  ends.push(() => made.close())
  return made
}
const ok = () => listening(res => res.writeHead(204).end())
const type = (got: Got) => (JSON.parse(got.body) as { type: string }).type
const verified = (got: Got) => new Webhook(SECRET).verify(got.body, got.headers as Record<string, string>)

describe('a webhook', () => {
  it('is told thinly what happens, signed, under an id of its own', async () => {
    const r = await ok()
    const { t, notifier } = await setUp(r.url)
    const e = await t.hold()
    await notifier.quiet()
    await t.decide(e)
    await notifier.quiet()
    expect(r.got.map(type)).toEqual(['escalation.created', 'escalation.approved'])
    expect(r.got.map(verified)[0]).toEqual({
      type: 'escalation.created',
      timestamp: new Date(e.createdAtMs).toISOString(),
      data: {
        id: e.id,
        exchange: e.exchange,
        owner: 'agent:crawler-7',
        stage: 'commitment',
        check: 'tool_call_inspector',
        digest: e.digest,
        expires_at: new Date(e.expiresAtMs).toISOString(),
        url: `https://signet.example.com/console/#/approvals/${e.id}`,
        calls: [{ tool: 'issue_refund', tier: 'high', arguments_digest: e.calls[0]?.argumentsDigest }],
      },
    })
    expect(new Set(r.got.map(g => g.headers['webhook-id'])).size).toBe(2)
    expect(r.got.map(g => g.body).join()).not.toContain('50000')
    expect(notifier.status).toEqual([
      {
        name: 'webhook:ops',
        label: 'webhook:ops',
        delivered: 2,
        failed: 0,
        givenUp: 0,
        waiting: 0,
        disabled: false,
      },
    ])
  })

  it.each<[string, (t: TestDesk) => Promise<void>, string]>([
    ['a denial', async t => t.decide(await t.hold(), 'deny'), 'escalation.denied'],
    [
      'an expiry',
      async t => {
        await t.hold()
        t.clock.pass(900_000)
        await t.desk.sweep()
      },
      'escalation.expired',
    ],
    [
      'a release',
      async t => {
        const e = await t.hold()
        await t.decide(e)
        await t.desk.release(e.id, async () => ({
          kind: 'bytes',
          bytes: Buffer.from('x'),
          tail: 0,
          jtis: [],
          untilMs: t.clock.ms + 1000,
        }))
      },
      'escalation.released',
    ],
  ])('is told of %s', async (_, what, event) => {
    const r = await ok()
    const { t, notifier } = await setUp(r.url, { input: { events: [event] } })
    await what(t)
    await notifier.quiet()
    expect(r.got.map(type)).toEqual([event])
  })

  it('gets the arguments only where the operator says so', async () => {
    const r = await ok()
    const { t, notifier } = await setUp(r.url, { input: { includeArguments: true } })
    await t.hold([['issue_refund', '{"amount":50000,"to":"\u202eX"}']])
    await notifier.quiet()
    expect(verified(r.got[0] as Got)).toMatchObject({
      data: { calls: [{ arguments: '{"amount":50000,"to":"\\u202eX"}' }] },
    })
  })
})

describe('a receiver that fails', () => {
  const FAILURES: readonly (readonly [string, (res: ServerResponse) => void])[] = [
    ['with 500', res => res.writeHead(500).end('no')],
    ['with 404', res => res.writeHead(404).end()],
    ['with a redirect', res => res.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
    ['by hanging', () => undefined],
    ['by dripping its head', res => res.socket?.write('HTTP/1.1 200 OK\r\nx: ')],
    [
      'by an endless body',
      res => {
        res.writeHead(200)
        const drip = () => {
          if (!res.destroyed && res.write(Buffer.alloc(16_384))) setImmediate(drip)
          else res.once('drain', drip)
        }
        drip()
      },
    ],
    ['by closing the connection', res => res.socket?.destroy()],
    ['with nonsense', res => res.socket?.end('hello\r\n\r\n')],
  ]
  it.each(FAILURES)('%s gets the same again, later, under the same id and with a new time', async (_, fail) => {
    const r = await listening((res, _got, nth) => (nth === 1 ? fail(res) : res.writeHead(200).end()))
    const { t, notifier, said } = await setUp(r.url, { egress: hurried(1) })
    // A verdict waits for nobody who is told of it.
    const e = await t.hold()
    await t.decide(e, 'deny')
    await notifier.quiet()
    const [first, second] = r.got
    expect([type(first as Got), type(second as Got)]).toEqual(['escalation.created', 'escalation.denied'])
    expect(r.got).toHaveLength(2)
    t.clock.pass(3_900)
    await notifier.quiet()
    expect(r.got).toHaveLength(2)
    t.clock.pass(2_200)
    await notifier.quiet()
    const again = r.got[2] as Got
    expect(again.headers['webhook-id']).toBe(first?.headers['webhook-id'])
    expect(again.body).toBe(first?.body)
    expect(Number(again.headers['webhook-timestamp'])).toBeGreaterThan(Number(first?.headers['webhook-timestamp']) + 4)
    expect(verified(again)).toBeDefined()
    expect(said).toHaveLength(2)
    expect(said[0]).toMatch(/^notices do not reach webhook:ops: /)
    expect(said[1]).toBe('notices reach webhook:ops again')
    expect(notifier.status[0]).toMatchObject({ delivered: 2, failed: 1, waiting: 0 })
  })

  it('by a redirect does not lead us anywhere', async () => {
    const elsewhere = await ok()
    const r = await listening(res => res.writeHead(308, { location: `${elsewhere.url}/admin` }).end())
    const { t, notifier } = await setUp(r.url)
    await t.hold()
    await notifier.quiet()
    expect(r.got).toHaveLength(1)
    expect(elsewhere.got).toHaveLength(0)
  })

  it('for twenty hours is given up, which is a row', async () => {
    const r = await listening(res => res.writeHead(500).end())
    const { t, notifier } = await setUp(r.url, { input: CREATED })
    const e = await t.hold()
    for (let i = 0; i < 20; i += 1) {
      await notifier.quiet()
      t.clock.pass(3 * 3_600_000)
    }
    await notifier.quiet()
    expect(new Set(r.got.map(g => g.headers['webhook-id'])).size).toBe(1)
    expect(r.got).toHaveLength(10)
    const [row] = t.audit.named('notification.given_up')
    expect(row).toMatchObject({
      checkName: 'pipeline.notification',
      metadata: {
        _escalation_id: e.id,
        _event: 'escalation.created',
        _destination: 'webhook:ops',
        _attempts: 10,
        _problem: 'it answered 500',
      },
    })
    expect(notifier.status[0]).toMatchObject({ delivered: 0, failed: 10, givenUp: 1, waiting: 0 })
  })

  it('and asks for patience gets it, for everything that is meant for it', async () => {
    const r = await listening((res, _got, nth) =>
      nth === 1 ? res.writeHead(429, { 'retry-after': '3600' }).end() : res.writeHead(200).end(),
    )
    const { t, notifier } = await setUp(r.url, { input: CREATED })
    await t.hold()
    await notifier.quiet()
    await t.hold()
    t.clock.pass(3_599_000)
    await notifier.quiet()
    expect(r.got).toHaveLength(1)
    t.clock.pass(2_000)
    await notifier.quiet()
    expect(r.got.map(type)).toEqual(['escalation.created', 'escalation.created', 'escalation.created'])
    expect(new Set(r.got.map(g => g.headers['webhook-id'])).size).toBe(2)
  })

  it('with 410 wants no more: a row, and nothing else is sent until the operator says so', async () => {
    const r = await listening((res, _got, nth) => res.writeHead(nth === 1 ? 410 : 200).end())
    const { t, notifier, store } = await setUp(r.url)
    await t.hold()
    await notifier.quiet()
    await t.hold()
    t.clock.pass(100 * 3_600_000)
    await notifier.quiet()
    expect(r.got).toHaveLength(1)
    expect(t.audit.named('notification.disabled')).toHaveLength(1)
    expect(notifier.status[0]).toMatchObject({ disabled: true, givenUp: 1 })
    await store.disable('webhook:ops', undefined)
    await t.hold()
    await notifier.quiet()
    expect(r.got).toHaveLength(2)
    expect(notifier.status[0]).toMatchObject({ disabled: false })
  })

  it('holds up no other destination', async () => {
    const good = await ok()
    const bad = await listening(() => undefined)
    const t = testDesk()
    const a = await setUp(bad.url, { t, egress: hurried(10) })
    const b = await setUp(good.url, { t })
    await t.hold()
    await b.notifier.quiet()
    expect(good.got).toHaveLength(1)
    await a.notifier.quiet()
  })

  it('by not listening at all is tried again', async () => {
    const probe = createTcpServer()
    await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve))
    const address = probe.address()
    await new Promise(resolve => probe.close(resolve))
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { t, notifier } = await setUp(`http://127.0.0.1:${port}/`)
    await t.hold()
    await notifier.quiet()
    expect(notifier.status[0]).toMatchObject({ failed: 1, waiting: 1 })
  })
})

describe('what happened', () => {
  it('while nobody could write it down is found in the escalations', async () => {
    const r = await ok()
    let broken = true
    const failing = (real: NoticeStore): NoticeStore =>
      new Proxy(real, {
        get: (target, name) =>
          name === 'add' && broken
            ? () => Promise.reject(new Error('disk full'))
            : Reflect.get(target, name).bind(target),
      })
    const { t, notifier, said } = await setUp(r.url, { wrap: failing })
    await t.hold()
    await notifier.quiet()
    expect(r.got).toHaveLength(0)
    broken = false
    t.clock.pass(5_000)
    await notifier.quiet()
    expect(said).toEqual(['notices cannot be written down: disk full', 'notices are written down again'])
    expect(r.got.map(type)).toEqual(['escalation.created'])
  })

  it('before a kill that came between the escalation and its notice is told after the start, once', async () => {
    const r = await ok()
    const path = newFile()
    const t = testDesk()
    const first = await setUp(r.url, { t, path })
    await first.notifier.close()
    t.followers.length = 0
    // Made durable by a process that died right after.
    const e = await t.hold()
    await t.decide(e)
    const second = await setUp(r.url, { t, path })
    await second.notifier.quiet()
    expect(r.got.map(type)).toEqual(['escalation.created', 'escalation.approved'])
    await second.notifier.close()
    const third = await setUp(r.url, { t, path })
    await third.notifier.quiet()
    t.clock.pass(600_000)
    await third.notifier.quiet()
    expect(r.got).toHaveLength(2)
  })

  it('before anybody was to be told is not told', async () => {
    const r = await ok()
    const t = testDesk()
    await t.hold()
    t.clock.pass(1)
    const { notifier } = await setUp(r.url, { t })
    await notifier.quiet()
    expect(r.got).toHaveLength(0)
  })

  it('and was being sent when the gate closed is sent at the next start, under the same id', async () => {
    const r = await listening((res, _got, nth) => (nth === 1 ? undefined : res.writeHead(200).end()))
    const path = newFile()
    const t = testDesk()
    const first = await setUp(r.url, { t, path })
    await t.hold()
    await r.came(1)
    await first.notifier.close()
    const second = await setUp(r.url, { t, path })
    await second.notifier.quiet()
    expect(r.got).toHaveLength(2)
    expect(r.got[1]?.headers['webhook-id']).toBe(r.got[0]?.headers['webhook-id'])
  })

  it('and was being sent by a process that died is sent when its lease is over', async () => {
    const r = await ok()
    const path = newFile()
    const { t, notifier, store } = await setUp(r.url, { path, start: false })
    await t.hold()
    await notifier.quiet()
    // Taken, and never settled.
    await store.take('webhook:ops', t.clock.ms, t.clock.ms + 20_000)
    notifier.start(t.desk)
    await notifier.quiet()
    expect(r.got).toHaveLength(0)
    t.clock.pass(20_000)
    await notifier.quiet()
    expect(r.got).toHaveLength(1)
  })

  it('and ends the gate each time it is being sent is not sent without end: ten times, and later each time', async () => {
    const path = newFile()
    const t = testDesk()
    let alive = true
    const mortal = (real: NoticeStore): NoticeStore =>
      new Proxy(real, {
        get: (target, name) =>
          name === 'close' || alive
            ? Reflect.get(target, name).bind(target)
            : () => Promise.reject(new Error('killed: nothing is written any more')),
      })
    let sent = 0
    const deadly: Egress = {
      send: async () => {
        sent += 1
        alive = false
        throw new EgressFailed('unreachable', 'the process is gone')
      },
      close: async () => undefined,
    }
    const live = async (held = false): Promise<number> => {
      alive = true
      t.followers.length = 0
      const { notifier } = await setUp('http://127.0.0.1:1/', {
        t,
        path,
        input: CREATED,
        wrap: mortal,
        egress: deadly,
      })
      if (held) await t.hold()
      await notifier.quiet()
      alive = false
      await notifier.close()
      return sent
    }
    expect(await live(true)).toBe(1)
    for (let lives = 1; lives <= 12; lives += 1) {
      // Restarted at once, it waits; after the longest pause it is tried again.
      const before = sent
      expect(await live()).toBe(before)
      t.clock.pass(8 * 3_600_000)
      await live()
    }
    expect(sent).toBe(10)
    expect(t.audit.named('notification.given_up').map(row => row.metadata['_problem'])).toEqual([
      'the gate ended each time while it was being sent',
    ])
  })

  it('and cannot be written down because the file is gone is said to the operator, once', async () => {
    const r = await ok()
    const path = newFile()
    const { t, notifier, said } = await setUp(r.url, { path })
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`)
    const e = await t.hold()
    await t.decide(e, 'deny')
    await notifier.quiet()
    t.clock.pass(5_000)
    await notifier.quiet()
    expect(said).toEqual([expect.stringMatching(/^notices cannot be written down: .*was moved, deleted or replaced/)])
    expect((await t.desk.find(e.id))?.state).toBe('denied')
  })

  it('is told once by two processes that share the file', async () => {
    const r = await ok()
    const path = newFile()
    const t = testDesk()
    const a = await setUp(r.url, { t, path })
    const b = await setUp(r.url, { t, path })
    for (let i = 0; i < 20; i += 1) await t.hold()
    await a.notifier.quiet()
    await b.notifier.quiet()
    const ids = r.got.map(g => g.headers['webhook-id'])
    expect(new Set(ids).size).toBe(20)
    expect(ids).toHaveLength(20)
  })

  it('more often than may wait: the oldest notice gives way, which is a row', async () => {
    const r = await listening(res => res.writeHead(503, { 'retry-after': '60' }).end())
    const { t, notifier } = await setUp(r.url, { ports: { mostWaiting: 2 } })
    const held = []
    for (let i = 0; i < 4; i += 1) {
      held.push((await t.hold()).id)
      await notifier.quiet()
      t.clock.pass(1)
    }
    expect(t.audit.named('notification.given_up').map(row => row.metadata['_escalation_id'])).toEqual(held.slice(0, 2))
    expect(notifier.status[0]).toMatchObject({ givenUp: 2 })
  })

  it('to more escalations than fit a page is found all the same', async () => {
    const r = await ok()
    const t = testDesk()
    const path = newFile()
    await (await setUp(r.url, { t, path })).notifier.close()
    t.followers.length = 0
    for (let i = 0; i < 120; i += 1) await t.hold()
    const { notifier } = await setUp(r.url, { t, path })
    await notifier.quiet()
    expect(new Set(r.got.map(g => g.headers['webhook-id'])).size).toBe(120)
  })
})

it('nobody waits for a notice: telling throws nothing and takes no turn, with a log and a store that fail', async () => {
  const r = await listening(() => undefined)
  const broken = (real: NoticeStore): NoticeStore =>
    new Proxy(real, {
      get: (target, name) =>
        name === 'use' || name === 'close'
          ? Reflect.get(target, name).bind(target)
          : () => Promise.reject(new Error('the store is gone')),
    })
  const { t, notifier } = await setUp(r.url, { wrap: broken })
  const e = await t.hold()
  await t.decide(e, 'deny')
  expect((await t.desk.find(e.id))?.state).toBe('denied')
  await notifier.quiet()
})
