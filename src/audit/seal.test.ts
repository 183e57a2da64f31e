import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AuditUnavailable } from '../core/row.ts'
import { Key } from '../keys/ring.ts'
import { openAuditLog } from './open.ts'
import { readRows } from './read.ts'
import { SealingFolder } from './seal.ts'
import { testRing, testRow } from './testing/rows.test-support.ts'
import { verifyLog } from './verify.ts'

const ring = testRing()
const index = new Key('sealing', Buffer.alloc(32, 5))
let folder: string
let sealer: SealingFolder
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-seal-'))
  sealer = new SealingFolder(join(folder, 'people'), index)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function rows(path: string) {
  const found = []
  for await (const read of readRows(path)) if (read.kind === 'row') found.push(read.row)
  return found
}

describe('sealed owners', () => {
  it('are in no byte of the log, open with their key, and verify without it', async () => {
    const path = join(folder, 'audit.jsonl')
    const log = await openAuditLog({ path, ring, sealer })
    for (let i = 0; i < 3; i++) await log.append(testRow(i)).durable()
    await log
      .append({ ...testRow(3), owner: { type: 'unresolved', id: '', approvalChain: [], authenticatedBy: '' } })
      .durable()
    await log.close()
    const text = readFileSync(path, 'utf8')
    expect(text).not.toContain('alice')
    expect(text).not.toContain('bob')
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 4 })
    const [first, second, , last] = await rows(path)
    if (first === undefined || second === undefined) throw new Error('rows expected')
    expect(first.ownerId).toMatch(/^sealed:v1:[0-9a-f]{32}:[A-Za-z0-9+/=]+$/)
    expect(first.ownerId).not.toBe(second.ownerId)
    expect(first.ownerId.split(':')[2]).toBe(second.ownerId.split(':')[2])
    expect(last?.ownerId).toBe('')
    const again = new SealingFolder(join(folder, 'people'), index)
    expect(again.open(first.ownerId, first.entryId, 'owner_id')).toEqual({ kind: 'open', text: 'alice@example.com' })
    expect(again.open(first.approvalChain[0] ?? '', first.entryId, 'approval_chain/0')).toEqual({
      kind: 'open',
      text: 'human:bob',
    })
    // A sealed value belongs to its row and field.
    expect(again.open(first.ownerId, second.entryId, 'owner_id')).toEqual({ kind: 'invalid' })
    expect(again.open(first.ownerId, first.entryId, 'approval_chain/0')).toEqual({ kind: 'invalid' })
  })

  it('are gone when their key is destroyed, alone', async () => {
    const alice = sealer.seal('human:alice', 'alice', 'e1', 'owner_id')
    const bob = sealer.seal('human:bob', 'bob', 'e1', 'owner_id')
    expect(sealer.erase('human:alice')).toBe(alice.split(':')[2])
    expect(sealer.erase('human:alice')).toBeUndefined()
    expect(sealer.open(alice, 'e1', 'owner_id')).toEqual({ kind: 'erased' })
    expect(sealer.open(bob, 'e1', 'owner_id')).toEqual({ kind: 'open', text: 'bob' })
    const anew = sealer.seal('human:alice', 'alice', 'e2', 'owner_id')
    expect(anew.split(':')[2]).not.toBe(alice.split(':')[2])
    expect(sealer.open(alice, 'e1', 'owner_id')).toEqual({ kind: 'erased' })
  })

  it('keep private files whose names say nothing', () => {
    sealer.seal('human:alice@example.com', 'alice', 'e', 'owner_id')
    for (const part of ['owners', 'keys']) {
      for (const file of readdirSync(join(folder, 'people', part))) {
        expect(file).toMatch(/^[0-9a-f]+$/)
        expect(statSync(join(folder, 'people', part, file)).mode & 0o777).toBe(0o600)
        expect(readFileSync(join(folder, 'people', part, file), 'utf8')).not.toContain('alice')
      }
    }
  })

  it.each(['', 'alice', 'sealed:v1:x:AAAA', `sealed:v1:${'0'.repeat(32)}:AAAA`, 'sealed:v1:../../etc/passwd:AAAA'])(
    'open nothing that is not theirs: %j',
    text => {
      expect(sealer.open(text, 'e', 'owner_id').kind).toBe(text.includes('00000') ? 'erased' : 'invalid')
    },
  )

  it('refuse the row, not the chain, when the key cannot be kept', async () => {
    const path = join(folder, 'audit.jsonl')
    const log = await openAuditLog({
      path,
      ring,
      sealer: {
        seal(person, text) {
          if (person === 'human:alice@example.com') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
          return text
        },
      },
    })
    await expect(log.append(testRow(1)).durable()).rejects.toBeInstanceOf(AuditUnavailable)
    await log
      .append({ ...testRow(2), owner: { type: 'policy', id: 'p', approvalChain: [], authenticatedBy: '' } })
      .durable()
    await log.close()
    expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 1 })
  })
})
