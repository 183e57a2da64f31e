/**
 * `GET /signet/v1/escalations/{id}/{token}`: how an escalation stands, for its owner. Guarantees that it changes nothing,
 * that it needs the same owner and the token that was given out, and that anything else is one and the same 404.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { currentApprovers } from '../escalation/approvers.ts'
import type { Escalation } from '../escalation/escalation.ts'
import { within } from '../pipeline/guard.ts'
import { STATUS_PATH } from './escalated.ts'
import type { Gate } from './gate.ts'
import { identify } from './identify.ts'
import { json } from './json-answer.ts'

const STATE_LIMIT_MS = 5_000
const PATH = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\/([A-Za-z0-9_-]{43})$/

export function isStatusPath(path: string): boolean {
  return path.startsWith(STATUS_PATH)
}

export async function escalationStatus(
  gate: Gate,
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
): Promise<void> {
  const [, id, token] = PATH.exec(path.slice(STATUS_PATH.length)) ?? []
  if (id === undefined || token === undefined) return unknown(res)
  if (gate.duplicates(req.rawHeaders) !== undefined) return unknown(res)
  const who = await identify(gate, req)
  if (who.kind === 'fault') return unknown(res)
  let e: Escalation | undefined
  try {
    e = await within(gate.clock, STATE_LIMIT_MS, gate.desk.ofOwner(id, who.owner, token))
  } catch {
    return json(res, 503, {
      error: 'state_unavailable',
      description: 'what is held cannot be read just now; ask again',
    })
  }
  if (e === undefined) return unknown(res)
  json(res, 200, {
    status: e.state,
    escalation_id: e.id,
    correlation_id: e.exchange,
    current_approver: currentApprovers(e)[0] ?? null,
    approvals: e.decisions.filter(d => d.decision === 'approve').length,
    created_at: new Date(e.createdAtMs).toISOString(),
    expires_at: new Date(e.expiresAtMs).toISOString(),
    /** How the answer is fetched: the same request once more, with this header. */
    ...(e.state === 'approved' || e.state === 'released'
      ? { resubmit_with: { 'X-Signet-Escalation': `${id}.${token}` } }
      : {}),
  })
}

function unknown(res: ServerResponse): void {
  json(res, 404, { error: 'not found', description: 'no such escalation for this owner' })
}
