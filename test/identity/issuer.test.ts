/** Keys from a real issuer on a real port: rotation, silence, and answers that no issuer should give. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '../../src/core/wire.ts'
import { jwtIdentity } from '../../src/identity/jwt.ts'
import type { JwtIssuer } from '../../src/identity/jwt-issuer.ts'
import type { Identified, VerifiedStrategy } from '../../src/identity/strategy.ts'
import {
  AUDIENCE,
  CLAIMS,
  NOW_S,
  signed,
  startIssuer,
  type TestIssuer,
  type TestKey,
  testKey,
} from '../../src/identity/tokens.test-support.ts'
import { type Egress, openEgress } from '../../src/plugins/egress.ts'

let egress: Egress
let first: TestKey
let second: TestKey
let issuer: TestIssuer | undefined
let nowS = NOW_S

beforeAll(async () => {
  egress = openEgress()
  ;[first, second] = await Promise.all([testKey('ES256', 'first'), testKey('ES256', 'second')])
})
afterEach(() => issuer?.stop())
afterAll(() => egress.close())

async function start(more: Partial<JwtIssuer> = {}): Promise<{ at: TestIssuer; identity: VerifiedStrategy }> {
  nowS = NOW_S
  const at = await startIssuer([first.jwk])
  issuer = at
  const keys: Partial<JwtIssuer> = more.discovery === true ? {} : { jwksUri: `${at.url}/keys` }
  const identity = jwtIdentity(
    { issuers: [{ issuer: at.url, audience: AUDIENCE, ...keys, ...more }] },
    { egress, now: () => nowS * 1000 },
  )
  return { at, identity }
}

/** Every token is another one, so that none is remembered. */
let serial = 0
async function present(identity: VerifiedStrategy, at: TestIssuer, key = first): Promise<Identified | Fault> {
  const token = await signed(key, { ...CLAIMS, iss: at.url, exp: NOW_S + 1_000_000, jti: String(serial++) })
  return identity.identify({ rawHeaders: ['authorization', `Bearer ${token}`], socketAddress: '127.0.0.1' })
}

async function outcome(identity: VerifiedStrategy, at: TestIssuer, key = first): Promise<string> {
  const found = await present(identity, at, key)
  return found.kind === 'identified' ? found.owner.id : `${found.code} ${String(found.details?.['problem'])}`
}

const OK = 'alice@example.com'
const status = async (found: Promise<string>) => (await found).split(' ')[0]

describe('keys', () => {
  it('are fetched once, when they are first needed', async () => {
    const { at, identity } = await start()
    expect(at.asked).toEqual([])
    const all = await Promise.all(Array.from({ length: 5 }, () => outcome(identity, at)))
    expect(all).toEqual([OK, OK, OK, OK, OK])
    expect(at.asked).toEqual(['/keys'])
  })

  it('are found by discovery', async () => {
    const { at, identity } = await start({ discovery: true })
    expect(await outcome(identity, at)).toBe(OK)
    expect(at.asked).toEqual(['/.well-known/openid-configuration', '/keys'])
  })

  it('are fetched again before they are too old, and nobody waits', async () => {
    const { at, identity } = await start({ maxAgeS: 600 })
    await outcome(identity, at)
    nowS += 299
    await outcome(identity, at)
    expect(at.asked).toHaveLength(1)
    nowS += 2
    const again = new Promise<void>(resolve => {
      const answer = at.answer
      at.answer = (req, res) => {
        answer(req, res)
        resolve()
      }
    })
    expect(await outcome(identity, at)).toBe(OK)
    await again
    expect(at.asked).toHaveLength(2)
  })
})

describe('rotation', () => {
  it('a new key id is looked up at once, and what the old key signed is refused', async () => {
    const { at, identity } = await start({ cooldownS: 30 })
    expect(await outcome(identity, at)).toBe(OK)
    at.keys = [second.jwk]
    nowS += 31
    expect(await outcome(identity, at, second)).toBe(OK)
    expect(await outcome(identity, at, first)).toBe('credential_invalid key_unknown')
    expect(at.asked).toHaveLength(2)
  })

  it('made-up key ids cause one look-up in the cooldown, however many arrive', async () => {
    const { at, identity } = await start({ cooldownS: 30 })
    await outcome(identity, at)
    const strangers = await Promise.all(Array.from({ length: 8 }, (_, i) => testKey('ES256', `made-up-${String(i)}`)))
    for (const stranger of strangers) expect(await outcome(identity, at, stranger)).toContain('key_unknown')
    expect(at.asked).toHaveLength(1)
    nowS += 31
    for (const stranger of strangers) expect(await outcome(identity, at, stranger)).toContain('key_unknown')
    expect(at.asked).toHaveLength(2)
    // Callers with a good key do not notice.
    expect(await outcome(identity, at)).toBe(OK)
  })

  it('a token accepted before is refused once its key is gone', async () => {
    const { at, identity } = await start({ maxAgeS: 60, maxStaleS: 60 })
    const token = await signed(first, { ...CLAIMS, iss: at.url })
    const ask = async () =>
      identity.identify({ rawHeaders: ['authorization', `Bearer ${token}`], socketAddress: '127.0.0.1' })
    expect(await ask()).toMatchObject({ kind: 'identified' })
    at.keys = [second.jwk]
    nowS += 61
    expect(await ask()).toMatchObject({ code: 'credential_invalid', details: { problem: 'key_unknown' } })
  })

  it('another key under the same id counts from the next look-up', async () => {
    const { at, identity } = await start({ maxAgeS: 60 })
    await outcome(identity, at)
    const heir = await testKey('ES256', 'first')
    expect(await outcome(identity, at, heir)).toBe('credential_invalid signature')
    at.keys = [heir.jwk]
    nowS += 61
    expect(await outcome(identity, at, heir)).toBe(OK)
    expect(await outcome(identity, at, first)).toBe('credential_invalid signature')
  })
})

