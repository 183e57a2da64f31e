/** Needs `python3` with PyJWT and cryptography: `examples/executor.py` against the gate, and its rules against ours. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { argumentsOfText } from '../src/capability/arguments.ts'
import { issueCapability } from '../src/capability/issue.ts'
import { claimsOf, HEADER, KEYS, key, NOW_S, signed, tokenFor } from '../src/capability/testing/tokens.test-support.ts'
import { ToolCallInspectorCheck } from '../src/checks/tool-call-inspector.ts'
import { SigningKey } from '../src/keys/signing.ts'
import { calling } from './support/calling.ts'
import { chat, DEMO_REGISTRY, demoChecks, ISSUER, startTestGate, type TestGate } from './support/gate.ts'
import { saidAddress } from './support/said-address.ts'

const RECIPE = join(import.meta.dirname, '..', 'examples', 'executor.py')
const AUDIENCE = 'https://pay.example'
const SECRET = 'executor-secret-of-the-payment-service'

beforeAll(() => {
  const found = spawnSync('python3', ['-c', 'import jwt, cryptography'])
  if (found.status !== 0)
    throw new Error("python3 with PyJWT is needed: install Python 3, then pip install 'pyjwt[crypto]'")
})

/** Runs `body` with the recipe as `x` and the JSON of `input` as `given`; what it prints is JSON. */
function python(body: string, input: unknown): unknown {
  const script = `import sys, json, importlib.util
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('executor', ${JSON.stringify(RECIPE)})
x = importlib.util.module_from_spec(spec); spec.loader.exec_module(x)
given = json.load(sys.stdin)
${body}`
  const run = spawnSync('python3', ['-c', script], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (run.status !== 0) throw new Error(run.stderr)
  return JSON.parse(run.stdout)
}

describe('the Python recipe', () => {
  it('reads arguments as the gate does, and gives them the same digest', async () => {
    const odd = [
      '',
      '{}',
      ' {"a" : 1}',
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":2}',
      '[]',
      'null',
      '{"a":-0}',
      '{"a":0.1}',
      '{"a":1e21}',
      '{"a":123456789012345680000}',
      '{"a":12345678901234567890}',
      '{"a":9007199254740993}',
      '{"a":1e-7}',
      '{"a":1.50}',
      '{"a":5e-324}',
      '{"a":1e-400}',
      '{"a":1e400}',
      '{"a":NaN}',
      '{"a":"\\ud800"}',
      '{"a":"\\ufdd0"}',
      '{"a":"\\ud83d\\ude00"}',
      '{"\\ud83d\\ude00":1,"\\ufb33":2,"é":3,"z":4}',
      '{"a":"\u2028\u007f\\u0000\\b\\"/"}',
      '{"a":1}x',
      '{"a":01}',
      '{"a":1.}',
      '{"a":"\t"}',
      '\ufeff{}',
      '{"__proto__":{"a":1}}',
      `{"a":${'['.repeat(63)}${']'.repeat(63)}}`,
      `{"a":${'['.repeat(64)}${']'.repeat(64)}}`,
      '{"a":0.000001,"b":1.7976931348623157e308,"c":-1.5e-10,"d":100,"e":1e2}',
    ]
    const made = fc.sample(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), { maxKeys: 5 }), {
      numRuns: 400,
      seed: 8,
    })
    const doubles = fc.sample(fc.double({ noNaN: true, noDefaultInfinity: true }), { numRuns: 400, seed: 9 })
    const texts = [...odd, ...made.map(v => JSON.stringify(v)), ...doubles.map(d => `{"d":${JSON.stringify(d)}}`)]
    const ours = await Promise.all(texts.map(async text => (await argumentsOfText(text))?.digest ?? null))
    const theirs = python(
      `out = []
for text in given:
    try: out.append('sha256:' + x.hashlib.sha256(x.canonical(x.read_arguments(text)).encode()).hexdigest())
    except x.Refused: out.append(None)
print(json.dumps(out))`,
      texts,
    ) as readonly (string | null)[]
    expect(texts.map((text, i) => [text, theirs[i]])).toEqual(texts.map((text, i) => [text, ours[i]]))
    expect(ours.filter(digest => digest === null).length).toBeGreaterThan(10)
    expect(ours.filter(digest => digest !== null).length).toBeGreaterThan(500)
  })

  it('refuses what is refused here, by the same codes', async () => {
    const claims = await claimsOf()
    const good = await tokenFor()
    const [head = '', body = '', signature = ''] = good.split('.')
    const cases: readonly (readonly [string, unknown, object, string])[] = [
      ['good', good, {}, 'ok'],
      ['another tool', good, { tool: 'other' }, 'tool_wrong'],
      ['other arguments', good, { text: '{}' }, 'arguments_mismatch'],
      ['another audience', good, { audience: 'x' }, 'audience_wrong'],
      ['another issuer', good, { issuer: 'x' }, 'issuer_wrong'],
      ['late', good, { now: NOW_S + 120 }, 'expired'],
      ['early', good, { now: NOW_S - 6 }, 'not_yet_valid'],
      ['second use', good, { first: false }, 'already_used'],
      ['no store', good, { first: null }, 'replay_unavailable'],
      ['shadow', await issueCapability({ ...claims, shadow: true }, key), {}, 'shadow_refused'],
      ['nothing', null, {}, 'capability_malformed'],
      ['nonsense', 'a.b.c', {}, 'capability_malformed'],
      [
        'changed',
        `${head}.${Buffer.from(JSON.stringify({ ...claims, sub: 'human:m' })).toString('base64url')}.${signature}`,
        {},
        'capability_signature_invalid',
      ],
      ['stranger', await signed(HEADER, claims, SigningKey.generate()), {}, 'capability_signature_invalid'],
      [
        'alg none',
        `${Buffer.from('{"alg":"none","typ":"signet-capability+jwt"}').toString('base64url')}.${body}.`,
        {},
        'capability_alg_not_allowed',
      ],
      ['typ', await signed({ ...HEADER, typ: 'signet-receipt+jwt' }, claims), {}, 'capability_typ_wrong'],
      ['jku', await signed({ ...HEADER, jku: 'https://evil.example' }, claims), {}, 'capability_header_forbidden'],
      ['jwk', await signed({ ...HEADER, jwk: key.publicJwk }, claims), {}, 'capability_header_forbidden'],
      ['kid', await signed({ ...HEADER, kid: 'other' }, claims), {}, 'key_unknown'],
      ['aud list', await signed(HEADER, { ...claims, aud: [claims.aud] }), {}, 'claims_malformed'],
      ['long life', await signed(HEADER, { ...claims, exp: NOW_S + 4000 }), {}, 'claims_malformed'],
      ['exp text', await signed(HEADER, { ...claims, exp: String(claims.exp) }), {}, 'claims_malformed'],
    ]
    const said = python(
      `def one(token, o):
    def use(claims, t):
        if o.get('first', True) is None: raise OSError('down')
        return o.get('first', True)
    try:
        claims, args = x.verify(token, o.get('tool', 'issue_refund'), o.get('text', '{"amount":5e1,"account":"X"}'), jwks=given['jwks'],
            issuer=o.get('issuer', 'signet-test'), audience=o.get('audience', '${AUDIENCE}'), use=use, now=lambda: o.get('now', ${NOW_S}))
        assert args == {'account': 'X', 'amount': 50} and claims['tool'] == 'issue_refund'
        return 'ok'
    except x.Refused as refused: return str(refused)
print(json.dumps([one(token, o) for token, o in given['cases']]))`,
      { jwks: KEYS, cases: cases.map(([, token, o]) => [token, o]) },
    ) as readonly string[]
    expect(cases.map(([name], i) => [name, said[i]])).toEqual(cases.map(([name, , , code]) => [name, code]))
    const receipts = { keys: [{ ...key.publicJwk, signet_purpose: 'receipts' }] }
    const refused = python(
      `try: x.verify(given['token'], 'issue_refund', '', jwks=given['jwks'], issuer='', audience='', use=None)
except x.Refused as refused: print(json.dumps(str(refused)))`,
      { token: good, jwks: receipts },
    )
    expect(refused).toBe('key_unusable')
  })

  it('does not ask a gate that anybody could be', () => {
    const said = python(
      `out = []
for url in given:
    try: x.Gate(url, 's'); out.append(True)
    except ValueError: out.append(False)
print(json.dumps(out))`,
      ['https://gate.example', 'http://127.0.0.1:1', 'http://gate.example', 'ftp://gate.example'],
    )
    expect(said).toEqual([true, true, false, false])
  })
})

