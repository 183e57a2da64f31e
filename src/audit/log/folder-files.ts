/**
 * What a log's folder needs of a file system, as a port: a test can record every step and cut the power after any of
 * them. Paths are relative, with slashes. The Node implementation runs in the thread pool, never on the request path.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rmdir, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errno, NO_WAIT } from '../files.ts'

export interface FolderFiles {
  readonly path: string
  /** `undefined` when there is none. */
  read(path: string): Promise<Uint8Array | undefined>
  /** A new file, or one written over; neither its bytes nor its name need outlive a power cut. */
  write(path: string, bytes: Uint8Array): Promise<void>
  /** The same, but its bytes outlive a power cut when it resolves; its name may not. */
  writeSynced(path: string, bytes: Uint8Array): Promise<void>
  /** The bytes of a file that was written outlive a power cut. After a failure, another try may only seem to succeed. */
  syncFile(path: string): Promise<void>
  /** Atomic; replaces what was there. */
  rename(from: string, to: string): Promise<void>
  /** False when it was there already. The folder above exists. */
  makeFolder(path: string): Promise<boolean>
  /** The names in the folder outlive a power cut. */
  syncFolder(path: string): Promise<void>
  /** The name of the log's own folder outlives a power cut. */
  syncName(): Promise<void>
  /** Names; of a folder that does not exist, none. */
  list(path: string): Promise<readonly string[]>
  remove(path: string): Promise<void>
  removeFolder(path: string): Promise<void>
}

/** A partial tile's folder has the name of no file, and `000` is a file where `000/001` is asked for. */
export const NO_FILE: readonly string[] = ['ENOENT', 'ENOTDIR', 'EISDIR']

export class NodeFolderFiles implements FolderFiles {
  readonly path: string
  constructor(path: string) {
    this.path = path
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(join(this.path, path), { flag: NO_WAIT })
    } catch (error) {
      if (NO_FILE.includes(errno(error))) return undefined
      throw error
    }
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await writeFile(join(this.path, path), bytes, { mode: 0o644 })
  }

  async writeSynced(path: string, bytes: Uint8Array): Promise<void> {
    const file = await open(join(this.path, path), 'w', 0o644)
    await finish(file, async () => {
      await file.writeFile(bytes)
      await file.datasync()
    })
  }

  async syncFile(path: string): Promise<void> {
    const file = await open(join(this.path, path), 'r+')
    await finish(file, () => file.datasync())
  }

  rename(from: string, to: string): Promise<void> {
    return rename(join(this.path, from), join(this.path, to))
  }

  async makeFolder(path: string): Promise<boolean> {
    try {
      await mkdir(join(this.path, path), { mode: 0o755 })
      return true
    } catch (error) {
      if (errno(error) === 'EEXIST') return false
      throw error
    }
  }

  async syncFolder(path: string): Promise<void> {
    const folder = await open(join(this.path, path), 'r')
    await finish(folder, () => folder.sync())
  }

  async syncName(): Promise<void> {
    const above = await open(dirname(join(this.path, '.')), 'r')
    await finish(above, () => above.sync())
  }

  async list(path: string): Promise<readonly string[]> {
    try {
      return await readdir(join(this.path, path))
    } catch (error) {
      if (errno(error) === 'ENOENT') return []
      throw error
    }
  }

  async remove(path: string): Promise<void> {
    await ifThere(unlink(join(this.path, path)))
  }

  async removeFolder(path: string): Promise<void> {
    await ifThere(rmdir(join(this.path, path)))
  }
}

async function finish(file: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } finally {
    await file.close()
  }
}

async function ifThere(removal: Promise<void>): Promise<void> {
  try {
    await removal
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error
  }
}
