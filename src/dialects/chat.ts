/** The OpenAI chat-completions surface, `POST /v1/chat/completions`. */
import type { Carrier, Dialect } from '../core/wire.ts'
import { continueChat } from './chat-continue.ts'
import { readChatBody, readChatStream } from './chat-reader.ts'
import { readChatRequest } from './chat-request.ts'
import { ChatWriter } from './chat-writer.ts'
import { openAnswer } from './open-answer.ts'
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
  const maxBytes = options.maxUnaryBytes ?? MAX_UNARY_BYTES
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
    openResponse: (v, status, contentType) =>
      openAnswer(v, status, contentType, {
        body: isError => readChatBody(v.tools, { maxBytes, isError }),
        stream: () => readChatStream(v.tools, maxEventBytes),
      }),
    openWriter: v => new ChatWriter(v),
    refuse: openAiRefusal,
    continueRequest: continueChat,
  }
}

export const chatDialect: Dialect = createChatDialect()
