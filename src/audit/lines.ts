/**
 * The lines of a log across its files, forwards from any row and backwards from the end. A packed segment is inflated block
 * by block, and only where it is asked for.
 */
import { fstatSync, readSync } from 'node:fs'
import { errno } from './files.ts'
import type { Layout, Piece } from './layout.ts'
import { PackedFile, SegmentFault } from './segments/packed.ts'

export type LineChunk =
  /** Whole lines; only a file's last one may lack its newline. `line` is the first one's number in its file, from 1. */
  | {
      readonly kind: 'lines'
      readonly file: string
      readonly row: bigint
      readonly line: number
      readonly bytes: Buffer
    }
  /** Rows that cannot be read: `row` up to, not including, `end`. */
  | { readonly kind: 'gap'; readonly file: string; readonly row: bigint; readonly end: bigint; readonly why: string }

const CHUNK = 1024 * 1024
export const LONGEST_LINE = 16 * 1024 * 1024
const NEWLINE = 0x0a

/** A place that somebody remembered: row `row` begins at byte `pos` of the log. */
export interface Place {
  readonly row: bigint
  readonly pos: number
}

/** From the chunk that holds row `from` on. */
export function* linesOf(layout: Layout, from = 0n): Generator<LineChunk, void, undefined> {
  for (const piece of layout.pieces) {
    if (piece.entry.to.count <= from) continue
    yield* linesOfPiece(piece, from, undefined)
  }
  yield* linesOfFile(
    layout.live,
    layout.path,
    { row: layout.base.count, at: layout.liveFrom, line: 1 },
    undefined,
    from,
  )
}

/** From a place on, without looking for it. */
export function* linesFrom(layout: Layout, place: Place): Generator<LineChunk, void, undefined> {
  for (const piece of layout.pieces) {
    if (piece.entry.to.length <= place.pos) continue
    yield* linesOfPiece(piece, place.row, place)
  }
  const { base } = layout
  const inLive = place.pos >= base.length
  const start = inLive
    ? { row: place.row, at: place.pos - base.length + layout.liveFrom, line: Number(place.row - base.count) + 1 }
    : { row: base.count, at: layout.liveFrom, line: 1 }
  yield* linesOfFile(layout.live, layout.path, start, undefined, place.row)
}

function* linesOfPiece(piece: Piece, from: bigint, place: Place | undefined): Generator<LineChunk, void, undefined> {
  const { entry, name } = piece
  const { count, length } = entry.from
  const inside = place !== undefined && place.pos > length ? place : undefined
  switch (piece.kind) {
    case 'missing':
      yield gap(piece, 'it is missing')
      return
    case 'rolled': {
      const start =
        inside === undefined
          ? { row: count, at: 0, line: 1 }
          : { row: inside.row, at: inside.pos - length, line: Number(inside.row - count) + 1 }
      yield* linesOfFile(piece.fd, name, start, entry.to.length - length, from)
      return
    }
    case 'packed':
      yield* blocksFrom(piece, from, inside)
  }
}

function* blocksFrom(
  piece: Extract<Piece, { kind: 'packed' }>,
  from: bigint,
  place: Place | undefined,
): Generator<LineChunk, void, undefined> {
  const { count, length } = piece.entry.from
  let file: PackedFile | undefined
  try {
    file = new PackedFile(piece.path)
    for (const block of file.blocks) {
      if (count + BigInt(block.firstRow + block.rows) <= from) continue
      const lines = file.inflate(block)
      const skip = place === undefined ? 0 : Math.max(0, place.pos - length - block.rawAt)
      const row = place !== undefined && skip > 0 ? place.row : count + BigInt(block.firstRow)
      yield { kind: 'lines', file: piece.name, row, line: Number(row - count) + 1, bytes: lines.subarray(skip) }
    }
  } catch (error) {
    yield gap(piece, why(error))
  } finally {
    file?.close()
  }
}

