/**
 * Deno, Bun and workerd as npm installs them, below `node_modules/.cache`, made once for each content of the lock file
 * beside their names; and each way to run an executor in one.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join, resolve } from 'node:path'
import { chromium } from 'playwright-core'
import { rolldown } from 'rolldown'

const ROOT = resolve(import.meta.dirname, '../..')
export const PROGRAMS = join(import.meta.dirname, 'runtimes')
const LISTS = ['package.json', 'package-lock.json']
const CHROMIUM = '/usr/bin/chromium'

/** Where their commands are. Throws one line that says what to install. */
export function installedRuntimes(): string {
  const contents = createHash('sha256')
  for (const list of LISTS) contents.update(readFileSync(join(PROGRAMS, list)))
  const platform = `${process.platform}-${process.arch}`
  const key = contents.update(platform).digest('hex').slice(0, 16)
  const folder = join(ROOT, 'node_modules', '.cache', `signet-runtimes-${key}`)
  const commands = join(folder, 'node_modules', '.bin')
  const complete = join(folder, '.complete')
  if (existsSync(complete)) return commands
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const list of LISTS) copyFileSync(join(PROGRAMS, list), join(folder, list))
  try {
    // Their install scripts choose the build for this machine out of their platform packages.
    execFileSync('npm', ['ci', '--silent', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'pipe' })
    for (const command of ['deno', 'bun', 'workerd'])
      execFileSync(join(commands, command), ['--version'], { stdio: 'pipe' })
  } catch (error) {
    const why = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error)
    throw new Error(
      `deno, bun and workerd of ${join(PROGRAMS, 'package.json')} cannot be installed for ${platform}: this suite needs the npm registry and a system that all three are built for (${why})`,
    )
  }
  writeFileSync(complete, '')
  return commands
}

export type Given = { readonly runtime: string } & Readonly<Record<string, unknown>>

export interface Runtime {
  /** Runs `scenario.mjs` from `folder`, where the package is installed, with what it is given; its answer. */
  run(given: Given): Promise<unknown>
  close(): Promise<void>
}

/** Node, Deno and Bun: a program, with nothing of this process's environment. */
export function asProgram(folder: string, command: string, args: readonly string[]): Runtime {
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: folder,
    DENO_DIR: join(folder, '.deno'),
    NO_COLOR: '1',
    DENO_NO_UPDATE_CHECK: '1',
  }
  return {
    async run(given) {
      writeFileSync(join(folder, 'given.json'), JSON.stringify(given))
      const child = spawn(command, [...args, 'program.mjs'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
      let out = ''
      let error = ''
      child.stdout.on('data', chunk => (out += String(chunk)))
      child.stderr.on('data', chunk => (error += String(chunk)))
      const code = await new Promise(done => child.on('close', done))
      if (code !== 0) throw new Error(`${command} ended with ${String(code)}: ${error}`)
      return JSON.parse(out)
    },
    close: async () => {},
  }
}

/** One file of an entry and all it imports, as those who deploy to Workers or browsers make it. */
export async function bundled(folder: string, entry: string, conditionNames: readonly string[]): Promise<string> {
  const bundle = await rolldown({
    cwd: folder,
    input: entry,
    platform: 'neutral',
    resolve: { conditionNames: [...conditionNames, 'import', 'default'] },
  })
  const { output } = await bundle.generate({ format: 'esm' })
  await bundle.close()
  return output[0].code
}

/** The runtime of Cloudflare Workers. */
export async function asWorker(folder: string, command: string): Promise<Runtime> {
  writeFileSync(join(folder, 'worker-bundle.mjs'), await bundled(folder, 'worker.mjs', ['workerd', 'worker']))
  const child = spawn(command, ['serve', 'worker.capnp', '--control-fd=3'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  let error = ''
  child.stderr?.on('data', chunk => (error += String(chunk)))
  const port = await new Promise<number>((found, failed) => {
    child.stdio[3]?.on('data', chunk => {
      const line: unknown = JSON.parse(String(chunk).split('\n')[0] ?? '')
      if (typeof line === 'object' && line !== null && 'port' in line) found(Number(line.port))
    })
    child.once('exit', () => failed(new Error(`workerd ended: ${error}`)))
  })
  return {
    async run(given) {
      const res = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: JSON.stringify(given) })
      if (res.status !== 200) throw new Error(`the Worker answered ${res.status}: ${await res.text()} ${error}`)
      return res.json()
    },
    async close() {
      const gone = new Promise(done => child.once('exit', done))
      if (child.exitCode === null && child.kill()) await gone
    },
  }
}

/** Chromium: in the page, or in a worker of the page. `origin`: where the page comes from. */
export interface Browser {
  readonly origin: string
  page(): Runtime
  worker(): Runtime
  close(): Promise<void>
}

export async function startBrowser(folder: string): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(`this suite needs ${CHROMIUM}: apt-get install -y chromium`)
  const files: Readonly<Record<string, readonly [string, string]>> = {
    '/': ['text/html', '<!doctype html><title>an executor in a page</title>'],
    '/scenario.mjs': ['text/javascript', await bundled(folder, 'scenario.mjs', ['browser'])],
    '/web-worker.mjs': ['text/javascript', await bundled(folder, 'web-worker.mjs', ['browser'])],
  }
  const server = createServer((req, res) => {
    const [type, text] = files[req.url ?? ''] ?? ['text/plain', '']
    res.writeHead(text === '' ? 404 : 200, { 'content-type': type }).end(text)
  })
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] })
  const open = async () => {
    const page = await browser.newPage()
    await page.goto(origin)
    return page
  }
  const nothing = async () => {}
  // Given to Chromium as text: what stands in it is for a page, and this project's types are not.
  return {
    origin,
    page: () => ({
      run: async given =>
        (await open()).evaluate(`import('/scenario.mjs').then(({ run }) => run(${JSON.stringify(given)}))`),
      close: nothing,
    }),
    worker: () => ({
      run: async given =>
        (await open()).evaluate(`new Promise((done, failed) => {
          const worker = new Worker('/web-worker.mjs', { type: 'module' })
          worker.onmessage = ({ data }) => (data.error === undefined ? done(data.answer) : failed(new Error(data.error)))
          worker.onerror = event => failed(new Error(event.message))
          worker.postMessage(${JSON.stringify(given)})
        })`),
      close: nothing,
    }),
    async close() {
      await browser.close()
      server.closeAllConnections()
      server.close()
    },
  }
}
