/** What the vendor's own client makes of what the dialect writes. */
import Anthropic, {
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  PermissionDeniedError,
  RateLimitError,
} from '@anthropic-ai/sdk'
import { describe, expect, it } from 'vitest'
import { because, type Code } from '../core/verdict.ts'
import type { Refusal } from '../core/wire.ts'
import { countTokensDialect } from './count-tokens.ts'
import {
  begin,
  bytes,
  callKeys,
  END,
  faultCode,
  finish,
  load,
  NOTICE,
  read,
  request,
  say,
  sound,
  start,
  stream,
  text,
  textBlock,
  toolUse,
  write,
} from './messages.test-support.ts'
import { messagesDialect } from './messages.ts'

/** The SDK reading `body` as the answer. */
function client(
  body: string,
  answer: { readonly type?: string; readonly status?: number; readonly headers?: object } = {},
): Anthropic {
  const headers = { 'content-type': answer.type ?? 'text/event-stream', ...answer.headers }
  const fetch = () => Promise.resolve(new Response(body, { status: answer.status ?? 200, headers }))
  return new Anthropic({ apiKey: 'none', baseURL: 'http://upstream.test', fetch, maxRetries: 0 })
}

const ask = { model: 'claude', max_tokens: 64, messages: [{ role: 'user' as const, content: 'hi' }] }
const accumulate = (body: string) => client(body).messages.stream(ask).finalMessage()
const accumulateBeta = (body: string) => client(body).beta.messages.stream(ask).finalMessage()

/** The next turn: the client sends the message back with a result for every call in it. */
function echo(message: Anthropic.Message): string {
  const results = message.content.flatMap(block =>
    block.type === 'tool_use' ? [{ type: 'tool_result', tool_use_id: block.id, content: 'done' }] : [],
  )
  const next = results.length === 0 ? 'go on' : results
  const turn = [...ask.messages, { role: 'assistant', content: message.content }, { role: 'user', content: next }]
  const v = messagesDialect.readRequest(bytes(JSON.stringify({ ...ask, messages: turn })))
  if ('code' in v) return v.code
  if (text(v.raw).includes('signet')) return 'a capability went upstream'
  return v.toolResults.join()
}

interface SomeMessage {
  readonly content: readonly { readonly type: string; readonly input?: unknown }[]
  readonly stop_reason: string | null
  readonly usage: { readonly output_tokens: number }
}

const brief = (message: Pick<SomeMessage, 'content'>) =>
  message.content.map(block => {
    if (block.type === 'text' && 'text' in block) return block.text
    return block.type === 'tool_use' && 'name' in block ? `call ${block.name}` : block.type
  })

