/** `signet serve` with shared state: starts red without Redis, says so, recovers, and two gates are one limit. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RedisServer, startRedis, until } from '../state/redis/testing/server.test-support.ts'

const PASSWORD = 's3cret-of-the-gate'

const folder = mkdtempSync(join(tmpdir(), 'signet-serve-redis-'))
let server: RedisServer
const children: ChildProcess[] = []
beforeAll(async () => {
  server = await startRedis(['--user', 'gate', 'on', `>${PASSWORD}`, '~signet:*', '+@all'])
  writeFileSync(join(folder, 'password'), `${PASSWORD}\n`, { mode: 0o600 })
  writeFileSync(
    join(folder, 'pipeline.ts'),
    `import { definePipeline, OwnerResolutionCheck, RateLimitCheck } from 'signet-gate'
export default definePipeline({
  checks: [new OwnerResolutionCheck(), new RateLimitCheck({ capacity: 2, refillPerSecond: 0 })],
  redisUsername: 'gate',
  redisPasswordFile: ${JSON.stringify(join(folder, 'password'))},
})
`,
  )
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Running {
  readonly url: string
  readonly written: () => string
  stop(): Promise<number>
}

async function serve(name: string, format: string): Promise<Running> {
  let written = ''
  const listening = Promise.withResolvers<string>()
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('./bin.ts', import.meta.url)),
      ...['serve', '--dev', '--upstream', 'demo', '--port', '0', '--log-format', format],
      ...['--audit-log', join(folder, `${name}.jsonl`), '--redis-url', server.url],
    ],
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] ?? '' } },
  )
  children.push(child)
  const hear = (text: Buffer) => {
    written += String(text)
    const url = /http:\/\/127\.0\.0\.1:[0-9]+/.exec(written.split('listening on').at(1) ?? '')?.[0]
    if (url !== undefined) listening.resolve(url)
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const ended = once(child, 'exit').then(([code]) => Number(code))
  const url = await Promise.race([listening.promise, ended])
  if (typeof url === 'number') throw new Error(written)
  return {
    url,
    written: () => written,
    stop: () => {
      child.kill('SIGTERM')
      return ended
    },
  }
}

const ask = async (url: string): Promise<number> => {
  const res = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice' },
    body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello' }] }),
  })
  await res.text()
  return res.status
}
const ready = async (url: string): Promise<number> => (await fetch(`${url}/readyz`)).status

it('starts red without Redis, recovers, and is one limit with a second gate', { timeout: 120_000 }, async () => {
  await server.kill()
  const first = await serve('first', 'text')
  expect(await ready(first.url)).toBe(503)
  expect(await ask(first.url)).toBe(503)
  await until(() => /warning: shared state: ECONNREFUSED; exchanges are refused/.test(first.written()), 'a warning')
  await server.start()
  await until(async () => (await ready(first.url)) === 200, 'green')
  expect(first.written()).toContain('shared state: connected')

  const second = await serve('second', 'json')
  await until(async () => (await ready(second.url)) === 200, 'green')
  expect([await ask(first.url), await ask(second.url)]).toEqual([200, 200])
  expect([await ask(first.url), await ask(second.url)]).toEqual([429, 429])

  await server.kill()
  await until(() => /"event":"state_unavailable"/.test(second.written()), 'a warning')
  expect(await ask(second.url)).toBe(503)
  await server.start()
  await until(async () => (await ready(second.url)) === 200, 'green')
  expect(second.written()).toMatch(/"level":"info","event":"state_available"/)
  expect([await first.stop(), await second.stop()]).toEqual([0, 0])
  expect(first.written() + second.written()).not.toContain(PASSWORD)
})

it('says when Redis may throw limits away', async () => {
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru')
  const gate = await serve('third', 'text')
  await until(() => /maxmemory-policy volatile-lru.*set noeviction/.test(gate.written()), 'a warning')
  expect(await gate.stop()).toBe(0)
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
})
