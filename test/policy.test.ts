/** `signet policy`: a table against the pipeline that a gate really runs, and what it says of that gate's own rows. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ask, signet, startServed } from './support/served.ts'

const root = mkdtempSync(join(tmpdir(), 'signet-policy-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const SRC = join(import.meta.dirname, '../src')
let folders = 0
function project(pipeline: string, files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(root, `${folders++}-`))
  for (const [name, text] of Object.entries({ 'pipeline.ts': pipeline, ...files })) {
    writeFileSync(join(folder, name), text)
  }
  return folder
}

const PIPELINE = (max = 10_000, shadow = false) => `
import { CallLimitsCheck, definePipeline, OwnerResolutionCheck, RateLimitCheck, ToolCallInspectorCheck } from '${SRC}/index.ts'
export default definePipeline({
  shadow: ${shadow},
  checks: [
    new OwnerResolutionCheck(),
    new RateLimitCheck(),
    new ToolCallInspectorCheck({ registry: {
      issue_refund: { riskTier: 'medium', arguments: {
        schema: { type: 'object', required: ['amount'], properties: { amount: { type: ['number', 'string'] } } },
        rules: [
          { id: 'cap', at: '/amount', max: ${max} },
          { id: 'human', at: '/amount', max: 100, action: 'escalate' },
          { id: 'own', at: '/account', claim: 'account', required: false },
        ],
      } },
      get_weather: {},
    } }),
    new CallLimitsCheck({ tools: { issue_refund: { rate: { calls: 3, perSeconds: 3600 }, duplicates: { withinSeconds: 60 } }, '*': { repeats: 2 } } }),
  ],
  approvers: ['human:approver@example.com'],
})
`

const refund = (members: object) => ({ tool: 'issue_refund', ...members })
const CASES = [
  { name: 'a small refund', ...refund({ arguments: { amount: 50 } }), expect: 'allow' },
  { ...refund({ arguments: { amount: '100.01' } }), expect: 'escalate', rule: 'human', check: 'tool_call_inspector' },
  { ...refund({ arguments: { amount: 10001 } }), expect: 'block', code: 'arguments_rule', rule: 'cap' },
  { ...refund({ arguments: {} }), expect: 'block', code: 'arguments_schema', rule: 'schema' },
  { ...refund({ argumentsText: '{"amount":1,"amount":9}' }), expect: 'block', code: 'arguments_ambiguous' },
  { ...refund({ input: 'free text' }), expect: 'block', code: 'arguments_ambiguous' },
  { ...refund({ arguments: { amount: 1, account: 'a' }, claims: { account: 'a' } }), expect: 'allow' },
  {
    ...refund({ arguments: { amount: 1, account: 'b' }, claims: { account: ['a', 'c'] } }),
    expect: 'block',
    rule: 'own',
  },
  { ...refund({ arguments: { amount: 1, account: 'a' }, verified: false }), expect: 'block', code: 'claim_missing' },
  { ...refund({ arguments: { amount: 1 }, times: 2 }), expect: 'block', code: 'call_duplicate', check: 'call_limits' },
  { ...refund({ arguments: { amount: 1 }, times: 2, everySeconds: 60 }), expect: 'allow' },
  { ...refund({ arguments: { amount: 1 }, times: 4, everySeconds: 60 }), expect: 'block', rule: 'rate' },
  {
    tool: 'get_weather',
    past: [{ tool: 'get_weather' }, { tool: 'get_weather', argumentsText: '' }],
    expect: 'block',
    rule: 'repeats',
  },
  { tool: 'get_weather', owner: 'unresolved', session: 's', expect: 'allow' },
  { tool: 'nope', expect: 'block', code: 'tool_unregistered' },
]

describe('policy test', () => {
  it('passes when the pipeline says what the table expects, each case for itself', async () => {
    const folder = project(PIPELINE(), { 'policy.test.json': JSON.stringify({ cases: CASES }) })
    const ran = await signet(folder, ['policy', 'test'])
    expect(ran).toMatchObject({ code: 0, error: '' })
    expect(ran.out).toContain('ok     0 a small refund: allow\n')
    expect(ran.out).toContain(`OK: ${CASES.length} cases as expected.\n`)
    const json = JSON.parse((await signet(folder, ['policy', 'test', 'policy.test.json', '--json'])).out) as {
      readonly ok: boolean
      readonly cases: readonly { readonly ok: boolean; readonly got: object }[]
    }
    expect(json.ok).toBe(true)
    expect(json.cases[2]?.got).toMatchObject({
      verdict: 'block',
      code: 'arguments_rule',
      check: 'tool_call_inspector',
      rule: 'cap',
    })
  })

  it('says which names a table may have, where there is none', async () => {
    const { code, error } = await signet(project(PIPELINE(), {}), ['policy', 'test'])
    expect(code).toBe(2)
    expect(error).toBe(
      'Error: no table: expected policy.test.json or policy.test.ts in this folder, or the name of one\n',
    )
  })

  it('says what the checks say in shadow too', async () => {
    const folder = project(PIPELINE(10_000, true), { 'policy.test.json': JSON.stringify(CASES) })
    expect((await signet(folder, ['policy', 'test'])).code).toBe(0)
  })

  it('fails with what was expected and what came', async () => {
    const cases = [
      { ...refund({ arguments: { amount: 50 } }), expect: 'block', code: 'arguments_rule', rule: 'cap' },
      { ...refund({ arguments: { amount: 500 } }), expect: 'escalate', rule: 'cap' },
      { ...refund({ arguments: { amount: 5 } }), expect: 'allow' },
    ]
    const folder = project(PIPELINE(), { 'table.json': JSON.stringify({ cases }) })
    const { code, out } = await signet(folder, ['policy', 'test', 'table.json'])
    expect(code).toBe(1)
    expect(out).toContain(
      "failed 0 issue_refund\n         expected block arguments_rule rule 'cap'\n         got      allow\n",
    )
    expect(out).toContain(
      "expected escalate rule 'cap'\n         got      escalate arguments_rule by tool_call_inspector rule 'human'\n",
    )
    expect(out).toContain('FAILED: 2 of 3 cases not as expected.\n')
    const only = await signet(folder, ['policy', 'test', 'table.json', '--check', 'call_limits', '--json'])
    expect(JSON.parse(only.out)).toMatchObject({ ok: false, cases: [{ ok: false }, { ok: false }, { ok: true }] })
  })

  it('takes a table that is a module, with the types of the package', async () => {
    const table = `
      import type { PolicyTable } from 'signet-gate'
      const cases = [1, 50, 100].map(amount => ({ tool: 'issue_refund', arguments: { amount }, expect: 'allow' as const }))
      export default { cases } satisfies PolicyTable
    `
    const folder = project(PIPELINE(), { 'policy.test.ts': table })
    expect(await signet(folder, ['policy', 'test'])).toMatchObject({ code: 0, error: '' })
    chmodSync(join(folder, 'policy.test.ts'), 0o666)
    expect((await signet(folder, ['policy', 'test'])).code).toBe(2)
  })

  it.each<[string, string]>([
    ['{', 'is no JSON'],
    ['{}', 'expected { "cases": [ ... ] } with at least one case'],
    ['[]', 'expected { "cases": [ ... ] } with at least one case'],
    ['[5]', 'cases[0]: expected an object'],
    ['[{"tool":"a","expect":"allow","rulle":"x"}]', 'cases[0]: unknown member'],
    ['[{"tool":"a"}]', "cases[0]: expect: expected 'allow', 'block' or 'escalate'"],
    ['[{"tool":"a","expect":"deny"}]', 'cases[0]: expect'],
    ['[{"tool":"a","expect":"allow","code":"x"}]', 'an allowed call has no code'],
    ['[{"tool":"","expect":"allow"}]', 'cases[0]: tool'],
    ['[{"tool":"upstream:web_search","expect":"allow"}]', 'judged when a request declares them'],
    ['[{"tool":"a","arguments":[],"expect":"allow"}]', 'cases[0]: arguments'],
    ['[{"tool":"a","arguments":{},"input":"x","expect":"allow"}]', 'give one of'],
    ['[{"tool":"a","owner":"alice","expect":"allow"}]', 'cases[0]: owner'],
    ['[{"tool":"a","claims":{"a":{}},"expect":"allow"}]', 'cases[0]: claims'],
    ['[{"tool":"a","claims":{"a":1},"verified":false,"expect":"allow"}]', 'cases[0]: claims'],
    ['[{"tool":"a","times":0,"expect":"allow"}]', 'cases[0]: times'],
    ['[{"tool":"a","past":[{"tol":"a"}],"expect":"allow"}]', 'cases[0]: past[0]'],
  ])('%s is no table', async (text, expected) => {
    const folder = project(PIPELINE(), { 't.json': text })
    const { code, error } = await signet(folder, ['policy', 'test', 't.json'])
    expect(code).toBe(2)
    expect(error).toContain(expected)
    expect(error).not.toMatch(/\n\s+at /)
  })

  it('exits 2 without a table, without a pipeline and with a check that is not there', async () => {
    const folder = project(PIPELINE(), { 'policy.test.json': JSON.stringify(CASES) })
    for (const args of [['nope.json'], ['--pipeline', 'nope.ts'], ['--check', 'nope']]) {
      expect((await signet(folder, ['policy', 'test', ...args])).code).toBe(2)
    }
  })
})

describe('policy explain', () => {
  const tools = ['issue_refund', 'get_weather'].map(name => ({
    type: 'function',
    function: { name, parameters: { type: 'object' } },
  }))
  const question = { tools, messages: [{ role: 'user', content: 'refund 50000 to account X' }] }

  it('says which check and rule decided, in which stage, with which options', async () => {
    const folder = project(PIPELINE())
    const gate = await startServed(folder, ['--config', 'pipeline.ts'])
    const res = await ask(gate.url, 'human:alice@example.com', question)
    expect(await res.text()).not.toContain('50000')
    await ask(gate.url, undefined)
    expect(await gate.stop()).toBe(0)
    const id = res.headers.get('x-signet-correlation-id') ?? ''
    const rows = (
      JSON.parse((await signet(folder, ['policy', 'explain', id, 'audit.jsonl', '--json'])).out) as {
        readonly rows: readonly { readonly entry_id: string; readonly decision: string }[]
      }
    ).rows
    const entry = rows.find(row => row.decision === 'block')?.entry_id ?? ''
    const { code, out, error } = await signet(folder, ['policy', 'explain', entry, 'audit.jsonl'])
    expect({ code, error }).toEqual({ code: 0, error: '' })
    expect(out).toMatch(/^block by tool_call_inspector in commitment, about a call of 'issue_refund', 20/)
    expect(out).toMatch(/\n {2}code +arguments_rule\n/)
    expect(out).toMatch(/\n {2}rule +cap\n/)
    expect(out).toMatch(
      /\n {2}rule now +\{"at":"\/amount","id":"cap","max":10000\}|\n {2}rule now +\{"id":"cap","at":"\/amount","max":10000\}/,
    )
    expect(out).toMatch(/\n {2}options +\{"maxAllowedTier":"high"/)
    expect(out).toMatch(/\n {2}policy +[0-9a-f]{64}, that of pipeline\.ts\n/)
    expect(out).not.toContain('50000')

    // The pipeline has changed since.
    writeFileSync(join(folder, 'other.ts'), PIPELINE(99_999))
    const changed = await signet(folder, ['policy', 'explain', entry, 'audit.jsonl', '--pipeline', 'other.ts'])
    expect(changed.out).toContain('"max":99999')
    expect(changed.error).toMatch(/^warning: other\.ts is another policy than the one that decided /)

    // Without one the row is explained all the same.
    const bare = await signet(folder, ['policy', 'explain', entry, 'audit.jsonl', '--pipeline', 'gone.ts'])
    expect(bare.code).toBe(0)
    expect(bare.out).toMatch(/rule +cap/)
    expect(bare.error).toContain('gone.ts: no such file')

    expect((await signet(folder, ['policy', 'explain', 'nope', 'audit.jsonl'])).code).toBe(1)
    expect((await signet(folder, ['policy', 'explain', entry, 'nope.jsonl'])).code).toBe(2)
  })

  it('shows the numbers that a row holds, as numbers', async () => {
    const folder = project(PIPELINE())
    const gate = await startServed(folder, ['--config', 'pipeline.ts'])
    const res = await ask(gate.url, 'human:alice@example.com', { messages: [{ role: 'user', content: 'say hello' }] })
    expect(await res.text()).toContain('Hello.')
    expect(await gate.stop()).toBe(0)
    const id = res.headers.get('x-signet-correlation-id') ?? ''
    const { code, out, error } = await signet(folder, ['policy', 'explain', id, 'audit.jsonl'])
    expect({ code, error }).toEqual({ code: 0, error: '' })
    expect(out).toMatch(/\n {2}noted +\{.*"upstream_status":200\}\n/)
    const { rows } = JSON.parse((await signet(folder, ['policy', 'explain', id, 'audit.jsonl', '--json'])).out) as {
      readonly rows: readonly { readonly details: Readonly<Record<string, unknown>> }[]
    }
    expect(rows.at(-1)?.details).toMatchObject({ finish_reason: 'stop', upstream_status: 200 })
  })

  it('knows a policy whose checks count in another process', async () => {
    const { policyDigests } = await import('../src/cli/policy-digests.ts')
    const { RateLimitCheck } = await import('../src/checks/rate-limit.ts')
    const { policyDigest } = await import('../src/pipeline/digest.ts')
    const digests = policyDigests([new RateLimitCheck()], false)
    expect(digests.size).toBe(3)
    expect(digests.has(policyDigest([new RateLimitCheck()], false))).toBe(true)
    expect(digests.has(policyDigest([new RateLimitCheck({ capacity: 7 })], false))).toBe(false)
    expect(digests.has(policyDigest([new RateLimitCheck()], true))).toBe(false)
  })
})
