import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { apiKeyIdentity, newApiKey } from './api-key.ts'
import { assertedIdentity } from './asserted.ts'
import { peer } from './certificates.test-support.ts'
import { firstPresented } from './combine.ts'
import { jwtIdentity } from './jwt.ts'
import { mtlsIdentity } from './mtls.ts'
import type { TlsPeer, VerifiedStrategy } from './strategy.ts'
import { AUDIENCE, ISSUER, NOW_S, signed, testKey } from './tokens.test-support.ts'
import { trustedProxyIdentity } from './trusted-proxy.ts'

const ports = { now: () => NOW_S * 1000, randomBytes: (n: number) => new Uint8Array(randomBytes(n)) }
const { key: apiKey, hash } = newApiKey(ports.randomBytes)
let jwt: VerifiedStrategy
let token = ''
const key = (header = 'authorization') => apiKeyIdentity({ keys: [{ hash, owner: 'agent:key' }], header }, ports)
const mtls = () =>
  mtlsIdentity({ san: 'uri', rules: [{ name: 'spiffe://example.org/agent/{id}', owner: 'agent:{id}' }] }, ports)
const proxy = () => trustedProxyIdentity({ proxies: ['10.0.0.1'], header: 'x-auth-request-email' })

beforeAll(async () => {
  const signer = await testKey('EdDSA')
  token = await signed(signer)
  jwt = jwtIdentity({ issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwks: { keys: [signer.jwk] } }] }, ports)
})

async function who(rawHeaders: readonly string[], tls?: TlsPeer, socketAddress = '192.0.2.1'): Promise<string> {
  const found = await firstPresented([jwt, key(), mtls(), proxy()]).identify({ rawHeaders, socketAddress, tls })
  if (found.kind === 'identified') return `${found.owner.type}:${found.owner.id} by ${found.owner.authenticatedBy}`
  expect(found.code).toBe('credential_invalid')
  return String(found.details?.['problem'])
}

describe('several kinds of credential', () => {
  it('the one that is presented decides', async () => {
    expect(await who(['authorization', `Bearer ${token}`])).toBe('human:alice@example.com by jwt')
    expect(await who(['authorization', `Bearer ${apiKey}`])).toBe('agent:key by api_key')
    expect(await who([], peer('agent'))).toBe('agent:crawler-7 by mtls')
    expect(await who(['x-auth-request-email', 'bob'], undefined, '10.0.0.1')).toBe('human:bob by trusted_proxy')
  })

  it('none is nobody, whatever the caller says', async () => {
    expect(await who([])).toBe('absent')
    expect(await who(['X-Commit-Owner', 'human:root', 'X-Agent-Id', 'agent:root'])).toBe('absent')
  })

  it('a bad one is final: it is not tried as another kind, nor passed over', async () => {
    expect(await who(['x-api-key', token])).toBe('absent')
    expect(await who(['authorization', `Bearer ${token}x.y`])).toBe('malformed')
    expect(await who(['authorization', 'Bearer sk-upstream'])).toBe('malformed')
    expect(await who(['authorization', `Bearer ${apiKey.slice(0, -1)}`])).toBe('not_an_api_key')
    expect(await who(['authorization', 'Basic YTpi'])).toBe('not_a_bearer_token')
    expect(await who([], peer('agent', false))).toBe('certificate_not_trusted')
    expect(await who(['x-auth-request-email', 'bob'])).toBe('not_from_a_trusted_proxy')
  })

  it('two at once are nobody, both good or one bad', async () => {
    const good = ['authorization', `Bearer ${token}`]
    expect(await who(good, peer('agent'))).toBe('two_kinds')
    expect(await who(good, peer('agent', false))).toBe('two_kinds')
    expect(await who(['authorization', 'Bearer x'], peer('agent'))).toBe('two_kinds')
    expect(await who([...good, 'x-auth-request-email', 'root'])).toBe('two_kinds')
    expect(await who([...good, 'x-auth-request-email', 'root'], undefined, '10.0.0.1')).toBe('two_kinds')
    expect(await who([...good, 'Authorization', `Bearer ${apiKey}`])).toBe('two_kinds')
  })

  it('keeps every credential header to itself', () => {
    const both = firstPresented([jwt, key('x-api-key'), proxy()])
    expect(both.headers).toEqual(['authorization', 'x-api-key', 'x-auth-request-email'])
    expect(both.verified).toBe(true)
    expect(both.challenge).toBe('Bearer realm="signet"')
    expect(both.clientCertificates).toBe(false)
    expect(firstPresented([jwt, mtls()]).clientCertificates).toBe(true)
  })
})

describe('whatever else the caller sends', () => {
  it('it stays who its credential says, or it is nobody', async () => {
    const name = fc.constantFrom(
      ...['X-Commit-Owner', 'X-Agent-Id', 'X-Policy-Name', 'X-Caller-Clearance', 'X-Forwarded-For', 'Cookie'],
      ...['X-Auth-Request-Email', 'X-Forwarded-Client-Cert', 'x-auth-request-user', 'Authorization'],
    )
    const value = fc.oneof(fc.constantFrom('human:root', 'root', '10.0.0.1', `Bearer ${apiKey}`, ''), fc.string())
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 5 }), fc.nat(5), async (pairs, at) => {
        const headers = [...pairs.slice(0, at).flat(), 'authorization', `Bearer ${token}`, ...pairs.slice(at).flat()]
        expect(await who(headers)).toMatch(/^(?:human:alice@example\.com by jwt|two_kinds|sent_twice)$/)
        const certified = pairs.filter(([n]) => n !== 'Authorization' && n !== 'X-Auth-Request-Email').flat()
        expect(await who(certified, peer('agent'))).toBe('agent:crawler-7 by mtls')
      }),
      { numRuns: 150 },
    )
  })
})

describe('what cannot stand together', () => {
  it('asserted, with anything, and even alone', () => {
    expect(() => firstPresented([assertedIdentity(), jwt])).toThrow(/"asserted" does not verify anything/)
    expect(() => firstPresented([assertedIdentity()])).toThrow(/"asserted" does not verify anything/)
  })

  it('two that read the same credential', () => {
    expect(() => firstPresented([jwt, jwt])).toThrow(/two strategies read the same credential \(authorization\)/)
    expect(() => firstPresented([key('x-api-key'), key('X-API-Key')])).toThrow(/same credential \(x-api-key\)/)
    expect(() => firstPresented([mtls(), mtls()])).toThrow(/same credential \(client certificate\)/)
    expect(() => firstPresented([firstPresented([jwt]), jwt])).toThrow(/same credential/)
  })

  it('nothing', () => {
    expect(() => firstPresented([])).toThrow(/expected at least one strategy/)
  })
})
