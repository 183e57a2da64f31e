/**
 * What the transparency log costs a request: gates without it, with it, and with its checkpoints stamped as well; the same
 * otherwise. Requests a second and processor time of each kind of thread at 64 connections, then latency at one.
 *
 * Two gates of the same kind differ by some percent, each for as long as it runs: where its memory lies, what was compiled when.
 * So every round has gates of its own, each warmed up first; and what is below the table is over rounds: one kind minus another,
 * as mean and standard error. A difference below two standard errors is not measurable in that many rounds.
 *
 * Tiles are synced when they are 40 seconds old. So each gate is measured that long after its warming up, which had the same load:
 * what it syncs then is what a gate syncs that has run for a while. Only one gate has load at any time.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Connection, requestBytes } from './client.ts'
import { benchOptions } from './options.ts'
import { freePort, start, startUpstream, stop, type Target } from './processes.ts'

const { quick = false } = benchOptions(
  `Usage: node bench/log-cost.ts [--quick]

What the transparency log and its anchors cost a request: gates of each kind, new ones for every round. Takes
seventeen minutes, with --quick three.`,
  { quick: { type: 'boolean' } },
)
const ROUNDS = quick ? 2 : 12
/** Of each load, until what a gate does at each request has been compiled. */
const WARM_MS = 5000
/** Longer than the time between two checkpoints: each block bears the cost of some. */
const BLOCK_MS = 4000
/** Of requests one after the other there are few in a second, and the slowest hundredth of them is what chance moves most. */
const ALONE_MS = 8000
/** From the beginning of warming up to that of measuring. */
const OLD_MS = 41_000
const CONNECTIONS = 64

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'signet-log-cost-'))
const upstream = await startUpstream()
const roots = join(folder, 'tsa.pem')
const tsaPort = await freePort()
const tsa = await start('tsa', [join(root, 'bench/targets/tsa.ts'), String(tsaPort), roots], {}, tsaPort, '/')

const WITHOUT = { SIGNET_TRANSPARENCY_LOG: 'false' }
/** 360 times as often as is usual: one falls into every other block. */
const ANCHORED = {
  SIGNET_ANCHOR_URLS: `http://127.0.0.1:${tsaPort}/`,
  SIGNET_ANCHOR_CA_FILE: roots,
  SIGNET_ANCHOR_INTERVAL_S: '10',
}
const KINDS = { without: WITHOUT, with: {}, anchored: ANCHORED }
type Kind = keyof typeof KINDS
/** Each kind in each place, and after each other, equally often. */
const ORDERS: readonly (readonly Kind[])[] = [
  ['without', 'with', 'anchored'],
  ['anchored', 'with', 'without'],
  ['with', 'without', 'anchored'],
  ['anchored', 'without', 'with'],
  ['without', 'anchored', 'with'],
  ['with', 'anchored', 'without'],
]

async function gate(name: string, env: Readonly<Record<string, string>>): Promise<Target> {
  const port = await freePort()
  const args = [
    ...[join(root, 'dist/cli/bin.js'), 'serve', '--upstream', `http://127.0.0.1:${upstream.port}/v1`],
    ...['--port', String(port), '--control-port', '0', '--config', join(root, 'bench/pipeline.ts')],
    ...['--audit-log', join(folder, `${name}.jsonl`), '--hmac-secret', '07'.repeat(32), '--allow-ephemeral-key'],
  ]
  return start(name, args, { HOME: folder, ...env }, port, '/healthz')
}

const body = { model: 'bench', messages: [{ role: 'user', content: 'What grows beside a wall in spring? '.repeat(9) }] }
const request = requestBytes('/v1/chat/completions', JSON.stringify(body))

/** Microseconds of processor time by kind of thread. */
function cpuOf({ child }: Target): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  const tasks = `/proc/${child.pid}/task`
  for (const task of readdirSync(tasks)) {
    const name = task === String(child.pid) ? 'main' : readFileSync(`${tasks}/${task}/comm`, 'utf8').trim()
    const micros = Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1000
    found.set(name, (found.get(name) ?? 0) + micros)
  }
  return found
}
const NAMED = ['main', 'V8Worker', 'libuv-worker']

