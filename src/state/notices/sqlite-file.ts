/**
 * Notices in one SQLite file (`node:sqlite`), synchronously: it runs in a thread of its own (`sqlite-thread.ts`).
 *
 * Guarantees: a call that returned is on the disk; who takes a notice has it alone until its lease is over, also among
 * processes; the file is for its owner alone (0600). It holds ids, times, what Slack calls a message, and digests of names and
 * addresses of destinations, overwritten once a destination is no longer set; nothing of what is in a notice.
 */
import { createHash } from 'node:crypto'
import type { Notice, NoticeDestination, NoticeOutcome, NoticeTurn } from '../../core/state.ts'
import { PrivateDatabase, type Row } from '../private-database.ts'

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
const COLUMNS = 'id, escalation, event, at_ms'

const NOTHING: NoticeTurn = { taken: undefined, nextMs: undefined, waiting: 0, disabled: undefined }

export class SqliteNotices {
  readonly #db: PrivateDatabase

  constructor(path: string) {
    this.#db = new PrivateDatabase(path, SCHEMA, FORM)
    this.#db.one('PRAGMA secure_delete=ON')
  }

  use(destinations: readonly NoticeDestination[], nowMs: number): void {
    this.#db.transaction(() => {
      for (const { name, address } of destinations) {
        this.#db.change(
          `INSERT INTO destination (name, address, since_ms) VALUES (?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET address = excluded.address, disabled = NULL WHERE address <> excluded.address`,
          sha256(name),
          sha256(address),
          nowMs,
        )
      }
      const names = destinations.map(d => sha256(d.name))
      const gone = `NOT IN (${names.map(() => '?').join(', ')})`
      // One that comes back later is new: what happened meanwhile is not for it.
      this.#db.change(`DELETE FROM notice WHERE destination ${gone}`, ...names)
      this.#db.change(`DELETE FROM destination WHERE name ${gone}`, ...names)
      return true
    })
  }

  add(notices: readonly Notice[], mostWaiting: number): readonly Notice[] {
    const done = this.#db.transaction(() => {
      const gaveWay: Notice[] = []
      for (const n of notices) {
        const to = this.#db.one('SELECT since_ms, disabled FROM destination WHERE name = ?', sha256(n.destination))
        if (to === undefined) continue
        const wanted = to['disabled'] === null && n.atMs >= Number(to['since_ms'])
        const added = this.#db.change(
          `INSERT INTO notice (destination, ${COLUMNS}, state, next_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (destination, id) DO NOTHING`,
          sha256(n.destination),
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
    return done ?? []
  }

  take(destination: string, nowMs: number, leaseUntilMs: number): NoticeTurn {
    const to = sha256(destination)
    const turn = this.#db.transaction((): NoticeTurn => {
      const disabled = this.#db.one('SELECT disabled FROM destination WHERE name = ?', to)?.['disabled']
      // Those that were never tried first: one that fails for hours must not keep the news back.
      const row = this.#db.one(
        `SELECT ${COLUMNS}, attempts FROM notice WHERE destination = ? AND state = 'waiting' AND next_ms <= ?
         ORDER BY attempts, at_ms, rowid LIMIT 1`,
        to,
        nowMs,
      )
      const waiting = this.#waiting(to)
      if (row === undefined) {
        const next = this.#db.one(
          "SELECT min(next_ms) AS n FROM notice WHERE destination = ? AND state = 'waiting'",
          to,
        )?.['n']
        return {
          taken: undefined,
          nextMs: typeof next === 'number' ? next : undefined,
          waiting,
          disabled: typeof disabled === 'string' ? disabled : undefined,
        }
      }
      const notice = read(row, destination)
      this.#db.change('UPDATE notice SET next_ms = ? WHERE destination = ? AND id = ?', leaseUntilMs, to, notice.id)
      const attempts = Number(row['attempts'])
      return { taken: { notice, attempts }, nextMs: undefined, waiting, disabled: undefined }
    })
    return turn ?? NOTHING
  }

  settle(destination: string, id: string, outcome: NoticeOutcome): void {
    const which = "WHERE destination = ? AND id = ? AND state = 'waiting'"
    const to = sha256(destination)
    switch (outcome.kind) {
      case 'delivered':
        this.#db.change(`UPDATE notice SET state = 'done', receipt = ? ${which}`, outcome.receipt ?? null, to, id)
        break
      case 'again':
        this.#db.change(`UPDATE notice SET next_ms = ?, attempts = ? ${which}`, outcome.atMs, outcome.attempts, to, id)
        break
      case 'given_up':
        this.#db.change(`UPDATE notice SET state = 'given_up' ${which}`, to, id)
        break
    }
  }

  receipt(destination: string, escalation: string): string | undefined {
    const found = this.#db.one(
      `SELECT receipt FROM notice WHERE escalation = ? AND destination = ? AND receipt IS NOT NULL ORDER BY at_ms LIMIT 1`,
      escalation,
      sha256(destination),
    )?.['receipt']
    return typeof found === 'string' ? found : undefined
  }

  disable(destination: string, because: string | undefined): void {
    const to = sha256(destination)
    this.#db.transaction(() => {
      this.#db.change('UPDATE destination SET disabled = ? WHERE name = ?', because ?? null, to)
      if (because !== undefined)
        this.#db.change("UPDATE notice SET state = 'given_up' WHERE state = 'waiting' AND destination = ?", to)
      return true
    })
  }

  forget(beforeId: string, beforeMs: number): void {
    this.#db.change("DELETE FROM notice WHERE state <> 'waiting' AND escalation < ? AND at_ms < ?", beforeId, beforeMs)
  }

  close(): void {
    this.#db.close()
  }

  #makeRoom(destination: string, mostWaiting: number): readonly Notice[] {
    const to = sha256(destination)
    const over = this.#waiting(to) - mostWaiting
    if (over <= 0) return []
    const oldest = this.#db
      .all(
        `SELECT ${COLUMNS} FROM notice WHERE destination = ? AND state = 'waiting' ORDER BY at_ms, rowid LIMIT ?`,
        to,
        over,
      )
      .map(row => read(row, destination))
    for (const { id } of oldest) this.settle(destination, id, { kind: 'given_up' })
    return oldest
  }

  #waiting(to: string): number {
    return this.#db.count("SELECT count(*) AS n FROM notice WHERE destination = ? AND state = 'waiting'", to)
  }
}

/** The file says of nobody that they are told: names and addresses of people and of receivers stay in the settings. */
function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function read(row: Row, destination: string): Notice {
  const text = (column: string): string => {
    const value = row[column]
    if (typeof value !== 'string') throw new Error(`a notice of the store has no ${column}`)
    return value
  }
  return {
    destination,
    id: text('id'),
    escalation: text('escalation'),
    event: text('event'),
    atMs: Number(row['at_ms']),
  }
}
