/**
 * A disk that remembers: every write and sync is recorded, any of them can fail or fall short, and `crashes()` lists
 * the contents a power cut could leave after each step.
 */
import type { FileKind, LogFile, LogFiles } from '../files.ts'

interface Content {
  bytes: Buffer
  /** What the last completed sync covers. */
  synced: Buffer
}

export type Fault = 'none' | 'short' | 'nothing' | 'error'

export class Disk implements LogFiles {
  readonly path = '/disk/audit.jsonl'
  readonly contents = new Map<string, Content>()
  readonly quarantined: Buffer[] = []
  /** Bytes that still fit on the log's disk. */
  room = Number.POSITIVE_INFINITY
  /** Asked before each operation of the log or the head. */
  onWrite: (kind: FileKind, bytes: Uint8Array) => Fault = () => 'none'
  onSync: (kind: FileKind) => Fault | Promise<Fault> = () => 'none'
  onRoll: () => Fault = () => 'none'
  onOpen: (kind: FileKind) => Fault = () => 'none'
  writes = 0
  syncs = 0
  opens = 0
  /** Descriptors on which a sync failed, and whether anything was done with them after. */
  reusedAfterFailedSync = false
  /** After each write and sync: what was synced, and what a power cut could leave at most. */
  readonly steps: { readonly synced: Buffer; readonly bytes: Buffer }[] = []

  content(kind: FileKind): Content {
    const found = this.contents.get(kind)
    if (found === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    return found
  }

  get log(): Buffer {
    return this.content('log').bytes
  }

  async open(kind: FileKind, create: boolean): Promise<LogFile> {
    this.opens++
    if (this.onOpen(kind) !== 'none') throw Object.assign(new Error('open'), { code: 'EROFS' })
    if (create && !this.contents.has(kind)) {
      this.contents.set(kind, { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) })
    }
    return this.#file(kind, this.content(kind))
  }

  sizeOf(rolled?: number): number | undefined {
    return this.contents.get(rolled === undefined ? 'log' : `rolled-${rolled}`)?.bytes.length
  }

  async roll(number: number): Promise<void> {
    if (this.onRoll() !== 'none') throw Object.assign(new Error('rename'), { code: 'EIO' })
    this.contents.set(`rolled-${number}`, this.content('log'))
    this.contents.delete('log')
  }

  async drop(number: number): Promise<void> {
    this.contents.delete(`rolled-${number}`)
  }

  async quarantine(bytes: Uint8Array): Promise<string> {
    this.quarantined.push(Buffer.from(bytes))
    return `${this.path}.quarantine-1`
  }

  #file(kind: FileKind, content: Content): LogFile {
    let failed = false
    const touch = () => {
      if (failed) this.reusedAfterFailedSync = true
    }
    const step = () => {
      if (kind === 'log') this.steps.push({ synced: content.synced, bytes: content.bytes })
    }
    return {
      size: () => content.bytes.length,
      read: (into, position) => content.bytes.copy(into, 0, position, position + into.length),
      write: (bytes, position) => {
        touch()
        if (kind === 'log') this.writes++
        const fault = this.onWrite(kind, bytes)
        if (fault === 'nothing') return 0
        if (fault === 'error') throw Object.assign(new Error('write'), { code: 'EIO' })
        let n = fault === 'short' ? Math.ceil(bytes.length / 3) : bytes.length
        if (kind === 'log' && position + n > this.room) {
          n = Math.max(0, this.room - position)
          if (n === 0) throw Object.assign(new Error('disk full'), { code: 'ENOSPC' })
        }
        const next = Buffer.alloc(Math.max(content.bytes.length, position + n))
        content.bytes.copy(next)
        next.set(bytes.subarray(0, n), position)
        content.bytes = next
        step()
        return n
      },
      sync: async () => {
        touch()
        if (kind === 'log') this.syncs++
        const covered = content.bytes
        const fault = await this.onSync(kind)
        if (fault !== 'none') {
          failed = true
          throw Object.assign(new Error('sync'), { code: 'EIO' })
        }
        content.synced = covered
        step()
      },
      truncate: length => {
        touch()
        content.bytes = content.bytes.subarray(0, length)
        step()
      },
      linked: () => this.contents.get(kind) === content,
      stillNamed: async () => this.contents.get(kind) === content,
      close: async () => undefined,
    }
  }
}

/** Timers that fire when told. */
export class Timers {
  #waiting: (() => void)[] = []
  readonly delays: number[] = []
  readonly later = (ms: number, f: () => void): (() => void) => {
    this.delays.push(ms)
    this.#waiting.push(f)
    return () => {
      this.#waiting = this.#waiting.filter(w => w !== f)
    }
  }
  get pending(): number {
    return this.#waiting.length
  }
  fire(): void {
    const now = this.#waiting
    this.#waiting = []
    for (const f of now) f()
  }
}
