import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Key, KeyRing } from '../keys/ring.ts'
import { AuditError } from './files.ts'
import { openAuditLog } from './open.ts'
import { tailRows } from './read.ts'
import { Disk } from './testing/disk.test-support.ts'
import { testRing, testRow } from './testing/rows.test-support.ts'
import { verifyLog } from './verify.ts'

const ring = testRing()
let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-open-'))
  path = join(folder, 'audit.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function write(n: number, from = 0): Promise<void> {
  const log = await openAuditLog({ path, ring })
  for (let i = 0; i < n; i++) await log.append(testRow(from + i)).durable()
  await log.close()
}

async function refused(code: string, open: Promise<unknown> = openAuditLog({ path, ring })): Promise<void> {
  const error: unknown = await open.then(
    () => undefined,
    e => e,
  )
  expect(error).toBeInstanceOf(AuditError)
  expect(error).toMatchObject({ code })
  expect((error as AuditError).message).not.toContain('\n')
}

describe('opening a log', () => {
  it('makes it 0600, and goes on where it stopped', async () => {
    await write(3)
    await write(2, 3)
    for (const suffix of ['', '.head', '.lock']) expect(statSync(path + suffix).mode & 0o777).toBe(0o600)
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 5, head: 'checked' })
    expect(readdirSync(folder).sort()).toEqual(['audit.jsonl', 'audit.jsonl.head', 'audit.jsonl.lock'])
  })

  it('is refused to a second writer, in this process and in another', async () => {
    const log = await openAuditLog({ path, ring })
    await refused('log_locked')
    // The refused attempt must not have dropped the lock that is held.
    const script = `const { DatabaseSync } = await import('node:sqlite')
      try { new DatabaseSync(process.argv[1]).exec('PRAGMA busy_timeout=0; BEGIN EXCLUSIVE'); console.log('locked it') }
      catch (error) { console.log(error.errstr) }`
    const other = spawnSync(process.execPath, ['--input-type=module', '-e', script, `${path}.lock`], {
      encoding: 'utf8',
    })
    expect(other.stdout.trim()).toBe('database is locked')
    await log.append(testRow(1)).durable()
    await log.close()
    await write(1, 2)
    expect((await verifyLog(path, ring)).total_entries).toBe(2)
  })

  it('sets a failed opening free again', async () => {
    await write(1)
    writeFileSync(`${path}.head`, 'x'.repeat(1024))
    await refused('head_mismatch')
    await refused('head_mismatch')
  })

  it('refuses links, folders and pipes', async () => {
    writeFileSync(join(folder, 'real'), '')
    symlinkSync(join(folder, 'real'), path)
    await refused('log_not_regular')
    rmSync(path)
    mkdirSync(path)
    await refused('log_unreadable')
    rmSync(path, { recursive: true })
    spawnSync('mkfifo', [path])
    expect(existsSync(path)).toBe(true)
    await refused('log_not_regular')
    rmSync(path)
    symlinkSync(join(folder, 'elsewhere'), `${path}.head`)
    await refused('log_not_regular')
    rmSync(`${path}.head`)
    await refused('log_unreadable', openAuditLog({ path: join(folder, 'no', 'such', 'folder', 'a.jsonl'), ring }))
  })

  it('works on a hard link', async () => {
    await write(1)
    linkSync(path, join(folder, 'twin'))
    await write(1, 1)
    expect((await verifyLog(path, ring)).ok).toBe(true)
  })

  it('refuses a log that lost its end, was emptied, or lost its head file', async () => {
    await write(3)
    const whole = readFileSync(path)
    truncateSync(path, whole.lastIndexOf(0x0a, whole.length - 2) + 1)
    await refused('log_truncated')
    truncateSync(path, 0)
    await refused('log_truncated')
    rmSync(path)
    await refused('log_truncated')
    writeFileSync(path, whole)
    rmSync(`${path}.head`)
    await refused('head_missing')
    const again = await openAuditLog({ path, ring, acceptMissingHead: true })
    await again.append(testRow(9)).durable()
    await again.close()
    expect((await verifyLog(path, ring)).total_entries).toBe(5)
    expect(readFileSync(path, 'utf8').split('\n')[3]).toContain('"_check_name":"audit.head_accepted"')
    // Once: the head is there again, and nothing is said a second time.
    await (await openAuditLog({ path, ring, acceptMissingHead: true })).close()
    expect((await verifyLog(path, ring)).total_entries).toBe(5)
  })

  it('refuses a changed last row, a foreign log, and unknown keys', async () => {
    await write(3)
    const whole = readFileSync(path)
    const changed = Buffer.from(whole)
    changed.write('REQUEST', whole.lastIndexOf('request completed'))
    writeFileSync(path, changed)
    await refused('log_broken')
    writeFileSync(path, whole)
    const other = new KeyRing(new Key('k2', Buffer.alloc(32, 2)))
    await refused('head_mismatch', openAuditLog({ path, ring: other }))
    rmSync(`${path}.head`)
    await refused('key_unknown', openAuditLog({ path, ring: other, acceptMissingHead: true }))
  })

  it('accepts rows beyond the head when they chain, and refuses them when they do not', async () => {
    await write(2)
    const head = readFileSync(`${path}.head`)
    await write(2, 2)
    writeFileSync(`${path}.head`, head)
    const log = await openAuditLog({ path, ring })
    expect(log.head.size).toBe(4n)
    await log.close()
    const whole = readFileSync(path)
    const changed = Buffer.from(whole)
    changed.write('REQUEST', whole.lastIndexOf('request completed'))
    writeFileSync(path, changed)
    writeFileSync(`${path}.head`, head)
    await refused('log_broken')
    // Garbage with a row after it is no torn tail.
    const lines = whole.toString().split('\n')
    writeFileSync(path, [lines[0], lines[1], 'garbage', lines[3], ''].join('\n'))
    await refused('log_broken')
    expect(readdirSync(folder).filter(f => f.includes('quarantine'))).toEqual([])
  })

  it.each([
    ['half a row', '{"approval_chain":["human'],
    ['zeroes', '\0'.repeat(5000)],
    ['garbage with newlines', 'a\nb\n\0\0\nc'],
  ])('moves %s at the end to quarantine and says so in a row', async (_name, tail) => {
    await write(2)
    appendFileSync(path, tail)
    const log = await openAuditLog({ path, ring, nowNs: () => 1_900_000_000_000_000_000n })
    expect(log.head.size).toBe(3n)
    await log.append(testRow(2)).durable()
    await log.close()
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 4 })
    const kept = `${path}.quarantine-1900000000000000000`
    expect(readFileSync(kept, 'latin1')).toBe(tail)
    expect(statSync(kept).mode & 0o777).toBe(0o600)
    const [note] = await tailRows(path, 2)
    expect(note?.kind === 'row' && Object.fromEntries(note.row.metadata)).toMatchObject({
      _check_name: 'audit.torn_tail',
      bytes: BigInt(tail.length),
      file: 'audit.jsonl.quarantine-1900000000000000000',
    })
  })

  it('mends one damaged head record, and needs one good', async () => {
    await write(3)
    const head = readFileSync(`${path}.head`)
    writeFileSync(`${path}.head`, Buffer.concat([head.subarray(0, 512), Buffer.alloc(512, 0x41)]))
    expect((await verifyLog(path, ring)).breaks.map(b => b.kind)).toEqual(['head_mismatch'])
    await write(1, 3)
    expect((await verifyLog(path, ring)).ok).toBe(true)
    writeFileSync(`${path}.head`, Buffer.alloc(1024, 0x41))
    await refused('head_mismatch')
  })

  it('never goes back in time over a restart', async () => {
    const early = await openAuditLog({ path, ring, nowNs: () => 2_000n })
    const first = await early.append(testRow(1)).durable()
    await early.close()
    const late = await openAuditLog({ path, ring, nowNs: () => 1_000n })
    const second = await late.append(testRow(2)).durable()
    await late.close()
    expect([first.tsNs, second.tsNs]).toEqual([2_000n, 2_001n])
    expect((await verifyLog(path, ring)).ok).toBe(true)
  })

  it('needs to write: a disk that refuses is refused, in one line', async () => {
    const closed = new Disk()
    closed.onOpen = () => 'error'
    await refused('log_unreadable', openAuditLog({ path, ring, files: closed }))
    const full = new Disk()
    full.onWrite = () => 'error'
    await refused('log_unreadable', openAuditLog({ path, ring, files: full }))
  })

  it('reads only the end: an old break does not stop a start, verification finds it', async () => {
    await write(3)
    const whole = readFileSync(path)
    const changed = Buffer.from(whole)
    changed.write('REQUEST', whole.indexOf('request completed'))
    writeFileSync(path, changed)
    await write(1, 3)
    expect((await verifyLog(path, ring)).breaks.map(b => `${b.kind}@${b.index}`)).toEqual(['self_mismatch@0'])
  })
})
