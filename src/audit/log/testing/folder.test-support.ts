/**
 * A folder that remembers every step and knows what a power cut would leave: bytes that were synced, under names whose
 * folders were. Any step can be made to fail.
 */
import type { FolderFiles } from '../folder-files.ts'

interface File {
  readonly bytes: Uint8Array
  /** What a power cut leaves of them: nothing, until they are synced. */
  lasting: Uint8Array
}
const NOTHING = new Uint8Array(0)

/** Path to bytes. */
export type View = ReadonlyMap<string, Uint8Array>

export interface Step {
  readonly what: string
  /** Everything, as a killed process leaves it. */
  readonly visible: View
  /** The least that a power cut leaves. */
  readonly durable: View
  /** A power cut that every name outlived, whether its bytes did or not. */
  readonly torn: View
}

const parent = (path: string) => (path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.')

export class MemoryFolder implements FolderFiles {
  readonly path = '/disk/audit.jsonl.tlog'
  readonly steps: Step[] = []
  /** Off for a folder of which only the end matters. */
  recording = true
  /** Asked before each step; throws to make it fail. */
  onStep: (what: string) => void = () => undefined
  #files = new Map<string, File>()
  #folders = new Set<string>()
  /** Names that outlive a power cut, and what stands under them. */
  readonly #lasting = new Map<string, File | 'folder'>()

  constructor(view: View = new Map()) {
    for (const [path, bytes] of view) {
      const file = { bytes, lasting: bytes }
      this.#files.set(path, file)
      this.#lasting.set(path, file)
      for (let folder = parent(path); ; folder = parent(folder)) {
        this.#folders.add(folder)
        this.#lasting.set(folder, 'folder')
        if (folder === '.') break
      }
    }
  }

  get view(): View {
    return new Map([...this.#files].map(([path, file]) => [path, file.bytes]))
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    return this.#files.get(path)?.bytes
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    this.#before(`write ${path}`)
    if (!this.#folders.has(parent(path))) throw Object.assign(new Error('no folder'), { code: 'ENOENT' })
    // Half of it, as a crash in the middle leaves it.
    this.#files.set(path, { bytes: bytes.slice(0, Math.floor(bytes.length / 2)), lasting: NOTHING })
    this.#step(`half of ${path}`)
    this.#files.set(path, { bytes: Uint8Array.from(bytes), lasting: NOTHING })
    this.#step(`write ${path}`)
  }

  async writeSynced(path: string, bytes: Uint8Array): Promise<void> {
    await this.write(path, bytes)
    await this.syncFile(path)
  }

  async syncFile(path: string): Promise<void> {
    this.#before(`flush ${path}`)
    const file = this.#files.get(path)
    if (file === undefined) throw Object.assign(new Error('no file'), { code: 'ENOENT' })
    file.lasting = file.bytes
    this.#step(`flush ${path}`)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#before(`rename ${to}`)
    const file = this.#files.get(from)
    if (file === undefined || !this.#folders.has(parent(to)))
      throw Object.assign(new Error('rename'), { code: 'ENOENT' })
    this.#files.delete(from)
    this.#files.set(to, file)
    this.#step(`rename ${to}`)
  }

  async makeFolder(path: string): Promise<boolean> {
    this.#before(`folder ${path}`)
    if (this.#folders.has(path)) return false
    if (path !== '.' && !this.#folders.has(parent(path))) throw Object.assign(new Error('mkdir'), { code: 'ENOENT' })
    this.#folders.add(path)
    this.#step(`folder ${path}`)
    return true
  }

  async syncFolder(path: string): Promise<void> {
    this.#before(`sync ${path}`)
    for (const name of [...this.#lasting.keys()]) {
      if (parent(name) === path && name !== '.' && !this.#files.has(name) && !this.#folders.has(name))
        this.#lasting.delete(name)
    }
    for (const [name, file] of this.#files) if (parent(name) === path) this.#lasting.set(name, file)
    for (const name of this.#folders) if (name !== '.' && parent(name) === path) this.#lasting.set(name, 'folder')
    this.#step(`sync ${path}`)
  }

  async syncName(): Promise<void> {
    this.#before('sync name')
    this.#lasting.set('.', 'folder')
    this.#step('sync name')
  }

  async list(path: string): Promise<readonly string[]> {
    const names = [...this.#files.keys(), ...this.#folders].filter(name => name !== '.' && parent(name) === path)
    return names.map(name => name.slice(path === '.' ? 0 : path.length + 1))
  }

  async remove(path: string): Promise<void> {
    this.#before(`remove ${path}`)
    this.#files.delete(path)
    this.#step(`remove ${path}`)
  }

  async removeFolder(path: string): Promise<void> {
    this.#before(`remove ${path}`)
    if ((await this.list(path)).length > 0) throw Object.assign(new Error('not empty'), { code: 'ENOTEMPTY' })
    this.#folders.delete(path)
    this.#step(`remove ${path}`)
  }

  #before(what: string): void {
    this.onStep(what)
  }

  #step(what: string): void {
    if (!this.recording) return
    const torn = new Map([...this.#files].map(([path, file]) => [path, file.lasting]))
    this.steps.push({ what, visible: this.view, durable: this.#durable(), torn })
  }

  #durable(): View {
    const view = new Map<string, Uint8Array>()
    for (const [path, file] of this.#lasting) {
      if (file === 'folder') continue
      let kept = true
      for (let folder = parent(path); folder !== '.'; folder = parent(folder)) kept &&= this.#lasting.has(folder)
      if (kept && this.#lasting.has('.')) view.set(path, file.lasting)
    }
    return view
  }
}
