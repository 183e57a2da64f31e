import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ContinuingConsentCheck, type ContinuingConsentOptions } from './continuing-consent.ts'
import { channelOf, exchangeOf, inspectPieces, inspectText } from './testing.ts'

/** Consents this many times. */
function consenting(times: number, options: Partial<ContinuingConsentOptions> = {}) {
  let asked = 0
  const check = new ContinuingConsentCheck({ checkEveryChars: 10, revalidate: () => asked++ < times, ...options })
  return { check, asked: () => asked }
}

describe('continuing_consent', () => {
  it('asks before the first character and before every tenth', async () => {
    for (const [length, questions] of [
      [0, 0],
      [1, 1],
      [10, 1],
      [11, 2],
      [45, 5],
    ] as const) {
      const { check, asked } = consenting(99)
      expect((await inspectText(check, exchangeOf(), 'x'.repeat(length), [3, 4, 20])).findings).toEqual([])
      expect(asked()).toBe(questions)
    }
  })

  it('ends the output where consent ends, and releases nothing behind that place', async () => {
    const { check, asked } = consenting(2)
    const { findings, releasable } = await inspectText(check, exchangeOf(), 'x'.repeat(50), [5, 35])
    expect(findings).toEqual([
      {
        channel: 'content:0',
        at: 20,
        ranges: undefined,
        verdict: {
          kind: 'block',
          because: {
            code: 'consent_withdrawn',
            reason: 'owner consent withdrawn during stream',
            details: { offset: 20 },
          },
        },
      },
    ])
    expect(releasable.get('content:0')?.slice(0, 2)).toEqual([5, 20])
    expect(asked()).toBe(3)
  })

  it('counts over all channels of the exchange, without what a snapshot repeats', async () => {
    const { check } = consenting(2)
    const { findings } = await inspectPieces(check, exchangeOf(), [
      { channel: channelOf(), text: 'x'.repeat(8) },
      { channel: channelOf({ key: 'snapshot', snapshot: true }), text: 'x'.repeat(100) },
      { channel: channelOf({ key: 'reasoning:0', name: 'reasoning' }), text: 'x'.repeat(8) },
      { channel: channelOf(), text: 'x'.repeat(8) },
    ])
    expect(findings.map(f => `${f.channel}@${f.at}`)).toEqual(['content:0@12'])
  })

  it('starts afresh with every exchange', async () => {
    const { check, asked } = consenting(99)
    await inspectText(check, exchangeOf(), 'x')
    await inspectText(check, exchangeOf(), 'x')
    expect(asked()).toBe(2)
  })

  it.each<[string, () => unknown]>([
    ['says no', () => false],
    ['says no later', async () => false],
    [
      'throws',
      () => {
        throw new TypeError('hunter2')
      },
    ],
    ['rejects', () => Promise.reject(new TypeError('hunter2'))],
    [
      'throws nothing in particular',
      () => {
        throw undefined
      },
    ],
    ['answers with a string', () => 'false'],
    ['answers with nothing', () => undefined],
    ['answers 1', async () => 1],
  ])('ends the output when the revalidation %s', async (_, revalidate) => {
    const check = new ContinuingConsentCheck({ revalidate: revalidate as () => boolean })
    const { findings } = await inspectText(check, exchangeOf(), 'hello')
    expect(findings).toMatchObject([{ at: 0, verdict: { kind: 'block', because: { code: 'consent_withdrawn' } } }])
    expect(JSON.stringify(findings)).not.toContain('hunter2')
  })

  it('hands the exchange and the abort signal to the revalidation', async () => {
    const seen: unknown[] = []
    const check = new ContinuingConsentCheck({
      revalidate: (x, signal) => {
        seen.push(x.owner.id, signal.aborted)
        return true
      },
    })
    await inspectText(check, exchangeOf(), 'hello')
    expect(seen).toEqual(['alice', false])
  })

  it('asks one question at a time', async () => {
    let open = 0
    const check = new ContinuingConsentCheck({
      checkEveryChars: 1,
      revalidate: async () => {
        expect(++open).toBe(1)
        await Promise.resolve()
        open--
        return true
      },
    })
    expect((await inspectText(check, exchangeOf(), 'x'.repeat(30), [7])).findings).toEqual([])
  })

  it('ends at the same place in any cutting, whether answers come at once or later', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(80),
        fc.nat(8),
        fc.array(fc.nat(80), { maxLength: 10 }),
        fc.boolean(),
        async (length, times, cuts, later) => {
          const run = async (at: readonly number[], slow: boolean) => {
            let asked = 0
            const answer = () => asked++ < times
            const revalidate = slow ? async () => answer() : answer
            const check = new ContinuingConsentCheck({ checkEveryChars: 10, revalidate })
            const { findings } = await inspectText(check, exchangeOf(), 'x'.repeat(length), at)
            return { findings, asked }
          }
          expect(await run(cuts, later)).toEqual(await run([], false))
        },
      ),
    )
  })
})
