/** Capabilities of a whole gate: on every call of a tool with an audience, read by the vendors' own SDKs, verified by its executor. */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { argumentsOfText } from '../src/capability/arguments.ts'
import {
  CapabilityInvalid,
  capabilityOf,
  MemoryReplayStore,
  remoteJwks,
  verifyCapability,
} from '../src/capability/index.ts'
import { OwnerResolutionCheck } from '../src/checks/owner-resolution.ts'
import { RegexContentCheck } from '../src/checks/regex-content.ts'
import { ToolCallInspectorCheck } from '../src/checks/tool-call-inspector.ts'
import type { Check } from '../src/core/check.ts'
import type { StoredEscalation } from '../src/core/state.ts'
import { verifyReceipt, verifyStreamReceipt } from '../src/receipt/index.ts'
import { MemoryEscalationStore } from '../src/state/escalations/memory.ts'
import { type AnthropicUpstream, startAnthropicUpstream } from './clients/anthropic-upstream.ts'
import { type ResponsesUpstream, startResponsesUpstream } from './clients/responses-upstream.ts'
import { calling } from './support/calling.ts'
import {
  chat,
  DEMO_REGISTRY,
  demoChecks,
  ISSUER,
  startTestGate,
  type TestGate,
  type TestGateOptions,
  testEscalations,
} from './support/gate.ts'

const WEATHER = 'https://weather.example'
const PAY = 'https://pay.example'
const OWNER = 'human:alice@example.com'
const REGISTRY = {
  ...DEMO_REGISTRY,
  get_weather: { riskTier: 'low', audience: WEATHER },
  issue_refund: { riskTier: 'high', irreversible: true, audience: PAY },
} as const

function withAudience(more: object = {}): readonly Check[] {
  const inspector = new ToolCallInspectorCheck({ registry: REGISTRY, ...more })
  return [...demoChecks().filter(c => c.name !== inspector.name), inspector]
}

interface Called {
  readonly name: string
  readonly argumentsText: string
  readonly capability: string | undefined
}

/** By an executor of the tool, with the keys that the gate publishes. */
function verify(gate: TestGate, call: Called, audience = WEATHER, more: object = {}) {
  return verifyCapability(call.capability, {
    keys: remoteJwks(`${gate.url}/.well-known/jwks.json`),
    issuer: ISSUER,
    audience,
    tool: call.name,
    argumentsText: call.argumentsText,
    replay: new MemoryReplayStore(),
    ...more,
  })
}

const said = (name: string, argumentsText: string, call: unknown): Called => ({
  name,
  argumentsText,
  capability: capabilityOf(call),
})

const ask = (content: string, stream: boolean) => ({
  model: 'demo',
  stream,
  messages: [{ role: 'user' as const, content }],
  tools: ['get_weather', 'issue_refund', 'search_orders'].map(name => ({
    type: 'function' as const,
    function: { name, parameters: { type: 'object' } },
  })),
})

let anthropic: AnthropicUpstream
let responses: ResponsesUpstream
let openaiGate: TestGate
let anthropicGate: TestGate
let responsesGate: TestGate
beforeAll(async () => {
  anthropic = await startAnthropicUpstream()
  responses = await startResponsesUpstream()
  const checks = () => withAudience()
  openaiGate = await startTestGate({ checks: checks() })
  anthropicGate = await startTestGate({ checks: checks(), upstreamUrl: anthropic.url })
  responsesGate = await startTestGate({ checks: checks(), upstreamUrl: responses.url })
})
afterAll(async () => {
  for (const gate of [openaiGate, anthropicGate, responsesGate]) {
    expect((await gate.verify()).ok).toBe(true)
    await gate.close()
  }
  await anthropic.close()
  await responses.close()
})

const openai = (gate: TestGate) =>
  new OpenAI({
    apiKey: 'sk-none',
    baseURL: `${gate.url}/v1`,
    maxRetries: 0,
    defaultHeaders: { 'x-commit-owner': OWNER },
  })

