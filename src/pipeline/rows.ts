/**
 * From decisions to audit rows. `check_name` is the stage's (`pipeline.admission`, …) and the firing check stands in
 * `_check_name`, as in the Python implementation. The gate's own metadata begins with `_` and is written last, so that
 * nothing a check puts into its details can stand in its place.
 */
import type { Decision, Exchange, Outcome, Owner } from '../core/exchange.ts'
import type { MetaValue, Row } from '../core/row.ts'
import type { Because, Details, Verdict } from '../core/verdict.ts'
import type { Commitment } from './commit.ts'
import type { Flag } from './record.ts'

/** What every row of one exchange repeats. */
export interface RowSubject {
  readonly exchangeId: string
  readonly owner: Owner
  readonly fingerprint: string
  readonly policyDigest: string
  readonly surface: string
  /** Of an exchange that went on after a refused turn. */
  readonly round?: number
}

export type NewId = () => string

export function subjectOf(x: Exchange): RowSubject {
  return {
    exchangeId: x.id,
    owner: x.owner,
    fingerprint: x.requestDigest,
    policyDigest: x.policyDigest,
    surface: x.surface,
    ...(x.round === undefined ? {} : { round: x.round }),
  }
}

/** A refusal of the gate itself, before any check ran. */
export function preflightRow(s: RowSubject, why: Because, status: number, id: NewId): Row {
  const m = metadata(s, 'preflight', 'pipeline.preflight', why.details)
  m['_code'] = why.code
  m['_status'] = status
  m['_pre_pipeline_refusal'] = true
  m['_refusal_kind'] = why.code
  return row(s, id, 'pipeline.preflight', 'block', why.reason, m)
}

export function admittedRow(x: Exchange, id: NewId): Row {
  const s = subjectOf(x)
  const m = metadata(s, 'admission', 'pipeline.admission', undefined)
  m['_owner_authenticated_by'] = x.owner.authenticatedBy
  requestFacts(m, x)
  return row(s, id, 'pipeline.admission', 'allow', 'admission cleared', m)
}

/** One decision of any stage, shadowed ones included. */
export function decisionRow(x: Exchange, d: Decision, id: NewId, extra: Readonly<Record<string, MetaValue>> = {}): Row {
  const why: Because = d.verdict.kind === 'allow' ? CLEARED : d.verdict.because
  const s = subjectOf(x)
  const m = metadata(s, d.stage, d.check, why.details)
  m['_code'] = why.code
  if (d.shadow) m['shadow'] = true
  if (d.channel !== undefined) m['_channel'] = d.channel
  if (d.at !== undefined) m['_at'] = d.at
  if (d.call !== undefined) callFacts(m, d.call)
  if (d.stage === 'admission') requestFacts(m, x)
  Object.assign(m, extra)
  return row(s, id, `pipeline.${d.stage}`, d.verdict.kind, why.reason, m)
}

/** A call that every check let through. */
export function callAllowedRow(x: Exchange, c: Commitment, id: NewId): Row {
  const s = subjectOf(x)
  const m = metadata(s, 'commitment', 'pipeline.commitment', undefined)
  if (c.worst.call !== undefined) callFacts(m, c.worst.call)
  return row(s, id, 'pipeline.commitment', 'allow', 'tool call approved', m)
}

/** The whole answer is authorised for release (or, relayed, upstream's own error). */
export function completedRow(x: Exchange, o: Outcome, facts: CompletionFacts, id: NewId): Row {
  const relayed = o.upstreamStatus !== undefined && o.upstreamStatus >= 400
  const s = subjectOf(x)
  const m = metadata(s, 'record', 'pipeline.complete', undefined)
  outcomeFacts(m, o)
  completionFacts(m, facts)
  const reason = relayed ? `upstream answered ${o.upstreamStatus}; its answer was relayed` : 'request completed'
  return row(s, id, relayed ? 'pipeline.upstream' : 'pipeline.complete', 'allow', reason, m)
}

/** A turn of which nothing leaves: every call in it was refused, and the model is asked again. `next`: the body it is asked with. */
export function continuedRow(x: Exchange, o: Outcome, facts: CompletionFacts, next: string, id: NewId): Row {
  const m = metadata(subjectOf(x), 'commitment', 'pipeline.continue', undefined)
  outcomeFacts(m, o)
  completionFacts(m, facts)
  m['_next_request_sha256'] = next
  return row(subjectOf(x), id, 'pipeline.commitment', 'allow', 'every tool call was refused; the model is told so', m)
}

/** Why the model is not asked again: the refused turn is delivered with its notices. */
export function notContinuedRow(x: Exchange, why: Because, id: NewId): Row {
  const m = metadata(subjectOf(x), 'commitment', 'pipeline.continue', why.details)
  m['_code'] = why.code
  return row(subjectOf(x), id, 'pipeline.commitment', 'block', why.reason, m)
}

