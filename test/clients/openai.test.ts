/** The official `openai` package, unmodified, against the gate; then the wrapped client with receipts verified. */
import type { JSONWebKeySet } from 'jose'
import OpenAI from 'openai'
import type { ChatCompletionMessageParam, ChatCompletionTool } from 'openai/resources/chat/completions'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import {
  isSignetAbort,
  lastReceipt,
  type ReceiptNotice,
  SignetEscalated,
  SignetRefused,
  wrapOpenAI,
} from '../../src/clients/openai.ts'
import { DEMO_TOOLS } from '../../src/upstream/demo/tools.ts'
import { ISSUER, scenario, startTestGate, type TestGate } from '../support/gate.ts'

const OWNER = { 'x-commit-owner': 'human:alice@example.com' }
const tools: ChatCompletionTool[] = DEMO_TOOLS.map(t => ({
  type: 'function',
  function: { name: t.name, description: t.description, parameters: { ...t.parameters } },
}))
const user = (content: string): ChatCompletionMessageParam => ({ role: 'user', content })
const plain = (gate: TestGate, headers: Record<string, string> = OWNER) =>
  new OpenAI({ apiKey: 'sk-none', baseURL: `${gate.url}/v1`, maxRetries: 0, defaultHeaders: headers })
/** Calls the demo model proposes on request. */
const proposing = (...names: readonly string[]) => ({
  model: 'demo',
  tools,
  messages: [user('Go on.')],
  metadata: scenario({
    kind: 'call',
    calls: names.map(name => ({ name, arguments: `{"city":"${name}-arg"}` })),
    chunk: 3,
  })['metadata'] as Record<string, string>,
})

interface Ask {
  readonly model: string
  readonly tools: ChatCompletionTool[]
  readonly messages: ChatCompletionMessageParam[]
  readonly metadata?: Record<string, string>
}

