/**
 * Opens an audit log for writing.
 *
 * Guarantees: start-up time does not grow with the log: only the row that the head file names and the rows after it are
 * verified (a log taken over from the Python implementation has no head file and is verified whole, once). A log that
 * is shorter than its head, that broke where it is checked, or whose keys are unknown is refused: a gate never writes
 * after rows it cannot vouch for. A torn tail, which a power cut leaves, is moved to `<log>.quarantine-<ts>` and a row
 * says so.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { AuditWriter } from '../core/row.ts'
import type { KeyRing } from '../keys/ring.ts'
import { EMPTY, type Position } from './chain.ts'
import { AuditError, errno, type LogFile, type LogFiles, NodeFiles } from './files.ts'
import { HeadFile, readHead } from './head.ts'
import { lockLog } from './lock.ts'
import type { OwnerSealer } from './seal.ts'
import { readStored } from './stored.ts'
import { uuid7 } from './uuid.ts'
import { Walk } from './walk.ts'
import { type DurableRow, LogWriter, noteRow, type WriterPorts } from './writer.ts'

export interface OpenOptions {
  readonly path: string
  readonly ring: KeyRing
  /** Unix time in nanoseconds. */
  readonly nowNs?: () => bigint
  readonly random?: (bytes: number) => Uint8Array
  readonly later?: (ms: number, f: () => void) => () => void
  readonly sealer?: OwnerSealer | undefined
  readonly onDurable?: ((rows: readonly DurableRow[]) => void) | undefined
  readonly onState?: ((ok: boolean, reason: string) => void) | undefined
  /**
   * For a log whose head file is lost: verify it whole, make a new head, and write a row about it. What was cut off before
   * stays unknown.
   */
  readonly acceptMissingHead?: boolean
  /** For tests: other files and no lock. */
  readonly files?: LogFiles
}

export interface AuditLog extends AuditWriter {
  /** Why `ok` is false; one line. */
  readonly reason: string | undefined
}

export async function openAuditLog(options: OpenOptions): Promise<AuditLog> {
  const files = options.files ?? new NodeFiles(options.path)
  const lock = options.files === undefined ? lockLog(options.path) : undefined
  const nowNs = options.nowNs ?? wallClockNs
  const random = options.random ?? pooledRandom()
  const ports: WriterPorts = {
    files,
    ring: options.ring,
    nowNs,
    random,
    later: options.later ?? timer,
    newId: () => uuid7(nowNs() / 1_000_000n, random),
    sealer: options.sealer,
    onDurable: options.onDurable,
    onState: options.onState,
  }
  let log: LogFile | undefined
  let headFile: LogFile | undefined
  try {
    log = await files.open('log', true)
    headFile = await files.open('head', true)
    const { at, slot, torn, accepted } = findEnd(
      log,
      headFile,
      options.ring,
      files.path,
      options.acceptMissingHead === true,
    )
    const note = torn === undefined ? undefined : await quarantine(files, log, at, torn, nowNs())
    const head = new HeadFile(headFile, options.ring, slot)
    // Both records new: a damaged one is mended, and the log as found is what the head now vouches for.
    if (log.size() > 0) await log.sync()
    await head.write(at)
    await head.write(at)
    await head.sync()
    const writer = new LogWriter(ports, { log, head, at, release: () => lock?.release() })
    if (accepted) {
      const reason =
        'the head file was missing and the operator accepted it; rows may have been cut off before this one'
      const details = { rows: Number(at.count), bytes: at.length }
      await writer.append(noteRow(ports.newId(), 'audit.head_accepted', reason, details)).durable()
    }
    if (note !== undefined) {
      const details = { bytes: note.bytes, sha256: note.sha256, file: note.name }
      const reason = 'an incomplete end of the audit log was moved to quarantine'
      await writer.append(noteRow(ports.newId(), 'audit.torn_tail', reason, details)).durable()
    }
    return writer
  } catch (error) {
    await log?.close()
    await headFile?.close()
    lock?.release()
    if (error instanceof AuditError) throw error
    throw new AuditError(
      'log_unreadable',
      `${files.path} cannot be written (${errno(error)}); free space or check the disk`,
      {
        cause: error,
      },
    )
  }
}

interface End {
  readonly at: Position
  readonly slot: 0 | 1
  /** Bytes beyond `at` that are no rows. */
  readonly torn: Buffer | undefined
  /** There was no head file where there should be one, and the operator knows. */
  readonly accepted: boolean
}

function findEnd(log: LogFile, headFile: LogFile, ring: KeyRing, path: string, acceptMissingHead: boolean): End {
  const size = log.size()
  const head = readHead(headFile, ring)
  if (head.kind === 'invalid') {
    throw new AuditError(
      'head_mismatch',
      `${path}.head is not valid (${head.detail}); add the key that signed it to the key ring, or restore the file`,
    )
  }
  if (head.kind === 'absent') {
    if (size === 0) return { at: EMPTY, slot: 1, torn: undefined, accepted: false }
    const end = walkFrom(log, ring, path, EMPTY, size)
    if (end.salted && !acceptMissingHead) {
      throw new AuditError(
        'head_missing',
        `${path}.head is missing, so rows may have been cut off ${path}; restore it, or accept the loss: signet audit accept-missing-head ${path}`,
      )
    }
    return { at: end.at, slot: 1, torn: end.torn, accepted: end.salted }
  }
  const from = head.position
  if (size < from.length) {
    throw new AuditError(
      'log_truncated',
      `${path} has ${size} bytes but its head file knows ${from.count} rows in ${from.length} bytes; restore the log`,
    )
  }
  if (from.count > 0n) checkHeadRow(log, ring, path, from)
  const end = walkFrom(log, ring, path, from, size)
  return { at: end.at, slot: head.slot, torn: end.torn, accepted: false }
}

