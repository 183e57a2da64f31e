/**
 * A file that is made, never written into. Guarantees: an existing name, a symbolic link included (dangling or not), is
 * left as it is, and the file has its mode from its first byte on. Replacing puts a complete new file in the place of the name.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { fileError } from './context.ts'

export type Outcome = 'written' | 'exists' | 'is a symbolic link'

export function writeNewFile(path: string, text: string, mode: number, replace = false): Outcome {
  if (replace) {
    const aside = `${path}.${randomBytes(6).toString('hex')}.tmp`
    create(aside, path)
    try {
      renameSync(aside, path)
    } catch (error) {
      unlinkSync(aside)
      throw fileError(path, error)
    }
    return 'written'
  }
  return create(path, path)

  function create(at: string, shown: string): Outcome {
    let fd: number
    try {
      // O_EXCL does not follow a link in the last component (POSIX open); O_NOFOLLOW says so again.
      fd = openSync(at, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0), mode)
    } catch (error) {
      if (isExisting(error))
        return lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() === true ? 'is a symbolic link' : 'exists'
      throw fileError(shown, error)
    }
    try {
      fchmodSync(fd, mode)
      writeFileSync(fd, text)
      fsyncSync(fd)
    } catch (error) {
      throw fileError(shown, error)
    } finally {
      closeSync(fd)
    }
    return 'written'
  }
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EEXIST' || error.code === 'ELOOP')
}
