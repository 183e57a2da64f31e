/** Notices in one SQLite file, in a thread of its own (see `StoreThread`): a sync of the disk must not stop the gate. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Notice, NoticeDestination, NoticeOutcome, NoticeStore, NoticeTurn } from '../../core/state.ts'
import { StoreThread, serveStore } from '../store-thread.ts'
import { SqliteNotices } from './sqlite-file.ts'

interface Start {
  readonly task: 'signet-notices'
  readonly path: string
}

type Call =
  | { readonly op: 'use'; readonly destinations: readonly NoticeDestination[]; readonly nowMs: number }
  | { readonly op: 'add'; readonly notices: readonly Notice[]; readonly mostWaiting: number }
  | { readonly op: 'take'; readonly destination: string; readonly nowMs: number; readonly leaseUntilMs: number }
  | { readonly op: 'settle'; readonly destination: string; readonly id: string; readonly outcome: NoticeOutcome }
  | { readonly op: 'receipt'; readonly destination: string; readonly escalation: string }
  | { readonly op: 'disable'; readonly destination: string; readonly because: string | undefined }
  | { readonly op: 'forget'; readonly beforeId: string; readonly beforeMs: number }
  | { readonly op: 'close' }

const WHAT = 'the store of notices'

/** Opens (or makes) the file; rejects with one line when it cannot. */
export async function openSqliteNotices(path: string): Promise<NoticeStore> {
  const start: Start = { task: 'signet-notices', path }
  const worker = new Worker(new URL(import.meta.url), { workerData: start })
  return new ThreadedNotices(await StoreThread.open(worker, WHAT))
}

class ThreadedNotices implements NoticeStore {
  readonly #thread: StoreThread<Call>

  constructor(thread: StoreThread<Call>) {
    this.#thread = thread
  }

  async use(destinations: readonly NoticeDestination[], nowMs: number): Promise<void> {
    await this.#thread.ask({ op: 'use', destinations, nowMs })
  }

  async add(notices: readonly Notice[], mostWaiting: number): Promise<readonly Notice[]> {
    const gaveWay = await this.#thread.ask({ op: 'add', notices, mostWaiting })
    return Array.isArray(gaveWay) ? gaveWay : []
  }

  async take(destination: string, nowMs: number, leaseUntilMs: number): Promise<NoticeTurn> {
    const turn = await this.#thread.ask({ op: 'take', destination, nowMs, leaseUntilMs })
    if (!isTurn(turn)) throw new Error(`${WHAT} gave something else`)
    return turn
  }

  async settle(destination: string, id: string, outcome: NoticeOutcome): Promise<void> {
    await this.#thread.ask({ op: 'settle', destination, id, outcome })
  }

  async receipt(destination: string, escalation: string): Promise<string | undefined> {
    const found = await this.#thread.ask({ op: 'receipt', destination, escalation })
    return typeof found === 'string' ? found : undefined
  }

  async disable(destination: string, because: string | undefined): Promise<void> {
    await this.#thread.ask({ op: 'disable', destination, because })
  }

  async forget(beforeId: string, beforeMs: number): Promise<void> {
    await this.#thread.ask({ op: 'forget', beforeId, beforeMs })
  }

  close(): Promise<void> {
    return this.#thread.close({ op: 'close' })
  }
}

function isTurn(value: unknown): value is NoticeTurn {
  return typeof value === 'object' && value !== null && 'waiting' in value
}

function run(store: SqliteNotices, call: Call): unknown {
  switch (call.op) {
    case 'use':
      return store.use(call.destinations, call.nowMs)
    case 'add':
      return store.add(call.notices, call.mostWaiting)
    case 'take':
      return store.take(call.destination, call.nowMs, call.leaseUntilMs)
    case 'settle':
      return store.settle(call.destination, call.id, call.outcome)
    case 'receipt':
      return store.receipt(call.destination, call.escalation)
    case 'disable':
      return store.disable(call.destination, call.because)
    case 'forget':
      return store.forget(call.beforeId, call.beforeMs)
    case 'close':
      return store.close()
  }
}

function isStart(value: unknown): value is Start {
  return typeof value === 'object' && value !== null && 'task' in value && value.task === 'signet-notices'
}

if (!isMainThread && parentPort !== null && isStart(workerData)) {
  const { path } = workerData
  serveStore<Call>(parentPort, WHAT, () => {
    const store = new SqliteNotices(path)
    return call => run(store, call)
  })
}
