import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AuditUnavailable } from '../../core/row.ts'
import { type AuditLog, openAuditLog } from '../open.ts'
import { findRow, readRows, tailRows } from '../read.ts'
import { Timers } from '../testing/disk.test-support.ts'
import { testRing, testRow } from '../testing/rows.test-support.ts'
import { copyFolder, WatchedFiles } from '../testing/watched-files.test-support.ts'
import { verifyLog } from '../verify.ts'
import { verifyParallel } from '../verify-parallel.ts'
import type { Packer } from './packer.ts'

const ring = testRing()
let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-roll-'))
  path = join(folder, 'audit.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const idsIn = async (log: string) => {
  const ids: string[] = []
  for await (const read of readRows(log)) ids.push(read.kind === 'row' ? read.row.entryId : read.kind)
  return ids
}

async function write(log: AuditLog, from: number, to: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = from; i < to; i++) {
    await log.append(testRow(i)).durable()
    ids.push(testRow(i).entryId)
  }
  return ids
}

async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}

describe('a log that rolls', () => {
  it('is one log in several files: counts, chain, head and reading go across them', async () => {
    const segments: string[] = []
    const log = await openAuditLog({
      path,
      ring,
      roll: { bytes: 4000 },
      onSegment: (ok, text) => segments.push(`${ok} ${text}`),
    })
    const ids = await write(log, 0, 40)
    await eventually(() => segments.length >= 4)
    await log.close()
    expect(readFileSync(path).length).toBeLessThan(8000)
    expect(existsSync(`${path}.000001`)).toBe(false)
    expect(existsSync(`${path}.000001.zst`)).toBe(true)
    expect(segments[0]).toMatch(/^true log segment 1: rows 0 to \d+, audit\.jsonl\.000001\.zst$/)

    const report = await verifyLog(path, ring)
    expect(report).toMatchObject({ ok: true, total_entries: 40, head: 'checked', last_known_good_index: 39 })
    expect(report.sections.segments?.status).toBe('sound')
    expect(await verifyParallel(path, ring, { threads: 2, unit: 3000 })).toEqual({
      ...report,
      verified_at: expect.any(String),
    })
    expect(await idsIn(path)).toEqual(ids)
    const tail = await tailRows(path, 33)
    expect(tail.map(r => (r.kind === 'row' ? r.row.entryId : r.kind))).toEqual(ids.slice(-33))
    expect((await findRow(path, ids[0] ?? ''))?.entryId).toBe(ids[0])
    const late: bigint[] = []
    for await (const read of readRows(path, { from: 7n })) if (read.kind === 'row') late.push(read.index)
    expect(late[0]).toBe(7n)
    expect(late).toHaveLength(33)
    // What `zstd -dc` gives, file after file, is the log as one file: any reader of the format can take it.
    const whole = Buffer.concat([
      ...readdirSync(folder)
        .filter(name => name.endsWith('.zst'))
        .sort()
        .map(name => zstdDecompressSync(readFileSync(join(folder, name)))),
      ...readdirSync(folder)
        .filter(name => /\.\d{6}$/.test(name))
        .sort()
        .map(name => readFileSync(join(folder, name))),
      readFileSync(path),
    ])
    const one = join(folder, 'one.jsonl')
    writeFileSync(one, whole)
    expect(await verifyLog(one, ring, { head: 'ignore' })).toMatchObject({ ok: true, total_entries: 40 })
  })

  it('goes on after a restart, with the same numbers', async () => {
    for (let start = 0; start < 5; start++) {
      const log = await openAuditLog({ path, ring, roll: { bytes: 3000 } })
      await write(log, start * 7, start * 7 + 7)
      expect(log.head.size).toBe(BigInt(start * 7 + 7))
      await log.close()
    }
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 35 })
    const rows = await idsIn(path)
    expect(new Set(rows).size).toBe(35)
  })

  it('rolls by age, when a row comes', async () => {
    let now = 1_747_000_000_000_000_000n
    const log = await openAuditLog({
      path,
      ring,
      nowNs: () => now,
      roll: { bytes: Number.POSITIVE_INFINITY, ageNs: 60_000_000_000n },
    })
    await write(log, 0, 3)
    expect(existsSync(`${path}.manifest`)).toBe(false)
    now += 61_000_000_000n
    await write(log, 3, 4)
    await log.append(testRow(4)).durable()
    expect(readFileSync(`${path}.manifest`, 'utf8')).toContain('"rows":4,"segment":1')
    await log.close()
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 5 })
  })

  it('keeps segments in another folder, and names those that are missing', async () => {
    const cold = join(folder, 'cold')
    mkdirSync(cold)
    const log = await openAuditLog({ path, ring, roll: { bytes: 4000 }, segmentFolder: cold })
    const ids = await write(log, 0, 30)
    await eventually(() => readdirSync(cold).filter(n => n.endsWith('.zst')).length >= 3)
    await log.close()
    const first = 'audit.jsonl.000001.zst'
    expect(existsSync(join(cold, first))).toBe(true)
    expect(await verifyLog(path, ring, { folders: [cold] })).toMatchObject({ ok: true, total_entries: 30 })
    const away = join(folder, 'tape')
    mkdirSync(away)
    renameSync(join(cold, first), join(away, first))
    expect(await verifyLog(path, ring, { folders: [cold, away] })).toMatchObject({ ok: true, total_entries: 30 })

    const report = await verifyLog(path, ring, { folders: [cold] })
    expect(report.breaks.map(b => `${b.kind} ${b.file}`)).toEqual([`segment_missing ${first}`])
    expect(report.breaks[0]?.detail).toContain('--segments')
    expect(report.sections.segments).toMatchObject({ status: 'broken', details: { missing: [first] } })
    const allowed = await verifyLog(path, ring, { folders: [cold], allowMissing: true })
    expect(allowed).toMatchObject({ ok: true, total_entries: 30, last_known_good_index: 29 })
    expect(allowed.sections.segments?.details['missing']).toEqual([first])
    const read: string[] = []
    for await (const r of readRows(path, { folders: [cold] })) {
      read.push(r.kind === 'row' ? r.row.entryId : r.kind === 'gap' ? `${r.file} ${r.why}` : r.kind)
    }
    expect(read[0]).toBe(`${first} it is missing`)
    expect(read.slice(1)).toEqual(ids.slice(-(read.length - 1)))
    // A gate does not need what is in cold storage.
    const again = await openAuditLog({ path, ring, segmentFolder: cold })
    await write(again, 30, 31)
    await again.close()
    expect(await verifyLog(path, ring, { folders: [cold, away] })).toMatchObject({ ok: true, total_entries: 31 })
  })

  it('verifies while a gate writes and rolls it', async () => {
    const log = await openAuditLog({ path, ring, roll: { bytes: 60_000 } })
    const writing = (async () => {
      for (let i = 0; i < 400; i++) await log.append(testRow(i, { text: 'x'.repeat(3000) })).durable()
    })()
    let seen = 0
    while (seen < 400) {
      const report = await verifyLog(path, ring)
      expect(report.breaks).toEqual([])
      expect(report.total_entries).toBeGreaterThanOrEqual(seen)
      seen = report.total_entries
    }
    await writing
    await log.close()
  })
})