/** The same question on every surface, as its SDK puts the answer together. */
const SURFACES: Readonly<Record<string, () => Promise<readonly [TestGate, readonly Called[]]>>> = {
  'chat, unary': async () => {
    const answer = await openai(openaiGate).chat.completions.create({
      ...ask('What is the weather in Oslo?', false),
      stream: false,
    })
    return [openaiGate, chatCalls(answer)]
  },
  'chat, streamed': async () => {
    const { stream: _s, ...asked } = ask('What is the weather in Oslo?', true)
    const stream = openai(openaiGate).chat.completions.stream(asked)
    return [openaiGate, chatCalls(await stream.finalChatCompletion())]
  },
  'messages, unary': async () => [anthropicGate, messageCalls(await messages().create(TOLD))],
  'messages, streamed': async () => [anthropicGate, messageCalls(await messages().stream(TOLD).finalMessage())],
  'responses, unary': async () => [
    responsesGate,
    itemCalls((await openai(responsesGate).responses.create(INPUT)).output),
  ],
  'responses, streamed': async () => {
    const stream = openai(responsesGate).responses.stream(INPUT)
    const done: unknown[] = []
    stream.on('event', event => {
      if (event.type === 'response.output_item.done') done.push(event.item)
    })
    const final = itemCalls((await stream.finalResponse()).output)
    expect(itemCalls(done)).toEqual(final)
    return [responsesGate, final]
  },
}
const TOLD = {
  model: 'claude',
  max_tokens: 64,
  tools: ['get_weather', 'search_orders'].map(name => ({ name, input_schema: { type: 'object' as const } })),
  messages: [{ role: 'user' as const, content: 'call: get_weather search_orders' }],
}
const INPUT = {
  model: 'm',
  input: 'please get_weather() and search_orders()',
  tools: ['get_weather', 'search_orders'].map(name => ({
    type: 'function' as const,
    name,
    parameters: { type: 'object' },
    strict: false,
  })),
}
const messages = () =>
  new Anthropic({
    apiKey: 'sk-none',
    authToken: null,
    baseURL: anthropicGate.url,
    maxRetries: 0,
    defaultHeaders: { 'x-commit-owner': OWNER },
  }).messages

function chatCalls(answer: OpenAI.ChatCompletion): readonly Called[] {
  return (answer.choices[0]?.message.tool_calls ?? []).flatMap(call =>
    call.type === 'function' ? [said(call.function.name, call.function.arguments, call)] : [],
  )
}

function messageCalls(answer: Anthropic.Message): readonly Called[] {
  return answer.content.flatMap(block =>
    block.type === 'tool_use' ? [said(block.name, JSON.stringify(block.input), block)] : [],
  )
}

function itemCalls(items: readonly unknown[]): readonly Called[] {
  return (items as readonly Record<string, string>[]).flatMap(item =>
    item['type'] === 'function_call' ? [said(item['name'] ?? '', item['arguments'] ?? '', item)] : [],
  )
}

