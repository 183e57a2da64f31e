/**
 * Calls to a thread of one's own. Guarantees: the first call starts it; when it dies, whoever waits is told, and the next call starts
 * another; it keeps the process alive while it is asked something, and not otherwise. Does not: know whether a call was carried
 * out whose answer was lost.
 */
import type { MessagePort, Worker } from 'node:worker_threads'

/** Errors lose their kind between threads. */
export interface Fault {
  readonly name: string
  /** `unknown error` where there is none. */
  readonly code: string
  readonly message: string
}
interface Asked {
  readonly id: number
  readonly call: unknown
}
type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly fault: Fault })
interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** The asking half. `Call`s and answers are copied between threads. */
export class ThreadCalls<Call> {
  readonly #start: () => Worker
  readonly #errorOf: (fault: Fault) => Error
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #asked = 0

  /** `start`: a worker that runs `serveCalls`. `errorOf`: what a call rejects with. */
  constructor(start: () => Worker, errorOf: (fault: Fault) => Error) {
    this.#start = start
    this.#errorOf = errorOf
  }

  get runs(): boolean {
    return this.#worker !== undefined
  }

  /** `transfer`: what is handed over instead of copied. */
  ask(call: Call, transfer: readonly ArrayBuffer[] = []): Promise<unknown> {
    const worker = (this.#worker ??= this.#started())
    const id = ++this.#asked
    return new Promise((resolve, reject) => {
      worker.postMessage({ id, call } satisfies Asked, transfer)
      this.#waiting.set(id, { resolve, reject })
      worker.ref()
    })
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #started(): Worker {
    const worker = this.#start()
    let why = 'its thread ended'
    worker.on('message', (answer: Answer) => {
      const asked = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if (this.#waiting.size === 0) worker.unref()
      if ('fault' in answer) asked?.reject(this.#errorOf(answer.fault))
      else asked?.resolve(answer.value)
    })
    worker.on('error', error => {
      why = `its thread failed: ${error instanceof Error ? error.message : 'unknown error'}`
    })
    worker.once('exit', () => {
      this.#worker = undefined
      const waiting = [...this.#waiting.values()]
      this.#waiting.clear()
      for (const { reject } of waiting) reject(this.#errorOf({ name: 'Error', code: why, message: why }))
    })
    return worker
  }
}

/** The answering half: calls are begun in the order in which they came. */
export function serveCalls<Call>(port: MessagePort, answer: (call: Call) => Promise<unknown>): void {
  port.on('message', ({ id, call }: { readonly id: number; readonly call: Call }) => {
    answer(call).then(
      value => port.postMessage({ id, value } satisfies Answer),
      (error: unknown) => port.postMessage({ id, fault: faultOf(error) } satisfies Answer),
    )
  })
}

function faultOf(error: unknown): Fault {
  if (!(error instanceof Error)) return { name: 'Error', code: 'unknown error', message: 'unknown error' }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
  return { name: error.name, code, message: error.message }
}
