/**
 * `createSignet`: the `ai` package behind a signet gate, whichever provider package speaks to it.
 *
 * - `provider` is what `createOpenAI` or `createAnthropic` need to speak to the gate: address, headers, `fetch`.
 * - `middleware` gives refusals their types: an `APICallError` is then a `SignetRefused` or `SignetEscalated` too, and so is
 *   the error of a stream's `error` part. A call that was retried ends in a `RetryError`: `signetErrorOf` finds it there.
 * - Receipts: `onReceipt`, `lastReceipt()`, `receiptOf(result.response)`.
 *
 * Guarantees: a refusal by policy and a held call are not retried; 429 and 503 are, as the `ai` package sees fit. Text that
 * came before the gate ended a stream is delivered, in order, before the error.
 *
 * This module imports nothing of the `ai` package: its types are matched by shape.
 */
import { abortLine, aiMiddleware, type SignetEmbeddingMiddleware, type SignetMiddleware } from './ai-middleware.ts'
import { type Abort, CORRELATION_HEADER, RECEIPT_HEADER } from './answer.ts'
import { markWith } from './error-of.ts'
import { type Fetch, gateFetch, type ReceiptNotice, type VerifySettings } from './gate-fetch.ts'
import { gateBase } from './gate-url.ts'
import { type CallerIdentity, identityHeaders } from './identity-headers.ts'
import { Recent } from './recent.ts'
import { remembered } from './remembered.ts'

export type { SignetEmbeddingMiddleware, SignetMiddleware } from './ai-middleware.ts'
export { type SignetError, signetErrorOf } from './error-of.ts'
export { SignetEscalated, SignetRefused, SignetUnverified } from './errors.ts'
export type { ReceiptNotice, VerifySettings } from './gate-fetch.ts'
export type { CallerIdentity } from './identity-headers.ts'

/** How many exchanges are remembered for `receiptOf`, and for the error of a stream. */
const REMEMBERED = 1000

export interface SignetOptions extends CallerIdentity {
  /** The gate's address, `http://localhost:8443/v1`. Without a path, `/v1` is meant. */
  readonly signetUrl: string
  /**
   * Check the signature and the digests of every receipt. A unary answer without a valid one is thrown as
   * `SignetUnverified`, once; a stream that its final receipt does not cover ends with that error.
   */
  readonly verify?: VerifySettings
  /** Called for every receipt that passes. What it throws is dropped: on this path it would look like a broken connection. */
  readonly onReceipt?: (notice: ReceiptNotice) => void
  /** Used in place of the global `fetch`. */
  readonly fetch?: Fetch
}

export interface Signet {
  /** For `createOpenAI`, `createAnthropic` and their like: `createOpenAI({ ...signet.provider, apiKey })`. */
  readonly provider: {
    readonly baseURL: string
    readonly headers: Record<string, string>
    readonly fetch: Fetch
  }
  /** For `wrapLanguageModel` and `wrapProvider`. */
  readonly middleware: SignetMiddleware
  /** For `wrapEmbeddingModel`. */
  readonly embeddingMiddleware: SignetEmbeddingMiddleware
  /** The newest receipt that passed. */
  lastReceipt(): ReceiptNotice | undefined
  /**
   * The receipt of one answer, by the `response` of a result. Of a stream, the admission's until it was read to its end,
   * then the final one. The last 1000 streams are remembered.
   */
  receiptOf(response: { readonly headers?: Readonly<Record<string, string>> | undefined }): string | undefined
}

/**
 * @example
 * ```ts
 * const signet = createSignet({ signetUrl: 'http://localhost:8443/v1', owner: 'human:alice@example.com' })
 * const openai = createOpenAI({ ...signet.provider, apiKey })
 * const model = wrapLanguageModel({ model: openai('gpt-4o'), middleware: signet.middleware })
 * try {
 *   console.log((await generateText({ model, prompt: 'Hello' })).text)
 * } catch (error) {
 *   const said = signetErrorOf(error)
 *   if (said === undefined) throw error
 *   console.error(said.name, said.reason, said.correlationId)
 * }
 * ```
 */
export function createSignet(options: SignetOptions): Signet {
  const baseURL = gateBase(options.signetUrl)
  const headers = Object.fromEntries(identityHeaders(options))
  const finals = new Recent<string, string>(REMEMBERED)
  const aborts = new Recent<string, Abort>(REMEMBERED)
  let last: ReceiptNotice | undefined
  const throughGate = gateFetch({
    base: baseURL,
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    verify: options.verify,
    unverifiedStatus: 403,
    onAbort: (abort, from) => {
      aborts.set(from.get(CORRELATION_HEADER) ?? abort.facts.correlationId, abort)
      return abortLine(abort)
    },
    onReceipt: notice => {
      last = notice
      if (notice.carrier === 'stream' && notice.correlationId !== undefined)
        finals.set(notice.correlationId, notice.receipt)
      try {
        options.onReceipt?.(notice)
      } catch {}
    },
  })
  const idOf = (from: Readonly<Record<string, string>> | undefined) => from?.[CORRELATION_HEADER]
  return {
    provider: {
      baseURL,
      headers,
      fetch: async (url, init) => {
        const response = await throughGate(url, init)
        const known = remembered(response.headers)
        // Thrown as it is, it is neither retried nor buried in a status that the gate did not give.
        if (known?.kind === 'unverified') throw markWith(new Error(), known)
        return response
      },
    },
    ...aiMiddleware(from => {
      const id = idOf(from)
      return id === undefined ? undefined : aborts.get(id)
    }),
    lastReceipt: () => last,
    receiptOf: ({ headers: from }) => {
      const id = idOf(from)
      return (id === undefined ? undefined : finals.get(id)) ?? from?.[RECEIPT_HEADER]
    },
  }
}
