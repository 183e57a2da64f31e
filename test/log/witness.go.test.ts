/**
 * Needs Go 1.24 or later (and the Go module proxy for its first run) and OpenSSH's ssh-agent: litewitness of
 * https://github.com/FiloSottile/torchwood, a witness that others run, unmodified, cosigns the log of a gate.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { ask, type Served, signet, startServed } from '../support/served.ts'

const TORCHWOOD = 'v0.6.1'
/** Built once per machine, as for interop.go.test.ts. */
const bin = join(tmpdir(), `signet-go-${process.getuid?.() ?? 0}`)
const SRC = join(import.meta.dirname, '../../src')
const PIPELINE = `
import { ToolCallInspectorCheck } from '${SRC}/checks/tool-call-inspector.ts'
import { OwnerResolutionCheck } from '${SRC}/checks/owner-resolution.ts'
import { definePipeline } from '${SRC}/config/pipeline.ts'
export default definePipeline({
  checks: [
    new OwnerResolutionCheck(),
    new ToolCallInspectorCheck({ registry: { issue_refund: { assurance: 'witnessed' } } }),
  ],
})
`
let root: string
beforeAll(() => {
  mkdirSync(bin, { recursive: true, mode: 0o700 })
  const built = spawnSync('go', ['install', `filippo.io/torchwood/cmd/litewitness@${TORCHWOOD}`], {
    cwd: homedir(),
    env: { ...process.env, GOBIN: bin, GOFLAGS: '-mod=mod' },
    encoding: 'utf8',
  })
  if (built.status !== 0) throw new Error(`Go 1.24 or later builds litewitness: ${built.stderr ?? built.error}`)
  root = mkdtempSync(join(tmpdir(), 'signet-lite-'))
}, 600_000)
afterAll(() => rmSync(root, { recursive: true, force: true }))
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Until it holds; asked again, nothing is slept on. */
async function until<T>(read: () => Promise<T> | T, holds: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await read()
    if (holds(value)) return value
    await new Promise(again => setImmediate(again))
  }
}

function child(command: string, args: readonly string[], cwd: string): { said(): string; end(): Promise<unknown> } {
  const running: ChildProcess = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  running.stdout?.on('data', chunk => (said += chunk))
  running.stderr?.on('data', chunk => (said += chunk))
  const ended = new Promise(resolve => running.once('exit', resolve))
  const end = () => {
    running.kill('SIGKILL')
    return ended
  }
  cleanups.push(end)
  return { said: () => said, end }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  await new Promise(closed => server.close(closed))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** A litewitness with a key of its own, which its agent keeps, and a policy of it alone. */
async function litewitness(logKey: string) {
  const folder = mkdtempSync(join(root, 'witness-'))
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', 'key'], { cwd: folder })
  const socket = join(folder, 'agent')
  child('ssh-agent', ['-D', '-a', socket], folder)
  await until(
    () => existsSync(socket),
    there => there,
  )
  execFileSync('ssh-add', ['-q', 'key'], { cwd: folder, env: { ...process.env, SSH_AUTH_SOCK: socket } })
  const print = execFileSync('ssh-keygen', ['-lf', 'key.pub'], { cwd: folder, encoding: 'utf8' }).split(' ')[1] ?? ''
  const port = await freePort()
  const args = ['-name', 'witness.example/lite', '-key', print, '-ssh-agent', socket, '-listen', `127.0.0.1:${port}`]
  const start = async (db: string) => {
    const running = child(join(bin, 'litewitness'), [...args, '-db', db], folder)
    await until(running.said, text => text.includes('msg=listening'))
    // What its `witnessctl add-log` and `add-key` write.
    const origin = logKey.slice(0, logKey.indexOf('+'))
    const known = new DatabaseSync(join(folder, db), { timeout: 5000 })
    const empty = createHash('sha256').update('').digest('base64')
    known.prepare('INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)').run(origin, empty)
    known.prepare('INSERT INTO key (origin, key) VALUES (?, ?)').run(origin, logKey)
    known.close()
    return running
  }
  const running = await start('one.db')
  const key = /vkey=(\S+)/.exec(running.said())?.[1] ?? ''
  const policy = join(folder, 'policy.txt')
  writeFileSync(policy, `log ${logKey}\nwitness lite ${key} http://127.0.0.1:${port}\nquorum lite\n`)
  return { policy, start, running }
}

async function project() {
  const folder = mkdtempSync(join(root, 'project-'))
  const first = await startServed(folder)
  await first.stop()
  // Only now: without witnesses a gate with this pipeline does not start.
  writeFileSync(join(folder, 'pipeline.ts'), PIPELINE)
  return { folder, logKey: first.logKey }
}

async function start(folder: string, policy: string): Promise<Served> {
  const served = await startServed(folder, ['--config', join(folder, 'pipeline.ts')], {
    SIGNET_CHECKPOINT_INTERVAL_S: '0.05',
    SIGNET_WITNESS_POLICY_FILE: policy,
  })
  let stopped: Promise<number> | undefined
  const stop = () => (stopped ??= served.stop())
  cleanups.push(stop)
  return { ...served, stop }
}

const OWNER = 'human:alice@example.com'
const refund = (served: Served) =>
  ask(served.url, OWNER, {
    tools: [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }],
    messages: [{ role: 'user', content: 'Refund $50 to account X' }],
  })
