import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  agentOwner,
  cleanPrincipalId,
  humanOwner,
  ownerString,
  PRINCIPAL_MAX,
  parsePrincipal,
  policyOwner,
  UNRESOLVED,
} from './owner.ts'

describe('principals that are accepted', () => {
  it.each([
    ['human:alice@example.com', 'human', 'alice@example.com'],
    ['  human:alice  ', 'human', 'alice'],
    ['agent:billing-bot/7', 'agent', 'billing-bot/7'],
    ['policy:refunds@v3', 'policy', 'refunds@v3'],
    ['human:Алиса', 'human', 'Алиса'],
    ['human:алиса@example.com', 'human', 'алиса@example.com'],
    ['human:山田', 'human', '山田'],
    ['human:山田たろう', 'human', '山田たろう'],
    ['human:김민준', 'human', '김민준'],
    ['human:José Núñez', 'human', 'José Núñez'],
    ['human:Σωκράτης', 'human', 'Σωκράτης'],
    ['human:नेहा', 'human', 'नेहा'],
    ['human:دانا', 'human', 'دانا'],
    ['human:ａｌｉｃｅ', 'human', 'alice'],
    ['human:a:b', 'human', 'a:b'],
  ])('%s', (text, type, id) => {
    expect(parsePrincipal(text)).toEqual({ ok: true, type, id })
  })

  it('gives one spelling to composed and decomposed forms', () => {
    expect(cleanPrincipalId('Jose\u0301')).toEqual(cleanPrincipalId('Jos\u00e9'))
  })
})

describe('principals that are refused', () => {
  it.each([
    ['bare name', 'root'],
    ['empty', ''],
    ['empty id', 'human:'],
    ['blank id', 'human: \t '],
    ['wrong case of the prefix', 'Human:alice'],
    ['unknown type', 'robot:alice'],
    ['unresolved is not a principal', 'unresolved:x'],
    ['Cyrillic a inside Latin', 'human:\u0430lice'],
    ['Greek omicron inside Latin', 'human:r\u03bfot'],
    ['Cyrillic word that reads as Latin beside Latin', 'human:\u0430\u0440\u0435@example.com'],
    ['Latin letter inside a Cyrillic name', 'human:Алиcа'],
    ['line feed', 'human:alice\nX-Admin: 1'],
    ['carriage return at the end', 'human:alice\r'],
    ['NUL', 'human:ali\0ce'],
    ['DEL', 'human:alice\x7f'],
    ['C1 control', 'human:alice\x85'],
    ['zero-width space', 'human:ali\u200bce'],
    ['zero-width joiner', 'human:ali\u200dce'],
    ['bidi override', 'human:\u202eecila'],
    ['isolate', 'human:\u2066alice\u2069'],
    ['soft hyphen', 'human:al\u00adice'],
    ['byte-order mark', 'human:\ufeffalice'],
    ['variation selector', 'human:alice\ufe0f'],
    ['Hangul filler', 'human:alice\u3164'],
    ['tag character', 'human:alice\u{e0061}'],
    ['line separator', 'human:alice\u2028bob'],
    ['lone surrogate', 'human:alice\ud800'],
    ['private use', 'human:alice\ue000'],
    ['Ogham space', 'human:alice\u1680bob'],
    ['combining mark first', 'human:\u0301alice'],
    ['too long', `human:${'a'.repeat(PRINCIPAL_MAX + 1)}`],
    ['too long once normalised', `human:${'\ufdfa'.repeat(20)}`],
  ])('%s', (_, text) => {
    const result = parsePrincipal(text)
    expect(result.ok).toBe(false)
  })

  it('never repeats the value in the problem', () => {
    const result = parsePrincipal('human:s\u0435cret-name')
    expect(result).toMatchObject({ ok: false, problem: expect.not.stringContaining('cret') })
  })
})

describe('owners', () => {
  it('carry their own principal as the approval chain unless told', () => {
    expect(humanOwner('alice', { authenticatedBy: 'asserted' })).toEqual({
      type: 'human',
      id: 'alice',
      approvalChain: ['human:alice'],
      authenticatedBy: 'asserted',
    })
    const chained = agentOwner('bot', { authenticatedBy: 'jwt', approvalChain: ['human:alice', 'human:bob'] })
    expect(chained.approvalChain).toEqual(['human:alice', 'human:bob'])
    expect(ownerString(chained)).toBe('agent:bot')
    expect(ownerString(policyOwner('p@1', { authenticatedBy: 'x' }))).toBe('policy:p@1')
    expect(ownerString(UNRESOLVED)).toBe('unresolved')
  })

  it('cannot be made with a name that is refused', () => {
    expect(() => humanOwner('', { authenticatedBy: 'x' })).toThrow('the principal is empty')
    expect(() => humanOwner('\u0430lice', { authenticatedBy: 'x' })).toThrow('mixes letters')
  })

  it('cannot be altered', () => {
    const owner = humanOwner('alice', { authenticatedBy: 'x' })
    expect(Object.isFrozen(owner)).toBe(true)
    expect(Object.isFrozen(owner.approvalChain)).toBe(true)
    expect(Object.isFrozen(UNRESOLVED.approvalChain)).toBe(true)
  })

  it('accepting is idempotent: an accepted id is accepted unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), text => {
        const first = cleanPrincipalId(text)
        if (first.ok) expect(cleanPrincipalId(first.id)).toEqual(first)
      }),
      { numRuns: 300 },
    )
  })
})
