/**
 * A log cut into units that are verified one by one, in any order, in any thread: some megabytes of whole lines each, or the
 * digest of a packed file. `verify-join.ts` puts the results together.
 */
import { readSync } from 'node:fs'
import type { KeyRing } from '../keys/ring.ts'
import type { Layout } from './layout.ts'
import { LONGEST_LINE, why } from './lines.ts'
import { type Block, PackedFile } from './segments/packed.ts'
import { Walk, type WalkReport } from './walk.ts'

/** Plain data: units cross threads. Descriptors are the process's, so a thread reads the file that was opened. */
export type Unit =
  | {
      readonly kind: 'plain'
      readonly piece: number
      readonly fd: number
      readonly from: number
      readonly to: number
    }
  | {
      readonly kind: 'packed'
      readonly piece: number
      readonly path: string
      readonly blocks: readonly Block[]
      /** Bytes of the first block that belong to rows before. */
      readonly skip: number
    }
  | { readonly kind: 'digest'; readonly piece: number; readonly path: string; readonly bytes: number }

export type UnitResult =
  | {
      readonly kind: 'rows'
      readonly report: WalkReport
      /** Bytes after the last newline. */
      readonly torn: number
      /** Why the rest could not be read. */
      readonly fault: string | undefined
    }
  | { readonly kind: 'digest'; readonly sha256: string | undefined; readonly fault: string | undefined }

export const UNIT = 8 * 1024 * 1024
const CHUNK = 1024 * 1024

export function runUnit(unit: Unit, ring: KeyRing, progress: (bytes: number) => void): UnitResult {
  switch (unit.kind) {
    case 'plain':
      return walkPlain(unit, ring, progress)
    case 'packed':
      return walkPacked(unit, ring, progress)
    case 'digest':
      return digest(unit, progress)
  }
}

const UNKNOWN = { prevHmac: undefined, tsNs: undefined }

function walkPlain(
  unit: Extract<Unit, { kind: 'plain' }>,
  ring: KeyRing,
  progress: (bytes: number) => void,
): UnitResult {
  const walk = new Walk(ring, UNKNOWN)
  let buffer = Buffer.allocUnsafe(Math.max(1, Math.min(CHUNK, unit.to - unit.from)))
  let held = 0
  for (let at = unit.from; at < unit.to; ) {
    if (held === buffer.length) {
      if (held >= LONGEST_LINE) {
        // Too long for a row: let the walk call it malformed, piece by piece it stays bounded.
        walk.line(buffer, 0, held)
        held = 0
      } else buffer = Buffer.concat([buffer], buffer.length * 2)
    }
    const n = readSync(unit.fd, buffer, held, Math.min(buffer.length - held, unit.to - at), at)
    if (n === 0) break
    at += n
    const end = held + n
    const used = walk.lines(buffer, end)
    buffer.copy(buffer, 0, used, end)
    held = end - used
    progress(n)
  }
  return { kind: 'rows', report: walk.report(), torn: held, fault: undefined }
}

function walkPacked(
  unit: Extract<Unit, { kind: 'packed' }>,
  ring: KeyRing,
  progress: (bytes: number) => void,
): UnitResult {
  const walk = new Walk(ring, UNKNOWN)
  let torn = 0
  let file: PackedFile | undefined
  try {
    file = new PackedFile(unit.path)
    for (const [i, block] of unit.blocks.entries()) {
      const lines = file.inflate(block).subarray(i === 0 ? unit.skip : 0)
      torn = lines.length - walk.lines(lines, lines.length)
      progress(lines.length)
      if (torn > 0) break
    }
    return { kind: 'rows', report: walk.report(), torn, fault: undefined }
  } catch (error) {
    return { kind: 'rows', report: walk.report(), torn, fault: why(error) }
  } finally {
    file?.close()
  }
}

