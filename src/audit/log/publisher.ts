/**
 * Takes durable rows into the log and signs its checkpoints. Hashes, tiles and files are the integrator's, off the request path;
 * what is done here for a row is its leaf.
 *
 * Guarantees: entry i is the leaf of row i, and only durable rows are entries. Order: tiles and bundles, then the signature, the
 * signed checkpoint kept, and only then shown to anybody. `reached` resolves when the row is under a signed checkpoint that is kept
 * (`logged`), or one that enough witnesses have cosigned (`witnessed`). A folder that cannot be written loses nothing: rows stay in
 * the audit log and are read again from there, with back-off; meanwhile `status` says how far behind the log is. Once halted it
 * signs and shows nothing, and lets nobody through who waits for it; rows are not concerned.
 *
 * Does not: make tiles outlive a power cut before they are signed and shown (the integrator says when, and `restore.ts` what then);
 * hold up a row, or keep more of them in memory than a queue of entries does.
 */
import type { LogLevel, RowLogStatus } from '../../core/row.ts'
import { errno } from '../files.ts'
import type { DurableRow } from '../writer.ts'
import { toUtf8 } from './bytes.ts'
import { formatCheckpoint } from './checkpoint.ts'
import { EntryQueue } from './entry-queue.ts'
import { LogInvalid } from './errors.ts'
import type { Integrator } from './integrator.ts'
import { leafTextOfLine } from './leaf.ts'
import { type NoteSigner, signNote } from './note.ts'
import type { RowSource } from './rows.ts'
import { inFullTiles, TILE_WIDTH } from './tile.ts'
import type { TreeHead } from './tree.ts'
import { Waiters } from './waiters.ts'
import type { Witnesses } from './witnesses.ts'

/** Fewer entries wait for more, or for the checkpoint: to hand over one costs as much as to hand over many. */
const WORTH_IT = 4 * TILE_WIDTH
/** Entries that one checkpoint adds, or not many more: a long catching up is not lost when it is interrupted. */
const MOST_AT_ONCE = 65_536
/** Of the time between two checkpoints, how long a row may wait for the rest of its tile. */
const REST_OF_TILE = 1 / 4
const FIRST_BACKOFF_MS = 100
const LAST_BACKOFF_MS = 5000
/** While no rows come, tiles that are to outlive a power cut are looked after this often. */
const PAUSE_MS = 15_000

export interface PublisherPorts {
  readonly integrator: Integrator
  readonly source: RowSource
  readonly signer: NoteSigner
  readonly origin: string
  /**
   * At most this long between a durable row and its checkpoint, a quarter more where its tile is soon full, while the folder can be
   * written.
   */
  readonly intervalMs: number
  readonly nowMs: () => number
  /** Calls back after a delay; returns how to cancel. */
  readonly later: (ms: number, f: () => void) => () => void
  readonly witnesses: Witnesses | undefined
  readonly onState: ((ok: boolean, reason: string) => void) | undefined
  /** From the start on; see `halt`. */
  readonly halted?: LogInvalid | undefined
}

/** A log as its folder has it. */
export interface Restored {
  /** Entries under the last signed checkpoint. */
  readonly size: number
  /** That checkpoint. */
  readonly signed: string | undefined
  /** Entries under the checkpoint that is shown. */
  readonly shown: number
  /** Some full tiles may not outlive a power cut. */
  readonly unsettled: boolean
}

export class Publisher {
  readonly #ports: PublisherPorts
  /** The entries that come next for the tree, while none is missing in between. */
  readonly #queue = new EntryQueue()
  /** Entries in the tree, as the integrator last said. */
  #taken: number
  #durable: number
  /** When there were last as many as end with a full tile. */
  #fullAtMs: number
  #signed: number
  /** The most entries that a checkpoint was made of; whether it was kept may not be known. Never fewer from then on. */
  #offered: number
  /** There is a signed checkpoint, of an empty log at least. */
  #begun: boolean
  /** Entries under the checkpoint that is shown; with witnesses, under the one that they have cosigned. */
  #shown: number
  /** The last signed checkpoint, while witnesses have not seen it. */
  #unwitnessed: { readonly note: string; readonly size: number } | undefined
  readonly #waiters = new Waiters()
  #running: Promise<void> | undefined
  /** Handing entries over between two checkpoints. */
  #feeding: Promise<void> | undefined
  /** Handing over all that the next checkpoint is to have. */
  #integrating = false
  #witnessing: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #cancelWitnessTimer: (() => void) | undefined
  /** Tiles wait to be made to last. */
  #unsettled: boolean
  #cancelPause: (() => void) | undefined
  #witnessBackoffMs = FIRST_BACKOFF_MS
  #trouble: LogInvalid | undefined
  #halted: LogInvalid | undefined
  #backoffMs = FIRST_BACKOFF_MS
  #lastAt: number
  #behindSince: number | undefined
  #closed = false

