/**
 * The integrator in a thread of its own: hashes, tiles and their files cost the request path nothing but the handing over of
 * entries. It begins with the first of them, so that no start waits for it.
 *
 * Guarantees: when the thread dies, whoever waits is told, and the next call begins another from the last checkpoint that was
 * kept; that it has fewer entries than the one before shows in what `take` and `settle` resolve with. It keeps the process
 * alive while it is asked something.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { LogErrorCode } from './errors.ts'
import { LogInvalid } from './errors.ts'
import type { Integrator, TreeHead } from './integrator.ts'

export interface Task {
  readonly task: 'signet-log-integrator'
  /** The log's folder. */
  readonly path: string
  /** Of the last checkpoint that was kept. */
  readonly from: TreeHead
}
type Call =
  | { readonly op: 'take'; readonly first: number; readonly bundle: Uint8Array<ArrayBuffer> }
  | { readonly op: 'keep' | 'show'; readonly note: Uint8Array }
  | { readonly op: 'settle' | 'tidy' }
type Asked = Call & { readonly id: number }
/** Errors lose their kind between threads. */
interface Fault {
  readonly invalid: boolean
  readonly code: string
  readonly message: string
}
type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly fault: Fault })
interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** The gate's half. */
export class IntegratorThread implements Integrator {
  readonly #path: string
  readonly #run: (task: Task) => Worker
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #kept: TreeHead
  #settled: TreeHead | undefined
  #asked = 0

  /** `kept`: of the last signed checkpoint in this folder; of none, an empty tree's. */
  constructor(path: string, kept: TreeHead, run: (task: Task) => Worker = runTask) {
    this.#path = path
    this.#run = run
    this.#kept = kept
  }

  async take(first: number, bundle: Uint8Array<ArrayBuffer>): Promise<number> {
    const size = await this.#ask({ op: 'take', first, bundle }, [bundle.buffer])
    if (typeof size !== 'number') throw unexpected()
    return size
  }

  async settle(): Promise<TreeHead> {
    const head = await this.#ask({ op: 'settle' })
    if (!isHead(head)) throw unexpected()
    this.#settled = head
    return head
  }

  async keep(note: Uint8Array): Promise<void> {
    const head = this.#settled
    await this.#ask({ op: 'keep', note })
    if (head !== undefined) this.#kept = head
  }

  async show(note: Uint8Array): Promise<void> {
    await this.#ask({ op: 'show', note })
  }

  async tidy(): Promise<void> {
    await this.#ask({ op: 'tidy' })
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #ask(call: Call, transfer: ArrayBuffer[] = []): Promise<unknown> {
    const worker = (this.#worker ??= this.#start())
    const id = ++this.#asked
    return new Promise((resolve, reject) => {
      worker.postMessage({ ...call, id } satisfies Asked, transfer)
      this.#waiting.set(id, { resolve, reject })
      worker.ref()
    })
  }

  #start(): Worker {
    const worker = this.#run({ task: 'signet-log-integrator', path: this.#path, from: this.#kept })
    let why = 'its thread ended'
    worker.on('message', (answer: Answer) => {
      const asked = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if (this.#waiting.size === 0) worker.unref()
      if ('fault' in answer) asked?.reject(errorOf(answer.fault))
      else asked?.resolve(answer.value)
    })
    worker.once('error', error => {
      why = `its thread failed: ${error instanceof Error ? error.message : 'unknown error'}`
    })
    worker.once('exit', () => {
      this.#worker = undefined
      const waiting = [...this.#waiting.values()]
      this.#waiting.clear()
      for (const { reject } of waiting) reject(Object.assign(new Error(why), { code: why }))
    })
    return worker
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

function errorOf({ invalid, code, message }: Fault): Error {
  // It was made by the same constructor in the other thread.
  if (invalid) return new LogInvalid(code as LogErrorCode, message)
  return Object.assign(new Error(message), { code })
}

function isTask(data: unknown): data is Task {
  return typeof data === 'object' && data !== null && 'task' in data && data.task === 'signet-log-integrator'
}

/** The thread's half. */
async function serve({ path, from }: Task): Promise<void> {
  // In time for the first call: messages wait until somebody listens.
  const { errno } = await import('../files.ts')
  const { BlockingFolderFiles } = await import('./blocking-files.ts')
  const { LogFolder } = await import('./folder.ts')
  const { FolderIntegrator } = await import('./integrator.ts')
  const { restoreTree } = await import('./restore.ts')
  const { edgeTiles } = await import('./tile.ts')

  const open = async (): Promise<Integrator> => {
    const folder = new LogFolder(new BlockingFolderFiles(path))
    await folder.open()
    const tree = await restoreTree(folder, from)
    for (const edge of edgeTiles(from.size)) await folder.removeOldPartials(edge)
    return new FolderIntegrator(folder, tree)
  }
  let opened: Promise<Integrator> | undefined
  const answer = async (asked: Asked): Promise<unknown> => {
    opened ??= open()
    const integrator = await opened.catch(error => {
      // The disk may be back for the next one.
      opened = undefined
      throw error
    })
    switch (asked.op) {
      case 'take':
        return integrator.take(asked.first, asked.bundle)
      case 'settle':
        return integrator.settle()
      case 'keep':
        return integrator.keep(asked.note)
      case 'show':
        return integrator.show(asked.note)
      case 'tidy':
        return integrator.tidy()
    }
  }
  parentPort?.on('message', (asked: Asked) => {
    answer(asked).then(
      value => parentPort?.postMessage({ id: asked.id, value } satisfies Answer),
      (error: unknown) => {
        const invalid = error instanceof LogInvalid
        const message = error instanceof Error ? error.message : 'unknown error'
        const fault = { invalid, code: invalid ? error.code : errno(error), message }
        parentPort?.postMessage({ id: asked.id, fault } satisfies Answer)
      },
    )
  })
}

if (!isMainThread && isTask(workerData)) void serve(workerData)
