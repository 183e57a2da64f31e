/**
 * A thousand callers who take the head of a stream and then stop reading, in a process of its own so that its memory is
 * its own: `node --expose-gc stalled-child.ts <callers>`. Prints one JSON line of what was measured.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openAuditLog } from '../../src/audit/open.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { DIALECTS } from '../../src/dialects/registry.ts'
import { startGate } from '../../src/gate/start.ts'
import { assertedIdentity } from '../../src/identity/asserted.ts'
import { SigningKey } from '../../src/keys/signing.ts'
import { startDemoUpstream } from '../../src/upstream/demo/server.ts'
import { createUpstream } from '../../src/upstream/pool.ts'
import { DEMO_REGISTRY, RING, scenario } from '../support/gate.ts'
import { RowWatch } from './support.ts'

if (process.argv[2] === 'others') {
  const demo = await startDemoUpstream()
  const sockets: Socket[] = []
  process.on('message', async (m: { port: number; bytes: string; callers: number }) => {
    if (m.callers === 0) for (const socket of sockets) socket.destroy()
    else sockets.push(...(await Promise.all(Array.from({ length: m.callers }, () => stall(m.port, m.bytes)))))
    process.send?.('done')
  })
  process.once('disconnect', () => process.exit(0))
  process.send?.(demo.url)
} else await measure(Number(process.argv[2]))

async function measure(callers: number): Promise<void> {
  // The model and the callers live in another process: what is measured here is the gate alone.
  const others = fork(fileURLToPath(import.meta.url), ['others'])
  const [url] = (await once(others, 'message')) as [string]
  const folder = mkdtempSync(join(tmpdir(), 'signet-stalled-'))
  const path = join(folder, 'audit.jsonl')
  const watch = new RowWatch()
  const running = await startGate({
    // No content check: a gigabyte of filler would be read for nothing. The inspector of calls makes frames be kept.
    checks: [new OwnerResolutionCheck(), new ToolCallInspectorCheck({ registry: DEMO_REGISTRY })],
    dialects: DIALECTS,
    identity: assertedIdentity(),
    receipts: { signer: SigningKey.generate(), issuer: 'signet-test' },
    audit: watch.wrap(await openAuditLog({ path, ring: RING })),
    upstream: createUpstream({ url, connections: callers }),
    port: 0,
    settings: { maxHeldBytesTotal: 64 * 1024 * 1024 },
    version: '0.0.0-stalled',
  })
  // Without end: a gigabyte per caller, if anybody took it.
  const body = JSON.stringify(scenario({ kind: 'huge', bytes: 2 ** 30 }, { stream: true }))
  const bytes = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Commit-Owner: human:alice@example.com\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  const tell = async (some: number) => {
    const told = once(others, 'message')
    others.send({ port: running.port, bytes, callers: some })
    await told
  }
  // One caller first, so that what is made once is not counted.
  await tell(1)
  const before = await settledMemory()
  for (let i = 1; i < callers; i += 50) await tell(Math.min(50, callers - i))
  const all = await settledMemory()
  // Held still: nothing may go on growing.
  const later = await settledMemory()
  const { active, heldBytes } = running.gate.load

  const left = Promise.all(
    Array.from({ length: callers }, (_, i) => i).map(async i => {
      let seen = 0
      await watch.row(r => r.metadata['_code'] === 'client_disconnect' && seen++ === i)
    }),
  )
  await tell(0)
  await left
  await new Promise(setImmediate)
  const after = { ...running.gate.load, upstream: running.gate.targets.openai.upstream.active }
  const end = await settledMemory()
  await running.close()
  const report = await verifyLog(path, RING)
  const ids = new Set<unknown>()
  for (const line of readFileSync(path, 'utf8').split('\n'))
    if (line !== '') {
      const { metadata } = JSON.parse(line) as { metadata: Record<string, unknown> }
      if (metadata['_outcome'] === 'disconnected') ids.add(metadata['_exchange_id'])
    }
  rmSync(folder, { recursive: true })
  others.disconnect()
  process.stdout.write(
    `${JSON.stringify({ callers, before, all, later, end, active, heldBytes, after, disconnected: ids.size, ok: report.ok })}\n`,
  )
}

async function stall(port: number, bytes: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(bytes)
  await once(socket, 'readable')
  return socket
}

/** Collected, and quiet: until two looks in a row agree within a megabyte, at most fifty times. */
async function settledMemory(): Promise<{ rss: number; heap: number }> {
  let last = Number.POSITIVE_INFINITY
  for (let i = 0; i < 50; i += 1) {
    await new Promise(resolve => setTimeout(resolve, 50))
    globalThis.gc?.()
    const m = process.memoryUsage()
    const heap = m.heapUsed + m.external
    if (Math.abs(heap - last) < 1024 * 1024) return { rss: m.rss, heap }
    last = heap
  }
  throw new Error('memory did not come to rest')
}
