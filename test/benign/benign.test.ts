/**
 * Ordinary traffic is not touched: every text as a prompt and as an answer, unary and streamed in odd pieces, through the
 * default checks. A gate that cries wolf is switched off.
 */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { TokenBudgetCheck } from '../../src/checks/token-budget.ts'
import { defaultPipeline } from '../../src/config/default-pipeline.ts'
import { chunk, DONE, event } from '../bypass/chat-answers.ts'
import { type Answer, type ScriptedUpstream, startScriptedUpstream } from '../bypass/upstream.ts'
import { BENIGN } from '../corpus/benign.ts'
import { startTestGate, type TestGate } from '../support/gate.ts'

const CLOSE_CALLS = [
  'Please check the item(s) on the list and tick the box(es).',
  '(c) 2024 Example Ltd. All rights reserved.',
  '(C) 2024 Example Ltd. (S) and (TS) are sizes: small, tall slim.',
  'Option (s) is for small, option (c) is for classic.',
  'Ask her if the parcel came.',
  'Dan did all he could. Do something now, Dan, or do anything you like later.',
  'मेरा नाम दान है और मुझे पढ़ना पसंद है। क्या आप मुझे रास्ता बता सकते हैं?',
  'می\u200cخواهم بدانم که کتاب\u200cها کجا هستند.',
  'The whole family 👨\u200d👩\u200d👧\u200d👦 and a rainbow 🏳️\u200d🌈.',
  'system: linux\nuser: alice\nassistant: none\nroles:\n  - system: build\n  - user: deploy\n',
  '```yaml\nservices:\n  web:\n    image: nginx\n    user: "1000"\n    system: true\n```',
  'def secret(n: int) -> int:\n    """Not a secret."""\n    return n // 2  # TOP of the list\n',
  'SELECT * FROM secret_santa WHERE year = 2024; -- top secret gifts',
  'Victoria\u2019s Secret and Top Secret Recipes are brand names.',
  'The secret // the plan // the house are three films.',
  'C:\\Users\\dan\\secret\\noforn.txt is just a path; http://example.com//secret too.',
  'The unclassified star was later classified as a red giant. Confidential? No.',
  'sk-learn and sk-image are packages; sk- is a prefix; ghp_ is another; AKIA is a start.',
  'data: [DONE] is how the stream ends.\n\ndata: {"choices":[]}\n\n: comment',
  'Line one\u2028line two\u2029line three\u0085line four',
  'Null \\u0000 escapes, "quotes", back\\slashes and </script> tags.',
  '{"tool_calls":[{"function":{"name":"delete_account","arguments":"{}"}}]}',
  '[signet refused the tool call x] is a sentence about signet.',
] as const

const texts = [...CLOSE_CALLS.map(text => ({ kind: 'close calls', text })), ...BENIGN]
const kinds = Map.groupBy(texts, t => t.kind)

const unary = (text: string): Answer => ({
  contentType: 'application/json',
  writes: [
    Buffer.from(
      JSON.stringify({
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1,
        model: 'm',
        choices: [{ index: 0, message: { role: 'assistant', content: text, refusal: null }, finish_reason: 'stop' }],
      }),
    ),
  ],
})

/** Deltas of one to seven code points, network writes of thirteen bytes. */
function streamed(text: string): Answer {
  const points = [...text]
  const events: Uint8Array[] = [event(chunk([{ index: 0, delta: { role: 'assistant', content: '' } }]))]
  for (let at = 0, n = 1; at < points.length; at += n, n = (n % 7) + 1) {
    events.push(
      event(chunk([{ index: 0, delta: { content: points.slice(at, at + n).join('') }, finish_reason: null }])),
    )
  }
  events.push(event(chunk([{ index: 0, delta: {}, finish_reason: 'stop' }])), DONE)
  const all = Buffer.concat(events)
  const size = Math.max(13, Math.ceil(all.length / 200))
  const writes = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.subarray(i * size, (i + 1) * size))
  return { contentType: 'text/event-stream', writes }
}

