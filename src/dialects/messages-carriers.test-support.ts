/** For every carrier of the Messages surface, an answer that carries a text there, in each mode it has. */
import { answer, begin, delta, END, event, finish, json, start, stop } from './messages.test-support.ts'

export interface CarrierAnswers {
  /** A unary body. */
  readonly unary?: (text: string) => object
  /** A whole stream. */
  readonly stream?: (text: string) => string
}

const message = (rest: object) => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 3, output_tokens: 9 },
  ...rest,
})

/** The same block in both modes: whole, or begun by a stream as it is and ended. */
const block = (make: (text: string) => object): CarrierAnswers => ({
  unary: text => message({ content: [make(text)] }),
  stream: text => answer(begin(0, make(text)) + stop(0)),
})

/** A block that a stream begins empty and continues. */
const continued = (empty: object, whole: (text: string) => object, part: (text: string) => object): CarrierAnswers => ({
  unary: text => message({ content: [{ ...empty, ...whole(text) }] }),
  stream: text => answer(begin(0, empty) + delta(0, part(text)) + stop(0)),
})

/** A member of the message: in the body, or in `message_start`. */
const ofMessage = (make: (text: string) => object): CarrierAnswers => ({
  unary: text => message(make(text)),
  stream: text => start(make(text)) + finish() + END,
})

/** What a stream says at the end of its message. */
const atEnd = (make: (text: string) => object): CarrierAnswers => ({
  unary: text => message(make(text)),
  stream: text => start() + finish('end_turn', make(text)) + END,
})

const events = (make: (text: string) => string): CarrierAnswers => ({ stream: text => answer(make(text)) })

const server = { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} }
const mcp = { type: 'mcp_tool_use', id: 'mcptoolu_1', name: 'find', server_name: 'drive', input: {} }
const use = { type: 'tool_use', id: 'toolu_1', name: 'f', input: {} }
const searched = (result: object) => ({ type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [result] })
const partial = (key: string) => (text: string) => ({
  type: 'input_json_delta',
  partial_json: JSON.stringify({ [key]: text }),
})
const input = (text: string) => ({ input: { q: text } })

