import OpenAI, { APIError } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '../../core/wire.ts'
import { createUpstream } from '../pool.ts'
import type { Upstream, UpstreamHeaders } from '../upstream.ts'
import { FAULTS, PLACES, type Scenario } from './scenario.ts'
import { type DemoUpstream, type SeenRequest, startDemoUpstream } from './server.ts'

let demo: DemoUpstream
let upstream: Upstream
let openai: OpenAI
const seen: SeenRequest[] = []

beforeAll(async () => {
  demo = await startDemoUpstream({ onRequest: request => seen.push(request) })
  upstream = createUpstream({ url: demo.url, requestTimeoutMs: 150 })
  openai = new OpenAI({ baseURL: demo.url, apiKey: 'none', maxRetries: 0 })
})
afterAll(async () => {
  await upstream.destroy()
  await demo.close()
})

interface Answer {
  status: number | undefined
  headers: UpstreamHeaders
  body: string
  bytes: Uint8Array
  fault: Fault | undefined
}

/** One chat completion over the real pool. */
function chat(
  content: string,
  more: { stream?: boolean; scenario?: Scenario; [field: string]: unknown } = {},
): Promise<Answer> {
  const { scenario, ...fields } = more
  const metadata = scenario === undefined ? {} : { metadata: { signet_demo: JSON.stringify(scenario) } }
  const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content }], ...metadata, ...fields })
  return send('POST', '/chat/completions', body)
}

function send(method: 'GET' | 'POST', path: string, body: string): Promise<Answer> {
  return new Promise(resolve => {
    const chunks: Uint8Array[] = []
    let status: number | undefined
    let headers: UpstreamHeaders = {}
    const settle = (fault?: Fault) => {
      const bytes = Buffer.concat(chunks)
      resolve({ status, headers, body: bytes.toString(), bytes, fault })
    }
    upstream.forward(
      { method, path, headers: [], body: Buffer.from(body) },
      {
        onHead: (gotStatus, gotHeaders) => {
          status = gotStatus
          headers = gotHeaders
        },
        onData: chunk => chunks.push(chunk),
        onEnd: () => settle(),
        onError: settle,
      },
    )
  })
}

function events(body: string): unknown[] {
  return body
    .split('\n\n')
    .filter(Boolean)
    .map(event => event.replace(/^data: /, ''))
    .filter(data => data !== '[DONE]')
    .map(data => JSON.parse(data) as unknown)
}

describe('through the OpenAI SDK', () => {
  it('lists its model', async () => {
    const models = await openai.models.list()
    expect(models.data.map(model => model.id)).toEqual(['demo'])
  })

  it('answers unary with usage', async () => {
    const answer = await openai.chat.completions.create({
      model: 'demo',
      messages: [{ role: 'user', content: 'Say hello' }],
    })
    expect(answer.choices[0]?.message.content).toBe('Hello.')
    expect(answer.choices[0]?.finish_reason).toBe('stop')
    expect(answer.usage).toEqual({ prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 })
  })

  it('streams what it would have said, with usage only when asked', async () => {
    const runner = openai.chat.completions.stream({
      model: 'demo',
      messages: [{ role: 'user', content: 'Count to 12' }],
      stream_options: { include_usage: true },
    })
    const answer = await runner.finalChatCompletion()
    expect(answer.choices[0]?.message.content).toBe('1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12')
    expect(answer.usage?.completion_tokens).toBe(10)
    expect((await chat('hi', { stream: true })).body).not.toContain('usage')
  })

  it('calls several tools in one turn, streamed as in one body', async () => {
    const request = {
      model: 'demo',
      messages: [{ role: 'user' as const, content: 'weather and refund $5 to account X' }],
    }
    const expected = [
      ['get_weather', '{"city":"Paris"}'],
      ['issue_refund', '{"amount":5,"account":"X"}'],
    ]
    for (const answer of [
      await openai.chat.completions.create(request),
      await openai.chat.completions.stream(request).finalChatCompletion(),
    ]) {
      const calls = answer.choices[0]?.message.tool_calls ?? []
      expect(
        calls.map(call => (call.type === 'function' ? [call.function.name, call.function.arguments] : [])),
      ).toEqual(expected)
      expect(new Set(calls.map(call => call.id)).size).toBe(2)
      expect(answer.choices[0]?.finish_reason).toBe('tool_calls')
    }
  })

  it('interleaves n choices', async () => {
    const runner = openai.chat.completions.stream({
      model: 'demo',
      n: 3,
      messages: [{ role: 'user', content: 'Say one two' }],
    })
    const answer = await runner.finalChatCompletion()
    expect(answer.choices.map(choice => choice.message.content)).toEqual(['One two.', 'One two.', 'One two.'])
  })

  it('stops at the token limit', async () => {
    const answer = await openai.chat.completions.create({
      model: 'demo',
      max_completion_tokens: 2,
      messages: [{ role: 'user', content: 'Count to 100' }],
    })
    expect(answer.choices[0]?.message.content).toBe('1, 2, 3,')
    expect(answer.choices[0]?.finish_reason).toBe('length')
  })

  it('fails with the status asked for, in the SDK’s own terms', async () => {
    const scenario: Scenario = { kind: 'status', status: 429 }
    const failed = openai.chat.completions.create({
      model: 'demo',
      messages: [{ role: 'user', content: 'hi' }],
      metadata: { signet_demo: JSON.stringify(scenario) },
    })
    await expect(failed).rejects.toBeInstanceOf(APIError)
    await expect(failed).rejects.toMatchObject({ status: 429 })
  })
})

