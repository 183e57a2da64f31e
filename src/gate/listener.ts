/**
 * The data plane's listener: raw paths to handlers. Routes match the raw path exactly (no decoding, no normalising), so
 * that no spelling of a path reaches a handler it was not meant for; what is not listed is answered here and never
 * forwarded.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Dialect, Route } from '../core/wire.ts'
import { follow, templateOf, type Visit } from './access.ts'
import { CAPABILITY_LIST_PATH, capabilityList, isCapabilityListPath } from './capability-list.ts'
import { corsHeaders, preflight } from './cors.ts'
import { STATUS_PATH } from './escalated.ts'
import { escalationStatus, isStatusPath } from './escalation-status.ts'
import type { Gate } from './gate.ts'
import { health, jwks, ready, versionInfo } from './health.ts'
import { json } from './json-answer.ts'
import { isRedeemPath, REDEEM_PATH } from './redeemers.ts'
import { newAsked, preflightRefusal, serve } from './serve.ts'
import { createTlsServer, type ListenerTls } from './tls.ts'

/** Not imported: an ES import reads every export, and one of node:http's is a getter that loads all of fetch (14 MB). */
const { createServer } = process.getBuiltinModule('node:http')

interface Surface {
  /** As the dialect spells it. */
  readonly path: string
  readonly dialect: Dialect
  readonly routes: ReadonlyMap<string, Route>
}

/** Node's defaults are five minutes; a gate in front of money waits less for a caller to say what it wants. */
const HEADERS_TIMEOUT_MS = 15_000
const REQUEST_TIMEOUT_MS = 60_000
const MAX_HEADER_BYTES = 32 * 1024
/** What one connection may have waiting before the writer waits too; a caller who has stopped reading costs that much. */
const BUFFERED_BYTES = 16 * 1024

