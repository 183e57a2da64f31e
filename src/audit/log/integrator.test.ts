import { describe, expect, it } from 'vitest'
import { LogFolder } from './folder.ts'
import { FolderIntegrator } from './integrator.ts'
import { restoreTree } from './restore.ts'
import { MemoryFolder } from './testing/folder.test-support.ts'
import { leavesOf, makeRows } from './testing/rows.test-support.ts'
import { encodeBundle } from './tile.ts'
import { GrowingTree } from './tree.ts'

const LEAVES = leavesOf(makeRows(600))
const bundle = (from: number, to: number) => encodeBundle(LEAVES.slice(from, to))

async function empty() {
  const files = new MemoryFolder()
  files.recording = false
  const clock = { ms: 1_000_000 }
  const folder = new LogFolder(files)
  await folder.open()
  const integrator = await FolderIntegrator.open(folder, new GrowingTree(), { nowMs: () => clock.ms })
  return { files, clock, integrator, settled: () => folder.settled() }
}
const failing = (files: MemoryFolder, word: string, code = 'EIO') => {
  files.onStep = what => {
    if (what.startsWith(word)) throw Object.assign(new Error('failed'), { code })
  }
}
/** What is done to the disk from now on. */
const steps = (files: MemoryFolder) => {
  const seen: string[] = []
  files.onStep = what => seen.push(what)
  return seen
}