describe('Anthropic’s stream accumulator', () => {
  const items = sound(read(load('tools.sse')))
  const [weather, remove, time] = callKeys(items) as [string, string, string]
  const said = "I'll check the weather in Malmö first,\u2028then clean up."

  it.each([
    ['none', [], [said, 'call get_weather', 'call delete_file', 'call get_time'], 'tool_use'],
    ['the first', [weather], [said, NOTICE, 'call delete_file', 'call get_time'], 'tool_use'],
    ['the middle one', [remove], [said, 'call get_weather', NOTICE, 'call get_time'], 'tool_use'],
    ['the last', [time], [said, 'call get_weather', 'call delete_file', NOTICE], 'tool_use'],
    ['all', [weather, remove, time], [said, NOTICE, NOTICE, NOTICE], 'end_turn'],
  ])('refused %s', async (_what, refuse, blocks, reason) => {
    const out = write(items, { refuse })
    const both: readonly SomeMessage[] = [await accumulate(out), await accumulateBeta(out)]
    for (const message of both) {
      expect(brief(message)).toEqual(blocks)
      expect(message.stop_reason).toBe(reason)
      expect(message.usage.output_tokens).toBe(131)
      expect(message.content.map(block => block.input)).toEqual(
        blocks.map(block => {
          if (block === 'call get_weather') return { location: 'Malmö', unit: 'c' }
          if (block === 'call delete_file') return { path: '/etc/hosts' }
          return block === 'call get_time' ? {} : undefined
        }),
      )
    }
    const message = await accumulate(out)
    expect(echo(message)).toBe(message.content.flatMap(b => (b.type === 'tool_use' ? [b.id] : [])).join())
    expect(faultCode(stream(out))).toBeUndefined()
  })

  it('emits the notice as text, and never a block of a refused call', async () => {
    const stream = client(write(items, { refuse: [weather, remove, time] })).messages.stream(ask)
    const deltas: string[] = []
    const blocks: string[] = []
    stream.on('text', delta => deltas.push(delta))
    stream.on('contentBlock', block => blocks.push(block.type))
    stream.on('inputJson', () => blocks.push('input'))
    await stream.finalMessage()
    expect(deltas.filter(delta => delta === NOTICE)).toHaveLength(3)
    expect(blocks).toEqual(['text', 'text', 'text', 'text'])
  })

  it('keeps a capability with its call, and the next turn drops it', async () => {
    const message = await accumulate(write(items, { capability: [weather, time], refuse: [remove] }))
    const given = message.content.map(block => ('signet' in block ? block.signet : undefined))
    expect(given).toEqual([undefined, { capability: 'jws.of.b1' }, undefined, { capability: 'jws.of.b3' }])
    expect(echo(message)).toBe('toolu_01KtZ3mQvXc7Yw2Rn5Bd8Ue,toolu_01Qm8cDyRv3Zg5Tn1Wx6Js')
  })

  it('reads thinking and searches with a call refused and a text redacted', async () => {
    const thinking = sound(read(load('thinking.sse')))
    const thought = await accumulate(write(thinking, { refuse: callKeys(thinking), redact: 'answer' }))
    expect(brief(thought)).toEqual(['thinking', 'redacted_thinking', 'The [GONE] is 42.', NOTICE])
    expect(thought.content[0]).toMatchObject({ thinking: 'The user wants the sum. 40 + 2 is 42.' })
    expect(echo(thought)).toBe('')
    const found = await accumulate(write(sound(read(load('web-search.sse'))), { redact: 'claude shannon' }))
    expect(found.content[1]).toMatchObject({ type: 'server_tool_use', input: { query: '[GONE] birth date' } })
    expect(found.content[3]).toMatchObject({ citations: [{ title: 'Claude Shannon - Wikipedia' }] })
    expect(echo(found)).toBe('')
  })

  it('reads a unary answer with a call refused', async () => {
    const list = sound(read(load('unary.json'), [], { type: 'application/json' }))
    const message = await client(write(list, { refuse: callKeys(list) }), { type: 'application/json' }).messages.create(
      ask,
    )
    expect(brief(message)).toEqual(['thinking', 'Let me look.', NOTICE, NOTICE])
    expect(message.stop_reason).toBe('end_turn')
    expect(echo(message)).toBe('')
  })

  it('reads comments between events', async () => {
    const writer = messagesDialect.openWriter(request())
    const mark = text(writer.comment('waiting for\r\napproval\ndata: x'))
    const message = await accumulate(
      (start() + textBlock(0, 'a') + toolUse(1, 'f') + finish() + END).replaceAll('\n\n', `\n\n${mark}`),
    )
    expect(brief(message)).toEqual(['a', 'call f'])
  })
})

const base: Refusal = {
  status: 403,
  because: because('output_pattern', 'the answer matches a forbidden pattern'),
  stage: 'inspection',
  check: 'regex_output',
  correlationId: '0199-id',
  strict: false,
}

async function caught(promise: PromiseLike<unknown>): Promise<APIError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof APIError) return error
    throw error
  }
  throw new Error('the SDK raised nothing')
}