describe('executor.py', () => {
  let gate: TestGate
  let upstream: Awaited<ReturnType<typeof calling>>
  let executor: ChildProcess
  let url = ''
  beforeAll(async () => {
    upstream = await calling({ name: 'issue_refund', arguments: '{"account":"X","amount":50}' })
    const registry = { ...DEMO_REGISTRY, issue_refund: { riskTier: 'medium', audience: AUDIENCE } } as const
    gate = await startTestGate({
      upstreamUrl: upstream.url,
      checks: [...demoChecks().filter(c => c.name !== 'tool_call_inspector'), new ToolCallInspectorCheck({ registry })],
      capabilities: {
        signer: SigningKey.generate(),
        issuer: ISSUER,
        redeemers: { [AUDIENCE]: `sha256:${hash('sha256', SECRET, 'hex')}` },
      },
    })
    executor = spawn('python3', ['-B', RECIPE], {
      env: { ...process.env, GATE: gate.url, AUDIENCE, ISSUER, REDEEM_SECRET: SECRET, PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    url = await saidAddress(executor)
  })
  afterAll(async () => {
    executor.kill()
    await gate.close()
    upstream.close()
  })

  it('runs the permitted call once, and the gate has its rows', async () => {
    const tools = [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }]
    const res = await chat(gate, { model: 'm', tools, messages: [{ role: 'user', content: 'refund 50 to X' }] })
    const capability = /"capability":"([^"]+)"/.exec(await res.text())?.[1] ?? ''
    const send = (body: string | Buffer) =>
      fetch(`${url}/issue_refund`, { method: 'POST', headers: { 'x-signet-capability': capability }, body })
    const refused = async (body: string | Buffer) => ((await (await send(body)).json()) as { code?: string }).code
    expect(await refused('{"account":"X","amount":51}')).toBe('arguments_mismatch')
    expect(await refused('{"account":"X","amount":50,"amount":5000}')).toBe('arguments_ambiguous')
    expect(await refused(Buffer.from([0xff]))).toBe('arguments_ambiguous')
    const many = await Promise.all(Array.from({ length: 20 }, () => send('{"amount":50.0,"account":"\\u0058"}')))
    expect(many.map(r => r.status).filter(status => status === 200).length).toBe(1)
    expect(await refused('{"account":"X","amount":50}')).toBe('already_used')
    const rows = gate.rows().filter(r => r['check_name'] === 'pipeline.execution')
    expect(rows.map(r => r['reason'])).toEqual(['an executor used a capability', 'the executor says that the tool ran'])
  })

  it('says in one line what it lacks: a package, a setting, the gate', () => {
    const start = (args: readonly string[], env: Record<string, string>) => {
      const { status, stderr } = spawnSync('python3', ['-B', ...args, RECIPE], { encoding: 'utf8', env })
      return [status, stderr]
    }
    const settings = { AUDIENCE, REDEEM_SECRET: SECRET }
    // Without what is installed beside Python itself.
    expect(start(['-I', '-S'], { ...settings, GATE: gate.url })).toEqual([
      1,
      expect.stringMatching(/^(cryptography|jwt) is not installed; run: pip install 'pyjwt\[crypto\]'\n$/),
    ])
    expect(start([], settings)).toEqual([1, expect.stringMatching(/^GATE is not set[^\n]+\n$/)])
    for (const GATE of ['http://127.0.0.1:1', 'http://gate.example'])
      expect(start([], { ...settings, GATE })).toEqual([1, expect.stringMatching(/^GATE: no key set from [^\n]+\n$/)])
  })
})
