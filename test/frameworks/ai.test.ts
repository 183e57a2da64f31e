/** The `ai` package with its own OpenAI and Anthropic providers, through `createSignet`, against the gate. */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import {
  APICallError,
  embed,
  generateText,
  isStepCount,
  jsonSchema,
  Output,
  streamText,
  tool,
  wrapEmbeddingModel,
  wrapLanguageModel,
} from 'ai'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import {
  createSignet,
  type ReceiptNotice,
  type Signet,
  SignetEscalated,
  type SignetOptions,
  SignetRefused,
  SignetUnverified,
  signetErrorOf,
} from '../../src/clients/ai.ts'
import { LEAK_MARKER } from '../../src/upstream/demo/script.ts'
import { scenario } from '../support/gate.ts'
import { ASK, BEFORE, SURFACES, type Surface, type SurfaceName, startSurface } from './surfaces.ts'

const OWNER = 'human:alice@example.com'
globalThis.AI_SDK_LOG_WARNINGS = false

function rawModel(surface: SurfaceName, provider: Partial<Signet['provider']>) {
  if (surface === 'messages') return createAnthropic({ ...provider, apiKey: 'k' })('claude')
  const openai = createOpenAI({ ...provider, apiKey: 'k' })
  return surface === 'chat' ? openai.chat('demo') : openai.responses('m')
}

async function thrown(run: () => PromiseLike<unknown>): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

interface Streamed {
  readonly text: string
  /** Errors of `error` parts. */
  readonly errors: readonly unknown[]
  readonly finish: string | undefined
  readonly calls: readonly string[]
  readonly response: { readonly headers?: Record<string, string> } | undefined
}

async function read(options: Parameters<typeof streamText>[0]): Promise<Streamed> {
  let text = ''
  const errors: unknown[] = []
  const calls: string[] = []
  let finish: string | undefined
  let response: Streamed['response']
  const run = streamText({ ...options, onError: () => {} })
  for await (const part of run.fullStream) {
    if (part.type === 'text-delta') text += part.text
    if (part.type === 'error') errors.push(part.error)
    if (part.type === 'tool-call') calls.push(part.toolName)
    if (part.type === 'finish-step') response = part.response
    if (part.type === 'finish') finish = part.finishReason
  }
  return { text, errors, finish, calls, response }
}

