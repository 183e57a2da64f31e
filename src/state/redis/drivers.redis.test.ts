/** The Redis drivers against a real server: many processes, wrong clocks, foreign data, full memory, forgotten scripts. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { SharedState } from '../../core/state.ts'
import { keyName } from './keys.ts'
import { openRedisState, type RedisStateOptions } from './open.ts'
import { type RedisServer, startRedis, until } from './testing/server.test-support.ts'

const DAY = 86_400_000
/** What no gate's clock says. */
const WRONG = 4_102_444_800_000

let server: RedisServer
let state: SharedState
beforeAll(async () => {
  server = await startRedis()
  state = await open()
})
afterAll(async () => {
  await state.close()
  await server.close()
})
beforeEach(() => server.command('FLUSHALL'))

async function open(options: Partial<RedisStateOptions> = {}): Promise<SharedState> {
  const opened = await openRedisState({ url: server.url, ...options })
  await until(() => opened.reachable(), 'a connection to Redis')
  return opened
}

/** One call of every operation, for one owner. */
async function everything(s: SharedState, owner = 'human:alice'): Promise<unknown[]> {
  const r = await s.budgets.reserve(owner, 5, 100, DAY, 0)
  return [
    await s.rateLimits.take(owner, 5, 1, 0),
    r.ok && (await s.budgets.settle(r.reservation, 3)),
    await s.sessions.touch(owner, 's', 0),
    await s.references.remember(owner, 'file', 'f', 1),
    await s.references.find(owner, 'file', 'f'),
  ]
}

async function keys(): Promise<string[]> {
  const found = await server.command('KEYS', '*')
  return Array.isArray(found) ? found.map(String) : []
}

describe('several processes', () => {
  const child = fileURLToPath(new URL('./testing/taker.test-support.ts', import.meta.url))

  it('never get more than there is, whatever their clocks say', { timeout: 120_000 }, async () => {
    const offsets = [0, DAY * 3, -DAY * 400, 90_000]
    const all = await Promise.all(
      offsets.map(async offset => {
        const { stdout } = await promisify(execFile)(process.execPath, [child, server.url, String(offset), '400'])
        return JSON.parse(stdout) as { tokens: number; reserved: number }
      }),
    )
    expect(all.reduce((sum, c) => sum + c.tokens, 0)).toBe(100)
    const reserved = all.reduce((sum, c) => sum + c.reserved, 0)
    expect(reserved).toBeLessThanOrEqual(1_000)
    expect(await state.budgets.reserve('shared', 1_000, 1_000, DAY, 0)).toMatchObject({ ok: false, used: 0, reserved })
    // What was given back is there for others, all of it and once.
    expect((await state.budgets.reserve('shared', 1_000 - reserved, 1_000, DAY, 0)).ok).toBe(true)
  })
})

describe('the server’s clock', () => {
  it('is the only one that counts', async () => {
    expect((await state.rateLimits.take('a', 1, 0.001, WRONG)).ok).toBe(true)
    expect((await state.rateLimits.take('a', 1, 0.001, WRONG * 2)).ok).toBe(false)
    const r = await state.budgets.reserve('a', 100, 100, DAY, WRONG)
    expect(r.ok).toBe(true)
    expect(await state.budgets.reserve('a', 1, 100, DAY, WRONG * 2)).toMatchObject({ ok: false, reserved: 100 })
    const seen = await state.sessions.touch('a', 's', WRONG)
    const [seconds] = (await server.command('TIME')) as string[]
    expect(Math.abs(seen.lastSeenAtMs / 1000 - Number(seconds))).toBeLessThan(60)
  })

  it('refills by itself', async () => {
    await state.rateLimits.take('a', 1, 1_000, 0)
    await until(async () => (await state.rateLimits.take('a', 1, 1_000, 0)).ok, 'a token')
  })

  it('ends a window and with it what nobody settled', async () => {
    const reserved = () => state.budgets.reserve('a', 100, 100, 200, 0)
    await until(async () => (await reserved()).ok, 'a first window')
    const left = await reserved()
    // Nobody settles: the next window gives it back, no sooner.
    if (!left.ok) expect(left).toMatchObject({ reserved: 100 })
    await until(async () => (await reserved()).ok, 'the next window')
  })
})

