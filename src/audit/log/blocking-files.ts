/**
 * A log's folder for a thread that may block: each step is a system call in that thread. Through the thread pool a file takes five
 * hand-overs, more processor time than the file itself. To make a file or a folder takes as long as a request may wait for a core:
 * after each it gives way.
 */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { giveWay } from '../background-thread.ts'
import { errno, NO_WAIT } from '../files.ts'
import { type FolderFiles, NO_FILE } from './folder-files.ts'

export class BlockingFolderFiles implements FolderFiles {
  readonly path: string
  constructor(path: string) {
    this.path = path
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    return unless(NO_FILE, () => readFileSync(join(this.path, path), { flag: NO_WAIT }))
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    withFile(openSync(join(this.path, path), 'w', 0o644), file => writeFileSync(file, bytes))
    giveWay()
  }

  async writeSynced(path: string, bytes: Uint8Array): Promise<void> {
    withFile(openSync(join(this.path, path), 'w', 0o644), file => {
      writeFileSync(file, bytes)
      fdatasyncSync(file)
    })
  }

  async syncFile(path: string): Promise<void> {
    withFile(openSync(join(this.path, path), 'r+'), fdatasyncSync)
  }

  async rename(from: string, to: string): Promise<void> {
    renameSync(join(this.path, from), join(this.path, to))
  }

  async makeFolder(path: string): Promise<boolean> {
    const made = unless(['EEXIST'], () => {
      mkdirSync(join(this.path, path), { mode: 0o755 })
      giveWay()
      return true
    })
    return made === true
  }

  async syncFolder(path: string): Promise<void> {
    withFile(openSync(join(this.path, path), 'r'), fsyncSync)
  }

  async syncName(): Promise<void> {
    withFile(openSync(dirname(join(this.path, '.')), 'r'), fsyncSync)
  }

  async list(path: string): Promise<readonly string[]> {
    return unless(['ENOENT'], () => readdirSync(join(this.path, path))) ?? []
  }

  async remove(path: string): Promise<void> {
    unless(['ENOENT'], () => unlinkSync(join(this.path, path)))
  }

  async removeFolder(path: string): Promise<void> {
    unless(['ENOENT'], () => rmdirSync(join(this.path, path)))
  }
}

function withFile(file: number, work: (file: number) => void): void {
  try {
    work(file)
  } finally {
    closeSync(file)
  }
}

/** `undefined` where it fails with one of these. */
function unless<T>(codes: readonly string[], work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (codes.includes(errno(error))) return undefined
    throw error
  }
}