export interface CompletionFacts {
  readonly responseDigest?: string
  readonly responseBytes: number
  readonly callsReleased: number
  readonly callsRefused: number
  /** Redactions and shadowed findings beyond those that have a row of their own. */
  readonly decisionsUnnoted?: number
}

/** The answer broke off: upstream's fault, a bound, or the caller's leaving. */
export function abortedRow(x: Exchange, why: Because, o: Outcome, facts: CompletionFacts, id: NewId): Row {
  const left = o.kind === 'disconnected'
  const name = left ? 'pipeline.complete' : 'pipeline.upstream'
  const s = subjectOf(x)
  const m = metadata(s, left ? 'record' : 'upstream', name, why.details)
  m['_code'] = why.code
  m['_refusal_kind'] = why.code
  if (!left) m['_pipeline_upstream_failure'] = true
  outcomeFacts(m, o)
  completionFacts(m, facts)
  return row(s, id, name, 'block', why.reason, m)
}

export function flagRow(x: Exchange, f: Flag, id: NewId): Row {
  const s = subjectOf(x)
  const m = metadata(s, 'record', f.check, f.because.details)
  m['_code'] = f.because.code
  m['_flag'] = true
  return row(s, id, 'pipeline.record', 'block', f.because.reason, m)
}

const CLEARED: Because = { code: 'custom:cleared', reason: 'cleared' }

/** Being put together: each row writes its own members into one object, in the same order every time. */
type Metadata = Record<string, MetaValue>

function requestFacts(m: Metadata, x: Exchange): void {
  m['_model'] = x.request.model.slice(0, 128)
  m['_stream'] = x.request.stream
  if (x.levels !== undefined) m['_data_level'] = x.levels.data
  if (x.peerAddress !== undefined) m['_peer'] = x.peerAddress
  if (x.session !== undefined) m['_session'] = x.session
}

function callFacts(m: Metadata, call: NonNullable<Decision['call']>): void {
  m['_tool'] = call.name.slice(0, 256)
  m['_call_id'] = call.id.slice(0, 256)
  m['_arguments_sha256'] = call.argumentsDigest
}

/** Any other value is upstream's own text, which may be what was redacted: it is not recorded. */
const FINISHES: ReadonlySet<string> = new Set(
  `stop length tool_calls function_call content_filter end_turn max_tokens stop_sequence tool_use pause_turn refusal
   eos eos_token error completed incomplete`.split(/\s+/),
)

function outcomeFacts(m: Metadata, o: Outcome): void {
  m['_outcome'] = o.kind
  m['output_chars'] = o.outputChars
  if (o.finish !== undefined) m['finish_reason'] = FINISHES.has(o.finish) ? o.finish : 'other'
  if (o.outputTokens !== undefined) m['output_tokens'] = o.outputTokens
  if (o.inputTokens !== undefined) m['input_tokens'] = o.inputTokens
  if (o.upstreamStatus !== undefined) m['upstream_status'] = o.upstreamStatus
}

function completionFacts(m: Metadata, f: CompletionFacts): void {
  m['response_bytes'] = f.responseBytes
  if (f.responseDigest !== undefined) m['_response_sha256'] = f.responseDigest
  if (f.callsReleased !== 0) m['calls_released'] = f.callsReleased
  if (f.callsRefused !== 0) m['calls_refused'] = f.callsRefused
  if (f.decisionsUnnoted !== undefined && f.decisionsUnnoted !== 0) m['decisions_unnoted'] = f.decisionsUnnoted
}

function row(
  s: RowSubject,
  id: NewId,
  checkName: string,
  decision: Verdict['kind'],
  reason: string,
  own: Metadata,
): Row {
  return { entryId: id(), owner: s.owner, checkName, decision, reason, fingerprint: s.fingerprint, metadata: own }
}

/**
 * What every row has. A check's details come first, so that they cannot stand in the place of anything else; `_…` is the
 * gate's, and `shadow` says what was not enforced: a check may set neither.
 */
function metadata(s: RowSubject, stage: string, check: string, details: Details | undefined): Metadata {
  const own: Metadata = {
    _stage: stage,
    _check_name: check,
    _exchange_id: s.exchangeId,
    _policy_digest: s.policyDigest,
    _surface: s.surface,
  }
  if (s.round !== undefined) own['_round'] = s.round
  if (details === undefined) return own
  const out: Metadata = {}
  for (const [key, value] of Object.entries(details)) if (!key.startsWith('_') && key !== 'shadow') out[key] = value
  return Object.assign(out, own)
}
