/** Real files, and a word after every step that changes the disk: a test copies the folder there, or makes the step fail. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { type FileKind, type LogFile, type LogFiles, NodeFiles } from '../files.ts'
import { packFile } from '../segments/packed.ts'
import type { Packer } from '../segments/packer.ts'

export class WatchedFiles implements LogFiles {
  readonly path: string
  readonly #files: NodeFiles
  /** Throws to make the step fail. */
  before: (step: string) => void = () => undefined
  after: (step: string) => void = () => undefined

  constructor(path: string) {
    this.path = path
    this.#files = new NodeFiles(path)
  }

  async #step<T>(step: string, act: () => T | Promise<T>): Promise<T> {
    this.before(step)
    const done = await act()
    this.after(step)
    return done
  }

  async open(kind: FileKind, create: boolean): Promise<LogFile> {
    const file = await this.#step(`open ${kind}`, () => this.#files.open(kind, create))
    const step = <T>(name: string, act: () => T | Promise<T>) => this.#step(`${name} ${kind}`, act)
    return {
      size: () => file.size(),
      read: (into, position) => file.read(into, position),
      write: (bytes, position) => step('write', () => file.write(bytes, position)),
      sync: () => step('sync', () => file.sync()),
      truncate: length => {
        this.before(`truncate ${kind}`)
        file.truncate(length)
        this.after(`truncate ${kind}`)
      },
      linked: () => file.linked(),
      stillNamed: () => file.stillNamed(),
      close: () => file.close(),
    }
  }

  sizeOf(rolled?: number): number | undefined {
    return this.#files.sizeOf(rolled)
  }
  roll(number: number): Promise<void> {
    return this.#step('roll', () => this.#files.roll(number))
  }
  drop(number: number): Promise<void> {
    return this.#step('drop', () => this.#files.drop(number))
  }
  quarantine(bytes: Uint8Array, label: string): Promise<string> {
    return this.#files.quarantine(bytes, label)
  }

  /** In this thread, so that nothing happens between steps. */
  packer(folder: string): Packer {
    return {
      pack: (from, name) => this.#step('pack', () => packFile(from, join(folder, name))),
      has: () => true,
      close: async () => undefined,
    }
  }
}

export function copyFolder(from: string, to: string): void {
  cpSync(from, to, { recursive: true })
}
