/** Each surface's answer reader and writer: nothing lost, nothing changed, the same in any cutting. */
import { fileURLToPath } from 'node:url'
import type { Dialect, Edit, Fault, Frame, RequestView } from '../../../src/core/wire.ts'
import { RedactionUnwritable } from '../../../src/dialects/redaction-unwritable.ts'
import { DIALECTS } from '../../../src/dialects/registry.ts'
import { SURFACES } from '../../bypass/cells.ts'
import { read } from '../corpus.ts'
import type { Random } from '../random.ts'
import { bytesOf, type Entry, equal, must, refusing, type Target } from '../target.ts'
import { buildJson } from './json.ts'
import { cutsOf } from './sse.ts'

/** Read once: the same request stands before every answer. */
const views = new Map<string, RequestView>()

function viewOf(dialect: Dialect, wantsStream: boolean): RequestView {
  const stream = wantsStream && dialect.carriers.some(c => c.modes.includes('stream'))
  const key = `${dialect.name} ${stream}`
  const known = views.get(key)
  if (known !== undefined) return known
  const asking = SURFACES[dialect.name]?.asking
  const body = asking === undefined ? '' : JSON.stringify(stream ? { ...asking, stream } : asking)
  const view = dialect.readRequest(bytesOf(body))
  if ('kind' in view) throw new Error(`${dialect.name} refuses what test/bypass asks it: ${view.message}`)
  views.set(key, view)
  return view
}

/** Answers as servers send them, which the golden tests of the dialect read as well. */
function transcripts(surface: string): readonly Entry[] {
  const folder = fileURLToPath(new URL(`../../../src/dialects/testdata/${surface}`, import.meta.url))
  return read(folder).filter(e => !e.name.endsWith('.parts.json'))
}

/** A body that begins as JSON does is a unary answer, anything else an event stream. */
const isStream = (bytes: Uint8Array) => bytes[0] !== 0x7b && bytes[0] !== 0x5b

function framesOf(dialect: Dialect, view: RequestView, bytes: Uint8Array, cuts: readonly number[]): (Frame | Fault)[] {
  const type = isStream(bytes) ? 'text/event-stream' : 'application/json'
  const reader = dialect.openResponse(view, 200, type)
  if ('kind' in reader) return [reader]
  const out: (Frame | Fault)[] = []
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    out.push(...reader.push(bytes.slice(from, cut)))
    from = Math.max(from, cut)
  }
  return [...out, ...reader.push(bytes.slice(from)), ...reader.end()]
}

function target(dialect: Dialect): Target {
  return {
    name: `answer-${dialect.name}`,
    words: [
      '"delta":{',
      '"content":"',
      '"tool_calls":[',
      '"index":0',
      '"choices":[',
      '"type":"',
      '"output":[',
      '"signet_abort":true',
      'data: [DONE]\n\n',
      '"finish_reason":"stop"',
    ],
    build: random => bytesOf(build(random, dialect.name)),
    seeds: () => transcripts(dialect.name),
    check: bytes => {
      const view = viewOf(dialect, isStream(bytes))
      const items = framesOf(dialect, view, bytes, [])
      equal(framesOf(dialect, view, bytes, cutsOf(bytes)), items, 'the frames, cut otherwise')
      const faults = items.filter(item => item.kind === 'fault')
      must(faults.length <= 1 && (faults.length === 0 || items.at(-1)?.kind === 'fault'), 'a fault is the last thing')
      const frames = items.filter(item => item.kind === 'frame')
      const raw = Buffer.concat(frames.map(f => f.raw))
      const forged = Buffer.from(bytes).includes('signet')
      // Signet's own fields are cut out of what upstream sends.
      if (!forged) must(raw.equals(Buffer.from(bytes.subarray(0, raw.length))), 'frames are the bytes that came')
      if (!forged && faults.length === 0) must(raw.length === bytes.length, 'every byte is in a frame')
      const writer = dialect.openWriter(view)
      for (const f of frames) must(writer.write(f, []) === f.raw, 'without edits the bytes are the same object')
      calls(frames, dialect.name !== 'responses')
      redact(dialect, view, frames)
    },
  }
}

/** Each call is whole exactly once, and no piece of it comes after, where the API does not repeat calls. */
function calls(frames: readonly Frame[], isSaidOnce: boolean): void {
  const done = new Set<string>()
  for (const part of frames.flatMap(f => f.parts)) {
    if (part.kind === 'callPiece') must(!isSaidOnce || !done.has(part.key), 'no piece of a call after the whole')
    if (part.kind !== 'callDone') continue
    must(!done.has(part.call.key), 'a call is done once')
    done.add(part.call.key)
  }
}

/** A redaction of any text is written, or refused with the one error for that. */
function redact(dialect: Dialect, view: RequestView, frames: readonly Frame[]): void {
  const writer = dialect.openWriter(view)
  for (const f of frames) {
    const edits = f.parts.flatMap((part, i): Edit[] =>
      part.kind === 'text' && part.text.length > 2
        ? [{ kind: 'text', part: i, edits: [{ from: 0, to: part.text.length, text: '[GONE]' }] }]
        : [],
    )
    const written = refusing(() => writer.write(f, edits), RedactionUnwritable)
    if (written === undefined) return
  }
}

