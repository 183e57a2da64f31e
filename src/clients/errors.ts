/**
 * What a wrapped client throws when signet answers instead of the model.
 *
 * The thrown object is the SDK's own error (so existing `catch` blocks keep working) with signet's facts added, and it
 * is an instance of both: `error instanceof OpenAI.PermissionDeniedError && error instanceof SignetRefused`. That is
 * why these classes recognise their instances by a mark and import no SDK.
 */

const MARK = Symbol.for('signet-gate.client-error')
type Mark = 'refused' | 'escalated' | 'unverified'

/** What signet said, as far as its strictness lets it say. */
export interface RefusalFacts {
  /** HTTP status; `undefined` for a refusal in the middle of a stream. */
  readonly status: number | undefined
  /** The exchange's id: quote it to whoever runs the gate. */
  readonly correlationId: string
  /** `refused` when the gate is strict. */
  readonly reason: string
  readonly code: string | undefined
  readonly stage: string | undefined
  readonly check: string | undefined
  /** The compact receipt of the refusal, when the answer carried one. */
  readonly receipt: string | undefined
  readonly retryAfterS: number | undefined
  /** True when the stream had begun: what was yielded before is inspected text, and nothing more will come. */
  readonly midStream: boolean
}

export interface EscalationFacts {
  readonly status: 202
  readonly correlationId: string
  readonly escalationId: string | undefined
  /** Where the decision can be awaited, absolute; carries a secret token, so do not log it. */
  readonly statusUrl: string | undefined
  readonly currentApprover: string | undefined
  readonly expiresAt: string | undefined
  readonly retryAfterS: number | undefined
  readonly receipt: string | undefined
  /** True when the stream had begun: what was yielded before stands, the rest is held. */
  readonly midStream: boolean
}

/** signet refused the request or a piece of the answer, or could not decide. Never for an error that upstream itself answered. */
export class SignetRefused extends Error implements RefusalFacts {
  declare readonly status: number | undefined
  declare readonly correlationId: string
  declare readonly reason: string
  declare readonly code: string | undefined
  declare readonly stage: string | undefined
  declare readonly check: string | undefined
  declare readonly receipt: string | undefined
  declare readonly retryAfterS: number | undefined
  declare readonly midStream: boolean

  static override [Symbol.hasInstance](value: unknown): boolean {
    return markOf(value) === 'refused'
  }
}

/** A person must decide first. The request was not refused: await `statusUrl`, or ask again later. */
export class SignetEscalated extends Error implements Omit<EscalationFacts, 'status'> {
  /** The SDK's error says 403; the gate said 202. */
  declare readonly status: number
  declare readonly correlationId: string
  declare readonly escalationId: string | undefined
  declare readonly statusUrl: string | undefined
  declare readonly currentApprover: string | undefined
  declare readonly expiresAt: string | undefined
  declare readonly retryAfterS: number | undefined
  declare readonly receipt: string | undefined
  declare readonly midStream: boolean

  static override [Symbol.hasInstance](value: unknown): boolean {
    return markOf(value) === 'escalated'
  }
}

/** `verify` was asked for and the answer is not covered by a valid receipt. `reason` is a receipt error code. */
export class SignetUnverified extends Error {
  declare readonly reason: string
  declare readonly correlationId: string | undefined

  static override [Symbol.hasInstance](value: unknown): boolean {
    return markOf(value) === 'unverified'
  }
}

export function markRefused(error: Error, facts: RefusalFacts): Error {
  const where = [facts.stage, facts.check].filter(part => part !== undefined).join('/')
  const message = `signet refused: ${facts.reason}${where === '' ? '' : ` (${where})`}; correlation id ${facts.correlationId}`
  // `status`, `code` and `headers` of the SDK's error stand; ours fill what it leaves open.
  const { status, code, ...rest } = facts
  return mark(error, 'refused', 'SignetRefused', message, {
    ...rest,
    ...(readOwn(error, 'status') === undefined ? { status } : {}),
    ...(typeof readOwn(error, 'code') === 'string' ? {} : { code }),
  })
}

export function markEscalated(error: Error, facts: EscalationFacts): Error {
  const { status: _, ...rest } = facts
  const approver = facts.currentApprover === undefined ? '' : `, waiting for ${facts.currentApprover}`
  const message = `signet holds this request for a person to decide${approver}; correlation id ${facts.correlationId}`
  return mark(error, 'escalated', 'SignetEscalated', message, rest)
}

export function markUnverified(error: Error, reason: string, cause: unknown, correlationId: string | undefined): Error {
  const said = cause instanceof Error ? `: ${cause.message}` : ''
  return mark(error, 'unverified', 'SignetUnverified', `the answer has no valid signet receipt${said}`, {
    reason,
    correlationId,
    cause,
  })
}

function mark(error: Error, kind: Mark, name: string, message: string, facts: object): Error {
  Object.defineProperty(error, MARK, { value: kind })
  for (const [key, value] of Object.entries({ ...facts, name, message }))
    Object.defineProperty(error, key, { value, configurable: true, writable: true, enumerable: key !== 'message' })
  return error
}

function markOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, MARK) : undefined
}

function readOwn(from: object, name: string): unknown {
  return Object.hasOwn(from, name) ? Reflect.get(from, name) : undefined
}
