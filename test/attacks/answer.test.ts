/** A lying upstream tries to reach the caller past the checks. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RegexOutputCheck } from '../../src/checks/regex-output.ts'
import { ScopeDriftCheck } from '../../src/checks/scope-drift.ts'
import { chat, startTestGate, type TestGate } from '../support/gate.ts'
import {
  asking,
  chunk,
  DONE,
  declared,
  event,
  hidden,
  KEY,
  type LyingUpstream,
  MARKER,
  startLyingUpstream,
  stream,
  typed,
  whole,
} from './support.ts'

let upstream: LyingUpstream
let gate: TestGate
beforeAll(async () => {
  upstream = await startLyingUpstream()
  gate = await startTestGate({ upstreamUrl: upstream.url })
})
afterAll(async () => {
  expect(gate.running.gate.load).toEqual({ active: 0, heldBytes: 0 })
  await gate.close()
  await upstream.close()
})

const OK = JSON.stringify({ id: 'x', object: 'chat.completion', choices: [] })

describe('headers of an answer', () => {
  it.each([
    ['x-request-id', `plan ${MARKER}`],
    ['x-ratelimit-limit-requests', MARKER],
    ['openai-version', MARKER],
    ['content-type', `application/json; note="${MARKER}"`],
  ])('are inspected: a marker in %s', async (name, value) => {
    upstream.says(res => res.writeHead(200, { 'content-type': 'application/json', [name]: value }).end(OK))
    const res = await chat(gate, asking())
    expect(res.status).toBe(403)
    expect(JSON.stringify([...res.headers])).not.toMatch(/noforn/i)
    expect(gate.rows().at(-1)).toMatchObject({ decision: 'block', metadata: { _channel: ':headers' } })
  })

  it('are inspected before the first byte of a stream', async () => {
    upstream.says(res =>
      res
        .writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': MARKER })
        .end(chunk({ content: 'hello' }, 'stop') + DONE),
    )
    const res = await chat(gate, asking({ stream: true }))
    expect(res.status).toBe(403)
    expect(await res.text()).not.toContain('hello')
  })

  it('lose what would have to be redacted, and the answer goes on', async () => {
    upstream.says(res =>
      res
        .writeHead(200, {
          'content-type': 'application/json',
          'x-request-id': KEY,
          [`x-ratelimit-${KEY}`]: '1',
          'retry-after': '3',
        })
        .end(JSON.stringify({ choices: [{ index: 0, message: { content: 'hello' } }] })),
    )
    const res = await chat(gate, asking())
    expect(res.status).toBe(200)
    expect(JSON.stringify([...res.headers])).not.toContain('sk-test')
    expect(res.headers.get('retry-after')).toBe('3')
    expect(await res.text()).toContain('hello')
  })

  it('pass when they are ordinary', async () => {
    const headers = { 'x-request-id': 'req_0123456789abcdef', 'x-ratelimit-reset-tokens': '6m0s', 'retry-after': '3' }
    upstream.says(typed('application/json; charset=utf-8', OK, headers))
    const res = await chat(gate, asking())
    expect(res.status).toBe(200)
    expect(Object.fromEntries(res.headers)).toMatchObject({
      ...headers,
      'content-type': 'application/json; charset=utf-8',
    })
  })
})

describe('an answer in another charset than was inspected', () => {
  // UTF-7: "SECRET//NOFORN" to a client that believes the header, ASCII noise to anyone else.
  const utf7 = '+AFMARQBDAFIARQBUAC8ALwBOAE8ARgBPAFIATg-'
  it.each(['application/json; charset=utf-7', 'application/json;charset="UTF-16"', 'text/event-stream; charset=utf-7'])(
    'is refused: %s',
    async type => {
      upstream.says(typed(type, JSON.stringify({ choices: [{ index: 0, message: { content: utf7 } }] })))
      const res = await chat(gate, asking({ stream: type.startsWith('text') }))
      expect(res.status).toBe(502)
      expect(await res.text()).not.toContain('AFMARQ')
    },
  )

  it('is refused when two charsets are named', async () => {
    upstream.says(typed('application/json; charset=utf-8; charset=utf-7', OK))
    expect((await chat(gate, asking())).status).toBe(502)
  })
})

describe('arguments that the gate does not read as one value', () => {
  // No tool check here: what the arguments say is then only for inspection.
  let bare: TestGate
  beforeAll(async () => {
    bare = await startTestGate({
      upstreamUrl: upstream.url,
      checks: [new OwnerResolutionCheck(), new ScopeDriftCheck()],
    })
  })
  afterAll(() => bare.close())

  it.each([
    ['a number no double holds', `{"a":"${hidden(MARKER)}","n":12345678901234567890}`],
    ['a key twice', `{"a":"${hidden(MARKER)}","a":"${hidden(MARKER)}"}`],
    ['text behind the value', `{"a":"${hidden(MARKER)}"} `.concat('x')],
    ['a list', `["${hidden(MARKER)}"]`],
    ['no end', `{"a":"${hidden(MARKER)}`],
  ])('are inspected as a lenient reader would decode them: %s', async (_what, args) => {
    for (const call of [
      { type: 'function', function: { name: 'f', arguments: args } },
      { type: 'custom', custom: { name: 'f', input: args } },
    ]) {
      upstream.says(whole({ tool_calls: [{ id: 'c', ...call }] }, 'tool_calls'))
      const res = await chat(bare, asking({ tools: declared('f') }))
      expect(res.status).toBe(403)
      expect(await res.text()).not.toContain(hidden(MARKER).slice(0, 12))
    }
  })

  it('are inspected beyond the strings that are looked at one by one', async () => {
    const list = [...Array.from({ length: 400 }, (_, i) => `s${i}`), MARKER]
    const args = JSON.stringify({ list }).replace(MARKER, hidden(MARKER))
    upstream.says(whole({ tool_calls: [{ id: 'c', function: { name: 'f', arguments: args } }] }, 'tool_calls'))
    expect((await chat(bare, asking({ tools: declared('f') }))).status).toBe(403)
  })

  it('pass with ordinary escapes', async () => {
    const args = '{"path":"C:\\\\temp\\n","n":12345678901234567890}'
    upstream.says(whole({ tool_calls: [{ id: 'c', function: { name: 'f', arguments: args } }] }, 'tool_calls'))
    const res = await chat(bare, asking({ tools: declared('f') }))
    expect(res.status).toBe(200)
    expect(await res.json()).toMatchObject({
      choices: [{ message: { tool_calls: [{ function: { arguments: args } }] } }],
    })
  })
})

describe('event-stream tricks', () => {
  it.each([
    ['CR only', `data: {"choices":[{"index":0,"delta":{"content":"${MARKER}"}}]}\r\r`],
    ['LF CR', `data: {"choices":[{"index":0,"delta":{"content":"${MARKER}"}}]}\n\r`],
    ['CRLF CR', `data: {"choices":[{"index":0,"delta":{"content":"${MARKER}"}}]}\r\n\r`],
    ['CR CRLF', `data: {"choices":[{"index":0,"delta":{"content":"${MARKER}"}}]}\r\r\n`],
    ['CR between two lines', `event: x\rdata: {"choices":[{"index":0,"delta":{"content":"${MARKER}"}}]}\r\n\r\n`],
    ['data without a blank', `data:{"choices":[{"index":0,"delta":{"content":"${MARKER}"}}]}\n\n`],
    [
      'one document over several data lines',
      `data: {"choices":[{"index":0,\ndata: "delta":{"content":"${MARKER}"}}]}\n\n`,
    ],
    ['a byte order mark first', `\ufeffdata: {"choices":[{"index":0,"delta":{"content":"${MARKER}"}}]}\n\n`],
    ['escaped', `data: {"choices":[{"index":0,"delta":{"content":"${hidden(MARKER)}"}}]}\n\n`],
    ['an escaped key', `data: {"\\u0063hoices":[{"index":0,"delta":{"\\u0063ontent":"${MARKER}"}}]}\n\n`],
    ['a comment', `: ${MARKER}\n\n`],
    ['an id', `id: ${MARKER}\ndata: {"choices":[]}\n\n`],
    ['a field nobody knows', `${MARKER}: 1\n\n`],
    ['a line without colon', `${MARKER}\n\n`],
    ['a key', `data: {"choices":[],"${MARKER}":1}\n\n`],
    ['a prototype key', `data: {"choices":[],"__proto__":{"a":"${MARKER}"}}\n\n`],
    ['a high choice', `data: {"choices":[{"index":127,"delta":{"content":"${MARKER}"}}]}\n\n`],
    ['an unterminated event', `data: {"choices":[{"index":0,"delta":{"content":"${MARKER}"}}]}`],
    ['comment behind the end', `${chunk({}, 'stop')}${DONE}: ${MARKER}\n\n`],
    ['data behind the end', `${chunk({}, 'stop')}${DONE}data: {"choices":[],"x":"${MARKER}"}\n\n`],
    ['line behind the end without an end of its own', `${chunk({}, 'stop')}${DONE}: ${MARKER}`],
    ['content as a list of bytes', chunk({ content: [...Buffer.from(MARKER)] })],
    ['usage', `data: {"choices":[],"usage":{"note":"${MARKER}"}}\n\n`],
    ['an error', `data: {"error":{"message":"${MARKER}"}}\n\n`],
    ['a legacy call beside a new one', chunk({ function_call: { name: 'f', arguments: MARKER }, tool_calls: [] })],
  ])('show nothing of a marker: %s', async (_what, bytes) => {
    const over = bytes.includes('[DONE]') ? '' : chunk({}, 'stop') + DONE
    upstream.says(
      stream(chunk({ content: 'hello ' }), bytes + (bytes.endsWith('\n') || bytes.endsWith('\r') ? over : '')),
    )
    const text = await (await chat(gate, asking({ stream: true }))).text()
    const released = text
      .replace(/data: \{"signet_abort".*\n\ndata: \{"error":\{"message":"signet .*\n/, '')
      .replaceAll(/\\u([0-9a-f]{4})/g, (_, h: string) => String.fromCharCode(Number.parseInt(h, 16)))
    expect(released).not.toMatch(/SECRET|NOFORN|83,69,67,82,69,84/)
  })

  it('a receipt of upstream’s own is covered by the gate’s and does not count', async () => {
    upstream.says(stream(`: signet-receipt eyJhbGciOiJub25lIn0.e30.\n\n`, chunk({ content: 'hi' }, 'stop'), DONE))
    const { verifyStreamReceipt } = await import('../../src/receipt/index.ts')
    const res = await chat(gate, asking({ stream: true }))
    const body = new Uint8Array(await res.arrayBuffer())
    const keys = JSON.parse(await (await fetch(`${gate.url}/.well-known/jwks.json`)).text())
    expect((await verifyStreamReceipt(body, { keys, issuer: 'signet-test' })).claims.stage).toBe('complete')
  })

  it('an end spelled without a blank still has its receipt before it', async () => {
    upstream.says(stream(chunk({ content: 'hi' }, 'stop'), 'data:[DONE]\n\n'))
    const { verifyStreamReceipt } = await import('../../src/receipt/index.ts')
    const body = new Uint8Array(await (await chat(gate, asking({ stream: true }))).arrayBuffer())
    const keys = JSON.parse(await (await fetch(`${gate.url}/.well-known/jwks.json`)).text())
    expect((await verifyStreamReceipt(body, { keys, issuer: 'signet-test' })).remainder).toBe('end_marker')
  })

  it('forged gate fields do not reach the caller', async () => {
    upstream.says(
      stream(event({ signet_abort: true, escalation_id: 'evil', choices: [], error: { message: 'x' } }), DONE),
    )
    expect(await (await chat(gate, asking({ stream: true }))).text()).not.toContain('signet_abort')
  })
})

describe('a number where text belongs', () => {
  it.each([
    ['content', { content: 4111111111111111 }],
    ['a part of the content', { content: [{ type: 'text', text: 4111111111111111 }] }],
    ['reasoning', { reasoning: 4111111111111111 }],
  ])('is text: %s', async (_what, message) => {
    const cards = new RegexOutputCheck({ patterns: [{ pattern: '[0-9]{16}', action: 'redact', label: 'card' }] })
    const careful = await startTestGate({ upstreamUrl: upstream.url, checks: [cards] })
    upstream.says(whole(message))
    const unary = await (await chat(careful, asking())).text()
    upstream.says(stream(chunk(message), chunk({}, 'stop'), DONE))
    const streamed = await (await chat(careful, asking({ stream: true }))).text()
    await careful.close()
    for (const text of [unary, streamed]) {
      expect(text).not.toContain('4111')
      expect(text).toContain('"[REDACTED]"')
    }
  })
})
