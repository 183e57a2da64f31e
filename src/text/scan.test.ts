import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { compileScanner, type Hit, type PatternSet, type Rule, type Scanner } from './scan.ts'

const MARKERS: PatternSet = {
  id: 'markers',
  rules: [
    { kind: 'literal', id: 'SECRET', text: 'SECRET' },
    { kind: 'literal', id: 'SECRET//NOFORN', text: 'SECRET//NOFORN' },
    { kind: 'literal', id: 'TOP SECRET', text: 'TOP SECRET' },
    { kind: 'literal', id: '(S)', text: '(S)' },
    { kind: 'literal', id: 'i', text: 'ii' },
    { kind: 'literal', id: 'Exact', text: 'AbA', caseSensitive: true },
  ],
}
const PATTERNS: PatternSet = {
  id: 'patterns',
  rules: [
    { kind: 'regex', id: 'key', source: '\\bsk-[a-z0-9]{3,6}\\b' },
    { kind: 'regex', id: 'aws', source: '(?:AKIA|ASIA)[A-Z0-9]{4}' },
    { kind: 'regex', id: 'ssn', source: '\\b\\d{3}-\\d{2}-\\d{2}\\b' },
    { kind: 'regex', id: 'digits', source: '\\d+', maxMatch: 5 },
    { kind: 'regex', id: 'mail', source: '[a-z]+@[a-z]+', flags: 'i', maxMatch: 8 },
    { kind: 'regex', id: 'lazy', source: '<.*?>', maxMatch: 6 },
    { kind: 'regex', id: 'prefer', source: 'a|ab|abc' },
    { kind: 'regex', id: 'longest', source: 'abcd|ab|a' },
    { kind: 'regex', id: 'ahead', source: 'b(?=c{1,2}d)' },
    { kind: 'regex', id: 'not ahead', source: 'b(?!cc)' },
    { kind: 'regex', id: 'behind', source: '(?<=a[bc])c' },
    { kind: 'regex', id: 'not behind', source: '(?<!a)b' },
    { kind: 'regex', id: 'lines', source: '^a.?$', flags: 'm' },
    { kind: 'regex', id: 'start', source: '^ab' },
    { kind: 'regex', id: 'end', source: 'c$' },
    { kind: 'regex', id: 'groups', source: '(?:ab?){2,3}c', flags: 'v' },
    { kind: 'regex', id: 'unicode', source: '.[😀-😂]', flags: 'u' },
    { kind: 'regex', id: 'quoted', source: '([<@])a{0,2}\\1', maxMatch: 6 },
    { kind: 'regex', id: 'far ahead', source: 'a(?=.*d)', maxMatch: 4 },
  ],
}
const SETS = [MARKERS, PATTERNS]
const scanner = compileScanner(SETS)

interface Run {
  readonly hits: readonly Hit[]
  /** Per push: what was open after it, and the hits it reported. */
  readonly steps: readonly { readonly open: number; readonly hits: readonly Hit[] }[]
}

