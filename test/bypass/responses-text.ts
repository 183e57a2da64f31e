/** Every text carrier of Responses, and how a model would speak through it. */
import {
  added,
  done,
  type Event,
  type Fields,
  item,
  message,
  part,
  says,
  type Told,
  together,
  told,
} from './responses-answers.ts'
import type { TextBuilder } from './surface.ts'

interface Shape {
  readonly redaction?: TextBuilder['redaction']
  readonly joins?: boolean
  readonly json?: boolean
  readonly channel: RegExp
  readonly before?: string | readonly string[]
}

function text(tell: (pieces: readonly string[]) => Told, shape: Shape): TextBuilder {
  return {
    answer: (pieces, place) => told(tell(pieces), place),
    redaction: shape.redaction ?? 'redacted',
    perChoice: false,
    joins: shape.joins ?? true,
    json: shape.json ?? true,
    channel: shape.channel,
    before: shape.before ?? '',
  }
}

const encoder = new TextEncoder()
/** A text that streams; a value that is said whole; a field that goes on over events. */
const slot = (path: string) => ({ channel: new RegExp(`^/output/${path}$`) })
const value = (path: string) => ({ channel: new RegExp(`^/${path}@[0-9]+#[0-9]+$`) })
const single = (path: string) => ({ ...value(path), joins: false })

const place = (content: number, output = 0): Fields => ({
  item_id: `msg_${output}`,
  output_index: output,
  content_index: content,
})
/** Each piece is a content part of its own. */
const parts = (pieces: readonly string[]) => pieces.map(piece => part(piece))

/** What is said in one kind of event only, part by part. */
function only(type: string, members: (piece: string, index: number) => Fields) {
  return (pieces: readonly string[]): Told => ({ events: pieces.map((p, i) => ({ type, members: members(p, i) })) })
}

function refuses(pieces: readonly string[]): Told {
  const refusal = pieces.join('')
  const full = message([{ type: 'refusal', refusal }])
  return {
    events: [
      added(message([])),
      { type: 'response.content_part.added', members: { ...place(0), part: { type: 'refusal', refusal: '' } } },
      ...pieces.map((delta): Event => ({ type: 'response.refusal.delta', members: { ...place(0), delta } })),
      { type: 'response.refusal.done', members: { ...place(0), refusal } },
      { type: 'response.content_part.done', members: { ...place(0), part: { type: 'refusal', refusal } } },
      done(full),
    ],
    output: [full],
  }
}

const summaryPlace = (index: number): Fields => ({ item_id: 'rs_0', output_index: 0, summary_index: index })
const thought = (members: Fields): Fields => ({ id: 'rs_0', type: 'reasoning', summary: [], ...members })

function summarises(pieces: readonly string[]): Told {
  const said = pieces.join('')
  const full = thought({ summary: [{ type: 'summary_text', text: said }] })
  const at = summaryPlace(0)
  return {
    events: [
      added(thought({})),
      { type: 'response.reasoning_summary_part.added', members: { ...at, part: { type: 'summary_text', text: '' } } },
      ...pieces.map((delta): Event => ({ type: 'response.reasoning_summary_text.delta', members: { ...at, delta } })),
      { type: 'response.reasoning_summary_text.done', members: { ...at, text: said } },
      { type: 'response.reasoning_summary_part.done', members: { ...at, part: { type: 'summary_text', text: said } } },
      done(full),
    ],
    output: [full],
  }
}

function reasons(pieces: readonly string[]): Told {
  const said = pieces.join('')
  const full = thought({ content: [{ type: 'reasoning_text', text: said }] })
  const at = { ...place(0), item_id: 'rs_0' }
  return {
    events: [
      added(thought({})),
      ...pieces.map((delta): Event => ({ type: 'response.reasoning_text.delta', members: { ...at, delta } })),
      { type: 'response.reasoning_text.done', members: { ...at, text: said } },
      done(full),
    ],
    output: [full],
  }
}

