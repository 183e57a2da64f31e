/**
 * `X-Signet-Escalation: <id>` or `<id>.<token>` on the same request sent again: its caller comes back for what was held.
 *
 * Guarantees: only the same owner, with the same request bytes on the same surface, gets anything; where owners are the
 * caller's word, the token is needed too. Whatever does not fit is one and the same refusal.
 */
import type { ServerResponse } from 'node:http'
import type { Exchange, Outcome } from '../core/exchange.ts'
import { type Because, because } from '../core/verdict.ts'
import type { Dialect, Fault } from '../core/wire.ts'
import type { Escalation } from '../escalation/escalation.ts'
import { toldRow } from '../escalation/rows.ts'
import { headerValue } from '../identity/headers.ts'
import { within } from '../pipeline/guard.ts'
import { type Asked, refuse } from './answer.ts'
import { escalatedBecause, locationOf } from './escalated.ts'
import type { Gate } from './gate.ts'
import { answerReleased, releaseHeld } from './release-held.ts'
import { waitForHuman } from './wait-for-human.ts'

export interface Resubmission {
  readonly id: string
  readonly token: string | undefined
}

const STATE_LIMIT_MS = 5_000
const NAMED = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:\.([A-Za-z0-9_-]{43}))?$/

/** `undefined` when the header is absent. */
export function readResubmission(rawHeaders: readonly string[]): Resubmission | undefined | Fault {
  const value = headerValue(rawHeaders, 'x-signet-escalation')
  if (value === undefined) return undefined
  const [, id, token] = NAMED.exec(value) ?? []
  if (id !== undefined) return { id, token }
  return {
    kind: 'fault',
    code: 'request_invalid',
    message: 'X-Signet-Escalation: expected an escalation id, or the id, a dot and its token',
  }
}

/** `undefined`: there is none for this caller and this request. Throws when the store does not answer. */
export async function findResubmitted(gate: Gate, r: Resubmission, x: Exchange): Promise<Escalation | undefined> {
  const { desk } = gate
  const finding =
    r.token === undefined && gate.identity.verified
      ? desk.ofVerifiedOwner(r.id, x.owner)
      : desk.ofOwner(r.id, x.owner, r.token ?? '')
  const e = await within(gate.clock, STATE_LIMIT_MS, finding)
  return e?.requestDigest === x.requestDigest && e.surface === x.surface ? e : undefined
}

/** Answers with what was held, or with how it stands. */
export async function answerHeld(
  gate: Gate,
  res: ServerResponse,
  dialect: Dialect,
  asked: Asked,
  found: Escalation,
  token: string | undefined,
): Promise<Outcome> {
  let e = found
  try {
    if (asked.waitMs > 0 && e.state === 'pending') e = await waitForHuman(gate, res, e.id, asked.waitMs)
    if (e.state === 'approved' || e.state === 'released') {
      const r = await releaseHeld(gate, e.id)
      if (r.kind === 'released') {
        await answerReleased(gate, res, asked, r)
        return outcome('completed')
      }
      if (r.kind === 'not_released') e = r.escalation
    }
  } catch {
    await tellHeld(gate, res, dialect, asked, e, DOWN)
    return outcome('faulted')
  }
  await tellHeld(gate, res, dialect, asked, e, escalatedBecause(e, token))
  return outcome(e.state === 'pending' ? 'escalated' : 'refused')
}

export function tellHeld(
  gate: Gate,
  res: ServerResponse,
  dialect: Dialect,
  asked: Asked,
  e: Escalation,
  why: Because,
): Promise<void> {
  return refuse(gate, res, dialect, asked, {
    because: why,
    stage: e.stage,
    decision: why.code === 'escalated' ? 'escalate' : 'block',
    row: toldRow(e, why, () => gate.random.uuid()),
    check: e.check,
    escalationId: e.id,
    headers: locationOf(why),
  })
}

export const DOWN: Because = because('state_unavailable', 'what is held cannot be read or released just now; ask again')

export const UNKNOWN: Because = because(
  'escalation_unknown',
  'no such escalation for this owner and this request; send the same request again, as the same owner',
)

function outcome(kind: Outcome['kind']): Outcome {
  return { kind, forwarded: false, outputChars: 0, outputComplete: false }
}
