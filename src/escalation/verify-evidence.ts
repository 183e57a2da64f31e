/**
 * Kept evidence, verified again, years later and without the gate: `signet-gate/evidence`.
 *
 * Guarantees: `signed` means that the key in the evidence signed exactly this decision of this person about exactly what the
 * digest is over, with the user verified, for the page and relying party that are named. Whose key it is stands in the
 * audit log: the row `passkey.registered` has its digest, the row of the decision that of the evidence.
 */
import { canonicalJson, NotCanonical } from '../core/jcs.ts'
import { loadWebauthn, verifyAssertion } from './assertion.ts'
import { digestOf } from './digest.ts'
import type { PasskeyEvidence } from './escalation.ts'
import { type AssertionProblem, type Decided, decisionChallenge, evidenceDigest, publicKeyDigest } from './evidence.ts'

export interface EvidenceReport {
  readonly escalation: string
  readonly digest: string
  /** What the digest is over. */
  readonly shown: Readonly<Record<string, unknown>>
  readonly digestHolds: boolean
  readonly decisions: readonly DecisionReport[]
}

export interface DecisionReport {
  readonly approver: string
  readonly decision: 'approve' | 'deny'
  readonly by: string
  readonly atMs: number
  /** `unsigned`: there is no evidence, and the audit log alone says that it was made. */
  readonly verdict: 'signed' | 'unsigned' | 'another_digest' | 'another_evidence_digest' | AssertionProblem
  readonly evidence?: PasskeyEvidence
  readonly evidenceDigest?: string
  readonly publicKeyDigest?: string
}

/** Does every part of it hold? Decisions without evidence are none of it; what is no evidence document does not hold. */
export function holds(report: EvidenceReport | undefined): boolean {
  return report?.digestHolds === true && report.decisions.every(d => d.verdict === 'signed' || d.verdict === 'unsigned')
}

/** `undefined`: it is no evidence document. Throws `WebauthnMissing` when there is a signature, and not the package that verifies it. */
export async function verifyEvidence(document: unknown): Promise<EvidenceReport | undefined> {
  const { v, escalation, digest, shown, decisions } = record(document) ?? {}
  const facts = record(shown)
  if (v !== 1 || !isText(escalation) || !isText(digest) || facts === undefined || !Array.isArray(decisions))
    return undefined
  try {
    const reports: DecisionReport[] = []
    for (const each of decisions) {
      const report = await verifyOne(each, escalation, digest)
      if (report === undefined) return undefined
      reports.push(report)
    }
    const digestHolds = facts['escalation'] === escalation && digestOf(canonicalJson(facts)) === digest
    return { escalation, digest, shown: facts, digestHolds, decisions: reports }
  } catch (error) {
    // No I-JSON: no digest was ever made of it.
    if (error instanceof NotCanonical) return undefined
    throw error
  }
}

async function verifyOne(value: unknown, escalation: string, digest: string): Promise<DecisionReport | undefined> {
  const { approver, decision, by, at_ms: atMs, digest: about, reason, ...more } = record(value) ?? {}
  if (!isText(approver) || !isText(by) || typeof atMs !== 'number') return undefined
  if (decision !== 'approve' && decision !== 'deny') return undefined
  if (reason !== null && !isText(reason)) return undefined
  const base = { approver, decision, by, atMs } as const
  if (more['evidence'] === null) return { ...base, verdict: about === digest ? 'unsigned' : 'another_digest' }
  const evidence = readEvidence(more['evidence'])
  if (evidence === undefined) return undefined
  const found = {
    ...base,
    evidence,
    evidenceDigest: evidenceDigest(evidence),
    publicKeyDigest: publicKeyDigest(evidence.publicKey),
  }
  if (about !== digest) return { ...found, verdict: 'another_digest' }
  if (more['evidence_digest'] !== found.evidenceDigest) return { ...found, verdict: 'another_evidence_digest' }
  const said: Decided = { escalation, approver, decision, digest, ...(reason === null ? {} : { reason }) }
  const { credentialId, publicKey, authenticatorData, clientDataJson, signature, rpId, origin } = evidence
  const verified = await verifyAssertion(
    await loadWebauthn(),
    { id: credentialId, authenticatorData, clientDataJSON: clientDataJson, signature },
    // Counts are for noticing copies of a key while it is in use.
    { credentialId, publicKey, counter: 0 },
    { challenge: decisionChallenge(said), rpId, origins: [origin] },
  )
  return { ...found, verdict: verified.ok ? 'signed' : verified.problem }
}

function readEvidence(value: unknown): PasskeyEvidence | undefined {
  const { kind, credentialId, publicKey, authenticatorData, clientDataJson, signature, rpId, origin, ...more } =
    record(value) ?? {}
  if (kind !== 'passkey' || Object.keys(more).length > 0) return undefined
  if (!isText(credentialId) || !isText(publicKey) || !isText(authenticatorData) || !isText(clientDataJson))
    return undefined
  if (!isText(signature) || !isText(rpId) || !isText(origin)) return undefined
  return { kind, credentialId, publicKey, authenticatorData, clientDataJson, signature, rpId, origin }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
}
