/** `verifyLog` over all cores: threads take units as they get free. Same report. */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { KeyRing, type SharedRing } from '../keys/ring.ts'
import { type VerifyOptions, verifyWith } from './verify.ts'
import type { VerifyReport } from './verify-report.ts'
import { runUnit, type Unit, type UnitResult } from './verify-units.ts'

interface Start {
  readonly task: 'signet-audit-walk'
  readonly ring: SharedRing
}

type Message =
  | { readonly kind: 'progress'; readonly bytes: number }
  | { readonly kind: 'done'; readonly result: UnitResult }

export async function verifyParallel(
  path: string,
  ring: KeyRing,
  options: VerifyOptions & { readonly threads?: number } = {},
): Promise<VerifyReport> {
  const threads = options.threads ?? availableParallelism()
  return verifyWith(path, ring, options, async (units, progress) => {
    const results: UnitResult[] = []
    let next = 0
    const take = (): number | undefined => (next < units.length ? next++ : undefined)
    // The largest come last in no order that matters: units are small, so the threads end together.
    const workers = Math.max(1, Math.min(threads, units.length))
    await Promise.all(Array.from({ length: workers }, () => work(units, take, results, ring, progress)))
    return results
  })
}

function work(
  units: readonly Unit[],
  take: () => number | undefined,
  results: UnitResult[],
  ring: KeyRing,
  progress: (bytes: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const start: Start = { task: 'signet-audit-walk', ring: ring.share() }
    const worker = new Worker(new URL(import.meta.url), { workerData: start })
    let at: number | undefined
    const go = () => {
      at = take()
      if (at === undefined) {
        resolve()
        void worker.terminate()
      } else worker.postMessage(units[at])
    }
    worker.on('message', (message: Message) => {
      if (message.kind === 'progress') {
        progress(message.bytes)
        return
      }
      if (at !== undefined) results[at] = message.result
      go()
    })
    worker.once('error', reject)
    worker.once('exit', code => reject(new Error(`a verification thread ended early (exit code ${code})`)))
    go()
  })
}

function isStart(data: unknown): data is Start {
  return typeof data === 'object' && data !== null && 'task' in data && data.task === 'signet-audit-walk'
}

if (!isMainThread && isStart(workerData)) {
  const ring = KeyRing.fromShared(workerData.ring)
  let pending = 0
  const progress = (bytes: number) => {
    pending += bytes
    if (pending < 1024 * 1024) return
    parentPort?.postMessage({ kind: 'progress', bytes: pending } satisfies Message)
    pending = 0
  }
  parentPort?.on('message', (unit: Unit) => {
    const result = runUnit(unit, ring, progress)
    parentPort?.postMessage({ kind: 'progress', bytes: pending } satisfies Message)
    pending = 0
    parentPort?.postMessage({ kind: 'done', result } satisfies Message)
  })
}
