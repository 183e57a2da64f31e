import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Outcome } from '../core/exchange.ts'
import { MemoryBudgetState } from '../core/memory-state.ts'
import type { BudgetState } from '../core/state.ts'
import { exchangeOf, outcomeOf, TestContext } from './testing.ts'
import { TokenBudgetCheck } from './token-budget.ts'

const asking = (maxOutputTokens: number | undefined, n = 1) =>
  exchangeOf({ request: { n, ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }) } })

const DAY = 86_400_000
/** What is left of a budget of `cap` in `state`. */
function left(state: MemoryBudgetState, cap: number): number {
  const probe = state.reserve('day:human:alice', cap + 1, cap, DAY, 0)
  return probe.ok ? Number.NaN : cap - probe.used - probe.reserved
}

describe('token_budget at admission', () => {
  it('lets at most cap / estimate of 50 concurrent exchanges through', async () => {
    const check = new TokenBudgetCheck({ cap: 100 })
    const verdicts = await Promise.all(
      Array.from({ length: 50 }, async () => check.admit(asking(10), new TestContext(check))),
    )
    expect(verdicts.filter(v => v.kind === 'allow')).toHaveLength(10)
    expect(verdicts.at(-1)).toEqual({
      kind: 'block',
      because: {
        code: 'token_budget_exceeded',
        reason: 'token budget exceeded: would use 110 of 100 per day',
        details: {
          budget_used: 0,
          budget_reserved: 100,
          budget_cap: 100,
          request_estimate: 10,
          window: 'day',
          retry_after_seconds: 86_400,
        },
      },
      retryAfterS: 86_400,
    })
  })

  it.each([
    [asking(undefined), 1024],
    [asking(300), 300],
    [asking(300, 4), 1200],
    [asking(undefined, 3), 3072],
    [asking(0), 10],
    [asking(1), 1],
  ])('%# reserves the estimate', (x, estimate) => {
    const state = new MemoryBudgetState()
    const check = new TokenBudgetCheck({ cap: 10_000, state })
    expect(check.admit(x, new TestContext(check))).toEqual({ kind: 'allow' })
    expect(left(state, 10_000)).toBe(10_000 - estimate)
  })

  it('never reserves nothing, even for a default of 0', async () => {
    const state = new MemoryBudgetState()
    const check = new TokenBudgetCheck({ cap: 10, requestEstimateDefault: 0, state })
    await check.admit(asking(0), new TestContext(check))
    expect(left(state, 10)).toBe(9)
  })

  it.each([-5, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a limit of %s', limit => {
    const state = new MemoryBudgetState()
    const check = new TokenBudgetCheck({ cap: 10, state })
    expect(check.admit(asking(limit), new TestContext(check))).toMatchObject({
      because: { code: 'token_estimate_invalid', details: { request_estimate_field: 'max_tokens' } },
    })
    expect(state.open).toBe(0)
  })

  it.each([0, -1, 0.5])('refuses %s answers', n => {
    const check = new TokenBudgetCheck({ cap: 10 })
    expect(check.admit(asking(1, n), new TestContext(check))).toMatchObject({
      because: { code: 'token_estimate_invalid', details: { request_estimate_field: 'n' } },
    })
  })

  it('names no retry time for what never fits', () => {
    const check = new TokenBudgetCheck({ cap: 10 })
    const verdict = check.admit(asking(11), new TestContext(check))
    expect(verdict).toMatchObject({ because: { code: 'token_budget_exceeded' } })
    expect(verdict).not.toHaveProperty('retryAfterS')
  })

  it('starts afresh in the next window', async () => {
    const check = new TokenBudgetCheck({ cap: 10, window: 'minute' })
    const ctx = new TestContext(check)
    await check.admit(asking(10), ctx)
    expect(check.admit(asking(10), ctx)).toMatchObject({ retryAfterS: 60 })
    ctx.nowMs = 60_000
    expect(check.admit(asking(10), ctx)).toEqual({ kind: 'allow' })
  })
})

