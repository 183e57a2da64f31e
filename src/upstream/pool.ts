/**
 * The connection pool to one upstream, on undici's `dispatch` (no WHATWG fetch, no streams, no promise per request).
 *
 * Guarantees: exactly one terminal callback per call; redirects are never followed; TLS certificates are always
 * verified, whatever `NODE_TLS_REJECT_UNAUTHORIZED` says, against the bundled roots or `ca`, whatever
 * `NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE` or `NODE_USE_SYSTEM_CA` say; proxy variables are not read; identity encoding
 * is asked for and anything else refused; a request is written at most once: undici fails it when a kept-alive
 * connection turns out to be dead, and nothing here sends it again. A paused call holds at most one socket buffer.
 * Calls that wait for a connection are bounded in number and time.
 * Does not guarantee: that an answer framed by the end of the connection (no length, not chunked) is whole; its
 * dialect has to find its own end mark. Time-outs are coarse (about half a second).
 */
import { X509Certificate } from 'node:crypto'
import { createSecureContext, getCACertificates } from 'node:tls'
import type { Pool as UndiciPool } from 'undici'
import Pool from 'undici/lib/dispatcher/pool.js'
import { type BaseUrl, parseBaseUrl, UpstreamSettingError } from './base-url.ts'
import { Call, type CallOwner } from './call.ts'
import { probeOnce } from './probe.ts'
import type { Probe, Upstream, UpstreamCall, UpstreamHandler, UpstreamRequest } from './upstream.ts'

export interface UpstreamOptions {
  readonly url: string
  /** Shown instead of `host[:port]`. */
  readonly label?: string
  /** TCP and TLS together, and the DNS look-up. Default 10,000. */
  readonly connectTimeoutMs?: number
  /** From the request being written to the answer's head; also how long a call may wait for a free connection. Default 120,000. */
  readonly requestTimeoutMs?: number
  /** Longest silence in the middle of an answer. Default: `requestTimeoutMs`. */
  readonly idleTimeoutMs?: number
  /** Connections at once, and so calls at once. Default 100. */
  readonly connections?: number
  /** Calls that may wait for a connection; more are refused as `overloaded`. Default: four times `connections`. */
  readonly maxWaiting?: number
  /** How long an idle connection is kept when upstream gives no hint. Default 4,000, below every common server's limit. */
  readonly keepAliveMs?: number
  /** PEM certificates to trust INSTEAD of the bundled roots. */
  readonly ca?: readonly string[]
  /** Longest wait for a probe. Default 1,000. */
  readonly probeTimeoutMs?: number
}

export function createUpstream(options: UpstreamOptions): Upstream {
  const base = parseBaseUrl(options.url)
  return new UpstreamPool(base, options)
}

class UpstreamPool implements Upstream, CallOwner {
  readonly label: string
  readonly exposed: boolean
  readonly requestTimeoutMs: number
  active = 0
  readonly #base: BaseUrl
  readonly #pool: UndiciPool
  readonly #makeProbePool: () => UndiciPool
  readonly #connections: number
  readonly #maxActive: number
  readonly #probeTimeoutMs: number
  #probePool: UndiciPool | undefined
  #probing: Promise<Probe> | undefined

  constructor(base: BaseUrl, options: UpstreamOptions) {
    this.#base = base
    this.label = options.label === undefined ? base.label : checkLabel(options.label)
    this.exposed = base.exposed
    this.requestTimeoutMs = positive('requestTimeoutMs', options.requestTimeoutMs ?? 120_000)
    const idleTimeoutMs = positive('idleTimeoutMs', options.idleTimeoutMs ?? this.requestTimeoutMs)
    const connectTimeoutMs = positive('connectTimeoutMs', options.connectTimeoutMs ?? 10_000)
    this.#connections = positive('connections', options.connections ?? 100, 65_535)
    const maxWaiting = options.maxWaiting ?? 4 * this.#connections
    this.#maxActive = this.#connections + (maxWaiting === 0 ? 0 : positive('maxWaiting', maxWaiting))
    this.#probeTimeoutMs = positive('probeTimeoutMs', options.probeTimeoutMs ?? 1_000)
    const shared = {
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: positive('keepAliveMs', options.keepAliveMs ?? 4_000),
      headersTimeout: this.requestTimeoutMs,
      bodyTimeout: idleTimeoutMs,
      maxHeaderSize: MAX_HEADER_BYTES,
    }
    // One context for all connections: parsing the roots takes tens of milliseconds.
    const connect = {
      timeout: connectTimeoutMs,
      highWaterMark: READ_AHEAD_BYTES,
      rejectUnauthorized: true,
      ...(base.secure ? { secureContext: trust(options.ca) } : {}),
    }
    this.#pool = new Pool(base.origin, { ...shared, connections: this.#connections, connect })
    this.#makeProbePool = () =>
      new Pool(base.origin, { ...shared, connections: 1, connect: { ...connect, timeout: this.#probeTimeoutMs } })
  }

  forward(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new Call(this, handler)
    if (this.active >= this.#maxActive) {
      call.refuse('overloaded', 'too many calls are waiting for the upstream')
      return call
    }
    // `active` counts this call from here on, and `ended` gives it back.
    this.active++
    call.start(
      this.#pool,
      {
        method: request.method,
        path: this.#base.path + request.path,
        headers: request.headers.concat(ACCEPT_ENCODING),
        body: request.body ?? null,
      },
      this.active > this.#connections,
    )
    return call
  }

  ended(): void {
    this.active--
  }

  probe(): Promise<Probe> {
    if (this.#probing === undefined) {
      // A pool of its own: when every connection is busy with streams the gate is loaded, not unready.
      this.#probePool ??= this.#makeProbePool()
      this.#probing = probeOnce(this.#probePool, `${this.#base.path}/models`, this.#probeTimeoutMs).finally(() => {
        this.#probing = undefined
      })
    }
    return this.#probing
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#probePool?.destroy()])
  }

  async destroy(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#probePool?.destroy()])
  }
}

const ACCEPT_ENCODING: readonly string[] = ['accept-encoding', 'identity']

/** Beyond it a paused socket is not read; the last read may be longer. What a stalled caller costs is mostly this. */
const READ_AHEAD_BYTES = 16 * 1024

/** Providers' heads are a few kilobytes; Node's own default is as large. */
const MAX_HEADER_BYTES = 32 * 1024

function trust(ca: readonly string[] | undefined) {
  if (ca === undefined) return createSecureContext({ ca: getCACertificates('bundled') })
  if (ca.length === 0) throw new UpstreamSettingError('ca', 'is empty; leave it out to trust the bundled roots')
  try {
    // createSecureContext passes over what it cannot read.
    for (const pem of ca) new X509Certificate(pem)
    return createSecureContext({ ca: [...ca] })
  } catch {
    throw new UpstreamSettingError('ca', 'holds something that is not a PEM certificate')
  }
}

function positive(setting: string, value: number, max = 0x7fffffff): number {
  if (!Number.isSafeInteger(value) || value < 1 || value > max) {
    throw new UpstreamSettingError(setting, `expected a whole number from 1 to ${max}, got ${String(value)}`)
  }
  return value
}

/** It becomes a header value and stands in rows. */
function checkLabel(label: string): string {
  if (!/^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/.test(label)) {
    throw new UpstreamSettingError('label', 'expected 1 to 128 printable ASCII characters without blanks around them')
  }
  if (/\/\/[^/]*@/.test(label)) throw new UpstreamSettingError('label', 'looks like a URL with a password in it')
  return label
}
