/**
 * Against the Python implementation itself, `signet-sign` 0.1.10.1. Needs Python 3 with `venv`; the package comes from the
 * registry unless the interpreter that SIGNET_PYTHON names has it (pip install signet-sign==0.1.10.1).
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Key, KeyRing } from '../keys/ring.ts'
import { importLog } from './import.ts'
import { openAuditLog } from './open.ts'
import { readRows } from './read.ts'
import { testRow } from './testing/rows.test-support.ts'
import { verifyLog } from './verify.ts'

const PACKAGE = 'signet-sign==0.1.10.1'
const old = new Key('py', Buffer.alloc(32, 3))
const ring = new KeyRing(new Key('k1', Buffer.alloc(32, 4)), [old])
let folder: string
let interpreter: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-sign-'))
  interpreter = process.env['SIGNET_PYTHON'] ?? join(folder, 'venv', 'bin', 'python')
  if (process.env['SIGNET_PYTHON'] !== undefined) return
  const made = spawnSync('python3', ['-m', 'venv', join(folder, 'venv')], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error('python3 -m venv does not work (Debian: apt-get install python3-venv)')
  const installed = spawnSync(interpreter, ['-m', 'pip', 'install', '-q', PACKAGE], { encoding: 'utf8' })
  if (installed.status !== 0) throw new Error(`pip install ${PACKAGE}: ${installed.stderr}`)
}, 300_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function python(script: string, ...args: string[]): string {
  const run = spawnSync(interpreter, ['-c', script, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (run.status !== 0) throw new Error(run.stderr)
  return run.stdout.trim()
}

/** Rows, then a compaction of the older ones, then more rows. */
const WRITE = `
import sys
from datetime import datetime, timezone
from pathlib import Path
from signet.audit.backend import JsonlBackend
from signet.audit.chain import HmacChain
from signet.audit.keyring import Key, KeyRing
from signet.audit import compact_audit_log
from signet.core.audit import AuditEntry, Decision
from signet.core.owner import Owner, OwnerType
folder = Path(sys.argv[1])
ring = KeyRing(active=Key('py', bytes([3]) * 32))
backend = JsonlBackend(folder / 'theirs.jsonl')
chain = HmacChain(backend, ring)
def entry(i):
    return AuditEntry(owner=Owner(owner_type=OwnerType.HUMAN, owner_id='alice', approval_chain=('human:bob',)),
        check_name='pipeline.complete', decision=Decision.ALLOW, reason='request completed',
        metadata={'score': i / 4, 'big': 1e16, 'text': 'caf\\u00e9', 'nested': {'\\uffee': 1, '\\U0001f600': 2}},
        ts_ns=1747000000000000000 + i * 10**9)
for i in range(60): chain.append(entry(i))
if sys.argv[2] == 'compact':
    cutoff = datetime.fromtimestamp(1747000030, tz=timezone.utc)
    result = compact_audit_log(chain=chain, backend=backend, before=cutoff, output=folder / 'theirs.archive')
    assert result is not None
    for i in range(60, 80): chain.append(entry(i))
print('ok')
`

const VERIFY = `
import sys
from signet.audit.backend import JsonlBackend
from signet.audit.keyring import Key, KeyRing
from signet.audit import ChainVerifier
ring = KeyRing(keys=[Key('py', bytes([3]) * 32), Key('k1', bytes([4]) * 32)], active_id='k1')
report = ChainVerifier(JsonlBackend(sys.argv[1]), ring).verify()
print(report.ok, report.total_entries, [str(b) for b in report.breaks])
`

describe('signet-sign', () => {
  it.each(['plain', 'compact'])('(%s) is imported whole, and verifies what the new log holds', async kind => {
    const from = mkdtempSync(join(folder, `${kind}-`))
    expect(python(WRITE, from, kind)).toBe('ok')
    const sources = kind === 'compact' ? ['theirs.archive', 'theirs.jsonl'] : ['theirs.jsonl']
    const to = join(from, 'audit.jsonl')
    const rows = kind === 'compact' ? 80 : 60
    const done = await importLog({
      sources: sources.map(s => join(from, s)),
      to,
      ring,
      segmentBytes: 8000,
      nowMs: Date.now,
    })
    expect(done).toMatchObject({ equal: true, markers: kind === 'compact' ? 1 : 0, source: { rows } })
    const log = await openAuditLog({ path: to, ring, roll: { bytes: 8000 } })
    for (let i = 0; i < 20; i++) await log.append(testRow(i)).durable()
    await log.close()
    expect(await verifyLog(to, ring)).toMatchObject({ ok: true, total_entries: rows + 21 })
    let whole = ''
    for await (const read of readRows(to)) if (read.kind === 'row') whole += `${read.text}\n`
    const one = join(from, 'one.jsonl')
    writeFileSync(one, whole)
    expect(python(VERIFY, one)).toBe(`True ${rows + 21} []`)
  })
})
