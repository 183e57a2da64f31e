/**
 * How a Responses stream ends that signet cuts off: the API's `error` event, which SDKs raise, then `response.failed`,
 * without which clients that follow a response from beginning to end take the stream for a broken connection and ask
 * again. Every stream of the API ends in `response.completed`, `.incomplete` or `.failed`.
 */
import type { Frame, Refusal } from '../core/wire.ts'
import { abortReason, heldFacts } from './refusal.ts'

/** `number`: the sequence number of the first of the two events. `id`: what the caller was told, if anything. */
export function abortEvents(r: Refusal, number: number, model: string, id = `resp_${r.correlationId}`): string {
  const { reason, code, message } = abortReason(r)
  const error = {
    type: 'error',
    sequence_number: number,
    code,
    message,
    param: null,
    signet_abort: true,
    reason,
    correlation_id: r.correlationId,
    stage: r.stage,
    ...(r.strict || r.check === undefined ? {} : { check: r.check }),
    ...heldFacts(r),
    error: { message, type: 'signet_refusal', code, param: null },
  }
  const failed = {
    type: 'response.failed',
    sequence_number: number + 1,
    response: {
      id,
      object: 'response',
      created_at: secondsOf(r.correlationId),
      status: 'failed',
      background: false,
      error: { code: errorCode(r.status), message },
      incomplete_details: null,
      instructions: null,
      metadata: {},
      model,
      output: [],
      parallel_tool_calls: true,
      temperature: null,
      tool_choice: 'auto',
      tools: [],
      top_p: null,
      usage: null,
    },
  }
  return [error, failed].map(event => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
}

/** The codes are an enumeration of the API's; `invalid_prompt` is the one that clients do not ask again for. */
function errorCode(status: number): 'rate_limit_exceeded' | 'server_error' | 'invalid_prompt' {
  if (status === 429) return 'rate_limit_exceeded'
  return status >= 500 ? 'server_error' : 'invalid_prompt'
}

/** The id of the response that a frame is about. */
export function responseIdIn(f: Frame): string | undefined {
  for (const part of f.parts) {
    if (part.kind === 'state' && part.reference.kind === 'response') return part.reference.id
  }
  return undefined
}

/** RFC 9562 5.7: the first 48 bits of a UUIDv7 are its time. Seconds since 1970; 0 for any other id. */
function secondsOf(correlationId: string): number {
  const [, high, low] = /^([0-9a-f]{8})-([0-9a-f]{4})-7/i.exec(correlationId) ?? []
  return high === undefined || low === undefined ? 0 : Math.floor(Number.parseInt(high + low, 16) / 1000)
}
