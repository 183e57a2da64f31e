/** When a session's credential is renewed, and what happens when that goes wrong, or somebody signs out meanwhile. */
import { expect, it } from 'vitest'
import type { Clock } from '../core/clock.ts'
import type { Exchanged, Refresh } from './oidc-client.ts'
import { Renewal } from './renewal.ts'

const START = 1_800_000_000_000
const MINUTE = 60_000

function scene(lifeMs = 5 * MINUTE) {
  let now = START
  const clock: Clock = { now: () => now, nowNs: () => BigInt(now) * 1_000_000n, timer: () => () => undefined }
  const asked: string[] = []
  const revoked: string[] = []
  const answers: (Exchanged | Promise<Exchanged>)[] = []
  const client = {
    renew: async ({ token }: Refresh): Promise<Exchanged> => {
      asked.push(token)
      return answers.shift() ?? { kind: 'unreachable', message: 'silent' }
    },
    revoke: async ({ token }: Refresh) => void revoked.push(token),
  }
  const session: { credential: readonly string[] } = { credential: ['authorization', 'Bearer 0'] }
  const renewal = new Renewal(client, clock, { token: 'r0', subject: 's' }, START + lifeMs)
  const tokens = (n: number, endsInMs: number): Exchanged => ({
    kind: 'tokens',
    credential: ['authorization', `Bearer ${n}`],
    endsAtMs: now + endsInMs,
    refresh: { token: `r${n}`, subject: 's' },
  })
  return {
    asked,
    revoked,
    answers,
    tokens,
    session,
    renewal,
    keep: () => renewal.keep(session),
    at: (ms: number) => {
      now = START + ms
    },
  }
}

it('asks nobody before the last minute, and then once for all who wait', async () => {
  const t = scene()
  t.at(4 * MINUTE - 1)
  expect(t.keep()).toBe('kept')
  t.at(4 * MINUTE)
  t.answers.push(t.tokens(1, 5 * MINUTE))
  expect(await Promise.all([t.keep(), t.keep(), t.keep()])).toEqual(['kept', 'kept', 'kept'])
  expect([t.asked, t.session.credential]).toEqual([['r0'], ['authorization', 'Bearer 1']])
  expect(t.keep()).toBe('kept')
  t.at(8 * MINUTE)
  t.answers.push(t.tokens(2, 5 * MINUTE))
  await t.keep()
  expect(t.asked).toEqual(['r0', 'r1'])
})

it('a token that lives a minute is renewed in its last quarter', async () => {
  const t = scene(MINUTE)
  t.at(44_999)
  expect(t.keep()).toBe('kept')
  t.at(45_000)
  t.answers.push(t.tokens(1, MINUTE))
  await t.keep()
  expect(t.asked).toEqual(['r0'])
})

it('a silent issuer is asked again after five seconds; it matters only when the token has ended', async () => {
  const t = scene()
  t.at(4 * MINUTE)
  expect(await t.keep()).toBe('kept')
  t.at(4 * MINUTE + 4_999)
  expect(t.keep()).toBe('kept')
  t.at(5 * MINUTE)
  expect(await t.keep()).toBe('unreachable')
  t.at(5 * MINUTE + 1)
  expect(t.keep()).toBe('unreachable')
  expect(t.asked).toEqual(['r0', 'r0'])
  t.at(5 * MINUTE + 5_000)
  t.answers.push(t.tokens(1, 5 * MINUTE))
  expect(await t.keep()).toBe('kept')
})

it.each([
  ['invalid_grant', 'over'],
  ['invalid_client', 'kept'],
] as const)('%s: %s', async (said, kept) => {
  const t = scene()
  t.at(4 * MINUTE)
  t.answers.push({ kind: 'refused', problem: 'code_refused', said })
  expect(await t.keep()).toBe(kept)
  // Where the session goes on, it is with the token that it has, and nobody is asked again.
  if (kept === 'kept') expect(t.keep()).toBe('kept')
  expect([t.asked, t.session.credential]).toEqual([['r0'], ['authorization', 'Bearer 0']])
})

it('whoever signs out while it is renewed leaves nothing behind that could be renewed', async () => {
  const t = scene()
  t.at(4 * MINUTE)
  const answer = Promise.withResolvers<Exchanged>()
  t.answers.push(answer.promise)
  const kept = t.keep()
  t.renewal.end()
  answer.resolve(t.tokens(1, 5 * MINUTE))
  await kept
  expect([t.revoked, t.session.credential]).toEqual([
    ['r0', 'r1'],
    ['authorization', 'Bearer 0'],
  ])
  expect(t.keep()).toBe('kept')
  expect(t.asked).toEqual(['r0'])
})
