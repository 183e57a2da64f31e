import { describe, expect, it } from 'vitest'
import { AuditUnavailable, type Placed } from '../core/row.ts'
import { parseHead } from './head.ts'
import { type AuditLog, openAuditLog } from './open.ts'
import { Disk, Timers } from './testing/disk.test-support.ts'
import { headOf, testRing, testRow } from './testing/rows.test-support.ts'
import { Walk } from './walk.ts'

const ring = testRing()

interface Bench {
  readonly disk: Disk
  readonly timers: Timers
  readonly log: AuditLog
  readonly states: [boolean, string][]
  tick(): void
}

async function bench(): Promise<Bench> {
  const disk = new Disk()
  const timers = new Timers()
  const states: [boolean, string][] = []
  let now = 1_747_000_000_000_000_000n
  const log = await openAuditLog({
    path: disk.path,
    ring,
    files: disk,
    nowNs: () => now,
    later: timers.later,
    onState: (ok, reason) => states.push([ok, reason]),
  })
  return { disk, timers, log, states, tick: () => (now += 2_000_000_000n) }
}

/** Everything that is waiting on a promise has run. */
async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise(resolve => setImmediate(resolve))
}

function walk(bytes: Buffer) {
  const w = new Walk(ring, { prevHmac: '', tsNs: undefined })
  const used = w.lines(bytes, bytes.length)
  return { ...w.report(), torn: bytes.length - used }
}

const ids = (bytes: Buffer): string[] =>
  bytes
    .toString()
    .split('\n')
    .slice(0, -1)
    .map(l => JSON.parse(l).entry_id)

/** After a power cut at any step: every row acknowledged until then is there and the chain holds. */
async function reopens(disk: Disk, bytes: Buffer): Promise<AuditLog> {
  const after = new Disk()
  after.contents.set('log', { bytes, synced: bytes })
  // The head is at most as new as the log; the oldest one possible is the empty one it was created with.
  after.contents.set('head', { bytes: disk.content('head').synced, synced: disk.content('head').synced })
  return openAuditLog({ path: after.path, ring, files: after })
}

