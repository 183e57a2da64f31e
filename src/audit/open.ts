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
import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { AuditWriter } from '../core/row.ts'
import type { KeyRing } from '../keys/ring.ts'
import { findEnd } from './end.ts'
import { watchErasures } from './erasures.ts'
import { AuditError, errno, type LogFile, type LogFiles, NodeFiles, rolledName } from './files.ts'
import { HeadFile } from './head.ts'
import { lockLog } from './lock.ts'
import { noteRow } from './own-rows.ts'
import { type OwnerSealer, SealingFolder } from './seal.ts'
import { type Packer, threadPacker } from './segments/packer.ts'
import { type RollPolicy, Segments } from './segments/roll.ts'
import { uuid7 } from './uuid.ts'
import { type DurableRow, LogWriter, type WriterPorts } from './writer.ts'

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
  /** For a log whose manifest is lost: makes it, when nothing else has the log. A row tells of it, with what this resolves with. */
  readonly manifest?: () => Promise<ManifestFacts>
  /** When the live file rolls into a log segment. Default: never. */
  readonly roll?: RollPolicy | undefined
  /** Where packed segments go. Default: beside the log. */
  readonly segmentFolder?: string | undefined
  /** For the operator's log: a segment that was made, or why it could not be. */
  readonly onSegment?: ((ok: boolean, text: string) => void) | undefined
  readonly packer?: Packer | undefined
  /** For tests: other files and no lock. */
  readonly files?: LogFiles
}

export interface ManifestFacts {
  readonly segments: number
  readonly rows: number
  readonly sha256: string
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
  const later = options.later ?? timer
  const segments = new Segments({
    files,
    ring: options.ring,
    policy: options.roll ?? { bytes: Number.POSITIVE_INFINITY },
    packer:
      options.packer ??
      (options.files === undefined
        ? threadPacker(options.segmentFolder ?? dirname(options.path), dirname(options.path))
        : undefined),
    later,
    onSegment: options.onSegment,
  })
  const ports: WriterPorts = {
    files,
    ring: options.ring,
    nowNs,
    random,
    later,
    segments,
    newId: () => uuid7(nowNs() / 1_000_000n, random),
    sealer: options.sealer,
    onDurable: options.onDurable,
    onState: options.onState,
  }
  let log: LogFile | undefined
  let headFile: LogFile | undefined
  try {
    const rebuilt = await options.manifest?.()
    await segments.settle()
    const { base } = segments
    log = await files.open('log', true)
    headFile = await files.open('head', true)
    const { at, slot, torn, accepted } = findEnd(
      log,
      headFile,
      options.ring,
      files.path,
      base,
      options.acceptMissingHead === true,
    )
    const note = torn === undefined ? undefined : await quarantine(files, log, at.length - base.length, torn, nowNs())
    const head = new HeadFile(headFile, options.ring, slot)
    // Both records new: a damaged one is mended, and the log as found is what the head now vouches for.
    if (log.size() > 0) await log.sync()
    await head.write(at)
    await head.write(at)
    await head.sync()
    let stopWatching: () => void = () => undefined
    const release = () => {
      stopWatching()
      lock?.release()
    }
    const writer = new LogWriter(ports, { log, head, at, release })
    if (accepted) {
      const reason =
        'the head file was missing and the operator accepted it; rows may have been cut off before this one'
      const details = { rows: Number(at.count), bytes: at.length }
      await writer.append(noteRow(ports.newId(), 'audit.head_accepted', reason, details)).durable()
    }
    if (rebuilt !== undefined) {
      const reason = 'the manifest of log segments was missing and was made again from them, all of which verified'
      await writer.append(noteRow(ports.newId(), 'audit.manifest_rebuilt', reason, { ...rebuilt })).durable()
    }
    if (note !== undefined) {
      const details = { bytes: note.bytes, sha256: note.sha256, file: note.name }
      const reason = 'an incomplete end of the audit log was moved to quarantine'
      await writer.append(noteRow(ports.newId(), 'audit.torn_tail', reason, details)).durable()
    }
    segments.pack()
    const { sealer } = options
    if (sealer instanceof SealingFolder) stopWatching = watchErasures(sealer, writer, ports.newId, later)
    return writer
  } catch (error) {
    await log?.close()
    await headFile?.close()
    lock?.release()
    if (error instanceof AuditError) {
      if (error.code === 'log_truncated' && segments.entries.length === 0 && hasSegments(options)) {
        throw new AuditError(
          error.code,
          `${files.path}.manifest is missing, and there are segments; restore it, or make it again: signet audit rebuild-manifest ${files.path}`,
          { cause: error },
        )
      }
      throw error
    }
    throw new AuditError(
      'log_unreadable',
      `${files.path} cannot be written (${errno(error)}); free space or check the disk`,
      {
        cause: error,
      },
    )
  }
}

/** Of a log whose manifest names none. */
function hasSegments({ path, segmentFolder }: OpenOptions): boolean {
  const first = basename(rolledName(path, 1))
  return [dirname(path), segmentFolder ?? dirname(path)].some(
    folder => existsSync(join(folder, first)) || existsSync(join(folder, `${first}.zst`)),
  )
}

async function quarantine(
  files: LogFiles,
  log: LogFile,
  length: number,
  torn: Buffer,
  nowNs: bigint,
): Promise<{ readonly bytes: number; readonly sha256: string; readonly name: string }> {
  const kept = await files.quarantine(torn, nowNs.toString())
  log.truncate(length)
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
