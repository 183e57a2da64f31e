/** What is published: the tarball, installed into an empty folder, gives a working gate, its types and its subpaths. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AUTHORITY } from '../src/identity/certificates.test-support.ts'

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
    run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], ROOT)
    const tarball = readdirSync(folder).find(f => f.endsWith('.tgz')) ?? ''
    writeFileSync(join(folder, 'package.json'), '{"name":"try-signet","private":true,"type":"module"}')
    run('npm', ['install', '--silent', '--no-audit', '--no-fund', join(folder, tarball)])
  }, 180_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const bin = () => join(folder, 'node_modules', 'signet-gate', 'dist', 'cli', 'bin.js')

  it('holds what it needs and nothing of the workshop', () => {
    const inside = join(folder, 'node_modules', 'signet-gate')
    for (const f of ['LICENSE', 'NOTICE', 'README.md', 'dist/index.js', 'dist/index.d.ts', 'dist/console/index.html'])
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

  it('says what to install for sign-in at an identity provider, in one line', () => {
    const identity = { jwt: { issuers: [{ issuer: 'https://sso.example', audience: 'c', discovery: true }] } }
    writeFileSync(join(folder, 'control.json'), JSON.stringify(identity), { mode: 0o600 })
    const serve = spawnSync(node, [bin(), 'serve', '--upstream', 'demo', '--dev', '--port', '0'], {
      cwd: folder,
      encoding: 'utf8',
      env: {
        ...process.env,
        SIGNET_APPROVERS: 'human:bob@example.com',
        SIGNET_CONTROL_IDENTITY_FILE: 'control.json',
        SIGNET_CONSOLE_OIDC_CLIENT_ID: 'c',
      },
    })
    expect([serve.status, serve.stderr]).toEqual([
      2,
      expect.stringMatching(/SIGNET_CONSOLE_OIDC_CLIENT_ID: .*not installed; run: npm install oauth4webapi\n$/),
    ])
  })

  it('says what to install for anchors, in one line', () => {
    writeFileSync(join(folder, 'roots.pem'), AUTHORITY)
    const environment = { SIGNET_ANCHOR_URLS: 'https://tsa.example/tsr', SIGNET_ANCHOR_CA_FILE: 'roots.pem' }
    const serve = spawnSync(node, [bin(), 'serve', '--upstream', 'demo', '--dev', '--port', '0'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, ...environment },
    })
    expect([serve.status, serve.stderr]).toEqual([
      2,
      expect.stringMatching(/SIGNET_ANCHOR_URLS: .*not installed; run: npm install pkijs asn1js\n$/),
    ])
  })

  it('says what to install for passkeys, in one line', () => {
    const serve = spawnSync(node, [bin(), 'serve', '--upstream', 'demo', '--dev', '--port', '0'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, SIGNET_PASSKEY_RP_ID: 'localhost', SIGNET_CONTROL_PORT: '0' },
    })
    expect([serve.status, serve.stderr]).toEqual([
      2,
      expect.stringMatching(/passkeys: .*not installed; run: npm install @simplewebauthn\/server\n$/),
    ])
  })

  it('its types and subpaths work in a strict project', () => {
    writeFileSync(
      join(folder, 'use.ts'),
      `import { definePipeline, OwnerResolutionCheck, block, type Check } from 'signet-gate'
import { verifyReceipt } from 'signet-gate/receipt'
import { wrapOpenAI } from 'signet-gate/openai'
import { MemoryReplayStore, requireCapability } from 'signet-gate/capability'
import { type EvidenceReport, holds, verifyEvidence } from 'signet-gate/evidence'
import { wrapAnthropic } from 'signet-gate/anthropic'
import { signetConfiguration, SignetCallbackHandler, SignetRefused } from 'signet-gate/langchain'
import { createSignet, signetErrorOf } from 'signet-gate/ai'
const mine: Check = { name: 'mine', priority: 0, timeLimitMs: 10, describe: () => ({}), admit: x => block('custom:no', x.id) }
export default definePipeline({ checks: [new OwnerResolutionCheck(), mine] })
export const report = (document: unknown): Promise<EvidenceReport | undefined> => verifyEvidence(document)
export const sound = async (document: unknown): Promise<boolean> => holds(await verifyEvidence(document))
export const used: readonly unknown[] = [verifyReceipt, wrapOpenAI, wrapAnthropic, SignetCallbackHandler, requireCapability, MemoryReplayStore]
const who = { signetUrl: 'http://gate:8443', owner: 'human:alice@example.com' }
export const base: string = signetConfiguration(who).configuration.baseURL + createSignet(who).provider.baseURL
export function told(error: unknown): string | undefined {
  return error instanceof SignetRefused ? error.reason : signetErrorOf(error)?.correlationId
}
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
    // Nothing of what the wrappers wrap is installed here: each loads without it.
    writeFileSync(
      join(folder, 'use.mjs'),
      `import { definePipeline } from 'signet-gate'
import { verifyReceipt } from 'signet-gate/receipt'
import { requireCapability } from 'signet-gate/capability'
import { verifyProof } from 'signet-gate/log'
import { verifyEvidence } from 'signet-gate/evidence'
import { wrapOpenAI } from 'signet-gate/openai'
import { wrapAnthropic } from 'signet-gate/anthropic'
import { SignetCallbackHandler, signetConfiguration } from 'signet-gate/langchain'
import { createSignet } from 'signet-gate/ai'
const all = [definePipeline, verifyReceipt, verifyProof, verifyEvidence, requireCapability, wrapOpenAI, wrapAnthropic, SignetCallbackHandler, signetConfiguration, createSignet]
console.log(all.map(one => typeof one).join())
const who = { signetUrl: 'http://gate:8443', owner: 'agent:triage' }
console.log(createSignet(who).provider.baseURL, signetConfiguration(who).clientOptions.baseURL)
const said = { approver: 'human:bob', decision: 'deny', by: 'api_key', at_ms: 1, digest: 'd', reason: null, evidence: null }
const document = { v: 1, escalation: 'e', digest: 'd', shown: { escalation: 'e' }, decisions: [said] }
console.log((await verifyEvidence(document)).decisions[0].verdict)
`,
    )
    expect(run(node, ['use.mjs'])).toBe(
      `${Array(10).fill('function').join()}\nhttp://gate:8443/v1 http://gate:8443\nunsigned\n`,
    )
    for (const wrapped of ['openai', 'ai', '@langchain', '@anthropic-ai', '@simplewebauthn'])
      expect(existsSync(join(folder, 'node_modules', wrapped))).toBe(false)
  })

  it('the executor half is one file, and nothing of Node is in it', () => {
    // Executors run anywhere: one file, and nothing of Node in it.
    const executor = readFileSync(join(folder, 'node_modules/signet-gate/dist/capability/index.js'), 'utf8')
    expect([...executor.matchAll(/^(?:import|export)[^'"]* from ['"]([^'"]+)['"]/gm)].map(m => m[1])).toEqual(['jose'])
    expect(executor).not.toMatch(/\bimport\(|\brequire\(|\bprocess\.[a-z]|\bBuffer[.(]/)
  })

  it.each(['receipt/index.js', 'audit/log/index.js'])('%s loads nothing of Node, however it was bundled', entry => {
    const dist = join(folder, 'node_modules/signet-gate/dist')
    const seen = new Set<string>()
    const outside = new Set<string>()
    const visit = (file: string): void => {
      if (seen.has(file)) return
      seen.add(file)
      for (const [, spec = ''] of readFileSync(file, 'utf8').matchAll(/^(?:import|export)[^'"]*?["']([^"']+)["']/gm)) {
        if (spec.startsWith('.')) visit(join(file, '..', spec))
        else outside.add(spec)
      }
    }
    visit(join(dist, entry))
    expect([...outside].filter(spec => spec !== 'jose')).toEqual([])
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
