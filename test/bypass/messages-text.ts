/** Every text carrier of Messages, and how a model would speak through it. */
import {
  answer,
  begin,
  delta,
  END,
  event,
  finish,
  json,
  start,
  stop,
} from '../../src/dialects/messages.test-support.ts'
import { CARRIER_ANSWERS } from '../../src/dialects/messages-carriers.test-support.ts'
import { message, streamed, whole } from './messages-answers.ts'
import type { TextBuilder } from './surface.ts'

type Pieces = readonly string[]

interface Shape {
  readonly channel: RegExp
  readonly redaction?: TextBuilder['redaction']
  readonly json?: boolean
  readonly before?: TextBuilder['before']
  readonly harmless?: Pieces
  readonly tools?: Pieces
  readonly apart?: true
}

interface Shapes extends Shape {
  readonly unary?: (pieces: Pieces) => unknown
  readonly stream?: (pieces: Pieces) => string
}

function builder(name: string, joins: boolean, shape: Shapes): TextBuilder {
  const one = CARRIER_ANSWERS[name]
  const unary = shape.unary ?? ((p: Pieces) => one?.unary?.(p.join('')))
  const stream = shape.stream ?? ((p: Pieces) => one?.stream?.(p.join('')) ?? '')
  return {
    answer: (pieces, { mode }) => (mode === 'stream' ? streamed(stream(pieces)) : whole(unary(pieces))),
    redaction: shape.redaction ?? 'redacted',
    perChoice: false,
    joins,
    json: shape.json ?? true,
    channel: shape.channel,
    before: shape.before ?? '',
    ...(shape.harmless === undefined ? {} : { harmless: shape.harmless }),
    ...(shape.apart === undefined ? {} : { apart: shape.apart }),
    ...(shape.tools === undefined ? {} : { tools: shape.tools }),
  }
}

/** A value of its own. */
const value = (name: string, shape: Shapes): [string, TextBuilder] => [name, builder(name, false, shape)]

/** A field that goes on from one piece to the next: one event each in a stream, which the body holds joined. */
const joined = (name: string, stream: (pieces: Pieces) => string, shape: Shapes): [string, TextBuilder] => [
  name,
  builder(name, true, { stream, ...shape }),
]

const continued = (empty: object, part: (piece: string) => object) => (p: Pieces) =>
  answer(begin(0, empty) + p.map(piece => delta(0, part(piece))).join('') + stop(0))

/** One block for each piece. */
const blocks = (make: (piece: string) => object) => (p: Pieces) =>
  answer(p.map((piece, i) => begin(i, make(piece)) + stop(i)).join(''))

const events = (make: (piece: string) => string) => (p: Pieces) => answer(p.map(make).join(''))

/** The input of a tool that upstream runs, JSON text in pieces. */
const inputs = (block: object) => (p: Pieces) => {
  const said = p.map(piece => json(0, JSON.stringify(piece).slice(1, -1))).join('')
  return answer(begin(0, block) + json(0, '{"q":"') + said + json(0, '"}') + stop(0))
}

const block = (path: string) => new RegExp(`^/content/\\*/${path}$`)
const constant = (path: string) => block(`${path}#[0-9]+`)
const top = (name: string) => new RegExp(`^(/message)?/${name}#[0-9]+$`)
const line = (name: string): Shape => ({ json: false, channel: new RegExp(`^:${name}#`) })
/** Whole in a body; in a stream as the JSON is spelled, or as the strings in it are read. */
const INPUT: Shape = { channel: block('input/(q|~json|~strings)'), before: ['', '{"q":"', 'q\n'] }
const server = { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} }
const mcp = { type: 'mcp_tool_use', id: 'mcptoolu_1', name: 'find', server_name: 'drive', input: {} }

const use = (rest: object) => ({ type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: {}, ...rest })
/** A member of a call. */
const calling = (make: (text: string) => object): Pick<Shapes, 'unary' | 'stream'> => ({
  unary: p => message([use(make(p.join('')))], { stop_reason: 'tool_use' }),
  stream: p => start() + begin(0, use(make(p.join('')))) + json(0, '{}') + stop(0) + finish('tool_use') + END,
})

