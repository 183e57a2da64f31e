/**
 * What comes of an exchange that the admission checks have seen. Guarantees that what it builds on is judged after a human's
 * approval as it is without one, and that a block of any check outweighs an approval.
 */
import type { ServerResponse } from 'node:http'
import type { Admitted, Decision, Outcome } from '../core/exchange.ts'
import type { Dialect } from '../core/wire.ts'
import type { Admission } from '../pipeline/admit.ts'
import type { Asked } from './answer.ts'
import type { Gate } from './gate.ts'
import { comeBack, holdAtAdmission } from './hold-request.ts'
import { judgeReferences } from './references.ts'
import type { Resubmission } from './resubmit.ts'

export type Judged =
  | { readonly kind: 'admitted'; readonly exchange: Admitted }
  | { readonly kind: 'refused'; readonly refusal: Decision }
  /** By what was held for it, or with word that it is held. */
  | { readonly kind: 'answered'; readonly outcome: Outcome }

export async function judge(
  gate: Gate,
  res: ServerResponse,
  dialect: Dialect,
  asked: Asked,
  admission: Admission,
  resubmission: Resubmission | undefined,
): Promise<Judged> {
  const { refusal } = admission
  if (refusal?.effect.kind === 'block') return { kind: 'refused', refusal }
  let { admitted } = admission
  if (resubmission !== undefined) {
    const back = await comeBack(gate, res, dialect, asked, admission, resubmission)
    if (back.kind === 'answered') return back
    admitted = back.exchange
  } else if (refusal !== undefined) {
    const held = await holdAtAdmission(gate, res, dialect, asked, admission, refusal)
    if (held.kind === 'answered') return held
    admitted = held.exchange
  }
  if (admitted === undefined) throw new Error('an exchange that is not admitted must have been refused')
  const objection = await judgeReferences(gate, admitted)
  if (objection === undefined) return { kind: 'admitted', exchange: admitted }
  admission.decisions.push(objection)
  return objection.effect.kind === 'block'
    ? { kind: 'refused', refusal: objection }
    : { kind: 'admitted', exchange: admitted }
}
