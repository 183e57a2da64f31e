/** One SQLite file (`node:sqlite`) for its owner alone (0600): a statement that returned is on the disk. */
import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/**
 * Opens or makes it with `schema`. `form` is the number of the file's form (`user_version`); a file of another is refused
 * rather than guessed at. Throws with one line.
 */
export function openPrivateDatabase(path: string, schema: string, form: number): DatabaseSync {
  // Made with its mode before SQLite sees it: what SQLite makes beside it takes the mode over.
  closeSync(openSync(path, 'a', 0o600))
  chmodSync(path, 0o600)
  const db = new DatabaseSync(path, { timeout: 5_000 })
  try {
    db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF')
    const found = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0)
    if (found !== 0 && found !== form) {
      throw new Error(
        `${path}: expected a store of form ${form}, found ${found}; it was made by another version of signet`,
      )
    }
    // A file of this form has its tables: a start that writes nothing waits for no disk.
    if (found !== form) db.exec(`BEGIN IMMEDIATE; ${schema} PRAGMA user_version=${form}; COMMIT`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
