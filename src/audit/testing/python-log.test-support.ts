/** Logs as the Python implementation writes them: no salt, no head file, floats, and compaction's archives and markers. */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { Key } from '../../keys/ring.ts'
import { canonical, Float, type Json } from '../canonical.ts'

export interface PythonRow {
  readonly line: string
  readonly hmac: string
}

export function pythonRows(key: Key, n: number, first = 0, prev = ''): PythonRow[] {
  const rows: PythonRow[] = []
  for (let i = first; i < first + n; i++) {
    rows.push(
      pythonRow(key, rows.at(-1)?.hmac ?? prev, i, 'pipeline.complete', [
        ['score', new Float(i / 4)],
        ['text', 'a\u2028b\u0085c é'],
      ]),
    )
  }
  return rows
}

export function pythonRow(
  key: Key,
  prev: string,
  i: number,
  checkName: string,
  metadata: readonly (readonly [string, Json])[],
): PythonRow {
  const fields: [string, Json][] = [
    ['approval_chain', ['human:bob']],
    ['check_name', checkName],
    ['decision', 'allow'],
    ['entry_id', `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`],
    [
      'metadata',
      new Map<string, Json>([...metadata, ['_anchor', new Map([['backend', 'noop']])], ['_signing_key_id', key.id]]),
    ],
    ['owner_id', 'alice'],
    ['owner_type', 'human'],
    ['prev_hmac', prev],
    ['reason', 'request completed'],
    ['request_fingerprint', ''],
    // Its clocks may go back.
    ['ts_ns', 1_747_000_000_000_000_000n - BigInt(i)],
  ]
  const hmac = key.mac(Buffer.from(canonical(new Map(fields))))
  return { line: canonical(new Map<string, Json>([...fields, ['hmac', hmac]])), hmac }
}

export function merkleRoot(rows: readonly PythonRow[]): string {
  let level: Buffer[] = leaves(rows).map(l => Buffer.from(l, 'hex'))
  while (level.length > 1) {
    const next: Buffer[] = []
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] ?? Buffer.alloc(0)
      next.push(
        createHash('sha256')
          .update(Buffer.concat([left, level[i + 1] ?? left]))
          .digest(),
      )
    }
    level = next
  }
  return level[0]?.toString('hex') ?? ''
}

const leaves = (rows: readonly PythonRow[]) => rows.map(r => createHash('sha256').update(r.hmac).digest('hex'))

export function archiveOf(rows: readonly PythonRow[]): Buffer {
  const u32 = (n: number) => {
    const b = Buffer.alloc(4)
    b.writeUInt32BE(n)
    return b
  }
  const root = merkleRoot(rows)
  const header = {
    archive_format_version: 1,
    entry_count: rows.length,
    merkle_root: root,
    range_end: '',
    range_start: '',
  }
  return Buffer.concat([
    Buffer.from(`SIGNET-ARCHIVE-V1\n${JSON.stringify(header)}\nMERKLE-START\nMERKLE-V1\n`),
    u32(rows.length),
    u32(64),
    Buffer.from(leaves(rows).join('')),
    u32(64),
    Buffer.from(`${root}\nMERKLE-END\nENTRIES-START\n`),
    gzipSync(Buffer.from(rows.map(r => `${r.line}\n`).join(''))),
    Buffer.from('\nENTRIES-END\n'),
  ])
}

/** The row that compaction puts before what it kept. */
export function markerOf(key: Key, rows: readonly PythonRow[], i: number): PythonRow {
  return pythonRow(key, rows.at(-1)?.hmac ?? '', i, '_compaction', [
    [
      '_compaction_marker',
      new Map<string, Json>([
        ['_marker_signature', 'ab'.repeat(32)],
        ['compacted_count', BigInt(rows.length)],
        ['merkle_root', merkleRoot(rows)],
      ]),
    ],
  ])
}
