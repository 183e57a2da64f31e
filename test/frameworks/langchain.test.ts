/** `ChatOpenAI` and `ChatAnthropic` of LangChain, through `signetConfiguration`, against the gate. */
import { randomUUID } from 'node:crypto'
import { ChatAnthropic } from '@langchain/anthropic'
import { type AIMessage, type AIMessageChunk, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { RunnableLambda } from '@langchain/core/runnables'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI } from '@langchain/openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import {
  SignetCallbackHandler,
  type SignetConfiguration,
  type SignetConfigurationOptions,
  SignetEscalated,
  SignetRefused,
  SignetUnverified,
  signetConfiguration,
  signetErrorOf,
} from '../../src/clients/langchain.ts'
import { ASK, BEFORE, SURFACES, type Surface, type SurfaceName, startSurface } from './surfaces.ts'

const OWNER = 'human:alice@example.com'

function modelFor(name: SurfaceName, signet: SignetConfiguration, over: { maxRetries?: number } = {}) {
  const shared = { callbacks: [signet.handler], apiKey: 'k', ...over }
  return name === 'messages'
    ? new ChatAnthropic({ ...shared, model: 'claude', maxTokens: 64, clientOptions: signet.clientOptions })
    : new ChatOpenAI({
        ...shared,
        model: 'demo',
        useResponsesApi: name === 'responses',
        configuration: signet.configuration,
      })
}

