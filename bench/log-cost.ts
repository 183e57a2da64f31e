/**
 * What the transparency log costs a request: two gates with it and two without, the same otherwise, in turns. The two that are
 * alike differ by chance alone; what lies within their difference is not measurable. Latency at one connection, then requests a
 * second and processor time of each kind of thread at 64.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Connection, requestBytes } from './client.ts'
import { benchOptions } from './options.ts'
import { freePort, start, startUpstream, stop, type Target } from './processes.ts'

benchOptions(
  `Usage: node bench/log-cost.ts

What the transparency log costs a request: two gates with it and two without, in turns. Takes some minutes.`,
  {},
)
const ROUNDS = 240
const BLOCK = 25
const TURNS = 5
const TURN_MS = 4000
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

const WITHOUT = { SIGNET_TRANSPARENCY_LOG: 'false' }
const targets = [
  await gate('without', WITHOUT),
  await gate('with', {}),
  await gate('without again', WITHOUT),
  await gate('with again', {}),
]
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

const all = await Promise.all(
  targets.map(async target => ({
    target,
    connections: await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(target.port))),
    times: [] as number[],
    requests: 0,
    seconds: 0,
    cpu: new Map<string, number>(),
  })),
)
/** Each has every place in the order equally often. */
const inTurn = (turn: number) => all.map((_, k) => all[(k + turn) % all.length]).filter(one => one !== undefined)

for (const { connections } of all) for (let n = 0; n < 3000; n++) await connections[0]?.request(request)
for (let round = 0; round < ROUNDS; round++)
  for (const { connections, times } of inTurn(round))
    for (let n = 0; n < BLOCK; n++) times.push((await connections[0]?.request(request))?.totalMs ?? Number.NaN)
for (let turn = 0; turn < TURNS; turn++) {
  for (const one of inTurn(turn)) {
    const [before, began] = [cpuOf(one.target), performance.now()]
    await Promise.all(
      one.connections.map(async connection => {
        while (performance.now() < began + TURN_MS) {
          await connection.request(request)
          one.requests++
        }
      }),
    )
    one.seconds += (performance.now() - began) / 1000
    for (const [name, micros] of cpuOf(one.target))
      one.cpu.set(name, (one.cpu.get(name) ?? 0) + micros - (before.get(name) ?? 0))
  }
}

console.log('the log        p50 ms  p90 ms  p99 ms  requests/s  CPU us/request: main  V8 helpers  pool')
for (const { target, times, requests, seconds, cpu } of all) {
  times.sort((a, b) => a - b)
  const at = (part: number) => (times[Math.floor(times.length * part)] ?? Number.NaN).toFixed(3).padStart(7)
  const each = (name: string, width: number) => ((cpu.get(name) ?? 0) / requests).toFixed(0).padStart(width)
  console.log(
    `${target.name.padEnd(13)}${at(0.5)} ${at(0.9)} ${at(0.99)}${(requests / seconds).toFixed(0).padStart(12)}` +
      `${each('main', 22)}${each('V8Worker', 12)}${each('libuv-worker', 6)}`,
  )
}
for (const target of targets) await stop(target)
await stop(upstream)
rmSync(folder, { recursive: true, force: true })
process.exit(0)
