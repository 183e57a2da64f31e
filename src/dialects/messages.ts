/** Anthropic's Messages surface, `POST /v1/messages`. The upstream base URL ends in `/v1`, as `https://api.anthropic.com/v1`. */
import type { Carrier, Dialect } from '../core/wire.ts'
import { continueMessages } from './messages-continue.ts'
import { BETA_QUERIES } from './messages-keys.ts'
import { readMessagesBody, readMessagesStream } from './messages-reader.ts'
import { messagesRefusal } from './messages-refusal.ts'
import { readMessagesRequest } from './messages-request.ts'
import { MessagesWriter } from './messages-writer.ts'
import { openAnswer } from './open-answer.ts'
import { MAX_UNARY_BYTES } from './reading.ts'
import { MAX_EVENT_BYTES } from './sse.ts'
import { writeJsonRequest } from './write-request.ts'

export interface MessagesOptions {
  /** Longest stream event, bytes. */
  readonly maxEventBytes?: number
  /** Longest unary answer, bytes. */
  readonly maxUnaryBytes?: number
}

const BOTH = ['unary', 'stream'] as const
const STREAM = ['stream'] as const

const CARRIERS: readonly Carrier[] = [
  { kind: 'text', name: 'content[].text', modes: BOTH },
  { kind: 'text', name: 'content[].citations[].cited_text', modes: BOTH },
  { kind: 'text', name: 'content[].citations[].document_title', modes: BOTH },
  { kind: 'text', name: 'content[].thinking', modes: BOTH },
  { kind: 'text', name: 'content[].signature', modes: BOTH },
  { kind: 'text', name: 'redacted_thinking.data', modes: BOTH },
  { kind: 'text', name: 'server_tool_use.id', modes: BOTH },
  { kind: 'text', name: 'server_tool_use.name', modes: BOTH },
  { kind: 'text', name: 'server_tool_use.input', modes: BOTH },
  { kind: 'text', name: 'mcp_tool_use.server_name', modes: BOTH },
  { kind: 'text', name: 'mcp_tool_use.input', modes: BOTH },
  { kind: 'text', name: 'web_search_tool_result.content[].title', modes: BOTH },
  { kind: 'text', name: 'web_search_tool_result.content[].url', modes: BOTH },
  { kind: 'text', name: 'web_search_tool_result.content[].encrypted_content', modes: BOTH },
  { kind: 'text', name: 'web_fetch_tool_result.content.content.source.data', modes: BOTH },
  { kind: 'text', name: 'code_execution_tool_result.content.stdout', modes: BOTH },
  { kind: 'text', name: 'mcp_tool_result.content[].text', modes: BOTH },
  { kind: 'text', name: 'compaction.content', modes: BOTH },
  { kind: 'text', name: 'unknown block', modes: BOTH },
  { kind: 'text', name: 'tool_use.id', modes: BOTH },
  { kind: 'text', name: 'tool_use.name', modes: BOTH },
  { kind: 'text', name: 'tool_use.caller', modes: BOTH },
  { kind: 'text', name: 'id', modes: BOTH },
  { kind: 'text', name: 'type', modes: BOTH },
  { kind: 'text', name: 'role', modes: BOTH },
  { kind: 'text', name: 'model', modes: BOTH },
  { kind: 'text', name: 'stop_reason', modes: BOTH },
  { kind: 'text', name: 'stop_sequence', modes: BOTH },
  { kind: 'text', name: 'stop_details', modes: BOTH },
  { kind: 'text', name: 'container.id', modes: BOTH },
  { kind: 'text', name: 'usage', modes: BOTH },
  { kind: 'text', name: 'error.message', modes: BOTH },
  { kind: 'text', name: 'unknown field', modes: BOTH },
  { kind: 'text', name: 'unknown field of a block', modes: BOTH },
  { kind: 'text', name: 'unknown key', modes: BOTH },
  { kind: 'text', name: 'message_start content[].text', modes: STREAM },
  { kind: 'text', name: 'content_block_start text', modes: STREAM },
  { kind: 'text', name: 'unknown delta', modes: STREAM },
  { kind: 'text', name: 'unknown event', modes: STREAM },
  { kind: 'text', name: 'ping', modes: STREAM },
  { kind: 'text', name: 'comment line', modes: STREAM },
  { kind: 'text', name: 'event line', modes: STREAM },
  { kind: 'text', name: 'id line', modes: STREAM },
  { kind: 'text', name: 'retry line', modes: STREAM },
  { kind: 'text', name: 'unknown line', modes: STREAM },
  { kind: 'call', name: 'tool_use.input', modes: BOTH },
  { kind: 'call', name: 'content_block_start tool_use.input', modes: STREAM },
  { kind: 'call', name: 'message_start tool_use.input', modes: STREAM },
  { kind: 'call', name: 'unknown tool_use block', modes: BOTH },
]

const UPSTREAM_PATH = '/messages'

export function createMessagesDialect(options: MessagesOptions = {}): Dialect {
  const maxBytes = options.maxUnaryBytes ?? MAX_UNARY_BYTES
  const maxEventBytes = options.maxEventBytes ?? MAX_EVENT_BYTES
  return {
    name: 'messages',
    provider: 'anthropic',
    routes: [
      { method: 'POST', path: '/v1/messages', upstreamPath: UPSTREAM_PATH, queries: BETA_QUERIES },
      { method: 'POST', path: '/v1/messages/', upstreamPath: UPSTREAM_PATH, queries: BETA_QUERIES },
    ],
    carriers: CARRIERS,
    readRequest: raw => readMessagesRequest(raw),
    writeRequest: writeJsonRequest,
    openResponse: (v, status, contentType) =>
      openAnswer(v, status, contentType, {
        body: isError => readMessagesBody({ maxBytes, isError }),
        stream: () => readMessagesStream(maxEventBytes),
      }),
    openWriter: v => new MessagesWriter(v),
    refuse: messagesRefusal,
    continueRequest: continueMessages,
  }
}

export const messagesDialect: Dialect = createMessagesDialect()
