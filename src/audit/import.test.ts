import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Key, KeyRing } from '../keys/ring.ts'
import { ImportFault, importLog } from './import.ts'
import { openAuditLog } from './open.ts'
import { readRows } from './read.ts'
import { archiveOf, markerOf, type PythonRow, pythonRows } from './testing/python-log.test-support.ts'
import { testRow } from './testing/rows.test-support.ts'
import { verifyLog } from './verify.ts'

const old = new Key('py', Buffer.alloc(32, 3))
const ring = new KeyRing(new Key('k1', Buffer.alloc(32, 4)), [old])
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-import-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (name: string, content: readonly PythonRow[] | Buffer): string => {
  const path = join(folder, name)
  writeFileSync(path, Buffer.isBuffer(content) ? content : content.map(r => `${r.line}\n`).join(''))
  return path
}
const take = (sources: readonly string[], segmentBytes = 1 << 28) =>
  importLog({ sources, to: join(folder, 'audit.jsonl'), ring, segmentBytes, nowMs: () => 1_747_000_000_000 })
const to = () => join(folder, 'audit.jsonl')

async function textsIn(path: string): Promise<string[]> {
  const texts: string[] = []
  for await (const read of readRows(path)) if (read.kind === 'row') texts.push(read.text)
  return texts
}

describe('a log that is taken over', () => {
  it('keeps every byte of its rows, says so in a row, verifies, and is written on with another key', async () => {
    const rows = pythonRows(old, 40)
    const done = await take([put('theirs.jsonl', rows)], 4000)
    expect(done.equal).toBe(true)
    expect(done.segments).toBeGreaterThan(3)
    expect(done.source).toEqual({
      rows: 40,
      first_hmac: rows[0]?.hmac,
      last_hmac: rows.at(-1)?.hmac,
      sha256: createHash('sha256')
        .update(rows.map(r => `${r.line}\n`).join(''))
        .digest('hex'),
    })
    expect(done.copy).toEqual(done.source)
    const log = await openAuditLog({ path: to(), ring })
    await log.append(testRow(1)).durable()
    await log.close()
    expect(await verifyLog(to(), ring)).toMatchObject({ ok: true, total_entries: 42, head: 'checked' })
    const texts = await textsIn(to())
    expect(texts.slice(0, 40)).toEqual(rows.map(r => r.line))
    const record = JSON.parse(texts[40] ?? '')
    expect(record.entry_id).toBe(done.entry_id)
    expect(record.metadata).toMatchObject({
      _check_name: 'audit.imported',
      rows: 40,
      sha256: done.source.sha256,
      files: ['theirs.jsonl'],
      keys: ['py'],
    })
    expect(record.prev_hmac).toBe(rows.at(-1)?.hmac)
  })

  it('may lie in several files, with a mark at the start and blank lines, which are no rows', async () => {
    const rows = pythonRows(old, 10)
    const first = put(
      'a.jsonl',
      Buffer.from(
        `\ufeff${rows
          .slice(0, 4)
          .map(r => `${r.line}\n\n`)
          .join('')}`,
      ),
    )
    const second = put('b.jsonl', rows.slice(4))
    const done = await take([first, second])
    expect(done.source.rows).toBe(10)
    expect((await textsIn(to())).slice(0, 10)).toEqual(rows.map(r => r.line))
  })

  it('may have been compacted: archives come first, markers stand aside', async () => {
    const all = pythonRows(old, 20)
    const [first, second, kept] = [all.slice(0, 8), all.slice(8, 14), all.slice(14)]
    const a = put('1.archive', archiveOf(first))
    const b = put('2.archive', archiveOf(second))
    const live = put('live.jsonl', [markerOf(old, second, 901), ...kept])
    const done = await take([a, b, live])
    expect(done).toMatchObject({ equal: true, markers: 1, source: { rows: 20 } })
    expect(readFileSync(`${to()}.markers.jsonl`, 'utf8')).toContain('_compaction_marker')
    expect(await verifyLog(to(), ring)).toMatchObject({ ok: true, total_entries: 21 })
  })

  const bad: [string, () => string[], string][] = [
    [
      'a row was changed',
      () => [
        put(
          'x',
          Buffer.from(
            pythonRows(old, 5)
              .map(r => `${r.line}\n`)
              .join('')
              .replace('"alice"', '"mallory"'),
          ),
        ),
      ],
      'x, line 1: hmac does not match the row (self_mismatch)',
    ],
    ['a row is missing', () => [put('x', pythonRows(old, 5).toSpliced(2, 1))], 'x, line 3: prev_hmac is not'],
    [
      'another chain follows',
      () => [put('x', pythonRows(old, 3)), put('y', pythonRows(old, 3))],
      'a new chain begins here',
    ],
    [
      'its key is not known',
      () => [put('x', pythonRows(new Key('zz', Buffer.alloc(32, 9)), 3))],
      'key "zz" is not in the key ring',
    ],
    [
      'its end is torn',
      () => [put('x', Buffer.from(`${pythonRows(old, 2)[0]?.line}\n{"half`))],
      '6 bytes after the last complete line',
    ],
    ['it is no log', () => [put('x', Buffer.from('hello\n'))], 'x, line 1'],
    ['it is empty', () => [put('x', Buffer.alloc(0))], 'there is no row in it'],
    [
      'an archive was changed',
      () => {
        const bytes = archiveOf(pythonRows(old, 4))
        return [put('x', Buffer.from(bytes.toString('latin1').replace('"entry_count":4', '"entry_count":5'), 'latin1'))]
      },
      'header counts 5 rows, it has 4',
    ],
    ['an archive is cut off', () => [put('x', archiveOf(pythonRows(old, 4)).subarray(0, 200))], 'the archive'],
    [
      'the archive of a marker is missing',
      () => {
        const all = pythonRows(old, 6)
        return [put('x', [markerOf(old, all.slice(0, 3), 900), ...all.slice(3)])]
      },
      'is not among the files before it',
    ],
    [
      'a marker is forged',
      () => {
        const all = pythonRows(old, 6)
        const forged = markerOf(new Key('py', Buffer.alloc(32, 8)), all.slice(0, 3), 900)
        return [put('1', archiveOf(all.slice(0, 3))), put('x', [forged, ...all.slice(3)])]
      },
      "marker's HMAC does not hold",
    ],
  ]
  it.each(bad)('is refused, and leaves nothing behind, when %s', async (_, sources, message) => {
    const files = sources()
    await expect(take(files)).rejects.toThrow(message)
    expect(readdirSync(folder).filter(n => n.startsWith('audit.jsonl'))).toEqual([])
  })

  it('never goes into a log that is there', async () => {
    await take([put('x', pythonRows(old, 3))])
    await expect(take([put('y', pythonRows(old, 3))])).rejects.toBeInstanceOf(ImportFault)
    expect(existsSync(to())).toBe(true)
  })
})
