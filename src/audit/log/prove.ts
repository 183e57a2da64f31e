/**
 * From a leaf to its offline proof, with nothing but a log's public tiles. Web APIs only: a browser does it the same way.
 *
 * Rows of a log rise in time, and every leaf says when its row was written: the leaf is found by bisection, in as many
 * bundles as the log's length has bits, not by reading the log.
 */
import { fromUtf8, same } from './bytes.ts'
import { type OpenedCheckpoint, openCheckpoint, parseCheckpoint } from './checkpoint.ts'
import { LogInvalid } from './errors.ts'
import { leafHash, verifyInclusion } from './merkle.ts'
import { type NoteKey, parseNote } from './note.ts'
import { formatProof } from './proof.ts'
import { LogReader, type TileSource } from './reader.ts'
import { TILE_WIDTH } from './tile.ts'

export interface ProveOptions {
  /** Where the log is: `checkpoint` and `tile/…`. */
  readonly source: TileSource
  /** The leaf, byte for byte. */
  readonly entry: Uint8Array
  /** For the holder's own use; nobody signs it. */
  readonly extra?: Uint8Array
  /** The log's keys. Given, its checkpoint must be signed by one. */
  readonly logKeys?: readonly NoteKey[]
}

export interface Proven {
  readonly index: number
  readonly size: number
  /** The text of a `.tlog-proof` file. */
  readonly proof: string
}

/** Rejects with `not_yet_logged` when the log does not have the entry (yet). The proof holds for the log's checkpoint. */
export async function proveEntry({ source, entry, extra, logKeys }: ProveOptions): Promise<Proven> {
  const { note, size, root } = await readCheckpoint(source, logKeys)
  const reader = new LogReader(source, size)
  const index = await findEntry(reader, size, entry)
  return prove(reader, { note, size, root }, index, entry, extra)
}

/** The same for an entry whose index is known. */
export async function proveIndex(
  source: TileSource,
  index: number,
  logKeys?: readonly NoteKey[],
): Promise<Proven & { readonly entry: Uint8Array }> {
  const checkpoint = await readCheckpoint(source, logKeys)
  const reader = new LogReader(source, checkpoint.size)
  const entry = await reader.entry(index)
  return { ...(await prove(reader, checkpoint, index, entry, entry)), entry }
}

/** What the log says of itself now. */
export async function readCheckpoint(
  source: TileSource,
  logKeys?: readonly NoteKey[],
): Promise<{
  readonly note: string
  readonly size: number
  readonly root: Uint8Array
  readonly opened?: OpenedCheckpoint
}> {
  const bytes = await source.read('checkpoint')
  if (bytes === undefined)
    throw new LogInvalid(
      'not_yet_logged',
      'there is no checkpoint at that place: a log that has just begun has one soon',
    )
  const note = fromUtf8(bytes)
  if (logKeys === undefined) return { note, ...parseCheckpoint(parseNote(note).text) }
  const opened = await openCheckpoint(note, logKeys)
  return { note, size: opened.size, root: opened.root, opened }
}

async function prove(
  reader: LogReader,
  { note, size, root }: { readonly note: string; readonly size: number; readonly root: Uint8Array },
  index: number,
  entry: Uint8Array,
  extra: Uint8Array | undefined,
): Promise<Proven> {
  const hashes = await reader.inclusion(index)
  // A proof that does not hold is not handed out: the holder would find out when it is too late.
  await verifyInclusion({ leafHash: await leafHash(entry), index, size, proof: hashes, root })
  return { index, size, proof: formatProof({ extra, index, hashes, checkpoint: note }) }
}

/** The index of the leaf with exactly these bytes. */
export async function findEntry(reader: LogReader, size: number, entry: Uint8Array): Promise<number> {
  const wanted = timeOf(entry)
  const missing = () =>
    new LogInvalid(
      'not_yet_logged',
      `the log, with ${size} entries, does not have this one; if it is new, ask again later`,
    )
  // The last bundle that begins no later than the entry.
  let from = 0
  let to = Math.ceil(size / TILE_WIDTH)
  while (to - from > 1) {
    const middle = Math.floor((from + to) / 2)
    const [first] = await reader.entries(middle)
    if (first !== undefined && timeOf(first) <= wanted) from = middle
    else to = middle
  }
  const entries = size === 0 ? [] : await reader.entries(from)
  const at = entries.findIndex(candidate => same(candidate, entry))
  if (at < 0) throw missing()
  return from * TILE_WIDTH + at
}

function timeOf(leaf: Uint8Array): bigint {
  const found = /"ts_ns":"([0-9]{1,20})","v":1\}$/.exec(fromUtf8(leaf))
  if (found === null) throw new LogInvalid('malformed', 'expected a leaf of an audit row, with the time of the row')
  return BigInt(found[1] ?? '')
}
