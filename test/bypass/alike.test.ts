/** The same answer, unary and streamed: the same verdict, the same text, the same calls. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RegexOutputCheck } from '../../src/checks/regex-output.ts'
import { ScopeDriftCheck } from '../../src/checks/scope-drift.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { DEMO_REGISTRY, startTestGate, type TestGate } from '../support/gate.ts'
import { CHAT } from './chat.ts'
import { chunk, DONE, event, type Fields } from './chat-answers.ts'
import { type Released, read } from './released.ts'
import { FORBIDDEN, type Mode, SECRET } from './surface.ts'
import { type Answer, type ScriptedUpstream, startScriptedUpstream } from './upstream.ts'

interface Script {
  readonly choices: readonly {
    readonly reasoning: string
    readonly content: string
    readonly refusal: string
    readonly calls: readonly { readonly name: string; readonly arguments: string }[]
  }[]
  /** Characters per streamed piece. */
  readonly cut: number
}

/** By code points: half a surrogate pair is no JSON text. */
const pieces = (text: string, cut: number) => {
  const points = [...text]
  return Array.from({ length: Math.ceil(points.length / cut) }, (_, i) => points.slice(i * cut, (i + 1) * cut).join(''))
}
const finish = (c: Script['choices'][number]) => (c.calls.length > 0 ? 'tool_calls' : 'stop')

function streamed(s: Script): Answer {
  const writes: Uint8Array[] = []
  s.choices.forEach((c, index) => {
    const say = (delta: Fields, finish_reason: string | null = null) =>
      writes.push(event(chunk([{ index, delta, finish_reason }])))
    say({ role: 'assistant' })
    for (const piece of pieces(c.reasoning, s.cut)) say({ reasoning: piece })
    for (const piece of pieces(c.content, s.cut)) say({ content: piece })
    for (const piece of pieces(c.refusal, s.cut)) say({ refusal: piece })
    c.calls.forEach((call, i) => {
      const id = `call_${index}_${i}`
      say({ tool_calls: [{ index: i, id, type: 'function', function: { name: call.name, arguments: '' } }] })
      for (const piece of pieces(call.arguments, s.cut))
        say({ tool_calls: [{ index: i, function: { arguments: piece } }] })
    })
    say({}, finish(c))
  })
  return { contentType: 'text/event-stream', writes: [...writes, DONE] }
}

function whole(s: Script): Answer {
  const choices = s.choices.map((c, index) => ({
    index,
    message: {
      role: 'assistant',
      reasoning: c.reasoning,
      content: c.content === '' ? null : c.content,
      refusal: c.refusal === '' ? null : c.refusal,
      ...(c.calls.length === 0
        ? {}
        : { tool_calls: c.calls.map((f, i) => ({ id: `call_${index}_${i}`, type: 'function', function: f })) }),
    },
    finish_reason: finish(c),
  }))
  return {
    contentType: 'application/json',
    writes: [
      Buffer.from(JSON.stringify({ id: 'chatcmpl-9', object: 'chat.completion', created: 1, model: 'm', choices })),
    ],
  }
}

/** What a client is left with. */
function outcome(r: Released) {
  const code = (r.own?.['error'] as { code?: string } | undefined)?.code
  if (r.status === 202 || code === 'escalated') return { verdict: 'held' }
  if (r.own !== undefined) return { verdict: 'refused', check: r.own['check'], stage: r.own['stage'] }
  const said: Record<string, string> = {}
  for (const [pointer, text] of r.joined) {
    const field = /^\/choices\/([0-9]+)\/(?:delta|message)\/(content|reasoning|refusal)$/.exec(pointer)
    if (field !== null && text !== '') said[`${field[1]} ${field[2]}`] = text
    const call =
      /^\/choices\/([0-9]+)\/(?:delta|message)\/tool_calls\/([0-9]+)\/(id|function\/(?:name|arguments))$/.exec(pointer)
    if (call !== null && text !== '') said[`${call[1]} call ${call[2]} ${call[3]}`] = text
    const reason = /^\/choices\/([0-9]+)\/finish_reason$/.exec(pointer)
    if (reason !== null) said[`${reason[1]} finish`] = text
  }
  return { verdict: 'delivered', said }
}

const NEUTRAL = ['Good morning. ', 'The harbour is calm. ', 'orchid-', 'sk-', 'nightfall ', 'ünïcode 🦁 ', '']
const texts = fc
  .array(fc.constantFrom(...NEUTRAL, ...NEUTRAL, ...NEUTRAL, `${SECRET} `, `key ${SECRET}. `, `${FORBIDDEN} `), {
    maxLength: 3,
  })
  .map(list => list.join(''))
