/** Rows that the log writes of its own, and what is done to rows on their way into it. */
import type { Row } from '../core/row.ts'
import type { OwnerSealer } from './seal.ts'

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

/** Owner and approvers, each under the key of that person. An unresolved owner has nothing to seal. */
export function sealOwner(row: Row, sealer: OwnerSealer): Row {
  const { owner, entryId } = row
  const seal = (person: string, text: string, field: string) => sealer.seal(person, text, entryId, field)
  return {
    ...row,
    owner: {
      ...owner,
      id: owner.id === '' ? '' : seal(`${owner.type}:${owner.id}`, owner.id, 'owner_id'),
      approvalChain: owner.approvalChain.map((person, i) => seal(person, person, `approval_chain/${i}`)),
    },
  }
}
