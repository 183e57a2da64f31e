import { describe, expect, it } from 'vitest'
import { because } from '../core/verdict.ts'
import type { Refusal } from '../core/wire.ts'
import { request, sound, text, unary } from './messages.test-support.ts'
import { messagesDialect } from './messages.ts'
import { openAiRefusal } from './refusal.ts'

const blocked: Refusal = {
  status: 403,
  because: because('content_pattern', 'a forbidden pattern in the request'),
  stage: 'admission',
  check: 'regex_content',
  correlationId: '0199-id',
  strict: false,
}
const body = (r: Refusal) => JSON.parse(text(messagesDialect.refuse(r).body))

describe('refusing in Anthropic’s shape', () => {
  it('a policy block, verbose and strict', () => {
    expect(body(blocked)).toEqual({
      type: 'error',
      error: {
        type: 'permission_error',
        message: 'signet refused this request: a forbidden pattern in the request',
      },
      reason: 'a forbidden pattern in the request',
      check: 'regex_content',
      stage: 'admission',
      correlation_id: '0199-id',
    })
    expect(body({ ...blocked, strict: true })).toEqual({
      type: 'error',
      error: { type: 'permission_error', message: 'refused' },
      correlation_id: '0199-id',
    })
  })

  it('a rate limit says when to come back', () => {
    const r: Refusal = { ...blocked, status: 429, because: because('rate_limited', 'too fast'), retryAfterS: 2.2 }
    expect(body({ ...r, strict: true })).toMatchObject({
      error: { type: 'rate_limit_error' },
      retry_after_seconds: 2.2,
    })
    expect(messagesDialect.refuse(r).headers).toMatchObject({ 'retry-after': '3' })
    expect(messagesDialect.refuse(r).headers).not.toHaveProperty('x-should-retry')
    expect(messagesDialect.refuse(blocked).headers).toMatchObject({ 'x-should-retry': 'false' })
  })

  it('malformed requests and upstream’s faults say their code', () => {
    const malformed: Refusal = {
      ...blocked,
      status: 400,
      stage: 'preflight',
      because: because('request_invalid', 'why', { type: 'x', error: 'y' }),
    }
    expect(body(malformed)).toMatchObject({
      type: 'error',
      error: { type: 'invalid_request_error', message: 'request_invalid: why' },
    })
    expect(body({ ...malformed, strict: true }).error.message).toBe('request_invalid')
    const gone: Refusal = {
      ...blocked,
      status: 502,
      stage: 'upstream',
      because: because('upstream_unreachable', 'why'),
    }
    expect(body(gone)).toMatchObject({ error: { type: 'api_error' }, refusal_kind: 'upstream_unreachable' })
    expect(body({ ...gone, strict: true })).toEqual({
      type: 'error',
      error: { type: 'api_error', message: 'upstream forward failed' },
      correlation_id: '0199-id',
    })
    const moved: Refusal = { ...gone, because: because('upstream_redirect', 'why', { upstream_status: 302 }) }
    expect(body(moved)).toMatchObject({
      type: 'error',
      error: { message: 'upstream_redirected' },
      signet: { upstream_status: 302 },
    })
  })

  it('an escalation is the same 202 as on every surface', () => {
    const held: Refusal = {
      ...blocked,
      status: 202,
      stage: 'commitment',
      because: because('escalated', 'held', { status_url: '/x', expires_at: 'soon' }),
      escalationId: 'e1',
    }
    for (const strict of [false, true]) {
      expect(body({ ...held, strict })).toEqual(JSON.parse(text(openAiRefusal({ ...held, strict }).body)))
    }
    expect(body({ ...held, status: 403, strict: true })).toMatchObject({
      type: 'error',
      error: { type: 'permission_error', message: 'held for approval' },
      status: 'escalated',
      escalation_id: 'e1',
    })
  })

  it.each([
    [400, 'invalid_request_error'],
    [404, 'not_found_error'],
    [405, 'invalid_request_error'],
    [408, 'timeout_error'],
    [415, 'invalid_request_error'],
    [500, 'api_error'],
    [529, 'overloaded_error'],
  ])('%i is %s', (status, type) => {
    expect(body({ ...blocked, status }).error.type).toBe(type)
  })
})

describe('ending a stream', () => {
  const abort = (r: Refusal) => text(messagesDialect.openWriter(request()).abort(r))
  const said = (frame: string) => JSON.parse(frame.slice(frame.indexOf('{')))

  it('is one error event', () => {
    expect(abort({ ...blocked, stage: 'inspection', escalationId: 'e1' })).toBe(
      'event: error\ndata: {"type":"error","error":{"type":"permission_error","message":"signet refused this response: ' +
        'a forbidden pattern in the request"},"signet_abort":true,"reason":"a forbidden pattern in the request",' +
        '"correlation_id":"0199-id","stage":"inspection","check":"regex_content","escalation_id":"e1"}\n\n',
    )
  })

  it('says only `refused` in strict mode, except what retry logic needs', () => {
    expect(said(abort({ ...blocked, strict: true }))).toEqual({
      type: 'error',
      error: { type: 'permission_error', message: 'refused' },
      signet_abort: true,
      reason: 'refused',
      correlation_id: '0199-id',
      stage: 'admission',
    })
    const cut: Refusal = {
      ...blocked,
      strict: true,
      status: 502,
      stage: 'upstream',
      because: because('upstream_truncated', 'x'),
    }
    expect(said(abort(cut))).toMatchObject({ error: { type: 'api_error' }, reason: 'upstream_truncated' })
  })

  it('cannot be broken out of by a reason with line ends', () => {
    const frame = abort({ ...blocked, because: because('content_pattern', 'a\n\ndata: x\r\u2028') })
    expect(frame.split(/\r|\n/).filter(line => line !== '')).toHaveLength(2)
  })

  it('on a unary answer is the refusal’s body, and comments are nothing', () => {
    const writer = messagesDialect.openWriter(request({ stream: false }))
    expect(text(writer.abort(blocked))).toBe(text(messagesDialect.refuse(blocked).body))
    expect(writer.comment('x')).toHaveLength(0)
  })

  it('cannot be forged by upstream', () => {
    const [f] = sound(unary({ type: 'error', error: { message: 'x' }, signet_abort: true }, 500))
    expect(text(f?.raw ?? new Uint8Array())).toBe('{"type":"error","error":{"message":"x"}}')
  })
})