describe('refusals in Anthropic’s client', () => {
  it.each<[number, Code, Refusal['stage'], new (...args: never) => Error, string]>([
    [400, 'request_invalid', 'preflight', BadRequestError, 'invalid_request_error'],
    [401, 'credential_invalid', 'preflight', AuthenticationError, 'authentication_error'],
    [403, 'content_pattern', 'admission', PermissionDeniedError, 'permission_error'],
    [413, 'body_too_large', 'preflight', APIError, 'request_too_large'],
    [429, 'rate_limited', 'admission', RateLimitError, 'rate_limit_error'],
    [502, 'upstream_unreachable', 'upstream', InternalServerError, 'api_error'],
    [503, 'audit_unavailable', 'preflight', InternalServerError, 'overloaded_error'],
    [504, 'upstream_timeout', 'upstream', InternalServerError, 'timeout_error'],
  ])('%i %s', async (status, code, stage, type, name) => {
    for (const strict of [false, true]) {
      const made = messagesDialect.refuse({ ...base, status, stage, strict, because: because(code, 'why') })
      const sdk = client(text(made.body), { type: 'application/json', status, headers: made.headers })
      for (const call of [
        sdk.messages.create(ask),
        sdk.messages.countTokens(ask),
        sdk.messages.stream(ask).finalMessage(),
      ]) {
        const error = await caught(call)
        expect(error).toBeInstanceOf(type)
        expect(error.status).toBe(status)
        expect(error.type).toBe(name)
        expect(error.error).toMatchObject({ type: 'error', correlation_id: '0199-id' })
      }
    }
  })

  it('a policy refusal is not asked again', async () => {
    let asked = 0
    const made = messagesDialect.refuse({ ...base, status: 403 })
    const fetch = () => {
      asked++
      return Promise.resolve(new Response(new Uint8Array(made.body), { status: 403, headers: made.headers }))
    }
    await caught(
      new Anthropic({ apiKey: 'none', baseURL: 'http://upstream.test', fetch, maxRetries: 3 }).messages.create(ask),
    )
    expect(asked).toBe(1)
  })

  it.each<[string, Refusal, string]>([
    ['policy', base, 'permission_error'],
    ['overload', { ...base, status: 503, because: because('overloaded', 'full') }, 'overloaded_error'],
    [
      'upstream',
      { ...base, status: 502, stage: 'upstream', because: because('upstream_truncated', 'cut') },
      'api_error',
    ],
  ])('the abort frame raises a typed error in the middle of a stream: %s', async (_what, r, type) => {
    const writer = messagesDialect.openWriter(request())
    const body = start() + begin(0, { type: 'text', text: '' }) + say(0, 'so far') + text(writer.abort(r))
    const raised = async (of: { done(): Promise<void> }, heard: readonly string[]) => {
      const error = await caught(of.done())
      expect(error.type).toBe(type)
      expect(error.error).toMatchObject({ signet_abort: true, correlation_id: '0199-id', stage: r.stage })
      expect(heard).toEqual(['so far'])
    }
    const heard: string[] = []
    await raised(
      client(body)
        .messages.stream(ask)
        .on('text', delta => heard.push(delta)),
      heard,
    )
    const heardBeta: string[] = []
    await raised(
      client(body)
        .beta.messages.stream(ask)
        .on('text', delta => heardBeta.push(delta)),
      heardBeta,
    )
    const raw = await client(body).messages.create({ ...ask, stream: true })
    const drain = async () => {
      for await (const _event of raw);
    }
    expect((await caught(drain())).type).toBe(type)
  })
})

describe('counting tokens with Anthropic’s client', () => {
  it('hands the number through', async () => {
    const v = countTokensDialect.readRequest(bytes(JSON.stringify({ model: ask.model, messages: ask.messages })))
    if ('code' in v) throw new Error(v.code)
    const reader = countTokensDialect.openResponse(v, 200, 'application/json')
    if ('code' in reader) throw new Error(reader.code)
    reader.push(bytes('{"input_tokens": 42}'))
    const [f] = sound(reader.end())
    if (f === undefined) throw new Error('no frame')
    const body = text(countTokensDialect.openWriter(v).write(f, []))
    expect(await client(body, { type: 'application/json' }).messages.countTokens(ask)).toEqual({ input_tokens: 42 })
  })
})
