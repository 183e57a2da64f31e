import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MemoryBudgetState, MemoryRateLimitState, MemorySessionState, StateFull } from './memory.ts'

const DAY = 86_400_000

describe('rate-limit buckets', () => {
  it('give the capacity at once, then one token per refill interval', () => {
    const state = new MemoryRateLimitState()
    for (let left = 2; left >= 0; left--) expect(state.take('a', 3, 2, 1_000)).toEqual({ ok: true, remaining: left })
    expect(state.take('a', 3, 2, 1_000)).toEqual({ ok: false, remaining: 0, retryAfterS: 0.5 })
    expect(state.take('a', 3, 2, 1_250)).toEqual({ ok: false, remaining: 0, retryAfterS: 0.25 })
    expect(state.take('a', 3, 2, 1_500)).toEqual({ ok: true, remaining: 0 })
  })

  it('never hold more than the capacity', () => {
    const state = new MemoryRateLimitState()
    state.take('a', 2, 1, 0)
    const later = Array.from({ length: 3 }, () => state.take('a', 2, 1, DAY).ok)
    expect(later).toEqual([true, true, false])
  })

  it('without refill are a hard quota that names no retry time', () => {
    const state = new MemoryRateLimitState()
    state.take('a', 1, 0, 0)
    expect(state.take('a', 1, 0, DAY * 365)).toEqual({ ok: false, remaining: 0 })
  })

  it('keep owners apart', () => {
    const state = new MemoryRateLimitState()
    expect(state.take('a', 1, 1, 0).ok).toBe(true)
    expect(state.take('b', 1, 1, 0).ok).toBe(true)
    expect(state.take('a', 1, 1, 0).ok).toBe(false)
  })

  it('survive a clock that is set back, without a gift and without a freeze', () => {
    const state = new MemoryRateLimitState()
    state.take('a', 1, 1, DAY)
    expect(state.take('a', 1, 1, 0).ok).toBe(false)
    expect(state.take('a', 1, 1, 1_000).ok).toBe(true)
  })

  it('cannot be reset by inventing other owners', () => {
    const state = new MemoryRateLimitState({ maxOwners: 100 })
    state.take('victim', 1, 0, 0)
    for (let i = 0; i < 1_000; i++) {
      try {
        state.take(`made-up-${i}`, 1, 0, i)
      } catch (error) {
        expect(error).toBeInstanceOf(StateFull)
      }
    }
    expect(state.size).toBe(100)
    expect(state.take('victim', 1, 0, 1_000).ok).toBe(false)
  })

  it('make room by forgetting buckets that are full again, however many are not', () => {
    const state = new MemoryRateLimitState({ maxOwners: 1_000 })
    for (let i = 0; i < 999; i++) state.take(`busy-${i}`, 1, 0, 0)
    state.take('idle', 5, 1, 0)
    expect(() => state.take('new', 1, 0, 500)).toThrow(StateFull)
    const outcomes = Array.from({ length: 6 }, () => {
      try {
        return state.take('new', 1, 0, 2_000).ok
      } catch {
        return 'full'
      }
    })
    expect(outcomes).toContain(true)
    expect(state.size).toBe(1_000)
  })

  it('of one owner with many keys leave room for others, and make room of its own that is idle', () => {
    const state = new MemoryRateLimitState({ maxOwners: 100 })
    const flood = (owner: string, nowMs: number) => {
      let taken = 0
      for (let i = 0; i < 1_000; i++) {
        try {
          if (state.take(`${owner} call ${nowMs} ${i}`, 1, 1 / 60, nowMs, owner).ok) taken++
        } catch (error) {
          expect(error).toBeInstanceOf(StateFull)
        }
      }
      return taken
    }
    expect(flood('mallory', 0)).toBe(50)
    expect(flood('trudy', 0)).toBe(25)
    for (let i = 0; i < 10; i++) expect(state.take(`alice call ${i}`, 1, 1 / 60, 0, 'alice').ok).toBe(true)
    // What was counted is not forgotten by the flood, and is when its minute is over.
    expect(state.take('mallory call 0 0', 1, 1 / 60, 0, 'mallory').ok).toBe(false)
    expect(flood('mallory', 60_000)).toBeGreaterThanOrEqual(50)
    expect(state.size).toBeLessThanOrEqual(100)
  })

  it('grant at most capacity + elapsed * refill, whatever the timing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 10 }),
        fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 120 }),
        (capacity, refill, gaps) => {
          const state = new MemoryRateLimitState()
          let now = 0
          let granted = 0
          for (const gap of gaps) {
            now += gap
            if (state.take('a', capacity, refill, now).ok) granted++
          }
          expect(granted).toBeLessThanOrEqual(capacity + (now * refill) / 1000 + 1e-6)
        },
      ),
    )
  })
})

