/** Erasure: a person's key is destroyed while a gate runs; the log forgets the person, and everything still verifies. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { erasePerson, pendingErasures } from '../../src/audit/erasures.ts'
import { openIndex, updateIndex } from '../../src/audit/index-db.ts'
import { openAuditLog } from '../../src/audit/open.ts'
import { readRows } from '../../src/audit/read.ts'
import { SealingFolder } from '../../src/audit/seal.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { run } from '../../src/cli/main.ts'
import type { Row } from '../../src/core/row.ts'
import { Key } from '../../src/keys/ring.ts'
import { ring, row, SECRET } from './sound.ts'

const SEALING_HEX = 'ab'.repeat(32)
const key = Key.fromHex('sealing', SEALING_HEX)
let root: string
let path: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'signet-erase-'))
  path = join(root, 'audit.jsonl')
  writeFileSync(join(root, 'sealing.key'), SEALING_HEX, { mode: 0o600 })
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

async function signet(...args: string[]) {
  let out = ''
  let error = ''
  const code = await run(args, {
    out: { write: (t: string) => (out += t) },
    error: { write: (t: string) => (error += t) },
    environment: {
      SIGNET_AUDIT_SEALING_KEY_FILE: join(root, 'sealing.key'),
      SIGNET_HMAC_SECRET: Buffer.from(SECRET).toString('hex'),
    },
    folder: root,
    now: Date.now,
    input: async () => Buffer.alloc(0),
    asked: async () => 'SIGTERM',
  })
  return { code, out, error }
}

/** Alice everywhere that a row has room for her. */
function of(i: number, name: string): Row {
  return {
    ...row(i),
    owner: {
      type: 'human',
      id: `${name}@example.com`,
      approvalChain: [`human:boss-of-${name}`],
      authenticatedBy: 'jwt',
    },
    reason: `the request of ${name}@example.com was refused`,
    metadata: {
      _stage: 'record',
      _exchange_id: `exchange-${i}`,
      _peer: `10.1.2.${name.length}`,
      _session: `chat-of-${name}`,
      _model: `tuned-for-${name}@example.com`,
      owners: [`human:${name}@example.com`, 'nobody'],
      nested: { who: `${name}@example.com`, n: 3 },
      [`${name}@example.com`]: 'as a key',
    },
  }
}

function everyByte(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(e => e.isFile())
    .map(e => readFileSync(join(e.parentPath, e.name), 'latin1'))
    .join('\n')
}

const keyIdsIn = async () => {
  const ids: string[] = []
  for await (const read of readRows(path)) if (read.kind === 'row') ids.push(read.row.ownerId.split(':')[2] ?? '')
  return ids
}

