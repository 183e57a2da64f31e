/** Telling signet's own answers from those of the model's API, by their documented shapes. */
import type { EscalationFacts, RefusalFacts } from './errors.ts'

export const RECEIPT_HEADER = 'x-signet-receipt'
export const CORRELATION_HEADER = 'x-signet-correlation-id'

/**
 * A refusal: `correlation_id` in the body, the same as in the header. Upstream's relayed errors carry the header
 * but cannot know the id. Where a browser may not read the header (CORS), the body's own words decide.
 * 502 and 504 say that upstream failed: no refusal, the SDK's own error says it all.
 */
export function readRefusal(status: number, answer: unknown, headers: Headers): RefusalFacts | undefined {
  if (!isObject(answer) || status === 502 || status === 504) return undefined
  const correlationId = ownCorrelationId(answer, headers)
  if (correlationId === undefined) return undefined
  const error = answer['error']
  const nested: Readonly<Record<string, unknown>> = isObject(error) ? error : {}
  const word = text(error)
  return {
    status,
    correlationId,
    reason: text(answer['reason']) ?? text(answer['description']) ?? text(nested['message']) ?? word ?? 'refused',
    // Refusals before the pipeline say their code where others say `refused`.
    code:
      text(nested['code']) ?? (word !== undefined && /^[a-z_]+$/.test(word) && word !== 'refused' ? word : undefined),
    stage: text(answer['stage']),
    check: text(answer['check']),
    receipt: headers.get(RECEIPT_HEADER) ?? undefined,
    retryAfterS: seconds(headers),
    midStream: false,
  }
}

/** The 202 body, or the 403 that a gate set to `onEscalate: "403"` gives instead. Relative addresses are below `base`. */
export function readEscalation(body: unknown, headers: Headers, base: string): EscalationFacts | undefined {
  if (!isObject(body)) return undefined
  const error = body['error']
  const typed = body['code'] === 'escalated' || (isObject(error) && error['code'] === 'escalated')
  if (body['status'] !== 'escalated' && !typed) return undefined
  const correlationId = ownCorrelationId(body, headers)
  if (correlationId === undefined) return undefined
  const address = text(body['status_url']) ?? headers.get('location') ?? undefined
  return {
    status: 202,
    correlationId,
    escalationId: text(body['escalation_id']),
    statusUrl: address !== undefined && URL.canParse(address, base) ? new URL(address, base).href : undefined,
    currentApprover: text(body['current_approver']),
    expiresAt: text(body['expires_at']) ?? numberText(body['expires_at']),
    retryAfterS: seconds(headers),
    receipt: headers.get(RECEIPT_HEADER) ?? undefined,
    midStream: false,
  }
}

/** How the gate ended a stream, with the frame that said so. */
export type Abort = { readonly frame: Readonly<Record<string, unknown>> } & (
  | { readonly kind: 'refused'; readonly facts: RefusalFacts }
  | { readonly kind: 'escalated'; readonly facts: EscalationFacts }
)

/** One `data:` payload of a stream: the abort frame's facts, or `undefined` for anything else. */
export function readAbort(payload: string, headers: Headers): Abort | undefined {
  // Nearly every frame stops here: parsing is for the one that names it.
  if (!payload.includes('"signet_abort"')) return undefined
  const frame = parse(payload)
  if (!isObject(frame) || frame['signet_abort'] !== true) return undefined
  const error = isObject(frame['error']) ? frame['error'] : undefined
  const shared = {
    correlationId: text(frame['correlation_id']) ?? headers.get(CORRELATION_HEADER) ?? '',
    receipt: headers.get(RECEIPT_HEADER) ?? undefined,
    retryAfterS: undefined,
    midStream: true,
  }
  const escalationId = text(frame['escalation_id'])
  if (escalationId !== undefined) {
    const facts = { ...shared, status: 202, escalationId, statusUrl: undefined, currentApprover: undefined } as const
    return { kind: 'escalated', frame, facts: { ...facts, expiresAt: undefined } }
  }
  const facts: RefusalFacts = {
    ...shared,
    status: undefined,
    reason: text(frame['reason']) ?? 'refused',
    code: text(error?.['code']),
    stage: text(frame['stage']),
    check: text(frame['check']),
  }
  return { kind: 'refused', frame, facts }
}

export function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

function ownCorrelationId(body: Readonly<Record<string, unknown>>, headers: Headers): string | undefined {
  const stated = headers.get(CORRELATION_HEADER)
  const given = text(body['correlation_id'])
  return stated === null || stated === given ? given : undefined
}

function seconds(headers: Headers): number | undefined {
  const value = headers.get('retry-after')
  return value !== null && /^\d{1,9}$/.test(value) ? Number(value) : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function numberText(value: unknown): string | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : undefined
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
