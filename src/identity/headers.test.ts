import { describe, expect, it } from 'vitest'
import { createDuplicateRule, decodeHeaderText, headerValue, SINGLE_HEADERS } from './headers.ts'

describe('headers that must not repeat', () => {
  const rule = createDuplicateRule()

  it.each(SINGLE_HEADERS.map(name => [name]))('%s twice, in any casing, is refused by name', name => {
    const fault = rule([name, 'human:alice', 'x-other', '1', name.toUpperCase(), 'human:mallory'])
    expect(fault).toMatchObject({ kind: 'fault', code: 'header_duplicate', details: { header_name: name } })
    expect(JSON.stringify(fault)).not.toMatch(/alice|mallory/)
  })

  it('also when both say the same, and when one is blank', () => {
    expect(rule(['X-Commit-Owner', 'human:a', 'x-commit-owner', 'human:a'])?.code).toBe('header_duplicate')
    expect(rule(['Host', 'localhost', 'Host', ''])?.code).toBe('header_duplicate')
  })

  it('ordinary requests pass, lists may repeat', () => {
    expect(
      rule([
        'Host',
        'a',
        'Accept',
        '*/*',
        'X-Forwarded-For',
        '1.1.1.1',
        'X-Forwarded-For',
        '2.2.2.2',
        'Cookie',
        'a',
        'Cookie',
        'b',
      ]),
    ).toBeUndefined()
    expect(rule(SINGLE_HEADERS.flatMap(name => [name, 'x']))).toBeUndefined()
    expect(rule([])).toBeUndefined()
  })

  it('further names can be added', () => {
    expect(createDuplicateRule(['X-Verified-User'])(['x-verified-user', 'a', 'X-VERIFIED-USER', 'b'])?.code).toBe(
      'header_duplicate',
    )
    expect(() => createDuplicateRule(Array.from({ length: 32 }, (_, i) => `x-${String(i)}`))).toThrow(RangeError)
  })
})

describe('one header', () => {
  it.each(['X-Commit-Owner', 'x-commit-owner', 'X-COMMIT-OWNER', 'x-Commit-oWner'])('%s is found', name => {
    expect(headerValue(['Host', 'x', name, ' \thuman:alice '], 'x-commit-owner')).toBe('human:alice')
  })

  it.each([
    'X-Commit-Owner',
    'X-Agent-Id',
    'X-Policy-Name',
    'X-Policy-Version',
    'X-Classification',
    'X-Caller-Clearance',
    'X-Signet-Session',
  ])('%s is found in small letters, capitals and mixed', name => {
    const mixed = [...name].map((c, i) => (i % 2 === 0 ? c.toLowerCase() : c.toUpperCase())).join('')
    for (const sent of [name, name.toLowerCase(), name.toUpperCase(), mixed])
      expect(headerValue([sent, 'value'], name.toLowerCase())).toBe('value')
  })

  it('blank is absent; NBSP is not a blank', () => {
    expect(headerValue(['x-agent-id', ' \t '], 'x-agent-id')).toBeUndefined()
    expect(headerValue([], 'x-agent-id')).toBeUndefined()
    expect(headerValue(['x-agent-id', '\u00a0'], 'x-agent-id')).toBe('\u00a0')
  })

  it('bytes beyond ASCII are UTF-8 or nothing', () => {
    const wire = (text: string) => Buffer.from(text, 'utf8').toString('latin1')
    expect(decodeHeaderText(wire('José'))).toBe('José')
    expect(decodeHeaderText('Jos\u00e9')).toBeUndefined()
    expect(decodeHeaderText(wire('ok').concat('\u00c3'))).toBeUndefined()
    expect(decodeHeaderText(Buffer.from([0xed, 0xa0, 0x80]).toString('latin1'))).toBeUndefined()
    expect(decodeHeaderText('\u0430')).toBeUndefined()
  })
})
