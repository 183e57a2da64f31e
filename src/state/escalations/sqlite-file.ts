/**
 * Escalations in one SQLite file (`node:sqlite`), synchronously: it runs in a thread of its own (`sqlite-thread.ts`), for a
 * sync of the disk must not stop the gate.
 *
 * Guarantees: a call that returned is on the disk, in the file of that name (`synchronous=FULL` with a write-ahead log);
 * compare-and-set is one statement; the file and those beside it are for their owner alone (0600). Does not guarantee:
 * secrecy of more than the sealed columns; ids, states and times stand there as they are.
 */
import { StateFull } from '../../core/memory-state.ts'
import type { EscalationBounds, EscalationQuery, StoredEscalation } from '../../core/state.ts'
import { PrivateDatabase } from '../private-database.ts'
import { type Bounds, OPEN_STATES, readBounds } from './bounds.ts'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS escalation (
  id         TEXT PRIMARY KEY,
  owner_tag  TEXT NOT NULL,
  state      TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  record     BLOB NOT NULL,
  answer     BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS escalation_state ON escalation (state, expires_ms);
CREATE INDEX IF NOT EXISTS escalation_owner ON escalation (owner_tag, state);
`
/** Of the file's form. */
const FORM = 1
const COLUMNS = 'id, owner_tag, state, created_ms, expires_ms, version, record'

export class SqliteEscalations {
  readonly #db: PrivateDatabase
  readonly #bounds: Bounds

  constructor(path: string, bounds: EscalationBounds = {}) {
    this.#bounds = readBounds(bounds)
    this.#db = new PrivateDatabase(path, SCHEMA, FORM)
  }

  create(e: StoredEscalation, answer: Uint8Array): void {
    this.#db.transaction(() => {
      // Asked first: making room could otherwise drop the one that has this id, and put another in its place.
      if (this.#db.count('SELECT count(*) AS n FROM escalation WHERE id = ?', e.id) > 0)
        throw new Error('an escalation of this id exists already')
      const { maxEntries, maxPerOwner } = this.#bounds
      const owned = this.#db.count(
        `SELECT count(*) AS n FROM escalation WHERE owner_tag = ? AND state IN (${marks(OPEN_STATES)})`,
        e.ownerTag,
        ...OPEN_STATES,
      )
      if (owned >= maxPerOwner) throw new StateFull(`one owner has ${owned} escalations that wait; no more than that`)
      const open = this.#db.count(
        `SELECT count(*) AS n FROM escalation WHERE state IN (${marks(OPEN_STATES)})`,
        ...OPEN_STATES,
      )
      const bytes = e.record.length + answer.length
      if (open >= maxEntries || !this.#makeRoom(bytes)) {
        throw new StateFull(`no room for another escalation (${open} wait, ${this.#bytes()} bytes)`)
      }
      this.#db.change(
        `INSERT INTO escalation (${COLUMNS}, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        e.id,
        e.ownerTag,
        e.state,
        e.createdAtMs,
        e.expiresAtMs,
        e.version,
        e.record,
        answer,
      )
      return true
    })
  }

  get(id: string): StoredEscalation | undefined {
    const row = this.#db.one(`SELECT ${COLUMNS} FROM escalation WHERE id = ?`, id)
    return row === undefined ? undefined : read(row)
  }

  answer(id: string): Uint8Array | undefined {
    const found = this.#db.one('SELECT answer FROM escalation WHERE id = ?', id)?.['answer']
    return found instanceof Uint8Array ? found : undefined
  }

  replace(next: StoredEscalation, answer?: Uint8Array | 'drop'): boolean {
    const set = 'UPDATE escalation SET state = ?, expires_ms = ?, version = ?, record = ?'
    const which = 'WHERE id = ? AND version = ?'
    const values = [next.state, next.expiresAtMs, next.version, next.record]
    const key = [next.id, next.version - 1]
    const changed =
      answer === undefined
        ? this.#db.change(`${set} ${which}`, ...values, ...key)
        : this.#db.change(`${set}, answer = ? ${which}`, ...values, answer === 'drop' ? null : answer, ...key)
    return changed === 1
  }

  list({ states, before, limit }: EscalationQuery): readonly StoredEscalation[] {
    const where: string[] = []
    if (states !== undefined) where.push(`state IN (${marks(states)})`)
    if (before !== undefined) where.push('id < ?')
    const filter = where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`
    const sql = `SELECT ${COLUMNS} FROM escalation ${filter} ORDER BY id DESC LIMIT ?`
    return this.#db.all(sql, ...(states ?? []), ...(before === undefined ? [] : [before]), limit).map(read)
  }

  due(nowMs: number, states: readonly string[], limit: number): readonly string[] {
    const sql = `SELECT id FROM escalation WHERE state IN (${marks(states)}) AND expires_ms <= ? LIMIT ?`
    return this.#db.all(sql, ...states, nowMs, limit).map(row => text(row, 'id'))
  }

  dropAnswers(nowMs: number, states: readonly string[]): void {
    this.#db.change(
      `UPDATE escalation SET answer = NULL
         WHERE answer IS NOT NULL AND state IN (${marks(states)}) AND expires_ms <= ?`,
      ...states,
      nowMs,
    )
  }

  forget(beforeMs: number, states: readonly string[]): void {
    this.#db.change(`DELETE FROM escalation WHERE state IN (${marks(states)}) AND expires_ms < ?`, ...states, beforeMs)
  }

  close(): void {
    this.#db.close()
  }

  #makeRoom(bytes: number): boolean {
    const { maxEntries, maxBytes } = this.#bounds
    const over = `state NOT IN (${marks(OPEN_STATES)})`
    this.#db.change(
      `DELETE FROM escalation WHERE ${over} AND id NOT IN
         (SELECT id FROM escalation WHERE ${over} ORDER BY id DESC LIMIT ?)`,
      ...OPEN_STATES,
      ...OPEN_STATES,
      maxEntries,
    )
    const oldest = `DELETE FROM escalation WHERE id = (SELECT id FROM escalation WHERE ${over} ORDER BY id LIMIT 1)`
    for (let fits = this.#bytes() + bytes <= maxBytes; ; fits = this.#bytes() + bytes <= maxBytes) {
      if (fits || this.#db.change(oldest, ...OPEN_STATES) === 0) return fits
    }
  }

  #bytes(): number {
    return this.#db.count('SELECT coalesce(sum(length(record) + coalesce(length(answer), 0)), 0) AS n FROM escalation')
  }
}

function marks(list: readonly unknown[]): string {
  return list.map(() => '?').join(', ')
}

type Row = Readonly<Record<string, unknown>>

function read(row: Row): StoredEscalation {
  const record = row['record']
  if (!(record instanceof Uint8Array)) throw new Error('an escalation of the store has no record')
  return {
    id: text(row, 'id'),
    ownerTag: text(row, 'owner_tag'),
    state: text(row, 'state'),
    createdAtMs: Number(row['created_ms']),
    expiresAtMs: Number(row['expires_ms']),
    version: Number(row['version']),
    record,
  }
}

function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new Error(`an escalation of the store has no ${column}`)
  return value
}
