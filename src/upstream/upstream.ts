/** The port through which the gate calls the model. `pool.ts` implements it. */
import type { Fault } from '../core/wire.ts'

/** Names in lower case, values as Latin-1 text. A header sent several times is a list. */
export type UpstreamHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Path below the base URL, beginning with a slash, with its query if any: `/chat/completions`. */
  readonly path: string
  /** Flat list of names and values, as `outgoing()` of headers.ts makes it. Framing headers are added here. */
  readonly headers: readonly string[]
  /** Not copied: must stay as it is until the call has ended. */
  readonly body?: Uint8Array
}

/**
 * Callbacks of one call. `onHead` at most once, then `onData` any number of times, then `onEnd` or `onError`: exactly
 * one of these two, once, and nothing after it; none at all after `cancel()`. Never called before `forward` returns.
 * A callback that throws ends the call: `onError` follows with `upstream_exception`.
 */
export interface UpstreamHandler {
  /** Any final status but 3xx, which is a fault. `content-type` is never a list. */
  onHead(status: number, headers: UpstreamHeaders): void
  /** Bytes as the network gave them. May be kept: nobody writes to them again. */
  onData(chunk: Uint8Array): void
  /** The answer is complete by its own framing. */
  onEnd(): void
  /** Before or after `onHead`. No upstream bytes and no credential are in the fault. */
  onError(fault: Fault): void
}

/** Safe to call at any time, in any callback, after the end, and more than once. */
export interface UpstreamCall {
  /** Stop reading. What is already in flight (at most one socket buffer) stays unread; idle time does not count. */
  pause(): void
  resume(): void
  /** Give up: closes the connection to upstream, so that it stops generating. No callback comes after it. */
  cancel(): void
}

export type Probe =
  | { readonly ready: true; readonly status: number }
  | { readonly ready: false; readonly reason: string; readonly status?: number }

export interface Upstream {
  /** `host[:port]` or the operator's own label; never userinfo. */
  readonly label: string
  /** True when requests and credentials travel in clear text to another machine. */
  readonly exposed: boolean
  /** Calls that were forwarded and have not ended. */
  readonly active: number
  forward(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall
  /** `GET {base}/models` without a credential: any status under 500 is ready. Never rejects; concurrent probes share one call. */
  probe(): Promise<Probe>
  /** Lets running calls end, then closes every connection. */
  close(): Promise<void>
  /** Ends running calls with `shutting_down` and closes every connection now. */
  destroy(): Promise<void>
}
