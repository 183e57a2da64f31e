/**
 * Redemptions in one SQLite file (`node:sqlite`), in a thread of its own: a sync of the disk must not stop the gate.
 *
 * Guarantees: a call that returned is on the disk (`synchronous=FULL` with a write-ahead log); who is first is decided by
 * the primary key, also between processes; the file is for its owner alone (0600). When the thread dies, whoever waits is
 * told and every later call is refused.
 */
import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { StateFull } from '../../core/memory-state.ts'
import type { RedemptionStore } from '../../core/state.ts'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS redemption (
  jti      TEXT PRIMARY KEY,
  facts    TEXT NOT NULL,
  until_ms INTEGER NOT NULL,
  settled  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS redemption_until ON redemption (until_ms);
`
/** Of the file's form; another number is refused rather than guessed at. */
const FORM = 1

interface Start {
  readonly task: 'signet-redemptions'
  readonly path: string
  readonly maxEntries: number
}

type Call =
  | {
      readonly op: 'redeem'
      readonly jti: string
      readonly facts: string
      readonly untilMs: number
      readonly nowMs: number
    }
  | { readonly op: 'find'; readonly jti: string }
  | { readonly op: 'settle'; readonly jti: string }
  | { readonly op: 'close' }

type Answer =
  | { readonly ok: true; readonly value: string | boolean | undefined }
  | { readonly ok: false; readonly name: string; readonly message: string }

interface Waiting {
  readonly resolve: (value: string | boolean | undefined) => void
  readonly reject: (error: Error) => void
}

/** Opens (or makes) the file; rejects with one line when it cannot. `maxEntries`: default 1,000,000. */
export async function openSqliteRedemptions(path: string, maxEntries = 1_000_000): Promise<RedemptionStore> {
  const start: Start = { task: 'signet-redemptions', path, maxEntries }
  const store = new ThreadedRedemptions(new Worker(new URL(import.meta.url), { workerData: start }))
  await store.opened
  return store
}

class ThreadedRedemptions implements RedemptionStore {
  readonly durable = true
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
      this.#end(error instanceof Error ? error : new Error('the store of redemptions failed')),
    )
    worker.on('exit', () => this.#end(new Error('the store of redemptions is closed')))
    // An idle store keeps no process alive.
    worker.unref()
  }

  async redeem(jti: string, facts: string, untilMs: number, nowMs: number): Promise<boolean> {
    return (await this.#ask({ op: 'redeem', jti, facts, untilMs, nowMs })) === true
  }

  async find(jti: string): Promise<string | undefined> {
    const found = await this.#ask({ op: 'find', jti })
    return typeof found === 'string' ? found : undefined
  }

  async settle(jti: string): Promise<boolean> {
    return (await this.#ask({ op: 'settle', jti })) === true
  }

  async close(): Promise<void> {
    if (this.#over !== undefined) return
    await this.#ask({ op: 'close' })
    await this.#worker.terminate()
  }

  #ask(call: Call): Promise<string | boolean | undefined> {
    if (this.#over !== undefined) return Promise.reject(this.#over)
    return new Promise<string | boolean | undefined>((resolve, reject) => {
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

/** The thread's own half. */
class File {
  readonly #db: DatabaseSync
  readonly #max: number

  constructor({ path, maxEntries }: Start) {
    this.#max = maxEntries
    // Made with its mode before SQLite sees it: what SQLite makes beside it takes the mode over.
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    this.#db = new DatabaseSync(path, { timeout: 5_000 })
    this.#db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF')
    const form = Number(this.#db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0)
    if (form !== 0 && form !== FORM) {
      this.#db.close()
      throw new Error(
        `${path}: expected a store of form ${FORM}, found ${form}; it was made by another version of signet`,
      )
    }
    this.#db.exec(`${SCHEMA} PRAGMA user_version=${FORM}`)
  }

  run(call: Call): string | boolean | undefined {
    switch (call.op) {
      case 'redeem': {
        this.#change('DELETE FROM redemption WHERE until_ms <= ? AND jti <> ?', call.nowMs, call.jti)
        const n = Number(this.#db.prepare('SELECT count(*) AS n FROM redemption').get()?.['n'] ?? 0)
        const insert = 'INSERT OR IGNORE INTO redemption (jti, facts, until_ms) VALUES (?, ?, ?)'
        if (n >= this.#max && this.run({ op: 'find', jti: call.jti }) === undefined)
          throw new StateFull(`no room for another redemption (${n} are kept)`)
        return this.#change(insert, call.jti, call.facts, call.untilMs) === 1
      }
      case 'find': {
        const facts = this.#db.prepare('SELECT facts FROM redemption WHERE jti = ?').get(call.jti)?.['facts']
        return typeof facts === 'string' ? facts : undefined
      }
      case 'settle':
        return this.#change('UPDATE redemption SET settled = 1 WHERE jti = ? AND settled = 0', call.jti) === 1
      case 'close':
        this.#db.close()
        return undefined
    }
  }

  #change(sql: string, ...values: readonly (string | number)[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes)
  }
}

function isStart(value: unknown): value is Start {
  return typeof value === 'object' && value !== null && 'task' in value && value.task === 'signet-redemptions'
}

function serveThread(start: Start, port: NonNullable<typeof parentPort>): void {
  const attempt = (work: () => string | boolean | undefined): void => {
    let answer: Answer
    try {
      answer = { ok: true, value: work() }
    } catch (error) {
      const known = error instanceof Error ? error : new Error('the store of redemptions failed')
      answer = { ok: false, name: known.name, message: known.message }
    }
    port.postMessage(answer)
  }
  let file: File | undefined
  attempt(() => {
    file = new File(start)
    return undefined
  })
  port.on('message', (call: Call) =>
    attempt(() => {
      if (file === undefined) throw new Error('the store of redemptions could not be opened')
      return file.run(call)
    }),
  )
}

if (!isMainThread && parentPort !== null && isStart(workerData)) serveThread(workerData, parentPort)
