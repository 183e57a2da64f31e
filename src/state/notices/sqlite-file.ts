/**
 * Notices in one SQLite file (`node:sqlite`), synchronously: it runs in a thread of its own (`sqlite-thread.ts`).
 *
 * Guarantees: a call that returned is on the disk; who takes a notice has it alone until its lease is over, also among
 * processes; the file is for its owner alone (0600). It holds ids, times and what Slack calls a message, and nothing of what
 * is in a notice.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Notice, NoticeDestination, NoticeOutcome, NoticeTurn } from '../../core/state.ts'
import { openPrivateDatabase } from '../private-database.ts'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS notice (
  destination TEXT NOT NULL,
  id          TEXT NOT NULL,
  escalation  TEXT NOT NULL,
  event       TEXT NOT NULL,
  at_ms       INTEGER NOT NULL,
  state       TEXT NOT NULL,
  attempts    INTEGER NOT NULL DEFAULT 0,
  next_ms     INTEGER NOT NULL,
  receipt     TEXT,
  PRIMARY KEY (destination, id)
) STRICT;
CREATE INDEX IF NOT EXISTS notice_due ON notice (destination, state, attempts, at_ms);
CREATE INDEX IF NOT EXISTS notice_escalation ON notice (escalation, destination);
CREATE TABLE IF NOT EXISTS destination (
  name     TEXT PRIMARY KEY,
  address  TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  disabled TEXT
) STRICT, WITHOUT ROWID;
`
/** Of the file's form. */
const FORM = 1
const COLUMNS = 'destination, id, escalation, event, at_ms'

type Value = string | number | null

export class SqliteNotices {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(path: string) {
    this.#db = openPrivateDatabase(path, SCHEMA, FORM)
  }

