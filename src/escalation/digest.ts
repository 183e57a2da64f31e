/**
 * The digest that an approver approves: everything that will fire, and nothing that an approver was not shown. An approval
 * names it, so an approval of one thing can never be used for another.
 */
import { hash } from 'node:crypto'
import { canonicalJson } from '../core/jcs.ts'
import { ownerString } from '../core/owner.ts'
import { readArguments } from '../dialects/arguments.ts'
import type { Escalation } from './escalation.ts'

/** What the digest is over. */
export type ApprovalFacts = Omit<Escalation, 'digest' | 'state' | 'decisions' | 'release' | 'tokenHash'>

/** `sha256:<hex>` over the RFC 8785 form of exchange, owner, policy, upstream, calls with arguments and audience, and expiry. */
export function approvalDigest(e: ApprovalFacts): string {
  return digestOf(canonicalJson(approvalFacts(e)))
}

/** As plain JSON, for whoever wants to compute the digest again. */
export function approvalFacts(e: ApprovalFacts): Readonly<Record<string, unknown>> {
  return {
    v: 1,
    escalation: e.id,
    exchange: e.exchange,
    owner: ownerString(e.owner),
    stage: e.stage,
    surface: e.surface,
    upstream: e.upstream,
    policy: e.policyDigest,
    request: e.requestDigest,
    expires_at_ms: e.expiresAtMs,
    calls: e.calls.map(c => ({
      id: c.id,
      tool: c.tool,
      arguments: c.argumentsDigest,
      arguments_text: digestOf(c.argumentsText),
      ...(c.audience === undefined ? {} : { audience: c.audience }),
    })),
  }
}

/**
 * `sha256:<hex>` of the RFC 8785 form of a call's arguments, or `undefined` when they are no I-JSON object: then two
 * readers could disagree about what they say.
 */
export function argumentsDigest(text: string): string | undefined {
  const value = readArguments(text)
  return value === undefined ? undefined : digestOf(canonicalJson(value))
}

export function digestOf(text: string): string {
  return `sha256:${hash('sha256', text, 'hex')}`
}
