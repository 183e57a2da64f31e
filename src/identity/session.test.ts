import { describe, expect, it } from 'vitest'
import { readSession } from './session.ts'

describe('session id', () => {
  it.each([
    ['abc', 'abc'],
    ['  Az09_.:-  ', 'Az09_.:-'],
    ['a'.repeat(256), 'a'.repeat(256)],
    ['', undefined],
    [' \t ', undefined],
  ])('%j', (value, expected) => {
    expect(readSession(['X-Signet-Session', value])).toBe(expected)
  })

  it('absent is none', () => {
    expect(readSession(['Host', 'x'])).toBeUndefined()
  })

  it.each([['a'.repeat(257)], ['a'.repeat(100_000)], ['\u00e9'.repeat(300)]])('too long is refused', value => {
    expect(readSession(['x-signet-session', value])).toMatchObject({
      code: 'session_id_too_long',
      details: { limit_bytes: 256 },
    })
  })

  it.each([['a\u0000b'], ['a\r\nb'], ['a b'], ['a\n'], ['a/b'], ['é'], ['a\u00a0']])(
    '%j is refused and not repeated',
    value => {
      const fault = readSession(['x-signet-session', value])
      expect(fault).toMatchObject({ kind: 'fault', code: 'session_id_invalid_charset' })
      expect(JSON.stringify(fault)).not.toContain(JSON.stringify(value).slice(1, -1))
    },
  )
})
