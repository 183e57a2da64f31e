/** The same text completion, unary and streamed: the same verdict, the same texts, the same finish reasons. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestGate, type TestGate } from '../support/gate.ts'
import { DONE } from './chat-answers.ts'
import { checks } from './checks.ts'
import { COMPLETIONS } from './completions.ts'
import { body, chunk, said } from './completions-answers.ts'
import { read } from './released.ts'
import { FORBIDDEN, type Mode, SECRET } from './surface.ts'
import { type Answer, type ScriptedUpstream, startScriptedUpstream } from './upstream.ts'

interface Script {
  readonly texts: readonly string[]
  /** Characters per streamed piece. */
  readonly cut: number
}

/** By code points: half a surrogate pair is no JSON text. */
function pieces(text: string, cut: number): string[] {
  const points = [...text]
  return Array.from({ length: Math.ceil(points.length / cut) }, (_, i) => points.slice(i * cut, (i + 1) * cut).join(''))
}

const streamed = ({ texts, cut }: Script): Answer => ({
  contentType: 'text/event-stream',
  writes: [
    ...texts.flatMap((text, index) => [
      ...pieces(text, cut).map(piece => said(piece, null, index)),
      said('', 'stop', index),
    ]),
    DONE,
  ],
})
const whole = ({ texts }: Script): Answer =>
  body(chunk(texts.map((text, index) => ({ index, text, logprobs: null, finish_reason: 'stop' }))))

const WORDS = ['Good morning. ', 'orchid-', 'sk-', 'nightfall ', 'ünïcode 🦁 ', '']
const texts = fc
  .array(fc.constantFrom(...WORDS, ...WORDS, `${SECRET} `, `key ${SECRET}. `, `${FORBIDDEN} `), { maxLength: 3 })
  .map(list => list.join(''))
const scripts: fc.Arbitrary<Script> = fc.record({
  texts: fc.array(texts, { minLength: 1, maxLength: 2 }),
  cut: fc.integer({ min: 1, max: 9 }),
})

describe('unary and streamed', () => {
  let gate: TestGate
  let upstream: ScriptedUpstream
  let count = 0
  beforeAll(async () => {
    upstream = await startScriptedUpstream()
    gate = await startTestGate({ upstreamUrl: upstream.url, checks: checks() })
  })
  afterAll(async () => {
    await gate.close()
    await upstream.close()
  })

  /** What a client is left with. */
  const ask = async (answer: Answer, mode: Mode) => {
    const model = `m-${count++}`
    upstream.script(model, answer)
    const res = await fetch(`${gate.url}${COMPLETIONS.path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
      body: JSON.stringify(COMPLETIONS.request(model, { mode, choice: 0 }, [])),
    })
    const { own, joined } = read(
      COMPLETIONS.reading,
      res.status,
      res.headers.get('content-type') ?? '',
      await res.text(),
    )
    if (own !== undefined) return { verdict: 'refused', check: own['check'], stage: own['stage'] }
    const fields = [...joined].filter(([at, text]) => /\/(text|finish_reason)$/.test(at) && text !== '')
    return { verdict: 'delivered', said: Object.fromEntries(fields) }
  }
  const alike = async (s: Script) => {
    const [one, other] = [await ask(whole(s), 'unary'), await ask(streamed(s), 'stream')]
    expect(other).toEqual(one)
    return one
  }

  it.each([
    ['plain texts', ['Good morning.', 'Good evening.'], 'delivered', 'Good morning.'],
    ['a secret', [`a ${SECRET} b`, 'c'], 'delivered', 'a [REDACTED] b'],
    ['forbidden second choice', ['a', `so ${FORBIDDEN}`], 'refused', undefined],
    ['halves in two choices', [FORBIDDEN.slice(0, 9), FORBIDDEN.slice(9)], 'delivered', FORBIDDEN.slice(0, 9)],
  ])('decide alike: %s', async (_, list, verdict, first) => {
    for (const cut of [1, 4, 1000]) {
      const got = await alike({ texts: list, cut })
      expect([got.verdict, got.said?.['/choices/0/text']]).toEqual([verdict, first])
    }
  })

  it('decide alike whatever the model says', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async s => {
        await alike(s)
      }),
      { numRuns: 100 },
    )
  })
})
