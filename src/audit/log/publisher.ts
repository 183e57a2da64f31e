/**
 * Takes durable rows into the log: leaves, tiles, checkpoints. All of it is off the request path: rows are handed over
 * by reference, hashed in short slices, written in the thread pool.
 *
 * Guarantees: entry i is the leaf of row i, and only durable rows are entries. Order: tiles and bundles, their
 * names made to last, then the signature, the signed checkpoint kept, and only then shown to anybody. `reached` resolves
 * when the row is under a signed checkpoint that is kept (`logged`), or one that enough witnesses have cosigned
 * (`witnessed`). A folder that cannot be written loses nothing: rows stay in the audit log and are read again from there,
 * with back-off; meanwhile `status` says how far behind the log is. Once halted it signs and shows nothing, and lets nobody
 * through who waits for it; rows are not concerned.
 *
 * Does not: keep more than `MAX_WAITING` rows in memory, or hold up a row.
 */
import type { LogLevel, RowLogStatus } from '../../core/row.ts'
import { errno } from '../files.ts'
import type { DurableRow } from '../writer.ts'
import { toUtf8 } from './bytes.ts'
import { formatCheckpoint } from './checkpoint.ts'
import { LogInvalid } from './errors.ts'
import type { LogFolder } from './folder.ts'
import { leafOfLine } from './leaf.ts'
import { type NoteSigner, signNote } from './note.ts'
import type { RowSource } from './rows.ts'
import type { Tile } from './tile.ts'
import type { GrowingTree, TileBytes } from './tree.ts'
import { Waiters } from './waiters.ts'
import type { Witnesses } from './witnesses.ts'

/** Rows kept in memory for the log; more are read again from the audit log. */
const MAX_WAITING = 8192
/** Rows that are not left waiting for the interval. */
const MANY = 4096
/** Hashed in one go, a quarter of a millisecond. */
const SLICE = 64
/** Fewer rows wait for more: taking each by itself costs the next request more than the row does. */
const WORTH_IT = 16
/** Rows of one checkpoint, so that a long catching up is not lost when it is interrupted. */
const MOST_AT_ONCE = 65_536
/** Full tiles kept in memory before they are written: some five megabytes, less than their rows are. */
const MAX_UNWRITTEN = 128
const FIRST_BACKOFF_MS = 100
const LAST_BACKOFF_MS = 5000

export interface PublisherPorts {
  readonly folder: LogFolder
  readonly source: RowSource
  readonly signer: NoteSigner
  readonly origin: string
  /** At most this long between a durable row and its checkpoint, while the folder can be written. */
  readonly intervalMs: number
  readonly nowMs: () => number
  /** Calls back after a delay; returns how to cancel. */
  readonly later: (ms: number, f: () => void) => () => void
  /** Lets everything else run. */
  readonly pause: () => Promise<void>
  readonly witnesses: Witnesses | undefined
  readonly onState: ((ok: boolean, reason: string) => void) | undefined
  /** From the start on; see `halt`. */
  readonly halted?: LogInvalid | undefined
}

/** A log as its folder has it. */
export interface Restored {
  /** As of the last signed checkpoint. */
  readonly tree: GrowingTree
  /** That checkpoint. */
  readonly signed: string | undefined
  /** Entries under the checkpoint that is shown. */
  readonly shown: number
}

export class Publisher {
  readonly #ports: PublisherPorts
  readonly #tree: GrowingTree
  /** The rows that come next for the tree, while none is missing in between. */
  #waiting: DurableRow[] = []
  #durable: number
  #signed: number
  /** There is a signed checkpoint, of an empty log at least. */
  #begun: boolean
  /** Entries under the checkpoint that is shown; with witnesses, under the one that they have cosigned. */
  #shown: number
  /** The last signed checkpoint, while witnesses have not seen it. */
  #unwitnessed: { readonly note: string; readonly size: number } | undefined
  #unwritten: TileBytes[] = []
  /** Whose partial tiles are still to be removed. */
  #filled: Tile[] = []
  readonly #waiters = new Waiters()
  #running: Promise<void> | undefined
  #soaking = false
  #witnessing: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #cancelWitnessTimer: (() => void) | undefined
  #witnessBackoffMs = FIRST_BACKOFF_MS
  #trouble: LogInvalid | undefined
  #halted: LogInvalid | undefined
  #backoffMs = FIRST_BACKOFF_MS
  #lastAt: number
  #behindSince: number | undefined
  #closed = false

