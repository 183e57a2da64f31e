/** The control plane over the real listener: who may do what, what is shown, and the whole story of a held call. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AccessOptions, createAccess } from '../../src/control/access.ts'
import { Changes } from '../../src/control/changes.ts'
import { type RunningControl, startControl } from '../../src/control/start.ts'
import { apiKeyIdentity, newApiKey } from '../../src/identity/api-key.ts'
import { systemClock, systemRandom } from '../../src/state/system.ts'
import { chat, scenario, startTestGate, type TestGate, testEscalations } from '../support/gate.ts'

const random = systemRandom()
const key = () => newApiKey(n => random.bytes(n))
const KEYS = { viewer: key(), bob: key(), carol: key(), admin: key(), alice: key(), nobody: key(), old: key() }
type Who = keyof typeof KEYS

const access: Omit<AccessOptions, 'identity'> = {
  viewers: ['human:viewer', 'human:old'],
  approvers: ['human:bob', 'human:carol', 'human:alice@example.com'],
  admins: ['human:admin'],
}
const OWNERS: Record<Who, string> = {
  viewer: 'human:viewer',
  bob: 'human:bob',
  carol: 'human:carol',
  admin: 'human:admin',
  alice: 'human:alice@example.com',
  nobody: 'human:nobody',
  old: 'human:old',
}

let gate: TestGate
let control: RunningControl
const changes = new Changes(systemClock)

beforeAll(async () => {
  gate = await startTestGate({
    escalations: testEscalations({ policy: { approvers: access.approvers }, onChange: changes.tell }),
  })
  const keys = Object.entries(KEYS).map(([who, { hash }]) => ({
    hash,
    owner: OWNERS[who as Who],
    ...(who === 'old' ? { expiresAt: '2020-01-01T00:00:00Z' } : {}),
  }))
  const identity = apiKeyIdentity({ keys }, { now: Date.now, randomBytes: n => random.bytes(n) })
  control = await startControl({
    host: '127.0.0.1',
    port: 0,
    log: undefined,
    metrics: [{ name: 'a', help: 'one', type: 'gauge', read: () => [{ value: 1 }] }],
    escalations: { desk: gate.running.gate.desk, access: createAccess({ identity, ...access }), changes },
    version: '0.0.0-test',
  })
})
afterAll(async () => {
  await control.close()
  await gate.close()
})

const call = (method: string, path: string, who?: Who, body?: unknown, headers: Record<string, string> = {}) =>
  fetch(`${control.url}${path}`, {
    method,
    headers: {
      ...(who === undefined ? {} : { authorization: `Bearer ${KEYS[who].key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })

interface Shown {
  readonly id: string
  readonly digest: string
  readonly state: string
  readonly may_decide: boolean
  readonly current_approvers: readonly string[]
  readonly calls: readonly { readonly tool: string; readonly arguments: string }[]
}
const shown = async (res: Response) => (await res.json()) as Shown

async function hold(args = '{"amount":50000,"account":"X"}', name = 'issue_refund'): Promise<Shown> {
  const tools = [{ type: 'function', function: { name } }]
  const res = await chat(gate, scenario({ kind: 'call', calls: [{ name, arguments: args }] }, { tools }))
  const { escalation_id: id } = (await res.json()) as { escalation_id: string }
  return shown(await call('GET', `/api/v1/escalations/${id}`, 'viewer'))
}

// Who may do what with which role: matrix.test.ts.
describe('who may do what', () => {
  it.each([
    ['a wrong key', { authorization: `Bearer ${KEYS.bob.key.slice(0, -1)}${KEYS.bob.key.endsWith('A') ? 'B' : 'A'}` }],
    ['a key in a cookie', { cookie: `token=${KEYS.bob.key}` }],
    ['a key in the query', {}],
  ])('%s is nobody', async (what, headers) => {
    const query = what === 'a key in the query' ? `?authorization=Bearer%20${KEYS.bob.key}` : ''
    expect((await call('GET', `/api/v1/me${query}`, undefined, undefined, headers)).status).toBe(401)
  })

  it('a page of another origin, or another host name, is refused before it is asked who it is', async () => {
    const from = { origin: 'https://evil.example' }
    expect((await call('GET', '/api/v1/me', 'bob', undefined, from)).status).toBe(403)
  })

  it('nothing of it is on the data port', async () => {
    for (const path of ['/api/v1/escalations', '/api/v1/me', '/openapi.json', '/checkpoint']) {
      const res = await fetch(`${gate.url}${path}`, { headers: { authorization: `Bearer ${KEYS.admin.key}` } })
      expect(res.status).toBe(404)
    }
  })
})

describe('a decision', () => {
  it('is counted for exactly the digest that was shown, in turn, once', async () => {
    const e = await hold()
    expect(e).toMatchObject({ state: 'pending', may_decide: false, current_approvers: ['human:bob'] })
    const approve = (who: Who, digest = e.digest) =>
      call('POST', `/api/v1/escalations/${e.id}/approve`, who, { digest })
    expect((await approve('bob', `sha256:${'0'.repeat(64)}`)).status).toBe(409)
    expect((await approve('carol')).status).toBe(409)
    // The owner is listed as an approver, and still may not.
    expect((await approve('alice')).status).toBe(403)
    expect((await approve('admin')).status).toBe(403)
    const first = await approve('bob')
    expect([first.status, (await shown(first)).state]).toEqual([200, 'pending'])
    expect((await approve('bob')).status).toBe(409)
    const second = await approve('carol')
    expect([second.status, (await shown(second)).state]).toEqual([200, 'approved'])
    const deny = await call('POST', `/api/v1/escalations/${e.id}/deny`, 'bob', { digest: e.digest, reason: 'late' })
    expect(deny.status).toBe(409)
    const rows = gate.rows().filter(r => JSON.stringify(r['metadata']).includes(e.id))
    expect(rows.filter(r => JSON.stringify(r).includes('escalation.decided')).map(r => r['owner_id'])).toEqual([
      'bob',
      'carol',
    ])
  })

  it('of two who decide at once is one', async () => {
    const e = await hold()
    const all = await Promise.all([
      ...Array.from({ length: 5 }, () =>
        call('POST', `/api/v1/escalations/${e.id}/approve`, 'bob', { digest: e.digest }),
      ),
      ...Array.from({ length: 5 }, () =>
        call('POST', `/api/v1/escalations/${e.id}/deny`, 'bob', { digest: e.digest, reason: 'no' }),
      ),
    ])
    expect(all.filter(r => r.status === 200)).toHaveLength(1)
  })

  it.each([
    ['no body', ''],
    ['no JSON', 'yes'],
    ['a list', '[]'],
    ['no digest', '{}'],
    ['a digest that is no text', '{"digest":1}'],
    ['two digests', '{"digest":"a","digest":"b"}'],
    ['somebody else as approver', '{"digest":"a","approver":"human:carol"}'],
    ['an empty reason', '{"digest":"a","reason":" "}'],
    ['a reason without end', JSON.stringify({ digest: 'a', reason: 'x'.repeat(1001) })],
  ])('that comes with %s is a 400', async (_, body) => {
    const e = await hold()
    expect((await call('POST', `/api/v1/escalations/${e.id}/approve`, 'bob', body)).status).toBe(400)
  })

  it('needs a reason to be a no, a body of a sane size, and a POST', async () => {
    const e = await hold()
    expect((await call('POST', `/api/v1/escalations/${e.id}/deny`, 'bob', { digest: e.digest })).status).toBe(400)
    expect((await call('POST', `/api/v1/escalations/${e.id}/approve`, 'bob', 'x'.repeat(70_000))).status).toBe(413)
    for (const method of ['GET', 'PUT', 'DELETE', 'HEAD']) {
      expect((await call(method, `/api/v1/escalations/${e.id}/approve`, 'bob')).status).toBe(405)
    }
    expect(await shown(await call('GET', `/api/v1/escalations/${e.id}`, 'bob'))).toMatchObject({
      state: 'pending',
      may_decide: true,
    })
  })
})

it('what a model wrote is shown with everything escaped that could hide or move it', async () => {
  const hostile = '{"to":"\\u202eX","note":"\u001b[2J<img src=x onerror=alert(1)> *bold* \u200b\u2066"}'
  const args = hostile.replaceAll('\u001b', '\\u001b')
  const e = await hold(args)
  const [c] = e.calls
  expect(c?.arguments).toBe(args.replaceAll('\u200b', '\\u200b').replaceAll('\u2066', '\\u2066'))
  expect(c?.arguments).toMatch(/^[\x20-\x7e]*$/)
  expect(JSON.parse(c?.arguments ?? '')).toEqual(JSON.parse(args))
})

it('the list is newest first, page by page, and by state', async () => {
  for (let i = 0; i < 3; i += 1) await hold()
  const page = async (query: string) =>
    (await (await call('GET', `/api/v1/escalations?${query}`, 'viewer')).json()) as {
      escalations: Shown[]
      next: string | null
    }
  const one = await page('limit=2&state=pending')
  expect(one.escalations).toHaveLength(2)
  const two = await page(`limit=2&state=pending&before=${one.next}`)
  const ids = [...one.escalations, ...two.escalations].map(e => e.id)
  expect([...ids].sort().reverse()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
  for (const bad of ['limit=0', 'limit=201', 'limit=x', 'state=maybe', 'before=1']) {
    expect((await call('GET', `/api/v1/escalations?${bad}`, 'viewer')).status).toBe(400)
  }
})

it('whoever watches sees each change as it comes', async () => {
  const leaving = new AbortController()
  const res = await fetch(`${control.url}/api/v1/escalations/watch`, {
    headers: { authorization: `Bearer ${KEYS.viewer.key}` },
    signal: leaving.signal,
  })
  const reader = res.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  const until = async (wanted: RegExp) => {
    while (!wanted.test(text)) {
      const { value, done } = (await reader?.read()) ?? { value: undefined, done: true }
      if (done) throw new Error('the stream ended')
      text += value ?? ''
    }
  }
  await until(/: watching/)
  const e = await hold()
  await until(new RegExp(`event: escalation\\ndata: .*"id":"${e.id}","state":"pending"`))
  await call('POST', `/api/v1/escalations/${e.id}/deny`, 'bob', { digest: e.digest, reason: 'no' })
  await until(new RegExp(`"id":"${e.id}","state":"denied"`))
  leaving.abort()
})
