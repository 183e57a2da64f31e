/**
 * A log's tree, taken up from its folder. Where every full tile outlived whatever ended the gate, from the tiles at its right edge:
 * that takes the same time however long the log is. Else the tiles beyond what was settled are made again: from the entries in the
 * folder, where they are whole, or from the rows.
 *
 * Guarantees: the tree is the one that was signed. Nothing is written before that is known, and nothing else than what was known.
 */
import { same } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import type { LogFolder } from './folder.ts'
import { HASH_BYTES } from './merkle.ts'
import { LogReader } from './reader.ts'
import {
  decodeBundle,
  edgeTiles,
  encodeBundle,
  entriesOf,
  hashIn,
  inFullTiles,
  TILE_WIDTH,
  type Tile,
  tilePath,
  tileWidth,
} from './tile.ts'
import { type EdgeBytes, GrowingTree, rootOf, type TileBytes, type TreeHead } from './tree.ts'

/** Entries `[from, to)` of the log. They are believed when they make the tree that was signed. */
export type Entries = (from: number, to: number) => AsyncIterable<Uint8Array>

/** Full tiles that are written, or kept, at a time. */
const BATCH = 64

/**
 * Throws `LogInvalid` when neither the tiles, nor they and the rows beyond what was settled, make the tree that was signed. Without
 * `rows` the tiles must: for a folder that no power cut has been over.
 */
export async function restoreTree(folder: LogFolder, head: TreeHead, rows?: Entries): Promise<GrowingTree> {
  if (rows === undefined) return treeOfTiles(folder, head)
  const full = inFullTiles(head.size)
  const settled = Math.min(await folder.settled(), full)
  // Partial tiles at the edge may have lost their bytes as well.
  const found = settled === full ? await ifValid(treeOfTiles(folder, head)) : undefined
  if (found !== undefined) return found
  const tree =
    (await ifValid(regrow(folder, settled, head, bundlesOf(folder, head.size)))) ??
    (await regrow(folder, settled, head, rows))
  await mendPartials(folder, head.size)
  return tree
}

/** The tiles beyond `settled` are made and written again, whatever stands there. */
export async function regrow(
  folder: LogFolder,
  settled: number,
  { size, root }: TreeHead,
  entries: Entries,
): Promise<GrowingTree> {
  const grown = async (known: (tree: GrowingTree, full: readonly TileBytes[]) => Promise<void>) => {
    const tree = await treeAt(folder, settled, size)
    const batch = async () => {
      const full = tree.takeFull()
      await known(tree, full)
      tree.giveBack(full)
    }
    for await (const entry of entries(settled, size)) {
      tree.append(entry)
      if (tree.untaken >= BATCH) await batch()
    }
    await batch()
    return tree
  }
  const wrong = () =>
    forked(folder, size, `its tiles, and the rows from ${settled} on, make another tree than was signed`)
  const roots: Uint8Array[] = []
  const found = await grown(async tree => {
    roots.push(tree.root())
  })
  if (found.size !== size || !same(found.root(), root)) throw wrong()
  // They are read a second time, and may be others then.
  const tree = await grown(async (tree, full) => {
    const expected = roots.shift()
    if (expected === undefined || !same(tree.root(), expected)) throw wrong()
    await folder.overwriteTiles(full)
  })
  if (tree.size !== size || !same(tree.root(), root)) throw wrong()
  await folder.overwriteTiles(tree.edge())
  return tree
}

/** As the folder has them. */
export function bundlesOf(folder: LogFolder, size: number): Entries {
  const reader = new LogReader({ read: path => folder.read(path) }, size)
  return async function* (from) {
    for (let at = from; at < size; at += TILE_WIDTH) yield* await reader.entries(at / TILE_WIDTH)
  }
}

/** The partial tiles of an older size, which somebody may have been shown. The tree of `size` is whole. */
export async function restoreEdge(folder: LogFolder, older: number, size: number): Promise<void> {
  for (const tile of edgeTiles(older)) await mend(folder, tile, size)
}

/** Other partial tiles at the edge than the last may have lost their bytes; those of a tree that was not signed are nobody's. */
async function mendPartials(folder: LogFolder, size: number): Promise<void> {
  for (const edge of edgeTiles(size)) {
    for (const width of await folder.partials(edge)) {
      if (width < edge.width) await mend(folder, { ...edge, width }, size)
      else if (width > edge.width) await folder.removePartial({ ...edge, width })
    }
  }
}

async function mend(folder: LogFolder, tile: Tile, size: number): Promise<void> {
  const whole = await folder.read(tilePath({ ...tile, width: tileWidth(tile.level, tile.index, size) }))
  if (whole === undefined) return
  const bytes = firstOf(whole, tile)
  const found = await folder.read(tilePath(tile))
  if (found === undefined || !same(found, bytes)) await folder.overwriteTiles([{ tile, bytes }])
}

async function ifValid<T>(made: Promise<T>): Promise<T | undefined> {
  try {
    return await made
  } catch (error) {
    if (error instanceof LogInvalid) return undefined
    throw error
  }
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
  if (tile.level === 'entries') decodeBundle(full, TILE_WIDTH)
  return firstOf(full, tile)
}

/** What a tile had when it was as wide as `tile`. */
function firstOf(bytes: Uint8Array, { level, width }: Tile): Uint8Array<ArrayBuffer> {
  if (level !== 'entries') return Uint8Array.from(bytes.subarray(0, width * HASH_BYTES))
  return encodeBundle(entriesOf(bytes).slice(0, width))
}

export function forked(folder: LogFolder, size: number, why: string): LogInvalid {
  return new LogInvalid(
    'log_forked',
    `${folder.path} does not hold the log that was signed at ${size} entries: ${why}; restore the folder, a gate never signs a second history`,
  )
}
