/**
 * What an escalation would let happen, exactly: the facts that its digest is over, and the arguments as the model wrote
 * them. Whoever shows it computes the digest again from what is shown. On the wire everything but plain letters is escaped.
 */

import type { Desk } from '../escalation/desk.ts'
import { approvalFacts } from '../escalation/digest.ts'
import type { Escalation } from '../escalation/escalation.ts'
import { type Access, asPerson } from './access.ts'
import { BASE } from './decision.ts'
import { json, notFound, type Route } from './listener.ts'
import { pageOf } from './page.ts'
import { matchPath } from './path.ts'

const PATH = `${BASE}/{id}/proposal`
/** Looked through for an earlier call of the same tool; fewer where their arguments are long. */
const MOST_EARLIER = 200

export function proposalRoute({ desk, access }: { readonly desk: Desk; readonly access: Access }): Route {
  return {
    path: PATH,
    methods: ['GET'],
    takes: asked => matchPath(PATH, asked) !== undefined,
    answer: (asked, request) =>
      asPerson(access, request, 'viewer', async () => {
        const e = await desk.find(matchPath(PATH, asked) ?? '')
        return e === undefined
          ? notFound()
          : json(200, proposal(e, (await pageOf(desk, { limit: MOST_EARLIER, before: e.id })).found))
      }),
  }
}

function proposal(e: Escalation, earlier: readonly Escalation[]) {
  return {
    digest: e.digest,
    shown: approvalFacts(e),
    arguments: e.calls.map(c => c.argumentsText),
    similar: e.calls.map(c => similarTo(e, c.tool, earlier)),
  }
}

/** The last call of this tool before this one: of the same owner where there is one. */
function similarTo(e: Escalation, tool: string, earlier: readonly Escalation[]) {
  const had = (other: Escalation) => other.calls.some(c => c.tool === tool)
  const sameOwner = (other: Escalation) => other.owner.type === e.owner.type && other.owner.id === e.owner.id
  const found = earlier.find(other => had(other) && sameOwner(other)) ?? earlier.find(had)
  const call = found?.calls.find(c => c.tool === tool)
  if (found === undefined || call === undefined) return null
  return {
    escalation: found.id,
    state: found.state,
    same_owner: sameOwner(found),
    created_at: new Date(found.createdAtMs).toISOString(),
    arguments: call.argumentsText,
  }
}
