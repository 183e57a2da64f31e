/** The same message, unary and streamed: the same verdict, the same blocks, the same stop reason. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { begin, delta, END, finish, json, start, stop } from '../../src/dialects/messages.test-support.ts'
import { startTestGate, type TestGate } from '../support/gate.ts'
import { checks } from './checks.ts'
import { MESSAGES } from './messages.ts'
import { message, streamed, whole } from './messages-answers.ts'
import { read } from './released.ts'
import { FORBIDDEN, type Mode, SECRET } from './surface.ts'
import { type Answer, type ScriptedUpstream, startScriptedUpstream } from './upstream.ts'

type Said = { readonly kind: 'text' | 'thinking' | 'signed'; readonly text: string }
type Call = { readonly kind: 'call' | 'server'; readonly name: string; readonly input: string }
type Block = Said | Call

interface Script {
  readonly blocks: readonly Block[]
  /** Characters per streamed piece. */
  readonly cut: number
}

const SIGNATURE = 'U0lHTkVE'.repeat(20)

/** By code points: half a surrogate pair is no JSON text. */
function pieces(text: string, cut: number): string[] {
  const points = [...text]
  return Array.from({ length: Math.ceil(points.length / cut) }, (_, i) => points.slice(i * cut, (i + 1) * cut).join(''))
}

const stopOf = (blocks: readonly Block[]) => (blocks.some(b => b.kind === 'call') ? 'tool_use' : 'end_turn')
const typeOf = (call: Call) => (call.kind === 'call' ? 'tool_use' : 'server_tool_use')

function inStream({ blocks, cut }: Script): Answer {
  const events = blocks.map((b, i) => {
    if (!('text' in b)) {
      const said = pieces(b.input, cut).map(piece => json(i, piece))
      return begin(i, { type: typeOf(b), id: `toolu_${i}`, name: b.name, input: {} }) + said.join('') + stop(i)
    }
    if (b.kind === 'text') {
      const said = pieces(b.text, cut).map(text => delta(i, { type: 'text_delta', text }))
      return begin(i, { type: 'text', text: '' }) + said.join('') + stop(i)
    }
    const said = pieces(b.text, cut).map(thinking => delta(i, { type: 'thinking_delta', thinking }))
    const signature = b.kind === 'signed' ? delta(i, { type: 'signature_delta', signature: SIGNATURE }) : ''
    const empty = { type: 'thinking', thinking: '', ...(b.kind === 'signed' ? { signature: '' } : {}) }
    return begin(i, empty) + said.join('') + signature + stop(i)
  })
  return streamed(start() + events.join('') + finish(stopOf(blocks)) + END)
}

function inBody({ blocks }: Script): Answer {
  const content = blocks.map((b, i) => {
    if (!('text' in b)) {
      return { type: typeOf(b), id: `toolu_${i}`, name: b.name, input: JSON.parse(b.input) as unknown }
    }
    if (b.kind === 'text') return { type: 'text', text: b.text }
    return { type: 'thinking', thinking: b.text, ...(b.kind === 'signed' ? { signature: SIGNATURE } : {}) }
  })
  return whole(message(content, { stop_reason: stopOf(blocks) }))
}

interface Wire {
  readonly type?: string
  readonly content?: readonly Readonly<Record<string, unknown>>[]
  readonly stop_reason?: unknown
  readonly delta?: Readonly<Record<string, unknown>>
  readonly content_block?: Readonly<Record<string, unknown>>
}

/** The blocks as a client is left with them. */
function blocksOf(text: string, isStream: boolean): { readonly blocks: unknown; readonly stop: unknown } {
  if (!isStream) {
    const { content, stop_reason } = JSON.parse(text) as Wire
    return { blocks: content, stop: stop_reason }
  }
  const blocks: Record<string, unknown>[] = []
  let input = ''
  let reason: unknown
  for (const [, data = '{}'] of text.matchAll(/^data: (.*)$/gm)) {
    const event = JSON.parse(data) as Wire
    const last = blocks.at(-1)
    if (event.type === 'content_block_start') {
      blocks.push({ ...event.content_block })
      input = ''
    } else if (event.type === 'content_block_delta' && last !== undefined) {
      for (const key of ['text', 'thinking', 'signature']) {
        if (event.delta?.[key] !== undefined) last[key] = `${String(last[key] ?? '')}${String(event.delta[key])}`
      }
      input += String(event.delta?.['partial_json'] ?? '')
    } else if (event.type === 'content_block_stop' && last !== undefined && input !== '') {
      last['input'] = JSON.parse(input)
    } else if (event.type === 'message_delta') reason = event.delta?.['stop_reason']
  }
  return { blocks, stop: reason }
}

