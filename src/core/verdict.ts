/**
 * The one verdict union. A check can only say one of four things; everything else
 * (a throw, a time-out, nonsense) becomes a block with a code of its own.
 *
 * Which stage takes which: admission takes all four; inspection takes allow, block and redact (an escalate counts
 * as a block); commitment takes allow, block and escalate (a redact counts as a block: arguments are never rewritten);
 * record flags. Precedence: block > escalate > redact > allow.
 */

export type Stage = 'admission' | 'inspection' | 'commitment' | 'record'

/** Stable, machine-readable cause. A plugin's own codes begin with `custom:`. */
export type Code =
  // owner and identity
  | 'owner_unresolved'
  | 'credential_invalid'
  | 'header_duplicate'
  | 'header_invalid_charset'
  | 'host_not_allowed'
  | 'origin_not_allowed'
  | 'session_id_too_long'
  | 'session_id_invalid_charset'
  // request intake
  | 'body_too_large'
  | 'empty_body'
  | 'encoded_body'
  | 'invalid_encoding'
  | 'json_decode_error'
  | 'json_too_deeply_nested'
  | 'json_duplicate_key'
  | 'json_ambiguous_key'
  | 'json_lone_surrogate'
  | 'non_finite_float'
  | 'non_object_body'
  | 'request_invalid'
  | 'request_timeout'
  | 'client_disconnect'
  // admission policy
  | 'rate_limited'
  | 'token_budget_exceeded'
  | 'token_estimate_invalid'
  | 'content_pattern'
  | 'classification_unknown'
  | 'clearance_insufficient'
  | 'prompt_injection'
  | 'scan_truncated'
  | 'decode_budget_exceeded'
  | 'upstream_tool'
  | 'foreign_reference'
  | 'opaque_input'
  | 'background_run'
  // inspection policy
  | 'output_pattern'
  | 'marker'
  | 'length_exceeded'
  | 'consent_withdrawn'
  | 'match_unbounded'
  | 'redaction_unwritable'
  // commitment policy
  | 'tool_unregistered'
  | 'tool_tier'
  | 'tool_critical'
  | 'tool_irreversible'
  | 'arguments_ambiguous'
  | 'arguments_schema'
  | 'arguments_rule'
  | 'claim_missing'
  | 'call_rate'
  | 'call_duplicate'
  | 'call_loop'
  | 'tribunal_block'
  | 'tribunal_dissent'
  | 'preview_failed'
  | 'preview_flagged'
  | 'preview_unsupported'
  // the machine itself
  | 'escalated'
  | 'no_approver'
  | 'approval_denied'
  | 'approval_expired'
  | 'escalation_unknown'
  | 'check_error'
  | 'check_timeout'
  | 'audit_unavailable'
  | 'state_unavailable'
  | 'overloaded'
  | 'shutting_down'
  // upstream: transport tokens, which survive strict mode because SDK retry logic reads them
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'upstream_error'
  | 'upstream_exception'
  | 'upstream_redirect'
  | 'upstream_content_type_invalid'
  | 'upstream_decode_error'
  | 'upstream_protocol_violation'
  | 'upstream_sse_malformed'
  | 'upstream_sse_unterminated'
  | 'upstream_delta_too_deep'
  | 'upstream_too_large'
  | 'upstream_truncated'
  | `custom:${string}`

export interface Because {
  readonly code: Code
  /** One sentence for a person. Never the matched text, never a secret. */
  readonly reason: string
  readonly details?: Details
}

export type Details = Readonly<Record<string, DetailValue>>
export type DetailValue = string | number | boolean | null | readonly string[]

/** Replace UTF-16 units `[from, to)` of the ORIGINAL text by `text`. */
export interface TextEdit {
  readonly from: number
  readonly to: number
  readonly text: string
}

export interface Allow {
  readonly kind: 'allow'
}
export interface Block {
  readonly kind: 'block'
  readonly because: Because
  /** Seconds until a retry can succeed; makes the answer a 429 with `Retry-After` when the code is a rate or budget one. */
  readonly retryAfterS?: number
}
export interface Redact {
  readonly kind: 'redact'
  readonly because: Because
  readonly edits: readonly TextEdit[]
}
export interface Escalate {
  readonly kind: 'escalate'
  readonly because: Because
}
export type Verdict = Allow | Block | Redact | Escalate

/** Allowing allocates nothing. */
export const ALLOW: Allow = Object.freeze({ kind: 'allow' })

export function block(code: Code, reason: string, details?: Details, retryAfterS?: number): Block {
  return {
    kind: 'block',
    because: because(code, reason, details),
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  }
}

export function redact(code: Code, reason: string, edits: readonly TextEdit[], details?: Details): Redact {
  return { kind: 'redact', because: because(code, reason, details), edits }
}

export function escalate(code: Code, reason: string, details?: Details): Escalate {
  return { kind: 'escalate', because: because(code, reason, details) }
}

export function because(code: Code, reason: string, details?: Details): Because {
  return details === undefined ? { code, reason } : { code, reason, details }
}

const WEIGHT: Readonly<Record<Verdict['kind'], number>> = { allow: 0, redact: 1, escalate: 2, block: 3 }

/** block > escalate > redact > allow; of two equal ones the earlier (first argument) stands. */
export function worse(a: Verdict, b: Verdict): Verdict {
  return WEIGHT[b.kind] > WEIGHT[a.kind] ? b : a
}
