/** Places for pictures, sound and sealed bytes, used for text: as it is, or as base64 of text. Real media go through. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ClassificationGateCheck } from '../../src/checks/classification-gate.ts'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RegexOutputCheck } from '../../src/checks/regex-output.ts'
import { startTestGate, type TestGate } from '../support/gate.ts'
import { chunk, DONE, type LyingUpstream, MARKER, startLyingUpstream, stream, typed, whole } from './support.ts'

let upstream: LyingUpstream
let gate: TestGate

beforeAll(async () => {
  upstream = await startLyingUpstream()
  gate = await startTestGate({
    upstreamUrl: upstream.url,
    references: { allowOpaque: true },
    checks: [
      new OwnerResolutionCheck(),
      new ClassificationGateCheck(),
      new RegexOutputCheck({ patterns: [{ pattern: MARKER, action: 'block', label: 'marker' }] }),
    ],
  })
})
afterAll(async () => {
  await gate.close()
  await upstream.close()
})

async function ask(path: string, body: object): Promise<{ status: number; text: string }> {
  const res = await fetch(`${gate.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
    body: JSON.stringify(body),
  })
  return { status: res.status, text: await res.text() }
}

const SAID = `The file says: ${MARKER}. ${'Nothing else of note is in it. '.repeat(8)}`
const base64 = (text: string) => Buffer.from(text).toString('base64')
const urlSafe = (text: string) => Buffer.from(`${text}\u{1F5FC}?>`).toString('base64url')
/** Two alphabets at once: no encoder writes that, so it is text. */
const mixed = `a-b_c+d/${'x'.repeat(120)}/${MARKER}/`
/** A picture's first bytes, then noise; and sound without any header. */
const png = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), randomBytes(600)]).toString('base64')
const pcm = Buffer.concat([Buffer.alloc(90), randomBytes(600)]).toString('base64')

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }
const RESPONSES = { model: 'm', input: 'hi' }
const MESSAGES = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] }

const ANSWERS: Readonly<
  Record<string, (data: string) => readonly [path: string, body: object, script: Parameters<LyingUpstream['says']>[0]]>
> = {
  'chat sound': data => ['/v1/chat/completions', CHAT, whole({ audio: { id: 'a', data, transcript: 't' } })],
  'chat sound, streamed': data => [
    '/v1/chat/completions',
    { ...CHAT, stream: true },
    stream(chunk({ audio: { data } }), chunk({}, 'stop'), DONE),
  ],
  'chat pictures': data => [
    '/v1/chat/completions',
    CHAT,
    whole({ images: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }] }),
  ],
  'responses, a generated picture': data => [
    '/v1/responses',
    RESPONSES,
    typed(
      'application/json',
      JSON.stringify({
        id: 'r',
        status: 'completed',
        output: [{ id: 'i', type: 'image_generation_call', status: 'completed', result: data }],
      }),
    ),
  ],
  'responses, a partial picture': data => [
    '/v1/responses',
    { ...RESPONSES, stream: true },
    typed(
      'text/event-stream',
      `event: response.image_generation_call.partial_image\ndata: ${JSON.stringify({ type: 'response.image_generation_call.partial_image', output_index: 0, partial_image_b64: data })}\n\n` +
        `event: response.completed\ndata: ${JSON.stringify({ type: 'response.completed', response: { id: 'r', status: 'completed', output: [] } })}\n\n`,
    ),
  ],
  'messages, redacted thinking': data => [
    '/v1/messages',
    MESSAGES,
    typed(
      'application/json',
      JSON.stringify({
        id: 'm',
        type: 'message',
        role: 'assistant',
        model: 'm',
        content: [{ type: 'redacted_thinking', data }],
        stop_reason: 'end_turn',
        usage: { input_tokens: 1, output_tokens: 1 },
      }),
    ),
  ],
}

describe.each(Object.entries(ANSWERS))('an answer, %s', (_name, build) => {
  it.each([
    ['base64 of a text', base64(SAID)],
    ['the other alphabet', urlSafe(SAID)],
    ['text in the letters of both alphabets', mixed],
    ['text as it is', SAID],
  ])('%s is read', async (_what, data) => {
    const [path, body, script] = build(data)
    upstream.says(script)
    const { text } = await ask(path, body)
    expect(text).toMatch(/signet_abort|signet refused/)
    expect(text).not.toContain(data.slice(0, 100))
  })

  it.each([
    ['a picture', png],
    ['sound that begins with silence', pcm],
  ])('%s goes through', async (_what, data) => {
    const [path, body, script] = build(data)
    upstream.says(script)
    const { status, text } = await ask(path, body)
    expect(status).toBe(200)
    expect(text).toContain(data)
    expect(text).not.toContain('signet_abort')
  })
})

const REQUESTS: Readonly<Record<string, (data: string) => readonly [path: string, body: object]>> = {
  'chat picture': data => [
    '/v1/chat/completions',
    {
      model: 'm',
      messages: [
        { role: 'user', content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }] },
      ],
    },
  ],
  'chat sound': data => [
    '/v1/chat/completions',
    {
      model: 'm',
      messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data, format: 'wav' } }] }],
    },
  ],
  'responses picture': data => [
    '/v1/responses',
    {
      model: 'm',
      input: [{ role: 'user', content: [{ type: 'input_image', image_url: `data:image/png;base64,${data}` }] }],
    },
  ],
  'responses sound': data => [
    '/v1/responses',
    {
      model: 'm',
      input: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data, format: 'wav' } }] }],
    },
  ],
  'responses, sealed reasoning': data => [
    '/v1/responses',
    { model: 'm', input: [{ type: 'reasoning', id: 'rs', summary: [], encrypted_content: data }] },
  ],
  'messages picture': data => [
    '/v1/messages',
    {
      model: 'm',
      max_tokens: 9,
      messages: [
        { role: 'user', content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data } }] },
      ],
    },
  ],
  'messages, sealed thinking': data => [
    '/v1/messages',
    {
      model: 'm',
      max_tokens: 9,
      messages: [{ role: 'assistant', content: [{ type: 'redacted_thinking', data }] }],
    },
  ],
  'moderations picture': data => [
    '/v1/moderations',
    { model: 'm', input: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }] },
  ],
}

describe.each(Object.entries(REQUESTS))('a request, %s', (_name, build) => {
  it('base64 of a text is read', async () => {
    for (const data of [base64(SAID), urlSafe(SAID)]) {
      const { status, text } = await ask(...build(data))
      expect(status, text).toBe(403)
      expect(text).toContain('clearance')
    }
  })

  it('a picture goes through', async () => {
    upstream.says(typed('application/json', '{"error":{"message":"reached"}}'))
    expect((await ask(...build(png))).text).toContain('reached')
  })
})
