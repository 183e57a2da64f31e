/**
 * Checks a whole log against the rows that it is over: every entry, every tile, every root, byte for byte.
 *
 * Guarantees: constant memory; a log that is wrong is a report, never a throw. Rows beyond the last checkpoint are
 * counted, not compared.
 */
import { fromUtf8, same } from './bytes.ts'
import { type OpenedCheckpoint, openCheckpoint } from './checkpoint.ts'
import { LogInvalid } from './errors.ts'
import { leafOfLine } from './leaf.ts'
import type { NoteKey } from './note.ts'
import type { TileSource } from './reader.ts'
import { tilePath } from './tile.ts'
import { GrowingTree, type TileBytes } from './tree.ts'

export interface CheckOptions {
  readonly source: TileSource
  /** Stored lines without newlines, from the first on. */
  readonly rows: AsyncIterable<Uint8Array>
  readonly key: NoteKey
}

export interface CheckReport {
  readonly ok: boolean
  readonly origin: string
  /** Of the checkpoint. */
  readonly size: number
  /** In the audit log. */
  readonly rows: number
  /** One line each; at most `MAX_PROBLEMS`. */
  readonly problems: readonly string[]
}

const MAX_PROBLEMS = 100

export async function checkLog({ source, rows, key }: CheckOptions): Promise<CheckReport> {
  const problems: string[] = []
  const checkpoint = await readNote(source, 'checkpoint', key, problems)
  if (checkpoint === undefined && problems.length === 0) problems.push('the log has no checkpoint')
  // The newest that was signed, which a gate continues from; with witnesses it is ahead of the one that is shown. It lies
  // in the folder and is not served.
  const signed = await readNote(source, 'signed', key, problems)
  const shown = checkpoint?.size ?? 0
  const size = Math.max(shown, signed?.size ?? 0)
  const tree = new GrowingTree()
  const compareRoots = (): void => {
    const wrong = [checkpoint, signed].some(note => note?.size === tree.size && !same(tree.root(), note.root))
    if (wrong) problems.push(`the rows make another tree than was signed at ${tree.size} entries`)
  }
  compareRoots()
  let count = 0
  for await (const line of rows) {
    const index = count++
    if (index >= size || problems.length >= MAX_PROBLEMS) continue
    try {
      tree.append(leafOfLine(line))
    } catch (error) {
      if (!(error instanceof LogInvalid)) throw error
      problems.push(`row ${index}: ${error.message}`)
      return { ok: false, origin: key.name, size: shown, rows: count, problems }
    }
    for (const full of tree.takeFull()) await compare(source, full, problems)
    compareRoots()
  }
  if (count < size) problems.push(`the audit log has ${count} rows, but ${size} were signed; rows are missing`)
  else if (problems.length < MAX_PROBLEMS) for (const edge of tree.edge()) await compare(source, edge, problems)
  return { ok: problems.length === 0, origin: key.name, size: shown, rows: count, problems }
}

/** `undefined`: there is none, or it is none, which is then a problem. */
async function readNote(
  source: TileSource,
  name: 'checkpoint' | 'signed',
  key: NoteKey,
  problems: string[],
): Promise<OpenedCheckpoint | undefined> {
  const bytes = await source.read(name)
  if (bytes === undefined) return undefined
  try {
    return await openCheckpoint(fromUtf8(bytes), [key])
  } catch (error) {
    problems.push(`${name}: ${error instanceof LogInvalid ? error.message : 'it is not UTF-8'}`)
    return undefined
  }
}

async function compare(source: TileSource, { tile, bytes }: TileBytes, problems: string[]): Promise<void> {
  const path = tilePath(tile)
  const found = await source.read(path)
  if (found === undefined) problems.push(`${path} is missing`)
  else if (found.length < bytes.length && !found.some((byte, i) => byte !== bytes[i])) {
    problems.push(`${path} is cut short; after a power cut, start the gate, which makes it again`)
  } else if (!same(found, bytes)) problems.push(`${path} holds other entries than the audit log`)
}
