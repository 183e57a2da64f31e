import { describe, expect, it } from 'vitest'
import { LogFolder } from './folder.ts'
import { FolderIntegrator } from './integrator.ts'
import { NODE_SHA256 } from './sha256.ts'
import { MemoryFolder } from './testing/folder.test-support.ts'
import { leavesOf, makeRows } from './testing/rows.test-support.ts'
import { encodeBundle } from './tile.ts'
import { GrowingTree } from './tree.ts'

const LEAVES = leavesOf(makeRows(600))
const bundle = (from: number, to: number) => encodeBundle(LEAVES.slice(from, to))

async function empty() {
  const files = new MemoryFolder()
  files.recording = false
  const folder = new LogFolder(files)
  await folder.open()
  return { files, integrator: new FolderIntegrator(folder, new GrowingTree(NODE_SHA256)) }
}

describe('an integrator', () => {
  it('takes the entries that come next, and says where it is when they do not', async () => {
    const { files, integrator } = await empty()
    expect(await integrator.take(0, bundle(0, 100))).toBe(100)
    for (const first of [0, 99, 101]) expect(await integrator.take(first, bundle(first, first + 5))).toBe(100)
    expect(await integrator.take(100, bundle(100, 300))).toBe(300)
    expect(await integrator.take(300, bundle(300, 300))).toBe(300)
    expect(await integrator.settle()).toMatchObject({ size: 300 })
    expect(files.view.get('tile/entries/000')).toEqual(Uint8Array.from(bundle(0, 256)))
  })

  it('takes nothing of a bundle that does not end with an entry', async () => {
    const { integrator } = await empty()
    await expect(integrator.take(0, bundle(0, 5).slice(0, -1))).rejects.toMatchObject({ code: 'malformed' })
    expect(await integrator.settle()).toMatchObject({ size: 0 })
  })

  it('takes entries while it writes, and settles what was there before', async () => {
    const { files, integrator } = await empty()
    await integrator.take(0, bundle(0, 10))
    let meanwhile: Promise<number> | undefined
    files.onStep = () => {
      meanwhile ??= integrator.take(10, bundle(10, 400))
    }
    expect(await integrator.settle()).toMatchObject({ size: 10 })
    expect(await meanwhile).toBe(400)
    expect(files.view.has('tile/entries/000')).toBe(false)
    expect(await integrator.settle()).toMatchObject({ size: 400 })
    expect(files.view.has('tile/entries/000')).toBe(true)
    await integrator.tidy()
    expect([...files.view.keys()].filter(path => path.startsWith('tile/0/000.p'))).toEqual([])
  })

  it('keeps only so much when the disk is full, and goes on when it is not', async () => {
    const { files, integrator } = await empty()
    files.onStep = () => {
      throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    }
    let size = 0
    const many = () =>
      integrator.take(size, encodeBundle(Array.from({ length: 512 }, (_, i) => Buffer.from(`${size + i}`))))
    for (let i = 0; i < 32; i++) size = await many()
    // 64 full tiles of hashes and 64 bundles wait: no more are taken.
    for (let i = 0; i < 3; i++) {
      await expect(many()).rejects.toMatchObject({ code: 'ENOSPC' })
      await expect(integrator.settle()).rejects.toMatchObject({ code: 'ENOSPC' })
    }
    expect(size).toBe(32 * 512)
    files.onStep = () => undefined
    size = await many()
    const head = await integrator.settle()
    expect(head.size).toBe(33 * 512)
    const tree = new GrowingTree(NODE_SHA256)
    for (let i = 0; i < head.size; i++) tree.append(Buffer.from(`${i}`))
    expect(Buffer.from(head.root).toString('hex')).toBe(Buffer.from(tree.root()).toString('hex'))
    for (const { tile } of tree.takeFull()) {
      const path = `tile/${tile.level}/${String(tile.index).padStart(3, '0')}`
      expect([path, files.view.has(path)]).toEqual([path, true])
    }
  })
})
