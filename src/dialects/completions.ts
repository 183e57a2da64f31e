/** OpenAI's older text-completions surface, `POST /v1/completions`. */
import type { Carrier, Dialect } from '../core/wire.ts'
import { readChatBody, readChatStream } from './chat-reader.ts'
import { ChatWriter } from './chat-writer.ts'
import { readCompletionsRequest } from './completions-request.ts'
import { COMPLETIONS_FORM } from './completions-walk.ts'
import { openAnswer } from './open-answer.ts'
import { MAX_UNARY_BYTES } from './reading.ts'
import { openAiRefusal } from './refusal.ts'
import { MAX_EVENT_BYTES } from './sse.ts'
import { writeJsonRequest } from './write-request.ts'

export interface CompletionsOptions {
  /** Longest stream event, bytes. */
  readonly maxEventBytes?: number
  /** Longest unary answer, bytes. */
  readonly maxUnaryBytes?: number
  /**
   * Accept prompts given as token numbers or embeddings. Nothing in the gate can read them, so no check sees what they
   * say; they are listed in `opaqueInputs`. Default false: refused with `opaque_input`.
   */
  readonly allowTokenInput?: boolean
}

const BOTH = ['unary', 'stream'] as const
const STREAM = ['stream'] as const

const CARRIERS: readonly Carrier[] = [
  { kind: 'text', name: 'text', modes: BOTH },
  { kind: 'text', name: 'logprobs.tokens[]', modes: BOTH },
  { kind: 'text', name: 'logprobs.top_logprobs[] key', modes: BOTH },
  { kind: 'text', name: 'logprobs.content[].token', modes: BOTH },
  { kind: 'text', name: 'logprobs.content[].bytes', modes: BOTH },
  { kind: 'text', name: 'prompt_logprobs[] key', modes: BOTH },
  { kind: 'text', name: 'prompt_logprobs[].decoded_token', modes: BOTH },
  { kind: 'text', name: 'token_ids that spell text', modes: BOTH },
  { kind: 'text', name: 'id', modes: BOTH },
  { kind: 'text', name: 'model', modes: BOTH },
  { kind: 'text', name: 'system_fingerprint', modes: BOTH },
  { kind: 'text', name: 'object', modes: BOTH },
  { kind: 'text', name: 'finish_reason', modes: BOTH },
  { kind: 'text', name: 'stop_reason', modes: BOTH },
  { kind: 'text', name: 'error.message', modes: BOTH },
  { kind: 'text', name: 'unknown field', modes: BOTH },
  { kind: 'text', name: 'unknown field of the choice', modes: BOTH },
  { kind: 'text', name: 'unknown key', modes: BOTH },
  { kind: 'text', name: 'message of a choice', modes: BOTH },
  { kind: 'text', name: 'obfuscation', modes: STREAM },
  { kind: 'text', name: 'comment line', modes: STREAM },
  { kind: 'text', name: 'event line', modes: STREAM },
  { kind: 'text', name: 'id line', modes: STREAM },
  { kind: 'text', name: 'retry line', modes: STREAM },
  { kind: 'text', name: 'unknown line', modes: STREAM },
]

const UPSTREAM_PATH = '/completions'

export function createCompletionsDialect(options: CompletionsOptions = {}): Dialect {
  const maxBytes = options.maxUnaryBytes ?? MAX_UNARY_BYTES
  const maxEventBytes = options.maxEventBytes ?? MAX_EVENT_BYTES
  const allowTokenInput = options.allowTokenInput ?? false
  return {
    name: 'completions',
    provider: 'openai',
    routes: [
      { method: 'POST', path: '/v1/completions', upstreamPath: UPSTREAM_PATH },
      { method: 'POST', path: '/v1/completions/', upstreamPath: UPSTREAM_PATH },
    ],
    carriers: CARRIERS,
    readRequest: raw => readCompletionsRequest(raw, allowTokenInput),
    writeRequest: writeJsonRequest,
    openResponse: (v, status, contentType) =>
      openAnswer(v, status, contentType, {
        body: isError => readChatBody([], { maxBytes, isError }, COMPLETIONS_FORM),
        stream: () => readChatStream([], maxEventBytes, COMPLETIONS_FORM),
      }),
    openWriter: v => new ChatWriter(v, COMPLETIONS_FORM),
    refuse: openAiRefusal,
  }
}

export const completionsDialect: Dialect = createCompletionsDialect()