  /** `rows`: how many are durable. */
  constructor(ports: PublisherPorts, { tree, signed, shown }: Restored, rows: number) {
    this.#ports = ports
    this.#tree = tree
    this.#durable = rows
    this.#signed = tree.size
    this.#begun = signed !== undefined
    this.#shown = shown
    this.#halted = ports.halted
    this.#lastAt = ports.nowMs()
    if (rows > tree.size) this.#behindSince = this.#lastAt
    if (signed !== undefined && shown < tree.size && ports.witnesses !== undefined) {
      this.#unwitnessed = { note: signed, size: tree.size }
      this.#witness(ports.witnesses)
    }
    this.#schedule()
  }

  get status(): RowLogStatus {
    const trouble = this.#halted ?? this.#trouble
    return {
      ok: trouble === undefined,
      reason: trouble?.message,
      halted: this.#halted !== undefined,
      size: this.#signed,
      behind: this.#durable - this.#signed,
      behindMs: this.#behindSince === undefined ? 0 : Math.max(0, this.#ports.nowMs() - this.#behindSince),
      witnessed: this.#ports.witnesses === undefined ? undefined : this.#shown,
    }
  }

  /** Durable rows, in order. Never throws. */
  push(rows: readonly DurableRow[]): void {
    const last = rows.at(-1)
    if (last === undefined) return
    if (this.#halted !== undefined || this.#waiting.length + rows.length > MAX_WAITING) this.#waiting = []
    else for (const row of rows) this.#waiting.push(row)
    this.#durable = Number(last.placed.index) + 1
    this.#behindSince ??= this.#ports.nowMs()
    if (this.#waiting.length >= WORTH_IT) this.#soak().catch(() => undefined)
    this.#schedule()
  }

  /** Into the tree soon, in memory: a row that is kept until the next checkpoint outlives its garbage collection. */
  async #soak(): Promise<void> {
    if (this.#soaking) return
    this.#soaking = true
    try {
      // The callers who were just told that their rows are durable go first.
      await this.#ports.pause()
      while (this.#trouble === undefined && this.#unwritten.length + this.#tree.untaken < MAX_UNWRITTEN) {
        if (!this.#appendSlice(this.#durable)) break
        await this.#ports.pause()
      }
    } finally {
      this.#soaking = false
    }
  }

  /** The next rows that are in memory; false when there are none. Synchronous: two that do this do not meet. */
  #appendSlice(to: number): boolean {
    const waiting = this.#nextWaiting()
    if (waiting === undefined) return false
    const slice = waiting.splice(0, Math.min(SLICE, to - this.#tree.size))
    for (const row of slice) this.#tree.append(row.placed.leaf)
    return slice.length > 0
  }

  /** Asking makes the next checkpoint come at once. Rejects with `LogInvalid` when it cannot be made. */
  reached(index: number, level: LogLevel): Promise<void> {
    if (level === 'witnessed' && this.#ports.witnesses === undefined) {
      return Promise.reject(new LogInvalid('quorum_unmet', 'no witnesses are configured'))
    }
    if (this.#halted !== undefined) return Promise.reject(this.#halted)
    if (this.#has(level) > index) return Promise.resolve()
    if (this.#closed) return Promise.reject(new LogInvalid('not_yet_logged', 'the transparency log is closed'))
    const reached = this.#waiters.add(index, level)
    this.#schedule()
    return reached
  }

  /** For good: somebody has seen another history than this one, and it must not be made longer. */
  halt(why: LogInvalid): void {
    this.#halted ??= why
    this.#cancelTimer?.()
    this.#cancelWitnessTimer?.()
    this.#waiting = []
    this.#waiters.refuse(this.#halted)
  }

  /** Publishes what is durable, once more, and stops. Never rejects: what is missing is taken up at the next start. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTimer?.()
    this.#cancelWitnessTimer?.()
    await this.#running
    if (this.#isBehind && this.#trouble === undefined && this.#halted === undefined) await this.#round()
    await this.#witnessing
    this.#waiters.refuse(new LogInvalid('not_yet_logged', 'the transparency log was closed'))
  }

  /** Rows to sign, nothing signed yet, or, after a failure, a signed checkpoint to show. */
  get #isBehind(): boolean {
    if (!this.#begun || this.#durable > this.#signed) return true
    return this.#ports.witnesses === undefined && this.#shown < this.#signed
  }

  #schedule(): void {
    if (this.#running !== undefined || this.#closed || this.#halted !== undefined || !this.#isBehind) return
    const asked = this.#waiters.wants(this.#signed, this.#durable)
    const soon = this.#trouble === undefined && (asked || this.#durable - this.#signed >= MANY)
    if (soon) {
      this.#cancelTimer?.()
      this.#cancelTimer = undefined
      this.#start()
      return
    }
    if (this.#cancelTimer !== undefined) return
    const due =
      this.#trouble === undefined ? this.#lastAt + this.#ports.intervalMs - this.#ports.nowMs() : this.#backoffMs
    this.#cancelTimer = this.#ports.later(Math.max(0, due), () => {
      this.#cancelTimer = undefined
      this.#start()
    })
  }

  #start(): void {
    if (this.#running !== undefined || this.#closed || this.#halted !== undefined) return
    this.#running = this.#round().then(() => {
      this.#running = undefined
      this.#schedule()
    })
  }

  /** One checkpoint. Never rejects. */
  async #round(): Promise<void> {
    // A row that becomes durable while this runs comes with the next one, and so does who waits for it.
    const to = Math.min(this.#durable, this.#tree.size + MOST_AT_ONCE)
    try {
      await this.#integrate(to)
      if (this.#halted !== undefined) return
      await this.#checkpoint()
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#lastAt = this.#ports.nowMs()
    this.#behindSince = this.#durable > this.#signed ? this.#lastAt : undefined
    this.#backoffMs = FIRST_BACKOFF_MS
    if (this.#trouble !== undefined) {
      this.#trouble = undefined
      this.#ports.onState?.(true, 'the transparency log is written again')
    }
  }

  async #integrate(to: number): Promise<void> {
    while (this.#tree.size < to) {
      if (!this.#appendSlice(to)) await this.#reread(to)
      await this.#settleSlice()
    }
  }

  /** The rows in memory, when the first of them is the next; those that the tree has already are dropped. */
  #nextWaiting(): DurableRow[] | undefined {
    const next = this.#tree.size
    const waiting = this.#waiting
    const first = waiting[0]
    if (first === undefined || Number(first.placed.index) > next) return undefined
    waiting.splice(0, next - Number(first.placed.index))
    return waiting.length === 0 ? undefined : waiting
  }

  async #reread(to: number): Promise<void> {
    const first = this.#waiting[0]
    const until = first === undefined ? to : Math.min(to, Number(first.placed.index))
    for await (const line of this.#ports.source.rows(this.#tree.size, until)) {
      this.#tree.append(leafOfLine(line))
      if (this.#tree.size % SLICE === 0) await this.#settleSlice()
    }
  }

  async #settleSlice(): Promise<void> {
    this.#unwritten.push(...this.#tree.takeFull())
    if (this.#unwritten.length >= MAX_UNWRITTEN) await this.#writeFull()
    await this.#ports.pause()
  }

  /** Kept until all are written: after a failure the same bytes are written again. */
  async #writeFull(edge: readonly TileBytes[] = []): Promise<void> {
    const full = this.#unwritten
    await this.#ports.folder.writeTiles([...full, ...edge])
    this.#unwritten = []
    for (const { tile } of full) this.#filled.push(tile)
  }

  async #checkpoint(): Promise<void> {
    const { folder, signer, origin, witnesses } = this.#ports
    // The tree as it is now: it goes on growing while this is written.
    const { size } = this.#tree
    const text = formatCheckpoint({ origin, size, root: this.#tree.root() })
    const edge = this.#tree.edge()
    this.#unwritten.push(...this.#tree.takeFull())
    await this.#writeFull(edge)
    await folder.settle()
    if (this.#halted !== undefined) return
    const note = await signNote(text, [signer])
    await folder.writeSigned(toUtf8(note))
    this.#signed = size
    this.#begun = true
    if (witnesses === undefined) {
      await folder.publish(toUtf8(note))
      this.#shown = size
    } else {
      this.#unwitnessed = { note, size }
      this.#witness(witnesses)
    }
    this.#waiters.wake(level => this.#has(level))
    // The last thing: partial tiles are what the checkpoints before this one are proved with until full ones are there.
    await this.#removePartials()
  }

  /** What cannot be removed is in nobody's way, and is tried again with the next checkpoint. */
  async #removePartials(): Promise<void> {
    for (let tile = this.#filled[0]; tile !== undefined; tile = this.#filled[0]) {
      try {
        await this.#ports.folder.removePartials(tile)
      } catch {
        return
      }
      this.#filled.shift()
    }
  }

  /** One submission at a time; what was signed meanwhile goes with the next. */
  #witness(witnesses: Witnesses): void {
    const next = this.#unwitnessed
    if (next === undefined || this.#witnessing !== undefined || this.#cancelWitnessTimer !== undefined) return
    if (this.#halted !== undefined) return
    this.#unwitnessed = undefined
    this.#witnessing = this.#cosigned(witnesses, next).then(failed => {
      this.#witnessing = undefined
      if (!failed) {
        this.#witnessBackoffMs = FIRST_BACKOFF_MS
        this.#witness(witnesses)
        return
      }
      this.#unwitnessed ??= next
      if (this.#closed || this.#halted !== undefined) return
      this.#cancelWitnessTimer = this.#ports.later(this.#witnessBackoffMs, () => {
        this.#cancelWitnessTimer = undefined
        this.#witness(witnesses)
      })
      this.#witnessBackoffMs = Math.min(this.#witnessBackoffMs * 2, LAST_BACKOFF_MS)
    })
  }

  async #cosigned(witnesses: Witnesses, { note, size }: { note: string; size: number }): Promise<boolean> {
    try {
      const cosigned = await witnesses.cosign(note, size)
      if (this.#halted !== undefined) throw this.#halted
      await this.#ports.folder.publish(toUtf8(cosigned))
      this.#shown = size
      this.#waiters.wake(level => this.#has(level))
      return false
    } catch (error) {
      this.#waiters.refuse(inOneLine(error), 'witnessed')
      return true
    }
  }

  #has(level: LogLevel): number {
    return level === 'logged' ? this.#signed : this.#shown
  }

  #fail(cause: unknown): void {
    const reason = inOneLine(cause)
    const first = this.#trouble === undefined
    this.#trouble = reason
    if (!first) this.#backoffMs = Math.min(this.#backoffMs * 2, LAST_BACKOFF_MS)
    // Whoever waits is told at once; rows are not lost, and calls that need no checkpoint go on.
    this.#waiters.refuse(reason)
    if (first) this.#ports.onState?.(false, reason.message)
  }
}

function inOneLine(cause: unknown): LogInvalid {
  if (cause instanceof LogInvalid) return cause
  return new LogInvalid(
    'log_unreadable',
    `the transparency log cannot be written (${errno(cause)}); free space or restore its folder, it resumes by itself`,
    { cause },
  )
}
