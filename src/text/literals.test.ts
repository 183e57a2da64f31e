import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildAutomaton, START, type Word, type WordSink } from './literals.ts'

const to = (word: WordSink['word']): WordSink => ({ word })

const words = fc.array(
  fc.record({
    text: fc.string({ unit: fc.constantFrom('a', 'b', 'é'), minLength: 1, maxLength: 5 }),
    group: fc.nat(2),
  }),
  { minLength: 1, maxLength: 8 },
)
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', 'x'), maxLength: 20 })

function occurrences(given: readonly Word[], haystack: string): readonly string[] {
  return given.flatMap((word, index) =>
    Array.from({ length: haystack.length }, (_, at) => at)
      .filter(at => haystack.startsWith(word.text, at))
      .map(at => `${index}@${at + word.text.length}`),
  )
}

describe('the automaton', () => {
  it('finds every occurrence of every word, overlapping ones too, in one pass or in pieces', () => {
    fc.assert(
      fc.property(words, text, fc.nat(20), (given, haystack, at) => {
        const automaton = buildAutomaton(given, false)
        const found: string[] = []
        const middle = automaton.run(
          START,
          haystack.slice(0, at),
          to((word, end) => found.push(`${word}@${end}`)),
        )
        const offset = Math.min(at, haystack.length)
        automaton.run(
          middle,
          haystack.slice(at),
          to((word, end) => found.push(`${word}@${end + offset}`)),
        )
        expect(found.sort()).toEqual([...occurrences(given, haystack)].sort())
      }),
    )
  })

  it('knows per group the longest suffix that is a proper beginning of a word, and no longer one', () => {
    fc.assert(
      fc.property(words, text, (given, haystack) => {
        const automaton = buildAutomaton(given, false)
        const pairs = automaton.open(
          automaton.run(
            START,
            haystack,
            to(() => undefined),
          ),
        )
        for (let group = 0; group <= 2; group++) {
          const expected = Array.from({ length: haystack.length }, (_, i) => haystack.slice(i)).find(suffix =>
            given.some(
              word => word.group === group && word.text.length > suffix.length && word.text.startsWith(suffix),
            ),
          )
          const at = pairs.findIndex((value, i) => i % 2 === 0 && value === group)
          expect(at < 0 ? 0 : pairs[at + 1]).toBe(expected?.length ?? 0)
        }
      }),
    )
  })

  it('reads each unit once, whatever the text: the state is one table entry', () => {
    const automaton = buildAutomaton([{ text: 'aaaaaaaaab', group: 0 }], false)
    let state = START
    for (let i = 0; i < 1000; i++)
      state = automaton.run(
        state,
        'a',
        to(() => expect.unreachable()),
      )
    // From every suffix that begins the word, the longest first.
    expect(automaton.open(state)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1].flatMap(depth => [0, depth]))
  })

  it('takes ASCII capitals for small letters when told to', () => {
    const found: number[] = []
    buildAutomaton([{ text: 'secret', group: 0 }], true).run(
      START,
      'a SeCrEt',
      to((_, end) => found.push(end)),
    )
    expect(found).toEqual([8])
    buildAutomaton([{ text: 'secret', group: 0 }], false).run(
      START,
      'a SeCrEt',
      to(() => expect.unreachable()),
    )
  })
})
