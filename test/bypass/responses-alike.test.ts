/** The same answer, unary and streamed: the same verdict and the same output; and all events of a stream tell the same. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestGate, type TestGate } from '../support/gate.ts'
import { checks } from './checks.ts'
import { type Released, read } from './released.ts'
import { RESPONSES } from './responses.ts'
import {
  added,
  done,
  type Event,
  type Fields,
  item,
  message,
  says,
  type Told,
  together,
  told,
} from './responses-answers.ts'
import { FORBIDDEN, type Mode, SECRET } from './surface.ts'
import { type ScriptedUpstream, startScriptedUpstream } from './upstream.ts'

type Said = { readonly kind: 'text' | 'summary' | 'refusal' | 'search'; readonly text: string }
type Call = { readonly kind: 'call' | 'custom' | 'shell'; readonly name: string; readonly input: string }
type Item = Said | Call

interface Script {
  readonly items: readonly Item[]
  /** Characters per streamed piece. */
  readonly cut: number
}

/** By code points: half a surrogate pair is no JSON text. */
function pieces(text: string, cut: number): string[] {
  const points = [...text]
  return Array.from({ length: Math.ceil(points.length / cut) }, (_, i) => points.slice(i * cut, (i + 1) * cut).join(''))
}

function inPieces(full: Fields, output: number, kind: string, field: string, all: string, cut: number): Told {
  const at = { item_id: full['id'], output_index: output, content_index: 0, summary_index: 0 }
  const said = pieces(all, cut).map((delta): Event => ({ type: `response.${kind}.delta`, members: { ...at, delta } }))
  const whole: Event = { type: `response.${kind}.done`, members: { ...at, [field]: all } }
  return { events: [...said, whole, done(full, output)], output: [full] }
}

function tell(one: Item, i: number, cut: number): Told {
  switch (one.kind) {
    case 'text':
      return says(pieces(one.text, cut), { output: i })
    case 'summary': {
      const full = { id: `rs_${i}`, type: 'reasoning', summary: [{ type: 'summary_text', text: one.text }] }
      return inPieces(full, i, 'reasoning_summary_text', 'text', one.text, cut)
    }
    case 'refusal':
      return inPieces(message([{ type: 'refusal', refusal: one.text }], i), i, 'refusal', 'refusal', one.text, cut)
    case 'search':
      return item({ id: `ws_${i}`, type: 'web_search_call', action: { type: 'search', query: one.text } }, i)
    case 'call':
    case 'custom': {
      const [type, field] = one.kind === 'call' ? ['function_call', 'arguments'] : ['custom_tool_call', 'input']
      const full = { id: `it_${i}`, type, call_id: `call_${i}`, name: one.name, [field ?? '']: one.input }
      const kind = one.kind === 'call' ? 'function_call_arguments' : 'custom_tool_call_input'
      const t = inPieces(full, i, kind, field ?? '', one.input, cut)
      return { ...t, events: [added({ ...full, [field ?? '']: '' }, i), ...(t.events ?? [])] }
    }
    case 'shell':
      return item({ id: `sh_${i}`, type: 'shell_call', call_id: `call_${i}`, action: { commands: [one.input] } }, i)
  }
}

interface Output {
  readonly id: string
  readonly type: string
  readonly content?: readonly { readonly text?: string; readonly refusal?: string }[]
  readonly summary?: readonly { readonly text: string }[]
  readonly arguments?: string
  readonly input?: string
}

/** What a client is left with. */
function outcome(r: Released) {
  const code = (r.own?.['error'] as { code?: string } | undefined)?.code
  if (r.status === 202 || code === 'escalated') return { verdict: 'held' }
  if (r.own !== undefined) return { verdict: 'refused', check: r.own['check'], stage: r.own['stage'] }
  if (r.text.startsWith('{')) {
    const { output, output_text } = JSON.parse(r.text) as Fields
    return { verdict: 'delivered', output, output_text }
  }
  const events = [...r.upstream.matchAll(/^data: (.*)$/gm)].map(m => JSON.parse(m[1] ?? '{}') as Fields)
  // Numbers without a gap, whatever was taken out or put in.
  expect(events.map(e => e['sequence_number'])).toEqual(events.map((_, i) => i))
  const last = events.at(-1)?.['response']
  const { output, output_text } = last as { output: readonly Output[]; output_text: unknown }
  const streamed = new Map<number, string>()
  const finished = new Map<number, unknown>()
  for (const e of events) {
    const at = Number(e['output_index'])
    if (String(e['type']).endsWith('.delta')) streamed.set(at, (streamed.get(at) ?? '') + String(e['delta']))
    if (e['type'] === 'response.output_item.done') finished.set(at, e['item'])
  }
  output.forEach((one, i) => {
    expect(finished.get(i)).toEqual(one)
    const said = one.arguments ?? one.input ?? [...(one.content ?? []), ...(one.summary ?? [])].map(textOf).join('')
    expect(streamed.get(i) ?? '').toBe(said)
  })
  expect(finished.size).toBe(output.length)
  return { verdict: 'delivered', output, output_text }
}

