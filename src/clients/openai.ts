/**
 * `wrapOpenAI`: the official `openai` client, pointed at a signet gate.
 *
 * Returns a NEW client made by the SDK's own `withOptions`; the one passed in stays as it was. The wrapped client is
 * used exactly like the original. Only two things differ:
 * - signet's refusals and escalations are thrown as the SDK's typed errors that are also `SignetRefused` or
 *   `SignetEscalated`, with the correlation id and whatever the gate's strictness lets it say. A refused tool call is
 *   no error: the model's answer then says so in its place.
 * - receipts are within reach: `onReceipt`, `lastReceipt(client)`, `receiptOf(response)`.
 *
 * This module imports the SDK's types only; it works with whichever copy of `openai` made the client.
 */
import type { OpenAI } from 'openai'
import { RECEIPT_HEADER, readEscalation, readRefusal } from './answer.ts'
import { markEscalated, markRefused, markUnverified, SignetEscalated, SignetRefused } from './errors.ts'
import {
  codeOf,
  type Fetch,
  gateFetch,
  type ReceiptNotice,
  type Remembered,
  type VerifySettings,
} from './gate-fetch.ts'
import { type CallerIdentity, identityHeaders } from './identity-headers.ts'

export { SignetEscalated, SignetRefused, SignetUnverified } from './errors.ts'
export type { ReceiptNotice, VerifySettings } from './gate-fetch.ts'
export type { CallerIdentity } from './identity-headers.ts'

