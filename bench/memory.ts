/**
 * Does a gate keep its size? A million requests (`--requests N`) at 16 connections through a gate with every built-in check, a
 * durable log and a transparency log; its resident memory after each tenth. At the end the log of two rows each is verified.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Connection, requestBytes } from './client.ts'
import { benchOptions } from './options.ts'
import { cpuSeconds, freePort, residentMb, start, startUpstream, stop } from './processes.ts'

const values = benchOptions(
  `Usage: node bench/memory.ts [--requests N]

Resident memory after each tenth of N requests (1000000), then a verification of the log.`,
  { requests: { type: 'string', default: '1000000' } },
)
const total = Number(values.requests)
const CONNECTIONS = 16
const TENTH = Math.floor(total / 10)

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'signet-memory-'))
const log = join(folder, 'gate.jsonl')
const secret = '07'.repeat(32)
const bin = join(root, 'dist/cli/bin.js')
const upstream = await startUpstream()
const port = await freePort()
const gate = await start(
  'gate',
  [
    ...[bin, 'serve', '--upstream', `http://127.0.0.1:${upstream.port}/v1`, '--port', String(port)],
    ...['--control-port', '0', '--config', join(root, 'bench/pipeline.ts'), '--audit-log', log],
    ...['--hmac-secret', secret, '--allow-ephemeral-key'],
  ],
  { HOME: folder },
  port,
  '/healthz',
)
const body = { model: 'bench', messages: [{ role: 'user', content: 'What grows beside a wall in spring? '.repeat(9) }] }
const request = requestBytes('/v1/chat/completions', JSON.stringify(body))
const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(port)))

async function run(requests: number): Promise<void> {
  let left = requests
  await Promise.all(
    connections.map(async connection => {
      while (left-- > 0) {
        const { status } = await connection.request(request)
        if (status !== 200) throw new Error(`expected 200, got ${status}`)
      }
    }),
  )
}

console.log('requests     MB resident  requests/s  CPU us/request')
console.log(`${'0'.padStart(8)}  ${(residentMb(gate) ?? Number.NaN).toFixed(0).padStart(12)}`)
for (let done = TENTH; done <= total; done += TENTH) {
  const [began, cpu] = [performance.now(), cpuSeconds(gate) ?? Number.NaN]
  await run(TENTH)
  const seconds = (performance.now() - began) / 1000
  const micros = (((cpuSeconds(gate) ?? Number.NaN) - cpu) * 1e6) / TENTH
  const [mb, rate] = [(residentMb(gate) ?? Number.NaN).toFixed(0), (TENTH / seconds).toFixed(0)]
  console.log(
    `${String(done).padStart(8)}  ${mb.padStart(12)}  ${rate.padStart(10)}  ${micros.toFixed(0).padStart(14)}`,
  )
}
for (const connection of connections) connection.close()
await stop(gate)
await stop(upstream)
const verified = spawnSync(process.execPath, [bin, 'audit', 'verify', log, '--hmac-secret', secret], {
  encoding: 'utf8',
})
console.log(verified.stdout.trim() || verified.stderr.trim())
rmSync(folder, { recursive: true, force: true })