const sizeShown = async (served: Served) =>
  Number((await (await fetch(`${served.control}/checkpoint`)).text()).split('\n')[1])

it('cosigns checkpoints that calls wait for; proofs with its cosignature verify offline', async () => {
  const { folder, logKey } = await project()
  const { policy } = await litewitness(logKey)
  const served = await start(folder, policy)
  const paid = await refund(served)
  expect(paid.status).toBe(200)
  writeFileSync(join(folder, 'receipt.txt'), paid.headers.get('x-signet-receipt') ?? '')
  await until(
    () => sizeShown(served),
    size => size >= 3,
  )
  const upgrade = ['receipt', 'upgrade', '--file', 'receipt.txt', '--log', served.control, '-o', 'x.tlog-proof']
  expect(await signet(folder, upgrade)).toMatchObject({ code: 0 })
  await served.stop()
  expect(await signet(folder, ['receipt', 'verify', '--proof', 'x.tlog-proof', '--policy', policy])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/witnesses +lite at /),
  })
  expect(await signet(folder, ['log', 'witnesses', '--policy', policy])).toMatchObject({ code: 0 })
}, 60_000)

it('is asked again from the beginning when it has lost its memory', async () => {
  const { folder, logKey } = await project()
  const lite = await litewitness(logKey)
  const served = await start(folder, lite.policy)
  expect((await refund(served)).status).toBe(200)
  await lite.running.end()
  await lite.start('two.db')
  expect((await refund(served)).status).toBe(200)
}, 60_000)

it.each([
  ['a copy that has grown further', 3, 1, 'split_view'],
  ['a copy that is behind', 1, 3, 'rollback'],
])(
  '%s raises the alarm, and stops the log',
  async (_, inCopy, inTrue, kind) => {
    const { folder, logKey } = await project()
    const { policy } = await litewitness(logKey)
    const first = await start(folder, policy)
    expect((await refund(first)).status).toBe(200)
    await first.stop()
    const copy = mkdtempSync(join(root, 'copy-'))
    cpSync(folder, copy, { recursive: true })
    const grow = async (served: Served, rows: number) => {
      for (let i = 0; i < rows; i++) await ask(served.url, undefined)
    }
    const truth = await start(folder, policy)
    const before = await sizeShown(truth)
    await grow(truth, inTrue)
    await until(
      () => sizeShown(truth),
      size => size >= before + inTrue,
    )
    await truth.stop()
    const other = await start(copy, policy)
    await grow(other, inCopy)
    const alarm = join(copy, 'audit.jsonl.tlog', 'alarm')
    await until(
      () => existsSync(alarm),
      there => there,
    )
    expect(await signet(copy, ['log', 'alarm'])).toMatchObject({
      code: 1,
      out: expect.stringContaining(`ALARM: lite reported a ${kind.replace('_', ' ')}`),
    })
    expect(await sizeShown(other)).toBe(before)
    expect((await refund(other)).status).toBe(503)
    await other.stop()
    expect(readFileSync(join(copy, 'audit.jsonl'), 'utf8')).toContain(`log.${kind}`)
    // The history that it had seen goes on.
    const again = await start(folder, policy)
    expect((await refund(again)).status).toBe(200)
  },
  60_000,
)
