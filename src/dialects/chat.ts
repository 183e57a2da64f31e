/** The OpenAI chat-completions surface, `POST /v1/chat/completions`. */
import type { Carrier, Dialect, Fault, RequestView, ResponseReader } from '../core/wire.ts'
import { continueChat } from './chat-continue.ts'
import { ChatStreamReader, ChatUnaryReader } from './chat-reader.ts'
import { readChatRequest } from './chat-request.ts'
import { ChatWriter } from './chat-writer.ts'
import { fault } from './json.ts'
import { MAX_UNARY_BYTES } from './reading.ts'
import { openAiRefusal } from './refusal.ts'
import { MAX_EVENT_BYTES } from './sse.ts'
import { writeJsonRequest } from './write-request.ts'

export interface ChatOptions {
  /** Longest stream event, bytes. */
  readonly maxEventBytes?: number
  /** Longest unary answer, bytes. */
  readonly maxUnaryBytes?: number
}

const BOTH = ['unary', 'stream'] as const

const CARRIERS: readonly Carrier[] = [
  { kind: 'text', name: 'content', modes: BOTH },
  { kind: 'text', name: 'content[].text', modes: BOTH },
  { kind: 'text', name: 'refusal', modes: BOTH },
  { kind: 'text', name: 'reasoning', modes: BOTH },
  { kind: 'text', name: 'reasoning_content', modes: BOTH },
  { kind: 'text', name: 'reasoning_details[].text', modes: BOTH },
  { kind: 'text', name: 'reasoning_details[].summary', modes: BOTH },
  { kind: 'text', name: 'thinking', modes: BOTH },
  { kind: 'text', name: 'audio.transcript', modes: BOTH },
  { kind: 'text', name: 'logprobs.content[].token', modes: BOTH },
  { kind: 'text', name: 'logprobs.content[].bytes', modes: BOTH },
  { kind: 'text', name: 'logprobs.content[].top_logprobs[].token', modes: BOTH },
  { kind: 'text', name: 'annotations', modes: BOTH },
  { kind: 'text', name: 'id', modes: BOTH },
  { kind: 'text', name: 'model', modes: BOTH },
  { kind: 'text', name: 'system_fingerprint', modes: BOTH },
  { kind: 'text', name: 'object', modes: BOTH },
  { kind: 'text', name: 'role', modes: BOTH },
  { kind: 'text', name: 'finish_reason', modes: BOTH },
  { kind: 'text', name: 'error.message', modes: BOTH },
  { kind: 'text', name: 'unknown field', modes: BOTH },
  { kind: 'text', name: 'unknown field of the message', modes: BOTH },
  { kind: 'text', name: 'unknown key', modes: BOTH },
  { kind: 'text', name: 'other message of the choice', modes: BOTH },
  { kind: 'text', name: 'tool_calls[].id', modes: BOTH },
  { kind: 'text', name: 'tool_calls[].function.name', modes: BOTH },
  { kind: 'text', name: 'tool_calls[].function.description', modes: BOTH },
  { kind: 'text', name: 'obfuscation', modes: ['stream'] },
  { kind: 'text', name: 'comment line', modes: ['stream'] },
  { kind: 'text', name: 'event line', modes: ['stream'] },
  { kind: 'text', name: 'id line', modes: ['stream'] },
  { kind: 'text', name: 'retry line', modes: ['stream'] },
  { kind: 'text', name: 'unknown line', modes: ['stream'] },
  { kind: 'call', name: 'tool_calls[].function.arguments', modes: BOTH },
  { kind: 'call', name: 'tool_calls[].custom.input', modes: BOTH },
  { kind: 'call', name: 'function_call.arguments', modes: BOTH },
  { kind: 'call', name: 'other message tool_calls[].function.arguments', modes: BOTH },
]

const UPSTREAM_PATH = '/chat/completions'

export function createChatDialect(options: ChatOptions = {}): Dialect {
  const maxUnaryBytes = options.maxUnaryBytes ?? MAX_UNARY_BYTES
  const maxEventBytes = options.maxEventBytes ?? MAX_EVENT_BYTES
  return {
    name: 'chat',
    provider: 'openai',
    routes: [
      { method: 'POST', path: '/v1/chat/completions', upstreamPath: UPSTREAM_PATH },
      { method: 'POST', path: '/v1/chat/completions/', upstreamPath: UPSTREAM_PATH },
    ],
    carriers: CARRIERS,
    readRequest: readChatRequest,
    writeRequest: writeJsonRequest,
    openResponse: (v, status, contentType) => openResponse(v, status, contentType, maxUnaryBytes, maxEventBytes),
    openWriter: v => new ChatWriter(v),
    refuse: openAiRefusal,
    continueRequest: continueChat,
  }
}

export const chatDialect: Dialect = createChatDialect()

/**
 * What upstream says it sends decides, not what was asked for: a server may answer a stream request with a JSON error.
 * Without a type, the request decides. Any other type is nothing we can inspect.
 */
function openResponse(
  v: RequestView,
  status: number,
  contentType: string | undefined,
  maxUnaryBytes: number,
  maxEventBytes: number,
): ResponseReader | Fault {
  const isError = status >= 400
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!isUtf8(contentType ?? '')) {
    return fault('upstream_content_type_invalid', 'upstream answered in a charset other than UTF-8')
  }
  const untyped = type === ''
  if (isJson(type) || (untyped && (isError || !v.stream))) {
    return new ChatUnaryReader(v.tools, { maxBytes: maxUnaryBytes, isError })
  }
  const isStream = type === 'text/event-stream' || (v.stream && (untyped || type === 'text/plain'))
  if (isStream && !isError) return new ChatStreamReader(v.tools, maxEventBytes)
  return fault('upstream_content_type_invalid', 'upstream answered with a content type that cannot be inspected here')
}

/** We inspect UTF-8; a client that believes another charset (UTF-7, UTF-16) would read other text out of the same bytes. */
function isUtf8(contentType: string): boolean {
  if (!/charset/i.test(contentType)) return true
  const given = [...contentType.matchAll(/;\s*charset\s*=\s*"?([^\s;",]*)/gi)]
  return given.length === 1 && /^(?:utf-?8|us-ascii)$/i.test(given[0]?.[1] ?? '')
}

function isJson(type: string): boolean {
  return type === 'application/json' || type === 'text/json' || /^[a-z]+\/[a-z0-9.+-]+\+json$/.test(type)
}
