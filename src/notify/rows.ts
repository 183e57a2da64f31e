/** The rows of notices: only what did not reach anybody is worth one. */
import type { Row } from '../core/row.ts'
import type { Notice } from '../core/state.ts'

export function givenUpRow(notice: Notice, destination: string, attempts: number, because: string, id: string): Row {
  return row('notification.given_up', 'a notice was given up', id, {
    _escalation_id: notice.escalation,
    _event: notice.event,
    _destination: destination,
    _attempts: attempts,
    _problem: because,
  })
}

export function disabledRow(destination: string, because: string, id: string): Row {
  return row('notification.disabled', 'nothing is sent there any more', id, {
    _destination: destination,
    _problem: because,
  })
}

function row(name: string, reason: string, id: string, metadata: Row['metadata']): Row {
  return {
    entryId: id,
    owner: { type: 'policy', id: 'notification', approvalChain: [], authenticatedBy: 'gate' },
    checkName: 'pipeline.notification',
    // Nothing was let through or stopped: verdicts do not depend on notices.
    decision: 'allow',
    reason,
    fingerprint: '',
    metadata: { ...metadata, _stage: 'record', _check_name: name },
  }
}
