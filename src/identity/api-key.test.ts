import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ApiKey, type ApiKeyOptions, apiKeyIdentity, newApiKey } from './api-key.ts'

const NOW = Date.parse('2026-11-23T10:00:00Z')
let counter = 0
const randomBytes = (length: number) =>
  createHash('shake256', { outputLength: length }).update(String(counter++)).digest()
const ports = { now: () => NOW, randomBytes }

const mine = newApiKey(randomBytes)
const other = newApiKey(randomBytes)
const unknown = newApiKey(randomBytes)

function identity(more: Partial<ApiKey> = {}, options: Partial<ApiKeyOptions> = {}) {
  const keys: ApiKey[] = [
    { hash: mine.hash, owner: 'agent:crawler-7', ...more },
    { hash: other.hash, owner: 'human:bob' },
  ]
  return apiKeyIdentity({ keys, ...options }, ports)
}

const who = async (headers: readonly string[], strategy = identity()) =>
  strategy.identify({ rawHeaders: headers, socketAddress: '127.0.0.1' })

describe('a key', () => {
  it('is 256 random bits, and only its hash is kept', () => {
    expect(mine.key).toMatch(/^sgk_[A-Za-z0-9_-]{43}$/)
    expect(mine.hash).toBe(`sha256:${createHash('sha256').update(mine.key).digest('hex')}`)
    expect(newApiKey(randomBytes).key).not.toBe(mine.key)
  })

  it('names its own owner', async () => {
    expect(await who(['X-Api-Key', mine.key])).toEqual({
      kind: 'identified',
      owner: {
        type: 'agent',
        id: 'crawler-7',
        approvalChain: ['agent:crawler-7'],
        authenticatedBy: 'api_key',
        claims: {},
      },
      declared: { classification: undefined, clearance: undefined, clearanceVerified: true },
      usedHeaders: ['x-api-key'],
    })
    expect(await who(['x-api-key', ` ${other.key}\t`])).toMatchObject({ owner: { type: 'human', id: 'bob' } })
  })

  it('may carry a clearance, approvers and an end', async () => {
    const strategy = identity({
      clearance: 'secret',
      approvalChain: ['human:carol', 'human:dave'],
      expiresAt: '2026-11-23T12:00:00+01:00',
    })
    expect(await who(['x-api-key', mine.key], strategy)).toMatchObject({
      owner: { approvalChain: ['human:carol', 'human:dave'] },
      declared: { clearance: 'secret', clearanceVerified: true },
    })
  })

  it('travels where SDKs put a key of their provider, unless one header is named', async () => {
    expect(await who(['authorization', `Bearer ${mine.key}`])).toMatchObject({ usedHeaders: ['authorization'] })
    expect(await who(['x-api-key', mine.key])).toMatchObject({ usedHeaders: ['x-api-key'] })
    const own = identity({}, { header: 'X-Signet-Key' })
    expect(await who(['x-signet-key', mine.key, 'x-api-key', 'sk-ant-upstream'], own)).toMatchObject({
      owner: { id: 'crawler-7' },
      usedHeaders: ['x-signet-key'],
    })
  })

  it('stands beside the caller’s own key for upstream', async () => {
    expect(await who(['authorization', 'Bearer sk-upstream', 'x-api-key', mine.key])).toMatchObject({
      owner: { id: 'crawler-7' },
      usedHeaders: ['x-api-key'],
    })
  })

  it('may travel as a bearer token', async () => {
    const strategy = identity({}, { header: 'Authorization' })
    expect(await who(['authorization', `Bearer ${mine.key}`], strategy)).toMatchObject({
      owner: { id: 'crawler-7' },
      usedHeaders: ['authorization'],
    })
    expect(await who(['authorization', mine.key], strategy)).toMatchObject({ details: { problem: 'not_an_api_key' } })
    expect(await who(['x-api-key', mine.key], strategy)).toMatchObject({ details: { problem: 'absent' } })
  })
})

