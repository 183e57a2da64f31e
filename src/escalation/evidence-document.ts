/**
 * What an escalation's evidence is taken away as: everything that is needed to verify later, without the gate, who decided
 * what and with which key. It holds digests of arguments, not arguments.
 */
import { approvalFacts } from './digest.ts'
import type { Escalation } from './escalation.ts'
import { evidenceDigest } from './evidence.ts'

export function evidenceDocument(e: Escalation): Readonly<Record<string, unknown>> {
  return {
    v: 1,
    escalation: e.id,
    state: e.state,
    digest: e.digest,
    /** The digest is over the RFC 8785 form of this. */
    shown: approvalFacts(e),
    rule: e.rule,
    decisions: e.decisions.map(d => ({
      approver: d.approver,
      decision: d.decision,
      by: d.by,
      at_ms: d.atMs,
      digest: d.digest,
      reason: d.reason ?? null,
      evidence: d.evidence ?? null,
      evidence_digest: d.evidence === undefined ? null : evidenceDigest(d.evidence),
    })),
  }
}
