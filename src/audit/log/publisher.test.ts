import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Timers } from '../testing/disk.test-support.ts'
import { fromUtf8, toBase64 } from './bytes.ts'
import { type OpenedCheckpoint, openCheckpoint } from './checkpoint.ts'
import { LogInvalid } from './errors.ts'
import type { Integrator } from './integrator.ts'
import { leafHash, verifyConsistency, verifyInclusion } from './merkle.ts'
import { CompactRange } from './range.ts'
import { LogReader } from './reader.ts'
import { inclusionRanges } from './subtree.ts'
import { MemoryFolder, type View } from './testing/folder.test-support.ts'
import { mth } from './testing/naive.test-support.ts'
import { leavesOf, makeRows, openLog, sourceOf } from './testing/rows.test-support.ts'
import { logSigner } from './testing/vectors.test-support.ts'
import { decodeBundle, edgeTiles, encodeBundle, entriesOf, hashesAt, tilePath } from './tile.ts'

const { key } = await logSigner()
const ALL = makeRows(1100)
const LEAVES = leavesOf(ALL)
const growing = (() => {
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

async function noteIn(view: View, name: 'signed' | 'checkpoint'): Promise<OpenedCheckpoint | undefined> {
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

async function expectLog(view: View, size: number): Promise<void> {
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

/** An integrator that does nothing; a test says what it does instead. */
const fake = (): Integrator => ({
  take: async () => 0,
  write: async () => ({ size: 0, root: growing[0] as Uint8Array }),
  keep: async () => undefined,
  show: async () => undefined,
  tidy: async () => false,
  close: async () => undefined,
})

/** Lets time pass until something has happened. */
async function firing<T>(timers: Timers, happens: Promise<T>): Promise<T> {
  let over = false
  const settled = happens.finally(() => {
    over = true
  })
  settled.catch(() => undefined)
  while (!over) {
    timers.fire()
    await nextTurn()
  }
  return settled
}

describe('the publisher', () => {
  it.each([0, 1, 2, 255, 256, 257, 511, 512, 1100])(
    'makes the tiles, the root and the checkpoint of %i rows',
    async n => {
      const { log, folder, timers } = await openLog(ALL.slice(0, n))
      if (n > 0) await log.reached(n - 1, 'logged')
      else timers.fire()
      await log.close()
      await expectLog(folder.view, n)
      expect(log.status).toMatchObject({ ok: true, size: n, behind: 0, behindMs: 0 })
    },
  )

  it('takes rows as they come, in any batches, and asks for none of them again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 5 }), async batches => {
        const source = sourceOf(ALL)
        const { log, folder, timers } = await openLog([], new MemoryFolder(), { source })
        let done = 0
        for (const batch of batches) {
          const rows = ALL.slice(done, done + batch)
          log.push(rows)
          done += rows.length
          if (batch % 2 === 0) await log.reached(done - 1, 'logged')
          else timers.fire()
        }
        await log.close()
        await expectLog(folder.view, done)
        expect(source.read).toBe(0)
      }),
      { numRuns: 15 },
    )
  })

  it('signs at the interval, at once when somebody waits, and when many rows wait', async () => {
    let now = 5000
    const { log, timers } = await openLog([], new MemoryFolder(), { nowMs: () => now, source: sourceOf(ALL) })
    expect(timers.delays).toEqual([1000])
    now += 300
    log.push(ALL.slice(0, 3))
    expect(timers.delays).toEqual([1000])
    expect(log.status).toMatchObject({ size: 0, behind: 3, behindMs: 0 })
    now += 200
    expect(log.status.behindMs).toBe(200)
    await log.reached(1, 'logged')
    expect(log.status).toMatchObject({ size: 3, behind: 0 })
    await log.reached(2, 'logged')
    log.push(ALL.slice(3, 5))
    expect(timers.delays.at(-1)).toBe(1000)
    await log.close()
    expect(log.status.size).toBe(5)
  })

  it('ends with a full tile while rows come fast, and has every row a quarter of the interval later', async () => {
    const clock = { ms: 1_700_000_000_000 }
    const { log, folder, timers } = await openLog([], new MemoryFolder(), { nowMs: () => clock.ms })
    const shown = async () => (await noteIn(folder.view, 'checkpoint'))?.size ?? -1
    /** The entries of the next checkpoint, so long after these rows have come. */
    const next = async (to: number, afterMs: number) => {
      const before = await shown()
      log.push(ALL.slice(log.status.size + log.status.behind, to))
      clock.ms += afterMs
      while ((await shown()) === before) {
        if (log.status.size <= Math.max(before, 0)) timers.fire()
        await nextTurn()
      }
      return shown()
    }
    expect(await next(0, 0)).toBe(0)
    expect(await next(300, 250)).toBe(256)
    await expectLog(folder.view, 256)
    const files = () => [...folder.view.keys()]
    expect(files().filter(path => /^tile\/(entries|0)\/.*\.p\//.test(path))).toEqual([])
    // Whose tile is full waits for no other; the rest comes when the rows have stopped.
    expect(log.status.behind).toBe(44)
    expect(await next(300, 1000)).toBe(300)
    await expectLog(folder.view, 300)
    // Too slow for its tile to be full soon.
    expect(await next(513, 251)).toBe(513)
    // Fewer than fill one.
    expect(await next(600, 0)).toBe(600)
    log.push(ALL.slice(600, 780))
    await log.reached(700, 'logged')
    expect(log.status.size).toBe(768)
    await log.reached(768, 'logged')
    expect(log.status.size).toBe(780)
    log.push(ALL.slice(780, 1030))
    await log.close()
    await expectLog(folder.view, 1030)
  })

  it('makes tiles outlive a power cut while no rows come', async () => {
    const clock = { ms: 1_700_000_000_000 }
    const states: string[] = []
    const folder = new MemoryFolder()
    const { log, timers } = await openLog([], folder, {
      nowMs: () => clock.ms,
      onState: (ok, reason) => states.push(`${ok} ${reason}`),
    })
    log.push(ALL.slice(0, 300))
    await log.reached(299, 'logged')
    const pause = async () => {
      timers.fire()
      for (let i = 0; i < 20; i++) await nextTurn()
      return fromUtf8(folder.view.get('settled') ?? new Uint8Array())
    }
    expect(await pause()).toBe('')
    clock.ms += 55_000
    folder.onStep = what => {
      if (what.startsWith('flush tile')) throw Object.assign(new Error('failed'), { code: 'EIO' })
    }
    expect(await pause()).toBe('')
    expect(log.status).toMatchObject({ ok: false, size: 300, behind: 0 })
    folder.onStep = () => undefined
    expect(await pause()).toBe('256\n')
    expect(log.status.ok).toBe(true)
    expect(states.map(state => state.split(' ')[0])).toEqual(['false', 'true'])
    expect(await pause()).toBe('256\n')
    expect(timers.pending).toBe(0)
    await log.close()
  })

  it('reads again from the audit log what was too much to keep', async () => {
    const many = makeRows(9000)
    const source = sourceOf(many)
    const { log } = await openLog([], new MemoryFolder(), { source })
    log.push(many.slice(0, 8999))
    log.push(many.slice(8999))
    await log.reached(8999, 'logged')
    // The queue begins anew where it is full: the last 808 came from it.
    expect(source.read).toBe(8192)
    await log.close()
  })

  it('makes a checkpoint while rows go on coming faster than they are taken', async () => {
    const many = makeRows(9000)
    let pushed = 300
    const { log } = await openLog([], new MemoryFolder(), {
      integrator: () => ({
        ...fake(),
        take: async (first, bundle) => {
          // As a slow thread under load: before it has answered, there are as many rows again.
          log.push(many.slice(pushed, pushed + 300))
          pushed += 300
          await nextTurn()
          return first + entriesOf(bundle).length
        },
        write: async () => ({ size: Math.min(pushed, many.length) - 300, root: growing[0] as Uint8Array }),
      }),
    })
    log.push(many.slice(0, 300))
    await log.reached(10, 'logged')
    expect(pushed).toBeLessThan(many.length)
    await log.close()
  })

  it('never signs fewer entries than it has signed, whatever becomes of its integrator', async () => {
    const line = (ALL[0] as (typeof ALL)[number]).line.subarray(0, -1)
    const kept: number[] = []
    let size = 0
    const { log, timers } = await openLog([], new MemoryFolder(), {
      rows: 131_072,
      source: {
        async *rows(from, to) {
          for (let i = from; i < to; i++) yield line
        },
      },
      integrator: () => ({
        ...fake(),
        take: async (first, bundle) => {
          if (first === size) size += entriesOf(bundle).length
          return size
        },
        write: async () => ({ size, root: growing[0] as Uint8Array }),
        keep: async note => {
          kept.push(Number(fromUtf8(note).split('\n')[1]))
          // Its thread has died, and another one began from the start.
          if (kept.length === 2) size = 0
        },
      }),
    })
    await firing(timers, log.reached(131_071, 'logged'))
    const { hmac, canonical, tsNs, commit, leaf } = (ALL[0] as (typeof ALL)[number]).placed
    const placed = (i: number) => ({ index: BigInt(131_072 + i), hmac, canonical, tsNs, commit, leaf })
    // Handed over between two checkpoints: that is when the smaller size is learned.
    log.push(Array.from({ length: 1024 }, (_, i) => ({ entryId: '', line, placed: placed(i) })))
    await nextTurn()
    await firing(timers, log.reached(132_095, 'logged'))
    await log.close()
    expect(kept).toEqual([65_536, 131_072, 131_072, 132_096])
  })

  it('keeps and shows nothing once it is halted, also in the middle of a checkpoint', async () => {
    const why = new LogInvalid('log_halted', 'somebody has seen another history')
    const signer = await logSigner()
    const inSign = await openLog(ALL.slice(0, 5), new MemoryFolder(), {
      signer: {
        ...signer,
        sign: async data => {
          inSign.log.halt(why)
          return signer.sign(data)
        },
      },
    })
    await expect(inSign.log.reached(4, 'logged')).rejects.toBe(why)
    await inSign.log.close()
    expect([...inSign.folder.view.keys()].filter(path => !path.startsWith('tile/'))).toEqual([])

    const shown: Uint8Array[] = []
    const inKeep = await openLog(ALL.slice(0, 5), new MemoryFolder(), {
      integrator: () => ({
        ...fake(),
        take: async (first, bundle) => first + entriesOf(bundle).length,
        write: async () => ({ size: 5, root: growing[5] as Uint8Array }),
        keep: async () => inKeep.log.halt(why),
        show: async note => {
          shown.push(note)
        },
      }),
    })
    await expect(inKeep.log.reached(4, 'logged')).rejects.toBe(why)
    await inKeep.log.close()
    expect(shown).toEqual([])
  })

  it('removes partial tiles when full ones are there, not before', async () => {
    const { log, folder } = await openLog([])
    const countPartials = () => [...folder.view.keys()].filter(path => /^tile\/entries\/000\.p/.test(path)).length
    for (const [from, to] of [
      [0, 1],
      [1, 100],
      [100, 255],
    ] as const) {
      log.push(ALL.slice(from, to))
      await log.reached(to - 1, 'logged')
    }
    expect(countPartials()).toBe(3)
    log.push(ALL.slice(255, 258))
    await log.reached(257, 'logged')
    await log.close()
    expect(countPartials()).toBe(0)
    await expectLog(folder.view, 258)
  })

  it('rejects who waits for witnesses that there are none of, and who waits when it closes', async () => {
    const { log } = await openLog(ALL.slice(0, 5))
    await expect(log.reached(1, 'witnessed')).rejects.toMatchObject({ code: 'quorum_unmet' })
    const future = log.reached(9, 'logged')
    const rejected = expect(future).rejects.toMatchObject({ code: 'not_yet_logged' })
    await log.close()
    await rejected
    await expect(log.reached(10, 'logged')).rejects.toMatchObject({ code: 'not_yet_logged' })
    await log.reached(4, 'logged')
  })

  it('with witnesses shows a checkpoint only when they have cosigned it', async () => {
    const seen: number[] = []
    let answer: (note: string) => string = () => {
      throw new Error('unreachable')
    }
    const witnesses = {
      cosign: async (note: string, size: number) => {
        seen.push(size)
        return answer(note)
      },
      accepts: async () => false,
    }
    const { log, folder, timers } = await openLog(ALL.slice(0, 5), new MemoryFolder(), { witnesses })
    await log.reached(4, 'logged')
    const unseen = expect(log.reached(4, 'witnessed')).rejects.toMatchObject({ code: 'log_unreadable' })
    await firing(timers, unseen)
    expect(folder.view.has('checkpoint')).toBe(false)
    expect(log.status).toMatchObject({ ok: true, size: 5, witnessed: 0 })
    answer = note => `${note}\u2014 w QUFBQUE=\n`
    await firing(timers, log.reached(4, 'witnessed'))
    expect(fromUtf8(folder.view.get('checkpoint') ?? new Uint8Array())).toContain('\u2014 w ')
    expect(log.status.witnessed).toBe(5)
    log.push(ALL.slice(5, 9))
    await log.reached(8, 'witnessed')
    expect(seen.every((size, i) => i === 0 || size >= (seen[i - 1] ?? 0))).toBe(true)
    await log.close()
  })
})

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

/** Every time it is asked, enough has passed for tiles to be settled. */
const hasty = () => {
  let nowMs = 1_700_000_000_000
  return () => (nowMs += 41_000)
}

describe('a gate killed, or its power cut, after any step', () => {
  it.each([
    ['before anything is settled', () => 1_700_000_000_000],
    ['while tiles are settled', hasty()],
  ])('goes on with the same log, and never signs another one: %s', async (_, nowMs) => {
    const { log, folder, timers } = await openLog([], new MemoryFolder(), { nowMs })
    for (const [from, to] of [
      [0, 3],
      [3, 250],
      [250, 258],
      [258, 520],
    ] as const) {
      log.push(ALL.slice(from, to))
      await log.reached(to - 1, 'logged')
    }
    await log.close()
    expect(timers.pending).toBeGreaterThanOrEqual(0)
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

  it('leaves nothing on its way for good', async () => {
    const { log, folder } = await openLog(ALL.slice(0, 300))
    await log.reached(299, 'logged')
    await log.close()
    const junk = [
      ...folder.view,
      ['aside/7', Uint8Array.of(1)] as const,
      ['tile/entries/000.p/9', Uint8Array.of(1)] as const,
    ]
    const again = await openLog(ALL.slice(0, 300), new MemoryFolder(new Map(junk)))
    await again.log.close()
    expect(
      [...again.folder.view.keys()].filter(path => path.startsWith('aside/') || path.includes('entries/000.p')),
    ).toEqual([])
  })
})

describe('a folder that cannot be written', () => {
  it('loses nothing, says so, refuses who waits, and resumes by itself: whichever step fails', async () => {
    const reference = await openLog([], new MemoryFolder(), { nowMs: hasty() })
    for (const [from, to] of [
      [0, 200],
      [200, 300],
      [300, 301],
    ] as const) {
      reference.log.push(ALL.slice(from, to))
      await reference.log.reached(to - 1, 'logged')
    }
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

describe('opening', () => {
  const made = async (n: number) => {
    const { log, folder } = await openLog(ALL.slice(0, n))
    await log.reached(n - 1, 'logged')
    await log.close()
    return folder.view
  }
  const refused = async (view: View, rows: Parameters<typeof openLog>[0], more = {}) =>
    expect(openLog(rows, new MemoryFolder(view), more)).rejects

  it('refuses to run behind what was signed', async () => {
    const view = await made(300)
    await (await refused(view, ALL.slice(0, 299))).toMatchObject({
      code: 'log_behind',
      message:
        'the audit log has 299 rows, but /disk/audit.jsonl.tlog has a checkpoint signed over 300; restore the missing rows: a gate does not run behind what it signed',
    })
  })

  it.each([300, 256, 512])('refuses another audit log than was signed, at %i rows', async n => {
    await (await refused(await made(n), makeRows(n + 1, 2))).toMatchObject({
      code: 'log_forked',
      message: /^row \d+ of the audit log is not the one/,
    })
  })

  /** Of these tiles each is missing, short, empty, or changed. */
  const damaged = (view: View, paths: readonly string[]): View[] =>
    paths.flatMap(path => {
      const bytes = Uint8Array.from(view.get(path) ?? [])
      const changed = [20, bytes.length - 3].map(at => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)))
      const others = [...view].filter(([name]) => name !== path)
      return [[], [bytes.slice(0, -1)], [bytes.slice(0, 0)], ...changed.map(b => [b])].map(
        now => new Map([...others, ...now.map(b => [path, b] as const)]),
      )
    })
  const settledAt = (view: View, size: string) => new Map([...view, ['settled', Buffer.from(size)] as const])
  const EDGE = ['tile/0/002.p/88', 'tile/1/000.p/2', 'tile/entries/002.p/88']
  const FULL = ['tile/0/001', 'tile/entries/001']

  it('makes tiles that were not settled, and the edge, again from the rows', async () => {
    const view = await made(600)
    expect(Buffer.from(view.get('settled') ?? []).toString()).toBe('512\n')
    const views = [...damaged(view, EDGE), ...damaged(settledAt(view, '256\n'), [...EDGE, ...FULL])]
    for (const no of ['', '256', '-256\n', '255\n', '1e3\n', '\xff', '9999999999999999\n', '0\n']) {
      views.push(...damaged(settledAt(view, no), FULL))
    }
    for (const left of views) {
      const { log, folder } = await openLog(ALL.slice(0, 600), new MemoryFolder(left))
      await expectLog(folder.view, 600)
      await log.close()
    }
  })

  it('needs no rows where the entries are whole', async () => {
    const view = settledAt(await made(600), '0\n')
    for (const left of [view, ...damaged(view, ['tile/0/000', 'tile/0/001', 'tile/0/002.p/88', 'tile/1/000.p/2'])]) {
      const source = sourceOf(ALL)
      const { log, folder } = await openLog(ALL.slice(0, 600), new MemoryFolder(left), { source })
      expect(source.read).toBe(1)
      await expectLog(folder.view, 600)
      await log.close()
    }
  })

  it('writes nothing that it has not compared, though entries change between two readings', async () => {
    const view = settledAt(await made(600), '0\n')
    for (const path of ['tile/entries/000', 'tile/entries/001', 'tile/entries/002.p/88']) {
      const folder = new MemoryFolder(view)
      const read = folder.read.bind(folder)
      let times = 0
      folder.read = async name => {
        const bytes = await read(name)
        return name === path && ++times > 1 ? bytes?.map((byte, i) => (i === 20 ? byte ^ 1 : byte)) : bytes
      }
      // The rows are right, and mend it.
      const { log } = await openLog(ALL.slice(0, 600), folder)
      expect(times).toBeGreaterThan(1)
      await expectLog(folder.view, 600)
      await log.close()
      // They are not, and change as well.
      const others = makeRows(600, 2)
      const changing = { ...sourceOf(ALL), reads: 0 }
      const rows = changing.rows.bind(changing)
      changing.rows = (from, to) => (changing.reads++ === 0 ? rows(from, to) : sourceOf(others).rows(from, to))
      const [lost] = damaged(view, [path])
      const left = new MemoryFolder(lost)
      await expect(openLog(ALL.slice(0, 600), left, { source: changing })).rejects.toMatchObject({ code: 'log_forked' })
      for (const [name, bytes] of left.view) expect([name, bytes]).toEqual([name, view.get(name)])
    }
  })

  it('mends the partial tiles of the checkpoint that is shown, and of those before it', async () => {
    const first = await openLog([])
    const shown: (Uint8Array | undefined)[] = []
    for (const size of [20, 90, 120]) {
      first.log.push(ALL.slice(0, size).slice(size === 20 ? 0 : size === 90 ? 20 : 90))
      await first.log.reached(size - 1, 'logged')
      shown.push(first.folder.view.get('checkpoint'))
    }
    await first.log.close()
    // The cosignatures were still to come: what is shown is older than what is signed.
    const view = new Map([...first.folder.view, ['checkpoint', shown[1] as Uint8Array] as const])
    const names = (w: number) => [`tile/0/000.p/${w}`, `tile/entries/000.p/${w}`]
    expect([...view.keys()].filter(name => name.startsWith('tile/')).sort()).toEqual(
      [20, 90, 120].flatMap(names).sort(),
    )
    for (const bytes of [undefined, new Uint8Array(0), new Uint8Array(31), new Uint8Array(90 * 32)]) {
      const left = new Map(view)
      for (const name of names(90)) bytes === undefined ? left.delete(name) : left.set(name, bytes)
      const { log, folder } = await openLog(ALL.slice(0, 120), new MemoryFolder(left))
      for (const name of names(90)) expect([name, folder.view.get(name)]).toEqual([name, view.get(name)])
      await log.close()
    }
    // After a power cut: others of their folders as well, and none of a tree that nobody has signed.
    const left = new Map(view)
    for (const name of [...names(20), ...names(120), ...names(121)]) left.set(name, new Uint8Array(0))
    const { log, folder } = await openLog(ALL.slice(0, 120), new MemoryFolder(left))
    for (const name of [...names(20), ...names(90), ...names(120)])
      expect([name, folder.view.get(name)]).toEqual([name, view.get(name)])
    for (const name of names(121)) expect(folder.view.has(name)).toBe(false)
    await log.close()
  })

  it('refuses tiles and rows that make another tree than was signed, and changes nothing', async () => {
    const view = settledAt(await made(600), '256\n')
    const before = [...ALL.slice(0, 256), ...makeRows(600, 2).slice(256)]
    for (const left of damaged(view, ['tile/entries/001', 'tile/entries/002.p/88'])) {
      const folder = new MemoryFolder(left)
      await expect(openLog(before, folder)).rejects.toMatchObject({
        code: 'log_forked',
        message: expect.stringContaining('its tiles, and the rows from 256 on, make another tree than was signed'),
      })
      expect(folder.view).toEqual(left)
    }
    // What was settled is not made again: what is wrong with it was done to it.
    for (const left of damaged(view, ['tile/0/000'])) {
      await (await refused(left, ALL.slice(0, 600))).toMatchObject({ code: 'log_forked' })
    }
  })

  it('refuses a checkpoint of another key, another origin, or none at all', async () => {
    const view = await made(10)
    const { sign } = await logSigner()
    await (
      await refused(view, ALL.slice(0, 10), { signer: { key: { ...key, name: 'other.test/log' }, sign } })
    ).toMatchObject({
      code: 'log_forked',
      message: /configure the origin and the key that the log began with/,
    })
    await (await refused(new Map([...view, ['signed', Uint8Array.of(0xff)]]), ALL.slice(0, 10))).toMatchObject({
      code: 'log_forked',
    })
    // The one that is shown goes back in time, to another tree.
    const short = (await made(5)).get('checkpoint') as Uint8Array
    await openLog(ALL.slice(0, 10), new MemoryFolder(new Map([...view, ['checkpoint', short]])))
    const other = await openLog(makeRows(5, 2))
    await other.log.reached(4, 'logged')
    const lie = other.folder.view.get('checkpoint') as Uint8Array
    await (await refused(new Map([...view, ['checkpoint', lie]]), ALL.slice(0, 10))).toMatchObject({
      code: 'log_forked',
    })
  })

  it('reads the edge and one row, however long the log is', async () => {
    const view = await made(1100)
    const folder = new MemoryFolder(view)
    const read: string[] = []
    const plain = folder.read.bind(folder)
    folder.read = path => {
      read.push(path)
      return plain(path)
    }
    const source = sourceOf(ALL)
    const { log } = await openLog(ALL, folder, { source })
    expect(source.read).toBe(1)
    expect(read.sort()).toEqual([
      'checkpoint',
      'settled',
      'settled',
      'signed',
      'tile/0/004.p/76',
      'tile/1/000.p/4',
      'tile/entries/004.p/76',
    ])
    await log.close()
  })

  it('takes up a copy with an older checkpoint than its tiles, though their partial forms are gone', async () => {
    const first = await openLog([])
    first.log.push(ALL.slice(0, 300))
    await first.log.reached(299, 'logged')
    const notes = [...first.folder.view].filter(([path]) => path === 'signed' || path === 'checkpoint')
    first.log.push(ALL.slice(300))
    await first.log.reached(1099, 'logged')
    await first.log.close()
    expect(first.folder.view.has('tile/0/001.p/44')).toBe(false)
    const again = await openLog(ALL, new MemoryFolder(new Map([...first.folder.view, ...notes])))
    expect(again.log.status.size).toBe(300)
    await again.log.reached(1099, 'logged')
    await again.log.close()
    await expectLog(again.folder.view, 1100)
  })

  it('serves what is public and nothing else', async () => {
    const { log, folder } = await openLog([], new MemoryFolder(await made(300)), { rows: 300, source: sourceOf(ALL) })
    for (const path of ['checkpoint', 'tile/0/000', 'tile/entries/001.p/44'])
      expect(await log.read(path)).toEqual(folder.view.get(path))
    for (const path of ['signed', 'aside/0', 'tile/0/999', 'tile/0/../../signed', ''])
      expect(await log.read(path)).toBeUndefined()
    await log.close()
  })
})