describe('determinism', () => {
  it('same request, same bytes, but for the serial number', async () => {
    const [a, b] = [
      await chat('Tell me the secret plan', { stream: true }),
      await chat('Tell me the secret plan', { stream: true }),
    ]
    expect(a.body.replace(/demo-\d+/g, '')).toBe(b.body.replace(/demo-\d+/g, ''))
    const texts = events(a.body).map(
      event => (event as { choices: { delta: { content?: string } }[] }).choices[0]?.delta.content,
    )
    expect(texts.filter(text => text === 'S')).toHaveLength(1)
    expect(texts.join('')).toContain('SECRET//NOFORN')
  })

  it('counts and shows the requests it got', async () => {
    const before = demo.requests
    await chat('Say once')
    expect(demo.requests).toBe(before + 1)
    expect(seen.at(-1)).toMatchObject({ method: 'POST', path: '/v1/chat/completions' })
    expect(Buffer.from(seen.at(-1)?.body ?? []).toString()).toContain('Say once')
  })
})

describe('text in a chosen place', () => {
  const MARK = 'MARK-7'

  it.each(PLACES.filter(place => place !== 'content'))(
    '%s, unary: there and nowhere in the content of choice 0',
    async place => {
      const { body } = await chat('hi', { scenario: { kind: 'place', place, text: MARK } })
      const json = JSON.parse(body) as { choices: { message: { content: string | null } }[] }
      expect(body).toContain(MARK)
      expect(json.choices[0]?.message.content ?? '').not.toContain(MARK)
    },
  )

  it.each(PLACES)('%s, stream: adds up to the text, whatever the piece length', async place => {
    for (const chunk of [1, 3, 100]) {
      const { body } = await chat('hi', { stream: true, scenario: { kind: 'place', place, text: MARK, chunk } })
      expect(stringsOf(events(body)).join('\u0000')).not.toBe('')
      expect(joinedByField(events(body))).toContain(MARK)
      if (chunk === 1 && place !== 'tool_name' && place !== 'envelope') expect(body).not.toContain(MARK)
    }
  })
})

/** All strings, in order. */
function stringsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsOf) : []
}

/** The strings of every field path, each joined over all events: what a client would see in that field. */
function joinedByField(list: readonly unknown[]): string {
  const fields = new Map<string, string>()
  const walk = (value: unknown, path: string): void => {
    if (typeof value === 'string') fields.set(path, (fields.get(path) ?? '') + value)
    else if (typeof value === 'object' && value !== null) {
      const index = (value as { index?: number }).index
      for (const [key, item] of Object.entries(value))
        walk(item, `${path}/${String(index ?? '')}${Array.isArray(value) ? '' : key}`)
    }
  }
  for (const event of list) walk(event, '')
  return [...fields.values()].join('\n')
}

