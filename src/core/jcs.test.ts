import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, NotCanonical } from './jcs.ts'

describe('RFC 8785', () => {
  it('writes the example of section 3.2.2 and sorts as 3.2.3 says', () => {
    const input: unknown = JSON.parse(
      '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
    )
    expect(canonicalJson(input)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    )
    const keys = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
    }
    const more = {
      '\u{1f600}': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    }
    expect([...canonicalJson({ ...keys, ...more }).matchAll(/:"([^"]+)"/g)].map(m => m[1])).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
  })

  it('writes -0 as 0 and the numbers of appendix B', () => {
    expect(canonicalJson([-0, 5e-324, 1.7976931348623157e308, 9007199254740992, 295147905179352830000])).toBe(
      '[0,5e-324,1.7976931348623157e+308,9007199254740992,295147905179352830000]',
    )
  })

  it.each([
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [undefined],
    [1n],
    [() => 1],
    [['\ud800']],
    [{ '\udc00': 1 }],
    [{ a: undefined }],
  ])('refuses what has no I-JSON form: %o', value => {
    expect(() => canonicalJson(value)).toThrow(NotCanonical)
  })

  it('refuses nesting beyond its bound', () => {
    let deep: unknown = 1
    for (let i = 0; i < 65; i += 1) deep = [deep]
    expect(() => canonicalJson(deep)).toThrow(/64 levels/)
  })

  it('does not depend on the order of members, and reads back to the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), value => {
        let text: string
        try {
          text = canonicalJson(value)
        } catch (error) {
          expect(error).toBeInstanceOf(NotCanonical)
          return
        }
        const back: unknown = JSON.parse(text)
        expect(canonicalJson(back)).toBe(text)
        expect(canonicalJson(reversed(back))).toBe(text)
      }),
    )
  })
})

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([k, v]) => [k, reversed(v)]),
  )
}