describe('a call of a tool with an audience', () => {
  it.each(Object.keys(SURFACES))('leaves with a capability that its executor takes once (%s)', async surface => {
    const [gate, calls] = await (SURFACES[surface]?.() ?? Promise.reject(new Error(surface)))
    const call = calls.find(c => c.name === 'get_weather')
    if (call === undefined) throw new Error('no call')
    const replay = new MemoryReplayStore()
    const { claims, arguments: args } = await verify(gate, call, WEATHER, { replay })
    expect(claims).toMatchObject({ iss: ISSUER, sub: OWNER, aud: WEATHER, tool: 'get_weather' })
    expect(claims.exp - claims.nbf).toBe(120)
    expect(claims.args).toBe((await argumentsOfText(call.argumentsText))?.digest)
    expect(JSON.stringify(args)).toBe(JSON.stringify(JSON.parse(call.argumentsText)))
    await expect(verify(gate, call, WEATHER, { replay })).rejects.toMatchObject({ code: 'already_used' })
    await expect(verify(gate, call, PAY)).rejects.toMatchObject({ code: 'audience_wrong' })
    await expect(verify(gate, { ...call, argumentsText: '{"city":"Bergen"}' })).rejects.toThrow(CapabilityInvalid)
    // The row that allowed it is the capability's own, and is in the log before the call leaves.
    const row = gate.rows().find(r => r['entry_id'] === claims.jti)
    expect(row).toMatchObject({
      check_name: 'pipeline.commitment',
      decision: 'allow',
      metadata: { _tool: 'get_weather', _exchange_id: claims.exchange },
    })
    // One without an audience has none.
    for (const other of calls.filter(c => c.name !== 'get_weather')) expect(other.capability).toBeUndefined()
    if (!surface.startsWith('chat')) expect(calls.map(c => c.name)).toContain('search_orders')
  })

  it.each([false, true])('is covered by the receipt with its capability (stream: %s)', async stream => {
    const asked = JSON.stringify(ask('What is the weather in Oslo?', stream))
    const res = await chat(openaiGate, asked)
    const body = Buffer.from(await res.arrayBuffer())
    expect(body.toString()).toContain('"signet":{"capability":"ey')
    const rules = { keys: { keys: [openaiGate.signer.publicJwk] }, issuer: ISSUER, requestBytes: Buffer.from(asked) }
    if (stream) await verifyStreamReceipt(body, rules)
    else
      await verifyReceipt(res.headers.get('x-signet-receipt') ?? '', {
        ...rules,
        responseBytes: body,
        requireFinal: true,
      })
  })

  it.each([false, true])('without an audience leaves every byte upstream’s own (stream: %s)', async stream => {
    const bodies: string[] = []
    for (const checks of [withAudience(), withAudience({ registry: DEMO_REGISTRY })]) {
      const gate = await startTestGate({ checks })
      bodies.push(await (await chat(gate, ask('Find the orders of Bob', stream))).text())
      await gate.close()
    }
    const [one = '', two = ''] = bodies.map(plain)
    expect(one).toBe(two)
    expect(one).not.toContain('signet"')
  })

  it.each([false, true])('with arguments that are no one value is refused (stream: %s)', async stream => {
    const upstream = await calling({ name: 'get_weather', arguments: '{"city":"Oslo","city":"Rome"}' })
    for (const checks of [withAudience(), [new OwnerResolutionCheck(), new AudienceOnly()]]) {
      const gate = await startTestGate({ checks, shadow: checks.length === 2, upstreamUrl: upstream.url })
      const text = await (await chat(gate, ask('weather', stream))).text()
      expect(text).not.toContain('Rome')
      expect(gate.rows().find(r => r['check_name'] === 'pipeline.commitment')).toMatchObject({
        decision: 'block',
        metadata: { _code: 'arguments_ambiguous' },
      })
      await gate.close()
    }
    upstream.close()
  })

  it('in shadow says so, and executors refuse it', async () => {
    const shadowing = new RegexContentCheck({
      patterns: [{ pattern: 'Oslo', action: 'block', label: 'city' }],
      shadow: true,
    })
    const cases: readonly [TestGateOptions, string, true | undefined][] = [
      [{ checks: withAudience(), shadow: true }, 'What is the weather in Oslo?', true],
      [
        { checks: [...withAudience().filter(c => c.name !== shadowing.name), shadowing] },
        'What is the weather in Oslo?',
        true,
      ],
      [
        { checks: [...withAudience().filter(c => c.name !== shadowing.name), shadowing] },
        'What is the weather in Bergen?',
        undefined,
      ],
    ]
    for (const [options, question, shadow] of cases) {
      const gate = await startTestGate(options)
      const [call] = chatCalls(await openai(gate).chat.completions.create({ ...ask(question, false), stream: false }))
      if (call === undefined) throw new Error('no call')
      expect((await verify(gate, call, WEATHER, { allowShadow: true })).claims.shadow).toBe(shadow)
      if (shadow === true) await expect(verify(gate, call)).rejects.toMatchObject({ code: 'shadow_refused' })
      await gate.close()
    }
  })

  it('needs a key at start', async () => {
    const options = { checks: withAudience(), capabilities: undefined } as unknown as TestGateOptions
    await expect(startTestGate(options)).rejects.toThrow('no key to sign capabilities')
  })

  it('is signed with a key of its own, published for nothing else', async () => {
    const { keys } = (await (await fetch(`${openaiGate.url}/.well-known/jwks.json`)).json()) as { keys: unknown[] }
    expect(keys).toEqual([
      { ...openaiGate.signer.publicJwk, signet_purpose: 'receipts' },
      { ...openaiGate.permits.publicJwk, signet_purpose: 'capabilities' },
    ])
  })
})