describe('a gate killed while it rolls', () => {
  it('at every step leaves a log that opens, holds each acknowledged row once, verifies and goes on', async () => {
    const live = join(folder, 'live')
    mkdirSync(live)
    const files = new WatchedFiles(join(live, 'audit.jsonl'))
    const snapshots: { readonly at: string; readonly step: string; readonly told: number }[] = []
    let told = 0
    files.after = step => {
      const at = join(folder, `at-${snapshots.length}`)
      copyFolder(live, at)
      snapshots.push({ at, step, told })
    }
    const log = await openAuditLog({
      path: files.path,
      ring,
      files,
      roll: { bytes: 2500 },
      packer: files.packer(live),
    })
    for (let i = 0; i < 12; i++) {
      log.append(testRow(100 + i))
      await log.append(testRow(i)).durable()
      told = i + 1
    }
    await log.close()
    const steps = new Set(snapshots.map(s => s.step))
    expect([...steps]).toEqual(expect.arrayContaining(['write manifest', 'sync manifest', 'roll', 'pack', 'drop']))
    for (const { at, step, told: known } of snapshots) {
      const copy = join(at, 'audit.jsonl')
      if (existsSync(copy)) {
        const before = await verifyLog(copy, ring)
        expect(
          before.breaks.filter(b => b.kind !== 'torn_tail'),
          `${step}, ${basename(at)}`,
        ).toEqual([])
      }
      const reopened = await openAuditLog({ path: copy, ring })
      await reopened.append(testRow(999)).durable()
      await reopened.close()
      const after = await verifyLog(copy, ring)
      expect(after.breaks, `${step}, ${basename(at)}`).toEqual([])
      const ids = await idsIn(copy)
      expect(new Set(ids).size).toBe(ids.length)
      for (let i = 0; i < known; i++) expect(ids, `${step}, ${basename(at)}`).toContain(testRow(i).entryId)
    }
  })

  it('is finished by the next start, with a packed file only once', async () => {
    const log = await openAuditLog({ path, ring, roll: { bytes: 2000 }, packer: never() })
    await write(log, 0, 8)
    await log.close()
    const rolled = readdirSync(folder).filter(n => /\.\d{6}$/.test(n))
    expect(rolled.length).toBeGreaterThan(1)
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 8 })
    const done: string[] = []
    const again = await openAuditLog({ path, ring, onSegment: (_, text) => done.push(text) })
    await eventually(() => done.length === rolled.length)
    await again.close()
    expect(readdirSync(folder).filter(n => /\.\d{6}$/.test(n))).toEqual([])
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 8 })
  })

  it('says which packed segments are not where they were, or were cut, and starts without them', async () => {
    const said: string[] = []
    const open = () => openAuditLog({ path, ring, roll: { bytes: 2000 }, onSegment: (_, text) => said.push(text) })
    const log = await open()
    await write(log, 0, 8)
    await eventually(() => existsSync(`${path}.000002.zst`) && said.length >= 2)
    await log.close()
    said.length = 0
    await (await open()).close()
    expect(said.filter(text => text.includes('manifest'))).toEqual([])
    truncateSync(`${path}.000001.zst`, 100)
    await (await open()).close()
    expect(said).toEqual([
      expect.stringMatching(/^log segment audit\.jsonl\.000001\.zst is not here as the manifest knows it/),
    ])
    rmSync(`${path}.000002.zst`)
    said.length = 0
    await (await open()).close()
    expect(said).toEqual([
      expect.stringMatching(/^2 log segments \(the first: audit\.jsonl\.000001\.zst\) are not here/),
    ])
  })

  it('does not start over a changed manifest or a lost rolled file, and says which', async () => {
    const log = await openAuditLog({ path, ring, roll: { bytes: 2000 }, packer: never() })
    await write(log, 0, 8)
    await log.close()
    const manifest = readFileSync(`${path}.manifest`)
    writeFileSync(`${path}.manifest`, manifest.toString().replace('"rows":', '"rows":1'))
    await expect(openAuditLog({ path, ring })).rejects.toMatchObject({ code: 'manifest_invalid' })
    writeFileSync(`${path}.manifest`, manifest)
    renameSync(`${path}.000001`, join(folder, 'elsewhere'))
    await expect(openAuditLog({ path, ring })).rejects.toMatchObject({ code: 'segment_missing' })
    renameSync(join(folder, 'elsewhere'), `${path}.000001`)
    // A line that a crash cut off was never acted upon.
    writeFileSync(`${path}.manifest`, Buffer.concat([manifest, Buffer.from('{"bytes":12')]))
    await (await openAuditLog({ path, ring, packer: never() })).close()
    expect(readFileSync(`${path}.manifest`)).toEqual(manifest)
  })
})

