/** How a call comes to an executor over HTTP: its arguments are the body, its capability is a header. */
import { CapabilityInvalid, isOutage } from './errors.ts'
import type { PresentedCall } from './verify.ts'

export const CAPABILITY_HEADER = 'x-signet-capability'

/** Arguments longer than this are refused before they are read to their end. */
export const MAX_BODY_BYTES = 1024 * 1024

export interface Refused {
  readonly status: 403 | 503
  readonly body: { readonly error: 'capability_refused'; readonly code: string; readonly message: string }
}

/** The answer to a call that is not permitted; anything else that went wrong is thrown as it is. */
export function refusedAnswer(error: unknown): Refused {
  if (!(error instanceof CapabilityInvalid)) throw error
  return {
    status: isOutage(error) ? 503 : 403,
    body: { error: 'capability_refused', code: error.code, message: error.message },
  }
}

/** A body as a framework hands it over: bytes and text are read by the gate's own rule, anything else is a parsed value. */
export function presentedBody(tool: string, body: unknown): PresentedCall {
  if (typeof body === 'string') return { tool, argumentsText: body }
  if (body instanceof Uint8Array) return { tool, argumentsText: textOf(body) }
  return { tool, arguments: body }
}

export function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CapabilityInvalid('arguments_ambiguous', 'expected the body in UTF-8')
  }
}

/** One value, or nothing: a header that stands there twice could be read in two ways. */
export function onlyHeader(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
