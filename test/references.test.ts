/** State that upstream keeps, inputs only upstream can read: accepted only as far as this gate can answer for them. */
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chatDialect } from '../src/dialects/chat.ts'
import { responsesDialect } from '../src/dialects/responses.ts'
import { startTestGate, type TestGate } from './support/gate.ts'

/** Answers with the next response id, unary or as a stream. */
function upstream(): Promise<{ url: string; server: Server; seen: string[] }> {
  const seen: string[] = []
  const server = createServer((req, res) => {
    let body = ''
    req.on('data', d => (body += String(d)))
    req.on('end', () => {
      seen.push(body)
      const id = `resp_${seen.length}`
      if (req.url?.endsWith('/chat/completions')) {
        res.setHeader('content-type', 'application/json')
        res.end(
          JSON.stringify({
            id: 'c',
            object: 'chat.completion',
            model: 'm',
            choices: [
              {
                index: 0,
                finish_reason: 'stop',
                message: {
                  role: 'assistant',
                  content: null,
                  audio: { id: 'audio_1', data: '', transcript: 'hi', expires_at: 1 },
                },
              },
            ],
          }),
        )
        return
      }
      const response = {
        id,
        object: 'response',
        status: 'completed',
        model: 'm',
        output: [
          {
            id: `msg_${seen.length}`,
            type: 'message',
            role: 'assistant',
            status: 'completed',
            content: [{ type: 'output_text', text: 'ok', annotations: [] }],
          },
        ],
      }
      res.setHeader('content-type', 'application/json')
      res.end(JSON.stringify(response))
    })
  })
  return new Promise(resolve =>
    server.listen(0, '127.0.0.1', () => {
      const a = server.address()
      resolve({ url: `http://127.0.0.1:${typeof a === 'object' && a !== null ? a.port : 0}/v1`, server, seen })
    }),
  )
}

