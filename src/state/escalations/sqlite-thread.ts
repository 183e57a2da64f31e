/** The SQLite store of escalations, in a thread of its own (see `StoreThread`). */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { EscalationBounds, EscalationQuery, EscalationStore, StoredEscalation } from '../../core/state.ts'
import { type OnStoreState, StoreThread, serveStore } from '../store-thread.ts'
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

const WHAT = 'the store of escalations'

/** Opens (or makes) the file; rejects with one line when it cannot. */
export async function openSqliteEscalations(
  path: string,
  bounds: EscalationBounds = {},
  onState?: OnStoreState,
): Promise<EscalationStore> {
  const start: Start = { task: 'signet-escalations', path, bounds }
  const worker = new Worker(new URL(import.meta.url), { workerData: start })
  return new ThreadedEscalations(await StoreThread.open(worker, `${WHAT} ${path}`, onState))
}

class ThreadedEscalations implements EscalationStore {
  readonly #thread: StoreThread<Call>

  constructor(thread: StoreThread<Call>) {
    this.#thread = thread
  }

  async create(e: StoredEscalation, answer: Uint8Array): Promise<void> {
    await this.#thread.ask({ op: 'create', e, answer })
  }

  async get(id: string): Promise<StoredEscalation | undefined> {
    const found = await this.#thread.ask({ op: 'get', id })
    return isStored(found) ? found : undefined
  }

  async answer(id: string): Promise<Uint8Array | undefined> {
    const found = await this.#thread.ask({ op: 'answer', id })
    return found instanceof Uint8Array ? found : undefined
  }

  async replace(next: StoredEscalation, answer?: Uint8Array | 'drop'): Promise<boolean> {
    return (await this.#thread.ask({ op: 'replace', next, answer })) === true
  }

  async list(query: EscalationQuery): Promise<readonly StoredEscalation[]> {
    const found = await this.#thread.ask({ op: 'list', query })
    return Array.isArray(found) ? found.filter(isStored) : []
  }

  async due(nowMs: number, states: readonly string[], limit: number): Promise<readonly string[]> {
    const found = await this.#thread.ask({ op: 'due', nowMs, states, limit })
    return Array.isArray(found) ? found.filter(id => typeof id === 'string') : []
  }

  async dropAnswers(nowMs: number, states: readonly string[]): Promise<void> {
    await this.#thread.ask({ op: 'dropAnswers', nowMs, states })
  }

  async forget(beforeMs: number, states: readonly string[]): Promise<void> {
    await this.#thread.ask({ op: 'forget', beforeMs, states })
  }

  close(): Promise<void> {
    return this.#thread.close({ op: 'close' })
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

if (!isMainThread && parentPort !== null && isStart(workerData)) {
  const { path, bounds } = workerData
  serveStore<Call>(parentPort, WHAT, () => {
    const store = new SqliteEscalations(path, bounds)
    return call => run(store, call)
  })
}
