import { describe, expect, it } from 'vitest'
import { percentile, readDemands } from './percentiles.ts'

describe('percentile', () => {
  it('interpolates between ranks', () => {
    const values = [1, 2, 3, 4]
    expect([1, 25, 50, 75, 100].map(p => percentile(values, p))).toEqual([1.03, 1.75, 2.5, 3.25, 4])
    expect(percentile([7], 99)).toBe(7)
    expect(percentile([], 50)).toBeNaN()
  })
})

describe('demands', () => {
  it.each([
    ['p95=10ms', [[95, 10]]],
    [
      'p50=0.5ms, p99=2s',
      [
        [50, 0.5],
        [99, 2000],
      ],
    ],
    ['p1=250us', [[1, 0.25]]],
    ['p9=250\u00b5s', [[9, 0.25]]],
    ['p9=250\u03bcs', [[9, 0.25]]],
  ])('%s', (text, expected) => {
    expect(readDemands(text).map(({ percent, limitMs }) => [percent, limitMs])).toEqual(expected)
  })

  it.each([
    '',
    'p0=1ms',
    'p100=1ms',
    'p00=1ms',
    'p95=1',
    'p95=-1ms',
    'p95=1e3ms',
    '95=1ms',
    'p95=1ms,',
    'p95=1ms;p99=2ms',
    'p95=Infinityms',
  ])('%j is refused', text => {
    expect(() => readDemands(text)).toThrow(/p95=10ms/)
  })
})
