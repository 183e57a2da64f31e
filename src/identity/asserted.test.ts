import { describe, expect, it } from 'vitest'
import { ownerString } from '../core/owner.ts'
import { assertedIdentity, assertedOwner } from './asserted.ts'

/** As node:http hands over what was sent as UTF-8. */
const wire = (text: string) => Buffer.from(text, 'utf8').toString('latin1')

function owner(headers: Record<string, string>): string {
  return ownerString(assertedOwner(Object.entries(headers).flatMap(([name, value]) => [name, wire(value)])))
}

describe('who the caller says it is', () => {
  it.each([
    [{ 'X-Commit-Owner': 'human:alice@example.com' }, 'human:alice@example.com'],
    [{ 'x-agent-id': 'agent:crawler-7' }, 'agent:crawler-7'],
    [{ 'X-Policy-Name': 'nightly' }, 'policy:nightly'],
    [{ 'X-Policy-Name': 'nightly', 'X-Policy-Version': '3' }, 'policy:nightly@3'],
    [{ 'X-Policy-Name': 'policy:x' }, 'policy:policy:x'],
    // Human before agent before policy, whatever the order on the wire.
    [{ 'X-Agent-Id': 'agent:b', 'X-Commit-Owner': 'human:a' }, 'human:a'],
    [{ 'X-Policy-Name': 'p', 'X-Agent-Id': 'agent:b' }, 'agent:b'],
    // An unusable header falls through.
    [{ 'X-Commit-Owner': 'human:', 'X-Agent-Id': 'agent:b' }, 'agent:b'],
    [{ 'X-Commit-Owner': 'agent:x', 'X-Policy-Name': 'p' }, 'policy:p'],
    // Blanks around, and names in any language, each in one spelling.
    [{ 'X-Commit-Owner': '  human: alice ' }, 'human:alice'],
    [{ 'X-Commit-Owner': 'human:José' }, 'human:José'],
    [{ 'X-Commit-Owner': 'human:José'.normalize('NFD') }, 'human:José'],
    [{ 'X-Commit-Owner': 'human:алиса' }, 'human:алиса'],
    [{ 'X-Commit-Owner': 'human:山田太郎' }, 'human:山田太郎'],
    [{ 'X-Commit-Owner': 'human:ａｌｉｃｅ' }, 'human:alice'],
    [{ 'X-COMMIT-OWNER': 'human:a' }, 'human:a'],
  ])('%o is %s', (headers, expected) => {
    expect(owner(headers)).toBe(expected)
  })

  it.each([
    ['no header', {}],
    ['bare agent id', { 'X-Agent-Id': 'root' }],
    ['bare owner', { 'X-Commit-Owner': 'alice' }],
    ['empty principal', { 'X-Commit-Owner': 'human:' }],
    ['blank principal', { 'X-Commit-Owner': 'human:   ' }],
    ['prefix in another case', { 'X-Commit-Owner': 'Human:alice' }],
    ['agent in the human header', { 'X-Commit-Owner': 'agent:x' }],
    ['human in the agent header', { 'X-Agent-Id': 'human:x' }],
    ['CR LF', { 'X-Commit-Owner': 'human:alice\r\n{"decision":"allow"}' }],
    ['NUL', { 'X-Commit-Owner': 'human:al\u0000ice' }],
    ['C1 control (NEL)', { 'X-Commit-Owner': 'human:alice\u0085' }],
    ['DEL', { 'X-Agent-Id': 'agent:a\u007f' }],
    ['bidi override', { 'X-Commit-Owner': 'human:\u202eecila' }],
    ['bidi isolate', { 'X-Commit-Owner': 'human:alice\u2066' }],
    ['zero-width space', { 'X-Commit-Owner': 'human:al\u200bice' }],
    ['zero-width joiner', { 'X-Commit-Owner': 'human:al\u200dice' }],
    ['soft hyphen', { 'X-Commit-Owner': 'human:al\u00adice' }],
    ['BOM', { 'X-Commit-Owner': 'human:\ufeffalice' }],
    ['Cyrillic а in a Latin name', { 'X-Commit-Owner': 'human:\u0430lice' }],
    ['Greek ο in a Latin name', { 'X-Agent-Id': 'agent:r\u03bfot' }],
    ['over 256 characters', { 'X-Commit-Owner': `human:${'a'.repeat(257)}` }],
    ['policy with an unusable name', { 'X-Policy-Name': 'p\u200b' }],
    ['policy with an unusable version', { 'X-Policy-Name': 'p', 'X-Policy-Version': '1\u202e' }],
    ['policy version with an @', { 'X-Policy-Name': 'p', 'X-Policy-Version': '1@2' }],
    ['policy name with an @ and a version', { 'X-Policy-Name': 'p@1', 'X-Policy-Version': '2' }],
    ['policy version alone', { 'X-Policy-Version': '2' }],
  ] as [string, Record<string, string>][])('%s names nobody', (_, headers) => {
    expect(owner(headers)).toBe('unresolved')
  })

  it('a name that is not UTF-8 names nobody', () => {
    expect(ownerString(assertedOwner(['x-commit-owner', 'human:Jos\u00e9']))).toBe('unresolved')
  })

  it('says how it knows, who may approve, and keeps no credential', async () => {
    const found = await assertedIdentity().identify({
      rawHeaders: [
        'X-Commit-Owner',
        'human:alice',
        'Authorization',
        'Bearer k',
        'X-Classification',
        ' secret ',
        'x-caller-CLEARANCE',
        wire('ＳＥＣＲＥＴ'),
      ],
      socketAddress: '127.0.0.1',
    })
    expect(found).toEqual({
      kind: 'identified',
      owner: { type: 'human', id: 'alice', approvalChain: ['human:alice'], authenticatedBy: 'asserted' },
      declared: { classification: 'secret', clearance: 'ＳＥＣＲＥＴ', clearanceVerified: false },
      usedHeaders: [],
    })
    expect(assertedIdentity().verified).toBe(false)
  })

  it('a blank level is none, an unreadable one is not none', async () => {
    const found = await assertedIdentity().identify({
      rawHeaders: ['X-Classification', '  ', 'X-Caller-Clearance', 'S\u00c9CRET'],
      socketAddress: undefined,
    })
    expect(found).toMatchObject({ declared: { classification: undefined, clearance: 'S\u00c9CRET' } })
  })
})
