import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { ReceiptInvalid } from './errors.ts'
import { fetchJwks, findKey, remoteJwks } from './jwks.ts'

const KEY = { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43), kid: 'r1' }
const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  stops.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/.well-known/jwks.json`
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(ReceiptInvalid)
  return (error as ReceiptInvalid).code
}

const never = () => Promise.reject(new Error('must not be called'))

describe('fetching a key set', () => {
  it('reads one from the loopback', async () => {
    const url = await serve((_, res) => res.end(JSON.stringify({ keys: [KEY] })))
    expect(await fetchJwks(url)).toEqual({ keys: [KEY] })
  })

  it.each([
    'http://gate.example/jwks.json',
    'http://127.0.0.1.evil.example/jwks.json',
    'http://localhost.evil.example/',
    'http://10.0.0.1/',
    'file:///etc/passwd',
    'data:application/json,{"keys":[]}',
    'https://user:secret@gate.example/',
    '/jwks.json',
    '',
  ])('refuses the address %j without asking it', async url => {
    expect(await codeOf(fetchJwks(url, { fetch: never }))).toBe('jwks_unreachable')
    expect(() => remoteJwks(url, { fetch: never })).toThrow(ReceiptInvalid)
  })

  it('never repeats the credentials of a refused address', async () => {
    await expect(fetchJwks('https://user:secret@gate.example/')).rejects.not.toThrow('secret')
  })

  it('follows no redirect', async () => {
    let asked = 0
    const other = await serve((_, res) => {
      asked++
      res.end(JSON.stringify({ keys: [KEY] }))
    })
    const url = await serve((_, res) => res.writeHead(302, { location: other }).end())
    expect(await codeOf(fetchJwks(url))).toBe('jwks_unreachable')
    expect(asked).toBe(0)
  })

  it('gives up on other statuses, silence, too many bytes and other content', async () => {
    const down = await serve((_, res) => res.writeHead(500).end('{"keys":[]}'))
    expect(await codeOf(fetchJwks(down))).toBe('jwks_unreachable')
    const silent = await serve(() => {})
    expect(await codeOf(fetchJwks(silent, { timeoutMs: 20 }))).toBe('jwks_unreachable')
    const huge = await serve((_, res) => res.end(`{"keys":[],"pad":"${'x'.repeat(70_000)}"}`))
    expect(await codeOf(fetchJwks(huge))).toBe('jwks_invalid')
    for (const body of ['<html>', '[]', '{"keys":{}}', '', '{"keys":[1]}', Buffer.from([0xff])]) {
      const odd = await serve((_, res) => res.end(body))
      expect(await codeOf(fetchJwks(odd))).toBe('jwks_invalid')
    }
  })
})

describe('a remote key set', () => {
  function source(start: number) {
    let at = start
    let asked = 0
    let keys: readonly unknown[] = [KEY]
    let up = true
    const get = remoteJwks('https://gate.example/jwks.json', {
      now: () => at,
      fetch: async () => {
        asked++
        if (!up) throw new Error('down')
        return new Response(JSON.stringify({ keys }))
      },
    })
    return {
      get,
      asked: () => asked,
      pass: (ms: number) => (at += ms),
      publish: (next: readonly unknown[]) => (keys = next),
      fail: () => (up = false),
    }
  }

  it('is fetched once for many, and again when it is old', async () => {
    const s = source(0)
    await Promise.all([s.get('r1'), s.get('r1'), s.get('r1')])
    await s.get('r1')
    expect(s.asked()).toBe(1)
    s.pass(600_001)
    await s.get('r1')
    expect(s.asked()).toBe(2)
  })

  it('an unknown key id makes it look again, but not for every forged token', async () => {
    const s = source(0)
    expect(await codeOf(findKey(s.get, 'r2'))).toBe('key_unknown')
    for (let n = 0; n < 50; n++) expect(await codeOf(findKey(s.get, `forged${n}`))).toBe('key_unknown')
    expect(s.asked()).toBe(1)
    s.publish([KEY, { ...KEY, kid: 'r2' }])
    s.pass(30_001)
    expect((await findKey(s.get, 'r2')).kid).toBe('r2')
    expect(s.asked()).toBe(2)
  })

  it('a withdrawn key is gone once the set is old, also when the clock was set back', async () => {
    const s = source(1_000_000)
    await s.get('r1')
    s.publish([])
    s.pass(-1)
    expect(await codeOf(findKey(s.get, 'r1'))).toBe('key_unknown')
  })

  it('is not used beyond its age when it cannot be refreshed', async () => {
    const s = source(0)
    await s.get('r1')
    s.fail()
    expect((await findKey(s.get, 'r1')).kid).toBe('r1')
    s.pass(600_001)
    expect(await codeOf(findKey(s.get, 'r1'))).toBe('jwks_unreachable')
  })
})
