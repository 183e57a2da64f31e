import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defineLadder } from '../core/classification.ts'
import type { Levels } from '../core/exchange.ts'
import { ScopeDriftCheck, type ScopeDriftOptions } from './scope-drift.ts'
import { channelOf, type ExchangeFacts, exchangeOf, inspectPieces, inspectText } from './testing.ts'

const ceiling = (level: string): ExchangeFacts => ({
  levels: { data: level, ceiling: level, rank: level === 'UNCLASS' ? 0 : 1 } satisfies Levels,
})

async function drift(text: string, facts: ExchangeFacts = {}, options: ScopeDriftOptions = {}, cuts: number[] = []) {
  return (await inspectText(new ScopeDriftCheck(options), exchangeOf(facts), text, cuts)).findings
}

describe('markers above the ceiling', () => {
  it('block, naming the marker, its level and its place', async () => {
    expect(await drift('Weather is fine. SECRET//NOFORN follows')).toEqual([
      {
        channel: 'content:0',
        at: 17,
        ranges: expect.arrayContaining([{ from: 17, to: 31 }]),
        verdict: {
          kind: 'block',
          because: {
            code: 'marker',
            reason: 'classification marker SECRET//NOFORN above UNCLASS',
            details: {
              drift_kind: 'classification',
              marker: 'SECRET//NOFORN',
              marker_level: 'SECRET',
              request_level: 'UNCLASS',
              offset: 17,
              channel: 'content',
              choice: 0,
            },
          },
        },
      },
    ])
  })

  it.each<[string, ExchangeFacts, string | undefined]>([
    ['SECRET//NOFORN', ceiling('SECRET'), undefined],
    ['SECRET//NOFORN', ceiling('CUI'), 'SECRET//NOFORN'],
    ['TS//SCI', ceiling('TS'), 'TS//SCI'],
    ['SECRET//NOFORN', { declared: { classification: 'secret' } }, undefined],
    ['SECRET//NOFORN', { declared: { classification: 'nonsense' } }, 'SECRET//NOFORN'],
    ['SECRET//NOFORN', ceiling('not a level'), 'SECRET//NOFORN'],
    ['SECRET//NOFORN', {}, 'SECRET//NOFORN'],
    ['(U) One thing. (S) The convoy leaves at dawn.', {}, '(S)'],
    ['FOUO, then TS//SCI', ceiling('CUI'), 'TS//SCI'],
    ['FOUO and CUI//', ceiling('CUI'), undefined],
    ['SEC\u200bRET//NO\u00adFORN', {}, 'SECRET//NOFORN'],
    ['item(s), (c) 2024 and option (S)', {}, undefined],
  ])('%s with %j', async (text, facts, marker) => {
    const findings = await drift(text, facts)
    expect(findings.map(f => (f.verdict.kind === 'block' ? f.verdict.because.details?.['marker'] : 'none'))).toEqual(
      marker === undefined ? [] : [marker],
    )
  })

  it('release nothing of themselves, however they are cut', async () => {
    const text = 'It says SECRET // NOFORN here'
    for (let cut = 1; cut < text.length; cut++) {
      const { releasable, findings } = await inspectText(new ScopeDriftCheck(), exchangeOf(), text, [cut])
      expect(releasable.get('content:0')?.[0]).toBeLessThanOrEqual(8)
      expect(findings).toMatchObject([{ at: 8 }])
    }
  })

  it.each([
    ['SECRET//NOFORN', 'SECRET//NOFORN'],
    ['SECRET//SI', 'SECRET//caveat'],
    ['TOP SECRET//NOFORN', 'TOP SECRET//NOFORN'],
    ['TOP SECRET//SCI', 'TOP SECRET//SCI'],
  ])('release nothing of %s where it is run into the word before, one character at a time', async (written, marker) => {
    const text = `lorem ip${written} and more`
    const cuts = Array.from(text, (_, i) => i)
    const { releasable, findings } = await inspectText(new ScopeDriftCheck(), exchangeOf(), text, cuts)
    expect(Math.max(...(releasable.get('content:0') ?? []))).toBe(8)
    expect(findings).toMatchObject([{ at: 8, verdict: { because: { details: { marker } } } }])
  })

  it('are found behind a megabyte of padding', async () => {
    const findings = await drift(`${'pad '.repeat(300_000)}SECRET//NOFORN`, {}, {}, [1_048_576, 1_200_003])
    expect(findings).toMatchObject([{ at: 1_200_000 }])
  })

  it('are found in every channel: reasoning, refusal, arguments, other, snapshots and each choice', async () => {
    const check = new ScopeDriftCheck()
    for (const name of ['content', 'reasoning', 'refusal', 'transcript', 'arguments', 'other'] as const) {
      for (const more of [{}, { snapshot: true }, { choice: 3 }] as const) {
        const channel = channelOf({ key: 'k', name, ...more })
        const { findings } = await inspectPieces(check, exchangeOf(), [{ channel, text: 'SECRET//NOFORN' }])
        expect(findings).toHaveLength(1)
      }
    }
  })

  it('are not put together from two channels', async () => {
    const { findings } = await inspectPieces(new ScopeDriftCheck(), exchangeOf(), [
      { channel: channelOf(), text: 'SECRET//' },
      { channel: channelOf({ key: 'content:1', choice: 1 }), text: 'NOFORN' },
    ])
    expect(findings).toEqual([])
  })

  it('can be one’s own, instead of the default ones or beside them', async () => {
    const ladder = defineLadder(['PUBLIC', 'RESTRICTED'])
    expect(await drift('ACME restricted', {}, { ladder, markers: { 'ACME Restricted': 'RESTRICTED' } })).toHaveLength(1)
    expect(await drift('SECRET//NOFORN', {}, { ladder })).toEqual([])
    expect(await drift('SECRET//NOFORN', {}, { markers: {} })).toEqual([])
    expect(await drift('SECRET//NOFORN', {}, { checkClassificationDrift: false })).toEqual([])
    const both = { extraMarkers: { PROJECTX: 'TS' } }
    expect(await drift('about projectx', {}, both)).toMatchObject([
      { verdict: { because: { details: { marker_level: 'TS' } } } },
    ])
    expect(await drift('SECRET//NOFORN', {}, both)).toHaveLength(1)
  })
})

