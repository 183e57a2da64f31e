/**
 * A synchronous store behind a thread: a sync of the disk must not stop the gate. Requests go over in order and each is
 * answered once.
 *
 * Guarantees: when the thread dies, whoever waits is told and every later call is refused, so nothing is taken for stored
 * that was not. `StateFull` comes back as itself. A store that is being opened or asked keeps the process alive; an idle
 * one does not. Does not guarantee: that a call whose answer was lost was not carried out.
 */
import type { MessagePort, Worker } from 'node:worker_threads'
import { StateFull } from '../core/memory-state.ts'

type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly name: string; readonly message: string }

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** The gate's half. `Call`: what can be asked; it and the answers are copied between threads. */
export class StoreThread<Call> {
  readonly #worker: Worker
  readonly #what: string
  /** In the order in which they were asked: the thread answers in that order too. */
  readonly #waiting: Waiting[] = []
  #over: Error | undefined

  private constructor(worker: Worker, what: string) {
    this.#worker = worker
    this.#what = what
    worker.on('message', (answer: Answer) => {
      const asked = this.#waiting.shift()
      if (answer.ok) asked?.resolve(answer.value)
      else asked?.reject(answer.name === 'StateFull' ? new StateFull(answer.message) : new Error(answer.message))
    })
    worker.on('error', error => this.#end(error instanceof Error ? error : new Error(`${what} failed`)))
    worker.on('exit', () => this.#end(new Error(`${what} is closed`)))
  }

  /** `worker` runs `serveStore`; `what` names the store in errors. Rejects with one line when it cannot be opened. */
  static async open<Call>(worker: Worker, what: string): Promise<StoreThread<Call>> {
    const thread = new StoreThread<Call>(worker, what)
    // The first answer is that the store is open.
    await thread.#next(() => undefined)
    return thread
  }

  ask(call: Call): Promise<unknown> {
    return this.#next(() => this.#worker.postMessage(call))
  }

  /** `last` is asked before the thread ends. */
  async close(last: Call): Promise<void> {
    if (this.#over !== undefined) return
    await this.ask(last)
    this.#over ??= new Error(`${this.#what} is closed`)
    await this.#worker.terminate()
  }

  #next(send: () => void): Promise<unknown> {
    if (this.#over !== undefined) return Promise.reject(this.#over)
    return new Promise((resolve, reject) => {
      // What cannot be copied throws here: were it already waiting, every later answer would go to the call before.
      send()
      this.#waiting.push({ resolve, reject })
      this.#worker.ref()
    }).finally(() => {
      if (this.#waiting.length === 0) this.#worker.unref()
    })
  }

  #end(why: Error): void {
    this.#over ??= why
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
