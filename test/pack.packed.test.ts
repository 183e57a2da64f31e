/** What is published: the tarball, installed into an empty folder, gives a working gate, its types and its subpaths. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'signet-pack-'))
const node = process.execPath
const run = (file: string, args: readonly string[], cwd = folder) =>
  execFileSync(file, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  })

describe('the published package', () => {
  beforeAll(() => {
    run('npm', ['pack', '--silent', '--pack-destination', folder], ROOT)
    const tarball = readdirSync(folder).find(f => f.endsWith('.tgz')) ?? ''
    writeFileSync(join(folder, 'package.json'), '{"name":"try-signet","private":true,"type":"module"}')
    run('npm', ['install', '--silent', '--no-audit', '--no-fund', join(folder, tarball)])
  }, 180_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const bin = () => join(folder, 'node_modules', 'signet-gate', 'dist', 'cli', 'bin.js')

  it('holds what it needs and nothing of the workshop', () => {
    const inside = join(folder, 'node_modules', 'signet-gate')
    for (const f of ['LICENSE', 'NOTICE', 'README.md', 'dist/index.js', 'dist/index.d.ts'])
      expect(existsSync(join(inside, f))).toBe(true)
    for (const f of ['src', 'test', 'bench', '.ci']) expect(existsSync(join(inside, f))).toBe(false)
  })

  it('init writes a project whose gate starts, refuses and answers', async () => {
    run(node, [bin(), 'init', 'my-gate'])
    const project = join(folder, 'my-gate')
    expect(existsSync(join(project, 'pipeline.ts'))).toBe(true)
    run(node, [bin(), 'lint'], project)
    const child = spawn(node, [bin(), 'serve', '--upstream', 'demo', '--dev', '--port', '0'], {
      cwd: project,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    try {
      const url = await new Promise<string>((res, rej) => {
        const see = (d: unknown) => {
          said += String(d)
          const m = /http:\/\/127\.0\.0\.1:\d+/.exec(said.split('listening').slice(1).join('listening'))
          if (m !== null) res(m[0])
        }
        child.stdout.on('data', see)
        child.stderr.on('data', see)
        child.on('exit', () => rej(new Error(`serve ended:\n${said}`)))
      })
      const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Say hello' }] })
      const post = (headers: Record<string, string>) =>
        fetch(`${url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body,
        })
      expect((await post({ 'x-commit-owner': 'human:alice@example.com' })).status).toBe(200)
    } finally {
      const gone = new Promise(r => child.once('exit', r))
      if (child.exitCode === null && child.kill('SIGTERM')) await gone
    }
  })

  it('says what to install for shared state, in one line', () => {
    const serve = spawnSync(
      node,
      [bin(), 'serve', '--upstream', 'demo', '--dev', '--redis-url', 'redis://127.0.0.1:1'],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    )
    expect([serve.status, serve.stderr]).toEqual([
      2,
      expect.stringMatching(/"redis" is not installed.*npm install redis\n$/),
    ])
  })

  it('its types and subpaths work in a strict project', () => {
    writeFileSync(
      join(folder, 'use.ts'),
      `import { definePipeline, OwnerResolutionCheck, block, type Check } from 'signet-gate'
import { verifyReceipt } from 'signet-gate/receipt'
import { wrapOpenAI } from 'signet-gate/openai'
import { MemoryReplayStore, requireCapability } from 'signet-gate/capability'
const mine: Check = { name: 'mine', priority: 0, timeLimitMs: 10, describe: () => ({}), admit: x => block('custom:no', x.id) }
export default definePipeline({ checks: [new OwnerResolutionCheck(), mine] })
export const used: readonly unknown[] = [verifyReceipt, wrapOpenAI, requireCapability('t', args => args, { keys: { keys: [] }, issuer: 'i', audience: 'a', replay: new MemoryReplayStore() })]
`,
    )
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          module: 'nodenext',
          target: 'es2024',
          types: ['node'],
          typeRoots: [join(ROOT, 'node_modules/@types')],
          skipLibCheck: true,
        },
        files: ['use.ts'],
      }),
    )
    run(node, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder])
    writeFileSync(
      join(folder, 'use.mjs'),
      "import * as a from 'signet-gate'; import * as r from 'signet-gate/receipt'; import * as c from 'signet-gate/capability'; if (!a.definePipeline || !r.verifyReceipt || !c.verifyCapability) process.exit(3)",
    )
    run(node, ['use.mjs'])
    // Executors run anywhere: one file, and nothing of Node in it.
    const executor = readFileSync(join(folder, 'node_modules/signet-gate/dist/capability/index.js'), 'utf8')
    expect([...executor.matchAll(/^(?:import|export)[^'"]* from ['"]([^'"]+)['"]/gm)].map(m => m[1])).toEqual(['jose'])
    expect(executor).not.toMatch(/\bimport\(|\brequire\(|\bprocess\.[a-z]|\bBuffer[.(]/)
  })

  it('brings at most forty packages', () => {
    const installed = readdirSync(join(folder, 'node_modules')).flatMap(n =>
      n.startsWith('@') ? readdirSync(join(folder, 'node_modules', n)) : n.startsWith('.') ? [] : [n],
    )
    expect(installed.length).toBeLessThanOrEqual(40)
    expect(JSON.parse(readFileSync(join(folder, 'node_modules/signet-gate/package.json'), 'utf8')).version).toMatch(
      /^\d/,
    )
  })
})
