/** Sessions of the console: what they open, when they end, what they leave in the log, and who can make a browser send them. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openApi } from '../../src/control/openapi.ts'
import { Sessions } from '../../src/control/sessions.ts'
import { SLACK_PATH } from '../../src/control/slack.ts'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock, systemRandom } from '../../src/state/system.ts'
import { PEOPLE, type Stand, startStand, type Who } from './stand.ts'

const MINUTE = 60_000
const TIMES = { maxMs: 8 * 60 * MINUTE, idleMs: 30 * MINUTE }

let later = 0
const clock: Clock = { ...systemClock, now: () => Date.now() + later, timer: (ms, f) => systemClock.timer(ms, f) }
let s: Stand
beforeAll(async () => {
  s = await startStand({ clock, times: TIMES })
})
beforeEach(() => {
  later = 0
})
afterAll(() => s.close())

async function signIn(who: Who): Promise<string> {
  const res = await s.call('POST', '/api/v1/session', who, {})
  expect(res.status).toBe(201)
  return ((await res.json()) as { token: string }).token
}
const as = (token: string, path: string, init: RequestInit = {}, more: Record<string, string> = {}) =>
  fetch(`${s.control.url}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...more } })
const me = async (token: string, more: Record<string, string> = {}) => (await as(token, '/api/v1/me', {}, more)).status
const rows = (name: string) =>
  s.gate.rows().filter(row => (row['metadata'] as Record<string, unknown>)['_check_name'] === name)

it('opens what its credential opens, with the same role and name, and no more', async () => {
  const token = await signIn('viewer')
  expect(await (await as(token, '/api/v1/me')).json()).toMatchObject({
    principal: PEOPLE.viewer,
    role: 'viewer',
    by: 'api_key',
    session_ends_at: expect.any(String),
  })
  expect((await as(token, '/api/v1/health')).status).toBe(403)
  expect((await as(await signIn('admin'), '/api/v1/health')).status).toBe(200)
})

it('decides in the name of who signed in', async () => {
  const token = await signIn('bob')
  const e = await s.hold()
  const res = await as(token, `/api/v1/escalations/${e.id}/approve`, {
    method: 'POST',
    body: JSON.stringify({ digest: e.digest, seen_decisions: 0 }),
  })
  expect(await res.json()).toMatchObject({ decisions: [{ approver: PEOPLE.bob, by: 'api_key' }] })
})

it('a decision about what others have decided since is 409, and does not count', async () => {
  const e = await s.hold()
  const decide = (digest: string, seen: unknown) =>
    s.call('POST', `/api/v1/escalations/${e.id}/approve`, 'bob', { digest, seen_decisions: seen })
  const res = await decide(e.digest, 1)
  expect([res.status, ((await res.json()) as { error: string }).error]).toEqual([409, 'changed'])
  for (const seen of ['0', -1, 0.5, null]) expect((await decide(e.digest, seen)).status).toBe(400)
  expect((await decide(e.digest, 0)).status).toBe(200)
})

it.each(['old', 'nobody', 'agent'] as const)('is not opened by %s', async who => {
  expect((await s.call('POST', '/api/v1/session', who, {})).status).toBe(who === 'old' ? 401 : 403)
})

it('ends when nobody has done anything for its idle time; a page that looks by itself keeps nothing open', async () => {
  const token = await signIn('viewer')
  later = 29 * MINUTE
  expect(await me(token)).toBe(200)
  later = 58 * MINUTE
  expect(await me(token, { 'signet-background': '1' })).toBe(200)
  later = 60 * MINUTE
  const res = await as(token, '/api/v1/me', {}, { 'signet-background': '1' })
  expect(res.status).toBe(401)
  expect(await res.json()).toMatchObject({ error: 'session_ended' })
  expect(rows('session.expired').at(-1)).toMatchObject({ owner_id: 'viewer' })
  later = 0
  expect(await me(token)).toBe(401)
})

it('ends at its greatest age, whatever is done', async () => {
  const token = await signIn('viewer')
  for (later = 0; later < TIMES.maxMs; later += 20 * MINUTE) expect(await me(token)).toBe(200)
  later = TIMES.maxMs + MINUTE
  expect(await me(token)).toBe(401)
})

it('ends when somebody signs out, and both are rows of theirs', async () => {
  const token = await signIn('carol')
  expect(rows('session.opened').at(-1)).toMatchObject({ owner_id: 'carol', owner_type: 'human', decision: 'allow' })
  expect((await as(token, '/api/v1/session/close', { method: 'POST', body: '{}' })).status).toBe(200)
  expect(rows('session.closed').at(-1)).toMatchObject({ owner_id: 'carol' })
  expect(await me(token)).toBe(401)
  expect((await as(token, '/api/v1/session/close', { method: 'POST', body: '{}' })).status).toBe(401)
})

it('opens no other session, and no cookie is ever set', async () => {
  const token = await signIn('viewer')
  const res = await as(token, '/api/v1/session', { method: 'POST', body: '{}' })
  expect(res.status).toBe(409)
  for (const path of ['/console/', '/api/v1/me', '/']) {
    expect((await as(token, path, { redirect: 'manual' })).headers.get('set-cookie')).toBe(null)
  }
})

it.each([
  ['a token of the right form that was never given', `sgs_${'A'.repeat(43)}`],
  ['a token with one character more', `sgs_${'A'.repeat(44)}`],
  ['the prefix alone', 'sgs_'],
])('%s opens nothing', async (_, token) => {
  expect(await me(token)).toBe(401)
})

it('two credentials in one request are refused, whichever comes first', async () => {
  const token = await signIn('viewer')
  const both = (first: string, second: string) =>
    as(first, '/api/v1/me', {}, { 'x-api-key': second.startsWith('sgs_') ? s.token('viewer') : second })
  expect((await both(token, s.token('admin'))).status).not.toBe(500)
  // The key beside a session is not looked at: the session says who it is.
  expect(await (await both(token, s.token('admin'))).json()).toMatchObject({ principal: PEOPLE.viewer })
})

describe('of another page', () => {
  it.each(['http://evil.example', 'null', 'http://127.0.0.1:1'])('%s cannot use it, nor sign in', async origin => {
    const token = await signIn('viewer')
    expect((await as(token, '/api/v1/me', {}, { origin })).status).toBe(403)
    const res = await fetch(`${s.control.url}/api/v1/session`, {
      method: 'POST',
      headers: { origin, authorization: `Bearer ${s.token('admin')}` },
      body: '{}',
    })
    expect(res.status).toBe(403)
  })
})

it('no session opens what is for Slack alone', async () => {
  const token = await signIn('admin')
  expect((await as(token, SLACK_PATH, { method: 'POST', body: '{}' })).status).toBe(403)
})

it('a session that is over opens no route at all', async () => {
  const token = await signIn('admin')
  await as(token, '/api/v1/session/close', { method: 'POST', body: '{}' })
  const e = await s.hold()
  for (const [path, methods] of Object.entries(openApi('0').paths)) {
    for (const [method, operation] of Object.entries<object>(methods)) {
      // For everybody, with a session or without; and for Slack's signature alone.
      if ('security' in operation || path === SLACK_PATH) continue
      const at = path.replace('{id}', e.id).replace('{passkey}', 'AAAA')
      const init = method === 'post' ? { method: 'POST', body: '{}' } : {}
      expect((await as(token, at, init)).status, `${method} ${path}`).toBe(401)
    }
  }
})

it('whoever follows changes is told nothing more once the session is over', async () => {
  const token = await signIn('viewer')
  const res = await as(token, '/api/v1/escalations/watch')
  const reader = res.body?.getReader()
  await reader?.read()
  await s.hold()
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toContain('event: escalation')
  await as(token, '/api/v1/session/close', { method: 'POST', body: '{}' })
  await s.hold()
  expect((await reader?.read())?.done).toBe(true)
})

describe('how many', () => {
  const sessions = () => new Sessions({ clock, random: systemRandom(), times: TIMES })

  it('of one person: the oldest makes room', () => {
    const all = sessions()
    const tokens = Array.from({ length: 21 }, () => all.open('human:a', []).token)
    expect(tokens.map(t => all.find(t, true) !== undefined)).toEqual([false, ...Array<boolean>(20).fill(true)])
  })

  it('of all: the oldest makes room', () => {
    const all = sessions()
    const tokens = Array.from({ length: 1001 }, (_, i) => all.open(`human:p${i}`, []).token)
    expect(tokens.filter(t => all.find(t, true) !== undefined)).toHaveLength(1000)
    expect(all.find(tokens[0] ?? '', true)).toBe(undefined)
  })
})
