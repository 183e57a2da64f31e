/**
 * A packed segment: rows in Zstandard frames (RFC 8878) of about a megabyte, whole lines each, so that any row can be read
 * by inflating one of them; then one skippable frame with the index. `zstd -dc` of the file gives the rows, byte for byte.
 *
 * Guarantees: a file is complete under its name or not there (written aside, synced, read back, renamed, folder synced); no
 * file, however damaged, makes a reader throw anything but `SegmentFault` or inflate more than its index says, and no block
 * is said to be larger than `MOST_BLOCK`. Does not: prove whose rows these are (the manifest does).
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import { constants as zlib, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { errno, NO_WAIT } from '../files.ts'
import type { Packed } from './manifest.ts'

/** What a file of segments has to be but is not; one line. */
export class SegmentFault extends Error {
  override readonly name = 'SegmentFault'
}

export interface Block {
  /** Where it begins in the file, and how long it is there. */
  readonly at: number
  readonly bytes: number
  readonly rawBytes: number
  readonly rows: number
  /** Rows and bytes of the segment before it. */
  readonly firstRow: number
  readonly rawAt: number
}

const BLOCK = 1024 * 1024
/** A line longer than a block makes a longer block; the longest line anybody reads is 16 MiB. */
const MOST_BLOCK = 32 * 1024 * 1024
/** Level 1 packs rows, which are mostly digests, as well as level 6 does, at three times the speed. */
const PARAMS = { [zlib.ZSTD_c_compressionLevel]: 1, [zlib.ZSTD_c_checksumFlag]: 1 }
/** RFC 8878 3.1.2: a skippable frame. */
const SKIPPABLE = 0x184d2a5e
const MARK = Buffer.from('signetx1', 'latin1')
const NEWLINE = 0x0a

/** Packs complete lines of a file into `to`. Returns what the manifest has to know. */
export function packFile(from: string, to: string): Packed & { readonly rows: number; readonly rawBytes: number } {
  const source = openSync(from, constants.O_RDONLY | constants.O_NOFOLLOW)
  const aside = `${to}.tmp`
  try {
    const out = openSync(
      aside,
      constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
      0o600,
    )
    let made: { readonly rows: number; readonly rawBytes: number; readonly rawSha256: string }
    try {
      made = packInto(source, out)
      fsyncSync(out)
    } finally {
      closeSync(out)
    }
    const packed = { file: basename(to), ...made, ...readBack(aside, made.rawSha256) }
    renameSync(aside, to)
    syncFolderOf(to)
    return packed
  } catch (error) {
    removeIfThere(aside)
    throw error
  } finally {
    closeSync(source)
  }
}

function packInto(
  source: number,
  out: number,
): { readonly rows: number; readonly rawBytes: number; readonly rawSha256: string } {
  const raw = createHash('sha256')
  const blocks: [number, number, number][] = []
  let buffer = Buffer.alloc(BLOCK)
  let held = 0
  let rows = 0
  let rawBytes = 0
  for (;;) {
    const n = readSync(source, buffer, held, buffer.length - held, null)
    held += n
    if (n > 0 && held < buffer.length) continue
    const end = buffer.subarray(0, held).lastIndexOf(NEWLINE) + 1
    if (end === 0) {
      if (held === 0) break
      if (n === 0) throw new SegmentFault(`${held} bytes after the last complete line`)
      if (buffer.length * 2 > MOST_BLOCK) throw new SegmentFault('a line is longer than 16 MiB')
      buffer = Buffer.concat([buffer], buffer.length * 2)
      continue
    }
    const lines = buffer.subarray(0, end)
    raw.update(lines)
    const packed = zstdCompressSync(lines, { params: PARAMS, pledgedSrcSize: end })
    writeWhole(out, packed)
    const count = countLines(lines)
    blocks.push([packed.length, end, count])
    rows += count
    rawBytes += end
    buffer.copy(buffer, 0, end, held)
    held -= end
  }
  writeWhole(out, indexFrame(blocks))
  return { rows, rawBytes, rawSha256: raw.digest('hex') }
}

function indexFrame(blocks: readonly (readonly [number, number, number])[]): Buffer {
  const json = Buffer.from(JSON.stringify({ v: 1, blocks }))
  const frame = Buffer.alloc(8 + json.length + 4 + MARK.length)
  frame.writeUInt32LE(SKIPPABLE, 0)
  frame.writeUInt32LE(frame.length - 8, 4)
  json.copy(frame, 8)
  frame.writeUInt32LE(json.length, 8 + json.length)
  MARK.copy(frame, 12 + json.length)
  return frame
}

