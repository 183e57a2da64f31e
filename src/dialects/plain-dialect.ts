/** A surface with one JSON answer and no stream; see `plain-answer.ts`. */
import type { Carrier, Dialect, Fault, RequestView, Route } from '../core/wire.ts'
import { readChatBody } from './chat-reader.ts'
import type { AnswerForm } from './chat-visitor.ts'
import { ChatWriter } from './chat-writer.ts'
import { openAnswer } from './open-answer.ts'
import { MAX_UNARY_BYTES } from './reading.ts'
import { openAiRefusal } from './refusal.ts'
import { writeJsonRequest } from './write-request.ts'

export interface PlainSurface {
  readonly name: string
  readonly method: 'GET' | 'POST'
  /** Below `/v1` at the gate and below the base URL upstream. */
  readonly path: string
  readonly carriers: readonly string[]
  readonly form: AnswerForm
  readonly maxUnaryBytes: number | undefined
  readonly readRequest: (raw: Uint8Array) => RequestView | Fault
}

export function plainDialect(surface: PlainSurface): Dialect {
  const { name, method, path, form, readRequest } = surface
  const maxBytes = surface.maxUnaryBytes ?? MAX_UNARY_BYTES
  const routes: Route[] = [`/v1${path}`, `/v1${path}/`].map(at => ({ method, path: at, upstreamPath: path }))
  return {
    name,
    provider: 'openai',
    routes,
    carriers: surface.carriers.map((carrier): Carrier => ({ kind: 'text', name: carrier, modes: ['unary'] })),
    readRequest,
    writeRequest: writeJsonRequest,
    openResponse: (v, status, contentType) =>
      openAnswer(v, status, contentType, {
        body: isError => readChatBody([], { maxBytes, isError }, form),
        stream: undefined,
      }),
    openWriter: v => new ChatWriter({ ...v, stream: false }, form),
    refuse: openAiRefusal,
  }
}
