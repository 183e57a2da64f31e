/**
 * The ways an answer ends before it is whole: a check's refusal, upstream's fault, a caller who left, a log that is lost.
 *
 * Guarantees: upstream is cancelled; what was released before goes out first, so how an answer ends does not depend on how
 * the network cut it; a row says why, durable before the caller is told; a stream that has begun ends with the dialect's
 * own error frame.
 */
import type { MaybeAsync } from '../core/check.ts'
import type { Decision } from '../core/exchange.ts'
import type { Ticket } from '../core/row.ts'
import { type Because, because } from '../core/verdict.ts'
import type { Refusal } from '../core/wire.ts'
import { isThenable } from '../pipeline/guard.ts'
import { abortedRow, decisionRow } from '../pipeline/rows.ts'
import type { Observed } from '../pipeline/step.ts'
import { refuse, unavailable } from './answer.ts'
import { endAnswer, type StreamSink } from './sink.ts'
import { statusOf } from './status.ts'
import type { UnderWay } from './under-way.ts'

export async function refused(d: UnderWay, decision: Decision): Promise<void> {
  const { gate, res, dialect, asked, exchange } = d.o
  const observed = d.observed
  d.call?.cancel()
  const before = sendReleased(d)
  if (isThenable(before)) await before
  if (d.done) return
  const effect = decision.effect
  const why = effect.kind === 'allow' ? because('check_error', 'refused') : effect.because
  const started = d.stream?.started === true
  const row = decisionRow(exchange, decision, d.newId, abortFacts(d, started))
  d.end(d.outcome(started ? 'aborted' : 'refused', observed))
  if (started && d.stream !== undefined) {
    await abort(d, d.stream, gate.audit.append(row), why, decision.stage, decision.check)
    return
  }
  await refuse(gate, res, dialect, asked, {
    because: why,
    stage: decision.stage,
    decision: decision.verdict.kind,
    row,
    check: decision.check,
    headers: d.upstreamStatus(),
  })
}

export async function faulted(d: UnderWay, why: Because): Promise<void> {
  const { gate, res, dialect, asked, exchange } = d.o
  const observed = d.observed
  d.call?.cancel()
  const before = sendReleased(d)
  if (isThenable(before)) {
    await before.catch((error: unknown) => {
      // Nobody could vouch for the head: nothing has left that the end would have to wait for.
      if (d.stream?.started === true) throw error
    })
  }
  if (d.done) return
  const started = d.stream?.started === true
  const outcome = d.outcome('faulted', observed)
  const row = abortedRow(exchange, why, outcome, d.facts(d.stream?.bytes ?? 0), d.newId)
  d.end(outcome)
  if (started && d.stream !== undefined) {
    await abort(d, d.stream, gate.audit.append(row), why, 'upstream', undefined)
    return
  }
  await refuse(gate, res, dialect, asked, {
    because: why,
    stage: 'upstream',
    decision: 'block',
    row,
    headers: d.upstreamStatus(),
  })
}

/** A stream that has begun ends with the dialect's own error frame, once the row is durable. */
export async function abort(
  d: UnderWay,
  stream: StreamSink,
  ticket: Ticket,
  why: Because,
  stage: Refusal['stage'],
  check: string | undefined,
  escalationId?: string,
): Promise<void> {
  const { gate, asked, res } = d.o
  let told = why
  try {
    await ticket.durable()
  } catch {
    told = because('audit_unavailable', 'the audit log cannot be written')
  }
  asked.told = { decision: escalationId === undefined ? 'block' : 'escalate', code: told.code }
  stream.abort({
    status: statusOf(told),
    because: told,
    stage,
    correlationId: asked.id,
    strict: gate.settings.strict,
    ...(check === undefined || told !== why ? {} : { check }),
    ...(escalationId === undefined ? {} : { escalationId }),
  })
  await stream.flush()
  endAnswer(res)
}

/** What was released goes out before the end does: how an answer ends must not depend on how the network cut it. */
export function sendReleased(d: UnderWay): MaybeAsync<void> {
  return d.stream?.flush()
}

/** The caller left. */
export function gone(d: UnderWay): void {
  if (d.done) return
  const { gate, asked, exchange } = d.o
  d.call?.cancel()
  asked.told = { decision: 'allow', code: 'client_disconnect' }
  const outcome = d.outcome('disconnected', d.observed)
  gate.audit.append(
    abortedRow(
      exchange,
      because('client_disconnect', 'the caller left before the answer was complete'),
      outcome,
      d.facts(d.stream?.bytes ?? 0),
      d.newId,
    ),
  )
  d.end(outcome)
}

/** The completion row could not be made durable. */
export function auditLost(d: UnderWay, observed: Observed): void {
  const { gate, res, dialect, asked } = d.o
  d.call?.cancel()
  d.end(d.outcome('faulted', observed))
  unavailable(gate, res, dialect, asked)
}

/** The log is lost in the middle of a stream: say so with the dialect's error frame, which releases nothing. */
export function cutOff(d: UnderWay, stream: StreamSink): void {
  const { gate, asked, res } = d.o
  const why = because('audit_unavailable', 'the audit log cannot be written')
  asked.told = { decision: 'block', code: why.code }
  stream.abort({
    status: 503,
    because: why,
    stage: 'upstream',
    correlationId: asked.id,
    strict: gate.settings.strict,
  })
  const flushed = stream.flush()
  if (isThenable(flushed)) flushed.then(() => endAnswer(res)).catch(() => res.destroy())
  else endAnswer(res)
}

function abortFacts(d: UnderWay, started: boolean) {
  return { response_bytes: d.stream?.bytes ?? 0, abort_stage: 'inspection', _started: started }
}
