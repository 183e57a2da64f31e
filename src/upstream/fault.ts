/** What went wrong upstream, as a fault. Messages name the kind of failure only: no upstream bytes, no credential. */
import type { Code } from '../core/verdict.ts'
import type { Fault } from '../core/wire.ts'

/** `head`: nothing of an answer had come. `body`: its head had, and was handed on. */
export type Phase = 'head' | 'body'

export function fault(code: Code, message: string, details?: Fault['details']): Fault {
  return details === undefined ? { kind: 'fault', code, message } : { kind: 'fault', code, message, details }
}

/** The names under which undici and Node report failures. A name not listed is an `upstream_exception`. */
const NEVER_REACHED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
  'EMFILE',
  'ENFILE',
])

const BROKE_OFF: ReadonlySet<string> = new Set([
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOTCONN',
  'HPE_INVALID_EOF_STATE',
])

export function faultOf(error: unknown, phase: Phase): Fault {
  const name = nameOf(error)
  const details = { exception: name, phase }
  if (name === 'UND_ERR_CONNECT_TIMEOUT' || (name === 'ETIMEDOUT' && phase === 'head')) {
    return fault('upstream_unreachable', 'connecting to the upstream took too long', details)
  }
  if (name === 'UND_ERR_HEADERS_TIMEOUT') {
    return fault('upstream_timeout', 'the upstream sent no answer in time', details)
  }
  if (name === 'UND_ERR_BODY_TIMEOUT' || name === 'ETIMEDOUT') {
    return fault('upstream_timeout', 'the upstream stopped sending in the middle of its answer', details)
  }
  if (name === 'UND_ERR_DESTROYED' || name === 'UND_ERR_CLOSED') {
    return fault('shutting_down', 'the gate is shutting down', details)
  }
  if (NEVER_REACHED.has(name)) return fault('upstream_unreachable', `the upstream cannot be reached (${name})`, details)
  if (isTlsFailure(name)) {
    return fault('upstream_unreachable', `no trusted TLS connection to the upstream (${name})`, details)
  }
  if (BROKE_OFF.has(name)) {
    return phase === 'body'
      ? fault('upstream_truncated', 'the upstream closed the connection before its answer was complete', details)
      : fault('upstream_unreachable', 'the upstream closed the connection without answering', details)
  }
  if (name.startsWith('HPE_') || name === 'HTTPParserError' || name === 'UND_ERR_HEADERS_OVERFLOW') {
    return fault('upstream_protocol_violation', `the upstream does not speak HTTP/1.1 properly (${name})`, details)
  }
  return fault('upstream_exception', `the call to the upstream failed (${name})`, details)
}

/** OpenSSL and certificate errors: `CERT_HAS_EXPIRED`, `DEPTH_ZERO_SELF_SIGNED_CERT`, `ERR_SSL_…`, `ERR_TLS_…`. */
export function isTlsFailure(name: string): boolean {
  return /^(?:ERR_SSL_|ERR_TLS_|ERR_OSSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|CRL_|INVALID_CA|PATH_LENGTH_)/.test(
    name,
  )
}

/** The error's code if it is a plain token, else its class. Never its message: that can hold addresses and bytes. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  const code = 'code' in error ? error.code : undefined
  if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(code)) return code
  // The parser's errors come without their code; llhttp's own words for an end in the wrong place are in the message.
  if (error.name === 'HTTPParserError' && error.message.includes('Invalid EOF state')) return 'HPE_INVALID_EOF_STATE'
  // Several addresses tried, each failing: the first failure speaks for all.
  if (error instanceof AggregateError && error.errors.length > 0) return nameOf(error.errors[0])
  return /^\w{1,64}$/.test(error.name) ? error.name : 'Error'
}
