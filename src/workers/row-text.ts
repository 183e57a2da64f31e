/**
 * A row as JSON for the way to the primary. Checks, plugins among them, put what they like into metadata: what JSON
 * cannot carry (numbers that are none, bigints, functions, circles, getters that throw) is replaced by text that says so,
 * because appending a row must never throw.
 */
import type { Row } from '../core/row.ts'

const LOST = '(value that cannot be recorded)'

/** What `JSON.parse` of the row will be, or the same row with what cannot travel replaced. */
export function portable(row: Row): Row {
  if (isPlain(row.metadata)) return row
  const metadata: Record<string, Row['metadata'][string]> = {}
  let mended = false
  try {
    for (const name of Object.keys(row.metadata)) {
      const value = read(row.metadata, name)
      if (isPlainValue(value)) metadata[name] = value
      else {
        metadata[name] = LOST
        mended = true
      }
    }
  } catch {
    mended = true
  }
  return mended ? { ...row, metadata } : row
}

function read(metadata: Row['metadata'], name: string): unknown {
  try {
    return metadata[name]
  } catch {
    return undefined
  }
}

function isPlain(metadata: unknown): boolean {
  if (typeof metadata !== 'object' || metadata === null) return false
  try {
    for (const name in metadata) if (!isPlainValue(Reflect.get(metadata, name))) return false
    return Object.getPrototypeOf(metadata) === Object.prototype && !('toJSON' in metadata)
  } catch {
    return false
  }
}

function isPlainValue(value: unknown): value is Row['metadata'][string] {
  try {
    if (isPlainScalar(value)) return true
    if (typeof value !== 'object' || value === null || 'toJSON' in value) return false
    if (Array.isArray(value)) return value.every(isPlainScalar)
    return Object.values(value).every(isPlainScalar)
  } catch {
    return false
  }
}

function isPlainScalar(value: unknown): value is string | number | boolean | null {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0)
    default:
      return value === null
  }
}
