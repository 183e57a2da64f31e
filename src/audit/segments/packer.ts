/** Packs rolled files in a thread of its own: the request path never waits for compression. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { stepBack } from '../background-thread.ts'

export interface PackedSegment {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
  readonly rawSha256: string
  readonly rows: number
  readonly rawBytes: number
}

export interface Packer {
  /** Packs the rolled file at `from` under this name. Rejects when it cannot, leaving nothing behind. */
  pack(from: string, name: string): Promise<PackedSegment>
  /** Is there a file of this name and length? */
  has(name: string, bytes: number): boolean
  /** Gives up what is under way; the next start does it again. */
  close(): Promise<void>
}

/** Nobody waits for a segment. */
const NICE = 10

interface Task {
  readonly task: 'signet-audit-pack'
  readonly from: string
  readonly to: string
}

/** `folder`: where packed segments go; another file system than the log's is fine. `beside`: the log's own, where they may be too. */
export function threadPacker(folder: string, beside = folder): Packer {
  let running: Worker | undefined
  return {
    pack: (from, name) =>
      new Promise((resolve, reject) => {
        const task: Task = { task: 'signet-audit-pack', from, to: join(folder, name) }
        const worker = new Worker(new URL(import.meta.url), { workerData: task })
        running = worker
        // A gate that ends does not wait for compression.
        worker.unref()
        worker.once('message', (message: PackedSegment) => resolve(message))
        worker.once('error', reject)
        worker.once('exit', code => {
          if (running === worker) running = undefined
          reject(Object.assign(new Error(`the packing thread ended early (exit code ${code})`), { code: 'ended' }))
        })
      }),
    has: (name, bytes) =>
      [folder, beside].some(f => statSync(join(f, name), { throwIfNoEntry: false })?.size === bytes),
    close: async () => {
      await running?.terminate()
    },
  }
}

function isTask(data: unknown): data is Task {
  return typeof data === 'object' && data !== null && 'task' in data && data.task === 'signet-audit-pack'
}

if (!isMainThread && isTask(workerData)) {
  const { from, to } = workerData
  stepBack(NICE)
  // Compression is code of this thread alone. Not awaited: what is imported may import this file.
  void import('./packed.ts').then(({ packFile }) => parentPort?.postMessage(packFile(from, to)))
}
