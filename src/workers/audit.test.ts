/** One contract for the writer in this process and for the one behind a connection. */
import { duplexPair } from 'node:stream'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { type AuditLog, openAuditLog } from '../audit/open.ts'
import { Disk, Timers } from '../audit/testing/disk.test-support.ts'
import { anyRow, testRing, testRow } from '../audit/testing/rows.test-support.ts'
import { Walk } from '../audit/walk.ts'
import { AuditUnavailable, type AuditWriter, type Placed, type Row } from '../core/row.ts'
import { Link } from './link.ts'
import { quietPorts } from './testing/memory.test-support.ts'
import { Worker } from './worker.ts'

interface Subject {
  readonly writer: AuditWriter
  readonly disk: Disk
  readonly timers: Timers
  readonly log: AuditLog
  /** What was said has arrived, both ways. */
  settled(): Promise<void>
}

const open: AuditLog[] = []
afterEach(async () => {
  for (const log of open.splice(0)) await log.close().catch(() => undefined)
})

async function settled(): Promise<void> {
  for (let i = 0; i < 60; i++) await new Promise(resolve => setImmediate(resolve))
}

async function local(): Promise<Subject> {
  const { disk, timers, log } = await bench(() => undefined)
  return { writer: log, disk, timers, log, settled }
}

async function remote(ring = testRing()): Promise<Subject & { readonly link: Link; readonly over: () => boolean }> {
  let link: Link | undefined
  const { disk, timers, log } = await bench((_ok, reason) => link?.health(reason), ring)
  const [here, there] = duplexPair()
  let over = false
  const worker = new Worker(there, { onOver: () => (over = true) })
  link = new Link(here, { audit: log, ...quietPorts() }, { onListening: () => undefined, onFailed: () => undefined })
  await settled()
  return { writer: worker.ground.audit, disk, timers, log, settled, link, over: () => over }
}

async function bench(onState: (ok: boolean, reason: string) => void, ring = testRing()) {
  const disk = new Disk()
  const timers = new Timers()
  const log = await openAuditLog({ path: disk.path, ring, files: disk, later: timers.later, onState })
  open.push(log)
  return { disk, timers, log }
}

function walk(bytes: Buffer) {
  const w = new Walk(testRing(), { prevHmac: '', tsNs: undefined })
  const used = w.lines(bytes, bytes.length)
  return { ...w.report(), torn: bytes.length - used }
}

const lines = (disk: Disk): string[] => disk.log.toString().split('\n').slice(0, -1)

describe.each([
  ['in one process', local],
  ['behind a connection', remote],
])('the audit writer %s', (_, start: () => Promise<Subject>) => {
  it('gives a place without a sync, and syncs when asked, once for all who ask', async () => {
    const { writer, disk, settled } = await start()
    const first = writer.append(testRow(1))
    const placed = await first.placed
    expect(placed.index).toBe(0n)
    expect(disk.syncs).toBe(0)
    const more = Array.from({ length: 20 }, (_, i) => writer.append(testRow(2 + i)))
    await settled()
    expect(disk.syncs).toBe(0)
    const all = await Promise.all([first, ...more].map(t => t.durable()))
    expect(disk.syncs).toBe(1)
    expect(all.map(p => p.index)).toEqual(all.map((_, i) => BigInt(i)))
    expect(await first.durable()).toEqual(placed)
    expect(writer.head).toEqual({ size: 21n, hmac: all.at(-1)?.hmac })
  })

  it('keeps the order of calls, whoever asks for what', async () => {
    const { writer, disk } = await start()
    await Promise.all(
      Array.from({ length: 50 }, async (_, who) => {
        for (let i = 0; i < 4; i++) {
          const ticket = writer.append(testRow(who * 10 + i))
          if ((who + i) % 3 === 0) await ticket.durable()
          else if (i % 2 === 0) await ticket.placed
        }
      }),
    )
    await writer.drain()
    expect(walk(disk.log)).toMatchObject({ rows: 200, breaks: [], torn: 0 })
    const order = lines(disk).map(l => JSON.parse(l).entry_id as string)
    for (let who = 0; who < 50; who++) {
      const mine = order.filter(id => Math.floor(Number(id.slice(-12)) / 10) === who)
      expect(mine).toEqual([...mine].sort())
    }
  })

  it('names the row that is stored: canonical text, commitment and leaf', async () => {
    const { writer, disk } = await start()
    await fc.assert(
      fc.asyncProperty(anyRow, async row => {
        const placed = await writer.append(row).durable()
        const line = lines(disk)[Number(placed.index)] ?? ''
        expect(line.replace(`"hmac":"${placed.hmac}",`, '')).toBe(placed.canonical)
        expect(JSON.parse(placed.leaf)).toMatchObject({ v: 1, commit: placed.commit })
      }),
      { numRuns: 60 },
    )
    expect(walk(disk.log).breaks).toEqual([])
  })

  it('takes whatever a check puts into metadata', async () => {
    const { writer, disk } = await start()
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    const odd: Record<string, unknown> = {
      nan: Number.NaN,
      half: 0.5,
      big: 10n,
      none: undefined,
      f: () => 1,
      s: Symbol('s'),
      date: new Date(0),
      deep: { a: { b: 1 } },
      list: [1, 2],
      lone: '\ud800',
      json: { toJSON: () => 'other' },
      circle,
    }
    Object.defineProperty(odd, 'throws', {
      enumerable: true,
      get: () => {
        throw new Error('no')
      },
    })
    const ticket = writer.append({ ...testRow(1), metadata: odd as Row['metadata'] })
    const placed = await ticket.durable()
    expect(lines(disk)[0]?.replace(`"hmac":"${placed.hmac}",`, '')).toBe(placed.canonical)
    expect(walk(disk.log)).toMatchObject({ rows: 1, breaks: [] })
  })

  it('refuses everything that waits when a sync fails, is not ok, and goes on by itself', async () => {
    const { writer, disk, timers, settled } = await start()
    const kept = await writer.append(testRow(0)).durable()
    let fails = true
    disk.onSync = kind => (kind === 'log' && fails ? 'error' : 'none')
    const lost = [1, 2, 3].map(i => writer.append(testRow(i)))
    const unasked = writer.append(testRow(4))
    const outcomes = await Promise.allSettled(lost.map(t => t.durable()))
    for (const o of outcomes) expect(o).toMatchObject({ status: 'rejected', reason: expect.any(AuditUnavailable) })
    await settled()
    expect(writer.ok).toBe(false)
    await expect(unasked.durable()).rejects.toThrow(AuditUnavailable)
    const late = writer.append(testRow(5))
    await expect(late.placed).rejects.toThrow(AuditUnavailable)
    await expect(late.durable()).rejects.toThrow(/cannot be written/)

    fails = false
    timers.fire()
    await settled()
    expect(writer.ok).toBe(true)
    const next = await writer.append(testRow(6)).durable()
    // The row about the recovery stands between.
    expect(next.index).toBe(2n)
    expect(next.index).toBeGreaterThan(kept.index)
    expect(walk(disk.log)).toMatchObject({ rows: 3, breaks: [] })
  })

  it('drains, and refuses after it was closed', async () => {
    const { writer, disk } = await start()
    for (let i = 0; i < 30; i++) writer.append(testRow(i))
    await writer.close()
    expect(walk(disk.log)).toMatchObject({ rows: 30 })
    expect(writer.ok).toBe(false)
    await expect(writer.append(testRow(99)).durable()).rejects.toThrow(AuditUnavailable)
    expect(walk(disk.log)).toMatchObject({ rows: 30 })
  })
})