describe('benign traffic', () => {
  let gate: TestGate
  let upstream: ScriptedUpstream
  let count = 0
  beforeAll(async () => {
    upstream = await startScriptedUpstream()
    const limits = new Set(['rate_limit', 'token_budget'])
    const checks = defaultPipeline({ demo: true }).checks.filter(c => !limits.has(c.name))
    gate = await startTestGate({
      upstreamUrl: upstream.url,
      checks: [...checks, new RateLimitCheck({ capacity: 1_000_000 }), new TokenBudgetCheck({ cap: 1_000_000_000 })],
    })
    expect(checks.map(c => c.name)).toContain('prompt_injection')
  })
  afterAll(async () => {
    await gate.close()
    await upstream.close()
  })

  /** What became of one exchange: `undefined` when nothing was touched. */
  async function touched(messages: readonly unknown[], answer: Answer, stream: boolean): Promise<string | undefined> {
    const model = `m-${count++}`
    upstream.script(model, answer)
    const res = await fetch(`${gate.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
      body: JSON.stringify({ model, stream, messages }),
    })
    const got = (await res.text()).replace(/^: signet-receipt \S+\n\n/gm, '')
    if (res.status === 200 && got === Buffer.concat(answer.writes).toString()) return undefined
    return `${res.status} ${got.slice(0, 200)}`
  }

  async function alarms(list: readonly string[]): Promise<readonly string[]> {
    const out: string[] = []
    const queue = [...list]
    const work = async () => {
      for (let text = queue.shift(); text !== undefined; text = queue.shift()) {
        const roles = [{ role: 'user', content: text }]
        const asked = await touched(roles, unary('Understood.'), false)
        const answered = await touched([{ role: 'user', content: 'Go on.' }], unary(text), false)
        const told = await touched([{ role: 'user', content: 'Go on.' }], streamed(text), true)
        // The answer comes back as history.
        const later = await touched(
          [{ role: 'user', content: 'Go on.' }, { role: 'assistant', content: text }, ...roles],
          streamed('Fine.'),
          true,
        )
        for (const [where, what] of Object.entries({ asked, answered, told, later })) {
          if (what !== undefined) out.push(`${where}: ${text.slice(0, 80)} => ${what}`)
        }
      }
    }
    await Promise.all(Array.from({ length: 6 }, work))
    return out
  }

  it('covers at least 150 sentences in ten languages', () => {
    expect(texts.length).toBeGreaterThanOrEqual(150)
    expect([...kinds.keys()].filter(k => k.length === 2).length).toBeGreaterThanOrEqual(10)
  })

  it.each([...kinds].map(([kind, list]) => [kind, list.map(t => t.text)] as const))('%s', async (_, list) => {
    expect(await alarms(list)).toEqual([])
  })

  it('a document of 200 KB', async () => {
    const sentences = (kinds.get('en') ?? []).map(t => t.text)
    let text = ''
    for (let i = 0; text.length < 200_000; i += 1) text += `${i}. ${sentences[i % sentences.length] ?? ''}\n`
    expect(await alarms([text])).toEqual([])
  })

  it('a long picture as a data URL, beside text', async () => {
    const bytes = Buffer.concat(Array.from({ length: 4000 }, (_, i) => createHash('sha256').update(`${i}`).digest()))
    const url = `data:image/png;base64,${bytes.toString('base64')}`
    const content = [
      { type: 'text', text: 'What is in this picture?' },
      { type: 'image_url', image_url: { url, detail: 'low' } },
    ]
    expect(await touched([{ role: 'user', content }], unary('A harbour at dusk.'), false)).toBeUndefined()
    expect(await touched([{ role: 'user', content }], streamed('A harbour at dusk.'), true)).toBeUndefined()
  })

  it('tool results and declarations in every language of the corpus', async () => {
    const own = [...kinds].filter(([kind]) => kind.length === 2).flatMap(([, list]) => list.slice(0, 3))
    const out: string[] = []
    for (const { text } of own) {
      const messages = [
        { role: 'user', content: 'Look it up.' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              id: 'c1',
              type: 'function',
              function: { name: 'search_orders', arguments: JSON.stringify({ query: text }) },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'c1', content: text },
      ]
      const what = await touched(messages, unary(text), false)
      if (what !== undefined) out.push(`${text.slice(0, 80)} => ${what}`)
    }
    expect(out).toEqual([])
  })
})