describe('keys', () => {
  it('all end by themselves, are digests, and name nobody', async () => {
    await everything(state, 'human:{alice}\r\nSET x 1')
    const all = await keys()
    expect(all.sort()).toEqual([
      expect.stringMatching(/^signet:budget:[\w-]{43}$/),
      // The connection was asked for once.
      ...all.filter(k => k === 'signet:probe'),
      expect.stringMatching(/^signet:ratelimit:[\w-]{43}$/),
      expect.stringMatching(/^signet:reference:[\w-]{43}$/),
      expect.stringMatching(/^signet:session:[\w-]{43}$/),
    ])
    for (const key of all) expect(Number(await server.command('PTTL', key))).toBeGreaterThan(0)
  })

  it('of a hard quota and of a slow bucket last for 400 days', async () => {
    await state.rateLimits.take('a', 1, 0, 0)
    await state.rateLimits.take('b', 1, 1e-12, 0)
    for (const owner of ['a', 'b']) {
      const left = Number(await server.command('PTTL', keyName('signet:', 'ratelimit', owner)))
      expect(left).toBeGreaterThan(399 * DAY)
      expect(left).toBeLessThanOrEqual(400 * DAY)
    }
  })

  it('of two owners are never one', () => {
    const text = fc.string({ unit: 'binary', maxLength: 12 })
    fc.assert(
      fc.property(text, text, text, text, (a, b, c, d) => {
        fc.pre(a !== c || b !== d)
        expect(keyName('p:', 'session', a, b)).not.toBe(keyName('p:', 'session', c, d))
        expect(keyName('p:', 'session', a, b)).not.toBe(keyName('p:', 'session', a + b))
      }),
    )
  })

  it('of another prefix are another state', async () => {
    const other = await open({ keyPrefix: 'staging:' })
    expect((await state.rateLimits.take('a', 1, 0, 0)).ok).toBe(true)
    expect((await other.rateLimits.take('a', 1, 0, 0)).ok).toBe(true)
    await other.close()
  })
})

describe('one round trip', () => {
  it('is what every operation takes, once its script is known', async () => {
    await everything(state)
    await server.command('CONFIG', 'RESETSTAT')
    await everything(state)
    const stats = String(await server.command('INFO', 'commandstats'))
    // reserve, take, settle, touch, remember, find.
    expect(stats).toMatch(/^cmdstat_evalsha:calls=6,/m)
    expect(stats).not.toMatch(/^cmdstat_eval:/m)
  })

  it('becomes two after SCRIPT FLUSH, and the answer stays right', async () => {
    expect(await state.rateLimits.take('a', 3, 0, 0)).toEqual({ ok: true, remaining: 2 })
    const taken: Promise<{ readonly ok: boolean }>[] = []
    for (let i = 0; i < 20; i++) {
      if (i % 3 === 0) await server.command('SCRIPT', 'FLUSH')
      taken.push(Promise.resolve(state.rateLimits.take('a', 3, 0, 0)))
    }
    expect((await Promise.all(taken)).filter(t => t.ok)).toHaveLength(2)
  })
})

