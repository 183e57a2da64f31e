/**
 * Anthropic's token counting, `POST /v1/messages/count_tokens`. It shows the whole prompt to upstream, so it is read and
 * admitted like a message; the answer is a number, and nothing is generated or charged.
 */
import type { Carrier, Dialect, Part } from '../core/wire.ts'
import { type JsonDocument, member } from './json.ts'
import { BETA_QUERIES } from './messages-keys.ts'
import { readMessage, readMessagesBody } from './messages-reader.ts'
import { messagesRefusal } from './messages-refusal.ts'
import { readMessagesRequest } from './messages-request.ts'
import { MessagesWriter } from './messages-writer.ts'
import { openAnswer } from './open-answer.ts'
import type { ForgedField } from './reading.ts'
import { writeJsonRequest } from './write-request.ts'

/** A number and a few words. */
const MAX_BYTES = 1024 * 1024

const UNARY = ['unary'] as const

const CARRIERS: readonly Carrier[] = [
  { kind: 'text', name: 'error.message', modes: UNARY },
  { kind: 'text', name: 'unknown field', modes: UNARY },
  { kind: 'text', name: 'unknown key', modes: UNARY },
]

const UPSTREAM_PATH = '/messages/count_tokens'

export const countTokensDialect: Dialect = {
  name: 'count-tokens',
  provider: 'anthropic',
  routes: [
    { method: 'POST', path: '/v1/messages/count_tokens', upstreamPath: UPSTREAM_PATH, queries: BETA_QUERIES },
    { method: 'POST', path: '/v1/messages/count_tokens/', upstreamPath: UPSTREAM_PATH, queries: BETA_QUERIES },
  ],
  carriers: CARRIERS,
  readRequest: raw => readMessagesRequest(raw, { isCount: true }),
  writeRequest: writeJsonRequest,
  openResponse: (v, status, contentType) =>
    openAnswer(v, status, contentType, {
      body: isError => readMessagesBody({ maxBytes: MAX_BYTES, isError }, readCount),
      stream: undefined,
    }),
  openWriter: v => new MessagesWriter(v),
  refuse: messagesRefusal,
}

/** Counting is free: the count is what a message would use, and nothing was used. */
function readCount(doc: JsonDocument, into: Part[]): readonly ForgedField[] {
  const forged = readMessage(doc, into)
  if (member(doc.root, 'input_tokens') !== undefined) into.push({ kind: 'usage', input: 0, output: 0 })
  return forged
}
