/** Markers and patterns: what is found does not depend on how a text is cut. */
import { US_LADDER } from '../../../src/core/classification.ts'
import { US_MARKERS } from '../../../src/core/us-markers.ts'
import { fold } from '../../../src/text/fold.ts'
import { assertLinearEnough, compileScanner, type Hit, PatternError, type PatternSet } from '../../../src/text/scan.ts'
import { Random } from '../random.ts'
import { bytesOf, equal, must, refusing, type Target, textOf } from '../target.ts'

function pieces(text: string, seed: number): string[] {
  const random = new Random(seed)
  const points = [...text]
  const at = random.list(8, () => random.below(points.length + 1)).sort((a, b) => a - b)
  return [0, ...at].map((from, i) => points.slice(from, at[i] ?? points.length).join(''))
}

function streamed(set: PatternSet, scanner: ReturnType<typeof compileScanner>, list: readonly string[]): Hit[] {
  const stream = scanner.open()
  let at = 0
  let settled = 0
  const hits: Hit[] = []
  for (const piece of list) {
    const scan = stream.push(piece)
    at += piece.length
    for (const hit of scan.hits(set)) {
      must(hit.from >= settled, 'a hit begins in text that was still open')
      hits.push(hit)
    }
    const open = scan.openFrom(set)
    must(open >= settled && open <= at, 'what is settled stays so')
    settled = open
  }
  for (const hit of stream.end().hits(set)) {
    must(hit.from >= settled, 'a hit at the end begins in text that was still open')
    hits.push(hit)
  }
  return hits
}

const ordered = (hits: readonly Hit[]) =>
  [...hits].sort((a, b) => a.from - b.from || a.to - b.to || (a.id < b.id ? -1 : 1)).map(h => [h.id, h.from, h.to])

const markers = compileScanner([US_MARKERS.patterns])

export const classification: Target = {
  name: 'classification',
  words: [
    'SECRET//NOFORN',
    'TOP SECRET',
    'TS//SI',
    '(S)',
    '(U)',
    'CUI',
    'NOFORN',
    '//',
    'ＳＥＣＲＥＴ',
    '\u200b',
    '(a) ',
  ],
  build: random =>
    bytesOf(
      random
        .list(8, () => random.pick(['SECRET', '//', 'NOFORN', ' ', 'TS', '(S//NF)', 'the ', '\u2060', 'é']))
        .join(''),
    ),
  check: bytes => {
    const text = textOf(bytes)
    const level = US_LADDER.parse(text)
    must(level === undefined || US_LADDER.levels.includes(level), 'a level is one of the ladder')
    const whole = markers.whole(text).hits(US_MARKERS.patterns)
    for (const h of whole) must(h.from >= 0 && h.from < h.to && h.to <= text.length, 'a hit is in the text')
    equal(ordered(streamed(US_MARKERS.patterns, markers, pieces(text, bytes.length))), ordered(whole), 'markers, cut')
    for (const f of US_MARKERS.open().read(whole)) must(US_LADDER.rank(f.level) !== undefined, 'a marker has a level')
    const folded = fold(text)
    equal(folded.text.length, folded.lower.length, 'both spellings of a fold are as long')
    for (let i = 0; i < folded.text.length; i += 1)
      must(folded.toOriginal(i) < folded.toOriginalEnd(i + 1), 'every folded unit came from somewhere')
  },
}

/** The first line is a pattern, the rest is text. */
export const patterns: Target = {
  name: 'patterns',
  words: [
    '[a-z]{2,5}',
    '\\b',
    '(?:a|b)',
    '(?=x)',
    '(?<!y)',
    '\\d+',
    '.*',
    '(a+)+',
    '^',
    '$',
    '\\p{L}',
    '|',
    '?',
    '{1,3}',
    '[^x]',
  ],
  build: random =>
    bytesOf(
      `${random.list(4, () => random.pick(['ab', '[a-c]{1,3}', '\\d{2}', '(?:x|yz)', '\\bk', 'é', 'q?', '\\s', '(?<=a)b'])).join('')}\n${random
        .list(12, () => random.pick(['ab', 'c', '12', ' ', 'yz', 'k', 'é', 'e\u0301', '\u200b', 'x', 'q']))
        .join('')}`,
    ),
  check: bytes => {
    const [first = '', ...rest] = textOf(bytes).split('\n')
    // Work is bounded by the pattern: a fuzzer's own must stay small.
    const source = first.slice(0, 40)
    const text = rest.join('\n').slice(0, 60)
    const set: PatternSet = { id: 'fuzz', rules: [{ kind: 'regex', id: 'p', source, maxMatch: 40 }] }
    const scanner = refusing(() => {
      assertLinearEnough(source)
      return compileScanner([set])
    }, PatternError)
    if (scanner === undefined) return
    const whole = scanner.whole(text).hits(set)
    for (const h of whole) must(h.from >= 0 && h.from < h.to && h.to <= text.length, 'a hit is in the text')
    equal(ordered(streamed(set, scanner, [...text])), ordered(whole), 'hits, character by character')
    equal(ordered(streamed(set, scanner, pieces(text, bytes.length))), ordered(whole), 'hits, cut')
  },
}
