import { createHmac, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { ownerString } from '../core/owner.ts'
import type { Fault } from '../core/wire.ts'
import { challengeFor } from './credential.ts'
import { type JwtOptions, jwtIdentity } from './jwt.ts'
import type { JwtIssuer } from './jwt-issuer.ts'
import type { Identified, VerifiedStrategy } from './strategy.ts'
import {
  AUDIENCE,
  base64url,
  CLAIMS,
  ISSUER,
  NOW_S,
  type Payload,
  privateKeyObject,
  signed,
  signedText,
  type TestKey,
  testKey,
} from './tokens.test-support.ts'

let key: TestKey
let raw: KeyObject
let rsa: TestKey
let stranger: TestKey
let clock = NOW_S * 1000

beforeAll(async () => {
  ;[key, rsa, stranger] = await Promise.all([testKey('EdDSA', 'ed'), testKey('RS256', 'rsa'), testKey('EdDSA', 'ed')])
  raw = await privateKeyObject(key)
})

function strategy(more: Partial<JwtIssuer> = {}, options: Partial<JwtOptions> = {}): VerifiedStrategy {
  clock = NOW_S * 1000
  const issuer: JwtIssuer = { issuer: ISSUER, audience: AUDIENCE, jwks: { keys: [key.jwk, rsa.jwk] }, ...more }
  return jwtIdentity({ issuers: [issuer], ...options }, { now: () => clock })
}

const bearer = (token: string, name = 'Authorization'): string[] => [name, `Bearer ${token}`]

async function who(identity: VerifiedStrategy, rawHeaders: readonly string[]): Promise<Identified | Fault> {
  return identity.identify({ rawHeaders, socketAddress: '127.0.0.1' })
}

async function problem(identity: VerifiedStrategy, rawHeaders: readonly string[]): Promise<unknown> {
  const found = await who(identity, rawHeaders)
  if (found.kind !== 'fault') throw new Error(`expected a refusal, got ${ownerString(found.owner)}`)
  expect(found.code).toBe('credential_invalid')
  // One message for all, and nothing of what was presented anywhere in it.
  expect(found.message).toMatch(/^(?:the presented credential was not accepted|no credential was presented)$/)
  expect(JSON.stringify(found)).not.toContain('eyJ')
  return found.details?.['problem']
}

async function owner(identity: VerifiedStrategy, claims: Payload): Promise<string> {
  const found = await who(identity, bearer(await signed(key, claims)))
  if (found.kind === 'fault') throw new Error(String(found.details?.['problem']))
  return ownerString(found.owner)
}

describe('a good token', () => {
  it('names the owner, and the row says how', async () => {
    const found = await who(strategy(), bearer(await signed(key)))
    expect(found).toMatchObject({
      kind: 'identified',
      owner: { type: 'human', id: 'alice@example.com', authenticatedBy: 'jwt' },
      declared: { clearance: undefined, classification: undefined, clearanceVerified: true },
      usedHeaders: ['authorization'],
    })
  })

  it.each([
    ['RS256', () => rsa],
    ['EdDSA', () => key],
  ])('may be signed with %s', async (_, which) => {
    const found = await who(strategy(), bearer(await signed(which())))
    expect(found.kind).toBe('identified')
  })

  it.each(['PS256', 'ES256'])('may be signed with %s', async alg => {
    const other = await testKey(alg, 'other')
    const found = await who(strategy({ jwks: { keys: [other.jwk] } }), bearer(await signed(other)))
    expect(found.kind).toBe('identified')
  })

  it.each([
    ['one audience', AUDIENCE],
    ['among several audiences', ['https://other.example', AUDIENCE]],
  ])('is for this gate: %s', async (_, aud) => {
    expect(await owner(strategy(), { ...CLAIMS, aud })).toBe('human:alice@example.com')
  })

  it.each([
    ['another case of the scheme', (t: string) => ['authorization', `bEaReR ${t}`]],
    ['more blanks', (t: string) => ['Authorization', `  Bearer   ${t}  `]],
  ])('arrives with %s', async (_, headers) => {
    expect((await who(strategy(), headers(await signed(key)))).kind).toBe('identified')
  })

  it('may lie in a header of its own, bare', async () => {
    const identity = strategy({}, { header: 'X-Signet-Token' })
    const found = await who(identity, ['x-signet-token', await signed(key), 'authorization', 'Bearer upstream-key'])
    expect(found).toMatchObject({ kind: 'identified', usedHeaders: ['x-signet-token'] })
    expect(await problem(identity, bearer(await signed(key)))).toBe('absent')
  })

  it('without a key id is fine while the set holds one key of its kind', async () => {
    const token = await new SignJWT({ ...CLAIMS }).setProtectedHeader({ alg: 'EdDSA' }).sign(key.private)
    expect((await who(strategy(), bearer(token))).kind).toBe('identified')
    const two = strategy({ jwks: { keys: [key.jwk, (await testKey('EdDSA', 'second')).jwk] } })
    expect(await problem(two, bearer(token))).toBe('key_ambiguous')
  })

  it.each(['JWT', 'at+jwt', 'application/at+jwt', 'AT+JWT'])('may have the type %s', async typ => {
    expect((await who(strategy(), bearer(await signed(key, CLAIMS, { typ })))).kind).toBe('identified')
  })

  it('keeps what the caller says about its data, and only that', async () => {
    const found = await who(strategy(), [
      ...bearer(await signed(key)),
      ...['X-Classification', 'secret', 'X-Caller-Clearance', 'top_secret', 'X-Commit-Owner', 'human:root'],
    ])
    expect(found).toMatchObject({
      owner: { id: 'alice@example.com' },
      declared: { classification: 'secret', clearance: undefined, clearanceVerified: true },
    })
  })
})

describe('what claims prove', () => {
  const mapped = (claims: JwtIssuer['claims']) => strategy(claims === undefined ? {} : { claims })

  it.each([
    ['an agent', { claim: 'client_id', type: 'agent' }, { client_id: 'crawler' }, 'agent:crawler'],
    ['a policy', { claim: 'job', type: 'policy' }, { job: 'nightly' }, 'policy:nightly'],
    ['a whole principal', { claim: 'signet_owner', type: 'principal' }, { signet_owner: 'agent:x' }, 'agent:x'],
    ['a nested claim', { claim: ['ctx', 'user'], type: 'human' }, { ctx: { user: 'bob' } }, 'human:bob'],
    ['a claim with dots', { claim: 'https://x.example/u', type: 'human' }, { 'https://x.example/u': 'b' }, 'human:b'],
    ['a verified address', { claim: 'email', type: 'human' }, { email: 'a@x', email_verified: true }, 'human:a@x'],
    ['an address', { claim: 'email', type: 'human' }, { email: 'a@x' }, 'human:a@x'],
  ] as const)('%s', async (_, mapping, claims, expected) => {
    expect(await owner(mapped({ owner: mapping }), { ...CLAIMS, ...claims })).toBe(expected)
  })

  it.each([
    ['no owner claim', {}, 'owner_claim_missing', 'login'],
    ['a number', { login: 7 }, 'owner_claim_missing', 'login'],
    ['a list', { login: ['a'] }, 'owner_claim_missing', 'login'],
    ['null', { login: null }, 'owner_claim_missing', 'login'],
    ['nothing in it', { login: ' ' }, 'owner_claim_unusable', 'login'],
    ['an invisible character', { login: 'al\u200bice' }, 'owner_claim_unusable', 'login'],
    ['a bidirectional control', { login: '\u202eecila' }, 'owner_claim_unusable', 'login'],
    ['a line feed', { login: 'alice\n{"decision":"allow"}' }, 'owner_claim_unusable', 'login'],
    ['letters of two scripts', { login: 'аdmin' }, 'owner_claim_unusable', 'login'],
    ['an inherited name', {}, 'owner_claim_missing', 'constructor'],
    ['an address nobody verified', { email: 'ceo@x', email_verified: false }, 'email_not_verified', 'email'],
    ['an address verified by word', { email: 'ceo@x', email_verified: 'true' }, 'email_not_verified', 'email'],
  ])('%s names nobody', async (_, claims, expected, claim) => {
    const identity = mapped({ owner: { claim, type: 'human' } })
    expect(await problem(identity, bearer(await signed(key, { ...CLAIMS, ...claims })))).toBe(expected)
  })

  it('a bare name is no whole principal', async () => {
    const identity = mapped({ owner: { claim: 'sub', type: 'principal' } })
    expect(await problem(identity, bearer(await signed(key, { ...CLAIMS, sub: 'root' })))).toBe('owner_claim_unusable')
  })

  it.each([
    ['the level itself', { claim: 'level' }, { level: 'Secret' }, 'Secret'],
    ['none', { claim: 'level' }, {}, undefined],
    [
      'the first entry that a role fits',
      { claim: ['realm_access', 'roles'], levels: { 'gate-secret': 'secret', 'gate-internal': 'internal' } },
      { realm_access: { roles: ['other', 'gate-internal', 'gate-secret'] } },
      'secret',
    ],
    ['no role that fits', { claim: 'roles', levels: { a: 'secret' } }, { roles: ['b'] }, undefined],
    ['one role, not in a list', { claim: 'role', levels: { a: 'secret' } }, { role: 'a' }, 'secret'],
    ['no name of an inherited property', { claim: 'role', levels: { a: 'secret' } }, { role: 'toString' }, undefined],
  ] as const)('the clearance: %s', async (_, clearance, claims, expected) => {
    const found = await who(mapped({ clearance }), bearer(await signed(key, { ...CLAIMS, ...claims })))
    expect(found).toMatchObject({ declared: { clearance: expected, clearanceVerified: true } })
  })

  it.each([
    ['a list without levels', { claim: 'level' }, { level: ['secret'] }],
    ['an invisible character', { claim: 'level' }, { level: 'sec\u200bret' }],
    ['a role that is no text', { claim: 'roles', levels: { a: 'secret' } }, { roles: [1] }],
  ] as const)('a clearance that cannot be read is refused: %s', async (_, clearance, claims) => {
    const token = await signed(key, { ...CLAIMS, ...claims })
    expect(await problem(mapped({ clearance }), bearer(token))).toBe('clearance_claim_unusable')
  })

  it('approvers', async () => {
    const identity = mapped({ approvalChain: { claim: 'approvers' } })
    const chain = async (approvers: unknown) => who(identity, bearer(await signed(key, { ...CLAIMS, approvers })))
    expect(await chain(['human:bob', ' human:José'.normalize('NFD')])).toMatchObject({
      owner: { approvalChain: ['human:bob', 'human:José'] },
    })
    expect(await chain(undefined)).toMatchObject({ owner: { approvalChain: ['human:alice@example.com'] } })
    for (const bad of [[], 'human:bob', ['bob'], ['human:b\u200bob'], [7], Array<string>(17).fill('human:b')]) {
      expect(await chain(bad)).toMatchObject({ details: { problem: 'approval_chain_claim_unusable' } })
    }
  })

  it('an agent that acts for a person is written down, the person stays the owner (RFC 8693)', async () => {
    const read = async (act: unknown) => who(strategy(), bearer(await signed(key, { ...CLAIMS, act })))
    expect(await read({ sub: 'crawler-7', act: { sub: 'earlier' } })).toMatchObject({
      owner: { type: 'human', id: 'alice@example.com', authenticatedBy: 'jwt, acting: agent:crawler-7' },
    })
    expect(await read({ sub: 'policy:nightly' })).toMatchObject({
      owner: { authenticatedBy: 'jwt, acting: policy:nightly', approvalChain: ['human:alice@example.com'] },
    })
    for (const bad of ['crawler', {}, { sub: 7 }, { sub: 'a\u0000b' }, [{ sub: 'x' }]]) {
      expect(await read(bad)).toMatchObject({ details: { problem: 'act_claim_unusable' } })
    }
  })

  it('claims and scopes that the operator demands', async () => {
    const identity = strategy({
      requiredClaims: ['jti'],
      claimValues: { typ: 'Bearer', groups: 'gate' },
      requiredScopes: ['gate:call', 'gate:stream'],
    })
    const good = { ...CLAIMS, jti: '1', typ: 'Bearer', groups: ['x', 'gate'], scope: 'gate:stream gate:call other' }
    const { jti: _jti, ...withoutId } = good
    const { scope: _scope, ...withoutScope } = good
    expect(await owner(identity, good)).toBe('human:alice@example.com')
    expect(await owner(identity, { ...withoutScope, scp: ['gate:call', 'gate:stream'] })).toBe(
      'human:alice@example.com',
    )
    const why = async (claims: Payload) => problem(identity, bearer(await signed(key, claims)))
    expect(await why(withoutId)).toBe('claim_required')
    expect(await why({ ...good, typ: 'ID' })).toBe('claim_value')
    expect(await why({ ...good, groups: ['x'] })).toBe('claim_value')
    expect(await why({ ...good, groups: 'gateway' })).toBe('claim_value')
    expect(await why(withoutScope)).toBe('scope_missing')
    expect(await why({ ...good, scope: 'gate:call' })).toBe('scope_missing')
    expect(await why({ ...good, scope: 'gate:call gate:streams' })).toBe('scope_missing')
  })
})

describe('forged tokens', () => {
  const payload = (more: Payload = {}) => JSON.stringify({ ...CLAIMS, ...more })
  const without = (name: string) => JSON.stringify({ ...CLAIMS, [name]: undefined })
  const good = '{"alg":"EdDSA","kid":"ed","typ":"JWT"}'
  const mine = (header: string, body: string) => signedText(raw, header, body)
  const hmac = (secret: string | Uint8Array, header: string, body: string) => {
    const input = `${base64url(header)}.${base64url(body)}`
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const pem = () => `-----BEGIN PUBLIC KEY-----\n${rsa.jwk.n ?? ''}\n-----END PUBLIC KEY-----\n`

  it.each<[string, () => string | Promise<string>, string]>([
    ['alg none, no signature', () => `${base64url('{"alg":"none"}')}.${base64url(payload())}.`, 'malformed'],
    [
      'alg none, some signature',
      () => `${base64url('{"alg":"none"}')}.${base64url(payload())}.AAAA`,
      'algorithm_not_allowed',
    ],
    ['alg None', () => mine('{"alg":"None","kid":"ed"}', payload()), 'algorithm_not_allowed'],
    ['alg eddsa', () => mine('{"alg":"eddsa","kid":"ed"}', payload()), 'algorithm_not_allowed'],
    ['alg missing', () => mine('{"kid":"ed"}', payload()), 'algorithm_not_allowed'],
    ['alg a list', () => mine('{"alg":["EdDSA"],"kid":"ed"}', payload()), 'algorithm_not_allowed'],
    ['HS256 with the public key', () => hmac(pem(), '{"alg":"HS256","kid":"rsa"}', payload()), 'algorithm_not_allowed'],
    [
      'HS256 with the public JWK',
      () => hmac(JSON.stringify(rsa.jwk), '{"alg":"HS256","kid":"rsa"}', payload()),
      'algorithm_not_allowed',
    ],
    [
      'HS256 with an empty secret',
      () => hmac(new Uint8Array(1), '{"alg":"HS256"}', payload()),
      'algorithm_not_allowed',
    ],
    ['an HMAC called RS256', () => hmac(pem(), '{"alg":"RS256","kid":"rsa"}', payload()), 'signature'],
    ['another key under the same id', () => signed(stranger), 'signature'],
    ['a key of another kind under the id', () => mine('{"alg":"EdDSA","kid":"rsa"}', payload()), 'key_unknown'],
    ['an unknown key id', () => mine('{"alg":"EdDSA","kid":"nobody"}', payload()), 'key_unknown'],
    ['a key id that is a path', () => mine('{"alg":"EdDSA","kid":"../../../../dev/null"}', payload()), 'key_unknown'],
    ['a key id that is a query', () => mine(`{"alg":"EdDSA","kid":"x' UNION SELECT 'a"}`, payload()), 'key_unknown'],
    ['a key id that is a prototype', () => mine('{"alg":"EdDSA","kid":"__proto__"}', payload()), 'key_unknown'],
    ['a key id that is no text', () => mine('{"alg":"EdDSA","kid":["ed"]}', payload()), 'malformed'],
    ['an embedded key', async () => signed(stranger, CLAIMS, { jwk: stranger.jwk }), 'signature'],
    [
      'an embedded key, no id',
      async () =>
        new SignJWT({ ...CLAIMS }).setProtectedHeader({ alg: 'EdDSA', jwk: stranger.jwk }).sign(stranger.private),
      'signature',
    ],
    ['a key elsewhere (jku)', () => signed(stranger, CLAIMS, { jku: 'https://evil.example/keys' }), 'signature'],
    [
      'a certificate elsewhere (x5u)',
      () => signed(stranger, CLAIMS, { x5u: 'https://evil.example/c.pem' }),
      'signature',
    ],
    ['a certificate inside (x5c)', () => signed(stranger, CLAIMS, { x5c: ['MIIB'] }), 'signature'],
    ['crit', () => mine('{"alg":"EdDSA","kid":"ed","crit":["exp"],"exp":1}', payload()), 'critical_extension'],
    ['an empty crit', () => mine('{"alg":"EdDSA","kid":"ed","crit":[]}', payload()), 'critical_extension'],
    ['b64 false', () => mine('{"alg":"EdDSA","kid":"ed","b64":false,"crit":["b64"]}', payload()), 'critical_extension'],
    ['a receipt of this gate', () => signed(key, CLAIMS, { typ: 'signet-receipt+jwt' }), 'type_not_allowed'],
    ['a log-out token', () => signed(key, CLAIMS, { typ: 'logout+jwt' }), 'type_not_allowed'],
    ['a proof of possession', () => signed(key, CLAIMS, { typ: 'dpop+jwt' }), 'type_not_allowed'],
    ['a type that is no text', () => mine('{"alg":"EdDSA","kid":"ed","typ":7}', payload()), 'type_not_allowed'],
    ['another issuer', () => mine(good, payload({ iss: 'https://evil.example' })), 'issuer_unknown'],
    ['the issuer with a slash more', () => mine(good, payload({ iss: `${ISSUER}/` })), 'issuer_unknown'],
    ['the issuer in a list', () => mine(good, payload({ iss: [ISSUER] })), 'issuer_unknown'],
    ['no issuer', () => mine(good, without('iss')), 'issuer_unknown'],
    ['another audience', () => mine(good, payload({ aud: 'https://other.example' })), 'claim_aud'],
    ['other audiences', () => mine(good, payload({ aud: ['https://other.example', `${AUDIENCE}/`] })), 'claim_aud'],
    ['an audience that begins like ours', () => mine(good, payload({ aud: `${AUDIENCE}.evil` })), 'claim_aud'],
    ['ours in a list in a list', () => mine(good, payload({ aud: [[AUDIENCE]] })), 'claim_aud'],
    ['ours as a key', () => mine(good, payload({ aud: { [AUDIENCE]: true } })), 'claim_aud'],
    ['no audience', () => mine(good, without('aud')), 'claim_aud'],
    ['an empty list of audiences', () => mine(good, payload({ aud: [] })), 'claim_aud'],
    ['expired', () => mine(good, payload({ exp: NOW_S - 31 })), 'expired'],
    ['no end', () => mine(good, without('exp')), 'claim_exp'],
    ['an end that is text', () => mine(good, payload({ exp: String(NOW_S + 300) })), 'claim_exp'],
    ['an end that is null', () => mine(good, payload({ exp: null })), 'claim_exp'],
    ['an end beyond numbers', () => mine(good, payload().replace(String(CLAIMS.exp), '1e999')), 'malformed'],
    ['not valid yet', () => mine(good, payload({ nbf: NOW_S + 31 })), 'claim_nbf'],
    ['nbf that is text', () => mine(good, payload({ nbf: '0' })), 'claim_nbf'],
    ['issued in the future', () => mine(good, payload({ iat: NOW_S + 31 })), 'claim_iat'],
    ['issued who knows when', () => mine(good, payload({ iat: 'now' })), 'claim_iat'],
    ['two subjects', () => mine(good, payload().replace('"sub"', '"sub":"root","sub"')), 'malformed'],
    ['two audiences claims', () => mine(good, payload().replace('"aud"', '"aud":"x","aud"')), 'malformed'],
    ['two alg', () => mine('{"alg":"none","alg":"EdDSA","kid":"ed"}', payload()), 'malformed'],
    [
      'two subjects, one escaped',
      () => mine(good, payload().replace('"sub"', '"s\\u0075b":"root","sub"')),
      'malformed',
    ],
    ['claims that are a list', () => mine(good, `[${payload()}]`), 'malformed'],
    ['claims that are text', () => mine(good, '"alice"'), 'malformed'],
    ['claims nested deep', () => mine(good, `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`), 'malformed'],
    ['a byte order mark', () => mine(good, `\ufeff${payload()}`), 'malformed'],
    ['a header that is no JSON', () => mine('alg=EdDSA', payload()), 'malformed'],
    ['two parts', () => mine(good, payload()).split('.').slice(0, 2).join('.'), 'malformed'],
    ['four parts', () => `${mine(good, payload())}.AAAA`, 'malformed'],
    ['five parts, encrypted', () => 'eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA', 'malformed'],
    [
      'JSON serialisation',
      () => JSON.stringify({ payload: base64url(payload()), signatures: [] }).replaceAll(' ', ''),
      'malformed',
    ],
    ['padding', () => `${mine(good, payload())}==`, 'malformed'],
    ['the other base64 alphabet', () => `${mine(good, payload())}+/`, 'malformed'],
    ['a signature cut short', () => mine(good, payload()).slice(0, -4), 'signature'],
    [
      'a changed payload',
      () => mine(good, payload()).replace(/\.[^.]+\./, `.${base64url(payload({ sub: 'root' }))}.`),
      'signature',
    ],
    ['an API key', () => `sgk_${'A'.repeat(43)}`, 'malformed'],
    ['too long', () => mine(good, payload({ pad: 'x'.repeat(16 * 1024) })), 'too_long'],
  ])('%s', async (_, make, expected) => {
    expect(await problem(strategy(), bearer(await make()))).toBe(expected)
  })

  it.each<[string, (token: string) => string[], string]>([
    ['no header', () => [], 'absent'],
    ['a blank header', () => ['authorization', ' \t '], 'absent'],
    ['another header', t => ['x-authorization', `Bearer ${t}`], 'absent'],
    ['a cookie', t => ['cookie', `Authorization=Bearer ${t}`], 'absent'],
    ['no scheme', t => ['authorization', t], 'not_a_bearer_token'],
    ['no token', () => ['authorization', 'Bearer'], 'not_a_bearer_token'],
    ['Basic', t => ['authorization', `Basic ${t}`], 'not_a_bearer_token'],
    ['two tokens in one header', t => ['authorization', `Bearer ${t} ${t}`], 'not_a_bearer_token'],
    ['two tokens, joined', t => ['authorization', `Bearer ${t},Bearer ${t}`], 'not_a_bearer_token'],
    ['a blank inside', t => ['authorization', `Bearer ${t.slice(0, 20)} ${t.slice(20)}`], 'not_a_bearer_token'],
    ['a tab after the scheme', t => ['authorization', `Bearer\t${t}`], 'not_a_bearer_token'],
    ['a no-break space at the end', t => ['authorization', `Bearer ${t}\u00a0`], 'not_a_bearer_token'],
    ['two headers', t => [...bearer(t), ...bearer(t)], 'sent_twice'],
    ['two headers of another case', t => [...bearer('x.y.z'), ...bearer(t, 'AUTHORIZATION')], 'sent_twice'],
    ['an empty one and a good one', t => ['authorization', '', ...bearer(t)], 'sent_twice'],
  ])('a good token with %s', async (_, headers, expected) => {
    expect(await problem(strategy(), headers(await signed(key)))).toBe(expected)
  })

  it('algorithms are only those listed', async () => {
    expect(await problem(strategy({ algorithms: ['RS256'] }), bearer(await signed(key)))).toBe('algorithm_not_allowed')
  })

  it('a type, once demanded, must be there', async () => {
    const identity = strategy({ types: ['at+jwt'] })
    expect(await problem(identity, bearer(await signed(key)))).toBe('type_not_allowed')
    expect((await who(identity, bearer(await signed(key, CLAIMS, { typ: 'application/AT+jwt' })))).kind).toBe(
      'identified',
    )
    const none = await new SignJWT({ ...CLAIMS }).setProtectedHeader({ alg: 'EdDSA', kid: 'ed' }).sign(key.private)
    expect(await problem(identity, bearer(none))).toBe('type_not_allowed')
  })

  it('a short RSA key proves nothing', async () => {
    const { generateKeyPairSync, sign } = await import('node:crypto')
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const jwk = { ...short.publicKey.export({ format: 'jwk' }), kid: 'short' }
    const input = `${base64url('{"alg":"RS256","kid":"short"}')}.${base64url(payload())}`
    const token = `${input}.${sign('sha256', Buffer.from(input), short.privateKey).toString('base64url')}`
    expect(await problem(strategy({ jwks: { keys: [jwk] } }), bearer(token))).toBe('key_unusable')
  })
})

describe('time', () => {
  it('clocks may differ by the tolerance, and no second more', async () => {
    const identity = strategy({ clockToleranceS: 5 })
    const at = async (claims: Payload, seconds: number) => {
      const headers = bearer(await signed(key, { ...CLAIMS, ...claims }))
      clock = (NOW_S + seconds) * 1000
      return (await who(identity, headers)).kind
    }
    expect(await at({ exp: NOW_S }, 4)).toBe('identified')
    expect(await at({ exp: NOW_S, jti: 1 }, 5)).toBe('fault')
    expect(await at({ nbf: NOW_S + 5 }, 0)).toBe('identified')
    expect(await at({ nbf: NOW_S + 6 }, 0)).toBe('fault')
  })

  it('a token accepted before is refused once it has ended', async () => {
    const identity = strategy({ clockToleranceS: 0 })
    const headers = bearer(await signed(key))
    expect((await who(identity, headers)).kind).toBe('identified')
    clock = CLAIMS.exp * 1000 - 1
    expect((await who(identity, headers)).kind).toBe('identified')
    clock = CLAIMS.exp * 1000
    expect(await problem(identity, headers)).toBe('expired')
  })

  it('so is one accepted under a limit on its age', async () => {
    const identity = strategy({ clockToleranceS: 0, maxTokenAgeS: 60 })
    const headers = bearer(await signed(key))
    expect((await who(identity, headers)).kind).toBe('identified')
    clock = (CLAIMS.iat + 61) * 1000
    expect(await problem(identity, headers)).toBe('expired')
    const { iat: _, ...dateless } = CLAIMS
    expect(await problem(identity, bearer(await signed(key, dateless)))).toBe('claim_iat')
  })

  it('what is remembered of one caller is not given to another', async () => {
    const identity = strategy({ claims: { clearance: { claim: 'level' } } })
    const tokens = await Promise.all(
      ['a', 'b', 'a'].map(async (sub, i) => signed(key, { ...CLAIMS, sub, level: `l${String(i)}` })),
    )
    for (let round = 0; round < 2; round++) {
      const found = await Promise.all(tokens.map(async token => who(identity, bearer(token))))
      expect(found.map(f => (f.kind === 'fault' ? f.code : `${f.owner.id} ${f.declared.clearance ?? ''}`))).toEqual([
        'a l0',
        'b l1',
        'a l2',
      ])
    }
    const classified = await who(identity, [...bearer(tokens[0] ?? ''), 'x-classification', 'secret'])
    expect(classified).toMatchObject({ declared: { classification: 'secret' } })
    expect(await who(identity, bearer(tokens[0] ?? ''))).toMatchObject({ declared: { classification: undefined } })
  })
})

describe('several issuers', () => {
  it('each answers for its own names only', async () => {
    const other = await testKey('EdDSA', 'ed')
    const identity = jwtIdentity(
      {
        issuers: [
          { issuer: ISSUER, audience: AUDIENCE, jwks: { keys: [key.jwk] } },
          {
            issuer: 'https://machines.example',
            audience: AUDIENCE,
            jwks: { keys: [other.jwk] },
            claims: { owner: { claim: 'sub', type: 'agent' } },
            name: 'jwt:machines',
          },
        ],
      },
      { now: () => NOW_S * 1000 },
    )
    const machine = { ...CLAIMS, iss: 'https://machines.example', sub: 'crawler' }
    expect(await who(identity, bearer(await signed(other, machine)))).toMatchObject({
      owner: { type: 'agent', id: 'crawler', authenticatedBy: 'jwt:machines' },
    })
    expect(await owner(identity, CLAIMS)).toBe('human:alice@example.com')
    // The machines' key cannot speak for people, nor the other way round.
    expect(await problem(identity, bearer(await signed(other, CLAIMS)))).toBe('signature')
    expect(await problem(identity, bearer(await signed(key, machine)))).toBe('signature')
  })
})

describe('the challenge of a 401', () => {
  it('names the error only when something was presented', async () => {
    const identity = strategy()
    const absent = await who(identity, [])
    const bad = await who(identity, ['authorization', 'Bearer x'])
    if (absent.kind !== 'fault' || bad.kind !== 'fault') throw new Error('expected refusals')
    expect(challengeFor(identity, absent)).toBe('Bearer realm="signet"')
    expect(challengeFor(identity, bad)).toBe('Bearer realm="signet", error="invalid_token"')
    expect(challengeFor(identity, { kind: 'fault', code: 'state_unavailable', message: '' })).toBeUndefined()
  })
})

describe('settings that cannot be meant', () => {
  const issuer = { issuer: ISSUER, audience: AUDIENCE, discovery: true } as const
  const egress = { send: () => Promise.reject(new Error('not called')) }
  it.each<[string, JwtOptions, RegExp]>([
    ['no issuer', { issuers: [] }, /issuers: expected at least one/],
    ['an unnamed issuer', { issuers: [{ ...issuer, issuer: '' }] }, /issuer: expected/],
    ['no audience', { issuers: [{ ...issuer, audience: [] }] }, /audience: expected/],
    ['an empty audience', { issuers: [{ ...issuer, audience: '' }] }, /audience: expected/],
    ['alg none', { issuers: [{ ...issuer, algorithms: ['none'] }] }, /algorithms: expected asymmetric/],
    [
      'a shared secret',
      { issuers: [{ ...issuer, algorithms: ['RS256', 'HS256'] }] },
      /algorithms: expected asymmetric/,
    ],
    ['no algorithm', { issuers: [{ ...issuer, algorithms: [] }] }, /algorithms: expected at least one/],
    ['no keys', { issuers: [{ issuer: ISSUER, audience: AUDIENCE }] }, /exactly one of jwksUri, discovery and jwks/],
    ['keys twice', { issuers: [{ ...issuer, jwksUri: 'https://x.example' }] }, /exactly one of/],
    ['plain http', { issuers: [{ ...issuer, issuer: 'http://issuer.example' }] }, /issuer: expected https/],
    [
      'http keys',
      { issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwksUri: 'http://x.example/k' }] },
      /jwksUri: expected https/,
    ],
    [
      'a password',
      { issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwksUri: 'https://a:b@x.example' }] },
      /no user or password/,
    ],
    ['a file', { issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwksUri: 'file:///etc/keys' }] }, /expected https/],
    ['empty keys', { issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwks: { keys: [] } }] }, /at least one public/],
    [
      'secret keys',
      { issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwks: { keys: [{ kty: 'oct', k: 'AA' }] } }] },
      /at least one public/,
    ],
    ['two of one name', { issuers: [issuer, issuer] }, /two entries have the same issuer/],
    ['a tolerance of a day', { issuers: [{ ...issuer, clockToleranceS: 86_400 }] }, /clockToleranceS: expected/],
    ['staleness below age', { issuers: [{ ...issuer, maxAgeS: 60, maxStaleS: 30 }] }, /maxStaleS: expected/],
    ['what callers say', { issuers: [issuer], header: 'X-Commit-Owner' }, /choose another header/],
    ['a cookie', { issuers: [issuer], header: 'Cookie' }, /cookie has a meaning of its own/],
    ['no header name', { issuers: [issuer], header: 'a b' }, /expected a header name/],
    [
      'no claim',
      { issuers: [{ ...issuer, claims: { owner: { claim: '', type: 'human' } } }] },
      /owner: expected the name/,
    ],
    ['no levels', { issuers: [{ ...issuer, claims: { clearance: { claim: 'r', levels: {} } } }] }, /levels: expected/],
    [
      'numbered levels',
      { issuers: [{ ...issuer, claims: { clearance: { claim: 'r', levels: { 7: 'a' } } } }] },
      /not numbers/,
    ],
  ])('%s', (_, options, message) => {
    expect(() => jwtIdentity(options, { now: () => 0, egress })).toThrow(message)
  })

  it('keys to fetch and nothing that fetches', () => {
    expect(() => jwtIdentity({ issuers: [issuer] }, { now: () => 0 })).toThrow(/nothing fetches them/)
  })
})