/** The row that the head names: it ends where the head says, with the HMAC the head says, and that HMAC holds. */
function checkHeadRow(log: LogFile, ring: KeyRing, path: string, at: Position): void {
  const tail = Buffer.alloc(Math.min(at.length, 1024 * 1024))
  log.read(tail, at.length - tail.length)
  const start = tail.length < 2 ? 0 : tail.lastIndexOf(0x0a, tail.length - 2) + 1
  const walk = new Walk(ring, { prevHmac: undefined, tsNs: undefined })
  const whole = start > 0 || tail.length === at.length
  if (whole && tail.at(-1) === 0x0a) walk.lines(tail.subarray(start), tail.length - start)
  const report = walk.report()
  refuse(report.breaks[0], path, Number(at.count) - 1)
  if (report.rows !== 1 || report.lastHmac !== at.hmac) {
    throw new AuditError(
      'head_mismatch',
      `${path} does not hold the row that its head file names; run signet audit verify ${path}, and restore the log`,
    )
  }
}

/** Rows from a known position to the end of the file; what is left over at the end and is no row is torn. */
function walkFrom(
  log: LogFile,
  ring: KeyRing,
  path: string,
  from: Position,
  size: number,
): { readonly at: Position; readonly torn: Buffer | undefined; readonly salted: boolean } {
  const walk = new Walk(ring, { prevHmac: from.hmac, tsNs: from.count === 0n ? undefined : from.tsNs })
  let chunk = Buffer.alloc(1024 * 1024)
  let at = from.length
  let good = from
  while (at < size) {
    const n = log.read(chunk.subarray(0, Math.min(chunk.length, size - at)), at)
    const end = chunk.subarray(0, n).lastIndexOf(0x0a) + 1
    if (end === 0) {
      if (at + n >= size || n === 0) break
      chunk = Buffer.alloc(chunk.length * 2)
      continue
    }
    for (let line = 0; line < end; ) {
      const newline = chunk.indexOf(0x0a, line)
      walk.line(chunk, line, newline)
      const report = walk.report()
      const broken = report.breaks[0]
      if (broken !== undefined) {
        // A power cut leaves garbage where rows were not yet synced. Garbage followed by a row is something else.
        const rest = Buffer.alloc(size - good.length)
        log.read(rest, good.length)
        if (broken.kind !== 'malformed_line' || holdsRow(rest, ring)) refuse(broken, path, Number(from.count))
        return { at: good, torn: rest, salted: report.salted }
      }
      good = {
        count: from.count + BigInt(report.rows),
        length: from.length + report.bytes,
        hmac: report.lastHmac ?? '',
        tsNs: report.lastTsNs ?? -1n,
      }
      line = newline + 1
    }
    at += end
  }
  const salted = walk.report().salted
  if (good.length === size) return { at: good, torn: undefined, salted }
  const rest = Buffer.alloc(size - good.length)
  log.read(rest, good.length)
  return { at: good, torn: rest, salted }
}

/** Any complete line that is a row of this ring. */
function holdsRow(bytes: Buffer, ring: KeyRing): boolean {
  for (let at = 0; ; ) {
    const newline = bytes.indexOf(0x0a, at)
    if (newline < 0) return false
    if (readStored(bytes.subarray(at, newline)).ok) {
      const walk = new Walk(ring, { prevHmac: undefined, tsNs: undefined })
      walk.line(bytes, at, newline)
      if (walk.report().breaks.length === 0) return true
    }
    at = newline + 1
  }
}

function refuse(
  broken: { readonly kind: string; readonly detail: string; readonly index: number } | undefined,
  path: string,
  rowsBefore: number,
): void {
  if (broken === undefined) return
  if (broken.kind === 'unknown_key') {
    throw new AuditError(
      'key_unknown',
      `${path}: row ${rowsBefore + broken.index}: ${broken.detail}; configure the right key, or add it as a legacy key`,
    )
  }
  throw new AuditError(
    'log_broken',
    `${path} is broken at row ${rowsBefore + broken.index} (${broken.kind}: ${broken.detail}); run signet audit verify ${path}, and restore the log or start a new one`,
  )
}

async function quarantine(
  files: LogFiles,
  log: LogFile,
  at: Position,
  torn: Buffer,
  nowNs: bigint,
): Promise<{ readonly bytes: number; readonly sha256: string; readonly name: string }> {
  const kept = await files.quarantine(torn, nowNs.toString())
  log.truncate(at.length)
  await log.sync()
  return {
    bytes: torn.length,
    sha256: createHash('sha256').update(torn).digest('hex'),
    name: kept.slice(kept.lastIndexOf('/') + 1),
  }
}

function wallClockNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n
}

/** Salts are 32 bytes per row: one call into OpenSSL per 128 of them. */
export function pooledRandom(): (bytes: number) => Uint8Array {
  let pool = new Uint8Array(0)
  let at = 0
  return bytes => {
    if (at + bytes > pool.length) {
      pool = randomBytes(Math.max(4096, bytes))
      at = 0
    }
    at += bytes
    return pool.subarray(at - bytes, at)
  }
}

function timer(ms: number, f: () => void): () => void {
  const handle = setTimeout(f, ms)
  handle.unref()
  return () => clearTimeout(handle)
}
