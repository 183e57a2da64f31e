/** One HTTP request of an operator's command: bounded in time and size, no redirect followed, no proxy from the environment, no trace. */
import { X509Certificate } from 'node:crypto'
import http, { type IncomingHttpHeaders } from 'node:http'
import https, { type RequestOptions } from 'node:https'
import { checkServerIdentity } from 'node:tls'

export interface Asked {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs?: number
  readonly agent?: http.Agent
  /** PEM: these certificates and authorities are believed, in place of the system's. */
  readonly trust?: string
}

export type Answer =
  | { readonly ok: true; readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Uint8Array }
  | { readonly ok: false; readonly reason: string }

const LARGEST_ANSWER = 1 << 20

/** Never rejects: an upstream that is down is an answer too. */
export function ask(url: string, asked: Asked = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, timeoutMs = 5000, agent, trust } = asked
  return new Promise(resolve => {
    const send = url.startsWith('https:') ? https.request : http.request
    const request = send(url, {
      method,
      headers: {
        ...headers,
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
      signal: AbortSignal.timeout(timeoutMs),
      ...(agent === undefined ? {} : { agent }),
      ...(trust === undefined ? {} : trusting(trust)),
    })
    request.on('error', error => resolve({ ok: false, reason: reasonOf(error, timeoutMs) }))
    request.on('response', response => {
      const chunks: Uint8Array[] = []
      let size = 0
      response.on('data', (chunk: Uint8Array) => {
        size += chunk.length
        if (size > LARGEST_ANSWER) {
          response.destroy()
          resolve({ ok: false, reason: `the answer is larger than ${LARGEST_ANSWER} bytes` })
        } else chunks.push(chunk)
      })
      response.on('error', error => resolve({ ok: false, reason: reasonOf(error, timeoutMs) }))
      response.on('end', () =>
        resolve({ ok: true, status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      )
    })
    request.end(body)
  })
}

/** A server that shows exactly the certificate we were given is that server, whatever address it was reached by. */
function trusting(pem: string): RequestOptions {
  const { fingerprint256 } = new X509Certificate(pem)
  return {
    ca: pem,
    allowPartialTrustChain: true,
    checkServerIdentity: (host, certificate) =>
      certificate.fingerprint256 === fingerprint256 ? undefined : checkServerIdentity(host, certificate),
  }
}

function reasonOf(error: Error, timeoutMs: number): string {
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`
  return 'code' in error && typeof error.code === 'string' ? error.code : 'the connection failed'
}

/** A JSON object, or `undefined`: a server that answers something else must not take the command down. */
export function jsonObject(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