describe('somebody else’s data under a key', () => {
  const rate = keyName('signet:', 'ratelimit', 'a')
  const ledger = keyName('signet:', 'budget', 'a')
  const sessions = keyName('signet:', 'session', 'a')
  const references = keyName('signet:', 'reference', 'a')
  const take = () => state.rateLimits.take('a', 5, 1, 0)
  const reserve = () => state.budgets.reserve('a', 5, 100, DAY, 0)
  const touch = () => state.sessions.touch('a', 's', 0)
  const find = () => state.references.find('a', 'file', 'f')
  const remember = () => state.references.remember('a', 'file', 'f', 0)

  it.each([
    ['a list as a bucket', ['LPUSH', rate, 'x'], take],
    ['a hash as a bucket', ['HSET', rate, 'tokens', '1'], take],
    ['words as a bucket', ['SET', rate, 'hello'], take],
    ['nan as a bucket', ['SET', rate, '1 nan 5'], take],
    ['inf as a bucket', ['SET', rate, '1 inf 5'], take],
    ['less than nothing as a bucket', ['SET', rate, '1 -5 5'], take],
    ['a bucket of another version', ['SET', rate, '2 5 5'], take],
    ['nothing as a bucket', ['SET', rate, ''], take],
    ['a string as a ledger', ['SET', ledger, 'x'], reserve],
    ['a stranger’s hash as a ledger', ['HSET', ledger, 'name', 'x'], reserve],
    ['a ledger without its end', ['HSET', ledger, 'v', '1', 'used', '0', 'reserved', '0'], reserve],
    ['a ledger that owes', ['HSET', ledger, 'v', '1', 'end', '9e99', 'used', '-50', 'reserved', '0'], reserve],
    ['a ledger of another version', ['HSET', ledger, 'v', '2', 'end', '9e15', 'used', '0', 'reserved', '0'], reserve],
    ['a string as sessions', ['SET', sessions, 'x'], touch],
    ['a string as references', ['SET', references, 'x'], find],
    ['a set as references', ['SADD', references, 'x'], remember],
  ] as const)('%s is an error, stays as it is, and grants nothing', async (_what, command, ask) => {
    await server.command(...command)
    const [, key] = command
    const before = await server.command('DUMP', key)
    await expect(Promise.resolve(ask())).rejects.toThrow('Redis answered')
    expect(await server.command('DUMP', key)).toBe(before)
    // The link is not to blame.
    expect(await state.reachable()).toBe(true)
  })

  it.each([
    ['session', touch, sessions, [touch]],
    ['reference', remember, references, [find, remember]],
  ] as const)('a spoilt %s is an error', async (_what, make, key, asks) => {
    await make()
    const [field] = (await server.command('HKEYS', key)) as string[]
    await server.command('HSET', key, field ?? '', '1 nan nan')
    for (const ask of asks) await expect(Promise.resolve<unknown>(ask())).rejects.toThrow('CORRUPT')
  })

  it('a spoilt reservation is an error, and its ledger stays charged', async () => {
    const r = await reserve()
    if (!r.ok) throw new Error('expected a reservation')
    await server.command('HSET', ledger, `r${r.reservation.split('.')[1]}`, 'x')
    await expect(Promise.resolve(state.budgets.settle(r.reservation, 0))).rejects.toThrow('CORRUPT')
    expect(await state.budgets.reserve('a', 96, 100, DAY, 0)).toMatchObject({ ok: false, reserved: 5 })
  })
})

describe('bounds', () => {
  it('of one owner’s sessions: an old one makes room, the new one is kept', async () => {
    for (let i = 0; i < 1_100; i++) await state.sessions.touch('a', `s${i}`, 0)
    expect(Number(await server.command('HLEN', keyName('signet:', 'session', 'a')))).toBe(1_000)
    expect((await state.sessions.touch('a', 's1099', 0)).requestCount).toBe(2)
  })

  it('of one owner’s references: never another owner’s', async () => {
    await state.references.remember('b', 'file', 'f', 0)
    for (let i = 0; i < 10_050; i += 50)
      await Promise.all(Array.from({ length: 50 }, (_, j) => state.references.remember('a', 'file', `f${i + j}`, 0)))
    expect(Number(await server.command('HLEN', keyName('signet:', 'reference', 'a')))).toBe(10_000)
    expect(await state.references.find('a', 'file', 'f10049')).toBe(0)
    expect(await state.references.find('b', 'file', 'f')).toBe(0)
  })

  it('of the server’s memory: new owners are refused, and nobody’s limit is reset', async () => {
    await state.rateLimits.take('victim', 1, 0, 0)
    const used = /^used_memory:(\d+)/m.exec(String(await server.command('INFO', 'memory')))?.[1]
    await server.command('CONFIG', 'SET', 'maxmemory', String(Number(used) + 300_000))
    try {
      let refused = 0
      for (let i = 0; i < 8_000 && refused === 0; i += 100) {
        const some = Array.from({ length: 100 }, (_, j) => state.rateLimits.take(`made-up-${i + j}`, 1, 0, 0))
        refused = (await Promise.allSettled(some)).filter(r => r.status === 'rejected').length
      }
      expect(refused).toBeGreaterThan(0)
      // Full for certain: around the limit buffers come and go.
      await server.command('CONFIG', 'SET', 'maxmemory', '100000')
      await expect(Promise.resolve(state.rateLimits.take('victim', 1, 0, 0))).rejects.toThrow('OOM')
      expect(await state.reachable()).toBe(false)
    } finally {
      await server.command('CONFIG', 'SET', 'maxmemory', '0')
    }
    expect((await state.rateLimits.take('victim', 1, 0, 0)).ok).toBe(false)
  })

  it('a server that may evict keys is told of, once', async () => {
    const told: string[] = []
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    try {
      const s = await open({ onEviction: policy => told.push(policy) })
      await until(() => told.length > 0, 'word of it')
      await s.close()
      expect(told).toEqual(['allkeys-lru'])
    } finally {
      await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    }
    const s = await open({ onEviction: policy => told.push(policy) })
    await everything(s)
    await s.close()
    expect(told).toHaveLength(1)
  })
})
