import { describe, expect, it } from 'vitest'
import type { Segment } from '../core/wire.ts'
import { RegexContentCheck, type RegexContentOptions } from './regex-content.ts'
import { SECRET_PATTERNS } from './secret-patterns.ts'
import { exchangeOf, segmentOf, TestContext } from './testing.ts'

function admitted(options: RegexContentOptions, segments: readonly Segment[]) {
  const check = new RegexContentCheck(options)
  const ctx = new TestContext(check)
  const verdict = check.admit(exchangeOf({ request: { segments } }), ctx)
  return { verdict, edits: ctx.edits.map(({ segment, edits }) => ({ pointer: segment.pointer, edits })) }
}

const CARD = { pattern: '\\d{4}-\\d{4}', label: 'card' } as const
const at = (index: number, text: string, more: Partial<Segment> = {}) =>
  segmentOf(text, { pointer: `/messages/${index}/content`, ...more })

describe('regex_content', () => {
  it('blocks and says which pattern matched where, never what', () => {
    const { verdict } = admitted({ patterns: [CARD] }, [at(0, 'hello'), at(1, 'my card: 1234-5678', { role: 'tool' })])
    expect(verdict).toEqual({
      kind: 'block',
      because: {
        code: 'content_pattern',
        reason: "pattern 'card' matched",
        details: { pattern_label: 'card', offset: 9, length: 9, pointer: '/messages/1/content', role: 'tool' },
      },
    })
    expect(JSON.stringify(verdict)).not.toContain('1234')
  })

  it('lets everything else pass', () => {
    const { verdict, edits } = admitted({ patterns: [CARD] }, [at(0, 'call 123-4567 or 2024-05-01'), at(1, '')])
    expect(verdict).toEqual({ kind: 'allow' })
    expect(edits).toEqual([])
  })

  it('redacts every occurrence in every segment, the system prompt and earlier messages included', () => {
    const { verdict, edits } = admitted({ patterns: [{ ...CARD, action: 'redact' }] }, [
      at(0, 'keep 1111-1111', { role: 'system' }),
      at(1, '2222-2222 and 3333-3333'),
      at(2, 'none'),
      at(3, '4444-4444', { role: 'assistant' }),
    ])
    const text = '[REDACTED]'
    expect(edits).toEqual([
      { pointer: '/messages/0/content', edits: [{ from: 5, to: 14, text }] },
      {
        pointer: '/messages/1/content',
        edits: [
          { from: 0, to: 9, text },
          { from: 14, to: 23, text },
        ],
      },
      { pointer: '/messages/3/content', edits: [{ from: 0, to: 9, text }] },
    ])
    expect(verdict).toMatchObject({
      kind: 'redact',
      edits: [],
      because: { reason: "pattern 'card' redacted", details: { matches: 4, pointer: '/messages/0/content' } },
    })
  })

  it('lets a block win over a redaction listed before it, and over one found before it', () => {
    const patterns = [
      { ...CARD, action: 'redact' },
      { pattern: 'launch code', label: 'code' },
    ] as const
    const { verdict, edits } = admitted({ patterns }, [at(0, '1234-5678'), at(1, 'the launch code')])
    expect(verdict).toMatchObject({ kind: 'block', because: { details: { pattern_label: 'code' } } })
    expect(edits).toEqual([])
  })

  it('makes one edit of overlapping matches, and one replacement each of separate ones', () => {
    const patterns = [
      { pattern: 'abc', action: 'redact', replacement: '<1>', label: 'one' },
      { pattern: 'cde', action: 'redact', replacement: '<2>', label: 'two' },
    ] as const
    expect(admitted({ patterns }, [at(0, 'xabcdex cde')]).edits[0]?.edits).toEqual([
      { from: 1, to: 6, text: '<1>' },
      { from: 8, to: 11, text: '<2>' },
    ])
  })

  it('looks at all roles unless told which', () => {
    const segments = (['system', 'developer', 'user', 'assistant', 'tool', 'schema', 'other'] as const).map((role, i) =>
      at(i, '1234-5678', { role }),
    )
    for (const segment of segments) {
      expect(admitted({ patterns: [CARD] }, [segment]).verdict.kind).toBe('block')
      expect(admitted({ patterns: [CARD], roles: ['user'] }, [segment]).verdict.kind).toBe(
        segment.role === 'user' ? 'block' : 'allow',
      )
    }
  })

  it('sees through look-alikes and invisible characters', () => {
    const patterns = [{ pattern: /launch code/i, label: 'code' }]
    for (const text of ['Launch Code', 'la\u200bunch code', 'l\u0430unch code', 'ｌａｕｎｃｈ code']) {
      expect(admitted({ patterns }, [at(0, text)]).verdict.kind).toBe('block')
    }
  })

  it('redacts decoded arguments with their carrier, and blocks where the carrier hides the match', () => {
    const redacting = { patterns: [{ ...CARD, action: 'redact' }] } as const
    const carrier = '/messages/1/tool_calls/0/function/arguments'
    const raw = at(1, '{"card":"1234-5678"}', { role: 'assistant', pointer: carrier })
    const leaf = at(1, '1234-5678', { role: 'assistant', pointer: carrier, derived: true })
    const shown = admitted(redacting, [raw, leaf])
    expect(shown.verdict.kind).toBe('redact')
    expect(shown.edits).toEqual([{ pointer: carrier, edits: [{ from: 9, to: 18, text: '[REDACTED]' }] }])
    const escaped = at(1, '{"card":"123\\u0034-5678"}', { role: 'assistant', pointer: carrier })
    const hidden = admitted(redacting, [escaped, leaf])
    expect(hidden.verdict).toMatchObject({ kind: 'block', because: { code: 'redaction_unwritable' } })
    expect(hidden.edits).toEqual([])
    expect(admitted(redacting, [raw, leaf, leaf]).verdict.kind).toBe('block')
  })

  it('gives an unbounded pattern a bound and takes a longer one', () => {
    const check = new RegexContentCheck({
      patterns: [{ pattern: 'a+b' }, { pattern: 'a+', maxMatch: 5000 }, { pattern: 'ab' }],
    })
    const described = check.describe() as { options: { patterns: { maxMatch: number | null }[] } }
    expect(described.options.patterns.map(p => p.maxMatch)).toEqual([1024, 5000, null])
    expect(
      admitted({ patterns: [{ pattern: 'a+', label: 'run', action: 'redact' }] }, [at(0, 'a'.repeat(3_000))]).edits[0]
        ?.edits,
    ).toHaveLength(3)
  })
})

