/**
 * What an approver's passkey signs, and what is kept of it.
 *
 * Guarantees: the challenge stands for one decision of one person about one escalation as it was shown, with the reason that
 * was given; a signature over it fits nothing else. It needs no memory: whoever has the decision can compute it again, years
 * later too. It is used once because a decision is: nobody decides twice, and nothing that is over is decided.
 */
import { hash } from 'node:crypto'
import { canonicalJson } from '../core/jcs.ts'
import { digestOf } from './digest.ts'
import type { ApproverDecision, PasskeyEvidence } from './escalation.ts'

export interface Decided extends Pick<ApproverDecision, 'approver' | 'decision' | 'digest' | 'reason'> {
  readonly escalation: string
}

/** Why an answer of a passkey is none to what was asked. */
export type AssertionProblem =
  | 'malformed'
  | 'another_passkey'
  | 'another_challenge'
  | 'another_origin'
  | 'another_relying_party'
  | 'framed'
  | 'user_not_verified'
  | 'counter'
  | 'signature'

/** SHA-256 over the RFC 8785 form of the decision, in base64url: the challenge of the WebAuthn request. */
export function decisionChallenge({ escalation, approver, decision, digest, reason }: Decided): string {
  const said = { signet: 'escalation decision', v: 1, escalation, digest, decision, approver }
  return hash('sha256', canonicalJson(reason === undefined ? said : { ...said, reason }), 'base64url')
}

/** `sha256:<hex>` over the RFC 8785 form of the evidence: what the row of the decision holds. */
export function evidenceDigest(evidence: PasskeyEvidence): string {
  return digestOf(canonicalJson(evidence))
}

/** `sha256:<hex>` of the public key's bytes: what the row of its registration holds. */
export function publicKeyDigest(publicKey: string): string {
  return `sha256:${hash('sha256', Buffer.from(publicKey, 'base64url'), 'hex')}`
}
