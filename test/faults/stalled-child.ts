/**
 * A thousand callers who take the head of a stream and then stop reading, in a process of its own so that its memory is
 * its own: `node --expose-gc stalled-child.ts <callers>`. Prints one JSON line of what was measured.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openAuditLog } from '../../src/audit/open.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { keepHeapSmall } from '../../src/cli/engine.ts'
import { DIALECTS } from '../../src/dialects/registry.ts'
import { type RunningGate, startGate } from '../../src/gate/start.ts'
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
  const open = new Set<ServerResponse>()
  running.server.on('request', (_req, res: ServerResponse) => {
    open.add(res)
    res.once('close', () => open.delete(res))
  })
  // Without end: a gigabyte per caller, if anybody took it.
  const body = JSON.stringify(scenario({ kind: 'huge', bytes: 2 ** 30 }, { stream: true }))
  const bytes = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Commit-Owner: human:alice@example.com\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  const tell = async (some: number) => {
    const told = once(others, 'message')
    others.send({ port: running.port, bytes, callers: some })
    await told
  }
  // As `serve` does: how much of the heap is free but not given back is the program's choice, not the gate's.
  keepHeapSmall()
  // One caller first, so that what is made once is not counted.
  await tell(1)
  const before = await settledMemory(running, open)
  for (let i = 1; i < callers; i += 50) await tell(Math.min(50, callers - i))
  const all = await settledMemory(running, open)
  // Held still: nothing may go on growing.
  const later = await settledMemory(running, open)
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
  const end = await settledMemory(running, open)
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

/**
 * Collected, and quiet. What makes it quiet is not the time but that nothing moves: every caller's connection is full, none
 * has been given another byte between ten looks in a row, and memory is the same within a megabyte.
 */
async function settledMemory(
  running: RunningGate,
  answers: ReadonlySet<ServerResponse>,
): Promise<{ rss: number; heap: number }> {
  let still = 0
  let written = -1
  let last = Number.POSITIVE_INFINITY
  for (let i = 0; i < 2000; i += 1) {
    await new Promise(resolve => setTimeout(resolve, 25))
    globalThis.gc?.()
    const m = process.memoryUsage()
    const heap = m.heapUsed + m.external
    let now = running.gate.load.heldBytes
    for (const res of answers) now += res.socket?.bytesWritten ?? 0
    const full = [...answers].every(res => res.writableNeedDrain)
    still = full && now === written && Math.abs(heap - last) < 1024 * 1024 ? still + 1 : 0
    if (still === 10) return { rss: m.rss, heap }
    written = now
    last = heap
  }
  throw new Error('the gate did not come to rest')
}