  /** `rows`: how many are durable. */
  constructor(ports: PublisherPorts, { size, signed, shown, unsettled }: Restored, rows: number) {
    this.#ports = ports
    this.#taken = size
    this.#durable = rows
    this.#signed = size
    this.#offered = size
    this.#begun = signed !== undefined
    this.#shown = shown
    this.#unsettled = unsettled
    this.#halted = ports.halted
    this.#lastAt = ports.nowMs()
    this.#fullAtMs = this.#lastAt
    if (rows > size) this.#behindSince = this.#lastAt
    if (signed !== undefined && shown < size && ports.witnesses !== undefined) {
      this.#unwitnessed = { note: signed, size }
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
    if (this.#halted === undefined) this.#enqueue(rows)
    const durable = Number(last.placed.index) + 1
    if (inFullTiles(durable) > this.#durable) this.#fullAtMs = this.#ports.nowMs()
    this.#durable = durable
    this.#behindSince ??= this.#ports.nowMs()
    if (this.#queue.length >= WORTH_IT && !this.#closed) this.#feed()
    this.#schedule()
  }

  #enqueue(rows: readonly DurableRow[]): void {
    try {
      for (const { placed } of rows) this.#queue.push(Number(placed.index), placed.leaf)
    } catch {
      // The next checkpoint reads it again, and says what is wrong with it.
      this.#queue.clear()
    }
  }

  /** Into the tree soon: a checkpoint is to find little left to do. What fails here, the next checkpoint meets again. */
  #feed(): void {
    if (this.#feeding !== undefined || this.#integrating || this.#trouble !== undefined) return
    const feeding = async () => {
      // A checkpoint does not wait for rows that go on coming.
      while (!this.#integrating && this.#queue.length >= WORTH_IT) if (!(await this.#takeQueued(true))) return
    }
    this.#feeding = feeding()
      .catch(() => undefined)
      .finally(() => {
        this.#feeding = undefined
      })
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
    this.#cancelPause?.()
    this.#cancelWitnessTimer?.()
    this.#queue.clear()
    this.#waiters.refuse(this.#halted)
  }

  /** Publishes what is durable, once more, and stops. Never rejects: what is missing is taken up at the next start. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTimer?.()
    this.#cancelPause?.()
    this.#cancelWitnessTimer?.()
    await this.#running
    if (this.#isBehind && this.#trouble === undefined && this.#halted === undefined) await this.#round()
    await this.#witnessing
    await this.#feeding
    await this.#ports.integrator.close()
    this.#waiters.refuse(new LogInvalid('not_yet_logged', 'the transparency log was closed'))
  }

  /** Rows to sign, nothing signed yet, or, after a failure, a signed checkpoint to show. */
  get #isBehind(): boolean {
    if (!this.#begun || this.#durable > this.#signed) return true
    return this.#ports.witnesses === undefined && this.#shown < this.#signed
  }

  #schedule(): void {
    if (this.#running !== undefined || this.#closed || this.#halted !== undefined) return
    if (!this.#isBehind) {
      this.#inPause()
      return
    }
    const asked = this.#waiters.wants(this.#signed, this.#durable)
    const soon = this.#trouble === undefined && (asked || this.#durable - this.#signed >= MOST_AT_ONCE)
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
    const before = { ms: this.#ports.nowMs(), durable: this.#durable, fullAtMs: this.#fullAtMs }
    try {
      const head = await this.#integrate(this.#next())
      if (this.#halted !== undefined) return
      await this.#checkpoint(head)
      this.#behindSince = this.#oldestSince(before)
      await this.#tidy()
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#lastAt = this.#ports.nowMs()
    this.#recovered()
  }

  /** Since when the oldest row beyond the checkpoint has waited, at most. `before`: when the checkpoint was begun. */
  #oldestSince(before: {
    readonly ms: number
    readonly durable: number
    readonly fullAtMs: number
  }): number | undefined {
    if (this.#durable <= this.#signed) return undefined
    if (this.#signed >= before.durable) return before.ms
    return this.#signed === inFullTiles(before.durable) ? before.fullAtMs : this.#behindSince
  }

  /**
   * How many entries the next checkpoint is to have at least. A row that becomes durable meanwhile comes with the one after it, and
   * so does who waits for it.
   */
  #next(): number {
    const durable = Math.min(this.#durable, this.#taken + MOST_AT_ONCE)
    const full = inFullTiles(durable)
    // A tile that is not full takes as many files as one that is, and they are removed again: a busy log does without.
    const waits =
      full > this.#signed &&
      !this.#closed &&
      !this.#waiters.wants(full, durable) &&
      this.#ports.nowMs() - this.#fullAtMs <= this.#ports.intervalMs * REST_OF_TILE
    return Math.max(this.#offered, waits ? full : durable)
  }

  #recovered(): void {
    this.#backoffMs = FIRST_BACKOFF_MS
    if (this.#trouble === undefined) return
    this.#trouble = undefined
    this.#ports.onState?.(true, 'the transparency log is written again')
  }

  /** The tree with at least these entries, its tiles written. */
  async #integrate(to: number): Promise<TreeHead> {
    this.#integrating = true
    try {
      await this.#feeding
      for (;;) {
        while (this.#taken < to) if (!(await this.#takeQueued(to % TILE_WIDTH === 0))) await this.#reread(to)
        const head = await this.#ports.integrator.write()
        if (head.size >= to) return head
        // An integrator that had to begin anew has fewer than it had taken.
        this.#taken = head.size
      }
    } finally {
      this.#integrating = false
    }
  }

  /** `full`: none beyond the last full tile, if there is one. False when the next entry is not among those in memory. */
  async #takeQueued(full: boolean): Promise<boolean> {
    const queue = this.#queue
    if (queue.first !== this.#taken) return false
    const { first, bundle } = (full ? queue.takeFull() : undefined) ?? queue.take()
    this.#taken = await this.#ports.integrator.take(first, bundle)
    return true
  }

  /** From the audit log, up to those that are in memory. */
  async #reread(to: number): Promise<void> {
    const { source, integrator } = this.#ports
    const queued = this.#queue.first ?? to
    // What the tree has already is not needed again.
    if (queued < this.#taken) this.#queue.clear()
    const until = queued < this.#taken ? to : Math.min(to, queued)
    const batch = new EntryQueue()
    const hand = async (): Promise<boolean> => {
      const { first, count, bundle } = batch.take()
      this.#taken = await integrator.take(first, bundle)
      return this.#taken === first + count
    }
    let index = this.#taken
    for await (const line of source.rows(index, until)) {
      batch.push(index++, leafTextOfLine(line))
      if (batch.length === TILE_WIDTH && !(await hand())) return
    }
    if (batch.length > 0) await hand()
  }

  async #checkpoint({ size, root }: TreeHead): Promise<void> {
    const { integrator, signer, origin, witnesses } = this.#ports
    this.#offered = size
    const note = await signNote(formatCheckpoint({ origin, size, root }), [signer])
    if (this.#halted !== undefined) return
    await integrator.keep(toUtf8(note))
    this.#signed = size
    this.#begun = true
    if (this.#halted !== undefined) return
    if (witnesses === undefined) {
      await integrator.show(toUtf8(note))
      this.#shown = size
    } else {
      this.#unwitnessed = { note, size }
      this.#witness(witnesses)
    }
    this.#waiters.wake(level => this.#has(level))
  }

  /** The last thing: partial tiles are what the checkpoints before this one are proved with until full ones are there. */
  async #tidy(): Promise<void> {
    this.#unsettled = await this.#ports.integrator.tidy()
  }

  /** Tiles become old while no rows come; and after a failure no row need come for it to be seen that the disk is back. */
  #inPause(): void {
    if ((!this.#unsettled && this.#trouble === undefined) || this.#cancelPause !== undefined) return
    this.#cancelPause = this.#ports.later(PAUSE_MS, () => {
      this.#cancelPause = undefined
      if (this.#running !== undefined || this.#closed || this.#halted !== undefined) return
      this.#running = this.#tidy()
        .then(() => this.#recovered())
        .catch((error: unknown) => this.#fail(error))
        .then(() => {
          this.#running = undefined
          this.#schedule()
        })
    })
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
      await this.#ports.integrator.show(toUtf8(cosigned))
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
