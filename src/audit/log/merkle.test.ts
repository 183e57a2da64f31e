import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toBase64, toUtf8 } from './bytes.ts'
import { emptyRoot, leafHash, verifyConsistency, verifyInclusion } from './merkle.ts'
import { CompactRange, foldRight } from './range.ts'
import { consistencyRanges, inclusionRanges, perfectNodes, type Range } from './subtree.ts'
import { entriesUpTo, mth, path, proof } from './testing/naive.test-support.ts'
import { hashesOf, hashOf, vectors } from './testing/vectors.test-support.ts'

const size = fc.integer({ min: 1, max: 600 })
const flip = (bytes: Uint8Array, bit: number) => {
  const changed = Uint8Array.from(bytes)
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return changed
}
const rangeHash = (entries: readonly Uint8Array[]) => (range: Range) => mth(entries.slice(range.from, range.to))

/** The root at every size up to `n`. */
function roots(n: number): Uint8Array[] {
  const range = new CompactRange()
  const found = [range.root()]
  for (const entry of entriesUpTo(n)) {
    range.append(entry)
    found.push(range.root())
  }
  return found
}

describe('the vectors', () => {
  it('have these roots', () => {
    const found = roots(70_000)
    for (const [n, root] of Object.entries(vectors.roots))
      expect([n, toBase64(found[Number(n)] as Uint8Array)]).toEqual([n, root])
  })

  it('have these inclusion proofs, built and verified', async () => {
    const entries = entriesUpTo(513)
    for (const { index, size, proof } of vectors.inclusion) {
      const root = hashOf(vectors.roots[String(size) as keyof typeof vectors.roots])
      const leaf = await leafHash(toUtf8(`entry-${index}`))
      await verifyInclusion({ leafHash: leaf, index, size, proof: hashesOf(proof), root })
      expect(inclusionRanges(index, size)).toHaveLength(proof.length)
      if (size > 513) continue
      expect(inclusionRanges(index, size).map(rangeHash(entries)).map(toBase64)).toEqual(proof)
    }
  })

  it('have these consistency proofs, built and verified', async () => {
    const entries = entriesUpTo(513)
    for (const { from, to, proof } of vectors.consistency) {
      const root = (n: number) => hashOf(vectors.roots[String(n) as keyof typeof vectors.roots])
      expect(consistencyRanges(from, to)).toHaveLength(proof.length)
      if (to <= 513) expect(consistencyRanges(from, to).map(rangeHash(entries)).map(toBase64)).toEqual(proof)
      if (!(String(from) in vectors.roots) || !(String(to) in vectors.roots)) continue
      await verifyConsistency({
        older: from,
        olderRoot: root(from),
        newer: to,
        newerRoot: root(to),
        proof: hashesOf(proof),
      })
    }
  })
})

