/** The connection against a real server that dies, freezes, is slow, demoted or locked: an error at once, then recovery by itself. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../core/clock.ts'
import type { SharedState } from '../../core/state.ts'
import { AUTHORITY, pem } from '../../identity/certificates.test-support.ts'
import { systemClock } from '../system.ts'
import { openRedisState, type RedisStateOptions } from './open.ts'
import { type RedisServer, startRedis, until } from './testing/server.test-support.ts'

const DAY = 86_400_000

let server: RedisServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.close())
beforeEach(() => server.command('FLUSHALL'))

interface Opened extends SharedState {
  readonly told: [boolean, string][]
}

async function open(options: Partial<RedisStateOptions> = {}): Promise<Opened> {
  const told: [boolean, string][] = []
  const state = await openRedisState({ url: server.url, onState: (ok, reason) => told.push([ok, reason]), ...options })
  return { ...state, told }
}

async function opened(options: Partial<RedisStateOptions> = {}): Promise<Opened> {
  const state = await open(options)
  await until(() => state.reachable(), 'a connection to Redis')
  return state
}

const take = (s: SharedState, owner = 'a') => Promise.resolve(s.rateLimits.take(owner, 1, 0, 0))
const reserve = (s: SharedState, amount: number) => Promise.resolve(s.budgets.reserve('a', amount, 100, DAY, 0))

describe('a server that is not there', () => {
  it('refuses at once from the start, and is found when it comes', async () => {
    await server.kill()
    const s = await open()
    await expect(take(s)).rejects.toMatchObject({ name: 'RedisUnavailable' })
    expect(await s.reachable()).toBe(false)
    await until(() => s.told.length > 0, 'word of it')
    await server.start()
    await until(() => s.reachable(), 'the server')
    expect((await take(s)).ok).toBe(true)
    expect(s.told).toEqual([
      [false, 'ECONNREFUSED'],
      [true, 'connected'],
    ])
    await s.close()
  })

  it('killed under load: errors, never a grant too many, then recovery', { timeout: 120_000 }, async () => {
    const s = await opened()
    let granted = 0
    let refused = 0
    let going = true
    const load = Array.from({ length: 20 }, async () => {
      while (going) {
        await take(s, 'load').then(
          t => (granted += t.ok ? 1 : 0),
          () => (refused += 1),
        )
        await new Promise(setImmediate)
      }
    })
    await until(() => granted === 1, 'the only token')
    for (let lives = 2; lives <= 3; lives++) {
      const before = refused
      await server.kill()
      await until(() => refused > before + 100, 'errors')
      expect(granted).toBe(lives - 1)
      await server.start()
      // It has nothing on disk: one more, and only one.
      await until(() => granted === lives, 'the token of a fresh server')
    }
    going = false
    await Promise.all(load)
    expect(granted).toBe(3)
    await s.close()
  })

  it('a settlement that failed is made when it is back, once', async () => {
    const kept = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
    const s = await opened({ url: kept.url })
    const r = await reserve(s, 80)
    if (!r.ok) throw new Error('expected a reservation')
    await kept.kill()
    await expect(Promise.resolve(s.budgets.settle(r.reservation, 10))).rejects.toThrow()
    await kept.start()
    await until(() => s.reachable(), 'the server')
    await until(async () => {
      const probe = await reserve(s, 100)
      return !probe.ok && probe.reserved === 0 && probe.used === 10
    }, 'the settlement')
    await s.budgets.settle(r.reservation, 50)
    expect(await reserve(s, 100)).toMatchObject({ ok: false, used: 10, reserved: 0 })
    await s.close()
    await kept.close()
  })
})

describe('a server that is slow', () => {
  it('reaches the time limit; then nobody waits, and the same connection recovers', async () => {
    const s = await opened({ timeoutMs: 100 })
    await server.command('CLIENT', 'PAUSE', '100000', 'WRITE')
    await expect(take(s)).rejects.toThrow('did not answer within 100 ms')
    // From here on at once, without one more command on the wire.
    await expect(take(s)).rejects.toThrow('there is no connection')
    expect(s.told.at(-1)).toEqual([false, 'no answer within 100 ms'])
    await server.command('CLIENT', 'UNPAUSE')
    await until(() => s.reachable(), 'the server')
    expect(s.told.at(-1)?.[0]).toBe(true)
    await s.close()
  })

  it('a reservation that was made after its time limit is given back', async () => {
    const s = await opened({ timeoutMs: 300 })
    await reserve(s, 1)
    await server.command('CLIENT', 'PAUSE', '100000', 'WRITE')
    await expect(reserve(s, 90)).rejects.toThrow('did not answer')
    await server.command('CLIENT', 'UNPAUSE')
    await until(() => s.reachable(), 'the server')
    await until(async () => {
      const probe = await reserve(s, 100)
      return !probe.ok && probe.reserved === 1
    }, 'its end')
    await s.close()
  })

  it('frozen: the connection is given up, and a new one found after it thaws', async () => {
    const ended: number[] = []
    const clock: Pick<Clock, 'timer'> = {
      timer: (ms, f) =>
        systemClock.timer(ms, () => {
          ended.push(ms)
          f()
        }),
    }
    const s = await opened({ timeoutMs: 50, clock })
    const connections = async () => String(await server.command('CLIENT', 'LIST', 'TYPE', 'normal')).match(/^id=\d+/gm)
    const before = await connections()
    server.freeze()
    await expect(take(s)).rejects.toThrow('did not answer')
    await until(() => ended.includes(250), 'the end of patience')
    server.thaw()
    await until(() => s.reachable(), 'the server')
    expect((await connections())?.filter(id => !before?.includes(id))).toHaveLength(1)
    await s.close()
  })
})

describe('a server that refuses', () => {
  it('demoted to a replica: errors, and a new connection until it is a primary again', async () => {
    const s = await opened()
    await server.command('REPLICAOF', '127.0.0.1', '1')
    await expect(take(s)).rejects.toThrow('READONLY')
    expect(await s.reachable()).toBe(false)
    await server.command('REPLICAOF', 'NO', 'ONE')
    await until(() => s.reachable(), 'a primary')
    expect((await take(s)).ok).toBe(true)
    expect(s.told.filter(([ok]) => !ok).at(-1)).toEqual([false, 'READONLY'])
    await s.close()
  })

  it('a password: right, wrong and missing, and none of them is ever told', async () => {
    const locked = await startRedis()
    await locked.command(
      'ACL',
      'SETUSER',
      'gate',
      'on',
      '>s3cret-of-the-gate',
      'resetkeys',
      '~signet:*',
      'resetchannels',
    )
    await locked.command(
      'ACL',
      'SETUSER',
      'gate',
      '-@all',
      '+@read',
      '+@write',
      '+@scripting',
      '+time',
      '+info',
      '+ping',
    )
    const right = await opened({ url: locked.url, username: 'gate', password: 's3cret-of-the-gate' })
    expect((await take(right)).ok).toBe(true)
    expect((await reserve(right, 1)).ok).toBe(true)
    await right.sessions.touch('a', 's', 0)
    await right.references.remember('a', 'file', 'f', 0)
    await right.close()

    const wrong = await open({ url: locked.url, username: 'gate', password: 'not-the-s3cret' })
    await until(() => wrong.told.length > 0, 'word of it')
    await expect(take(wrong)).rejects.toMatchObject({ name: 'RedisUnavailable' })
    expect(JSON.stringify(wrong.told)).toBe('[[false,"WRONGPASS"]]')
    // It goes on trying: whoever puts it right on the server need not restart the gate.
    await locked.command('ACL', 'SETUSER', 'gate', '>not-the-s3cret')
    await until(() => wrong.reachable(), 'the connection')
    await wrong.close()

    await locked.command('ACL', 'SETUSER', 'default', 'resetpass', '>other', '-@all', '+acl', '+auth')
    const none = await open({ url: locked.url })
    await until(() => none.told.length > 0 || none.reachable(), 'something')
    await expect(take(none)).rejects.toThrow(/NOAUTH|NOPERM|no connection/)
    expect(await none.reachable()).toBe(false)
    await none.close()
    await locked.close()
  })

  it('a user who may not run scripts is not ready, though the server answers', async () => {
    await server.command('ACL', 'SETUSER', 'reader', 'on', '>x', '~*', '+@read', '+ping', '-@scripting')
    const s = await open({ username: 'reader', password: 'x' })
    await until(() => s.told.some(([ok]) => ok), 'a connection')
    expect(await s.reachable()).toBe(false)
    await expect(take(s)).rejects.toThrow('NOPERM')
    await s.close()
    await server.command('ACL', 'DELUSER', 'reader')
  })
})

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-redis-tls-'))
  const file = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('is spoken with the server that the given authority vouches for, and with no other', async () => {
    const { cert, key } = pem('server')
    const secured = await startRedis(
      [
        ...['--tls-cert-file', file('cert.pem', cert), '--tls-key-file', file('key.pem', key)],
        ...['--tls-ca-cert-file', file('ca.pem', AUTHORITY), '--tls-auth-clients', 'no'],
      ],
      true,
    )
    const url = `rediss://localhost:${secured.port}`
    const trusted = await opened({ url, ca: AUTHORITY })
    expect((await take(trusted)).ok).toBe(true)
    await trusted.close()

    const unknown = await open({ url })
    await until(() => unknown.told.length > 0, 'word of it')
    expect(unknown.told[0]?.[0]).toBe(false)
    expect(await unknown.reachable()).toBe(false)
    await unknown.close()

    const plain = await open({ url: `redis://127.0.0.1:${secured.port}` })
    await until(() => plain.told.length > 0, 'word of it')
    expect(await plain.reachable()).toBe(false)
    await plain.close()
    await secured.close()
  })
})

describe('closing', () => {
  it('lets what is under way end', async () => {
    const s = await opened()
    const all = Promise.all(Array.from({ length: 200 }, () => reserve(s, 1)))
    await s.close()
    expect((await all).filter(r => r.ok)).toHaveLength(100)
    await expect(take(s)).rejects.toThrow('there is no connection')
  })
})