function order(hits: readonly Hit[]): readonly Hit[] {
  return [...hits].sort((a, b) => a.from - b.from || a.to - b.to || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
}

function stream(by: Scanner, set: PatternSet, pieces: readonly string[]): Run {
  const open = by.open()
  const steps = pieces.map(piece => {
    const scan = open.push(piece)
    return { open: scan.openFrom(set), hits: scan.hits(set) }
  })
  const last = open.end()
  steps.push({ open: last.openFrom(set), hits: last.hits(set) })
  return { hits: order(steps.flatMap(step => step.hits)), steps }
}

function cut(text: string, at: readonly number[]): readonly string[] {
  const places = [...new Set(at.map(n => n % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, i) => text.slice(from, places[i] ?? text.length))
}

/** Text made of what the rules are about, with disguises, invisible characters and lone halves of surrogate pairs. */
const SCRAPS = [
  'a',
  'b',
  'c',
  'd',
  'A',
  'bA',
  '1',
  '23',
  '-',
  '@',
  '<',
  '>',
  '\n',
  ' ',
  'sk-',
  's',
  'AKIA',
  'ABC',
  'SECRET',
  'SEC',
  'RET',
  '//NOFORN',
  'TOP ',
  '(S)',
  'Ⅲ',
  'é',
  'а',
  'Ѕ',
  'Е',
  '\u200b',
  '\u0301',
  '😀',
  '\ud83d',
  '\ude00',
  '𝐒',
  'ﬁ',
  'ß',
  '中',
  '１',
  '₂',
  'K',
  'ſ',
]
const texts = fc.array(fc.constantFrom(...SCRAPS), { maxLength: 30 }).map(parts => parts.join(''))
const cuts = fc.array(fc.nat(200), { maxLength: 12 })

describe('a stream', () => {
  it('has the hits of the whole text, however it is cut, and never reports one from before what it called open', () => {
    fc.assert(
      fc.property(texts, cuts, (text, at) => {
        for (const set of SETS) {
          const whole = scanner.whole(text)
          const run = stream(scanner, set, cut(text, at))
          expect(run.hits).toEqual(order(whole.hits(set)))
          let settled = 0
          for (const step of run.steps) {
            for (const hit of step.hits) expect(hit.from).toBeGreaterThanOrEqual(settled)
            expect(step.open).toBeGreaterThanOrEqual(settled)
            settled = step.open
          }
          expect(settled).toBe(text.length)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('is the same one unit at a time', () => {
    fc.assert(
      fc.property(texts, text => {
        for (const set of SETS)
          expect(stream(scanner, set, text.split('')).hits).toEqual(order(scanner.whole(text).hits(set)))
      }),
      { numRuns: 200 },
    )
  })
})

function one(...rules: readonly Rule[]): { readonly set: PatternSet; readonly scanner: Scanner } {
  const set = { id: 'one', rules }
  return { set, scanner: compileScanner([set]) }
}

function regex(source: string, flags = '', maxMatch?: number): Rule {
  return maxMatch === undefined
    ? { kind: 'regex', id: 'r', source, flags }
    : { kind: 'regex', id: 'r', source, flags, maxMatch }
}

function ranges(rule: Rule, text: string): readonly (readonly [number, number])[] {
  const { set, scanner: by } = one(rule)
  return by
    .whole(text)
    .hits(set)
    .map(hit => [hit.from, hit.to])
}

/** Where the set is open after the text, given in two pieces. */
function openAfter(rule: Rule, text: string): number {
  const { set, scanner: by } = one(rule)
  const open = by.open()
  open.push(text.slice(0, text.length >> 1))
  return open.push(text.slice(text.length >> 1)).openFrom(set)
}

describe('literals', () => {
  const marker: Rule = { kind: 'literal', id: 'm', text: 'SECRET//NOFORN' }

  it.each([
    ['plain', 'a SECRET//NOFORN b', 2, 16],
    ['lower case', 'a secret//noforn b', 2, 16],
    ['full width', 'a ＳＥＣＲＥＴ／／ＮＯＦＯＲＮ b', 2, 16],
    ['circled', 'a ⓈⒺⒸⓇⒺⓉ//ⓃⓄⒻⓄⓇⓃ b', 2, 16],
    ['Cyrillic and Greek', 'a ЅЕСRЕТ//ΝОFОRΝ b', 2, 16],
    ['zero width between', 'a S\u200bECRET//NOFOR\u2060N\u200b b', 2, 18],
    ['combining marks', 'a S\u0301ECRET//NOFORN\u0301 b', 2, 17],
    ['mathematical', 'a 𝐒ECRET//NOFOR𝐍 b', 2, 18],
    ['non-Latin around', 'файл é SECRET//NOFORN 中文', 7, 21],
  ])('finds %s with its exact range in the original', (_, text, from, to) => {
    expect(ranges(marker, text)).toEqual([[from, to]])
    const { set, scanner: by } = one(marker)
    expect(stream(by, set, text.split('')).hits).toEqual([{ id: 'm', from, to }])
  })

  it('reports all occurrences, overlapping and nested', () => {
    const { set, scanner: by } = one(
      { kind: 'literal', id: 'a', text: 'aa' },
      { kind: 'literal', id: 'b', text: 'aaa' },
    )
    expect(by.whole('aaaa').hits(set)).toEqual([
      { id: 'a', from: 0, to: 2 },
      { id: 'b', from: 0, to: 3 },
      { id: 'a', from: 1, to: 3 },
      { id: 'b', from: 1, to: 4 },
      { id: 'a', from: 2, to: 4 },
    ])
  })

  it('keeps to case when told to', () => {
    expect(
      ranges({ kind: 'literal', id: 'm', text: 'DAN', caseSensitive: true }, 'Dan and dan and DAN and ＤＡＮ'),
    ).toEqual([
      [16, 19],
      [24, 27],
    ])
  })

  it('leaves ordinary text alone', () => {
    for (const text of ['The secretary is discreet.', 'совершенно секретно', 'no forn', 'हिन्दी में पाठ', '中文字符']) {
      expect(ranges(marker, text)).toEqual([])
    }
  })

  it.each([
    ['ordinary words ', 15],
    ['an ordinary S', 12],
    ['top SECRET//NO', 4],
    ['SECRET//NOFORN', 14],
    ['SECSECR', 3],
    ['SE\u200bC\u200b', 0],
    ['\ud83d', 0],
    ['abc\ud83d', 3],
  ])('after %j everything from %i is open', (text, open) => {
    expect(openAfter(marker, text)).toBe(open)
  })

  it('hold back per set, each exactly its own', () => {
    const a: PatternSet = { id: 'a', rules: [{ kind: 'literal', id: 'x', text: 'abcd' }] }
    const b: PatternSet = { id: 'b', rules: [{ kind: 'literal', id: 'x', text: 'cdef' }] }
    const none: PatternSet = { id: 'none', rules: [] }
    const scan = compileScanner([a, b, none]).open().push('xabc')
    expect([scan.openFrom(a), scan.openFrom(b), scan.openFrom(none)]).toEqual([1, 3, 4])
  })
})

describe('patterns', () => {
  it.each([
    ['\\bsk-[a-z0-9]{8}', '', 'task sk', 5],
    ['\\bsk-[a-z0-9]{8}', '', 'the task', 8],
    ['\\bsk-[a-z0-9]{8}', '', 'ordinary text', 13],
    ['\\b\\d{3}-\\d{2}\\b', '', 'call 555', 5],
    ['\\b\\d{3}-\\d{2}\\b', '', 'call 5555', 9],
    ['\\b\\d{3}-\\d{2}\\b', '', 'ordinary text', 13],
    ['(?:AKIA|ASIA)[A-Z0-9]{4}', '', 'Ak asia AKIAX', 8],
    ['(?:AKIA|ASIA)[A-Z0-9]{4}', '', 'lower akia', 10],
    ['(?:AKIA|ASIA)[A-Z0-9]{4}', 'i', 'lower aki', 6],
    ['(?<=key: )\\w{8}', '', 'key: abc', 5],
    ['(?<!no )token-\\d', '', 'no token-', 9],
    ['^begin', '', 'x begin', 7],
  ])('%s with %j: after %j everything from %i is open', (source, flags, text, open) => {
    expect(openAfter(regex(source, flags), text)).toBe(open)
  })

  it("are JavaScript's own matches when bounded", () => {
    const bounded = ['a{1,3}b?', '(?:ab|a)(?=b|c)', '\\bab?\\b', '(?<=a)b{0,2}c', '(?:a|bc){2,3}$', '^a|c$', 'ab??c?']
    fc.assert(
      fc.property(
        fc.constantFrom(...bounded),
        fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', '\n'), maxLength: 20 }),
        cuts,
        (source, text, at) => {
          const { set, scanner: by } = one(regex(source, 'm'))
          const expected = [...text.matchAll(new RegExp(source, 'gm'))]
            .filter(match => match[0] !== '')
            .map(match => ({ id: 'r', from: match.index, to: match.index + match[0].length }))
          expect(stream(by, set, cut(text, at)).hits).toEqual(expected)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('cut a match beyond maxMatch, and take one that is still open there for a finding', () => {
    expect(ranges(regex('\\d+', '', 4), 'x123456y')).toEqual([
      [1, 5],
      [5, 7],
    ])
    expect(ranges(regex('\\d+', '', 4), 'x1234y')).toEqual([[1, 5]])
    expect(ranges(regex('<[^>]*>', '', 5), '<abcdefgh')).toEqual([[0, 5]])
    expect(ranges(regex('<[^>]*>', '', 5), '<abc> <ab')).toEqual([[0, 5]])
  })

  it.each([
    ['(["\'])secret[^\\n]*\\1', `"secret ${'x'.repeat(40)}"`],
    ['(<<+)secret.*?\\1', `<<<<secret ${'x'.repeat(40)}<<<<`],
    ['(abcdef)secret.*?\\1', `abcdefsecret ${'x'.repeat(16)}abcdef`],
  ])('take %s for a finding where its backreference comes beyond maxMatch', (source, text) => {
    const set = { id: 'one', rules: [{ kind: 'regex', id: 'r', source, maxMatch: 32 }] } as const
    for (const pieces of [[text], [...text]]) {
      expect(stream(compileScanner([set]), set, pieces).hits).toEqual([{ id: 'r', from: 0, to: 32 }])
    }
  })

  it.each([
    ['sk-[a-z]{2,}[0-9]{10}!', 'sk-abcdef 1 and more', 6],
    ['<a(?:(?!</a>)[^\\n])*secret', '<a href="x">the manual</a> and then much more text', 32],
  ])('find in %s the same however the text is cut', (source, text, maxMatch) => {
    const set = { id: 'one', rules: [{ kind: 'regex', id: 'r', source, maxMatch }] } as const
    const one = compileScanner([set])
    expect(stream(one, set, [...text]).hits).toEqual(order(one.whole(text).hits(set)))
  })

  it.each([
    ['password(?=[^\\n]*secret)', `password ${'x'.repeat(40)} secret`, 64, [0, 8]],
    ['password(?=[^\\n]*secret)', `password ${'x'.repeat(80)} secret`, 64, undefined],
    ['sk(?![ab]*\\b)', 'skabababababababab-', 8, [0, 2]],
    ['sk(?=[ab]*$)', 'skababababababab-', 8, undefined],
  ] as const)(
    '%s looks ahead as far as maxMatch, where the text does not seem to end',
    (source, text, maxMatch, found) => {
      const set = { id: 'one', rules: [{ kind: 'regex', id: 'r', source, maxMatch }] } as const
      const one = compileScanner([set])
      const expected = found === undefined ? [] : [{ id: 'r', from: found[0], to: found[1] }]
      expect(one.whole(text).hits(set)).toEqual(expected)
      expect(stream(one, set, [...text]).hits).toEqual(expected)
    },
  )

  it('with a lookahead in a part that repeats hold back only what may still match', () => {
    const source = 'BEGIN(?:(?!END)[^]){0,40}KEY'
    const set = { id: 'one', rules: [{ kind: 'regex', id: 'r', source }] } as const
    const open = compileScanner([set]).open()
    expect(open.push('BEGIN x EN').openFrom(set)).toBe(0)
    expect(open.push('D and then').openFrom(set)).toBe(20)
  })

  it('see through disguise, and report what both spellings find once', () => {
    const key = regex('sk-[a-z0-9]{4}')
    expect(ranges(key, 'é ｓｋ－ab\u200bc1 sk-abcd')).toEqual([
      [2, 10],
      [11, 18],
    ])
    expect(ranges(regex('[а-я]{3}'), 'мир')).toEqual([[0, 3]])
  })

  it('find a leak after five megabytes of padding, keeping next to nothing', () => {
    const { set, scanner: by } = one(regex('\\bsk-[a-z0-9]{8}\\b'), regex('[a-z]+@[a-z]+', '', 64))
    const open = by.open()
    const pad = 'ordinary words, é. '.repeat(2760)
    let length = 0
    for (; length < 5_000_000; length += pad.length) expect(open.push(pad).hits(set)).toEqual([])
    open.push('sk-abc')
    expect(open.push('d1234 ').hits(set)).toEqual([{ id: 'r', from: length, to: length + 11 }])
  })

  it.each(['a', '1', '((', 'sk-', '{{', 'a.', 'a1@'])('do work in proportion to the length of %j repeated', unit => {
    const { set, scanner: by } = one(regex('sk-\\w+', '', 32), regex('[a-z.]+@', '', 32), regex('\\(*x', '', 32))
    const reach = 34
    const steps = (text: string): number => {
      let units = 0
      const exec = RegExp.prototype.exec
      const spy = vi.spyOn(RegExp.prototype, 'exec').mockImplementation(function (this: RegExp, given: string) {
        units += given.length - this.lastIndex
        return exec.call(this, given)
      })
      for (const hit of by.whole(text).hits(set)) expect(hit.to - hit.from).toBeLessThanOrEqual(32)
      spy.mockRestore()
      return units
    }
    const text = unit.repeat(2000)
    expect(steps(text)).toBeLessThanOrEqual(3 * text.length * reach)
    expect(steps(text + text)).toBeLessThanOrEqual(2 * steps(text) + 3 * reach * reach)
  })

  describe('that begin with a word', () => {
    const rules = [
      regex('(?<![A-Za-z0-9_])sk-(?:proj|admin)-[A-Za-z0-9_-]{20,200}'),
      regex('(?<![A-Za-z0-9_])sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}'),
      regex('(?<![A-Za-z0-9_])eyJ[A-Za-z0-9_-]{8,512}\\.eyJ[A-Za-z0-9_-]{8,512}\\.[A-Za-z0-9_-]{8,512}'),
      regex('(?<![A-Za-z0-9])TOP[\\s_-]{0,3}SECRET\\s{0,3}//\\s{0,3}(?:NOFORN|ORCON)', 'iu'),
      regex('(?<![:/])//\\s{0,3}REL\\s{1,3}TO', 'iu'),
      regex('(?<=(?:^|\\n)[ \\t]{0,8})\\(S\\)[ \\t]{1,4}\\p{Lu}[\\p{L}]{0,40} \\p{L}', 'u'),
    ]
    /** How often any regular expression runs, for a text whole and in pieces. */
    const runs = (sets: readonly PatternSet[], text: string): number => {
      const by = compileScanner(sets)
      // What doors learn about the text, they learn once.
      by.whole(text)
      const exec = RegExp.prototype.exec
      const spy = vi.spyOn(RegExp.prototype, 'exec').mockImplementation(function (this: RegExp, given: string) {
        return exec.call(this, given)
      })
      by.whole(text)
      const open = by.open()
      for (let at = 0; at < text.length; at += 64) open.push(text.slice(at, at + 64))
      open.end()
      const { calls } = spy.mock
      spy.mockRestore()
      return calls.length
    }

    it.each([
      'a',
      '7',
      '((((',
      '////',
      'TOP ',
      'Stop the top 10 // sum up. ',
      'top secret ',
      'eyJ',
      'sk-',
      'é sk-é ',
      '\u4e2d',
    ])('are run next to never on %j repeated: only where a piece ends in the middle of a beginning', unit => {
      const text = unit.repeat(Math.ceil(4096 / unit.length))
      expect(runs([{ id: 'one', rules }], text)).toBeLessThanOrEqual(5 * Math.ceil(text.length / 64))
    })

    it('are looked for once, however many sets hold them, and reported to each', () => {
      const sets = [1, 2, 3].map(n => ({
        id: `set ${n}`,
        rules: rules.map((rule, i) => ({ ...rule, id: `${n}.${i}` })),
      }))
      const text = `TOP SECRET//NOFORN // REL TO é sk-proj-${'a1'.repeat(12)} `
      expect(runs(sets, text.repeat(20))).toBe(runs(sets.slice(0, 1), text.repeat(20)))
      const scan = compileScanner(sets).whole(text)
      expect(sets.map(set => scan.hits(set).map(hit => hit.id))).toEqual(
        [1, 2, 3].map(n => [`${n}.3`, `${n}.4`, `${n}.0`]),
      )
    })

    it('take the leftmost where one word stands inside another, however the text is cut', () => {
      const { set, scanner: by } = one(regex('(?:abcd|bc)\\d'))
      for (const pieces of [['abcd1 bc2'], ['abc', 'd1 b', 'c2'], [...'abcd1 bc2']]) {
        expect(stream(by, set, pieces).hits.map(hit => [hit.from, hit.to])).toEqual([
          [0, 5],
          [6, 9],
        ])
      }
      expect(stream(by, set, ['abc', '9']).hits).toEqual([{ id: 'r', from: 1, to: 4 }])
    })
  })

  it.each<readonly [Rule, RegExp]>([
    [regex('a+'), /set 'one', rule 'r': the pattern has no longest match.*give maxMatch/],
    [regex('(a)\\1'), /backreference needs a bound/],
    [regex('(?=a)'), /can only match nothing/],
    [regex('(?<=a+)b'), /lookbehind/],
    [regex('a(?=.*b)'), /lookahead has no longest match/],
    [regex('('), /not a valid regular expression/],
    [regex('a', 'g'), /flag 'g'/],
    [regex('a', '', 0), /maxMatch must be/],
    [{ kind: 'literal', id: 'l', text: '\u200b' }, /rule 'l': the literal is empty/],
  ])('%j is refused with a reason', (rule, reason) => {
    expect(() => one(rule)).toThrow(reason)
  })
})

describe('a scan', () => {
  it('refuses a set it was not compiled with, and a stream that has ended', () => {
    expect(() => scanner.whole('x').openFrom({ id: 'other', rules: [] })).toThrow(/'other' is not part/)
    expect(() => scanner.whole('SECRET').hits({ id: 'other', rules: [] })).toThrow(/'other' is not part/)
    const open = scanner.open()
    open.end()
    expect(() => open.push('x')).toThrow(/ended/)
    expect(() => open.end()).toThrow(/ended/)
  })
})

describe('a pattern that overlaps itself', () => {
  it.each([
    ['aaa', 'aaaaaa'],
    ['abab', 'xababababx'],
    ['(?<=a)-a-', ' -a-a-a-a-'],
    ['\\b-a-', ' -a-a-a-'],
  ])('%s: not a character of the second match is given free before it is found', (source, text) => {
    const set = { id: 's', rules: [{ kind: 'regex', id: 'r', source } as const] }
    const stream = compileScanner([set]).open()
    let free = 0
    const hits = []
    for (const character of text) {
      const scan = stream.push(character)
      for (const hit of scan.hits(set)) {
        expect(hit.from).toBeGreaterThanOrEqual(free)
        hits.push([hit.from, hit.to])
      }
      expect(scan.openFrom(set)).toBeGreaterThanOrEqual(free)
      free = scan.openFrom(set)
    }
    for (const hit of stream.end().hits(set)) hits.push([hit.from, hit.to])
    expect(hits).toEqual([...text.matchAll(new RegExp(source, 'g'))].map(m => [m.index, m.index + m[0].length]))
  })
})
