/** `wrapAnthropic` around the official package, in both versions that are installed here, against the gate. */
import { createRequire } from 'node:module'
import Anthropic from '@anthropic-ai/sdk'
import type { JSONWebKeySet } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import {
  isSignetAbort,
  lastReceipt,
  type ReceiptNotice,
  receiptOf,
  SignetEscalated,
  SignetRefused,
  SignetUnverified,
  signetErrorOf,
  type WrapAnthropicOptions,
  wrapAnthropic,
} from '../../src/clients/anthropic.ts'
import { LEAK_MARKER } from '../../src/upstream/demo/script.ts'
import { DEMO_TOOLS } from '../../src/upstream/demo/tools.ts'
import { ISSUER, startTestGate, type TestGate } from '../support/gate.ts'
import { type AnthropicUpstream, startAnthropicUpstream } from './anthropic-upstream.ts'

/** LangChain brings a version of its own. */
const older = createRequire(createRequire(import.meta.url).resolve('@langchain/anthropic'))('@anthropic-ai/sdk')
const VERSIONS: readonly [string, typeof Anthropic][] = [
  ['1.12.0', Anthropic],
  ['0.122.0', older.Anthropic],
]

const owner = 'human:alice@example.com'
const tools: Anthropic.Tool[] = DEMO_TOOLS.map(t => ({
  name: t.name,
  description: t.description,
  input_schema: { ...t.parameters, type: 'object' },
}))
const ask = (content: string) => ({
  model: 'claude',
  max_tokens: 64,
  tools,
  messages: [{ role: 'user' as const, content }],
})
const hidden = (said: string) => `hex: ${Buffer.from(said).toString('hex')}`
const LEAK = hidden(`The plan is simple. ${LEAK_MARKER} convoy at dawn.`)

async function thrown(run: () => PromiseLike<unknown>): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

let upstream: AnthropicUpstream
let gate: TestGate
let keys: JSONWebKeySet
beforeAll(async () => {
  upstream = await startAnthropicUpstream()
  gate = await startTestGate({ upstreamUrl: upstream.url })
  keys = (await (await fetch(`${gate.url}/.well-known/jwks.json`)).json()) as JSONWebKeySet
})
afterAll(async () => {
  const report = await gate.verify()
  await gate.close()
  await upstream.close()
  expect(report.ok).toBe(true)
})