async function thrown(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

async function collect(stream: AsyncIterable<AIMessageChunk>): Promise<{ message: AIMessageChunk; text: string }> {
  let message: AIMessageChunk | undefined
  for await (const chunk of stream) message = message === undefined ? chunk : message.concat(chunk)
  if (message === undefined) throw new Error('expected a chunk')
  return { message, text: message.text }
}

const tools = ['get_weather', 'delete_account', 'issue_refund'].map(name =>
  tool(async () => '12 degrees', { name, description: name, schema: { type: 'object', properties: {} } }),
)

describe.each(SURFACES)('LangChain, %s', name => {
  const ask = ASK[name]
  let surface: Surface
  const signetFor = (over: Partial<SignetConfigurationOptions> = {}) =>
    signetConfiguration({ signetUrl: surface.gate.url, owner: OWNER, verify: surface.verify, ...over })

  beforeAll(async () => {
    surface = await startSurface(name)
  })
  afterAll(() => surface.close())

  it('answers, with the verified receipt of the run', async () => {
    const signet = signetFor()
    const runId = randomUUID()
    const answer = await modelFor(name, signet).invoke(ask.hello[0], { runId })
    expect(answer.text).toBe(ask.hello[1])
    expect(signet.handler.run(runId)).toMatchObject({
      receipt: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      correlationId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      notice: { carrier: 'header', verified: { covers: { request: true, response: true } } },
      error: undefined,
    })
    expect(signet.handler.lastReceipt).toBe(signet.handler.run(runId)?.notice)
    expect(signet.handler.receipts).toHaveLength(1)
  })

  it('answers in a stream, with the final receipt of the run', async () => {
    const signet = signetFor()
    const runId = randomUUID()
    const { text } = await collect(await modelFor(name, signet).stream(ask.hello[0], { runId }))
    expect(text).toBe(ask.hello[1])
    const { notice } = signet.handler.run(runId) ?? {}
    expect(notice).toMatchObject({ carrier: 'stream', verified: { covers: { response: true } } })
  })

  it('gives each of many runs its own receipt, or none where the model reuses ids', async () => {
    const signet = signetFor()
    const model = modelFor(name, signet)
    const runs = Array.from({ length: 8 }, () => randomUUID())
    await Promise.all(runs.map(runId => model.invoke(ask.hello[0], { runId })))
    const found = runs.map(runId => signet.handler.run(runId)?.receipt)
    const given = found.filter(receipt => receipt !== undefined)
    expect(new Set(given).size).toBe(given.length)
    expect(signet.handler.receipts).toHaveLength(8)
    // Chat's demo model numbers its answers; the other two models have one id for all.
    if (name === 'chat') expect(given).toHaveLength(8)
  })

  it('throws a refusal as the SDK’s error and as SignetRefused, once, and tells it of the run', async () => {
    const signet = signetFor()
    const runId = randomUUID()
    const before = surface.forwarded()
    const error = await thrown(() => modelFor(name, signet).invoke(ask.leak, { runId }))
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ status: 403, stage: 'inspection', check: 'scope_drift' })
    expect(String(error)).not.toMatch(/convoy/)
    expect(signet.handler.run(runId)).toMatchObject({
      error,
      receipt: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      correlationId: Reflect.get(Object(error), 'correlationId'),
    })
    expect(signet.handler.lastRefusal).toBe(error)
    expect(surface.forwarded()).toBe(before + 1)
  })

  it('yields what came before an abort, then throws with every fact', async () => {
    const signet = signetFor()
    const runId = randomUUID()
    let text = ''
    const error = await thrown(async () => {
      for await (const chunk of await modelFor(name, signet).stream(ask.leak, { runId })) text += chunk.text
    })
    expect(text).toBe(BEFORE)
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ midStream: true, stage: 'inspection', check: 'scope_drift' })
    expect(signet.handler.run(runId)?.error).toBe(error)
  })

  it('throws through a chain, whose handlers are the caller’s', async () => {
    const signet = signetFor()
    const bare = signetConfiguration({ signetUrl: surface.gate.url, owner: OWNER })
    const model = modelFor(name, bare)
    const chain = RunnableLambda.from((text: string, config) => model.invoke(text, config))
    const error = await thrown(() => chain.invoke(ask.leak, { callbacks: [signet.handler] }))
    expect(error).toBeInstanceOf(SignetRefused)
    expect(signet.handler.lastRefusal).toBe(error)
  })

  it.each(['unary', 'streamed'])('proposes an allowed call and takes its result, %s', async mode => {
    const model = modelFor(name, signetFor()).bindTools(tools)
    const turn = async (messages: (HumanMessage | AIMessage | ToolMessage)[]) =>
      mode === 'unary' ? model.invoke(messages) : (await collect(await model.stream(messages))).message
    const question = new HumanMessage(ask.call('get_weather'))
    const first = await turn([question])
    expect(first.tool_calls?.map(call => call.name)).toEqual(['get_weather'])
    const result = new ToolMessage({ tool_call_id: first.tool_calls?.[0]?.id ?? '', content: '12 degrees' })
    const second = await turn([question, first, result])
    expect(second.text).toContain(`${ask.toolSaid}12 degrees`)
  })

  it.each(['unary', 'streamed'])('reads a refused call as text, and may echo it back, %s', async mode => {
    const model = modelFor(name, signetFor()).bindTools(tools)
    const question = new HumanMessage(ask.call('delete_account'))
    const first =
      mode === 'unary' ? await model.invoke([question]) : (await collect(await model.stream([question]))).message
    expect(first.tool_calls).toEqual([])
    expect(first.text).toContain('signet refused the tool call delete_account')
    const second = await model.invoke([question, first, new HumanMessage(ask.hello[0])])
    expect(second.text).toBe(ask.hello[1])
  })

  it('throws a held call, unary and streamed, and no call comes', async () => {
    const signet = signetFor()
    const before = surface.forwarded()
    const model = modelFor(name, signet).bindTools(tools)
    const error = await thrown(() => model.invoke(ask.call('issue_refund')))
    expect(error).toBeInstanceOf(SignetEscalated)
    expect(error).toMatchObject({ escalationId: expect.any(String), midStream: false })
    let calls = 0
    const midway = await thrown(async () => {
      for await (const chunk of await model.stream(ask.call('issue_refund')))
        calls += chunk.tool_call_chunks?.length ?? 0
    })
    expect(midway).toBeInstanceOf(SignetEscalated)
    expect(signet.handler.lastEscalation).toBe(midway)
    expect(calls).toBe(0)
    expect(surface.forwarded()).toBe(before + 2)
  })

  it('throws an answer without a valid receipt, once', async () => {
    const signet = signetFor({ verify: { ...surface.verify, issuer: 'somebody else' } })
    const before = surface.forwarded()
    const error = await thrown(() => modelFor(name, signet).invoke(ask.hello[0]))
    expect(error).toBeInstanceOf(SignetUnverified)
    expect(error).toMatchObject({ reason: 'issuer_wrong' })
    const streamed = await thrown(async () => collect(await modelFor(name, signet).stream(ask.hello[0])))
    expect(streamed).toBeInstanceOf(SignetUnverified)
    expect(surface.forwarded()).toBe(before + 2)
  })

  it('sends who asks, and refuses nobody', async () => {
    const signet = signetFor()
    const { defaultHeaders: _c, ...configuration } = signet.configuration
    const { defaultHeaders: _o, ...clientOptions } = signet.clientOptions
    const nobody = modelFor(name, {
      ...signet,
      configuration: { ...configuration, defaultHeaders: {} },
      clientOptions: { ...clientOptions, defaultHeaders: {} },
    })
    const error = await thrown(() => nobody.invoke(ask.hello[0]))
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ check: 'owner_resolution' })
  })

  it('types the errors of a model that merely points at the gate, as far as its error tells', async () => {
    const handler = new SignetCallbackHandler()
    const headers = { 'x-commit-owner': OWNER }
    const plain = { baseURL: `${surface.gate.url}${name === 'messages' ? '' : '/v1'}`, defaultHeaders: headers, fetch }
    const error = await thrown(() =>
      modelFor(name, { handler, configuration: plain, clientOptions: plain }).invoke(ask.leak),
    )
    // OpenAI's error keeps the body's `error` only, Anthropic's the whole body.
    expect(error instanceof SignetRefused).toBe(name === 'messages')
    expect(Reflect.get(Object(error), 'status')).toBe(403)
  })
})

