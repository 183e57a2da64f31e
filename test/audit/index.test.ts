/** The index answers as a scan does, over segments, while rows come, and is never believed about another log. */
import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasIndex, indexedTo, openIndex, updateIndex } from '../../src/audit/index-db.ts'
import { keepIndex } from '../../src/audit/index-thread.ts'
import { openAuditLog } from '../../src/audit/open.ts'
import { run } from '../../src/cli/main.ts'
import type { Row } from '../../src/core/row.ts'
import { ring, SECRET } from './sound.ts'

const START_NS = 1_767_225_600_000_000_000n
const ROWS = 3000
let root: string
let path: string
let nowNs = START_NS

function row(i: number): Row {
  const blocked = i % 7 === 0
  return {
    entryId: `01940000-0000-7000-8000-${String(i).padStart(12, '0')}`,
    owner:
      i % 11 === 0
        ? { type: 'unresolved', id: '', approvalChain: [], authenticatedBy: '' }
        : { type: i % 2 === 0 ? 'human' : 'agent', id: `owner-${i % 5}`, approvalChain: [], authenticatedBy: 'jwt' },
    checkName: blocked ? 'pipeline.admission' : 'pipeline.complete',
    decision: blocked ? 'block' : i % 13 === 0 ? 'redact' : 'allow',
    reason: blocked ? 'refused' : 'request completed',
    fingerprint: '',
    metadata: {
      _stage: blocked ? 'admission' : 'record',
      _exchange_id: `0194aaaa-0000-7000-8000-${String(Math.floor(i / 2)).padStart(12, '0')}`,
      ...(blocked ? { _check_name: i % 2 === 0 ? 'rate_limit' : 'prompt_injection' } : {}),
    },
  }
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'signet-index-'))
  path = join(root, 'audit.jsonl')
  const log = await openAuditLog({ path, ring, nowNs: () => (nowNs += 1_000_000_000n), roll: { bytes: 400_000 } })
  for (let i = 0; i < ROWS; i++) log.append(row(i))
  await log.drain()
  await log.close()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

async function signet(args: readonly string[], nowMs = Number(nowNs / 1_000_000n)) {
  let out = ''
  let error = ''
  const code = await run(args, {
    out: { write: (t: string) => (out += t) },
    error: { write: (t: string) => (error += t) },
    environment: {},
    folder: root,
    now: () => nowMs,
    input: async () => Buffer.alloc(0),
    asked: async () => 'SIGTERM',
  })
  return { code, out, error }
}

const KEY = ['--hmac-secret', Buffer.from(SECRET).toString('hex')]
const questions: (readonly string[])[] = [
  ['count', path_()],
  ...['check', 'owner', 'decision', 'owner_type', 'stage'].map(by => ['count', path_(), '--by', by]),
  ...[
    'decision=block',
    'owner=human:owner-4',
    'owner_type=unresolved',
    'check=rate_limit',
    'check=pipeline.complete',
    'stage=admission,owner=agent:owner-1',
    'decision=nothing',
    'exchange=0194aaaa-0000-7000-8000-000000000700',
  ].map(filter => ['tail', path_(), '-n', '40', '--filter', filter]),
  ['tail', path_(), '-n', '2000', '--filter', 'decision=allow', '--json'],
  ['show', '01940000-0000-7000-8000-000000001500', path_(), ...KEY],
  ['show', '0194aaaa-0000-7000-8000-000000000033', path_(), ...KEY],
  ['show', '01940000-0000-7000-8000-000000099999', path_(), ...KEY],
]
function path_(): string {
  return 'audit.jsonl'
}

