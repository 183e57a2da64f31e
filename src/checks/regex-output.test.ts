import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RegexOutputCheck } from './regex-output.ts'
import { SECRET_PATTERNS } from './secret-patterns.ts'
import { channelOf, exchangeOf, inspectPieces, inspectText } from './testing.ts'

const x = exchangeOf()
const redacting = new RegexOutputCheck({
  patterns: [
    { pattern: 'abc', action: 'redact', replacement: '<1>', label: 'one' },
    { pattern: 'cd{1,3}e', action: 'redact', replacement: '<2>', label: 'two' },
    { pattern: 'cab+', action: 'redact', replacement: '<3>', label: 'three', maxMatch: 6 },
  ],
})
const blocking = new RegexOutputCheck({
  patterns: [
    { pattern: 'abc', action: 'redact', label: 'one' },
    { pattern: 'bcd{2,4}', label: 'stop' },
    { pattern: 'ee', label: 'end' },
  ],
})

describe('regex_output', () => {
  it('lets ordinary text pass, and settles it at once', async () => {
    const { findings, releasable } = await inspectText(redacting, x, 'hello world', [3, 7])
    expect(findings).toEqual([])
    expect(releasable.get('content:0')).toEqual([3, 7, 11, 11])
  })

  it('redacts a match that is cut anywhere', async () => {
    for (let cut = 0; cut <= 8; cut++) {
      const { text, findings } = await inspectText(redacting, x, '..abc...', [cut])
      expect(text.get('content:0')).toBe('..<1>...')
      expect(findings).toHaveLength(1)
    }
  })

  it('makes one redaction of overlapping matches, even when the second is not decided with the first', async () => {
    for (let cut = 0; cut < 12; cut++) {
      const { text } = await inspectText(redacting, x, 'x abcddecab. ', [cut, cut + 1])
      expect(text.get('content:0')).toBe('x <1><3>. ')
    }
  })

  it('blocks, naming pattern and place, and releases nothing of the match', async () => {
    const text = `${'x'.repeat(10)}bcdd and more`
    for (let cut = 0; cut <= text.length; cut++) {
      const { findings, releasable } = await inspectText(blocking, x, text, [cut])
      expect(findings).toMatchObject([
        {
          at: 10,
          ranges: [{ from: 10, to: 14 }],
          verdict: {
            kind: 'block',
            because: {
              code: 'output_pattern',
              reason: "pattern 'stop' matched",
              details: { pattern_label: 'stop', offset: 10, length: 4, channel: 'content', choice: 0 },
            },
          },
        },
      ])
      expect(releasable.get('content:0')?.[0]).toBeLessThanOrEqual(cut === 0 || cut > 10 ? 10 : cut)
    }
  })

  it('goes on after a block, for a check in shadow', async () => {
    const { findings } = await inspectText(blocking, x, 'ee abc ee', [1, 2, 3, 4, 5, 6, 7, 8])
    expect(findings.map(f => `${f.verdict.kind}@${f.at}`)).toEqual(['block@0', 'redact@3', 'block@7'])
  })

  it('is not blind behind the first megabyte', async () => {
    const filler = 'x'.repeat(1_200_000)
    const { findings } = await inspectText(blocking, x, `${filler}bcdd`, [600_000, 1_199_999, 1_200_002])
    expect(findings).toMatchObject([{ at: 1_200_000, verdict: { kind: 'block' } }])
  })

  it('keeps channels apart: two halves in two choices are no match', async () => {
    const other = channelOf({ key: 'content:1', choice: 1 })
    const { findings } = await inspectPieces(blocking, x, [
      { channel: channelOf(), text: 'bc' },
      { channel: other, text: 'dd' },
      { channel: channelOf(), text: ' x' },
    ])
    expect(findings).toEqual([])
  })

  it('finds the same in any cutting: redactions', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom('abc', 'cd', 'cab', 'bcd', 'd', 'e', 'b', ' '), maxLength: 16 }),
        fc.array(fc.nat(40), { maxLength: 12 }),
        async (text, cuts) => {
          const whole = await inspectText(redacting, x, text)
          const cut = await inspectText(redacting, x, text, cuts)
          expect(cut.text).toEqual(whole.text)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('finds the same in any cutting: the first block, and what was redacted before it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom('abc', 'cd', 'cab', 'bcd', 'd', 'e', 'b', ' '), maxLength: 16 }),
        fc.array(fc.nat(40), { maxLength: 12 }),
        async (text, cuts) => {
          const summary = async (at: readonly number[]) => {
            const { findings } = await inspectText(blocking, x, text, at)
            const first = findings.find(f => f.verdict.kind === 'block')
            return first === undefined ? 'no block' : { at: first.at, verdict: first.verdict }
          }
          expect(await summary(cuts)).toEqual(await summary([]))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('redacts secrets in a stream of single characters', async () => {
    const check = new RegexOutputCheck({ patterns: SECRET_PATTERNS })
    const text = `The key is AKIA${'IOSFODNN7EXAMPLE'}; keep it. `
    const every = Array.from({ length: text.length }, (_, i) => i)
    const { text: out } = await inspectText(check, x, text, every)
    expect(out.get('content:0')).toBe('The key is [REDACTED AWS access key id]; keep it. ')
  })
})
