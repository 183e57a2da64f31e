/**
 * People of an identity provider at the control plane: the configuration of docs/escalations.md against a local issuer, a gate
 * started as users start it, and `signet escalations` with their tokens.
 */
import { createHmac, createPublicKey, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAccess } from '../../src/control/access.ts'
import { Changes } from '../../src/control/changes.ts'
import { startControl } from '../../src/control/start.ts'
import { type IdentitySetting, openIdentity } from '../../src/identity/open.ts'
import { base64url, type Payload, signed, startIssuer, testKey } from '../../src/identity/tokens.test-support.ts'
import { openEgress } from '../../src/plugins/egress.ts'
import { systemClock } from '../../src/state/system.ts'
import { startTestGate } from '../support/gate.ts'
import { ask, type Served, signet, startServed } from '../support/served.ts'

let folder: string
// At once: the tables below name it.
const key = await testKey('RS256', 'one')
const issuer = await startIssuer([key.jwk])
let served: Served

/** The recipe as it stands in the documents, with the local issuer in the place of the example. */
function recipe(): string {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/escalations.md'), 'utf8')
  const found = /### With your identity provider.*?```json\n(.*?)```/s.exec(page)?.[1] ?? ''
  expect(found).toContain('https://sso.example.com/realms/acme')
  return found.replace('https://sso.example.com/realms/acme', issuer.url)
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'signet-oidc-'))
  writeFileSync(join(folder, 'control.json'), recipe(), { mode: 0o600 })
  served = await startServed(folder, ['--control-port', '0'], {
    SIGNET_CONTROL_IDENTITY_FILE: join(folder, 'control.json'),
    SIGNET_APPROVERS: 'human:bob@example.com',
    SIGNET_ADMINS: 'human:root@example.com',
  })
})
afterAll(async () => {
  await served.stop()
  await issuer.stop()
  rmSync(folder, { recursive: true })
})