describe('somebody who writes into the folder of a gate that rolls', () => {
  const manifest = () => `${path}.manifest`
  it.each<[string, () => void]>([
    ['deletes', () => rmSync(manifest())],
    ['cuts', () => truncateSync(manifest(), 100)],
    ['empties', () => truncateSync(manifest(), 0)],
    [
      'changes a byte of',
      () => writeFileSync(manifest(), readFileSync(manifest(), 'latin1').replace('"rows":', '"rowz":')),
    ],
    [
      'puts an older copy in the place of',
      () => {
        const [first] = readFileSync(manifest(), 'latin1').split('\n')
        writeFileSync(`${manifest()}.old`, `${first}\n`)
        renameSync(`${manifest()}.old`, manifest())
      },
    ],
    ['adds lines to', () => writeFileSync(manifest(), '{"kind":"rolled"}\n', { flag: 'a' })],
  ])('%s the manifest: it is as it was at the next roll, and a row says so', async (deed, attack) => {
    const said: string[] = []
    const log = await openAuditLog({
      path,
      ring,
      roll: { bytes: 3000 },
      onSegment: (ok, text) => said.push(`${ok} ${text}`),
    })
    await write(log, 0, 12)
    attack()
    await write(log, 12, 30)
    await log.close()
    const notes: string[] = []
    for await (const read of readRows(path)) {
      if (read.kind === 'row') notes.push(...(read.row.reason.startsWith('the manifest') ? [read.row.checkName] : []))
    }
    // Lines that were only added say nothing and are cut off, as those of a crash are.
    const expected = deed === 'adds lines to' ? 0 : 1
    expect(notes).toHaveLength(expected)
    expect(said.filter(text => text.startsWith('false'))).toHaveLength(expected)
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 30 + expected })
    await (await openAuditLog({ path, ring })).close()
  })

  it('and takes the manifest away after the last roll: it is there when the gate has ended', async () => {
    const log = await openAuditLog({ path, ring, roll: { bytes: 3000 } })
    await write(log, 0, 12)
    rmSync(manifest())
    await log.close()
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 12 })
  })

  it.each<[string, (name: string) => void]>([
    ['a file', name => writeFileSync(name, 'planted\n')],
    ['a folder', name => mkdirSync(name)],
    ['a link to the log', name => symlinkSync(path, name)],
  ])(
    'and puts %s where the live file is to go: rows go on into the live file, and it rolls later',
    async (_, plant) => {
      const said: string[] = []
      const timers = new Timers()
      const log = await openAuditLog({
        path,
        ring,
        roll: { bytes: 3000 },
        later: timers.later,
        onSegment: (ok, text) => said.push(`${ok} ${text}`),
      })
      plant(`${path}.000001`)
      const ids = await write(log, 0, 20)
      expect(log.ok).toBe(true)
      expect(said[0]).toMatch(
        /^false the live file could not be rolled \((audit\.jsonl\.000001 is there already, remove it|log_not_regular)\)/,
      )
      rmSync(`${path}.000001`, { recursive: true })
      timers.fire()
      ids.push(...(await write(log, 20, 30)))
      await log.close()
      expect(await idsIn(path)).toEqual(ids)
      expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 30 })
      expect(readFileSync(manifest(), 'utf8')).toContain('"segment":1')
    },
  )
})