function* linesOfFile(
  fd: number,
  name: string,
  start: { readonly row: bigint; readonly at: number; readonly line: number },
  end: number | undefined,
  from: bigint,
): Generator<LineChunk, void, undefined> {
  let held: Buffer = Buffer.alloc(0)
  let { row, line } = start
  for (let { at } = start; ; ) {
    const room = end === undefined ? CHUNK : Math.min(CHUNK, end - at)
    const chunk = Buffer.allocUnsafe(room)
    const bytesRead = room === 0 ? 0 : readSync(fd, chunk, 0, room, at)
    if (bytesRead === 0) break
    at += bytesRead
    const read = chunk.subarray(0, bytesRead)
    const bytes = held.length === 0 ? read : Buffer.concat([held, read])
    const whole = bytes.lastIndexOf(NEWLINE) + 1
    if (whole === 0 && bytes.length <= LONGEST_LINE) {
      held = bytes
      continue
    }
    const lines = whole === 0 ? bytes : bytes.subarray(0, whole)
    const rows = whole === 0 ? 1 : countLines(lines)
    if (row + BigInt(rows) > from) yield { kind: 'lines', file: name, row, line, bytes: lines }
    row += BigInt(rows)
    line += rows
    held = whole === 0 ? Buffer.alloc(0) : bytes.subarray(whole)
  }
  if (held.length > 0) yield { kind: 'lines', file: name, row, line, bytes: held }
}

/** Chunks from the end backwards; rows of the live file are not numbered here (that would need reading all of it). */
export function* linesBackwards(layout: Layout): Generator<LineChunk, void, undefined> {
  yield* backwardsInFile(layout.live, layout.path, layout.liveFrom, fstatSync(layout.live).size)
  for (const piece of layout.pieces.toReversed()) {
    switch (piece.kind) {
      case 'missing':
        yield gap(piece, 'it is missing')
        break
      case 'rolled':
        yield* backwardsInFile(piece.fd, piece.name, 0, piece.entry.to.length - piece.entry.from.length)
        break
      case 'packed':
        yield* backwardsInPacked(piece)
    }
  }
}

function* backwardsInPacked(piece: Extract<Piece, { kind: 'packed' }>): Generator<LineChunk, void, undefined> {
  let file: PackedFile | undefined
  try {
    file = new PackedFile(piece.path)
    for (const block of file.blocks.toReversed()) {
      const row = piece.entry.from.count + BigInt(block.firstRow)
      yield { kind: 'lines', file: piece.name, row, line: block.firstRow + 1, bytes: file.inflate(block) }
    }
  } catch (error) {
    yield gap(piece, why(error))
  } finally {
    file?.close()
  }
}

function* backwardsInFile(fd: number, name: string, start: number, end: number): Generator<LineChunk, void, undefined> {
  let held: Buffer = Buffer.alloc(0)
  for (let to = end; to > start; ) {
    const from = Math.max(start, to - CHUNK)
    const chunk = Buffer.alloc(to - from)
    readSync(fd, chunk, 0, chunk.length, from)
    to = from
    const bytes = held.length === 0 ? chunk : Buffer.concat([chunk, held])
    // The first line may have begun in the chunk before.
    const cut = from === start ? 0 : bytes.indexOf(NEWLINE) + 1
    if (from > start && (cut === 0 || cut === bytes.length) && bytes.length <= LONGEST_LINE) {
      held = bytes
      continue
    }
    yield { kind: 'lines', file: name, row: 0n, line: 0, bytes: bytes.subarray(cut) }
    held = bytes.subarray(0, cut)
  }
}

function gap(piece: Piece, reason: string): LineChunk {
  return { kind: 'gap', file: piece.name, row: piece.entry.from.count, end: piece.entry.to.count, why: reason }
}

export function why(error: unknown): string {
  return error instanceof SegmentFault ? `it ${error.message}` : `it cannot be read (${errno(error)})`
}

/** The complete lines of a chunk, and what is left at its end without a newline. */
export function* split(bytes: Buffer): Generator<Buffer, void, undefined> {
  let from = 0
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
    yield bytes.subarray(from, end)
    from = end + 1
  }
  if (from < bytes.length) yield bytes.subarray(from)
}

export function countLines(bytes: Buffer): number {
  let n = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) n++
  return n
}