describe('a worker without its primary', () => {
  it('refuses what waits and all that comes, at once', async () => {
    const { writer, disk, link, over } = await remote()
    await writer.append(testRow(0)).durable()
    disk.onSync = () => new Promise(() => undefined)
    const waiting: Promise<Placed>[] = [1, 2].map(i => writer.append(testRow(i)).durable())
    link.end()
    for (const each of waiting) await expect(each).rejects.toThrow(/process that writes the audit log is gone/)
    expect(over()).toBe(true)
    expect(writer.ok).toBe(false)
    await expect(writer.append(testRow(3)).placed).rejects.toThrow(/is gone/)
    await expect(writer.drain()).rejects.toThrow(/is gone/)
    disk.onSync = () => 'none'
  })
})

it('rows that arrived are appended though their worker is gone; two workers make one chain', async () => {
  const disk = new Disk()
  const log = await openAuditLog({ path: disk.path, ring: testRing(), files: disk })
  const ports = { audit: log, ...quietPorts() }
  const workers = [0, 1, 2].map(() => {
    const [here, there] = duplexPair()
    const worker = new Worker(there, { onOver: () => undefined })
    return { worker, link: new Link(here, ports, { onListening: () => undefined, onFailed: () => undefined }) }
  })
  await settled()
  const acknowledged: string[] = []
  await Promise.all(
    workers.map(async ({ worker, link }, w) => {
      for (let i = 0; i < 100; i++) {
        const row = testRow(w * 1000 + i)
        await worker.ground.audit.append(row).durable()
        acknowledged.push(row.entryId)
        if (w === 2 && i === 40) {
          for (let k = 0; k < 10; k++) worker.ground.audit.append(testRow(2500 + k))
          await settled()
          link.end()
          return
        }
      }
    }),
  )
  await log.drain()
  const ids = lines(disk).map(l => JSON.parse(l).entry_id as string)
  expect(walk(disk.log)).toMatchObject({ rows: 100 + 100 + 41 + 10, breaks: [], torn: 0 })
  expect(new Set(ids).size).toBe(ids.length)
  for (const id of acknowledged) expect(ids).toContain(id)
  await log.close()
})

describe('a worker whose chain key has ended', () => {
  const ended = () => {
    const ring = testRing()
    return { ring, end: () => ring.replace([{ key: ring.active, notBefore: undefined, notAfter: 1 }]) }
  }

  it('is told at the next look, takes nothing more, and goes on with the next key', async () => {
    const { ring, end } = ended()
    const { writer, link } = await remote(ring)
    expect(writer.ok).toBe(true)
    end()
    link.look()
    await settled()
    expect(writer.ok).toBe(false)
    await expect(writer.append(testRow(1)).durable()).rejects.toThrow(AuditUnavailable)
    ring.replace([{ key: ring.active, notBefore: undefined, notAfter: undefined }])
    link.look()
    await settled()
    expect(writer.ok).toBe(true)
  })

  it('knows it by the first row that is lost, before any look', async () => {
    const { ring, end } = ended()
    const { writer } = await remote(ring)
    end()
    await expect(writer.append(testRow(1)).durable()).rejects.toThrow(AuditUnavailable)
    await settled()
    expect(writer.ok).toBe(false)
  })
})
