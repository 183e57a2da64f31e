/** Keeps the index of a running gate's log up to date, in a thread of its own: SQLite never runs on the request path. */
import { setTimeout } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { stepBack } from './background-thread.ts'

interface Task {
  readonly task: 'signet-audit-index'
  readonly path: string
  readonly folders: readonly string[]
}

/** Nobody waits for the index. */
const NICE = 10
/** How far the index may lag. */
const EVERY_MS = 2000

export interface IndexKeeper {
  close(): Promise<void>
}

/** `onTrouble`: one line, when the index cannot be kept; the gate and its log are not concerned. */
export function keepIndex(path: string, folders: readonly string[], onTrouble: (text: string) => void): IndexKeeper {
  const task: Task = { task: 'signet-audit-index', path, folders }
  const worker = new Worker(new URL(import.meta.url), { workerData: task })
  worker.unref()
  let closing = false
  worker.on('message', (text: unknown) => onTrouble(String(text)))
  worker.once('error', error => onTrouble(`the audit index is no longer kept (${error.message})`))
  const ended = new Promise<void>(resolve => worker.once('exit', () => resolve()))
  return {
    close: async () => {
      if (closing) return
      closing = true
      worker.postMessage('stop')
      await ended
    },
  }
}

function isTask(data: unknown): data is Task {
  return typeof data === 'object' && data !== null && 'task' in data && data.task === 'signet-audit-index'
}

async function keep(task: Task): Promise<void> {
  stepBack(NICE)
  const { openIndex, updateIndex } = await import('./index-db.ts')
  const stopping = new AbortController()
  parentPort?.once('message', () => stopping.abort())
  let said = ''
  while (!stopping.signal.aborted) {
    try {
      const db = openIndex(task.path)
      try {
        await updateIndex(db, task.path, { folders: task.folders, stop: () => stopping.signal.aborted })
        said = ''
      } finally {
        db.close()
      }
    } catch (error) {
      const text = error instanceof Error ? error.message : 'unknown error'
      if (text !== said) parentPort?.postMessage(`audit index: ${text}`)
      said = text
    }
    await setTimeout(EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
  }
  parentPort?.close()
}

if (!isMainThread && isTask(workerData)) void keep(workerData)
