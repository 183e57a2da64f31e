/**
 * Passkeys in one SQLite file, in a thread of its own (see `StoreThread`).
 *
 * Guarantees: a call that returned is on the disk; an invitation is used up in the same transaction that adds the passkey; the
 * file is for its owner alone. Does not guarantee: secrecy of credential ids, which are no secret; the rest is sealed.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { StateFull } from '../../core/memory-state.ts'
import type { PasskeyStore, StoredPasskey } from '../../core/state.ts'
import { PrivateDatabase } from '../private-database.ts'
import { type OnStoreState, StoreThread, serveStore } from '../store-thread.ts'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS passkey (
  id         TEXT PRIMARY KEY,
  owner_tag  TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  record     BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS passkey_owner ON passkey (owner_tag);
CREATE TABLE IF NOT EXISTS invitation (
  hash      TEXT PRIMARY KEY,
  owner_tag TEXT NOT NULL,
  until_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS evidence (
  escalation TEXT PRIMARY KEY,
  record     BLOB NOT NULL
) STRICT;
`
/** Of the file's form. */
const FORM = 1
const COLUMNS = 'id, owner_tag, created_ms, version, record'
const MAX_INVITATIONS = 1_000

interface Start {
  readonly task: 'signet-passkeys'
  readonly path: string
}

type Call =
  | {
      readonly op: 'add'
      readonly passkey: StoredPasskey
      readonly invitation: string | undefined
      readonly most: number
      readonly nowMs: number
    }
  | { readonly op: 'get'; readonly id: string }
  | { readonly op: 'of'; readonly ownerTag: string }
  | { readonly op: 'replace'; readonly next: StoredPasskey }
  | { readonly op: 'remove'; readonly id: string }
  | {
      readonly op: 'invite'
      readonly hash: string
      readonly ownerTag: string
      readonly untilMs: number
      readonly nowMs: number
    }
  | { readonly op: 'invited'; readonly hash: string; readonly ownerTag: string; readonly nowMs: number }
  | { readonly op: 'keep'; readonly escalation: string; readonly evidence: Uint8Array }
  | { readonly op: 'kept'; readonly escalation: string }
  | { readonly op: 'close' }

const WHAT = 'the store of passkeys'

/** Opens (or makes) the file; rejects with one line when it cannot. */
export async function openSqlitePasskeys(path: string, onState?: OnStoreState): Promise<PasskeyStore> {
  const start: Start = { task: 'signet-passkeys', path }
  const worker = new Worker(new URL(import.meta.url), { workerData: start })
  return new ThreadedPasskeys(await StoreThread.open(worker, `${WHAT} ${path}`, onState))
}

class ThreadedPasskeys implements PasskeyStore {
  readonly #thread: StoreThread<Call>

  constructor(thread: StoreThread<Call>) {
    this.#thread = thread
  }

  async add(passkey: StoredPasskey, invitation: string | undefined, most: number, nowMs: number) {
    const said = await this.#thread.ask({ op: 'add', passkey, invitation, most, nowMs })
    if (said === 'added' || said === 'taken' || said === 'not_invited' || said === 'too_many') return said
    throw new Error(`${WHAT} gave no answer`)
  }

  async get(id: string): Promise<StoredPasskey | undefined> {
    const found = await this.#thread.ask({ op: 'get', id })
    return isStored(found) ? found : undefined
  }

  async of(ownerTag: string): Promise<readonly StoredPasskey[]> {
    const found = await this.#thread.ask({ op: 'of', ownerTag })
    return Array.isArray(found) ? found.filter(isStored) : []
  }

