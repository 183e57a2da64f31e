/**
 * State and signatures, from a worker: each call goes to the primary and comes back, so that N workers share one bucket, one
 * ledger, one record of sessions and of upstream's ids, one store of held answers.
 *
 * Guarantees: an answer is given to the call it belongs to; when the connection is over every call under way fails, and
 * so do all later ones. What comes back is parsed: a wrong shape is a failure, and a failure refuses. Does not: bound
 * the time of a call (those who call do).
 */
import type { RowLog, RowLogStatus } from '../core/row.ts'
import type { EscalationStore, Session, SharedState, StoredEscalation } from '../core/state.ts'
import type { Frames } from './frames.ts'
import type { Call, CallArguments, ToWorker } from './messages.ts'

export class PrimaryGone extends Error {
  override readonly name = 'PrimaryGone'
}

export class Calls {
  readonly #frames: Frames
  readonly #open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #next = 0

  constructor(frames: Frames) {
    this.#frames = frames
  }

  call<T>(call: Call, given: CallArguments, read: (value: unknown) => T | undefined): Promise<T> {
    if (this.#frames.over) return Promise.reject(new PrimaryGone('the primary process is gone'))
    // JSON has no word for them, and a wrong amount must fail this call and not the connection.
    if (given.some(value => typeof value === 'number' && !Number.isFinite(value)))
      return Promise.reject(new RangeError(`${call}: expected finite numbers`))
    const id = this.#next++
    this.#frames.say(['call', id, call, given])
    return new Promise<unknown>((resolve, reject) => this.#open.set(id, { resolve, reject })).then(value => {
      const parsed = read(value)
      if (parsed === undefined) throw new Error(`the primary answered ${call} with something else`)
      return parsed
    })
  }

  /** True when the message was an answer. */
  take(said: ToWorker): boolean {
    if (said.kind !== 'answer' && said.kind !== 'refusal') return false
    const open = this.#open.get(said.id)
    this.#open.delete(said.id)
    if (said.kind === 'answer') open?.resolve(said.value)
    else open?.reject(failure(said.reason))
    return true
  }

