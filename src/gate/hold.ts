/**
 * An answer with a call that waits for a human. Guarantees that nothing of the call leaves: the answer is sealed whole, every
 * escalated call has its row, and the caller is told, or kept waiting if that is what it asked for.
 */
import type { MaybeAsync } from '../core/check.ts'
import type { Decision } from '../core/exchange.ts'
import type { Ticket } from '../core/row.ts'
import { type Because, because, block } from '../core/verdict.ts'
import type { Opened } from '../escalation/desk.ts'
import { toldRow } from '../escalation/rows.ts'
import { isThenable, within } from '../pipeline/guard.ts'
import { decisionRow } from '../pipeline/rows.ts'
import type { Observed } from '../pipeline/step.ts'
import { refuse } from './answer.ts'
import { abort, faulted, refused, sendReleased } from './break-off.ts'
import { escalatedBecause, locationOf } from './escalated.ts'
import { approverAuthOf, audienceOf } from './mint.ts'
import { answerReleased, type Ready, releaseHeld, streamReleased } from './release-held.ts'
import { pairs, type UnderWay } from './under-way.ts'
import { waitForHuman } from './wait-for-human.ts'

/** A store that does not answer for longer counts as unavailable. */
const STATE_LIMIT_MS = 5_000

export async function hold(d: UnderWay, observed: Observed): Promise<void> {
  const { gate, asked, exchange } = d.o
  const first = d.escalated[0]?.worst
  if (first === undefined || first.effect.kind !== 'escalate') return
  const frames = d.kept.frames
  if (frames === undefined) {
    await faulted(d, because('upstream_too_large', 'the answer is too large to be held for approval'))
    return
  }
  const before = sendReleased(d)
  if (isThenable(before)) await before
  if (d.done) return
  let opened: Opened | { readonly kind: 'nobody' }
  try {
    const holding = gate.desk.hold({
      exchange: exchange.id,
      owner: exchange.owner,
      claimsVerified: gate.identity.verified,
      stage: 'commitment',
      surface: exchange.surface,
      upstream: asked.upstreamLabel,
      policyDigest: exchange.policyDigest,
      requestDigest: exchange.requestDigest,
      check: first.check,
      reason: first.effect.because.reason,
      audienceOf: tool => audienceOf(gate, tool),
      approverAuth: approverAuthOf(
        gate,
        d.escalated.map(c => c.call.name),
      ),
      answer: {
        dialect: d.o.dialect.name,
        request: d.o.forwarded,
        stream: d.stream !== undefined,
        status: d.status,
        headers: pairs(d.relayed),
        context: {
          peerAddress: exchange.peerAddress,
          declared: exchange.declared,
          levels: exchange.levels,
          session: exchange.session,
        },
        calls: d.escalated.map(c => ({
          key: c.call.key,
          id: c.call.id,
          name: c.call.name,
          argumentsText: c.call.argumentsText,
          ...tierOf(c.worst),
        })),
        frames,
        given: [...d.minting.minted],
        shadowed: d.shadowed,
      },
    })
    opened = await within(gate.clock, STATE_LIMIT_MS, holding)
  } catch {
    if (!d.done) await faulted(d, because('state_unavailable', 'the held answer could not be kept'))
    return
  }
  if (d.done) return
  if ('kind' in opened) {
    await refused(d, nobodyMayApprove(first))
    return
  }
  const row = escalatedRows(d, opened)
  d.end(d.outcome('escalated', observed))
  await waitAndTell(d, opened, row, first)
}

/** One row per escalated call; the last one's ticket stands for them all. */
function escalatedRows(d: UnderWay, { escalation: e }: Opened): Ticket {
  const { gate, exchange } = d.o
  const about = {
    _escalation_id: e.id,
    _expires_at_ms: e.expiresAtMs,
    _approval_digest: e.digest,
  }
  let ticket: Ticket | undefined
  for (const c of d.escalated) ticket = gate.audit.append(decisionRow(exchange, c.worst, d.newId, about))
  if (ticket === undefined) throw new Error('an answer is held for at least one call')
  return ticket
}

async function waitAndTell(d: UnderWay, opened: Opened, row: Ticket, first: Decision): Promise<void> {
  const { gate, res, asked } = d.o
  let e = opened.escalation
  if (asked.waitMs === 0) return tell(d, opened, escalatedBecause(e, opened.token), row, first)
  try {
    await row.durable()
    e = await waitForHuman(gate, res, e.id, asked.waitMs, () => beat(d))
    if (res.destroyed) return
    if (e.state === 'approved' || e.state === 'released') {
      const r = await releaseHeld(gate, e.id)
      if (r.kind === 'released') return await sendReleasedAnswer(d, r)
      if (r.kind === 'not_released') e = r.escalation
    }
  } catch {
    // The log or the store failed meanwhile: nothing leaves, and the caller may ask again.
    const why = because('state_unavailable', 'the held answer could not be released just now; ask again')
    return tell(d, opened, why, row, first)
  }
  const why = escalatedBecause(e, opened.token)
  await tell(d, opened, why, why.code === 'escalated' ? row : gate.audit.append(toldRow(e, why, d.newId)), first)
}

function sendReleasedAnswer(d: UnderWay, r: Ready): Promise<void> {
  const { gate, res, asked } = d.o
  const { stream } = d
  if (stream?.started === true) return streamReleased(gate, res, stream, r)
  return answerReleased(gate, res, asked, r)
}

/** It waits, or will not come. */
async function tell(d: UnderWay, { escalation }: Opened, why: Because, ticket: Ticket, first: Decision): Promise<void> {
  const { gate, res, dialect, asked } = d.o
  if (d.stream !== undefined) {
    await abort(d, d.stream, ticket, why, 'commitment', first.check, escalation.id)
    return
  }
  await refuse(gate, res, dialect, asked, {
    because: why,
    stage: 'commitment',
    decision: why.code === 'escalated' || why.code === 'state_unavailable' ? 'escalate' : 'block',
    ticket,
    check: first.check,
    escalationId: escalation.id,
    headers: { ...d.upstreamStatus(), ...locationOf(why) },
  })
}

/** Something to keep the connection of a stream alive: clients ignore comments. */
function beat(d: UnderWay): MaybeAsync<void> {
  const { stream } = d
  if (stream === undefined || d.o.res.writableNeedDrain) return undefined
  stream.comment('signet is waiting for an approval')
  return stream.flush()
}

function nobodyMayApprove(first: Decision): Decision {
  const verdict = block('no_approver', `${reasonOf(first)}, and nobody is there who may give it`)
  return { ...first, verdict, effect: verdict }
}

function tierOf({ effect }: Decision): { readonly tier?: string } {
  const tier = effect.kind === 'allow' ? undefined : effect.because.details?.['tier']
  return typeof tier === 'string' ? { tier } : {}
}

function reasonOf(d: Decision): string {
  return d.verdict.kind === 'allow' ? 'an approval is needed' : d.verdict.because.reason
}
