/** `examples/attacker.mjs` against `examples/executor.mjs`, each a process of its own, with a real gate. */
import { type ChildProcess, spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ToolCallInspectorCheck } from '../src/checks/tool-call-inspector.ts'
import { calling } from './support/calling.ts'
import { chat, DEMO_REGISTRY, demoChecks, ISSUER, startTestGate, type TestGate } from './support/gate.ts'
import { saidAddress } from './support/said-address.ts'

const AUDIENCE = 'https://pay.example'
const SECRET = 'executor-secret-of-the-payment-service'
const EXAMPLES = join(import.meta.dirname, '..', 'examples')

let gate: TestGate
let upstream: Awaited<ReturnType<typeof calling>>
let executor: ChildProcess
let executorUrl = ''

function run(file: string, args: readonly string[], env: Record<string, string> = {}) {
  // `signet-source`: the package's own sources, as its tests read them.
  return spawn(process.execPath, ['--conditions=signet-source', join(EXAMPLES, file), ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

beforeAll(async () => {
  upstream = await calling({ name: 'issue_refund', arguments: '{"account":"X","amount":50}' })
  const { SigningKey } = await import('../src/keys/signing.ts')
  gate = await startTestGate({
    upstreamUrl: upstream.url,
    checks: [
      ...demoChecks().filter(c => c.name !== 'tool_call_inspector'),
      new ToolCallInspectorCheck({
        registry: { ...DEMO_REGISTRY, issue_refund: { riskTier: 'medium', audience: AUDIENCE } },
      }),
    ],
    capabilities: {
      signer: SigningKey.generate(),
      issuer: ISSUER,
      redeemers: { [AUDIENCE]: `sha256:${hash('sha256', SECRET, 'hex')}` },
    },
  })
  executor = run('executor.mjs', [], {
    GATE: gate.url,
    AUDIENCE,
    ISSUER,
    REDEEM_SECRET: SECRET,
    PAYMENT_KEY: 'pk_live',
  })
  executorUrl = await saidAddress(executor)
})
afterAll(async () => {
  executor.kill()
  await gate.close()
  upstream.close()
})

it('an attacker with an agent’s own process and the network runs nothing but the one call it was permitted', async () => {
  const tools = [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }]
  const res = await chat(gate, { model: 'm', tools, messages: [{ role: 'user', content: 'refund 50 to X' }] })
  const capability = /"capability":"([^"]+)"/.exec(await res.text())?.[1] ?? ''
  const attacker = run('attacker.mjs', [executorUrl, gate.url, capability, res.headers.get('x-signet-receipt') ?? ''])
  let said = ''
  attacker.stdout?.on('data', chunk => (said += String(chunk)))
  attacker.stderr?.on('data', chunk => (said += String(chunk)))
  const code = await new Promise(resolve => attacker.on('exit', resolve))
  expect(said).toContain('the permitted call ran 1 time(s) of 51; the last was answered 403')
  expect(said).toContain('my key set was asked for 0 time(s)')
  const lines = said.split('\n').filter(line => /^(RAN|refused)/.test(line))
  expect(lines.length).toBeGreaterThan(20)
  expect(lines.filter(line => !/^refused (40[0-9]|403)/.test(line))).toEqual([])
  expect(code).toBe(0)
  const executions = gate.rows().filter(r => r['check_name'] === 'pipeline.execution')
  expect(executions.map(r => JSON.stringify(r).match(/capability\.\w+/)?.[0])).toContain('capability.redeemed')
  expect(executions.filter(r => JSON.stringify(r).includes('capability.redeemed')).length).toBe(1)
})

it('the pipeline of the walk holds the refund, for the executor that is started beside it', async () => {
  const { default: pipeline } = await import('../examples/refunds.ts')
  const inspector = pipeline.checks.find(check => check.name === 'tool_call_inspector')
  expect(inspector?.describe()).toMatchObject({
    options: {
      registry: [{ tool: 'issue_refund', riskTier: 'high', irreversible: true, audience: AUDIENCE }],
    },
  })
})

it('without what they need both say so in one line', async () => {
  const said = async (child: ChildProcess): Promise<string> => {
    let text = ''
    child.stderr?.on('data', chunk => (text += String(chunk)))
    const code = await new Promise(resolve => child.on('close', resolve))
    return `${String(code)} ${text}`
  }
  expect(await said(run('attacker.mjs', [executorUrl]))).toMatch(/^2 usage: [^\n]+\n$/)
  expect(await said(run('executor.mjs', [], { GATE: gate.url }))).toMatch(/^2 [A-Z_]+ is not set[^\n]+\n$/)
})
