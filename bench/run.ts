/**
 * The gate beside its alternatives, in one run: direct to upstream, a bare pass-through, the floor of a durable gate,
 * and the gate with every built-in check and a durable log. Blocks are interleaved, so that a noisy machine is noisy
 * for all of them. Prints a table; `--json` for programs, `--quick` for a run of about twenty seconds.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Connection, requestBytes, type Timing } from './client.ts'
import { benchOptions } from './options.ts'
import { cpuSeconds, freePort, residentMb, start, startUpstream, stop, type Target } from './processes.ts'
import { surfaceRequests } from './surfaces.ts'
import { printTables, type Results, type SurfaceCost } from './table.ts'

const { quick, json: asJson } = benchOptions(
  `Usage: npm run bench -- [--quick] [--json]

Measures upstream itself, a bare pass-through, the floor of a durable gate and signet, in turns, and prints a table.
A whole run takes some minutes and wants a machine that does nothing else.

  --quick   a run of about twenty seconds
  --json    print JSON`,
  { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
)
const BLOCK = 25
const ROUNDS = quick ? 30 : 240
const WARM = quick ? 1500 : 6000
const CLOSED_MS = quick ? 700 : 4000
const MEMORY_REQUESTS = quick ? 4000 : 20_000
const STREAMS = quick ? 12 : 60
/** Starts of each target, after the first. */
const STARTS = quick ? 2 : 9
/** Turns that the targets of a closed loop take. */
const TURNS = 4

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

const bySurface = new Map<string, SurfaceCost>()
const results: Results = {}
const note = (target: string, measure: string, value: number | undefined): void => {
  if (value !== undefined) (results[target] ??= {})[measure] = value
}

const upstream = await startUpstream()
const upstreamPort = upstream.port
const targets: Target[] = []

interface Launch {
  readonly name: string
  readonly probe: string
  readonly args: (port: number) => readonly string[]
  readonly env: (port: number) => Readonly<Record<string, string>>
}

function gateLaunch(name: string, log: string, more: Readonly<Record<string, string>>): Launch {
  return {
    name,
    probe: '/healthz',
    args: port => [
      join(root, 'dist/cli/bin.js'),
      'serve',
      '--upstream',
      `http://127.0.0.1:${upstreamPort}/v1`,
      '--port',
      String(port),
      '--control-port',
      '0',
      '--config',
      join(root, 'bench/pipeline.ts'),
      '--audit-log',
      join(folder, log),
      '--hmac-secret',
      '07'.repeat(32),
      '--allow-ephemeral-key',
    ],
    // Where compiled code is kept: nothing at the first start, what that one has left from then on.
    env: () => ({ HOME: folder, ...more }),
  }
}

const LAUNCHES: readonly Launch[] = [
  {
    name: 'pass-through',
    probe: '/',
    args: () => [join(root, 'bench/targets/pass.ts')],
    env: port => ({ PORT: String(port), UPSTREAM_PORT: String(upstreamPort) }),
  },
  {
    name: 'floor',
    probe: '/',
    args: () => [join(root, 'bench/targets/floor.ts')],
    env: port => ({
      PORT: String(port),
      UPSTREAM_PORT: String(upstreamPort),
      AUDIT_PATH: join(folder, 'floor.jsonl'),
    }),
  },
  gateLaunch('gate', 'gate.jsonl', {}),
  // What the tree, its tiles and checkpoints cost is what lies between the two.
  gateLaunch('gate, no log', 'no-log.jsonl', { SIGNET_TRANSPARENCY_LOG: 'false' }),
]

async function launch({ name, probe, args, env }: Launch): Promise<Target> {
  const port = await freePort()
  return start(name, args(port), env(port), port, probe)
}

/** Starts in turns. The first one of the gate is told apart: it finds no compiled code. */
async function coldStarts(): Promise<void> {
  const times = new Map<string, number[]>()
  for (let round = 0; round <= STARTS; round += 1) {
    for (const each of LAUNCHES) {
      const target = await launch(each)
      if (round === 0) note(each.name, 'first start ms', target.coldStartMs)
      else times.set(each.name, [...(times.get(each.name) ?? []), target.coldStartMs])
      await stop(target)
    }
  }
  for (const [name, all] of times) note(name, 'cold start ms', percentile(all, 50))
}