describe('a disk that fails while a log rolls', () => {
  async function failing(step: string, times = 1) {
    const files = new WatchedFiles(path)
    const timers = new Timers()
    const said: string[] = []
    const log = await openAuditLog({
      path,
      ring,
      files,
      roll: { bytes: 2000 },
      later: timers.later,
      packer: files.packer(folder),
      onSegment: (_, text) => said.push(text),
    })
    let left = times
    files.before = at => {
      if (at !== step || left === 0) return
      left--
      throw Object.assign(new Error(step), { code: 'EIO' })
    }
    return { log, timers, said, files }
  }

  it.each(['open manifest', 'write manifest', 'sync manifest'])(
    'at %s: the roll is put off, rows go on',
    async step => {
      const { log, timers, said } = await failing(step)
      await write(log, 0, 6)
      expect(log.ok).toBe(true)
      expect(said).toEqual(['the live file could not be rolled (EIO); it goes on as it is'])
      expect(existsSync(`${path}.000001.zst`)).toBe(false)
      timers.fire()
      await write(log, 6, 8)
      await eventually(() => existsSync(`${path}.000001.zst`) && !existsSync(`${path}.000001`))
      await log.close()
      expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 8 })
    },
  )

  it('and cannot even take the note back, which the next start does', async () => {
    const { log, files } = await failing('sync manifest')
    const fails = files.before
    files.before = step => {
      if (step === 'truncate manifest') throw Object.assign(new Error(step), { code: 'EIO' })
      fails(step)
    }
    await write(log, 0, 6)
    await log.close()
    expect(readFileSync(`${path}.manifest`, 'utf8')).toContain('"segment":1')
    const again = await openAuditLog({ path, ring, packer: never() })
    await write(again, 6, 7)
    await again.close()
    expect(readFileSync(`${path}.manifest`, 'utf8')).toBe('')
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 7 })
  })

  it.each(['roll', 'open log'])('at %s: waiters are refused, and the roll is finished on recovery', async step => {
    const { log, timers, files } = await failing(step)
    const told: string[] = []
    for (let i = 0; i < 6 && log.ok; i++) {
      const ticket = log.append(testRow(i))
      const ok = await ticket.durable().then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(AuditUnavailable)
          return false
        },
      )
      if (ok) told.push(ticket.entryId)
      await new Promise(resolve => setImmediate(resolve))
    }
    await eventually(() => !log.ok)
    files.before = () => undefined
    timers.fire()
    await eventually(() => log.ok)
    await write(log, 50, 52)
    await log.close()
    const report = await verifyLog(path, ring)
    expect(report.breaks).toEqual([])
    expect(await idsIn(path)).toEqual(expect.arrayContaining(told))
  })

  it('at packing: rows stay readable, and it is tried again', async () => {
    const { log, timers, said } = await failing('pack')
    await write(log, 0, 4)
    await eventually(() => said.length > 0)
    expect(said[0]).toBe('a log segment could not be packed (EIO)')
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 4 })
    timers.fire()
    await eventually(() => existsSync(`${path}.000001.zst`))
    await log.close()
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 4 })
  })
})

/** A packer that is at it until it is closed. */
function never(): Packer {
  const closed = Promise.withResolvers<never>()
  closed.promise.catch(() => undefined)
  return {
    pack: () => closed.promise,
    has: () => false,
    close: async () => closed.reject(new Error('closed')),
  }
}
