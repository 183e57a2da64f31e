import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type { Timers } from '../testing/disk.test-support.ts'
import { fromUtf8 } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import type { Integrator } from './integrator.ts'
import { MemoryFolder } from './testing/folder.test-support.ts'
import { makeRows, openLog, sourceOf } from './testing/rows.test-support.ts'
import { logSigner } from './testing/vectors.test-support.ts'
import { ALL, expectLog, growing, growTo, noteIn } from './testing/whole-log.test-support.ts'
import { entriesOf } from './tile.ts'

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

  it('says since when the oldest row beyond a checkpoint has waited', async () => {
    let now = 5000
    let taken = 256
    let onKeep = (): void => undefined
    const { log, timers } = await openLog([], new MemoryFolder(), {
      nowMs: () => now,
      integrator: () => ({
        ...fake(),
        take: async (first, bundle) => first + entriesOf(bundle).length,
        write: async () => ({ size: taken, root: growing[0] as Uint8Array }),
        keep: async () => onKeep(),
      }),
    })
    log.push(ALL.slice(0, 300))
    now += 250
    onKeep = () => {
      now += 30
    }
    await firing(timers, log.reached(10, 'logged'))
    expect(log.status).toMatchObject({ size: 256, behind: 44, behindMs: 280 })
    // Those that come while it is made have waited since then at most, and none where there are none.
    taken = 300
    onKeep = () => {
      log.push(ALL.slice(300, 301))
      now += 40
    }
    await firing(timers, log.reached(299, 'logged'))
    expect(log.status).toMatchObject({ size: 300, behind: 1, behindMs: 40 })
    taken = 301
    onKeep = () => undefined
    await log.close()
  })

  it('makes a checkpoint in time when the clock is set back', async () => {
    const day = vi.spyOn(Date, 'now')
    try {
      const { log, timers } = await openLog([])
      log.push(ALL.slice(0, 5))
      await log.reached(4, 'logged')
      day.mockReturnValue(Date.UTC(2020, 0))
      log.push(ALL.slice(5, 6))
      expect(timers.delays.at(-1)).toBeLessThanOrEqual(1000)
      expect(log.status.behindMs).toBeGreaterThanOrEqual(0)
      await log.close()
    } finally {
      day.mockRestore()
    }
  })

  it('is well again after a failure behind its last checkpoint, though no rows come', async () => {
    const states: boolean[] = []
    let fails = 1
    const { log, timers } = await openLog([], new MemoryFolder(), {
      onState: ok => states.push(ok),
      integrator: () => ({
        ...fake(),
        take: async (first, bundle) => first + entriesOf(bundle).length,
        write: async () => ({ size: 300, root: growing[0] as Uint8Array }),
        tidy: async () => {
          if (fails-- > 0) throw Object.assign(new Error('ended'), { code: 'ERR_WORKER_OUT_OF_MEMORY' })
          return false
        },
      }),
    })
    log.push(ALL.slice(0, 300))
    await log.reached(299, 'logged')
    while (log.status.ok) await nextTurn()
    expect(log.status).toMatchObject({ behind: 0, behindMs: 0 })
    while (!log.status.ok) {
      timers.fire()
      await nextTurn()
    }
    expect(states).toEqual([false, true])
    expect(timers.pending).toBe(0)
    await log.close()
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
    await growTo(log, 1, 100, 255)
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
