/**
 * Who may approve. Approvers come from the operator's configuration or from verified claims, never from a request.
 *
 * Guarantees: the owner of an exchange, and the human an agent acts for, are never among its approvers, whatever letter
 * case the two names are written in; a chain or quorum that is left without enough people is no rule at all (`undefined`),
 * so an escalation that nobody could approve is refused instead of held.
 */
import type { Owner } from '../core/exchange.ts'
import { ownerString } from '../core/owner.ts'
import type { ApprovalRule, Escalation } from './escalation.ts'

/** How the operator wants approvals to be given. */
export interface ApprovalPolicy {
  readonly approvers: readonly string[]
  /** Absent: in turn. Otherwise how many different ones. */
  readonly quorum?: number
  /** Whatever is held is approved with a passkey only. */
  readonly auth?: 'passkey'
}

/**
 * The rule of one exchange. A chain that a verified strategy claimed for the owner stands before the configured list;
 * a caller's own word (`asserted`) about approvers counts for nothing. `demanded`: by a tool that waits.
 */
export function ruleFor(
  policy: ApprovalPolicy,
  owner: Owner,
  claimsVerified: boolean,
  demanded?: 'passkey',
): ApprovalRule | undefined {
  const claimed = claimsVerified ? owner.approvalChain : []
  const others = (list: readonly string[]) => eligible(list, owner)
  const chain = others(claimed)
  const approvers = chain.length > 0 ? chain : others(policy.approvers)
  if (approvers.length === 0) return undefined
  const auth = policy.auth ?? demanded
  const how = auth === undefined ? {} : { auth }
  if (policy.quorum === undefined) return { kind: 'chain', approvers, ...how }
  // Fewer people than the operator asked for is not enough people.
  return approvers.length < policy.quorum ? undefined : { kind: 'quorum', approvers, needed: policy.quorum, ...how }
}

function eligible(list: readonly string[], owner: Owner): readonly string[] {
  const out: string[] = []
  for (const person of list) {
    if (mayNotApprove(person, owner)) continue
    if (!out.some(other => samePerson(other, person))) out.push(person)
  }
  return out
}

/** Separation of duties: nobody approves what is done in their own name. */
export function mayNotApprove(person: string, owner: Owner): boolean {
  return samePerson(person, ownerString(owner)) || (owner.notApprovers ?? []).some(other => samePerson(other, person))
}

/** Names are compared exactly wherever they give something, and without regard to case where they must keep apart. */
function samePerson(a: string, b: string): boolean {
  return caseless(a) === caseless(b)
}

/** Upper case first: `ß` and `SS`, `ς`, `σ` and `Σ` are the same letters. */
function caseless(name: string): string {
  return name.toUpperCase().toLowerCase()
}

/** Who is asked now; several where the order does not matter. Empty when nobody has to be asked any more. */
export function currentApprovers(e: Pick<Escalation, 'rule' | 'decisions' | 'state'>): readonly string[] {
  if (e.state !== 'pending') return []
  const said = new Set(e.decisions.map(d => d.approver))
  const left = e.rule.approvers.filter(person => !said.has(person))
  return e.rule.kind === 'chain' ? left.slice(0, 1) : left
}

/** Has everybody who has to said yes? */
export function isSatisfied(rule: ApprovalRule, decisions: Escalation['decisions']): boolean {
  const counts = (d: Escalation['decisions'][number]) =>
    d.decision === 'approve' && (rule.auth === undefined || d.evidence?.kind === rule.auth)
  const yes = new Set(decisions.filter(counts).map(d => d.approver))
  const count = rule.approvers.filter(person => yes.has(person)).length
  return count >= (rule.kind === 'chain' ? rule.approvers.length : rule.needed)
}
