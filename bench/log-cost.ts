/**
 * What the transparency log costs a request: gates without it, with it, and with its checkpoints stamped as well; the same
 * otherwise. Latency at one connection, then requests a second and processor time of each kind of thread at 64, in turns.
 *
 * Two gates of the same kind differ by some percent, each for as long as it runs: where its memory lies, what was compiled when.
 * So the gates are started anew for every round, and what is below the table is over rounds: one kind minus another, as mean
 * and standard error. A difference below two standard errors is not measurable in that many rounds. `again` is the first kind
 * once more: what chance alone does.
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

What the transparency log and its anchors cost a request: gates of each kind, started anew for every round. Takes thirteen
minutes, with --quick three.`,
  { quick: { type: 'boolean' } },
)
const ROUNDS = quick ? 2 : 8
const TURNS = 2
/** Longer than the time between two checkpoints: each block bears the cost of its own. */
const BLOCK_MS = 2500
/** What a gate that had its turn still does, a last checkpoint, is not to fall into the turn of another. */
const QUIET_MS = 1300
const CONNECTIONS = 64

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'signet-log-cost-'))
const upstream = await startUpstream()
const roots = join(folder, 'tsa.pem')
const tsaPort = await freePort()
const tsa = await start('tsa', [join(root, 'bench/targets/tsa.ts'), String(tsaPort), roots], {}, tsaPort, '/')

const WITHOUT = { SIGNET_TRANSPARENCY_LOG: 'false' }
/** Sixty times as often as is usual: in a round, a turn or two have one. */
const ANCHORED = {
  SIGNET_ANCHOR_URLS: `http://127.0.0.1:${tsaPort}/`,
  SIGNET_ANCHOR_CA_FILE: roots,
  SIGNET_ANCHOR_INTERVAL_S: '60',
}
const KINDS = { without: WITHOUT, with: {}, anchored: ANCHORED, again: WITHOUT }
type Kind = keyof typeof KINDS
const kinds: readonly Kind[] = ['without', 'with', 'anchored', 'again']
/** Each kind in each place, and after each other, equally often. */
const ORDERS = [
  [0, 1, 2, 3],
  [1, 3, 0, 2],
  [2, 0, 3, 1],
  [3, 2, 1, 0],
] as const

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
const MEASURES = ['p50 ms', 'p90 ms', 'p99 ms', 'requests/s', 'CPU us: main', 'V8 helpers', 'pool', 'threads'] as const
const DIGITS = [3, 3, 3, 0, 0, 0, 0, 1]

/** Requests one after the other on each of the connections, for `BLOCK_MS`; milliseconds of each, and seconds in all. */
async function block(connections: readonly Connection[]): Promise<{ times: number[]; seconds: number }> {
  const began = performance.now()
  const times: number[] = []
  await Promise.all(
    connections.map(async connection => {
      while (performance.now() < began + BLOCK_MS) times.push((await connection.request(request)).totalMs)
    }),
  )
  const seconds = (performance.now() - began) / 1000
  await setTimeout(QUIET_MS)
  return { times, seconds }
}

interface Measured {
  readonly target: Target
  readonly connections: readonly Connection[]
  readonly latency: (readonly number[])[]
  readonly closed: (readonly number[])[]
}

async function one({ connections, latency }: Measured): Promise<void> {
  const { times } = await block(connections.slice(0, 1))
  times.sort((a, b) => a - b)
  latency.push([0.5, 0.9, 0.99].map(part => times[Math.floor(times.length * part)] ?? Number.NaN))
}

async function many({ connections, target, closed }: Measured): Promise<void> {
  const before = cpuOf(target)
  const { times, seconds } = await block(connections)
  const after = cpuOf(target)
  const each = (name: string) => ((after.get(name) ?? 0) - (before.get(name) ?? 0)) / times.length
  const threads = [...after.keys()].filter(name => !NAMED.includes(name)).reduce((sum, name) => sum + each(name), 0)
  closed.push([times.length / seconds, ...NAMED.map(each), threads])
}

const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length
/** Of each column. */
const means = (rows: readonly (readonly number[])[]) =>
  (rows[0] ?? []).map((_, k) => mean(rows.map(row => row[k] ?? 0)))

/** A round: of each kind, the measures. */
async function round(number: number): Promise<Record<Kind, readonly number[]>> {
  const order = (turn: number) => (ORDERS[(number + turn) % ORDERS.length] ?? ORDERS[0]).map(k => kinds[k] ?? 'without')
  const measured = {} as Record<Kind, Measured>
  for (const kind of order(0)) {
    const target = await gate(`${number}-${kind}`, KINDS[kind])
    const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(target.port)))
    measured[kind] = { target, connections, latency: [], closed: [] }
  }
  for (let turn = 0; turn < 2; turn++) for (const kind of order(turn)) await block(measured[kind].connections)
  for (let turn = 0; turn < TURNS; turn++) for (const kind of order(turn)) await one(measured[kind])
  for (let turn = 0; turn < TURNS; turn++) for (const kind of order(turn + 2)) await many(measured[kind])
  const results = {} as Record<Kind, readonly number[]>
  for (const kind of kinds) {
    const { target, connections, latency, closed } = measured[kind]
    for (const connection of connections) connection.close()
    await stop(target)
    results[kind] = [...means(latency), ...means(closed)]
  }
  return results
}

const results: Record<Kind, readonly number[]>[] = []
for (let number = 0; number < ROUNDS; number++) results.push(await round(number))

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
for (const kind of kinds) line(kind, numbers(means(results.map(of => of[kind]))))
compare('with', 'without')
compare('with', 'again')
compare('anchored', 'with')
compare('again', 'without')

await stop(upstream)
await stop(tsa)
rmSync(folder, { recursive: true, force: true })
process.exit(0)