/** `tls`: https instead of http. */
export function createListener(gate: Gate, tls?: ListenerTls): Server {
  const surfaces = surfaceTable(gate.dialects)
  const options = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: 65_000,
    maxHeaderSize: MAX_HEADER_BYTES,
    connectionsCheckingInterval: 5_000,
    noDelay: true,
    highWaterMark: BUFFERED_BYTES,
    insecureHTTPParser: false,
  }
  const server = tls === undefined ? createServer(options) : createTlsServer(options, tls, gate.identity)
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    follow(gate, req, res, visit => route(gate, surfaces, req, res, visit)).catch(() => {
      // Nothing above may throw; if it does, the caller gets a closed connection, not an answer nobody decided.
      res.destroy()
    })
  })
  // Answers under way, by connection: a parser error must not be written into the middle of one.
  const answering = new WeakMap<object, Set<ServerResponse>>()
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    let open = answering.get(req.socket)
    if (open === undefined) answering.set(req.socket, (open = new Set()))
    const those = open.add(res)
    res.once('close', () => those.delete(res))
  })
  server.on('clientError', (error, socket) => {
    const open = [...(answering.get(socket) ?? [])]
    const slow = codeOf(error) === 'ERR_HTTP_REQUEST_TIMEOUT' ? open.find(r => !r.req.complete) : undefined
    // A body that does not come: whoever reads it answers, with a row.
    if (slow?.headersSent === false && slow.req.emit('timeout')) return
    if (!socket.writable || open.some(res => res.headersSent)) socket.destroy()
    else socket.end(`HTTP/1.1 ${rejection(error)}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  })
  return server
}

/** What is not HTTP has no exchange to name: a bare status, in node:http's own choice of it. */
function rejection(error: Error): string {
  switch (codeOf(error)) {
    case 'HPE_HEADER_OVERFLOW':
      return '431 Request Header Fields Too Large'
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return '413 Payload Too Large'
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return '408 Request Timeout'
    default:
      return '400 Bad Request'
  }
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined
}

async function route(
  gate: Gate,
  surfaces: ReadonlyMap<string, Surface>,
  req: IncomingMessage,
  res: ServerResponse,
  visit: Visit,
): Promise<void> {
  const url = req.url ?? '/'
  const q = url.indexOf('?')
  const path = q < 0 ? url : url.slice(0, q)
  const surface = surfaces.get(path)
  const asked = surface === undefined ? undefined : newAsked(gate, surface.dialect)
  visit.path = surface?.path ?? templateOf(path)

  const notMine = gate.listenerRule(req.rawHeaders)
  if (notMine !== undefined) {
    if (surface !== undefined && asked !== undefined) {
      visit.asked = asked
      return preflightRefusal(gate, res, surface.dialect, asked, notMine)
    }
    return json(res, notMine.code === 'host_not_allowed' ? 421 : 403, {
      error: notMine.code,
      description: notMine.message,
    })
  }
  for (const [name, value] of corsHeaders(gate.settings.cors, req.headers.origin)) res.setHeader(name, value)
  if (req.method === 'OPTIONS' && preflight(gate.settings.cors, req, res)) return

  if (surface !== undefined && asked !== undefined) {
    const route = surface.routes.get(req.method ?? '')
    if (route === undefined) return methodNotAllowed(res, path, [...surface.routes.keys()])
    visit.asked = asked
    return serve(gate, req, res, surface.dialect, route, asked)
  }
  if (isStatusPath(path)) return onlyGet(req, res, STATUS_PATH) ? escalationStatus(gate, req, res, path) : undefined
  if (isCapabilityListPath(path))
    return onlyGet(req, res, CAPABILITY_LIST_PATH) ? capabilityList(gate, req, res, path) : undefined
  if (isRedeemPath(path)) {
    if (req.method !== 'POST') return methodNotAllowed(res, REDEEM_PATH, ['POST'])
    // Most gates have no executors that ask: what verifies is loaded by the first that does.
    const { redeem } = await import('./redeem.ts')
    return redeem(gate, req, res, path)
  }
  switch (path) {
    case '/health':
    case '/healthz':
      return onlyGet(req, res, path) ? json(res, 200, health(gate)) : undefined
    case '/readyz':
      return onlyGet(req, res, path) ? ready(gate).then(({ status, body }) => json(res, status, body)) : undefined
    case '/version':
      return onlyGet(req, res, path) ? json(res, 200, versionInfo(gate)) : undefined
    case '/.well-known/jwks.json':
      return onlyGet(req, res, path) ? jwks(gate, res) : undefined
    default:
      return notFound(gate, res, path)
  }
}

function surfaceTable(dialects: readonly Dialect[]): ReadonlyMap<string, Surface> {
  const table = new Map<string, { path: string; dialect: Dialect; routes: Map<string, Route> }>()
  for (const dialect of dialects) {
    for (const route of dialect.routes) {
      // The trailing-slash spelling is an alias, as in the Python implementation: SDKs with a base URL ending in `/` send it.
      for (const path of route.path.endsWith('/') ? [route.path] : [route.path, `${route.path}/`]) {
        const entry = table.get(path) ?? { path: route.path, dialect, routes: new Map<string, Route>() }
        if (entry.dialect !== dialect) throw new Error(`two dialects claim ${path}`)
        entry.routes.set(route.method, route)
        table.set(path, entry)
      }
    }
  }
  return table
}

function onlyGet(req: IncomingMessage, res: ServerResponse, path: string): boolean {
  if (req.method === 'GET' || req.method === 'HEAD') return true
  methodNotAllowed(res, path, ['GET'])
  return false
}

function methodNotAllowed(res: ServerResponse, path: string, allowed: readonly string[]): void {
  res.setHeader('allow', allowed.join(', '))
  json(res, 405, { error: 'method not allowed', endpoint: path, allowed_methods: allowed })
}

function notFound(gate: Gate, res: ServerResponse, path: string): void {
  // Gemini's API is at /v1beta: whoever points such a client here is told why, too.
  if (!/^\/v1(?:alpha|beta)?\//.test(path)) {
    json(res, 404, { error: 'not found', endpoint: path.slice(0, 256) })
    return
  }
  const paths = gate.dialects.flatMap(d => d.routes.map(r => r.path.replace(/\/$/, '')))
  const gated = [...new Set(paths)].join(', ')
  json(res, 404, {
    error: `endpoint not implemented in signet v${gate.version}`,
    endpoint: path.slice(0, 256),
    note: `gated endpoints: ${gated}; nothing else is forwarded`,
  })
}
