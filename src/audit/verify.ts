/**
 * `audit verify`: the whole log against the key ring and the head file, in one pass and constant memory.
 *
 * Reports, never throws, for anything that can be wrong with a log's content; throws `AuditError` only when a file
 * cannot be read. Reads logs of the Python implementation too (floats, no salt, no head file). A log that a gate is
 * writing meanwhile verifies: the head is read first and the log only grows.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import type { KeyRing } from '../keys/ring.ts'
import { AuditError, errno } from './files.ts'
import { type HeadState, parseHead } from './head.ts'
import { type Break, type BreakKind, linkDetail, MAX_BREAKS, Walk, type WalkReport, type WalkStart } from './walk.ts'

export interface VerifyReport {
  readonly ok: boolean
  readonly total_entries: number
  readonly breaks: readonly Break[]
  /** Breaks beyond those listed. */
  readonly more_breaks: number
  /** -1 when not even the first row is good. */
  readonly last_known_good_index: number
  readonly last_known_good_hmac: string
  /** Did a head file vouch for the length? */
  readonly head: 'checked' | 'absent' | 'ignored'
  readonly signet_version: string
  /** ISO 8601, UTC. */
  readonly verified_at: string
}

export interface VerifyOptions {
  readonly version?: string
  readonly now?: () => Date
  /** `ignore` for a log without its head file, such as a copy: lost rows at the end then go unnoticed. */
  readonly head?: 'check' | 'ignore'
  /** Bytes verified of bytes in all. */
  readonly onProgress?: (done: number, total: number) => void
}

/** A byte range that begins at a line and is walked by itself. */
export interface Stretch {
  readonly from: number
  readonly to: number
}

export interface StretchReport extends WalkReport {
  /** Bytes after the last newline of the stretch. */
  readonly torn: number
}

const CHUNK = 1024 * 1024
/** A longer line is malformed, not a reason to fill the memory. */
const LONGEST_LINE = 16 * 1024 * 1024

export async function verifyLog(path: string, ring: KeyRing, options: VerifyOptions = {}): Promise<VerifyReport> {
  return verifyWith(path, ring, options, async (file, stretches, progress) => {
    const reports: StretchReport[] = []
    let before: StretchReport | undefined
    for (const stretch of stretches) {
      before = await walkStretch(file, stretch, ring, progress, {
        prevHmac: before === undefined ? '' : before.lastHmac,
        tsNs: before?.lastTsNs,
      })
      reports.push(before)
    }
    return reports
  })
}

export type WalkStretches = (
  file: FileHandle,
  stretches: readonly Stretch[],
  progress: (bytes: number) => void,
) => Promise<readonly StretchReport[]>

/** What sequential and parallel verification share: the head, where to cut, and how the stretches join. */
export async function verifyWith(
  path: string,
  ring: KeyRing,
  options: VerifyOptions,
  walk: WalkStretches,
  parts = 1,
): Promise<VerifyReport> {
  const head: HeadState | undefined = options.head === 'ignore' ? undefined : await loadHead(path, ring)
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    throw new AuditError('log_unreadable', `${path} cannot be opened (${errno(error)})`, { cause: error })
  }
  try {
    const size = await settledSize(file)
    let done = 0
    const progress = (bytes: number) => {
      done += bytes
      options.onProgress?.(done, size)
    }
    const headAt = head?.kind === 'found' && head.position.length <= size ? head.position.length : undefined
    const stretches = await cut(file, size, parts, headAt)
    return join(await walk(file, stretches, progress), stretches, size, head, options)
  } finally {
    await file.close()
  }
}

/** A gate may be in the middle of a write: half a line at the end is torn only if it stays half. */
async function settledSize(file: FileHandle): Promise<number> {
  const last = Buffer.alloc(1)
  let size = (await file.stat()).size
  for (let tries = 0; tries < 20 && size > 0; tries++) {
    await file.read(last, 0, 1, size - 1)
    if (last[0] === 0x0a) break
    await setTimeout(10)
    const now = (await file.stat()).size
    if (now === size) break
    size = now
  }
  return size
}

async function loadHead(path: string, ring: KeyRing): Promise<HeadState> {
  try {
    return parseHead(await readFile(`${path}.head`), ring)
  } catch (error) {
    if (errno(error) === 'ENOENT') return { kind: 'absent' }
    throw new AuditError('log_unreadable', `${path}.head cannot be read (${errno(error)})`, { cause: error })
  }
}

/** Stretches that begin at lines; the head's length is one of the cuts, so that its row count can be compared. */
async function cut(file: FileHandle, size: number, parts: number, headAt: number | undefined): Promise<Stretch[]> {
  const cuts = new Set<number>(headAt === undefined ? [] : [headAt])
  for (let i = 1; i < parts; i++) {
    const at = await nextLine(file, Math.floor((size * i) / parts), size)
    if (at < size) cuts.add(at)
  }
  const ordered = [0, ...[...cuts].filter(c => c > 0 && c < size).sort((a, b) => a - b), size]
  return ordered.slice(1).map((to, i) => ({ from: ordered[i] ?? 0, to }))
}

