import { describe, expect, it } from 'vitest'
import type { StoredRow } from '../audit/stored.ts'
import { addRow, change, durationSeconds, openPeriod, ownerSlug, top } from './report.ts'
import { indented, rowJson } from './row-text.ts'

describe('durations', () => {
  it.each([
    ['30m', 1800],
    ['24h', 86_400],
    ['7d', 604_800],
    ['2w', 1_209_600],
    ['P1W', 604_800],
    ['P1DT12H', 129_600],
    ['PT90S', 90],
    ['PT1H30M', 5400],
  ])('%s', (text, seconds) => {
    expect(durationSeconds(text)).toBe(seconds)
  })

  it.each(['', '24', 'h', '-1h', '1y', 'P1Y', 'P1M', 'P', 'PT', 'P1DT', '1.5h', '0h', 'P1W1D', '1h30m'])(
    '%j is refused',
    text => {
      expect(durationSeconds(text)).toBeUndefined()
    },
  )

  it('is clamped instead of overflowing', () => {
    expect(durationSeconds('999999999999999w')).toBe(36_500 * 86_400)
    expect(durationSeconds('P999999999999999D')).toBe(36_500 * 86_400)
  })
})

function row(more: Partial<StoredRow>): StoredRow {
  return {
    entryId: 'e',
    tsNs: 0n,
    ownerType: 'human',
    ownerId: 'alice',
    approvalChain: [],
    checkName: 'pipeline.admission',
    decision: 'block',
    reason: 'r',
    fingerprint: '',
    metadata: new Map([['_check_name', 'rate_limit']]),
    prevHmac: '',
    hmac: '',
    ...more,
  }
}

describe('a period', () => {
  it('counts this one and the one before, and nothing else', () => {
    const period = openPeriod(10_000, 1)
    const second = 1_000_000_000n
    for (const tsNs of [9n * second, 10n * second, 8n * second + 5n, 7n * second, 10n * second + 1n])
      addRow(period, row({ tsNs }))
    expect(period.now.rows).toBe(2)
    expect(period.before.rows).toBe(1)
    expect([...period.now.firing]).toEqual([['rate_limit', 2]])
  })

  it('compares without inventing infinities', () => {
    expect(change(3, 2)).toBe(50)
    expect(change(1, 3)).toBe(-66.7)
    expect(change(5, 0)).toBeUndefined()
  })

  it('lists ten, the most frequent first', () => {
    const counts = new Map(Array.from({ length: 12 }, (_, i) => [`c${String(i).padStart(2, '0')}`, i < 2 ? 1 : 5]))
    expect(top(counts)).toHaveLength(10)
    expect(top(counts)[0]).toEqual(['c02', 5])
  })

  it('names an owner by 16 hex digits that depend on the salt', () => {
    expect(ownerSlug('s', 'human:alice')).toMatch(/^owner_[0-9a-f]{16}$/)
    expect(ownerSlug('s', 'human:alice')).not.toBe(ownerSlug('t', 'human:alice'))
  })
})

describe('a row as text', () => {
  it('keeps every digit of the time and stays JSON when indented', () => {
    const text = rowJson(row({ tsNs: 1_764_000_000_123_456_789n, reason: 'a "quoted" \\ {,:} [x]' }))
    expect(text).toContain('"ts_ns":1764000000123456789')
    const pretty = indented(text)
    expect(pretty).toContain('\n  "ts_ns": 1764000000123456789\n')
    expect(pretty).toContain('"approval_chain": []')
    expect(JSON.parse(pretty)).toEqual(JSON.parse(text))
  })
})
