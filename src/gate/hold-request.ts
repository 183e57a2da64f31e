/**
 * A request that waits for a human before the model is called. Guarantees that it is forwarded only after exactly this
 * request of this owner was approved, once, and only past the checks that escalated it: every other check has had its say.
 */
import type { ServerResponse } from 'node:http'
import type { Admitted, Decision, Outcome } from '../core/exchange.ts'
import { because, block } from '../core/verdict.ts'
import type { Dialect } from '../core/wire.ts'
import type { Opened } from '../escalation/desk.ts'
import type { Escalation } from '../escalation/escalation.ts'
import { toldRow } from '../escalation/rows.ts'
import { type Admission, approve } from '../pipeline/admit.ts'
import { within } from '../pipeline/guard.ts'
import { decisionRow } from '../pipeline/rows.ts'
import { type Asked, refuse } from './answer.ts'
import { escalatedBecause, locationOf } from './escalated.ts'
import type { Gate } from './gate.ts'
import { approverAuthOf, audienceOf } from './mint.ts'
import { releaseHeld } from './release-held.ts'
import { answerHeld, DOWN, findResubmitted, type Resubmission, tellHeld, UNKNOWN } from './resubmit.ts'
import { waitForHuman } from './wait-for-human.ts'

export type Held =
  | { readonly kind: 'admitted'; readonly exchange: Admitted }
  | { readonly kind: 'answered'; readonly outcome: Outcome }

const STATE_LIMIT_MS = 5_000

export async function holdAtAdmission(
  gate: Gate,
  res: ServerResponse,
  dialect: Dialect,
  asked: Asked,
  admission: Admission,
  refusal: Decision,
): Promise<Held> {
  const x = admission.exchange
  const newId = () => gate.random.uuid()
  if (refusal.effect.kind !== 'escalate') throw new Error('only what is escalated is held')
  const { effect } = refusal
  let opened: Opened | { readonly kind: 'nobody' }
  try {
    const holding = gate.desk.hold({
      exchange: x.id,
      owner: x.owner,
      claimsVerified: gate.identity.verified,
      stage: 'admission',
      surface: x.surface,
      upstream: asked.upstreamLabel,
      policyDigest: x.policyDigest,
      requestDigest: x.requestDigest,
      check: escalating(admission).join(','),
      reason: effect.because.reason,
      audienceOf: tool => audienceOf(gate, tool),
      approverAuth: approverAuthOf(gate, x.request.upstreamTools),
      answer: {
        dialect: dialect.name,
        request: x.request.raw,
        stream: x.request.stream,
        status: 0,
        headers: [],
        context: { peerAddress: x.peerAddress, declared: x.declared, levels: x.levels, session: x.session },
        calls: [],
        frames: [],
        given: [],
        shadowed: false,
      },
    })
    opened = await within(gate.clock, STATE_LIMIT_MS, holding)
  } catch {
    opened = { kind: 'nobody' }
    const verdict = block('state_unavailable', 'the request could not be kept for an approval')
    return answered(await refuseInstead(gate, res, dialect, asked, admission, { ...refusal, verdict, effect: verdict }))
  }
  if ('kind' in opened) {
    const verdict = block('no_approver', `${effect.because.reason}, and nobody is there who may approve it`)
    return answered(await refuseInstead(gate, res, dialect, asked, admission, { ...refusal, verdict, effect: verdict }))
  }
  let e = opened.escalation
  for (const d of x.decisions) if (d !== refusal) gate.audit.append(decisionRow(x, d, newId))
  const row = gate.audit.append(
    decisionRow(x, refusal, newId, {
      _escalation_id: e.id,
      _expires_at_ms: e.expiresAtMs,
      _approval_digest: e.digest,
    }),
  )
  try {
    if (asked.waitMs > 0) {
      await row.durable()
      e = await waitForHuman(gate, res, e.id, asked.waitMs)
      const exchange = await passed(gate, e, admission)
      if (exchange !== undefined) return { kind: 'admitted', exchange }
      if (e.state === 'approved') e = (await gate.desk.find(e.id)) ?? e
    }
  } catch {
    await tellHeld(gate, res, dialect, asked, e, DOWN)
    return answered(outcome('faulted'))
  }
  const why = escalatedBecause(e, opened.token)
  await refuse(gate, res, dialect, asked, {
    because: why,
    stage: 'admission',
    decision: why.code === 'escalated' ? 'escalate' : 'block',
    ticket: why.code === 'escalated' ? row : gate.audit.append(toldRow(e, why, newId)),
    check: refusal.check,
    escalationId: e.id,
    headers: locationOf(why),
  })
  return answered(outcome(why.code === 'escalated' ? 'escalated' : 'refused'))
}