describe('length', () => {
  const limited = (maxOutputTokens: number): ExchangeFacts => ({ request: { maxOutputTokens } })
  const tight: ScopeDriftOptions = { charPerTokenEstimate: 4, tokenTolerance: 0, minimumChars: 0 }

  it('blocks a runaway at the place where it crosses the cap', async () => {
    for (const cuts of [[], [39], [40], [41], [10, 20, 45]]) {
      expect(await drift('x'.repeat(60), limited(10), tight, cuts)).toEqual([
        {
          channel: 'content:0',
          at: 40,
          ranges: undefined,
          verdict: {
            kind: 'block',
            because: {
              code: 'length_exceeded',
              reason: 'output runs beyond 40 characters for a limit of 10 tokens',
              details: { drift_kind: 'token_count', cap: 40, max_tokens: 10, channel: 'content', choice: 0 },
            },
          },
        },
      ])
    }
    expect(await drift('x'.repeat(40), limited(10), tight)).toEqual([])
  })

  it.each([
    ['English prose', 'The committee adopted the proposal without amendment. '.repeat(10), 110],
    ['indented code', `${' '.repeat(60)}return x\n`.repeat(20), 120],
    ['a ruler', '-'.repeat(800), 16],
    ['a short limit', 'Internationalization considerations', 1],
    ['Chinese', '今天天气很好我们去公园散步吧'.repeat(10), 140],
    ['emoji', '👩‍👩‍👧‍👦'.repeat(40), 300],
    ['nothing asked for', '', 0],
  ])('lets %s through with the default settings', async (_, text, tokens) => {
    expect(await drift(text, limited(tokens))).toEqual([])
  })

  it('has no cap without a limit in the request', async () => {
    expect(await drift('x'.repeat(100_000), {}, tight)).toEqual([])
  })

  it('counts the channels of one choice together, each choice for itself, and neither envelope nor snapshots', async () => {
    const check = new ScopeDriftCheck(tight)
    const text = 'x'.repeat(30)
    const run = async (...channels: Parameters<typeof channelOf>[0][]) => {
      const pieces = channels.map((more, i) => ({ channel: channelOf({ key: `k${i}`, ...more }), text }))
      return (await inspectPieces(check, exchangeOf(limited(10)), pieces)).findings.map(f => `${f.channel}@${f.at}`)
    }
    expect(await run({}, { name: 'reasoning' })).toEqual(['k1@10'])
    expect(await run({}, { name: 'arguments' })).toEqual(['k1@10'])
    expect(await run({}, { choice: 1 })).toEqual([])
    expect(await run({}, { name: 'other' })).toEqual([])
    expect(await run({}, { snapshot: true })).toEqual([])
  })

  it('never comes before a marker that begins earlier and is not decided yet', async () => {
    const text = `${'x '.repeat(17)}SECRET//NOFORN ${'y'.repeat(20)}`
    for (let cut = 1; cut < text.length; cut++) {
      const [first] = await drift(text, limited(10), tight, [cut])
      expect(first).toMatchObject({ at: 34, verdict: { because: { code: 'marker' } } })
    }
  })

  it('is told once, after a marker that stands before it', async () => {
    const text = `SECRET//NOFORN ${'x'.repeat(60)} SECRET//REL `
    const every = Array.from({ length: text.length }, (_, i) => i)
    const told = (await drift(text, limited(10), tight, every)).map(f => f.at)
    expect(told).toEqual([0, 40, 76])
    const whole = await drift(text, limited(10), tight)
    expect(whole[0]?.at).toBe(0)
  })
})

it('finds the same first thing in any cutting', async () => {
  const unit = fc.constantFrom(
    'SECRET',
    '//',
    'NOFORN',
    'TS',
    'SCI',
    ' ',
    '\n',
    '(S) ',
    '(R) ',
    'The fox ',
    'x',
    '\u200b',
    'FOUO',
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(unit, { maxLength: 16 }),
      fc.array(fc.nat(80), { maxLength: 12 }),
      async (words, cuts) => {
        const text = words.join('')
        const facts: ExchangeFacts = { request: { maxOutputTokens: 10 } }
        const options = { charPerTokenEstimate: 4, tokenTolerance: 0, minimumChars: 0 }
        const first = async (at: number[]) => {
          const [found] = await drift(text, facts, options, at)
          return found === undefined ? 'nothing' : { at: found.at, verdict: found.verdict }
        }
        expect(await first(cuts)).toEqual(await first([]))
      },
    ),
    { numRuns: 300 },
  )
})