describe('LangChain, limits', () => {
  it('lets LangChain wait for a rate limit, and types the error it ends in', async () => {
    const surface = await startSurface('chat', {
      checks: [new OwnerResolutionCheck(), new RateLimitCheck({ capacity: 1, refillPerSecond: 2 })],
    })
    const signet = signetConfiguration({ signetUrl: surface.gate.url, owner: OWNER })
    const model = modelFor('chat', signet, { maxRetries: 1 })
    expect((await model.invoke('Say hello')).text).toBe('Hello.')
    expect((await model.invoke('Say hello')).text).toBe('Hello.')
    const error = await thrown(() => modelFor('chat', signet, { maxRetries: 0 }).invoke('Say hello'))
    await surface.close()
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ status: 429, retryAfterS: 1 })
    expect(signetErrorOf(error)).toBe(error)
  })

  it('gives structured output', async () => {
    const surface = await startSurface('chat')
    const signet = signetConfiguration({ signetUrl: surface.gate.url, owner: OWNER })
    const model = new ChatOpenAI({
      model: 'demo',
      apiKey: 'k',
      configuration: signet.configuration,
      callbacks: [signet.handler],
      modelKwargs: { metadata: { signet_demo: '{"kind":"place","place":"content","text":"{\\"n\\":7}"}' } },
    })
    const structured = model.withStructuredOutput(
      {
        title: 'n',
        type: 'object',
        properties: { n: { type: 'number' } },
        required: ['n'],
        additionalProperties: false,
      },
      { method: 'jsonSchema' },
    )
    expect(await structured.invoke('hi')).toEqual({ n: 7 })
    expect(signet.handler.runs.at(-1)?.receipt).toBe(signet.handler.lastReceipt?.receipt)
    await surface.close()
  })

  it('says in one line which option is wrong', () => {
    expect(() => signetConfiguration({ signetUrl: 'gate', owner: OWNER })).toThrow(/^`signetUrl` must be .*$/)
    expect(() => signetConfiguration({ signetUrl: 'http://gate', owner: 'x' })).toThrow(/^`owner` must be .*$/)
  })

  it('addresses each model as its SDK needs it, with or without /v1', () => {
    for (const signetUrl of ['http://gate:1', 'http://gate:1/v1', 'http://gate:1/v1/']) {
      const { configuration, clientOptions } = signetConfiguration({ signetUrl, owner: OWNER })
      expect([configuration.baseURL, clientOptions.baseURL]).toEqual(['http://gate:1/v1', 'http://gate:1'])
    }
  })
})
