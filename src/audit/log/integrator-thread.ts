/**
 * The integrator in a thread of its own: hashes, tiles and their files cost the request path nothing but the handing over of
 * entries. It begins with the first of them, so that no start waits for it.
 *
 * Guarantees: when the thread dies, whoever waits is told, and the next call begins another from the last checkpoint that was
 * kept; that it has fewer entries than the one before shows in what `take` and `write` resolve with.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { giveWay, stepBack } from '../background-thread.ts'
import { type Fault, serveCalls, ThreadCalls } from '../thread-calls.ts'
import { type LogErrorCode, LogInvalid } from './errors.ts'
import type { Integrator } from './integrator.ts'
import type { TreeHead } from './tree.ts'

export interface Task {
  readonly task: 'signet-log-integrator'
  /** The log's folder. */
  readonly path: string
  /** Of the last checkpoint that was kept. */
  readonly from: TreeHead
  /** A thread before this one may have died of a disk that lost what it was to sync. */
  readonly unsure: boolean
}
/** Requests go first; of cores that are all busy it still gets the tenth of one that it needs. */
const NICE = 5

type Call =
  | { readonly op: 'take'; readonly first: number; readonly bundle: Uint8Array<ArrayBuffer> }
  | { readonly op: 'keep' | 'show'; readonly note: Uint8Array }
  | { readonly op: 'write' | 'tidy' | 'close' }

/** The gate's half. */
export class IntegratorThread implements Integrator {
  readonly #calls: ThreadCalls<Call>
  #kept: TreeHead
  #written: TreeHead | undefined

  /** `kept`: of the last signed checkpoint in this folder; of none, an empty tree's. */
  constructor(path: string, kept: TreeHead, run: (task: Task) => Worker = runTask) {
    this.#kept = kept
    let threads = 0
    const start = () => run({ task: 'signet-log-integrator', path, from: this.#kept, unsure: threads++ > 0 })
    this.#calls = new ThreadCalls(start, errorOf)
  }

  async take(first: number, bundle: Uint8Array<ArrayBuffer>): Promise<number> {
    const size = await this.#calls.ask({ op: 'take', first, bundle }, [bundle.buffer])
    if (typeof size !== 'number') throw unexpected()
    return size
  }

  async write(): Promise<TreeHead> {
    const head = await this.#calls.ask({ op: 'write' })
    if (!isHead(head)) throw unexpected()
    this.#written = head
    return head
  }

  async keep(note: Uint8Array): Promise<void> {
    const head = this.#written
    await this.#calls.ask({ op: 'keep', note })
    if (head !== undefined) this.#kept = head
  }

  async show(note: Uint8Array): Promise<void> {
    await this.#calls.ask({ op: 'show', note })
  }

  async tidy(): Promise<boolean> {
    return (await this.#calls.ask({ op: 'tidy' })) === true
  }

  async close(): Promise<void> {
    if (this.#calls.runs) await this.#calls.ask({ op: 'close' }).catch(() => undefined)
    await this.#calls.close()
  }
}

export function runTask(task: Task): Worker {
  return new Worker(new URL(import.meta.url), { workerData: task })
}

function isHead(value: unknown): value is TreeHead {
  return typeof value === 'object' && value !== null && 'size' in value && 'root' in value
}

function unexpected(): Error {
  return new Error('the thread of the transparency log answered another question')
}

function errorOf({ name, code, message }: Fault): Error {
  // It was made by the same constructor in the other thread.
  if (name === 'LogInvalid') return new LogInvalid(code as LogErrorCode, message)
  return Object.assign(new Error(message), { code })
}

function isTask(data: unknown): data is Task {
  return typeof data === 'object' && data !== null && 'task' in data && data.task === 'signet-log-integrator'
}

async function open({ path, from, unsure }: Task): Promise<Integrator> {
  const { BlockingFolderFiles } = await import('./blocking-files.ts')
  const { LogFolder } = await import('./folder.ts')
  const { FolderIntegrator } = await import('./integrator.ts')
  const { restoreTree } = await import('./restore.ts')
  const { lastFullTiles } = await import('./tile.ts')
  const folder = new LogFolder(new BlockingFolderFiles(path))
  await folder.open()
  // Nothing has cut the power since the gate took this log up: its tiles are as they were written.
  const tree = await restoreTree(folder, from)
  for (const full of lastFullTiles(from.size)) await folder.removeOldPartials(full)
  return FolderIntegrator.open(folder, tree, { nowMs: () => performance.now(), unsure, pause: giveWay })
}

if (!isMainThread && parentPort !== null && isTask(workerData)) {
  const task = workerData
  stepBack(NICE)
  let opened: Promise<Integrator> | undefined
  serveCalls<Call>(parentPort, async call => {
    opened ??= open(task)
    const integrator = await opened.catch(error => {
      // The disk may be back for the next one.
      opened = undefined
      throw error
    })
    switch (call.op) {
      case 'take':
        return integrator.take(call.first, call.bundle)
      case 'write':
        return integrator.write()
      case 'keep':
        return integrator.keep(call.note)
      case 'show':
        return integrator.show(call.note)
      case 'tidy':
        return integrator.tidy()
      case 'close':
        return integrator.close()
    }
  })
}
