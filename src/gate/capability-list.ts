/**
 * `GET /signet/v1/exchanges/{id}/capabilities`: the capabilities of an exchange, for the owner whose exchange it was, until
 * they expire; for clients that drop unknown members of a tool call. Guarantees that it changes nothing and that anything
 * else is one and the same 404.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ownerString } from '../core/owner.ts'
import type { IssuedCapability } from '../core/state.ts'
import type { Gate } from './gate.ts'
import { identify } from './identify.ts'
import { json } from './json-answer.ts'

const PATH = /^\/signet\/v1\/exchanges\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\/capabilities$/

export const CAPABILITY_LIST_PATH = '/signet/v1/exchanges/'

export function isCapabilityListPath(path: string): boolean {
  return path.startsWith(CAPABILITY_LIST_PATH)
}

export async function capabilityList(
  gate: Gate,
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
): Promise<void> {
  const [, exchange] = PATH.exec(path) ?? []
  if (exchange === undefined || gate.duplicates(req.rawHeaders) !== undefined) return unknown(res)
  const who = await identify(gate, req)
  if (who.kind === 'fault' || who.owner.type === 'unresolved') return unknown(res)
  let issued: readonly IssuedCapability[] = []
  try {
    issued = (await gate.capabilities?.issued.of(ownerString(who.owner), exchange)) ?? []
  } catch {
    return json(res, 503, { error: 'state_unavailable', description: 'this cannot be looked up just now' })
  }
  if (issued.length === 0) return unknown(res)
  json(res, 200, {
    capabilities: issued.map(({ call, tool, capability, expiresAtMs }) => ({
      call,
      tool,
      capability,
      expires_at: new Date(expiresAtMs).toISOString(),
    })),
  })
}

function unknown(res: ServerResponse): void {
  json(res, 404, { error: 'not found', description: 'no capabilities of such an exchange for this owner' })
}