describe('the list of capabilities', () => {
  const list = (id: string, owner = OWNER, gate = openaiGate) =>
    fetch(`${gate.url}/signet/v1/exchanges/${id}/capabilities`, { headers: { 'x-commit-owner': owner } })

  it('has those of an exchange for its owner, and for nobody else', async () => {
    const res = await chat(openaiGate, ask('What is the weather in Oslo?', false))
    const [call] = chatCalls((await res.json()) as OpenAI.ChatCompletion)
    const id = res.headers.get('x-signet-correlation-id') ?? ''
    const found = await list(id)
    expect(found.status).toBe(200)
    expect(found.headers.get('cache-control')).toBe('no-store')
    const { capabilities } = (await found.json()) as { capabilities: Record<string, string>[] }
    expect(capabilities).toEqual([
      {
        call: expect.any(String) as unknown,
        tool: 'get_weather',
        capability: call?.capability,
        expires_at: expect.stringMatching(/^\d{4}-.*Z$/) as unknown,
      },
    ])
    const others = [
      await list(id, 'human:mallory@example.com'),
      await list(id, ''),
      await list('0190b2c4-0000-7000-8000-000000000000'),
      await list('nonsense'),
      await list(`${id}/..`),
    ]
    const answers = await Promise.all(others.map(async r => [r.status, await r.text()]))
    expect(new Set(answers.map(a => JSON.stringify(a))).size).toBe(1)
    expect(answers[0]?.[0]).toBe(404)
    const post = await fetch(`${openaiGate.url}/signet/v1/exchanges/${id}/capabilities`, { method: 'POST' })
    expect(post.status).toBe(405)
  })
})

describe('forged capabilities', () => {
  it('of upstream never reach the caller', async () => {
    const signet = { capability: 'ey.forged.upstream' }
    const upstream = await calling({ name: 'search_orders', arguments: '{"query":"x"}' }, { signet })
    const gate = await startTestGate({ checks: withAudience(), upstreamUrl: upstream.url })
    const res = await chat(gate, ask('orders', false))
    expect(await res.text()).not.toContain('forged')
    await gate.close()
    upstream.close()
  })

  it('of a caller never reach upstream', async () => {
    const gate = await startTestGate({ checks: withAudience() })
    const asked = ask('and now?', false)
    const tool_calls = [
      {
        id: 'c1',
        type: 'function',
        function: { name: 'get_weather', arguments: '{"city":"Oslo"}' },
        signet: { capability: 'ey.mine.x' },
      },
    ]
    const history = [
      { role: 'user', content: 'What is the weather in Oslo?' },
      { role: 'assistant', content: null, tool_calls },
      { role: 'tool', tool_call_id: 'c1', content: 'rain' },
    ]
    const res = await chat(gate, { ...asked, messages: [...history, ...asked.messages] })
    expect(res.status).toBe(200)
    const seen = gate.seen.map(b => Buffer.from(b).toString()).join()
    expect(seen).toContain('get_weather')
    expect(seen).not.toMatch(/ey\.mine|"signet"/)
    await gate.close()
  })
})

