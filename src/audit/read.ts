/**
 * Rows of a log for people: show, tail, count, report. Reading checks a row's form and says where a line has none; it
 * does not check HMACs (`verify.ts` does).
 */
import { type FileHandle, open } from 'node:fs/promises'
import { AuditError, errno } from './files.ts'
import { type LineFault, readStored, type StoredRow } from './stored.ts'

export type ReadRow =
  | { readonly kind: 'row'; readonly row: StoredRow; readonly line: number; readonly text: string }
  | { readonly kind: 'malformed'; readonly fault: LineFault; readonly line: number }

const CHUNK = 256 * 1024
const LONGEST_LINE = 16 * 1024 * 1024

/** All rows in order; a damaged line is an element, not a throw. `line` is 1-based. */
export async function* readRows(path: string): AsyncGenerator<ReadRow, void, undefined> {
  let line = 0
  for await (const bytes of linesOf(path)) yield toRead(bytes, ++line)
}

/** The last `n` rows, oldest first, read from the end. `line` counts from the end: -1 is the last line. */
export async function tailRows(path: string, n: number): Promise<readonly ReadRow[]> {
  const file = await openLog(path)
  try {
    let from = (await file.stat()).size
    let held: Buffer = Buffer.alloc(0)
    // One newline more than rows: the one that ends the line before the first wanted.
    while (from > 0 && newlines(held) <= n && held.length < LONGEST_LINE * Math.max(1, n)) {
      const size = Math.min(CHUNK, from)
      from -= size
      const chunk = Buffer.alloc(size)
      await file.read(chunk, 0, size, from)
      held = Buffer.concat([chunk, held])
    }
    const lines = split(held, from > 0)
    const wanted = n <= 0 ? [] : lines.slice(-n)
    return wanted.map((bytes, i) => toRead(bytes, i - wanted.length))
  } finally {
    await file.close()
  }
}

/** The row with this `entry_id`. Lines that do not contain the id are not parsed. */
export async function findRow(path: string, entryId: string): Promise<StoredRow | undefined> {
  const needle = Buffer.from(JSON.stringify(entryId))
  for await (const bytes of linesOf(path)) {
    if (!bytes.includes(needle)) continue
    const read = readStored(bytes)
    if (read.ok && read.row.entryId === entryId) return read.row
  }
  return undefined
}

/** Complete lines, and one malformed element for a torn end. */
export async function* linesOf(path: string): AsyncGenerator<Buffer, void, undefined> {
  const file = await openLog(path)
  try {
    let held: Buffer = Buffer.alloc(0)
    for (let at = 0; ; ) {
      const chunk = Buffer.alloc(CHUNK)
      const { bytesRead } = await file.read(chunk, 0, CHUNK, at)
      if (bytesRead === 0) break
      at += bytesRead
      const bytes =
        held.length === 0 ? chunk.subarray(0, bytesRead) : Buffer.concat([held, chunk.subarray(0, bytesRead)])
      let from = 0
      for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, from)) {
        yield bytes.subarray(from, end)
        from = end + 1
      }
      held = bytes.subarray(from)
      if (held.length > LONGEST_LINE) {
        yield held
        held = Buffer.alloc(0)
      }
    }
    if (held.length > 0) yield held
  } finally {
    await file.close()
  }
}

function split(bytes: Buffer, cutAtStart: boolean): Buffer[] {
  const lines: Buffer[] = []
  let from = cutAtStart ? bytes.indexOf(0x0a) + 1 : 0
  for (let end = bytes.indexOf(0x0a, from); end >= 0; end = bytes.indexOf(0x0a, from)) {
    lines.push(bytes.subarray(from, end))
    from = end + 1
  }
  if (from < bytes.length) lines.push(bytes.subarray(from))
  return lines
}

function newlines(bytes: Buffer): number {
  let n = 0
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) n++
  return n
}

function toRead(bytes: Buffer, line: number): ReadRow {
  const read = readStored(bytes)
  return read.ok
    ? { kind: 'row', row: read.row, line, text: bytes.toString('utf8') }
    : { kind: 'malformed', fault: read.fault, line }
}

async function openLog(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    throw new AuditError('log_unreadable', `${path} cannot be opened (${errno(error)})`, { cause: error })
  }
}
