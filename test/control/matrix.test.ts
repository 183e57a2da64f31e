/** Who may do what: every route of the API's description, with every kind of credential, against a table. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openApi } from '../../src/control/openapi.ts'
import { controlRoutes } from '../../src/control/start.ts'
import { Authenticator } from '../support/authenticator.ts'
import { PEOPLE, RP, type Shown, type Stand, startStand, type Who } from './stand.ts'

/**
 * `none`, `wrong`, `expired`: no person. `agent`: acts for an approver. `approver`: is asked about what is held; `other`: has
 * the role and is asked about other things; `owner`: has the role, and what is held is their own.
 */
const WHO = ['none', 'wrong', 'expired', 'nobody', 'agent', 'viewer', 'approver', 'other', 'admin', 'owner'] as const
type Column = (typeof WHO)[number]
const PERSON: Readonly<Partial<Record<Column, Who>>> = {
  expired: 'old',
  nobody: 'nobody',
  agent: 'agent',
  viewer: 'viewer',
  approver: 'bob',
  other: 'carol',
  admin: 'admin',
  owner: 'owner',
}

/** Statuses in the order of `WHO`. */
const ALL = [200, 200, 200, 200, 200, 200, 200, 200, 200, 200]
const VIEW = [401, 401, 401, 403, 403, 200, 200, 200, 200, 200]
/** Whose key it is does not matter: nobody but Slack signs as Slack. */
const SLACK = [403, 403, 403, 403, 403, 403, 403, 403, 403, 403]
const TABLE: Readonly<Record<string, readonly number[]>> = {
  'GET /openapi.json': ALL,
  'GET /metrics': VIEW,
  'GET /api/v1/me': VIEW,
  'GET /api/v1/escalations': VIEW,
  'GET /api/v1/escalations/watch': VIEW,
  'GET /api/v1/escalations/{id}': VIEW,
  'GET /api/v1/escalations/{id}/evidence': VIEW,
  'GET /api/v1/escalations/{id}/proposal': VIEW,
  'GET /api/v1/overview': VIEW,
  'GET /api/v1/rows': VIEW,
  'GET /api/v1/pipeline': VIEW,
  'GET /api/v1/trust': VIEW,
  'GET /api/v1/health': [401, 401, 401, 403, 403, 403, 403, 403, 200, 403],
  'POST /api/v1/session': [401, 401, 401, 403, 403, 201, 201, 201, 201, 201],
  // 409: the credential itself was shown, which no sign-out ends.
  'POST /api/v1/session/close': [401, 401, 401, 403, 403, 409, 409, 409, 409, 409],
  'GET /api/v1/sign-in': ALL,
  // 404: this gate has no identity provider. 409: nothing was begun.
  'POST /api/v1/sign-in/begin': Array<number>(10).fill(404),
  'POST /api/v1/sign-in/complete': Array<number>(10).fill(409),
  'POST /api/v1/escalations/{id}/approve': [401, 401, 401, 403, 403, 403, 200, 403, 403, 403],
  'POST /api/v1/escalations/{id}/deny': [401, 401, 401, 403, 403, 403, 200, 403, 403, 403],
  // 409: they may ask, and have no passkey.
  'POST /api/v1/escalations/{id}/passkey': [401, 401, 401, 403, 403, 403, 200, 409, 409, 409],
  'GET /api/v1/passkeys': [401, 401, 401, 403, 403, 403, 200, 200, 200, 200],
  // 409: they may register, and have not begun.
  'POST /api/v1/passkeys': [401, 401, 401, 403, 403, 403, 409, 409, 409, 409],
  'POST /api/v1/passkeys/registration': [401, 401, 401, 403, 403, 403, 200, 200, 200, 200],
  'POST /api/v1/passkeys/invitations': [401, 401, 401, 403, 403, 403, 403, 403, 201, 403],
  'POST /slack/interactions': SLACK,
  // 404: there is no such passkey of theirs.
  'POST /api/v1/passkeys/{passkey}/revoke': [401, 401, 401, 403, 403, 403, 200, 404, 200, 404],
}
/** The same routes, about somebody else. */
const OTHERS: Readonly<Record<string, readonly number[]>> = {
  'GET /api/v1/passkeys?principal=human:bob': [401, 401, 401, 403, 403, 403, 200, 403, 200, 403],
}

let s: Stand
beforeAll(async () => {
  s = await startStand({ registration: 'self', approvers: [PEOPLE.bob] })
  await registered()
})
afterAll(() => s.close())

