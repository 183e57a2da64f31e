/** A Redis server of the test's own: on a free port of the loopback, in a folder that goes with it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** One command as an administrator, on a connection of its own. */
  command(...args: readonly string[]): Promise<unknown>
  /** SIGKILL, as when the machine goes away. */
  kill(): Promise<void>
  /** Once more, on the same port and with what was on disk. */
  start(): Promise<void>
  /** SIGSTOP: connections stay open and nothing answers. */
  freeze(): void
  thaw(): void
  close(): Promise<void>
}

export async function startRedis(args: readonly string[] = [], tlsPort = false): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'signet-redis-'))
  const port = await freePort()
  let server: ChildProcess | undefined
  let admin: ReturnType<typeof createClient> | undefined

  const start = async (): Promise<void> => {
    const child = spawn(
      'redis-server',
      [
        ...(tlsPort ? ['--port', '0', '--tls-port', String(port)] : ['--port', String(port)]),
        ...['--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no', '--loglevel', 'notice'],
        ...args,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    server = child
    let said = ''
    await new Promise<void>((resolve, reject) => {
      child.once('error', error =>
        reject(
          'code' in error && error.code === 'ENOENT'
            ? new Error('redis-server is not installed; run: apt-get install redis-server')
            : error,
        ),
      )
      child.once('exit', code => reject(new Error(`redis-server ended (${code}): ${said}`)))
      const hear = (chunk: Buffer) => {
        said += String(chunk)
        if (/Ready to accept connections/.test(said)) resolve()
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
    })
  }

  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (admin?.isOpen === true) admin.destroy()
    admin = undefined
    const child = server
    server = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    start,
    kill: () => kill(),
    command: async (...command) => {
      if (admin === undefined) {
        admin = createClient({ RESP: 2, socket: { host: '127.0.0.1', port, reconnectStrategy: false } })
        admin.on('error', () => undefined)
        await admin.connect()
      }
      return admin.sendCommand([...command])
    },
    freeze: () => void server?.kill('SIGSTOP'),
    thaw: () => void server?.kill('SIGCONT'),
    close: async () => {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const probe = createServer()
  probe.listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

/** Asks again and again until it holds, at most for half a minute: for what another process does in its own time. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 30_000
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
