import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { afterMs, LONGEST_PAUSE_MS, MAX_ATTEMPTS, readRetryAfter } from './schedule.ts'

const drawn = (a: number, b: number) => ({ bytes: () => Uint8Array.of(a, b) })

describe('tries', () => {
  it('come later each time, with jitter, for about twenty hours', () => {
    const middle = Array.from({ length: MAX_ATTEMPTS - 1 }, (_, i) => afterMs(i, drawn(127, 255)) / 1000)
    expect(middle.map(Math.round)).toEqual([5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600])
    expect(middle.reduce((a, b) => a + b) / 3600).toBeCloseTo(19.6, 1)
    fc.assert(
      fc.property(fc.nat(20), fc.nat(255), fc.nat(255), (attempts, a, b) => {
        const least = afterMs(attempts, drawn(0, 0))
        const most = afterMs(attempts, drawn(255, 255))
        const pause = afterMs(attempts, drawn(a, b))
        expect(least).toBeLessThan(most)
        expect(pause).toBeGreaterThanOrEqual(least)
        expect(pause).toBeLessThanOrEqual(most)
        expect(most / least).toBeCloseTo(1.5, 2)
      }),
    )
  })
})

describe('Retry-After', () => {
  const now = Date.parse('2027-01-31T12:00:00Z')
  it.each<[string | undefined, number | undefined]>([
    [undefined, undefined],
    ['0', 0],
    ['120', 120_000],
    ['Sun, 31 Jan 2027 12:01:00 GMT', 60_000],
    ['Sun, 31 Jan 2027 11:00:00 GMT', 0],
    ['999999999', LONGEST_PAUSE_MS],
    ['Sun, 31 Jan 2999 12:01:00 GMT', LONGEST_PAUSE_MS],
    ['soon', undefined],
    ['-5', undefined],
    ['1e9', undefined],
    ['', undefined],
  ])('%j asks for %j', (text, wanted) => {
    expect(readRetryAfter(text, now)).toBe(wanted)
  })
})
