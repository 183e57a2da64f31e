/** Argument policy and call limits through a whole gate: every surface with calls, streamed and not, with verified claims. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CallLimitsCheck } from '../src/checks/call-limits.ts'
import { OwnerResolutionCheck } from '../src/checks/owner-resolution.ts'
import { ToolCallInspectorCheck, type ToolSpec } from '../src/checks/tool-call-inspector.ts'
import type { Check } from '../src/core/check.ts'
import type { SharedState, StoredEscalation } from '../src/core/state.ts'
import { block } from '../src/core/verdict.ts'
import { apiKeyIdentity, newApiKey } from '../src/identity/api-key.ts'
import { assertedIdentity } from '../src/identity/asserted.ts'
import { jwtIdentity } from '../src/identity/jwt.ts'
import { AUDIENCE, ISSUER, signed, testKey } from '../src/identity/tokens.test-support.ts'
import { MemoryEscalationStore } from '../src/state/escalations/memory.ts'
import {
  MemoryBudgetState,
  MemoryRateLimitState,
  MemoryReferenceState,
  MemorySessionState,
} from '../src/state/memory.ts'
import { systemRandom } from '../src/state/system.ts'
import { startTestGate, type TestGate, type TestGateOptions, testEscalations } from './support/gate.ts'
import {
  type Proposed,
  type ProposingUpstream,
  post,
  requestFor,
  SURFACES,
  type Surface,
  startProposingUpstream,
} from './support/proposing.ts'

const ports = { now: Date.now, randomBytes: (n: number) => systemRandom().bytes(n) }
const own = newApiKey(ports.randomBytes)
const other = newApiKey(ports.randomBytes)
const identity = () =>
  apiKeyIdentity(
    {
      keys: [
        { hash: own.hash, owner: 'agent:bot', claims: { account: 'DE-17' } },
        { hash: other.hash, owner: 'agent:other' },
      ],
    },
    ports,
  )
const as = (key: { readonly key: string }) => ({ authorization: `Bearer ${key.key}` })

const PAY: ToolSpec = {
  riskTier: 'medium',
  arguments: {
    schema: {
      type: 'object',
      required: ['account', 'amount', 'memo'],
      additionalProperties: false,
      properties: {
        account: { type: 'string' },
        amount: { type: ['number', 'string'] },
        memo: { type: 'string', pattern: '^MARK[ a-z]*$' },
        cc: { type: ['array', 'null'], items: { type: 'string' } },
      },
    },
    rules: [
      { id: 'cap', at: '/amount', max: 10000 },
      { id: 'human', at: '/amount', max: 100, action: 'escalate' },
      { id: 'own account', at: '/account', claim: 'account' },
      { id: 'inside', at: '/cc/*', pattern: '[a-z]+@example\\.com', required: false },
    ],
  },
}

const checks = (more: readonly Check[] = []): readonly Check[] => [
  new OwnerResolutionCheck(),
  new ToolCallInspectorCheck({ registry: { pay: PAY, get_weather: {} } }),
  ...more,
]

const pay = (members: object = {}): Proposed => ({
  name: 'pay',
  argumentsText: JSON.stringify({ account: 'DE-17', amount: 50, memo: 'MARK', ...members }),
})
const text = (argumentsText: string): Proposed => ({ name: 'pay', argumentsText })
const metadata = (row: Record<string, unknown>) => row['metadata'] as Record<string, unknown>

const MODES = SURFACES.flatMap(surface => [false, true].map(stream => [surface, stream] as const))

let upstream: ProposingUpstream
beforeAll(async () => {
  upstream = await startProposingUpstream()
})
afterAll(() => upstream.close())

async function gateWith(options: TestGateOptions, work: (gate: TestGate) => Promise<void>): Promise<void> {
  const gate = await startTestGate({ upstreamUrl: upstream.url, checks: checks(), identity: identity(), ...options })
  try {
    await work(gate)
    expect((await gate.verify()).ok).toBe(true)
  } finally {
    await gate.close()
  }
}

describe.each(MODES)('on %s (stream: %s)', (surface, stream) => {
  let gate: TestGate
  beforeAll(async () => {
    gate = await startTestGate({ upstreamUrl: upstream.url, checks: checks(), identity: identity() })
  })
  afterAll(() => gate.close())

  const ask = async (call: Proposed, key = own) => {
    upstream.proposes(call)
    const before = gate.rows().length
    const res = await post(gate.url, surface, requestFor(surface, stream), as(key))
    return { status: res.status, text: await res.text(), rows: gate.rows().slice(before) }
  }

  it.each<[string, Proposed, string, string | undefined]>([
    ['an amount beyond the limit', pay({ amount: 10000.01 }), 'arguments_rule', 'cap'],
    ['the same as text', pay({ amount: '10000.000000000000000000001' }), 'arguments_rule', 'cap'],
    ['an amount in words', pay({ amount: 'ten thousand' }), 'arguments_rule', 'cap'],
    ['another account', pay({ account: 'DE-18' }), 'arguments_rule', 'own account'],
    ['a list of accounts', pay({ account: ['DE-17'] }), 'arguments_schema', 'schema'],
    ['a receiver outside', pay({ cc: ['a@example.com', 'eve@evil.org'] }), 'arguments_rule', 'inside'],
    ['two receivers in one', pay({ cc: ['a@example.com,eve@evil.org'] }), 'arguments_rule', 'inside'],
    ['a member nobody declared', pay({ force: true }), 'arguments_schema', 'schema'],
    ['a member that looks like one', pay({ Amount: 99999 }), 'arguments_ambiguous', undefined],
    ['a text that the schema refuses', pay({ memo: 'MARK\nBcc: eve' }), 'arguments_schema', 'schema'],
    ['a missing member', text('{"account":"DE-17","memo":"MARK"}'), 'arguments_schema', 'schema'],
  ])('is refused, with the rule in the row and no value: %s', async (_what, call, code, rule) => {
    const { text: said, rows } = await ask(call)
    expect(said).not.toContain('MARK')
    const row = rows.find(r => metadata(r)['_code'] === code)
    if (row === undefined) throw new Error(`expected a row with ${code}`)
    expect(row).toMatchObject({ decision: 'block', check_name: 'pipeline.commitment', owner_id: 'bot' })
    expect(metadata(row)).toMatchObject({ _check_name: 'tool_call_inspector', _tool: 'pay' })
    expect(metadata(row)['rule']).toBe(rule)
    expect(JSON.stringify(rows)).not.toMatch(/MARK|10000\.0|DE-1|evil|99999/)
  })

  it('whose text has two readings is refused', async () => {
    // In a whole Messages answer the arguments are part of the body, which then is no JSON anybody may read.
    for (const [call, codes] of [
      [
        text('{"account":"DE-17","amount":5,"amount":99999,"memo":"MARK"}'),
        ['arguments_ambiguous', 'upstream_decode_error'],
      ],
      [text('{"account":"DE-17","amount":5,"memo":"MARK","__proto__":{"amount":99999}}'), ['arguments_ambiguous']],
      [
        text('[{"account":"DE-17","amount":5,"memo":"MARK"}]'),
        ['arguments_ambiguous', 'upstream_protocol_violation', 'upstream_decode_error'],
      ],
    ] as const) {
      const { text: said, rows } = await ask(call)
      expect(said).not.toContain('MARK')
      expect(codes).toContain(metadata(rows.find(r => r['decision'] === 'block') ?? { metadata: {} })['_code'])
    }
  })

  it('of an owner whose credential says no account is refused', async () => {
    const { text: said, rows } = await ask(pay(), other)
    expect(said).not.toContain('MARK')
    expect(rows.some(r => metadata(r)['_code'] === 'claim_missing')).toBe(true)
  })

  it('beyond what needs no human, it is held', async () => {
    const { text: said, status, rows } = await ask(pay({ amount: '100.01' }))
    expect(said).not.toContain('MARK')
    expect(stream ? 200 : 202).toBe(status)
    expect(rows.find(r => r['decision'] === 'escalate')).toMatchObject({
      metadata: { _code: 'arguments_rule', rule: 'human', pointer: '/amount' },
    })
  })

  it.each<[string, Proposed]>([
    ['a number', pay()],
    ['the limit itself', pay({ amount: 100 })],
    ['a text', pay({ amount: '100.00' })],
    ['a text with many zeros', pay({ amount: '99.000000000000000000000000' })],
    ['a fraction', pay({ amount: 19.99 })],
    ['nothing', pay({ amount: 0 })],
    ['another order', text('{"memo":"MARK","amount":5,"account":"DE-17"}')],
    ['blanks', text(' { "account" : "DE-17" , "amount" : 5 , "memo" : "MARK hello" } ')],
    ['escapes', text('{"account":"\\u0044E-17","amount":5,"memo":"MARK"}')],
    ['an exponent', text('{"account":"DE-17","amount":1e2,"memo":"MARK"}')],
    ['no receivers', pay({ cc: [] })],
    ['null for what is left out', pay({ cc: null })],
    ['receivers inside', pay({ cc: ['a@example.com', 'b@example.com'] })],
    ['a tool without a policy', { name: 'get_weather', argumentsText: '{"city":"MARK","Amount":1,"amount":2}' }],
  ])('passes: %s', async (_what, call) => {
    const { text: said, status, rows } = await ask(call)
    expect(status).toBe(200)
    expect(said).toContain('MARK')
    expect(rows.every(r => r['decision'] === 'allow')).toBe(true)
  })

  it('repeats of the conversation are counted', () =>
    gateWith({ checks: checks([new CallLimitsCheck({ tools: { pay: { repeats: 2 } } })]) }, async limited => {
      upstream.proposes(pay())
      const past = (n: number) =>
        requestFor(
          surface,
          stream,
          Array.from({ length: n }, () => pay()),
        )
      expect(await (await post(limited.url, surface, past(1), as(own))).text()).toMatch(/MARK/)
      expect(await (await post(limited.url, surface, past(2), as(own))).text()).not.toMatch(/MARK/)
      expect(limited.rows().some(r => metadata(r)['_code'] === 'call_loop')).toBe(true)
    }))

  it('duplicates are refused, in one answer and in the next', () =>
    gateWith(
      { checks: checks([new CallLimitsCheck({ tools: { pay: { duplicates: { withinSeconds: 600 } } } })]) },
      async limited => {
        upstream.proposes(pay(), pay({ amount: 51 }), pay())
        const said = await (await post(limited.url, surface, requestFor(surface, stream), as(own))).text()
        expect(said).toMatch(/MARK/)
        expect(limited.rows().filter(r => metadata(r)['_code'] === 'call_duplicate')).toHaveLength(1)
        expect(limited.rows().filter(r => r['reason'] === 'tool call approved')).toHaveLength(2)
        const again = await (await post(limited.url, surface, requestFor(surface, stream), as(own))).text()
        expect(again).not.toMatch(/MARK/)
        expect(limited.rows().filter(r => metadata(r)['_code'] === 'call_duplicate')).toHaveLength(4)
      },
    ))
})

describe('a claim', () => {
  it('of a token is what the issuer signed, under the name that the operator gave it', async () => {
    const key = await testKey('EdDSA')
    const exp = Math.floor(Date.now() / 1000) + 300
    const jwt = jwtIdentity(
      {
        issuers: [
          {
            issuer: ISSUER,
            audience: AUDIENCE,
            jwks: { keys: [key.jwk] },
            claims: { forRules: { account: ['bank', 'account'] } },
          },
        ],
      },
      ports,
    )
    await gateWith({ identity: jwt }, async gate => {
      const ask = async (claims: object, headers: Record<string, string> = {}) => {
        const token = await signed(key, { iss: ISSUER, aud: AUDIENCE, sub: 'alice', exp, ...claims })
        const res = await post(gate.url, 'chat', requestFor('chat', false), {
          authorization: `Bearer ${token}`,
          ...headers,
        })
        return (await res.text()).includes('MARK')
      }
      upstream.proposes(pay())
      expect(await ask({ bank: { account: 'DE-17' } })).toBe(true)
      expect(await ask({ bank: { account: ['DE-16', 'DE-17'] } })).toBe(true)
      for (const claims of [
        {},
        { account: 'DE-17' },
        { bank: { account: 'DE-18' } },
        { bank: { account: '' } },
        { bank: { account: { id: 'DE-17' } } },
        { bank: { account: ['DE-17', {}] } },
        { bank: 'DE-17' },
      ]) {
        expect(await ask(claims, { 'x-signet-account': 'DE-17', 'x-commit-owner': 'agent:bot' })).toBe(false)
      }
      upstream.proposes(pay({ account: '17' }))
      expect(await ask({ bank: { account: 17 } })).toBe(true)
      // Not what was signed: a double holds another number.
      upstream.proposes(pay({ account: '9007199254740992' }))
      expect(await ask({ bank: { account: 2 ** 53 + 2 } })).toBe(false)
    })
  })

  it('is never what the caller says of itself, unless the rule says so', async () => {
    const named = (asserted: boolean) =>
      new ToolCallInspectorCheck({
        registry: { pay: { arguments: { rules: [{ at: '/account', claim: 'owner_id', asserted }] } } },
      })
    for (const asserted of [false, true]) {
      await gateWith({ identity: assertedIdentity(), checks: [named(asserted)] }, async gate => {
        upstream.proposes(pay({ account: 'alice' }))
        const ask = async (owner: string) =>
          (await post(gate.url, 'chat', requestFor('chat', false), { 'x-commit-owner': owner })).text()
        expect((await ask('human:alice')).includes('MARK')).toBe(asserted)
        expect(await ask('human:bob')).not.toContain('MARK')
      })
    }
  })
})

describe('an approved call', () => {
  class SeenStore extends MemoryEscalationStore {
    readonly ids: string[] = []
    override create(e: StoredEscalation, answer: Uint8Array) {
      this.ids.push(e.id)
      return super.create(e, answer)
    }
  }

  const limits = () =>
    new CallLimitsCheck({
      tools: { pay: { rate: { calls: 2, perSeconds: 86_400 }, duplicates: { withinSeconds: 86_400 }, repeats: 1 } },
    })

  async function held(
    options: TestGateOptions,
    work: (gate: TestGate, store: SeenStore, decide: (id: string) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const store = new SeenStore()
    await gateWith({ escalations: testEscalations({ store }), ...options }, async gate => {
      const { desk } = gate.running.gate
      await work(gate, store, async id => {
        const e = await desk.find(id)
        if (e === undefined) throw new Error('nothing is held')
        await desk.decide(id, {
          approver: 'human:approver@example.org',
          decision: 'approve',
          by: 'token',
          digest: e.digest,
        })
      })
    })
  }

  const asking = (gate: TestGate, surface: Surface, stream: boolean, escalation?: string) =>
    post(gate.url, surface, requestFor(surface, stream), {
      ...as(own),
      ...(escalation === undefined ? {} : { 'x-signet-escalation': escalation }),
    })

  it.each(MODES)('leaves on %s (stream: %s): it is no duplicate of itself, and counts once', (surface, stream) =>
    held({ checks: checks([limits()]) }, async (gate, store, decide) => {
      upstream.proposes(pay({ amount: 500 }), pay({ amount: 5 }))
      expect(await (await asking(gate, surface, stream)).text()).not.toContain('MARK')
      const [id = ''] = store.ids
      await decide(id)
      for (let i = 0; i < 2; i += 1) {
        const released = await asking(gate, surface, stream, id)
        expect(released.status).toBe(200)
        expect((await released.text()).match(/MARK/g)?.length).toBeGreaterThanOrEqual(2)
      }
      // Both were counted when they were proposed, so the rate is used up, and no more.
      upstream.proposes(pay({ amount: 6 }))
      expect(await (await asking(gate, surface, stream)).text()).not.toContain('MARK')
      expect(gate.rows().filter(r => metadata(r)['_code'] === 'call_rate')).toHaveLength(1)
      expect(upstream.asked()).toBeGreaterThan(0)
    }),
  )

  it('proposed again while the first waits is a duplicate, and nobody is asked twice', () =>
    held({ checks: checks([limits()]) }, async (gate, store) => {
      upstream.proposes(pay({ amount: 500 }))
      await (await asking(gate, 'chat', false)).text()
      expect(await (await asking(gate, 'chat', false)).text()).not.toContain('MARK')
      expect(store.ids).toHaveLength(1)
      expect(gate.rows().some(r => metadata(r)['_code'] === 'call_duplicate')).toBe(true)
    }))

  it('is judged again by the rules in force: claims are those of the owner who proposed it', () =>
    held({ checks: checks([limits()]) }, async (gate, store, decide) => {
      upstream.proposes(pay({ amount: 500, cc: ['a@example.com'] }))
      await (await asking(gate, 'messages', true)).text()
      const [id = ''] = store.ids
      const kept = await gate.running.gate.desk.find(id)
      expect(kept?.owner.claims).toEqual({ account: 'DE-17' })
      await decide(id)
      expect(await (await asking(gate, 'messages', true, id)).text()).toContain('MARK')
    }))
})

describe('what is counted', () => {
  const never = (codes: readonly string[]): Check => ({
    name: 'second_thoughts',
    priority: 500,
    timeLimitMs: 1000,
    describe: () => ({ name: 'second_thoughts' }),
    commit: call => (codes.includes(call.argumentsText) ? block('custom:no', 'no') : { kind: 'allow' }),
  })

  it('is only what every other check lets through', () => {
    const refusedText = pay({ amount: 7 }).argumentsText
    const refused = [refusedText]
    return gateWith(
      {
        checks: checks([
          never(refused),
          new CallLimitsCheck({
            tools: { pay: { rate: { calls: 1, perSeconds: 86_400 }, duplicates: { withinSeconds: 600 } } },
          }),
        ]),
      },
      async gate => {
        const ask = async (call: Proposed) => {
          upstream.proposes(call)
          return (await (await post(gate.url, 'chat', requestFor('chat', false), as(own))).text()).includes('MARK')
        }
        for (const call of [text(refusedText), pay({ account: 'DE-18' }), text(refusedText)]) {
          expect(await ask(call)).toBe(false)
        }
        refused.length = 0
        expect(await ask(text(refusedText))).toBe(true)
        expect(await ask(pay({ amount: 8 }))).toBe(false)
        expect(gate.rows().filter(r => metadata(r)['_code'] === 'call_rate')).toHaveLength(1)
      },
    )
  })

  const shared = (more: Partial<SharedState> = {}): SharedState => ({
    rateLimits: new MemoryRateLimitState(),
    budgets: new MemoryBudgetState(),
    sessions: new MemorySessionState(),
    references: new MemoryReferenceState(),
    reachable: () => true,
    close: async () => undefined,
    ...more,
  })
  const limited = () => checks([new CallLimitsCheck({ tools: { pay: { duplicates: { withinSeconds: 600 } } } })])

  it('holds over gates that share state: of the same call at both, one leaves', async () => {
    const state = shared()
    const gates = await Promise.all(
      [0, 1].map(() =>
        startTestGate({ upstreamUrl: upstream.url, checks: limited(), identity: identity(), shared: state }),
      ),
    )
    upstream.proposes(pay())
    const said = await Promise.all(
      gates.map(async gate => (await post(gate.url, 'chat', requestFor('chat', false), as(own))).text()),
    )
    expect(said.filter(one => one.includes('MARK'))).toHaveLength(1)
    for (const gate of gates) await gate.close()
  })

  it.each(MODES)('is refused when state cannot be asked, also in shadow: %s (stream: %s)', (surface, stream) =>
    gateWith(
      {
        checks: limited(),
        shadow: true,
        shared: shared({ rateLimits: { take: () => Promise.reject(new Error('down')) } }),
      },
      async gate => {
        upstream.proposes(pay())
        expect(await (await post(gate.url, surface, requestFor(surface, stream), as(own))).text()).not.toContain('MARK')
        expect(gate.rows().some(r => metadata(r)['_code'] === 'state_unavailable')).toBe(true)
      },
    ),
  )
})
