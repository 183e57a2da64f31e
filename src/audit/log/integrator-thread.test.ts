/** The thread that grows the log, on a real folder: what it makes, and what is left of the log when it dies. */
import { hash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { left, priorities } from '../testing/linux-threads.test-support.ts'
import { toBase64 } from './bytes.ts'
import { openCheckpoint } from './checkpoint.ts'
import { IntegratorThread, runTask, type Task } from './integrator-thread.ts'
import { openTransparencyLog } from './open.ts'
import { CompactRange } from './range.ts'
import { leavesOf, makeRows, openLog, sourceOf } from './testing/rows.test-support.ts'
import { logSigner } from './testing/vectors.test-support.ts'
import { encodeBundle } from './tile.ts'
import type { TreeHead } from './tree.ts'

const ALL = makeRows(1500)
const LEAVES = leavesOf(ALL)
const signer = await logSigner()
let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'signet-integrator-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))
let made = 0
const newPath = () => join(root, `${made++}.tlog`)

const rootOf = (size: number) => {
  const range = new CompactRange()
  for (const leaf of LEAVES.slice(0, size)) range.append(leaf)
  return range.root()
}
const EMPTY: TreeHead = { size: 0, root: rootOf(0) }

/** A log grown by a thread that can be killed: of each that was started, the last is the one that runs. */
async function open(path: string, rows = 0, source = sourceOf(ALL)) {
  const workers: Worker[] = []
  const states: string[] = []
  const run = (task: Task) => {
    const worker = runTask(task)
    workers.push(worker)
    return worker
  }
  const log = await openTransparencyLog({
    path,
    signer,
    source,
    rows,
    intervalMs: 5,
    onState: (ok, reason) => states.push(`${ok} ${reason}`),
    integrator: kept => new IntegratorThread(path, kept, run),
  })
  return { log, workers, states, source }
}

/** Everything in the folder but what is on its way. */
function contents(path: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    const name = join(entry.parentPath, entry.name).slice(path.length + 1)
    if (entry.isFile() && !name.startsWith('aside/')) found[name] = digest(readFileSync(join(path, name)))
  }
  return found
}

/** As contents, of a log of as many rows that was grown without a thread. */
async function expected(size: number): Promise<Record<string, string>> {
  const { log, folder } = await openLog(ALL.slice(0, size))
  await log.reached(size - 1, 'logged')
  await log.close()
  return Object.fromEntries([...folder.view].map(([name, bytes]) => [name, digest(bytes)]))
}

const digest = (bytes: Uint8Array) => hash('sha256', bytes)

/** Asking again is what the operator's gate does, with back-off. */
async function untilReached(log: { reached(index: number, level: 'logged'): Promise<void> }, index: number) {
  for (;;) {
    try {
      return await log.reached(index, 'logged')
    } catch {
      await nextTurn()
    }
  }
}

