import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Beginning } from './beginning.ts'
import { buildDoors, mayBegin } from './lead.ts'
import { buildMatcher } from './matcher.ts'
import { parsePattern } from './pattern.ts'

const piece = fc.constantFrom(
  'a',
  'b',
  '-',
  '[ab]',
  '[^a]',
  '.',
  '\\w',
  '(?:a|bb|)',
  '(?:(?:ab?){0,3})',
  'é',
  '\\b',
  '(?=a)',
)
const times = fc.constantFrom('', '', '?', '*', '+', '{2}', '{1,3}', '{0,60}', '??')
const pattern = fc
  .array(fc.tuple(piece, times), { minLength: 1, maxLength: 5 })
  .map(parts => parts.map(([one, many]) => (/^(?:\\b|\(\?=)/.test(one) ? one : one + many)).join(''))
const text = fc.array(fc.constantFrom('a', 'b', '-', 'B', 'é', '\n', '😀'), { maxLength: 12 }).map(all => all.join(''))

describe('the beginning of a pattern', () => {
  it('is never denied where the pattern matches', () => {
    fc.assert(
      fc.property(pattern, fc.constantFrom('', 'i', 'u', 'iu', 's'), text, (source, flags, given) => {
        const beginning = new Beginning([parsePattern(source, flags)])
        const here = new RegExp(source, `${flags}y`)
        for (let at = 0; at < given.length; at++) {
          here.lastIndex = at
          const half = /[\ud800-\udfff]/.test(given.charAt(at))
          if (!half && here.test(given)) expect([source, given, at, beginning.may(given, at)]).toContain(true)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('stays possible as long as the text so far is the beginning of a match', () => {
    const beginning = new Beginning([parsePattern('TOP[\\s_-]{0,3}SECRET\\s?//(?:SI|NOFORN)', 'iu')])
    const whole = 'top - Secret //noforn'
    for (let length = 1; length <= whole.length; length++) expect(beginning.may(whole.slice(0, length), 0)).toBe(true)
  })

  it.each(['TOP TOP', 'TOP SECRET TOP', 'TOP SECRET//REL', 'TOP    SECRET', 'TOPé', 'TOP SECRET//\u4e2d', 'OP SECRET'])(
    'turns %j away without running the pattern',
    given => {
      expect(new Beginning([parsePattern('TOP[\\s_-]{0,3}SECRET\\s?//(?:SI|NOFORN)', 'iu')]).may(given, 0)).toBe(false)
    },
  )

  it('gives up, saying yes, far in and where too much may come next, and not before', () => {
    const long = new Beginning([parsePattern('ab{0,4000}c', '')])
    expect(long.may(`a${'b'.repeat(5000)}x`, 0)).toBe(true)
    expect(long.may('abx', 0)).toBe(false)
    const wide = new Beginning([parsePattern('ab(?:c{0,900}d?){0,900}e', '')])
    expect(wide.may('abx', 0)).toBe(true)
    expect(wide.may('ax', 0)).toBe(false)
  })
})

describe('doors', () => {
  const patterns = ['(?<![a-z])sk-\\d', '(?<![a-z])sk-[a-f]', '\\bsk-x', 'sk-\\d', '(?<!\\.\\s)sk-'].map(source =>
    buildMatcher(source, '', 64),
  )
  const { list, of } = buildDoors(patterns)

  it('are shared by patterns with the same words and the same condition before them', () => {
    expect(list.map(door => door.matchers)).toEqual([[0, 1], [2], [3], [4]])
    expect(of.map(door => door?.blind)).toEqual([false, false, false, false, false])
  })

  it.each([
    [0, 'sk-1', 0, true],
    [0, 'ask-1', 1, false],
    [0, '-sk-a', 1, true],
    [0, '-sk-x', 1, false],
    [0, 'ésk-1', 1, true],
    [1, '_sk-x', 1, false],
    [1, '.sk-x', 1, true],
    [2, 'ask-1', 1, true],
    [3, '. sk-', 2, false],
    [3, 'a sk-', 2, true],
  ])('door %i of %j at %i: %s', (index, given, at, answer) => {
    const door = list[index]
    expect(door !== undefined && mayBegin(door, given, at)).toBe(answer)
  })

  it('are blind where only the pattern itself knows', () => {
    const blind = ['(?:(?<=x)top|sec)', '(?=t)ts', '(?<=a(?=t))top'].map(source => buildMatcher(source, '', 64))
    expect(buildDoors(blind).list.map(door => door.blind)).toEqual([true, true, true])
  })
})
