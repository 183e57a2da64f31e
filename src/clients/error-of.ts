/**
 * Finds what signet said in whatever an SDK or framework threw: the error itself, what it wraps (`cause`), or the last
 * try of a retried call (`lastError`). Facts come from what `gateFetch` remembered, or from the error's own copy of the
 * answer, so this also works for a plain SDK that merely points at the gate.
 */
import { isObject, parse, readEscalation, readRefusal } from './answer.ts'
import {
  markEscalated,
  markRefused,
  markUnverified,
  SignetEscalated,
  SignetRefused,
  SignetUnverified,
} from './errors.ts'
import { codeOf } from './gate-fetch.ts'
import { type Remembered, remembered } from './remembered.ts'

export type SignetError = SignetRefused | SignetEscalated | SignetUnverified

/** Wrappers of wrappers: more than any framework makes. */
const MAX_DEPTH = 8

/**
 * The signet error in `error`, or `undefined` if it is none. An SDK's error becomes a `SignetRefused` (or the like) by
 * this, in place: it stays what it was, with signet's facts added.
 */
export function signetErrorOf(error: unknown): SignetError | undefined {
  const queue: unknown[] = [error]
  for (let at = 0; at < queue.length && at < MAX_DEPTH; at++) {
    const one = queue[at]
    if (isSignetError(one)) return one
    if (!(one instanceof Error)) continue
    const known = factsOf(one)
    if (known !== undefined) {
      const marked = markWith(one, known)
      if (isSignetError(marked)) return marked
    }
    queue.push(member(one, 'lastError'), member(one, 'cause'))
  }
  return undefined
}

export function markWith(error: Error, known: Remembered): Error {
  switch (known.kind) {
    case 'refused':
      return markRefused(error, known.facts)
    case 'escalated':
      return markEscalated(error, known.facts)
    case 'unverified':
      return markUnverified(error, codeOf(known.cause), known.cause, known.correlationId)
  }
}

function isSignetError(value: unknown): value is SignetError {
  return value instanceof SignetRefused || value instanceof SignetEscalated || value instanceof SignetUnverified
}

/** `status`, `headers`, `error` are the vendors' SDKs'; `statusCode`, `responseHeaders`, `responseBody` the `ai` package's. */
function factsOf(error: Error): Remembered | undefined {
  const headers = headersOf(error)
  if (headers === undefined) return undefined
  const known = remembered(headers)
  if (known !== undefined) return known
  const status = member(error, 'status') ?? member(error, 'statusCode')
  const text = member(error, 'responseBody')
  const body = typeof text === 'string' ? parse(text) : member(error, 'error')
  if (typeof status !== 'number' || status < 400) return undefined
  const url = member(error, 'url')
  const base = typeof url === 'string' ? url : ''
  const escalation = status === 403 ? readEscalation(body, headers, base) : undefined
  if (escalation !== undefined) return { kind: 'escalated', facts: escalation }
  const refusal = readRefusal(status, body, headers)
  return refusal === undefined ? undefined : { kind: 'refused', facts: refusal }
}

function headersOf(error: Error): Headers | undefined {
  const own = member(error, 'headers')
  if (own instanceof Headers) return own
  const copied = member(error, 'responseHeaders')
  if (!isObject(copied)) return undefined
  const headers = new Headers()
  for (const [name, value] of Object.entries(copied)) if (typeof value === 'string') headers.append(name, value)
  return headers
}

function member(from: object, name: string): unknown {
  return Reflect.get(from, name)
}
