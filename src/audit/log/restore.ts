/** A log's tree from the tiles at its right edge: the time it takes does not grow with the log. */
import { same } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import type { LogFolder } from './folder.ts'
import type { TreeHead } from './integrator.ts'
import { HASH_BYTES } from './merkle.ts'
import { NODE_SHA256 } from './sha256.ts'
import { decodeBundle, edgeTiles, encodeBundle, TILE_WIDTH, type Tile, tilePath } from './tile.ts'
import { GrowingTree, type TileBytes } from './tree.ts'

/** The tree that was signed; throws `LogInvalid` when the tiles make another one. */
export async function restoreTree(folder: LogFolder, { size, root }: TreeHead): Promise<GrowingTree> {
  const tree = await readTree(folder, size)
  if (!same(tree.root(), root)) throw forked(folder, size, 'its tiles make another tree than was signed')
  return tree
}

async function readTree(folder: LogFolder, size: number): Promise<GrowingTree> {
  try {
    const edge: TileBytes[] = []
    for (const tile of edgeTiles(size)) {
      const bytes = (await folder.read(tilePath(tile))) ?? (await beginning(folder, tile))
      if (bytes !== undefined) edge.push({ tile, bytes })
    }
    return GrowingTree.restore(NODE_SHA256, size, edge)
  } catch (error) {
    if (!(error instanceof LogInvalid)) throw error
    throw forked(folder, size, error.message)
  }
}

/** Of a full tile, what a partial one had: a copy of the folder may hold the one and an older checkpoint. */
async function beginning(folder: LogFolder, tile: Tile): Promise<Uint8Array | undefined> {
  const full = await folder.read(tilePath({ ...tile, width: TILE_WIDTH }))
  if (full === undefined) return undefined
  if (tile.level !== 'entries') return full.subarray(0, tile.width * HASH_BYTES)
  return encodeBundle(decodeBundle(full, TILE_WIDTH).slice(0, tile.width))
}

export function forked(folder: LogFolder, size: number, why: string): LogInvalid {
  return new LogInvalid(
    'log_forked',
    `${folder.path} does not hold the log that was signed at ${size} entries: ${why}; restore the folder, a gate never signs a second history`,
  )
}
