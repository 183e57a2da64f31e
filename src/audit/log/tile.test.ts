import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { vectors } from './testing/vectors.test-support.ts'
import {
  decodeBundle,
  edgeTiles,
  encodeBundle,
  hashesAt,
  lastFullTiles,
  parseTilePath,
  type Tile,
  tileOfNode,
  tilePath,
  tileWidth,
} from './tile.ts'

const anyTile: fc.Arbitrary<Tile> = fc.record({
  level: fc.oneof(fc.integer({ min: 0, max: 63 }), fc.constant('entries' as const)),
  index: fc.oneof(fc.nat(3000), fc.maxSafeInteger().map(Math.abs)),
  width: fc.integer({ min: 1, max: 256 }),
})

describe('tile paths', () => {
  it.each([
    [{ level: 0, index: 0, width: 256 }, 'tile/0/000'],
    [{ level: 0, index: 1000, width: 256 }, 'tile/0/x001/000'],
    [{ level: 3, index: 1_234_067, width: 17 }, 'tile/3/x001/x234/067.p/17'],
    [{ level: 'entries' as const, index: 7, width: 1 }, 'tile/entries/007.p/1'],
  ])('%j is %s', (tile, path) => {
    expect(tilePath(tile)).toBe(path)
    expect(parseTilePath(path)).toEqual(tile)
  })

  it('are read back, for every tile', () => {
    fc.assert(
      fc.property(anyTile, tile => {
        expect(parseTilePath(tilePath(tile))).toEqual(tile)
      }),
    )
  })

  it.each([
    'tile/00/000',
    'tile/64/000',
    'tile/0/x000/001',
    'tile/0/0',
    'tile/0/0000',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/0/000.p',
    'tile/-1/000',
    'tile/0/x001',
    'tile/entries/../000',
    '/tile/0/000',
    'tile/0/000/',
    'tile/0/000\n',
    'tile/x/000',
    'tile/0/x999/x999/x999/x999/x999/x999/999',
    'checkpoint',
    '',
  ])('%j is no tile', path => {
    expect(parseTilePath(path)).toBeUndefined()
  })
})

describe('the right edge', () => {
  it('is that of the vectors', () => {
    for (const [size, levels] of Object.entries(vectors.tileLayout)) {
      const partial = levels.filter(l => l.partial > 0)
      const hashTiles = edgeTiles(Number(size)).filter(t => t.level !== 'entries')
      expect(hashTiles.map(tilePath)).toEqual(partial.map(l => l.last))
      for (const { level, full } of levels) expect(Math.floor(hashesAt(level, Number(size)) / 256)).toBe(full)
    }
  })

  it('has no empty tile, and the widths that sizes give', () => {
    expect(edgeTiles(0)).toEqual([])
    fc.assert(
      fc.property(fc.maxSafeInteger().map(Math.abs), size => {
        for (const tile of edgeTiles(size)) {
          expect(tile.width).toBe(tileWidth(tile.level, tile.index, size))
          expect(tile.width).toBeGreaterThan(0)
          expect(tile.width).toBeLessThan(256)
          expect(tileWidth(tile.level, tile.index + 1, size)).toBe(0)
        }
      }),
    )
    expect(tileWidth('entries', 0, 256)).toBe(256)
    expect(tileWidth(1, 0, 256)).toBe(1)
  })

  it('holds every node', () => {
    expect(tileOfNode(0, 300)).toEqual({ level: 0, index: 1, from: 44, count: 1 })
    expect(tileOfNode(7, 3)).toEqual({ level: 0, index: 1, from: 128, count: 128 })
    expect(tileOfNode(8, 3)).toEqual({ level: 1, index: 0, from: 3, count: 1 })
    expect(tileOfNode(15, 1)).toEqual({ level: 1, index: 0, from: 128, count: 128 })
  })
})

describe('the last full tiles', () => {
  it.each([
    [0, []],
    [255, []],
    [256, ['entries/000', '0/000']],
    [600, ['entries/001', '0/001']],
    [65_536, ['entries/255', '0/255', '1/000']],
    // The next tile would be in another folder.
    [256_000, ['entries/999', '0/999', '1/002']],
  ])('of %i entries', (size, paths) => {
    expect(lastFullTiles(size).map(tilePath)).toEqual(paths.map(path => `tile/${path}`))
  })
})

describe('entry bundles', () => {
  it('read back', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 }), entries => {
        const bundle = encodeBundle(entries)
        expect(decodeBundle(bundle, entries.length).map(e => [...e])).toEqual(entries.map(e => [...e]))
      }),
    )
  })

  it('take the largest entry and none above it', () => {
    const largest = new Uint8Array(65_535).fill(7)
    expect(decodeBundle(encodeBundle([largest]), 1)[0]).toEqual(largest)
    expect(() => encodeBundle([new Uint8Array(65_536)])).toThrow('at most 65535')
  })

  it('are refused with bytes missing, left over, or entries too few or many', () => {
    const bundle = encodeBundle([Uint8Array.of(1, 2, 3), Uint8Array.of(4)])
    expect(() => decodeBundle(bundle, 1)).toThrow('expected an entry bundle of 1 entries, got 2')
    expect(() => decodeBundle(bundle, 3)).toThrow('got 2')
    expect(() => decodeBundle(bundle.subarray(0, -1), 2)).toThrow('to end with an entry')
    expect(() => decodeBundle(Uint8Array.of(...bundle, 0), 2)).toThrow('to end with an entry')
  })
})
