/** A surface with one JSON answer and no stream; see `plain-answer.ts`. */
import type { Carrier, Dialect, Fault, RequestView, ResponseReader, Route } from '../core/wire.ts'
import { ChatUnaryReader } from './chat-reader.ts'
import type { AnswerForm } from './chat-visitor.ts'
import { ChatWriter } from './chat-writer.ts'
import { fault } from './json.ts'
import { isJson, isUtf8, mediaType } from './messages.ts'
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
    openResponse: (_v, status, contentType) => openResponse(status, contentType, maxBytes, form),
    openWriter: v => new ChatWriter({ ...v, stream: false }, form),
    refuse: openAiRefusal,
  }
}

function openResponse(
  status: number,
  contentType: string | undefined,
  maxBytes: number,
  form: AnswerForm,
): ResponseReader | Fault {
  const type = mediaType(contentType)
  if (isUtf8(contentType) && (type === '' || isJson(type))) {
    return new ChatUnaryReader([], { maxBytes, isError: status >= 400, form })
  }
  return fault('upstream_content_type_invalid', 'upstream answered with a content type that cannot be inspected here')
}
