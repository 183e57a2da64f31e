/** A decision as it comes in: what it is about is named by its digest, and who makes it is never in it. */
import { type Members, optionalText } from './body.ts'

export const BASE = '/api/v1/escalations'
const MAX_REASON = 1000
const MAX_DIGEST = 200

export interface SaidDecision {
  readonly digest: string
  readonly reason: string | undefined
  /** How many had decided when it was shown. */
  readonly seen: number | undefined
}

/** What is wrong with it, or what it says. */
export function readDecision(members: Members, decision: 'approve' | 'deny'): string | SaidDecision {
  const { digest } = members
  if (typeof digest !== 'string' || digest.length > MAX_DIGEST) return 'digest: expected the digest that was shown'
  const reason = optionalText(members, 'reason', MAX_REASON)
  if (typeof reason === 'object') return reason.problem
  if (decision === 'deny' && reason === undefined) return 'reason: say why, in a sentence'
  const seen = members['seen_decisions']
  if (seen !== undefined && !(typeof seen === 'number' && Number.isSafeInteger(seen) && seen >= 0))
    return 'seen_decisions: expected how many had decided when it was shown'
  return { digest, reason, seen: typeof seen === 'number' ? seen : undefined }
}