const said = (random: Random) => random.pick(['Hello', ' world', 'sk-live', '\u2028', '\u{1F5FC}', '{"a":', '\\n', ''])

function build(random: Random, surface: string): string {
  const stream = random.chance(2)
  const list = random.list(6, () => piece(random, surface, stream))
  if (!stream) return JSON.stringify(whole(random, surface, list))
  const events = list.map(data => {
    const type = (data as { type?: unknown } | null)?.type
    const end = random.pick(['\n\n', '\n\n', '\r\n\r\n', '\r\r'])
    const name = typeof type === 'string' ? `event: ${type}${end.slice(0, end.length / 2)}` : ''
    return `${name}data: ${JSON.stringify(data)}${end}`
  })
  const last = ENDS[surface] ?? 'data: [DONE]\n\n'
  return events.join('') + (random.chance(3) ? '' : last)
}

const event = (data: { readonly type: string }) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`
const ENDS: Readonly<Record<string, string>> = {
  chat: 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
  completions: 'data: {"choices":[{"index":0,"text":"","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
  messages: event({ type: 'message_stop' }),
  responses: event({ type: 'response.completed' }),
}

function piece(random: Random, surface: string, stream: boolean): unknown {
  if (random.chance(15)) return buildJson(random)
  const index = random.pick([0, 0, 0, 1])
  switch (surface) {
    case 'chat': {
      const message = random.pick<unknown>([
        { role: 'assistant', content: said(random) },
        { content: [{ type: 'text', text: said(random) }, said(random)] },
        { reasoning_content: said(random), x_note: said(random) },
        { refusal: said(random) },
        { tool_calls: [{ index, id: 'c', type: 'function', function: { name: 'f', arguments: said(random) } }] },
        { tool_calls: [{ index, function: { arguments: said(random) } }] },
        { audio: { id: 'a', data: 'AAAA', transcript: said(random) } },
      ])
      return { choices: [{ index, [stream ? 'delta' : 'message']: message, finish_reason: null }] }
    }
    case 'completions':
      return { choices: [{ index, text: said(random), logprobs: random.pick([null, { tokens: [said(random)] }]) }] }
    case 'messages':
      return random.pick<unknown>([
        { type: 'message_start', message: { id: 'm', type: 'message', role: 'assistant', content: [] } },
        { type: 'content_block_start', index, content_block: { type: 'text', text: '' } },
        { type: 'content_block_start', index, content_block: { type: 'tool_use', id: 't', name: 'f', input: {} } },
        { type: 'content_block_delta', index, delta: { type: 'text_delta', text: said(random) } },
        { type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json: said(random) } },
        { type: 'content_block_stop', index },
        { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 3 } },
        { type: 'ping' },
      ])
    case 'responses':
      return random.pick<unknown>([
        { type: 'response.created', response: { id: 'r', status: 'in_progress', output: [] } },
        { type: 'response.output_item.added', output_index: index, item: { type: 'message', id: 'm', content: [] } },
        { type: 'response.output_text.delta', output_index: index, content_index: 0, delta: said(random) },
        { type: 'response.output_text.done', output_index: index, content_index: 0, text: said(random) },
        { type: 'response.function_call_arguments.delta', output_index: index, item_id: 'f', delta: said(random) },
        {
          type: 'response.output_item.done',
          output_index: index,
          item: { type: 'function_call', id: 'f', call_id: 'c', name: 'f', arguments: '{}' },
        },
        { type: 'response.new.thing', output_index: index, note: [said(random), said(random)] },
      ])
    default:
      return buildJson(random)
  }
}

function whole(random: Random, surface: string, list: readonly unknown[]): unknown {
  switch (surface) {
    case 'messages':
      return {
        id: 'm',
        type: 'message',
        role: 'assistant',
        content: random.list(3, () =>
          random.pick<unknown>([
            { type: 'text', text: said(random) },
            { type: 'tool_use', id: 't', name: 'f', input: { q: said(random) } },
            { type: 'thinking', thinking: said(random), signature: 'c2ln' },
          ]),
        ),
        stop_reason: 'end_turn',
      }
    case 'responses':
      return {
        id: 'r',
        status: 'completed',
        output: random.list(3, () =>
          random.pick<unknown>([
            { type: 'message', id: 'm', content: [{ type: 'output_text', text: said(random) }] },
            { type: 'function_call', id: 'f', call_id: 'c', name: 'f', arguments: '{}' },
            { type: 'web_search_call', id: 'w', action: { query: said(random) } },
          ]),
        ),
      }
    case 'embeddings':
      return {
        object: 'list',
        data: [{ index: 0, embedding: random.pick<unknown>([[0.1, -2], 'AAAAAA==', [104, 105]]) }],
      }
    default:
      return list[0] ?? {}
  }
}

export const answers: readonly Target[] = DIALECTS.map(target)