describe('the audit writer', () => {
  it('gives index, hmac and leaf before any byte is written', async () => {
    const { log, disk } = await bench()
    const before = disk.writes
    const ticket = log.append(testRow(1))
    const placed = await Promise.race([ticket.placed])
    expect(placed.index).toBe(0n)
    expect(placed.hmac).toMatch(/^[0-9a-f]{64}$/)
    expect(disk.syncs).toBe(0)
    expect(disk.writes - before).toBeLessThanOrEqual(1)
    expect(await ticket.durable()).toBe(placed)
    expect(log.head).toEqual({ size: 1n, hmac: placed.hmac })
    await log.close()
  })

  it('does not sync unless asked, and syncs once for all who ask', async () => {
    const { log, disk } = await bench()
    for (let i = 0; i < 10; i++) log.append(testRow(i))
    await settled()
    expect(disk.syncs).toBe(0)
    expect(ids(disk.log)).toHaveLength(10)
    expect(log.head.size).toBe(0n)
    const tickets = Array.from({ length: 10 }, (_, i) => log.append(testRow(10 + i)))
    const placed = await Promise.all(tickets.map(t => t.durable()))
    expect(disk.syncs).toBe(1)
    expect(placed.map(p => p.index)).toEqual(Array.from({ length: 10 }, (_, i) => BigInt(10 + i)))
    expect(await tickets[3]?.durable()).toBe(placed[3])
    await log.close()
  })

  it('groups what arrives during a sync into the next one', async () => {
    const { log, disk } = await bench()
    const gate = Promise.withResolvers<'none'>()
    disk.onSync = kind => (kind === 'log' && disk.syncs === 1 ? gate.promise : 'none')
    const first = log.append(testRow(0)).durable()
    await settled()
    const rest = Array.from({ length: 50 }, (_, i) => log.append(testRow(i + 1)).durable())
    await settled()
    expect(disk.syncs).toBe(1)
    gate.resolve('none')
    await Promise.all([first, ...rest])
    expect(disk.syncs).toBe(2)
    expect(walk(disk.log)).toMatchObject({ rows: 51, breaks: [] })
    await log.close()
  })

  it('makes one chain of a hundred concurrent appenders', async () => {
    const { log, disk } = await bench()
    const placed: Placed[] = []
    await Promise.all(
      Array.from({ length: 100 }, async (_, who) => {
        for (let i = 0; i < 5; i++) {
          if (i % 2 === 1) await Promise.resolve()
          placed.push(await log.append(testRow(who * 10 + i)).durable())
        }
      }),
    )
    expect(walk(disk.log)).toMatchObject({ rows: 500, breaks: [], torn: 0 })
    expect(new Set(placed.map(p => p.index)).size).toBe(500)
    expect(disk.syncs).toBeLessThan(60)
    await log.close()
  })

  it('writes in bounded batches', async () => {
    const { log, disk } = await bench()
    let largest = 0
    disk.onWrite = (_kind, bytes) => {
      largest = Math.max(largest, bytes.length)
      return 'none'
    }
    for (let i = 0; i < 400; i++) log.append(testRow(i, { text: 'x'.repeat(12_000) }))
    await log.drain()
    expect(largest).toBeLessThan(1024 * 1024 + 16 * 1024)
    expect(walk(disk.log)).toMatchObject({ rows: 400, breaks: [] })
    await log.close()
  })

  it('syncs by itself before too much could be lost', async () => {
    const { log, disk } = await bench()
    for (let i = 0; i < 600; i++) log.append(testRow(i, { text: 'x'.repeat(12_000) }))
    await settled()
    expect(disk.syncs).toBeGreaterThan(0)
    await log.close()
  })

  it('continues after short writes', async () => {
    const { log, disk } = await bench()
    disk.onWrite = () => 'short'
    await Promise.all([1, 2, 3].map(i => log.append(testRow(i)).durable()))
    disk.onWrite = () => 'none'
    expect(walk(disk.log)).toMatchObject({ rows: 3, breaks: [], torn: 0 })
    await log.close()
  })

  it('drains and closes: everything appended is durable, later rows are refused', async () => {
    const { log, disk } = await bench()
    log.append(testRow(1))
    log.append(testRow(2))
    await log.close()
    expect(ids(disk.content('log').synced)).toHaveLength(2)
    expect(log.ok).toBe(false)
    await expect(log.append(testRow(3)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
    await log.close()
  })

  it('hands durable rows on in order, with their lines', async () => {
    const disk = new Disk()
    const seen: bigint[] = []
    const lines: Uint8Array[] = []
    const log = await openAuditLog({
      path: disk.path,
      ring,
      files: disk,
      onDurable: rows => {
        for (const r of rows) {
          seen.push(r.placed.index)
          lines.push(r.line)
        }
      },
    })
    for (let i = 0; i < 5; i++) await log.append(testRow(i)).durable()
    await log.close()
    expect(seen).toEqual([0n, 1n, 2n, 3n, 4n])
    expect(Buffer.concat(lines).equals(disk.log)).toBe(true)
  })
})

describe('a power cut', () => {
  /** Which prefixes of the bytes since the last sync reached the disk: all of them for a short log, some for a longer one. */
  const EVERY = (length: number): number[] => Array.from({ length: length + 1 }, (_, i) => i)
  const SOME = (length: number): number[] => [0, Math.min(1, length), Math.floor(length / 2), length]

  it.each([
    [12, 'some prefixes', SOME],
    [4, 'every prefix', EVERY],
  ] as const)(
    'at any step leaves every acknowledged row and an unbroken chain: %i rows, %s',
    async (rows, _name, prefixes) => {
      const { log, disk } = await bench()
      /** Rows acknowledged before step n. */
      const acknowledged: string[][] = []
      const acks: string[] = []
      const note = () => {
        while (acknowledged.length < disk.steps.length) acknowledged.push([...acks])
      }
      disk.onWrite = () => (disk.writes % 4 === 2 ? 'short' : 'none')
      for (let i = 0; i < rows; i++) {
        const ticket = log.append(testRow(i * 2))
        if (i % 3 === 0) log.append(testRow(i * 2 + 1))
        const placed = await ticket.durable()
        note()
        acks.push(`${placed.index}`)
      }
      await log.close()
      note()
      expect(acks).toHaveLength(rows)
      for (const [n, step] of disk.steps.entries()) {
        // The cut comes just before the next step.
        const must = acknowledged[n + 1] ?? acks
        // Between the last sync and the cut any prefix of the written bytes may have reached the disk.
        for (const extra of prefixes(Math.max(0, step.bytes.length - step.synced.length))) {
          const left = step.bytes.subarray(0, step.synced.length + extra)
          const report = walk(left)
          expect(report.breaks).toEqual([])
          for (const index of must) expect(Number(index)).toBeLessThan(report.rows)
        }
      }
    },
  )

  it('with a torn row is repaired at the next start', async () => {
    const { log, disk } = await bench()
    await log.append(testRow(1)).durable()
    await log.append(testRow(2)).durable()
    const whole = disk.log
    await log.close()
    const one = whole.indexOf(0x0a) + 1
    for (let cut = one + 1; cut < whole.length; cut += 37) {
      const after = new Disk()
      const left = whole.subarray(0, cut)
      after.contents.set('log', { bytes: left, synced: left })
      const small = headOf(whole.subarray(0, one))
      after.contents.set('head', { bytes: small, synced: small })
      const again = await openAuditLog({ path: after.path, ring, files: after })
      await again.append(testRow(3)).durable()
      await again.close()
      expect(walk(after.log)).toMatchObject({ rows: 3, breaks: [], torn: 0 })
      expect(Buffer.concat(after.quarantined).equals(left.subarray(one))).toBe(true)
      expect(after.log.toString()).toContain('audit.torn_tail')
    }
  })
})

describe('a disk that fails', () => {
  /** The writer is down: nothing is accepted, nothing new is written. */
  async function refuses(log: AuditLog): Promise<void> {
    expect(log.ok).toBe(false)
    expect(log.reason).toMatch(/^the audit log cannot be written \([\w ]+\); /)
    const ticket = log.append(testRow(999))
    await expect(ticket.durable()).rejects.toMatchObject({ code: 'audit_unavailable' })
    await expect(ticket.placed).rejects.toBeInstanceOf(AuditUnavailable)
    await expect(log.drain()).rejects.toBeInstanceOf(AuditUnavailable)
  }

  it('full in the middle of a write: waiters are refused, the file is cut back, writing resumes when there is room', async () => {
    const { log, disk, timers, states } = await bench()
    const kept = await log.append(testRow(0)).durable()
    const durable = disk.log.length
    disk.room = durable + 100
    const lost = [1, 2, 3].map(i => log.append(testRow(i)))
    const results = await Promise.allSettled(lost.map(t => t.durable()))
    expect(results.map(r => r.status)).toEqual(['rejected', 'rejected', 'rejected'])
    await refuses(log)
    expect(log.head).toEqual({ size: 1n, hmac: kept.hmac })

    // Still full: back-off, longer each time.
    timers.fire()
    await settled()
    timers.fire()
    await settled()
    await refuses(log)
    expect(timers.delays).toEqual([100, 200, 400])

    disk.room = Number.POSITIVE_INFINITY
    timers.fire()
    await settled()
    expect(log.ok).toBe(true)
    const next = await log.append(testRow(4)).durable()
    expect(next.index).toBe(2n)
    expect(walk(disk.log)).toMatchObject({ rows: 3, breaks: [], torn: 0 })
    expect(ids(disk.log)[0]).toBe(testRow(0).entryId)
    expect(ids(disk.log)[2]).toBe(testRow(4).entryId)
    expect(disk.log.toString()).toContain('"_check_name":"audit.recovered"')
    expect(states.map(s => s[0])).toEqual([false, true])
    await log.close()
  })

  it('in one sync: nobody is told the row is durable, and the descriptor is not used again', async () => {
    const { log, disk, timers } = await bench()
    await log.append(testRow(0)).durable()
    disk.onSync = kind => (kind === 'log' ? 'error' : 'none')
    const asked = log.append(testRow(1))
    const unasked = log.append(testRow(2))
    const placedEarly = await asked.placed
    await expect(asked.durable()).rejects.toBeInstanceOf(AuditUnavailable)
    await expect(unasked.durable()).rejects.toBeInstanceOf(AuditUnavailable)
    disk.onSync = () => 'none'
    timers.fire()
    await settled()
    expect(disk.reusedAfterFailedSync).toBe(false)
    expect(log.ok).toBe(true)
    const next = await log.append(testRow(3)).durable()
    expect(ids(disk.log)).not.toContain(testRow(1).entryId)
    expect(disk.log.toString()).not.toContain(placedEarly.hmac)
    expect(next.index).toBe(2n)
    expect(walk(disk.log)).toMatchObject({ rows: 3, breaks: [], torn: 0 })
    await log.close()
  })

  it('that takes writes of nothing does not spin', async () => {
    const { log, disk, timers } = await bench()
    disk.onWrite = kind => (kind === 'log' ? 'nothing' : 'none')
    await expect(log.append(testRow(1)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
    disk.onWrite = () => 'none'
    timers.fire()
    await settled()
    expect((await log.append(testRow(2)).durable()).index).toBe(1n)
    await log.close()
  })

  it('read-only while down stays down, then recovers', async () => {
    const { log, disk, timers } = await bench()
    await log.append(testRow(0)).durable()
    disk.onWrite = () => 'error'
    disk.onOpen = () => 'error'
    await expect(log.append(testRow(1)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
    for (let i = 0; i < 8; i++) {
      timers.fire()
      await settled()
    }
    expect(Math.max(...timers.delays)).toBe(5000)
    await refuses(log)
    disk.onWrite = () => 'none'
    disk.onOpen = () => 'none'
    timers.fire()
    await settled()
    expect(log.ok).toBe(true)
    await log.close()
  })

  it('in the head file stops the writer after the row is durable, and recovers', async () => {
    const { log, disk, timers } = await bench()
    disk.onWrite = kind => (kind === 'head' ? 'error' : 'none')
    await expect(log.append(testRow(0)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
    expect(log.ok).toBe(false)
    disk.onWrite = () => 'none'
    timers.fire()
    await settled()
    await log.append(testRow(1)).durable()
    expect(walk(disk.log)).toMatchObject({ rows: 2, breaks: [], torn: 0 })
    await log.close()
  })

  it('in a head sync, also while a commit runs, loses nothing that was acknowledged', async () => {
    const { log, disk, timers, tick } = await bench()
    disk.onSync = kind => (kind === 'head' ? 'error' : 'none')
    tick()
    const first = await log.append(testRow(0)).durable()
    const second = log.append(testRow(1)).durable()
    const outcome = await second.then(
      p => p.index,
      () => 'refused',
    )
    await settled()
    expect(log.ok).toBe(false)
    disk.onSync = () => 'none'
    timers.fire()
    await settled()
    expect(log.ok).toBe(true)
    expect(ids(disk.log)[Number(first.index)]).toBe(testRow(0).entryId)
    expect(ids(disk.log).includes(testRow(1).entryId)).toBe(outcome !== 'refused')
    expect(walk(disk.log)).toMatchObject({ breaks: [], torn: 0 })
    await log.close()
  })

  it('and lost the log in the middle of a sync: nobody is told that a row is durable, however soon it was', async () => {
    const { log, disk } = await bench()
    await log.append(testRow(0)).durable()
    // No time passes: the look-up of the path, once a second, is not due.
    disk.onSync = kind => {
      if (kind === 'log') disk.contents.delete('log')
      return 'none'
    }
    await expect(log.append(testRow(1)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
    expect(log.ok).toBe(false)
    expect(log.head.size).toBe(1n)
    await log.close()
  })

  it('and lost the log: deletion is noticed, and never papered over by a new empty file', async () => {
    const { log, disk, timers, tick } = await bench()
    await log.append(testRow(0)).durable()
    const gone = disk.content('log')
    disk.contents.delete('log')
    tick()
    await expect(log.append(testRow(1)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
    timers.fire()
    await settled()
    expect(disk.contents.has('log')).toBe(false)
    await refuses(log)
    disk.contents.set('log', { bytes: gone.bytes.subarray(0, 20), synced: Buffer.alloc(0) })
    timers.fire()
    await settled()
    await refuses(log)
    disk.contents.set('log', gone)
    timers.fire()
    await settled()
    expect(log.ok).toBe(true)
    expect(walk(disk.log).breaks).toEqual([])
    await log.close()
  })

  it.each(['deleted', 'replaced'])('and the head was %s: it is noticed, and made again with a row', async how => {
    const { log, disk, timers, tick } = await bench()
    await log.append(testRow(0)).durable()
    const old = disk.content('head')
    disk.contents.delete('head')
    if (how === 'replaced') disk.contents.set('head', { bytes: Buffer.from(old.bytes), synced: old.synced })
    tick()
    await expect(log.append(testRow(1)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
    timers.fire()
    await settled()
    expect(log.ok).toBe(true)
    await log.append(testRow(2)).durable()
    expect(disk.log.toString()).toContain('"cause":"head moved or deleted"')
    const head = parseHead(disk.content('head').bytes, testRing())
    expect(head).toMatchObject({ kind: 'found', position: { count: log.head.size } })
    await log.close()
  })

  it.each([0, 20, 5000])(
    'and a log that something else changed to %i bytes is noticed before the next write',
    async length => {
      const { log, disk, timers } = await bench()
      await log.append(testRow(0)).durable()
      const file = disk.content('log')
      const whole = file.bytes
      file.bytes = Buffer.concat([whole, Buffer.alloc(5000)]).subarray(0, length)
      await expect(log.append(testRow(1)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
      expect(file.bytes).toHaveLength(length)
      if (length < whole.length) {
        timers.fire()
        await settled()
        await refuses(log)
        file.bytes = whole
      }
      timers.fire()
      await settled()
      expect(log.ok).toBe(true)
      expect(walk(disk.log)).toMatchObject({ rows: 2, breaks: [], torn: 0 })
      await log.close()
    },
  )

  it('can be closed while it is down', async () => {
    const { log, disk, timers } = await bench()
    disk.onWrite = () => 'error'
    await expect(log.append(testRow(0)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
    await log.close()
    expect(timers.pending).toBe(0)
  })

  it('leaves no unhandled rejection for rows that nobody waited for', async () => {
    const { log, disk } = await bench()
    const unhandled: unknown[] = []
    const listener = (error: unknown) => unhandled.push(error)
    process.on('unhandledRejection', listener)
    disk.onWrite = () => 'error'
    const ticket = log.append(testRow(0))
    await settled()
    log.append(testRow(1))
    expect(log.ok).toBe(false)
    void ticket.placed
    const another = await bench()
    another.disk.onWrite = () => 'error'
    void another.log.append(testRow(2)).durable()
    await settled()
    await another.log.close()
    process.off('unhandledRejection', listener)
    expect(unhandled).toEqual([])
    await log.close()
  })

  it('over and over, at random places, keeps every acknowledged row in one chain', async () => {
    let seed = 12345
    const random = () => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return seed / 0x7fffffff
    }
    const { log, disk, timers } = await bench()
    const fault = () => (random() < 0.1 ? 'error' : 'none')
    disk.onWrite = () => (random() < 0.1 ? 'short' : fault())
    disk.onSync = fault
    const kept: string[] = []
    for (let i = 0; i < 400; i++) {
      const row = testRow(i)
      const ticket = log.append(row)
      if (i % 3 !== 0) {
        await ticket.durable().then(
          () => kept.push(row.entryId),
          () => undefined,
        )
      }
      if (!log.ok) {
        timers.fire()
        await settled()
      }
    }
    disk.onWrite = () => 'none'
    disk.onSync = () => 'none'
    timers.fire()
    await settled()
    await log.close()
    const present = new Set(ids(disk.log))
    expect(kept.length).toBeGreaterThan(100)
    expect(kept.filter(id => !present.has(id))).toEqual([])
    expect(walk(disk.log)).toMatchObject({ breaks: [], torn: 0 })
    expect(disk.reusedAfterFailedSync).toBe(false)
    const again = await reopens(disk, disk.log)
    expect(again.head.size).toBe(BigInt(present.size))
    await again.close()
  })
})