const now = () => Math.floor(Date.now() / 1000)
function claims(email: string, roles: readonly string[] = [], more: Payload = {}): Payload {
  return {
    iss: issuer.url,
    aud: 'signet-control',
    sub: 'f81d4fae',
    email,
    email_verified: true,
    realm_access: { roles },
    iat: now() - 5,
    exp: now() + 300,
    ...more,
  }
}
const bob = (more: Payload = {}) => claims('bob@example.com', ['signet-approver'], more)
const me = (token: string) => fetch(`${served.control}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })

describe('a role', () => {
  it.each<[string, Payload, number, object]>([
    [
      'from the token',
      claims('dave@example.com', ['x', 'signet-viewer']),
      200,
      { principal: 'human:dave@example.com', role: 'viewer', by: 'oidc' },
    ],
    [
      'the highest of several',
      claims('dave@example.com', ['signet-viewer', 'signet-admin', 'signet-approver']),
      200,
      { role: 'admin' },
    ],
    ['from the lists', claims('bob@example.com'), 200, { role: 'approver' }],
    [
      'from the lists, though the token says less',
      claims('root@example.com', ['signet-viewer']),
      200,
      { role: 'admin' },
    ],
    [
      'from neither',
      claims('dave@example.com', ['signet-adminx', 'SIGNET-ADMIN', 'admin']),
      403,
      { error: 'not_allowed' },
    ],
    [
      'from one text',
      claims('dave@example.com', [], { realm_access: { roles: 'signet-viewer' } }),
      200,
      { role: 'viewer' },
    ],
    [
      'from what is no name',
      claims('dave@example.com', [], { realm_access: { roles: [{ a: 'signet-admin' }] } }),
      401,
      {},
    ],
  ])('%s', async (_, payload, status, body) => {
    const res = await me(await signed(key, payload))
    expect(res.status).toBe(status)
    expect(await res.json()).toMatchObject(body)
  })

  it('is nobody’s who speaks for somebody else', async () => {
    const res = await me(await signed(key, bob({ act: { sub: 'crawler-7' } })))
    expect([res.status, await res.json()]).toEqual([403, expect.objectContaining({ error: 'acting_for_another' })])
  })
})

describe('a token', () => {
  it.each<[string, Payload, Payload]>([
    ['that has expired', bob({ exp: now() - 60 }), {}],
    ['without an end', bob({ exp: undefined }), {}],
    ['that is older than an hour', bob({ iat: now() - 7200, exp: now() + 300 }), {}],
    ['that does not hold yet', bob({ nbf: now() + 300 }), {}],
    ['for another audience: the model API’s', bob({ aud: 'https://gate.example.com' }), {}],
    ['for an audience that begins alike', bob({ aud: 'signet-control-2' }), {}],
    ['of another issuer', bob({ iss: 'https://evil.example' }), {}],
    ['without a verified address', bob({ email_verified: false }), {}],
    ['that says nothing of verifying', bob({ email_verified: undefined }), {}],
    ['for logging out', bob(), { typ: 'logout+jwt' }],
    ['with an extension nobody knows', bob(), { crit: ['b64'], b64: true }],
  ])('%s is 401', async (_, payload, header) => {
    const clean = JSON.parse(JSON.stringify(payload)) as Payload
    // What the library refuses to write is refused by it alone: without `crit`, the rest is.
    const token = await signed(key, clean, header).catch(
      () =>
        `${base64url(JSON.stringify({ alg: 'RS256', kid: 'one', ...header }))}.${base64url(JSON.stringify(clean))}.AAAA`,
    )
    const res = await me(token)
    expect(res.status).toBe(401)
    expect(res.headers.get('www-authenticate')).toContain('error="invalid_token"')
  })

  it('signed by nobody, with the public key as a secret, or with a key of its own is 401', async () => {
    const part = (value: unknown) => base64url(JSON.stringify(value))
    const payload = part(bob())
    const unsigned = [`${part({ alg: 'none' })}.${payload}.`, `${part({ alg: 'None', kid: 'one' })}.${payload}.AAAA`]
    // RFC 8725 2.1: the verifier's public key, taken for a shared secret.
    const pem = createPublicKey({ key: key.jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    const confused = [String(pem), JSON.stringify(key.jwk), key.jwk.n ?? ''].map(secret => {
      const input = `${part({ alg: 'HS256', kid: 'one', typ: 'JWT' })}.${payload}`
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
    })
    const stranger = await testKey('RS256', 'one')
    const own = await signed(stranger, bob(), { jwk: stranger.jwk })
    const elsewhere = await signed(stranger, bob(), { jku: `${issuer.url}/keys`, kid: 'two' })
    const [head = '', , signature = ''] = (await signed(key, bob())).split('.')
    const grafted = `${head}.${part(claims('root@example.com', ['signet-admin']))}.${signature}`
    for (const token of [...unsigned, ...confused, own, elsewhere, grafted]) expect((await me(token)).status).toBe(401)
    expect((await me(await signed(key, bob()))).status).toBe(200)
  })
})

it('keys that the issuer has changed to are taken, and those it has withdrawn no longer', async () => {
  let clock = Date.now()
  const [first, second] = [await testKey('RS256', 'first'), await testKey('ES256', 'second')]
  const changing = await startIssuer([first.jwk])
  const egress = openEgress()
  const setting = JSON.parse(recipe().replace(issuer.url, changing.url)) as IdentitySetting
  const identity = await openIdentity(setting, { egress, now: () => clock, randomBytes })
  const gate = await startTestGate()
  const control = await startControl({
    host: '127.0.0.1',
    port: 0,
    log: undefined,
    metrics: undefined,
    escalations: {
      desk: gate.running.gate.desk,
      access: createAccess({ identity, viewers: [], approvers: [], admins: [] }),
      changes: new Changes(systemClock),
    },
    version: '0',
  })
  const status = async (by: typeof first) => {
    const authorization = `Bearer ${await signed(by, bob({ iss: changing.url, iat: Math.floor(clock / 1000) - 5, exp: Math.floor(clock / 1000) + 300 }))}`
    return (await fetch(`${control.url}/api/v1/me`, { headers: { authorization } })).status
  }
  try {
    expect(await status(first)).toBe(200)
    changing.keys = [first.jwk, second.jwk]
    clock += 31_000
    // Looked up at once, for the key is new.
    expect([await status(second), await status(first)]).toEqual([200, 200])
    changing.keys = [second.jwk]
    clock += 601_000
    expect([await status(second), await status(first)]).toEqual([200, 401])
  } finally {
    await control.close()
    await gate.close()
    await egress.close()
    await changing.stop()
  }
})

it('approves through `signet escalations`, and the row says who and how', async () => {
  const tools = [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }]
  const held = await ask(served.url, 'human:alice@example.com', {
    tools,
    messages: [{ role: 'user', content: 'Refund $50,000 to account X' }],
  })
  expect(held.status).toBe(202)
  const { escalation_id: id } = (await held.json()) as { escalation_id: string }
  const tokenFile = join(folder, 'token')
  const command = async (payload: Payload, ...args: string[]) => {
    writeFileSync(tokenFile, await signed(key, payload), { mode: 0o600 })
    return signet(folder, ['escalations', ...args, '--control', served.control, '--token-file', tokenFile])
  }
  expect((await command(claims('dave@example.com', ['signet-viewer']), 'list')).out).toContain(id)
  // The role alone makes nobody an approver of this.
  expect((await command(claims('dave@example.com', ['signet-approver']), 'approve', id)).error).toMatch(
    /said no \(403\)/,
  )
  const late = await command(bob({ iat: now() - 900, exp: now() - 600 }), 'approve', id)
  expect([late.code, late.error]).toEqual([2, expect.stringMatching(/does not accept this token, or its time is over/)])
  expect((await command(bob(), 'approve', id)).out).toMatch(/it is approved/)
  const rows = readFileSync(join(folder, 'audit.jsonl'), 'utf8').split('\n')
  const decided = rows.find(r => r.includes('escalation.decided') && r.includes(id))
  expect(JSON.parse(decided ?? '{}')).toMatchObject({
    owner_id: 'bob@example.com',
    metadata: { _approver_authenticated_by: 'oidc' },
  })
  const checked = await command(bob(), 'evidence', id, '--audit-log', join(folder, 'audit.jsonl'))
  expect(checked.out).toMatch(/approved {4}by human:bob@example\.com, known by oidc\n.*\nsignature {3}none/)
  expect(checked.out).toContain('audit log   has this decision')
})

it('an issuer that cannot be reached is 503, and nobody is let in meanwhile', async () => {
  const other = await startIssuer([])
  const lonely = mkdtempSync(join(tmpdir(), 'signet-oidc-'))
  const text = recipe().replace(issuer.url, other.url)
  writeFileSync(join(lonely, 'control.json'), text, { mode: 0o600 })
  await other.stop()
  const gate = await startServed(lonely, ['--control-port', '0'], {
    SIGNET_CONTROL_IDENTITY_FILE: join(lonely, 'control.json'),
    SIGNET_APPROVERS: 'human:bob@example.com',
  })
  try {
    const token = await signed(key, bob({ iss: other.url }))
    const res = await fetch(`${gate.control}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })
    expect([res.status, await res.json()]).toEqual([503, expect.objectContaining({ error: 'identity_unavailable' })])
  } finally {
    await gate.stop()
    rmSync(lonely, { recursive: true })
  }
})
