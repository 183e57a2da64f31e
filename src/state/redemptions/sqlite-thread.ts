/**
 * Redemptions in one SQLite file, in a thread of its own (see `StoreThread`).
 *
 * Guarantees: a call that returned is on the disk, in the file of that name; who is first is decided by the primary key, also between processes;
 * the file is for its owner alone.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { StateFull } from '../../core/memory-state.ts'
import type { RedemptionStore } from '../../core/state.ts'
import { PrivateDatabase } from '../private-database.ts'
import { type OnStoreState, StoreThread, serveStore } from '../store-thread.ts'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS redemption (
  jti      TEXT PRIMARY KEY,
  facts    TEXT NOT NULL,
  until_ms INTEGER NOT NULL,
  settled  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS redemption_until ON redemption (until_ms);
`
/** Of the file's form. */
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

const WHAT = 'the store of redemptions'

/** Opens (or makes) the file; rejects with one line when it cannot. `maxEntries`: default 1,000,000. */
export async function openSqliteRedemptions(
  path: string,
  options: { readonly maxEntries?: number; readonly onState?: OnStoreState } = {},
): Promise<RedemptionStore> {
  const { maxEntries = 1_000_000, onState } = options
  const start: Start = { task: 'signet-redemptions', path, maxEntries }
  const worker = new Worker(new URL(import.meta.url), { workerData: start })
  return new ThreadedRedemptions(await StoreThread.open(worker, `${WHAT} ${path}`, onState))
}

class ThreadedRedemptions implements RedemptionStore {
  readonly durable = true
  readonly #thread: StoreThread<Call>

  constructor(thread: StoreThread<Call>) {
    this.#thread = thread
  }

  async redeem(jti: string, facts: string, untilMs: number, nowMs: number): Promise<boolean> {
    return (await this.#thread.ask({ op: 'redeem', jti, facts, untilMs, nowMs })) === true
  }

  async find(jti: string): Promise<string | undefined> {
    const found = await this.#thread.ask({ op: 'find', jti })
    return typeof found === 'string' ? found : undefined
  }

  async settle(jti: string): Promise<boolean> {
    return (await this.#thread.ask({ op: 'settle', jti })) === true
  }

  close(): Promise<void> {
    return this.#thread.close({ op: 'close' })
  }
}

/** The thread's own half. */
class File {
  readonly #db: PrivateDatabase
  readonly #max: number

  constructor({ path, maxEntries }: Start) {
    this.#max = maxEntries
    this.#db = new PrivateDatabase(path, SCHEMA, FORM)
  }

  run(call: Call): string | boolean | undefined {
    switch (call.op) {
      case 'redeem': {
        this.#db.change('DELETE FROM redemption WHERE until_ms <= ? AND jti <> ?', call.nowMs, call.jti)
        const n = this.#db.count('SELECT count(*) AS n FROM redemption')
        const insert = 'INSERT OR IGNORE INTO redemption (jti, facts, until_ms) VALUES (?, ?, ?)'
        if (n >= this.#max && this.run({ op: 'find', jti: call.jti }) === undefined)
          throw new StateFull(`no room for another redemption (${n} are kept)`)
        return this.#db.change(insert, call.jti, call.facts, call.untilMs) === 1
      }
      case 'find': {
        const facts = this.#db.one('SELECT facts FROM redemption WHERE jti = ?', call.jti)?.['facts']
        return typeof facts === 'string' ? facts : undefined
      }
      case 'settle':
        return this.#db.change('UPDATE redemption SET settled = 1 WHERE jti = ? AND settled = 0', call.jti) === 1
      case 'close':
        this.#db.close()
        return undefined
    }
  }
}

function isStart(value: unknown): value is Start {
  return typeof value === 'object' && value !== null && 'task' in value && value.task === 'signet-redemptions'
}

if (!isMainThread && parentPort !== null && isStart(workerData)) {
  const start = workerData
  serveStore<Call>(parentPort, WHAT, () => {
    const file = new File(start)
    return call => file.run(call)
  })
}
