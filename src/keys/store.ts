/**
 * Keys in files: a folder of development keys that survive a restart, and single secrets mounted as files.
 *
 * Guarantees: a key file is complete or absent (written aside, synced, then linked to its name), is created 0600 and is
 * refused when it is a symbolic link or when anyone but its owner can read it. Two processes that start at once end up
 * with the same key. Does not: encrypt keys at rest.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { Key, KeyError, SERVER_KEY_BYTES } from './ring.ts'
import { SigningKey } from './signing.ts'

/** One key per purpose: a key that leaks in one place forges nothing in another. */
export type KeyPurpose = 'chain' | 'receipts' | 'capabilities' | 'notes' | 'sealing' | 'webhooks'

/** No secret file is longer; a wrong path (a disk, a log) is not read into memory. */
const MAX_FILE = 64 * 1024

export class KeyFolder {
  readonly path: string
  readonly #random: (bytes: number) => Uint8Array

  constructor(path: string, random: (bytes: number) => Uint8Array = randomBytes) {
    this.path = path
    this.#random = random
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const mode = statSync(path).mode
    if ((mode & 0o022) !== 0) {
      throw new KeyError('key_unreadable', `others can write to ${path} (mode ${octal(mode)}); fix: chmod 700 ${path}`)
    }
  }

  /** A MAC key; made on first use. Its id is fixed at creation and kept beside the secret. */
  secret(purpose: KeyPurpose): Key {
    const path = join(this.path, `${purpose}.key`)
    const found = readPrivate(path)
    const text =
      found ??
      createPrivate(path, () => {
        const id = `${purpose}-${Buffer.from(this.#random(4)).toString('hex')}`
        return `${id} ${Buffer.from(this.#random(SERVER_KEY_BYTES)).toString('hex')}\n`
      })
    const [id = '', hex = '', ...rest] = text.trim().split(' ')
    if (rest.length > 0) {
      throw new KeyError('key_unreadable', `${path} must hold one line: <key id> <hex secret>; it has more`)
    }
    return Key.fromHex(id, hex, SERVER_KEY_BYTES)
  }

  signing(purpose: KeyPurpose): SigningKey {
    const path = join(this.path, `${purpose}.pem`)
    return SigningKey.fromPem(readPrivate(path) ?? createPrivate(path, () => SigningKey.generate().privatePem()))
  }
}

/**
 * A secret that something else mounted (a container secret). Symbolic links are followed, since orchestrators mount
 * through them, and the group may read it, since they share it that way; the world may not.
 */
export function readSecretFile(path: string): string {
  const text = readChecked(path, constants.O_RDONLY, 0o027, 'chmod 440')
  if (text === undefined) throw new KeyError('key_unreadable', `secret file ${path} does not exist`)
  const secret = text.trim()
  if (secret === '') throw new KeyError('key_unreadable', `secret file ${path} is empty`)
  return secret
}

/** `undefined` when there is none yet. */
export function readPrivate(path: string): string | undefined {
  return readChecked(path, constants.O_RDONLY | constants.O_NOFOLLOW, 0o077, 'chmod 600')
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

/** Creates the file unless another process was faster; returns what the file holds in the end. */
export function createPrivate(path: string, make: () => string): string {
  const aside = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const text = make()
  writeNew(aside, text)
  try {
    // link() fails if the name exists, and never shows a half-written file under it.
    linkSync(aside, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') {
      throw new KeyError('key_unreadable', `key file ${path} cannot be created: ${codeOf(error)}`, { cause: error })
    }
    const other = readPrivate(path)
    if (other === undefined) throw new KeyError('key_unreadable', `key file ${path} vanished while it was read`)
    return other
  } finally {
    unlinkSync(aside)
  }
  syncFolderOf(path)
  return text
}

function writeNew(path: string, text: string): void {
  let fd: number
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  } catch (error) {
    throw new KeyError('key_unreadable', `key file ${path} cannot be created: ${codeOf(error)}`, { cause: error })
  }
  try {
    writeSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function syncFolderOf(path: string): void {
  const fd = openSync(join(path, '..'), constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function octal(mode: number): string {
  return `0${(mode & 0o777).toString(8)}`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
}
