/**
 * One writer per log: a kernel lock on `<log>.lock`, held for the life of the process.
 *
 * Guarantees: a second process (also in another container on the same host) or a second writer in this process is
 * refused, and a killed process leaves no stale lock: the kernel drops it. Node has no file locks of its own; SQLite's
 * are fcntl(2) locks, so the lock file is an empty database held in an exclusive transaction. Does not: work on file
 * systems without POSIX locks, or across hosts on those that fake them.
 */
import { closeSync, constants, openSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AuditError, errno } from './files.ts'

/** Closing any descriptor of a file drops this process's locks on it, so a second attempt must not even open it. */
const held = new Set<string>()

export interface Lock {
  release(): void
}

export function lockLog(logPath: string): Lock {
  let path: string
  try {
    path = `${join(realpathSync(dirname(logPath)), basename(logPath))}.lock`
  } catch (error) {
    throw new AuditError(
      'log_unreadable',
      `the folder of ${logPath} cannot be read (${errno(error)}); create it first`,
      { cause: error },
    )
  }
  const refused = () =>
    new AuditError(
      'log_locked',
      `${logPath} is in use by another gate (${path}); stop it, or give this one its own log`,
    )
  if (held.has(path)) throw refused()
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600))
  } catch (error) {
    throw new AuditError(
      'log_unreadable',
      `${path} cannot be opened (${errno(error)}); check the folder's owner and mode`,
      {
        cause: error,
      },
    )
  }
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path)
    database.exec('PRAGMA busy_timeout=0; BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    // SQLITE_BUSY (5): somebody holds it. Anything else is a file that is not ours, or a file system without locks.
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) throw refused()
    throw new AuditError(
      'log_unreadable',
      `${path} cannot be locked; it must be an empty file on a file system with locks`,
      {
        cause: error,
      },
    )
  }
  const database_ = database
  held.add(path)
  return {
    release() {
      if (held.delete(path)) database_.close()
    },
  }
}
