import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import type { Refusal } from '../core/wire.ts'
import { text } from './chat.test-support.ts'
import { messagesAbort } from './messages-refusal.ts'
import { abortFrame, openAiRefusal } from './refusal.ts'
import { abortEvents } from './responses-abort.ts'

const base: Refusal = {
  status: 403,
  because: { code: 'tool_tier', reason: 'the tool is above the allowed tier', details: { label: 'x' } },
  stage: 'admission',
  check: 'tool_call_inspector',
  correlationId: '0192',
  strict: false,
}
const body = (r: Partial<Refusal>) => JSON.parse(text(openAiRefusal({ ...base, ...r }).body))
const headers = (r: Partial<Refusal>) => openAiRefusal({ ...base, ...r }).headers

describe('refusal bodies', () => {
  it('policy', () => {
    expect(text(openAiRefusal(base).body)).toBe(
      '{"error":"signet refused this request","reason":"the tool is above the allowed tier","check":"tool_call_inspector","stage":"admission","correlation_id":"0192"}',
    )
    expect(text(openAiRefusal({ ...base, strict: true }).body)).toBe('{"error":"refused","correlation_id":"0192"}')
  })

  it('rate and budget say when to come back, strict or not', () => {
    const r: Partial<Refusal> = { status: 429, because: { code: 'rate_limited', reason: 'too many' }, retryAfterS: 1.2 }
    expect(body(r)['retry_after_seconds']).toBe(1.2)
    expect(body({ ...r, strict: true })).toEqual({ error: 'refused', correlation_id: '0192', retry_after_seconds: 1.2 })
    expect(headers(r)).toMatchObject({ 'retry-after': '2' })
    expect(headers(r)).not.toHaveProperty('x-should-retry')
  })

  it('preflight', () => {
    const r: Partial<Refusal> = {
      status: 400,
      stage: 'preflight',
      because: { code: 'json_too_deeply_nested', reason: 'deep', details: { max_depth: 64 } },
    }
    expect(body(r)).toEqual({
      error: 'json_too_deeply_nested',
      correlation_id: '0192',
      description: 'deep',
      max_depth: 64,
    })
    expect(body({ ...r, strict: true })).toEqual({ error: 'json_too_deeply_nested', correlation_id: '0192' })
  })

  it('details cannot overwrite the fields of the body', () => {
    const details = { error: 'x', correlation_id: 'y', description: 'z', refusal_kind: 'w' }
    expect(body({ stage: 'preflight', because: { code: 'empty_body', reason: 'r', details } })).toMatchObject({
      error: 'empty_body',
      correlation_id: '0192',
      description: 'r',
    })
    expect(body({ stage: 'upstream', because: { code: 'upstream_timeout', reason: 'r', details } })).toMatchObject({
      error: 'upstream forward failed',
      correlation_id: '0192',
      refusal_kind: 'upstream_timeout',
    })
  })

  it('upstream', () => {
    const r: Partial<Refusal> = {
      status: 502,
      stage: 'upstream',
      because: { code: 'upstream_decode_error', reason: 'not JSON', details: { upstream_status: 200 } },
    }
    expect(body(r)).toEqual({
      error: 'upstream forward failed',
      correlation_id: '0192',
      refusal_kind: 'upstream_decode_error',
      upstream_status: 200,
      description: 'not JSON',
    })
    expect(body({ ...r, strict: true })).toEqual({ error: 'upstream forward failed', correlation_id: '0192' })
  })

  it.each([true, false])('redirects name the host only, strict %s', strict => {
    const details = { upstream_status: 302, upstream_location_host: 'login.test:444' }
    expect(
      body({ strict, status: 502, stage: 'upstream', because: { code: 'upstream_redirect', reason: 'x', details } }),
    ).toEqual({
      signet: {
        error: 'upstream_redirected',
        upstream_status: 302,
        upstream_location_host: 'login.test:444',
        correlation_id: '0192',
      },
    })
    expect(body({ strict, stage: 'upstream', because: { code: 'upstream_redirect', reason: 'x' } })).toMatchObject({
      signet: { upstream_location_host: null },
    })
  })

  it('escalation', () => {
    const details = {
      current_approver: 'human:bob',
      expires_at: '2030-01-01T00:00:00Z',
      status_url: '/s',
      secret: 'no',
    }
    const r: Partial<Refusal> = {
      status: 202,
      escalationId: 'e1',
      stage: 'commitment',
      because: { code: 'tool_irreversible', reason: 'asks a human', details },
    }
    const common = {
      status: 'escalated',
      escalation_id: 'e1',
      correlation_id: '0192',
      current_approver: 'human:bob',
      expires_at: '2030-01-01T00:00:00Z',
      status_url: '/s',
    }
    expect(body({ ...r, strict: true })).toEqual(common)
    expect(body(r)).toEqual({ ...common, reason: 'asks a human', check: 'tool_call_inspector', stage: 'commitment' })
    expect(headers(r)).not.toHaveProperty('x-should-retry')
  })

  it("escalation as an error has the code where the vendor's client looks for it", async () => {
    const answer = openAiRefusal({
      ...base,
      strict: true,
      because: { code: 'escalated', reason: 'x' },
      escalationId: 'e1',
    })
    const fetch = () => Promise.resolve(new Response(text(answer.body), { status: 403, headers: answer.headers }))
    const client = new OpenAI({ apiKey: 'none', baseURL: 'http://upstream.test/v1', fetch, maxRetries: 2 })
    await expect(client.chat.completions.create({ model: 'm', messages: [] })).rejects.toMatchObject({
      status: 403,
      code: 'escalated',
    })
  })

  it.each([true, false])('an escalation keeps its code in a stream, strict %s', async strict => {
    const frame = abortFrame({
      ...base,
      strict,
      stage: 'commitment',
      because: { code: 'escalated', reason: 'asks a human' },
      escalationId: 'e1',
    })
    expect(text(frame).includes('asks a human')).toBe(!strict)
    const fetch = () => Promise.resolve(new Response(text(frame), { headers: { 'content-type': 'text/event-stream' } }))
    const client = new OpenAI({ apiKey: 'none', baseURL: 'http://upstream.test/v1', fetch })
    const read = async () => {
      for await (const _ of await client.chat.completions.create({ model: 'm', messages: [], stream: true }));
    }
    await expect(read()).rejects.toMatchObject({ code: 'escalated' })
  })

  it.each<[string, (r: Refusal) => string, string]>([
    [
      'chat',
      r => text(abortFrame(r)),
      '"error":{"message":"held for approval","type":"permission_error","param":null,"code":"escalated"}',
    ],
    ['responses', r => abortEvents(r, 3, 'm'), '"code":"escalated","message":"held for approval"'],
    ['messages', r => text(messagesAbort(r)), 'held for approval'],
  ])('a strict stream says of a held answer that it is held, and not why: %s', (_surface, abort, said) => {
    const held = { code: 'escalated', reason: "tool 'issue_refund' needs a human" } as const
    const frame = abort({ ...base, strict: true, because: held, escalationId: 'e1' })
    expect(frame).toContain(said)
    expect(frame).toContain('"reason":"escalated"')
    expect(frame).toContain('"escalation_id":"e1"')
    expect(frame).not.toContain('issue_refund')
    expect(frame).not.toContain('tool_call_inspector')
    expect(frame).not.toContain('"refused"')
  })

  it('tells clients not to repeat what policy refused, but lets them repeat what may pass', () => {
    expect(headers({})).toMatchObject({ 'x-should-retry': 'false', 'content-type': 'application/json' })
    expect(headers({ status: 503, because: { code: 'audit_unavailable', reason: 'x' } })).not.toHaveProperty(
      'x-should-retry',
    )
    expect(headers({ status: 502, stage: 'upstream' })).not.toHaveProperty('x-should-retry')
  })
})