describe('an issuer that is down', () => {
  it('at first: 503, and nobody waits for it again at once; it recovers', async () => {
    const { at, identity } = await start()
    await at.stop()
    expect(await status(outcome(identity, at))).toBe('state_unavailable')
    await at.start()
    expect(await status(outcome(identity, at))).toBe('state_unavailable')
    expect(at.asked).toEqual([])
    nowS += 6
    expect(await outcome(identity, at)).toBe(OK)
  })

  it('later: known keys serve until they are stale, then 503; it recovers', async () => {
    const { at, identity } = await start({ maxAgeS: 600, maxStaleS: 3600 })
    expect(await outcome(identity, at)).toBe(OK)
    await at.stop()
    nowS = NOW_S + 601
    expect(await outcome(identity, at)).toBe(OK)
    nowS = NOW_S + 3600
    expect(await outcome(identity, at)).toBe(OK)
    nowS = NOW_S + 3601
    expect(await status(outcome(identity, at))).toBe('state_unavailable')
    await at.start()
    nowS += 6
    expect(await outcome(identity, at)).toBe(OK)
  })

  it('a token accepted before does not outlive stale keys', async () => {
    const { at, identity } = await start({ maxAgeS: 60, maxStaleS: 120 })
    const token = await signed(first, { ...CLAIMS, iss: at.url, exp: NOW_S + 10_000 })
    const ask = async () =>
      identity.identify({ rawHeaders: ['authorization', `Bearer ${token}`], socketAddress: '127.0.0.1' })
    expect(await ask()).toMatchObject({ kind: 'identified' })
    await at.stop()
    nowS += 121
    expect(await ask()).toMatchObject({ code: 'state_unavailable' })
  })

  it('an unknown key id then is not called bad: it may be a new one', async () => {
    const { at, identity } = await start({ maxAgeS: 600 })
    await outcome(identity, at)
    await at.stop()
    nowS += 31
    expect(await status(outcome(identity, at, second))).toBe('state_unavailable')
    expect(await status(outcome(identity, at, second))).toBe('state_unavailable')
    expect(await outcome(identity, at)).toBe(OK)
  })

  it('a clock set back makes keys neither fresh nor eternal', async () => {
    const { at, identity } = await start()
    await outcome(identity, at)
    nowS -= 5
    expect(await outcome(identity, at)).toBe(OK)
    expect(at.asked).toHaveLength(2)
  })
})

