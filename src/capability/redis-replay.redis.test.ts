/** Uses in a real server, by the package's own client. Needs `redis-server` on the path. */
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RedisServer, startRedis } from '../state/redis/testing/server.test-support.ts'
import { requireCapability } from './guard.ts'
import { RedisReplayStore } from './redis-replay.ts'
import { ARGUMENTS, executor, TOOL, tokenFor } from './testing/tokens.test-support.ts'

let server: RedisServer
const open = async () => {
  const client = createClient({ url: server.url, disableOfflineQueue: true, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined)
  await client.connect()
  return client
}
beforeAll(async () => {
  server = await startRedis()
})
afterAll(async () => {
  await server.close()
})

describe('uses in Redis', () => {
  it('are one memory for executors of several processes', async () => {
    const clients = await Promise.all([open(), open()])
    let ran = 0
    const guarded = clients.map(client =>
      requireCapability(TOOL, () => (ran += 1), executor({ replay: new RedisReplayStore(client) })),
    )
    const capability = await tokenFor()
    const all = await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) => guarded[i % 2]?.({ capability, argumentsText: ARGUMENTS })),
    )
    expect(ran).toBe(1)
    const codes = all.flatMap(r => (r.status === 'rejected' ? [(r.reason as { code: string }).code] : []))
    expect([codes.length, ...new Set(codes)]).toEqual([99, 'already_used'])
    for (const client of clients) client.destroy()
  })

  it('end by themselves, later than the capability, and name nothing', async () => {
    await server.command('FLUSHALL')
    const client = await open()
    const store = new RedisReplayStore(client, { keyPrefix: 'mine:' })
    expect(await store.use({ issuer: 'i', jti: 'secret-jti', capability: '', untilMs: 125_000, nowMs: 0 })).toBe(true)
    const keys = (await server.command('KEYS', '*')) as string[]
    expect(keys).toEqual([expect.stringMatching(/^mine:sha256:[0-9a-f]{64}$/)])
    const left = Number(await server.command('PTTL', keys[0] ?? ''))
    expect(left).toBeGreaterThan(100_000)
    expect(left).toBeLessThanOrEqual(125_000)
    client.destroy()
  })

  it('that cannot be written refuse', async () => {
    const client = await open()
    let ran = 0
    const guarded = requireCapability(TOOL, () => (ran += 1), executor({ replay: new RedisReplayStore(client) }))
    await server.kill()
    const call = { capability: await tokenFor(), argumentsText: ARGUMENTS }
    await expect(guarded(call)).rejects.toMatchObject({ code: 'replay_unavailable' })
    await server.start()
    const replica = await open()
    await server.command('REPLICAOF', '127.0.0.1', '1')
    const onReplica = requireCapability(TOOL, () => (ran += 1), executor({ replay: new RedisReplayStore(replica) }))
    await expect(onReplica(call)).rejects.toMatchObject({ code: 'replay_unavailable' })
    expect(ran).toBe(0)
    replica.destroy()
  })
})
