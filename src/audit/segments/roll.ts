/**
 * Rolls the live file into log segments. A roll is a line in the manifest, a rename and a new file, in this order; then the
 * rolled file is packed in a thread, a second line says so, and the rolled file goes.
 *
 * Guarantees: killed anywhere in between, the next start completes what was begun, or undoes a roll whose rename never came;
 * no row is in two files or in none. Nothing that is on the disk is written again, but for a torn end of the manifest. A roll
 * that cannot be noted is put off, and rows go on into the same file. Packing that fails is tried again; rows stay readable
 * in the rolled file. A manifest that another program changed, cut or removed is written again before the next line is
 * added, and at the end. Does not: decide how long segments are kept, or roll while no row comes.
 */
import { basename } from 'node:path'
import type { KeyRing } from '../../keys/ring.ts'
import type { Position } from '../chain.ts'
import { AuditError, errno, type LogFile, type LogFiles, rolledName } from '../files.ts'
import { writeAll } from '../head.ts'
import { readStored } from '../stored.ts'
import {
  encodePacked,
  encodeRolled,
  endOf,
  type Manifest,
  macOf,
  NO_SEGMENTS,
  parseManifest,
  type SegmentEntry,
} from './manifest.ts'
import type { Packer } from './packer.ts'

export interface RollPolicy {
  /** Bytes of the live file from which on it rolls. */
  readonly bytes: number
  /** Age of its first row from which on it rolls; `undefined` for never. */
  readonly ageNs?: bigint | undefined
}

export interface RollPorts {
  readonly files: LogFiles
  readonly ring: KeyRing
  readonly policy: RollPolicy
  /** Without one rolled files stay as they are. */
  readonly packer?: Packer | undefined
  readonly later: (ms: number, f: () => void) => () => void
  /** For the operator's log: a segment that was made, or why it could not be. */
  readonly onSegment?: ((ok: boolean, text: string) => void) | undefined
}

const RETRY_MS = 30_000
const LONGEST_LINE = 16 * 1024 * 1024

export class Segments {
  readonly #ports: RollPorts
  #manifest: Manifest = NO_SEGMENTS
  /** What the file holds when nobody else writes it: `#manifest.length` bytes. */
  #text: Buffer = Buffer.alloc(0)
  #restored = false
  #loaded = false
  /** Timestamp of the live file's first row. */
  #beganNs: bigint | undefined
  #changing: Promise<void> = Promise.resolve()
  #putOff = false
  #packing: Promise<void> | undefined
  #packFailed = false
  #cancelRetry: (() => void) | undefined
  #closed = false

  constructor(ports: RollPorts) {
    this.#ports = ports
  }

  /** Where the live file begins. */
  get base(): Position {
    return endOf(this.#manifest)
  }

  get entries(): readonly SegmentEntry[] {
    return this.#manifest.entries
  }

  /** True once after the manifest had to be written again. */
  takeRestored(): boolean {
    const restored = this.#restored
    this.#restored = false
    return restored
  }

  /** Reads the manifest and finishes or undoes what a crash interrupted. The log is locked, nothing is open. */
  settle(): Promise<void> {
    return this.#alone(() => this.#settle())
  }

  async #settle(): Promise<void> {
    // While the gate runs, what it knows counts: a line whose sync failed may be on the disk, and was given up.
    const starting = !this.#loaded
    if (this.#loaded) await this.#trim()
    else this.#manifest = await this.#load()
    this.#loaded = true
    this.#beganNs = undefined
    const { files } = this.#ports
    for (const entry of this.#manifest.entries) {
      const { number, from, to } = entry
      if (entry.packed !== undefined) {
        const done = this.#ports.packer?.has(entry.packed.file, entry.packed.bytes) === true
        if (done && files.sizeOf(number) !== undefined) await files.drop(number)
        continue
      }
      const size = files.sizeOf(number)
      const expected = to.length - from.length
      if (size === expected) continue
      if (size !== undefined) {
        throw new AuditError(
          'log_truncated',
          `${rolledName(files.path, number)} has ${size} bytes, the manifest knows ${expected}; restore it`,
        )
      }
      if (entry !== this.#manifest.entries.at(-1)) throw missing(files.path, number)
      await this.#finishRoll(entry)
    }
    if (starting) this.#noteAway()
  }

  /** Segments may be moved away, so a gate runs without them; that they are where the operator put them, only he knows. */
  #noteAway(): void {
    const { packer, onSegment } = this.#ports
    if (packer === undefined) return
    const away = this.#manifest.entries.flatMap(({ packed }) =>
      packed === undefined || packer.has(packed.file, packed.bytes) ? [] : [packed.file],
    )
    if (away.length === 0) return
    const which =
      away.length === 1 ? `log segment ${away[0]} is` : `${away.length} log segments (the first: ${away[0]}) are`
    onSegment?.(
      false,
      `${which} not here as the manifest knows ${away.length === 1 ? 'it' : 'them'}: moved away, lost or cut; signet audit verify --segments FOLDER looks into them`,
    )
  }

