/**
 * One SQLite file (`node:sqlite`) for its owner alone (0600), as the stores use it.
 *
 * Guarantees: a change that returned is on the disk, in the file of that name; a transaction is whole or not there. Once
 * another file, or none, has the name, every change throws: what is written into a file without a name is gone with the
 * process, and the next one would begin with nothing.
 */
import { chmodSync, closeSync, openSync, statSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'

export type Value = string | number | null | Uint8Array
export type Row = Readonly<Record<string, unknown>>

export class PrivateDatabase {
  readonly #path: string
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #opened: { readonly ino: bigint; readonly dev: bigint }

  /**
   * Opens or makes it with `schema`. `form` is the number of the file's form (`user_version`); a file of another is refused
   * rather than guessed at. Throws with one line.
   */
  constructor(path: string, schema: string, form: number) {
    this.#path = path
    // Made with its mode before SQLite sees it: what SQLite makes beside it takes the mode over.
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    this.#db = new DatabaseSync(path, { timeout: 5_000 })
    try {
      this.#db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF')
      const found = Number(this.#db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0)
      if (found !== 0 && found !== form) {
        throw new Error(
          `${path}: expected a store of form ${form}, found ${found}; it was made by another version of signet`,
        )
      }
      // A file of this form has its tables: a start that writes nothing waits for no disk.
      if (found !== form) this.#db.exec(`BEGIN IMMEDIATE; ${schema} PRAGMA user_version=${form}; COMMIT`)
      this.#opened = statSync(path, { bigint: true })
    } catch (error) {
      this.#db.close()
      if (!isCorrupt(error)) throw error
      throw new Error(
        `${path}: expected a SQLite database, found something damaged (${error.errstr}); restore it from a backup, or move it away to begin with an empty one`,
        { cause: error },
      )
    }
  }

  one(sql: string, ...values: readonly Value[]): Row | undefined {
    return this.#prepare(sql).get(...values)
  }

  all(sql: string, ...values: readonly Value[]): readonly Row[] {
    return this.#prepare(sql).all(...values)
  }

  /** Of `SELECT count(*) AS n …` and the like. */
  count(sql: string, ...values: readonly Value[]): number {
    return Number(this.one(sql, ...values)?.['n'] ?? 0)
  }

  /** How many rows it changed. */
  change(sql: string, ...values: readonly Value[]): number {
    const { changes } = this.#prepare(sql).run(...values)
    this.#stillNamed()
    return Number(changes)
  }

  /** `work` returns what is to be kept; what throws, or returns `undefined`, leaves nothing behind. */
  transaction<T>(work: () => T | undefined): T | undefined {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const done = work()
      this.#db.exec(done === undefined ? 'ROLLBACK' : 'COMMIT')
      return done
    } catch (error) {
      // A failed COMMIT may have ended the transaction by itself.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    this.#db.close()
  }

  #stillNamed(): void {
    const now = statSync(this.#path, { bigint: true, throwIfNoEntry: false })
    if (now?.ino === this.#opened.ino && now.dev === this.#opened.dev) return
    throw new Error(`${this.#path} was moved, deleted or replaced while it was open: put it back, or restart`)
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB (https://www.sqlite.org/rescode.html). */
function isCorrupt(error: unknown): error is Error & { readonly errstr: string } {
  if (!(error instanceof Error) || !('errcode' in error) || !('errstr' in error)) return false
  return (error.errcode === 11 || error.errcode === 26) && typeof error.errstr === 'string'
}
