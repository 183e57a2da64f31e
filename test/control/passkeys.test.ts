/** Passkeys at the control plane: who gets one, what it signs, what its signature is good for, and what is kept of it. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { keepEvidence } from '../../src/control/kept-evidence.ts'
import { holds, verifyEvidence } from '../../src/escalation/verify-evidence.ts'
import { MemoryPasskeyStore } from '../../src/state/passkeys/memory.ts'
import { openSqlitePasskeys } from '../../src/state/passkeys/sqlite-thread.ts'
import { Authenticator, type Lies } from '../support/authenticator.ts'
import { DEMO_REGISTRY, demoChecks } from '../support/gate.ts'
import { RP, type Shown, type Stand, startStand, type Who } from './stand.ts'

const [ORIGIN = ''] = RP.origins
type Options = { readonly challenge: string; readonly rpId: string; readonly rp: { readonly id: string } }

let s: Stand
beforeAll(async () => {
  s = await startStand({ approvers: ['human:bob', 'human:carol'], quorum: 1, auth: 'passkey' })
})
afterAll(() => s.close())
// One person has few.
afterEach(async () => {
  for (const who of ['human:bob', 'human:carol'])
    for (const p of await s.passkeys.list(who))
      await s.passkeys.revoke({ principal: who, by: 'test' }, p.credentialId, true)
})

const json = async <T>(res: Response) => (await res.json()) as T

async function invited(stand: Stand, who: Who): Promise<string> {
  const res = await stand.call('POST', '/api/v1/passkeys/invitations', 'admin', { principal: `human:${who}` })
  expect(res.status).toBe(201)
  return (await json<{ invitation: string }>(res)).invitation
}

async function register(
  stand: Stand,
  who: Who,
  a: Authenticator,
  invitation?: string,
  lies: Lies = {},
): Promise<Response> {
  const more = invitation === undefined ? {} : { invitation }
  const begun = await stand.call('POST', '/api/v1/passkeys/registration', who, more)
  if (begun.status !== 200) return begun
  const response = a.create(await json<Options>(begun), lies)
  return stand.call('POST', '/api/v1/passkeys', who, { ...more, name: 'laptop', response })
}

async function withPasskey(who: Who, alg: 'ES256' | 'EdDSA' = 'ES256', counts = true): Promise<Authenticator> {
  const a = new Authenticator(alg, ORIGIN, counts)
  expect((await register(s, who, a, await invited(s, who))).status).toBe(201)
  return a
}

const ask = async (e: Shown, who: Who, decision: 'approve' | 'deny' = 'approve', reason?: string) =>
  json<Options>(
    await s.call('POST', `/api/v1/escalations/${e.id}/passkey`, who, {
      decision,
      digest: e.digest,
      ...(reason === undefined ? {} : { reason }),
    }),
  )
const decide = (e: Shown, who: Who, body: object, decision: 'approve' | 'deny' = 'approve') =>
  s.call('POST', `/api/v1/escalations/${e.id}/${decision}`, who, { digest: e.digest, ...body })
const problem = async (res: Response) => [res.status, (await json<{ error: string; description?: string }>(res)).error]
const stateOf = async (e: Shown) =>
  (await json<Shown>(await s.call('GET', `/api/v1/escalations/${e.id}`, 'viewer'))).state
const rowsAbout = (text: string) => s.gate.rows().filter(r => JSON.stringify(r).includes(text))

describe('a passkey is registered', () => {
  it.each(['ES256', 'EdDSA'] as const)('by whom an admin invited, with %s, and leaves rows', async alg => {
    const a = await withPasskey('bob', alg)
    const id = Buffer.from(a.id).toString('base64url')
    const mine = await json<{ passkeys: { id: string; name: string }[] }>(
      await s.call('GET', '/api/v1/passkeys', 'bob'),
    )
    expect(mine.passkeys.find(p => p.id === id)).toMatchObject({ principal: 'human:bob', name: 'laptop' })
    const [row] = rowsAbout(id)
    expect(row).toMatchObject({
      owner_id: 'bob',
      decision: 'allow',
      metadata: { _check_name: 'passkey.registered', _passkey_id: id, _invited: true },
    })
    expect(s.gate.rows().some(r => r['owner_id'] === 'admin' && JSON.stringify(r).includes('passkey.invited'))).toBe(
      true,
    )
    const others = await json<{ passkeys: unknown[] }>(await s.call('GET', '/api/v1/passkeys', 'carol'))
    expect(others.passkeys).toEqual([])
    expect((await s.call('GET', '/api/v1/passkeys?principal=human:bob', 'carol')).status).toBe(403)
    expect((await s.call('GET', '/api/v1/passkeys?principal=human:bob', 'admin')).status).toBe(200)
  })

  it('not without an invitation, with that of somebody else, or twice with one', async () => {
    const forBob = await invited(s, 'bob')
    const made = () => new Authenticator('ES256', ORIGIN)
    expect((await register(s, 'bob', made())).status).toBe(403)
    expect((await register(s, 'carol', made(), forBob)).status).toBe(403)
    expect((await register(s, 'bob', made(), 'A'.repeat(43))).status).toBe(403)
    expect((await register(s, 'bob', made(), forBob)).status).toBe(201)
    expect((await register(s, 'bob', made(), forBob)).status).toBe(403)
  })

  it('once: not again under another name, not from an answer that was used, not without having begun', async () => {
    const a = await withPasskey('carol')
    const invitation = await invited(s, 'bob')
    expect((await register(s, 'bob', a, invitation)).status).toBe(409)
    const begun = await s.call('POST', '/api/v1/passkeys/registration', 'bob', { invitation })
    const response = new Authenticator('ES256', ORIGIN).create(await json<Options>(begun), {})
    const send = () => s.call('POST', '/api/v1/passkeys', 'bob', { invitation, response })
    const many = await Promise.all([send(), send(), send()])
    expect(many.map(r => r.status).sort()).toEqual([201, 409, 409])
  })

  it.each<[string, Lies]>([
    ['for another challenge', { challenge: 'AAAA' }],
    ['for another origin', { origin: 'http://evil.example' }],
    ['for another relying party', { rpId: 'evil.example' }],
    ['in a frame of another page', { crossOrigin: true }],
    ['without the user verified', { flags: 0x01 }],
    ['as an assertion', { type: 'webauthn.get' }],
  ])('not when it was made %s', async (_, lies) => {
    const a = new Authenticator('EdDSA', ORIGIN)
    expect((await register(s, 'bob', a, await invited(s, 'bob'), lies)).status).toBe(400)
    const [row] = s.gate.rows().slice(-1)
    expect(row).toMatchObject({
      owner_id: 'bob',
      decision: 'block',
      metadata: { _check_name: 'passkey.not_registered' },
    })
  })

  it('by anybody who may approve, where the operator lets them', async () => {
    const self = await startStand({ registration: 'self' })
    try {
      expect((await register(self, 'bob', new Authenticator('ES256', ORIGIN))).status).toBe(201)
      expect((await register(self, 'viewer', new Authenticator('ES256', ORIGIN))).status).toBe(403)
      for (let i = 0; i < 9; i += 1)
        expect((await register(self, 'bob', new Authenticator('ES256', ORIGIN))).status).toBe(201)
      expect((await register(self, 'bob', new Authenticator('ES256', ORIGIN))).status).toBe(409)
    } finally {
      await self.close()
    }
  })
})

describe('a decision with a passkey', () => {
  it.each([
    ['ES256', true],
    ['EdDSA', true],
    ['ES256', false],
  ] as const)(
    'is approved by a signature over exactly it (%s, counting: %s), kept and good years later',
    async (alg, counts) => {
      const a = await withPasskey('bob', alg, counts)
      const e = await s.hold()
      expect(e.passkey_required).toBe(true)
      const passkey = a.get(await ask(e, 'bob', 'approve', 'ticket 7'))
      const res = await decide(e, 'bob', { reason: 'ticket 7', passkey })
      expect(res.status).toBe(200)
      const after = await json<Shown>(res)
      expect(after).toMatchObject({ state: 'approved', decisions: [{ by: 'api_key, passkey' }] })

      const document = await json<object>(await s.call('GET', `/api/v1/escalations/${e.id}/evidence`, 'viewer'))
      const report = await verifyEvidence(document)
      expect(report).toMatchObject({ digest: e.digest, digestHolds: true, decisions: [{ verdict: 'signed' }] })
      expect(report !== undefined && holds(report)).toBe(true)
      const kept = report?.decisions[0]
      expect(kept?.evidenceDigest).toBe(after.decisions[0]?.evidence_digest)
      const row = rowsAbout(e.id).find(r => JSON.stringify(r).includes('escalation.decided'))
      expect(row).toMatchObject({
        owner_id: 'bob',
        metadata: {
          _evidence_sha256: kept?.evidenceDigest,
          _decided_digest: e.digest,
          _approver_authenticated_by: 'api_key, passkey',
        },
      })
      // The log holds the digest of the evidence and of the key, and not the signature.
      expect(JSON.stringify(row)).not.toContain(passkey.response.signature)
      const registered = rowsAbout(kept?.publicKeyDigest ?? '-').find(r =>
        JSON.stringify(r).includes('passkey.registered'),
      )
      expect(registered).toMatchObject({ owner_id: 'bob' })
    },
  )

  it('is demanded to approve, and not to deny', async () => {
    const e = await s.hold()
    expect(await problem(await decide(e, 'bob', {}))).toEqual([403, 'passkey_required'])
    expect(await stateOf(e)).toBe('pending')
    expect((await decide(e, 'bob', { reason: 'no' }, 'deny')).status).toBe(200)
    expect(await stateOf(e)).toBe('denied')
  })

  it('can be a no as well, with evidence', async () => {
    const a = await withPasskey('bob')
    const e = await s.hold()
    const passkey = a.get(await ask(e, 'bob', 'deny', 'wrong account'))
    expect((await decide(e, 'bob', { reason: 'wrong account', passkey }, 'deny')).status).toBe(200)
    const report = await verifyEvidence(
      await json(await s.call('GET', `/api/v1/escalations/${e.id}/evidence`, 'viewer')),
    )
    expect(report?.decisions).toMatchObject([{ decision: 'deny', verdict: 'signed' }])
  })

  it('does not carry over to another escalation, decision, reason or person', async () => {
    const a = await withPasskey('bob')
    const b = await withPasskey('carol')
    const [e, other] = [await s.hold(), await s.hold()]
    const refused = [403, 'passkey_refused']
    const approval = await ask(e, 'bob', 'approve', 'ticket 7')
    // For another escalation, with its own digest and with the one that was signed.
    expect(await problem(await decide(other, 'bob', { reason: 'ticket 7', passkey: a.get(approval) }))).toEqual(refused)
    const swapped = await s.call('POST', `/api/v1/escalations/${other.id}/approve`, 'bob', {
      digest: e.digest,
      reason: 'ticket 7',
      passkey: a.get(approval),
    })
    expect(await problem(swapped)).toEqual(refused)
    // A signed no is not a yes.
    const no = await ask(e, 'bob', 'deny', 'ticket 7')
    expect(await problem(await decide(e, 'bob', { reason: 'ticket 7', passkey: a.get(no) }))).toEqual(refused)
    expect(await problem(await decide(e, 'bob', { reason: 'ticket 8', passkey: a.get(approval) }))).toEqual(refused)
    expect(await problem(await decide(e, 'bob', { passkey: a.get(approval) }))).toEqual(refused)
    // Carol's signature under bob's name, and bob's under carol's.
    expect(await problem(await decide(e, 'bob', { reason: 'ticket 7', passkey: b.get(approval) }))).toEqual(refused)
    expect(await problem(await decide(e, 'carol', { reason: 'ticket 7', passkey: a.get(approval) }))).toEqual(refused)
    expect([await stateOf(e), await stateOf(other)]).toEqual(['pending', 'pending'])
    const notCounted = rowsAbout(e.id).filter(r => JSON.stringify(r).includes('escalation.not_counted'))
    expect(notCounted.length).toBeGreaterThanOrEqual(5)
    for (const row of notCounted)
      expect(row).toMatchObject({ decision: 'block', metadata: { _code: 'passkey_refused' } })
  })

  it('is used once', async () => {
    const synced = await withPasskey('bob', 'EdDSA', false)
    const e = await s.hold()
    const passkey = synced.get(await ask(e, 'bob'))
    const all = await Promise.all([1, 2, 3, 4].map(() => decide(e, 'bob', { passkey })))
    expect(all.map(r => r.status).sort()).toEqual([200, 409, 409, 409])
    expect((await decide(e, 'bob', { passkey })).status).toBe(409)
  })

  it.each<[string, Lies]>([
    ['another origin', { origin: 'http://evil.example' }],
    ['a longer origin', { origin: `${ORIGIN}.evil.example` }],
    ['another relying party', { rpId: 'evil.example' }],
    ['a frame of another page', { crossOrigin: true }],
    ['a user who was present and not verified', { flags: 0x01 }],
    ['a user who was verified and not present', { flags: 0x04 }],
    ['a registration', { type: 'webauthn.create' }],
    ['a count that has been seen', { counter: 1 }],
    ['another key', { key: new Authenticator('ES256', ORIGIN).key }],
    ['a challenge of its own', { challenge: 'c2lnbmV0' }],
    ['an unknown passkey', { id: 'AAAA' }],
  ])('is refused for %s', async (_, lies) => {
    const a = await withPasskey('bob')
    const e = await s.hold()
    const options = await ask(e, 'bob')
    expect(await problem(await decide(e, 'bob', { passkey: a.get(options, lies) }))).toEqual([403, 'passkey_refused'])
    expect(await stateOf(e)).toBe('pending')
    // The passkey itself still works.
    expect((await decide(e, 'bob', { passkey: a.get(options) })).status).toBe(200)
  })

  it('is refused for anything at all that is no answer of a passkey, and never a 500', async () => {
    const e = await s.hold()
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.jsonValue({ noUnicodeString: false }), fc.object({ maxDepth: 3 })), async value => {
        const passkey = JSON.parse(JSON.stringify(value ?? null))
        const res = await decide(e, 'bob', { passkey })
        expect([400, 403]).toContain(res.status)
        await res.text()
      }),
      { numRuns: 60 },
    )
    expect(await stateOf(e)).toBe('pending')
  })

  it('is not asked for of whoever has none, nor for another digest than is shown', async () => {
    const e = await s.hold()
    const asked = (who: Who, digest: string) =>
      s.call('POST', `/api/v1/escalations/${e.id}/passkey`, who, { decision: 'approve', digest })
    expect(await problem(await asked('admin', e.digest))).toEqual([409, 'no_passkey'])
    expect(await problem(await asked('bob', `sha256:${'0'.repeat(64)}`))).toEqual([409, 'digest_mismatch'])
  })
})

describe('a passkey that is taken away', () => {
  it('signs no more; its owner and admins can take it, and nobody else', async () => {
    const a = await withPasskey('bob')
    const id = Buffer.from(a.id).toString('base64url')
    const e = await s.hold()
    const passkey = a.get(await ask(e, 'bob'))
    const revoke = (who: Who) => s.call('POST', `/api/v1/passkeys/${id}/revoke`, who, {})
    expect((await revoke('carol')).status).toBe(404)
    expect((await revoke('viewer')).status).toBe(403)
    expect((await revoke('admin')).status).toBe(200)
    expect((await revoke('admin')).status).toBe(404)
    expect(await problem(await decide(e, 'bob', { passkey }))).toEqual([403, 'passkey_refused'])
    expect(rowsAbout(id).at(-1)).toMatchObject({ owner_id: 'admin', metadata: { _check_name: 'passkey.revoked' } })
  })
})

describe('kept evidence', () => {
  it('outlives the escalation; and what a crash left out is kept at the next start', async () => {
    const { desk } = s.gate.running.gate
    const a = await withPasskey('bob')
    const [e, bare] = [await s.hold(), await s.hold()]
    await decide(e, 'bob', { passkey: a.get(await ask(e, 'bob')) })
    await decide(bare, 'bob', { reason: 'no' }, 'deny')
    const document = await s.passkeys.kept(e.id)
    expect(document).toEqual(await json(await s.call('GET', `/api/v1/escalations/${e.id}/evidence`, 'viewer')))
    expect(await s.passkeys.kept(bare.id)).toBeUndefined()
    const report = await verifyEvidence(document)
    expect(report !== undefined && holds(report)).toBe(true)

    const store = new MemoryPasskeyStore()
    const after = await startStand({ store })
    try {
      // Another store, as if the process had died before it wrote; another gate, as if the escalation were forgotten.
      await keepEvidence(desk, after.passkeys)
      const res = await after.call('GET', `/api/v1/escalations/${e.id}/evidence`, 'viewer')
      expect([res.status, await res.json()]).toEqual([200, document])
      expect((await after.call('GET', `/api/v1/escalations/${bare.id}/evidence`, 'viewer')).status).toBe(404)
    } finally {
      await after.close()
    }
  })

  it('does not verify once any part of it is another', async () => {
    const a = await withPasskey('bob')
    const e = await s.hold()
    await decide(e, 'bob', { reason: 'ticket 7', passkey: a.get(await ask(e, 'bob', 'approve', 'ticket 7')) })
    const document = await json<Record<string, never>>(
      await s.call('GET', `/api/v1/escalations/${e.id}/evidence`, 'viewer'),
    )
    const leaves: (readonly (string | number)[])[] = []
    const walk = (value: unknown, at: readonly (string | number)[]): void => {
      if (typeof value === 'object' && value !== null)
        for (const [name, each] of Object.entries(value)) walk(each, [...at, name])
      else leaves.push(at)
    }
    walk(document, [])
    // Neither is signed, nor under the digest: the log is what says how somebody was known, and when.
    const free = /^(?:state|rule\..*|decisions\.0\.(?:by|at_ms))$/
    let changed = 0
    for (const at of leaves) {
      if (free.test(at.join('.'))) continue
      const copy = structuredClone(document) as Record<string, unknown>
      let place = copy
      for (const name of at.slice(0, -1)) place = place[name] as Record<string, unknown>
      const last = String(at.at(-1))
      const was = place[last]
      place[last] = typeof was === 'number' ? was + 1 : flip(String(was))
      const report = await verifyEvidence(copy)
      expect([at.join('.'), report !== undefined && holds(report)]).toEqual([at.join('.'), false])
      changed += 1
    }
    expect(changed).toBeGreaterThan(20)
  })
})

/** Another text of the same kind: its first letter or digit is another one. */
function flip(text: string): string {
  return text.replace(/[A-Za-z0-9]/, c => (c === 'A' ? 'B' : 'A'))
}

