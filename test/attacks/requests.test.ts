/** A caller tries to have upstream read what no check has seen, or do what nobody allowed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { post, raw } from '../http/raw.ts'
import { chat, startTestGate, type TestGate } from '../support/gate.ts'

let gate: TestGate
beforeAll(async () => {
  gate = await startTestGate()
})
afterAll(async () => {
  await gate.close()
})

const said = (more: object) => ({ model: 'demo', messages: [{ role: 'user', content: 'hi' }], ...more })

describe('what upstream would run by itself', () => {
  it.each([
    ['web_search_options', {}],
    ['search_parameters', { mode: 'on' }],
    ['enable_search', true],
    ['web_search', true],
    ['search_options', {}],
    ['search_settings', {}],
    ['data_sources', [{ type: 'azure_search', parameters: { endpoint: 'https://elsewhere.example' } }]],
    ['mcp_servers', [{ url: 'https://elsewhere.example' }]],
    ['plugins', [{ id: 'web' }]],
    ['tools', [{ type: 'web_search' }]],
    ['tools', [{ type: 'Function', function: { name: 'f' } }]],
  ])('is a tool call made at admission: %s', async (key, value) => {
    const before = gate.upstreamRequests()
    const res = await chat(gate, said({ [key]: value }))
    expect([res.status, await res.json()]).toMatchObject([403, { check: 'tool_call_inspector' }])
    expect(gate.upstreamRequests()).toBe(before)
  })

  it.each(['Data_Sources', 'MCP_servers', 'Web_Search', 'ｔools', 'Messages', 'tool\u200bs'])(
    'is not hidden by another spelling of its key: %s',
    async key => {
      expect((await chat(gate, said({ [key]: [] }))).status).toBe(400)
    },
  )

  it('is not meant by null or false', async () => {
    expect((await chat(gate, said({ data_sources: null, web_search: false }))).status).toBe(200)
  })
})

describe('text that stands where no text is expected', () => {
  const redacts = async (more: object) => {
    const res = await chat(gate, said(more))
    const sent = Buffer.from(gate.seen.at(-1) ?? []).toString()
    return res.status === 403 || (res.status === 200 && !sent.includes('hunter2'))
  }
  const picture = (url: string) => ({
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
  })
  it.each([
    ['a picture that is text', picture(`data:text/plain,hunter2`)],
    ['a picture beside its data', picture(`data:image/png;base64,${'A'.repeat(200)}#hunter2!`)],
    ['a key', { metadata: { hunter2: 'x' } }],
    [
      'an enum of a tool',
      { tools: [{ type: 'function', function: { name: 'f', parameters: { enum: ['hunter2'] } } }] },
    ],
    [
      'a default of a schema',
      { response_format: { type: 'json_schema', json_schema: { schema: { default: 'hunter2' } } } },
    ],
    ['bytes as numbers', { metadata: { x: [...Buffer.from('hunter2')] } }],
    ['prediction', { prediction: { type: 'content', content: [{ type: 'text', text: 'hunter2' }] } }],
    ['a name', { messages: [{ role: 'user', name: 'hunter2', content: 'x' }] }],
    ['a role', { messages: [{ role: 'hunter2', content: 'x' }] }],
    ['a type of a part', { messages: [{ role: 'user', content: [{ type: 'hunter2', text: 'x' }] }] }],
    ['a prototype key', { metadata: JSON.parse('{"__proto__":{"a":"hunter2"}}') as object }],
    ['a stop word', { stop: ['hunter2'] }],
    ['the user', { user: 'hunter2' }],
    ['the model', { model: 'demo-hunter2' }],
  ])('is seen: %s', async (_what, more) => {
    expect(await redacts(more)).toBe(true)
  })

  it('a vector picture is text, in base64 too', async () => {
    const { isMediaUrl } = await import('../../src/dialects/media.ts')
    expect(isMediaUrl(`data:image/svg+xml;base64,${'A'.repeat(200)}`)).toBe(false)
    expect(isMediaUrl(`data:image/png;base64,${'A'.repeat(200)}`)).toBe(true)
  })

  it.each([
    '{"model":"demo","messages":[],"\\u006dessages":[{"role":"user","content":"x"}]}',
    '{"model":"demo","messages":[{"role":"user","content":"a","\\u0063ontent":"b"}]}',
    '\ufeff{"model":"demo","messages":[]}',
    '{"model":"demo","messages":[]} {"x":1}',
  ])('two readings of one body are refused: %s', async body => {
    expect((await chat(gate, body)).status).toBe(400)
  })
})

describe('what the other surfaces call their text', () => {
  it.each([
    ['/v1/completions', { prompt: 'my hunter2' }],
    ['/v1/completions', { prompt: ['fine', 'my hunter2'] }],
    ['/v1/completions', { prompt: 'fine', suffix: 'my hunter2' }],
    ['/v1/embeddings', { input: 'my hunter2' }],
    ['/v1/embeddings', { input: ['fine', 'my hunter2'] }],
    ['/v1/moderations', { input: 'my hunter2' }],
    ['/v1/moderations', { input: ['fine', 'my hunter2'] }],
  ])('is read: %s %j', async (path, body) => {
    const before = gate.seen.length
    const res = await fetch(gate.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
      body: JSON.stringify({ model: 'demo', ...body }),
    })
    await res.arrayBuffer()
    const sent = Buffer.concat(gate.seen.slice(before)).toString()
    expect(sent).toContain('my [REDACTED]')
    expect(sent).not.toContain('hunter2')
  })
})

describe('the connection', () => {
  it.each([
    [
      'an owner behind very many headers',
      [...Array<string>(1500).fill('a: b'), 'X-Commit-Owner: human:eve'],
      [400, 431],
    ],
    ['two lengths', ['Content-Length: 3'], [400]],
    ['a length and chunks', ['Transfer-Encoding: chunked'], [400]],
    ['a folded header', ['X-A: b', ' X-Commit-Owner: human:eve'], [400]],
    ['a header name with a blank', ['X-Commit-Owner : human:eve'], [400]],
    ['an origin', ['Origin: https://evil.example'], [403]],
  ])('does not carry %s', async (_what, lines, statuses) => {
    const before = gate.upstreamRequests()
    const body = JSON.stringify(said({}))
    const result = await raw(gate.running.port, post(['X-Commit-Owner: human:mallory', ...lines], body))
    expect(statuses).toContain(result.answers[0]?.status)
    expect(gate.upstreamRequests()).toBe(before)
  })

  it('a second request inside the body of a refused one is not answered as one', async () => {
    const inner = 'GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
    const bytes = `POST /v1/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${inner.length}\r\nConnection: close\r\n\r\n${inner}`
    const { answers } = await raw(gate.running.port, bytes, Number.POSITIVE_INFINITY)
    expect(answers.map(a => a.status)).toEqual([404])
  })

  it('absolute and encoded spellings of a path reach nothing', async () => {
    for (const path of [
      'http://127.0.0.1/v1/chat/completions',
      '/v1/chat%2fcompletions',
      '//v1/chat/completions',
      '/v1/../v1/chat/completions',
      '/V1/chat/completions',
    ]) {
      const { answers } = await raw(
        gate.running.port,
        post(['X-Commit-Owner: human:m'], JSON.stringify(said({})), path),
      )
      expect(answers[0]?.status).toBe(404)
    }
  })
})
