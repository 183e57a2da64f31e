/** Durations of checks: nothing is lost in adding up, percentiles stay in their bucket, and the histogram is one to Prometheus. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BOUNDS_MS, CheckDurations, readMeasured } from './check-durations.ts'
import { exposition } from './exposition.ts'

const still = () => new CheckDurations(() => 0)
const anyMs = fc.oneof(fc.double({ min: 0, max: 20_000, noNaN: true }), fc.constantFrom(...BOUNDS_MS))

const values = (d: CheckDurations): ReadonlyMap<string, number> =>
  new Map(
    exposition(d.metrics())
      .split('\n')
      .filter(line => line !== '' && !line.startsWith('#'))
      .map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )

describe('a histogram', () => {
  it('counts each time in the first bucket that holds it, and never goes down', () => {
    fc.assert(
      fc.property(fc.array(anyMs, { minLength: 1, maxLength: 60 }), times => {
        const d = still()
        const count = d.at('a', 'admission')
        for (const ms of times) count(ms)
        const found = values(d)
        for (const bound of BOUNDS_MS) {
          const le = `signet_check_duration_seconds_bucket{check="a",stage="admission",le="${bound / 1000}"}`
          expect(found.get(le)).toBe(times.filter(ms => ms <= bound).length)
        }
        expect(found.get('signet_check_duration_seconds_bucket{check="a",stage="admission",le="+Inf"}')).toBe(
          times.length,
        )
        expect(found.get('signet_check_duration_seconds_count{check="a",stage="admission"}')).toBe(times.length)
        expect(found.get('signet_check_duration_seconds_sum{check="a",stage="admission"}')).toBeCloseTo(
          times.reduce((sum, ms) => sum + ms, 0) / 1000,
          6,
        )
      }),
    )
  })

  it('gives percentiles that are in the bucket of the true one, and never beyond the longest', () => {
    fc.assert(
      fc.property(fc.array(anyMs, { minLength: 1, maxLength: 60 }), times => {
        const d = still()
        const count = d.at('a', 'record')
        for (const ms of times) count(ms)
        const sorted = [...times].sort((a, b) => a - b)
        const of = d.of('a', 'record')
        expect([of?.n, of?.maxMs]).toEqual([times.length, sorted.at(-1)])
        for (const [q, said] of [
          [0.5, of?.p50Ms ?? -1],
          [0.95, of?.p95Ms ?? -1],
        ] as const) {
          const truly = sorted[Math.ceil(q * times.length) - 1] ?? 0
          const above = BOUNDS_MS.find(bound => truly <= bound) ?? Number.POSITIVE_INFINITY
          const below = BOUNDS_MS.findLast(bound => bound < truly) ?? 0
          expect(said).toBeGreaterThanOrEqual(Math.min(below, sorted.at(-1) ?? 0))
          expect(said).toBeLessThanOrEqual(Math.min(above, sorted.at(-1) ?? 0))
        }
      }),
    )
  })

  it('is left out where nothing was asked', () => {
    const d = still()
    d.at('a', 'admission')
    expect([exposition(d.metrics()), d.of('a', 'admission'), d.of('b', 'admission')]).toEqual([
      '',
      undefined,
      undefined,
    ])
  })
})

describe('of several processes', () => {
  it('what is taken now and then, sent as JSON and merged is what one would have measured', () => {
    const step = fc.record({
      worker: fc.nat(2),
      stage: fc.constantFrom('admission' as const, 'inspection' as const),
      ms: anyMs,
      take: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), steps => {
        const [whole, primary] = [still(), still()]
        let woken = 0
        const workers = [0, 1, 2].map(
          () =>
            new CheckDurations(
              () => 0,
              () => void woken++,
            ),
        )
        for (const d of [whole, primary, ...workers]) for (const s of ['admission', 'inspection'] as const) d.at('a', s)
        const tell = (d: CheckDurations | undefined) => {
          const measured = readMeasured(JSON.parse(JSON.stringify(d?.take() ?? [])))
          expect(measured).toBeDefined()
          primary.merge(measured ?? [])
        }
        for (const { worker, stage, ms, take } of steps) {
          whole.at('a', stage)(ms)
          workers[worker]?.at('a', stage)(ms)
          if (take) tell(workers[worker])
        }
        for (const d of workers) tell(d)
        expect(woken).toBeLessThanOrEqual(steps.length)
        expect(woken > 0).toBe(steps.length > 0)
        for (const s of ['admission', 'inspection'] as const) {
          const [a, b] = [primary.of('a', s), whole.of('a', s)]
          expect([a?.n, a?.maxMs, a?.p50Ms, a?.p95Ms]).toEqual([b?.n, b?.maxMs, b?.p50Ms, b?.p95Ms])
        }
      }),
    )
  })

  it('a check that is not known here makes no series', () => {
    const worker = still()
    worker.at('stranger"} 1\n', 'admission')(1)
    const primary = still()
    primary.at('a', 'admission')
    primary.merge(worker.take())
    expect(exposition(primary.metrics())).toBe('')
  })

  const good = { check: 'a', stage: 'admission', values: Array<number>(BOUNDS_MS.length + 4).fill(0) }
  it.each([
    ['no list', good],
    ['no object', [null]],
    ['a stage that is none', [{ ...good, stage: 'preflight' }]],
    ['too few values', [{ ...good, values: good.values.slice(1) }]],
    ['a value below nothing', [{ ...good, values: good.values.with(0, -1) }]],
    ['a value that is none', [{ ...good, values: [...good.values.slice(1), null] }]],
    ['a check without a name', [{ ...good, check: 7 }]],
  ])('%s is not read', (_, value) => {
    expect(readMeasured([good])).toEqual([good])
    expect(readMeasured(value)).toBeUndefined()
  })
})
