/**
 * The built-in demo model: a small OpenAI-compatible server on a loopback port of its own, for a first tour without any
 * key and for the test-suite. What it says is in script.ts, how it can be made to misbehave in scenario.ts.
 *
 * Guarantees: the same requests in the same order get the same bytes; nothing leaves this machine.
 * Does not guarantee: anything a model would.
 */

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { type Answer, answerOf, errorAnswer, jsonAnswer } from './faults.ts'
import { render } from './render.ts'
import { readDemoRequest } from './request.ts'

export interface DemoUpstreamOptions {
  /** Default: one that is free. */
  readonly port?: number
  /** Told of every request, as it arrived. */
  readonly onRequest?: (request: SeenRequest) => void
}

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Uint8Array
}

export interface DemoUpstream {
  /** The base URL to give to `createUpstream`: `http://127.0.0.1:<port>/v1`. */
  readonly url: string
  /** Requests answered so far. */
  readonly requests: number
  /** Breaks off whatever is running. */
  close(): Promise<void>
}

const MODELS = { object: 'list', data: [{ id: 'demo', object: 'model', created: 1_767_225_600, owned_by: 'signet' }] }
const MAX_BODY = 64 * 1024 * 1024

export async function startDemoUpstream(options: DemoUpstreamOptions = {}): Promise<DemoUpstream> {
  let requests = 0
  const closing = new AbortController()
  const server = createServer((request, response) => {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    request.once('error', () => response.destroy())
    response.once('error', () => response.destroy())
    readBody(request)
      .then(body => {
        requests++
        const path = request.url ?? '/'
        const method = request.method ?? ''
        options.onRequest?.({ method, path, headers: request.headers, body })
        return send(answer(method, path, body, requests), response, AbortSignal.any([gone.signal, closing.signal]))
      })
      .catch(() => response.destroy())
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the demo model has no port')
  return {
    url: `http://127.0.0.1:${String(address.port)}/v1`,
    get requests() {
      return requests
    },
    close: async () => {
      closing.abort()
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function answer(method: string, path: string, body: Uint8Array, serial: number): Answer {
  if (path === '/v1/models') return method === 'GET' ? jsonAnswer(MODELS) : errorAnswer(405, 'expected GET')
  if (path !== '/v1/chat/completions') return errorAnswer(404, 'the demo model only speaks chat completions')
  if (method !== 'POST') return errorAnswer(405, 'expected POST')
  const request = readDemoRequest(new TextDecoder().decode(body))
  if (typeof request === 'string') return errorAnswer(400, request, 'invalid_request_error')
  return answerOf(render(request, serial), request.stream, request.scenario)
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY) throw new Error('the request is too large for the demo model')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Stops when the client goes away; never faster than the client reads. */
async function send(answer: Answer, response: ServerResponse, signal: AbortSignal): Promise<void> {
  if (answer.delayMs > 0) await wait(answer.delayMs, undefined, { signal })
  if (answer.head !== undefined) {
    response.writeHead(answer.head.status, answer.head.headers)
    response.flushHeaders()
  }
  for (const piece of answer.pieces) {
    if (answer.pieceDelayMs > 0) await wait(answer.pieceDelayMs, undefined, { signal })
    if (signal.aborted) return
    if (!response.write(piece)) await once(response, 'drain', { signal })
  }
  switch (answer.end) {
    case 'end':
      response.end()
      return
    case 'hang':
      return
    case 'die':
      // What was written goes out first, so that the answer really breaks off in the middle.
      response.socket?.destroySoon()
  }
}