describe('lies', () => {
  const unary = (scenario: Scenario) => chat('Count to 40', { scenario })
  const stream = (scenario: Scenario) => chat('Count to 40', { stream: true, scenario })

  const silent: readonly string[] = ['hang', 'hang_mid_stream']

  it.each(FAULTS.filter(kind => !silent.includes(kind)))('%s ends, one way or the other', async kind => {
    const scenario: Scenario = { kind, bytes: 100_000, delayMs: 0 }
    for (const answer of await Promise.all([unary(scenario), stream(scenario)])) {
      expect(answer.status ?? answer.fault?.code).toBeDefined()
    }
  })

  it.each([
    ['die', 'upstream_truncated'],
    ['die_at_once', 'upstream_unreachable'],
    ['hang', 'upstream_timeout'],
    ['hang_mid_stream', 'upstream_timeout'],
    ['redirect', 'upstream_redirect'],
    ['gzip', 'upstream_protocol_violation'],
  ] as const)('%s is %s to the pool, unary and streamed', async (kind, code) => {
    const answers = await Promise.all([unary({ kind }), stream({ kind })])
    expect(answers.map(answer => answer.fault?.code)).toEqual([code, code])
  })

  it('html, wrong type, no type, empty, array: 200 and an end, for the dialect to refuse', async () => {
    expect((await unary({ kind: 'html' })).headers['content-type']).toBe('text/html; charset=utf-8')
    expect((await stream({ kind: 'wrong_type' })).headers['content-type']).toBe('application/octet-stream')
    expect((await stream({ kind: 'no_type' })).headers['content-type']).toBeUndefined()
    expect((await unary({ kind: 'empty' })).body).toBe('')
    expect((await unary({ kind: 'array' })).body).toBe('[1,2,3]')
  })

  it('truncated JSON looks complete to HTTP', async () => {
    const answer = await unary({ kind: 'truncated_json' })
    expect(answer.fault).toBeUndefined()
    expect(() => JSON.parse(answer.body) as unknown).toThrow()
  })

  it('line ends and separators as asked', async () => {
    expect((await stream({ kind: 'crlf' })).body).toMatch(/^data: [^\r\n]+\r\n\r\ndata: /)
    expect((await stream({ kind: 'cr' })).body).toMatch(/^data: [^\r\n]+\r\rdata: /)
    const odd = await stream({ kind: 'u2028' })
    expect(odd.body).toMatch(/\u2028\u2029\u0085/)
    expect(() => events(odd.body)).not.toThrow()
    expect((await stream({ kind: 'no_done' })).body).not.toContain('[DONE]')
    expect((await stream({ kind: 'malformed_tail' })).body).toMatch(/SECRET\/\/NOFORN$/)
  })

  it('bytes that are not UTF-8', async () => {
    for (const answer of [await unary({ kind: 'not_utf8' }), await stream({ kind: 'not_utf8' })]) {
      expect(() => new TextDecoder('utf-8', { fatal: true }).decode(answer.bytes)).toThrow()
    }
  })

  it('an error status comes with rate-limit headers and a cookie to strip', async () => {
    const answer = await unary({ kind: 'status', status: 503 })
    expect(answer.status).toBe(503)
    expect(answer.headers).toMatchObject({
      'retry-after': '7',
      'x-ratelimit-remaining-requests': '0',
      'set-cookie': 'session=secret',
    })
    expect(JSON.parse(answer.body)).toMatchObject({ error: { type: 'demo_error' } })
  })

  it('huge answers are as long as asked', async () => {
    expect((await stream({ kind: 'huge', bytes: 200_000 })).bytes.length).toBeGreaterThan(200_000)
    expect((await stream({ kind: 'unterminated', bytes: 200_000 })).body).not.toMatch(/\n\n/)
  })

  it('byte by byte is the same answer', async () => {
    const strip = (body: string) => body.replace(/demo-\d+/g, '')
    expect(strip((await stream({ kind: 'byte_by_byte' })).body)).toBe(strip((await stream({ kind: 'plain' })).body))
  })

  it('proposes exactly the calls it is told to', async () => {
    const calls = [{ name: 'rm', arguments: '{"path": "/", "path": "/tmp"}' }]
    expect((await unary({ kind: 'call', calls })).body).toContain(JSON.stringify(calls[0]?.arguments))
    expect(joinedByField(events((await stream({ kind: 'call', calls, chunk: 2 })).body))).toContain(calls[0]?.arguments)
  })
})

describe('bad requests', () => {
  it.each([
    ['not JSON', '{'],
    ['not an object', '[]'],
    ['no messages', '{}'],
    ['bad n', '{"messages":[],"n":0}'],
    ['bad scenario', '{"messages":[],"metadata":{"signet_demo":"{"}}'],
    ['unknown kind', '{"messages":[],"metadata":{"signet_demo":"{\\"kind\\":\\"nonsense\\"}"}}'],
    ['bad number', '{"messages":[],"metadata":{"signet_demo":"{\\"chunk\\":-1}"}}'],
  ])('%s is a 400 in JSON', async (_, body) => {
    const answer = await send('POST', '/chat/completions', body)
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body)).toMatchObject({ error: { type: 'invalid_request_error' } })
  })

  it('other paths and methods are errors', async () => {
    expect((await send('POST', '/embeddings', '{}')).status).toBe(404)
    expect((await send('POST', '/models', '{}')).status).toBe(405)
    expect((await send('GET', '/chat/completions', '')).status).toBe(405)
  })
})
