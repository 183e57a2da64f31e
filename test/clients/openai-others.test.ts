/** The official `openai` package against the gate: text completions, embeddings, moderations and the list of models. */
import type { JSONWebKeySet } from 'jose'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isSignetAbort, type ReceiptNotice, wrapOpenAI } from '../../src/clients/openai.ts'
import { event } from '../bypass/chat-answers.ts'
import { checks } from '../bypass/checks.ts'
import { chunk, said } from '../bypass/completions-answers.ts'
import { body } from '../bypass/plain.ts'
import { FORBIDDEN, REDACTED, SECRET } from '../bypass/surface.ts'
import { type Answer, type ScriptedUpstream, startScriptedUpstream } from '../bypass/upstream.ts'
import { ISSUER, startTestGate, type TestGate } from '../support/gate.ts'

const OWNER = { 'x-commit-owner': 'human:alice@example.com' }
const STREAM = 'text/event-stream'

const floats = Array.from({ length: 1536 }, (_, i) => Math.fround(Math.cos(i + 1) / 40))
const base64 = Buffer.from(new Float32Array(floats).buffer).toString('base64')
const vectors = (embedding: unknown, model = 'text-embedding-3-small') =>
  body({
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding }],
    model,
    usage: { prompt_tokens: 2, total_tokens: 2 },
  })
const completion = (text: string) => body(chunk([{ index: 0, text, logprobs: null, finish_reason: 'stop' }]))
const scores = { 'self-harm/intent': 0.0001, violence: 0.98 }

const ANSWERS: Readonly<Record<string, Answer>> = {
  fine: completion('Paris.'),
  secret: completion(`Use ${SECRET} today.`),
  forbidden: completion(`It is ${FORBIDDEN}.`),
  'fine, streamed': {
    contentType: STREAM,
    writes: [
      said('Par'),
      said('is.'),
      said('', 'stop'),
      event(chunk([], { usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 } })),
      event('[DONE]'),
    ],
  },
  'secret, streamed': {
    contentType: STREAM,
    writes: [...[...`Use ${SECRET} today.`].map(c => said(c)), said('', 'stop'), event('[DONE]')],
  },
  'forbidden, streamed': {
    contentType: STREAM,
    paced: true,
    writes: [said('Here it is. '), ...[...FORBIDDEN].map(c => said(c)), said('', 'stop'), event('[DONE]')],
  },
  base64: vectors(base64),
  floats: vectors(floats),
  'floats, secret': vectors(floats, `model-${SECRET}`),
  'no vector': vectors(Buffer.from(`It is ${FORBIDDEN}.`.padEnd(512)).toString('base64')),
  scores: body({
    id: 'modr-1',
    model: 'omni-moderation-latest',
    results: [
      {
        flagged: true,
        categories: { 'self-harm/intent': false, violence: true },
        category_scores: scores,
        category_applied_input_types: { 'self-harm/intent': ['text'], violence: ['text', 'image'] },
      },
    ],
  }),
  models: body({
    object: 'list',
    data: ['gpt-4o', `tuned-${SECRET}`].map(id => ({ id, object: 'model', created: 1, owned_by: 'system' })),
  }),
  'forbidden models': body({ object: 'list', data: [{ id: FORBIDDEN, object: 'model', created: 1, owned_by: 'x' }] }),
}

