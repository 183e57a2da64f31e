/**
 * A gate with several workers under load, in processes of its own: the program as it is built. A worker or the primary is
 * killed with SIGKILL at a random moment; what callers were told must be in the log, once, and limits must hold.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { KeyRing } from '../../src/keys/ring.ts'
import { KeyFolder, macKeys } from '../../src/keys/store.ts'
import { ask, checkLog, KINDS, type Told } from './run.ts'

const PROGRAM = resolve(import.meta.dirname, '../../dist/cli/bin.js')

export interface Gate {
  readonly url: string
  readonly child: ChildProcess
  /** Process ids of the workers that listen, by number. */
  readonly workers: Map<number, number>
  /** Everything it has printed. */
  readonly printed: () => string
  /** Resolves when the next line that matches is printed, or has been. */
  said(pattern: RegExp): Promise<string>
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

/** Tokens of the owner whose limit is watched; none ever comes back. */
export const QUOTA = 25

/** `extra` goes into the pipeline file, which every process of the gate runs. */
export function makeProject(folder: string, extra = ''): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'pipeline.ts'),
    `import { definePipeline, OwnerResolutionCheck, RateLimitCheck, RegexOutputCheck, ClassificationGateCheck, ScopeDriftCheck, ToolCallInspectorCheck } from 'signet-gate'
${extra}
export default definePipeline({
  checks: [
    new OwnerResolutionCheck(),
    new RateLimitCheck({ capacity: ${QUOTA}, refillPerSecond: 0 }),
    new ClassificationGateCheck(),
    new ScopeDriftCheck(),
    new RegexOutputCheck({ patterns: [{ pattern: 'sk-test-[A-Za-z0-9]{8,40}', action: 'redact', label: 'key' }] }),
    new ToolCallInspectorCheck({ registry: { get_weather: { riskTier: 'low' } } }),
  ],
})
`,
  )
}

const running = new Set<ChildProcess>()

/** Whatever a failed test has left. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL')
}

export async function startWorkersGate(folder: string, args: readonly string[]): Promise<Gate> {
  if (!existsSync(PROGRAM)) throw new Error('dist/ is missing; build first: npm run build')
  const child = spawn(process.execPath, [PROGRAM, 'serve', '--dev', '--port', '0', ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', HOME: folder },
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  const workers = new Map<number, number>()
  let printed = ''
  const waiting = new Set<() => void>()
  const line = (text: string): void => {
    printed += `${text}\n`
    const [, number, pid] = /worker (\d+) listens \(process (\d+)\)/.exec(text) ?? []
    if (number !== undefined) workers.set(Number(number), Number(pid))
    for (const look of waiting) look()
  }
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null) createInterface({ input: stream }).on('line', line)
  const exit = once(child, 'exit').then(([code, signal]) => ({
    code: typeof code === 'number' ? code : null,
    signal: typeof signal === 'string' ? signal : null,
  }))
  const said = (pattern: RegExp): Promise<string> =>
    new Promise((found, lost) => {
      const look = (): void => {
        const match = pattern.exec(printed)
        if (match === null) return
        waiting.delete(look)
        found(match[0])
      }
      waiting.add(look)
      look()
      void exit.then(() => {
        look()
        lost(new Error(`it ended before it said ${String(pattern)}:\n${printed}`))
      })
    })
  const listening = await said(/listening on (http:\S+)\)/)
  const url = /http:[^)\s]+/.exec(listening)?.[0] ?? ''
  return { url, child, workers, printed: () => printed, said, exit }
}

/** The ring of the project's own key folder. */
export function ringOf(folder: string): KeyRing {
  return KeyRing.dated(macKeys(new KeyFolder(join(folder, '.signet')).keys('chain')))
}

/** Resolves when no process of this id is left. */
export async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    // A zombie that nobody has reaped yet is gone too, and keeps its id.
    try {
      if (/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) return
    } catch {
      // No /proc here: it goes on asking.
    }
    await new Promise(resolve => setImmediate(resolve))
  }
}

export interface WorkersResult {
  readonly victim: 'worker' | 'primary'
  readonly told: number
  readonly rows: number
  readonly problems: readonly string[]
}

/** `random` gives numbers in [0, 1). */
export async function crashWorkersOnce(
  folder: string,
  upstreamUrl: string,
  count: number,
  victim: 'worker' | 'primary',
  random: () => number,
): Promise<WorkersResult> {
  const gate = await startWorkersGate(folder, ['--workers', String(count), '--upstream', upstreamUrl])
  const told: Told[] = []
  const problems: string[] = []
  let over = false
  let killed = false
  let answers = 0
  // A new name each time: the buckets of a worker's crash live on in the primary.
  const watched = `human:watched-${Math.floor(random() * 1e9)}@example.com`
  let granted = 0
  const killAt = 10 + Math.floor(random() * 60)
  const first = [...gate.workers.values()]
  const kill = (): void => {
    if (killed) return
    killed = true
    const pids = [...gate.workers.values()]
    const pid = victim === 'primary' ? gate.child.pid : pids[Math.floor(random() * pids.length)]
    const delayMs = random() < 0.3 ? 0 : Math.floor(random() * 12)
    const deed = (): void => {
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
    }
    if (delayMs === 0) deed()
    else setTimeout(deed, delayMs)
  }
  const seed = Math.floor(random() * 1e9)
  const clients = Array.from({ length: 8 }, async (_, c) => {
    for (let i = 0; !over && gate.child.exitCode === null && gate.child.signalCode === null; i += 1) {
      const isWatched = i % 3 === 0
      const owner = isWatched ? watched : `human:u${seed}-${c}-${i}@example.com`
      const kind = isWatched ? 'unary' : (KINDS[(c + i) % KINDS.length] ?? 'unary')
      const t = await ask(gate.url, kind, owner)
      if (t === undefined) continue
      told.push(t)
      answers += 1
      if (isWatched && t.status === 200) granted += 1
      if (answers >= killAt) kill()
      // After a worker's death the load goes on until it is back, and a little longer.
      if (victim === 'worker' && killed && back) {
        after += 1
        if (after > 40) over = true
      }
    }
  })
  let back = false
  let after = 0
  if (victim === 'worker') {
    await gate.said(/worker \d+ ended \(SIGKILL\)/)
    const before = [...gate.workers.keys()]
    await gate.said(new RegExp(`(worker \\d+ listens[^]*){${count + 1}}`))
    back = true
    if (before.length !== count) problems.push(`${before.length} workers listened at first`)
  }
  await Promise.all(clients)
  if (victim === 'worker') {
    const ready = await fetch(`${gate.url}/readyz`)
    if (ready.status !== 200) problems.push(`/readyz is ${ready.status} after a worker was replaced`)
    gate.child.kill('SIGTERM')
    const { code } = await gate.exit
    if (code !== 0) problems.push(`it ended with ${code} when it was asked to:\n${gate.printed()}`)
  } else {
    await gate.exit
    for (const pid of first) await gone(pid)
  }
  if (granted > QUOTA) problems.push(`${granted} requests of one owner passed a limit of ${QUOTA}`)
  const checked = await checkLog(join(folder, 'audit.jsonl'), told, ringOf(folder))
  return { victim, told: told.length, rows: checked.rows, problems: [...problems, ...checked.problems] }
}
