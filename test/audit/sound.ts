/** The sound logs that tampering starts from. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openAuditLog } from '../../src/audit/open.ts'
import { packFile } from '../../src/audit/segments/packed.ts'
import type { Packer } from '../../src/audit/segments/packer.ts'
import type { Row } from '../../src/core/row.ts'
import { Key, KeyRing } from '../../src/keys/ring.ts'

export const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i)
export const OTHER_SECRET = Buffer.alloc(32, 7)
export const ring = new KeyRing(new Key('k1', SECRET))

export function row(i: number): Row {
  return {
    entryId: `0193f1a0-0000-7000-8000-${String(i).padStart(12, '0')}`,
    owner: { type: 'human', id: 'alice@example.com', approvalChain: ['human:bob'], authenticatedBy: 'jwt' },
    checkName: 'pipeline.complete',
    decision: 'allow',
    reason: 'request completed',
    fingerprint: `sha256:${'ab'.repeat(32)}`,
    metadata: { _stage: 'record', _exchange_id: `exchange-${i}`, count: 3, text: 'é\u2028\u{1F600}"\\\n' },
  }
}

/** In this thread: the folder is complete when the log is closed. */
function packerInto(folder: string): Packer {
  return {
    pack: async (from, name) => packFile(from, join(folder, name)),
    has: () => true,
    close: async () => undefined,
  }
}

/** `rollAt`: bytes; a log that rolls so has several segments and a live file. */
export async function soundLog(
  folder: string,
  rows: number,
  options: { readonly first?: number; readonly rollAt?: number } = {},
): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'audit.jsonl')
  const first = options.first ?? 0
  let packed = 0
  let rolled = 0
  const log = await openAuditLog({
    path,
    ring,
    nowNs: () => 1_747_000_000_000_000_000n + BigInt(first),
    roll: { bytes: options.rollAt ?? Number.POSITIVE_INFINITY },
    packer: packerInto(folder),
    onSegment: ok => {
      if (ok) packed++
    },
  })
  for (let i = 0; i < rows; i++) {
    await log.append(row(first + i)).durable()
    if (options.rollAt !== undefined) rolled = Math.max(rolled, packed)
  }
  while (packed < rolled) await new Promise(resolve => setImmediate(resolve))
  await log.close()
  return path
}
