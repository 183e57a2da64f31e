/**
 * A synchronous store behind a thread: a sync of the disk must not stop the gate. Requests go over in order and each is
 * answered once.
 *
 * Guarantees: when the thread dies, whoever waits is told and every later call is refused, so nothing is taken for stored
 * that was not. `StateFull` comes back as itself, everything else as `StoreFailed`. The operator is told once that calls fail,
 * and once that they do not any more. A store that is being opened or asked keeps the process alive; an idle one does not.
 * Does not guarantee: that a call whose answer was lost was not carried out.
 */
import type { MessagePort, Worker } from 'node:worker_threads'
import { StateFull, StoreFailed } from '../core/memory-state.ts'

type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly name: string; readonly message: string }

/** For the operator: a store stopped answering, or answers again. */
export type OnStoreState = (ok: boolean, text: string) => void

interface Waiting {
  /** `undefined`: that it opens. */
  readonly op: string | undefined
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** The gate's half. `Call`: what can be asked; it and the answers are copied between threads. */
export class StoreThread<Call extends string | { readonly op: string }> {
  readonly #worker: Worker
  readonly #what: string
  readonly #onState: OnStoreState
  /** What failed and has not succeeded since: a disk that is full can still be read. */
  readonly #failing = new Set<string>()
  /** In the order in which they were asked: the thread answers in that order too. */
  readonly #waiting: Waiting[] = []
  #over: Error | undefined

  private constructor(worker: Worker, what: string, onState: OnStoreState) {
    this.#worker = worker
    this.#what = what
    this.#onState = onState
    worker.on('message', (answer: Answer) => {
      const asked = this.#waiting.shift()
      if (asked === undefined) return
      this.#tell(asked.op, answer)
      if (answer.ok) asked.resolve(answer.value)
      else asked.reject(answer.name === 'StateFull' ? new StateFull(answer.message) : new StoreFailed(answer.message))
    })
    worker.on('error', error => this.#died(error instanceof Error ? error.message : 'failed'))
    worker.on('exit', () => this.#died('it ended'))
  }

  /** `worker` runs `serveStore`; `what` names the store in errors. Rejects with one line when it cannot be opened. */
  static async open<Call extends string | { readonly op: string }>(
    worker: Worker,
    what: string,
    onState: OnStoreState = () => undefined,
  ): Promise<StoreThread<Call>> {
    const thread = new StoreThread<Call>(worker, what, onState)
    // The first answer is that the store is open.
    await thread.#next(undefined, () => undefined)
    return thread
  }

  ask(call: Call): Promise<unknown> {
    return this.#next(typeof call === 'string' ? call : call.op, () => this.#worker.postMessage(call))
  }

  /** `last` is asked before the thread ends. */
  async close(last: Call): Promise<void> {
    if (this.#over !== undefined) return
    await this.ask(last)
    this.#over ??= new StoreFailed(`${this.#what} is closed`)
    await this.#worker.terminate()
  }

  #next(op: string | undefined, send: () => void): Promise<unknown> {
    if (this.#over !== undefined) return Promise.reject(this.#over)
    return new Promise((resolve, reject) => {
      // What cannot be copied throws here: were it already waiting, every later answer would go to the call before.
      send()
      this.#waiting.push({ op, resolve, reject })
      this.#worker.ref()
    }).finally(() => {
      if (this.#waiting.length === 0) this.#worker.unref()
    })
  }

  #tell(op: string | undefined, answer: Answer): void {
    // Why a store does not open is the error of the start; that one is full is no fault of its own.
    if (op === undefined || (!answer.ok && answer.name === 'StateFull')) return
    if (!answer.ok) {
      if (this.#failing.size === 0) this.#onState(false, `${this.#what} cannot be used (${answer.message})`)
      this.#failing.add(op)
    } else if (this.#failing.has(op)) {
      this.#failing.clear()
      this.#onState(true, `${this.#what} is used again`)
    }
  }

  #died(because: string): void {
    if (this.#over !== undefined) return
    const why = new StoreFailed(`${this.#what} is closed (${because})`)
    this.#onState(false, `${why.message}; restart the gate`)
    this.#over = why
    for (const asked of this.#waiting.splice(0)) asked.reject(why)
  }
}

/** The thread's half: `open` makes the store and gives what answers a call. Both may throw. */
export function serveStore<Call>(port: MessagePort, what: string, open: () => (call: Call) => unknown): void {
  const attempt = (work: () => unknown): void => {
    let answer: Answer
    try {
      answer = { ok: true, value: work() }
    } catch (error) {
      const known = error instanceof Error ? error : new Error(`${what} failed`)
      answer = { ok: false, name: known.name, message: known.message }
    }
    port.postMessage(answer)
  }
  let run: ((call: Call) => unknown) | undefined
  attempt(() => {
    run = open()
    return undefined
  })
  port.on('message', (call: Call) =>
    attempt(() => {
      if (run === undefined) throw new Error(`${what} could not be opened`)
      return run(call)
    }),
  )
}
