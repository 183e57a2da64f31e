/**
 * What signet says when it answers instead of upstream, in the shape of Anthropic's errors, so that its SDKs raise their
 * own typed errors. What is said in strict mode, and what in verbose, is the same on every surface (see `refusal.ts`).
 */
import type { Refusal } from '../core/wire.ts'
import { type Answer, abortReason, heldFacts, refusalBody, refusalHeaders } from './refusal.ts'

const encoder = new TextEncoder()

export function messagesRefusal(r: Refusal): Answer {
  return { headers: refusalHeaders(r), body: encoder.encode(JSON.stringify(body(r))) }
}

/** The error event of Anthropic's streams. Key order is part of the wire contract. */
export function messagesAbort(r: Refusal): Uint8Array {
  const { reason, message } = abortReason(r)
  const said = {
    type: 'error',
    error: { type: errorType(r.status), message },
    signet_abort: true,
    reason,
    correlation_id: r.correlationId,
    stage: r.stage,
    ...(r.strict || r.check === undefined ? {} : { check: r.check }),
    ...heldFacts(r),
  }
  return encoder.encode(`event: error\ndata: ${JSON.stringify(said)}\n\n`)
}

/** Anthropic's error types by HTTP status, as its API documents them; 503 is its `overloaded_error` (529 there). */
export function errorType(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error'
    case 202:
    case 403:
      return 'permission_error'
    case 404:
      return 'not_found_error'
    case 408:
    case 504:
      return 'timeout_error'
    case 413:
      return 'request_too_large'
    case 429:
      return 'rate_limit_error'
    case 503:
    case 529:
      return 'overloaded_error'
    default:
      return status >= 500 ? 'api_error' : 'invalid_request_error'
  }
}

/** The body of the OpenAI surfaces with its `error` in Anthropic's place and form; a 202 has no error and is the same. */
function body(r: Refusal): unknown {
  const { error, type: _type, ...rest } = refusalBody(r)
  if (r.status === 202) return { ...rest }
  return { type: 'error', error: { type: errorType(r.status), message: message(r, error) }, ...rest }
}

function message(r: Refusal, error: unknown): string {
  if (typeof error === 'string') return r.strict ? error : `${error}: ${r.because.reason}`
  if (r.because.code === 'upstream_redirect') return 'upstream_redirected'
  return r.strict ? 'held for approval' : r.because.reason
}