it('a tool or a tier can demand a passkey where the rest does not', async () => {
  const registry = {
    ...DEMO_REGISTRY,
    issue_refund: { riskTier: 'high', irreversible: true, approverAuth: 'passkey' } as const,
  }
  const rest = demoChecks().filter(c => c.name !== 'tool_call_inspector')
  for (const [inspector, demanded] of [
    [new ToolCallInspectorCheck({ registry }), true],
    [new ToolCallInspectorCheck({ registry: DEMO_REGISTRY, passkeyAtTier: 'high' }), true],
    [new ToolCallInspectorCheck({ registry: DEMO_REGISTRY, passkeyAtTier: 'critical' }), false],
    [new ToolCallInspectorCheck({ registry: DEMO_REGISTRY }), false],
  ] as const) {
    const stand = await startStand({ approvers: ['human:bob'], checks: [...rest, inspector] })
    try {
      const e = await stand.hold()
      expect(e.passkey_required).toBe(demanded)
      const res = await stand.call('POST', `/api/v1/escalations/${e.id}/approve`, 'bob', { digest: e.digest })
      expect(res.status).toBe(demanded ? 403 : 200)
    } finally {
      await stand.close()
    }
  }
})

it('passkeys outlive the process, sealed, in a file for its owner alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-passkeys-'))
  const path = join(folder, 'passkeys.db')
  try {
    const first = await startStand({ store: await openSqlitePasskeys(path), approvers: ['human:bob'], auth: 'passkey' })
    const a = new Authenticator('ES256', ORIGIN)
    const [one, two] = [await invited(first, 'bob'), await invited(first, 'bob')]
    expect((await register(first, 'bob', a, one)).status).toBe(201)
    expect((await register(first, 'bob', new Authenticator('ES256', ORIGIN), one)).status).toBe(403)
    await first.close()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const db = new DatabaseSync(path)
    expect(JSON.stringify(db.prepare('SELECT * FROM passkey').all())).not.toContain('human:bob')
    db.close()
    const second = await startStand({
      store: await openSqlitePasskeys(path),
      approvers: ['human:bob'],
      auth: 'passkey',
    })
    try {
      const e = await second.hold()
      const res = await second.call('POST', `/api/v1/escalations/${e.id}/passkey`, 'bob', {
        decision: 'approve',
        digest: e.digest,
      })
      const passkey = a.get(await json<Options>(res))
      const decided = await second.call('POST', `/api/v1/escalations/${e.id}/approve`, 'bob', {
        digest: e.digest,
        passkey,
      })
      expect(decided.status).toBe(200)
      // An invitation that was not used is still good, and the passkey is not registered anew.
      expect((await register(second, 'bob', a, two)).status).toBe(409)
      expect((await register(second, 'bob', new Authenticator('EdDSA', ORIGIN), two)).status).toBe(201)
    } finally {
      await second.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
