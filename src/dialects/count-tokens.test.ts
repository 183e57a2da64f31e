import { describe, expect, it } from 'vitest'
import { because } from '../core/verdict.ts'
import { countTokensDialect } from './count-tokens.ts'
import { bytes, channels, faultCode, parts, text } from './messages.test-support.ts'

const ask = { model: 'm', messages: [{ role: 'user', content: 'a prompt' }] }
const view = (body: object = {}) => countTokensDialect.readRequest(bytes(JSON.stringify({ ...ask, ...body })))
const open = () => {
  const v = view()
  if ('code' in v) throw new Error(v.code)
  return v
}
function read(body: string, status = 200, type = 'application/json') {
  const reader = countTokensDialect.openResponse(open(), status, type)
  if ('code' in reader) return [reader]
  return [...reader.push(bytes(body)), ...reader.end()]
}

describe('counting tokens', () => {
  it('reads the prompt as a message does, without a limit', () => {
    const v = view({
      system: 's',
      tools: [
        { name: 'f', input_schema: {} },
        { type: 'web_search_20250305', name: 'web_search' },
      ],
    })
    if ('code' in v) throw new Error(v.code)
    expect(v.segments.map(s => s.text)).toEqual(expect.arrayContaining(['s', 'a prompt', 'f']))
    expect(v).toMatchObject({
      tools: ['f'],
      upstreamTools: ['upstream:web_search_20250305'],
      stream: false,
      maxOutputTokens: 0,
    })
  })

  it.each([
    ['a stream', { stream: true }],
    ['no messages', { messages: undefined }],
    ['a limit that is none', { max_tokens: 'x' }],
  ])('refuses %s', (_what, body) => {
    expect(view(body)).toMatchObject({ code: 'request_invalid' })
  })

  it('writes a redacted prompt', () => {
    const out = countTokensDialect.writeRequest(
      open(),
      new Map([['/messages/0/content', [{ from: 0, to: 1, text: 'X' }]]]),
    )
    expect(JSON.parse(text(out)).messages[0].content).toBe('X prompt')
  })

  it('reads the number; nothing was used', () => {
    const items = read('{"input_tokens": 42}')
    expect(items).toMatchObject([{ kind: 'frame', parts: [{ kind: 'usage', input: 0, output: 0 }] }])
  })

  it('inspects whatever else the answer says', () => {
    expect(Object.values(channels(read('{"input_tokens":1,"note":["LEAK-MARKER"]}')))).toContain('LEAK-MARKER')
    expect(Object.values(channels(read('{"type":"error","error":{"message":"LEAK-MARKER"}}', 400)))).toContain(
      'LEAK-MARKER',
    )
    expect(parts(read('{"type":"error","error":{"message":"x"}}', 400)).some(p => p.kind === 'usage')).toBe(false)
  })

  it('reads nothing but JSON', () => {
    expect(faultCode(read('', 200, 'text/event-stream'))).toBe('upstream_content_type_invalid')
    expect(faultCode(read('x'.repeat(2 ** 20 + 1)))).toBe('upstream_too_large')
    expect(faultCode(read('[]'))).toBe('upstream_protocol_violation')
    expect(faultCode(read('nope'))).toBe('upstream_decode_error')
  })

  it('refuses in Anthropic’s shape', () => {
    const made = countTokensDialect.refuse({
      status: 403,
      because: because('content_pattern', 'x'),
      stage: 'admission',
      correlationId: 'i',
      strict: true,
    })
    expect(JSON.parse(text(made.body))).toMatchObject({ type: 'error', error: { type: 'permission_error' } })
  })
})