/** What was written must give back what was read, before anybody forgets the original. */
function readBack(path: string, rawSha256: string): { readonly bytes: number; readonly sha256: string } {
  const segment = new PackedFile(path)
  try {
    const raw = createHash('sha256')
    for (const block of segment.blocks) raw.update(segment.inflate(block))
    if (raw.digest('hex') !== rawSha256) throw new SegmentFault(`${path} does not give back the rows it was made from`)
    return { bytes: segment.size, sha256: segment.sha256() }
  } finally {
    segment.close()
  }
}

export class PackedFile {
  readonly path: string
  readonly size: number
  readonly blocks: readonly Block[]
  readonly #fd: number

  constructor(path: string) {
    this.path = path
    this.#fd = openSync(path, NO_WAIT)
    try {
      const found = fstatSync(this.#fd)
      if (!found.isFile()) throw new SegmentFault('is not a regular file')
      this.size = found.size
      this.blocks = readIndex(this.#fd, this.size)
    } catch (error) {
      closeSync(this.#fd)
      throw error
    }
  }

  inflate(block: Block): Buffer {
    const packed = Buffer.allocUnsafe(block.bytes)
    readWhole(this.#fd, packed, block.at)
    let lines: Buffer
    try {
      lines = zstdDecompressSync(packed, { maxOutputLength: block.rawBytes })
    } catch (error) {
      throw new SegmentFault(`does not inflate at byte ${block.at} (${errno(error)})`)
    }
    if (lines.length !== block.rawBytes) throw new SegmentFault(`inflates to another length at byte ${block.at}`)
    return lines
  }

  /** Of the whole file, read once, in pieces. */
  sha256(progress: (bytes: number) => void = () => undefined): string {
    const digest = createHash('sha256')
    const chunk = Buffer.allocUnsafe(BLOCK)
    for (let at = 0; at < this.size; ) {
      const n = readSync(this.#fd, chunk, 0, Math.min(chunk.length, this.size - at), at)
      if (n === 0) break
      digest.update(chunk.subarray(0, n))
      at += n
      progress(n)
    }
    return digest.digest('hex')
  }

  close(): void {
    closeSync(this.#fd)
  }
}

function readIndex(fd: number, size: number): readonly Block[] {
  const tail = Buffer.alloc(4 + MARK.length)
  if (size < tail.length + 8) throw new SegmentFault('is too short for a packed segment')
  readWhole(fd, tail, size - tail.length)
  const length = tail.readUInt32LE(0)
  const from = size - tail.length - length - 8
  if (!tail.subarray(4).equals(MARK) || from < 0 || length > 64 * 1024 * 1024) {
    throw new SegmentFault('has no index at its end')
  }
  const frame = Buffer.alloc(8 + length)
  readWhole(fd, frame, from)
  if (frame.readUInt32LE(0) !== SKIPPABLE || frame.readUInt32LE(4) !== length + tail.length) {
    throw new SegmentFault('has no index at its end')
  }
  let json: unknown
  try {
    json = JSON.parse(frame.toString('utf8', 8))
  } catch {
    throw new SegmentFault('has an index that is no JSON')
  }
  return blocksOf(json, from)
}

function blocksOf(json: unknown, end: number): readonly Block[] {
  const listed = typeof json === 'object' && json !== null && 'blocks' in json ? json.blocks : undefined
  if (!Array.isArray(listed)) throw new SegmentFault('has an index without blocks')
  const blocks: Block[] = []
  let [at, firstRow, rawAt] = [0, 0, 0]
  for (const item of listed) {
    const [bytes, rawBytes, rows]: readonly unknown[] = Array.isArray(item) ? item : []
    if (!isSize(bytes) || !isSize(rawBytes) || !isSize(rows) || rawBytes > MOST_BLOCK || rows > rawBytes) {
      throw new SegmentFault('has an index with impossible numbers')
    }
    blocks.push({ at, bytes, rawBytes, rows, firstRow, rawAt })
    at += bytes
    firstRow += rows
    rawAt += rawBytes
  }
  if (at !== end) throw new SegmentFault('has an index that does not cover the file')
  return blocks
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

function countLines(bytes: Buffer): number {
  let n = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) n++
  return n
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    const n = writeSync(fd, bytes, done, bytes.length - done, null)
    if (n <= 0) throw Object.assign(new Error('write(2) wrote nothing'), { code: 'EIO' })
    done += n
  }
}

function readWhole(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length; ) {
    const n = readSync(fd, into, done, into.length - done, position + done)
    if (n === 0) throw new SegmentFault('ends too early')
    done += n
  }
}

/** A new name is durable only when its folder is (fsync(2)). */
export function syncFolderOf(path: string): void {
  const fd = openSync(dirname(path), constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error
  }
}