describe.each(SURFACES)('the ai package, %s', name => {
  const ask = ASK[name]
  let surface: Surface
  let notices: ReceiptNotice[] = []
  const signetFor = (over: Partial<SignetOptions> = {}) =>
    createSignet({
      signetUrl: surface.gate.url,
      owner: OWNER,
      verify: surface.verify,
      onReceipt: notice => notices.push(notice),
      ...over,
    })
  const modelOf = (signet: Signet, provider: Partial<Signet['provider']> = signet.provider) =>
    wrapLanguageModel({ model: rawModel(name, provider), middleware: signet.middleware })
  const tools = (ran: string[]) =>
    Object.fromEntries(
      ['get_weather', 'delete_account', 'issue_refund'].map(called => [
        called,
        tool({
          description: called,
          inputSchema: jsonSchema<Record<string, unknown>>({ type: 'object' }),
          execute: async () => {
            ran.push(called)
            return '12 degrees'
          },
        }),
      ]),
    )

  beforeAll(async () => {
    surface = await startSurface(name)
  })
  afterAll(() => surface.close())
  beforeEach(() => {
    notices = []
  })

  it('answers, with a verified receipt that belongs to the result', async () => {
    const signet = signetFor()
    const result = await generateText({ model: modelOf(signet), prompt: ask.hello[0] })
    expect(result.text).toBe(ask.hello[1])
    expect(notices).toMatchObject([{ carrier: 'header', verified: { covers: { request: true, response: true } } }])
    expect(signet.receiptOf(result.response)).toBe(notices[0]?.receipt)
    expect(signet.lastReceipt()).toEqual(notices[0])
  })

  it('answers in a stream, whose final receipt is verified and belongs to the result', async () => {
    const signet = signetFor()
    const { text, errors, response } = await read({ model: modelOf(signet), prompt: ask.hello[0] })
    expect([text, errors]).toEqual([ask.hello[1], []])
    expect(notices.map(n => [n.carrier, n.verified?.claims.final])).toEqual([
      ['header', false],
      ['stream', true],
    ])
    expect(signet.receiptOf(response ?? {})).toBe(notices[1]?.receipt)
  })

  it('says who asks', async () => {
    const { middleware, provider } = signetFor()
    const nobody = wrapLanguageModel({ model: rawModel(name, { ...provider, headers: {} }), middleware })
    const before = surface.forwarded()
    const error = await thrown(() => generateText({ model: nobody, prompt: ask.hello[0] }))
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ check: 'owner_resolution', status: 403, midStream: false })
    expect(surface.forwarded()).toBe(before)
  })

  it('throws a refusal that is an APICallError and a SignetRefused, and is not retried', async () => {
    const before = surface.forwarded()
    const error = await thrown(() => generateText({ model: modelOf(signetFor()), prompt: ask.leak }))
    expect(APICallError.isInstance(error)).toBe(true)
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ statusCode: 403, isRetryable: false, stage: 'inspection', check: 'scope_drift' })
    expect(String(error)).not.toMatch(/convoy/)
    expect(signetErrorOf(error)).toBe(error)
    expect(surface.forwarded()).toBe(before + 1)
  })

  it('without the middleware is still understood by signetErrorOf', async () => {
    const error = await thrown(() =>
      generateText({ model: rawModel(name, signetFor().provider), prompt: ask.leak, maxRetries: 0 }),
    )
    expect(error).not.toBeInstanceOf(SignetRefused)
    expect(signetErrorOf(error)).toBeInstanceOf(SignetRefused)
    expect(error).toBeInstanceOf(SignetRefused)
  })

  it('delivers the text before an abort, in order, then the error with every fact, once', async () => {
    const before = surface.forwarded()
    const { text, errors, finish, response } = await read({ model: modelOf(signetFor()), prompt: ask.leak })
    expect(text).toBe(BEFORE)
    expect(errors).toHaveLength(1)
    expect(errors[0]).toBeInstanceOf(SignetRefused)
    expect(errors[0]).toMatchObject({ stage: 'inspection', check: 'scope_drift', midStream: true })
    expect(errors[0]).toMatchObject({ correlationId: response?.headers?.['x-signet-correlation-id'] })
    expect(finish).toBe('error')
    expect(surface.forwarded()).toBe(before + 1)
  })

  it('without the middleware an abort is an error part too, with the text before it', async () => {
    const { text, errors, finish } = await read({ model: rawModel(name, signetFor().provider), prompt: ask.leak })
    expect([text, finish, errors.length]).toEqual([BEFORE, 'error', 1])
    expect(String(errors[0])).toContain('signet refused this response')
  })

  const atOnce = ask.leakAtOnce
  if (atOnce !== undefined)
    it('an abort before any text is a refusal, not retried', async () => {
      const before = surface.forwarded()
      const { text, errors } = await read({ model: modelOf(signetFor()), prompt: atOnce })
      expect([text, errors.length]).toEqual(['', 1])
      expect(errors[0]).toBeInstanceOf(SignetRefused)
      expect(surface.forwarded()).toBe(before + 1)
    })

  it.each(['unary', 'streamed'])('runs an allowed call and goes on, %s', async mode => {
    const ran: string[] = []
    const options = {
      model: modelOf(signetFor()),
      prompt: ask.call('get_weather'),
      tools: tools(ran),
      stopWhen: isStepCount(3),
    }
    const { text } = mode === 'unary' ? await generateText(options) : await read(options)
    expect(ran).toEqual(['get_weather'])
    expect(text).toContain(`${ask.toolSaid}12 degrees`)
  })

  it.each(['unary', 'streamed'])('reads a refused call as text, and may echo it back, %s', async mode => {
    const ran: string[] = []
    const model = modelOf(signetFor())
    const prompt = ask.call('delete_account')
    const options = { model, tools: tools(ran), stopWhen: isStepCount(3) }
    const { text } = mode === 'unary' ? await generateText({ ...options, prompt }) : await read({ ...options, prompt })
    expect(text).toContain('signet refused the tool call delete_account')
    expect(ran).toEqual([])
    const next = await generateText({
      ...options,
      messages: [
        { role: 'user', content: prompt },
        { role: 'assistant', content: text },
        { role: 'user', content: ask.hello[0] },
      ],
    })
    expect(next.text).toBe(ask.hello[1])
  })

  it('throws a held call, unary, and ends a stream with it; the tool never runs', async () => {
    const ran: string[] = []
    const before = surface.forwarded()
    const options = { model: modelOf(signetFor()), prompt: ask.call('issue_refund'), tools: tools(ran) }
    const error = await thrown(() => generateText(options))
    expect(error).toBeInstanceOf(SignetEscalated)
    expect(error).toMatchObject({ escalationId: expect.any(String), midStream: false, isRetryable: false })
    const { errors, calls } = await read(options)
    expect(errors).toHaveLength(1)
    expect(errors[0]).toBeInstanceOf(SignetEscalated)
    expect(errors[0]).toMatchObject({ escalationId: expect.any(String), midStream: true })
    expect([ran, calls]).toEqual([[], []])
    expect(surface.forwarded()).toBe(before + 2)
  })

  it('throws an answer without a valid receipt, once', async () => {
    const before = surface.forwarded()
    const signet = signetFor({ verify: { ...surface.verify, issuer: 'somebody else' } })
    const error = await thrown(() => generateText({ model: modelOf(signet), prompt: ask.hello[0] }))
    expect(error).toBeInstanceOf(SignetUnverified)
    expect(error).toMatchObject({ reason: 'issuer_wrong' })
    const streamed = await read({ model: modelOf(signet), prompt: ask.hello[0] })
    expect(streamed.text).toBe('')
    expect(streamed.errors[0]).toBeInstanceOf(SignetUnverified)
    expect(surface.forwarded()).toBe(before + 2)
  })

  it('ends a stream that was changed on the way with SignetUnverified', async () => {
    const changing = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
      const response = await fetch(url, init)
      const text = await response.text()
      const { status, headers } = response
      return new Response(text.replace(/H(e)?(?=[^H]*$)/, 'J$1'), { status, headers })
    }
    const signet = signetFor({ fetch: changing })
    const error = await thrown(() => read({ model: modelOf(signet), prompt: ask.hello[0] }))
    expect(error).toBeInstanceOf(SignetUnverified)
  })

  it('is stopped by its signal', async () => {
    const error = await thrown(() =>
      generateText({ model: modelOf(signetFor()), prompt: ask.hello[0], abortSignal: AbortSignal.abort() }),
    )
    expect(error).toMatchObject({ name: 'AbortError' })
  })
})

