import type { Row } from '../core/row.ts'

export const OWN_CHECK = 'pipeline.audit'

/** A row of the log about itself. */
export function noteRow(entryId: string, name: string, reason: string, details: Row['metadata']): Row {
  return {
    entryId,
    owner: { type: 'policy', id: 'audit', approvalChain: [], authenticatedBy: 'audit' },
    checkName: OWN_CHECK,
    decision: 'allow',
    reason,
    fingerprint: '',
    metadata: { ...details, _stage: 'record', _check_name: name },
  }
}
