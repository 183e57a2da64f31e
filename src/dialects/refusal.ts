/**
 * What signet says when it answers instead of upstream, in the shape of the OpenAI surfaces. Bodies carry codes and
 * reasons, never matched text, never upstream's bytes. Strict mode says that something was refused and nothing about why,
 * except upstream's transport tokens, which retry logic in SDKs needs.
 */
import type { Refusal } from '../core/wire.ts'
import { encodeString } from './json-edit.ts'

const encoder = new TextEncoder()

/** What strict mode says of an answer that waits for a human. */
const HELD = 'held for approval'

type Body = Record<string, unknown>

export interface Answer {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export function openAiRefusal(r: Refusal): Answer {
  return { headers: refusalHeaders(r), body: encoder.encode(JSON.stringify(refusalBody(r))) }
}

/** Shared by every surface; only the body's shape differs. */
export function refusalHeaders(r: Refusal): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': 'application/json', 'cache-control': 'no-store' }
  if (r.retryAfterS !== undefined) headers['retry-after'] = String(Math.max(0, Math.ceil(r.retryAfterS)))
  const policy = r.stage !== 'preflight' && r.stage !== 'upstream'
  // A refusal by policy will not change by asking again; 429 and 503 will. SDKs read this header before the status.
  if (policy && r.status >= 400 && r.status !== 429 && r.status !== 503) headers['x-should-retry'] = 'false'
  return headers
}

export function refusalBody(r: Refusal): Body {
  if (r.status === 202) return escalatedBody(r)
  if (r.because.code === 'upstream_redirect') return redirectBody(r)
  if (r.stage === 'upstream') return upstreamBody(r)
  if (r.stage === 'preflight') return preflightBody(r)
  if (r.because.code === 'escalated') return escalatedErrorBody(r)
  return policyBody(r)
}

/**
 * What a stream's error frame says; see `abortFrame`. Strict hides everything but transport tokens, and that an answer is held:
 * a 202 says so too, and without the code an SDK's caller could not tell it from a refusal.
 */
export function abortReason(r: Refusal): { readonly reason: string; readonly code: string; readonly message: string } {
  const code = r.because.code
  if (code.startsWith('upstream_') && code !== 'upstream_tool') return { reason: code, code, message: code }
  if (r.strict && code === 'escalated') return { reason: code, code, message: HELD }
  if (r.strict) return { reason: 'refused', code: 'refused', message: 'refused' }
  return { reason: r.because.reason, code, message: `signet refused this response: ${r.because.reason}` }
}

/** What a stream says of an escalation: the same as a 202 does. */
export function heldFacts(r: Refusal): Body {
  if (r.escalationId === undefined) return {}
  const body: Body = { escalation_id: r.escalationId }
  if (r.because.code === 'escalated') addDetails(body, r)
  return body
}

/**
 * The error event of OpenAI-style streams, then `[DONE]`. Key order is part of the wire contract. `choices` is there for
 * readers that take it without looking; others take an event with `choices` for a chunk and never see its error (the `ai`
 * package would end such an answer as if it were whole), so the error is said again as the API itself says it, with a type
 * that tells whether asking again can help.
 */
export function abortFrame(r: Refusal): Uint8Array {
  const { reason, code, message } = abortReason(r)
  const body = {
    signet_abort: true,
    reason,
    correlation_id: r.correlationId,
    stage: r.stage,
    ...(r.strict || r.check === undefined ? {} : { check: r.check }),
    ...heldFacts(r),
    choices: [],
    error: { message, type: 'signet_refusal', code },
  }
  const error = { error: { message, type: apiErrorType(r.status), param: null, code } }
  return encoder.encode(`data: ${JSON.stringify(body)}\n\ndata: ${JSON.stringify(error)}\n\ndata: [DONE]\n\n`)
}

function apiErrorType(status: number): string {
  if (status === 429) return 'rate_limit_exceeded'
  if (status === 403) return 'permission_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

/** A comment line, which clients ignore. Line ends would start a field, so they become spaces. */
export function sseComment(text: string): Uint8Array {
  return encoder.encode(`: ${text.replace(/[\r\n\0]+/g, ' ')}\n\n`)
}

/** JSON text of the assistant content part that stands in for a refused call. */
export function noticePart(notice: string): string {
  return `{"type":"text","text":${encodeString(notice)}}`
}

function policyBody(r: Refusal): Body {
  const retry = r.retryAfterS === undefined ? {} : { retry_after_seconds: r.retryAfterS }
  if (r.strict) return { error: 'refused', correlation_id: r.correlationId, ...retry }
  return {
    error: 'signet refused this request',
    reason: r.because.reason,
    ...(r.check === undefined ? {} : { check: r.check }),
    stage: r.stage,
    correlation_id: r.correlationId,
    ...retry,
  }
}

function preflightBody(r: Refusal): Body {
  const retry = r.retryAfterS === undefined ? {} : { retry_after_seconds: r.retryAfterS }
  const base = { error: r.because.code, correlation_id: r.correlationId }
  if (r.strict) return { ...base, ...retry }
  return { ...r.because.details, ...base, description: r.because.reason, ...retry }
}

function upstreamBody(r: Refusal): Body {
  const base = { error: 'upstream forward failed', correlation_id: r.correlationId }
  if (r.strict) return base
  return { ...r.because.details, ...base, refusal_kind: r.because.code, description: r.because.reason }
}

/** The same in strict and verbose; of the Location only the host, which the upstream room has cleaned. */
function redirectBody(r: Refusal): Body {
  const details = r.because.details ?? {}
  return {
    signet: {
      error: 'upstream_redirected',
      upstream_status: details['upstream_status'] ?? null,
      upstream_location_host: details['upstream_location_host'] ?? null,
      correlation_id: r.correlationId,
    },
  }
}

const ESCALATION_DETAILS = ['current_approver', 'expires_at', 'status_url'] as const

function addDetails(body: Body, r: Refusal): void {
  for (const key of ESCALATION_DETAILS) {
    const value = r.because.details?.[key]
    if (value !== undefined) body[key] = value
  }
}

function escalatedBody(r: Refusal): Body {
  const body: Body = { status: 'escalated' }
  if (r.escalationId !== undefined) body['escalation_id'] = r.escalationId
  body['correlation_id'] = r.correlationId
  addDetails(body, r)
  if (r.strict) return body
  body['reason'] = r.because.reason
  if (r.check !== undefined) body['check'] = r.check
  body['stage'] = r.stage
  return body
}

/** For operators who want SDKs to raise instead of reading a 202: an OpenAI error object with a code. */
function escalatedErrorBody(r: Refusal): Body {
  const message = r.strict ? HELD : r.because.reason
  return {
    error: { message, type: 'signet_refusal', code: 'escalated' },
    ...escalatedBody(r),
  }
}
