/**
 * A manifest that was lost, made again from the segments themselves.
 *
 * Guarantees: there is none before, and one only if all of the log was found and verified with it: every segment from the
 * first on, each row, each link from file to file, and the length that the head file vouches for. So it cannot leave out a
 * segment: the row after the gap names the row before it, and the head counts those at the end. What is lost stays an error.
 * Does not: recover rows, or do without a head file. Whoever has the chain's key could have written another log, manifest
 * and all; the transparency log shows that, here as ever.
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { KeyRing } from '../../keys/ring.ts'
import { EMPTY, type Position } from '../chain.ts'
import { AuditError, errno, NO_WAIT, rolledName } from '../files.ts'
import { parseHead } from '../head.ts'
import { countLines, LONGEST_LINE } from '../lines.ts'
import { readStored, type StoredRow } from '../stored.ts'
import { verifyParallel } from '../verify-parallel.ts'
import { encodePacked, encodeRolled, macOf } from './manifest.ts'
import { PackedFile, SegmentFault, syncFolderOf } from './packed.ts'

export interface RebuildOptions {
  readonly path: string
  readonly ring: KeyRing
  /** Where packed segments may be, besides the log's own folder. */
  readonly folders: readonly string[]
  readonly onProgress?: (done: number, total: number) => void
}

/** For the row that tells of it. */
export interface Rebuilt {
  readonly segments: number
  readonly rows: number
  /** Of the manifest that was written. */
  readonly sha256: string
}

const CHUNK = 1024 * 1024
const NEWLINE = 0x0a

/** The log must be locked. Throws `AuditError` with one line, and leaves nothing behind, when the log is not whole. */
export async function rebuildManifest({ path, ring, folders, onProgress }: RebuildOptions): Promise<Rebuilt> {
  if (existsSync(`${path}.manifest`)) {
    throw new AuditError(
      'manifest_invalid',
      `${path}.manifest is there; only one that is missing can be made again (a damaged one: move it away first)`,
    )
  }
  demandHead(path, ring)
  const found = segmentsIn(path, [...new Set([dirname(path), ...folders])])
  let text = ''
  let [at, mac]: [Position, string] = [EMPTY, '']
  for (const [i, segment] of found.entries()) {
    const number = i + 1
    const facts = readSegment(segment)
    if (facts.first.prevHmac !== at.hmac) {
      throw new AuditError(
        'log_broken',
        `${segment.path} ${i === 0 ? 'does not begin the log' : `does not follow segment ${i}`}, so a segment is missing or in the place of another; restore it`,
      )
    }
    const to = {
      count: at.count + BigInt(facts.rows),
      length: at.length + facts.rawBytes,
      hmac: facts.last.hmac,
      tsNs: facts.last.tsNs,
    }
    const entry = { number, from: at, to, firstTsNs: facts.first.tsNs }
    const rolled = encodeRolled(entry, ring.active, mac)
    const packed = facts.packed === undefined ? '' : encodePacked(number, facts.packed, ring.active, macOf(rolled))
    text += rolled + packed
    mac = macOf(packed === '' ? rolled : packed)
    at = to
  }
  const manifest = Buffer.from(text)
  const report = await verifyParallel(path, ring, { folders, manifest, ...(onProgress && { onProgress }) })
  // Half a row at the end of the live file was never told to anybody as written; the start sets it aside.
  const wrong = report.breaks.find(b => b.kind !== 'torn_tail' || b.file !== undefined)
  if (wrong !== undefined) {
    throw new AuditError(
      'log_broken',
      `the log is not whole (${wrong.file ?? basename(path)}, line ${wrong.line}: ${wrong.kind}, ${wrong.detail}), so no manifest was made; restore what is missing`,
    )
  }
  writeWhole(`${path}.manifest`, manifest)
  return {
    segments: found.length,
    rows: Number(at.count),
    sha256: createHash('sha256').update(manifest).digest('hex'),
  }
}

/** Without it nobody could tell that the newest segments are missing. */
function demandHead(path: string, ring: KeyRing): void {
  let bytes: Buffer
  try {
    bytes = readFileSync(`${path}.head`, { flag: NO_WAIT })
  } catch (error) {
    const why = errno(error) === 'ENOENT' ? 'missing' : `not readable (${errno(error)})`
    throw new AuditError(
      'head_missing',
      `${path}.head is ${why}, and without it nobody can tell whether the newest segments are missing; restore it`,
    )
  }
  const head = parseHead(bytes, ring)
  if (head.kind !== 'found') {
    throw new AuditError('head_mismatch', `${path}.head is not valid; add the key that signed it, or restore the file`)
  }
}

interface Found {
  readonly path: string
  readonly packed: boolean
}

