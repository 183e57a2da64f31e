import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toBase64 } from './bytes.ts'
import { leafHash, verifyConsistency, verifyInclusion } from './merkle.ts'
import { LogReader } from './reader.ts'
import { inclusionRanges } from './subtree.ts'
import { MemoryFolder } from './testing/folder.test-support.ts'
import { openLog } from './testing/rows.test-support.ts'
import { ALL, growing, LEAVES } from './testing/whole-log.test-support.ts'

describe('proofs from the tiles', () => {
  it('verify for any index and any sizes', async () => {
    const { log, folder } = await openLog(ALL)
    await log.reached(ALL.length - 1, 'logged')
    await log.close()
    const root = (size: number) => growing[size] as Uint8Array
    const size = fc.integer({ min: 1, max: 1100 })
    await fc.assert(
      fc.asyncProperty(size, size, fc.nat(), async (a, b, at) => {
        const [older, newer] = [Math.min(a, b), Math.max(a, b)]
        const reader = new LogReader(folder, ALL.length)
        const index = at % newer
        expect(await reader.entry(index)).toEqual(Uint8Array.from(LEAVES[index] ?? []))
        await verifyInclusion({
          leafHash: await leafHash(LEAVES[index] ?? new Uint8Array()),
          index,
          size: newer,
          proof: await reader.inclusion(index, newer),
          root: root(newer),
        })
        expect(toBase64(await reader.rootAt(older))).toBe(toBase64(root(older)))
        await verifyConsistency({
          older,
          olderRoot: root(older),
          newer,
          newerRoot: root(newer),
          proof: await reader.consistency(older, newer),
        })
      }),
      { numRuns: 60 },
    )
  })

  it('say what is missing', async () => {
    const { log, folder } = await openLog(ALL.slice(0, 300))
    await log.reached(299, 'logged')
    await log.close()
    const reader = new LogReader(folder, 300)
    await expect(reader.inclusion(300)).rejects.toMatchObject({ code: 'not_yet_logged' })
    await expect(reader.rootAt(301)).rejects.toMatchObject({ code: 'not_yet_logged' })
    const without = new MemoryFolder(new Map([...folder.view].filter(([path]) => path !== 'tile/0/000')))
    await expect(new LogReader(without, 300).inclusion(299)).resolves.toHaveLength(inclusionRanges(299, 300).length)
    await expect(new LogReader(without, 300).inclusion(0)).rejects.toMatchObject({
      code: 'tile_missing',
      message: /tile\/0\/000/,
    })
    const short = new MemoryFolder(new Map([...folder.view, ['tile/0/000', new Uint8Array(31)]]))
    await expect(new LogReader(short, 300).inclusion(0)).rejects.toMatchObject({ code: 'malformed' })
  })
})
