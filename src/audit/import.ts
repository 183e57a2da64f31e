/**
 * Takes a log of the Python implementation over: verified whole with its key, its rows become the first segments of a new log,
 * byte for byte, and a row says that they are equal.
 *
 * Guarantees: nothing of the new log exists unless every row of the source verified; the manifest, which makes the files a
 * log, is written last. Rows keep their bytes, order and HMACs; what is not in the chain by its own format (the markers that
 * compaction left) is kept in a file beside it. The proof compares what was read from the source with what is read back from
 * the new log. Does not: change or delete the source.
 */
import { createHash, type Hash, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Key, KeyRing } from '../keys/ring.ts'
import { ArchiveFault, isArchive, readArchive } from './archive.ts'
import { EMPTY, type Position } from './chain.ts'
import { AuditError, errno, rolledName } from './files.ts'
import { encodeHead } from './head.ts'
import { closeLayout, openLayout } from './layout.ts'
import { linesOf, split } from './lines.ts'
import { openAuditLog } from './open.ts'
import { noteRow } from './own-rows.ts'
import { encodeRolled, macOf } from './segments/manifest.ts'
import { readStored, type StoredRow } from './stored.ts'
import { uuid7 } from './uuid.ts'
import { Walk } from './walk.ts'

/** What source and copy have in common, both read in full. */
export interface Proof {
  readonly rows: number
  readonly first_hmac: string
  readonly last_hmac: string
  /** Of all rows with their line feeds, in order. */
  readonly sha256: string
}

export interface Imported {
  readonly source: Proof
  readonly copy: Proof
  readonly equal: boolean
  readonly segments: number
  readonly markers: number
  /** The row that records it. */
  readonly entry_id: string
}

export class ImportFault extends Error {
  override readonly name = 'ImportFault'
}

export interface ImportOptions {
  /** In order: archives and logs of one chain. */
  readonly sources: readonly string[]
  readonly to: string
  /** Its active key writes on; the source's key is among the legacy ones. */
  readonly ring: KeyRing
  readonly segmentBytes: number
  readonly segmentFolder?: string | undefined
  readonly nowMs: () => number
}

export async function importLog(options: ImportOptions): Promise<Imported> {
  const { to, ring } = options
  for (const path of [to, `${to}.head`, `${to}.manifest`, rolledName(to, 1)]) {
    if (existsSync(path)) throw new ImportFault(`${path} exists already; import into a new log`)
  }
  const writing = new Writing(to, ring, options.segmentBytes)
  let markers: number
  try {
    for (const source of options.sources) readSource(source, writing)
    markers = writing.finish()
  } catch (error) {
    writing.undo()
    throw error
  }
  const source = writing.proof()
  const log = await openAuditLog({ path: to, ring, segmentFolder: options.segmentFolder })
  try {
    const copy = await readBack(to, source.rows, options.segmentFolder)
    const equal = JSON.stringify(copy) === JSON.stringify(source)
    if (!equal)
      throw new ImportFault(`${to} does not give back the rows of its source; delete it, and look at the disk`)
    const entryId = uuid7(BigInt(options.nowMs()), randomBytes)
    const details = { ...source, files: options.sources.map(s => basename(s)), markers, keys: [...writing.keys].sort() }
    const reason = 'a log of another program was taken over, row for row'
    await log.append(noteRow(entryId, 'audit.imported', reason, details)).durable()
    await packed(to, options.segmentFolder)
    return { source, copy, equal, segments: writing.segments, markers, entry_id: entryId }
  } finally {
    await log.close()
  }
}

/** Packing goes on in a thread; who imports wants to see the end of it. */
async function packed(path: string, folder: string | undefined): Promise<void> {
  for (;;) {
    const layout = await openLayout(path, { folders: folder === undefined ? [] : [folder] })
    const done = layout.pieces.every(p => p.kind !== 'rolled')
    closeLayout(layout)
    if (done) return
    await setTimeout(50)
  }
}