describe.each(VERSIONS)('wrapAnthropic, @anthropic-ai/sdk %s', (version, Sdk) => {
  let notices: ReceiptNotice[] = []
  beforeEach(() => {
    notices = []
  })
  const original = () => new Sdk({ apiKey: 'sk-none', authToken: null, maxRetries: 2 })
  const wrapped = (over: Partial<WrapAnthropicOptions> = {}) =>
    wrapAnthropic(original(), {
      signetUrl: gate.url,
      owner,
      verify: { keys, issuer: ISSUER },
      onReceipt: notice => notices.push(notice),
      ...over,
    })

  it('is the version it says, and gives back a new client of the same class', async () => {
    const before = new Sdk({
      apiKey: 'sk-mine',
      authToken: null,
      baseURL: 'https://x.example',
      defaultHeaders: { a: 'b' },
    })
    const client = wrapAnthropic(before, { signetUrl: gate.url, owner })
    expect(client).not.toBe(before)
    expect(client).toBeInstanceOf(Sdk)
    expect([before.baseURL, client.baseURL]).toEqual(['https://x.example', gate.url])
    expect((await before.buildRequest({ method: 'post', path: '/x' })).req.headers.get('x-commit-owner')).toBeNull()
    const { req } = await client.buildRequest({ method: 'post', path: '/x' })
    expect(req.headers.get('user-agent')).toContain(version)
    expect(['x-commit-owner', 'a'].map(name => req.headers.get(name))).toEqual([owner, 'b'])
  })

  it('means the same gate with and without /v1', () => {
    for (const signetUrl of ['http://gate:1', 'http://gate:1/', 'http://gate:1/v1', 'http://gate:1/v1/'])
      expect(wrapAnthropic(original(), { signetUrl, owner }).baseURL).toBe('http://gate:1')
  })

  it('refuses what is no client, a second wrapping, and options that are none, in one line each', () => {
    expect(() => wrapAnthropic({} as Anthropic, { signetUrl: gate.url, owner })).toThrow(/^wrapAnthropic expects .*$/)
    expect(() => wrapAnthropic(wrapped(), { signetUrl: gate.url, owner })).toThrow('wrapped already')
    expect(() => wrapped({ signetUrl: 'gate' })).toThrow(/^`signetUrl` must be .*$/)
    expect(() => wrapped({ owner: 'alice' })).toThrow(/^`owner` must be .*$/)
  })

  it('stays at its gate', () => {
    expect(() => wrapped().withOptions({ baseURL: 'https://api.anthropic.com' })).toThrow(
      /keeps the address of its gate/,
    )
    expect(wrapped().withOptions({ timeout: 1000 }).baseURL).toBe(gate.url)
  })

  it('answers, unary, with its verified receipt', async () => {
    const client = wrapped()
    const promise = client.messages.create(ask('say: Hello.'))
    const { data, response } = await promise.withResponse()
    expect(data.content).toMatchObject([{ type: 'text', text: 'Hello.' }])
    expect(notices).toMatchObject([{ carrier: 'header', verified: { covers: { request: true, response: true } } }])
    expect(receiptOf(response)).toBe(notices[0]?.receipt)
    expect(lastReceipt(client)).toBe(notices[0])
    // The key goes with the request: as a token or, in the older version, in the API's own header.
    expect(Object.values(upstream.seen.at(-1)?.headers ?? {}).join()).toContain('sk-none')
  })

  it('answers in a stream, whose final receipt is verified before it ends', async () => {
    const { data, response } = await wrapped().messages.stream(ask('say: One, two, three.')).withResponse()
    expect(await data.finalText()).toBe('One, two, three.')
    expect(notices.map(n => [n.carrier, n.verified?.claims.final])).toEqual([
      ['header', false],
      ['stream', true],
    ])
    expect(receiptOf(response)).toBe(notices[1]?.receipt)
  })

  it('throws a refusal as the SDK’s typed error and SignetRefused, not retried, also through copies', async () => {
    const before = upstream.seen.length
    for (const client of [wrapped(), wrapped().withOptions({ timeout: 5000 })]) {
      const error = await thrown(() => client.messages.create(ask(LEAK)))
      expect(error).toBeInstanceOf(Sdk.PermissionDeniedError)
      expect(error).toBeInstanceOf(SignetRefused)
      expect(error).toMatchObject({ status: 403, type: 'permission_error', stage: 'inspection', check: 'scope_drift' })
      expect(error).toMatchObject({ receipt: expect.any(String), correlationId: expect.any(String), midStream: false })
      expect(String(error)).not.toMatch(/convoy/)
    }
    expect(upstream.seen.length).toBe(before + 2)
  })

  it('ends a stream that the gate ends with the SDK’s error and every fact, after the text before it', async () => {
    let text = ''
    const run = wrapped().messages.stream(ask(LEAK))
    run.on('text', piece => {
      text += piece
    })
    const error = await thrown(() => run.finalMessage())
    expect(text).toBe('The plan is simple. ')
    expect(error).toBeInstanceOf(Sdk.APIError)
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({
      type: 'permission_error',
      midStream: true,
      stage: 'inspection',
      check: 'scope_drift',
    })
    expect(isSignetAbort(error)).toBe(true)
  })

  it('throws a held call once, unary, and in a stream, where no call came', async () => {
    const before = upstream.seen.length
    const error = await thrown(() => wrapped().messages.create(ask('call: issue_refund')))
    expect(error).toBeInstanceOf(SignetEscalated)
    expect(error).toBeInstanceOf(Sdk.APIError)
    expect(error).toMatchObject({ escalationId: expect.any(String), midStream: false })
    const blocks: unknown[] = []
    const run = wrapped().messages.stream(ask('call: issue_refund'))
    run.on('contentBlock', block => blocks.push(block.type))
    expect(await thrown(() => run.finalMessage())).toMatchObject({ name: 'SignetEscalated', midStream: true })
    expect(blocks).not.toContain('tool_use')
    expect(upstream.seen.length).toBe(before + 2)
  })

  it('lets a refused call be text', async () => {
    const message = await wrapped().messages.create(ask('call: delete_account'))
    expect(JSON.stringify(message.content)).toContain('signet refused the tool call delete_account')
  })

  it('leaves an error of upstream what it is', async () => {
    const error = await thrown(() => wrapped().withOptions({ maxRetries: 0 }).messages.create(ask('fail')))
    expect(error).toMatchObject({ status: 529, type: 'overloaded_error' })
    expect(error).not.toBeInstanceOf(SignetRefused)
    expect(signetErrorOf(error)).toBeUndefined()
  })

  it('retries a rate limit as the SDK does', async () => {
    const limited = await startTestGate({
      upstreamUrl: upstream.url,
      checks: [new OwnerResolutionCheck(), new RateLimitCheck({ capacity: 1, refillPerSecond: 0.001 })],
    })
    let sent = 0
    const client = wrapAnthropic(
      new Sdk({
        apiKey: 'k',
        authToken: null,
        maxRetries: 1,
        // The wait that the gate asks for, shortened for the test.
        fetch: async (url, init) => {
          sent++
          const response = await fetch(url, init)
          const headers = new Headers(response.headers)
          if (headers.has('retry-after')) headers.set('retry-after-ms', '1')
          return new Response(response.body, { status: response.status, headers })
        },
      }),
      { signetUrl: limited.url, owner },
    )
    await client.messages.create(ask('say: Hello.'))
    const error = await thrown(() => client.messages.create(ask('say: Hello.')))
    await limited.close()
    expect(error).toBeInstanceOf(Sdk.RateLimitError)
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ status: 429, retryAfterS: expect.any(Number) })
    expect(sent).toBe(3)
  })

  it('throws an answer or a stream without a valid receipt, once', async () => {
    const before = upstream.seen.length
    const client = wrapped({ verify: { keys, issuer: 'somebody else' } })
    expect(await thrown(() => client.messages.create(ask('say: Hello.')))).toBeInstanceOf(SignetUnverified)
    const run = client.messages.stream(ask('say: Hello.'))
    expect(await thrown(() => run.finalMessage())).toBeInstanceOf(SignetUnverified)
    expect(upstream.seen.length).toBe(before + 2)
  })

  it('ends a stream that was changed on the way before its last event', async () => {
    const changing = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
      const response = await fetch(url, init)
      const { status, headers } = response
      return new Response((await response.text()).replaceAll('Hell', 'Hall'), { status, headers })
    }
    const client = wrapAnthropic(original().withOptions({ fetch: changing }), {
      signetUrl: gate.url,
      owner,
      verify: { keys, issuer: ISSUER },
    })
    const seen: string[] = []
    const error = await thrown(async () => {
      for await (const event of await client.messages.create({ ...ask('say: Hello.'), stream: true }))
        seen.push(event.type)
    })
    expect(error).toBeInstanceOf(SignetUnverified)
    expect(error).toMatchObject({ reason: 'response_mismatch' })
    expect(seen).toContain('message_delta')
    expect(seen).not.toContain('message_stop')
  })

  it('recognises an abort of a client that is not wrapped', async () => {
    const plain = new Sdk({
      apiKey: 'k',
      authToken: null,
      baseURL: gate.url,
      defaultHeaders: { 'x-commit-owner': owner },
    })
    const error = await thrown(() => plain.messages.stream(ask(LEAK)).finalMessage())
    expect(error).not.toBeInstanceOf(SignetRefused)
    expect(isSignetAbort(error)).toBe(true)
    const unary = await thrown(() => plain.messages.create(ask(LEAK)))
    expect(signetErrorOf(unary)).toBe(unary)
    expect(unary).toBeInstanceOf(SignetRefused)
  })
})
