/** Starting, watching and ending the processes that are measured. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Connection } from './client.ts'

export interface Target {
  readonly name: string
  readonly port: number
  readonly child: ChildProcess
  /** Milliseconds from spawn to the first answered request. */
  readonly coldStartMs: number
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const s = createServer()
    s.once('error', reject)
    s.listen(0, '127.0.0.1', () => {
      const a = s.address()
      s.close(() => (a === null || typeof a === 'string' ? reject(new Error('no port')) : resolve(a.port)))
    })
  })
}

export async function start(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  port: number,
  probe: string,
): Promise<Target> {
  const began = performance.now()
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stdout?.on('data', d => (said += String(d)))
  child.stderr?.on('data', d => (said += String(d)))
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${name} did not start:\n${said.slice(-2000)}`)
    if (performance.now() - began > 20_000) throw new Error(`${name} did not answer within 20 s:\n${said.slice(-2000)}`)
    if (await answers(port, probe)) return { name, port, child, coldStartMs: performance.now() - began }
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

async function answers(port: number, path: string): Promise<boolean> {
  try {
    const c = await Connection.open(port)
    const t = await c.request(Buffer.from(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`))
    c.close()
    return t.status > 0
  } catch {
    return false
  }
}

export async function stop(target: Target): Promise<void> {
  const gone = new Promise(resolve => target.child.once('exit', resolve))
  target.child.kill('SIGTERM')
  await gone
}

/** CPU seconds of the whole process, all threads, to the nanosecond the scheduler counts in; undefined where /proc is not. */
export function cpuSeconds(target: Target): number | undefined {
  const tasks = `/proc/${target.child.pid}/task`
  try {
    let ns = 0
    for (const task of readdirSync(tasks))
      ns += Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0])
    return ns / 1e9
  } catch {
    return undefined
  }
}

export function residentMb(target: Target): number | undefined {
  try {
    const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${target.child.pid}/status`, 'utf8'))?.[1]
    return kb === undefined ? undefined : Number(kb) / 1024
  } catch {
    return undefined
  }
}

/** The model that stands behind every target. */
export async function startUpstream(): Promise<Target> {
  const port = await freePort()
  return start(
    'upstream',
    [fileURLToPath(new URL('./upstream.ts', import.meta.url))],
    { PORT: String(port) },
    port,
    '/',
  )
}
