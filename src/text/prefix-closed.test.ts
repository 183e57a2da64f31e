import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePattern } from './pattern.ts'
import { prefixClosed } from './prefix-closed.ts'

/** What the form says of a text that may go on: nothing there, decided [from, to), or undecided from. */
type Answer = 'nothing' | { readonly from: number; readonly to: number } | { readonly openFrom: number }

function ask(source: string, text: string, flags = ''): Answer {
  const form = prefixClosed(parsePattern(source, flags))
  const match = new RegExp(form.source, `${flags}g`).exec(text)
  if (match === null) return 'nothing'
  if (form.markers.some(marker => match[marker] !== undefined)) return { openFrom: match.index }
  return { from: match.index, to: match.index + match[0].length }
}

/** Every continuation of up to three characters. */
const CONTINUATIONS: readonly string[] = (() => {
  let layer = ['']
  const all = ['']
  for (let i = 0; i < 3; i++) {
    layer = layer.flatMap(tail => ['a', 'b', '-'].map(next => tail + next))
    all.push(...layer)
  }
  return all
})()

/** Small patterns over a, b and -, with every kind of element. */
const { pattern } = fc.letrec<{ pattern: string; sequence: string; item: string; atom: string }>(tie => ({
  pattern: fc.oneof(
    { weight: 3, arbitrary: tie('sequence') },
    fc.tuple(tie('sequence'), tie('sequence')).map(two => two.join('|')),
  ),
  sequence: fc.array(tie('item'), { minLength: 1, maxLength: 4 }).map(items => items.join('')),
  item: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('atom'),
    fc
      .tuple(tie('atom'), fc.constantFrom('?', '*', '+', '{2}', '{1,2}', '{0,3}', '??', '*?', '+?', '{1,3}?'))
      .map(two => two.join('')),
    fc.constantFrom('\\b', '\\B', '^', '$', '(?<=a)', '(?<!b-)', '(?<=a\\b)'),
    tie('pattern').map(inner => `(?=${inner})`),
    tie('pattern').map(inner => `(?!${inner})`),
  ),
  atom: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('a', 'b', '-', '[ab]', '[^a]', '.', '\\w'),
    tie('pattern').map(inner => `(?:${inner})`),
    tie('pattern').map(inner => `(${inner})`),
  ),
}))
const text = fc.array(fc.constantFrom('a', 'b', '-'), { minLength: 1, maxLength: 6 }).map(parts => parts.join(''))

