/** The matcher is RE2, and the pattern is one of ECMA-262: both have to mean the same. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { linearPattern } from './linear-pattern.ts'

const inJavaScript = (source: string, text: string) => new RegExp(`^(?:${source})$`, 'u').test(text)

describe('a pattern', () => {
  it.each([
    ['.*', 'a\rBcc: eve', false],
    ['.*', 'a\u2028b', false],
    ['\\S+', 'a\u00a0b', false],
    ['\\S+', 'a\u3000b', false],
    ['\\S+', 'a\vb', false],
    ['[^\\s]+', 'a\u00a0b', false],
    ['[\\S]+', 'a\ufeffb', false],
    ['\\s', '\ufeff', true],
    ['[\\s\\S]*', 'a\nb', true],
    ['[^]', '\n', true],
    ['\\uD83D\\uDE00', '😀', true],
    ['[\\uD83D\\uDE00-\\uD83D\\uDE4F]', '😃', true],
    ['\\u{1F600}', '😀', true],
    ['.', '😀', true],
    ['..', '😀', false],
    ['a$', 'a\n', false],
    ['\\p{Script=Greek}+', 'αω', true],
    ['[\\P{sc=Greek}]', 'α', false],
    ['\\p{Lu}', 'É', true],
    ['\\w+', 'ſ', false],
    ['\\d+', '٣', false],
    ['\\x41\\cJ\\0', 'A\n\0', true],
  ])('%j on %j is what JavaScript says: %s', (source, text, expected) => {
    expect(inJavaScript(source, text)).toBe(expected)
    expect(linearPattern(source).matches(text)).toBe(expected)
  })

  const atom = fc.constantFrom(
    ...[
      'a',
      'b',
      '.',
      '\\s',
      '\\S',
      '\\d',
      '\\D',
      '\\w',
      '\\W',
      '\\.',
      '\\n',
      '\\r',
      '\\t',
      '\\v',
      '\\f',
      '\\0',
      '\\x41',
    ],
    ...[
      '[ab]',
      '[^ab]',
      '[\\s]',
      '[^\\s]',
      '[\\S]',
      '[^\\S]',
      '[a\\S]',
      '[^a\\s]',
      '[\\w\\-]',
      '[^\\W]',
      '[.]',
      '[^]',
      '[\\b]',
    ],
    ...[
      '\\u2028',
      '\\u{1F600}',
      '\\uD83D\\uDE00',
      '[^\\u{1F600}]',
      '[a-\\uD83D\\uDE00]',
      '\\p{L}',
      '\\P{L}',
      '(?:a|b)',
      '(b)',
    ],
  )
  const source = fc
    .array(fc.tuple(atom, fc.constantFrom('', '', '', '?', '{2}', '{1,3}')), { minLength: 1, maxLength: 5 })
    .map(parts => parts.map(part => part.join('')).join(''))
  const text = fc
    .array(
      fc.constantFrom(
        ...'abA1_. \t\n\r\v\f\0\b-é\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\ufeff\u200b\u0085ſ٣😀',
      ),
      {
        maxLength: 6,
      },
    )
    .map(characters => characters.join(''))

  it('is matched as JavaScript would, in whole and in part', () => {
    fc.assert(
      fc.property(source, fc.array(text, { minLength: 1, maxLength: 5 }), (pattern, texts) => {
        const compiled = linearPattern(pattern)
        for (const each of texts) {
          expect(compiled.matches(each)).toBe(inJavaScript(pattern, each))
          expect(compiled.found(each)).toBe(new RegExp(pattern, 'u').test(each))
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it.each(['(?s:.)', '(?m:^a)', '(?i:a)', '(?=a)', '(a)\\1', '\\p{Script_Extensions=Greek}'])(
    '%s is refused',
    source => {
      expect(() => linearPattern(source)).toThrow(Error)
    },
  )
})
