/** A row as it is stored, read in the browser with the reader that the verifier uses. */
import { canonical, Float, type Json } from '../audit/canonical.ts'
import { readStored, type StoredRow } from '../audit/stored.ts'
import { toUtf8 } from '../jws/bytes.ts'

export interface ShownRow {
  readonly index: number
  readonly line: string
  /** `undefined`: the line is no row. */
  readonly row: StoredRow | undefined
}

export function readRow({ index, line }: { readonly index: number; readonly line: string }): ShownRow {
  const read = readStored(toUtf8(line))
  return { index, line, row: read.ok ? read.row : undefined }
}

/** Nanoseconds do not fit a JavaScript number; milliseconds do. */
export function msOf(row: StoredRow): number {
  return Number(row.tsNs / 1_000_000n)
}

export function metaOf(row: StoredRow, name: string): string {
  const value = row.metadata.get(name)
  return typeof value === 'string' ? value : ''
}

/** The check that fired, or what the row is filed under. */
export function checkOf(row: StoredRow): string {
  return metaOf(row, '_check_name') || row.checkName
}

export function ownerOf(row: StoredRow): string {
  return row.ownerType === 'unresolved' ? 'unresolved' : `${row.ownerType}:${row.ownerId}`
}

export function jsonText(value: Json): string {
  return value instanceof Float ? String(value.value) : canonical(value)
}
