/**
 * Tiles of a log (https://c2sp.org/tlog-tiles): where a hash stands, what the tiles are called, what an entry bundle
 * holds. A tile is 256 hashes of one level, or fewer at the right edge; only hashes of complete subtrees appear.
 */
import { concat } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import { HASH_BYTES } from './merkle.ts'

/** Hashes of a full tile, entries of a full bundle. */
export const TILE_WIDTH = 256
/** Levels of the tree that one level of tiles spans. */
export const TILE_HEIGHT = 8
/** Of what stands before an entry in a bundle: its length, big-endian. */
export const LENGTH_BYTES = 2
export const MAX_ENTRY_BYTES = 65_535
/** 2^53 leaves need seven levels of tiles; the format has six bits for more. */
const MAX_LEVEL = 63

/** `width` is 256 for a full tile. */
export interface Tile {
  readonly level: number | 'entries'
  readonly index: number
  readonly width: number
}

/** `tile/0/x001/234.p/17` for level 0, tile 1234, 17 wide. */
export function tilePath({ level, index, width }: Tile): string {
  let name = String(index % 1000).padStart(3, '0')
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    name = `x${String(rest % 1000).padStart(3, '0')}/${name}`
  }
  return `tile/${level}/${name}${width === TILE_WIDTH ? '' : `.p/${width}`}`
}

const PATH = /^tile\/(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/)*)([0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/

/** `undefined` for anything that is not exactly the path of a tile. */
export function parseTilePath(path: string): Tile | undefined {
  const found = PATH.exec(path)
  if (found === null || path.length > 64) return undefined
  const [, level = '', groups = '', last = '', partial] = found
  const index = Number(groups.replace(/[x/]/g, '') + last)
  const width = partial === undefined ? TILE_WIDTH : Number(partial)
  if (!Number.isSafeInteger(index) || (partial !== undefined && width >= TILE_WIDTH)) return undefined
  const tile: Tile = { level: level === 'entries' ? level : Number(level), index, width }
  if (typeof tile.level === 'number' && tile.level > MAX_LEVEL) return undefined
  // One tile, one path: `tile/00/000` and `tile/0/x000/001` are nothing.
  return tilePath(tile) === path ? tile : undefined
}

/** Complete hashes of a level in a tree of this size: one per 256^level leaves. */
export function hashesAt(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** level)
}

/** How wide the tile is in a tree of this size; 0 when the tree does not reach it. */
export function tileWidth(level: number | 'entries', index: number, size: number): number {
  const hashes = level === 'entries' ? size : hashesAt(level, size)
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH))
}

/** Every partial tile and bundle at the right edge of a tree of this size. */
export function edgeTiles(size: number): readonly Tile[] {
  const tiles: Tile[] = []
  const edge = size % TILE_WIDTH
  if (edge > 0) tiles.push({ level: 'entries', index: Math.floor(size / TILE_WIDTH), width: edge })
  for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / TILE_WIDTH)) {
    const width = hashes % TILE_WIDTH
    if (width > 0) tiles.push({ level, index: Math.floor(hashes / TILE_WIDTH), width })
  }
  return tiles
}

/** The last full bundle, and the last full tile of each level. */
export function lastFullTiles(size: number): readonly Tile[] {
  const tiles: Tile[] = []
  for (let level = 0, full = Math.floor(size / TILE_WIDTH); full > 0; level++, full = Math.floor(full / TILE_WIDTH)) {
    if (level === 0) tiles.push({ level: 'entries', index: full - 1, width: TILE_WIDTH })
    tiles.push({ level, index: full - 1, width: TILE_WIDTH })
  }
  return tiles
}

/** The tiles and bundles that are full in a tree of `to` entries and were not in one of `from`. */
export function* fullTiles(from: number, to: number): Generator<Tile> {
  for (let index = Math.floor(from / TILE_WIDTH); index < Math.floor(to / TILE_WIDTH); index++) {
    yield { level: 'entries', index, width: TILE_WIDTH }
  }
  for (let level = 0; hashesAt(level + 1, to) > 0; level++) {
    for (let index = hashesAt(level + 1, from); index < hashesAt(level + 1, to); index++) {
      yield { level, index, width: TILE_WIDTH }
    }
  }
}

/** How many of so many entries are in full bundles. */
export function inFullTiles(size: number): number {
  return size - (size % TILE_WIDTH)
}

/** Which hashes of which tile are under the perfect subtree of this height and index. */
export function tileOfNode(height: number, index: number) {
  const level = Math.floor(height / TILE_HEIGHT)
  /** Hashes of the tile that the node is the root of. */
  const count = 2 ** (height % TILE_HEIGHT)
  const first = index * count
  return { level, index: Math.floor(first / TILE_WIDTH), from: first % TILE_WIDTH, count } as const
}

/** The `i`th hash of a tile's bytes. */
export function hashIn(tile: Uint8Array, i: number): Uint8Array {
  return tile.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)
}

/** What stands before an entry in a bundle: its length in two bytes, big-endian. */
export function entryLength({ length }: Uint8Array): Uint8Array {
  checkEntryBytes(length)
  return Uint8Array.of(length >> 8, length & 0xff)
}

/** Throws `LogInvalid` for an entry that is longer than its length can say. */
export function checkEntryBytes(length: number): void {
  if (length > MAX_ENTRY_BYTES) {
    throw new LogInvalid('too_large', `a log entry has ${length} bytes, expected at most ${MAX_ENTRY_BYTES}`)
  }
}

/** Entries one after the other, each behind its length. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return concat(...entries.flatMap(entry => [entryLength(entry), entry]))
}

/** The entries of a bundle, however many. Throws `LogInvalid` where it does not end with one. */
export function entriesOf(bytes: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = []
  let at = 0
  while (at < bytes.length) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
    const end = at + 2 + length
    if (end > bytes.length) throw new LogInvalid('malformed', 'expected an entry bundle to end with an entry')
    entries.push(bytes.subarray(at + 2, end))
    at = end
  }
  return entries
}

/** The entries of a bundle; a bundle that is not exactly `width` entries is refused. */
export function decodeBundle(bytes: Uint8Array, width: number): readonly Uint8Array[] {
  const entries = entriesOf(bytes)
  if (entries.length !== width) {
    throw new LogInvalid('malformed', `expected an entry bundle of ${width} entries, got ${entries.length}`)
  }
  return entries
}