describe('the prefix-closed form', () => {
  it('is never wrong about what it calls decided: no continuation changes it', () => {
    fc.assert(
      fc.property(pattern, text, (source, given) => {
        const answer = ask(source, given)
        const original = new RegExp(source, 'g')
        for (const tail of CONTINUATIONS) {
          original.lastIndex = 0
          const match = original.exec(given + tail)
          if (answer === 'nothing') {
            expect(match === null || match.index >= given.length).toBe(true)
          } else if ('openFrom' in answer) {
            expect(match === null || match.index >= answer.openFrom).toBe(true)
          } else {
            expect(match === null ? match : [match.index, match.index + match[0].length]).toEqual([
              answer.from,
              answer.to,
            ])
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  it.each([
    ['(?:a(a(?=(?:\\w)(?=aa[^a]a))[^a])?|a){2}', 'aabaa-'],
    ['(?:a(?!b-)b?){2}', 'aab'],
    ['(?:a(?=b-)b?|a){2,}', 'aab'],
    ['(?:(?<=a)|ab){2}', 'a'],
  ])('does not forget in a later round what a lookahead left open, as %s on %j shows', (source, given) => {
    // A group inside a repeated body loses its capture, the mark, when the next round begins.
    expect(ask(source, given)).toEqual({ openFrom: 0 })
  })

  it.each([
    ['b-(?!(?<!b-)|a).', 'b'],
    ['b(a*)(?!\\1)-', 'b'],
    ['b\\n(?!(?!^))a', 'b'],
  ])('takes nothing for certain about characters that have not come, as %s on %j shows', (source, given) => {
    expect(ask(source, given, 'm')).toEqual({ openFrom: 0 })
  })

  it.each([
    ['<a(?:(?!</a>)[^\\n])*secret', '<a href="x">the manual</a> and more'],
    ['BEGIN(?:(?!END)[^]){0,40}KEY', 'BEGIN x END and more'],
    ['x(?:a(?=b)|.)*y', 'xabc\nand more'],
  ])('does not try a lookahead that is settled as one that is open, as %s on %j shows', (source, given) => {
    expect(ask(source, given)).toBe('nothing')
  })

  it.each([
    ['b|(a??)?', 'a'],
    ['(?:a??){0,2}b', 'ab'],
    ['(?:|a)?-', 'a-'],
  ])('does not settle for a round that takes nothing, as %s on %j shows', (source, given) => {
    // A quantifier refuses an empty round and tries the next choice, so writing the rounds out would prefer another match.
    const answer = ask(source, given)
    const match = new RegExp(source).exec(given)
    if (typeof answer === 'object' && 'to' in answer) {
      expect(answer).toEqual({ from: match?.index, to: (match?.index ?? 0) + (match?.[0].length ?? 0) })
    } else {
      expect(answer).toEqual({ openFrom: 0 })
    }
  })

  it.each([
    // pattern, text, first open offset
    ['ab+c', 'xab', 1],
    ['ab+c', 'xabbb', 1],
    ['sk-[a-z]{3}', 'the sk', 4],
    ['sk-[a-z]{3}', 'the sk-ab', 4],
    ['\\d+', 'x12', 1],
    ['a{1,3}', 'aa', 0],
    ['(?:ab){2,3}', 'abab', 0],
    ['foo\\b', 'foo', 0],
    ['foo$', 'foo', 0],
    ['a(?=b)', 'a', 0],
    ['a(?!b)', 'a', 0],
    ['a(?!bc)', 'ab', 0],
    ['^a\\n^b', 'a', 0],
    ['abc|ab', 'ab', 0],
    ['x(?<=x)y', 'x', 0],
    ['(a|b)c', 'b', 0],
  ])('%s leaves %j open from %i', (source, given, openFrom) => {
    expect(ask(source, given, 'm')).toEqual({ openFrom })
  })

  it.each([
    ['ab|abc', 'ab', 0, 2],
    ['a{1,3}', 'aaa', 0, 3],
    ['(?:ab){1,2}', 'abab', 0, 4],
    ['a+?', 'a', 0, 1],
    ['sk-[a-z]{3}', 'the sk-abc', 4, 10],
    ['(?<=x)a', 'xa', 1, 2],
    ['a(?!b)', 'ac', 0, 1],
    ['(?s:.)b', '\nb', 0, 2],
  ])('%s is decided on %j', (source, given, from, to) => {
    expect(ask(source, given)).toEqual({ from, to })
  })

  it.each([
    ['ab+c', 'xabx'],
    ['\\bsk-', 'ask'],
    ['\\bsk-', 'ordinary words'],
    ['\\d{3}-', 'no digits here'],
    ['^ab', 'xa'],
    ['(?<!x)ab', 'xa'],
  ])('%s leaves nothing open in %j', (source, given) => {
    expect(ask(source, given)).toBe('nothing')
  })

  it('leaves a number that names no group a character', () => {
    expect(ask('\\1a', '\u0001a')).toEqual({ from: 0, to: 2 })
    expect(ask('x\\07?\\8', 'x\u00078')).toEqual({ from: 0, to: 3 })
    expect(ask('\\1a', 'a')).toBe('nothing')
  })

  it('keeps a backreference pointing at its group', () => {
    expect(ask('(x)?(["\'])a\\2', '"a"')).toEqual({ from: 0, to: 3 })
    expect(ask('(["\'])a\\1', '"a')).toEqual({ openFrom: 0 })
  })

  it.each([
    ['[\\q{ab|c}]', 'v', /holds strings/],
    ['(?=(a))\\1', '', /inside a lookaround/],
    ['(?i:A|B)b', '', /case sensitivity.*the flag i/],
    ['x(?:y(?s-i:a|c)b)', 'i', /case sensitivity.*the flag i/],
  ])('refuses %s with a reason', (source, flags, reason) => {
    expect(() => prefixClosed(parsePattern(source, flags))).toThrow(reason)
  })
})