describe('trees of any size', () => {
  it('have the roots of the definition, also when continued from their perfect subtrees', () => {
    fc.assert(
      fc.property(size, size, (a, b) => {
        const entries = entriesUpTo(Math.max(a, b))
        const at = Math.min(a, b)
        const nodes = perfectNodes({ from: 0, to: at }).map(({ height, index }) =>
          mth(entries.slice(index * 2 ** height, (index + 1) * 2 ** height)),
        )
        expect(toBase64(foldRight(nodes))).toBe(toBase64(mth(entries.slice(0, at))))
        const range = new CompactRange(at, nodes)
        const seen: { height: number; index: number; hash: Uint8Array }[] = []
        for (const entry of entries.slice(at)) {
          range.append(entry, (height, index, bytes, place) =>
            seen.push({ height, index, hash: Uint8Array.from(bytes.subarray(place, place + 32)) }),
          )
        }
        expect(toBase64(range.root())).toBe(toBase64(mth(entries)))
        for (const { height, index, hash } of seen) {
          const leaves = entries.slice(index * 2 ** height, (index + 1) * 2 ** height)
          expect(toBase64(hash)).toBe(toBase64(mth(leaves)))
        }
        // Every perfect subtree that ends after the start is told of, once.
        const expected = new Set<string>()
        for (let height = 0; 2 ** height <= entries.length; height++) {
          for (let i = 0; (i + 1) * 2 ** height <= entries.length; i++) {
            if ((i + 1) * 2 ** height > at) expected.add(`${height}/${i}`)
          }
        }
        expect(new Set(seen.map(({ height, index }) => `${height}/${index}`))).toEqual(expected)
        expect(seen).toHaveLength(expected.size)
      }),
      { numRuns: 60 },
    )
  })

  it('prove inclusion as defined; no changed bit, index, size or length is taken', async () => {
    await fc.assert(
      fc.asyncProperty(size, fc.nat(), fc.nat(), fc.nat(), async (n, at, which, bit) => {
        const entries = entriesUpTo(n)
        const index = at % n
        const root = mth(entries)
        const made = inclusionRanges(index, n).map(rangeHash(entries))
        expect(made).toEqual(path(index, entries))
        const leaf = mth(entries.slice(index, index + 1))
        const whole = { leafHash: leaf, index, size: n, proof: made, root }
        await verifyInclusion(whole)
        const refused = async (changes: Partial<typeof whole>) =>
          expect(verifyInclusion({ ...whole, ...changes })).rejects.toMatchObject({ code: 'proof_invalid' })
        await refused({ leafHash: flip(leaf, bit % 256) })
        await refused({ root: flip(root, bit % 256) })
        if (made.length > 0) {
          await refused({ proof: made.map((hash, i) => (i === which % made.length ? flip(hash, bit % 256) : hash)) })
          await refused({ proof: made.slice(1) })
          await refused({ proof: made.slice(0, -1) })
        }
        await refused({ proof: [...made, root] })
        await refused({ proof: [root, ...made] })
        await refused({ index: n })
        if (n > 1) await refused({ index: (index + 1 + (which % (n - 1))) % n })
        await refused({ proof: [...made.slice(0, -1), new Uint8Array(31)] })
        await refused({ index: index + 0.5 })
        await refused({ index: -1 })
      }),
      { numRuns: 60 },
    )
  })

  it('prove consistency as defined; nothing changed is taken', async () => {
    await fc.assert(
      fc.asyncProperty(size, size, fc.nat(), fc.nat(), async (a, b, which, bit) => {
        const older = Math.min(a, b)
        const newer = Math.max(a, b)
        const entries = entriesUpTo(newer)
        const olderRoot = mth(entries.slice(0, older))
        const newerRoot = mth(entries)
        const made = consistencyRanges(older, newer).map(rangeHash(entries))
        expect(made).toEqual(proof(older, entries))
        const whole = { older, olderRoot, newer, newerRoot, proof: made }
        await verifyConsistency(whole)
        const refused = async (changes: Partial<typeof whole>) =>
          expect(verifyConsistency({ ...whole, ...changes })).rejects.toMatchObject({ code: 'proof_invalid' })
        await refused({ olderRoot: flip(olderRoot, bit % 256) })
        await refused({ newerRoot: flip(newerRoot, bit % 256) })
        if (made.length > 0) {
          await refused({ proof: made.map((hash, i) => (i === which % made.length ? flip(hash, bit % 256) : hash)) })
          await refused({ proof: made.slice(1) })
          await refused({ proof: made.slice(0, -1) })
          await refused({ older: newer, newer: older })
        }
        await refused({ proof: [...made, newerRoot] })
      }),
      { numRuns: 60 },
    )
  })

  it('extend the empty tree, which has one root', async () => {
    const root = mth(entriesUpTo(3))
    await verifyConsistency({ older: 0, olderRoot: await emptyRoot(), newer: 3, newerRoot: root, proof: [] })
    await expect(
      verifyConsistency({ older: 0, olderRoot: root, newer: 3, newerRoot: root, proof: [] }),
    ).rejects.toMatchObject({ code: 'proof_invalid' })
    await expect(
      verifyConsistency({ older: 0, olderRoot: await emptyRoot(), newer: 3, newerRoot: root, proof: [root] }),
    ).rejects.toMatchObject({ code: 'proof_invalid' })
  })

  it('are planned for sizes that no 32-bit arithmetic holds', () => {
    const n = 2 ** 45 + 3
    expect(inclusionRanges(2 ** 45 + 2, n)).toEqual([
      { from: 2 ** 45, to: 2 ** 45 + 2 },
      { from: 0, to: 2 ** 45 },
    ])
    expect(consistencyRanges(2 ** 45, n)).toEqual([{ from: 2 ** 45, to: n }])
    expect(() => inclusionRanges(n, n)).toThrow(RangeError)
    expect(() => consistencyRanges(n + 1, n)).toThrow(RangeError)
  })
})
