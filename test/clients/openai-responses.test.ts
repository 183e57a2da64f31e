/** The official `openai` package, its Responses methods, unmodified, against the gate. */
import type { JSONWebKeySet } from 'jose'
import OpenAI from 'openai'
import type {
  Response as Answer,
  FunctionTool,
  ResponseInput,
  ResponseInputItem,
} from 'openai/resources/responses/responses'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isSignetAbort, lastReceipt, SignetEscalated, SignetRefused, wrapOpenAI } from '../../src/clients/openai.ts'
import { DEMO_TOOLS } from '../../src/upstream/demo/tools.ts'
import { ISSUER, startTestGate, type TestGate, type TestGateOptions } from '../support/gate.ts'
import { type ResponsesUpstream, startResponsesUpstream } from './responses-upstream.ts'

const OWNER = { 'x-commit-owner': 'human:alice@example.com' }
const tools: FunctionTool[] = [...DEMO_TOOLS.map(t => t.name), 'format_disk'].map(name => ({
  type: 'function',
  name,
  parameters: { type: 'object', properties: {} },
  strict: false,
}))

async function thrown(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

describe('the openai package, responses', () => {
  let upstream: ResponsesUpstream
  let gate: TestGate
  let client: OpenAI
  const plain = (one: TestGate, headers: Record<string, string> = OWNER) =>
    new OpenAI({ apiKey: 'sk-none', baseURL: `${one.url}/v1`, maxRetries: 0, defaultHeaders: headers })
  const another = (options: TestGateOptions) => startTestGate({ upstreamUrl: upstream.url, ...options })
  beforeAll(async () => {
    upstream = await startResponsesUpstream()
    gate = await startTestGate({ upstreamUrl: upstream.url })
    client = plain(gate)
  })
  afterAll(async () => {
    const report = await gate.verify()
    await gate.close()
    await upstream.close()
    expect(report.ok).toBe(true)
  })

  it('answers, unary', async () => {
    const { data, response } = await client.responses.create({ model: 'm', input: 'Hello.' }).withResponse()
    expect(data.output_text).toBe('You said: Hello.')
    expect(data.status).toBe('completed')
    expect(response.headers.get('x-signet-receipt')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
  })

  it('answers, streamed, every event in order', async () => {
    const stream = await client.responses.create({ model: 'm', input: 'Hello there.', stream: true })
    let text = ''
    const types: string[] = []
    const numbers: number[] = []
    for await (const event of stream) {
      types.push(event.type)
      numbers.push(event.sequence_number)
      if (event.type === 'response.output_text.delta') text += event.delta
    }
    expect(text).toBe('You said: Hello there.')
    expect(types[0]).toBe('response.created')
    expect(types.at(-1)).toBe('response.completed')
    expect(numbers).toEqual(numbers.map((_, i) => i))
  })

  it('reads a refusal as its typed error, and does not retry it', async () => {
    const before = gate.rows().length
    const nobody = plain(gate, {}).withOptions({ maxRetries: 3 })
    const error = await thrown(() => nobody.responses.create({ model: 'm', input: 'Hello.' }))
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(String(error)).toContain('signet refused this request')
    expect(gate.rows().length).toBe(before + 1)
  })

  it('reads a broken request as a bad request', async () => {
    const error = await thrown(() => client.responses.create({ model: 'm', input: 7 as unknown as string }))
    expect(error).toBeInstanceOf(OpenAI.BadRequestError)
  })

  it('reads an abort in mid-stream as an API error, with the text before it', async () => {
    let text = ''
    const error = await thrown(async () => {
      const stream = await client.responses.create({ model: 'm', input: 'Tell me the secret plan', stream: true })
      for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta
    })
    expect(text).toBe('The plan is simple. ')
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect(error).toMatchObject({ code: 'marker', type: 'signet_refusal' })
    expect(isSignetAbort(error)).toBe(true)
  })

  it('gets the same error out of the stream accumulator, which has no answer then', async () => {
    const run = client.responses.stream({ model: 'm', input: 'Tell me the secret plan' })
    const error = await thrown(() => run.finalResponse())
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect(error).toMatchObject({ code: 'marker', type: 'signet_refusal' })
  })

  it('reads the same refusal, unary, as permission denied', async () => {
    const error = await thrown(() => client.responses.create({ model: 'm', input: 'Tell me the secret plan' }))
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(String(error)).not.toMatch(/convoy/)
  })

  it('is told of a held call, unary, by status 202', async () => {
    const response = await client.responses.create({ model: 'm', tools, input: 'issue_refund()' }).asResponse()
    expect(response.status).toBe(202)
    expect(await response.json()).toMatchObject({ status: 'escalated', escalation_id: expect.any(String) })
  })

  it('is told of a held call, streamed, by an error, and never sees the call', async () => {
    const calls: unknown[] = []
    const run = client.responses.stream({ model: 'm', tools, input: 'get_weather() issue_refund()' })
    run.on('response.function_call_arguments.delta', event => calls.push(event))
    const error = await thrown(() => run.finalResponse())
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect(error).toMatchObject({ code: 'escalated', type: 'signet_refusal' })
    expect(JSON.stringify(calls)).not.toContain('issue')
  })

  it('reads a held call as a typed error where the operator wants one', async () => {
    const strict = await another({ settings: { onEscalate: '403' } })
    const error = await thrown(() => plain(strict).responses.create({ model: 'm', tools, input: 'issue_refund()' }))
    await strict.close()
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(error).toMatchObject({ code: 'escalated', type: 'signet_refusal' })
  })

  it('learns nothing but the refusal from a strict gate', async () => {
    const strict = await another({ settings: { strict: true } })
    let text = ''
    const midway = await thrown(async () => {
      const stream = await plain(strict).responses.create({ model: 'm', input: 'The secret plan', stream: true })
      for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta
    })
    const error = await thrown(() => plain(strict, {}).responses.create({ model: 'm', input: 'Hello.' }))
    await strict.close()
    expect(midway).toMatchObject({ code: 'refused', message: expect.stringContaining('refused') })
    expect(String(midway)).not.toMatch(/marker|drift/)
    expect(text).toBe('The plan is simple. ')
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(String(error)).not.toMatch(/owner/)
  })

  for (const streamed of [false, true]) {
    const mode = streamed ? 'streamed' : 'unary'
    const ask = (input: string | ResponseInput): Promise<Answer> =>
      streamed
        ? (client.responses.stream({ model: 'm', tools, input }).finalResponse() as Promise<Answer>)
        : client.responses.create({ model: 'm', tools, input })
    const callsOf = (answer: Answer) => answer.output.filter(o => o.type === 'function_call')
    const history = (asked: string, answer: Answer, ...more: readonly ResponseInputItem[]): ResponseInput => [
      { role: 'user', content: asked },
      ...(answer.output as readonly ResponseInputItem[]),
      ...more,
    ]

    it(`redacts wherever the answer says it, ${mode}`, async () => {
      const answer = await ask('What is the key?')
      expect(answer.output_text).toBe('use [REDACTED] now')
      expect(JSON.stringify(answer)).not.toContain('abcdefgh')
    })

    it(`runs an allowed call and reports its result, ${mode}`, async () => {
      const first = await ask('get_weather()')
      const [call] = callsOf(first)
      expect(call).toMatchObject({ name: 'get_weather', arguments: '{"city":"get_weather-arg"}' })
      expect(first.output_text).toBe('On it.')
      const result = { type: 'function_call_output', call_id: call?.call_id ?? '', output: '12 degrees' } as const
      const second = await ask(history('get_weather()', first, result))
      expect(second.output_text).toBe('The tool answered: 12 degrees')
    })

    it(`reads a refused call as text, and may echo it back, ${mode}`, async () => {
      const first = await ask('format_disk()')
      expect(callsOf(first)).toEqual([])
      expect(first.output_text).toContain('signet refused the tool call format_disk')
      expect(JSON.stringify(first)).not.toContain('format_disk-arg')
      const second = await ask(history('format_disk()', first, { role: 'user', content: 'Then say goodbye.' }))
      expect(second.output_text).toBe('You said: Then say goodbye.')
      // What upstream was told is what the caller had: the notice, as a message of the assistant.
      const told = upstream.seen.at(-1)?.input
      expect(Array.isArray(told) && told.map(i => i.type ?? i.role)).toEqual([
        'user',
        'reasoning',
        'message',
        'message',
        'user',
      ])
      expect(JSON.stringify(told)).toContain('signet refused the tool call format_disk')
    })

    it(`delivers the other calls of the turn, whichever is refused, ${mode}`, async () => {
      for (const names of [
        ['format_disk', 'get_weather', 'search_orders'],
        ['get_weather', 'format_disk', 'search_orders'],
        ['get_weather', 'search_orders', 'delete_account'],
        ['format_disk', 'delete_account', 'get_weather'],
      ]) {
        const asked = names.map(name => `${name}()`).join(' ')
        const first = await ask(asked)
        const allowed = names.filter(n => n === 'get_weather' || n === 'search_orders')
        expect(callsOf(first).map(c => [c.name, c.arguments])).toEqual(allowed.map(n => [n, `{"city":"${n}-arg"}`]))
        for (const name of names.filter(n => !(allowed as readonly string[]).includes(n))) {
          expect(first.output_text).toContain(`signet refused the tool call ${name}`)
        }
        const results = callsOf(first).map(c => ({
          type: 'function_call_output' as const,
          call_id: c.call_id,
          output: 'done',
        }))
        const next = await ask(history(asked, first, ...results))
        expect(next.output_text).toContain('done')
      }
    })
  }

  it('is verified and typed by the wrapper, unary and streamed', async () => {
    const keys = (await (await fetch(`${gate.url}/.well-known/jwks.json`)).json()) as JSONWebKeySet
    const wrapped = wrapOpenAI(new OpenAI({ apiKey: 'k', maxRetries: 0 }), {
      signetUrl: gate.url,
      owner: 'human:alice@example.com',
      verify: { keys, issuer: ISSUER },
    })
    expect((await wrapped.responses.create({ model: 'm', input: 'Hello.' })).output_text).toBe('You said: Hello.')
    expect(lastReceipt(wrapped)).toMatchObject({ carrier: 'header', verified: { covers: { response: true } } })
    expect((await wrapped.responses.stream({ model: 'm', input: 'Hello.' }).finalResponse()).output_text).toBe(
      'You said: Hello.',
    )
    expect(lastReceipt(wrapped)).toMatchObject({ carrier: 'stream', verified: { covers: { response: true } } })
    const error = await thrown(() => wrapped.responses.stream({ model: 'm', input: 'the secret plan' }).finalResponse())
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({ midStream: true, code: 'marker', check: 'scope_drift' })
    const held = await thrown(() => wrapped.responses.create({ model: 'm', input: 'issue_refund()', tools }))
    expect(held).toBeInstanceOf(SignetEscalated)
  })
})