/** Content of question marks whose tokens say something else. */
function tokens(entry: (piece: string) => Fields) {
  return (pieces: readonly string[]): Told => {
    const marks = pieces.map(() => '?')
    const queue = [...pieces]
    const logprobs = pieces.map(entry)
    return says(marks, { part: { logprobs }, delta: () => ({ logprobs: [entry(queue.shift() ?? '')] }) })
  }
}

const token = (piece: string): Fields => ({ token: piece, logprob: -0.1, bytes: [], top_logprobs: [] })
const LOGPROBS = '/logprobs(/\\*)?'
const HELLO = says(['Hello.'])
/** An event between the message and the end. */
const noted = (type: string, members: Fields, lines?: string): Told =>
  together(HELLO, { events: [{ type, members, ...(lines === undefined ? {} : { lines }) }] })
const line = (name: string, rest: Partial<Shape> = {}) => ({
  joins: false,
  json: false,
  channel: new RegExp(`^:${name}![0-9]+$`),
  ...rest,
})
const response =
  (name: string, of: (text: string) => unknown, more: Partial<Told> = {}) =>
  (pieces: readonly string[]) =>
    together(HELLO, { ...more, response: { [name]: of(pieces.join('')) } })

function delegates(type: string, members: Fields, pieces: readonly string[], kind: string, field: string): Told {
  const said = pieces.join('')
  const full = { id: 'it_0', type, status: 'completed', ...members, [field]: said }
  const at = { item_id: 'it_0', output_index: 0 }
  return {
    events: [
      added({ ...full, status: 'in_progress', [field]: '' }),
      ...pieces.map((delta): Event => ({ type: `response.${kind}.delta`, members: { ...at, delta } })),
      { type: `response.${kind}.done`, members: { ...at, [field]: said } },
      done(full),
    ],
    output: [full],
  }
}