describe('answers no issuer should give', () => {
  const send =
    (code: number, headers: Record<string, string>, body: string) => (_req: unknown, res: ServerResponse) => {
      res.writeHead(code, headers).end(body)
    }
  const keySet = () => JSON.stringify({ keys: [first.jwk] })

  it.each<[string, () => (req: IncomingMessage, res: ServerResponse) => void]>([
    ['a page', () => send(200, { 'content-type': 'text/html' }, '<html>log in</html>')],
    [
      'a redirect',
      () => (req, res) => {
        if (req.url === '/keys') res.writeHead(302, { location: '/elsewhere' }).end(keySet())
        else res.end(keySet())
      },
    ],
    ['an error with keys in it', () => send(500, {}, keySet())],
    ['nothing', () => send(200, {}, '')],
    ['no object', () => send(200, {}, `[${keySet()}]`)],
    ['no keys', () => send(200, {}, '{}')],
    ['keys that are no list', () => send(200, {}, JSON.stringify({ keys: { 0: first.jwk, length: 1 } }))],
    ['two lists of keys', () => send(200, {}, `{"keys":[],"keys":[${JSON.stringify(first.jwk)}]}`)],
    ['more than fits', () => send(200, {}, `{"pad":"${'x'.repeat(300_000)}","keys":[${JSON.stringify(first.jwk)}]}`)],
    [
      'endless bytes',
      () => (_req, res) => {
        res.writeHead(200)
        const more = (): void => {
          while (!res.destroyed && res.write(' '.repeat(65_536)));
        }
        res.on('drain', more)
        more()
      },
    ],
    ['too many keys', () => send(200, {}, JSON.stringify({ keys: Array(101).fill(first.jwk) }))],
    [
      'half an answer',
      () => (_req, res) => {
        res.writeHead(200, { 'content-length': '9999' }).write(keySet())
        res.destroy()
      },
    ],
  ])('%s: 503, and nobody gets in', async (_, answer) => {
    const { at, identity } = await start()
    at.answer = answer()
    expect(await status(outcome(identity, at))).toBe('state_unavailable')
    expect(at.asked).not.toContain('/elsewhere')
  })

  it.each<[string, () => readonly object[]]>([
    ['private keys', () => [{ ...first.jwk, d: 'AAAA' }]],
    ['shared secrets', () => [{ kty: 'oct', k: 'c2VjcmV0', kid: 'first', alg: 'HS256' }]],
    ['keys for encryption', () => [{ ...first.jwk, use: 'enc' }]],
    ['keys that are no objects', () => ['first' as unknown as object]],
    ['a point that is not on the curve', () => [{ ...first.jwk, x: first.jwk.y, y: first.jwk.x }]],
    ['one id twice', () => [first.jwk, { ...second.jwk, kid: 'first' }]],
  ])('%s prove nothing', async (_, keys) => {
    const { at, identity } = await start()
    at.answer = (_req, res) => res.end(JSON.stringify({ keys: keys() }))
    expect(await status(outcome(identity, at))).toBe('credential_invalid')
  })
})

describe('discovery', () => {
  it.each<[string, (url: string) => object]>([
    ['another issuer', url => ({ issuer: 'https://evil.example', jwks_uri: `${url}/keys` })],
    ['the issuer with a slash', url => ({ issuer: `${url}/`, jwks_uri: `${url}/keys` })],
    ['no issuer', url => ({ jwks_uri: `${url}/keys` })],
    ['no address of keys', url => ({ issuer: url })],
    ['an address inside, over plain http', url => ({ issuer: url, jwks_uri: 'http://169.254.169.254/latest' })],
    ['a file', url => ({ issuer: url, jwks_uri: 'file:///etc/passwd' })],
    ['an address with a password', url => ({ issuer: url, jwks_uri: url.replace('//', '//a:b@') })],
    ['a list of addresses', url => ({ issuer: url, jwks_uri: [`${url}/keys`] })],
  ])('that names %s is not believed', async (_, document) => {
    const { at, identity } = await start({ discovery: true })
    const answer = at.answer
    at.answer = (req, res) => (req.url === '/keys' ? answer(req, res) : res.end(JSON.stringify(document(at.url))))
    expect(await status(outcome(identity, at))).toBe('state_unavailable')
    expect(at.asked).toEqual(['/.well-known/openid-configuration'])
  })

  it('an issuer on https cannot lead to plain http, not even on the loopback', async () => {
    const asked: string[] = []
    const identity = jwtIdentity(
      { issuers: [{ issuer: 'https://issuer.example/', audience: AUDIENCE, discovery: true }] },
      {
        now: () => NOW_S * 1000,
        egress: {
          send: ({ url }) => {
            asked.push(url)
            const document = { issuer: 'https://issuer.example/', jwks_uri: 'http://127.0.0.1:9/keys' }
            return Promise.resolve({ status: 200, body: Buffer.from(JSON.stringify(document)) })
          },
        },
      },
    )
    const token = await signed(first, { ...CLAIMS, iss: 'https://issuer.example/' })
    const found = await identity.identify({ rawHeaders: ['authorization', `Bearer ${token}`], socketAddress: '::1' })
    expect(found).toMatchObject({ code: 'state_unavailable' })
    // The slash at the end is the issuer's own and goes before the well-known path is added.
    expect(asked).toEqual(['https://issuer.example/.well-known/openid-configuration'])
  })
})

describe('a token', () => {
  it('never decides where keys come from', async () => {
    const { at, identity } = await start()
    const evil = await startIssuer([second.jwk])
    try {
      const header = { jku: `${evil.url}/keys`, x5u: `${evil.url}/cert`, jwk: second.jwk }
      const claims = { ...CLAIMS, iss: at.url }
      for (const token of [
        await signed(second, claims, header),
        await signed({ ...second, kid: `${evil.url}/keys` }, claims, header),
        await signed(second, { ...claims, iss: evil.url }, header),
      ]) {
        const found = await identity.identify({
          rawHeaders: ['authorization', `Bearer ${token}`],
          socketAddress: '::1',
        })
        expect(found).toMatchObject({ code: 'credential_invalid' })
      }
      expect(evil.asked).toEqual([])
    } finally {
      await evil.stop()
    }
  })
})
