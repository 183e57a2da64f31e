/**
 * A command-line agent as its users have it: installed by npm into a folder of its own, run with an empty home, no settings
 * of this machine's, and no way out: everything that is not 127.0.0.1 goes to a proxy that refuses it and remembers.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Agent {
  /** Hosts that were asked for besides the gate. */
  readonly outside: readonly string[]
  /** A new home and an empty folder to work in. */
  desk(): Desk
  close(): Promise<void>
}

export interface Desk {
  readonly home: string
  readonly work: string
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Running
}

export interface Running {
  readonly ended: Promise<Ended>
  stop(): void
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** An agent that takes longer hangs. */
const LONGEST_MS = 90_000

/** `program`: the file in the package that npm would link, below `node_modules`. */
export async function installAgent(packageName: string, version: string, program: string): Promise<Agent> {
  const folder = mkdtempSync(join(tmpdir(), 'signet-agent-'))
  writeFileSync(join(folder, 'package.json'), '{"name":"an-agent","private":true}')
  try {
    // Everything an agent needs is in its packages; none of their install scripts has to run.
    const options = ['--silent', '--ignore-scripts', '--no-audit', '--no-fund']
    execFileSync('npm', ['install', ...options, `${packageName}@${version}`], { cwd: folder, stdio: 'pipe' })
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw new Error(`${packageName}@${version} cannot be installed; this suite needs the npm registry`, {
      cause: error,
    })
  }
  const outside: string[] = []
  const proxy = createServer((req, res) => {
    outside.push(req.url ?? '')
    res.writeHead(403).end()
  })
  proxy.on('connect', (req, socket) => {
    outside.push(req.url ?? '')
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const closed = Object.fromEntries(
    ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].flatMap(name => [
      [name, proxyUrl],
      [name.toLowerCase(), proxyUrl],
    ]),
  )
  let desks = 0
  return {
    outside,
    desk: () => {
      const place = join(folder, `desk-${desks++}`)
      const home = join(place, 'home')
      const work = join(place, 'work')
      for (const made of [home, work]) mkdirSync(made, { recursive: true })
      const fixed = {
        PATH: process.env['PATH'] ?? '',
        HOME: home,
        TERM: 'dumb',
        NO_PROXY: '127.0.0.1',
        no_proxy: '127.0.0.1',
      }
      return {
        home,
        work,
        run: (args, env = {}) =>
          running(join(folder, 'node_modules', program), args, work, { ...fixed, ...closed, ...env }),
      }
    },
    close: () =>
      new Promise(resolve => {
        rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
        proxy.closeAllConnections()
        proxy.close(() => resolve())
      }),
  }
}

function running(program: string, args: readonly string[], cwd: string, env: Record<string, string>): Running {
  // A group of its own: the launcher starts the real program.
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const stop = () => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    process.kill(-child.pid, 'SIGKILL')
  }
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', piece => (stdout += String(piece)))
  child.stderr.on('data', piece => (stderr += String(piece)))
  const tooLong = setTimeout(stop, LONGEST_MS)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => {
      clearTimeout(tooLong)
      resolve({ code, stdout, stderr })
    })
  })
  return { ended, stop }
}
