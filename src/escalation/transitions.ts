/**
 * What can happen to an escalation, as functions from one state to the next. They read no clock, write no row and know no
 * store: `desk.ts` does that, with compare-and-set, so that of two who decide at once only one is heard.
 *
 * Guarantees: only a pending escalation is decided; only its approvers decide it, each once, in turn where the rule says
 * so, and only for the digest of exactly this escalation; a decision that comes at or after the expiry is none; only an
 * approved escalation is released, once.
 */
import { timingSafeEqual } from 'node:crypto'
import { currentApprovers, isSatisfied, mayNotApprove } from './approvers.ts'
import { type ApproverDecision, type Escalation, isOver, type Release } from './escalation.ts'

export type RefusedBecause =
  | 'not_pending'
  | 'expired'
  | 'digest_mismatch'
  | 'own_request'
  | 'not_an_approver'
  | 'not_your_turn'
  | 'already_decided'
  | 'passkey_required'
  | 'passkey_refused'
  | 'not_approved'
  | 'changed'

export type Transition =
  | { readonly kind: 'next'; readonly escalation: Escalation }
  | { readonly kind: 'refused'; readonly because: RefusedBecause; readonly message: string }

/** `seen`: how many had decided when it was shown. */
export function decide(e: Escalation, said: ApproverDecision, seen?: number): Transition {
  if (said.atMs >= e.expiresAtMs) return refused('expired', 'the time to decide is over')
  if (e.state !== 'pending') return refused('not_pending', `it is ${e.state} already`)
  if (!sameText(said.digest, e.digest)) {
    return refused('digest_mismatch', 'the decision is about another digest than this escalation has; look at it again')
  }
  if (mayNotApprove(said.approver, e.owner)) {
    return refused('own_request', 'nobody decides what is done in their own name')
  }
  if (!e.rule.approvers.includes(said.approver)) return refused('not_an_approver', 'not one of its approvers')
  if (e.decisions.some(d => d.approver === said.approver)) {
    return refused('already_decided', 'this approver has decided already')
  }
  if (!currentApprovers(e).includes(said.approver)) {
    return refused('not_your_turn', `${currentApprovers(e)[0] ?? 'somebody else'} is asked first`)
  }
  // A no needs no proof: it can only keep something from happening.
  if (said.decision === 'approve' && e.rule.auth !== undefined && said.evidence?.kind !== e.rule.auth) {
    return refused('passkey_required', 'this is approved with a passkey only')
  }
  if (seen !== undefined && seen !== e.decisions.length) {
    return refused('changed', 'others have decided since it was shown; look at it again')
  }
  const decisions = [...e.decisions, said]
  if (said.decision === 'deny') return next({ ...e, decisions, state: 'denied' })
  return next({ ...e, decisions, state: isSatisfied(e.rule, decisions) ? 'approved' : 'pending' })
}

/** Time has run out, for a decision or for a release nobody came to fetch. */
export function expire(e: Escalation, nowMs: number): Transition {
  if (isOver(e.state)) return refused('not_pending', `it is ${e.state} already`)
  if (nowMs < e.expiresAtMs) return refused('not_pending', 'its time is not over')
  return next({ ...e, state: 'expired' })
}

/** The policy that is in force now says no to what a human approved: the stricter one wins. */
export function withdraw(e: Escalation, reason: string, nowMs: number): Transition {
  if (e.state !== 'approved') return refused('not_approved', `it is ${e.state}`)
  const said: ApproverDecision = {
    approver: 'policy:pipeline',
    decision: 'deny',
    by: 'pipeline',
    atMs: nowMs,
    digest: e.digest,
    reason,
  }
  return next({ ...e, state: 'denied', decisions: [...e.decisions, said] })
}

export function release(e: Escalation, what: Release): Transition {
  if (e.state !== 'approved') return refused('not_approved', `it is ${e.state}`)
  if (what.atMs >= e.expiresAtMs) return refused('expired', 'the approval is too old to act on')
  // A stored state is believed only as far as the decisions beside it carry it.
  if (!isSatisfied(e.rule, e.decisions)) return refused('not_approved', 'not all of its approvers have approved')
  return next({ ...e, state: 'released', release: what })
}

function next(escalation: Escalation): Transition {
  return { kind: 'next', escalation }
}

function refused(because: RefusedBecause, message: string): Transition {
  return { kind: 'refused', because, message }
}

function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}
