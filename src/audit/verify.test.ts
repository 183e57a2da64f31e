import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Key, KeyRing } from '../keys/ring.ts'
import { openAuditLog } from './open.ts'
import { findRow, type ReadRow, readRows, tailRows } from './read.ts'
import { headOf, SECRET, testRing, testRow } from './testing/rows.test-support.ts'
import { verifyLog } from './verify.ts'
import { verifyParallel } from './verify-parallel.ts'
import { Walk } from './walk.ts'

const ring = testRing()
const ROWS = 6
let folder: string
let log: Buffer
let head: Buffer
let lines: string[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'signet-verify-'))
  const path = join(folder, 'sound.jsonl')
  const writer = await openAuditLog({ path, ring, nowNs: () => 1_747_000_000_000_000_000n })
  for (let i = 0; i < ROWS; i++) await writer.append(testRow(i, { text: 'é\u2028\u{1F600}"\\\n' })).durable()
  await writer.close()
  log = readFileSync(path)
  head = readFileSync(`${path}.head`)
  lines = log.toString().split('\n').slice(0, -1)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let serial = 0
function put(bytes: Buffer | string, headBytes: Buffer | undefined = head): string {
  const path = join(folder, `case-${serial++}.jsonl`)
  writeFileSync(path, bytes)
  if (headBytes !== undefined) writeFileSync(`${path}.head`, headBytes)
  return path
}
const verify = (bytes: Buffer | string, headBytes?: Buffer) => verifyLog(put(bytes, headBytes ?? head), ring)
const kinds = (report: { breaks: readonly { kind: string; index: number }[] }) =>
  report.breaks.map(b => `${b.kind}@${b.index}`)
const withLines = (change: (l: string[]) => void) => {
  const copy = [...lines]
  change(copy)
  return `${copy.join('\n')}\n`
}
const line = (i: number) => lines[i] ?? ''

describe('a sound log', () => {
  it('verifies, with counts, the last good row and progress', async () => {
    const seen: [number, number][] = []
    const path = put(log)
    const report = await verifyLog(path, ring, {
      version: '1.2.3',
      now: () => new Date(0),
      onProgress: (done, total) => seen.push([done, total]),
    })
    expect(report).toEqual({
      ok: true,
      total_entries: ROWS,
      breaks: [],
      more_breaks: 0,
      last_known_good_index: ROWS - 1,
      last_known_good_hmac: JSON.parse(line(ROWS - 1)).hmac,
      head: 'checked',
      from: null,
      sections: {
        chain: {
          status: 'sound',
          text: `rows 0 to ${ROWS - 1}, 0 issues`,
          details: { first_row: 0, rows: ROWS, not_read: 0, issues: 0, last_hmac: JSON.parse(line(ROWS - 1)).hmac },
        },
        head: { status: 'sound', text: `it knows ${ROWS} rows`, details: { rows: ROWS, bytes: log.length } },
        segments: { status: 'absent', text: 'the log is one file', details: {} },
      },
      signet_version: '1.2.3',
      verified_at: '1970-01-01T00:00:00.000Z',
    })
    expect(seen.at(-1)).toEqual([log.length, log.length])
  })

  it('may be empty, and says so', async () => {
    const path = join(folder, 'empty.jsonl')
    writeFileSync(path, '')
    expect(await verifyLog(path, ring)).toMatchObject({
      ok: true,
      total_entries: 0,
      last_known_good_index: -1,
      last_known_good_hmac: '',
      head: 'absent',
    })
  })

  it('may go on after the head: those rows are checked by the chain', async () => {
    const before = log.subarray(0, log.lastIndexOf(0x0a, log.length - 2) + 1)
    const path = put(before)
    writeFileSync(`${path}.head`, headOf(before))
    appendFileSync(path, `${line(ROWS - 1)}\n`)
    expect((await verifyLog(path, ring)).ok).toBe(true)
  })

  it('is verified by rotated keys too', async () => {
    const path = join(folder, 'rotated.jsonl')
    const first = await openAuditLog({ path, ring })
    await first.append(testRow(1)).durable()
    await first.close()
    const now = Date.now()
    const later = KeyRing.dated([
      { key: new Key('k1', SECRET), notBefore: undefined, notAfter: undefined },
      { key: new Key('k2', Buffer.alloc(32, 9)), notBefore: now, notAfter: undefined },
    ])
    const second = await openAuditLog({ path, ring: later })
    await second.append(testRow(2)).durable()
    await second.close()
    expect((await verifyLog(path, later)).ok).toBe(true)
    const report = await verifyLog(path, ring, { head: 'ignore' })
    expect(kinds(report)).toEqual(['unknown_key@1'])
    expect(report.breaks[0]?.detail).toContain('"k2"')

    // The same rows, and a key that had ended, or had not begun, when it signed.
    for (const [one, two] of [
      [{ notAfter: now - 60_000 }, {}],
      [{}, { notBefore: now + 3_600_000 }],
    ]) {
      const wrong = KeyRing.dated([
        { key: new Key('k1', SECRET), notBefore: undefined, notAfter: undefined, ...one },
        { key: new Key('k2', Buffer.alloc(32, 9)), notBefore: now, notAfter: undefined, ...two },
      ])
      const refused = await verifyLog(path, wrong)
      expect(refused.ok).toBe(false)
      expect(kinds(refused)).toEqual([one?.notAfter === undefined ? 'key_not_valid@1' : 'key_not_valid@0'])
    }
  })

  it('verifies while a gate writes it', async () => {
    const path = join(folder, 'live.jsonl')
    const writer = await openAuditLog({ path, ring })
    const writing = (async () => {
      for (let i = 0; i < 300; i++) await writer.append(testRow(i, { text: 'x'.repeat(3000) })).durable()
    })()
    let seen = 0
    while (seen < 300) {
      const report = await verifyLog(path, ring)
      expect(report.breaks).toEqual([])
      seen = report.total_entries
    }
    await writing
    await writer.close()
  })

  it('throws only when it cannot be read', async () => {
    await expect(verifyLog(join(folder, 'none.jsonl'), ring)).rejects.toMatchObject({ code: 'log_unreadable' })
    const pipe = join(folder, 'pipe.jsonl')
    spawnSync('mkfifo', [pipe])
    await expect(verifyLog(pipe, ring)).rejects.toMatchObject({
      code: 'log_not_regular',
      message: expect.stringContaining(pipe),
    })
  })
})

