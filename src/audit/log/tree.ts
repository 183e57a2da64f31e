/**
 * A log's tree as it grows: every tile and entry bundle that becomes full, and the right edge as it stands.
 *
 * Guarantees: a tree restored from the edge of a size and grown from there makes the same tiles and roots as one grown
 * from nothing. Memory is bounded by the edge (at most 255 entries, and 255 hashes per level) and by what is not yet
 * taken. Does not: touch a disk.
 */

import { same } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import { Growing } from './growing.ts'
import { HASH_BYTES } from './merkle.ts'
import { CompactRange, foldRight, type OnNode } from './range.ts'
import { leafHashOf, nodeHashOf } from './sha256.ts'
import { perfectNodes } from './subtree.ts'
import {
  decodeBundle,
  edgeTiles,
  entriesOf,
  entryLength,
  hashIn,
  LENGTH_BYTES,
  TILE_HEIGHT,
  TILE_WIDTH,
  type Tile,
  tileOfNode,
} from './tile.ts'

export interface TreeHead {
  readonly size: number
  readonly root: Uint8Array
}

export interface TileBytes {
  readonly tile: Tile
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** A tile as somebody has read it. */
export interface EdgeBytes {
  readonly tile: Tile
  readonly bytes: Uint8Array
}

/** A bundle of entries of some 250 bytes. */
const BUNDLE_BYTES = 80 * 1024
const LEVEL_BYTES = TILE_WIDTH * HASH_BYTES
/** Some tenth of a millisecond. */
const PAUSE_ENTRIES = 64

export class GrowingTree {
  #range = new CompactRange()
  /** Of each level, the hashes beyond its last full tile. */
  readonly #levels: Growing[] = []
  /** The entries beyond the last full bundle, as a bundle has them, and where the last of them begins. */
  readonly #bundle = new Growing(BUNDLE_BYTES)
  #entries = 0
  #lastAt = 0
  #full: TileBytes[] = []

  readonly #onNode: OnNode = (height, index, bytes, at) => {
    if (height % TILE_HEIGHT === 0) this.#take(height / TILE_HEIGHT, index, bytes, at)
  }

  /** From the bytes of `edgeTiles(size)`. Throws when they are not tiles of those widths, or the entries not those of the hashes. */
  static restore(size: number, edge: readonly EdgeBytes[]): GrowingTree {
    const tree = new GrowingTree()
    let entries: readonly Uint8Array[] = []
    for (const expected of edgeTiles(size)) {
      const { level, width } = expected
      const bytes = edge.find(({ tile }) => tile.level === level)?.bytes
      if (bytes === undefined) throw new LogInvalid('tile_missing', 'a tile at the right edge of the log is missing')
      if (level === 'entries') {
        entries = decodeBundle(bytes, width)
        for (const entry of entries) tree.#keep(entry)
        continue
      }
      if (bytes.length !== width * HASH_BYTES) {
        throw new LogInvalid('malformed', `expected a tile of ${width * HASH_BYTES} bytes, got ${bytes.length}`)
      }
      tree.#level(level).push(bytes)
    }
    const leaves = tree.#levels[0]?.copy() ?? new Uint8Array(0)
    if (entries.some((entry, i) => !same(leafHashOf(entry), hashIn(leaves, i)))) {
      throw new LogInvalid('malformed', 'the entries at the right edge of the log are not those of its hashes')
    }
    const nodes = perfectNodes({ from: 0, to: size }).map(({ height, index }) => {
      const { level, from, count } = tileOfNode(height, index)
      const hashes = tree.#level(level).copy(from * HASH_BYTES)
      return rootOf(Array.from({ length: count }, (_, i) => hashIn(hashes, i)))
    })
    tree.#range = new CompactRange(size, nodes)
    return tree
  }

  get size(): number {
    return this.#range.size
  }

  /** The last entry, unless a bundle ends with it. */
  get lastEntry(): Uint8Array | undefined {
    return this.#entries === 0 ? undefined : this.#bundle.copy(this.#lastAt)
  }

  /** Full tiles that nobody has taken yet. */
  get untaken(): number {
    return this.#full.length
  }

  root(): Uint8Array {
    return this.#range.root()
  }

  append(entry: Uint8Array): void {
    this.#keep(entry)
    this.#endBundle()
    this.#range.append(entry, this.#onNode)
  }

  /**
   * The entries of a bundle, however many. Throws `LogInvalid`, and takes none, where it does not end with one. `pause` is called
   * after every few of them, and never throws.
   */
  take(bundle: Uint8Array, pause?: () => void): void {
    const entries = entriesOf(bundle)
    /** Where those begin that are not in this tree's bundle yet. */
    let from = 0
    let end = 0
    for (const entry of entries) {
      end += LENGTH_BYTES + entry.length
      this.#entries += 1
      if (this.#entries === TILE_WIDTH) {
        this.#bundle.push(bundle.subarray(from, end))
        from = end
        this.#endBundle()
      }
      this.#range.append(entry, this.#onNode)
      if (this.size % PAUSE_ENTRIES === 0) pause?.()
    }
    if (from === end) return
    this.#bundle.push(bundle.subarray(from, end))
    this.#lastAt = this.#bundle.length - (entries.at(-1)?.length ?? 0)
  }

  #keep(entry: Uint8Array): void {
    this.#bundle.push(entryLength(entry))
    this.#lastAt = this.#bundle.length
    this.#bundle.push(entry)
    this.#entries += 1
  }

  #endBundle(): void {
    if (this.#entries < TILE_WIDTH) return
    const index = Math.floor(this.size / TILE_WIDTH)
    this.#full.push({ tile: { level: 'entries', index, width: TILE_WIDTH }, bytes: this.#bundle.take() })
    this.#entries = 0
  }

  #level(level: number): Growing {
    return (this.#levels[level] ??= new Growing(LEVEL_BYTES))
  }

  #take(level: number, index: number, bytes: Uint8Array, at: number): void {
    const hashes = this.#level(level)
    hashes.pushFew(bytes, at, HASH_BYTES)
    if (hashes.length < LEVEL_BYTES) return
    this.#full.push({
      tile: { level, index: Math.floor(index / TILE_WIDTH), width: TILE_WIDTH },
      bytes: hashes.take(),
    })
  }

  /** Full tiles since the last call, each after the tiles that it is made of. */
  takeFull(): readonly TileBytes[] {
    const full = this.#full
    this.#full = []
    return full
  }

  /** Tiles that were taken and written: their memory is used for the next ones. */
  giveBack(tiles: readonly TileBytes[]): void {
    for (const { tile, bytes } of tiles) {
      if (tile.level === 'entries') this.#bundle.giveBack(bytes)
      else this.#level(tile.level).giveBack(bytes)
    }
  }

  /** The partial tiles of this size, entries first, then bottom up. */
  edge(): readonly TileBytes[] {
    return edgeTiles(this.size).map(tile => ({
      tile,
      bytes: tile.level === 'entries' ? this.#bundle.copy() : this.#level(tile.level).copy(),
    }))
  }
}

/** The root over a power of two of hashes. */
export function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes
  while (row.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i + 1 < row.length; i += 2) {
      const [left, right] = [row[i], row[i + 1]]
      if (left !== undefined && right !== undefined) above.push(nodeHashOf(left, right))
    }
    row = above
  }
  return foldRight(row)
}
