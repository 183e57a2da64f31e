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
}

export type NewId = () => string

export function subjectOf(x: Exchange): RowSubject {
  return {
    exchangeId: x.id,
    owner: x.owner,
    fingerprint: x.requestDigest,
    policyDigest: x.policyDigest,
    surface: x.surface,
  }
}

/** A refusal of the gate itself, before any check ran. */
export function preflightRow(s: RowSubject, why: Because, status: number, id: NewId): Row {
  return row(s, id, 'pipeline.preflight', 'block', why.reason, why.details, {
    _stage: 'preflight',
    _check_name: 'pipeline.preflight',
    _code: why.code,
    _status: status,
    _pre_pipeline_refusal: true,
    _refusal_kind: why.code,
  })
}

export function admittedRow(x: Exchange, id: NewId): Row {
  return row(subjectOf(x), id, 'pipeline.admission', 'allow', 'admission cleared', undefined, {
    _stage: 'admission',
    _check_name: 'pipeline.admission',
    _owner_authenticated_by: x.owner.authenticatedBy,
    ...requestFacts(x),
  })
}

/** One decision of any stage, shadowed ones included. */
export function decisionRow(x: Exchange, d: Decision, id: NewId, extra: Readonly<Record<string, MetaValue>> = {}): Row {
  const why: Because = d.verdict.kind === 'allow' ? CLEARED : d.verdict.because
  return row(subjectOf(x), id, `pipeline.${d.stage}`, d.verdict.kind, why.reason, why.details, {
    _stage: d.stage,
    _check_name: d.check,
    _code: why.code,
    ...(d.shadow ? { shadow: true } : {}),
    ...(d.channel === undefined ? {} : { _channel: d.channel }),
    ...(d.at === undefined ? {} : { _at: d.at }),
    ...(d.call === undefined ? {} : callFacts(d.call)),
    ...(d.stage === 'admission' ? requestFacts(x) : {}),
    ...extra,
  })
}

/** A call that every check let through. */
export function callAllowedRow(x: Exchange, c: Commitment, id: NewId): Row {
  return row(subjectOf(x), id, 'pipeline.commitment', 'allow', 'tool call approved', undefined, {
    _stage: 'commitment',
    _check_name: 'pipeline.commitment',
    ...(c.worst.call === undefined ? {} : callFacts(c.worst.call)),
  })
}

/** The whole answer is authorised for release (or, relayed, upstream's own error). */
export function completedRow(x: Exchange, o: Outcome, facts: CompletionFacts, id: NewId): Row {
  const relayed = o.upstreamStatus !== undefined && o.upstreamStatus >= 400
  return row(
    subjectOf(x),
    id,
    relayed ? 'pipeline.upstream' : 'pipeline.complete',
    'allow',
    relayed ? `upstream answered ${o.upstreamStatus}; its answer was relayed` : 'request completed',
    undefined,
    { _stage: 'record', _check_name: 'pipeline.complete', ...outcomeFacts(o), ...completionFacts(facts) },
  )
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
  return row(subjectOf(x), id, left ? 'pipeline.complete' : 'pipeline.upstream', 'block', why.reason, why.details, {
    _stage: left ? 'record' : 'upstream',
    _check_name: left ? 'pipeline.complete' : 'pipeline.upstream',
    _code: why.code,
    _refusal_kind: why.code,
    ...(left ? {} : { _pipeline_upstream_failure: true }),
    ...outcomeFacts(o),
    ...completionFacts(facts),
  })
}

export function flagRow(x: Exchange, f: Flag, id: NewId): Row {
  return row(subjectOf(x), id, 'pipeline.record', 'block', f.because.reason, f.because.details, {
    _stage: 'record',
    _check_name: f.check,
    _code: f.because.code,
    _flag: true,
  })
}

const CLEARED: Because = { code: 'custom:cleared', reason: 'cleared' }

function requestFacts(x: Exchange): Record<string, MetaValue> {
  return {
    _model: x.request.model.slice(0, 128),
    _stream: x.request.stream,
    ...(x.levels === undefined ? {} : { _data_level: x.levels.data }),
    ...(x.peerAddress === undefined ? {} : { _peer: x.peerAddress }),
    ...(x.session === undefined ? {} : { _session: x.session }),
  }
}

function callFacts(call: NonNullable<Decision['call']>): Record<string, MetaValue> {
  return { _tool: call.name.slice(0, 256), _call_id: call.id.slice(0, 256), _arguments_sha256: call.argumentsDigest }
}

/** Any other value is upstream's own text, which may be what was redacted: it is not recorded. */
const FINISHES: ReadonlySet<string> = new Set(
  `stop length tool_calls function_call content_filter end_turn max_tokens stop_sequence tool_use pause_turn refusal
   eos eos_token error completed incomplete`.split(/\s+/),
)

function outcomeFacts(o: Outcome): Record<string, MetaValue> {
  return {
    _outcome: o.kind,
    output_chars: o.outputChars,
    ...(o.finish === undefined ? {} : { finish_reason: FINISHES.has(o.finish) ? o.finish : 'other' }),
    ...(o.outputTokens === undefined ? {} : { output_tokens: o.outputTokens }),
    ...(o.inputTokens === undefined ? {} : { input_tokens: o.inputTokens }),
    ...(o.upstreamStatus === undefined ? {} : { upstream_status: o.upstreamStatus }),
  }
}

function completionFacts(f: CompletionFacts): Record<string, MetaValue> {
  return {
    response_bytes: f.responseBytes,
    ...(f.responseDigest === undefined ? {} : { _response_sha256: f.responseDigest }),
    ...(f.callsReleased === 0 ? {} : { calls_released: f.callsReleased }),
    ...(f.callsRefused === 0 ? {} : { calls_refused: f.callsRefused }),
    ...(f.decisionsUnnoted === undefined || f.decisionsUnnoted === 0 ? {} : { decisions_unnoted: f.decisionsUnnoted }),
  }
}

function row(
  s: RowSubject,
  id: NewId,
  checkName: string,
  decision: Verdict['kind'],
  reason: string,
  details: Details | undefined,
  own: Readonly<Record<string, MetaValue>>,
): Row {
  return {
    entryId: id(),
    owner: s.owner,
    checkName,
    decision,
    reason,
    fingerprint: s.fingerprint,
    metadata: {
      ...withoutReserved(details),
      ...own,
      _exchange_id: s.exchangeId,
      _policy_digest: s.policyDigest,
      _surface: s.surface,
    },
  }
}

/** `_…` is the gate's, and `shadow` says what was not enforced: a check may set neither. */
function withoutReserved(details: Details | undefined): Record<string, MetaValue> {
  const out: Record<string, MetaValue> = {}
  if (details === undefined) return out
  for (const [key, value] of Object.entries(details)) if (!key.startsWith('_') && key !== 'shadow') out[key] = value
  return out
}
