/** What every driver has to do, as one table for all of them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Subject } from './subject.test-support.ts'

const MINUTE = 60_000

/** `open` gives an empty subject; owners and ids of the cases are their own, so one is enough. */
export function contract(name: string, open: () => Promise<Subject>): void {
  describe(`${name}: the contract of shared state`, () => {
    let s: Subject
    beforeAll(async () => {
      s = await open()
    })
    afterAll(() => s.close())

    const take = (key: string, capacity: number, refill: number) => s.rateLimits.take(key, capacity, refill, s.now())
    const reserve = (key: string, amount: number, cap: number) => s.budgets.reserve(key, amount, cap, MINUTE, s.now())
    const held = async (key: string, amount: number, cap: number): Promise<string> => {
      const r = await reserve(key, amount, cap)
      if (!r.ok) throw new Error('expected a reservation')
      return r.reservation
    }
    const touch = (owner: string, id: string) => s.sessions.touch(owner, id, s.now())

    it('a bucket gives its capacity at once, then one token per interval', async () => {
      await s.at(1_000)
      for (const remaining of [2, 1, 0]) expect(await take('b1', 3, 2)).toEqual({ ok: true, remaining })
      expect(await take('b1', 3, 2)).toEqual({ ok: false, remaining: 0, retryAfterS: 0.5 })
      await s.at(1_250)
      expect(await take('b1', 3, 2)).toEqual({ ok: false, remaining: 0, retryAfterS: 0.25 })
      await s.at(1_500)
      expect(await take('b1', 3, 2)).toEqual({ ok: true, remaining: 0 })
    })

    it('a bucket never holds more than its capacity, and a lower one applies at once', async () => {
      await s.at(0)
      await take('b2', 5, 1)
      await s.at(1_000_000)
      expect(await take('b2', 5, 1)).toEqual({ ok: true, remaining: 4 })
      expect(await take('b2', 2, 1)).toEqual({ ok: true, remaining: 1 })
    })

    it('a quota that never refills names no retry time', async () => {
      await s.at(0)
      await take('b3', 1, 0)
      await s.at(365 * 86_400_000)
      expect(await take('b3', 1, 0)).toEqual({ ok: false, remaining: 0 })
    })

    it('a clock that is set back gives nothing and stops nothing', async () => {
      await s.at(MINUTE)
      await take('b4', 1, 1)
      await s.at(0)
      expect((await take('b4', 1, 1)).ok).toBe(false)
      await s.at(1_000)
      expect((await take('b4', 1, 1)).ok).toBe(true)
    })

    it('reservations stop at the cap and name the end of the window', async () => {
      await s.at(5)
      const all = await Promise.all(Array.from({ length: 50 }, () => reserve('l1', 10, 100)))
      expect(all.filter(r => r.ok)).toHaveLength(10)
      expect(await reserve('l1', 1, 100)).toEqual({
        ok: false,
        used: 0,
        reserved: 100,
        retryAfterS: (MINUTE - 5) / 1000,
      })
    })

    it('settling replaces the reservation by what was used, once', async () => {
      await s.at(0)
      const r = await held('l2', 60, 100)
      await s.budgets.settle(r, 10)
      await s.budgets.settle(r, 10)
      await s.budgets.settle(r, 0)
      expect(await reserve('l2', 91, 100)).toMatchObject({ ok: false, used: 10, reserved: 0 })
      expect((await reserve('l2', 90, 100)).ok).toBe(true)
    })

    it('many settlements of one reservation at once are one', async () => {
      await s.at(0)
      const r = await held('l3', 60, 100)
      await held('l3', 40, 100)
      await Promise.all(Array.from({ length: 20 }, () => s.budgets.settle(r, 7)))
      expect(await reserve('l3', 100, 100)).toMatchObject({ ok: false, used: 7, reserved: 40 })
    })

    it('more than was reserved is charged too', async () => {
      await s.at(0)
      await s.budgets.settle(await held('l4', 10, 100), 250)
      expect(await reserve('l4', 1, 100)).toMatchObject({ ok: false, used: 250, reserved: 0 })
    })

    it('a window begins afresh, and a late settlement stays in its own', async () => {
      await s.at(MINUTE - 1)
      const r = await held('l5', 100, 100)
      expect(await reserve('l5', 1, 100)).toMatchObject({ ok: false, retryAfterS: 0.001 })
      await s.at(MINUTE)
      expect((await reserve('l5', 40, 100)).ok).toBe(true)
      await s.budgets.settle(r, 100)
      expect((await reserve('l5', 60, 100)).ok).toBe(true)
      expect((await reserve('l5', 1, 100)).ok).toBe(false)
    })

    it('a clock that is set back does not open the earlier window again', async () => {
      await s.at(MINUTE)
      await held('l6', 100, 100)
      await s.at(MINUTE - 1)
      expect(await reserve('l6', 1, 100)).toMatchObject({ ok: false, reserved: 100 })
    })

    it('a reservation that nobody settles is charged until its window ends, and not after', async () => {
      await s.at(0)
      await held('l7', 100, 100)
      await s.at(MINUTE - 1)
      expect((await reserve('l7', 1, 100)).ok).toBe(false)
      await s.at(MINUTE)
      expect((await reserve('l7', 100, 100)).ok).toBe(true)
    })

    it('a reservation nobody made is settled by doing nothing', async () => {
      for (const made of ['', 'no', '1.2', '__proto__', `${'A'.repeat(43)}.${'A'.repeat(22)}`])
        await s.budgets.settle(made, 5)
    })

    it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])('an amount of %s is refused', async amount => {
      await expect((async () => reserve('l8', amount, 10))()).rejects.toThrow(RangeError)
      const r = await held('l8', 0, 10)
      await expect((async () => s.budgets.settle(r, amount))()).rejects.toThrow(RangeError)
      await s.budgets.settle(r, 0)
    })

    it('a session counts its owner’s requests and begins afresh after an hour', async () => {
      await s.at(1)
      await touch('human:alice', 's')
      await s.at(5)
      const seen = await touch('human:alice', 's')
      expect(seen).toMatchObject({ id: 's', owner: 'human:alice', requestCount: 2 })
      if (s.now() === 5) expect(seen).toMatchObject({ createdAtMs: 1, lastSeenAtMs: 5 })
      await s.at(5 + 3_600_000)
      expect(await touch('human:alice', 's')).toMatchObject({ requestCount: 3, createdAtMs: 1 })
      await s.at(6 + 2 * 3_600_000)
      expect(await touch('human:alice', 's')).toMatchObject({ requestCount: 1, createdAtMs: 6 + 2 * 3_600_000 })
    })

    it('a session id of another owner neither reads nor extends the first one’s', async () => {
      await s.at(0)
      await touch('human:bob', 'shared')
      await touch('human:bob', 'shared')
      await s.at(3_600_000)
      const other = await touch('human:mallory', 'shared')
      expect(other).toMatchObject({ owner: 'human:mallory', requestCount: 1, createdAtMs: 3_600_000 })
      // Not kept alive by the other: an hour after bob's own last request it is over.
      await s.at(3_600_001)
      expect(await touch('human:bob', 'shared')).toMatchObject({ owner: 'human:bob', requestCount: 1 })
      expect(await touch('human:mallory', 'shared')).toMatchObject({ requestCount: 2 })
    })

    it.each([
      ['human:a', 'b:c', 'human:a:b', 'c'],
      ['human:a', '}s', 'human:a}', 's'],
      ['a\u0000b', 'c', 'a', 'b\u0000c'],
      ['a\ud800', 's', 'a\ufffd', 's'],
      ['a', '', '', 'a'],
      ['a"]', 's', 'a', '"]s'],
      ['2:ab', 'c', '2', 'ab:c'],
    ])('owner %j with %j is not owner %j with %j', async (owner, id, otherOwner, otherId) => {
      await s.at(0)
      const bucket = JSON.stringify([owner, id, otherOwner, otherId])
      await touch(owner, `${id}!`)
      expect((await touch(otherOwner, `${otherId}!`)).requestCount).toBe(1)
      await s.references.remember(owner, 'file', id, 1)
      expect(await s.references.find(otherOwner, 'file', otherId)).toBeUndefined()
      expect((await take(`${owner}${bucket}`, 1, 0)).ok).toBe(true)
      expect((await take(`${otherOwner}${bucket}`, 1, 0)).ok).toBe(true)
    })

    it('an id of upstream means nothing to another owner or as another kind', async () => {
      await s.references.remember('human:alice', 'response', 'r1', 0)
      expect(await s.references.find('human:alice', 'response', 'r1')).toBe(0)
      expect(await s.references.find('human:bob', 'response', 'r1')).toBeUndefined()
      expect(await s.references.find('human:alice', 'file', 'r1')).toBeUndefined()
      expect(await s.references.find('human:alice', 'response', 'r2')).toBeUndefined()
    })

    it('the level of an id goes up and never down', async () => {
      for (const [rank, highest] of [
        [1, 1],
        [3, 3],
        [0, 3],
      ] as const) {
        await s.references.remember('human:alice', 'response', 'r3', rank)
        expect(await s.references.find('human:alice', 'response', 'r3')).toBe(highest)
      }
    })
  })
}
