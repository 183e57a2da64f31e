/** Cross-origin answers for browsers. Off unless origins are configured; an origin that is not listed was refused before. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Cors } from './gate.ts'

const EXPOSED =
  'X-Signet-Receipt, X-Signet-Upstream, X-Signet-Upstream-Status, X-Signet-Correlation-Id, X-Signet-Shadow-Decision, X-Signet-Shadow-Stage, Retry-After'

export function corsHeaders(
  cors: Cors | undefined,
  origin: string | undefined,
): readonly (readonly [string, string])[] {
  if (cors === undefined || origin === undefined || !allowed(cors, origin)) return []
  return [
    ['access-control-allow-origin', origin],
    ['access-control-expose-headers', EXPOSED],
    ['vary', 'Origin'],
    ...(cors.credentials ? ([['access-control-allow-credentials', 'true']] as const) : []),
  ]
}

/** True when this was a preflight request, which is then answered. */
export function preflight(cors: Cors | undefined, req: IncomingMessage, res: ServerResponse): boolean {
  const origin = req.headers.origin
  if (cors === undefined || origin === undefined || req.headers['access-control-request-method'] === undefined)
    return false
  if (!allowed(cors, origin)) return false
  res.writeHead(204, {
    'access-control-allow-methods': cors.methods.join(', '),
    'access-control-allow-headers': cors.headers.join(', '),
    'access-control-max-age': '600',
    'content-length': '0',
  })
  res.end()
  return true
}

function allowed(cors: Cors, origin: string): boolean {
  return cors.origins.includes(origin)
}