export const CARRIER_ANSWERS: Readonly<Record<string, CarrierAnswers>> = {
  'content[].text': continued(
    { type: 'text', text: '' },
    text => ({ text }),
    text => ({ type: 'text_delta', text }),
  ),
  'content[].citations[].cited_text': continued(
    { type: 'text', text: '' },
    text => ({ citations: [{ type: 'char_location', cited_text: text }] }),
    text => ({ type: 'citations_delta', citation: { type: 'char_location', cited_text: text } }),
  ),
  'content[].citations[].document_title': continued(
    { type: 'text', text: '' },
    text => ({ citations: [{ type: 'page_location', document_title: text }] }),
    text => ({ type: 'citations_delta', citation: { type: 'page_location', document_title: text } }),
  ),
  'content[].thinking': continued(
    { type: 'thinking', thinking: '' },
    text => ({ thinking: text }),
    text => ({ type: 'thinking_delta', thinking: text }),
  ),
  'content[].signature': continued(
    { type: 'thinking', thinking: '', signature: '' },
    text => ({ signature: text }),
    text => ({ type: 'signature_delta', signature: text }),
  ),
  'redacted_thinking.data': block(text => ({ type: 'redacted_thinking', data: text })),
  'server_tool_use.id': block(text => ({ ...server, id: text })),
  'server_tool_use.name': block(text => ({ ...server, name: text })),
  'server_tool_use.input': continued(server, input, partial('q')),
  'mcp_tool_use.server_name': block(text => ({ ...mcp, server_name: text })),
  'mcp_tool_use.input': continued(mcp, input, partial('q')),
  'web_search_tool_result.content[].title': block(text => searched({ type: 'web_search_result', title: text })),
  'web_search_tool_result.content[].url': block(text => searched({ type: 'web_search_result', url: text })),
  'web_search_tool_result.content[].encrypted_content': block(text =>
    searched({ type: 'web_search_result', encrypted_content: text }),
  ),
  'web_fetch_tool_result.content.content.source.data': block(text => ({
    type: 'web_fetch_tool_result',
    tool_use_id: 'srvtoolu_1',
    content: {
      type: 'web_fetch_result',
      content: { type: 'document', source: { type: 'text', media_type: 'text/plain', data: text } },
    },
  })),
  'code_execution_tool_result.content.stdout': block(text => ({
    type: 'code_execution_tool_result',
    tool_use_id: 'srvtoolu_1',
    content: { type: 'code_execution_result', stdout: text, stderr: '', return_code: 0 },
  })),
  'mcp_tool_result.content[].text': block(text => ({
    type: 'mcp_tool_result',
    tool_use_id: 'mcptoolu_1',
    content: [{ type: 'text', text }],
  })),
  'compaction.content': continued(
    { type: 'compaction', content: null },
    text => ({ content: text }),
    text => ({ type: 'compaction_delta', content: text }),
  ),
  'unknown block': block(text => ({ type: 'commentary', said: { deep: [text] } })),
  'tool_use.id': block(text => ({ ...use, id: text })),
  'tool_use.name': block(text => ({ ...use, name: text })),
  'tool_use.caller': block(text => ({ ...use, caller: { type: 'code_execution_20250825', tool_id: text } })),
  id: ofMessage(text => ({ id: text })),
  type: ofMessage(text => ({ type: text })),
  role: ofMessage(text => ({ role: text })),
  model: ofMessage(text => ({ model: text })),
  stop_reason: atEnd(text => ({ stop_reason: text })),
  stop_sequence: atEnd(text => ({ stop_sequence: text })),
  stop_details: atEnd(text => ({ stop_details: { type: 'refusal', explanation: text } })),
  'container.id': atEnd(text => ({ container: { id: text, expires_at: '2026-01-01T00:00:00Z' } })),
  usage: ofMessage(text => ({ usage: { input_tokens: 3, output_tokens: 9, inference_geo: text } })),
  'error.message': {
    unary: text => ({ type: 'error', error: { type: 'api_error', message: text } }),
    stream: text => start() + event({ type: 'error', error: { type: 'api_error', message: text } }),
  },
  'unknown field': {
    unary: text => message({ vendor: [{ a: text }] }),
    stream: text => answer(event({ type: 'ping', vendor: [{ a: text }] })),
  },
  'unknown field of a block': continued(
    { type: 'text', text: '' },
    text => ({ vendor: [text] }),
    text => ({ type: 'text_delta', text: '', vendor: [text] }),
  ),
  'unknown key': {
    unary: text => message({ [text]: 1 }),
    stream: text => answer(event({ type: 'ping', [text]: 1 })),
  },
  'message_start content[].text': {
    stream: text => start({ content: [{ type: 'text', text }] }) + finish() + END,
  },
  'content_block_start text': events(text => begin(0, { type: 'text', text }) + stop(0)),
  'unknown delta': events(
    text => begin(0, { type: 'text', text: '' }) + delta(0, { type: 'x_delta', x: text }) + stop(0),
  ),
  'unknown event': events(text => event({ type: 'commentary', said: text })),
  ping: events(text => event({ type: 'ping', said: text })),
  'comment line': events(text => `: ${text}\n\n`),
  'event line': events(text => `event: ${text}\ndata: {}\n\n`),
  'id line': events(text => `id: ${text}\ndata: {}\n\n`),
  'retry line': events(text => `retry: ${text}\ndata: {}\n\n`),
  'unknown line': events(text => `x-${text}: y\ndata: {}\n\n`),
  'tool_use.input': continued(use, input, partial('q')),
  'content_block_start tool_use.input': events(text => begin(0, { ...use, ...input(text) }) + stop(0)),
  'message_start tool_use.input': {
    stream: text => start({ content: [{ ...use, ...input(text) }] }) + finish('tool_use') + END,
  },
  'unknown tool_use block': {
    unary: text => message({ content: [{ ...use, type: 'local_tool_use', ...input(text) }] }),
    stream: text =>
      answer(begin(0, { ...use, type: 'local_tool_use' }) + json(0, JSON.stringify({ q: text })) + stop(0)),
  },
}
