import { describe, expect, it } from 'vitest'
import { signetErrorOf } from './error-of.ts'
import { SignetEscalated, SignetRefused } from './errors.ts'
import { remember } from './remembered.ts'

const ID = '0199a0de-0000-7000-8000-0000000000ff'
const headers = () => new Headers({ 'x-signet-correlation-id': ID })
const sdkError = (facts: object) => Object.assign(new Error('403'), facts)

describe('signetErrorOf', () => {
  it('finds it in what was thrown, in its cause and in the last try, and gives it facts in place', () => {
    const body = { error: { type: 'permission_error' }, reason: 'no', correlation_id: ID }
    const inner = sdkError({ status: 403, headers: headers(), error: body })
    for (const outer of [
      inner,
      new Error('outer', { cause: inner }),
      sdkError({ lastError: new Error('middle', { cause: inner }) }),
    ])
      expect(signetErrorOf(outer)).toBe(inner)
    expect(inner).toBeInstanceOf(SignetRefused)
    expect(inner).toMatchObject({ reason: 'no', correlationId: ID, status: 403 })
  })

  it('reads the copy of an answer that the ai package keeps, with addresses below its url', () => {
    const error = sdkError({
      statusCode: 403,
      url: 'http://gate:8443/v1/chat/completions',
      responseHeaders: { 'x-signet-correlation-id': ID },
      responseBody: JSON.stringify({
        status: 'escalated',
        correlation_id: ID,
        escalation_id: 'e',
        status_url: '/s?t=1',
      }),
    })
    expect(signetErrorOf(error)).toBe(error)
    expect(error).toBeInstanceOf(SignetEscalated)
    expect(error).toMatchObject({ statusUrl: 'http://gate:8443/s?t=1', escalationId: 'e' })
  })

  it('trusts what fetch remembered over what the error kept', () => {
    const seen = headers()
    const facts = { status: 403, correlationId: ID, reason: 'a marker', code: 'marker', stage: 'inspection' } as const
    remember(seen, {
      kind: 'refused',
      facts: { ...facts, check: undefined, receipt: undefined, retryAfterS: undefined, midStream: false },
    })
    const error = sdkError({ status: 403, headers: seen, error: 'signet refused this request' })
    expect(signetErrorOf(error)).toMatchObject({ reason: 'a marker', code: 'marker', stage: 'inspection' })
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['text', 'refused'],
    ['an ordinary error', new Error('x')],
    ['an error of upstream', sdkError({ status: 403, headers: headers(), error: { message: 'quota' } })],
    ['another id than the header’s', sdkError({ status: 403, headers: headers(), error: { correlation_id: 'x' } })],
    ['an object that is no error', { status: 403, headers: headers(), error: { correlation_id: ID } }],
    ['a broken body', sdkError({ statusCode: 403, responseHeaders: {}, responseBody: '{' })],
    ['what upstream failed at', sdkError({ status: 502, headers: headers(), error: { correlation_id: ID } })],
  ])('finds none in %s', (_, error) => {
    expect(signetErrorOf(error)).toBeUndefined()
  })

  it('comes to an end in a circle', () => {
    const error = new Error('round')
    error.cause = error
    expect(signetErrorOf(error)).toBeUndefined()
  })
})
