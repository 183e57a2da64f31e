import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { fromUtf8 } from './bytes.ts'
import { MemoryFolder, type View } from './testing/folder.test-support.ts'
import { makeRows, openLog, sourceOf } from './testing/rows.test-support.ts'
import { logSigner } from './testing/vectors.test-support.ts'
import { ALL, expectLog } from './testing/whole-log.test-support.ts'

const { key } = await logSigner()

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

  it('makes tiles outlive a power cut that a crash has left, though no rows come', async () => {
    const view = settledAt(await made(600), '0\n')
    const clock = { ms: 1_700_000_000_000 }
    const { log, folder, timers } = await openLog(ALL.slice(0, 600), new MemoryFolder(view), { nowMs: () => clock.ms })
    clock.ms += 55_000
    expect(timers.delays).toEqual([15_000])
    timers.fire()
    const settled = () => fromUtf8(folder.view.get('settled') ?? new Uint8Array())
    while (settled() === '0\n') await nextTurn()
    expect(settled()).toBe('512\n')
    await log.close()
    const again = await openLog(ALL.slice(0, 600), folder)
    expect(again.timers.delays).toEqual([])
    await again.log.close()
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