describe('token_budget afterwards', () => {
  it.each<[string, Partial<Outcome>, number]>([
    ['refused before upstream was called', { kind: 'refused', forwarded: false, outputComplete: false }, 0],
    ['disconnected before upstream was called', { kind: 'disconnected', forwarded: false }, 0],
    ['completed, with usage', { outputTokens: 40, outputChars: 100 }, 40],
    ['completed, usage below what was sent', { outputTokens: 1, outputChars: 200 }, 50],
    ['completed, without usage', { outputChars: 81 }, 21],
    ['completed, more than asked for', { outputTokens: 500, outputChars: 100 }, 500],
    ['completed, nonsense usage', { outputTokens: Number.NaN, outputChars: 8 }, 2],
    ['completed, negative usage', { outputTokens: -100, outputChars: 8 }, 2],
    ['escalated after a full answer', { kind: 'escalated', outputTokens: 7, outputChars: 20 }, 7],
    ['refused by inspection after a full answer', { kind: 'refused', outputTokens: 30, outputChars: 10 }, 30],
    ['aborted in the middle', { kind: 'aborted', outputChars: 40, outputComplete: false }, 100],
    ['disconnected in the middle, much sent', { kind: 'disconnected', outputChars: 800, outputComplete: false }, 200],
    ['faulted', { kind: 'faulted', outputComplete: false, outputTokens: 3 }, 100],
  ])('%s', async (_, outcome, charged) => {
    const state = new MemoryBudgetState()
    const check = new TokenBudgetCheck({ cap: 1_000, state })
    const ctx = new TestContext(check)
    await check.admit(asking(100), ctx)
    await ctx.settle(outcomeOf(outcome))
    expect(left(state, 1_000)).toBe(1_000 - charged)
    expect(state.open).toBe(0)
  })

  it('leaves nothing to settle after a refusal', async () => {
    const state = new MemoryBudgetState()
    const check = new TokenBudgetCheck({ cap: 10, state })
    const ctx = new TestContext(check)
    await check.admit(asking(11), ctx)
    await ctx.settle(outcomeOf({ forwarded: false }))
    expect(state.open).toBe(0)
    expect(left(state, 10)).toBe(10)
  })

  it('settles a reservation that came too late', async () => {
    const memory = new MemoryBudgetState()
    const gate = Promise.withResolvers<void>()
    const state: BudgetState = {
      reserve: async (...args) => {
        await gate.promise
        return memory.reserve(...args)
      },
      settle: (reservation, used) => memory.settle(reservation, used),
    }
    const check = new TokenBudgetCheck({ cap: 100, state })
    const ctx = new TestContext(check)
    const pending = check.admit(asking(60), ctx)
    const settled = ctx.settle(outcomeOf({ kind: 'refused', forwarded: false }))
    gate.resolve()
    await Promise.all([pending, settled])
    expect(memory.open).toBe(0)
    expect(left(memory, 100)).toBe(100)
  })

  it('never leaks a reservation, whatever the outcomes', async () => {
    const outcome = fc.record({
      kind: fc.constantFrom<Outcome['kind']>('completed', 'refused', 'aborted', 'escalated', 'disconnected', 'faulted'),
      forwarded: fc.boolean(),
      outputChars: fc.nat(500),
      outputComplete: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(80), outcome), { maxLength: 20 }), async exchanges => {
        const state = new MemoryBudgetState()
        const check = new TokenBudgetCheck({ cap: 500, state })
        const open = exchanges.map(async ([tokens, o]) => {
          const ctx = new TestContext(check)
          await check.admit(asking(tokens), ctx)
          return { ctx, o }
        })
        for (const { ctx, o } of await Promise.all(open)) await ctx.settle(o)
        expect(state.open).toBe(0)
        const probe = state.reserve('day:human:alice', 501, 500, DAY, 0)
        expect(probe).toMatchObject({ ok: false, reserved: 0 })
      }),
    )
  })
})

describe('token_budget without its state', () => {
  it.each<[string, BudgetState['reserve']]>([
    [
      'throws',
      () => {
        throw new Error('postgres://u:hunter2@db')
      },
    ],
    ['rejects', () => Promise.reject(new Error('postgres://u:hunter2@db'))],
    ['answers nonsense', () => undefined as never],
  ])('%s: refuses', async (_, reserve) => {
    const settled: string[] = []
    const check = new TokenBudgetCheck({ cap: 10, state: { reserve, settle: id => void settled.push(id) } })
    const ctx = new TestContext(check)
    const verdict = await check.admit(asking(1), ctx)
    expect(verdict).toMatchObject({ kind: 'block', because: { code: 'state_unavailable' } })
    expect(JSON.stringify(verdict)).not.toContain('hunter2')
    await ctx.settle(outcomeOf())
    expect(settled).toEqual([])
  })
})
