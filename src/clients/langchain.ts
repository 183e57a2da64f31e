/**
 * LangChain's models behind a signet gate: `signetConfiguration` gives `ChatOpenAI` its `configuration`, `ChatAnthropic`
 * its `clientOptions`, and both the handler that tells what signet said.
 *
 * Guarantees: a refusal by policy and a held call are not retried, nor is an answer that `verify` rejects; a rate limit is,
 * as LangChain sees fit. The caller's key goes to the gate and nowhere else.
 */
import type { Abort } from './answer.ts'
import { CORRELATION_HEADER } from './answer.ts'
import { markEscalated, markRefused } from './errors.ts'
import { type Fetch, gateFetch, type ReceiptNotice, type VerifySettings } from './gate-fetch.ts'
import { gateBase, gateRoot } from './gate-url.ts'
import { type CallerIdentity, identityHeaders } from './identity-headers.ts'
import { answerId, type Exchange, SignetCallbackHandler } from './langchain-handler.ts'

export { type SignetError, signetErrorOf } from './error-of.ts'
export { SignetEscalated, SignetRefused, SignetUnverified } from './errors.ts'
export type { ReceiptNotice, VerifySettings } from './gate-fetch.ts'
export type { CallerIdentity } from './identity-headers.ts'
export { SignetCallbackHandler, type SignetRun } from './langchain-handler.ts'

export interface SignetConfigurationOptions extends CallerIdentity {
  /** The gate's address, `http://localhost:8443/v1`. Without a path, `/v1` is meant. */
  readonly signetUrl: string
  /**
   * Check the signature and the digests of every receipt. An answer without a valid one is thrown as `SignetUnverified`;
   * a stream that its final receipt does not cover ends with that error.
   */
  readonly verify?: VerifySettings
  /** Called for every receipt that passes. What it throws is dropped: on this path it would look like a broken connection. */
  readonly onReceipt?: (notice: ReceiptNotice) => void
  /** Used in place of the global `fetch`. */
  readonly fetch?: Fetch
}

/** Constructor options of the vendors' clients. */
export interface SignetClientOptions {
  baseURL: string
  defaultHeaders: Record<string, string>
  fetch: Fetch
}

export interface SignetConfiguration {
  /** For `new ChatOpenAI({ configuration })`. */
  readonly configuration: SignetClientOptions
  /** For `new ChatAnthropic({ clientOptions })`. */
  readonly clientOptions: SignetClientOptions
  /** For `callbacks`, of the models or of a call. */
  readonly handler: SignetCallbackHandler
}

/**
 * @example
 * ```ts
 * const signet = signetConfiguration({ signetUrl: 'http://localhost:8443', owner: 'human:alice@example.com' })
 * const model = new ChatOpenAI({ model: 'gpt-4o', configuration: signet.configuration, callbacks: [signet.handler] })
 * try {
 *   await model.invoke('Hello', { runId })
 *   console.log(signet.handler.run(runId)?.receipt)
 * } catch (error) {
 *   if (error instanceof SignetRefused) console.error(error.reason, error.correlationId)
 *   else throw error
 * }
 * ```
 */
export function signetConfiguration(options: SignetConfigurationOptions): SignetConfiguration {
  const defaultHeaders = Object.fromEntries(identityHeaders(options))
  const handler = new SignetCallbackHandler()
  const forBase = (baseURL: string): SignetClientOptions => ({
    baseURL,
    defaultHeaders: { ...defaultHeaders },
    fetch: fetchFor(baseURL, options, handler),
  })
  return {
    configuration: forBase(gateBase(options.signetUrl)),
    clientOptions: forBase(gateRoot(options.signetUrl)),
    handler,
  }
}

function fetchFor(base: string, options: SignetConfigurationOptions, handler: SignetCallbackHandler): Fetch {
  const exchanges = new WeakMap<Response, Exchange>()
  const exchangeOf = (response: Response): Exchange => {
    const known = exchanges.get(response)
    if (known !== undefined) return known
    const correlationId = response.headers.get(CORRELATION_HEADER) ?? undefined
    const exchange: Exchange = { correlationId, receipt: undefined }
    exchanges.set(response, exchange)
    return exchange
  }
  return gateFetch({
    base,
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    verify: options.verify,
    // LangChain retries by the status alone.
    unverifiedStatus: 403,
    onAbort: (abort: Abort) => {
      const made = new Error()
      return abort.kind === 'refused' ? markRefused(made, abort.facts) : markEscalated(made, abort.facts)
    },
    onJson: (json, response) => {
      const id = answerId(json)
      if (id === undefined) return true
      handler.answered(id, exchangeOf(response))
      return false
    },
    onReceipt: (notice, response) => {
      exchangeOf(response).receipt = notice
      handler.noticed(notice)
      try {
        options.onReceipt?.(notice)
      } catch {}
    },
  })
}
