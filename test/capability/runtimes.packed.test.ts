/**
 * `signet-gate/capability` as it is published, in every runtime that executors have: Node, Deno, Bun, Workers, and Chromium's pages
 * and workers. Each does the same: pinned keys, key sets over HTTP that change, and a running gate that uses capabilities up.
 * Needs the npm registry, and Chromium.
 */
import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  ARGUMENTS,
  AUDIENCE,
  claimsOf,
  HEADER,
  ISSUER,
  KEYS,
  NOW_S,
  signed,
  TOOL,
  tokenFor,
} from '../../src/capability/testing/tokens.test-support.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { SigningKey } from '../../src/keys/signing.ts'
import { calling } from '../support/calling.ts'
import { chat, DEMO_REGISTRY, demoChecks, startTestGate, type TestGate } from '../support/gate.ts'
import {
  asProgram,
  asWorker,
  type Browser,
  installedRuntimes,
  PROGRAMS,
  type Runtime,
  startBrowser,
} from './runtimes.test-support.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const SECRET = 'executor-secret-of-the-payment-service'
const folder = mkdtempSync(join(tmpdir(), 'signet-runtimes-'))
const next = SigningKey.generate()

let commands: string
let browser: Browser
let gate: TestGate
let upstream: Awaited<ReturnType<typeof calling>>
let sets: Server
let setsUrl: string
/** Paths of `sets` that were asked for, in order. */
const asked: string[] = []

beforeAll(async () => {
  if (!existsSync(join(ROOT, 'dist/capability/index.js'))) throw new Error('nothing is built: npm run build')
  commands = installedRuntimes()
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT })
  const tarball = readdirSync(folder).find(name => name.endsWith('.tgz')) ?? ''
  writeFileSync(join(folder, 'package.json'), '{"name":"an-executor","private":true,"type":"module"}')
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const hono = `hono@${devDependencies.hono}`
  execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', join(folder, tarball), hono], { cwd: folder })
  for (const name of readdirSync(PROGRAMS).filter(n => /\.(mjs|capnp)$/.test(n)))
    copyFileSync(join(PROGRAMS, name), join(folder, name))

  browser = await startBrowser(folder)
  sets = createServer(keySets)
  await new Promise<void>(listening => sets.listen(0, '127.0.0.1', listening))
  const address = sets.address()
  setsUrl = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  upstream = await calling({ name: TOOL, arguments: ARGUMENTS })
  const registry = { ...DEMO_REGISTRY, [TOOL]: { riskTier: 'medium', audience: AUDIENCE } } as const
  const checks = demoChecks().filter(c => c.name !== 'tool_call_inspector')
  gate = await startTestGate({
    upstreamUrl: upstream.url,
    checks: [...checks, new ToolCallInspectorCheck({ registry })],
    capabilities: {
      signer: SigningKey.generate(),
      issuer: ISSUER,
      redeemers: { [AUDIENCE]: `sha256:${hash('sha256', SECRET, 'hex')}` },
    },
    cors: {
      origins: [browser.origin],
      methods: ['GET', 'POST'],
      headers: ['authorization', 'content-type'],
      credentials: false,
    },
  })
}, 300_000)

afterAll(async () => {
  await browser?.close()
  expect((await gate.verify()).ok).toBe(true)
  await gate.close()
  upstream.close()
  sets.closeAllConnections()
  sets.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Key sets of each runtime: one that is changed by a POST, one that has moved, none, and a gate that sends callers elsewhere. */
function keySets(req: IncomingMessage, res: ServerResponse): void {
  const path = req.url ?? ''
  asked.push(`${req.method} ${path}`)
  const [, runtime = '', what = ''] = path.split('/')
  const open = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'authorization, content-type' }
  const json = (value: object) =>
    res.writeHead(200, { ...open, 'content-type': 'application/json' }).end(JSON.stringify(value))
  const to = (status: number, location: string) =>
    res.writeHead(status, { ...open, location: `/${runtime}/${location}` }).end()
  if (req.method === 'OPTIONS') res.writeHead(204, open).end()
  else if (what === 'changing.json') json(asked.includes(`POST /${runtime}/rotate`) ? ROTATED : KEYS)
  else if (what === 'moved.json') to(302, 'elsewhere.json')
  else if (what === 'gate') to(307, 'elsewhere.json')
  else if (what === 'rotate' || what === 'elsewhere.json') json(KEYS)
  else res.writeHead(404, open).end()
}

const ROTATED = { keys: [{ ...next.publicJwk, signet_purpose: 'capabilities' }] }

/** Each released by the gate to an agent's call. */
async function permitted(): Promise<string> {
  const tools = [{ type: 'function', function: { name: TOOL, parameters: { type: 'object' } } }]
  const res = await chat(gate, { model: 'm', tools, messages: [{ role: 'user', content: 'refund 50 to X' }] })
  return /"capability":"([^"]+)"/.exec(await res.text())?.[1] ?? ''
}