function digest(unit: Extract<Unit, { kind: 'digest' }>, progress: (bytes: number) => void): UnitResult {
  let file: PackedFile | undefined
  try {
    file = new PackedFile(unit.path)
    return { kind: 'digest', sha256: file.sha256(progress), fault: undefined }
  } catch (error) {
    return { kind: 'digest', sha256: undefined, fault: why(error) }
  } finally {
    file?.close()
  }
}

/** A place to begin at, in one of the files. */
export interface StartAt {
  /** Index of the piece; the live file comes after the last. */
  readonly piece: number
  /** Bytes of its rows that come before. */
  readonly offset: number
}

export interface Plan {
  readonly units: readonly Unit[]
  /** Bytes to be read and inflated, for the progress bar. */
  readonly total: number
  /** Pieces that could not even be opened, and why. */
  readonly faults: ReadonlyMap<number, string>
}

/**
 * @param size bytes of the live file that count
 * @param cutAt byte of the live file where units must meet, so that the head can be compared there
 */
export function planUnits(
  layout: Layout,
  size: number,
  cutAt: number | undefined,
  start: StartAt,
  unit: number = UNIT,
): Plan {
  const units: Unit[] = []
  const faults = new Map<number, string>()
  let total = 0
  for (const [i, piece] of layout.pieces.entries()) {
    if (i < start.piece || piece.kind === 'missing') continue
    const offset = i === start.piece ? start.offset : 0
    if (piece.kind === 'rolled') {
      const to = piece.entry.to.length - piece.entry.from.length
      units.push(...cutPlain(piece.fd, i, offset, to, undefined, unit))
      total += to - offset
      continue
    }
    try {
      const file = new PackedFile(piece.path)
      units.push({ kind: 'digest', piece: i, path: piece.path, bytes: file.size })
      units.push(...cutPacked(piece.path, i, file.blocks, offset, unit))
      total += file.size + piece.entry.to.length - piece.entry.from.length - offset
      file.close()
    } catch (error) {
      faults.set(i, why(error))
    }
  }
  const live = layout.pieces.length
  const from = live === start.piece ? start.offset + layout.liveFrom : layout.liveFrom
  units.push(...cutPlain(layout.live, live, from, size, cutAt, unit))
  return { units, total: total + Math.max(0, size - from), faults }
}

function cutPacked(path: string, piece: number, blocks: readonly Block[], offset: number, unit: number): Unit[] {
  const units: Unit[] = []
  let group: Block[] = []
  let bytes = 0
  let skip = 0
  const flush = () => {
    if (group.length > 0) units.push({ kind: 'packed', piece, path, blocks: group, skip })
    group = []
    bytes = 0
    skip = 0
  }
  for (const block of blocks) {
    if (block.rawAt + block.rawBytes <= offset) continue
    if (group.length === 0) skip = Math.max(0, offset - block.rawAt)
    group.push(block)
    bytes += block.rawBytes
    if (bytes >= unit) flush()
  }
  flush()
  return units
}

function cutPlain(
  fd: number,
  piece: number,
  from: number,
  to: number,
  cutAt: number | undefined,
  unit: number,
): Unit[] {
  const cuts = new Set<number>()
  if (cutAt !== undefined && cutAt > from && cutAt < to) cuts.add(cutAt)
  for (let at = from + unit; at < to; ) {
    const line = nextLine(fd, at, to)
    if (line < to) cuts.add(line)
    at = line + unit
  }
  const ordered = [from, ...[...cuts].sort((a, b) => a - b), to]
  const units: Unit[] = []
  for (let i = 1; i < ordered.length; i++) {
    units.push({ kind: 'plain', piece, fd, from: ordered[i - 1] ?? from, to: ordered[i] ?? to })
  }
  return units
}

function nextLine(fd: number, from: number, to: number): number {
  const chunk = Buffer.alloc(64 * 1024)
  for (let at = from; at < to; ) {
    const n = readSync(fd, chunk, 0, Math.min(chunk.length, to - at), at)
    if (n === 0) break
    const newline = chunk.subarray(0, n).indexOf(0x0a)
    if (newline >= 0) return at + newline + 1
    at += n
  }
  return to
}