  use(destinations: readonly NoticeDestination[], nowMs: number): void {
    this.#transaction(() => {
      for (const { name, address } of destinations) {
        this.#run(
          `INSERT INTO destination (name, address, since_ms) VALUES (?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET address = excluded.address, disabled = NULL WHERE address <> excluded.address`,
          name,
          address,
          nowMs,
        )
      }
      const names = destinations.map(d => d.name)
      const gone = `NOT IN (${names.map(() => '?').join(', ')})`
      this.#run(`UPDATE notice SET state = 'given_up' WHERE state = 'waiting' AND destination ${gone}`, ...names)
      // One that comes back later is new: what happened meanwhile is not for it.
      this.#run(`DELETE FROM destination WHERE name ${gone}`, ...names)
    })
  }

  add(notices: readonly Notice[], mostWaiting: number): readonly Notice[] {
    return this.#transaction(() => {
      const gaveWay: Notice[] = []
      for (const n of notices) {
        const to = this.#prepare('SELECT since_ms, disabled FROM destination WHERE name = ?').get(n.destination)
        if (to === undefined) continue
        const wanted = to['disabled'] === null && n.atMs >= Number(to['since_ms'])
        const added = this.#run(
          `INSERT INTO notice (${COLUMNS}, state, next_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (destination, id) DO NOTHING`,
          n.destination,
          n.id,
          n.escalation,
          n.event,
          n.atMs,
          wanted ? 'waiting' : 'given_up',
          n.atMs,
        )
        if (added === 1 && wanted) gaveWay.push(...this.#makeRoom(n.destination, mostWaiting))
      }
      return gaveWay
    })
  }

  take(destination: string, nowMs: number, leaseUntilMs: number): NoticeTurn {
    return this.#transaction(() => {
      const disabled = this.#prepare('SELECT disabled FROM destination WHERE name = ?').get(destination)?.['disabled']
      // Those that were never tried first: one that fails for hours must not keep the news back.
      const row = this.#prepare(
        `SELECT ${COLUMNS}, attempts FROM notice WHERE destination = ? AND state = 'waiting' AND next_ms <= ?
         ORDER BY attempts, at_ms, rowid LIMIT 1`,
      ).get(destination, nowMs)
      const waiting = this.#waiting(destination)
      if (row === undefined) {
        const next = this.#prepare(
          "SELECT min(next_ms) AS n FROM notice WHERE destination = ? AND state = 'waiting'",
        ).get(destination)?.['n']
        return {
          taken: undefined,
          nextMs: typeof next === 'number' ? next : undefined,
          waiting,
          disabled: typeof disabled === 'string' ? disabled : undefined,
        }
      }
      const notice = read(row)
      this.#run(
        'UPDATE notice SET next_ms = ? WHERE destination = ? AND id = ?',
        leaseUntilMs,
        notice.destination,
        notice.id,
      )
      const attempts = Number(row['attempts'])
      return { taken: { notice, attempts }, nextMs: undefined, waiting, disabled: undefined }
    })
  }

  settle(destination: string, id: string, outcome: NoticeOutcome): void {
    const which = "WHERE destination = ? AND id = ? AND state = 'waiting'"
    switch (outcome.kind) {
      case 'delivered':
        this.#run(`UPDATE notice SET state = 'done', receipt = ? ${which}`, outcome.receipt ?? null, destination, id)
        break
      case 'again':
        this.#run(
          `UPDATE notice SET next_ms = ?, attempts = attempts + ? ${which}`,
          outcome.atMs,
          outcome.counts ? 1 : 0,
          destination,
          id,
        )
        break
      case 'given_up':
        this.#run(`UPDATE notice SET state = 'given_up' ${which}`, destination, id)
        break
    }
  }

  receipt(destination: string, escalation: string): string | undefined {
    const found = this.#prepare(
      `SELECT receipt FROM notice WHERE escalation = ? AND destination = ? AND receipt IS NOT NULL ORDER BY at_ms LIMIT 1`,
    ).get(escalation, destination)?.['receipt']
    return typeof found === 'string' ? found : undefined
  }

  disable(destination: string, because: string | undefined): void {
    this.#transaction(() => {
      this.#run('UPDATE destination SET disabled = ? WHERE name = ?', because ?? null, destination)
      if (because !== undefined)
        this.#run("UPDATE notice SET state = 'given_up' WHERE state = 'waiting' AND destination = ?", destination)
    })
  }

  forget(beforeId: string, beforeMs: number): void {
    this.#run("DELETE FROM notice WHERE state <> 'waiting' AND escalation < ? AND at_ms < ?", beforeId, beforeMs)
  }

  close(): void {
    this.#db.close()
  }

  #makeRoom(destination: string, mostWaiting: number): readonly Notice[] {
    const over = this.#waiting(destination) - mostWaiting
    if (over <= 0) return []
    const oldest = this.#prepare(
      `SELECT ${COLUMNS} FROM notice WHERE destination = ? AND state = 'waiting' ORDER BY at_ms, rowid LIMIT ?`,
    )
      .all(destination, over)
      .map(read)
    for (const { id } of oldest) this.settle(destination, id, { kind: 'given_up' })
    return oldest
  }

  #waiting(destination: string): number {
    const n = this.#prepare("SELECT count(*) AS n FROM notice WHERE destination = ? AND state = 'waiting'").get(
      destination,
    )
    return Number(n?.['n'] ?? 0)
  }

  #transaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const made = work()
      this.#db.exec('COMMIT')
      return made
    } catch (error) {
      // A failed COMMIT may have ended the transaction by itself.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  #run(sql: string, ...values: readonly Value[]): number {
    return Number(this.#prepare(sql).run(...values).changes)
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement
  }
}

function read(row: Readonly<Record<string, unknown>>): Notice {
  const text = (column: string): string => {
    const value = row[column]
    if (typeof value !== 'string') throw new Error(`a notice of the store has no ${column}`)
    return value
  }
  return {
    destination: text('destination'),
    id: text('id'),
    escalation: text('escalation'),
    event: text('event'),
    atMs: Number(row['at_ms']),
  }
}