/** A passkey of bob's; its id. */
async function registered(): Promise<string> {
  const a = new Authenticator('EdDSA', RP.origins[0] ?? '')
  const begun = await s.call('POST', '/api/v1/passkeys/registration', 'bob', {})
  const options = (await begun.json()) as Parameters<Authenticator['create']>[0]
  const made = await s.call('POST', '/api/v1/passkeys', 'bob', { response: a.create(options) })
  return ((await made.json()) as { id: string }).id
}

const BODIES: Readonly<Record<string, (e: Shown) => object>> = {
  approve: e => ({ digest: e.digest }),
  deny: e => ({ digest: e.digest, reason: 'no' }),
  passkey: e => ({ decision: 'approve', digest: e.digest }),
  passkeys: () => ({ response: {} }),
  registration: () => ({}),
  invitations: () => ({ principal: 'human:carol' }),
  revoke: () => ({}),
  session: () => ({}),
  close: () => ({}),
  begin: () => ({}),
  complete: () => ({ binding: 'A'.repeat(43), response: 'code=a&state=b' }),
}

function credential(column: Column): Record<string, string> {
  const who = PERSON[column]
  if (who !== undefined) return { authorization: `Bearer ${s.token(who)}` }
  const good = s.token('admin')
  // The right form, and one character from a good one.
  return column === 'none' ? {} : { authorization: `Bearer ${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}` }
}

describe.each(Object.entries({ ...TABLE, ...OTHERS }))('%s', (operation, statuses) => {
  const [method = '', template = ''] = operation.split(' ')
  it.each(WHO.map((column, i) => [column, statuses[i]] as const))('with %s: %i', async (column, status) => {
    const e = await s.hold()
    const passkey = template.includes('{passkey}') ? await registered() : ''
    const path = template.replace('{id}', e.id).replace('{passkey}', passkey)
    const body = method === 'POST' ? BODIES[template.split('/').at(-1) ?? '']?.(e) : undefined
    const leaving = new AbortController()
    const res = await fetch(`${s.control.url}${path}`, {
      method,
      signal: leaving.signal,
      headers: credential(column),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    leaving.abort()
    expect(res.status).toBe(status)
    if (status === 401) {
      const error = column === 'none' ? '' : ', error="invalid_token"'
      expect(res.headers.get('www-authenticate')).toBe(`Bearer realm="signet control"${error}`)
    }
    // Whoever may not has changed nothing.
    const after = (await (await s.call('GET', `/api/v1/escalations/${e.id}`, 'viewer')).json()) as Shown
    const decided = /\/(approve|deny)$/.exec(template)?.[1]
    expect(after.state).toBe(
      decided === undefined || status !== 200 ? 'pending' : decided === 'deny' ? 'denied' : 'approved',
    )
    const passkeys = await s.passkeys.list(PEOPLE.bob)
    if (passkey !== '') expect(passkeys.some(p => p.credentialId === passkey)).toBe(status !== 200)
    for (const p of passkeys.slice(1))
      await s.passkeys.revoke({ principal: PEOPLE.bob, by: 'test' }, p.credentialId, true)
  })
})

describe('the table', () => {
  const operations = Object.entries(openApi('0').paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
  )

  it('has every route of the description, and no other', () => {
    expect(Object.keys(TABLE).sort()).toEqual([...operations].sort())
  })

  it('and the description every route that is served, but for the tiles of the log', async () => {
    const served = (await (await s.call('GET', '/openapi.json')).json()) as ReturnType<typeof openApi>
    expect(served).toEqual(JSON.parse(JSON.stringify(openApi('0.0.0-test'))))
    const routes = s.routes.flatMap(({ path, methods }) => (path === undefined ? [] : methods.map(m => `${m} ${path}`)))
    expect(routes.sort()).toEqual([...operations].sort())
    const withLog = controlRoutes({
      log: { read: async () => undefined },
      escalations: undefined,
      metrics: undefined,
      version: '0',
    })
    expect(
      withLog
        .filter(r => r.path === undefined)
        .map(r => ['/checkpoint', '/tile/0/000', '/api/v1/me'].filter(p => r.takes(p))),
    ).toEqual([['/checkpoint', '/tile/0/000']])
  })

  it('a method that is not in it is refused before anybody is asked who they are', async () => {
    const e = await s.hold()
    for (const operation of operations) {
      const path = operation.split(' ')[1]?.replace('{id}', e.id).replace('{passkey}', 'AAAA')
      for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS'])
        expect((await s.call(method, path ?? '')).status).toBe(405)
    }
  })
})
