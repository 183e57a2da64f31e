import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyEdits, composeEdits, editFault, normalizeEdits } from './edits.ts'
import type { TextEdit } from './verdict.ts'

const editsFor = (length: number): fc.Arbitrary<TextEdit[]> =>
  fc
    .array(
      fc.record({
        from: fc.nat(Math.max(0, length - 1)),
        size: fc.integer({ min: 1, max: 5 }),
        text: fc.string({ minLength: 1, maxLength: 4 }),
      }),
      { maxLength: 4 },
    )
    .map(list =>
      normalizeEdits(
        list
          .filter(e => e.from < length)
          .map(e => ({ from: e.from, to: Math.min(length, e.from + e.size), text: e.text })),
      ),
    )

describe('edits', () => {
  it('composes two rounds into one that has the same effect', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 20 }).chain(text =>
          editsFor(text.length).chain(first => {
            const middle = applyEdits(text, first)
            return editsFor(middle.length).map(second => ({ text, first, second, middle }))
          }),
        ),
        ({ text, first, second, middle }) => {
          const both = composeEdits(first, second, text.length)
          expect(applyEdits(text, both)).toBe(applyEdits(middle, second))
          expect(editFault(both, text.length)).toBeUndefined()
          expect(normalizeEdits(both)).toEqual(both)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('clips an overlapping later edit and drops one that is wholly covered', () => {
    expect(
      normalizeEdits([
        { from: 5, to: 9, text: 'b' },
        { from: 0, to: 7, text: 'a' },
        { from: 1, to: 3, text: 'c' },
      ]),
    ).toEqual([
      { from: 0, to: 7, text: 'a' },
      { from: 7, to: 9, text: 'b' },
    ])
  })

  it.each([
    [{ from: -1, to: 1, text: 'x' }],
    [{ from: 0, to: 4, text: 'x' }],
    [{ from: 2, to: 2, text: 'x' }],
    [{ from: 0, to: 1, text: '' }],
    [{ from: 0.5, to: 1, text: 'x' }],
  ])('refuses %j on a text of three units', e => {
    expect(editFault([e], 3)).toBeTypeOf('string')
  })
})
