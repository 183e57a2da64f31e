/** The official `@anthropic-ai/sdk` package, unmodified, against the gate. */
import Anthropic from '@anthropic-ai/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { DEMO_TOOLS } from '../../src/upstream/demo/tools.ts'
import { demoChecks, startTestGate, type TestGate } from '../support/gate.ts'
import { type AnthropicUpstream, startAnthropicUpstream } from './anthropic-upstream.ts'

const OWNER = { 'x-commit-owner': 'human:alice@example.com' }
const tools: Anthropic.Tool[] = DEMO_TOOLS.map(t => ({
  name: t.name,
  description: t.description,
  input_schema: { ...t.parameters, type: 'object' },
}))
const user = (content: Anthropic.MessageParam['content']): Anthropic.MessageParam => ({ role: 'user', content })
const ask = (...messages: readonly Anthropic.MessageParam[]) => ({
  model: 'claude',
  max_tokens: 64,
  tools,
  messages: [...messages],
})
const plain = (gate: TestGate, headers: Record<string, string> = OWNER) =>
  new Anthropic({ apiKey: 'sk-none', authToken: null, baseURL: gate.url, maxRetries: 0, defaultHeaders: headers })
const textOf = (message: Anthropic.Message) => message.content.map(b => (b.type === 'text' ? b.text : '')).join('')
const callsOf = (message: Anthropic.Message) => message.content.filter(b => b.type === 'tool_use')