export interface WrapOpenAIOptions extends CallerIdentity {
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

interface Wrapping {
  readonly base: string
  readonly options: WrapOpenAIOptions
  readonly remembered: WeakMap<Headers, Remembered>
  last: ReceiptNotice | undefined
}

const wrappings = new WeakMap<object, Wrapping>()
const finalReceipts = new WeakMap<Response, string>()

/**
 * @example
 * ```ts
 * const client = wrapOpenAI(new OpenAI(), { signetUrl: 'http://localhost:8443/v1', owner: 'human:alice@example.com' })
 * try {
 *   await client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello' }] })
 * } catch (error) {
 *   if (error instanceof SignetEscalated) await pollUntilDecided(error.statusUrl)
 *   else if (error instanceof SignetRefused) console.error(error.reason, error.correlationId)
 *   else throw error
 * }
 * ```
 */
export function wrapOpenAI<Client extends OpenAI>(client: Client, options: WrapOpenAIOptions): Client {
  if (typeof client?.withOptions !== 'function' || typeof member(client, 'makeStatusError') !== 'function')
    throw new TypeError('wrapOpenAI expects a client of the `openai` package, version 5 or later')
  if (wrappings.has(client)) throw new TypeError('this client is wrapped already; wrap the original once per owner')
  const base = baseOf(options.signetUrl)
  const wrapping: Wrapping = { base, options, remembered: new WeakMap(), last: undefined }
  const wrapped = client.withOptions({
    baseURL: base,
    defaultHeaders: mergedHeaders(member(member(client, '_options'), 'defaultHeaders'), identityHeaders(options)),
    fetch: fetchFor(wrapping, ownFetch(client), client),
  })
  return dress(wrapped, wrapping)
}

/** The newest receipt that passed through this client (or a copy made with its `withOptions`). */
export function lastReceipt(client: OpenAI): ReceiptNotice | undefined {
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

/**
 * Whether signet ended a stream, as opposed to the model's API or the network. Works for wrapped clients and for a plain
 * `openai` client that merely points at the gate, whose error carries the abort frame's `error` object.
 */
export function isSignetAbort(error: unknown): boolean {
  if (error instanceof SignetRefused || error instanceof SignetEscalated) return error.midStream
  return member(member(error, 'error'), 'type') === 'signet_refusal' && member(error, 'status') === undefined
}

/** The SDK calls `this.makeStatusError` for every status it treats as an error, after its retries. */
function dress<Client extends OpenAI>(client: Client, wrapping: Wrapping): Client {
  wrappings.set(client, wrapping)
  const make = member(client, 'makeStatusError')
  const withOptions = client.withOptions
  if (typeof make !== 'function') throw new TypeError('the `openai` client lost its makeStatusError')
  Object.defineProperty(client, 'makeStatusError', {
    value: (status: number, body: unknown, message: string | undefined, headers: Headers): unknown =>
      withFacts(make.call(client, status, body, message, headers), status, body, headers, wrapping),
  })
  Object.defineProperty(client, 'withOptions', {
    value: (options: Parameters<OpenAI['withOptions']>[0]): Client => {
      const { fetch: given } = options
      const own = given === undefined ? {} : { fetch: fetchFor(wrapping, given, client) }
      return dress(withOptions.call(client, { ...options, ...own }) as Client, wrapping)
    },
  })
  return client
}

function withFacts(error: unknown, status: number, body: unknown, headers: Headers, wrapping: Wrapping): unknown {
  if (!(error instanceof Error)) return error
  const known = wrapping.remembered.get(headers)
  if (known?.kind === 'unverified')
    return markUnverified(error, codeOf(known.cause), known.cause, headers.get('x-signet-correlation-id') ?? undefined)
  const escalation = known?.facts ?? (status === 403 ? readEscalation(body, headers, `${wrapping.base}/`) : undefined)
  if (escalation !== undefined) return markEscalated(error, escalation)
  const refusal = readRefusal(status, body, headers)
  return refusal === undefined ? error : markRefused(error, refusal)
}

function fetchFor(wrapping: Wrapping, fetch: Fetch, client: OpenAI): Fetch {
  const { base, options, remembered } = wrapping
  return gateFetch({
    base,
    fetch,
    verify: options.verify,
    remember: (headers, what) => remembered.set(headers, what),
    abortError: ({ kind, facts, error }, headers) => {
      const made = apiError(client, error, headers)
      return kind === 'refused' ? markRefused(made, facts) : markEscalated(made, facts)
    },
    onReceipt: (notice, response) => {
      wrapping.last = notice
      if (notice.carrier === 'stream') finalReceipts.set(response, notice.receipt)
      try {
        options.onReceipt?.(notice)
      } catch (error) {
        // Thrown on, it would look like a broken connection, and the SDK would send the request again.
        client.logger.error('signet: the onReceipt callback threw', error)
      }
    },
  })
}

/** The SDK's own `APIError` as it would make it for the frame; the class hangs on the client's constructor. */
function apiError(client: OpenAI, error: unknown, headers: Headers): Error {
  const ApiError = member(client.constructor, 'APIError')
  if (typeof ApiError === 'function') {
    const made: unknown = Reflect.construct(ApiError, [undefined, error, undefined, headers])
    if (made instanceof Error) return made
  }
  return new Error('signet ended the stream')
}

/** `withOptions` replaces the default headers, so the client's own are carried over; of two equal names ours stands. */
function mergedHeaders(own: unknown, ours: ReadonlyMap<string, string>): (string | null)[][] {
  const taken = new Set([...ours.keys()].map(name => name.toLowerCase()))
  return [...rowsOf(own).filter(([name]) => !taken.has(name?.toLowerCase() ?? '')), ...ours]
}

/** Every form of the SDK's `HeadersLike`; `null` means "do not send". */
function rowsOf(headers: unknown): (string | null)[][] {
  if (typeof headers !== 'object' || headers === null) return []
  if (headers instanceof Headers) return [...headers]
  const { values, nulls } = { values: member(headers, 'values'), nulls: member(headers, 'nulls') }
  if (values instanceof Headers && nulls instanceof Set)
    return [...values, ...[...nulls].map((name: unknown) => [String(name), null])]
  const rows: Iterable<unknown> = Symbol.iterator in headers ? [...iterate(headers)] : Object.entries(headers)
  const flat: (string | null)[][] = []
  for (const row of rows) {
    if (!Array.isArray(row) || typeof row[0] !== 'string')
      throw new TypeError("the client's defaultHeaders are not headers")
    const value: unknown = row[1]
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) flat.push([row[0], one === null ? null : String(one)])
  }
  return flat
}

function* iterate(from: object): Iterable<unknown> {
  const iterator: unknown = Reflect.get(from, Symbol.iterator)
  if (typeof iterator === 'function') yield* { [Symbol.iterator]: () => iterator.call(from) }
}

function ownFetch(client: OpenAI): Fetch {
  const own = member(client, 'fetch')
  return typeof own === 'function' ? (url, init) => own.call(undefined, url, init) : (url, init) => fetch(url, init)
}

function baseOf(signetUrl: string): string {
  const url = URL.canParse(signetUrl) ? new URL(signetUrl) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new TypeError('`signetUrl` must be an absolute http or https address such as http://localhost:8443/v1')
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new TypeError('`signetUrl` must have no user, password, query or fragment')
  const path = url.pathname.replace(/\/+$/, '')
  return `${url.origin}${path === '' ? '/v1' : path}`
}

/** A property of an SDK object whose type does not promise it. */
function member(from: unknown, name: string): unknown {
  return (typeof from === 'object' && from !== null) || typeof from === 'function' ? Reflect.get(from, name) : undefined
}
