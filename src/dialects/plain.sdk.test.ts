/** What the vendor's own client sends, and what it makes of what the dialects write. */
import OpenAI, { APIError, PermissionDeniedError } from 'openai'
import { describe, expect, it } from 'vitest'
import { because } from '../core/verdict.ts'
import type { Dialect, Fault, Frame, Refusal, RequestView } from '../core/wire.ts'
import { bytes, DONE, event, frames, joined, text } from './chat.test-support.ts'
import { completionsDialect } from './completions.ts'
import { embeddingsDialect } from './embeddings.ts'
import { modelsDialect } from './models.ts'
import { moderationsDialect } from './moderations.ts'
import { load, redactions } from './plain.test-support.ts'

const dialects = [completionsDialect, embeddingsDialect, moderationsDialect, modelsDialect]
const refusal: Refusal = {
  status: 403,
  because: because('output_pattern', 'a pattern matched'),
  stage: 'inspection',
  correlationId: 'c1',
  strict: false,
}

interface Upstream {
  readonly body: string | Uint8Array
  readonly type?: string
  readonly status?: number
  /** Replaced wherever a part of the answer says it. */
  readonly redact?: string
  /** The answer breaks off behind this many frames. */
  readonly abortAfter?: number
}

/** The client with a gate of nothing but the dialects between it and `upstream`. */
function client(upstream: Upstream, seen: RequestView[] = []): OpenAI {
  const fetch = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const path = new URL(String(url)).pathname
    const method = init?.method?.toUpperCase()
    const dialect = dialects.find(d => d.routes.some(r => r.method === method && r.path === path))
    if (dialect === undefined) return new Response('no such route', { status: 404 })
    const v = dialect.readRequest(bytes(typeof init?.body === 'string' ? init.body : ''))
    if ('code' in v) return refused(dialect, { ...refusal, because: because(v.code, v.message), stage: 'preflight' })
    seen.push(v)
    return answer(dialect, v, upstream)
  }
  return new OpenAI({ apiKey: 'none', baseURL: 'http://gate.test/v1', fetch, maxRetries: 0 })
}

function refused(dialect: Dialect, r: Refusal): Response {
  const { headers, body } = dialect.refuse(r)
  return new Response(new Uint8Array(body), { status: r.status, headers })
}

function answer(dialect: Dialect, v: RequestView, upstream: Upstream): Response {
  const { status = 200, type = 'application/json' } = upstream
  const reader = dialect.openResponse(v, status, type)
  if ('code' in reader) return refused(dialect, { ...refusal, status: 502, because: because(reader.code, '') })
  const raw = typeof upstream.body === 'string' ? bytes(upstream.body) : upstream.body
  const items: (Frame | Fault)[] = []
  for (let at = 0; at < raw.length; at += 1000) items.push(...reader.push(raw.subarray(at, at + 1000)))
  items.push(...reader.end())
  const bad = items.find(item => item.kind === 'fault')
  if (bad?.kind === 'fault') return refused(dialect, { ...refusal, status: 502, because: because(bad.code, '') })
  const writer = dialect.openWriter({ ...v, stream: reader.stream })
  const { redact, abortAfter } = upstream
  const out = frames(items)
    .slice(0, abortAfter)
    .map(f => writer.write(f, redact === undefined ? [] : redactions(f, redact)))
  if (abortAfter !== undefined) out.push(writer.abort(refusal))
  return new Response(new Uint8Array(joined(out)), { status, headers: { 'content-type': type } })
}

const SSE = 'text/event-stream'
const json = (value: unknown) => JSON.stringify(value)

