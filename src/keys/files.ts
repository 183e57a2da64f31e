/**
 * Files that hold secrets.
 *
 * Guarantees: a file made here is complete or absent (written aside, synced, then linked or renamed to its name), is
 * created 0600, and is refused when it is a symbolic link or when anyone but its owner can read it. Of two processes that
 * create the same name one wins and the other sees what it wrote. Does not: encrypt at rest.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { KeyError } from './error.ts'

/** No secret file is longer; a wrong path (a disk, a log) is not read into memory. */
const MAX_FILE = 64 * 1024

/**
 * A secret that something else mounted (a container secret). Symbolic links are followed, since orchestrators mount
 * through them, and the group may read it, since they share it that way; the world may not.
 */
export function readSecretFile(path: string): string {
  const text = readChecked(path, constants.O_RDONLY, 0o027, 'chmod 600')
  if (text === undefined) throw new KeyError('key_unreadable', `secret file ${path} does not exist`)
  const secret = text.trim()
  if (secret === '') throw new KeyError('key_unreadable', `secret file ${path} is empty`)
  return secret
}

/** `undefined` when there is none yet. */
export function readPrivate(path: string): string | undefined {
  return readChecked(path, constants.O_RDONLY | constants.O_NOFOLLOW, 0o077, 'chmod 600')
}

/** Creates the file unless another process was faster; returns what the file holds in the end. */
export function createPrivate(path: string, make: () => string): string {
  const text = make()
  if (createOnly(path, text)) return text
  const other = readPrivate(path)
  if (other === undefined) throw new KeyError('key_unreadable', `key file ${path} vanished while it was read`)
  return other
}

/** False when the name was taken. */
export function createOnly(path: string, text: string): boolean {
  const aside = writeAside(path, text)
  try {
    // link() fails if the name exists, and never shows a half-written file under it.
    linkSync(aside, path)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw new KeyError('key_unreadable', `key file ${path} cannot be created: ${codeOf(error)}`, { cause: error })
  } finally {
    unlinkSync(aside)
  }
  syncFolderOf(path)
  return true
}

/** Replaces a file that `createOnly` made: readers see the old text or the new one. */
export function replacePrivate(path: string, text: string): void {
  const aside = writeAside(path, text)
  try {
    renameSync(aside, path)
  } catch (error) {
    unlinkSync(aside)
    throw new KeyError('key_unreadable', `key file ${path} cannot be replaced: ${codeOf(error)}`, { cause: error })
  }
  syncFolderOf(path)
}

function readChecked(path: string, flags: number, forbidden: number, fix: string): string | undefined {
  let fd: number
  try {
    // O_NONBLOCK: opening a named pipe must not wait for a writer.
    fd = openSync(path, flags | constants.O_NONBLOCK)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') {
      throw new KeyError('key_unreadable', `key file ${path} is a symbolic link; put the file itself there`)
    }
    throw new KeyError('key_unreadable', `key file ${path} cannot be opened: ${code}`, { cause: error })
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new KeyError('key_unreadable', `key file ${path} is not a regular file`)
    if ((stat.mode & forbidden) !== 0) {
      throw new KeyError(
        'key_unreadable',
        `key file ${path} is open to others (mode ${octal(stat.mode)}); fix: ${fix} ${path}`,
      )
    }
    if (stat.size > MAX_FILE) {
      throw new KeyError('key_unreadable', `key file ${path} has ${stat.size} bytes; at most ${MAX_FILE} are expected`)
    }
    const bytes = Buffer.alloc(MAX_FILE)
    let length = 0
    for (;;) {
      const n = readSync(fd, bytes, length, bytes.length - length, length)
      if (n === 0) return bytes.toString('utf8', 0, length)
      length += n
    }
  } finally {
    closeSync(fd)
  }
}

/** The path of a new synced file beside `path`. */
function writeAside(path: string, text: string): string {
  const aside = `${path}.${randomBytes(6).toString('hex')}.tmp`
  let fd: number
  try {
    fd = openSync(aside, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  } catch (error) {
    throw new KeyError('key_unreadable', `key file ${path} cannot be created: ${codeOf(error)}`, { cause: error })
  }
  try {
    writeSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  return aside
}

function syncFolderOf(path: string): void {
  const fd = openSync(join(path, '..'), constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

export function octal(mode: number): string {
  return `0${(mode & 0o777).toString(8)}`
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
}
