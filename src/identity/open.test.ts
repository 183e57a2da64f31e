import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { checkIdentity, type IdentityPorts, openIdentity, type VerifiedIdentity } from './open.ts'

const ports: IdentityPorts = {
  egress: { send: () => Promise.reject(new Error('not called')) },
  now: () => 0,
  randomBytes: length => new Uint8Array(length).fill(7),
}
const jwt = {
  issuers: [
    {
      issuer: 'https://issuer.example',
      audience: ['https://gate.example'],
      discovery: true,
      claims: {
        owner: { claim: ['a', 'b'], type: 'principal' },
        clearance: { claim: 'roles', levels: { x: 'SECRET' } },
        approvalChain: { claim: 'approvers' },
        actorType: 'agent',
      },
      claimValues: { typ: 'Bearer', n: 1, ok: true },
      requiredScopes: ['gate'],
    },
  ],
} as const
const apiKey = {
  header: 'authorization',
  keys: [{ hash: `sha256:${createHash('sha256').update('x').digest('hex')}`, owner: 'agent:x' }],
} as const
const mtls = { san: 'uri', rules: [{ name: 'spiffe://x/{id}', owner: 'agent:{id}' }] } as const
const trustedProxy = { proxies: ['10.0.0.1'], header: 'x-auth-request-email' } as const

describe('the identity setting', () => {
  it.each<[string, Parameters<typeof openIdentity>[0], string, boolean]>([
    ['asserted', 'asserted', 'asserted', false],
    ['jwt', { jwt }, 'jwt', true],
    ['apiKey', { apiKey }, 'api_key', true],
    ['mtls', { mtls }, 'mtls', true],
    ['trustedProxy', { trustedProxy }, 'trusted_proxy', true],
    ['all of them', { jwt, apiKey, mtls, trustedProxy }, 'first_presented', true],
  ])('%s', async (_, setting, name, verified) => {
    expect(await openIdentity(setting, ports)).toMatchObject({ name, verified })
  })

  const issuer = jwt.issuers[0]
  it.each<[string, unknown, string]>([
    ['another word', 'jwt', 'identity: expected "asserted", or an object with jwt'],
    ['nothing', undefined, 'identity: expected an object'],
    ['an empty object', {}, 'identity: expected "asserted", or an object'],
    ['nothing in it', { jwt: undefined }, 'identity: expected "asserted", or an object'],
    [
      'asserted beside another',
      { asserted: {}, jwt },
      'identity.asserted: unknown setting; expected one of jwt, apiKey',
    ],
    ['a list', [jwt], 'identity: expected an object'],
    ['no issuers', { jwt: {} }, 'identity.jwt.issuers: not set; it is needed'],
    ['one issuer, not in a list', { jwt: { issuers: issuer } }, 'identity.jwt.issuers: expected a list'],
    ['no audience', { jwt: { issuers: [{ issuer: 'https://x' }] } }, 'issuers[0].audience: not set; it is needed'],
    [
      'a misspelt protection',
      { jwt: { issuers: [{ ...issuer, requiredScope: ['a'] }] } },
      'issuers[0].requiredScope: unknown setting',
    ],
    [
      'a number as text',
      { jwt: { issuers: [{ ...issuer, clockToleranceS: '30' }] } },
      'clockToleranceS: expected a number',
    ],
    [
      'discovery as text',
      { jwt: { issuers: [{ ...issuer, discovery: 'true' }] } },
      'discovery: expected true or false',
    ],
    [
      'scopes in one text',
      { jwt: { issuers: [{ ...issuer, requiredScopes: 'a b' }] } },
      'requiredScopes: expected a list',
    ],
    [
      'a claim value that is a list',
      { jwt: { issuers: [{ ...issuer, claimValues: { a: ['b'] } }] } },
      'claimValues.a: expected text',
    ],
    [
      'another type of owner',
      { jwt: { issuers: [{ ...issuer, claims: { owner: { claim: 'sub', type: 'Human' } } }] } },
      'owner.type: expected one of human',
    ],
    [
      'a key under another name',
      { apiKey: { keys: [{ key: 'sgk_secret', owner: 'agent:x' }] } },
      'keys[0].key: unknown setting',
    ],
    [
      'a level that is a number',
      { apiKey: { keys: [{ ...apiKey.keys[0], clearance: 3 }] } },
      'keys[0].clearance: expected text',
    ],
    ['another kind of name', { mtls: { ...mtls, san: 'cn' } }, 'identity.mtls.san: expected one of uri, dns, email'],
    [
      'one proxy, not in a list',
      { trustedProxy: { ...trustedProxy, proxies: '10.0.0.1' } },
      'proxies: expected a list',
    ],
  ])('%s is an error that names it', async (_, setting, message) => {
    expect(() => checkIdentity(setting)).toThrow(message)
    await expect(openIdentity(setting as VerifiedIdentity, ports)).rejects.toThrow(message)
  })

  it('an error never repeats a value, for it may be a key', async () => {
    for (const bad of [
      { apiKey: { keys: [{ hash: 'sgk_secret', owner: 'agent:x' }] } },
      { apiKey: { keys: ['sgk_secret'] } },
      { apiKey: { keys: 'sgk_secret' } },
    ]) {
      let text = ''
      try {
        await openIdentity(bad as unknown as VerifiedIdentity, ports)
      } catch (error) {
        text = String(error)
      }
      expect(text).toMatch(/TypeError: identity\.apiKey\.keys/)
      expect(text).not.toContain('secret')
    }
  })
})