const RUNTIMES: Readonly<Record<string, () => Runtime | Promise<Runtime>>> = {
  Node: () => asProgram(folder, process.execPath, []),
  // Nothing is allowed but what an executor needs: the network.
  Deno: () =>
    asProgram(folder, join(commands, 'deno'), ['run', '--no-prompt', '--cached-only', '--allow-net=127.0.0.1']),
  Bun: () => asProgram(folder, join(commands, 'bun'), ['run', '--no-install']),
  Workers: () => asWorker(folder, join(commands, 'workerd')),
  'a page': () => browser.page(),
  'a worker of a page': () => browser.worker(),
}

it.each(Object.keys(RUNTIMES))('%s: an executor refuses what is not permitted, and runs what is, once', async name => {
  const runtime = await RUNTIMES[name]?.()
  const at = `${setsUrl}/${encodeURIComponent(name)}`
  const claims = await claimsOf()
  const given = {
    runtime: name,
    nowMs: NOW_S * 1000,
    issuer: ISSUER,
    audience: AUDIENCE,
    tool: TOOL,
    argumentsText: ARGUMENTS,
    keys: KEYS,
    tokens: {
      good: await tokenFor(),
      expired: await tokenFor(ARGUMENTS, { nbf: NOW_S - 120, exp: NOW_S }),
      early: await tokenFor(ARGUMENTS, { nbf: NOW_S + 6, exp: NOW_S + 120 }),
      shadow: await tokenFor(ARGUMENTS, { shadow: true }),
      forged: await signed(HEADER, claims, SigningKey.generate()),
      receipt: await signed({ ...HEADER, typ: 'signet-receipt+jwt' }, claims),
      rotated: await signed({ ...HEADER, kid: next.kid }, claims, next),
    },
    sets: {
      changing: `${at}/changing.json`,
      rotate: `${at}/rotate`,
      moved: `${at}/moved.json`,
      missing: `${at}/missing.json`,
      movedGate: `${at}/gate`,
    },
    gate: { url: gate.url, secret: SECRET, capabilities: [await permitted(), await permitted()] },
  }
  const rowsBefore = executions().length
  const asksBefore = asked.length
  try {
    expect(await runtime?.run(given)).toEqual(EXPECTED)
  } finally {
    await runtime?.close()
  }
  // Once at first and once for the new key; what has moved was not followed, with or without the secret.
  const asks = asked.slice(asksBefore).filter(ask => !ask.startsWith('OPTIONS'))
  expect(asks.filter(ask => ask.endsWith('/changing.json')).length).toBe(2)
  expect(asks.filter(ask => ask.endsWith('/moved.json')).length).toBe(1)
  expect(asks.filter(ask => ask.includes('/gate/signet/v1/redeem')).length).toBe(1)
  expect(asks.filter(ask => ask.endsWith('/elsewhere.json'))).toEqual([])
  const rows = executions().slice(rowsBefore)
  expect(rows.map(row => /capability\.\w+/.exec(row)?.[0])).toEqual([
    'capability.redeemed',
    'capability.outcome',
    'capability.redeemed',
  ])
  expect(rows[1]).toContain(name)
})

const executions = () =>
  gate
    .rows()
    .filter(row => row['check_name'] === 'pipeline.execution')
    .map(row => JSON.stringify(row))

const RUN = `ok ${TOOL} {"account":"X","amount":50}`
const EXPECTED = {
  pinnedKeys: {
    good: RUN,
    'the same value, written otherwise': `ok ${TOOL} {"amount":50,"account":"X"}`,
    'a changed argument': 'arguments_mismatch',
    'a duplicate key': 'arguments_ambiguous',
    'another tool': 'tool_wrong',
    'another audience': 'audience_wrong',
    'another issuer': 'issuer_wrong',
    expired: 'expired',
    'not yet valid': 'not_yet_valid',
    shadow: 'shadow_refused',
    'shadow, accepted': RUN,
    'a key of another’s under the same id': 'capability_signature_invalid',
    'a changed signature': 'capability_signature_invalid',
    'a receipt': 'capability_typ_wrong',
    nothing: 'capability_missing',
  },
  used: { 'of twenty at once': [1, 19], 'a handler': 50, 'a handler again': 'already_used', 'it ran': 1 },
  rotation: {
    before: RUN,
    'at once': 'key_unknown',
    'after the cooldown': RUN,
    'the old key': 'key_unknown',
  },
  unreachable: {
    'moved elsewhere': 'jwks_unreachable',
    'nothing there': 'jwks_unreachable',
    'plain http, not the loopback': 'jwks_unreachable',
    'a gate that sends the secret elsewhere': 'replay_unavailable',
  },
  redeemed: {
    'its key set': ['capabilities', 'receipts'],
    'another’s secret': 'replay_unavailable',
    first: { account: 'X', amount: 50 },
    again: 'already_used',
  },
  hono: {
    changed: [403, 'arguments_mismatch'],
    first: [200, { account: 'X', amount: 50 }],
    again: [403, 'already_used'],
  },
}
