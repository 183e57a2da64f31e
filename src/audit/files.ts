/**
 * The files of a log, as a port: a test can record every write and cut the power anywhere.
 *
 * The Node implementation guarantees: regular files only, symbolic links refused, created 0600, their folder synced
 * after a file is made. Small writes are done in place (a few microseconds into the page cache, cheaper than a thread
 * hop); large ones and every sync run in the thread pool.
 */
import {
  close,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { MaybeAsync } from '../core/check.ts'

export interface LogFile {
  size(): number
  /** Up to `into.length` bytes; less at the end. */
  read(into: Uint8Array, position: number): number
  /** May write less than asked, as write(2) may. Throws or rejects on error. */
  write(bytes: Uint8Array, position: number): MaybeAsync<number>
  /** fdatasync(2). */
  sync(): Promise<void>
  truncate(length: number): void
  /** False once no name is left for this file: what is written to it is kept nowhere. Cheap. */
  linked(): boolean
  /** True while the path still names this file. */
  stillNamed(): Promise<boolean>
  close(): Promise<void>
}

export type FileKind = 'log' | 'head' | 'manifest'

export interface LogFiles {
  readonly path: string
  /** `create` makes it when there is none; otherwise a missing file throws. */
  open(kind: FileKind, create: boolean): Promise<LogFile>
  /** Bytes of the live file, or of the rolled file with this number; `undefined` when there is none. */
  sizeOf(rolled?: number): number | undefined
  /** Names the live file as the rolled file with this number, durably. There is no live file then. */
  roll(number: number): Promise<void>
  /** Removes a rolled file that is packed. */
  drop(number: number): Promise<void>
  /** Keeps bytes that were cut off the log, in a new file, durably; returns its path. */
  quarantine(bytes: Uint8Array, label: string): Promise<string>
}

export type AuditErrorCode =
  | 'log_unreadable'
  | 'log_not_regular'
  | 'log_locked'
  | 'log_broken'
  | 'head_missing'
  | 'head_mismatch'
  | 'log_truncated'
  | 'key_unknown'
  | 'manifest_invalid'
  | 'segment_missing'

/** One line: what was expected, what was found, what to do. */
export class AuditError extends Error {
  override readonly name = 'AuditError'
  readonly code: AuditErrorCode
  constructor(code: AuditErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const SMALL_WRITE = 64 * 1024

/** `audit.jsonl.000012`: a file that is no longer written, until it is packed. */
export function rolledName(path: string, number: number): string {
  return `${path}.${String(number).padStart(6, '0')}`
}

export class NodeFiles implements LogFiles {
  readonly path: string
  constructor(path: string) {
    this.path = path
  }

  async open(kind: FileKind, create: boolean): Promise<LogFile> {
    const path = kind === 'log' ? this.path : `${this.path}.${kind}`
    const { O_RDWR, O_NOFOLLOW, O_NONBLOCK, O_CREAT, O_EXCL } = constants
    const flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK
    try {
      return new NodeFile(path, openSync(path, flags))
    } catch (error) {
      if (error instanceof AuditError) throw error
      if (errno(error) !== 'ENOENT' || !create) throw cannotOpen(path, error)
    }
    let file: NodeFile
    try {
      file = new NodeFile(path, openSync(path, flags | O_CREAT | O_EXCL, 0o600))
    } catch (error) {
      throw error instanceof AuditError ? error : cannotOpen(path, error)
    }
    await syncFolder(dirname(path))
    return file
  }

  sizeOf(rolled?: number): number | undefined {
    const path = rolled === undefined ? this.path : rolledName(this.path, rolled)
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return undefined
    if (!found.isFile()) throw new AuditError('log_not_regular', `${path} is not a regular file; restore the log`)
    return found.size
  }

  async roll(number: number): Promise<void> {
    const to = rolledName(this.path, number)
    // Nobody else makes such a name while the log is locked; a rename would take its place silently.
    if (this.sizeOf(number) !== undefined) throw Object.assign(new Error(`${to} is there already`), { code: 'EEXIST' })
    renameSync(this.path, to)
    await syncFolder(dirname(to))
  }

  async drop(number: number): Promise<void> {
    const path = rolledName(this.path, number)
    unlinkSync(path)
    await syncFolder(dirname(path))
  }

  async quarantine(bytes: Uint8Array, label: string): Promise<string> {
    const path = `${this.path}.quarantine-${label}`
    const { O_WRONLY, O_NOFOLLOW, O_CREAT, O_EXCL } = constants
    const file = new NodeFile(path, openSync(path, O_WRONLY | O_NOFOLLOW | O_CREAT | O_EXCL, 0o600))
    try {
      let done = 0
      while (done < bytes.length) done += await file.write(bytes.subarray(done), done)
      await file.sync()
    } finally {
      await file.close()
    }
    await syncFolder(dirname(path))
    return path
  }
}

class NodeFile implements LogFile {
  readonly #path: string
  readonly #fd: number
  readonly #ino: bigint
  readonly #dev: bigint

  constructor(path: string, fd: number) {
    this.#path = path
    this.#fd = fd
    const found = fstatSync(fd, { bigint: true })
    if (!found.isFile()) {
      close(fd, ignore)
      throw new AuditError('log_not_regular', `${path} is not a regular file; give the audit log a file of its own`)
    }
    this.#ino = found.ino
    this.#dev = found.dev
  }

  size(): number {
    return fstatSync(this.#fd).size
  }

  read(into: Uint8Array, position: number): number {
    let done = 0
    while (done < into.length) {
      const n = readSync(this.#fd, into, done, into.length - done, position + done)
      if (n === 0) break
      done += n
    }
    return done
  }

  write(bytes: Uint8Array, position: number): MaybeAsync<number> {
    if (bytes.length <= SMALL_WRITE) return writeSync(this.#fd, bytes, 0, bytes.length, position)
    return new Promise((resolve, reject) => {
      write(this.#fd, bytes, 0, bytes.length, position, (error, n) => (error === null ? resolve(n) : reject(error)))
    })
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, error => (error === null ? resolve() : reject(error)))
    })
  }

  truncate(length: number): void {
    ftruncateSync(this.#fd, length)
  }

  linked(): boolean {
    return fstatSync(this.#fd).nlink > 0
  }

  async stillNamed(): Promise<boolean> {
    try {
      const now = await stat(this.#path, { bigint: true })
      return now.ino === this.#ino && now.dev === this.#dev
    } catch {
      return false
    }
  }

  close(): Promise<void> {
    return new Promise(resolve => close(this.#fd, () => resolve()))
  }
}

/** A new name is durable only when its folder is (fsync(2), "does not necessarily ensure"). */
function syncFolder(path: string): Promise<void> {
  const fd = openSync(path, constants.O_RDONLY)
  return new Promise((resolve, reject) => {
    fsync(fd, error => {
      close(fd, ignore)
      if (error === null) resolve()
      else reject(error)
    })
  })
}

function ignore(): void {
  // Closing a descriptor that is given up: there is nothing left to do about an error.
}

function cannotOpen(path: string, error: unknown): AuditError {
  const code = errno(error)
  if (code === 'ELOOP') {
    return new AuditError('log_not_regular', `${path} is a symbolic link; name the file itself`, { cause: error })
  }
  const fix =
    code === 'ENOENT' ? 'create its folder, or restore the file' : 'check that this user may read and write it'
  return new AuditError('log_unreadable', `${path} cannot be opened (${code}); ${fix}`, { cause: error })
}

/** For files that others may have put there: opening a FIFO must not wait for somebody who writes into it. */
export const NO_WAIT = constants.O_RDONLY | constants.O_NONBLOCK

export function errno(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
}