describe('a log grown in a thread', () => {
  it('is the log that is grown without one, file by file', async () => {
    const path = newPath()
    const { log, source, workers } = await open(path)
    expect(workers).toEqual([])
    log.push(ALL.slice(0, 700))
    log.push(ALL.slice(700, 1100))
    await log.reached(1099, 'logged')
    await log.close()
    expect(workers).toHaveLength(1)
    expect(source.read).toBe(0)
    expect(contents(path)).toEqual(await expected(1100))
    const again = await open(path, 1200)
    again.log.push(ALL.slice(1200, 1400))
    await again.log.reached(1399, 'logged')
    await again.log.close()
    expect(contents(path)).toMatchObject(await expected(1400))
    // One row to compare with the last entry, and those that came while no log was open.
    expect(again.source.read).toBe(1 + 100)
  })

  it.runIf(platform() === 'linux')('gives way while it hashes', async () => {
    const path = newPath()
    mkdirSync(path)
    const before = new Set(priorities().keys())
    const thread = new IntegratorThread(path, EMPTY)
    await thread.write()
    const [own = ''] = [...priorities()].filter(([task, nice]) => nice === 5 && !before.has(task)).map(([task]) => task)
    const leftBefore = left(`self/task/${own}`)
    await thread.take(0, encodeBundle(Array.from({ length: 8192 }, (_, i) => Buffer.from(`${i}`))))
    expect(left(`self/task/${own}`) - leftBefore).toBeGreaterThanOrEqual(128)
    await thread.close()
  })

  it('survives the death of its thread at any time: no entry is lost, no other history signed', async () => {
    const SEEDS = 12
    let threads = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const path = newPath()
      const { log, workers } = await open(path)
      const signed = new Map<number, string>()
      const seen = async () => {
        if (!existsSync(join(path, 'signed'))) return
        const { size, root } = await openCheckpoint(readFileSync(join(path, 'signed'), 'utf8'), [signer.key])
        expect(toBase64(root)).toBe(signed.get(size) ?? toBase64(rootOf(size)))
        signed.set(size, toBase64(root))
      }
      let random = seed
      const next = (below: number) => {
        random = (random * 48_271) % 2_147_483_647
        return random % below
      }
      for (let from = 0; from < ALL.length; ) {
        const to = Math.min(ALL.length, from + 1 + next(400))
        log.push(ALL.slice(from, to))
        from = to
        const ask = next(3)
        if (ask === 1) log.reached(to - 1, 'logged').catch(() => undefined)
        if (ask === 2) await untilReached(log, to - 1)
        for (let turns = next(20); turns > 0; turns--) await nextTurn()
        if (next(2) === 0) await workers.at(-1)?.terminate()
        await seen()
      }
      await untilReached(log, ALL.length - 1)
      await log.close()
      await seen()
      expect(log.status).toMatchObject({ ok: true, size: ALL.length, behind: 0 })
      // Who dies has not said what outlives a power cut.
      const { settled, ...others } = await expected(ALL.length)
      expect(contents(path)).toMatchObject(others)
      expect([undefined, settled]).toContain(contents(path)['settled'])
      threads += workers.length
    }
    expect(threads).toBeGreaterThan(2 * SEEDS)
  })

  it('tells the operator once that it cannot be written, and once that it can again', async () => {
    const path = newPath()
    const { log, states } = await open(path)
    log.push(ALL.slice(0, 10))
    await log.reached(9, 'logged')
    renameSync(path, `${path}.away`)
    writeFileSync(path, 'a file where the folder was')
    log.push(ALL.slice(10, 300))
    await expect(log.reached(299, 'logged')).rejects.toMatchObject({
      code: 'log_unreadable',
      message:
        'the transparency log cannot be written (ENOTDIR); free space or restore its folder, it resumes by itself',
    })
    expect(log.status).toMatchObject({ ok: false, behind: 290 })
    rmSync(path)
    renameSync(`${path}.away`, path)
    await untilReached(log, 299)
    await log.close()
    expect(contents(path)).toEqual(await expected(300))
    expect(states).toEqual([
      'false the transparency log cannot be written (ENOTDIR); free space or restore its folder, it resumes by itself',
      'true the transparency log is written again',
    ])
  })
})

describe('the thread', () => {
  it('begins from the checkpoint that was kept last, and says what it has', async () => {
    const path = newPath()
    mkdirSync(path)
    const workers: Worker[] = []
    const thread = new IntegratorThread(path, EMPTY, task => {
      const worker = runTask(task)
      workers.push(worker)
      return worker
    })
    expect(await thread.take(0, encodeBundle(LEAVES.slice(0, 300)))).toBe(300)
    expect(toBase64((await thread.write()).root)).toBe(toBase64(rootOf(300)))
    await thread.keep(Buffer.from('not looked at'))
    expect(await thread.take(300, encodeBundle(LEAVES.slice(300, 400)))).toBe(400)
    await workers[0]?.terminate()
    expect(await thread.take(400, encodeBundle(LEAVES.slice(400, 500)))).toBe(300)
    expect(await thread.write()).toMatchObject({ size: 300 })
    const dying = thread.write()
    await workers[1]?.terminate()
    await expect(dying).rejects.toMatchObject({ code: 'its thread ended' })
    await thread.close()
    expect(workers).toHaveLength(2)
  })

  it('does not go on from tiles that make another tree, and asks the disk again each time', async () => {
    const path = newPath()
    mkdirSync(path)
    const first = new IntegratorThread(path, EMPTY)
    await first.take(0, encodeBundle(LEAVES.slice(0, 300)))
    await first.write()
    await first.close()
    const tile = join(path, 'tile/0/001.p/44')
    const good = readFileSync(tile)
    writeFileSync(tile, Buffer.alloc(good.length))
    const thread = new IntegratorThread(path, { size: 300, root: rootOf(300) })
    await expect(thread.take(300, encodeBundle([]))).rejects.toMatchObject({
      name: 'LogInvalid',
      code: 'log_forked',
      message: expect.stringContaining('the entries at the right edge of the log are not those of its hashes'),
    })
    writeFileSync(tile, good)
    expect(await thread.take(300, encodeBundle([]))).toBe(300)
    // Full tiles that stand there are never written over with other entries.
    const other = new IntegratorThread(path, EMPTY)
    await other.take(0, encodeBundle(leavesOf(makeRows(300, 2))))
    await expect(other.write()).rejects.toMatchObject({ name: 'LogInvalid', code: 'tile_conflict' })
    await Promise.all([thread.close(), other.close()])
  })
})