  fence(): void {
    for (const { reject } of this.#open.values()) reject(new PrimaryGone('the primary process is gone'))
    this.#open.clear()
  }
}

/** The primary tells the kind of its failure: what rows note, and what the contract of state promises. */
function failure(name: string): Error {
  const message = `the primary could not answer (${name})`
  const error = name === 'RangeError' ? new RangeError(message) : new Error(message)
  error.name = name
  return error
}

/** What a call gives that gives nothing. */
const DONE = 'done'

const known = (owner: string | undefined): readonly string[] => (owner === undefined ? [] : [owner])

export function remoteState(calls: Calls): SharedState {
  return {
    rateLimits: {
      take: (key, capacity, refillPerSecond, nowMs, owner) =>
        calls.call('rate-limit.take', [key, capacity, refillPerSecond, nowMs, ...known(owner)], value => {
          const { ok, remaining, retryAfterS } = facts(value)
          if (typeof ok !== 'boolean' || typeof remaining !== 'number') return undefined
          return { ok, remaining, ...(typeof retryAfterS === 'number' ? { retryAfterS } : {}) }
        }),
    },
    budgets: {
      reserve: (key, amount, cap, windowMs, nowMs, owner) =>
        calls.call('budget.reserve', [key, amount, cap, windowMs, nowMs, ...known(owner)], value => {
          const { ok, reservation, used, reserved, retryAfterS } = facts(value)
          if (ok === true) return typeof reservation === 'string' ? { ok, reservation } : undefined
          if (ok !== false || typeof used !== 'number' || typeof reserved !== 'number') return undefined
          return typeof retryAfterS === 'number' ? { ok, used, reserved, retryAfterS } : undefined
        }),
      settle: (reservation, used) => nothing(calls.call('budget.settle', [reservation, used], done)),
    },
    sessions: {
      touch: (owner, id, nowMs) => calls.call('session.touch', [owner, id, nowMs], session),
    },
    references: {
      remember: (owner, kind, id, rank) => nothing(calls.call('reference.remember', [owner, kind, id, rank], done)),
      find: async (owner, kind, id) => {
        const found = await calls.call('reference.find', [owner, kind, id], value =>
          typeof value === 'number' || value === null ? { rank: value } : undefined,
        )
        return found.rank ?? undefined
      },
    },
    reachable: () =>
      calls
        .call('reachable', [], value => (typeof value === 'boolean' ? { value } : undefined))
        .then(
          ({ value }) => value,
          () => false,
        ),
    // The primary's; it closes it.
    close: () => Promise.resolve(),
  }
}

/** What a desk needs that does not sweep and lists nothing: the primary's does. */
export function remoteEscalations(calls: Calls): EscalationStore {
  const primarys = (): never => {
    throw new Error('escalations are listed and swept in the primary')
  }
  return {
    create: (e, answer) => nothing(calls.call('escalation.create', [...stored(e), text(answer)], done)),
    get: async id => {
      const found = await calls.call('escalation.get', [id], value => (value === null ? NONE : escalation(value)))
      return found === NONE ? undefined : found
    },
    answer: async id => {
      const found = await calls.call('escalation.answer', [id], value =>
        typeof value === 'string' || value === null ? { sealed: value } : undefined,
      )
      return found.sealed === null ? undefined : Buffer.from(found.sealed, 'base64')
    },
    replace: (next, answer) => {
      const kept = answer === undefined ? [] : [answer === 'drop' ? '' : text(answer)]
      return calls
        .call('escalation.replace', [...stored(next), ...kept], value =>
          typeof value === 'boolean' ? { value } : undefined,
        )
        .then(({ value }) => value)
    },
    list: primarys,
    due: primarys,
    dropAnswers: primarys,
    forget: primarys,
    close: () => undefined,
  }
}

const NONE = Symbol('none')

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** In the order of `state-server.ts`. */
function stored(e: StoredEscalation): CallArguments {
  return [e.id, e.ownerTag, e.state, e.createdAtMs, e.expiresAtMs, e.version, text(e.record)]
}

function escalation(value: unknown): StoredEscalation | undefined {
  const { id, ownerTag, state, createdAtMs, expiresAtMs, version, record } = facts(value)
  if (typeof id !== 'string' || typeof ownerTag !== 'string' || typeof state !== 'string') return undefined
  if (typeof createdAtMs !== 'number' || typeof expiresAtMs !== 'number' || typeof version !== 'number')
    return undefined
  if (typeof record !== 'string') return undefined
  return { id, ownerTag, state, createdAtMs, expiresAtMs, version, record: Buffer.from(record, 'base64') }
}

/** The transparency log is the primary's too. */
export function remoteLog(calls: Calls): RemoteLog {
  return {
    reached: (index, level) => nothing(calls.call('log.reached', [index, level], done)),
    get status() {
      return calls.call('log.status', [], value => {
        const { ok, reason, halted, size, behind, behindMs, witnessed } = facts(value)
        if (typeof ok !== 'boolean' || typeof halted !== 'boolean' || typeof size !== 'number') return undefined
        if (typeof behind !== 'number' || typeof behindMs !== 'number') return undefined
        return {
          ok,
          reason: typeof reason === 'string' ? reason : undefined,
          halted,
          size,
          behind,
          behindMs,
          witnessed: typeof witnessed === 'number' ? witnessed : undefined,
        }
      })
    },
  }
}

/** The transparency log as a gate sees it: what it waits for, and its state, which has to be asked for. */
export interface RemoteLog extends Pick<RowLog, 'reached'> {
  readonly status: Promise<RowLogStatus>
}

export function done(value: unknown): typeof DONE | undefined {
  return value === DONE ? DONE : undefined
}

export async function nothing(confirmed: Promise<typeof DONE>): Promise<void> {
  await confirmed
}

export function facts(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function session(value: unknown): Session | undefined {
  const { id, owner, createdAtMs, lastSeenAtMs, requestCount } = facts(value)
  if (typeof id !== 'string' || typeof owner !== 'string') return undefined
  if (typeof createdAtMs !== 'number' || typeof lastSeenAtMs !== 'number' || typeof requestCount !== 'number')
    return undefined
  return { id, owner, createdAtMs, lastSeenAtMs, requestCount }
}