async function thrown(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

let upstream: AnthropicUpstream
beforeAll(async () => {
  upstream = await startAnthropicUpstream()
})
afterAll(async () => {
  await upstream.close()
})

describe('the @anthropic-ai/sdk package', () => {
  let gate: TestGate
  let client: Anthropic
  beforeAll(async () => {
    gate = await startTestGate({ upstreamUrl: upstream.url })
    client = plain(gate)
  })
  afterAll(async () => {
    const report = await gate.verify()
    await gate.close()
    expect(report.ok).toBe(true)
  })

  it('answers, unary, with a receipt', async () => {
    const { data, response } = await client.messages.create(ask(user('say: Hello.'))).withResponse()
    expect(textOf(data)).toBe('Hello.')
    expect(data.usage.output_tokens).toBe(7)
    expect(response.headers.get('x-signet-receipt')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
  })

  it('keeps the headers that the API needs, and signet’s own to itself', async () => {
    await client.messages.create(ask(user('say: Hello.')))
    const headers = upstream.seen.at(-1)?.headers ?? {}
    expect(headers['anthropic-version']).toMatch(/^20[0-9-]{8}$/)
    expect(headers.authorization).toBe('Bearer sk-none')
    expect(Object.keys(headers).filter(h => /signet|commit-owner/.test(h))).toEqual([])
  })

  it('answers, streamed, event by event', async () => {
    const stream = await client.messages.create({ ...ask(user('say: One, two, three.')), stream: true })
    const types: string[] = []
    let text = ''
    for await (const event of stream) {
      types.push(event.type)
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text
    }
    expect(text).toBe('One, two, three.')
    expect(types[0]).toBe('message_start')
    expect(types.at(-1)).toBe('message_stop')
  })

  it('counts tokens', async () => {
    const { input_tokens } = await client.messages.countTokens({ model: 'claude', messages: [user('Hello')], tools })
    expect(input_tokens).toBe(upstream.seen.at(-1)?.body.length)
    expect(upstream.seen.at(-1)?.path).toBe('/v1/messages/count_tokens')
  })

  it('redacts within the accumulated text', async () => {
    const final = await client.messages.stream(ask(user(hidden('use sk-test-abcdefgh1234 now')))).finalMessage()
    expect(textOf(final)).toBe('use [REDACTED] now')
  })

  it('keeps thinking and its signature, and takes both back', async () => {
    const first = await client.messages.stream(ask(user('think: Two and two.'))).finalMessage()
    expect(first.content[0]).toEqual({ type: 'thinking', thinking: 'Two and two.', signature: 'U0lHTkVE'.repeat(20) })
    const second = await client.messages.create(
      ask(user('think: Two and two.'), { role: 'assistant', content: first.content }, user('say: Four.')),
    )
    expect(textOf(second)).toBe('Four.')
    expect(upstream.seen.at(-1)?.body).toContain('U0lHTkVE'.repeat(20))
  })

  it('reads a refusal as its typed error, and does not retry it', async () => {
    const before = gate.rows().length
    const nobody = plain(gate, {}).withOptions({ maxRetries: 3 })
    const error = await thrown(() => nobody.messages.create(ask(user('say: Hello.'))))
    expect(error).toBeInstanceOf(Anthropic.PermissionDeniedError)
    expect(error).toMatchObject({ status: 403, type: 'permission_error' })
    expect(String(error)).toContain('signet refused this request')
    expect(gate.rows().length).toBe(before + 1)
  })

  it('reads a broken request as a bad request', async () => {
    const error = await thrown(() => client.messages.create({ ...ask(), messages: 'hi' as never }))
    expect(error).toBeInstanceOf(Anthropic.BadRequestError)
    expect(error).toMatchObject({ type: 'invalid_request_error' })
  })

  it('refuses to count the tokens of nobody’s prompt', async () => {
    const error = await thrown(() =>
      plain(gate, {}).messages.countTokens({ model: 'claude', messages: [user('Hello')] }),
    )
    expect(error).toBeInstanceOf(Anthropic.PermissionDeniedError)
  })

  it('reads an error of upstream as the SDK knows it, before a stream and in it', async () => {
    expect(await thrown(() => client.messages.create(ask(user('fail'))))).toMatchObject({
      status: 529,
      type: 'overloaded_error',
    })
    const error = await thrown(() => client.messages.stream(ask(user('break'))).finalMessage())
    expect(error).toBeInstanceOf(Anthropic.APIError)
    expect(error).toMatchObject({ type: 'overloaded_error' })
    expect(String(error)).not.toContain('signet')
  })

  it('reads an abort in mid-stream as a typed error, with the text before it', async () => {
    let text = ''
    const error = await thrown(async () => {
      const run = client.messages.stream(ask(user(hidden('The plan is simple. SECRET//NOFORN convoy at dawn.'))))
      run.on('text', piece => {
        text += piece
      })
      await run.finalMessage()
    })
    expect(text).toBe('The plan is simple. ')
    expect(error).toBeInstanceOf(Anthropic.APIError)
    expect(error).toMatchObject({ type: 'permission_error', error: { signet_abort: true, stage: 'inspection' } })
    expect(String(error)).not.toMatch(/convoy|dawn/)
  })

  it('reads the same refusal, unary, as permission denied', async () => {
    const error = await thrown(() =>
      client.messages.create(ask(user(hidden('The plan is simple. SECRET//NOFORN convoy at dawn.')))),
    )
    expect(error).toBeInstanceOf(Anthropic.PermissionDeniedError)
    expect(String(error)).not.toMatch(/convoy|dawn/)
  })

  for (const stream of [false, true]) {
    const mode = stream ? 'streamed' : 'unary'
    const complete = (body: ReturnType<typeof ask>) =>
      stream ? client.messages.stream(body).finalMessage() : client.messages.create(body)

    it(`runs an allowed call and reports its result, ${mode}`, async () => {
      const question = user('call: get_weather')
      const first = await complete(ask(question))
      expect(first.stop_reason).toBe('tool_use')
      const [call] = callsOf(first)
      expect(call).toMatchObject({ name: 'get_weather', input: { city: 'get_weather-arg' } })
      const result = { type: 'tool_result' as const, tool_use_id: call?.id ?? '', content: '12 degrees' }
      const second = await complete(ask(question, { role: 'assistant', content: first.content }, user([result])))
      expect(textOf(second)).toBe('The tools said 12 degrees.')
    })

    it(`reads a refused call as text, and may echo it back, ${mode}`, async () => {
      const question = user('call: format_disk')
      const first = await complete(ask(question))
      expect(first.stop_reason).toBe('end_turn')
      expect(callsOf(first)).toEqual([])
      expect(first.content.map(b => b.type)).toEqual(['text', 'text'])
      expect(textOf(first)).toContain('signet refused the tool call format_disk')
      const second = await complete(
        ask(question, { role: 'assistant', content: first.content }, user('say: Never mind.')),
      )
      expect(textOf(second)).toBe('Never mind.')
      expect(upstream.seen.at(-1)?.body).toContain('signet refused the tool call format_disk')
    })

    it(`delivers the other calls of the turn, whichever is refused, ${mode}`, async () => {
      for (const names of [
        ['delete_account', 'get_weather', 'search_orders'],
        ['get_weather', 'delete_account', 'search_orders'],
        ['get_weather', 'search_orders', 'format_disk'],
        ['format_disk', 'delete_account', 'get_weather'],
      ]) {
        const question = user(`call: ${names.join(' ')}`)
        const first = await complete(ask(question))
        const allowed: readonly string[] = names.filter(n => n === 'get_weather' || n === 'search_orders')
        expect(callsOf(first)).toMatchObject(allowed.map(name => ({ name, input: { city: `${name}-arg` } })))
        expect(first.stop_reason).toBe('tool_use')
        for (const name of names.filter(n => !allowed.includes(n))) {
          expect(textOf(first)).toContain(`signet refused the tool call ${name}`)
        }
        // Every call that was delivered is answered, as the API demands; the turn goes on.
        const results = callsOf(first).map(c => ({ type: 'tool_result' as const, tool_use_id: c.id, content: 'done' }))
        const next = await complete(ask(question, { role: 'assistant', content: first.content }, user(results)))
        expect(textOf(next)).toContain('done')
      }
    })
  }

  it('feeds the tool runner of the SDK', async () => {
    const asked: unknown[] = []
    const final = await client.beta.messages.toolRunner({
      model: 'claude',
      max_tokens: 64,
      messages: [user('call: get_weather')] as Anthropic.Beta.BetaMessageParam[],
      tools: [
        {
          type: 'custom',
          name: 'get_weather',
          description: 'Current weather of a city.',
          input_schema: { type: 'object', properties: { city: { type: 'string' } } },
          parse: input => input as { city: string },
          run: ({ city }: { city: string }) => {
            asked.push(city)
            return `sunny in ${city}`
          },
        },
      ],
    })
    expect(asked).toEqual(['get_weather-arg'])
    expect(final.content).toMatchObject([{ text: 'The tools said sunny in get_weather-arg.' }])
  })

  it('goes on from a message that upstream keeps, but not from another owner’s', async () => {
    const next = (owner: string, id: string) =>
      plain(gate, { 'x-commit-owner': owner }).post<Anthropic.Message>('/v1/messages', {
        body: { ...ask(user('say: On we go.')), thread: { type: 'continue', previous_message_id: id } },
      })
    const { id } = await client.messages.create(ask(user('say: Hello.')))
    expect(textOf(await next(OWNER['x-commit-owner'], id))).toBe('On we go.')
    const error = await thrown(() => next('human:mallory@example.com', id))
    expect(error).toBeInstanceOf(Anthropic.PermissionDeniedError)
  })

  it('ends a held call in an error and no call, streamed', async () => {
    const calls: unknown[] = []
    const run = client.messages.stream(ask(user('call: get_weather issue_refund')))
    run.on('contentBlock', block => {
      if (block.type === 'tool_use' && block.name === 'issue_refund') calls.push(block)
    })
    const error = await thrown(() => run.finalMessage())
    expect(error).toBeInstanceOf(Anthropic.APIError)
    expect(error).toMatchObject({ type: 'permission_error', error: { escalation_id: expect.any(String) } })
    expect(calls).toEqual([])
  })

  it('is told of a held call, unary, by status 202', async () => {
    const response = await client.messages.create(ask(user('call: issue_refund'))).asResponse()
    expect(response.status).toBe(202)
    const body = await response.json()
    expect(body).toMatchObject({ status: 'escalated', escalation_id: expect.any(String) })
    expect(JSON.stringify(body)).not.toContain('issue_refund-arg')
  })

  it('asks many things at once, and each answer is its own', async () => {
    const ids = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const question = ask(user(`say: Number ${i}.`))
        if (i % 2 === 0) {
          const { data, response } = await client.messages.create(question).withResponse()
          expect(textOf(data)).toBe(`Number ${i}.`)
          return response.headers.get('x-signet-correlation-id')
        }
        const { data, response } = await client.messages.stream(question).withResponse()
        expect(await data.finalText()).toBe(`Number ${i}.`)
        return response.headers.get('x-signet-correlation-id')
      }),
    )
    expect(new Set(ids).size).toBe(24)
  })
})