/** `threads`: of JavaScript but the gate's own: the log's is the one that works. */
const MEASURES = ['requests/s', 'CPU us: main', 'V8 helpers', 'pool', 'threads', 'p50 ms', 'p90 ms', 'p99 ms'] as const
const DIGITS = [0, 1, 1, 1, 1, 3, 3, 3]

/** Requests one after the other on each of the connections, for so long; milliseconds of each, and seconds in all. */
async function block(connections: readonly Connection[], ms: number): Promise<{ times: number[]; seconds: number }> {
  const began = performance.now()
  const times: number[] = []
  await Promise.all(
    connections.map(async connection => {
      while (performance.now() < began + ms) times.push((await connection.request(request)).totalMs)
    }),
  )
  return { times, seconds: (performance.now() - began) / 1000 }
}

interface Warm {
  readonly target: Target
  readonly connections: readonly Connection[]
  readonly since: number
}

async function warm(name: string, kind: Kind): Promise<Warm> {
  const target = await gate(name, KINDS[kind])
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(target.port)))
  const since = performance.now()
  await block(connections, WARM_MS)
  await block(connections.slice(0, 1), WARM_MS)
  return { target, connections, since }
}

/** The measures, in their order. */
async function measure({ target, connections, since }: Warm): Promise<readonly number[]> {
  await setTimeout(Math.max(0, since + OLD_MS - performance.now()))
  const before = cpuOf(target)
  const { times, seconds } = await block(connections, BLOCK_MS)
  const after = cpuOf(target)
  const each = (thread: string) => ((after.get(thread) ?? 0) - (before.get(thread) ?? 0)) / times.length
  const threads = [...after.keys()].filter(thread => !NAMED.includes(thread)).reduce((sum, t) => sum + each(t), 0)
  const { times: alone } = await block(connections.slice(0, 1), ALONE_MS)
  alone.sort((a, b) => a - b)
  for (const connection of connections) connection.close()
  await stop(target)
  const latency = [0.5, 0.9, 0.99].map(part => alone[Math.floor(alone.length * part)] ?? Number.NaN)
  return [times.length / seconds, ...NAMED.map(each), threads, ...latency]
}

const results: Record<Kind, readonly number[]>[] = []
for (let round = 0; round < ROUNDS; round++) {
  const order = ORDERS[round % ORDERS.length] ?? []
  const gates: [Kind, Warm][] = []
  for (const kind of order) gates.push([kind, await warm(`${round}-${kind}`, kind)])
  const measured = { without: [], with: [], anchored: [] } as Record<Kind, readonly number[]>
  for (const [kind, gate] of gates) measured[kind] = await measure(gate)
  results.push(measured)
}

const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length
/** Of each column. */
const means = (rows: readonly (readonly number[])[]) =>
  (rows[0] ?? []).map((_, k) => mean(rows.map(row => row[k] ?? 0)))
const line = (name: string, cells: readonly string[]) =>
  console.log(name.padEnd(20) + cells.map(cell => cell.padStart(14)).join(''))
const numbers = (values: readonly number[]) => values.map((value, k) => value.toFixed(DIGITS[k]))
/** Round by round. */
function compare(plus: Kind, minus: Kind): void {
  const differences = results.map(of => of[plus].map((value, k) => value - (of[minus][k] ?? 0)))
  const centre = means(differences)
  const squares = means(differences.map(row => row.map((value, k) => (value - (centre[k] ?? 0)) ** 2)))
  line(`${plus} - ${minus}`, numbers(centre))
  line('  standard error', numbers(squares.map(square => Math.sqrt(square / (ROUNDS - 1)))))
}

line(`mean of ${ROUNDS} rounds`, MEASURES)
for (const kind of ['without', 'with', 'anchored'] as const) {
  line(kind, numbers(means(results.map(of => of[kind]))))
}
compare('with', 'without')
compare('anchored', 'with')

await stop(upstream)
await stop(tsa)
rmSync(folder, { recursive: true, force: true })
process.exit(0)
