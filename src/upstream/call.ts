/** One call to upstream: undici's callbacks turned into the port's, with its promises kept (see upstream.ts). */
import type { Dispatcher, Pool } from 'undici'
import type { Code } from '../core/verdict.ts'
import type { Fault } from '../core/wire.ts'
import { fault, faultOf } from './fault.ts'
import type { UpstreamCall, UpstreamHandler, UpstreamHeaders } from './upstream.ts'

export interface CallOwner {
  readonly requestTimeoutMs: number
  /** Exactly once per started call, when undici holds nothing of it any more. */
  ended(): void
}

export interface CallRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly headers: string[]
  readonly body: Uint8Array | null
}

export class Call implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #owner: CallOwner
  readonly #handler: UpstreamHandler
  #controller: Dispatcher.DispatchController | undefined
  #dispatching = false
  #counted = false
  #queued = false
  #done = false
  #headSeen = false
  #paused = false
  #resuming = false
  #waiting: NodeJS.Timeout | undefined

  constructor(owner: CallOwner, handler: UpstreamHandler) {
    this.#owner = owner
    this.#handler = handler
  }

  start(pool: Pool, request: CallRequest, waits: boolean): void {
    this.#counted = true
    this.#queued = true
    // undici bounds the wait for an answer, but not the wait for a connection.
    if (waits) {
      this.#waiting = setTimeout(() => {
        this.#fail(fault('upstream_timeout', 'no connection to the upstream became free in time', { phase: 'queue' }))
      }, this.#owner.requestTimeoutMs)
    }
    this.#dispatching = true
    pool.dispatch(request, this)
    this.#dispatching = false
  }

  /** For a call that is never dispatched. */
  refuse(code: Code, message: string): void {
    queueMicrotask(() => this.#fail(fault(code, message)))
  }

  pause(): void {
    this.#paused = true
    this.#controller?.pause()
  }

  /**
   * In a microtask: undici parses synchronously when resumed, and its parser is one per process, so resuming from
   * within another call's callback would trip it.
   */
  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#resuming) return
    this.#resuming = true
    queueMicrotask(() => {
      this.#resuming = false
      if (!this.#paused && !this.#done) this.#controller?.resume()
    })
  }

  cancel(): void {
    if (!this.#finish()) return
    this.#controller?.abort(CANCELLED)
  }

  // --- undici's side ---

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#stopWaiting()
    this.#queued = false
    // Thrown, not aborted: at this point an abort would close a connection that nothing was written to yet.
    if (this.#done) {
      this.#release()
      throw CANCELLED
    }
    this.#controller = controller
    if (this.#paused) controller.pause()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: UpstreamHeaders): void {
    // 1xx are announcements (103 Early Hints), not answers.
    if (this.#done || status < 200) return
    const refused = refuseHead(status, headers)
    if (refused !== undefined) {
      this.#fail(refused)
      controller.abort(CANCELLED)
      return
    }
    this.#headSeen = true
    // Each is a piece of the socket's read buffer, and would keep all of it as long as the call lasts.
    controller.rawHeaders = null
    this.#handler.onHead(status, headers)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (!this.#done) this.#handler.onData(chunk)
  }

  onResponseEnd(): void {
    if (!this.#finish()) return
    try {
      this.#handler.onEnd()
    } catch (error) {
      this.#report(faultOf(error, 'body'))
    }
  }

  /** undici's failures, and whatever a callback above has thrown. */
  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#queued = false
    if (this.#done) this.#release()
    const found = faultOf(error, this.#headSeen ? 'body' : 'head')
    if (this.#dispatching) queueMicrotask(() => this.#fail(found))
    else this.#fail(found)
  }

  // --- the end ---

  #fail(found: Fault): void {
    if (this.#finish()) this.#report(found)
  }

  /** An exception here would reach undici's client as an 'error' event and end the process: nobody could handle it. */
  #report(found: Fault): void {
    try {
      this.#handler.onError(found)
    } catch (error) {
      process.emitWarning(`signet: the handler of an upstream fault failed: ${faultOf(error, 'body').message}`)
    }
  }

  /** True the first time. */
  #finish(): boolean {
    if (this.#done) return false
    this.#done = true
    this.#stopWaiting()
    // A call given up in undici's queue stays there, body and all, until a connection comes free: it still counts.
    if (!this.#queued) this.#release()
    return true
  }

  #release(): void {
    if (!this.#counted) return
    this.#counted = false
    this.#owner.ended()
  }

  #stopWaiting(): void {
    if (this.#waiting === undefined) return
    clearTimeout(this.#waiting)
    this.#waiting = undefined
  }
}

const CANCELLED = new Error('cancelled')

/** What no dialect should have to see. */
function refuseHead(status: number, headers: UpstreamHeaders): Fault | undefined {
  if (status < 400 && status >= 300) {
    const host = locationHost(headers['location'])
    return fault('upstream_redirect', 'the upstream answered with a redirect, which is never followed', {
      upstream_status: status,
      ...(host === undefined ? {} : { upstream_location_host: host }),
    })
  }
  const encoding = headers['content-encoding']
  if (encoding !== undefined && !isIdentity(encoding)) {
    return fault('upstream_protocol_violation', 'the upstream encoded its answer although identity was asked for', {
      upstream_status: status,
    })
  }
  const transfer = headers['transfer-encoding']
  if (transfer !== undefined && (typeof transfer !== 'string' || transfer.trim().toLowerCase() !== 'chunked')) {
    return fault('upstream_protocol_violation', 'the upstream used a transfer coding other than chunked', {
      upstream_status: status,
    })
  }
  if (typeof headers['content-type'] === 'object') {
    return fault('upstream_protocol_violation', 'the upstream sent more than one content type', {
      upstream_status: status,
    })
  }
  return undefined
}

function isIdentity(encoding: string | readonly string[]): boolean {
  if (typeof encoding !== 'string') return encoding.every(isIdentity)
  return encoding.split(',').every(coding => {
    const name = coding.trim().toLowerCase()
    return name === '' || name === 'identity'
  })
}

/** Host and port of an absolute `Location`, without userinfo; nothing of a relative or broken one. */
function locationHost(location: string | readonly string[] | undefined): string | undefined {
  if (typeof location !== 'string' || !/^https?:\/\//i.test(location)) return undefined
  try {
    const { host } = new URL(location)
    return host.length <= 255 ? host : undefined
  } catch {
    return undefined
  }
}