describe('budget ledgers', () => {
  it('let at most cap / estimate of 50 concurrent reservations through', () => {
    const state = new MemoryBudgetState()
    const passed = Array.from({ length: 50 }, () => state.reserve('a', 10, 100, DAY, 5)).filter(r => r.ok)
    expect(passed).toHaveLength(10)
    expect(state.reserve('a', 1, 100, DAY, 5)).toEqual({
      ok: false,
      used: 0,
      reserved: 100,
      retryAfterS: (DAY - 5) / 1000,
    })
  })

  it('settle once: the second call does nothing', () => {
    const state = new MemoryBudgetState()
    const held = state.reserve('a', 60, 100, DAY, 0)
    if (!held.ok) throw new Error('expected a reservation')
    state.settle(held.reservation, 10)
    state.settle(held.reservation, 10)
    expect(state.reserve('a', 91, 100, DAY, 0)).toMatchObject({ ok: false, used: 10, reserved: 0 })
    expect(state.reserve('a', 90, 100, DAY, 0).ok).toBe(true)
  })

  it('start afresh in the next window, and a late settlement stays in its own', () => {
    const state = new MemoryBudgetState()
    const held = state.reserve('a', 100, 100, DAY, DAY - 1)
    if (!held.ok) throw new Error('expected a reservation')
    expect(state.reserve('a', 1, 100, DAY, DAY - 1)).toMatchObject({ ok: false, retryAfterS: 0.001 })
    expect(state.reserve('a', 40, 100, DAY, DAY).ok).toBe(true)
    state.settle(held.reservation, 100)
    expect(state.reserve('a', 60, 100, DAY, DAY).ok).toBe(true)
    expect(state.reserve('a', 1, 100, DAY, DAY).ok).toBe(false)
  })

  it('cannot be reset by inventing other owners', () => {
    const state = new MemoryBudgetState({ maxOwners: 10 })
    state.reserve('victim', 100, 100, DAY, 0)
    for (let i = 0; i < 9; i++) state.reserve(`made-up-${i}`, 1, 100, DAY, 0)
    expect(() => state.reserve('one-more', 1, 100, DAY, 0)).toThrow(StateFull)
    expect(state.reserve('victim', 1, 100, DAY, 0).ok).toBe(false)
    expect(state.reserve('one-more', 1, 100, DAY, DAY).ok).toBe(true)
    expect(state.size).toBe(10)
  })

  it('refuse amounts that are not amounts', () => {
    const state = new MemoryBudgetState()
    expect(() => state.reserve('a', Number.NaN, 10, DAY, 0)).toThrow(RangeError)
    expect(() => state.reserve('a', -1, 10, DAY, 0)).toThrow(RangeError)
    const held = state.reserve('a', 1, 10, DAY, 0)
    if (!held.ok) throw new Error('expected a reservation')
    expect(() => state.settle(held.reservation, -5)).toThrow(RangeError)
    expect(state.open).toBe(1)
  })

  it('never go negative, never overspend on reservation, never leak one', () => {
    const step = fc.record({
      key: fc.constantFrom('a', 'b'),
      amount: fc.integer({ min: 0, max: 60 }),
      used: fc.integer({ min: 0, max: 60 }),
      gap: fc.integer({ min: 0, max: 40 }),
      settleNow: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), steps => {
        const state = new MemoryBudgetState()
        const open: { id: string; used: number }[] = []
        let now = 0
        for (const { key, amount, used, gap, settleNow } of steps) {
          now += gap
          const r = state.reserve(key, amount, 100, 100, now)
          if (r.ok) open.push({ id: r.reservation, used })
          else {
            expect(r.used).toBeGreaterThanOrEqual(0)
            expect(r.reserved).toBeGreaterThanOrEqual(0)
            expect(r.reserved).toBeLessThanOrEqual(100)
            expect(r.used + r.reserved + amount).toBeGreaterThan(100)
          }
          const first = open[0]
          if (settleNow && first !== undefined) {
            state.settle(first.id, first.used)
            open.shift()
          }
          expect(state.open).toBe(open.length)
        }
        for (const { id, used } of open) state.settle(id, used)
        expect(state.open).toBe(0)
        // Nothing reserved any more: a refusal can only come from what was used.
        for (const key of ['a', 'b']) {
          const r = state.reserve(key, 101, 100, 100, now)
          if (!r.ok) expect(r.reserved).toBe(0)
        }
      }),
    )
  })
})

describe('sessions', () => {
  it('count the requests of one owner and are not shared with another', () => {
    const state = new MemorySessionState()
    state.touch('human:alice', 's', 1)
    expect(state.touch('human:alice', 's', 5)).toEqual({
      id: 's',
      owner: 'human:alice',
      createdAtMs: 1,
      lastSeenAtMs: 5,
      requestCount: 2,
    })
    expect(state.touch('human:bob', 's', 6).requestCount).toBe(1)
    expect(state.touch('human:alice:s', '', 6).requestCount).toBe(1)
  })

  it('begin afresh after the time to live', () => {
    const state = new MemorySessionState({ ttlMs: 10 })
    state.touch('a', 's', 0)
    expect(state.touch('a', 's', 10).requestCount).toBe(2)
    expect(state.touch('a', 's', 21)).toMatchObject({ requestCount: 1, createdAtMs: 21 })
  })

  it('stay bounded, forgetting the one unused longest', () => {
    const state = new MemorySessionState({ maxSessions: 2 })
    state.touch('a', '1', 0)
    state.touch('a', '2', 1)
    state.touch('a', '1', 2)
    state.touch('a', '3', 3)
    expect(state.size).toBe(2)
    expect(state.touch('a', '1', 4).requestCount).toBe(3)
    expect(state.touch('a', '2', 5).requestCount).toBe(1)
  })

  it('reject nonsense settings with the name of the setting', () => {
    expect(() => new MemorySessionState({ maxSessions: 0 })).toThrow('maxSessions: expected a whole number >= 1, got 0')
    expect(() => new MemoryRateLimitState({ maxOwners: 1.5 })).toThrow('maxOwners')
  })
})
