/** How whoever approves the calls of a pipeline's tools must have shown who they are. */
import type { ApproverAuths, Check } from '../core/check.ts'

/** The stricter one has the word where two checks know one tool. */
export function combineApproverAuths(checks: readonly Check[]): ApproverAuths {
  const named = checks.flatMap(check => (check.approverAuth === undefined ? [] : [check.approverAuth]))
  return {
    any: named.some(auth => auth.any),
    of: tool => (named.some(auth => auth.of(tool) === 'passkey') ? 'passkey' : undefined),
  }
}