describe('tampering', () => {
  it('of any one byte is found at its row', () => {
    for (let at = 0; at < log.length; at++) {
      const changed = Buffer.from(log)
      changed.writeUInt8(changed.readUInt8(at) ^ (1 + (at % 255)), at)
      const walk = new Walk(ring, { prevHmac: '', tsNs: undefined })
      const used = walk.lines(changed, changed.length)
      const row = log.subarray(0, at).toString('latin1').split('\n').length - 1
      const first = walk.report().breaks[0]?.index ?? (used < log.length ? ROWS - 1 : -1)
      // A changed newline joins two rows; everything else is the row's own fault.
      expect(first, `byte ${at}`).toBe(row)
    }
  })

  it('of a byte in the file is found', async () => {
    const path = put(log)
    for (let at = 0; at < log.length; at += 97) {
      const changed = Buffer.from(log)
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
      writeFileSync(path, changed)
      expect((await verifyLog(path, ring)).ok, `byte ${at}`).toBe(false)
    }
  })

  it('by cutting the file anywhere is found', async () => {
    const path = put(log)
    const from = log.length - line(ROWS - 1).length - line(ROWS - 2).length - 4
    for (let to = from; to < log.length; to++) {
      writeFileSync(path, log.subarray(0, to))
      const report = await verifyLog(path, ring)
      expect(report.breaks.map(b => b.kind)).toContain('log_truncated')
    }
    writeFileSync(path, '')
    expect(kinds(await verifyLog(path, ring))).toEqual(['log_truncated@0'])
  })

  it.each<[string, () => string | Buffer, string[]]>([
    [
      'an edited field',
      () => withLines(l => (l[2] = line(2).replace('request completed', 'request complete!'))),
      ['self_mismatch@2'],
    ],
    ['a flipped decision', () => withLines(l => (l[2] = line(2).replace('"allow"', '"block"'))), ['self_mismatch@2']],
    [
      'one byte of prev_hmac',
      () =>
        withLines(
          l => (l[2] = line(2).replace(/"prev_hmac":"./, m => `${m.slice(0, -1)}${m.endsWith('0') ? '1' : '0'}`)),
        ),
      ['link_mismatch@2'],
    ],
    ['a deleted row', () => withLines(l => l.splice(2, 1)), ['link_mismatch@2']],
    ['a repeated row', () => withLines(l => l.splice(2, 0, line(2))), ['link_mismatch@3', 'link_mismatch@3']],
    [
      'a swap',
      () => withLines(l => l.splice(2, 2, line(3), line(2))),
      ['link_mismatch@2', 'link_mismatch@3', 'link_mismatch@4'],
    ],
    [
      'a forged row',
      () => withLines(l => l.splice(2, 0, line(2).replace(/"hmac":"[0-9a-f]{64}"/, `"hmac":"${'0'.repeat(64)}"`))),
      ['self_mismatch@2', 'link_mismatch@3'],
    ],
    ['a byte order mark', () => `\ufeff${log}`, ['malformed_line@0']],
    ['a carriage return', () => withLines(l => (l[2] = `${line(2)}\r`)), ['not_canonical@2']],
    ['an empty line', () => withLines(l => l.splice(2, 0, '')), ['malformed_line@2']],
    [
      'invalid UTF-8',
      () => Buffer.concat([Buffer.from(`${line(0)}\n`), Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from(`${line(1)}\n`)]),
      ['malformed_line@1'],
    ],
    ['an unknown field', () => withLines(l => (l[2] = line(2).replace(/}$/, ',"zz":1}'))), ['unknown_field@2']],
    [
      'a repeated field',
      () => withLines(l => (l[2] = line(2).replace('"reason":', '"reason":"x","reason":'))),
      ['duplicate_key@2'],
    ],
    [
      'a repeated metadata key',
      () => withLines(l => (l[2] = line(2).replace('"_stage":', '"_stage":"x","_stage":'))),
      ['duplicate_key@2'],
    ],
    ['a space', () => withLines(l => (l[2] = line(2).replace(':[', ': ['))), ['not_canonical@2']],
    [
      'another escape',
      () => withLines(l => (l[2] = line(2).replace('request completed', 'request\\u0020completed'))),
      ['not_canonical@2'],
    ],
    ['upper-case escapes', () => withLines(l => (l[2] = line(2).replace('\\"', '\\u0022'))), ['not_canonical@2']],
    [
      'other key order',
      () =>
        withLines(l => (l[2] = line(2).replace(/^\{("approval_chain":\[[^\]]*\]),("check_name":"[^"]*")/, '{$2,$1'))),
      ['not_canonical@2'],
    ],
    ['text instead of a row', () => withLines(l => (l[2] = 'half a ro')), ['malformed_line@2']],
    ['a list instead of a row', () => withLines(l => (l[2] = '[]')), ['malformed_line@2']],
    [
      'a row without a key id',
      () => withLines(l => (l[2] = line(2).replace('"_signing_key_id":"k1",', ''))),
      ['missing_key_id@2'],
    ],
    [
      'a key id that is no string',
      () => withLines(l => (l[2] = line(2).replace('"_signing_key_id":"k1"', '"_signing_key_id":["k1"]'))),
      ['missing_key_id@2'],
    ],
    ...['NaN', 'Infinity', '-Infinity'].map((n): [string, () => string, string[]] => [
      `the constant ${n} in metadata`,
      () => withLines(l => (l[2] = line(2).replace('"_stage":', `"_n":${n},"_stage":`))),
      ['malformed_line@2'],
    ]),
    ...['{"k1":1}', '1', 'null', 'true', '""'].map((id): [string, () => string, string[]] => [
      `the key id ${id}`,
      () => withLines(l => (l[2] = line(2).replace('"_signing_key_id":"k1"', `"_signing_key_id":${id}`))),
      ['missing_key_id@2'],
    ]),
  ])('%s', async (name, make, expected) => {
    // Not the tail but the row is under test: rows beyond the head would be its business.
    const report = await verifyLog(put(make()), ring, { head: 'ignore' })
    expect(report.ok).toBe(false)
    if (name === 'a repeated row') expect(kinds(report)[0]).toBe('link_mismatch@3')
    else if (name === 'a key id that is no string') expect(kinds(report)).toEqual(['missing_key_id@2'])
    else expect(kinds(report)).toEqual(expected)
    expect(report.breaks[0]?.line).toBe((report.breaks[0]?.index ?? 0) + 1)
    expect((await verifyLog(put(make()), ring)).ok).toBe(false)
  })

  it('with fields of wrong types is malformed, never a throw', async () => {
    const row = JSON.parse(line(2))
    const wrong: Record<string, unknown[]> = {
      entry_id: [null, 1, ['x']],
      ts_ns: ['1', true, -1, 1.5, null],
      owner_type: ['robot', 1],
      owner_id: [null],
      approval_chain: ['x', [1], null],
      check_name: [{}],
      decision: ['maybe', null],
      reason: [1],
      request_fingerprint: [null],
      metadata: [[], 'x', null],
      prev_hmac: ['abc', null, 'A'.repeat(64)],
      hmac: [null, 42, true, 'F'.repeat(64), 'a'.repeat(63)],
    }
    for (const [field, values] of Object.entries(wrong)) {
      for (const value of values) {
        const report = await verifyLog(put(withLines(l => (l[2] = JSON.stringify({ ...row, [field]: value })))), ring, {
          head: 'ignore',
        })
        expect(kinds(report)).toEqual(['malformed_line@2'])
      }
      const { [field]: _gone, ...rest } = row
      const report = await verifyLog(put(withLines(l => (l[2] = JSON.stringify(rest)))), ring, { head: 'ignore' })
      expect(kinds(report)).toEqual(['malformed_line@2'])
    }
    const huge = line(2).replace(/"ts_ns":\d+/, `"ts_ns":${10n ** 20n}`)
    expect(kinds(await verifyLog(put(withLines(l => (l[2] = huge))), ring, { head: 'ignore' }))).toEqual([
      'malformed_line@2',
    ])
  })

  it('with the head file is found', async () => {
    const path = put(log)
    rmSync(`${path}.head`)
    expect(kinds(await verifyLog(path, ring))).toEqual([`head_mismatch@${ROWS}`])
    expect((await verifyLog(path, ring, { head: 'ignore' })).head).toBe('ignored')
    for (const at of [16, 30, 200, 512 + 16, 1023]) {
      const changed = Buffer.from(head)
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
      expect((await verify(log, changed)).ok, `byte ${at}`).toBe(false)
    }
    expect((await verify(log, Buffer.concat([head, head]))).ok).toBe(false)
    const other = new KeyRing(new Key('k9', Buffer.alloc(32, 9)), [new Key('k1', SECRET)])
    expect((await verifyLog(put(log), other)).ok).toBe(true)
    expect(kinds(await verifyLog(put(log), new KeyRing(new Key('k1', Buffer.alloc(32, 9)))))[0]).toBe('self_mismatch@0')
  })

  it('by a key holder who rewrote a row in the middle breaks the link after it', async () => {
    const path = join(folder, 'rewritten.jsonl')
    const writer = await openAuditLog({ path, ring, nowNs: () => 1n })
    await writer.append(testRow(99)).durable()
    await writer.close()
    const report = await verifyLog(put(withLines(l => (l[0] = readFileSync(path, 'utf8').trim()))), ring)
    expect(kinds(report)).toContain('link_mismatch@1')
  })

  it('lists a bounded number of breaks', async () => {
    const many = `${'garbage\n'.repeat(5000)}`
    const report = await verifyLog(put(many, Buffer.alloc(0)), ring)
    expect(report.breaks).toHaveLength(1000)
    expect(report.more_breaks).toBe(4000)
    expect(report.total_entries).toBe(5000)
  })
})

describe('parallel verification', () => {
  it('reports what the sequential one reports, wherever the file is cut', async () => {
    const cases = [
      withLines(l => (l[3] = line(3).replace('request completed', 'x'))),
      withLines(l => l.splice(2, 2, line(3), line(2))),
      `${withLines(l => (l[4] = 'garbage'))}torn`,
    ]
    for (const bytes of cases) {
      const path = put(bytes)
      const { verified_at: _a, ...one } = await verifyLog(path, ring)
      for (const threads of [2, 3]) {
        const { verified_at: _b, ...many } = await verifyParallel(path, ring, { threads, unit: 2000 })
        expect(many).toEqual(one)
      }
    }
  })
})

describe('reading', () => {
  const idOf = (r: ReadRow) => (r.kind === 'row' ? r.row.entryId.slice(-1) : r.kind)

  it('gives rows in order, the tail from the end, and one by id', async () => {
    const path = put(withLines(l => l.splice(3, 0, 'garbage')))
    const all = []
    for await (const read of readRows(path)) all.push(read)
    expect(all.map(r => (r.kind === 'malformed' ? `${r.fault.kind} at ${r.line}` : idOf(r)))).toEqual([
      '0',
      '1',
      '2',
      'malformed_line at 4',
      '3',
      '4',
      '5',
    ])
    const tail = await tailRows(path, 4)
    expect(tail.map(r => (r.kind === 'malformed' ? r.fault.kind : idOf(r)))).toEqual(['malformed_line', '3', '4', '5'])
    expect(await tailRows(path, 100)).toHaveLength(7)
    expect(await tailRows(path, 0)).toEqual([])
    expect((await findRow(path, testRow(4).entryId))?.metadata.get('_exchange_id')).toBe('exchange-4')
    expect(await findRow(path, 'exchange-4')).toBeUndefined()
  })

  it('crosses its own chunk sizes', async () => {
    const long = Array.from({ length: 900 }, (_, i) => line(i % ROWS))
    const path = put(`${long.join('\n')}\n`)
    let n = 0
    for await (const read of readRows(path)) if (read.kind === 'row') n++
    expect(n).toBe(900)
    const tail = await tailRows(path, 800)
    expect(tail).toHaveLength(800)
    expect(tail.every(r => r.kind === 'row')).toBe(true)
  })
})
