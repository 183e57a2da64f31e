/**
 * A log's tree, taken up from its folder. Where every full tile outlived whatever ended the gate, from the tiles at its right edge:
 * that takes the same time however long the log is. Else the tiles beyond what was settled are made again from the rows; no
 * more of them than `MOST_UNSETTLED`.
 *
 * Guarantees: the tree is the one that was signed. Nothing is written before that is known.
 */
import { same } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import type { LogFolder } from './folder.ts'
import type { TreeHead } from './integrator.ts'
import { HASH_BYTES } from './merkle.ts'
import { decodeBundle, edgeTiles, encodeBundle, hashIn, inFullTiles, TILE_WIDTH, type Tile, tilePath } from './tile.ts'
import { type EdgeBytes, GrowingTree, rootOf } from './tree.ts'

/** Entries `[from, to)` of the log, from where they cannot be wrong unnoticed. */
export type Entries = (from: number, to: number) => AsyncIterable<Uint8Array>

/** Full tiles that are written, or kept, at a time. */
const BATCH = 64

/** Throws `LogInvalid` when neither the tiles, nor they and the entries beyond what was settled, make the tree that was signed. */
export async function restoreTree(folder: LogFolder, head: TreeHead, entries?: Entries): Promise<GrowingTree> {
  if (entries === undefined) return treeOfTiles(folder, head)
  const full = inFullTiles(head.size)
  const settled = Math.min(await folder.settled(), full)
  if (settled === full) {
    try {
      return await treeOfTiles(folder, head)
    } catch (error) {
      // Partial tiles at the edge may have lost their bytes in a power cut.
      if (!(error instanceof LogInvalid)) throw error
    }
  }
  return regrow(folder, settled, head, entries)
}

/** The tiles beyond `settled` are made and written again, whatever stands there. */
export async function regrow(
  folder: LogFolder,
  settled: number,
  { size, root }: TreeHead,
  entries: Entries,
): Promise<GrowingTree> {
  const grown = async (write: boolean): Promise<GrowingTree> => {
    const tree = await treeAt(folder, settled, size)
    const batch = async () => {
      const full = tree.takeFull()
      if (write) await folder.overwriteTiles(full)
      tree.giveBack(full)
    }
    for await (const entry of entries(settled, size)) {
      tree.append(entry)
      if (tree.untaken >= BATCH) await batch()
    }
    await batch()
    return tree
  }
  const found = await grown(false)
  if (found.size !== size || !same(found.root(), root)) {
    throw forked(folder, size, `its tiles, and the rows from ${settled} on, make another tree than was signed`)
  }
  const tree = await grown(true)
  await folder.overwriteTiles(tree.edge())
  return tree
}

async function treeOfTiles(folder: LogFolder, { size, root }: TreeHead): Promise<GrowingTree> {
  const tree = await readTree(folder, size)
  if (!same(tree.root(), root)) throw forked(folder, size, 'its tiles make another tree than was signed')
  return tree
}

async function readTree(folder: LogFolder, size: number): Promise<GrowingTree> {
  try {
    const edge: EdgeBytes[] = []
    for (const tile of edgeTiles(size)) {
      const bytes = (await folder.read(tilePath(tile))) ?? (await beginning(folder, tile))
      if (bytes !== undefined) edge.push({ tile, bytes })
    }
    return GrowingTree.restore(size, edge)
  } catch (error) {
    if (!(error instanceof LogInvalid)) throw error
    throw forked(folder, size, error.message)
  }
}

/** From full tiles alone, which is all that was settled: a hash at the edge is the root of the tile below it. */
async function treeAt(folder: LogFolder, settled: number, signed: number): Promise<GrowingTree> {
  const edge: EdgeBytes[] = []
  for (const tile of edgeTiles(settled)) {
    const { level, index, width } = tile
    if (level === 'entries' || level === 0) continue
    const hashes: Uint8Array[] = []
    for (let i = 0; i < width; i++) {
      const path = tilePath({ level: level - 1, index: index * TILE_WIDTH + i, width: TILE_WIDTH })
      const bytes = await folder.read(path)
      if (bytes?.length !== TILE_WIDTH * HASH_BYTES) throw forked(folder, signed, `${path} is missing or short`)
      hashes.push(rootOf(Array.from({ length: TILE_WIDTH }, (_, k) => hashIn(bytes, k))))
    }
    edge.push({ tile, bytes: Buffer.concat(hashes) })
  }
  return GrowingTree.restore(settled, edge)
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
