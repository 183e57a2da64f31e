import { describe, expect, it } from 'vitest'
import { defineLadder } from '../core/classification.ts'
import { ClassificationGateCheck, type ClassificationGateOptions } from './classification-gate.ts'
import { type ExchangeFacts, exchangeOf, segmentOf, TestContext } from './testing.ts'

interface Ask {
  readonly classification?: string
  readonly clearance?: string
  readonly verified?: boolean
  readonly texts?: readonly string[]
}

function judged(
  { classification, clearance, verified = false, texts = [] }: Ask,
  options: ClassificationGateOptions = {},
) {
  const check = new ClassificationGateCheck(options)
  const ctx = new TestContext(check)
  const facts: ExchangeFacts = {
    declared: { classification, clearance, clearanceVerified: verified },
    request: { segments: texts.map((text, i) => segmentOf(text, { pointer: `/messages/${i}/content` })) },
  }
  return { verdict: check.admit(exchangeOf(facts), ctx), levels: ctx.levels }
}

describe('classification_gate', () => {
  it.each<[Ask, { data: string; ceiling: string; rank: number }]>([
    [{}, { data: 'UNCLASS', ceiling: 'UNCLASS', rank: 0 }],
    [
      { classification: '', clearance: '  ' },
      { data: 'UNCLASS', ceiling: 'UNCLASS', rank: 0 },
    ],
    [
      { classification: ' \t ', clearance: '' },
      { data: 'UNCLASS', ceiling: 'UNCLASS', rank: 0 },
    ],
    [
      { classification: 'S', clearance: 'ts' },
      { data: 'SECRET', ceiling: 'SECRET', rank: 2 },
    ],
    [
      { classification: 'ＳＥＣＲＥＴ', clearance: 'SECRET' },
      { data: 'SECRET', ceiling: 'SECRET', rank: 2 },
    ],
    [
      { clearance: 'TS', verified: true },
      { data: 'UNCLASS', ceiling: 'UNCLASS', rank: 0 },
    ],
    [
      { clearance: 'TS', texts: ['summarise: SECRET//NOFORN ...'] },
      { data: 'SECRET', ceiling: 'UNCLASS', rank: 2 },
    ],
  ])('%j passes', (ask, levels) => {
    expect(judged(ask)).toEqual({ verdict: { kind: 'allow' }, levels })
  })

  it('refuses a caller whose clearance is below the data', () => {
    expect(judged({ classification: 'TS/SCI', clearance: 'SECRET' }).verdict).toEqual({
      kind: 'block',
      because: {
        code: 'clearance_insufficient',
        reason: 'caller clearance SECRET insufficient for data classification TS_SCI',
        details: { classification: 'TS_SCI', clearance: 'SECRET', declared: 'TS_SCI' },
      },
    })
    expect(judged({ classification: 'CUI' }).verdict.kind).toBe('block')
  })

  it('holds a request to the highest marker in it, not to what is declared', () => {
    const texts = ['(U) cover page', 'FOUO then TOP SECRET//SCI then CUI//', 'SECRET//NOFORN']
    const { verdict, levels } = judged({ classification: 'UNCLASS', clearance: 'SECRET', texts })
    expect(verdict).toMatchObject({
      because: {
        code: 'clearance_insufficient',
        reason: 'caller clearance SECRET insufficient for data classification TS_SCI',
        details: { declared: 'UNCLASS', marker: 'TOP SECRET//SCI', pointer: '/messages/1/content', offset: 10 },
      },
    })
    expect(levels).toEqual({ data: 'TS_SCI', ceiling: 'UNCLASS', rank: 4 })
    expect(judged({ texts }, { scanRequest: false }).verdict.kind).toBe('allow')
  })

  it.each(['item(s) (c) 2024', '(A) x (B) y (C) Berlin is big', 'see https://orcon.net.nz/'])(
    'does not raise %s',
    text => {
      expect(judged({ texts: [text] }).verdict.kind).toBe('allow')
    },
  )

  it.each([
    [{ classification: 'SEEKRET' }, 'X-Classification', 'SEEKRET'],
    [{ classification: 'CONFIDENTIAL', clearance: 'TS' }, 'X-Classification', 'CONFIDENTIAL'],
    [{ clearance: '__proto__' }, 'X-Caller-Clearance', '__proto__'],
    [{ classification: 'a\r\nb\u202e' }, 'X-Classification', 'a\\u{d}\\u{a}b\\u{202e}'],
  ])('refuses %j as unknown', (ask, header, value) => {
    const { verdict, levels } = judged(ask)
    expect(verdict).toMatchObject({ because: { code: 'classification_unknown', details: { header, value } } })
    expect(levels).toBeUndefined()
  })

  it('bounds what it repeats of an unknown value', () => {
    const { verdict } = judged({ classification: 'x'.repeat(5_000) })
    expect(JSON.stringify(verdict).length).toBeLessThan(400)
  })

  it('takes defaults and a minimum', () => {
    const options = { defaultClassification: 'cui', defaultClearance: 'SECRET' }
    expect(judged({}, options).levels).toEqual({ data: 'CUI', ceiling: 'CUI', rank: 1 })
    expect(judged({ clearance: 'UNCLASS' }, options).verdict.kind).toBe('block')
    expect(judged({}, { minimumLevel: 'SECRET' }).verdict).toMatchObject({
      because: { reason: 'caller clearance UNCLASS insufficient for data classification SECRET' },
    })
    expect(judged({ clearance: 'SECRET' }, { minimumLevel: 'SECRET' }).levels).toEqual({
      data: 'SECRET',
      ceiling: 'UNCLASS',
      rank: 2,
    })
  })

  it('works on a ladder of one’s own: INTERNAL clearance, RESTRICTED data', () => {
    const ladder = defineLadder(['PUBLIC', 'INTERNAL', 'RESTRICTED'])
    const options = { ladder, markers: { 'ACME RESTRICTED': 'RESTRICTED' } }
    expect(judged({ classification: 'RESTRICTED', clearance: 'INTERNAL' }, options).verdict).toMatchObject({
      because: { reason: 'caller clearance INTERNAL insufficient for data classification RESTRICTED' },
    })
    expect(judged({ clearance: 'INTERNAL', texts: ['Acme  restricted'] }, options).verdict.kind).toBe('block')
    expect(judged({ clearance: 'INTERNAL', texts: ['SECRET//NOFORN'] }, options).verdict.kind).toBe('allow')
    expect(judged({ clearance: 'SECRET' }, options).verdict).toMatchObject({
      because: { code: 'classification_unknown' },
    })
  })
})