async function readBack(path: string, rows: number, folder: string | undefined): Promise<Proof> {
  const layout = await openLayout(path, { folders: folder === undefined ? [] : [folder] })
  try {
    const sum = new Sum()
    for (const chunk of linesOf(layout)) {
      if (chunk.kind === 'gap') throw new ImportFault(`${chunk.file}: ${chunk.why}`)
      for (const line of split(chunk.bytes)) if (sum.rows < rows) sum.add(line)
    }
    return sum.proof()
  } finally {
    closeLayout(layout)
  }
}

class Sum {
  readonly #hash: Hash = createHash('sha256')
  rows = 0
  #first = ''
  #last = ''

  add(line: Buffer): void {
    const read = readStored(line)
    this.#last = read.ok ? read.row.hmac : ''
    if (this.rows === 0) this.#first = this.#last
    this.#hash.update(line).update('\n')
    this.rows++
  }

  proof(): Proof {
    return { rows: this.rows, first_hmac: this.#first, last_hmac: this.#last, sha256: this.#hash.copy().digest('hex') }
  }
}

const CHUNK = 1024 * 1024
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

function readSource(path: string, into: Writing): void {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY)
  } catch (error) {
    throw new AuditError('log_unreadable', `${path} cannot be opened (${errno(error)})`, { cause: error })
  }
  try {
    const start = Buffer.alloc(64)
    const n = readSync(fd, start, 0, start.length, 0)
    into.begin(basename(path))
    if (isArchive(start.subarray(0, n))) {
      const archive = readArchive(readFileSync(path))
      for (const line of split(archive.rows)) into.line(line)
      into.archived(archive.count, archive.merkleRoot)
      return
    }
    readLines(fd, start.subarray(0, n).subarray(0, 3).equals(BOM) ? 3 : 0, into)
  } catch (error) {
    if (error instanceof ArchiveFault) throw new ImportFault(`${path}: ${error.message}`)
    throw error
  } finally {
    closeSync(fd)
  }
}

function readLines(fd: number, from: number, into: Writing): void {
  let held: Buffer = Buffer.alloc(0)
  for (let at = from; ; ) {
    const chunk = Buffer.alloc(CHUNK)
    const n = readSync(fd, chunk, 0, CHUNK, at)
    if (n === 0) break
    at += n
    const bytes = Buffer.concat([held, chunk.subarray(0, n)])
    const end = bytes.lastIndexOf(0x0a) + 1
    for (const line of split(bytes.subarray(0, end))) into.line(line)
    held = bytes.subarray(end)
  }
  if (held.length > 0) throw new ImportFault(`${into.where}: ${held.length} bytes after the last complete line`)
}

/** The new log's files, until the manifest makes them a log. */
class Writing {
  readonly #to: string
  readonly #ring: KeyRing
  readonly #most: number
  readonly #walk: Walk
  readonly #sum = new Sum()
  readonly keys = new Set<string>()
  readonly #markers: string[] = []
  readonly #archives = new Map<string, number>()
  #at: Position = EMPTY
  #from: Position = EMPTY
  #firstTsNs = 0n
  #fd: number | undefined
  #held: Buffer[] = []
  #heldBytes = 0
  #manifest = ''
  #mac = ''
  segments = 0
  #file = ''
  #line = 0

  constructor(to: string, ring: KeyRing, most: number) {
    this.#to = to
    this.#ring = ring
    this.#most = most
    this.#walk = new Walk(ring, { prevHmac: '', tsNs: undefined })
  }

  get where(): string {
    return `${this.#file}, line ${this.#line}`
  }

  proof(): Proof {
    return this.#sum.proof()
  }

  begin(file: string): void {
    this.#file = file
    this.#line = 0
  }

  archived(count: number, merkleRoot: string): void {
    this.#archives.set(merkleRoot, count)
  }

