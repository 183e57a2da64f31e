/** `verifyLog` over all cores: stretches of the file are walked in worker threads and joined. Same report. */
import { open } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { KeyRing, type SharedRing } from '../keys/ring.ts'
import {
  type Stretch,
  type StretchReport,
  type VerifyOptions,
  type VerifyReport,
  verifyLog,
  verifyWith,
  walkStretch,
} from './verify.ts'

/** Below it a thread costs more than it saves. */
const SMALL = 8 * 1024 * 1024

interface Task {
  readonly task: 'signet-audit-walk'
  readonly path: string
  readonly stretches: readonly Stretch[]
  readonly ring: SharedRing
}

type Message =
  | { readonly kind: 'progress'; readonly bytes: number }
  | { readonly kind: 'done'; readonly reports: readonly StretchReport[] }

export async function verifyParallel(
  path: string,
  ring: KeyRing,
  options: VerifyOptions & { readonly threads?: number; readonly small?: number } = {},
): Promise<VerifyReport> {
  const threads = options.threads ?? availableParallelism()
  if (threads <= 1) return verifyLog(path, ring, options)
  const small = options.small ?? SMALL
  return verifyWith(
    path,
    ring,
    options,
    async (_file, stretches, progress) => {
      // Neighbours go to the same thread; the first stretch of the log starts from nothing.
      const per = Math.ceil(stretches.length / threads)
      const tasks: Promise<readonly StretchReport[]>[] = []
      for (let i = 0; i < stretches.length; i += per) {
        tasks.push(
          inWorker(
            { task: 'signet-audit-walk', path, stretches: stretches.slice(i, i + per), ring: ring.share() },
            progress,
          ),
        )
      }
      return (await Promise.all(tasks)).flat()
    },
    await partsOf(path, threads, small),
  )
}

async function partsOf(path: string, threads: number, small: number): Promise<number> {
  try {
    const file = await open(path, 'r')
    try {
      return (await file.stat()).size < small ? 1 : threads
    } finally {
      await file.close()
    }
  } catch {
    // `verifyWith` says what is wrong with the file.
    return 1
  }
}

function inWorker(task: Task, progress: (bytes: number) => void): Promise<readonly StretchReport[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task })
    worker.on('message', (message: Message) => {
      if (message.kind === 'progress') progress(message.bytes)
      else resolve(message.reports)
    })
    worker.once('error', reject)
    worker.once('exit', code => reject(new Error(`a verification thread ended early (exit code ${code})`)))
  })
}

function isTask(data: unknown): data is Task {
  return typeof data === 'object' && data !== null && 'task' in data && data.task === 'signet-audit-walk'
}

async function serve(task: Task): Promise<void> {
  const ring = KeyRing.fromShared(task.ring)
  const file = await open(task.path, 'r')
  try {
    const reports: StretchReport[] = []
    const progress = (bytes: number) => parentPort?.postMessage({ kind: 'progress', bytes } satisfies Message)
    for (const stretch of task.stretches) {
      const start = stretch.from === 0 ? { prevHmac: '', tsNs: undefined } : { prevHmac: undefined, tsNs: undefined }
      reports.push(await walkStretch(file, stretch, ring, progress, start))
    }
    parentPort?.postMessage({ kind: 'done', reports } satisfies Message)
  } finally {
    await file.close()
  }
}

if (!isMainThread && isTask(workerData)) await serve(workerData)
