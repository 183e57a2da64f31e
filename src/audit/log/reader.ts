/**
 * Proofs from the tiles of a log, wherever they are: a folder, an HTTP address. Web APIs only.
 *
 * Guarantees: reads no more tiles than the height of the tree calls for per hash; a tile of the wrong length is refused.
 * Does not: trust the tiles. A proof made from them is worth what verifying it against a signed checkpoint says.
 */
import { LogInvalid } from './errors.ts'
import { emptyRoot, HASH_BYTES, nodeHash } from './merkle.ts'
import { consistencyRanges, inclusionRanges, perfectNodes, type Range } from './subtree.ts'
import { decodeBundle, hashIn, TILE_WIDTH, type Tile, tileOfNode, tilePath, tileWidth } from './tile.ts'

export interface TileSource {
  /** `undefined`: there is no such tile. */
  read(path: string): Promise<Uint8Array | undefined>
}

/** Tiles kept: a proof asks for few, and neighbouring proofs for the same ones. */
const MAX_KEPT = 256

export class LogReader {
  readonly #source: TileSource
  readonly #size: number
  readonly #kept = new Map<string, Promise<Uint8Array>>()

  /** `size`: of a checkpoint that the source has shown; its tiles are there. */
  constructor(source: TileSource, size: number) {
    this.#source = source
    this.#size = size
  }

  /** That the entry at this index is in the tree, as it is or as it was at an earlier size. */
  async inclusion(index: number, size = this.#size): Promise<readonly Uint8Array[]> {
    this.#checkSize(size)
    if (index >= size) {
      throw new LogInvalid('not_yet_logged', `entry ${index} is not in the log yet, which has ${size} entries`)
    }
    return this.#hashes(inclusionRanges(index, size))
  }

  /** That the tree of one size continues that of an older one. */
  async consistency(older: number, newer = this.#size): Promise<readonly Uint8Array[]> {
    this.#checkSize(newer)
    this.#checkSize(older)
    return this.#hashes(consistencyRanges(older, newer))
  }

  /** The root of the tree as it was at this size. */
  async rootAt(size: number): Promise<Uint8Array> {
    this.#checkSize(size)
    return size === 0 ? emptyRoot() : this.#rangeHash({ from: 0, to: size })
  }

  #checkSize(size: number): void {
    if (size > this.#size) {
      throw new LogInvalid('not_yet_logged', `the log has ${this.#size} entries, not ${size} yet`)
    }
  }

  async entry(index: number): Promise<Uint8Array> {
    const bundle = Math.floor(index / TILE_WIDTH)
    const entry = (await this.entries(bundle))[index % TILE_WIDTH]
    if (entry === undefined) throw new LogInvalid('not_yet_logged', `entry ${index} is not in the log yet`)
    return entry
  }

  /** The entries of one bundle, as many as this reader's tree has. */
  async entries(bundle: number): Promise<readonly Uint8Array[]> {
    const width = tileWidth('entries', bundle, this.#size)
    if (width === 0) return []
    const tile: Tile = { level: 'entries', index: bundle, width }
    const bytes = await this.#source.read(tilePath(tile))
    if (bytes !== undefined) return decodeBundle(bytes, width)
    // A partial bundle may have given way to the full one.
    const full = width === TILE_WIDTH ? undefined : await this.#source.read(tilePath({ ...tile, width: TILE_WIDTH }))
    if (full === undefined) throw missing(tile)
    return decodeBundle(full, TILE_WIDTH).slice(0, width)
  }

  async #hashes(ranges: readonly Range[]): Promise<readonly Uint8Array[]> {
    const hashes: Uint8Array[] = []
    for (const range of ranges) hashes.push(await this.#rangeHash(range))
    return hashes
  }

  async #rangeHash(range: Range): Promise<Uint8Array> {
    let root: Uint8Array | undefined
    for (const { height, index } of [...perfectNodes(range)].reverse()) {
      const hash = await this.#nodeHash(height, index)
      root = root === undefined ? hash : await nodeHash(hash, root)
    }
    return root ?? emptyRoot()
  }

  async #nodeHash(height: number, node: number): Promise<Uint8Array> {
    const { level, index, from, count } = tileOfNode(height, node)
    const width = tileWidth(level, index, this.#size)
    const bytes = await this.#tile({ level, index, width })
    if (from + count > width) throw missing({ level, index, width: from + count })
    return fold(bytes, from, count)
  }

  #tile(tile: Tile): Promise<Uint8Array> {
    const path = tilePath(tile)
    const kept = this.#kept.get(path)
    if (kept !== undefined) return kept
    const found = this.#read(tile, path)
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear()
    this.#kept.set(path, found)
    // A failure is not kept: the next proof asks again.
    found.catch(() => this.#kept.delete(path))
    return found
  }

  async #read(tile: Tile, path: string): Promise<Uint8Array> {
    const { width } = tile
    if (width === 0) throw missing(tile)
    let bytes = await this.#source.read(path)
    if (bytes === undefined && width < TILE_WIDTH) {
      const full = await this.#source.read(tilePath({ ...tile, width: TILE_WIDTH }))
      bytes = full?.subarray(0, width * HASH_BYTES)
    }
    if (bytes === undefined) throw missing(tile)
    if (bytes.length !== width * HASH_BYTES) {
      throw new LogInvalid('malformed', `expected ${path} to have ${width * HASH_BYTES} bytes, got ${bytes.length}`)
    }
    return bytes
  }
}

/** The root over a power of two of a tile's hashes. */
async function fold(tile: Uint8Array, from: number, count: number): Promise<Uint8Array> {
  if (count === 1) return hashIn(tile, from)
  const half = count / 2
  return nodeHash(await fold(tile, from, half), await fold(tile, from + half, half))
}

function missing(tile: Tile): LogInvalid {
  return new LogInvalid('tile_missing', `the log has no ${tilePath(tile)}`)
}
