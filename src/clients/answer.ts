/** Telling signet's own answers from those of the model's API, by their documented shapes. */
import type { EscalationFacts, RefusalFacts } from './errors.ts'

export const RECEIPT_HEADER = 'x-signet-receipt'
export const CORRELATION_HEADER = 'x-signet-correlation-id'

/**
 * A refusal: `correlation_id` in the body, the same as in the header. Upstream's relayed errors carry the header
 * but cannot know the id. Where a browser may not read the header (CORS), the body's own words decide.
 */
export function readRefusal(status: number, body: unknown, headers: Headers): RefusalFacts | undefined {
  if (!isObject(body)) return undefined
  const correlationId = text(body['correlation_id'])
  if (correlationId === undefined) return undefined
  const stated = headers.get(CORRELATION_HEADER)
  if (stated !== null && stated !== correlationId) return undefined
  const error = body['error']
  const nested: Readonly<Record<string, unknown>> = isObject(error) ? error : {}
  return {
    status,
    correlationId,
    reason: text(body['reason']) ?? text(nested['message']) ?? text(error) ?? 'refused',
    code: text(body['code']) ?? text(nested['code']),
    stage: text(body['stage']),
    check: text(body['check']),
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
  const correlationId = text(body['correlation_id']) ?? headers.get(CORRELATION_HEADER) ?? undefined
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
  }
}

/** One `data:` payload of a stream: the abort frame's facts, or `undefined` for anything else. */
export function readAbort(
  payload: string,
  headers: Headers,
): { readonly facts: RefusalFacts; readonly error: unknown } | undefined {
  // Nearly every frame stops here: parsing is for the one that names it.
  if (!payload.includes('"signet_abort"')) return undefined
  const frame = parse(payload)
  if (!isObject(frame) || frame['signet_abort'] !== true) return undefined
  const error = isObject(frame['error']) ? frame['error'] : undefined
  return {
    facts: {
      status: undefined,
      correlationId: text(frame['correlation_id']) ?? headers.get(CORRELATION_HEADER) ?? '',
      reason: text(frame['reason']) ?? 'refused',
      code: text(error?.['code']),
      stage: text(frame['stage']),
      check: text(frame['check']),
      receipt: headers.get(RECEIPT_HEADER) ?? undefined,
      retryAfterS: undefined,
      midStream: true,
    },
    error,
  }
}

export function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
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

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
