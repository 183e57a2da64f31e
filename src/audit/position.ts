/**
 * Places inside a log: where a position lies among its files, which position a row index has, and the record that keeps one
 * for the next verification.
 */
import { readSync } from 'node:fs'
import type { Key, KeyRing } from '../keys/ring.ts'
import { EMPTY, type Position } from './chain.ts'
import { encodeHead, parseRecord } from './head.ts'
import type { Layout, Piece } from './layout.ts'
import { linesOf, split } from './lines.ts'
import { PackedFile } from './segments/packed.ts'
import { readStored } from './stored.ts'
import type { VerifyFrom } from './verify-report.ts'
import type { StartAt } from './verify-units.ts'
import { Walk } from './walk.ts'

/** Which file a position lies in. A fault is one line: the log does not have that row where the position says. */
export function locate(layout: Layout, from: VerifyFrom | undefined): { start: StartAt; fault: string | undefined } {
  if (from === undefined) return { start: { piece: 0, offset: 0 }, fault: undefined }
  const { position } = from
  const at = position.length
  const index = layout.pieces.findIndex(p => at < p.entry.to.length)
  const piece = index < 0 ? layout.pieces.length : index
  const base = layout.pieces[piece]?.entry.from ?? layout.base
  const start = { piece, offset: at - base.length }
  // A missing segment is skipped whole; what follows it is fixed by the manifest.
  if (layout.pieces[piece]?.kind === 'missing') return { start: { piece, offset: 0 }, fault: undefined }
  if (at === base.length) {
    const same = position.count === base.count && position.hmac === base.hmac
    return { start, fault: same ? undefined : elsewhere(position, from.fixedBy) }
  }
  const line = lineBefore(layout, layout.pieces[piece], start.offset)
  const read = line === undefined ? undefined : readStored(line)
  const holds = read?.ok === true && read.row.hmac === position.hmac
  return { start, fault: holds ? undefined : elsewhere(position, from.fixedBy) }
}

function elsewhere(position: Position, fixedBy: string): string {
  return `the log does not have the row that the ${fixedBy} names: row ${position.count - 1n}, hmac ${position.hmac.slice(0, 16)}…`
}

const ROOM = 1024 * 1024

/** The line that ends at this byte of a file's rows. */
function lineBefore(layout: Layout, piece: Piece | undefined, offset: number): Buffer | undefined {
  let before: Buffer
  if (piece?.kind === 'packed') {
    let file: PackedFile | undefined
    try {
      file = new PackedFile(piece.path)
      const block = file.blocks.find(b => b.rawAt < offset && offset <= b.rawAt + b.rawBytes)
      if (block === undefined) return undefined
      before = file.inflate(block).subarray(0, offset - block.rawAt)
    } catch {
      // Damaged: verification of the segment says how.
      return undefined
    } finally {
      file?.close()
    }
  } else {
    if (piece?.kind === 'missing') return undefined
    const end = offset + (piece === undefined ? layout.liveFrom : 0)
    before = Buffer.alloc(Math.min(ROOM, offset))
    const n = readSync(piece?.fd ?? layout.live, before, 0, before.length, end - before.length)
    if (n < before.length) return undefined
  }
  if (before.at(-1) !== 0x0a) return undefined
  return before.subarray(before.lastIndexOf(0x0a, before.length - 2) + 1, before.length - 1)
}

/** The position before row `index`: that of the row before it, whose HMAC must hold. A string says why there is none. */
export function positionAt(layout: Layout, index: bigint, ring: KeyRing): VerifyFrom | string {
  if (index === 0n) return { position: EMPTY, fixedBy: 'row' }
  const known = [...layout.manifest.entries.map(e => e.to)].find(to => to.count === index)
  if (known !== undefined && layout.manifest.faults.length === 0) return { position: known, fixedBy: 'manifest' }
  for (const chunk of linesOf(layout, index - 1n)) {
    if (chunk.kind === 'gap') return `row ${index - 1n} is in ${chunk.file}, and ${chunk.why}`
    const piece = layout.pieces.find(p => p.entry.from.count <= index - 1n && index - 1n < p.entry.to.count)
    const base = piece?.entry.from ?? layout.base
    let length = base.length + bytesBefore(layout, piece, chunk.row - base.count)
    let row = chunk.row
    for (const line of split(chunk.bytes)) {
      length += line.length + 1
      if (row++ < index - 1n) continue
      const walk = new Walk(ring, { prevHmac: undefined, tsNs: undefined })
      walk.line(line, 0, line.length)
      const { breaks, lastHmac, lastTsNs } = walk.report()
      if (breaks[0] !== undefined) return `row ${index - 1n} is broken (${breaks[0].kind}: ${breaks[0].detail})`
      return { position: { count: index, length, hmac: lastHmac ?? '', tsNs: lastTsNs ?? -1n }, fixedBy: 'row' }
    }
  }
  return `the log has no row ${index - 1n}`
}

/** Bytes of the first `rows` rows of a file. */
function bytesBefore(layout: Layout, piece: Piece | undefined, rows: bigint): number {
  if (piece?.kind === 'packed') {
    const file = new PackedFile(piece.path)
    try {
      return file.blocks.find(b => BigInt(b.firstRow) === rows)?.rawAt ?? 0
    } finally {
      file.close()
    }
  }
  if (rows === 0n) return 0
  if (piece?.kind === 'rolled') return newlineOffset(piece.fd, 0, rows)
  return newlineOffset(layout.live, layout.liveFrom, rows)
}

function newlineOffset(fd: number, start: number, rows: bigint): number {
  const chunk = Buffer.alloc(ROOM)
  let left = rows
  for (let at = start; ; ) {
    const n = readSync(fd, chunk, 0, chunk.length, at)
    if (n === 0) return at - start
    const bytes = chunk.subarray(0, n)
    for (let i = bytes.indexOf(0x0a); i >= 0; i = bytes.indexOf(0x0a, i + 1)) {
      if (--left === 0n) return at + i + 1 - start
    }
    at += n
  }
}

const STATE_DOMAIN = 'signet-audit-state-v1\0'

/** What `--save-state` keeps: how far the log was sound, with a MAC of the chain's key. */
export function encodeState(position: Position, key: Key): Buffer {
  return encodeHead(position, key, STATE_DOMAIN)
}

export function parseState(bytes: Buffer, ring: KeyRing): VerifyFrom | undefined {
  const position = parseRecord(bytes, ring, STATE_DOMAIN)
  return typeof position === 'string' ? undefined : { position, fixedBy: 'state file' }
}
