import { describe, expect, it } from 'vitest'
import { compileScanner } from '../text/scan.ts'
import { defineLadder, type MarkerSet, markerSet, textMarker, US_LADDER } from './classification.ts'
import { US_MARKERS } from './us-markers.ts'

function highest(text: string, markers: MarkerSet = US_MARKERS, ladder = US_LADDER): string | undefined {
  const found = markers.open().read(compileScanner([markers.patterns]).whole(text).hits(markers.patterns))
  return found.reduce<string | undefined>((level, f) => ladder.max(level ?? f.level, f.level), undefined)
}

describe('the US ladder', () => {
  it.each([
    ['UNCLASS', 'UNCLASS'],
    ['unclassified', 'UNCLASS'],
    ['u', 'UNCLASS'],
    [' cui ', 'CUI'],
    ['FOUO', 'CUI'],
    ['ＳＥＣＲＥＴ', 'SECRET'],
    ['s', 'SECRET'],
    ['Top Secret', 'TS'],
    ['TOPSECRET', 'TS'],
    ['TS', 'TS'],
    ['ts/sci', 'TS_SCI'],
    ['TS-SCI', 'TS_SCI'],
    ['TS_SCI', 'TS_SCI'],
    ['SCI', 'TS_SCI'],
  ])('reads %s', (value, level) => {
    expect(US_LADDER.parse(value)).toBe(level)
  })

  it.each(['SEEKRET', 'CONFIDENTIAL', '', 'SECRET\u200b', 'S3CRET', '__proto__', 'constructor', 'toString', '2'])(
    'does not guess %j',
    value => {
      expect(US_LADDER.parse(value)).toBeUndefined()
    },
  )

  it('orders its levels', () => {
    expect([...US_LADDER.levels].sort(US_LADDER.compare)).toEqual(['UNCLASS', 'CUI', 'SECRET', 'TS', 'TS_SCI'])
    expect(US_LADDER.compare('CUI', 'TS')).toBeLessThan(0)
    expect(US_LADDER.max('CUI', 'TS')).toBe('TS')
    expect(US_LADDER.min('CUI', 'TS')).toBe('CUI')
    expect(() => US_LADDER.compare('CUI', 'nonsense')).toThrow('expected one of UNCLASS')
  })
})

describe('ladders of one’s own', () => {
  const ladder = defineLadder(['PUBLIC', 'INTERNAL', 'RESTRICTED'], { RESTRICTED: ['geheim'] })

  it('have their own levels and aliases', () => {
    expect(ladder.parse('internal')).toBe('INTERNAL')
    expect(ladder.parse('Geheim')).toBe('RESTRICTED')
    expect(ladder.parse('SECRET')).toBeUndefined()
    expect([ladder.lowest, ladder.highest]).toEqual(['PUBLIC', 'RESTRICTED'])
  })

  it.each([
    [[], {}, 'at least one level'],
    [['A', 'A'], {}, 'listed twice'],
    [['A', 'a'], {}, 'names both'],
    [['A', 'B'], { B: ['a'] }, 'names both'],
    [['A'], { C: ['x'] }, 'not a level'],
    [['A\n'], {}, 'level names'],
    [['A'], { A: [''] }, 'level names'],
  ])('refuse %j %j', (levels, aliases, problem) => {
    expect(() => defineLadder(levels, aliases as Record<string, string[]>)).toThrow(problem)
  })
})

