/**
 * `SignetCallbackHandler`: what signet said about each run of a LangChain model.
 *
 * Guarantees: the error that a run ends in, when signet is behind it, is a `SignetRefused`, `SignetEscalated` or
 * `SignetUnverified` by the time the caller catches it. A receipt is given to a run only if it is that run's: LangChain
 * shows a handler no headers, so an answer is known by the id that the model's API gave it, and of two answers in flight
 * with the same id neither run gets a receipt. `receipts` has them all. The last 1000 runs and receipts are remembered.
 *
 * It needs no LangChain to load: LangChain takes any object with a `name` and these methods.
 */
import { isObject } from './answer.ts'
import { type SignetError, signetErrorOf } from './error-of.ts'
import { SignetEscalated, SignetRefused } from './errors.ts'
import type { ReceiptNotice } from './gate-fetch.ts'
import { Recent } from './recent.ts'

const REMEMBERED = 1000

/** One answer of the gate, as the configuration's `fetch` saw it. Its receipt comes later in a stream. */
export interface Exchange {
  readonly correlationId: string | undefined
  receipt: ReceiptNotice | undefined
}

/** What is known of one run when it has ended. */
export interface SignetRun {
  readonly runId: string
  /** `undefined` for an answer that could not be told from another one, or that came from LangChain's cache. */
  readonly correlationId: string | undefined
  /** The final receipt of the answer, or that of the refusal. */
  readonly receipt: string | undefined
  /** The receipt as it was noticed; `undefined` for a run that failed. */
  readonly notice: ReceiptNotice | undefined
  /** Present when signet refused, held or could not vouch for the answer. */
  readonly error: SignetError | undefined
}

export class SignetCallbackHandler {
  readonly name = 'signet_callback_handler'
  /** LangChain then waits for this handler, so an error has its type before it is thrown. */
  readonly awaitHandlers = true
  readonly #runs = new Recent<string, SignetRun>(REMEMBERED)
  readonly #receipts = new Recent<number, ReceiptNotice>(REMEMBERED)
  /** Answers by the id their API gave them, until a run claims them. */
  readonly #unclaimed = new Recent<string, readonly Exchange[]>(REMEMBERED)
  #count = 0
  #lastReceipt: ReceiptNotice | undefined
  #lastRefusal: SignetRefused | undefined
  #lastEscalation: SignetEscalated | undefined

  /** The newest receipt that passed. */
  get lastReceipt(): ReceiptNotice | undefined {
    return this.#lastReceipt
  }

  get lastRefusal(): SignetRefused | undefined {
    return this.#lastRefusal
  }

  get lastEscalation(): SignetEscalated | undefined {
    return this.#lastEscalation
  }

  /** Every receipt that passed, oldest first. */
  get receipts(): readonly ReceiptNotice[] {
    return this.#receipts.values()
  }

  /** By the `runId` that LangChain gave it (or that you gave in its config). */
  run(runId: string): SignetRun | undefined {
    return this.#runs.get(runId)
  }

  /** Runs that have ended, oldest first. */
  get runs(): readonly SignetRun[] {
    return this.#runs.values()
  }

  /** Called by the configuration for every receipt. */
  noticed(notice: ReceiptNotice): void {
    this.#lastReceipt = notice
    this.#receipts.set(this.#count++, notice)
  }

  /** Called by the configuration when it knows the id of an answer. */
  answered(id: string, exchange: Exchange): void {
    this.#unclaimed.set(id, [...(this.#unclaimed.get(id) ?? []), exchange])
  }

  handleLLMEnd(output: unknown, runId: string, _parent?: string, _tags?: string[], extra?: unknown): void {
    const exchange = isObject(extra) && extra['cached'] === true ? undefined : this.#claim(idsIn(output))
    const notice = exchange?.receipt
    this.#runs.set(runId, {
      runId,
      correlationId: exchange?.correlationId,
      receipt: notice?.receipt,
      notice,
      error: undefined,
    })
  }

  handleLLMError(thrown: unknown, runId: string): void {
    const error = signetErrorOf(thrown)
    if (error instanceof SignetRefused) this.#lastRefusal = error
    if (error instanceof SignetEscalated) this.#lastEscalation = error
    const receipt = error instanceof SignetRefused || error instanceof SignetEscalated ? error.receipt : undefined
    this.#runs.set(runId, { runId, correlationId: error?.correlationId, receipt, notice: undefined, error })
    if (error?.correlationId !== undefined) this.#forget(error.correlationId)
  }

  /** The answer of a run that failed is nobody's. */
  #forget(correlationId: string): void {
    for (const [id, exchanges] of this.#unclaimed.entries()) {
      const rest = exchanges.filter(exchange => exchange.correlationId !== correlationId)
      if (rest.length === 0) this.#unclaimed.delete(id)
      else if (rest.length < exchanges.length) this.#unclaimed.set(id, rest)
    }
  }

  #claim(ids: ReadonlySet<string>): Exchange | undefined {
    let claimed: readonly Exchange[] = []
    for (const id of ids) {
      claimed = [...claimed, ...(this.#unclaimed.get(id) ?? [])]
      this.#unclaimed.delete(id)
    }
    return claimed.length === 1 ? claimed[0] : undefined
  }
}

/** The id of an answer, or of an event of a stream, in each API's place for it: chat and messages, Messages' first event, Responses. */
export function answerId(json: unknown): string | undefined {
  if (!isObject(json)) return undefined
  const response = isObject(json['response']) ? json['response'] : undefined
  const message = isObject(json['message']) ? json['message'] : undefined
  const id = response?.['id'] ?? message?.['id'] ?? json['id']
  return typeof id === 'string' && id !== '' ? id : undefined
}

/** LangChain has it as the message's id, or, for Responses, in its metadata. */
function idsIn(output: unknown): ReadonlySet<string> {
  const ids = new Set<string>()
  const generations = isObject(output) ? output['generations'] : undefined
  for (const generation of Array.isArray(generations) ? generations.flat() : []) {
    const message: unknown = isObject(generation) ? generation['message'] : undefined
    if (!isObject(message)) continue
    const metadata = message['response_metadata']
    for (const id of [message['id'], isObject(metadata) ? metadata['id'] : undefined])
      if (typeof id === 'string') ids.add(id)
  }
  return ids
}
