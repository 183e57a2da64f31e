/** What a gate does with shared state, whoever drives it: every check and record uses it, and its end is the gate's 503. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { TokenBudgetCheck } from '../../src/checks/token-budget.ts'
import type { Check } from '../../src/core/check.ts'
import type { SharedState } from '../../src/core/state.ts'
import {
  MemoryBudgetState,
  MemoryRateLimitState,
  MemoryReferenceState,
  MemorySessionState,
} from '../../src/state/memory.ts'
import { chat, startTestGate } from '../support/gate.ts'

const QUESTION = { model: 'demo', messages: [{ role: 'user', content: 'hi' }] }

function sharedState(more: Partial<SharedState> = {}): SharedState {
  return {
    rateLimits: new MemoryRateLimitState(),
    budgets: new MemoryBudgetState(),
    sessions: new MemorySessionState(),
    references: new MemoryReferenceState(),
    reachable: () => true,
    close: async () => undefined,
    ...more,
  }
}

const statusOf = async (asked: Promise<Response>): Promise<number> => {
  const res = await asked
  await res.text()
  return res.status
}

describe('a check that was given no state of its own', () => {
  it.each([
    ['rate_limit', () => new RateLimitCheck({ capacity: 1, refillPerSecond: 0 })],
    ['token_budget', () => new TokenBudgetCheck({ cap: 1_000, requestEstimateDefault: 600 })],
  ])('%s counts together with other gates', async (_name, make) => {
    // A budget that is never settled: what the first gate took stays taken.
    const budgets = new MemoryBudgetState()
    const shared = sharedState({
      budgets: { reserve: (...args) => budgets.reserve(...args), settle: () => undefined },
    })
    const gates = await Promise.all(
      [0, 1].map(() => startTestGate({ shared, checks: [new OwnerResolutionCheck(), make()] })),
    )
    const statuses: number[] = []
    for (const gate of gates) statuses.push(await statusOf(chat(gate, QUESTION)))
    expect(statuses).toEqual([200, 429])
    for (const gate of gates) await gate.close()
  })

  it.each([
    ['rate_limit', () => new RateLimitCheck({ capacity: 1, state: new MemoryRateLimitState() })],
    ['token_budget', () => new TokenBudgetCheck({ cap: 5_000, state: new MemoryBudgetState() })],
  ])('%s with one of its own keeps that', async (_name, make) => {
    const down = () => Promise.reject(new Error('down'))
    const shared = sharedState({ rateLimits: { take: down }, budgets: { reserve: down, settle: down } })
    const gate = await startTestGate({ shared, checks: [new OwnerResolutionCheck(), make()] })
    expect(await statusOf(chat(gate, QUESTION))).toBe(200)
    await gate.close()
  })

  it('of anybody is handed the shared one, and says so in the policy’s digest', async () => {
    const handed: SharedState[] = []
    const mine: Check = {
      name: 'mine',
      priority: 1,
      timeLimitMs: 100,
      describe: () => ({ name: 'mine', shared: handed.length }),
      shareState: shared => handed.push(shared),
      admit: () => ({ kind: 'allow' }),
    }
    const alone = await startTestGate({ checks: [mine] })
    expect(handed).toEqual([])
    const shared = sharedState()
    const together = await startTestGate({ checks: [mine], shared })
    expect(handed).toEqual([shared])
    expect(together.running.gate.pipeline.digest).not.toBe(alone.running.gate.pipeline.digest)
    await alone.close()
    await together.close()
  })
})

describe('shared state that is down', () => {
  it('turns /readyz red and back, and leaves /healthz alone', async () => {
    let up = false
    const gate = await startTestGate({ shared: sharedState({ reachable: async () => up }) })
    const red = await fetch(`${gate.url}/readyz`)
    expect([red.status, await red.json()]).toEqual([
      503,
      { status: 'not_ready', reason: 'the shared state cannot be used' },
    ])
    expect((await fetch(`${gate.url}/healthz`)).status).toBe(200)
    up = true
    expect((await fetch(`${gate.url}/readyz`)).status).toBe(200)
    await gate.close()
  })

  it('is 503 for sessions, with a row, and upstream is not called', async () => {
    const shared = sharedState({ sessions: { touch: () => Promise.reject(new Error('down')) } })
    const gate = await startTestGate({ shared })
    expect(await statusOf(chat(gate, QUESTION, { headers: { 'x-signet-session': 's' } }))).toBe(503)
    expect(await statusOf(chat(gate, QUESTION))).toBe(200)
    expect(gate.upstreamRequests()).toBe(1)
    await gate.close()
  })
})

describe('the record of what upstream keeps', () => {
  for (const stream of [false, true])
    it(`is written before the answer ends, each id once, ${stream ? 'streamed' : 'unary'}`, async () => {
      const upstream = createServer((req, res) => {
        req.resume().on('end', () => {
          const response = { id: 'resp_1', object: 'response', status: 'completed', model: 'm', output: [] }
          if (!stream) {
            res.setHeader('content-type', 'application/json')
            res.end(JSON.stringify(response))
            return
          }
          res.setHeader('content-type', 'text/event-stream')
          for (const [i, type] of ['response.created', 'response.in_progress', 'response.completed'].entries())
            res.write(
              `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: i, response: { ...response, status: i === 2 ? 'completed' : 'in_progress' } })}\n\n`,
            )
          res.end()
        })
      })
      upstream.listen(0, '127.0.0.1')
      await once(upstream, 'listening')
      const asked = Promise.withResolvers<void>()
      const kept = Promise.withResolvers<void>()
      const remembered: unknown[] = []
      const gate = await startTestGate({
        upstreamUrl: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`,
        shared: sharedState({
          references: {
            remember: (...args) => {
              remembered.push(args)
              asked.resolve()
              return kept.promise
            },
            find: () => undefined,
          },
        }),
      })
      let ended = false
      const answer = fetch(`${gate.url}/v1/responses`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice' },
        body: JSON.stringify({ model: 'm', input: 'hi', stream }),
      })
        .then(res => res.text())
        .then(text => {
          ended = true
          return text
        })
      await asked.promise
      // Refusals that come after it, each with a row that is durable: nothing but the record is still to come.
      for (let i = 0; i < 20; i++) expect(await statusOf(chat(gate, QUESTION, { owner: null }))).toBe(403)
      expect(ended).toBe(false)
      kept.resolve()
      expect(await answer).toContain('resp_1')
      expect(remembered).toEqual([['human:alice', 'response', 'resp_1', 0]])
      await gate.close()
      upstream.close()
    })

  it('that fails does not keep the answer, and one that hangs does so for five seconds at most', async () => {
    for (const remember of [() => Promise.reject(new Error('down')), () => new Promise<void>(() => undefined)]) {
      const upstream = createServer((req, res) => {
        req.resume().on('end', () => {
          res.setHeader('content-type', 'application/json')
          res.end(JSON.stringify({ id: 'resp_1', object: 'response', status: 'completed', model: 'm', output: [] }))
        })
      })
      upstream.listen(0, '127.0.0.1')
      await once(upstream, 'listening')
      const { systemClock } = await import('../../src/state/system.ts')
      const gate = await startTestGate({
        upstreamUrl: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`,
        // A hundred times as soon.
        clock: { ...systemClock, timer: (ms, f) => systemClock.timer(ms / 100, f) },
        shared: sharedState({ references: { remember, find: () => undefined } }),
      })
      const res = await fetch(`${gate.url}/v1/responses`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice' },
        body: JSON.stringify({ model: 'm', input: 'hi' }),
      })
      expect([res.status, await res.text()]).toEqual([200, expect.stringContaining('resp_1')])
      await gate.close()
      upstream.close()
    }
  })
})
