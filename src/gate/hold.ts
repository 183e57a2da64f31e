/**
 * An answer with a call that waits for a human. Guarantees that nothing of it leaves: it is sealed whole, the caller is
 * told so, and every escalated call has its row.
 */
import { ownerString } from '../core/owner.ts'
import { because } from '../core/verdict.ts'
import { isThenable, within } from '../pipeline/guard.ts'
import { decisionRow } from '../pipeline/rows.ts'
import type { Observed } from '../pipeline/step.ts'
import { refuse } from './answer.ts'
import { abort, faulted, sendReleased } from './break-off.ts'
import { pairs, type UnderWay } from './under-way.ts'

/** A store that does not answer for longer counts as unavailable. */
const STATE_LIMIT_MS = 5_000

/** The whole answer, sealed until a human has decided. */
export async function hold(d: UnderWay, observed: Observed): Promise<void> {
  const { gate, res, dialect, asked, exchange } = d.o
  const first = d.escalated[0]
  if (first === undefined || first.worst.effect.kind !== 'escalate') return
  const frames = d.kept.frames
  if (frames === undefined) {
    await faulted(d, because('upstream_too_large', 'the answer is too large to be held for approval'))
    return
  }
  const before = sendReleased(d)
  if (isThenable(before)) await before
  if (d.done) return
  const escalationId = gate.random.uuid()
  const expiresAtMs = gate.clock.now() + gate.held.ttlMs
  const sealed = gate.held.sealer.seal(escalationId, {
    dialect: dialect.name,
    request: d.o.forwarded,
    stream: d.stream !== undefined,
    status: d.status,
    headers: pairs(d.relayed),
    calls: d.escalated.map(c => ({
      key: c.call.key,
      id: c.call.id,
      name: c.call.name,
      argumentsText: c.call.argumentsText,
    })),
    frames,
  })
  const why = first.worst.effect.because
  let row = decisionRow(exchange, first.worst, d.newId, {
    _escalation_id: escalationId,
    _expires_at_ms: expiresAtMs,
  })
  try {
    const kept = gate.held.store.put(escalationId, ownerString(exchange.owner), sealed, expiresAtMs)
    if (isThenable(kept)) await within(gate.clock, STATE_LIMIT_MS, kept)
  } catch {
    if (!d.done) await faulted(d, because('state_unavailable', 'the held answer could not be kept'))
    return
  }
  if (d.done) return
  for (const c of d.escalated.slice(1)) {
    gate.audit.append(row)
    row = decisionRow(exchange, c.worst, d.newId, { _escalation_id: escalationId, _expires_at_ms: expiresAtMs })
  }
  d.end(d.outcome('escalated', observed))
  const told = because('escalated', why.reason, why.details)
  if (d.stream !== undefined) {
    await abort(d, d.stream, gate.audit.append(row), told, 'commitment', first.worst.check, escalationId)
    return
  }
  await refuse(gate, res, dialect, asked, {
    because: told,
    stage: 'commitment',
    decision: 'escalate',
    row,
    check: first.worst.check,
    escalationId,
    headers: d.upstreamStatus(),
  })
}
