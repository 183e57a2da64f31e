/**
 * A log's tree as it grows: every tile and entry bundle that becomes full, and the right edge as it stands.
 *
 * Guarantees: a tree restored from the edge of a size and grown from there makes the same tiles and roots as one grown
 * from nothing. Memory is bounded by the edge (at most 255 entries, and 255 hashes per level) and by what is not yet
 * taken. Does not: touch a disk.
 */

import { LogInvalid } from './errors.ts'
import { Growing } from './growing.ts'
import { HASH_BYTES } from './merkle.ts'
import { CompactRange, foldRight, type TreeHash } from './range.ts'
import { perfectNodes } from './subtree.ts'
import { decodeBundle, edgeTiles, entryLength, hashIn, TILE_HEIGHT, TILE_WIDTH, type Tile, tileOfNode } from './tile.ts'

export interface TileBytes {
  readonly tile: Tile
  readonly bytes: Uint8Array
}

/** A bundle of entries of some 250 bytes. */
const BUNDLE_BYTES = 80 * 1024
const LEVEL_BYTES = TILE_WIDTH * HASH_BYTES

export class GrowingTree {
  readonly #hash: TreeHash
  #range: CompactRange
  /** Of each level, the hashes beyond its last full tile. */
  readonly #levels: Growing[] = []
  /** The entries beyond the last full bundle, as a bundle has them, and where the last of them begins. */
  readonly #bundle = new Growing(BUNDLE_BYTES)
  #entries = 0
  #lastAt = 0
  #full: TileBytes[] = []

  constructor(hash: TreeHash) {
    this.#hash = hash
    this.#range = new CompactRange(hash)
  }

  /** From the bytes of `edgeTiles(size)`. Throws when they are not tiles of those widths. */
  static restore(hash: TreeHash, size: number, edge: readonly TileBytes[]): GrowingTree {
    const tree = new GrowingTree(hash)
    for (const expected of edgeTiles(size)) {
      const { level, width } = expected
      const bytes = edge.find(({ tile }) => tile.level === level)?.bytes
      if (bytes === undefined) throw new LogInvalid('tile_missing', 'a tile at the right edge of the log is missing')
      if (level === 'entries') {
        for (const entry of decodeBundle(bytes, width)) tree.#keep(entry)
        continue
      }
      if (bytes.length !== width * HASH_BYTES) {
        throw new LogInvalid('malformed', `expected a tile of ${width * HASH_BYTES} bytes, got ${bytes.length}`)
      }
      tree.#level(level).push(bytes)
    }
    const nodes = perfectNodes({ from: 0, to: size }).map(({ height, index }) => {
      const { level, from, count } = tileOfNode(height, index)
      const hashes = tree.#level(level).copy(from * HASH_BYTES)
      return fold(
        Array.from({ length: count }, (_, i) => hashIn(hashes, i)),
        hash,
      )
    })
    tree.#range = new CompactRange(hash, size, nodes)
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
    const index = Math.floor(this.size / TILE_WIDTH)
    this.#keep(entry)
    if (this.#entries === TILE_WIDTH) {
      this.#full.push({ tile: { level: 'entries', index, width: TILE_WIDTH }, bytes: this.#bundle.take() })
      this.#entries = 0
    }
    this.#range.append(this.#hash.leaf(entry), (height, i, hash) => {
      if (height % TILE_HEIGHT === 0) this.#take(height / TILE_HEIGHT, i, hash)
    })
  }

  #keep(entry: Uint8Array): void {
    this.#bundle.push(entryLength(entry))
    this.#lastAt = this.#bundle.length
    this.#bundle.push(entry)
    this.#entries += 1
  }

  #level(level: number): Growing {
    return (this.#levels[level] ??= new Growing(LEVEL_BYTES))
  }

  #take(level: number, index: number, hash: Uint8Array): void {
    const hashes = this.#level(level)
    hashes.push(hash)
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

  /** The partial tiles of this size, entries first, then bottom up. */
  edge(): readonly TileBytes[] {
    return edgeTiles(this.size).map(tile => ({
      tile,
      bytes: tile.level === 'entries' ? this.#bundle.copy() : this.#level(tile.level).copy(),
    }))
  }
}

/** The root over a power of two of hashes. */
function fold(hashes: readonly Uint8Array[], hash: TreeHash): Uint8Array {
  let row = hashes
  while (row.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i + 1 < row.length; i += 2) {
      const [left, right] = [row[i], row[i + 1]]
      if (left !== undefined && right !== undefined) above.push(hash.node(left, right))
    }
    row = above
  }
  return foldRight(row, hash)
}
