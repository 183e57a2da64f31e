/** One request as the access log tells it: written once it is answered, decided and off the connection. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Asked } from './answer.ts'
import { isCapabilityListPath } from './capability-list.ts'
import { isStatusPath } from './escalation-status.ts'
import type { Gate } from './gate.ts'
import { isRedeemPath, REDEEM_PATH } from './redeemers.ts'

const PLAIN: ReadonlySet<string> = new Set(['/health', '/healthz', '/readyz', '/version', '/.well-known/jwks.json'])

export interface Visit {
  /** `undefined`: what this gate has no route for. */
  path: string | undefined
  /** Set for exchanges. */
  asked: Asked | undefined
}

/** Fills `visit` in while the request is routed; the line is written when both the routing and the answer are over. */
export async function follow(
  gate: Gate,
  req: IncomingMessage,
  res: ServerResponse,
  routed: (visit: Visit) => Promise<void>,
): Promise<void> {
  const visit: Visit = { path: undefined, asked: undefined }
  if (gate.access === undefined) return routed(visit)
  const at = gate.clock.now()
  const begunNs = gate.clock.nowNs()
  let ms = 0
  let complete = false
  const closed = new Promise<void>(resolve => {
    res.once('close', () => {
      ms = Number(gate.clock.nowNs() - begunNs) / 1e6
      complete = res.writableFinished
      resolve()
    })
  })
  try {
    await routed(visit)
  } catch (error) {
    res.destroy()
    throw error
  } finally {
    await closed
    const { path, asked } = visit
    gate.access.write({
      at,
      ms,
      method: req.method ?? '',
      path: path ?? 'other',
      status: res.headersSent ? res.statusCode : 0,
      complete,
      ...(asked === undefined
        ? {}
        : {
            exchange: asked.id,
            ...(asked.owner === undefined ? {} : { owner: asked.owner }),
            outcome: asked.outcome ?? 'faulted',
            ...asked.told,
          }),
    })
  }
}

/** Ids and tokens of a path stay out of the log: who has the token of an escalation can read its answer. */
export function templateOf(path: string): string | undefined {
  if (PLAIN.has(path)) return path
  if (isStatusPath(path)) return '/signet/v1/escalations/{id}/{token}'
  if (isCapabilityListPath(path)) return '/signet/v1/exchanges/{id}/capabilities'
  if (isRedeemPath(path)) return path === REDEEM_PATH ? path : '/signet/v1/redeem/{id}/outcome'
  return undefined
}