  async replace(next: StoredPasskey): Promise<boolean> {
    return (await this.#thread.ask({ op: 'replace', next })) === true
  }

  async remove(id: string): Promise<boolean> {
    return (await this.#thread.ask({ op: 'remove', id })) === true
  }

  async invite(hash: string, ownerTag: string, untilMs: number, nowMs: number): Promise<void> {
    await this.#thread.ask({ op: 'invite', hash, ownerTag, untilMs, nowMs })
  }

  async invited(hash: string, ownerTag: string, nowMs: number): Promise<boolean> {
    return (await this.#thread.ask({ op: 'invited', hash, ownerTag, nowMs })) === true
  }

  async keep(escalation: string, evidence: Uint8Array): Promise<void> {
    await this.#thread.ask({ op: 'keep', escalation, evidence })
  }

  async kept(escalation: string): Promise<Uint8Array | undefined> {
    const found = await this.#thread.ask({ op: 'kept', escalation })
    return found instanceof Uint8Array ? found : undefined
  }

  close(): Promise<void> {
    return this.#thread.close({ op: 'close' })
  }
}

/** The thread's own half. */
class File {
  readonly #db: PrivateDatabase

  constructor(path: string) {
    this.#db = new PrivateDatabase(path, SCHEMA, FORM)
  }

  run(call: Call): unknown {
    switch (call.op) {
      case 'add':
        return this.#add(call)
      case 'get':
        return this.#all(`SELECT ${COLUMNS} FROM passkey WHERE id = ?`, call.id)[0]
      case 'of':
        return this.#all(`SELECT ${COLUMNS} FROM passkey WHERE owner_tag = ? ORDER BY created_ms, id`, call.ownerTag)
      case 'replace': {
        const { id, version, record } = call.next
        const sql = 'UPDATE passkey SET version = ?, record = ? WHERE id = ? AND version = ?'
        return this.#db.change(sql, version, record, id, version - 1) === 1
      }
      case 'remove':
        return this.#db.change('DELETE FROM passkey WHERE id = ?', call.id) === 1
      case 'invite': {
        this.#db.change('DELETE FROM invitation WHERE until_ms <= ?', call.nowMs)
        if (this.#db.count('SELECT count(*) AS n FROM invitation') >= MAX_INVITATIONS)
          throw new StateFull(`no room for another invitation (${MAX_INVITATIONS} are open)`)
        const sql = 'INSERT INTO invitation (hash, owner_tag, until_ms) VALUES (?, ?, ?)'
        return this.#db.change(sql, call.hash, call.ownerTag, call.untilMs)
      }
      case 'invited': {
        const sql = 'SELECT count(*) AS n FROM invitation WHERE hash = ? AND owner_tag = ? AND until_ms > ?'
        return this.#db.count(sql, call.hash, call.ownerTag, call.nowMs) === 1
      }
      case 'keep': {
        const sql = 'INSERT OR REPLACE INTO evidence (escalation, record) VALUES (?, ?)'
        return this.#db.change(sql, call.escalation, call.evidence)
      }
      case 'kept':
        return this.#db.one('SELECT record FROM evidence WHERE escalation = ?', call.escalation)?.['record']
      case 'close':
        this.#db.close()
        return undefined
    }
  }

  #add(call: Extract<Call, { op: 'add' }>): string {
    let refused: string | undefined
    this.#db.transaction(() => {
      refused = this.#refused(call)
      if (refused !== undefined) return undefined
      const { id, ownerTag, createdAtMs, version, record } = call.passkey
      const sql = `INSERT INTO passkey (${COLUMNS}) VALUES (?, ?, ?, ?, ?)`
      return this.#db.change(sql, id, ownerTag, createdAtMs, version, record)
    })
    return refused ?? 'added'
  }

  /** Uses the invitation up. */
  #refused({ passkey: { id, ownerTag }, invitation, most, nowMs }: Extract<Call, { op: 'add' }>): string | undefined {
    if (this.#db.count('SELECT count(*) AS n FROM passkey WHERE id = ?', id) > 0) return 'taken'
    const used = 'DELETE FROM invitation WHERE hash = ? AND owner_tag = ? AND until_ms > ?'
    if (invitation !== undefined && this.#db.change(used, invitation, ownerTag, nowMs) !== 1) return 'not_invited'
    const owned = this.#db.count('SELECT count(*) AS n FROM passkey WHERE owner_tag = ?', ownerTag)
    return owned >= most ? 'too_many' : undefined
  }

  #all(sql: string, ...values: readonly string[]): readonly StoredPasskey[] {
    return this.#db.all(sql, ...values).flatMap(row => {
      const record = row['record']
      if (!(record instanceof Uint8Array)) return []
      return {
        id: String(row['id']),
        ownerTag: String(row['owner_tag']),
        createdAtMs: Number(row['created_ms']),
        version: Number(row['version']),
        record,
      }
    })
  }
}

function isStored(value: unknown): value is StoredPasskey {
  return typeof value === 'object' && value !== null && 'record' in value && value.record instanceof Uint8Array
}

function isStart(value: unknown): value is Start {
  return typeof value === 'object' && value !== null && 'task' in value && value.task === 'signet-passkeys'
}

if (!isMainThread && parentPort !== null && isStart(workerData)) {
  const { path } = workerData
  serveStore<Call>(parentPort, WHAT, () => {
    const file = new File(path)
    return call => file.run(call)
  })
}