export const MESSAGES_TEXT: Readonly<Record<string, TextBuilder>> = Object.fromEntries([
  joined(
    'content[].text',
    continued({ type: 'text', text: '' }, text => ({ type: 'text_delta', text })),
    { channel: block('text') },
  ),
  value('content[].citations[].cited_text', { channel: constant('citations/\\*/cited_text') }),
  value('content[].citations[].document_title', { channel: constant('citations/\\*/document_title') }),
  joined(
    'content[].thinking',
    continued({ type: 'thinking', thinking: '' }, thinking => ({ type: 'thinking_delta', thinking })),
    { channel: block('thinking') },
  ),
  joined(
    'content[].signature',
    continued({ type: 'thinking', thinking: '' }, signature => ({ type: 'signature_delta', signature })),
    { channel: block('signature'), redaction: 'blocked' },
  ),
  joined(
    'redacted_thinking.data',
    blocks(data => ({ type: 'redacted_thinking', data })),
    { apart: true, channel: block('data'), redaction: 'blocked' },
  ),
  value('server_tool_use.id', { channel: constant('id') }),
  value('server_tool_use.name', { channel: constant('name') }),
  joined('server_tool_use.input', inputs(server), INPUT),
  value('mcp_tool_use.server_name', { channel: constant('server_name') }),
  joined('mcp_tool_use.input', inputs(mcp), INPUT),
  value('web_search_tool_result.content[].title', { channel: constant('content/\\*/title') }),
  value('web_search_tool_result.content[].url', { channel: constant('content/\\*/url') }),
  value('web_search_tool_result.content[].encrypted_content', {
    channel: block('content/\\*/encrypted_content'),
    redaction: 'blocked',
  }),
  value('web_fetch_tool_result.content.content.source.data', { channel: constant('content/content/source/data') }),
  value('code_execution_tool_result.content.stdout', { channel: constant('content/stdout') }),
  value('mcp_tool_result.content[].text', { channel: constant('content/\\*/text') }),
  joined(
    'compaction.content',
    continued({ type: 'compaction', content: null }, content => ({ type: 'compaction_delta', content })),
    { channel: block('content'), redaction: 'blocked' },
  ),
  joined(
    'unknown block',
    blocks(text => ({ type: 'commentary', said: { deep: [text] } })),
    { apart: true, channel: block('said/deep/\\*') },
  ),
  value('tool_use.id', { ...calling(id => ({ id })), channel: /^call/, redaction: 'blocked' }),
  value('tool_use.name', {
    ...calling(name => ({ name })),
    channel: /^call/,
    redaction: 'blocked',
    harmless: ['get_weather'],
    tools: [],
  }),
  value('tool_use.caller', {
    ...calling(tool_id => ({ caller: { type: 'code_execution_20250825', tool_id } })),
    channel: constant('caller/tool_id'),
  }),
  value('id', { channel: top('id') }),
  value('type', { channel: top('type') }),
  value('role', { channel: top('role') }),
  value('model', { channel: top('model') }),
  value('stop_reason', { channel: top('stop_reason') }),
  value('stop_sequence', { channel: top('stop_sequence') }),
  value('stop_details', { channel: top('stop_details/explanation') }),
  value('container.id', { channel: top('container/id') }),
  value('usage', { channel: top('usage/inference_geo') }),
  value('error.message', { channel: top('error/message') }),
  joined(
    'unknown field',
    events(a => event({ type: 'ping', vendor: [{ a }] })),
    { channel: /^\/vendor\/\*\/a$/ },
  ),
  joined(
    'unknown field of a block',
    continued({ type: 'text', text: '' }, text => ({ type: 'text_delta', text: '', vendor: [text] })),
    { channel: block('(delta/)?vendor/\\*') },
  ),
  value('unknown key', { channel: /^\/~key#[0-9]+$/, redaction: 'blocked' }),
  joined(
    'message_start content[].text',
    p => start({ content: p.map(text => ({ type: 'text', text })) }) + finish() + END,
    { apart: true, channel: block('text') },
  ),
  joined(
    'content_block_start text',
    blocks(text => ({ type: 'text', text })),
    { apart: true, channel: block('text') },
  ),
  joined(
    'unknown delta',
    continued({ type: 'text', text: '' }, x => ({ type: 'x_delta', x })),
    { channel: block('delta/x') },
  ),
  joined(
    'unknown event',
    events(said => event({ type: 'commentary', said })),
    { channel: /^\/said$/ },
  ),
  joined(
    'ping',
    events(said => event({ type: 'ping', said })),
    { channel: /^\/said$/ },
  ),
  value('comment line', line('comment')),
  value('event line', line('event')),
  value('id line', line('id')),
  value('retry line', line('retry')),
  value('unknown line', { ...line('unknown'), before: 'x-' }),
])
