/**
 * The audit log's writer: sequences rows at once, writes them in batches, syncs when somebody asks.
 *
 * Guarantees: a ticket's `durable()` resolves only after its row and every row before it were synced and the head file
 * names them. Rows are chained in call order; a row that did not become durable is in no chain, and its ticket rejects.
 * After a failed write or sync the descriptor is given up (a failed fsync says nothing about a second one), the file is
 * cut back to its durable length and opened anew, with back-off, until a row of the recovery itself is durable; until
 * then `ok` is false. A log that was truncated in place is noticed before the next write, one that was deleted (or replaced
 * by another file) before anybody is told that a row is durable, one that was moved away within about a second of commits.
 *
 * Does not: bound how many rows callers append while a sync runs (admission does), or protect the bytes from someone
 * who can write the file (the chain and the head show that it happened).
 */
import { AuditUnavailable, type AuditWriter, type Placed, type Row, type Ticket } from '../core/row.ts'
import type { KeyRing } from '../keys/ring.ts'
import { Chain, type Position } from './chain.ts'
import { checkTail } from './end.ts'
import { errno, type LogFile, type LogFiles } from './files.ts'
import { HeadFile, readHead, writeAll } from './head.ts'
import { noteRow } from './own-rows.ts'
import type { OwnerSealer } from './seal.ts'
import { sealRow } from './seal-row.ts'
import type { Segments } from './segments/roll.ts'
import { LostTicket, RowTicket } from './ticket.ts'

/** Most bytes of one write. */
const BATCH = 1024 * 1024
/** Written but unasked-for bytes that are synced anyway, so that what a failure can take stays small. */
const UNSYNCED = 4 * 1024 * 1024
const SECOND_NS = 1_000_000_000n
const FIRST_BACKOFF_MS = 100
const LAST_BACKOFF_MS = 5000

export interface WriterPorts {
  readonly files: LogFiles
  readonly ring: KeyRing
  readonly nowNs: () => bigint
  readonly random: (bytes: number) => Uint8Array
  /** Calls back after a delay; returns how to cancel. */
  readonly later: (ms: number, f: () => void) => () => void
  /** A new UUIDv7, for the writer's own rows. */
  readonly newId: () => string
  readonly sealer?: OwnerSealer | undefined
  /** Settled: it knows where the live file begins. */
  readonly segments: Segments
  /** Durable rows, in order: the seam for Merkle tiles and indexes. Must not throw. */
  readonly onDurable?: ((rows: readonly DurableRow[]) => void) | undefined
  /** For the operator's log: why the writer stopped, and that it went on. */
  readonly onState?: ((ok: boolean, reason: string) => void) | undefined
}

export interface DurableRow {
  readonly entryId: string
  readonly placed: Placed
  /** The stored line with its newline. */
  readonly line: Uint8Array
}

/** What `open.ts` found on the disk. */
export interface OpenedLog {
  readonly log: LogFile
  readonly head: HeadFile
  readonly at: Position
  readonly release: () => void
}

interface Files {
  readonly log: LogFile
  readonly head: HeadFile
}

export class LogWriter implements AuditWriter {
  readonly #ports: WriterPorts
  readonly #chain: Chain
  readonly #release: () => void
  #files: Files | undefined
  #durable: Position
  /** Bytes of the log before the live file. */
  #base: number
  /** Sequenced but not yet written; then written but not yet durable. */
  #queued: RowTicket[] = []
  #written: RowTicket[] = []
  #writtenTo: Position
  /** Highest row count that somebody waits for. */
  #wanted = 0n
  #running: Promise<void> | undefined
  #trouble: AuditUnavailable | undefined
  #lost = 0
  #cancelRetry: (() => void) | undefined
  #recovering: Promise<void> | undefined
  #closed = false
  #headSyncedAt: bigint
  #headSync: Promise<void> | undefined
  #headTrouble: unknown
  #checkedAt: bigint

  constructor(ports: WriterPorts, opened: OpenedLog) {
    this.#ports = ports
    this.#chain = new Chain(ports.ring, ports.nowNs, ports.random, opened.at)
    this.#files = { log: opened.log, head: opened.head }
    this.#release = opened.release
    this.#durable = opened.at
    this.#writtenTo = opened.at
    this.#base = ports.segments.base.length
    this.#headSyncedAt = ports.nowNs()
    this.#checkedAt = this.#headSyncedAt
  }

  get ok(): boolean {
    return this.#trouble === undefined && !this.#closed && this.#ports.ring.canSign(this.#ports.nowNs())
  }