async function nextLine(file: FileHandle, from: number, size: number): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024)
  for (let at = from; at < size; ) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at)
    if (bytesRead === 0) break
    const newline = chunk.subarray(0, bytesRead).indexOf(0x0a)
    if (newline >= 0) return at + newline + 1
    at += bytesRead
  }
  return size
}

export async function walkStretch(
  file: FileHandle,
  stretch: Stretch,
  ring: KeyRing,
  progress: (bytes: number) => void,
  start: WalkStart,
): Promise<StretchReport> {
  const walk = new Walk(ring, start)
  let buffer = Buffer.allocUnsafe(Math.min(CHUNK, stretch.to - stretch.from))
  let held = 0
  let at = stretch.from
  while (at < stretch.to) {
    if (held === buffer.length) {
      if (held >= LONGEST_LINE) {
        // Too long for a row: let the walk call it malformed, piece by piece it stays bounded.
        walk.line(buffer, 0, held)
        held = 0
      } else buffer = Buffer.concat([buffer], buffer.length * 2)
    }
    const room = Math.min(buffer.length - held, stretch.to - at)
    const { bytesRead } = await file.read(buffer, held, room, at)
    if (bytesRead === 0) break
    at += bytesRead
    const end = held + bytesRead
    const used = walk.lines(buffer, end)
    buffer.copy(buffer, 0, used, end)
    held = end - used
    progress(bytesRead)
  }
  return { ...walk.report(), torn: held }
}

function join(
  reports: readonly StretchReport[],
  stretches: readonly Stretch[],
  size: number,
  head: HeadState | undefined,
  options: VerifyOptions,
): VerifyReport {
  const breaks: Break[] = []
  let more = 0
  let rows = 0
  let lastHmac: string | undefined = ''
  let lastTsNs: bigint | undefined
  let goodRows = 0
  let goodHmac = ''
  let salted = false
  const add = (found: Break) => {
    if (breaks.length < MAX_BREAKS) breaks.push(found)
    else more++
  }
  const here = (kind: BreakKind, detail: string, entryId = '') =>
    add({ index: rows, entry_id: entryId, kind, detail, line: rows + 1 })

  for (const [i, report] of reports.entries()) {
    const stretch = stretches[i] ?? { from: 0, to: size }
    if (report.firstPrevHmac !== undefined && lastHmac !== undefined && report.firstPrevHmac !== lastHmac && i > 0) {
      here('link_mismatch', linkDetail(lastHmac), report.firstEntryId)
    } else if (report.firstSalted && lastTsNs !== undefined && (report.firstTsNs ?? 0n) <= lastTsNs && i > 0) {
      here('timestamp_regression', `ts_ns ${report.firstTsNs} is not after ${lastTsNs}`, report.firstEntryId)
    }
    const joined = breaks.at(-1)
    if (joined === undefined) {
      goodRows = rows + report.goodRows
      if (report.goodRows > 0) goodHmac = report.goodHmac
    }
    for (const found of report.breaks) {
      const index = rows + found.index
      // One row, one cause: the walk that did not know the row before may also have said so.
      const again = joined !== undefined && joined.index === index && i > 0 && found.index === 0
      if (
        again &&
        (found.kind === joined.kind || (found.kind === 'self_mismatch' && joined.kind === 'link_mismatch'))
      ) {
        continue
      }
      add({ ...found, index, line: index + 1 })
    }
    more += report.moreBreaks
    rows += report.rows
    if (report.torn > 0) {
      here('torn_tail', `${report.torn} bytes after the last complete line${stretch.to === size ? '' : ' of the head'}`)
    }
    if (report.rows > 0) {
      lastHmac = report.lastHmac
      lastTsNs = report.lastTsNs
    }
    salted ||= report.salted
    if (head?.kind === 'found' && stretch.to === head.position.length) {
      const { count, hmac } = head.position
      if (BigInt(rows) !== count) here('head_mismatch', `the head file counts ${count} rows here, the log has ${rows}`)
      else if (lastHmac !== hmac) here('head_mismatch', 'the row that the head file names has another hmac')
    }
  }
  checkHead(head, size, salted, here)
  return {
    ok: breaks.length === 0,
    total_entries: rows,
    breaks,
    more_breaks: more,
    last_known_good_index: goodRows - 1,
    last_known_good_hmac: goodHmac,
    head: head === undefined ? 'ignored' : head.kind === 'absent' ? 'absent' : 'checked',
    signet_version: options.version ?? '',
    verified_at: (options.now?.() ?? new Date()).toISOString(),
  }
}

function checkHead(
  head: HeadState | undefined,
  size: number,
  salted: boolean,
  here: (kind: BreakKind, detail: string) => void,
): void {
  if (head === undefined) return
  switch (head.kind) {
    case 'absent':
      if (salted) here('head_mismatch', 'the head file is missing, so rows lost at the end would go unnoticed')
      return
    case 'invalid':
      here('head_mismatch', `the head file is not valid: ${head.detail}`)
      return
    case 'found':
      if (head.damaged) here('head_mismatch', 'one of the two records of the head file is damaged')
      if (size < head.position.length) {
        here(
          'log_truncated',
          `the head file knows ${head.position.count} rows in ${head.position.length} bytes, the log has ${size} bytes`,
        )
      }
  }
}
