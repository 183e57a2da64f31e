/** A log of rows, and what its folder must have. */
import { expect } from 'vitest'
import { fromUtf8, toBase64 } from '../bytes.ts'
import { type OpenedCheckpoint, openCheckpoint } from '../checkpoint.ts'
import type { TransparencyLog } from '../open.ts'
import { CompactRange } from '../range.ts'
import { edgeTiles, encodeBundle, hashesAt, tilePath } from '../tile.ts'
import type { View } from './folder.test-support.ts'
import { mth } from './naive.test-support.ts'
import { leavesOf, makeRows } from './rows.test-support.ts'
import { logSigner } from './vectors.test-support.ts'

const { key } = await logSigner()
export const ALL = makeRows(1100)
export const LEAVES = leavesOf(ALL)
export const growing = (() => {
  const range = new CompactRange()
  return [
    range.root(),
    ...LEAVES.map(leaf => {
      range.append(leaf)
      return range.root()
    }),
  ]
})()
const rootOf = (size: number) => toBase64(growing[size] as Uint8Array)

export async function noteIn(view: View, name: 'signed' | 'checkpoint'): Promise<OpenedCheckpoint | undefined> {
  const bytes = view.get(name)
  return bytes === undefined ? undefined : openCheckpoint(fromUtf8(bytes), [key])
}

/** Every tile that a log of this size must have, made by hashing ranges of leaves one by one. */
const tilesOf = new Map<number, ReadonlyMap<string, Uint8Array>>()
function expectedTiles(size: number): ReadonlyMap<string, Uint8Array> {
  const known = tilesOf.get(size)
  if (known !== undefined) return known
  const tiles = new Map<string, Uint8Array>()
  const put = (level: number | 'entries', index: number, width: number) => {
    const span = level === 'entries' ? 1 : 256 ** level
    const parts = Array.from({ length: width }, (_, i) => {
      const at = (index * 256 + i) * span
      return level === 'entries' ? encodeBundle(LEAVES.slice(at, at + 1)) : mth(LEAVES.slice(at, at + span))
    })
    tiles.set(tilePath({ level, index, width }), Buffer.concat(parts))
  }
  for (let level = 0; hashesAt(level, size) > 0; level++) {
    for (let index = 0; index < Math.floor(hashesAt(level, size) / 256); index++) {
      put(level, index, 256)
      if (level === 0) put('entries', index, 256)
    }
  }
  for (const { level, index, width } of edgeTiles(size)) put(level, index, width)
  tilesOf.set(size, tiles)
  return tiles
}

export async function expectLog(view: View, size: number): Promise<void> {
  expect(await noteIn(view, 'checkpoint')).toMatchObject({ size })
  expect(toBase64((await noteIn(view, 'checkpoint'))?.root ?? new Uint8Array())).toBe(rootOf(size))
  expect(view.get('signed')).toEqual(view.get('checkpoint'))
  for (const [path, bytes] of expectedTiles(size)) {
    expect([path, Buffer.from(view.get(path) ?? []).toString('hex')]).toEqual([
      path,
      Buffer.from(bytes).toString('hex'),
    ])
  }
}

/** The first rows, up to each of these sizes, with a checkpoint at each. */
export async function growTo(
  log: Pick<TransparencyLog, 'push' | 'reached'>,
  ...sizes: readonly number[]
): Promise<void> {
  let from = 0
  for (const to of sizes) {
    log.push(ALL.slice(from, to))
    await log.reached(to - 1, 'logged')
    from = to
  }
}

/** Every time it is asked, enough has passed for tiles to be settled. */
export const hasty = () => {
  let nowMs = 1_700_000_000_000
  return () => (nowMs += 61_000)
}
