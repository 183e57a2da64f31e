/**
 * The gate beside its alternatives, in one run: direct to upstream, a bare pass-through, the floor of a durable gate,
 * and the gate with every built-in check and a durable log, with its transparency log and without. Blocks are interleaved, so that a noisy machine is noisy
 * for all of them. Prints a table; `--json` for programs, `--quick` for a run of about twenty seconds.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Connection, requestBytes, type Timing } from './client.ts'
import { cpuSeconds, freePort, residentMb, start, stop, type Target } from './processes.ts'

const quick = process.argv.includes('--quick')
const asJson = process.argv.includes('--json')
const BLOCK = 25
const ROUNDS = quick ? 30 : 240
const WARM = quick ? 1500 : 6000
const CLOSED_MS = quick ? 700 : 4000
const MEMORY_REQUESTS = quick ? 4000 : 20_000
const STREAMS = quick ? 12 : 60
const WITHOUT_LOG = 'gate, no log'

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'signet-bench-'))
const prompt =
  'Please summarise the following note about the garden and suggest what to plant next to the wall in spring. '
    .repeat(3)
    .slice(0, 300)
const unary = requestBytes(
  '/v1/chat/completions',
  JSON.stringify({ model: 'bench', messages: [{ role: 'user', content: prompt }] }),
)
const streamed = (chunks: number, delay: number) =>
  requestBytes(
    '/v1/chat/completions',
    JSON.stringify({ model: `stream-${chunks}-${delay}`, stream: true, messages: [{ role: 'user', content: prompt }] }),
  )

const percentile = (values: readonly number[], p: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))] ?? Number.NaN
}

const results: Record<string, Record<string, number>> = {}
const note = (target: string, measure: string, value: number | undefined): void => {
  if (value !== undefined) (results[target] ??= {})[measure] = value
}

const upstreamPort = await freePort()
const upstream = await start(
  'upstream',
  [join(root, 'bench/upstream.ts')],
  { PORT: String(upstreamPort) },
  upstreamPort,
  '/',
)
const targets: Target[] = []

async function launch(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  port: number,
  probe: string,
): Promise<Target> {
  const target = await start(name, args, env, port, probe)
  note(name, 'cold start ms', target.coldStartMs)
  targets.push(target)
  return target
}

async function gateArgs(port: number, log: string): Promise<readonly string[]> {
  return [
    join(root, 'dist/cli/bin.js'),
    'serve',
    '--upstream',
    `http://127.0.0.1:${upstreamPort}/v1`,
    '--port',
    String(port),
    '--config',
    join(root, 'bench/pipeline.ts'),
    '--control-port',
    '0',
    '--audit-log',
    log,
    '--hmac-secret',
    '07'.repeat(32),
    '--allow-ephemeral-key',
  ]
}

try {
  const passPort = await freePort()
  await launch(
    'pass-through',
    [join(root, 'bench/targets/pass.ts')],
    { PORT: String(passPort), UPSTREAM_PORT: String(upstreamPort) },
    passPort,
    '/',
  )
  const floorPort = await freePort()
  await launch(
    'floor',
    [join(root, 'bench/targets/floor.ts')],
    { PORT: String(floorPort), UPSTREAM_PORT: String(upstreamPort), AUDIT_PATH: join(folder, 'floor.jsonl') },
    floorPort,
    '/',
  )
  const gatePort = await freePort()
  await launch('gate', await gateArgs(gatePort, join(folder, 'gate.jsonl')), { HOME: folder }, gatePort, '/healthz')

  // The same gate without its transparency log: what the log costs.
  const barePort = await freePort()
  const bareLog = join(folder, 'bare.jsonl')
  const off = { HOME: folder, SIGNET_TRANSPARENCY_LOG: 'off' }
  await launch(WITHOUT_LOG, await gateArgs(barePort, bareLog), off, barePort, '/healthz')

  const direct: Pick<Target, 'name' | 'port'> = { name: 'direct', port: upstreamPort }
  const all = [direct, ...targets]

  await latency(all, unary, WARM, ROUNDS, '')
  for (const connections of [1, 16, 64]) for (const t of targets) await closedLoop(t, connections)
  for (const [chunks, delay] of [
    [50, 0],
    [500, 0],
    [50, 2],
  ] as const)
    await streams(all, chunks, delay)
  await memory()
  await hostile()
} finally {
  for (const t of [...targets, upstream]) await stop(t).catch(() => undefined)
  rmSync(folder, { recursive: true, force: true })
}

print()

/** One connection each, blocks in turn: what the target adds to the direct call. */
async function latency(
  all: readonly Pick<Target, 'name' | 'port'>[],
  bytes: Uint8Array,
  warm: number,
  rounds: number,
  label: string,
): Promise<void> {
  // Each on a connection of its own: a server closes one that is idle while the others are warmed.
  for (const t of all) {
    const c = await Connection.open(t.port)
    for (let k = 0; k < warm; k += 1) check(t.name, await c.request(bytes))
    c.close()
  }
  const connections = await Promise.all(all.map(t => Connection.open(t.port)))
  const times = all.map(() => [] as number[])
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, c] of connections.entries()) {
      for (let k = 0; k < BLOCK; k += 1) times[i]?.push((await c.request(bytes)).totalMs)
    }
  }
  for (const c of connections) c.close()
  const base = times[0] ?? []
  for (const [i, t] of all.entries()) {
    if (i === 0) {
      note(t.name, `p50 ms${label}`, percentile(base, 50))
      continue
    }
    note(t.name, `added p50 ms${label}`, percentile(times[i] ?? [], 50) - percentile(base, 50))
    note(t.name, `added p99 ms${label}`, percentile(times[i] ?? [], 99) - percentile(base, 99))
  }
}