describe('the index', () => {
  it('answers every question as the scan does', async () => {
    const made = await signet(['audit', 'index', 'audit.jsonl'])
    expect(made.out).toMatch(/^audit\.jsonl: 3000 rows in .*audit\.jsonl\.index, 3000 of them new/)
    expect(statSync(`${path}.index`).mode & 0o777).toBe(0o600)
    for (const question of questions) {
      const withIndex = await signet(['audit', ...question])
      const without = await signet(['audit', ...question, '--no-index'])
      expect(withIndex, question.join(' ')).toEqual(without)
    }
  })

  it('says that the disk is full, and goes on when it is not', async () => {
    const full = join(mkdtempSync(join(root, 'full-')), 'audit.jsonl')
    const log = await openAuditLog({ path: full, ring })
    // Each of another time: they are what an index has most of.
    for (let i = 0; i < ROWS; i++) log.append({ ...row(i), entryId: `${26_000_000 + i}-0000-7000-8000-000000000000` })
    await log.drain()
    await log.close()
    const db = openIndex(full)
    // SQLITE_FULL, as a disk without space answers: it ends the transaction by itself.
    db.exec('PRAGMA max_page_count = 1')
    await expect(updateIndex(db, full)).rejects.toThrow('database or disk is full')
    db.exec('PRAGMA max_page_count = 100000')
    await updateIndex(db, full)
    expect(indexedTo(db).rows).toBe(BigInt(ROWS))
    db.close()
  })

  it('gives the same report for any period', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 120 }), fc.integer({ min: -4000, max: 100 }), async (m, s) => {
        const now = Number(nowNs / 1_000_000n) + s * 1000 + 357
        const args = ['audit', 'report', 'audit.jsonl', '--since', `${m}m`, '--no-anonymize', '--format', 'json']
        expect(await signet(args, now)).toEqual(await signet([...args, '--no-index'], now))
      }),
      { numRuns: 25 },
    )
  })

  it('follows the log, also from the middle of a block, and counts damaged lines', async () => {
    const log = await openAuditLog({ path, ring, nowNs: () => (nowNs += 1_000_000_000n) })
    for (let i = ROWS; i < ROWS + 100; i++) log.append(row(i))
    await log.drain()
    await log.close()
    appendFileSync(path, 'noise\n')
    for (const question of [
      ['count', 'audit.jsonl', '--by', 'decision', '--json'],
      ['tail', 'audit.jsonl', '--filter', 'decision=block'],
    ]) {
      const withIndex = await signet(['audit', ...question])
      const without = await signet(['audit', ...question, '--no-index'])
      expect(withIndex.out).toBe(without.out)
      expect(withIndex.code).toBe(1)
      expect(without.code).toBe(1)
      expect(withIndex.error).toContain('damaged: row 3100')
    }
    const text = readFileSync(path)
    writeFileSync(path, text.subarray(0, text.length - 6))
  })

  it('is made anew for another log, and for one that was put back', async () => {
    const other = join(root, 'other.jsonl')
    const log = await openAuditLog({ path: other, ring, nowNs: () => START_NS })
    for (let i = 0; i < 50; i++) log.append(row(5000 + i))
    await log.close()
    cpSync(`${path}.index`, `${other}.index`)
    const { out } = await signet(['audit', 'count', 'other.jsonl'])
    expect(out).toBe('50\n')
    const whole = readFileSync(other)
    writeFileSync(other, whole.subarray(0, whole.indexOf(0x0a, 2000) + 1))
    const scanned = await signet(['audit', 'count', 'other.jsonl', '--no-index'])
    expect((await signet(['audit', 'count', 'other.jsonl'])).out).toBe(scanned.out)
  })

  it('that is no index is replaced, and one that cannot be used is gone without', async () => {
    writeFileSync(`${path}.index`, 'not a database, but a file of this name')
    expect((await signet(['audit', 'count', 'audit.jsonl'])).out).toBe(
      (await signet(['audit', 'count', 'audit.jsonl', '--no-index'])).out,
    )
    const db = openIndex(path)
    expect(indexedTo(db).rows).toBeGreaterThan(3000n)
    db.close()
  })

  it('is kept by a thread while a gate writes, and is never asked by verification', async () => {
    const live = join(root, 'live.jsonl')
    const log = await openAuditLog({ path: live, ring })
    await log.append(row(1)).durable()
    const trouble: string[] = []
    const keeper = keepIndex(live, [], text => trouble.push(text))
    while (!hasIndex(live)) await new Promise(resolve => setImmediate(resolve))
    await log.append(row(2)).durable()
    for (;;) {
      const db = openIndex(live)
      const { rows } = indexedTo(db)
      db.close()
      if (rows === 2n) break
      await new Promise(resolve => setImmediate(resolve))
    }
    await keeper.close()
    await log.close()
    expect(trouble).toEqual([])
    const db = openIndex(live)
    db.exec("UPDATE totals SET n = 1000000; UPDATE meta SET value = '9 9 ff' WHERE key = 'at'")
    db.close()
    const verified = await signet(['audit', 'verify', 'live.jsonl', ...KEY])
    expect(verified.code).toBe(0)
    expect(verified.out).toContain('OK: 2 entries')
    const again = openIndex(live)
    expect(await updateIndex(again, live)).toBe(2n)
    again.close()
    expect(existsSync(`${live}.index`)).toBe(true)
  })
})