const NEUTRAL = ['Good morning. ', 'The harbour is calm. ', 'orchid-', 'sk-', 'nightfall ', 'ünïcode 🦁 ', '']
const texts = fc
  .array(fc.constantFrom(...NEUTRAL, ...NEUTRAL, ...NEUTRAL, `${SECRET} `, `key ${SECRET}. `, `${FORBIDDEN} `), {
    maxLength: 3,
  })
  .map(list => list.join(''))
const TOOLS = ['get_weather', 'get_weather', 'search_orders', 'format_disk', 'delete_account', 'issue_refund'] as const
const blocks: fc.Arbitrary<Block> = fc.oneof(
  fc.record({ kind: fc.constantFrom('text', 'text', 'thinking', 'signed'), text: texts }),
  fc.record({
    kind: fc.constant('call' as const),
    name: fc.constantFrom(...TOOLS),
    input: fc.constantFrom('{"city":"Oslo"}', '{}', '{"query":"a \\"b\\""}', `{"q":"${SECRET}"}`),
  }),
  fc.record({
    kind: fc.constant('server' as const),
    name: fc.constant('web_search'),
    // In a body the values of one field are read as one text, so the secret ends where the next one begins.
    input: fc.constantFrom('{"query":"weather"}', '{}', '{"query":"a \\"b\\" 🦁"}', `{"q":["x","${SECRET}."]}`),
  }),
)
const scripts: fc.Arbitrary<Script> = fc.record({
  blocks: fc.array(blocks, { maxLength: 5 }),
  cut: fc.integer({ min: 1, max: 9 }),
})

describe('a message, unary and streamed', () => {
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

  const ask = async (answer: Answer, mode: Mode) => {
    const model = `m-${count++}`
    upstream.script(model, answer)
    const res = await fetch(`${gate.url}${MESSAGES.path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': `human:${model}@example.com` },
      body: JSON.stringify(MESSAGES.request(model, { mode, choice: 0 }, [])),
    })
    const type = res.headers.get('content-type') ?? ''
    const { status, own, upstream: said } = read(MESSAGES.reading, res.status, type, await res.text())
    if (own !== undefined && 'escalation_id' in own) return { verdict: 'held' }
    // By which check: in a stream by whatever stands first, a redaction that cannot be written say.
    if (own !== undefined) return { verdict: 'refused', stage: own['stage'] }
    return { verdict: 'delivered', status, ...blocksOf(said, type.startsWith('text/event-stream')) }
  }
  const alike = async (s: Script) => {
    const [one, other] = [await ask(inBody(s), 'unary'), await ask(inStream(s), 'stream')]
    expect(other).toEqual(one)
    return one
  }

  const text = (said: string): Block => ({ kind: 'text', text: said })
  const call = (name: string, input = '{}'): Block => ({ kind: 'call', name, input })
  it.each<readonly [string, readonly Block[], string]>([
    ['a plain answer', [text('Good morning.')], 'delivered'],
    ['no answer', [], 'delivered'],
    ['a secret in thinking and in text', [{ kind: 'thinking', text: `a ${SECRET}` }, text(`${SECRET}!`)], 'delivered'],
    ['a secret in signed thinking', [{ kind: 'signed', text: `a ${SECRET}` }, text('Hello')], 'refused'],
    ['forbidden thinking', [{ kind: 'thinking', text: `so ${FORBIDDEN}` }, text('Hello')], 'refused'],
    ['forbidden text over two blocks', [text(FORBIDDEN.slice(0, 7)), text(FORBIDDEN.slice(7))], 'refused'],
    ['allowed calls', [call('get_weather'), call('search_orders')], 'delivered'],
    [
      'text, then refused and allowed calls',
      [text('Let me look.'), call('format_disk'), call('get_weather'), call('delete_account')],
      'delivered',
    ],
    ['only refused calls', [call('format_disk'), call('delete_account')], 'delivered'],
    ['a held call', [call('get_weather'), call('issue_refund')], 'held'],
    ['a held call, then forbidden text', [call('issue_refund'), text(FORBIDDEN)], 'refused'],
    [
      'a secret in signed thinking, then a held call',
      [{ kind: 'signed', text: SECRET }, call('issue_refund')],
      'refused',
    ],
    [
      'a held call, then a secret in signed thinking',
      [call('issue_refund'), { kind: 'signed', text: SECRET }],
      'refused',
    ],
    ['forbidden arguments', [call('get_weather', `{"city":"${FORBIDDEN}"}`)], 'refused'],
    ['secret arguments', [call('get_weather', `{"city":"${SECRET}"}`)], 'delivered'],
    ['a secret in a search', [{ kind: 'server', name: 'web_search', input: `{"query":"${SECRET}"}` }], 'delivered'],
  ])('decides alike: %s', async (_, said, verdict) => {
    for (const cut of [1, 4, 1000]) expect((await alike({ blocks: said, cut })).verdict).toBe(verdict)
  })

  it('decides alike whatever the model says', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async s => {
        await alike(s)
      }),
      { numRuns: 150 },
    )
  })
})
