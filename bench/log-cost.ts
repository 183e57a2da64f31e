/**
 * What the transparency log costs a request: two gates without it, two with it, and two that have its checkpoints stamped as
 * well, once in each turn; the same otherwise, in turns. Latency at one connection, then requests a second and processor time of
 * each kind of thread at 64. Two that are alike differ by chance alone. Below the table: one kind minus another, round by round,
 * as mean and standard error; a difference below two standard errors is not measurable in that many rounds.
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

What the transparency log and its anchors cost a request: two gates of each kind, in turns. Takes thirteen minutes, with --quick two.`,
  { quick: { type: 'boolean' } },
)
const ROUNDS = quick ? 2 : 16
/** Longer than the time between two checkpoints: each block bears the cost of its own. */
const BLOCK_MS = 2500
/** What a gate that had its turn still does, a last checkpoint, is not to fall into the turn of another. */
const QUIET_MS = 1300
const CONNECTIONS = 64

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'signet-log-cost-'))
const upstream = await startUpstream()

async function gate(name: string, env: Readonly<Record<string, string>>): Promise<Target> {
  const port = await freePort()
  const args = [
    ...[join(root, 'dist/cli/bin.js'), 'serve', '--upstream', `http://127.0.0.1:${upstream.port}/v1`],
    ...['--port', String(port), '--control-port', '0', '--config', join(root, 'bench/pipeline.ts')],
    ...['--audit-log', join(folder, `${name}.jsonl`), '--hmac-secret', '07'.repeat(32), '--allow-ephemeral-key'],
  ]
  return start(name, args, { HOME: folder, ...env }, port, '/healthz')
}

const roots = join(folder, 'tsa.pem')
const tsaPort = await freePort()
const tsa = await start('tsa', [join(root, 'bench/targets/tsa.ts'), String(tsaPort), roots], {}, tsaPort, '/')

const WITHOUT = { SIGNET_TRANSPARENCY_LOG: 'false' }
/** 1,800 times as often as it is usual. */
const ANCHORED = {
  SIGNET_ANCHOR_URLS: `http://127.0.0.1:${tsaPort}/`,
  SIGNET_ANCHOR_CA_FILE: roots,
  SIGNET_ANCHOR_INTERVAL_S: '2',
}
const targets = [
  await gate('without', WITHOUT),
  await gate('with', {}),
  await gate('anchored', ANCHORED),
  await gate('without again', WITHOUT),
  await gate('with again', {}),
  await gate('anchored again', ANCHORED),
]
const PLACES = { without: [0, 3], with: [1, 4], anchored: [2, 5] } as const
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

interface Block {
  readonly p50: number
  readonly p90: number
  readonly p99: number
}

const NAMED = ['main', 'V8Worker', 'libuv-worker']

interface Closed {
  readonly perSecond: number
  readonly main: number
  readonly helpers: number
  readonly pool: number
  /** Threads of JavaScript but the gate's own: the log's is the one that works. */
  readonly threads: number
}

const all = await Promise.all(
  targets.map(async target => ({
    target,
    connections: await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(target.port))),
    latency: [] as Block[],
    closed: [] as Closed[],
  })),
)
type Measured = (typeof all)[number]

/** Each has every place in the order equally often. */
const inTurn = (turn: number) => all.map((_, k) => all[(k + turn) % all.length]).filter(one => one !== undefined)

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

async function one({ connections, latency }: Measured): Promise<void> {
  const { times } = await block(connections.slice(0, 1))
  times.sort((a, b) => a - b)
  const at = (part: number) => times[Math.floor(times.length * part)] ?? Number.NaN
  latency.push({ p50: at(0.5), p90: at(0.9), p99: at(0.99) })
}

async function many({ connections, target, closed }: Measured): Promise<void> {
  const before = cpuOf(target)
  const { times, seconds } = await block(connections)
  const after = cpuOf(target)
  const each = (name: string) => ((after.get(name) ?? 0) - (before.get(name) ?? 0)) / times.length
  closed.push({
    perSecond: times.length / seconds,
    main: each('main'),
    helpers: each('V8Worker'),
    pool: each('libuv-worker'),
    threads: [...after.keys()].reduce((sum, name) => sum + (NAMED.includes(name) ? 0 : each(name)), 0),
  })
}

for (const { connections } of all) await block(connections)
for (let round = 0; round < ROUNDS; round++) for (const target of inTurn(round)) await one(target)
for (let round = 0; round < ROUNDS; round++) for (const target of inTurn(round)) await many(target)

const MEASURES: readonly (readonly [name: string, digits: number, of: (target: Measured) => readonly number[]])[] = [
  ['p50 ms', 3, t => t.latency.map(l => l.p50)],
  ['p90 ms', 3, t => t.latency.map(l => l.p90)],
  ['p99 ms', 3, t => t.latency.map(l => l.p99)],
  ['requests/s', 0, t => t.closed.map(c => c.perSecond)],
  ['CPU us: main', 0, t => t.closed.map(c => c.main)],
  ['V8 helpers', 0, t => t.closed.map(c => c.helpers)],
  ['pool', 0, t => t.closed.map(c => c.pool)],
  ['threads', 1, t => t.closed.map(c => c.threads)],
]
const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length
const line = (name: string, cells: readonly string[]) =>
  console.log(name.padEnd(20) + cells.map(cell => cell.padStart(14)).join(''))

line(
  'mean of rounds',
  MEASURES.map(([name]) => name),
)
for (const target of all)
  line(
    target.target.name,
    MEASURES.map(([, digits, of]) => mean(of(target)).toFixed(digits)),
  )
/** Per round: the mean of one pair minus the mean of the other. */
function compare(name: string, plus: readonly number[], minus: readonly number[]): void {
  const differences = MEASURES.map(([, , of]) => {
    const pick = (places: readonly number[], round: number) =>
      mean(places.map(place => of(all[place] ?? fail())[round] ?? Number.NaN))
    return Array.from({ length: ROUNDS }, (_, round) => pick(plus, round) - pick(minus, round))
  })
  line(
    name,
    MEASURES.map(([, digits], k) => mean(differences[k] ?? []).toFixed(digits)),
  )
  line(
    '  standard error',
    MEASURES.map(([, digits], k) => {
      const values = differences[k] ?? []
      const centre = mean(values)
      return Math.sqrt(mean(values.map(v => (v - centre) ** 2)) / (values.length - 1)).toFixed(digits)
    }),
  )
}
function fail(): never {
  throw new Error('expected six gates')
}
compare('with - without', PLACES.with, PLACES.without)
compare('anchored - with', PLACES.anchored, PLACES.with)
compare('anch. - without', PLACES.anchored, PLACES.without)
compare('again - first', [3, 4, 5], [0, 1, 2])

for (const target of [...targets, tsa]) await stop(target)
await stop(upstream)
rmSync(folder, { recursive: true, force: true })
process.exit(0)
