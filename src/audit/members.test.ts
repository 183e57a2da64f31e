import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { byCodePoint } from './canonical.ts'
import { Members } from './members.ts'

/** The definition: sorted by code point, the first of equal keys. */
function plainly(members: readonly (readonly [string, number])[]): string {
  const first = new Map<string, number>()
  for (const [key, value] of members) if (!first.has(key)) first.set(key, value)
  const sorted = [...first].sort(([a], [b]) => byCodePoint(a, b))
  return `{${sorted.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`
}

function written(members: readonly (readonly [string, number])[]): string {
  const m = new Members()
  for (const [key, value] of members) m.add(key, String(value))
  return m.object()
}

const plain = fc.constantFrom('_stage', '_salt', 'a', 'A', 'a.b', 'a_b', 'a-b', '_', '0', 'zz', '_check_name', '')
const any = fc.oneof(
  plain,
  fc.string({ unit: 'binary' }).map(s => s.toWellFormed()),
  fc.constant('x'.repeat(256)),
)

describe('members of an object', () => {
  it('come in order, each once, however often the same keys have come before', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(any, fc.nat()), { maxLength: 20 }), members => {
        expect(written(members)).toBe(plainly(members))
        expect(written(members.map(([key], i) => [key, i] as const))).toBe(
          plainly(members.map(([key], i) => [key, i] as const)),
        )
      }),
      { numRuns: 400 },
    )
  })

  it('come in order too when there is no room to remember more', () => {
    for (let i = 0; i < 6000; i++) {
      const members = [[`k${i}`, 1] as const, ['b', 2] as const, [`a${i}`, 3] as const]
      expect(written(members)).toBe(plainly(members))
    }
    expect(
      written([
        ['b', 1],
        ['a', 2],
      ]),
    ).toBe('{"a":2,"b":1}')
  })
})