/** From the first on, none missing. */
function segmentsIn(path: string, folders: readonly string[]): readonly Found[] {
  const prefix = `${basename(path)}.`
  const numbers = new Set<number>()
  for (const folder of folders) {
    for (const name of namesIn(folder)) {
      const [, digits] = /^(\d{6,})(?:\.zst)?$/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : '') ?? []
      if (digits !== undefined) numbers.add(Number(digits))
    }
  }
  const last = Math.max(0, ...numbers)
  if (last === 0)
    throw new AuditError('segment_missing', `there is no segment of ${path} here, so it needs no manifest`)
  return Array.from({ length: last }, (_, i) => {
    const rolled = rolledName(path, i + 1)
    // Where both are, a gate was killed before it had noted that the segment is packed: it will pack it again.
    if (lstatSync(rolled, { throwIfNoEntry: false })?.isFile() === true) return { path: rolled, packed: false }
    const name = `${basename(rolled)}.zst`
    const at = folders.map(folder => join(folder, name)).find(existsSync)
    if (at !== undefined) return { path: at, packed: true }
    throw new AuditError(
      'segment_missing',
      `${name} is missing, and ${last === 1 ? 'it' : `segment ${last}`} is here; name its folder with --segments, or restore it`,
    )
  })
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    throw new AuditError('log_unreadable', `${folder} cannot be read (${errno(error)}); mount it`, { cause: error })
  }
}

interface Facts {
  readonly rows: number
  readonly rawBytes: number
  readonly first: StoredRow
  readonly last: StoredRow
  readonly packed:
    | { readonly file: string; readonly bytes: number; readonly sha256: string; readonly rawSha256: string }
    | undefined
}

function readSegment({ path, packed }: Found): Facts {
  try {
    if (!packed) return { ...summed(path, wholeLines(path)), packed: undefined }
    const file = new PackedFile(path)
    try {
      const { rawSha256, ...sum } = summed(path, inflated(file))
      return { ...sum, packed: { file: basename(path), bytes: file.size, sha256: file.sha256(), rawSha256 } }
    } finally {
      file.close()
    }
  } catch (error) {
    if (error instanceof AuditError) throw error
    const why = error instanceof SegmentFault ? error.message : `cannot be read (${errno(error)})`
    throw new AuditError('log_unreadable', `${path} ${why}; restore it`, { cause: error })
  }
}

function* inflated(file: PackedFile): Generator<Buffer, void, undefined> {
  for (const block of file.blocks) yield file.inflate(block)
}

function* wholeLines(path: string): Generator<Buffer, void, undefined> {
  const fd = openSync(path, NO_WAIT)
  try {
    let held = Buffer.alloc(0)
    for (let at = 0; ; ) {
      const chunk = Buffer.alloc(CHUNK)
      const n = readSync(fd, chunk, 0, chunk.length, at)
      if (n === 0) break
      at += n
      const bytes = Buffer.concat([held, chunk.subarray(0, n)])
      const end = bytes.lastIndexOf(NEWLINE) + 1
      if (end > 0) yield bytes.subarray(0, end)
      held = bytes.subarray(end)
      if (held.length > LONGEST_LINE) break
    }
    if (held.length > 0) throw new SegmentFault('does not end with a whole row')
  } finally {
    closeSync(fd)
  }
}

/** What the manifest says of rows. That they are rows of this log is verified afterwards, of all of them at once. */
function summed(path: string, chunks: Iterable<Buffer>): Omit<Facts, 'packed'> & { readonly rawSha256: string } {
  const raw = createHash('sha256')
  let [rows, rawBytes] = [0, 0]
  let first: StoredRow | undefined
  let last = Buffer.alloc(0)
  for (const lines of chunks) {
    if (lines.at(-1) !== NEWLINE) throw new SegmentFault('does not end with a whole row')
    raw.update(lines)
    rawBytes += lines.length
    first ??= rowOf(path, lines.subarray(0, lines.indexOf(NEWLINE)))
    rows += countLines(lines)
    last = Buffer.from(lines.subarray(lines.lastIndexOf(NEWLINE, lines.length - 2) + 1, -1))
  }
  if (first === undefined) throw new SegmentFault('holds no row')
  return { rows, rawBytes, first, last: rowOf(path, last), rawSha256: raw.digest('hex') }
}

function rowOf(path: string, line: Buffer): StoredRow {
  const read = readStored(line)
  if (read.ok) return read.row
  throw new AuditError('log_broken', `${path} holds a line that is no row (${read.fault.detail}); restore it`)
}

/** Complete under its name, or not there. */
function writeWhole(path: string, bytes: Uint8Array): void {
  const aside = `${path}.tmp`
  rmSync(aside, { force: true })
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const fd = openSync(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  try {
    writeFileSync(fd, bytes)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(aside, path)
  syncFolderOf(path)
}