const calls = fc.array(
  fc.record({
    name: fc.constantFrom(
      'get_weather',
      'get_weather',
      'search_orders',
      'format_disk',
      'delete_account',
      'issue_refund',
    ),
    arguments: fc.constantFrom('{"city":"Oslo"}', '{}', '{"query":"a \\"b\\""}', `{"q":"${SECRET}"}`, '{"a":1,"a":2}'),
  }),
  { maxLength: 3 },
)
const scripts: fc.Arbitrary<Script> = fc.record({
  choices: fc.array(
    fc.record({ reasoning: texts, content: texts, refusal: fc.constantFrom('', '', 'I cannot.'), calls }),
    {
      minLength: 1,
      maxLength: 2,
    },
  ),
  cut: fc.integer({ min: 1, max: 9 }),
})

describe('unary and streamed', () => {
  let gate: TestGate
  let upstream: ScriptedUpstream
  let count = 0
  beforeAll(async () => {
    upstream = await startScriptedUpstream()
    gate = await startTestGate({
      upstreamUrl: upstream.url,
      checks: [
        new OwnerResolutionCheck(),
        new RegexOutputCheck({
          patterns: [
            { pattern: FORBIDDEN, action: 'block', label: 'codename' },
            { pattern: 'sk-test-[A-Za-z0-9]{8,40}', action: 'redact', label: 'key' },
          ],
        }),
        new ScopeDriftCheck(),
        new ToolCallInspectorCheck({ registry: DEMO_REGISTRY }),
      ],
    })
  })
  afterAll(async () => {
    await gate.close()
    await upstream.close()
  })

  const ask = async (answer: Answer, mode: Mode) => {
    const model = `m-${count++}`
    upstream.script(model, answer)
    const res = await fetch(`${gate.url}${CHAT.path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
      body: JSON.stringify(CHAT.request(model, { mode, choice: 0 }, [])),
    })
    return outcome(read(CHAT.reading, res.status, res.headers.get('content-type') ?? '', await res.text()))
  }
  const alike = async (s: Script) => {
    const [one, other] = [await ask(whole(s), 'unary'), await ask(streamed(s), 'stream')]
    expect(other).toEqual(one)
    return one
  }

  const plain = { reasoning: '', content: '', refusal: '', calls: [] }
  const call = (name: string, args = '{}') => ({ name, arguments: args })
  it.each([
    ['a plain answer', [{ ...plain, content: 'Good morning.' }], 'delivered'],
    ['a secret in both channels', [{ ...plain, reasoning: `a ${SECRET} b`, content: `${SECRET}!` }], 'delivered'],
    ['forbidden reasoning', [{ ...plain, reasoning: `so ${FORBIDDEN}`, content: 'Hello' }], 'refused'],
    ['forbidden second choice', [plain, { ...plain, content: FORBIDDEN }], 'refused'],
    ['allowed calls', [{ ...plain, calls: [call('get_weather'), call('search_orders')] }], 'delivered'],
    [
      'text, then refused and allowed calls',
      [
        {
          ...plain,
          content: 'Let me look.',
          calls: [call('format_disk'), call('get_weather'), call('delete_account')],
        },
      ],
      'delivered',
    ],
    ['only refused calls', [{ ...plain, calls: [call('format_disk'), call('delete_account')] }], 'delivered'],
    ['a held call', [{ ...plain, calls: [call('get_weather'), call('issue_refund')] }], 'held'],
    [
      'a held call, then forbidden text',
      [
        { ...plain, calls: [call('issue_refund')] },
        { ...plain, content: FORBIDDEN },
      ],
      'refused',
    ],
    ['forbidden arguments', [{ ...plain, calls: [call('get_weather', `{"city":"${FORBIDDEN}"}`)] }], 'refused'],
    ['secret arguments', [{ ...plain, calls: [call('get_weather', `{"city":"${SECRET}"}`)] }], 'delivered'],
  ] as const)('decide alike: %s', async (_, choices, verdict) => {
    for (const cut of [1, 4, 1000]) expect((await alike({ choices, cut })).verdict).toBe(verdict)
  })

  it('decide alike whatever the model says', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async s => {
        await alike(s)
      }),
      { numRuns: 150 },
    )
  })
})
