/**
 * The one way this code calls out to an address from configuration.
 *
 * Guarantees: https only (plain http on the loopback), no redirect followed, no proxy taken from the environment, no
 * content coding, bounded size and time. It does not decide where to call: addresses come from the operator only, never
 * from a request, so there is no list of private ranges here.
 */
import type { Agent, request } from 'undici'

export interface EgressRequest {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** For the whole exchange, connecting included. */
  readonly timeoutMs: number
  readonly maxBytes: number
  /** The caller's own reason to stop. */
  readonly signal?: AbortSignal
}

export interface EgressAnswer {
  readonly status: number
  readonly contentType: string | undefined
  /** As it came. */
  readonly retryAfter?: string
  readonly body: Uint8Array
}

export interface Egress {
  /** Rejects with `EgressFailed`; a redirect or an error status is an answer like any other. */
  send(request: EgressRequest): Promise<EgressAnswer>
  close(): Promise<void>
}

export type EgressCode = 'address_not_allowed' | 'timeout' | 'too_large' | 'cancelled' | 'unreachable'

export class EgressFailed extends Error {
  override readonly name = 'EgressFailed'
  readonly code: EgressCode

  constructor(code: EgressCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Throws `EgressFailed` with `address_not_allowed`; the address itself is not repeated, it may hold credentials. */
export function egressUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined) throw new EgressFailed('address_not_allowed', 'expected an absolute https address')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname)))
    throw new EgressFailed('address_not_allowed', 'expected https (plain http is for the loopback only)')
  if (url.username !== '' || url.password !== '')
    throw new EgressFailed('address_not_allowed', 'expected no user or password in the address; use a header')
  return url
}

export function openEgress(): Egress {
  let opened: Promise<Client> | undefined
  return {
    send: asked => send(asked, (opened ??= openClient())),
    close: async () => {
      if (opened !== undefined) await (await opened).agent.close()
    },
  }
}

interface Client {
  readonly agent: Agent
  readonly request: typeof request
}

/** With the first call, not with the import: undici is half of what a gate that never calls out would load. */
async function openClient(): Promise<Client> {
  const { Agent, request } = await import('undici')
  // Its own agent: the global one may have been replaced by a proxy from the environment (NODE_USE_ENV_PROXY).
  return { agent: new Agent({ connections: 16, pipelining: 1, maxResponseSize: -1 }), request }
}

async function send(asked: EgressRequest, client: Promise<Client>): Promise<EgressAnswer> {
  const url = egressUrl(asked.url)
  const deadline = AbortSignal.timeout(asked.timeoutMs)
  const signal = asked.signal === undefined ? deadline : AbortSignal.any([deadline, asked.signal])
  try {
    const { agent, request } = await client
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      method: asked.method,
      headers: { 'accept-encoding': 'identity', ...asked.headers },
      ...(asked.body === undefined ? {} : { body: asked.body }),
      signal,
      headersTimeout: asked.timeoutMs,
      bodyTimeout: asked.timeoutMs,
    })
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of body) {
      const bytes: unknown = chunk
      if (!(bytes instanceof Uint8Array)) throw new TypeError('expected bytes')
      size += bytes.length
      // Leaving the loop destroys the body and with it the connection.
      if (size > asked.maxBytes) throw new EgressFailed('too_large', `expected at most ${asked.maxBytes} bytes`)
      chunks.push(bytes)
    }
    const type = headers['content-type']
    const later = headers['retry-after']
    return {
      status: statusCode,
      contentType: typeof type === 'string' ? type : undefined,
      ...(typeof later === 'string' ? { retryAfter: later } : {}),
      body: Buffer.concat(chunks, size),
    }
  } catch (error) {
    if (error instanceof EgressFailed) throw error
    if (asked.signal?.aborted === true) throw new EgressFailed('cancelled', 'the caller went away')
    if (deadline.aborted || isTimeout(error))
      throw new EgressFailed('timeout', `no complete answer within ${asked.timeoutMs} ms`)
    throw new EgressFailed('unreachable', 'the address could not be reached', { cause: error })
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^UND_ERR_.*TIMEOUT$/.test(String(error.code))
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}