async function thrown(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

describe('the openai package', () => {
  let gate: TestGate
  let client: OpenAI
  beforeAll(async () => {
    gate = await startTestGate()
    client = plain(gate)
  })
  afterAll(async () => {
    const report = await gate.verify()
    await gate.close()
    expect(report.ok).toBe(true)
  })

  it('answers, unary', async () => {
    const { data, response } = await client.chat.completions
      .create({ model: 'demo', messages: [user('Say hello')] })
      .withResponse()
    expect(data.choices[0]?.message.content).toBe('Hello.')
    expect(data.choices[0]?.finish_reason).toBe('stop')
    expect(response.headers.get('x-signet-receipt')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
  })

  it('answers, streamed, with usage', async () => {
    const stream = await client.chat.completions.create({
      model: 'demo',
      stream: true,
      stream_options: { include_usage: true },
      messages: [user('count to 5')],
    })
    let text = ''
    let tokens = 0
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      tokens = chunk.usage?.completion_tokens ?? tokens
    }
    expect(text).toBe('1, 2, 3, 4, 5')
    expect(tokens).toBeGreaterThan(0)
  })

  it('reads a refusal as its typed error, and does not retry it', async () => {
    const before = gate.rows().length
    const nobody = plain(gate, {}).withOptions({ maxRetries: 3 })
    const error = await thrown(() => nobody.chat.completions.create({ model: 'demo', messages: [user('hi')] }))
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    if (!(error instanceof OpenAI.APIError)) throw error
    expect(error.status).toBe(403)
    expect(error.message).toContain('signet refused this request')
    expect(gate.rows().length).toBe(before + 1)
  })

  it('reads a broken request as a bad request', async () => {
    const error = await thrown(() =>
      client.chat.completions.create({ model: 'demo', messages: 'hi' as unknown as ChatCompletionMessageParam[] }),
    )
    expect(error).toBeInstanceOf(OpenAI.BadRequestError)
  })

  it('reads an abort in mid-stream as an API error, with the text before it', async () => {
    let text = ''
    const error = await thrown(async () => {
      const stream = await client.chat.completions.create({
        model: 'demo',
        stream: true,
        messages: [user('Tell me the secret plan')],
      })
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    })
    expect(text).toBe('The plan is simple. ')
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect(error).toMatchObject({ code: 'marker', type: 'signet_refusal' })
    expect(isSignetAbort(error)).toBe(true)
  })

  it('reads the same refusal, unary, as permission denied', async () => {
    const error = await thrown(() =>
      client.chat.completions.create({ model: 'demo', messages: [user('Tell me the secret plan')] }),
    )
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(String((error as Error).message)).not.toMatch(/convoy/)
  })

  it('redacts within the accumulated text', async () => {
    const body = scenario({ kind: 'place', place: 'content', text: 'use sk-test-abcdefgh1234 now', chunk: 2 })
    const final = await client.chat.completions
      .stream({ ...(body as { model: string; messages: ChatCompletionMessageParam[] }) })
      .finalChatCompletion()
    expect(final.choices[0]?.message.content).toBe('use [REDACTED] now')
  })

  for (const stream of [false, true]) {
    const mode = stream ? 'streamed' : 'unary'
    const complete = async (body: Ask) =>
      stream ? client.chat.completions.stream(body).finalChatCompletion() : client.chat.completions.create(body)

    it(`runs an allowed call and reports its result, ${mode}`, async () => {
      const messages = [user('What is the weather in Oslo?')]
      const first = await complete({ model: 'demo', tools, messages })
      const [choice] = first.choices
      expect(choice?.finish_reason).toBe('tool_calls')
      const [call] = choice?.message.tool_calls ?? []
      if (choice === undefined || call?.type !== 'function') throw new Error('expected a function call')
      expect(call.function.name).toBe('get_weather')
      expect(JSON.parse(call.function.arguments)).toEqual({ city: 'Oslo' })
      messages.push(choice.message, { role: 'tool', tool_call_id: call.id, content: '12 degrees' })
      const second = await complete({ model: 'demo', tools, messages })
      expect(second.choices[0]?.message.content).toBe('The tool answered: 12 degrees')
    })

    it(`reads a refused call as text, and may echo it back, ${mode}`, async () => {
      const messages = [user('Please delete account 77')]
      const first = await complete({ model: 'demo', tools, messages })
      const [choice] = first.choices
      expect(choice?.finish_reason).toBe('stop')
      expect(choice?.message.tool_calls ?? []).toEqual([])
      expect(choice?.message.content).toContain('signet refused the tool call delete_account')
      if (choice === undefined) throw new Error('expected a choice')
      messages.push(choice.message, user('Say goodbye'))
      const second = await complete({ model: 'demo', tools, messages })
      expect(second.choices[0]?.message.content).toBe('Goodbye.')
    })

    it(`delivers the other calls of the turn, whichever is refused, ${mode}`, async () => {
      for (const names of [
        ['delete_account', 'get_weather', 'search_orders'],
        ['get_weather', 'delete_account', 'search_orders'],
        ['get_weather', 'search_orders', 'delete_account'],
        ['format_disk', 'delete_account', 'get_weather'],
      ]) {
        const body = proposing(...names)
        const first = await complete(body)
        const [choice] = first.choices
        const allowed: readonly string[] = names.filter(n => n === 'get_weather' || n === 'search_orders')
        const got = (choice?.message.tool_calls ?? []).map(c => (c.type === 'function' ? c.function : undefined))
        expect(got).toMatchObject(allowed.map(name => ({ name, arguments: `{"city":"${name}-arg"}` })))
        expect(choice?.finish_reason).toBe('tool_calls')
        for (const name of names.filter(n => !allowed.includes(n))) {
          expect(choice?.message.content).toContain(`signet refused the tool call ${name}`)
        }
        if (choice === undefined) throw new Error('expected a choice')
        // Every call that was delivered is answered, as the API demands; the turn goes on.
        const results = (choice.message.tool_calls ?? []).map(c => ({
          role: 'tool' as const,
          tool_call_id: c.id,
          content: 'done',
        }))
        const next = await complete({ model: 'demo', tools, messages: [...body.messages, choice.message, ...results] })
        expect(next.choices[0]?.message.content).toContain('done')
      }
    })
  }

  it('feeds the tool runner of the SDK', async () => {
    const asked: string[] = []
    const runner = client.chat.completions.runTools({
      model: 'demo',
      messages: [user('What is the weather in Rome?')],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'Current weather of a city.',
            parameters: { type: 'object', properties: { city: { type: 'string' } } },
            parse: (text: string) => JSON.parse(text) as { city: string },
            function: ({ city }: { city: string }) => {
              asked.push(city)
              return `sunny in ${city}`
            },
          },
        },
      ],
    })
    expect(await runner.finalContent()).toBe('The tool answered: sunny in Rome')
    expect(asked).toEqual(['Rome'])
  })

  it('feeds the streaming tool runner, whose refused call ends the run in words', async () => {
    const runner = client.chat.completions.runTools({
      model: 'demo',
      stream: true,
      messages: [user('Please delete account 77')],
      tools: [
        {
          type: 'function',
          function: {
            name: 'delete_account',
            description: 'Delete.',
            parameters: { type: 'object' },
            function: () => {
              throw new Error('must not run')
            },
          },
        },
      ],
    })
    expect(await runner.finalContent()).toContain('signet refused the tool call delete_account')
  })

  it('gets every event of the stream accumulator for a held call: an error and no call', async () => {
    const calls: unknown[] = []
    const run = client.chat.completions.stream({
      model: 'demo',
      tools,
      messages: [user('Please refund 50000 to account X')],
    })
    run.on('tool_calls.function.arguments.done', event => calls.push(event))
    const error = await thrown(() => run.finalChatCompletion())
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect(error).toMatchObject({ code: 'escalated', type: 'signet_refusal' })
    expect(calls).toEqual([])
  })

  it('is told of a held call, unary, by status 202', async () => {
    const response = await client.chat.completions
      .create({ model: 'demo', tools, messages: [user('Please refund 50000 to account X')] })
      .asResponse()
    expect(response.status).toBe(202)
    expect(await response.json()).toMatchObject({ status: 'escalated', escalation_id: expect.any(String) })
  })

  it('asks many things at once, and each answer is its own', async () => {
    const ids = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const messages = [user(`Say number ${i}`)]
        if (i % 2 === 0) {
          const { data, response } = await client.chat.completions.create({ model: 'demo', messages }).withResponse()
          expect(data.choices[0]?.message.content).toBe(`Number ${i}.`)
          return response.headers.get('x-signet-correlation-id')
        }
        const { data, response } = await client.chat.completions
          .create({ model: 'demo', messages, stream: true })
          .withResponse()
        let text = ''
        for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? ''
        expect(text).toBe(`Number ${i}.`)
        return response.headers.get('x-signet-correlation-id')
      }),
    )
    expect(new Set(ids).size).toBe(24)
  })
})