async function thrown(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

describe('the openai package, other surfaces', () => {
  let upstream: ScriptedUpstream
  let gate: TestGate
  let client: OpenAI
  beforeAll(async () => {
    upstream = await startScriptedUpstream()
    for (const [model, answer] of Object.entries(ANSWERS)) upstream.script(model, answer)
    gate = await startTestGate({ upstreamUrl: upstream.url, checks: checks() })
    client = new OpenAI({ apiKey: 'sk-none', baseURL: `${gate.url}/v1`, maxRetries: 0, defaultHeaders: OWNER })
  })
  afterAll(async () => {
    const report = await gate.verify()
    await gate.close()
    await upstream.close()
    expect(report.ok).toBe(true)
  })

  describe('completions', () => {
    const prompt = 'The capital of France is'
    const collect = async (model: string) => {
      let text = ''
      let tokens: number | undefined
      const error = await (async () => {
        const stream = await client.completions.create({ model, prompt, stream: true })
        for await (const one of stream) {
          text += one.choices[0]?.text ?? ''
          tokens = one.usage?.completion_tokens ?? tokens
        }
      })().catch((thrown: unknown) => thrown)
      return { text, tokens, error }
    }

    it('answers, unary', async () => {
      const { data, response } = await client.completions.create({ model: 'fine', prompt }).withResponse()
      expect(data.choices[0]).toMatchObject({ text: 'Paris.', finish_reason: 'stop' })
      expect(response.headers.get('x-signet-receipt')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    })

    it('answers, streamed, with usage', async () => {
      expect(await collect('fine, streamed')).toEqual({ text: 'Paris.', tokens: 2, error: undefined })
    })

    it('redacts, unary and streamed', async () => {
      const whole = await client.completions.create({ model: 'secret', prompt })
      expect(whole.choices[0]?.text).toBe(`Use ${REDACTED} today.`)
      expect(await collect('secret, streamed')).toMatchObject({ text: `Use ${REDACTED} today.`, error: undefined })
    })

    it('reads a refusal as permission denied', async () => {
      const error = await thrown(() => client.completions.create({ model: 'forbidden', prompt }))
      expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
      expect(String(error)).not.toContain(FORBIDDEN)
    })

    it('reads an abort in mid-stream as an API error, with the text before it', async () => {
      const { text, error } = await collect('forbidden, streamed')
      expect(text).toBe('Here it is. ')
      expect(error).toBeInstanceOf(OpenAI.APIError)
      expect(isSignetAbort(error)).toBe(true)
    })
  })

  describe('embeddings', () => {
    const input = ['The food was delicious', 'and the waiter']

    it('come in the default encoding, which is base64', async () => {
      const got = await client.embeddings.create({ model: 'base64', input })
      expect(got.data[0]?.embedding).toEqual(floats)
      expect(got.usage.prompt_tokens).toBe(2)
    })

    it('come as floats', async () => {
      const got = await client.embeddings.create({ model: 'floats', input, encoding_format: 'float' })
      expect(got.data[0]?.embedding).toEqual(floats)
    })

    it('are untouched by a redaction beside them', async () => {
      const got = await client.embeddings.create({ model: 'floats, secret', input, encoding_format: 'float' })
      expect(got).toMatchObject({ model: `model-${REDACTED}`, data: [{ embedding: floats }] })
    })

    it('that are no vectors are refused', async () => {
      const error = await thrown(() => client.embeddings.create({ model: 'no vector', input }))
      expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    })
  })

  it('moderations answer', async () => {
    const got = await client.moderations.create({ model: 'scores', input: [{ type: 'text', text: 'is this fine?' }] })
    expect(got.results[0]).toMatchObject({ flagged: true, category_scores: scores })
  })

  it('models are listed, one redacted; a list that says something forbidden is refused', async () => {
    const listing = (project: string) => client.withOptions({ project }).models.list()
    const ids: string[] = []
    for await (const model of listing('models')) ids.push(model.id)
    expect(ids).toEqual(['gpt-4o', `tuned-${REDACTED}`])
    expect(await thrown(() => listing('forbidden models'))).toBeInstanceOf(OpenAI.PermissionDeniedError)
  })

  it('without an owner nothing is asked, not even the list of models', async () => {
    const nobody = new OpenAI({ apiKey: 'sk-none', baseURL: `${gate.url}/v1`, maxRetries: 0, project: 'nobody' })
    for (const ask of [
      () => nobody.completions.create({ model: 'nobody', prompt: 'hi' }),
      () => nobody.embeddings.create({ model: 'nobody', input: 'hi' }),
      () => nobody.moderations.create({ model: 'nobody', input: 'hi' }),
      () => nobody.models.list(),
    ]) {
      expect(await thrown(ask)).toBeInstanceOf(OpenAI.PermissionDeniedError)
    }
    expect(upstream.asked.has('nobody')).toBe(false)
  })

  describe('input that only upstream can read', () => {
    const picture = { type: 'image_url' as const, image_url: { url: 'https://pictures.example/a.png' } }
    const asks = (of: OpenAI) => [
      () => of.completions.create({ model: 'fine', prompt: [9906, 1917] }),
      () => of.completions.create({ model: 'fine', prompt: [[9906], [1917]] }),
      () => of.embeddings.create({ model: 'floats', input: [9906, 1917], encoding_format: 'float' }),
      () => of.embeddings.create({ model: 'floats', input: [[9906], [72, 105]], encoding_format: 'float' }),
      () => of.moderations.create({ model: 'scores', input: [picture] }),
    ]

    it('is refused with a code, and upstream is not asked', async () => {
      const before = [...upstream.asked.values()].reduce((a, b) => a + b, 0)
      for (const ask of asks(client)) {
        const error = await thrown(ask)
        expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
        expect(error).toMatchObject({ status: 403 })
        const { check_name, decision, metadata } = gate.rows().at(-1) ?? {}
        expect({ check_name, decision, metadata }).toMatchObject({
          check_name: 'pipeline.admission',
          decision: 'block',
          metadata: { _code: 'opaque_input', _check_name: 'references' },
        })
      }
      expect([...upstream.asked.values()].reduce((a, b) => a + b, 0)).toBe(before)
    })

    it('is refused with a reason that says what to do', async () => {
      const res = await fetch(`${gate.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...OWNER },
        body: '{"model":"fine","prompt":[9906,1917]}',
      })
      expect([res.status, await res.json()]).toMatchObject([
        403,
        { check: 'references', stage: 'admission', reason: expect.stringContaining('send it as text') },
      ])
    })

    it('passes where the operator allows it', async () => {
      const allowing = await startTestGate({
        upstreamUrl: upstream.url,
        checks: checks(),
        references: { allowOpaque: true },
      })
      const other = client.withOptions({ baseURL: `${allowing.url}/v1` })
      for (const ask of asks(other)) await ask()
      await allowing.close()
    })
  })

  it('the wrapped client verifies the receipts of all of them, the one without a body too', async () => {
    const keys = (await (await fetch(`${gate.url}/.well-known/jwks.json`)).json()) as JSONWebKeySet
    const notices: ReceiptNotice[] = []
    const wrapped = wrapOpenAI(new OpenAI({ apiKey: 'sk-none', maxRetries: 0, project: 'models' }), {
      signetUrl: gate.url,
      owner: 'human:alice@example.com',
      verify: { keys, issuer: ISSUER },
      onReceipt: notice => notices.push(notice),
    })
    await wrapped.completions.create({ model: 'secret', prompt: 'hi' })
    for await (const _ of await wrapped.completions.create({ model: 'fine, streamed', prompt: 'hi', stream: true }));
    await wrapped.embeddings.create({ model: 'base64', input: 'hi' })
    await wrapped.moderations.create({ model: 'scores', input: 'hi' })
    await wrapped.models.list()
    const final = notices.filter(n => n.verified?.claims.final === true)
    expect(final.map(n => [n.carrier, n.status, n.verified?.claims.decision])).toEqual([
      ['header', 200, 'allow'],
      ['stream', 200, 'allow'],
      ['header', 200, 'allow'],
      ['header', 200, 'allow'],
      ['header', 200, 'allow'],
    ])
  })
})