describe('the @anthropic-ai/sdk package, other settings', () => {
  it('reads a rate limit as its typed error, with the time to wait', async () => {
    const gate = await startTestGate({
      upstreamUrl: upstream.url,
      checks: [new OwnerResolutionCheck(), new RateLimitCheck({ capacity: 1, refillPerSecond: 0.01 })],
    })
    const client = plain(gate)
    await client.messages.create(ask(user('say: Hello.')))
    const error = await thrown(() => client.messages.create(ask(user('say: Hello.'))))
    await gate.close()
    expect(error).toBeInstanceOf(Anthropic.RateLimitError)
    if (!(error instanceof Anthropic.APIError)) throw error
    expect(error.type).toBe('rate_limit_error')
    const wait = Number(error.headers?.get('retry-after'))
    expect(wait).toBeGreaterThan(90)
    expect(wait).toBeLessThanOrEqual(101)
    expect(error.headers?.get('x-should-retry')).not.toBe('false')
  })

  it('reads a held call as a typed error where the operator wants one', async () => {
    const gate = await startTestGate({ upstreamUrl: upstream.url, settings: { onEscalate: '403' } })
    const error = await thrown(() => plain(gate).messages.create(ask(user('call: issue_refund'))))
    await gate.close()
    expect(error).toBeInstanceOf(Anthropic.PermissionDeniedError)
    expect(error).toMatchObject({ type: 'permission_error', error: { escalation_id: expect.any(String) } })
  })

  it('learns nothing but the refusal from a strict gate', async () => {
    const gate = await startTestGate({ upstreamUrl: upstream.url, checks: demoChecks(), settings: { strict: true } })
    const error = await thrown(() => plain(gate, {}).messages.create(ask(user('say: Hello.'))))
    const midway = await thrown(() =>
      plain(gate)
        .messages.stream(ask(user(hidden('The plan is simple. SECRET//NOFORN convoy at dawn.'))))
        .finalMessage(),
    )
    await gate.close()
    expect(error).toBeInstanceOf(Anthropic.PermissionDeniedError)
    expect(String(error)).not.toMatch(/owner/)
    expect(midway).toBeInstanceOf(Anthropic.APIError)
    expect(midway).toMatchObject({ error: { signet_abort: true, reason: 'refused' } })
    expect(String(midway)).not.toMatch(/scope|drift|classif/)
  })
})

/** What upstream is to say, hidden from the checks of the request. */
function hidden(said: string): string {
  return `hex: ${Buffer.from(said).toString('hex')}`
}