export const RESPONSES_TEXT: Readonly<Record<string, TextBuilder>> = {
  output_text: {
    ...text(p => says(p), slot('content/text')),
    // A body says the pieces as content parts of one message.
    answer: (p, at) => told(at.mode === 'stream' ? says(p) : { output: [message(parts(p))] }, at),
  },
  'output_text.done': text(
    only('response.output_text.done', (t, i) => ({ ...place(i), text: t })),
    slot('content/text'),
  ),
  'content_part.added': text(
    only('response.content_part.added', (t, i) => ({ ...place(i), part: part(t) })),
    slot('content/text'),
  ),
  'content_part.done': text(
    only('response.content_part.done', (t, i) => ({ ...place(i), part: part(t) })),
    slot('content/text'),
  ),
  'output_item.done message': text(p => ({ events: [done(message(parts(p)))] }), slot('content/text')),
  'completed message': text(p => ({ output: [message(parts(p))] }), slot('content/text')),
  'incomplete message': text(
    p => ({
      output: [message(parts(p), 0, { status: 'incomplete' })],
      status: 'incomplete',
      response: { incomplete_details: { reason: 'max_output_tokens' } },
    }),
    slot('content/text'),
  ),
  refusal: text(refuses, slot('content/refusal')),
  'refusal.done': text(
    only('response.refusal.done', (refusal, i) => ({ ...place(i), refusal })),
    slot('content/refusal'),
  ),
  'reasoning summary': text(summarises, slot('reasoning/summary')),
  'reasoning_summary_text.done': text(
    only('response.reasoning_summary_text.done', (t, i) => ({ ...summaryPlace(i), text: t })),
    slot('reasoning/summary'),
  ),
  'reasoning_summary_part.done': text(
    only('response.reasoning_summary_part.done', (t, i) => ({
      ...summaryPlace(i),
      part: { type: 'summary_text', text: t },
    })),
    slot('reasoning/summary'),
  ),
  'reasoning content': text(reasons, slot('reasoning/content')),
  'reasoning_text.done': text(
    only('response.reasoning_text.done', (t, i) => ({ ...place(i), text: t })),
    slot('reasoning/content'),
  ),
  'audio.transcript': text(
    p => ({
      events: p.map(delta => ({ type: 'response.audio.transcript.delta', members: { delta } })),
      output: [message([{ type: 'output_audio', transcript: p.join('') }])],
    }),
    slot('audio/transcript'),
  ),
  'logprobs[].token': text(tokens(token), {
    redaction: 'dropped',
    channel: new RegExp(`^${LOGPROBS}/token`),
  }),
  'logprobs[].bytes': text(
    tokens(piece => ({ ...token('?'), bytes: [...encoder.encode(piece)] })),
    { redaction: 'dropped', json: false, channel: new RegExp(`^${LOGPROBS}/bytes`) },
  ),
  'logprobs[].top_logprobs[].token': text(
    tokens(piece => ({ ...token('?'), top_logprobs: [token('!'), token(piece)] })),
    { redaction: 'dropped', channel: new RegExp(`^${LOGPROBS}/top_logprobs/1/token`) },
  ),
  annotations: text(
    p =>
      says(['Hello.'], {
        part: { annotations: p.map(title => ({ type: 'url_citation', title, start_index: 0, end_index: 1 })) },
      }),
    value('annotation/\\*/title'),
  ),
  'output_text.annotation.added': text(
    p =>
      together(HELLO, {
        events: p.map((title, i) => ({
          type: 'response.output_text.annotation.added',
          members: { ...place(0), annotation_index: i, annotation: { type: 'url_citation', title } },
        })),
      }),
    { channel: /^\/annotation\/title$/ },
  ),
  'code_interpreter_call.code': text(
    p =>
      delegates(
        'code_interpreter_call',
        { container_id: 'cntr_1', outputs: [] },
        p,
        'code_interpreter_call_code',
        'code',
      ),
    slot('code_interpreter_call/code/0'),
  ),
  'code_interpreter_call.outputs': text(
    p =>
      item({
        id: 'ci_0',
        type: 'code_interpreter_call',
        status: 'completed',
        container_id: 'cntr_1',
        code: '1',
        outputs: p.map(logs => ({ type: 'logs', logs })),
      }),
    value('item/code_interpreter_call/outputs/\\*/logs'),
  ),
  'mcp_call.arguments': text(
    p =>
      delegates('mcp_call', { server_label: 'dice', name: 'roll', output: null }, p, 'mcp_call_arguments', 'arguments'),
    slot('mcp_call/arguments/0'),
  ),
  'mcp_call.output': text(
    p =>
      item({ id: 'mcp_0', type: 'mcp_call', server_label: 'dice', name: 'roll', arguments: '{}', output: p.join('') }),
    single('item/mcp_call/output'),
  ),
  'mcp_list_tools.tools': text(
    p =>
      item({
        id: 'mcpl_0',
        type: 'mcp_list_tools',
        server_label: 'dice',
        tools: p.map(description => ({ name: 'roll', description, input_schema: { type: 'object' } })),
      }),
    value('item/mcp_list_tools/tools/\\*/description'),
  ),
  'web_search_call.action': text(
    p => item({ id: 'ws_0', type: 'web_search_call', status: 'completed', action: { type: 'search', queries: p } }),
    value('item/web_search_call/action/queries/\\*'),
  ),
  'file_search_call.results': text(
    p =>
      item({
        id: 'fs_0',
        type: 'file_search_call',
        status: 'completed',
        queries: ['q'],
        results: p.map(t => ({ file_id: 'file_1', filename: 'a.txt', score: 0.5, text: t })),
      }),
    value('item/file_search_call/results/\\*/text'),
  ),
  'image_generation_call.revised_prompt': text(
    p =>
      item({
        id: 'ig_0',
        type: 'image_generation_call',
        status: 'completed',
        revised_prompt: p.join(''),
        result: 'aGk=',
      }),
    single('item/image_generation_call/revised_prompt'),
  ),
  'shell_call_output.output': text(
    p =>
      item({
        id: 'sho_0',
        type: 'shell_call_output',
        call_id: 'call_0',
        output: p.map(stdout => ({ stdout, stderr: '', outcome: { type: 'exit', exit_code: 0 } })),
      }),
    value('item/shell_call_output/output/\\*/stdout'),
  ),
  'shell_call_output_content.delta': text(
    p =>
      together(HELLO, {
        events: p.map(stdout => ({
          type: 'response.shell_call_output_content.delta',
          members: { item_id: 'sho_1', output_index: 1, command_index: 0, delta: { stdout } },
        })),
      }),
    { channel: /^\/response\.shell_call_output_content\.delta\/1\/delta\/stdout$/ },
  ),
  'unknown item': text(p => item({ id: 'd_0', type: 'dream', verses: p }), value('item/dream/verses/\\*')),
  'unknown content part': text(
    p => ({ events: [done(message([{ type: 'poem', verses: p }]))], output: [message([{ type: 'poem', verses: p }])] }),
    value('part/verses/\\*'),
  ),
  'unknown event': text(
    p =>
      together(HELLO, {
        events: p.map(delta => ({ type: 'response.dream.delta', members: { item_id: 'd_1', output_index: 1, delta } })),
      }),
    { channel: /^\/\?\/1\/delta$/ },
  ),
  'unknown field': text(p => together(HELLO, { response: { x_note: { deep: p } } }), value('x_note/deep/\\*')),
  'unknown field of an item': text(
    p => says(['Hello.'], { item: { x_note: [{ er: p }] } }),
    value('item/message/x_note/\\*/er/\\*'),
  ),
  'unknown key': text(p => says(['Hello.'], { item: { [p.join('')]: 1 } }), {
    ...single('item/message/~key'),
    redaction: 'blocked',
  }),
  id: text(
    response('id', t => t),
    single('id'),
  ),
  'item id': text(p => says(['Hello.'], { id: p.join('') }), single('item/id')),
  model: text(
    response('model', t => t),
    single('model'),
  ),
  status: text(
    response('status', t => t),
    single('status'),
  ),
  'incomplete_details.reason': text(
    response('incomplete_details', reason => ({ reason })),
    single('incomplete_details/reason'),
  ),
  'error.message': {
    ...text(p => ({ events: [], output: [], response: { error: { code: 'server_error', message: p.join('') } } }), {
      ...single('error/message'),
    }),
    answer: (p, at) =>
      told(
        at.mode === 'stream'
          ? { ending: [{ type: 'error', members: { code: 'server_error', message: p.join(''), param: null } }] }
          : { status: 'failed', response: { error: { code: 'server_error', message: p.join('') } } },
        at,
      ),
  },
  metadata: text(
    response('metadata', note => ({ note })),
    single('metadata/note'),
  ),
  instructions: text(
    response('instructions', t => t),
    single('instructions'),
  ),
  'top-level output_text': text(p => ({ response: { output_text: p.join('') } }), single('output_text')),
  role: text(p => says(['Hello.'], { item: { role: p.join('') } }), single('item/role')),
  obfuscation: text(p => says(['Hello.'], { delta: () => ({ obfuscation: p.join('') }) }), single('obfuscation')),
  'event type': text(p => noted(p.join(''), {}, ''), single('type')),
  'comment line': text(p => noted('keepalive', {}, `: ${p.join('')}\n`), line('comment')),
  'event line': text(p => noted('keepalive', {}, `event: ${p.join('')}\n`), line('event')),
  'id line': text(p => noted('keepalive', {}, `id: ${p.join('')}\n`), line('id')),
  'retry line': text(p => noted('keepalive', {}, `retry: ${p.join('')}\n`), line('retry')),
  'unknown line': text(p => noted('keepalive', {}, `x-note: ${p.join('')}\n`), line('unknown', { before: 'x-note: ' })),
}
