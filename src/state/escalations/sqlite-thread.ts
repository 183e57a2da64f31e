/**
 * The SQLite store behind a thread: requests go over in order and each is answered once.
 *
 * Guarantees: when the thread dies, whoever waits is told and every later call is refused, so nothing is taken for stored
 * that was not. `StateFull` comes back as itself.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { StateFull } from '../../core/memory-state.ts'
import type { EscalationBounds, EscalationQuery, EscalationStore, StoredEscalation } from '../../core/state.ts'
import { SqliteEscalations } from './sqlite-file.ts'

interface Start {
  readonly task: 'signet-escalations'
  readonly path: string
  readonly bounds: EscalationBounds
}

type Call =
  | { readonly op: 'create'; readonly e: StoredEscalation; readonly answer: Uint8Array }
  | { readonly op: 'get'; readonly id: string }
  | { readonly op: 'answer'; readonly id: string }
  | { readonly op: 'replace'; readonly next: StoredEscalation; readonly answer: Uint8Array | 'drop' | undefined }
  | { readonly op: 'list'; readonly query: EscalationQuery }
  | { readonly op: 'due'; readonly nowMs: number; readonly states: readonly string[]; readonly limit: number }
  | { readonly op: 'dropAnswers'; readonly nowMs: number; readonly states: readonly string[] }
  | { readonly op: 'forget'; readonly beforeMs: number; readonly states: readonly string[] }
  | { readonly op: 'close' }

type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly name: string; readonly message: string }

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** Opens (or makes) the file; rejects with one line when it cannot. */
export async function openSqliteEscalations(path: string, bounds: EscalationBounds = {}): Promise<EscalationStore> {
  const start: Start = { task: 'signet-escalations', path, bounds }
  const store = new ThreadedEscalations(new Worker(new URL(import.meta.url), { workerData: start }))
  await store.opened
  return store
}

class ThreadedEscalations implements EscalationStore {
  readonly #worker: Worker
  /** In the order in which they were asked: the thread answers in that order too. */
  readonly #waiting: Waiting[] = []
  readonly opened: Promise<unknown>
  #over: Error | undefined

  constructor(worker: Worker) {
    this.#worker = worker
    this.opened = new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
    worker.on('message', (answer: Answer) => {
      const asked = this.#waiting.shift()
      if (answer.ok) asked?.resolve(answer.value)
      else asked?.reject(answer.name === 'StateFull' ? new StateFull(answer.message) : new Error(answer.message))
    })
    worker.on('error', error =>
      this.#end(error instanceof Error ? error : new Error('the store of escalations failed')),
    )
    worker.on('exit', () => this.#end(new Error('the store of escalations is closed')))
    // An idle store keeps no process alive; one that is being opened does, or a start with nothing else to wait for would end.
    const idle = () => {
      if (this.#waiting.length === 0) worker.unref()
    }
    this.opened.then(idle, idle)
  }

  async create(e: StoredEscalation, answer: Uint8Array): Promise<void> {
    await this.#ask({ op: 'create', e, answer })
  }

  async get(id: string): Promise<StoredEscalation | undefined> {
    const found = await this.#ask({ op: 'get', id })
    return isStored(found) ? found : undefined
  }

  async answer(id: string): Promise<Uint8Array | undefined> {
    const found = await this.#ask({ op: 'answer', id })
    return found instanceof Uint8Array ? found : undefined
  }

  async replace(next: StoredEscalation, answer?: Uint8Array | 'drop'): Promise<boolean> {
    return (await this.#ask({ op: 'replace', next, answer })) === true
  }

  async list(query: EscalationQuery): Promise<readonly StoredEscalation[]> {
    const found = await this.#ask({ op: 'list', query })
    return Array.isArray(found) ? found.filter(isStored) : []
  }

  async due(nowMs: number, states: readonly string[], limit: number): Promise<readonly string[]> {
    const found = await this.#ask({ op: 'due', nowMs, states, limit })
    return Array.isArray(found) ? found.filter(id => typeof id === 'string') : []
  }

  async dropAnswers(nowMs: number, states: readonly string[]): Promise<void> {
    await this.#ask({ op: 'dropAnswers', nowMs, states })
  }

  async forget(beforeMs: number, states: readonly string[]): Promise<void> {
    await this.#ask({ op: 'forget', beforeMs, states })
  }

  async close(): Promise<void> {
    if (this.#over !== undefined) return
    await this.#ask({ op: 'close' })
    await this.#worker.terminate()
  }

  #ask(call: Call): Promise<unknown> {
    if (this.#over !== undefined) return Promise.reject(this.#over)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.ref()
      this.#worker.postMessage(call)
    }).finally(() => {
      if (this.#waiting.length === 0) this.#worker.unref()
    })
  }

  #end(why: Error): void {
    this.#over ??= why
    for (const asked of this.#waiting.splice(0)) asked.reject(why)
  }
}

function isStored(value: unknown): value is StoredEscalation {
  return typeof value === 'object' && value !== null && 'record' in value && value.record instanceof Uint8Array
}

function run(store: SqliteEscalations, call: Call): unknown {
  switch (call.op) {
    case 'create':
      return store.create(call.e, call.answer)
    case 'get':
      return store.get(call.id)
    case 'answer':
      return store.answer(call.id)
    case 'replace':
      return store.replace(call.next, call.answer)
    case 'list':
      return store.list(call.query)
    case 'due':
      return store.due(call.nowMs, call.states, call.limit)
    case 'dropAnswers':
      return store.dropAnswers(call.nowMs, call.states)
    case 'forget':
      return store.forget(call.beforeMs, call.states)
    case 'close':
      return store.close()
  }
}

function isStart(value: unknown): value is Start {
  return typeof value === 'object' && value !== null && 'task' in value && value.task === 'signet-escalations'
}

/** The thread's own half. */
function serveThread(start: Start, port: NonNullable<typeof parentPort>): void {
  const attempt = (work: () => unknown): void => {
    let answer: Answer
    try {
      answer = { ok: true, value: work() }
    } catch (error) {
      const known = error instanceof Error ? error : new Error('the store of escalations failed')
      answer = { ok: false, name: known.name, message: known.message }
    }
    port.postMessage(answer)
  }
  let store: SqliteEscalations | undefined
  attempt(() => {
    store = new SqliteEscalations(start.path, start.bounds)
    return undefined
  })
  port.on('message', (call: Call) =>
    attempt(() => {
      if (store === undefined) throw new Error('the store of escalations could not be opened')
      return run(store, call)
    }),
  )
}

if (!isMainThread && parentPort !== null && isStart(workerData)) serveThread(workerData, parentPort)