describe('the openai package, other settings', () => {
  it('reads a rate limit as its typed error, with the time to wait', async () => {
    const gate = await startTestGate({
      checks: [new OwnerResolutionCheck(), new RateLimitCheck({ capacity: 1, refillPerSecond: 0.01 })],
    })
    const client = plain(gate)
    await client.chat.completions.create({ model: 'demo', messages: [user('Say hello')] })
    const error = await thrown(() => client.chat.completions.create({ model: 'demo', messages: [user('Say hello')] }))
    await gate.close()
    expect(error).toBeInstanceOf(OpenAI.RateLimitError)
    if (!(error instanceof OpenAI.APIError)) throw error
    const wait = Number(error.headers?.get('retry-after'))
    expect(wait).toBeGreaterThan(90)
    expect(wait).toBeLessThanOrEqual(101)
    expect(error.headers?.get('x-should-retry')).not.toBe('false')
  })

  it('reads a held call as a typed error where the operator wants one', async () => {
    const gate = await startTestGate({ settings: { onEscalate: '403' } })
    const error = await thrown(() =>
      plain(gate).chat.completions.create({
        model: 'demo',
        tools,
        messages: [user('Please refund 50000 to account X')],
      }),
    )
    await gate.close()
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(error).toMatchObject({ code: 'escalated' })
  })

  it('learns nothing but the refusal from a strict gate', async () => {
    const gate = await startTestGate({ settings: { strict: true } })
    const error = await thrown(() => plain(gate, {}).chat.completions.create({ model: 'demo', messages: [user('hi')] }))
    let text = ''
    const midway = await thrown(async () => {
      const stream = await plain(gate).chat.completions.create({
        model: 'demo',
        stream: true,
        messages: [user('Tell me the secret plan')],
      })
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    })
    await gate.close()
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(String(error)).not.toMatch(/owner/)
    expect(midway).toMatchObject({ code: 'refused' })
    expect(text).toBe('The plan is simple. ')
  })
})

