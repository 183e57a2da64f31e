/**
 * What a caller is told about an escalation, now and when it asks again: 202 (or 403, as configured) while it waits, the
 * answer when it is approved, 403 when it is denied or its time is over.
 */

import { type Because, because } from '../core/verdict.ts'
import { currentApprovers } from '../escalation/approvers.ts'
import type { Escalation } from '../escalation/escalation.ts'

export const STATUS_PATH = '/signet/v1/escalations/'

/** Facts of an escalation that its owner may know. `token` is there only for whoever was given it. */
export function escalationFacts(e: Escalation, token: string | undefined): Record<string, string | null> {
  return {
    current_approver: currentApprovers(e)[0] ?? null,
    expires_at: new Date(e.expiresAtMs).toISOString(),
    ...(token === undefined ? {} : { status_url: statusPath(e.id, token) }),
  }
}

export function statusPath(id: string, token: string): string {
  return `${STATUS_PATH}${id}/${token}`
}

/** Why a caller does not get its answer yet, or at all. */
export function escalatedBecause(e: Escalation, token: string | undefined): Because {
  switch (e.state) {
    case 'denied':
      return because('approval_denied', 'a human, or the policy in force, has denied this')
    case 'expired':
      return because('approval_expired', 'nobody approved this in time')
    case 'released':
      return because('approval_expired', 'the approved answer was released and can not be read any more')
    case 'pending':
    case 'approved':
      return because('escalated', e.reason, escalationFacts(e, token))
  }
}

/** RFC 9110 10.2.2: where the caller can ask how it stands; and when to, in the reckoning of whoever polls. */
export function locationOf(why: Because): Record<string, string> {
  const at = why.details?.['status_url']
  return typeof at === 'string' ? { location: at, 'retry-after': '5' } : {}
}