describe('a person in a sealed log', () => {
  it('is in no byte of log, segments, index or sealing folder, and is shown to whoever has the key', async () => {
    const log = await openAuditLog({
      path,
      ring,
      sealer: new SealingFolder(`${path}.owners`, key),
      roll: { bytes: 4000 },
    })
    for (let i = 0; i < 6; i++) await log.append(of(i, i % 2 === 0 ? 'alice' : 'carol')).durable()
    await log.close()
    const db = openIndex(path)
    await updateIndex(db, path)
    db.close()
    rmSync(join(root, 'sealing.key'))
    for (const secret of ['alice', 'carol', '10.1.2.5', 'chat-of']) expect(everyByte(root)).not.toContain(secret)
    writeFileSync(join(root, 'sealing.key'), SEALING_HEX, { mode: 0o600 })
    for (const name of readdirSync(`${path}.owners/keys`)) {
      expect(statSync(join(`${path}.owners/keys`, name)).mode & 0o777).toBe(0o600)
    }
    const { out } = await signet('audit', 'tail')
    expect(out).toContain('human:alice@example.com')
    const shown = await signet('audit', 'show', 'exchange-0')
    expect(shown.out).toContain('"_peer": "10.1.2.5"')
    expect(shown.out).toContain('human:boss-of-alice')
    expect(shown.error).toContain('hmac: holds')
    const counted = await signet('audit', 'count', '--by', 'owner', '--json')
    expect(JSON.parse(counted.out).counts).toEqual({ 'human:alice@example.com': 3, 'human:carol@example.com': 3 })
    const filtered = await signet('audit', 'tail', '--filter', 'owner=human:carol@example.com')
    expect(filtered.out.match(/human:carol/g)).toHaveLength(3)
    expect(filtered.out).not.toContain('alice')
  })

  it('is erased while a gate runs: a row says so, later rows have a new key, everything verifies', async () => {
    const log = await openAuditLog({ path, ring, sealer: new SealingFolder(`${path}.owners`, key) })
    await log.append(of(0, 'alice')).durable()
    await log.append(of(1, 'carol')).durable()
    const before = await verifyLog(path, ring)
    const erased = await signet('audit', 'erase', '--owner', 'human:alice@example.com', '--json')
    expect(erased.code).toBe(0)
    const { key_id, recorded } = JSON.parse(erased.out)
    expect(recorded).toBe(true)
    // The gate has alice's key in memory, and must not use it again.
    await log.append(of(2, 'alice')).durable()
    await log.close()
    const [first, carol, record, again] = await keyIdsIn()
    expect(first).toBe(key_id)
    expect(record).toBe('')
    expect(new Set([first, carol, again]).size).toBe(3)
    const rows = readFileSync(path, 'utf8').split('\n')
    expect(JSON.parse(rows[2] ?? '').metadata).toMatchObject({ _check_name: 'audit.erased', key_id })
    expect(everyByte(join(root, 'audit.jsonl.owners'))).not.toContain(key_id)
    const after = await verifyLog(path, ring)
    expect(after).toMatchObject({ ok: true, total_entries: 4 })
    expect(after.last_known_good_index).toBe(before.last_known_good_index + 2)
    const tail = await signet('audit', 'tail')
    expect(tail.out.split('\n')[1]).toContain('human:[erased]')
    expect(tail.out.split('\n')[2]).toContain('human:carol@example.com')
    expect(tail.out.split('\n')[4]).toContain('human:alice@example.com')
    expect((await signet('audit', 'show', 'exchange-0')).error).toContain('its owner was erased')
    const counted = await signet('audit', 'count', '--by', 'owner', '--json')
    expect(JSON.parse(counted.out).counts[`[erased] ${key_id}`]).toBe(1)
  })

  it('is erased without a gate by the command itself, once', async () => {
    const log = await openAuditLog({ path, ring, sealer: new SealingFolder(`${path}.owners`, key) })
    await log.append(of(0, 'alice')).durable()
    await log.close()
    expect((await signet('audit', 'erase', '--owner', 'human:alice@example.com')).out).toContain('a row says so')
    expect((await signet('audit', 'erase', '--owner', 'human:alice@example.com')).code).toBe(1)
    expect((await signet('audit', 'erase', '--owner', 'alice')).code).toBe(2)
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 2 })
  })

  it('whose erasure was interrupted before its row has the row after the next start', async () => {
    const sealing = new SealingFolder(`${path}.owners`, key)
    const log = await openAuditLog({ path, ring, sealer: sealing })
    await log.append(of(0, 'alice')).durable()
    await log.close()
    erasePerson(sealing, 'human:alice@example.com', 1n)
    expect(pendingErasures(sealing)).toHaveLength(1)
    const next = await openAuditLog({ path, ring, sealer: sealing })
    while (pendingErasures(sealing).length > 0) await new Promise(resolve => setImmediate(resolve))
    await next.close()
    expect(readFileSync(path, 'utf8')).toContain('audit.erased')
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 2 })
  })

  it('cannot be read with another sealing key, and nobody is sealed under a mixture of keys', async () => {
    const log = await openAuditLog({ path, ring, sealer: new SealingFolder(`${path}.owners`, key) })
    await log.append(of(0, 'alice')).durable()
    await log.close()
    const other = new SealingFolder(`${path}.owners`, new Key('sealing', Buffer.alloc(32, 1)))
    const stored = JSON.parse(readFileSync(path, 'utf8').split('\n')[0] ?? '')
    expect(other.open(stored.owner_id, stored.entry_id, 'owner_id')).toEqual({ kind: 'invalid' })
    expect(other.personOf(stored.owner_id.split(':')[2])).toBeUndefined()
  })
})

describe('an export', () => {
  it('is the stored rows as JSON lines, and CSV without formulas', async () => {
    const log = await openAuditLog({ path, ring })
    for (const [i, text] of [
      '=1+1',
      '+1',
      '-1',
      '@SUM(A1)',
      '\t=1',
      '"quoted", with comma',
      'plain',
      ' =2',
      '＝3',
    ].entries()) {
      await log.append({ ...row(i), reason: text }).durable()
    }
    await log.close()
    expect((await signet('audit', 'export', '--out', 'all.jsonl')).code).toBe(0)
    expect(readFileSync(join(root, 'all.jsonl'))).toEqual(readFileSync(path))
    expect(statSync(join(root, 'all.jsonl')).mode & 0o777).toBe(0o600)
    expect((await signet('audit', 'export', '--out', 'all.jsonl')).code).toBe(2)
    await signet('audit', 'export', '--format', 'csv', '--out', 'all.csv')
    const csv = readFileSync(join(root, 'all.csv'), 'utf8').split('\r\n')
    expect(csv[0]).toMatch(/^row,time,ts_ns,entry_id/)
    expect(csv).toHaveLength(11)
    const reasons = csv.slice(1, -1).map(line => /alice@example\.com,human:bob,(.*?),sha256:/.exec(line)?.[1])
    expect(reasons).toEqual([
      `"'=1+1"`,
      `"'+1"`,
      `"'-1"`,
      `"'@SUM(A1)"`,
      `"'\t=1"`,
      '"""quoted"", with comma"',
      'plain',
      `"' =2"`,
      `"'＝3"`,
    ])
    await signet('audit', 'export', '--filter', 'decision=block', '--out', 'none.jsonl')
    expect(readFileSync(join(root, 'none.jsonl'), 'utf8')).toBe('')
  })
})
