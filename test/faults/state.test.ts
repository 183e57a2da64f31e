/** Shared state that throws or hangs: refused with 503, never let through, and no exchange stays open because of it. */
import { describe, expect, it, vi } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { TokenBudgetCheck } from '../../src/checks/token-budget.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import type { EscalationStore } from '../../src/core/state.ts'
import { systemClock } from '../../src/state/system.ts'
import { chat, DEMO_REGISTRY, scenario, startTestGate, type TestGateOptions, testEscalations } from '../support/gate.ts'
import { RowWatch, SettleProbe } from './support.ts'

vi.setConfig({ testTimeout: 10_000 })

/** Time-outs a hundred times as soon, so that a hang is over at once. */
const clock = { ...systemClock, timer: (ms: number, f: () => void) => systemClock.timer(ms / 100, f) }

const FAILS: Readonly<Record<string, () => never>> = {
  throws: () => {
    throw new Error('redis://user:secret@host is down')
  },
  rejects: () => Promise.reject(new Error('redis://user:secret@host is down')) as never,
  hangs: () => new Promise(() => undefined) as never,
  'answers nonsense': () => Promise.resolve(5) as never,
}
const CALL = { kind: 'call', calls: [{ name: 'issue_refund', arguments: '{"amount":1}' }] }

const failingStore = (fail: () => never): EscalationStore => ({
  create: fail,
  get: () => undefined,
  answer: () => undefined,
  replace: () => false,
  list: () => [],
  due: () => [],
  dropAnswers: () => undefined,
  forget: () => undefined,
  close: () => undefined,
})

for (const [how, fail] of Object.entries(FAILS))
  for (const stream of [false, true])
    describe(`${how}, ${stream ? 'streamed' : 'unary'}`, () => {
      async function run(
        options: TestGateOptions,
        body: object = { model: 'demo', messages: [{ role: 'user', content: 'hi' }] },
        session?: string,
      ) {
        const watch = new RowWatch()
        const probe = new SettleProbe()
        const gate = await startTestGate({
          clock,
          ...options,
          checks: [new OwnerResolutionCheck(), probe, ...(options.checks ?? [])],
          wrapAudit: watch.wrap,
        })
        const res = await chat(
          gate,
          { ...body, stream },
          session === undefined ? {} : { headers: { 'x-signet-session': session } },
        )
        const text = await res.text()
        const outcomes = await probe.all()
        expect(text).not.toMatch(/secret|redis/)
        expect(JSON.stringify(watch.rows)).not.toMatch(/secret|redis/)
        // Nothing waits for the state any longer.
        await new Promise(setImmediate)
        expect(gate.running.gate.load.active).toBe(0)
        const requests = gate.upstreamRequests()
        await gate.close()
        return { res, text, outcomes, rows: watch.rows, requests }
      }

      it('rate limit', async () => {
        const r = await run({
          checks: [new RateLimitCheck({ capacity: 1, refillPerSecond: 1, state: { take: fail } })],
        })
        expect([r.res.status, r.requests]).toEqual([503, 0])
        expect(r.rows.at(-1)).toMatchObject({
          checkName: 'pipeline.admission',
          decision: 'block',
          metadata: { _check_name: 'rate_limit' },
        })
      })

      it('budget, reserving', async () => {
        const r = await run({ checks: [new TokenBudgetCheck({ cap: 5, state: { reserve: fail, settle: fail } })] })
        expect([r.res.status, r.requests]).toEqual([503, 0])
        expect(r.rows).toContainEqual(
          expect.objectContaining({
            decision: 'block',
            metadata: expect.objectContaining({ _check_name: 'token_budget' }),
          }),
        )
      })

      it('budget, settling: the answer stands, and a row says so', async () => {
        const reserve = () => ({ ok: true, reservation: 'r' }) as const
        const r = await run({ checks: [new TokenBudgetCheck({ cap: 5000, state: { reserve, settle: fail } })] })
        expect(r.res.status).toBe(200)
        expect(r.outcomes).toMatchObject([{ kind: 'completed' }])
        if (how === 'answers nonsense') return
        expect(r.rows.at(-1)).toMatchObject({
          decision: 'block',
          metadata: { _flag: true, _code: 'state_unavailable' },
        })
      })

      it('sessions', async () => {
        const r = await run({ sessions: { touch: fail } }, undefined, 's1')
        // What a session store answers grants nothing, so nonsense from it takes nothing away.
        if (how === 'answers nonsense') return expect(r.res.status).toBe(200)
        expect([r.res.status, r.requests]).toEqual([503, 0])
        expect(JSON.parse(r.text)).toMatchObject({ error: 'state_unavailable' })
        expect(r.rows.at(-1)).toMatchObject({
          checkName: 'pipeline.preflight',
          metadata: { _code: 'state_unavailable' },
        })
      })

      it('the store of held answers', async () => {
        const r = await run(
          {
            checks: [new ToolCallInspectorCheck({ registry: DEMO_REGISTRY })],
            escalations: testEscalations({ store: failingStore(fail) }),
          },
          scenario(CALL, { tools: [{ type: 'function', function: { name: 'issue_refund' } }] }),
        )
        expect(r.text).not.toMatch(/amount/)
        if (how === 'answers nonsense') return expect(r.outcomes).toMatchObject([{ kind: 'escalated' }])
        expect(r.outcomes).toMatchObject([{ kind: 'faulted' }])
        expect(r.res.status === 503 || /"signet_abort":true/.test(r.text)).toBe(true)
        expect(r.rows.at(-1)).toMatchObject({ decision: 'block', metadata: { _code: 'state_unavailable' } })
      })

      it('the identity provider', async () => {
        if (how === 'answers nonsense') return
        const r = await run({ identity: { name: 'down', verified: true, identify: fail } })
        expect([r.res.status, r.requests]).toEqual([503, 0])
        expect(JSON.parse(r.text)).toMatchObject({ error: 'state_unavailable' })
      })
    })
