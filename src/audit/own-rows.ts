import type { Row } from '../core/row.ts'

/** A row of the log about itself. */
export function noteRow(entryId: string, name: string, reason: string, details: Row['metadata']): Row {
  return {
    entryId,
    owner: { type: 'policy', id: 'audit', approvalChain: [], authenticatedBy: 'audit' },
    checkName: 'pipeline.audit',
    decision: 'allow',
    reason,
    fingerprint: '',
    metadata: { ...details, _stage: 'record', _check_name: name },
  }
}