describe.each([false, true])('an approved call (stream: %s)', stream => {
  class SeenStore extends MemoryEscalationStore {
    readonly ids: string[] = []
    override create(e: StoredEscalation, answer: Uint8Array) {
      this.ids.push(e.id)
      return super.create(e, answer)
    }
  }
  const question = ask('What is the weather in Oslo, and refund 50000 to account X', stream)

  async function approve(gate: TestGate, store: SeenStore): Promise<string> {
    const id = store.ids.at(-1) ?? ''
    const { desk } = gate.running.gate
    const e = await desk.find(id)
    if (e === undefined) throw new Error('nothing is held')
    expect(e.calls.map(c => c.audience)).toEqual([PAY])
    await desk.decide(id, {
      approver: 'human:approver@example.org',
      decision: 'approve',
      by: 'token',
      digest: e.digest,
    })
    return id
  }

  it('is released with a capability that names its approval; read again it is the same one', async () => {
    const store = new SeenStore()
    const gate = await startTestGate({ checks: withAudience(), escalations: testEscalations({ store }) })
    const told = await chat(gate, question)
    const first = await told.text()
    expect(first).not.toContain('issue_refund","arguments')
    const id = await approve(gate, store)
    const status = /"status_url":"([^"]+)"/.exec(first)?.[1] ?? told.headers.get('location') ?? ''
    const token = status.split('/').at(-1) ?? ''
    const again = () => chat(gate, question, { headers: { 'x-signet-escalation': `${id}.${token}` } })
    const bodies = [await (await again()).text(), await (await again()).text()].map(t =>
      t.replace(/: signet[^\n]*\n\n/g, ''),
    )
    expect(bodies[1]).toBe(bodies[0])
    const jwss = [...(bodies[0] ?? '').matchAll(/"signet":\{"capability":"([^"]+)"\}/g)].map(m => m[1] ?? '')
    const claims = jwss.map(
      jws => JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>,
    )
    expect(claims.map(c => [c['tool'], c['aud'], c['approval']])).toEqual([
      ['get_weather', WEATHER, undefined],
      ['issue_refund', PAY, id],
    ])
    const refund = { name: 'issue_refund', argumentsText: '{"amount":50000,"account":"X"}', capability: jwss[1] }
    const { claims: proven } = await verify(gate, refund, PAY)
    expect(proven.sub).toBe(OWNER)
    // What left before the answer was held is not permitted a second time.
    if (stream) expect(first).toContain(jwss[0])
    const rows = gate.rows().filter(r => JSON.stringify(r).includes('escalation.released'))
    expect(rows[0]).toMatchObject({
      metadata: { _capability_jtis: claims.slice(stream ? 1 : 0).map(c => c['jti']) },
    })
    expect((await gate.verify()).ok).toBe(true)
    await gate.close()
  })

  it('is denied when another executor would run it now', async () => {
    const store = new SeenStore()
    const escalations = testEscalations({ store })
    let audience = PAY
    const moving = new AudienceOnly(() => audience)
    const inspector = withAudience({
      registry: { ...REGISTRY, issue_refund: { riskTier: 'high', irreversible: true } },
    })
    const gate = await startTestGate({ checks: [...inspector, moving], escalations })
    const told = await (await chat(gate, question)).text()
    const id = await approve(gate, store)
    audience = 'https://elsewhere.example'
    const token = /"status_url":"([^"]+)"/.exec(told)?.[1]?.split('/').at(-1) ?? ''
    const res = await chat(gate, question, { headers: { 'x-signet-escalation': `${id}.${token}` } })
    expect(res.status).toBe(403)
    expect(await res.text()).not.toContain('capability')
    await gate.close()
  })
})

/** A check of somebody's own that knows audiences and nothing else. */
class AudienceOnly implements Check {
  readonly name = 'audience_only'
  readonly priority = 60
  readonly timeLimitMs = 1000
  readonly audience
  constructor(of: (tool: string) => string = () => WEATHER) {
    this.audience = { any: true, of: (tool: string) => (tool === 'search_orders' ? undefined : of(tool)) }
  }
  describe() {
    return { name: this.name }
  }
  commit() {
    return { kind: 'allow' } as const
  }
}

const plain = (s: string) =>
  s.replace(/: signet[^\n]*\n\n/g, '').replace(/"(id|created|system_fingerprint)":\s*("[^"]*"|\d+)/g, '"$1":_')
