/**
 * People in a notice. Where the log seals their names (`auditSealing`), a notice leaves them out: what can be erased there must
 * not stay in a channel, a mailbox or a receiver's own log. Arguments are the operator's choice by themselves and stay as they are.
 */
import { hiderOf } from '../audit/seal-row.ts'
import { ownerString } from '../core/owner.ts'
import type { Escalation } from '../escalation/escalation.ts'

export interface Names {
  readonly owner: string
  person(principal: string): string
  /** A text that a check, a model or a person wrote, and that may name somebody. */
  within(text: string): string
}

/** The word that the access log has for it too. */
export const SEALED = 'sealed'

export function namesOf(e: Escalation, sealed: boolean): Names {
  if (!sealed) return { owner: ownerString(e.owner), person: same, within: same }
  const { owner, rule, decisions } = e
  const within = hiderOf([
    ownerString(owner),
    owner.id,
    ...owner.approvalChain,
    ...(owner.notApprovers ?? []),
    ...rule.approvers,
    ...decisions.map(d => d.approver),
  ])
  return { owner: owner.id === '' ? ownerString(owner) : SEALED, person: () => SEALED, within }
}

function same(text: string): string {
  return text
}
