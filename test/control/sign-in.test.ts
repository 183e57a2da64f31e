/** Signing in at an identity provider: the flow over the wire, against an issuer on a real port, and the attacks on it, literally. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Serving, startServing } from '../../src/cli/serving.ts'
import { definePipeline } from '../../src/config/pipeline.ts'
import { resolveSettings } from '../../src/config/resolve.ts'
import type { SettingsInput } from '../../src/config/setting-table.ts'
import { fromPipeline } from '../../src/config/settings.ts'
import { newApiKey } from '../../src/identity/api-key.ts'
import { base64url, type Payload, signed, testKey } from '../../src/identity/tokens.test-support.ts'
import { systemRandom } from '../../src/state/system.ts'
import { demoChecks } from '../support/gate.ts'
import { type Provider, signInAt, startProvider } from '../support/provider.ts'

const random = systemRandom()
const key = await testKey('RS256', 'one')
const person = (email: string, roles: readonly string[] = [], more: Payload = {}): Payload => ({
  email,
  email_verified: true,
  roles,
  ...more,
})
const PEOPLE = {
  bob: person('bob@example.com', ['signet-approver']),
  vera: person('vera@example.com', ['signet-viewer']),
  nobody: person('nobody@example.com', ['something-else']),
  agent: person('bob@example.com', ['signet-approver'], { act: { sub: 'crawler-7' } }),
  unverified: person('ada@example.com', ['signet-admin'], { email_verified: false }),
}
type Who = keyof typeof PEOPLE | 'cancel'

let provider: Provider
let folder: string
let s: Serving
let control: string

async function serve(more: SettingsInput = {}): Promise<Serving> {
  const settings: SettingsInput = {
    upstreamUrl: 'demo',
    port: 0,
    controlPort: 0,
    auditLogPath: join(folder, 'audit.jsonl'),
    approvers: ['human:bob@example.com'],
    controlIdentity: {
      apiKey: { keys: [{ hash: newApiKey(n => random.bytes(n)).hash, owner: 'human:other' }] },
      jwt: {
        issuers: [
          {
            issuer: provider.url,
            audience: ['signet-control', 'signet-console'],
            discovery: true,
            name: 'oidc',
            claims: {
              owner: { claim: 'email', type: 'human' },
              role: {
                claim: 'roles',
                roles: { 'signet-viewer': 'viewer', 'signet-approver': 'approver', 'signet-admin': 'admin' },
              },
            },
            requiredClaims: ['email_verified'],
          },
        ],
      },
    },
    consoleOidcClientId: provider.clientId,
    consoleOidcClientSecret: provider.clientSecret,
    ...more,
  }
  const serving = await startServing(
    resolveSettings([fromPipeline(settings, 'pipeline.ts')], true),
    definePipeline({ checks: demoChecks(), ...settings }),
    { folder, file: undefined, variables: {}, consoleFolder: '/nowhere' },
  )
  control = serving.controlUrl ?? ''
  provider.redirects = [`${control}/console/`]
  return serving
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'signet-sign-in-'))
  provider = await startProvider(key, { ...PEOPLE })
  s = await serve()
})
afterAll(async () => {
  await s.close()
  await provider.stop()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  Object.assign(provider, {
    lifeS: 300,
    refreshes: true,
    tokenError: undefined,
    idToken: (claims: Payload) => signed(key, claims),
    back: (said: URLSearchParams) => said,
  })
})

interface Answered {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}
async function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
  const res = await fetch(`${control}${path}`, {
    method: 'POST',
    headers: { origin: control, ...headers },
    body: JSON.stringify(body),
  })
  expect(res.headers.get('set-cookie')).toBe(null)
  return { status: res.status, body: (await res.json()) as Readonly<Record<string, unknown>> }
}
async function begin(): Promise<{ readonly location: string; readonly binding: string }> {
  const { status, body } = await post('/api/v1/sign-in/begin', {})
  expect(status).toBe(201)
  return { location: String(body['location']), binding: String(body['binding']) }
}
const complete = (binding: string, response: string) => post('/api/v1/sign-in/complete', { binding, response })
async function signIn(who: Who): Promise<Answered> {
  const { location, binding } = await begin()
  return complete(binding, await signInAt(location, who))
}
const me = async (token: unknown): Promise<Answered> => {
  const res = await fetch(`${control}/api/v1/me`, { headers: { authorization: `Bearer ${String(token)}` } })
  return { status: res.status, body: (await res.json()) as Readonly<Record<string, unknown>> }
}
const log = () => readFileSync(join(folder, 'audit.jsonl'), 'utf8')
const rows = (name: string) =>
  log()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as { readonly metadata: Readonly<Record<string, unknown>> } & Record<string, unknown>)
    .filter(row => row.metadata['_check_name'] === name)
const refusals = () => rows('session.refused').map(row => row.metadata['_problem'])

it('says where one can sign in, and sends the browser there with all that the flow demands', async () => {
  expect(await (await fetch(`${control}/api/v1/sign-in`)).json()).toEqual({ issuer: new URL(provider.url).host })
  const [one, two] = [await begin(), await begin()]
  const asked = new URL(one.location)
  expect(asked.origin + asked.pathname).toBe(`${provider.url}/authorize`)
  expect(Object.fromEntries(asked.searchParams)).toEqual({
    response_type: 'code',
    client_id: 'signet-console',
    redirect_uri: `${control}/console/`,
    scope: 'openid email profile',
    state: expect.stringMatching(/^[\w-]{43}$/),
    nonce: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge_method: 'S256',
  })
  const secrets = [one, two].flatMap(({ location, binding }) => {
    const q = new URL(location).searchParams
    return [q.get('state'), q.get('nonce'), q.get('code_challenge'), binding]
  })
  expect(new Set(secrets).size).toBe(8)
})

it('opens a session with the name and the role that the token would open it with, and writes it down', async () => {
  const { status, body } = await signIn('bob')
  expect([status, body]).toEqual([
    201,
    expect.objectContaining({ principal: 'human:bob@example.com', role: 'approver', by: 'oidc' }),
  ])
  expect(body['token']).toMatch(/^sgs_/)
  expect((await me(body['token'])).body).toMatchObject({
    principal: 'human:bob@example.com',
    role: 'approver',
    by: 'oidc',
  })
  expect(rows('session.opened').at(-1)).toMatchObject({
    owner_id: 'bob@example.com',
    owner_type: 'human',
    metadata: { _owner_authenticated_by: 'oidc' },
  })
  // Neither the codes, nor the tokens, nor what proves this gate to its issuer are in the log.
  const said = provider.exchanged.at(-1)
  for (const secret of [said?.get('code'), said?.get('code_verifier'), body['token'], provider.clientSecret, 'eyJ'])
    expect(log()).not.toContain(String(secret))
})

it('a viewer is a viewer', async () => {
  const { body } = await signIn('vera')
  expect((await me(body['token'])).body).toMatchObject({ role: 'viewer' })
})

describe('an attack', () => {
  it('a wrong state is refused, and the code is never used', async () => {
    const { location, binding } = await begin()
    const said = new URLSearchParams(await signInAt(location, 'bob'))
    const before = provider.exchanged.length
    said.set('state', 'A'.repeat(43))
    expect(await complete(binding, said.toString())).toMatchObject({ status: 409, body: { error: 'state_mismatch' } })
    expect(provider.exchanged).toHaveLength(before)
    expect(refusals().at(-1)).toBe('state_mismatch')
  })

  it.each([
    ['none', (q: URLSearchParams) => q.delete('state')],
    ['two', (q: URLSearchParams) => q.append('state', 'x')],
  ])('a response with %s of state is refused', async (_, change) => {
    const { location, binding } = await begin()
    const said = new URLSearchParams(await signInAt(location, 'bob'))
    change(said)
    expect((await complete(binding, said.toString())).status).toBeGreaterThanOrEqual(403)
  })

  it('a callback that is played again opens nothing, and neither does it with a secret of its own', async () => {
    const { location, binding } = await begin()
    const said = await signInAt(location, 'bob')
    expect((await complete(binding, said)).status).toBe(201)
    expect(await complete(binding, said)).toMatchObject({ status: 409, body: { error: 'sign_in_unknown' } })
    const other = await begin()
    expect(await complete(other.binding, said)).toMatchObject({ status: 409, body: { error: 'state_mismatch' } })
  })

  it('a callback that came to nothing cannot be tried again', async () => {
    const { location, binding } = await begin()
    const said = new URLSearchParams(await signInAt(location, 'bob'))
    const bad = new URLSearchParams(said)
    bad.set('iss', 'https://evil.example')
    expect((await complete(binding, bad.toString())).status).toBe(403)
    expect(await complete(binding, said.toString())).toMatchObject({ status: 409, body: { error: 'sign_in_unknown' } })
  })

  it('login CSRF: the attacker’s answer, in a browser that began nothing, or began something else', async () => {
    const attacker = await begin()
    const theirs = await signInAt(attacker.location, 'vera')
    // Nothing was begun: there is nothing to send along.
    expect((await complete('', theirs)).status).toBe(400)
    expect(await complete('A'.repeat(43), theirs)).toMatchObject({ status: 409, body: { error: 'sign_in_unknown' } })
    const victim = await begin()
    expect(await complete(victim.binding, theirs)).toMatchObject({ status: 409, body: { error: 'state_mismatch' } })
  })

  it('a code of another browser, in a response of one’s own (code injection)', async () => {
    const [victim, attacker] = [await begin(), await begin()]
    const stolen = new URLSearchParams(await signInAt(victim.location, 'bob')).get('code') ?? ''
    const own = new URLSearchParams(await signInAt(attacker.location, 'vera'))
    own.set('code', stolen)
    // RFC 7636: the verifier is another.
    expect(await complete(attacker.binding, own.toString())).toMatchObject({
      status: 403,
      body: { error: 'code_refused', issuer_error: 'invalid_grant' },
    })
    expect(rows('session.refused').at(-1)?.metadata).toMatchObject({
      _problem: 'code_refused',
      _issuer_error: 'invalid_grant',
    })
  })

  it.each([
    ['another issuer', 'https://evil.example'],
    ['one that begins alike', 'http://127.0.0.1'],
    ['none, though it always says so', undefined],
  ])('mix-up: the response names %s', async (_, iss) => {
    const before = provider.exchanged.length
    const { location, binding } = await begin()
    const said = new URLSearchParams(await signInAt(location, 'bob'))
    if (iss === undefined) said.delete('iss')
    else said.set('iss', iss)
    expect(await complete(binding, said.toString())).toMatchObject({
      status: 403,
      body: { error: iss === undefined ? 'response_invalid' : 'issuer_mismatch' },
    })
    expect(provider.exchanged).toHaveLength(before)
  })

  const part = (value: unknown) => base64url(JSON.stringify(value))
  const stranger = testKey('RS256', 'one')
  it.each<[string, (claims: Payload) => Promise<string>]>([
    ['is signed by nobody', async c => `${part({ alg: 'none' })}.${part(c)}.`],
    ['is signed by nobody, in other letters', async c => `${part({ alg: 'NoNe', kid: 'one' })}.${part(c)}.AAAA`],
    ['is signed with a shared secret', async c => `${part({ alg: 'HS256', kid: 'one' })}.${part(c)}.AAAA`],
    ['is signed by a stranger', async c => signed(await stranger, c)],
    ['has another nonce', c => signed(key, { ...c, nonce: 'A'.repeat(43) })],
    ['has no nonce', ({ nonce: _, ...c }) => signed(key, c)],
    ['is for another client', c => signed(key, { ...c, aud: 'signet-control' })],
    ['is for others too, and was given to one of them', c => signed(key, { ...c, aud: [c['aud'], 'x'], azp: 'x' })],
    ['is of another issuer', c => signed(key, { ...c, iss: 'https://evil.example' })],
    ['has ended', c => signed(key, { ...c, exp: Math.floor(Date.now() / 1000) - 60 })],
    ['has no end', ({ exp: _, ...c }) => signed(key, c)],
    ['names nobody', ({ sub: _, ...c }) => signed(key, c)],
  ])('an ID token that %s', async (_, idToken) => {
    provider.idToken = idToken
    expect(await signIn('bob')).toMatchObject({ status: 403, body: { error: 'tokens_invalid' } })
    expect(refusals().at(-1)).toBe('tokens_invalid')
  })

  it.each<[string, Who, number, string, object]>([
    ['who speaks for somebody else', 'agent', 403, 'acting_for_another', { owner_id: 'bob@example.com' }],
    ['without a role', 'nobody', 403, 'not_allowed', { owner_id: 'nobody@example.com' }],
    ['whose address nobody has verified', 'unverified', 401, 'credential_invalid', { owner_id: 'control' }],
  ])('somebody %s', async (_, who, status, error, row) => {
    const before = provider.live.size
    expect(await signIn(who)).toMatchObject({ status, body: { error } })
    expect(rows('session.refused').at(-1)).toMatchObject({ ...row, decision: 'block' })
    // What would renew it is not left lying about.
    await expect.poll(() => provider.live.size).toBe(before)
  })

  it.each([
    ['a page of somebody else', 'http://evil.example'],
    ['another port of this host', 'http://127.0.0.1:1'],
    ['a page without an origin', 'null'],
    ['a name of this listener’s that is not its own', 'http://127.0.0.1.evil.example'],
  ])('%s cannot begin, and nobody is sent back there', async (_, origin) => {
    for (const path of ['begin', 'complete'])
      expect((await post(`/api/v1/sign-in/${path}`, {}, { origin })).status).toBe(403)
  })

  it('whoever shows no origin at all cannot begin', async () => {
    const res = await fetch(`${control}/api/v1/sign-in/begin`, { method: 'POST', body: '{}' })
    expect([res.status, await res.json()]).toEqual([403, expect.objectContaining({ error: 'origin_not_allowed' })])
  })

  it.each(['redirect_uri', 'return_to', 'location'])('an open redirect by %s is not even read', async name => {
    const evil = 'https://evil.example/'
    expect((await post('/api/v1/sign-in/begin', { [name]: evil })).status).toBe(400)
    const { status, body } = await post(`/api/v1/sign-in/begin?${name}=${encodeURIComponent(evil)}`, {})
    expect(status).toBe(201)
    expect(String(body['location'])).not.toContain('evil')
    const to = new URL(String(body['location']))
    to.searchParams.set('redirect_uri', evil)
    await expect(signInAt(to.href, 'bob')).rejects.toThrow('not registered')
  })

  it('a response that is too long, or bound to nothing', async () => {
    const { binding } = await begin()
    expect((await complete(binding, 'x'.repeat(8193))).status).toBe(400)
    for (const wrong of ['', 'A'.repeat(42), 'A'.repeat(44), `${'A'.repeat(42)}\n`])
      expect((await complete(wrong, 'code=a&state=b')).status).toBe(400)
  })

  it('a thousand that others begin leave room for the newest, and the oldest is gone', async () => {
    const oldest = await begin()
    const said = await signInAt(oldest.location, 'bob')
    for (let i = 0; i < 1000; i++) await begin()
    const newest = await begin()
    expect(await complete(oldest.binding, said)).toMatchObject({ status: 409, body: { error: 'sign_in_unknown' } })
    expect((await complete(newest.binding, await signInAt(newest.location, 'bob'))).status).toBe(201)
  })
})

describe('what the issuer says instead', () => {
  it('is told in its own word, and nothing of what else it wrote', async () => {
    provider.back = said => new URLSearchParams([...said, ['error_description', '<img src=x onerror=alert(1)>']])
    const { status, body } = await signIn('cancel')
    expect([status, body['error'], body['issuer_error']]).toEqual([403, 'issuer_refused', 'access_denied'])
    expect(JSON.stringify(body)).not.toContain('onerror')
    expect(rows('session.refused').at(-1)?.metadata).toMatchObject({
      _problem: 'issuer_refused',
      _issuer_error: 'access_denied',
    })
  })

  it('is left out when it is no word', async () => {
    provider.back = said => {
      said.set('error', '\u202eCall +1 555 0100 <b>now</b>')
      return said
    }
    const { body } = await signIn('cancel')
    expect(body).toEqual({ error: 'issuer_refused', description: 'the issuer did not sign anybody in' })
  })

  it.each([
    [401, 'invalid_client', 403, 'code_refused'],
    [400, 'unauthorized_client', 403, 'code_refused'],
    [503, 'temporarily_unavailable', 503, 'identity_unavailable'],
  ])('%i %s at the token endpoint', async (status, error, answer, code) => {
    provider.tokenError = { status, error }
    expect(await signIn('bob')).toMatchObject({ status: answer, body: { error: code } })
    expect(refusals().at(-1)).toBe(code)
  })
})

describe('renewal', () => {
  // Within the tolerance of clocks, and past its end: what was just given has to be renewed at once.
  const ENDED = -5

  it('a token that ends is renewed with the next request, once, and the session goes on', async () => {
    provider.lifeS = ENDED
    const { body } = await signIn('bob')
    provider.lifeS = 300
    const before = provider.exchanged.length
    const all = await Promise.all(Array.from({ length: 8 }, () => me(body['token'])))
    expect(all.map(a => a.status)).toEqual(Array(8).fill(200))
    expect((await me(body['token'])).body).toMatchObject({ principal: 'human:bob@example.com', role: 'approver' })
    expect(provider.exchanged.slice(before).map(e => e.get('grant_type'))).toEqual(['refresh_token'])
  })

  it('a role that was taken away meanwhile is gone with it, and so is another person', async () => {
    provider.lifeS = ENDED
    const [demoted, other] = [await signIn('bob'), await signIn('vera')]
    provider.people['bob'] = person('bob@example.com', ['signet-viewer'])
    provider.people['vera'] = person('root@example.com', ['signet-admin'])
    provider.lifeS = 300
    try {
      // bob is in the list of approvers too: the higher of the two.
      expect((await me(demoted.body['token'])).body).toMatchObject({ role: 'approver' })
      const before = provider.revoked.length
      expect((await me(other.body['token'])).body).toMatchObject({ error: 'session_ended' })
      await expect.poll(() => provider.revoked.length).toBe(before + 1)
      expect(rows('session.expired').at(-1)).toMatchObject({ owner_id: 'vera@example.com' })
    } finally {
      Object.assign(provider.people, PEOPLE)
    }
  })

  it('without a refresh token the session ends with its token', async () => {
    provider.refreshes = false
    const { body } = await signIn('bob')
    expect(Date.parse(String(body['expires_at']))).toBeLessThanOrEqual(Date.now() + 300_000)
    provider.lifeS = ENDED
    const ended = await signIn('bob')
    expect((await me(ended.body['token'])).body).toMatchObject({ error: 'session_ended' })
  })

  it('what the issuer has withdrawn is over now, and a row', async () => {
    provider.lifeS = ENDED
    const { body } = await signIn('bob')
    provider.live.clear()
    const before = rows('session.expired').length
    expect((await me(body['token'])).body).toMatchObject({ error: 'session_ended' })
    expect(rows('session.expired')).toHaveLength(before + 1)
  })

  it('an ID token that was made up while renewing opens nothing', async () => {
    provider.lifeS = ENDED
    const { body } = await signIn('vera')
    provider.lifeS = 300
    provider.idToken = async c => signed(await testKey('RS256', 'one'), { ...c, roles: ['signet-admin'] })
    // It is not taken; the token that was there holds until its tolerance is over.
    expect((await me(body['token'])).body).toMatchObject({ role: 'viewer' })
  })

  it('an issuer that is silent when the token has ended: nobody is let in, and nobody is signed out', async () => {
    provider.lifeS = ENDED
    const { body } = await signIn('bob')
    provider.tokenError = { status: 503, error: 'temporarily_unavailable' }
    for (let i = 0; i < 2; i++)
      expect(await me(body['token'])).toMatchObject({ status: 503, body: { error: 'identity_unavailable' } })
  })

  it('signing out gives what renews it back to the issuer', async () => {
    const { body } = await signIn('bob')
    const before = provider.revoked.length
    const authorization = `Bearer ${String(body['token'])}`
    expect((await post('/api/v1/session/close', {}, { authorization })).status).toBe(200)
    await expect.poll(() => provider.revoked.length).toBe(before + 1)
    expect((await me(body['token'])).status).toBe(401)
  })
})

describe('with the access token as the credential', () => {
  let again: Serving
  beforeAll(async () => {
    await s.close()
    again = await serve({ consoleOidcToken: 'access_token' })
  })
  afterAll(async () => {
    await again.close()
    s = await serve()
  })
  afterEach(() => {
    provider.accessToken = claims => signed(key, claims, { typ: 'at+jwt' })
  })

  it('it says who somebody is and what they may do', async () => {
    const { status, body } = await signIn('bob')
    expect([status, body['role']]).toEqual([201, 'approver'])
  })

  it.each<[string, Partial<Pick<Provider, 'idToken' | 'accessToken'>>]>([
    ['the ID token is signed by a stranger', { idToken: async c => signed(await testKey('RS256', 'one'), c) }],
    ['the ID token has another nonce', { idToken: c => signed(key, { ...c, nonce: 'x' }) }],
    ['the access token is signed by a stranger', { accessToken: async c => signed(await testKey('RS256', 'one'), c) }],
    [
      'the access token is for another API',
      { accessToken: c => signed(key, { ...c, aud: 'https://gate.example.com' }) },
    ],
    ['the access token is somebody else’s', { accessToken: c => signed(key, { ...c, sub: 'sub-vera' }) }],
    ['the access token cannot be read', { accessToken: async () => 'opaque' }],
  ])('%s: nobody is let in', async (_, lie) => {
    Object.assign(provider, lie)
    expect([401, 403]).toContain((await signIn('bob')).status)
  })
})
