import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BREAK, isNew } from './break.ts'
import type { Segment } from './wire.ts'

describe('what is new in a joined text', () => {
  it('is what lies across a border, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 2, maxLength: 8 }),
        fc.nat(60),
        fc.integer({ min: 1, max: 20 }),
        (texts, start, length) => {
          const breaks = texts.slice(1).map((_, i) => texts.slice(0, i + 1).join(BREAK).length)
          const text = texts.join(BREAK)
          const segment: Segment = { role: 'user', pointer: '/messages/0/content', text, derived: true, breaks }
          const from = start % text.length
          const to = Math.min(text.length, from + length)
          if (breaks.includes(from)) return
          const inside = breaks.filter(at => from < at && at + BREAK.length < to)
          expect(isNew(segment, { from, to })).toBe(inside.length > 0)
        },
      ),
    )
  })

  it('is everything in a text that joins nothing', () => {
    expect(isNew({ role: 'user', pointer: '/prompt', text: 'ab' }, { from: 0, to: 1 })).toBe(true)
  })
})
