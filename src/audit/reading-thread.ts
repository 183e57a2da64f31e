/**
 * Rows read for the control plane, in a thread of its own that begins with the first question: neither SQLite nor the
 * reading of a log runs on the thread of the gate. Guarantees: at most `MOST_WAITING` questions are with the thread, given up
 * or not, and whoever asked waits at most `TIME_LIMIT_MS`; one that was given up before its turn is not answered; the index is made if there is none; a thread that has died is started anew by the next question.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Overview, OverviewAsked, RowsAsked, RowsFound } from './reading.ts'

/** What the control plane asks through. Rejects with `ReadingUnavailable`. */
export interface RowReading {
  rows(asked: RowsAsked): Promise<RowsFound>
  overview(asked: OverviewAsked): Promise<Overview>
}

export class ReadingUnavailable extends Error {
  override readonly name = 'ReadingUnavailable'
}

export interface RunningReading extends RowReading {
  close(): Promise<void>
}

const MOST_WAITING = 32
const TIME_LIMIT_MS = 20_000
/** Spent on the index before a question is answered; it is some million rows. */
const INDEXING_MS = 5_000

interface Task {
  readonly task: 'signet-audit-reading'
  readonly path: string
  readonly folders: readonly string[]
}
type Question =
  | { readonly kind: 'rows'; readonly asked: RowsAsked }
  | { readonly kind: 'overview'; readonly asked: OverviewAsked }
type Said = { readonly id: number } & (
  | { readonly kind: 'rows'; readonly found: RowsFound }
  | { readonly kind: 'overview'; readonly found: Overview }
  | { readonly kind: 'problem'; readonly problem: string }
)
/** Of the clock that both threads have. */
interface Asked {
  readonly id: number
  readonly untilMs: number
}
interface Waiting {
  readonly resolve: (said: Said) => void
  readonly reject: (error: Error) => void
  readonly cancel: () => void
}

export function openReading(path: string, folders: readonly string[]): RunningReading {
  const waiting = new Map<number, Waiting>()
  let worker: Worker | undefined
  let asked = 0
  let closed = false
  const fail = (why: string): void => {
    for (const w of waiting.values()) {
      w.cancel()
      w.reject(new ReadingUnavailable(why))
    }
    waiting.clear()
  }
  const start = (): Worker => {
    const task: Task = { task: 'signet-audit-reading', path, folders }
    const started = new Worker(new URL(import.meta.url), { workerData: task })
    started.unref()
    started.on('message', (said: Said) => {
      const w = waiting.get(said.id)
      waiting.delete(said.id)
      w?.cancel()
      if (said.kind === 'problem') w?.reject(new ReadingUnavailable(said.problem))
      else w?.resolve(said)
    })
    started.once('error', error => fail(`rows cannot be read (${error.message})`))
    started.once('exit', () => {
      if (worker === started) worker = undefined
      fail('rows cannot be read (the reading thread ended)')
    })
    return started
  }
  const ask = (question: Question): Promise<Said> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(new ReadingUnavailable('the gate is ending'))
      if (waiting.size >= MOST_WAITING) return reject(new ReadingUnavailable('too many questions wait; ask again'))
      worker ??= start()
      const id = ++asked
      // It stays with the thread until that has said something: otherwise those who ask again and again pile up there.
      const timer = setTimeout(() => reject(new ReadingUnavailable('the log is being read; ask again')), TIME_LIMIT_MS)
      timer.unref()
      waiting.set(id, { resolve, reject, cancel: () => clearTimeout(timer) })
      const told: Asked = { id, untilMs: Date.now() + TIME_LIMIT_MS }
      worker.postMessage({ ...told, ...question })
    })
  return {
    rows: async asked => {
      const said = await ask({ kind: 'rows', asked })
      if (said.kind !== 'rows') throw new ReadingUnavailable('another question was answered')
      return said.found
    },
    overview: async asked => {
      const said = await ask({ kind: 'overview', asked })
      if (said.kind !== 'overview') throw new ReadingUnavailable('another question was answered')
      return said.found
    },
    close: async () => {
      closed = true
      fail('the gate is ending')
      await worker?.terminate()
    },
  }
}

function isTask(data: unknown): data is Task {
  return typeof data === 'object' && data !== null && 'task' in data && data.task === 'signet-audit-reading'
}

async function serve(task: Task): Promise<void> {
  const { openIndex, updateIndex } = await import('./index-db.ts')
  const { LogIndex } = await import('./index-query.ts')
  const { closeLayout, openLayout } = await import('./layout.ts')
  const { findRows, overview } = await import('./reading.ts')
  const answer = async (id: number, q: Question): Promise<Said> => {
    const db = openIndex(task.path)
    try {
      // What nobody has indexed yet, as far as the time goes; the next question goes on.
      const until = Date.now() + INDEXING_MS
      await updateIndex(db, task.path, { folders: task.folders, stop: () => Date.now() >= until })
      const layout = await openLayout(task.path, { folders: task.folders })
      try {
        const log = new LogIndex(db, layout)
        switch (q.kind) {
          case 'rows':
            return { id, kind: q.kind, found: findRows(log, q.asked) }
          case 'overview':
            return { id, kind: q.kind, found: overview(log, q.asked) }
        }
      } finally {
        closeLayout(layout)
      }
    } finally {
      db.close()
    }
  }
  let turn: Promise<void> = Promise.resolve()
  parentPort?.on('message', ({ id, untilMs, ...question }: Asked & Question) => {
    turn = turn
      .then((): Said | Promise<Said> =>
        Date.now() < untilMs ? answer(id, question) : { id, kind: 'problem', problem: 'nobody waits for it any more' },
      )
      .catch(
        (error: unknown): Said => ({
          id,
          kind: 'problem',
          problem: error instanceof Error ? error.message : 'unknown error',
        }),
      )
      .then(said => parentPort?.postMessage(said))
  })
}

if (!isMainThread && isTask(workerData)) void serve(workerData)
