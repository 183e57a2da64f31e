/** `X-Signet-Session`: the caller's name for a conversation. State is kept per owner and session, never per session alone. */
import type { Fault } from '../core/wire.ts'
import { headerValue } from './headers.ts'

export const SESSION_MAX_BYTES = 256
const SESSION = /^[A-Za-z0-9_.:-]+$/

/** `undefined` when absent or blank. The value is never repeated in a fault. */
export function readSession(rawHeaders: readonly string[]): string | undefined | Fault {
  const value = headerValue(rawHeaders, 'x-signet-session')
  if (value === undefined) return undefined
  // node:http hands bytes over one by one (Latin-1), so length is bytes.
  if (value.length > SESSION_MAX_BYTES) {
    return {
      kind: 'fault',
      code: 'session_id_too_long',
      message: `the session id is longer than ${String(SESSION_MAX_BYTES)} bytes`,
      details: { limit_bytes: SESSION_MAX_BYTES, expected: EXPECTED },
    }
  }
  if (!SESSION.test(value)) {
    return {
      kind: 'fault',
      code: 'session_id_invalid_charset',
      message: 'the session id holds a character that is not allowed',
      details: { expected: EXPECTED },
    }
  }
  return value
}

const EXPECTED = 'letters, digits and _ . : - only'