describe('whatever else the caller sends', () => {
  const text = fc.string({ unit: fc.integer({ min: 0x20, max: 255 }).map(unit => String.fromCharCode(unit)) })
  const name = fc.oneof(
    fc.constantFrom(
      ...['X-Commit-Owner', 'X-Agent-Id', 'X-Policy-Name', 'X-Policy-Version', 'X-Caller-Clearance', 'X-Forwarded-For'],
      ...[
        'X-Auth-Request-Email',
        'X-Forwarded-Client-Cert',
        'X-Api-Key',
        'Proxy-Authorization',
        'Cookie',
        'X-Approval',
      ],
    ),
    text.filter(n => n.toLowerCase() !== 'authorization'),
  )
  const value = fc.oneof(text, fc.constantFrom('human:root', 'agent:root', 'top_secret', 'root', '127.0.0.1'))

  it('changes neither the owner nor the clearance', async () => {
    const identity = strategy({ claims: { clearance: { claim: 'level' } } })
    const token = await signed(key, { ...CLAIMS, level: 'internal' })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 6 }), fc.boolean(), async (pairs, before) => {
        const rest = pairs.flat()
        const found = await who(identity, before ? [...rest, ...bearer(token)] : [...bearer(token), ...rest])
        if (found.kind !== 'identified') throw new Error('expected the owner')
        expect(found.owner).toEqual({
          type: 'human',
          id: 'alice@example.com',
          approvalChain: ['human:alice@example.com'],
          authenticatedBy: 'jwt',
          claims: {},
        })
        expect(found.declared).toMatchObject({ clearance: 'internal', clearanceVerified: true })
        expect(await problem(identity, rest)).toBe('absent')
      }),
      { numRuns: 150 },
    )
  })

  it('a token that is not ours never becomes an owner, nor an exception', async () => {
    const identity = strategy()
    const token = await signed(key)
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom('A', 'B', '_', '-', '.', '='), async (at, char) => {
        const changed = token.slice(0, at) + char + token.slice(at + 1)
        fc.pre(changed !== token)
        const found = await who(identity, bearer(changed))
        // The last character of base64url may hold bits that count for nothing: then it is the same token.
        if (found.kind === 'identified')
          expect(Buffer.from(changed.split('.')[2] ?? '', 'base64url')).toEqual(
            Buffer.from(token.split('.')[2] ?? '', 'base64url'),
          )
      }),
      { numRuns: 150 },
    )
  })
})