  /** The rename did not happen: it does now, unless rows were written after the roll was given up. */
  async #finishRoll(entry: SegmentEntry): Promise<void> {
    const { files } = this.#ports
    const live = files.sizeOf()
    const bytes = entry.to.length - entry.from.length
    if (live === undefined || live < bytes) throw missing(files.path, entry.number)
    const log = await files.open('log', false)
    try {
      const tail = Buffer.alloc(Math.min(bytes, LONGEST_LINE))
      log.read(tail, bytes - tail.length)
      const line = tail.subarray(tail.lastIndexOf(0x0a, tail.length - 2) + 1, tail.length - 1)
      const read = readStored(line)
      if (!read.ok || read.row.hmac !== entry.to.hmac) throw missing(files.path, entry.number)
    } finally {
      await log.close()
    }
    if (live === bytes) await files.roll(entry.number)
    else await this.#undo()
  }

  /** Takes the last line off the manifest: the live file went on, so there is no such segment. */
  async #undo(): Promise<void> {
    const file = await this.#ports.files.open('manifest', false)
    try {
      const bytes = Buffer.alloc(file.size())
      file.read(bytes, 0)
      const cut = bytes.lastIndexOf(0x0a, this.#manifest.length - 2) + 1
      file.truncate(cut)
      await file.sync()
      this.#text = bytes.subarray(0, cut)
      this.#manifest = parseManifest(this.#text, this.#ports.ring)
    } finally {
      await file.close()
    }
  }

  async #trim(): Promise<void> {
    let file: LogFile
    try {
      file = await this.#ports.files.open('manifest', this.#text.length > 0)
    } catch (error) {
      if (this.#text.length === 0 && isMissing(error)) return
      throw error
    }
    try {
      if (await this.#asKnown(file)) await file.sync()
    } finally {
      await file.close()
    }
  }

  /** Makes the file what is known here; true when it was not. */
  async #asKnown(file: LogFile): Promise<boolean> {
    const { length } = this.#text
    const there = Buffer.alloc(length)
    const differs = file.read(there, 0) < length || !there.equals(this.#text)
    if (differs) {
      await writeAll(file, this.#text, 0)
      this.#restored = true
      this.#ports.onSegment?.(
        false,
        `${this.#ports.files.path}.manifest was changed, cut or removed by another program; it is written again as it was`,
      )
    }
    if (file.size() === length) return differs
    file.truncate(length)
    return true
  }

  async #load(): Promise<Manifest> {
    const { files, ring } = this.#ports
    let file: LogFile
    try {
      file = await files.open('manifest', false)
    } catch (error) {
      if (isMissing(error)) return NO_SEGMENTS
      throw error
    }
    try {
      const bytes = Buffer.alloc(file.size())
      file.read(bytes, 0)
      const manifest = parseManifest(bytes, ring)
      const [fault] = manifest.faults
      if (fault !== undefined) {
        throw new AuditError(
          'manifest_invalid',
          `${files.path}.manifest: line ${fault.line} ${fault.detail}; run signet audit verify, and restore the file`,
        )
      }
      if (manifest.torn > 0) {
        file.truncate(manifest.length)
        await file.sync()
      }
      this.#text = bytes.subarray(0, manifest.length)
      return manifest
    } finally {
      await file.close()
    }
  }

  due(at: Position, nowNs: bigint, log: LogFile): boolean {
    if (this.#putOff || at.count === this.base.count) return false
    const { bytes, ageNs } = this.#ports.policy
    if (at.length - this.base.length >= bytes) return true
    if (ageNs === undefined) return false
    this.#beganNs ??= firstTsOf(log)
    return nowNs - this.#beganNs >= ageNs
  }

  /**
   * Everything up to `at` is durable in the live file and nothing is beyond it. Returns the new live file; `undefined` when
   * the roll was put off. Throws when there is no live file left to write to.
   */
  async roll(at: Position, log: LogFile): Promise<LogFile | undefined> {
    const { files, ring } = this.#ports
    const from = this.base
    const number = (this.#manifest.entries.at(-1)?.number ?? 0) + 1
    const entry = { number, from, to: at, firstTsNs: this.#beganNs ?? firstTsOf(log) }
    try {
      // Before the line that names it: once that is there, the log goes nowhere until the rename could be made.
      if (files.sizeOf(number) !== undefined) {
        const name = basename(rolledName(files.path, number))
        throw Object.assign(new Error(`${name} is in the way`), { code: `${name} is there already, remove it` })
      }
      await this.#append(
        previous => encodeRolled(entry, ring.active, previous),
        entries => [...entries, { ...entry, packed: undefined }],
      )
    } catch (error) {
      this.#putOff = true
      this.#ports.later(RETRY_MS, () => {
        this.#putOff = false
      })
      this.#ports.onSegment?.(false, `the live file could not be rolled (${errno(error)}); it goes on as it is`)
      return undefined
    }
    await files.roll(number)
    const next = await files.open('log', true)
    this.#beganNs = undefined
    this.pack()
    return next
  }

  /** Packs what is rolled and not packed, oldest first, in the background. */
  pack(): void {
    if (this.#packing !== undefined || this.#closed || this.#ports.packer === undefined) return
    if (this.#manifest.entries.every(e => e.packed !== undefined)) return
    this.#packing = this.#packAll()
      .catch((error: unknown) => {
        if (this.#closed) return
        if (!this.#packFailed) this.#ports.onSegment?.(false, `a log segment could not be packed (${errno(error)})`)
        this.#packFailed = true
        this.#cancelRetry = this.#ports.later(RETRY_MS, () => this.pack())
      })
      .finally(() => {
        this.#packing = undefined
      })
  }

  /** Resolves when nothing is being packed: for tests and for commands that roll a log. */
  async packed(): Promise<void> {
    await this.#packing
  }

  async #packAll(): Promise<void> {
    const { files, ring, packer } = this.#ports
    for (;;) {
      const entry = this.#manifest.entries.find(e => e.packed === undefined)
      if (entry === undefined || packer === undefined || this.#closed) return
      const { number, from, to } = entry
      const rolled = rolledName(files.path, number)
      const made = await packer.pack(rolled, `${basename(rolled)}.zst`)
      if (BigInt(made.rows) !== to.count - from.count || made.rawBytes !== to.length - from.length) {
        throw Object.assign(new Error(`${rolled} is not what was rolled`), { code: 'changed by another program' })
      }
      if (this.#closed) return
      await this.#append(
        previous => encodePacked(number, made, ring.active, previous),
        entries => entries.map(e => (e.number === number ? { ...e, packed: made } : e)),
      )
      await files.drop(number)
      this.#packFailed = false
      this.#ports.onSegment?.(true, `log segment ${number}: rows ${from.count} to ${to.count - 1n}, ${made.file}`)
    }
  }

  /** Durable when it resolves. After a failure the manifest is as before, or longer by bytes that the next append cuts. */
  #append(
    encode: (previousMac: string) => string,
    change: (entries: readonly SegmentEntry[]) => readonly SegmentEntry[],
  ): Promise<void> {
    return this.#alone(async () => {
      const before = this.#manifest
      const line = encode(before.mac)
      const file = await this.#ports.files.open('manifest', true)
      try {
        await this.#asKnown(file)
        try {
          await writeAll(file, Buffer.from(line), before.length)
          await file.sync()
        } catch (error) {
          file.truncate(before.length)
          throw error
        }
      } finally {
        await file.close()
      }
      const length = before.length + Buffer.byteLength(line)
      this.#text = Buffer.concat([this.#text, Buffer.from(line)])
      this.#manifest = { entries: change(before.entries), length, torn: 0, mac: macOf(line), faults: [] }
    })
  }

  /** One change of the manifest at a time. */
  #alone(act: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(act, act)
    this.#changing = done.catch(() => undefined)
    return done
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelRetry?.()
    await this.#ports.packer?.close()
    await this.#packing
    if (this.#loaded) {
      await this.#alone(() => this.#trim()).catch((error: unknown) => {
        this.#ports.onSegment?.(false, `${this.#ports.files.path}.manifest could not be looked at (${errno(error)})`)
      })
    }
  }
}

function firstTsOf(log: LogFile): bigint {
  for (let room = 64 * 1024; room <= LONGEST_LINE; room *= 16) {
    const bytes = Buffer.alloc(room)
    const end = bytes.subarray(0, log.read(bytes, 0)).indexOf(0x0a)
    if (end < 0) continue
    const read = readStored(bytes.subarray(0, end))
    return read.ok ? read.row.tsNs : 0n
  }
  return 0n
}

function missing(path: string, number: number): AuditError {
  return new AuditError('segment_missing', `${rolledName(path, number)} is missing; restore it beside the log`)
}

function isMissing(error: unknown): boolean {
  return errno(error) === 'ENOENT' || (error instanceof AuditError && errno(error.cause) === 'ENOENT')
}