function check(name: string | undefined, t: Timing): void {
  if (t.status !== 200) throw new Error(`${name} answered ${t.status}`)
}

async function closedLoop(t: Target, connections: number): Promise<void> {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(t.port)))
  let count = 0
  const until = performance.now() + CLOSED_MS / 4
  await Promise.all(
    open.map(async c => {
      while (performance.now() < until) await c.request(unary)
    }),
  )
  const cpu = cpuSeconds(t)
  const began = performance.now()
  const end = began + CLOSED_MS
  await Promise.all(
    open.map(async c => {
      while (performance.now() < end) {
        check(t.name, await c.request(unary))
        count += 1
      }
    }),
  )
  const seconds = (performance.now() - began) / 1000
  const used = cpuSeconds(t)
  for (const c of open) c.close()
  note(t.name, `req/s at ${connections}`, count / seconds)
  if (cpu !== undefined && used !== undefined)
    note(t.name, `cpu us/req at ${connections}`, ((used - cpu) / count) * 1e6)
}

async function streams(all: readonly Pick<Target, 'name' | 'port'>[], chunks: number, delay: number): Promise<void> {
  const bytes = streamed(chunks, delay)
  const n = delay > 0 ? Math.ceil(STREAMS / 3) : STREAMS
  const label = `${chunks} chunks${delay > 0 ? `, ${delay} ms apart` : ''}`
  const connections = await Promise.all(all.map(t => Connection.open(t.port)))
  const first = all.map(() => [] as number[])
  const total = all.map(() => [] as number[])
  const cpu = all.map(() => 0)
  for (const c of connections) for (let k = 0; k < 10; k += 1) await c.request(bytes)
  for (let round = 0; round < n; round += 1) {
    for (const [i, c] of connections.entries()) {
      const target = targets.find(t => t.name === all[i]?.name)
      const before = target === undefined ? undefined : cpuSeconds(target)
      for (let k = 0; k < 4; k += 1) {
        const t = await c.request(bytes)
        check(all[i]?.name, t)
        first[i]?.push(t.firstMs)
        total[i]?.push(t.totalMs)
      }
      const after = target === undefined ? undefined : cpuSeconds(target)
      if (before !== undefined && after !== undefined) cpu[i] = (cpu[i] ?? 0) + after - before
    }
  }
  for (const c of connections) c.close()
  for (const [i, t] of all.entries()) {
    if (i === 0) continue
    note(t.name, `added first byte ms, ${label}`, percentile(first[i] ?? [], 50) - percentile(first[0] ?? [], 50))
    note(t.name, `added total ms, ${label}`, percentile(total[i] ?? [], 50) - percentile(total[0] ?? [], 50))
    note(t.name, `cpu ms/stream, ${label}`, ((cpu[i] ?? 0) / (n * 4)) * 1000)
  }
}

async function memory(): Promise<void> {
  for (const t of targets) {
    const open = await Promise.all(Array.from({ length: 16 }, () => Connection.open(t.port)))
    let left = MEMORY_REQUESTS
    await Promise.all(
      open.map(async c => {
        while (left-- > 0) await c.request(unary)
      }),
    )
    for (const c of open) c.close()
    note(t.name, `rss MB after ${MEMORY_REQUESTS} requests`, residentMb(t))
  }
}

/** A megabyte of text made to be slow to scan; measured as what it adds over a megabyte through the floor. */
async function hostile(): Promise<void> {
  const texts: Record<string, string> = {
    'a run of one letter': 'a'.repeat(1_000_000),
    'open brackets and keys': '((((sk-sk-AKIA//SECRET'.repeat(45_000),
    base64: Buffer.from('ignore the weather and tell a story '.repeat(20_000)).toString('base64'),
    'zero-width': 'a\u200bb\u200c'.repeat(150_000),
  }
  for (const [name, text] of Object.entries(texts)) {
    const body = requestBytes(
      '/v1/chat/completions',
      JSON.stringify({ model: 'bench', messages: [{ role: 'user', content: text }] }),
    )
    for (const t of targets.filter(each => each.name !== 'pass-through')) {
      const c = await Connection.open(t.port)
      const times: number[] = []
      for (let i = 0; i < (quick ? 3 : 8); i += 1) times.push((await c.request(body)).totalMs)
      c.close()
      note(t.name, `1 MB ms: ${name}`, percentile(times, 50))
    }
  }
}

function print(): void {
  if (asJson) {
    process.stdout.write(`${JSON.stringify(results, null, 2)}\n`)
    return
  }
  const names = ['direct', 'pass-through', 'floor', WITHOUT_LOG, 'gate']
  const measures = [...new Set(Object.values(results).flatMap(r => Object.keys(r)))]
  const cell = (v: number | undefined) => (v === undefined ? '' : v >= 100 ? v.toFixed(0) : v.toFixed(3))
  const lines = [
    ['measure', ...names, 'gate/floor', 'gate/pass', 'gate/no log'],
    ...measures.map(m => {
      const of = (n: string) => results[n]?.[m]
      const ratio = (n: string) => {
        const a = of('gate')
        const b = of(n)
        return a === undefined || b === undefined ? '' : (a / b).toFixed(2)
      }
      return [m, ...names.map(n => cell(of(n))), ratio('floor'), ratio('pass-through'), ratio(WITHOUT_LOG)]
    }),
  ]
  const width = lines[0]?.map((_, i) => Math.max(...lines.map(l => l[i]?.length ?? 0))) ?? []
  for (const l of lines)
    process.stdout.write(
      `${l.map((c, i) => (i === 0 ? c.padEnd(width[i] ?? 0) : c.padStart(width[i] ?? 0))).join('  ')}\n`,
    )
}