/** The same request again, for what was held of it. */
export async function comeBack(
  gate: Gate,
  res: ServerResponse,
  dialect: Dialect,
  asked: Asked,
  admission: Admission,
  resubmission: Resubmission,
): Promise<Held> {
  const x = admission.exchange
  let e: Escalation | undefined
  try {
    e = await findResubmitted(gate, resubmission, x)
    if (e?.stage === 'admission') {
      if (asked.waitMs > 0 && e.state === 'pending') e = await waitForHuman(gate, res, e.id, asked.waitMs)
      const exchange = await passed(gate, e, admission)
      if (exchange !== undefined) return { kind: 'admitted', exchange }
      e = (await gate.desk.find(e.id)) ?? e
    }
  } catch {
    if (e === undefined) return answered(await refuseInstead(gate, res, dialect, asked, admission, own(DOWN)))
    await tellHeld(gate, res, dialect, asked, e, DOWN)
    return answered(outcome('faulted'))
  }
  if (e === undefined) return answered(await refuseInstead(gate, res, dialect, asked, admission, own(UNKNOWN)))
  if (e.stage === 'commitment') {
    return answered(await answerHeld(gate, res, dialect, asked, e, resubmission.token))
  }
  const why =
    e.state === 'approved'
      ? because('approval_denied', 'other checks object now than those that a human was asked about')
      : escalatedBecause(e, resubmission.token)
  await tellHeld(gate, res, dialect, asked, e, why)
  return answered(outcome(e.state === 'pending' ? 'escalated' : 'refused'))
}

/** The approval is used up before the request is forwarded; whoever comes second does not pass. */
async function passed(gate: Gate, e: Escalation, admission: Admission): Promise<Admitted | undefined> {
  if (e.state !== 'approved') return undefined
  const exchange = admission.admitted ?? approve(admission, new Set(e.check.split(',')))
  if (exchange === undefined) return undefined
  const r = await releaseHeld(gate, e.id)
  return r.kind === 'released' && r.first ? exchange : undefined
}

async function refuseInstead(
  gate: Gate,
  res: ServerResponse,
  dialect: Dialect,
  asked: Asked,
  admission: Admission,
  refusal: Decision,
): Promise<Outcome> {
  const x = admission.exchange
  const newId = () => gate.random.uuid()
  for (const d of x.decisions) gate.audit.append(decisionRow(x, d, newId))
  if (refusal.effect.kind !== 'block') throw new Error('a refusal is a block')
  await refuse(gate, res, dialect, asked, {
    because: refusal.effect.because,
    stage: 'admission',
    decision: 'block',
    row: decisionRow(x, refusal, newId),
    check: refusal.check,
  })
  return outcome('refused')
}

function own(why: ReturnType<typeof because>): Decision {
  const verdict = { kind: 'block', because: why } as const
  return { stage: 'admission', check: 'escalation', verdict, effect: verdict, shadow: false }
}

function escalating(admission: Admission): readonly string[] {
  return [...new Set(admission.decisions.filter(d => d.effect.kind === 'escalate').map(d => d.check))]
}

function answered(o: Outcome): Held {
  return { kind: 'answered', outcome: o }
}

function outcome(kind: Outcome['kind']): Outcome {
  return { kind, forwarded: false, outputChars: 0, outputComplete: false }
}
