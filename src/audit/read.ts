/**
 * Rows of a log for people: show, tail, count, report, across all of its files. Reading checks a row's form and says where a
 * line has none, and which segments are not there; it does not check HMACs (`verify.ts` does).
 */
import { AuditError } from './files.ts'
import { closeLayout, type Layout, type LayoutOptions, openLayout } from './layout.ts'
import { type LineChunk, linesBackwards, linesOf, split } from './lines.ts'
import { type LineFault, readStored, type StoredRow } from './stored.ts'

export type ReadRow =
  | {
      readonly kind: 'row'
      readonly row: StoredRow
      readonly line: number
      readonly text: string
      readonly index: bigint
    }
  | { readonly kind: 'malformed'; readonly fault: LineFault; readonly line: number; readonly file: string }
  | Extract<LineChunk, { kind: 'gap' }>

/** All rows in order, or those from `from` on; a damaged line is an element, not a throw. `line` is 1-based, in its file. */
export async function* readRows(
  path: string,
  options: LayoutOptions & { readonly from?: bigint } = {},
): AsyncGenerator<ReadRow, void, undefined> {
  const layout = await openLayout(path, options)
  try {
    yield* rowsOf(layout, options.from)
  } finally {
    closeLayout(layout)
  }
}

export function* rowsOf(layout: Layout, from = 0n): Generator<ReadRow, void, undefined> {
  for (const chunk of linesOf(layout, from)) {
    if (chunk.kind === 'gap') {
      yield chunk
      continue
    }
    let n = 0
    for (const bytes of split(chunk.bytes)) {
      const index = chunk.row + BigInt(n)
      if (index >= from) yield toRead(bytes, chunk.line + n, index, chunk.file)
      n++
    }
  }
}

/** The last `n` rows, oldest first, read from the end. `line` counts from the end: -1 is the last line. */
export async function tailRows(path: string, n: number, options: LayoutOptions = {}): Promise<readonly ReadRow[]> {
  if (n <= 0) return []
  const layout = await openLayout(path, options)
  try {
    const found: ReadRow[] = []
    let line = 0
    for (const chunk of linesBackwards(layout)) {
      if (chunk.kind === 'gap') found.push(chunk)
      else {
        for (const bytes of [...split(chunk.bytes)].reverse()) {
          if (found.length < n) found.push(toRead(bytes, --line, -1n, chunk.file))
        }
      }
      if (found.length >= n) break
    }
    return found.reverse()
  } finally {
    closeLayout(layout)
  }
}

/** The row with this `entry_id`. Lines that do not contain the id are not parsed. */
export async function findRow(
  path: string,
  entryId: string,
  options: LayoutOptions = {},
): Promise<StoredRow | undefined> {
  const needle = Buffer.from(JSON.stringify(entryId))
  const layout = await openLayout(path, options)
  try {
    for (const chunk of linesOf(layout)) {
      if (chunk.kind === 'gap' || !chunk.bytes.includes(needle)) continue
      for (const bytes of split(chunk.bytes)) {
        if (!bytes.includes(needle)) continue
        const read = readStored(bytes)
        if (read.ok && read.row.entryId === entryId) return read.row
      }
    }
    return undefined
  } finally {
    closeLayout(layout)
  }
}

/** Stored lines without their newlines, from the first on. Throws `AuditError` where a segment cannot be read. */
export async function* linesOfLog(
  path: string,
  options: LayoutOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const layout = await openLayout(path, options)
  try {
    for (const chunk of linesOf(layout)) {
      if (chunk.kind === 'gap') throw new AuditError('segment_missing', `${chunk.file} is needed, and ${chunk.why}`)
      yield* split(chunk.bytes)
    }
  } finally {
    closeLayout(layout)
  }
}

function toRead(bytes: Buffer, line: number, index: bigint, file: string): ReadRow {
  const read = readStored(bytes)
  return read.ok
    ? { kind: 'row', row: read.row, line, text: bytes.toString('utf8'), index }
    : { kind: 'malformed', fault: read.fault, line, file }
}
