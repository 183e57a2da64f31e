/**
 * The OpenAI embeddings surface, `POST /v1/embeddings`.
 *
 * What goes in is inspected like a prompt. What comes out is vectors: floats are not text; neither is base64 that decodes
 * to a plausible vector of floats. Anything else in the answer is text, and so are lists of bytes that spell one.
 */
import type { Dialect, Fault, RequestView } from '../core/wire.ts'
import { parseWithoutVectors, readVector } from './embeddings-numbers.ts'
import { fault, type JsonObject, member } from './json.ts'
import { pointerToken } from './json-edit.ts'
import { knownKeys } from './known-keys.ts'
import { invalid, refuseAmbiguous, Segments } from './messages-segments.ts'
import { plainForm } from './plain-answer.ts'
import { plainDialect } from './plain-dialect.ts'
import { modelOf, PLAIN_REQUEST, readObjectRequest } from './request-body.ts'
import { readTextOrTokens, TOKENS_REFUSED } from './token-input.ts'

export interface EmbeddingsOptions {
  /** Longest answer, bytes. Default 48 MiB: the largest batch, 2048 vectors of 3072 floats in base64, takes just over 32. */
  readonly maxUnaryBytes?: number
  /**
   * Accept inputs given as token numbers. Nothing in the gate can read them, so no check sees what they say; they are
   * listed in `opaqueInputs`. Default false: refused with `opaque_input`.
   */
  readonly allowTokenInput?: boolean
}

const REQUEST_TOP = knownKeys(`
  model input dimensions encoding_format user input_type task task_type title truncate truncation auto_truncate
  truncate_prompt_tokens add_special_tokens normalized normalize embedding_type embedding_types embedding_format
  output_dtype output_dimension late_chunking priority provider metadata
`)

const MAX_BYTES = 48 * 1024 * 1024

/** Further inside nothing is known: every key is text. */
const INNER = knownKeys('id type name')

const FORM = plainForm({
  top: knownKeys('object data model usage id created error provider signet signet_abort'),
  inner: knownKeys(`
    object embedding index prompt_tokens total_tokens completion_tokens prompt_tokens_details cached_tokens
    audio_tokens text_tokens image_tokens message type param code cost
  `),
  fixed: new Set(['list', 'embedding']),
  payload: (pointer, value) => (pointer === '/data/*/embedding' ? readVector(value) : undefined),
  parse: parseWithoutVectors,
  // Some servers give every item an id.
  maxSnapshots: 16_384,
})

export function createEmbeddingsDialect(options: EmbeddingsOptions = {}): Dialect {
  const allowTokenInput = options.allowTokenInput ?? false
  return plainDialect({
    name: 'embeddings',
    method: 'POST',
    path: '/embeddings',
    carriers: [
      'id',
      'object',
      'model',
      'embedding that is a string and no vector',
      'embedding of bytes that spell text',
      'error.message',
      'unknown field',
      'unknown field of an item',
      'unknown key',
    ],
    form: FORM,
    maxUnaryBytes: options.maxUnaryBytes ?? MAX_BYTES,
    readRequest: raw => readObjectRequest(raw, root => readEmbeddings(root, raw, allowTokenInput)),
  })
}

export const embeddingsDialect: Dialect = createEmbeddingsDialect()

function readEmbeddings(root: JsonObject, raw: Uint8Array, allowTokenInput: boolean): RequestView | Fault {
  refuseAmbiguous(root, REQUEST_TOP, 'the request')
  const model = modelOf(root)
  const input = member(root, 'input')
  if (input === undefined) invalid('`input` must be a string, a list of strings or a list of tokens')
  const segments = new Segments()
  const { opaque } = readTextOrTokens(input, '/input', 'user', segments)
  const [first] = opaque
  if (first !== undefined && !allowTokenInput) return fault('opaque_input', `\`${first}\` ${TOKENS_REFUSED}`)
  for (let i = 0; i < root.keys.length; i++) {
    const key = root.keys[i]
    const value = root.values[i]
    if (key === undefined || value === undefined || key === 'input') continue
    segments.strings(value, key === 'title' ? 'user' : 'other', `/${pointerToken(key)}`, INNER)
  }
  segments.unknownKeys(root, REQUEST_TOP, 'other', '')
  return {
    ...PLAIN_REQUEST,
    segments: segments.list,
    model,
    maxOutputTokens: 0,
    ...(opaque.length === 0 ? {} : { opaqueInputs: opaque }),
    raw,
  }
}
