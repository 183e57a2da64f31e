import { describe, expect, it } from 'vitest'
import { fromUtf8 } from './bytes.ts'
import { MemoryFolder } from './testing/folder.test-support.ts'
import { makeRows, openLog } from './testing/rows.test-support.ts'
import { ALL, expectLog, growTo, hasty, LEAVES, noteIn } from './testing/whole-log.test-support.ts'
import { decodeBundle } from './tile.ts'

describe('a gate killed, or its power cut, after any step', () => {
  it.each([
    ['before anything is settled', () => 1_700_000_000_000],
    ['while tiles are settled', hasty()],
  ])('goes on with the same log, and never signs another one: %s', async (_, nowMs) => {
    const { log, folder } = await openLog([], new MemoryFolder(), { nowMs })
    await growTo(log, 3, 250, 258, 520)
    await log.close()
    const total = 523
    let shown = 0
    const kinds = new Set<string>()
    for (const { what, visible, durable, torn } of folder.steps) {
      kinds.add(what.split(' ')[0] ?? '')
      shown = Math.max(shown, (await noteIn(visible, 'checkpoint'))?.size ?? 0)
      // Names that were not yet made to last may each be there or not: none, all, and some.
      const some = new Map([...durable, ...[...visible].filter(([path]) => path.length % 2 === 0)])
      for (const view of [visible, durable, some, torn]) {
        const signed = Math.max(
          (await noteIn(view, 'signed'))?.size ?? 0,
          (await noteIn(view, 'checkpoint'))?.size ?? 0,
        )
        // What was shown to anybody is signed for good.
        expect([what, signed]).toEqual([what, expect.toSatisfy((size: number) => size >= shown)])
        const left = new MemoryFolder(view)
        left.recording = false
        const again = await openLog(ALL.slice(0, total), left)
        expect(again.log.status.size).toBe(signed)
        await again.log.reached(total - 1, 'logged')
        await again.log.close()
        await expectLog(again.folder.view, total)
      }
    }
    expect([...kinds].sort()).toEqual(['flush', 'folder', 'half', 'remove', 'rename', 'sync', 'write'])
    expect(folder.steps.length).toBeGreaterThan(60)
  })

  it.each([256, 300, 512])('leaves nothing on its way for good, at %i rows', async n => {
    const { log, folder } = await openLog(ALL.slice(0, n))
    await log.reached(n - 1, 'logged')
    await log.close()
    const junk = ['aside/7', 'tile/entries/000.p/9', 'tile/0/000.p/200']
    const left = new Map([...folder.view, ...junk.map(name => [name, Uint8Array.of(1)] as const)])
    const again = await openLog(ALL.slice(0, n), new MemoryFolder(left))
    await again.log.close()
    expect([...again.folder.view.keys()].sort()).toEqual([...folder.view.keys()].sort())
  })
})

describe('a folder that cannot be written', () => {
  it('loses nothing, says so, refuses who waits, and resumes by itself: whichever step fails', async () => {
    const reference = await openLog([], new MemoryFolder(), { nowMs: hasty() })
    await growTo(reference.log, 200, 300, 301)
    await reference.log.close()
    const count = reference.folder.steps.length
    for (let failing = 0; failing < count + 20; failing++) {
      const folder = new MemoryFolder()
      const states: boolean[] = []
      const { log, timers } = await openLog([], folder, { onState: ok => states.push(ok), nowMs: hasty() })
      let step = 0
      folder.onStep = () => {
        if (step++ === failing) throw Object.assign(new Error('full'), { code: 'ENOSPC' })
      }
      let refused = 0
      for (const [from, to] of [
        [0, 200],
        [200, 300],
        [300, 301],
      ] as const) {
        log.push(ALL.slice(from, to))
        await log.reached(to - 1, 'logged').catch((error: unknown) => {
          expect(error).toMatchObject({ name: 'LogInvalid', message: expect.stringContaining('ENOSPC') })
          refused++
        })
        if (refused > 0 && !log.status.ok) {
          expect(log.status.reason).toContain('free space')
          timers.fire()
          await log.reached(to - 1, 'logged')
        }
      }
      folder.onStep = () => undefined
      timers.fire()
      await log.reached(300, 'logged')
      await log.close()
      await expectLog(folder.view, 301)
      expect(fromUtf8(folder.view.get('settled') ?? new Uint8Array())).toBe('256\n')
      expect(states.length % 2).toBe(0)
      expect([...folder.view.keys()].filter(path => path.startsWith('aside/'))).toEqual([])
    }
  })

  it('is written over where a power cut took what nobody had signed', async () => {
    const { log, folder } = await openLog(ALL.slice(0, 600))
    await log.reached(599, 'logged')
    await log.close()
    const bundle = folder.view.get('tile/entries/001') ?? new Uint8Array()
    for (const kept of [0, 4096, bundle.length - 100]) {
      // Signed were 100; the rows beyond were on their way.
      const before = await openLog(ALL.slice(0, 100))
      await before.log.reached(99, 'logged')
      await before.log.close()
      const torn = bundle.map((byte, i) => (i < kept ? byte : 0))
      const left = new Map([...folder.view, ...before.folder.view, ['tile/entries/001', torn] as const])
      const again = await openLog(ALL.slice(0, 600), new MemoryFolder(left))
      await again.log.reached(599, 'logged')
      await again.log.close()
      await expectLog(again.folder.view, 600)
    }
  })

  it('is never written over with other entries', async () => {
    const { log, folder } = await openLog(ALL.slice(0, 300))
    await log.reached(299, 'logged')
    await log.close()
    // The checkpoints are gone, and another audit log is there: the tiles still stand against it.
    const bare = new Map([...folder.view].filter(([path]) => path.startsWith('tile/')))
    const others = makeRows(300, 2)
    const again = await openLog(others, new MemoryFolder(bare))
    await expect(again.log.reached(299, 'logged')).rejects.toMatchObject({ code: 'tile_conflict' })
    await again.log.close()
    expect(again.folder.view.has('signed')).toBe(false)
    const entries = decodeBundle(again.folder.view.get('tile/entries/000') ?? new Uint8Array(), 256)
    expect(entries[0]).toEqual(Uint8Array.from(LEAVES[0] ?? []))
  })
})