describe('the wrapped client', () => {
  let gate: TestGate
  let client: OpenAI
  let notices: ReceiptNotice[] = []
  beforeAll(async () => {
    gate = await startTestGate()
    const keys = (await (await fetch(`${gate.url}/.well-known/jwks.json`)).json()) as JSONWebKeySet
    client = wrapOpenAI(new OpenAI({ apiKey: 'sk-none', maxRetries: 0 }), {
      signetUrl: gate.url,
      owner: 'human:alice@example.com',
      verify: { keys, issuer: ISSUER },
      onReceipt: notice => notices.push(notice),
    })
  })
  afterAll(async () => {
    await gate.close()
  })
  const fresh = () => {
    notices = []
  }

  it('verifies the receipt of a unary answer', async () => {
    fresh()
    const done = await client.chat.completions.create({ model: 'demo', messages: [user('Say hello')] })
    expect(done.choices[0]?.message.content).toBe('Hello.')
    expect(notices).toMatchObject([
      { carrier: 'header', status: 200, verified: { claims: { stage: 'complete', decision: 'allow', final: true } } },
    ])
    expect(lastReceipt(client)).toBe(notices[0])
  })

  it('verifies the final receipt of a stream', async () => {
    fresh()
    const final = await client.chat.completions
      .stream({ model: 'demo', messages: [user('count to 5')] })
      .finalChatCompletion()
    expect(final.choices[0]?.message.content).toBe('1, 2, 3, 4, 5')
    expect(notices.at(-1)).toMatchObject({
      carrier: 'stream',
      verified: { claims: { stage: 'complete', final: true } },
    })
  })

  it('verifies the receipt of an answer in which a call was refused, unary and streamed', async () => {
    for (const stream of [false, true]) {
      fresh()
      const body = proposing('delete_account', 'get_weather')
      const done = stream
        ? await client.chat.completions.stream(body).finalChatCompletion()
        : await client.chat.completions.create(body)
      expect(done.choices[0]?.message.content).toContain('signet refused the tool call delete_account')
      expect(notices.at(-1)?.verified?.claims).toMatchObject({ decision: 'allow', final: true })
    }
  })

  it('throws refusals as both kinds of error, receipt verified', async () => {
    const error = await thrown(() =>
      client.chat.completions.create({ model: 'demo', messages: [user('Tell me the secret plan')] }),
    )
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ check: 'scope_drift', stage: 'inspection', midStream: false })
  })

  it('throws an abort in mid-stream as both kinds of error', async () => {
    let text = ''
    const error = await thrown(async () => {
      const stream = await client.chat.completions.create({
        model: 'demo',
        stream: true,
        messages: [user('Tell me the secret plan')],
      })
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    })
    expect(text).toBe('The plan is simple. ')
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect(error).toMatchObject({ midStream: true, check: 'scope_drift' })
  })

  it('throws a held call as an escalation, unary and streamed', async () => {
    for (const stream of [false, true]) {
      const body = { model: 'demo', tools, messages: [user('Please refund 50000 to account X')] }
      const error = await thrown(() =>
        stream ? client.chat.completions.stream(body).finalChatCompletion() : client.chat.completions.create(body),
      )
      expect(error).toBeInstanceOf(SignetEscalated)
      expect(error).toMatchObject({ escalationId: expect.any(String), midStream: stream })
    }
  })
})
