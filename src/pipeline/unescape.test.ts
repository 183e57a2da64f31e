import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Unescaper, unescapeAll } from './unescape.ts'

describe('unescape', () => {
  it.each([
    ['\\u0053ECRET', 'SECRET'],
    ['a\\nb\\"c\\\\d', 'a\nb"c\\d'],
    ['\\\\u0053', '\\u0053'],
    ['C:\\Users', 'C:Users'],
    ['plain', 'plain'],
    ['\\u00', 'u00'],
  ])('%j reads %j', (raw, read) => expect(unescapeAll(raw)).toBe(read))

  it('reads alike in any cutting', () => {
    const piece = fc.constantFrom('\\', 'u', '0', '005', '53', 'n', 'x', '"', '\\u0053', '\\\\')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 8 }), (pieces, places) => {
        const text = pieces.join('')
        const at = [...new Set(places.map(p => p % (text.length + 1)))].sort((a, b) => a - b)
        const u = new Unescaper()
        let out = ''
        let from = 0
        for (const p of [...at, text.length]) {
          out += u.push(text.slice(from, p))
          from = p
        }
        const whole = new Unescaper()
        expect(out + u.end()).toBe(whole.push(text) + whole.end())
      }),
      { numRuns: 1000 },
    )
  })
})
