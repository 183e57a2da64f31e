/** The final receipt of a stream covers everything that is said in it, on every surface and from every kind of server. */
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Signer, SigningKey } from '../src/keys/signing.ts'
import { verifyStreamReceipt } from '../src/receipt/index.ts'
import { ISSUER, chat as send, startTestGate, type TestGate } from './support/gate.ts'

const event = (name: string | undefined, data: unknown) =>
  `${name === undefined ? '' : `event: ${name}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
const item = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text: 'hello', annotations: [] }],
}
const response = (status: string, output: unknown[]) => ({
  id: 'resp_1',
  object: 'response',
  model: 'm',
  status,
  output,
})

const RESPONSES = [
  event('response.created', { type: 'response.created', sequence_number: 0, response: response('in_progress', []) }),
  event('response.output_item.added', {
    type: 'response.output_item.added',
    sequence_number: 1,
    output_index: 0,
    item: { ...item, status: 'in_progress', content: [] },
  }),
  event('response.content_part.added', {
    type: 'response.content_part.added',
    sequence_number: 2,
    item_id: 'msg_1',
    output_index: 0,
    content_index: 0,
    part: { type: 'output_text', text: '', annotations: [] },
  }),
  event('response.output_text.delta', {
    type: 'response.output_text.delta',
    sequence_number: 3,
    item_id: 'msg_1',
    output_index: 0,
    content_index: 0,
    delta: 'hello',
  }),
  event('response.output_text.done', {
    type: 'response.output_text.done',
    sequence_number: 4,
    item_id: 'msg_1',
    output_index: 0,
    content_index: 0,
    text: 'hello',
  }),
  event('response.content_part.done', {
    type: 'response.content_part.done',
    sequence_number: 5,
    item_id: 'msg_1',
    output_index: 0,
    content_index: 0,
    part: item.content[0],
  }),
  event('response.output_item.done', { type: 'response.output_item.done', sequence_number: 6, output_index: 0, item }),
  event('response.completed', {
    type: 'response.completed',
    sequence_number: 7,
    response: response('completed', [item]),
  }),
].join('')

const messages = (stop: string) =>
  event('message_start', {
    type: 'message_start',
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 1, output_tokens: 1 },
    },
  }) +
  event('content_block_start', { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }) +
  event('content_block_delta', {
    type: 'content_block_delta',
    index: 0,
    delta: { type: 'text_delta', text: 'hello' },
  }) +
  event('content_block_stop', { type: 'content_block_stop', index: 0 }) +
  event('message_delta', {
    type: 'message_delta',
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage: { output_tokens: 2 },
  }) +
  stop

const chat =
  event(undefined, {
    id: 'c',
    object: 'chat.completion.chunk',
    model: 'm',
    choices: [{ index: 0, delta: { role: 'assistant', content: 'hello' }, finish_reason: null }],
  }) +
  event(undefined, {
    id: 'c',
    object: 'chat.completion.chunk',
    model: 'm',
    choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
  })

const CASES: readonly [string, string, string][] = [
  ['chat', '/v1/chat/completions', chat + event(undefined, '[DONE]')],
  ['chat without [DONE]', '/v1/chat/completions', chat],
  ['responses', '/v1/responses', RESPONSES],
  ['responses with [DONE]', '/v1/responses', RESPONSES + event(undefined, '[DONE]')],
  ['messages', '/v1/messages', messages(event('message_stop', { type: 'message_stop' }))],
  [
    'messages with [DONE]',
    '/v1/messages',
    messages(event('message_stop', { type: 'message_stop' }) + event(undefined, '[DONE]')),
  ],
  ['messages without an event line', '/v1/messages', messages(event(undefined, { type: 'message_stop' }))],
]

describe('the final receipt of a stream', () => {
  let body = ''
  let server: Server
  let gate: TestGate
  beforeAll(async () => {
    server = createServer((req, res) => {
      req.resume()
      req.on('end', () => res.writeHead(200, { 'content-type': 'text/event-stream' }).end(body))
    })
    const url = await new Promise<string>(resolve =>
      server.listen(0, '127.0.0.1', () => {
        const a = server.address()
        resolve(`http://127.0.0.1:${typeof a === 'object' && a !== null ? a.port : 0}/v1`)
      }),
    )
    gate = await startTestGate({ upstreamUrl: url })
  })
  afterAll(async () => {
    expect((await gate.verify()).ok).toBe(true)
    await gate.close()
    server.close()
  })

  it.each(CASES)('covers what is said: %s', async (_what, path, upstream) => {
    body = upstream
    const res = await fetch(`${gate.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice' },
      body: JSON.stringify({
        model: 'm',
        stream: true,
        max_tokens: 100,
        input: 'hi',
        messages: [{ role: 'user', content: 'hi' }],
      }),
    })
    const bytes = new Uint8Array(await res.arrayBuffer())
    const keys = JSON.parse(await (await fetch(`${gate.url}/.well-known/jwks.json`)).text())
    const text = Buffer.from(bytes).toString()
    expect(text.replace(/: signet-receipt [^\n]*\n\n/, '')).toBe(upstream)
    const verified = await verifyStreamReceipt(bytes, { keys, issuer: ISSUER })
    expect(verified.claims.final).toBe(true)
    // Nothing that repeats the answer stands behind what is signed.
    expect(Buffer.from(bytes.subarray(verified.coveredBytes)).toString()).not.toContain('hello')
  })
})

it.each([false, true])(
  'streamed: %s. Nothing is released without its receipt, and it is not called the log',
  async streamed => {
    const key = SigningKey.generate()
    const signer = { ...signerOf(key), sign: () => Promise.reject(new Error('the signer process has ended')) }
    const gate = await startTestGate({ receipts: { signer, issuer: ISSUER } })
    const res = await send(gate, {
      model: 'demo',
      stream: streamed,
      messages: [{ role: 'user', content: 'Say hello' }],
    })
    expect(res.status).toBe(503)
    const text = await res.text()
    expect(text).toContain('the receipt of this decision cannot be signed')
    expect(text).not.toContain('Hello')
    expect((await gate.verify()).ok).toBe(true)
    await gate.close()
  },
)

function signerOf({ kid, alg, publicJwk }: SigningKey): Omit<Signer, 'sign'> {
  return { kid, alg, publicJwk }
}
