import { describe, expect, it } from 'vitest'
import { humanOwner, UNRESOLVED } from '../core/owner.ts'
import type { RateLimitState } from '../core/state.ts'
import { RateLimitCheck } from './rate-limit.ts'
import { exchangeOf, TestContext } from './testing.ts'

const bob = exchangeOf({ owner: humanOwner('bob', { authenticatedBy: 'asserted' }) })

describe('rate_limit', () => {
  it('lets the capacity through, then refuses with the time to wait', () => {
    const check = new RateLimitCheck({ capacity: 2, refillPerSecond: 0.25 })
    const ctx = new TestContext(check)
    const x = exchangeOf()
    expect(check.admit(x, ctx)).toEqual({ kind: 'allow' })
    expect(check.admit(x, ctx)).toEqual({ kind: 'allow' })
    expect(check.admit(x, ctx)).toEqual({
      kind: 'block',
      because: {
        code: 'rate_limited',
        reason: 'rate limit exceeded',
        details: { retry_after_seconds: 4, capacity: 2, refill_per_second: '0.25', hard_quota: false },
      },
      retryAfterS: 4,
    })
    expect(check.admit(bob, ctx)).toEqual({ kind: 'allow' })
    ctx.nowMs = 4_000
    expect(check.admit(x, ctx)).toEqual({ kind: 'allow' })
  })

  it('names no time for a hard quota', async () => {
    const check = new RateLimitCheck({ capacity: 1, refillPerSecond: 0 })
    const ctx = new TestContext(check)
    await check.admit(exchangeOf(), ctx)
    const verdict = check.admit(exchangeOf(), ctx)
    expect(verdict).toMatchObject({ because: { details: { hard_quota: true, retry_after_seconds: null } } })
    expect(verdict).not.toHaveProperty('retryAfterS')
  })

  it('meters exchanges without an owner in one shared bucket', () => {
    const check = new RateLimitCheck({ capacity: 1 })
    const ctx = new TestContext(check)
    const nobody = exchangeOf({ owner: UNRESOLVED })
    expect(check.admit(nobody, ctx)).toEqual({ kind: 'allow' })
    expect(check.admit(nobody, ctx)).toMatchObject({ because: { code: 'rate_limited' } })
  })

  it.each<[string, RateLimitState['take']]>([
    [
      'throws',
      () => {
        throw new RangeError('redis://user:hunter2@host is gone')
      },
    ],
    ['rejects', () => Promise.reject(new RangeError('redis://user:hunter2@host is gone'))],
    ['answers nonsense', () => undefined as never],
    ['answers nonsense later', () => Promise.resolve({ ok: 'yes' } as never)],
  ])('refuses when the state %s, without its message', async (_, take) => {
    const check = new RateLimitCheck({ state: { take } })
    const verdict = await check.admit(exchangeOf(), new TestContext(check))
    expect(verdict).toMatchObject({
      kind: 'block',
      because: { code: 'state_unavailable', reason: 'rate-limit backend unavailable; failing closed' },
    })
    expect(JSON.stringify(verdict)).not.toContain('hunter2')
  })

  it('stays synchronous with a synchronous state and takes an asynchronous one', async () => {
    const check = new RateLimitCheck({ state: { take: async () => ({ ok: true, remaining: 1 }) } })
    expect(await check.admit(exchangeOf(), new TestContext(check))).toEqual({ kind: 'allow' })
    const plain = new RateLimitCheck()
    expect(plain.admit(exchangeOf(), new TestContext(plain))).not.toBeInstanceOf(Promise)
  })

  it('asks the state for the owner, with the wall clock', async () => {
    const asked: unknown[] = []
    const state: RateLimitState = {
      take: (...args) => {
        asked.push(args)
        return { ok: true, remaining: 0 }
      },
    }
    const check = new RateLimitCheck({ capacity: 3, refillPerSecond: 2, state })
    const ctx = new TestContext(check)
    ctx.nowMs = 1_700_000_000_000
    await check.admit(bob, ctx)
    expect(asked).toEqual([['human:bob', 3, 2, 1_700_000_000_000]])
  })
})