const textOf = (part: { readonly text?: string; readonly refusal?: string }) => part.text ?? part.refusal ?? ''

const NEUTRAL = ['Good morning. ', 'The harbour is calm. ', 'orchid-', 'sk-', 'nightfall ', 'ünïcode 🦁 ', '']
const texts = fc
  .array(fc.constantFrom(...NEUTRAL, ...NEUTRAL, ...NEUTRAL, `${SECRET} `, `key ${SECRET}. `, `${FORBIDDEN} `), {
    maxLength: 3,
  })
  .map(list => list.join(''))
const names = ['get_weather', 'get_weather', 'search_orders', 'format_disk', 'delete_account', 'issue_refund']
const inputs = [
  '{"city":"Oslo"}',
  '{}',
  '{"query":"a \\"b\\""}',
  `{"q":"${SECRET}"}`,
  '{"a":1,"a":2}',
  '{"d":"sda-array"}',
]
const items: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ kind: fc.constantFrom('text', 'text', 'summary', 'refusal', 'search'), text: texts }),
  fc.record({
    kind: fc.constantFrom('call', 'call', 'custom', 'shell'),
    name: fc.constantFrom(...names),
    input: fc.constantFrom(...inputs),
  }),
)
const scripts: fc.Arbitrary<Script> = fc.record({
  items: fc.array(items, { minLength: 1, maxLength: 4 }),
  cut: fc.integer({ min: 1, max: 9 }),
})

describe('unary and streamed, responses', () => {
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

  const ask = async (t: Told, mode: Mode) => {
    const model = `m-${count++}`
    upstream.script(model, told(t, { mode }))
    const res = await fetch(`${gate.url}${RESPONSES.path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': `human:${model}@example.com` },
      body: JSON.stringify(RESPONSES.request(model, { mode, choice: 0 }, [])),
    })
    return outcome(read(RESPONSES.reading, res.status, res.headers.get('content-type') ?? '', await res.text()))
  }
  const alike = async (s: Script) => {
    const t = together(...s.items.map((one, i) => tell(one, i, s.cut)))
    const joined = s.items.flatMap(one => (one.kind === 'text' ? [one.text] : [])).join('')
    const whole = joined === '' ? t : { ...t, response: { output_text: joined } }
    const [one, other] = [await ask(whole, 'unary'), await ask(whole, 'stream')]
    expect(other).toEqual(one)
    return one
  }

  const say = (text: string, kind: Said['kind'] = 'text'): Said => ({ kind, text })
  const call = (name: string, input = '{}', kind: Call['kind'] = 'call'): Call => ({ kind, name, input })
  it.each<[string, Item[], string]>([
    ['a plain answer', [say('Good morning.')], 'delivered'],
    ['a secret in both channels', [say(`a ${SECRET} b`, 'summary'), say(`${SECRET}!`)], 'delivered'],
    ['a secret over two messages', [say('key sk-test-ab'), say('cdefgh1234 yes')], 'delivered'],
    ['forbidden reasoning', [say(`so ${FORBIDDEN}`, 'summary'), say('Hello')], 'refused'],
    ['forbidden text over three messages', [say('orchid-'), say('night'), say('fall')], 'refused'],
    ['a forbidden search', [say(`about ${FORBIDDEN}`, 'search')], 'refused'],
    ['allowed calls', [call('get_weather'), call('search_orders')], 'delivered'],
    [
      'text around refused and allowed calls',
      [say('Let me look.'), call('format_disk'), call('get_weather'), say('Well.'), call('delete_account')],
      'delivered',
    ],
    ['a refused shell call', [call('shell', 'rm sda-array', 'shell'), say('Done.')], 'delivered'],
    ['a held call', [call('get_weather'), call('issue_refund')], 'held'],
    ['a held call, then forbidden text', [call('issue_refund'), say(FORBIDDEN)], 'refused'],
    ['forbidden arguments', [call('get_weather', `{"city":"${FORBIDDEN}"}`)], 'refused'],
    ['secret arguments', [call('get_weather', `{"city":"${SECRET}"}`), say(SECRET)], 'delivered'],
  ])('decide alike: %s', async (_, list, verdict) => {
    for (const cut of [1, 4, 1000]) expect((await alike({ items: list, cut })).verdict).toBe(verdict)
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
