/**
 * Files that hold no secret and still decide whom the gate believes: certificates, authorities, identity settings.
 * Everybody may read them; nobody but their owner may write them. Links are followed, as orchestrators mount through them.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { errorCode } from './problem.ts'

/** Revocation lists are the longest of them. */
const MAX_BYTES = 16 * 1024 * 1024

/** Throws a one-line error that names the file. */
export function readOperatorFile(path: string, platform: NodeJS.Platform = process.platform): Uint8Array {
  let fd: number
  try {
    // O_NONBLOCK: opening a named pipe must not wait for a writer.
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    const code = errorCode(error)
    throw new Error(code === 'ENOENT' ? `file ${path} does not exist` : `file ${path} cannot be read (${code})`)
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error(`${path} is not a regular file`)
    if (platform !== 'win32' && (stat.mode & 0o022) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, '0')
      throw new Error(`others can write to ${path} (mode ${mode}); fix: chmod go-w ${path}`)
    }
    if (stat.size > MAX_BYTES) throw new Error(`${path} is larger than ${MAX_BYTES} bytes`)
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}