describe('references', () => {
  let up: Awaited<ReturnType<typeof upstream>>
  let gate: TestGate
  beforeAll(async () => {
    up = await upstream()
    gate = await startTestGate({ upstreamUrl: up.url, dialects: [chatDialect, responsesDialect] })
  })
  afterAll(async () => {
    expect((await gate.verify()).ok).toBe(true)
    await gate.close()
    up.server.close()
  })

  const post = async (
    path: string,
    body: unknown,
    owner = 'human:alice@example.com',
    headers: Record<string, string> = {},
  ) => {
    const res = await fetch(`${gate.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': owner, ...headers },
      body: JSON.stringify(body),
    })
    const text = await res.text()
    return { status: res.status, body: JSON.parse(text) as Record<string, unknown> }
  }
  const respond = (more: Record<string, unknown>, owner?: string, headers?: Record<string, string>) =>
    post('/v1/responses', { model: 'm', input: 'hi', ...more }, owner, headers)

  it('lets an owner build on its own response, and nobody else', async () => {
    const first = await respond({})
    expect(first.status).toBe(200)
    const id = first.body['id']
    expect((await respond({ previous_response_id: id })).status).toBe(200)
    const before = up.seen.length
    const foreign = await respond({ previous_response_id: id }, 'human:mallory@example.com')
    expect(foreign.status).toBe(403)
    expect(foreign.body).toMatchObject({ check: 'references', stage: 'admission' })
    expect((await respond({ previous_response_id: 'resp_never' })).status).toBe(403)
    expect(up.seen.length).toBe(before)
    expect(gate.rows().findLast(r => r['decision'] === 'block')).toMatchObject({
      metadata: { _code: 'foreign_reference', reference_kind: 'response' },
    })
  })

  it('does not let data of a higher level flow into a request of a lower one', async () => {
    const high = { 'x-classification': 'SECRET', 'x-caller-clearance': 'SECRET' }
    const made = await respond({}, undefined, high)
    expect((await respond({ previous_response_id: made.body['id'] })).status).toBe(403)
    expect((await respond({ previous_response_id: made.body['id'] }, undefined, high)).status).toBe(200)
  })

  it('does not accept what upstream was told not to keep', async () => {
    const made = await respond({ store: false })
    expect((await respond({ previous_response_id: made.body['id'] })).status).toBe(403)
  })

  it.each([
    ['a conversation', { conversation: 'conv_1' }, 'foreign_reference'],
    ['a stored prompt', { prompt: { id: 'pmpt_1' } }, 'foreign_reference'],
    [
      'a file',
      { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file_1' }] }] },
      'foreign_reference',
    ],
    [
      'a URL upstream fetches',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'https://example.com/x.png' }] }] },
      'opaque_input',
    ],
    ['a background run', { background: true }, 'background_run'],
  ])('refuses %s', async (_what, more, code) => {
    const before = up.seen.length
    expect((await respond(more)).status).toBe(403)
    expect(up.seen.length).toBe(before)
    expect(gate.rows().findLast(r => r['decision'] === 'block')).toMatchObject({
      metadata: { _code: code, _check_name: 'references' },
    })
  })

  const say = (content: unknown, owner?: string, more: Record<string, unknown> = {}) =>
    post('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content }], ...more }, owner)

  it.each([
    ['a file', [{ type: 'file', file: { file_id: 'file_1' } }], 'foreign_reference'],
    [
      'a picture to be fetched',
      [{ type: 'image_url', image_url: { url: 'https://example.com/x.png' } }],
      'opaque_input',
    ],
    [
      'a document',
      [{ type: 'file', file: { filename: 'x.pdf', file_data: `data:application/pdf;base64,${'A'.repeat(200)}` } }],
      'opaque_input',
    ],
  ])('refuses %s on the chat surface', async (_what, content, code) => {
    expect((await say(content)).status).toBe(403)
    expect(gate.rows().findLast(r => r['decision'] === 'block')).toMatchObject({ metadata: { _code: code } })
  })

  it('a picture inside the request goes through', async () => {
    const url = `data:image/png;base64,${Buffer.alloc(300, 7).toString('base64')}`
    expect(
      (
        await say([
          { type: 'text', text: 'what is it?' },
          { type: 'image_url', image_url: { url } },
        ])
      ).status,
    ).toBe(200)
  })

  it('sound of an earlier answer is its owner’s', async () => {
    expect((await say('speak')).status).toBe(200)
    const again = (owner?: string) =>
      post(
        '/v1/chat/completions',
        {
          model: 'm',
          messages: [
            { role: 'user', content: 'speak' },
            { role: 'assistant', audio: { id: 'audio_1' } },
            { role: 'user', content: 'again' },
          ],
        },
        owner,
      )
    expect((await again()).status).toBe(200)
    expect((await again('human:mallory@example.com')).status).toBe(403)
  })

  it('the operator can allow kinds, opaque inputs and background runs', async () => {
    const open = await startTestGate({
      upstreamUrl: up.url,
      dialects: [chatDialect, responsesDialect],
      references: { allowKinds: ['file'], allowOpaque: true, allowBackground: true },
    })
    try {
      const body = {
        model: 'm',
        background: true,
        input: [
          {
            role: 'user',
            content: [
              { type: 'input_file', file_id: 'file_1' },
              { type: 'input_image', image_url: 'https://example.com/x.png' },
            ],
          },
        ],
      }
      const res = await fetch(`${open.url}/v1/responses`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice' },
        body: JSON.stringify(body),
      })
      await res.text()
      expect(res.status).toBe(200)
    } finally {
      await open.close()
    }
  })

  it('state that cannot be reached refuses', async () => {
    const broken = await startTestGate({
      upstreamUrl: up.url,
      dialects: [responsesDialect],
      references: {
        state: {
          remember: () => {
            throw new Error('down')
          },
          find: () => Promise.reject(new Error('down')),
        },
      },
    })
    try {
      const ask = (more: Record<string, unknown>) =>
        fetch(`${broken.url}/v1/responses`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice' },
          body: JSON.stringify({ model: 'm', input: 'hi', ...more }),
        })
      expect((await ask({})).status).toBe(200)
      expect((await ask({ previous_response_id: 'resp_1' })).status).toBe(503)
    } finally {
      await broken.close()
    }
  })
})