describe('anything else', () => {
  const jwt = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.AAAA'
  it.each<[string, readonly string[], string]>([
    ['no header', [], 'absent'],
    ['a blank one', ['x-api-key', '  '], 'absent'],
    ['another key', ['x-api-key', unknown.key], 'unknown'],
    ['the hash', ['x-api-key', mine.hash], 'not_an_api_key'],
    ['the hash in the form of a key', ['x-api-key', `sgk_${mine.hash.slice(7, 50)}`], 'unknown'],
    ['a key cut short', ['x-api-key', mine.key.slice(0, -1)], 'not_an_api_key'],
    ['a key and more', ['x-api-key', `${mine.key}x`], 'not_an_api_key'],
    ['the prefix in capitals', ['x-api-key', mine.key.replace('sgk', 'SGK')], 'not_an_api_key'],
    [
      'one letter changed',
      ['x-api-key', `${mine.key.slice(0, -2)}${mine.key.endsWith('AA') ? 'BB' : 'AA'}`],
      'unknown',
    ],
    ['a bearer token', ['x-api-key', `Bearer ${mine.key}`], 'not_an_api_key'],
    ['a JWT', ['x-api-key', jwt], 'not_an_api_key'],
    ['two keys in one', ['x-api-key', `${mine.key}, ${other.key}`], 'not_an_api_key'],
    ['two headers', ['x-api-key', mine.key, 'X-API-KEY', other.key], 'sent_twice'],
    ['the same key twice', ['x-api-key', mine.key, 'x-api-key', mine.key], 'sent_twice'],
    ['a password', ['x-api-key', 'hunter2'], 'not_an_api_key'],
    ['two keys in two headers', ['x-api-key', mine.key, 'authorization', `Bearer ${other.key}`], 'sent_twice'],
    ['one key in two headers', ['x-api-key', mine.key, 'authorization', `Bearer ${mine.key}`], 'sent_twice'],
    [
      'a good key beside something else',
      ['x-api-key', 'sk-upstream', 'authorization', `Bearer ${mine.key}`],
      'sent_twice',
    ],
    ['a key of another kind', ['authorization', 'Bearer sk-upstream'], 'not_an_api_key'],
    ['a JWT as a bearer token', ['authorization', `Bearer ${jwt}`], 'not_an_api_key'],
    ['a key without scheme', ['authorization', mine.key], 'not_an_api_key'],
    ['a key as a password', ['authorization', `Basic ${mine.key}`], 'not_an_api_key'],
    ['a key without scheme beside a good one', ['authorization', other.key, 'x-api-key', mine.key], 'sent_twice'],
    [
      'a key as a password beside a good one',
      ['authorization', `basic ${other.key}`, 'x-api-key', mine.key],
      'sent_twice',
    ],
    ['two bearer tokens', ['authorization', 'Bearer x', 'authorization', `Bearer ${mine.key}`], 'sent_twice'],
  ])('is refused: %s', async (_, headers, problem) => {
    const found = await who(headers)
    expect(found).toMatchObject({
      kind: 'fault',
      code: 'credential_invalid',
      details: { strategy: 'api_key', problem },
    })
    expect(JSON.stringify(found)).not.toContain('sgk_')
  })

  it.each<[string, Partial<ApiKey>, string]>([
    ['revoked', { revoked: true }, 'revoked'],
    ['expired', { expiresAt: '2026-11-23T09:59:59Z' }, 'expired'],
    ['expired this moment', { expiresAt: '2026-11-23T10:00:00Z' }, 'expired'],
  ])('%s', async (_, more, problem) => {
    const strategy = identity(more)
    expect(await who(['x-api-key', mine.key], strategy)).toMatchObject({
      code: 'credential_invalid',
      details: { problem },
    })
    expect(await who(['x-api-key', other.key], strategy)).toMatchObject({ kind: 'identified' })
  })

  it('no header that a caller adds changes whose key it is', async () => {
    const strategy = identity({ clearance: 'internal' })
    const name = fc.constantFrom(
      ...['X-Commit-Owner', 'X-Agent-Id', 'X-Policy-Name', 'X-Caller-Clearance', 'api-key', 'X-Api-Key-Owner'],
    )
    const value = fc.oneof(fc.constantFrom('human:root', 'agent:root', 'top_secret', other.key), fc.string())
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 5 }), async pairs => {
        expect(await who([...pairs.flat(), 'x-api-key', mine.key], strategy)).toMatchObject({
          owner: { type: 'agent', id: 'crawler-7', approvalChain: ['agent:crawler-7'] },
          declared: { clearance: 'internal', clearanceVerified: true },
        })
      }),
      { numRuns: 100 },
    )
  })
})

describe('settings that cannot be meant', () => {
  it.each<[string, ApiKeyOptions, RegExp]>([
    ['no keys', { keys: [] }, /expected at least one key/],
    ['no header', { keys: [{ hash: mine.hash, owner: 'human:a' }], header: [] }, /expected at least one header/],
    ['the key itself', { keys: [{ hash: mine.key, owner: 'human:a' }] }, /keys\[0\]\.hash: expected sha256/],
    ['a bare owner', { keys: [{ hash: mine.hash, owner: 'root' }] }, /keys\[0\]\.owner: expected a principal/],
    ['no owner', { keys: [{ hash: mine.hash, owner: 'human:' }] }, /owner: the principal is empty/],
    ['a bare approver', { keys: [{ hash: mine.hash, owner: 'human:a', approvalChain: ['b'] }] }, /approvalChain\[0\]/],
    ['a level that is none', { keys: [{ hash: mine.hash, owner: 'human:a', clearance: '' }] }, /clearance: expected/],
    ['a day', { keys: [{ hash: mine.hash, owner: 'human:a', expiresAt: '2027-01-31' }] }, /expiresAt: expected a time/],
    ['no such day', { keys: [{ hash: mine.hash, owner: 'human:a', expiresAt: '2027-13-31T00:00:00Z' }] }, /expiresAt/],
    [
      'one key twice',
      {
        keys: [
          { hash: mine.hash, owner: 'human:a' },
          { hash: mine.hash, owner: 'human:b' },
        ],
      },
      /stands there twice/,
    ],
    [
      'what callers say',
      { keys: [{ hash: mine.hash, owner: 'human:a' }], header: 'x-agent-id' },
      /choose another header/,
    ],
  ])('%s', (_, options, message) => {
    expect(() => apiKeyIdentity(options, ports)).toThrow(message)
    let text = ''
    try {
      apiKeyIdentity(options, ports)
    } catch (error) {
      text = String(error)
    }
    expect(text).not.toContain(mine.key)
  })
})
