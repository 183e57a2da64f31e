/**
 * How the rate goes with the number of workers: `npm run bench:workers`. Two measures. Rows: processes that only append
 * and ask for durability, through the one sequencer, beside one process that writes by itself. Requests: the whole gate
 * under 64 connections with every built-in check. Ratios to one worker count, not the numbers; on a machine whose cores
 * are busy with client and upstream, more workers cannot be faster.
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { type AuditLog, openAuditLog } from '../src/audit/open.ts'
import { verifyLog } from '../src/audit/verify.ts'
import { Key, KeyRing } from '../src/keys/ring.ts'
import { LINK_FD } from '../src/workers/fd.ts'
import { Link } from '../src/workers/link.ts'
import { quietPorts } from '../src/workers/testing/memory.test-support.ts'
import { Connection, requestBytes } from './client.ts'
import { benchOptions } from './options.ts'
import { freePort, start, startUpstream, stop } from './processes.ts'
import { appendRows } from './targets/appender.ts'

const { quick } = benchOptions(
  `Usage: npm run bench:workers -- [--quick]

Measures how the rate of rows and of requests goes with the number of workers.

  --quick   fewer and shorter rounds`,
  { quick: { type: 'boolean', default: false } },
)
const ROUNDS = quick ? 2 : 5
const ROWS = quick ? 4000 : 20_000
const CLOSED_MS = quick ? 1500 : 4000
const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'signet-bench-workers-'))
const ring = new KeyRing(new Key('k1', Buffer.alloc(32, 7)))
let logs = 0

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

async function openLog(): Promise<{ readonly log: AuditLog; readonly path: string }> {
  const path = join(folder, `${logs++}.jsonl`)
  return { log: await openAuditLog({ path, ring }), path }
}

async function closeLog({ log, path }: { readonly log: AuditLog; readonly path: string }, rows: number): Promise<void> {
  await log.close()
  const report = await verifyLog(path, ring)
  if (!report.ok || report.total_entries !== rows)
    throw new Error(`the log of this run is not sound: ${JSON.stringify(report)}`)
}

/** Rows a second of `count` processes together; 0: one process that writes by itself. */
async function rowRate(count: number): Promise<number> {
  const opened = await openLog()
  if (count === 0) {
    const seconds = await appendRows(opened.log, ROWS)
    await closeLog(opened, ROWS)
    return ROWS / seconds
  }
  const per = Math.floor(ROWS / count)
  const children = Array.from({ length: count }, () => {
    const child = fork(join(root, 'bench/targets/appender.ts'), [String(per)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    })
    const socket = child.stdio[LINK_FD]
    if (!(socket instanceof Duplex)) throw new Error('no connection to the appender')
    const ready = Promise.withResolvers<void>()
    const link = new Link(
      socket,
      { audit: opened.log, ...quietPorts() },
      { onListening: () => ready.resolve(), onFailed: reason => ready.reject(new Error(reason)) },
    )
    return { link, ready: ready.promise, exit: new Promise<void>(resolve => child.once('exit', () => resolve())) }
  })
  await Promise.all(children.map(c => c.ready))
  const began = performance.now()
  for (const { link } of children) link.begin({})
  await Promise.all(children.map(c => c.exit))
  const seconds = (performance.now() - began) / 1000
  await closeLog(opened, per * count)
  return (per * count) / seconds
}

/** Requests a second of a gate with `count` workers. */
async function requestRate(count: number, upstreamPort: number): Promise<number> {
  const port = await freePort()
  const gate = await start(
    `gate with ${count}`,
    [
      join(root, 'dist/cli/bin.js'),
      'serve',
      '--upstream',
      `http://127.0.0.1:${upstreamPort}/v1`,
      '--port',
      String(port),
      '--config',
      join(root, 'bench/pipeline.ts'),
      '--audit-log',
      join(folder, `${logs++}.jsonl`),
      '--hmac-secret',
      '07'.repeat(32),
      '--allow-ephemeral-key',
      '--workers',
      String(count),
    ],
    { HOME: folder, SIGNET_APPROVERS: 'human:bench@example.com', SIGNET_CONTROL_PORT: '0' },
    port,
    '/healthz',
  )
  const bytes = requestBytes(
    '/v1/chat/completions',
    JSON.stringify({ model: 'bench', messages: [{ role: 'user', content: 'Hello there' }] }),
  )
  const connections = await Promise.all(Array.from({ length: 64 }, () => Connection.open(port)))
  let done = 0
  const run = async (ms: number): Promise<void> => {
    const until = performance.now() + ms
    await Promise.all(
      connections.map(async c => {
        while (performance.now() < until) {
          const { status } = await c.request(bytes)
          if (status !== 200) throw new Error(`the gate answered ${status}`)
          done += 1
        }
      }),
    )
  }
  await run(CLOSED_MS / 2)
  done = 0
  const began = performance.now()
  await run(CLOSED_MS)
  const rate = (done / (performance.now() - began)) * 1000
  for (const c of connections) c.close()
  await stop(gate)
  return rate
}

try {
  const rows = new Map<number, number[]>()
  const requests = new Map<number, number[]>()
  const upstream = await startUpstream()
  const upstreamPort = upstream.port
  // Interleaved: a noisy machine is noisy for all of them.
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const count of [0, 1, 2, 4]) rows.set(count, [...(rows.get(count) ?? []), await rowRate(count)])
    for (const count of [1, 2, 4])
      requests.set(count, [...(requests.get(count) ?? []), await requestRate(count, upstreamPort)])
  }
  await stop(upstream)
  console.log(
    `medians of ${ROUNDS} rounds, ${availableParallelism()} cores, node ${process.version}; every log verified`,
  )
  const show = (title: string, rates: ReadonlyMap<number, readonly number[]>): void => {
    const base = median(rates.get(1) ?? [])
    for (const [count, values] of rates) {
      const name = count === 0 ? 'one process alone' : `${count} worker${count === 1 ? '' : 's'}`
      console.log(
        `${title.padEnd(12)} ${name.padEnd(18)} ${median(values).toFixed(0).padStart(8)}   ${(median(values) / base).toFixed(2)} of one worker`,
      )
    }
  }
  show('rows/s', rows)
  show('requests/s', requests)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