  /** Why `ok` is false; one line. */
  get reason(): string | undefined {
    if (this.#trouble !== undefined) return this.#trouble.message
    if (this.#closed) return 'the audit log is closed'
    return this.#ports.ring.canSign(this.#ports.nowNs()) ? undefined : 'no chain key is valid now'
  }

  get head(): { readonly size: bigint; readonly hmac: string | undefined } {
    return { size: this.#durable.count, hmac: this.#durable.hmac === '' ? undefined : this.#durable.hmac }
  }

  append(row: Row): Ticket {
    if (this.#closed) return new LostTicket(row.entryId, new AuditUnavailable('the audit log is closed'))
    if (this.#trouble !== undefined) {
      this.#lost++
      return new LostTicket(row.entryId, this.#trouble)
    }
    return this.#append(row)
  }

  #append(row: Row): Ticket {
    try {
      const sealer = this.#ports.sealer
      const stamped = this.#chain.append(sealer === undefined ? row : sealRow(row, sealer))
      const ticket = new RowTicket(row.entryId, stamped, this.#want)
      this.#queued.push(ticket)
      this.#kick()
      return ticket
    } catch (error) {
      // A new owner's key that cannot be kept, or no chain key that is valid now. The chain has not moved.
      this.#lost++
      return new LostTicket(
        row.entryId,
        new AuditUnavailable(`the audit row could not be made (${errno(error)})`, { cause: error }),
      )
    }
  }

  async drain(): Promise<void> {
    if (this.#trouble !== undefined) throw this.#trouble
    const last = this.#queued.at(-1) ?? this.#written.at(-1)
    if (last !== undefined) await last.durable()
    await this.#files?.head.sync()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    const drained = this.ok ? this.drain() : Promise.resolve()
    this.#closed = true
    this.#cancelRetry?.()
    try {
      await drained
    } finally {
      await this.#running
      await this.#recovering
      await this.#headSync
      const files = this.#files
      this.#files = undefined
      await this.#ports.segments.close()
      await files?.head.close()
      await files?.log.close()
      this.#release()
    }
  }

  readonly #want = (ticket: RowTicket): void => {
    if (ticket.stamped.end.count > this.#wanted) this.#wanted = ticket.stamped.end.count
    this.#kick()
  }

  #kick(): void {
    if (this.#running !== undefined || this.#files === undefined) return
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    // One microtask: rows appended in the same breath share the write, and a row and its `durable()` the sync.
    await undefined
    let files = this.#files
    if (files === undefined) {
      this.#running = undefined
      return
    }
    try {
      for (;;) {
        if (this.#headTrouble !== undefined) throw this.#headTrouble
        if (this.#queued.length > 0) await this.#writeBatch(files.log)
        const asked = this.#wanted > this.#durable.count && this.#writtenTo.count >= this.#wanted
        if (asked || this.#writtenTo.length - this.#durable.length > UNSYNCED) {
          await this.#commit(files)
          const { segments } = this.#ports
          if (segments.due(this.#durable, this.#ports.nowNs(), files.log)) files = await this.#roll(files)
          if (segments.takeRestored()) this.#append(manifestRow(this.#ports.newId()))
        } else if (this.#queued.length === 0) break
      }
      this.#running = undefined
    } catch (error) {
      this.#running = undefined
      this.#fail(error)
    }
  }

  async #writeBatch(log: LogFile): Promise<void> {
    // Truncated in place (log rotation by copy), a write would leave a hole; longer, somebody else writes here.
    const at = this.#writtenTo.length - this.#base
    if (log.size() !== at) {
      throw Object.assign(new Error('the log has another length'), { code: 'changed by another program' })
    }
    const queued = this.#queued
    let bytes = 0
    let n = 0
    while (n < queued.length && bytes < BATCH) bytes += queued[n++]?.stamped.line.length ?? 0
    const batch = n === queued.length ? queued : queued.slice(0, n)
    this.#queued = n === queued.length ? [] : queued.slice(n)
    // Before the write: if it fails, these are among the lost.
    for (const ticket of batch) this.#written.push(ticket)
    const only = batch.length === 1 ? batch[0]?.stamped.line : undefined
    const block =
      only ??
      Buffer.concat(
        batch.map(t => t.stamped.line),
        bytes,
      )
    const written = log.write(block, at)
    const count = typeof written === 'number' ? written : await written
    if (count < block.length) await writeAll(log, block.subarray(count), at + count)
    this.#writtenTo = batch.at(-1)?.stamped.end ?? this.#writtenTo
  }

  async #commit(files: Files): Promise<void> {
    const to = this.#writtenTo
    const done = this.#written
    this.#written = []
    const now = this.#ports.nowNs()
    // Once a second the paths are looked up too, beside the sync: a log or head that was moved away is not where it should be.
    const look = now - this.#checkedAt >= SECOND_NS
    try {
      if (look) {
        const [log, head] = await Promise.all([files.log.stillNamed(), files.head.stillNamed(), files.log.sync()])
        if (!log) throw Object.assign(new Error('not the log that was opened'), { code: 'moved or deleted' })
        if (!head) throw Object.assign(new Error('not the head that was opened'), { code: 'head moved or deleted' })
        this.#checkedAt = now
      } else await files.log.sync()
      // Rows synced into a deleted file are kept nowhere.
      if (!files.log.linked()) throw Object.assign(new Error('the log has no name left'), { code: 'deleted' })
      await files.head.write(to)
    } catch (error) {
      // The rows may well be on the disk; nobody was told so, and recovery cuts them off.
      this.#written = done.concat(this.#written)
      throw error
    }
    this.#durable = to
    for (const ticket of done) ticket.resolve()
    const { onDurable } = this.#ports
    if (onDurable !== undefined) {
      onDurable(done.map(t => ({ entryId: t.entryId, placed: t.stamped.placed, line: t.stamped.line })))
    }
    if (now - this.#headSyncedAt >= SECOND_NS && this.#headSync === undefined) this.#syncHead(files.head, now)
  }

  /** Right after a commit: what is written is durable, and nothing is being written. Appenders only queue meanwhile. */
  async #roll(files: Files): Promise<Files> {
    const next = await this.#ports.segments.roll(this.#durable, files.log)
    if (next === undefined) return files
    this.#base = this.#durable.length
    const rolled = { log: next, head: files.head }
    this.#files = rolled
    await files.log.close()
    return rolled
  }

  #syncHead(head: HeadFile, now: bigint): void {
    this.#headSyncedAt = now
    this.#headSync = head.sync().then(
      () => {
        this.#headSync = undefined
      },
      (error: unknown) => {
        this.#headSync = undefined
        this.#headTrouble = error
        // A loop under way ends its sync first and then sees it: nothing is given up beneath it.
        if (this.#running === undefined) this.#fail(error)
      },
    )
  }

  #fail(cause: unknown): void {
    if (this.#trouble !== undefined || this.#files === undefined) return
    const code = errno(cause)
    const trouble = new AuditUnavailable(
      `the audit log cannot be written (${code}); free space or restore ${this.#ports.files.path}, the gate resumes by itself`,
      { cause },
    )
    this.#trouble = trouble
    this.#headTrouble = undefined
    const files = this.#files
    this.#files = undefined
    const lost = this.#written.concat(this.#queued)
    this.#written = []
    this.#queued = []
    this.#lost += lost.length
    this.#chain.rewind(this.#durable)
    this.#writtenTo = this.#durable
    this.#wanted = this.#durable.count
    this.#recovering = giveUp(files)
    for (const ticket of lost) ticket.reject(trouble)
    this.#ports.onState?.(false, trouble.message)
    this.#retry(FIRST_BACKOFF_MS, code)
  }

  #retry(ms: number, code: string): void {
    if (this.#closed) return
    this.#cancelRetry = this.#ports.later(ms, () => {
      const before = this.#recovering
      this.#recovering = (async () => {
        await before
        const error = await this.#recover(code)
        if (error !== undefined) this.#retry(Math.min(ms * 2, LAST_BACKOFF_MS), code)
      })()
    })
  }

  /** Cut back, check the tail, write a row about it. Returns what is still wrong. */
  async #recover(code: string): Promise<unknown> {
    // A second attempt after one that worked would cut off what was written since.
    if (this.#closed || this.#trouble === undefined) return undefined
    const { files, ring, segments } = this.#ports
    let log: LogFile | undefined
    let headFile: LogFile | undefined
    try {
      const at = this.#durable
      await segments.settle()
      const { base } = segments
      this.#base = base.length
      // Where rows are missing a new empty file would hide it: only a file that had none yet is made again.
      log = await files.open('log', at.count === base.count)
      headFile = await files.open('head', true)
      checkTail(log, at, base)
      if (log.size() > at.length - base.length) log.truncate(at.length - base.length)
      const state = readHead(headFile, ring)
      const head = new HeadFile(headFile, ring, state.kind === 'found' ? state.slot : 1)
      const row = noteRow(
        this.#ports.newId(),
        'audit.recovered',
        'the audit log was unavailable and is written again',
        {
          cause: code,
          refused_rows: this.#lost,
        },
      )
      const stamped = this.#chain.append(row)
      await writeAll(log, stamped.line, at.length - base.length)
      await log.sync()
      await head.write(stamped.end)
      await head.sync()
      this.#durable = stamped.end
      this.#writtenTo = stamped.end
      this.#wanted = stamped.end.count
      this.#files = { log, head }
      this.#lost = 0
      this.#trouble = undefined
      this.#ports.onDurable?.([{ entryId: row.entryId, placed: stamped.placed, line: stamped.line }])
      this.#ports.onState?.(true, 'the audit log is written again')
      segments.pack()
      return undefined
    } catch (error) {
      this.#chain.rewind(this.#durable)
      await log?.close()
      await headFile?.close()
      return error
    }
  }
}

function manifestRow(id: string): Row {
  return noteRow(
    id,
    'audit.manifest_restored',
    'the manifest of the log segments was changed, cut or removed by another program, and is written again as it was',
    {},
  )
}

async function giveUp(files: Files): Promise<void> {
  await files.log.close()
  await files.head.close()
}