try {
  await coldStarts()
  for (const each of LAUNCHES) targets.push(await launch(each))

  const direct: Pick<Target, 'name' | 'port'> = { name: 'direct', port: upstreamPort }
  const all = [direct, ...targets]

  await latency(all, unary, WARM, ROUNDS, '')
  await surfaces(direct)
  for (const connections of [1, 16, 64]) await closedLoop(connections)
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

if (asJson)
  process.stdout.write(`${JSON.stringify({ ...results, surfaces: Object.fromEntries(bySurface) }, null, 2)}\n`)
else printTables(results, bySurface)

/** One connection each, blocks in turn: what the target adds to the direct call. */
async function latency(
  all: readonly Pick<Target, 'name' | 'port'>[],
  bytes: Uint8Array,
  warm: number,
  rounds: number,
  label: string,
): Promise<void> {
  const connections = await Promise.all(all.map(t => Connection.open(t.port)))
  const times = all.map(() => [] as number[])
  for (const [i, c] of connections.entries())
    for (let k = 0; k < warm; k += 1) check(all[i]?.name, await c.request(bytes))
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

/** The gate's surfaces in turn: what each adds to its own direct call, beside what chat adds. */
async function surfaces(direct: Pick<Target, 'name' | 'port'>): Promise<void> {
  const gate = targets.find(t => t.name === 'gate')
  if (gate === undefined) return
  const [toUpstream, toGate] = await Promise.all([Connection.open(direct.port), Connection.open(gate.port)])
  const all = [...surfaceRequests(prompt)].map(([name, bytes]) => ({
    name,
    bytes,
    direct: [] as number[],
    gated: [] as number[],
    cpu: 0,
  }))
  for (const s of all) for (let k = 0; k < WARM / 8; k += 1) check(`gate (${s.name})`, await toGate.request(s.bytes))
  for (const s of all) for (let k = 0; k < WARM / 8; k += 1) await toUpstream.request(s.bytes)
  for (let round = 0; round < ROUNDS / 4; round += 1) {
    for (const s of all) {
      for (let k = 0; k < BLOCK; k += 1) s.direct.push((await toUpstream.request(s.bytes)).totalMs)
      const before = cpuSeconds(gate)
      for (let k = 0; k < BLOCK; k += 1) s.gated.push((await toGate.request(s.bytes)).totalMs)
      s.cpu += (cpuSeconds(gate) ?? 0) - (before ?? 0)
    }
  }
  toUpstream.close()
  toGate.close()
  for (const s of all) {
    bySurface.set(s.name, {
      addedMs: percentile(s.gated, 50) - percentile(s.direct, 50),
      cpuUs: (s.cpu / s.gated.length) * 1e6,
    })
  }
}

/** Each target is warmed up, then all take turns: who is measured when the machine is busy must not be luck. */
async function closedLoop(connections: number): Promise<void> {
  const open = await Promise.all(
    targets.map(t => Promise.all(Array.from({ length: connections }, () => Connection.open(t.port)))),
  )
  const load = async (i: number, ms: number): Promise<number> => {
    let count = 0
    const end = performance.now() + ms
    await Promise.all(
      (open[i] ?? []).map(async c => {
        while (performance.now() < end) {
          check(targets[i]?.name, await c.request(unary))
          count += 1
        }
      }),
    )
    return count
  }
  for (const i of targets.keys()) await load(i, CLOSED_MS / 2)
  const sums = targets.map(() => ({ count: 0, seconds: 0, cpu: 0 }))
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [i, t] of targets.entries()) {
      const sum = sums[i]
      if (sum === undefined) continue
      const cpu = cpuSeconds(t)
      const began = performance.now()
      sum.count += await load(i, CLOSED_MS / TURNS)
      sum.seconds += (performance.now() - began) / 1000
      sum.cpu += (cpuSeconds(t) ?? Number.NaN) - (cpu ?? Number.NaN)
    }
  }
  for (const connectionsOf of open) for (const c of connectionsOf) c.close()
  for (const [i, t] of targets.entries()) {
    const sum = sums[i]
    if (sum === undefined) continue
    note(t.name, `req/s at ${connections}`, sum.count / sum.seconds)
    if (!Number.isNaN(sum.cpu)) note(t.name, `cpu us/req at ${connections}`, (sum.cpu / sum.count) * 1e6)
  }
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