describe('the secret patterns', () => {
  const key = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ'
  const secrets = [
    ['private key', `-----BEGIN PRIVATE KEY-----\n${key}\n${key}\n-----END PRIVATE KEY-----`],
    ['private key', `-----BEGIN RSA PRIVATE KEY-----\\n${key}\\n${key}\\n-----END RSA PRIVATE KEY-----`],
    ['private key', `-----BEGIN OPENSSH PRIVATE KEY-----\n${key}`],
    ['AWS access key id', 'AKIA' + 'IOSFODNN7EXAMPLE'],
    ['GitHub token', `ghp_${'a1B2'.repeat(9)}`],
    ['GitLab token', `glpat-${'a1B2'.repeat(5)}`],
    ['Slack token', `xoxb-${'1234567890'}-abcdefghij`],
    ['Anthropic key', `sk-ant-api03-${'a1B2'.repeat(20)}`],
    ['OpenAI key', `sk-proj-${'a1B2'.repeat(20)}`],
    ['Stripe key', `sk_live_${'a1B2'.repeat(6)}`],
    ['Google API key', `AIza${'a1B2c'.repeat(7)}`],
    ['npm token', `npm_${'a1B2'.repeat(9)}`],
  ] as const

  it.each(secrets)('redact a %s, all of it', (label, secret) => {
    const { verdict, edits } = admitted({ patterns: SECRET_PATTERNS }, [at(0, `use "${secret}".`)])
    expect(verdict.kind).toBe('redact')
    expect(edits[0]?.edits).toEqual([{ from: 5, to: 5 + secret.length, text: `[REDACTED ${label}]` }])
  })

  it.each([
    'The file begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----.',
    '-----BEGIN CERTIFICATE-----\nMIIB',
    '-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA',
    'AKIA is the prefix; ASIA for temporary ones. ASIAN MARKETS ROSE',
    'set OPENAI_API_KEY=sk-... or sk-your-key-here',
    'sk-proj-short',
    'the ghp_ prefix; ghp_example',
    'git clone xoxo-love-and-kisses',
    'sk_test_4eC39HqLyjWDarjtT1zdp7dc',
    'npm_config_registry=https://registry.example.com',
    'task-ant-colony-optimisation-of-a-very-long-identifier-name',
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
  ])('leave alone: %s', text => {
    expect(admitted({ patterns: SECRET_PATTERNS }, [at(0, text)]).verdict.kind).toBe('allow')
  })
})
