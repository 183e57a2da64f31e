/**
 * The rows of an escalation. The owner of a row is who acts: the approver of a decision, the exchange's owner of a release,
 * the gate itself of an expiry. `_exchange_id` and `_escalation_id` tie them to what they are about.
 */
import type { Owner } from '../core/exchange.ts'
import { parsePrincipal } from '../core/owner.ts'
import type { MetaValue, Row } from '../core/row.ts'
import type { Because } from '../core/verdict.ts'
import type { ApproverDecision, Escalation, Release } from './escalation.ts'
import { evidenceDigest } from './evidence.ts'
import type { RefusedBecause } from './transitions.ts'

export type NewId = () => string

const GATE: Owner = { type: 'policy', id: 'escalation', approvalChain: [], authenticatedBy: 'gate' }

export function decidedRow(e: Escalation, said: ApproverDecision, id: NewId): Row {
  const yes = said.decision === 'approve'
  return row(
    e,
    id,
    actor(said, e),
    yes ? 'allow' : 'block',
    'escalation.decided',
    yes ? 'a human approved' : 'a human denied',
    {
      ...decisionFacts(said),
    },
  )
}

/** Somebody tried to decide and may not, or came too late. */
export function refusedRow(e: Escalation, said: ApproverDecision, why: RefusedBecause, id: NewId): Row {
  return row(e, id, actor(said, e), 'block', 'escalation.not_counted', 'a decision did not count', {
    ...decisionFacts(said),
    _code: why,
  })
}

export function expiredRow(e: Escalation, id: NewId): Row {
  const was = e.state === 'approved' ? 'nobody fetched the approved answer in time' : 'nobody decided in time'
  return row(e, id, GATE, 'block', 'escalation.expired', was, {})
}

/** What the store says of it cannot be believed, its owner included. */
export function unreadableRow(escalationId: string, id: NewId): Row {
  return {
    entryId: id(),
    owner: GATE,
    checkName: 'pipeline.escalation',
    decision: 'block',
    reason: 'what was kept of an escalation could not be opened, and its time was over',
    fingerprint: '',
    metadata: {
      _stage: 'commitment',
      _check_name: 'escalation.unreadable',
      _escalation_id: escalationId,
      _owner_authenticated_by: GATE.authenticatedBy,
    },
  }
}

export function withdrawnRow(e: Escalation, reason: string, id: NewId): Row {
  return row(e, id, GATE, 'block', 'escalation.withdrawn', 'the policy in force denies what was approved', {
    _denied_because: reason,
  })
}

export function releasedRow(e: Escalation, what: Release, again: boolean, id: NewId): Row {
  const reason = again ? 'the released answer was read again' : 'the approved answer was released'
  return row(e, id, e.owner, 'allow', 'escalation.released', reason, {
    _response_sha256: what.body.replace(/^sha256:/, ''),
    _capability_jtis: what.jtis.filter(jti => jti !== ''),
    _approved_by: e.decisions.filter(d => d.decision === 'approve').map(d => d.by),
  })
}

/** The caller was told how it stands: that it waits on, or that its answer will not come. */
export function toldRow(e: Escalation, why: Because, id: NewId): Row {
  const decision = why.code === 'escalated' ? 'escalate' : 'block'
  return row(e, id, e.owner, decision, 'escalation.told', why.reason, { _code: why.code })
}

/** A step in the life of a passkey. Its owner is who acts; whose passkey it is stands in the chain. */
export function passkeyRow(
  name: string,
  by: { readonly principal: string; readonly by: string },
  principal: string,
  reason: string,
  metadata: Readonly<Record<string, MetaValue>>,
  id: NewId,
): Row {
  const parsed = parsePrincipal(by.principal)
  const owner: Owner = parsed.ok
    ? { type: parsed.type, id: parsed.id, approvalChain: [principal], authenticatedBy: by.by }
    : GATE
  return {
    entryId: id(),
    owner,
    checkName: 'pipeline.escalation',
    decision: name === 'passkey.not_registered' ? 'block' : 'allow',
    reason,
    fingerprint: '',
    metadata: {
      ...metadata,
      _stage: 'record',
      _check_name: name,
      _owner_authenticated_by: owner.authenticatedBy,
    },
  }
}

function decisionFacts(said: ApproverDecision): Record<string, MetaValue> {
  return {
    _approver_authenticated_by: said.by,
    _decided_digest: said.digest,
    ...(said.reason === undefined ? {} : { _decision_reason: said.reason }),
    ...(said.evidence === undefined
      ? {}
      : { _evidence_sha256: evidenceDigest(said.evidence), _passkey_id: said.evidence.credentialId }),
  }
}

function actor(said: ApproverDecision, e: Escalation): Owner {
  const parsed = parsePrincipal(said.approver)
  if (!parsed.ok) return GATE
  return { type: parsed.type, id: parsed.id, approvalChain: e.rule.approvers, authenticatedBy: said.by }
}

function row(
  e: Escalation,
  id: NewId,
  owner: Owner,
  decision: Row['decision'],
  name: string,
  reason: string,
  metadata: Readonly<Record<string, MetaValue>>,
): Row {
  return {
    entryId: id(),
    owner,
    checkName: 'pipeline.escalation',
    decision,
    reason,
    fingerprint: e.requestDigest,
    metadata: {
      ...metadata,
      _stage: 'commitment',
      _check_name: name,
      _escalation_id: e.id,
      _exchange_id: e.exchange,
      _approval_digest: e.digest,
      _policy_digest: e.policyDigest,
      _surface: e.surface,
      _tools: e.calls.map(c => c.tool),
      _owner_authenticated_by: owner.authenticatedBy,
    },
  }
}
