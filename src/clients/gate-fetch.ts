/**
 * A `fetch` that knows it is talking to a gate. It turns what an SDK would misread (202, an unverifiable answer) into an
 * error response the SDK raises without retrying, and remembers by the response's headers what each was, so that the
 * wrapper can say it with facts. It never throws for what the gate said: SDKs retry what `fetch` throws.
 *
 * A gate never redirects, so a redirect is handed out as it is and not followed: it would take the caller's key along.
 */
import { ReceiptInvalid } from '../receipt/errors.ts'
import type { KeySource } from '../receipt/jwks.ts'
import { verifyStreamReceipt } from '../receipt/stream.ts'
import { type VerifiedReceipt, verifyReceipt } from '../receipt/verify.ts'
import { type Abort, CORRELATION_HEADER, parse, RECEIPT_HEADER, readEscalation, readRefusal } from './answer.ts'
import { markUnverified } from './errors.ts'
import { remember } from './remembered.ts'
import { tapSse } from './sse-tap.ts'

export type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>

/** Check the receipt of every answer; an answer without a valid one is an error. */
export interface VerifySettings {
  /** A pinned JWK Set, or `remoteJwks('https://gate.example/.well-known/jwks.json')`. */
  readonly keys: KeySource
  /** The gate's issuer name, exactly. */
  readonly issuer: string
  readonly allowShadow?: boolean
}

export interface ReceiptNotice {
  /** The compact JWS (or, from a gate set to `signet-v1`, that header's text). */
  readonly receipt: string
  /** `stream`: the final receipt of a streamed answer. */
  readonly carrier: 'header' | 'stream'
  readonly status: number
  readonly correlationId: string | undefined
  /** Present when `verify` is set. */
  readonly verified: VerifiedReceipt | undefined
}

export interface GateFetchOptions {
  readonly base: string
  readonly fetch: Fetch
  readonly verify: VerifySettings | undefined
  readonly onReceipt: (notice: ReceiptNotice, response: Response) => void
  /** The error for a stream that the gate ended, or the `data:` line to end it with. */
  readonly onAbort: (abort: Abort, headers: Headers) => Error | string
  /** The status of an answer without a valid receipt: one that what is above this `fetch` does not retry. */
  readonly unverifiedStatus: 403 | 502
  /** Every JSON of a good answer: the whole, or a stream's payloads one by one until this answers false. */
  readonly onJson?: (value: unknown, response: Response) => boolean
}

export function gateFetch(options: GateFetchOptions): Fetch {
  const { base } = options
  return async function fetchThroughGate(url, init) {
    // The SDK also fetches elsewhere (token exchange): none of our business.
    if (!isBelow(url, base)) return options.fetch(url, init)
    const response = await options.fetch(url, { ...init, redirect: 'manual' })
    const type = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (response.ok && type === 'text/event-stream' && response.body !== null)
      return openStream(response, response.body, init, options)
    const checked = await readWhole(response, type, init, options)
    return checked.status === 202 ? readAccepted(checked, options) : checked
  }
}

async function readWhole(
  response: Response,
  type: string | undefined,
  init: RequestInit | undefined,
  options: GateFetchOptions,
): Promise<Response> {
  const { verify, onJson } = options
  const { headers } = response
  const receipt = headers.get(RECEIPT_HEADER)
  const verifies = verify !== undefined && (receipt !== null || mustCarryReceipt(response, init))
  const isJson = type === 'application/json'
  if (!verifies && (!isJson || (response.ok && onJson === undefined))) {
    if (receipt !== null) notice(options, response, receipt, 'header', undefined)
    return response
  }
  let again = response
  let body: Uint8Array
  try {
    body = new Uint8Array(await response.arrayBuffer())
    const verified = verifies ? await checkReceipt(receipt, verify, headers, init, body) : undefined
    again = rebuilt(response, body)
    if (receipt !== null) notice(options, again, receipt, 'header', verified)
  } catch (error) {
    // A connection that broke is the SDK's to retry; it says nothing about the receipt.
    if (!verifies) throw error
    return unverified(error, headers, options)
  }
  if (!isJson) return again
  const json = parse(new TextDecoder().decode(body))
  if (response.ok) onJson?.(json, again)
  else recall(again, json, options)
  return again
}

/** Remembers what an error answer says, if it is the gate's own. */
function recall({ status, headers }: Response, json: unknown, { base }: GateFetchOptions): void {
  const escalation = status === 403 ? readEscalation(json, headers, `${base}/`) : undefined
  const refusal = escalation === undefined ? readRefusal(status, json, headers) : undefined
  if (escalation !== undefined) remember(headers, { kind: 'escalated', facts: escalation })
  if (refusal !== undefined) remember(headers, { kind: 'refused', facts: refusal })
}

/** Every gated exchange that reached the model. A GET of a list, or a 503 without a row, carries none. */
function mustCarryReceipt(response: Response, init: RequestInit | undefined): boolean {
  return response.ok && init?.method?.toUpperCase() === 'POST'
}

