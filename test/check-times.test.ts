/** How long checks take, through the running gate: each stage, waiting included, failures too, by a clock that the checks turn on. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Check } from '../src/core/check.ts'
import { ALLOW } from '../src/core/verdict.ts'
import { CheckDurations } from '../src/telemetry/check-durations.ts'
import { exposition } from '../src/telemetry/exposition.ts'
import { chat, demoChecks, scenario, startTestGate, type TestGate } from './support/gate.ts'

let now = 0
const times = new CheckDurations(() => now)
const describeNothing = () => ({})

/** Takes so long at each stage. */
const STEADY = { admission: 0.125, inspection: 0.25, commitment: 2, record: 8 } as const
const steady: Check = {
  name: 'steady',
  priority: 1,
  timeLimitMs: 1000,
  describe: describeNothing,
  admit: () => {
    now += STEADY.admission
    return ALLOW
  },
  inspect: () => () => {
    const look = (piece: { readonly at: number; readonly text: string }) => {
      now += STEADY.inspection
      return { settled: piece.at + piece.text.length, verdict: ALLOW }
    }
    return { push: look, end: look }
  },
  commit: () => {
    now += STEADY.commitment
    return ALLOW
  },
  record: () => {
    now += STEADY.record
    return []
  },
}
/** Answers later: a turn of the loop, and forty milliseconds of the clock. */
const waiting: Check = {
  name: 'waiting',
  priority: 2,
  timeLimitMs: 1000,
  describe: describeNothing,
  admit: async () => {
    await new Promise(resolve => setImmediate(resolve))
    now += 40
    return ALLOW
  },
  commit: async () => {
    await new Promise(resolve => setImmediate(resolve))
    now += 400
    return ALLOW
  },
}
let fails = false
const failing: Check = {
  name: 'failing',
  priority: 3,
  timeLimitMs: 1000,
  describe: describeNothing,
  admit: () => {
    if (!fails) return ALLOW
    now += 5
    throw new Error('it fails')
  },
}

let gate: TestGate
beforeAll(async () => {
  gate = await startTestGate({ checks: [...demoChecks(), steady, waiting, failing], times })
})
afterAll(() => gate.close())

const said = { model: 'demo', messages: [{ role: 'user', content: 'Say hello' }] }

it('a text: admission, each piece, and the record; a check that waits is measured with its waiting', async () => {
  const res = await chat(gate, said)
  expect(res.status).toBe(200)
  await res.text()
  expect(times.of('steady', 'admission')).toEqual({ n: 1, p50Ms: 0.125, p95Ms: 0.125, maxMs: 0.125 })
  expect(times.of('waiting', 'admission')).toMatchObject({ n: 1, maxMs: 40 })
  expect(times.of('failing', 'admission')).toMatchObject({ n: 1, maxMs: 0 })
  const inspected = times.of('steady', 'inspection')
  // A piece of text, and its end, at least.
  expect(inspected?.n).toBeGreaterThanOrEqual(2)
  expect(inspected?.maxMs).toBe(0.25)
  await expect.poll(() => times.of('steady', 'record')).toMatchObject({ n: 1, maxMs: 8 })
  expect([times.of('steady', 'commitment'), times.of('waiting', 'inspection')]).toEqual([undefined, undefined])
  // The built-in ones took no time of this clock, and were asked.
  expect(times.of('owner_resolution', 'admission')).toMatchObject({ n: 1, maxMs: 0 })
})

it('calls: each of them is one', async () => {
  const calls = [1, 2, 3].map(n => ({ name: 'search_web', arguments: `{"q":"${n}"}` }))
  const tools = [{ type: 'function', function: { name: 'search_web' } }]
  const res = await chat(gate, scenario({ kind: 'call', calls }, { tools }))
  await res.text()
  expect(times.of('steady', 'commitment')).toMatchObject({ n: 3, maxMs: 2 })
  expect(times.of('waiting', 'commitment')).toMatchObject({ n: 3, maxMs: 400 })
})

it('a check that fails has taken its time, and those behind it were not asked', async () => {
  fails = true
  const [before, record] = [times.of('token_budget', 'admission')?.n ?? 0, times.of('failing', 'admission')?.n ?? 0]
  expect((await chat(gate, said)).status).toBe(503)
  fails = false
  expect(times.of('failing', 'admission')).toMatchObject({ n: record + 1, maxMs: 5 })
  expect(times.of('token_budget', 'admission')?.n).toBe(before)
})

it('the metrics have all of it, in seconds, and nothing of a request', async () => {
  const text = exposition(times.metrics())
  expect(text).toContain('# TYPE signet_check_duration_seconds histogram')
  expect(text).toContain('signet_check_duration_seconds_count{check="steady",stage="commitment"} 3')
  expect(text).toContain('signet_check_duration_seconds_sum{check="steady",stage="commitment"} 0.006')
  expect(text).toContain('signet_check_duration_seconds_bucket{check="steady",stage="commitment",le="0.001"} 0')
  expect(text).toContain('signet_check_duration_seconds_bucket{check="steady",stage="commitment",le="0.0025"} 3')
  expect(text).not.toContain('search_web')
})
