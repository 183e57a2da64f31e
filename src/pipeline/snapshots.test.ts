import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ContinuingConsentCheck } from '../checks/continuing-consent.ts'
import { RegexOutputCheck } from '../checks/regex-output.ts'
import { ScopeDriftCheck } from '../checks/scope-drift.ts'
import { SECRET_PATTERNS } from '../checks/secret-patterns.ts'
import type { Check } from '../core/check.ts'
import { compileScanner } from '../text/scan.ts'
import { bytesOf, patternCheck, run, type Short } from './fake.test-support.ts'
import { snapshotReaders } from './snapshots.ts'

const checks = (): Check[] => [
  new RegexOutputCheck({ patterns: [...SECRET_PATTERNS, { label: 'stop', pattern: 'STOP[0-9]{2}', action: 'block' }] }),
  new ScopeDriftCheck(),
  new ContinuingConsentCheck({ revalidate: () => true }),
]

/** The same checks, asked about everything. */
const askedAlways = (): Check[] =>
  checks().map(check => Object.defineProperty(check, 'snapshots', { value: 'all', enumerable: true }))

const piece = fc.constantFrom(
  'plain text ',
  'SECRET//NOFORN',
  'S\u200bECRET//NOFORN',
  'ＳＥＣＲＥＴ//ＮＯＦＯＲＮ',
  'AKIAIOSFODNN7EXAMPLE ',
  'sk-proj-',
  'STOP',
  '42',
  'ghp_',
  'é',
  '\\',
  '-----BEGIN ',
  'PRIVATE KEY-----',
)
const text = fc.array(piece, { maxLength: 5 }).map(parts => parts.join(''))
const part: fc.Arbitrary<Short> = fc.oneof(
  fc.record({ s: text, c: fc.constantFrom('id', 'model') }),
  fc.record({ t: text, c: fc.constantFrom('content', 'name') }),
  fc.record({ d: fc.constantFrom('k1', 'k2'), name: text, args: text.map(a => JSON.stringify({ a })) }),
)

describe('text that only repeats other text', () => {
  it('is decided alike, whether or not the built-in checks are asked about every one of them', {
    timeout: 60_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(part, { maxLength: 4 }), { maxLength: 4 }), async frames => {
        const bytes = [bytesOf([...frames, [{ end: true }]])]
        expect(await run(checks(), bytes)).toEqual(await run(askedAlways(), bytes))
      }),
      { numRuns: 120 },
    )
  })

  it('goes to every check that has promised nothing', () => {
    const word = patternCheck('word', [{ kind: 'literal', id: 'w', text: 'word' }], () => ({ kind: 'allow' }))
    const scanner = compileScanner(word.patterns === undefined ? [] : [word.patterns])
    expect(snapshotReaders([word], scanner).quiet('nothing here')).toBe(false)
    const promised: Check = { ...word, snapshots: 'hits' }
    expect(snapshotReaders([promised], scanner).quiet('nothing here')).toBe(true)
    expect(snapshotReaders([promised], scanner).quiet('a w\u200bord')).toBe(false)
    expect(snapshotReaders([promised, { ...word, name: 'other' }], scanner).quiet('nothing here')).toBe(false)
    expect(snapshotReaders([{ ...word, snapshots: 'none' }], scanner).quiet('word')).toBe(true)
  })

  it('is refused when a check that promised cannot even begin', async () => {
    const failing: Check = {
      ...patternCheck('failing', [{ kind: 'literal', id: 'w', text: 'word' }], () => ({ kind: 'allow' })),
      snapshots: 'hits',
      inspect: () => {
        throw new Error('no')
      },
    }
    expect(await run([failing], [bytesOf([[{ s: 'nothing here' }], [{ end: true }]])])).toEqual([
      'refuse failing content@0',
    ])
  })
})