async function openStream(
  response: Response,
  body: ReadableStream<Uint8Array>,
  init: RequestInit | undefined,
  options: GateFetchOptions,
): Promise<Response> {
  const { verify, onJson } = options
  const { headers } = response
  const receipt = headers.get(RECEIPT_HEADER)
  let admitted: VerifiedReceipt | undefined
  if (verify !== undefined) {
    try {
      admitted = await checkReceipt(receipt, verify, headers, init, undefined)
    } catch (error) {
      body.cancel().catch(() => {})
      return unverified(error, headers, options)
    }
  }
  const exchange = admitted?.claims.exchange
  let last: string | undefined
  const tapped = tapSse(body, headers, {
    onReceipt: compact => {
      last = compact
      if (verify === undefined) notice(options, again, compact, 'stream', undefined)
    },
    onAbort: abort => options.onAbort(abort, again.headers),
    ...(onJson === undefined ? {} : { onPayload: (payload: string) => onJson(parse(payload), again) }),
    verify:
      verify === undefined
        ? undefined
        : async bytes => {
            try {
              const verified = await verifyStreamReceipt(bytes, {
                ...settingsOf(verify),
                ...(exchange === undefined ? {} : { exchange }),
                ...requestOf(init),
              })
              notice(options, again, last ?? '', 'stream', verified)
            } catch (error) {
              throw markUnverified(new Error('unverified'), codeOf(error), error, exchange)
            }
          },
  })
  const again = rebuilt(response, tapped)
  if (receipt !== null) notice(options, again, receipt, 'header', admitted)
  return again
}

/** A 202 is a success to every SDK, whose body it would hand out as a completion. */
async function readAccepted(response: Response, options: GateFetchOptions): Promise<Response> {
  const text = await response.text()
  const facts = readEscalation(parse(text), response.headers, `${options.base}/`)
  if (facts === undefined) return rebuilt(response, text)
  const headers = new Headers(response.headers)
  // The SDK decides by this whether to send again; a held exchange must not be doubled.
  headers.set('x-should-retry', 'false')
  const refused = rebuilt(new Response(null, { status: 403, headers }), text)
  remember(refused.headers, { kind: 'escalated', facts })
  return refused
}

async function checkReceipt(
  receipt: string | null,
  verify: VerifySettings,
  headers: Headers,
  init: RequestInit | undefined,
  body: Uint8Array | undefined,
): Promise<VerifiedReceipt> {
  if (receipt === null) throw new ReceiptInvalid('receipt_malformed', 'the answer carries no receipt')
  const exchange = headers.get(CORRELATION_HEADER)
  return verifyReceipt(receipt, {
    ...settingsOf(verify),
    ...(exchange === null ? {} : { exchange }),
    ...requestOf(init),
    ...(body === undefined ? {} : { responseBytes: body }),
  })
}

function settingsOf(verify: VerifySettings) {
  return { keys: verify.keys, issuer: verify.issuer, allowShadow: verify.allowShadow ?? false }
}

/** Bodies that are sent as they are; of a form or a stream the bytes are not known here. */
function requestOf(init: RequestInit | undefined): { readonly requestBytes?: Uint8Array } {
  const body = init?.body
  if (typeof body === 'string') return { requestBytes: new TextEncoder().encode(body) }
  if (body instanceof Uint8Array) return { requestBytes: body }
  if (body instanceof ArrayBuffer) return { requestBytes: new Uint8Array(body) }
  return body === undefined || body === null ? { requestBytes: new Uint8Array() } : {}
}

function unverified(error: unknown, from: Headers, options: GateFetchOptions): Response {
  const headers = new Headers({ 'content-type': 'application/json', 'x-should-retry': 'false' })
  const correlationId = from.get(CORRELATION_HEADER) ?? undefined
  if (correlationId !== undefined) headers.set(CORRELATION_HEADER, correlationId)
  const message = 'the answer has no valid signet receipt'
  const body = { error: { message, type: 'signet_unverified', code: codeOf(error) } }
  const response = new Response(JSON.stringify(body), { status: options.unverifiedStatus, headers })
  remember(response.headers, { kind: 'unverified', cause: error, correlationId })
  return response
}

export function codeOf(error: unknown): string {
  return error instanceof ReceiptInvalid ? error.code : 'unreadable'
}

function notice(
  options: GateFetchOptions,
  response: Response,
  receipt: string,
  carrier: ReceiptNotice['carrier'],
  verified: VerifiedReceipt | undefined,
): void {
  const correlationId = response.headers.get(CORRELATION_HEADER) ?? undefined
  options.onReceipt({ receipt, carrier, status: response.status, correlationId, verified }, response)
}

const NO_BODY: ReadonlySet<number> = new Set([204, 205, 304])

/** The same answer over a body that has been read. `fetch` has undone any content coding, so its headers go. */
function rebuilt(response: Response, body: ReadableStream<Uint8Array> | Uint8Array | string): Response {
  const headers = new Headers(response.headers)
  headers.delete('content-encoding')
  headers.delete('content-length')
  const init = { status: response.status, statusText: response.statusText, headers }
  const content = body instanceof Uint8Array ? new Uint8Array(body) : body
  // These statuses may have no body at all, not even an empty one (Fetch, "null body status").
  const again = new Response(NO_BODY.has(response.status) ? null : content, init)
  Object.defineProperty(again, 'url', { value: response.url })
  return again
}

function isBelow(url: string | URL | Request, base: string): boolean {
  const text = typeof url === 'string' ? url : url instanceof URL ? url.href : url.url
  return text === base || text.startsWith(`${base}/`) || text.startsWith(`${base}?`)
}
