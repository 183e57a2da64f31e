/** A process that appends rows and asks for each to be durable, 32 at a time, over a worker's connection. */

import { randomBytes } from 'node:crypto'
import { Socket } from 'node:net'
import type { AuditWriter, Row } from '../../src/core/row.ts'
import { uuidv7 } from '../../src/state/system.ts'
import { LINK_FD } from '../../src/workers/fd.ts'
import { Worker } from '../../src/workers/worker.ts'

const AT_ONCE = 32

/** Seconds that `count` rows took. */
export async function appendRows(audit: AuditWriter, count: number): Promise<number> {
  const began = performance.now()
  let left = count
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await audit.append(row()).durable()
    }),
  )
  return (performance.now() - began) / 1000
}

function row(): Row {
  return {
    entryId: uuidv7(Date.now(), randomBytes(10)),
    owner: { type: 'human', id: 'bench@example.com', approvalChain: [], authenticatedBy: 'asserted' },
    checkName: 'pipeline.complete',
    decision: 'allow',
    reason: 'request completed',
    fingerprint: `sha256:${'ab'.repeat(32)}`,
    metadata: {
      _stage: 'record',
      _exchange_id: '0193f1a0-0000-7000-8000-000000000000',
      _policy_digest: 'cd'.repeat(32),
      _surface: 'chat',
      _model: 'bench',
      _response_sha256: 'ef'.repeat(32),
      response_bytes: 1234,
    },
  }
}

if (process.argv[1] === import.meta.filename) {
  const worker = new Worker(new Socket({ fd: LINK_FD, readable: true, writable: true }), {
    onOver: () => process.exit(1),
  })
  worker.listening({})
  await worker.begun
  await appendRows(worker.ground.audit, Number(process.argv[2]))
  await worker.ground.audit.close()
  await worker.finish()
  process.exit(0)
}
