/** The HTTP status of a refusal: from its code, never from its wording. */
import type { Because } from '../core/verdict.ts'

export function statusOf(why: Because): number {
  switch (why.code) {
    case 'credential_invalid':
      return 401
    case 'header_duplicate':
    case 'header_invalid_charset':
    case 'session_id_too_long':
    case 'session_id_invalid_charset':
    case 'empty_body':
    case 'invalid_encoding':
    case 'json_decode_error':
    case 'json_too_deeply_nested':
    case 'json_duplicate_key':
    case 'json_ambiguous_key':
    case 'json_lone_surrogate':
    case 'non_finite_float':
    case 'non_object_body':
    case 'request_invalid':
    case 'token_estimate_invalid':
      return 400
    case 'request_timeout':
      return 408
    case 'body_too_large':
      return 413
    case 'encoded_body':
      return 415
    case 'host_not_allowed':
      return 421
    case 'rate_limited':
    case 'token_budget_exceeded':
      return 429
    case 'check_error':
    case 'check_timeout':
    case 'audit_unavailable':
    case 'state_unavailable':
    case 'overloaded':
    case 'shutting_down':
      return 503
    case 'upstream_timeout':
      return 504
    case 'upstream_unreachable':
    case 'upstream_error':
    case 'upstream_exception':
    case 'upstream_redirect':
    case 'upstream_content_type_invalid':
    case 'upstream_decode_error':
    case 'upstream_protocol_violation':
    case 'upstream_sse_malformed':
    case 'upstream_sse_unterminated':
    case 'upstream_delta_too_deep':
    case 'upstream_too_large':
    case 'upstream_truncated':
      return 502
    default:
      return 403
  }
}

/** May a client's own retry logic try again? Only where trying again can help (OpenAI's SDKs read `x-should-retry`). */
export function mayRetry(status: number): boolean {
  return status === 429 || status >= 500
}
