/**
 * What `wrapOpenAI` and `wrapAnthropic` share. Both SDKs are made by one generator: a client is copied by `withOptions`,
 * takes a `fetch`, and makes every error of an answer by its own `makeStatusError`, after its retries.
 *
 * The client passed in stays as it was, in all cases. A wrapped client and its copies send to the gate and nowhere else
 * what carries their key: they refuse another `baseURL`, and redirects are not followed.
 */
import { type Abort, RECEIPT_HEADER } from './answer.ts'
import { markWith } from './error-of.ts'
import { markEscalated, markRefused } from './errors.ts'
import { type Fetch, gateFetch, type ReceiptNotice, type VerifySettings } from './gate-fetch.ts'
import { type CallerIdentity, identityHeaders } from './identity-headers.ts'
import { type Remembered, remembered } from './remembered.ts'
import { headerRows } from './sdk-headers.ts'

export interface WrapOptions extends CallerIdentity {
  /** The gate's address, `http://localhost:8443/v1`. Without a path, `/v1` is meant. */
  readonly signetUrl: string
  /**
   * Check the signature and the digests of every receipt. An answer without a valid one is thrown as `SignetUnverified`;
   * unary answers are then read whole, and a stream's text is yielded as it comes but ends with that error if its final
   * receipt does not cover it.
   */
  readonly verify?: VerifySettings
  /**
   * Called for every receipt that passes, before the call it belongs to resolves or its stream ends. What it throws goes
   * to the client's logger and changes nothing else.
   */
  readonly onReceipt?: (notice: ReceiptNotice) => void
}

/** The options of `withOptions` that wrapping sets. */
export interface ClientSettings {
  baseURL?: string
  defaultHeaders?: (string | null)[][]
  fetch?: Fetch
}

export interface SdkClient {
  withOptions(options: ClientSettings): this
}

/** What the two SDKs do differently. */
export interface Sdk {
  /** The wrapper's name, and the client it takes, for errors. */
  readonly wrapper: string
  readonly expects: string
  baseOf(signetUrl: string): string
  /** Constructor arguments with which the SDK itself would make its `APIError` of an error frame in a stream. */
  abortArguments(frame: Abort['frame'], headers: Headers): readonly unknown[]
}

interface Wrapping {
  readonly sdk: Sdk
  readonly base: string
  readonly options: WrapOptions
  last: ReceiptNotice | undefined
}

const wrappings = new WeakMap<object, Wrapping>()
const finalReceipts = new WeakMap<Response, string>()

export function wrapClient<Client extends SdkClient>(client: Client, options: WrapOptions, sdk: Sdk): Client {
  if (typeof member(client, 'withOptions') !== 'function' || typeof member(client, 'makeStatusError') !== 'function')
    throw new TypeError(`${sdk.wrapper} expects ${sdk.expects}`)
  if (wrappings.has(client)) throw new TypeError('this client is wrapped already; wrap the original once per owner')
  const base = sdk.baseOf(options.signetUrl)
  const wrapping: Wrapping = { sdk, base, options, last: undefined }
  const wrapped = client.withOptions({
    baseURL: base,
    defaultHeaders: mergedHeaders(member(member(client, '_options'), 'defaultHeaders'), identityHeaders(options)),
    fetch: fetchFor(wrapping, ownFetch(client), client),
  })
  return dress(wrapped, wrapping)
}

export function lastReceiptOf(client: object): ReceiptNotice | undefined {
  return wrappings.get(client)?.last
}

/**
 * The receipt of one answer: of the `Response` (from `.asResponse()` or `.withResponse()`), or of the promise that
 * `create()` returned. For a stream, the admission's receipt until the stream has been read to its end, then the final.
 * Does not consume the body.
 */
export function receiptOf(response: Response): string | undefined
export function receiptOf(promise: { asResponse(): Promise<Response> }): Promise<string | undefined>
export function receiptOf(
  from: Response | { asResponse(): Promise<Response> },
): string | undefined | Promise<string | undefined> {
  if ('asResponse' in from) return from.asResponse().then(receiptOf)
  return finalReceipts.get(from) ?? from.headers.get(RECEIPT_HEADER) ?? undefined
}

/** The SDK calls `this.makeStatusError` for every status it treats as an error, after its retries. */
function dress<Client extends SdkClient>(client: Client, wrapping: Wrapping): Client {
  wrappings.set(client, wrapping)
  const make = member(client, 'makeStatusError')
  const { withOptions } = client
  if (typeof make !== 'function') throw new TypeError(`${wrapping.sdk.expects} lost its makeStatusError`)
  Object.defineProperty(client, 'makeStatusError', {
    value: (status: number, body: unknown, message: string | undefined, headers: Headers): unknown =>
      withFacts(make.call(client, status, body, message, headers), remembered(headers)),
  })
  Object.defineProperty(client, 'withOptions', {
    value: (options: ClientSettings): Client => {
      const { fetch: given } = options
      const own = given === undefined ? {} : { fetch: fetchFor(wrapping, given, client) }
      const copy = withOptions.call(client, { ...options, ...own })
      // Another address, or an option that implies one.
      if (String(member(copy, 'baseURL')).replace(/\/+$/, '') !== wrapping.base)
        throw new TypeError('a wrapped client keeps the address of its gate; wrap the original client for another one')
      return dress(copy, wrapping)
    },
  })
  return client
}

function withFacts(error: unknown, known: Remembered | undefined): unknown {
  return error instanceof Error && known !== undefined ? markWith(error, known) : error
}

function fetchFor(wrapping: Wrapping, fetch: Fetch, client: object): Fetch {
  const { base, options, sdk } = wrapping
  return gateFetch({
    base,
    fetch,
    verify: options.verify,
    unverifiedStatus: 502,
    onAbort: (abort, headers) => {
      const made = apiError(client, sdk.abortArguments(abort.frame, headers))
      return abort.kind === 'refused' ? markRefused(made, abort.facts) : markEscalated(made, abort.facts)
    },
    onReceipt: (notice, response) => {
      wrapping.last = notice
      if (notice.carrier === 'stream') finalReceipts.set(response, notice.receipt)
      try {
        options.onReceipt?.(notice)
      } catch (error) {
        // Thrown on, it would look like a broken connection, and the SDK would send the request again.
        const log = member(client, 'logger')
        const write = member(log, 'error')
        if (typeof write === 'function') write.call(log, 'signet: the onReceipt callback threw', error)
      }
    },
  })
}

/** The SDK's own `APIError` as it would make it for the frame; the class hangs on the client's constructor. */
function apiError(client: object, args: readonly unknown[]): Error {
  const ApiError = member(client.constructor, 'APIError')
  if (typeof ApiError === 'function') {
    const made: unknown = Reflect.construct(ApiError, args)
    if (made instanceof Error) return made
  }
  return new Error('signet ended the stream')
}

/** `withOptions` replaces the default headers, so the client's own are carried over; of two equal names ours stands. */
function mergedHeaders(own: unknown, ours: ReadonlyMap<string, string>): (string | null)[][] {
  const taken = new Set([...ours.keys()].map(name => name.toLowerCase()))
  return [...headerRows(own).filter(([name]) => !taken.has(name?.toLowerCase() ?? '')), ...ours]
}

function ownFetch(client: object): Fetch {
  const own = member(client, 'fetch')
  return typeof own === 'function' ? (url, init) => own.call(undefined, url, init) : (url, init) => fetch(url, init)
}

/** A property of an SDK object whose type does not promise it. */
export function member(from: unknown, name: string): unknown {
  return (typeof from === 'object' && from !== null) || typeof from === 'function' ? Reflect.get(from, name) : undefined
}