describe('the ai package, chat', () => {
  it('is retried by the ai package when a rate limit says so, and ends in an error that names it', async () => {
    const surface = await startSurface('chat', {
      checks: [new OwnerResolutionCheck(), new RateLimitCheck({ capacity: 1, refillPerSecond: 2 })],
    })
    const signet = createSignet({ signetUrl: surface.gate.url, owner: OWNER })
    const model = wrapLanguageModel({ model: rawModel('chat', signet.provider), middleware: signet.middleware })
    await generateText({ model, prompt: 'Say hello' })
    const error = await thrown(() => generateText({ model, prompt: 'Say hello', maxRetries: 0 }))
    expect(APICallError.isInstance(error)).toBe(true)
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ status: 429, isRetryable: true, retryAfterS: 1 })
    expect((await generateText({ model, prompt: 'Say hello' })).text).toBe('Hello.')
    await surface.close()
  })

  it('finds what signet said in the error of a call that was retried in vain', async () => {
    const surface = await startSurface('chat', {
      checks: [new OwnerResolutionCheck(), new RateLimitCheck({ capacity: 1, refillPerSecond: 0.001 })],
    })
    const signet = createSignet({
      signetUrl: surface.gate.url,
      owner: OWNER,
      // The wait that the gate asks for, shortened for the test.
      fetch: async (url, init) => {
        const response = await fetch(url, init)
        const headers = new Headers(response.headers)
        if (headers.has('retry-after')) headers.set('retry-after-ms', '1')
        return new Response(response.body, { status: response.status, headers })
      },
    })
    const model = wrapLanguageModel({ model: rawModel('chat', signet.provider), middleware: signet.middleware })
    await generateText({ model, prompt: 'Say hello' })
    const error = await thrown(() => generateText({ model, prompt: 'Say hello', maxRetries: 1 }))
    await surface.close()
    expect(error).toMatchObject({ name: 'AI_RetryError', errors: [{ status: 429 }, { status: 429 }] })
    expect(error).not.toBeInstanceOf(SignetRefused)
    expect(signetErrorOf(error)).toMatchObject({ name: 'SignetRefused', status: 429, retryAfterS: expect.any(Number) })
  })

  it('an abort before any text is a refusal, not retried', async () => {
    const surface = await startSurface('chat')
    const signet = createSignet({ signetUrl: surface.gate.url, owner: OWNER })
    const openai = createOpenAI({ ...signet.provider, apiKey: 'k' })
    const { metadata } = scenario({ kind: 'place', place: 'content', text: LEAK_MARKER, chunk: 3 })
    const { text, errors } = await read({
      model: wrapLanguageModel({ model: openai.chat('demo'), middleware: signet.middleware }),
      prompt: 'hi',
      providerOptions: { openai: { metadata: metadata as Record<string, string> } },
    })
    expect([text, errors.length]).toEqual(['', 1])
    expect(errors[0]).toBeInstanceOf(SignetRefused)
    expect(errors[0]).toMatchObject({ midStream: true, code: 'marker' })
    expect(surface.forwarded()).toBe(1)
    await surface.close()
  })

  it('gives objects, and types the refusals of embeddings', async () => {
    const surface = await startSurface('chat')
    const signet = createSignet({ signetUrl: surface.gate.url, owner: OWNER })
    const openai = createOpenAI({ ...signet.provider, apiKey: 'k' })
    const model = wrapLanguageModel({ model: openai.chat('demo'), middleware: signet.middleware })
    const schema = jsonSchema<{ n: number }>({ type: 'object', properties: { n: { type: 'number' } } })
    const { output } = await generateText({
      model,
      prompt: 'hi',
      output: Output.object({ schema }),
      providerOptions: {
        openai: { metadata: { signet_demo: JSON.stringify({ kind: 'place', place: 'content', text: '{"n":7}' }) } },
      },
    })
    expect(output).toEqual({ n: 7 })
    const nobody = createOpenAI({ ...signet.provider, headers: {}, apiKey: 'k' })
    const embedding = wrapEmbeddingModel({ model: nobody.embedding('e'), middleware: signet.embeddingMiddleware })
    const error = await thrown(() => embed({ model: embedding, value: 'text' }))
    await surface.close()
    expect(error).toBeInstanceOf(SignetRefused)
    expect(APICallError.isInstance(error)).toBe(true)
  })

  it('without signet’s fetch the provider of OpenAI tells of an abort too, and does not retry one before any text', async () => {
    const surface = await startSurface('chat')
    const headers = { 'x-commit-owner': OWNER }
    const plain = createOpenAI({ baseURL: `${surface.gate.url}/v1`, headers, apiKey: 'k' }).chat('demo')
    const { text, errors, finish } = await read({ model: plain, prompt: ASK.chat.leak })
    expect([text, errors.length, finish]).toEqual([BEFORE, 1, 'error'])
    expect(errors[0]).toMatchObject({ type: 'permission_error', code: 'marker', statusCode: 403, isRetryable: false })
    const before = surface.forwarded()
    const { metadata } = scenario({ kind: 'place', place: 'content', text: LEAK_MARKER, chunk: 3 })
    const providerOptions = { openai: { metadata: metadata as Record<string, string> } }
    const early = await read({ model: plain, prompt: 'hi', providerOptions })
    expect([early.text, early.errors.length]).toEqual(['', 1])
    expect(surface.forwarded()).toBe(before + 1)
    await surface.close()
  })

  it('never follows a redirect with the key', async () => {
    const asked: (RequestRedirect | undefined)[] = []
    const signet = createSignet({
      signetUrl: 'http://127.0.0.1:1',
      owner: OWNER,
      fetch: async (_, init) => {
        asked.push(init?.redirect)
        return new Response('moved', { status: 307, headers: { location: 'http://evil.example/' } })
      },
    })
    const error = await thrown(() => generateText({ model: rawModel('chat', signet.provider), prompt: 'x' }))
    expect(error).toMatchObject({ statusCode: 307 })
    expect(asked).toEqual(['manual'])
  })

  it('says in one line which option is wrong', () => {
    expect(() => createSignet({ signetUrl: 'gate', owner: OWNER })).toThrow(/^`signetUrl` must be .*$/)
    expect(() => createSignet({ signetUrl: 'http://gate', owner: 'alice' })).toThrow(/^`owner` must be .*$/)
  })
})
