/**
 * The control plane's listener: its own address, apart from the data plane. Rooms of the control plane are routes; this
 * is the shell around them.
 *
 * Guarantees: the same rules for `Host` and `Origin` as on the data plane, before any route is asked; paths are matched
 * raw; nothing is answered that no route takes; a route that throws answers 500 without saying why, or 503 where a store failed; who does not read its answer
 * is cut off, and connections are bounded. Does not: know
 * callers: the routes that are not public ask `access.ts`.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { StoreFailed } from '../core/memory-state.ts'
import type { ListenerRule } from '../identity/host.ts'
import { escapeJson } from '../text/visible.ts'

/** Not imported: an ES import reads every export, and one of node:http's is a getter that loads all of fetch (14 MB). */
const { createServer } = process.getBuiltinModule('node:http')

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Whole, or piece by piece for as long as the caller listens. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
}

export interface ControlRequest {
  readonly method: string
  readonly query: URLSearchParams
  /** As node:http gives them: flat names and values. */
  readonly rawHeaders: readonly string[]
  readonly socketAddress: string | undefined
  /** At most `MAX_BODY` bytes, or `most`; rejects with `BodyTooLarge` beyond. */
  body(most?: number): Promise<Uint8Array>
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal
}

/** A caller that takes not one byte for so long is cut off: it would hold a descriptor that the data plane needs too. */
const STALLED_MS = 60_000
/** Of one process: what waits here must not use up the descriptors of the data plane. */
const MOST_CONNECTIONS = 1_000

/** What an approver says is short. */
const MAX_BODY = 64 * 1024

export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge'

  constructor(most: number) {
    super(`expected at most ${most} bytes`)
  }
}

/** `undefined`: not mine. */
export interface Route {
  /** As the API's description writes it, parameters in braces. Absent: no part of the API (pages, tiles of the log). */
  readonly path?: string
  /** Methods, apart from HEAD, which goes with GET. */
  readonly methods: readonly string[]
  takes(path: string): boolean
  answer(path: string, request: ControlRequest): Promise<Answer>
}

export function createControlListener(rule: ListenerRule, routes: readonly Route[], stalledMs = STALLED_MS): Server {
  const server = createServer({
    headersTimeout: 15_000,
    requestTimeout: 60_000,
    maxHeaderSize: 16 * 1024,
    connectionsCheckingInterval: 5_000,
    insecureHTTPParser: false,
  })
  server.maxConnections = MOST_CONNECTIONS
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    answer(rule, routes, req, res)
      .catch((error: unknown) => failure(error))
      .then(made => send(req, res, made, stalledMs))
      .catch(() => res.destroy())
  })
  return server
}

function failure(error: unknown): Answer {
  if (error instanceof BodyTooLarge) return problem(413, error.message)
  // Which file, and what the disk said, is for the operator, whose log has it.
  if (error instanceof StoreFailed)
    return problem(503, 'state_unavailable', { description: 'it cannot be kept just now; ask again' })
  return problem(500, 'the control plane failed to answer')
}

async function answer(
  rule: ListenerRule,
  routes: readonly Route[],
  req: IncomingMessage,
  res: ServerResponse,
): Promise<Answer> {
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
  const gone = new AbortController()
  res.once('close', () => gone.abort())
  return route.answer(path, {
    method,
    query: new URLSearchParams(q < 0 ? '' : url.slice(q + 1)),
    rawHeaders: req.rawHeaders,
    socketAddress: req.socket.remoteAddress,
    body: (most = MAX_BODY) => readBody(req, most),
    signal: gone.signal,
  })
}

async function readBody(req: IncomingMessage, most: number): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('a body comes in bytes')
    size += chunk.length
    if (size > most) throw new BodyTooLarge(most)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' }

/** Never cached: a tile that is not there yet will be. */
export function notFound(): Answer {
  return problem(404, 'not found')
}

export function problem(status: number, error: string, more: Readonly<Record<string, unknown>> = {}): Answer {
  return json(status, { error, ...more })
}

/** Text that others wrote is escaped on the wire: whoever reads it as JSON has it exactly, and a terminal is not moved by it. */
export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    headers: { ...JSON_HEADERS, ...headers },
    body: Buffer.from(`${escapeJson(JSON.stringify(body))}\n`),
  }
}

async function send(
  req: IncomingMessage,
  res: ServerResponse,
  { status, headers, body }: Answer,
  stalledMs: number,
): Promise<void> {
  const whole = body instanceof Uint8Array
  res.writeHead(status, {
    ...headers,
    ...(whole ? { 'content-length': body.length } : {}),
    'x-content-type-options': 'nosniff',
    // Nothing here is for a page of another origin, in a frame or otherwise.
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
  })
  if (req.method === 'HEAD') res.end()
  else if (whole) end(res, stalledMs, body)
  else {
    for await (const piece of body) {
      if (res.destroyed) return
      if (!res.write(piece)) await drained(res, stalledMs)
    }
    end(res, stalledMs)
  }
}

/** node:http destroys the connection when the time is up; the kernel taking some bytes begins it anew. */
function end(res: ServerResponse, stalledMs: number, body?: Uint8Array): void {
  const { socket } = res
  res.setTimeout(stalledMs)
  res.once('finish', () => {
    // Otherwise a keep-alive time-out is set already; an answer behind this one may take its time to be made.
    if (socket?.timeout === stalledMs) socket.setTimeout(0)
  })
  res.end(body)
}

async function drained(res: ServerResponse, stalledMs: number): Promise<void> {
  res.setTimeout(stalledMs)
  await new Promise<void>(resolve => res.once('drain', resolve).once('close', resolve))
  res.setTimeout(0)
}
