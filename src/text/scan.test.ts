import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fold } from './fold.ts'
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
  'a', 'b', 'c', 'd', 'A', 'bA', '1', '23', '-', '@', '<', '>', '\n', ' ', 'sk-', 's', 'AKIA', 'ABC', 'SECRET', 'SEC', 'RET',
  '//NOFORN', 'TOP ', '(S)', 'Ⅲ', 'é', 'а', 'Ѕ', 'Е', '\u200b', '\u0301', '😀', '\ud83d', '\ude00', '𝐒', 'ﬁ', 'ß', '中', '１', '₂', 'K', 'ſ',
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
        for (const set of SETS) expect(stream(scanner, set, text.split('')).hits).toEqual(order(scanner.whole(text).hits(set)))
      }),
      { numRuns: 200 },
    )
  })
})