describe('an integrator', () => {
  it('takes the entries that come next, and says where it is when they do not', async () => {
    const { files, integrator } = await empty()
    expect(await integrator.take(0, bundle(0, 100))).toBe(100)
    for (const first of [0, 99, 101]) expect(await integrator.take(first, bundle(first, first + 5))).toBe(100)
    expect(await integrator.take(100, bundle(100, 300))).toBe(300)
    expect(await integrator.take(300, bundle(300, 300))).toBe(300)
    expect(await integrator.write()).toMatchObject({ size: 300 })
    expect(files.view.get('tile/entries/000')).toEqual(Uint8Array.from(bundle(0, 256)))
  })

  it('takes nothing of a bundle that does not end with an entry', async () => {
    const { integrator } = await empty()
    await expect(integrator.take(0, bundle(0, 5).slice(0, -1))).rejects.toMatchObject({ code: 'malformed' })
    expect(await integrator.write()).toMatchObject({ size: 0 })
  })

  it('takes entries while it writes, and settles what was there before', async () => {
    const { files, integrator } = await empty()
    await integrator.take(0, bundle(0, 10))
    let meanwhile: Promise<number> | undefined
    files.onStep = () => {
      meanwhile ??= integrator.take(10, bundle(10, 400))
    }
    expect(await integrator.write()).toMatchObject({ size: 10 })
    expect(await meanwhile).toBe(400)
    expect(files.view.has('tile/entries/000')).toBe(false)
    expect(await integrator.write()).toMatchObject({ size: 400 })
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
      await expect(integrator.write()).rejects.toMatchObject({ code: 'ENOSPC' })
    }
    expect(size).toBe(32 * 512)
    files.onStep = () => undefined
    size = await many()
    const head = await integrator.write()
    expect(head.size).toBe(33 * 512)
    const tree = new GrowingTree()
    for (let i = 0; i < head.size; i++) tree.append(Buffer.from(`${i}`))
    expect(Buffer.from(head.root).toString('hex')).toBe(Buffer.from(tree.root()).toString('hex'))
    for (const { tile } of tree.takeFull()) {
      const path = `tile/${tile.level}/${String(tile.index).padStart(3, '0')}`
      expect([path, files.view.has(path)]).toEqual([path, true])
    }
  })

  it('makes tiles outlive a power cut when they are old, and when it is closed', async () => {
    const { files, clock, integrator, settled } = await empty()
    await integrator.take(0, bundle(0, 300))
    const seen = steps(files)
    await integrator.write()
    expect(await integrator.tidy()).toBe(true)
    clock.ms += 54_999
    await integrator.take(300, bundle(300, 520))
    await integrator.write()
    await integrator.tidy()
    expect(seen.filter(what => /^(flush|sync)/.test(what))).toEqual([])
    expect(await settled()).toBe(0)
    clock.ms += 1
    expect(await integrator.tidy()).toBe(true)
    expect(seen.filter(what => /^(flush|sync)/.test(what))).toEqual([
      ...['flush tile/entries/000', 'flush tile/0/000'],
      ...['sync tile/entries', 'sync tile', 'sync tile/0', 'sync .', expect.stringMatching(/^flush aside/)],
    ])
    expect(await settled()).toBe(256)
    clock.ms += 54_999
    expect(await integrator.tidy()).toBe(false)
    expect(await settled()).toBe(512)
    await integrator.take(520, bundle(520, 600))
    await integrator.take(600, bundle(0, 200))
    await integrator.write()
    await integrator.close()
    expect(await settled()).toBe(768)
    expect(seen.filter(what => what.startsWith('flush tile'))).toHaveLength(6)
  })

  it('leaves only so many entries to be made again from their rows', async () => {
    const { integrator, settled } = await empty()
    const many = encodeBundle(Array.from({ length: 8192 }, (_, i) => Buffer.from(`${i}`)))
    for (let size = 0; size <= 131_072 + 8192; size += 8192) {
      await integrator.take(size, Uint8Array.from(many))
      const head = await integrator.write()
      await integrator.tidy()
      expect(head.size - (await settled())).toBeLessThanOrEqual(131_072)
    }
    expect(await settled()).toBe(16_384)
  })

  it('leaves no more than that, however many come at a time', async () => {
    const { clock, integrator, settled } = await empty()
    const entries = encodeBundle(Array.from({ length: 256 }, () => Buffer.from('x')))
    let size = 0
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 256 + 32; i++) size = await integrator.take(size, Uint8Array.from(entries))
      await integrator.write()
      clock.ms += 13_000
      await integrator.tidy()
      expect(size - (await settled())).toBeLessThanOrEqual(131_072)
    }
  })

  it('settles what became old in a pause a part at a time', async () => {
    const { files, clock, integrator, settled } = await empty()
    await integrator.take(0, encodeBundle(Array.from({ length: 20_000 }, (_, i) => Buffer.from(`${i}`))))
    await integrator.write()
    clock.ms += 3_600_000
    const seen = steps(files)
    for (const size of [8192, 16_384, 19_968, 19_968]) {
      expect(await integrator.tidy()).toBe(size < 19_968)
      expect(await settled()).toBe(size)
    }
    const flushed = seen.filter(what => what.startsWith('flush tile'))
    expect(flushed).toHaveLength(2 * 78)
    expect(new Set(flushed).size).toBe(2 * 78)
  })

  it('pauses while it hashes, however many it is given', async () => {
    const folder = new LogFolder(new MemoryFolder())
    await folder.open()
    let pauses = 0
    const pause = () => pauses++
    const integrator = await FolderIntegrator.open(folder, new GrowingTree(), { nowMs: () => 0, pause })
    await integrator.take(0, encodeBundle(Array.from({ length: 8192 }, (_, i) => Buffer.from(`${i}`))))
    expect(pauses).toBe(128)
  })

  it('writes a partial tile once', async () => {
    const { files, integrator } = await empty()
    await integrator.take(0, bundle(0, 300))
    await integrator.write()
    const seen = steps(files)
    await integrator.write()
    await integrator.take(300, bundle(300, 301))
    await integrator.write()
    expect(seen.filter(what => what.startsWith('rename tile'))).toEqual([
      'rename tile/entries/001.p/45',
      'rename tile/0/001.p/45',
    ])
  })

  it.each(['flush tile/entries/000', 'flush tile/0/000', 'sync tile/0'])(
    'writes again what a failed %s may have lost, and says so meanwhile',
    async step => {
      const { files, clock, integrator, settled } = await empty()
      await integrator.take(0, bundle(0, 300))
      await integrator.write()
      clock.ms += 55_000
      failing(files, step)
      await expect(integrator.tidy()).rejects.toMatchObject({ code: 'EIO' })
      expect(await integrator.write()).toMatchObject({ size: 300 })
      await expect(integrator.tidy()).rejects.toMatchObject({ code: 'EIO' })
      expect(await settled()).toBe(0)
      const seen = steps(files)
      expect(await integrator.tidy()).toBe(false)
      const renamed = seen.indexOf('rename tile/entries/000')
      expect(renamed).toBeGreaterThan(-1)
      expect(seen.indexOf('flush tile/entries/000')).toBeGreaterThan(renamed)
      expect(await settled()).toBe(256)
      expect(files.view.get('tile/entries/000')).toEqual(Uint8Array.from(bundle(0, 256)))
    },
  )

  it('settles nothing that a failed sync has lost for good', async () => {
    const { files, clock, integrator, settled } = await empty()
    await integrator.take(0, bundle(0, 300))
    await integrator.write()
    clock.ms += 55_000
    failing(files, 'flush tile/entries/000')
    await expect(integrator.tidy()).rejects.toMatchObject({ code: 'EIO' })
    files.onStep = () => undefined
    await files.write('tile/entries/000', new Uint8Array(files.view.get('tile/entries/000')?.length ?? 0))
    await expect(integrator.tidy()).rejects.toMatchObject({
      code: 'log_unreadable',
      message: expect.stringContaining('restart the gate, which makes them again from the audit log'),
    })
    await integrator.close()
    expect(await settled()).toBe(0)
  })

  it('does not write tiles again when it was the number that could not be written', async () => {
    const { files, clock, integrator, settled } = await empty()
    await integrator.take(0, bundle(0, 300))
    await integrator.write()
    clock.ms += 55_000
    failing(files, 'rename settled', 'ENOSPC')
    await expect(integrator.tidy()).rejects.toMatchObject({ code: 'ENOSPC' })
    const seen = steps(files)
    expect(await integrator.tidy()).toBe(false)
    expect(seen.filter(what => what.startsWith('rename'))).toEqual(['rename settled'])
    expect(await settled()).toBe(256)
  })

  it('stops making tiles outlive a power cut when it takes too long to close', async () => {
    const { files, clock, integrator, settled } = await empty()
    await integrator.take(0, encodeBundle(Array.from({ length: 20_000 }, (_, i) => Buffer.from(`${i}`))))
    await integrator.write()
    files.onStep = what => {
      if (what.startsWith('flush tile')) clock.ms += 100
    }
    await integrator.close()
    expect(await settled()).toBe(8192)
  })

  it('begins by writing tiles again where another thread may have failed to', async () => {
    const { files, integrator } = await empty()
    await integrator.take(0, bundle(0, 300))
    await integrator.write()
    const folder = new LogFolder(files)
    const tree = await restoreTree(folder, { size: 300, root: (await integrator.write()).root })
    let ms = 0
    const next = await FolderIntegrator.open(folder, tree, { nowMs: () => ms, unsure: true })
    ms += 55_000
    const seen = steps(files)
    await next.tidy()
    expect(seen.indexOf('rename tile/0/000')).toBeGreaterThan(-1)
    expect(seen.indexOf('flush tile/0/000')).toBeGreaterThan(seen.indexOf('rename tile/0/000'))
    expect(await folder.settled()).toBe(256)
  })

  it('does not take for settled what another log before it had settled', async () => {
    const { files, integrator } = await empty()
    await integrator.take(0, bundle(0, 520))
    await integrator.write()
    await integrator.close()
    const folder = new LogFolder(files)
    expect(await folder.settled()).toBe(512)
    await FolderIntegrator.open(folder, new GrowingTree(), { nowMs: () => 0 })
    expect(await folder.settled()).toBe(0)
  })
})
