/**
 * The control plane's listener: its own address, apart from the data plane. Rooms of the control plane are routes; this
 * is the shell around them.
 *
 * Guarantees: the same rules for `Host` and `Origin` as on the data plane, before any route is asked; paths are matched
 * raw; nothing is answered that no route takes; a route that throws answers 500 without saying why. Does not: know
 * callers. The routes there are today are public and read only.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { ListenerRule } from '../identity/host.ts'

/** Not imported: an ES import reads every export, and one of node:http's is a getter that loads all of fetch (14 MB). */
const { createServer } = process.getBuiltinModule('node:http')

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** `undefined`: not mine. */
export interface Route {
  /** Methods, apart from HEAD, which goes with GET. */
  readonly methods: readonly string[]
  takes(path: string): boolean
  answer(path: string): Promise<Answer>
}

export function createControlListener(rule: ListenerRule, routes: readonly Route[]): Server {
  const server = createServer({
    headersTimeout: 15_000,
    requestTimeout: 60_000,
    maxHeaderSize: 16 * 1024,
    connectionsCheckingInterval: 5_000,
    insecureHTTPParser: false,
  })
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    answer(rule, routes, req)
      .catch(() => problem(500, 'the control plane failed to answer'))
      .then(made => send(req, res, made))
      .catch(() => res.destroy())
  })
  return server
}

async function answer(rule: ListenerRule, routes: readonly Route[], req: IncomingMessage): Promise<Answer> {
  const refused = rule(req.rawHeaders)
  if (refused !== undefined) return problem(refused.code === 'host_not_allowed' ? 421 : 403, refused.code)
  const url = req.url ?? '/'
  const q = url.indexOf('?')
  const path = q < 0 ? url : url.slice(0, q)
  const route = routes.find(r => r.takes(path))
  if (route === undefined) return notFound()
  const method = req.method === 'HEAD' ? 'GET' : (req.method ?? '')
  if (!route.methods.includes(method)) {
    return { ...problem(405, 'method not allowed'), headers: { ...JSON_HEADERS, allow: route.methods.join(', ') } }
  }
  return route.answer(path)
}

const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' }

/** Never cached: a tile that is not there yet will be. */
export function notFound(): Answer {
  return problem(404, 'not found')
}

export function problem(status: number, error: string): Answer {
  return { status, headers: JSON_HEADERS, body: Buffer.from(`${JSON.stringify({ error })}\n`) }
}

function send(req: IncomingMessage, res: ServerResponse, { status, headers, body }: Answer): void {
  res.writeHead(status, { ...headers, 'content-length': body.length, 'x-content-type-options': 'nosniff' })
  if (req.method === 'HEAD') res.end()
  else res.end(body)
}