  line(line: Buffer): void {
    this.#line++
    // Its reader skips blank lines, so they are no rows.
    if (line.length === 0) return
    const read = readStored(line)
    if (!read.ok) throw new ImportFault(`${this.where}: ${read.fault.detail} (${read.fault.kind})`)
    const { row } = read
    const keyId = row.metadata.get('_signing_key_id')
    if (typeof keyId === 'string') this.keys.add(keyId)
    if (isMarker(row)) {
      this.#marker(line, row)
      return
    }
    this.#walk.line(line, 0, line.length)
    const broken = this.#walk.report().breaks[0]
    if (broken !== undefined) {
      const restart = broken.kind === 'link_mismatch' && row.prevHmac === ''
      throw new ImportFault(
        `${this.where}: ${broken.detail} (${broken.kind})${restart ? '; a new chain begins here: import it as a log of its own' : ''}`,
      )
    }
    this.#sum.add(line)
    if (this.#fd === undefined) {
      this.#fd = openSync(
        rolledName(this.#to, this.segments + 1),
        constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
        0o600,
      )
      this.#from = this.#at
      this.#firstTsNs = row.tsNs
    }
    this.#held.push(Buffer.from(line), Buffer.from('\n'))
    this.#heldBytes += line.length + 1
    this.#at = {
      count: this.#at.count + 1n,
      length: this.#at.length + line.length + 1,
      hmac: row.hmac,
      tsNs: row.tsNs,
    }
    if (this.#heldBytes >= CHUNK) this.#flush()
    if (this.#at.length - this.#from.length >= this.#most) this.#cut()
  }

  /** Compaction's own row stands beside the chain: what follows it links to what it archived. */
  #marker(line: Buffer, row: StoredRow): void {
    const key = this.#keyOf(row)
    const walk = new Walk(this.#ring, { prevHmac: undefined, tsNs: undefined })
    walk.line(line, 0, line.length)
    if (key === undefined || walk.report().breaks.length > 0) {
      throw new ImportFault(`${this.where}: the compaction marker's HMAC does not hold`)
    }
    const payload = row.metadata.get('_compaction_marker')
    const root: unknown = payload instanceof Map ? payload.get('merkle_root') : undefined
    const count: unknown = payload instanceof Map ? payload.get('compacted_count') : undefined
    const archived = typeof root === 'string' ? this.#archives.get(root) : undefined
    if (archived === undefined || typeof count !== 'bigint' || BigInt(archived) !== count) {
      throw new ImportFault(`${this.where}: the archive of this compaction marker is not among the files before it`)
    }
    if (row.prevHmac !== this.#at.hmac) {
      throw new ImportFault(`${this.where}: the compaction marker does not follow the archive before it`)
    }
    this.#markers.push(line.toString('utf8'))
  }

  #keyOf(row: StoredRow): Key | undefined {
    const id = row.metadata.get('_signing_key_id')
    return typeof id === 'string' ? this.#ring.get(id) : undefined
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#held)
    for (let at = 0; at < bytes.length && this.#fd !== undefined; ) at += writeSync(this.#fd, bytes, at)
    this.#held = []
    this.#heldBytes = 0
  }

  #cut(): void {
    if (this.#fd === undefined) return
    this.#flush()
    fsyncSync(this.#fd)
    closeSync(this.#fd)
    this.#fd = undefined
    this.segments++
    const entry = { number: this.segments, from: this.#from, to: this.#at, firstTsNs: this.#firstTsNs }
    const line = encodeRolled(entry, this.#ring.active, this.#mac)
    this.#mac = macOf(line)
    this.#manifest += line
  }

  /** Returns how many markers were set aside. */
  finish(): number {
    this.#cut()
    if (this.segments === 0) throw new ImportFault('there is no row in it')
    if (this.#markers.length > 0) writeNew(`${this.#to}.markers.jsonl`, this.#markers.map(m => `${m}\n`).join(''))
    writeNew(`${this.#to}.head`, encodeHead(this.#at, this.#ring.active).toString('latin1'))
    writeNew(`${this.#to}.manifest`, this.#manifest)
    return this.#markers.length
  }

  undo(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    const files = Array.from({ length: this.segments + 1 }, (_, i) => rolledName(this.#to, i + 1))
    for (const path of [...files, `${this.#to}.markers.jsonl`, `${this.#to}.head`])
      if (existsSync(path)) unlinkSync(path)
  }
}

function isMarker(row: StoredRow): boolean {
  const payload = row.metadata.get('_compaction_marker')
  return (
    row.checkName === '_compaction' && payload instanceof Map && typeof payload.get('_marker_signature') === 'string'
  )
}

function writeNew(path: string, text: string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  try {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  const folder = openSync(dirname(path), constants.O_RDONLY)
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
