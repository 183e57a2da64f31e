/**
 * The OpenAI models surface, `GET /v1/models`. The request is empty, so there is nothing to admit but the caller; the
 * answer comes from upstream, and every string in it is inspected.
 */
import type { Dialect, Fault, RequestView } from '../core/wire.ts'
import { fault } from './json.ts'
import { knownKeys } from './known-keys.ts'
import { plainForm } from './plain-answer.ts'
import { plainDialect } from './plain-dialect.ts'
import { PLAIN_REQUEST } from './request-body.ts'

export interface ModelsOptions {
  /** Longest answer, bytes. Default 8 MiB: aggregators list hundreds of models, each with a description. */
  readonly maxUnaryBytes?: number
}

const MAX_BYTES = 8 * 1024 * 1024

const FORM = plainForm({
  top: knownKeys('object data has_more first_id last_id error provider signet signet_abort'),
  inner: knownKeys(`
    id object created owned_by shutdown_date root parent permission max_model_len name display_name description
    context_length context_window max_completion_tokens active public_apps architecture modality tokenizer
    instruct_type input_modalities output_modalities pricing prompt completion request image top_provider
    is_moderated per_request_limits supported_parameters canonical_slug hugging_face_id created_at type
    capabilities aliases deprecation message param code
  `),
  fixed: new Set(['list', 'model', 'model_permission']),
  maxSnapshots: 65_536,
})

export function createModelsDialect(options: ModelsOptions = {}): Dialect {
  return plainDialect({
    name: 'models',
    method: 'GET',
    path: '/models',
    carriers: ['data[].id', 'data[].owned_by', 'data[] unknown field', 'error.message', 'unknown field', 'unknown key'],
    form: FORM,
    maxUnaryBytes: options.maxUnaryBytes ?? MAX_BYTES,
    readRequest: readModels,
  })
}

export const modelsDialect: Dialect = createModelsDialect()

/** A GET has no body (RFC 9110 section 9.3.1); one that comes with bytes is nothing this surface knows. */
function readModels(raw: Uint8Array): RequestView | Fault {
  if (raw.length > 0) return fault('request_invalid', 'a request for the list of models must not have a body')
  return { ...PLAIN_REQUEST, maxOutputTokens: 0, raw }
}