describe('markers that count', () => {
  it.each([
    ['SECRET//NOFORN', 'SECRET'],
    ['secret//noforn', 'SECRET'],
    ['the planSECRET//NOFORN', 'SECRET'],
    ['xTOP SECRET//NOFORN', 'TS'],
    ['xTOP SECRET//SCI', 'TS_SCI'],
    ['This is Secret // NoForn material', 'SECRET'],
    ['SECRET//REL TO USA, GBR', 'SECRET'],
    ['SECRET//SI', 'SECRET'],
    ['ＳＥＣＲＥＴ／／ＮＯＦＯＲＮ', 'SECRET'],
    ['SE\u200bCRET//NO\u00adFORN', 'SECRET'],
    ['SECRET/\u2060/NOFORN', 'SECRET'],
    ['S\u0415CRET//NOFORN', 'SECRET'],
    ['the report is marked //NOFORN today', 'SECRET'],
    ['UNCLASSIFIED//ORCON', 'SECRET'],
    ['TS//SCI', 'TS_SCI'],
    ['(TS//SCI) Sources', 'TS_SCI'],
    ['TS//SI//NOFORN', 'TS_SCI'],
    ['top secret//sci', 'TS_SCI'],
    ['TOP SECRET//NOFORN', 'TS'],
    ['TOP  SECRET // ORCON', 'TS'],
    ['TS//NF', 'TS'],
    ['(S//NF) The convoy', 'SECRET'],
    ['per (S//REL) sources', 'SECRET'],
    ['CUI//SP-PRVCY', 'CUI'],
    ['(U//FOUO) Lunch menu', 'CUI'],
    ['FOUO', 'CUI'],
    ['(S) The convoy leaves at dawn', 'SECRET'],
    ['  (S) The convoy leaves at dawn', 'SECRET'],
    ['It rains. (S) The convoy leaves at dawn.', 'SECRET'],
    ['(U) Weather is fine.\n(S) The convoy leaves at dawn.', 'SECRET'],
    ['1. (S) The convoy leaves at dawn.', 'SECRET'],
    ['- (S) The convoy leaves at dawn.', 'SECRET'],
    ['**(S)** The convoy leaves at dawn.', 'SECRET'],
    ['(S) CONVOY LEAVES AT DAWN', 'SECRET'],
    ['(S) 12 tanks moved north.', 'SECRET'],
    ['(TS) The source is in place.', 'TS'],
    ['(C) The attaché met his contact.', 'CUI'],
    ['(SECRET) The convoy', 'SECRET'],
    ['(TOP SECRET) The convoy', 'TS'],
    ['(CONFIDENTIAL) Budget', 'CUI'],
    ['(U) Cover page. (S) The convoy leaves. TOP SECRET//SCI annex', 'TS_SCI'],
    ['TS//SCI annex, then (U) Weather is fine', 'TS_SCI'],
  ])('%s', (text, level) => {
    expect(highest(text)).toBe(level)
  })
})

describe('ordinary writing', () => {
  it.each([
    'item(s) and option(S)',
    'Please attach the file(s) below.',
    '(c) 2024 Acme',
    '(C) 2024 Acme Corporation',
    'Copyright (C) Acme Corporation',
    '(C) Copyright Acme Corporation',
    '(C) All rights reserved',
    'option (S) or (M)',
    'f(s) is the Laplace transform. (s) is complex.',
    'Laplace: F(S) The transform',
    '(A) Paris\n(B) London is big\n(C) Berlin is the capital of Germany\n(D) Rome is old',
    'What is right? (A) One thing (B) Two things. (C) Three things are right.',
    '(Q) Quit now (R) Retry it\n(S) Skip this step now',
    '(S) Small shirts are sold out',
    '(S) Strengths: brand\n(W) Weaknesses: price',
    '(S) Strengths of the company',
    'Sizes: (S) The small one fits',
    '(u) list items (t) and more',
    '(U) Weather is fine today.',
    'see https://orcon.net.nz/ for more',
    '<script src="//orcon.net.nz/x.js">',
    'const secret // related to the token',
    'const secret // REST endpoint below',
    'let s // reset counter',
    '// rel to the parent node',
    'The secret is out. Top secret recipe!',
    'circuit//board and suicui/',
    'its // comment',
    'TS // TypeScript generic',
    "import x from 'ts//g'",
    'The noforn caveat restricts release.',
    'the OAuth value (SECRET) must be set',
    'Vitamin (C) Is good for you',
  ])('%s', text => {
    expect(highest(text)).toBeUndefined()
  })
})

describe('markers of one’s own', () => {
  const ladder = defineLadder(['PUBLIC', 'INTERNAL', 'RESTRICTED'])
  const set = markerSet('own', [
    textMarker(ladder, { text: 'ACME Restricted', level: 'restricted' }),
    textMarker(ladder, { text: '[internal]', level: 'INTERNAL' }),
    textMarker(ladder, { text: 'VS-NfD', level: 'RESTRICTED', caseSensitive: true }),
  ])

  it.each([
    ['acme restricted', 'RESTRICTED'],
    ['ACME\n Restricted', 'RESTRICTED'],
    ['ACME re\u200bstricted', 'RESTRICTED'],
    ['see [Internal] notes', 'INTERNAL'],
    ['VS-NfD', 'RESTRICTED'],
    ['vs-nfd', undefined],
    ['ACME restrictedly', undefined],
    ['xacme restricted', undefined],
    ['acme is restricted', undefined],
  ])('%j is %s', (text, level) => {
    expect(highest(text, set, ladder)).toBe(level)
  })

  it('name what is wrong with them', () => {
    expect(() => textMarker(ladder, { text: 'X', level: 'PUBLIC' })).toThrow('2 to 200 characters')
    expect(() => textMarker(ladder, { text: 'ACME', level: 'SECRET' })).toThrow('one of PUBLIC, INTERNAL, RESTRICTED')
  })
})