describe('completions', () => {
  const ask = { model: 'gpt-3.5-turbo-instruct', prompt: 'Say this' }

  it('a unary answer', async () => {
    const seen: RequestView[] = []
    const got = await client({ body: load('completions', 'unary.json') }, seen).completions.create(ask)
    expect(got.choices[0]?.text).toBe('\n\nThis is indeed a test.')
    expect(got.usage?.completion_tokens).toBe(7)
    expect(seen[0]?.segments).toContainEqual({ role: 'user', pointer: '/prompt', text: 'Say this' })
  })

  it.each([
    ['untouched', {}, 'The quick brown fox'],
    ['redacted', { redact: ' brown' }, 'The quick[GONE] fox'],
  ])('a stream, %s', async (_what, options, expected) => {
    const upstream = { body: load('completions', 'stream.sse'), type: SSE, ...options }
    const stream = await client(upstream).completions.create({ ...ask, stream: true })
    let said = ''
    for await (const chunk of stream) said += chunk.choices[0]?.text ?? ''
    expect(said).toBe(expected)
  })

  it('log-probabilities go with the redacted text', async () => {
    const logprobs = { tokens: ['secret'], token_logprobs: [-1], top_logprobs: [{ secret: -1 }], text_offset: [0] }
    const body = json({ choices: [{ index: 0, text: 'secret', logprobs, finish_reason: 'stop' }] })
    const got = await client({ body, redact: 'secret' }).completions.create({ ...ask, logprobs: 1 })
    expect(got.choices[0]).toMatchObject({ text: '[GONE]', logprobs: null, finish_reason: 'stop' })
  })

  it('a stream that signet ends raises the typed error, behind what was released', async () => {
    const body = event({ choices: [{ index: 0, text: 'released' }] }) + event({ choices: [{ index: 0, text: 'no' }] })
    const upstream = { body: body + event({ choices: [{ index: 0, finish_reason: 'stop' }] }) + DONE, type: SSE }
    const stream = await client({ ...upstream, abortAfter: 1 }).completions.create({ ...ask, stream: true })
    let said = ''
    const all = async () => {
      for await (const chunk of stream) said += chunk.choices[0]?.text ?? ''
    }
    await expect(all()).rejects.toThrow(APIError)
    expect(said).toBe('released')
  })

  it('token prompts are refused with the typed error and a code', async () => {
    const asked = client({ body: '{}' }).completions.create({ ...ask, prompt: [9906, 1917] })
    await expect(asked).rejects.toThrow(PermissionDeniedError)
    await expect(asked).rejects.toMatchObject({ status: 403, error: 'opaque_input' })
  })

  it('upstream’s own error is raised as what it is', async () => {
    const asked = client({ body: load('completions', 'error.json'), status: 400 }).completions.create(ask)
    await expect(asked).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' })
  })
})

describe('embeddings', () => {
  const floats = Array.from({ length: 256 }, (_, i) => Math.fround(Math.cos(i) / 16))
  const encoded = Buffer.from(new Float32Array(floats).buffer).toString('base64')
  const body = (embedding: unknown) =>
    json({ object: 'list', model: 'secret-model', data: [{ object: 'embedding', index: 0, embedding }] })

  it('in the client’s default encoding, which is base64', async () => {
    const seen: RequestView[] = []
    const got = await client({ body: body(encoded) }, seen).embeddings.create({ model: 'm', input: ['a', 'b'] })
    expect(got.data[0]?.embedding).toEqual(floats)
    expect(text(seen[0]?.raw ?? new Uint8Array())).toContain('"encoding_format":"base64"')
    expect(seen[0]?.segments.filter(s => s.role === 'user').map(s => s.text)).toEqual(['a', 'b'])
  })

  it('as floats, through a redaction elsewhere in the answer', async () => {
    const upstream = { body: body(floats), redact: 'secret' }
    const got = await client(upstream).embeddings.create({ model: 'm', input: 'a', encoding_format: 'float' })
    expect(got).toMatchObject({ model: '[GONE]-model', data: [{ embedding: floats }] })
  })

  it('tokens are refused with the typed error', async () => {
    const asked = client({ body: '{}' }).embeddings.create({ model: 'm', input: [[1, 2], [3]] })
    await expect(asked).rejects.toThrow(PermissionDeniedError)
  })
})

describe('moderations', () => {
  it('of text and pictures', async () => {
    const seen: RequestView[] = []
    const url = `data:image/png;base64,${'iVBORw0KGgo'.repeat(20)}`
    const input = [
      { type: 'text' as const, text: 'is this fine' },
      { type: 'image_url' as const, image_url: { url } },
    ]
    const got = await client({ body: load('moderations', 'omni.json') }, seen).moderations.create({ input })
    expect(got.results[0]).toMatchObject({ flagged: true, categories: { violence: true, hate: false } })
    expect(seen[0]?.segments.map(s => s.text)).toEqual(['is this fine'])
  })
})

describe('models', () => {
  it('are listed', async () => {
    const seen: RequestView[] = []
    const got = await client({ body: load('models', 'openai.json') }, seen).models.list()
    expect(got.data.map(m => m.id)).toEqual(['gpt-4o', 'gpt-4o-mini', 'whisper-1'])
    expect(seen).toMatchObject([{ segments: [], stream: false }])
  })

  it('are iterated, one redacted', async () => {
    const ids: string[] = []
    for await (const m of client({ body: load('models', 'openai.json'), redact: 'whisper' }).models.list()) {
      ids.push(m.id)
    }
    expect(ids).toEqual(['gpt-4o', 'gpt-4o-mini', '[GONE]-1'])
  })
})
