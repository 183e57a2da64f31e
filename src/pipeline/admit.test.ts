import { describe, expect, it } from 'vitest'
import type { Check, Ctx } from '../core/check.ts'
import { humanOwner } from '../core/owner.ts'
import { ALLOW, block, escalate, redact } from '../core/verdict.ts'
import type { Segment } from '../core/wire.ts'
import { admit } from './admit.ts'
import { draft, testClock } from './fake.test-support.ts'
import { buildPipeline } from './pipeline.ts'
import { Settlement } from './settle.ts'

const check = (name: string, admitHook: NonNullable<Check['admit']>, more: Partial<Check> = {}): Check => ({
  name,
  priority: 0,
  timeLimitMs: 1000,
  describe: () => ({ name }),
  admit: admitHook,
  ...more,
})

const SEGMENTS: Segment[] = [
  { role: 'user', pointer: '/messages/0/content', text: 'my key is abc' },
  { role: 'user', pointer: '/messages/1/content', text: 'abc abc' },
  { role: 'assistant', pointer: '/messages/1/x', text: 'derived abc', derived: true },
]

const run = (checks: readonly Check[], options: { shadow?: boolean; settlement?: Settlement } = {}) =>
  admit(buildPipeline({ checks, clock: testClock, shadow: options.shadow ?? false }), draft(SEGMENTS), {
    signal: () => new AbortController().signal,
    settlement: options.settlement ?? new Settlement(),
  })

const redactAll = (word: string, by: string) =>
  check(`redact_${by.replace(/\W/g, '').toLowerCase()}`, (x, ctx) => {
    let found = false
    for (const s of x.request.segments) {
      const at = s.derived ? -1 : s.text.indexOf(word)
      if (at < 0) continue
      found = true
      const edits = []
      for (let i = at; i >= 0; i = s.text.indexOf(word, i + 1)) edits.push({ from: i, to: i + word.length, text: by })
      ctx.edit(s, edits)
    }
    return found ? redact('content_pattern', 'r', []) : ALLOW
  })

describe('admit', () => {
  it('admits when every check allows', async () => {
    const a = await run([check('one', () => ALLOW)])
    expect(a.admitted).toBeDefined()
    expect(a.edits.size).toBe(0)
  })

  it('a block ends the stage; an escalation does not, and a later block outweighs it', async () => {
    const seen: string[] = []
    const a = await run([
      check('ask', () => {
        seen.push('ask')
        return escalate('prompt_injection', 'e')
      }),
      check('deny', () => {
        seen.push('deny')
        return block('rate_limited', 'b')
      }),
      check('never', () => {
        seen.push('never')
        return ALLOW
      }),
    ])
    expect(seen).toEqual(['ask', 'deny'])
    expect(a.admitted).toBeUndefined()
    expect(a.refusal?.check).toBe('deny')
    const b = await run([check('ask', () => escalate('prompt_injection', 'e')), check('fine', () => ALLOW)])
    expect(b.refusal?.effect.kind).toBe('escalate')
  })

  it('runs by priority, then by registration', async () => {
    const seen: string[] = []
    const note = (name: string, priority: number) =>
      check(
        name,
        () => {
          seen.push(name)
          return ALLOW
        },
        { priority },
      )
    await run([note('c', 5), note('a', -1), note('d', 5), note('b', 0)])
    expect(seen).toEqual(['a', 'b', 'c', 'd'])
  })

  it('redacts every occurrence in every segment, and later checks see the result', async () => {
    let later: string[] = []
    const a = await run([
      redactAll('abc', '[A]'),
      redactAll('[A]', 'B'),
      check('see', x => {
        later = x.request.segments.map(s => s.text)
        return ALLOW
      }),
    ])
    expect(later).toEqual(['my key is B', 'B B', 'derived abc'])
    expect(a.edits.get('/messages/0/content')).toEqual([{ from: 10, to: 13, text: 'B' }])
    expect(a.edits.get('/messages/1/content')).toEqual([
      { from: 0, to: 3, text: 'B' },
      { from: 4, to: 7, text: 'B' },
    ])
    expect(a.exchange.decisions.map(d => d.verdict.kind)).toEqual(['redact', 'redact'])
  })

  it.each<[string, (x: { segments: readonly Segment[] }, ctx: Ctx) => void]>([
    ['no edits', () => undefined],
    ['an empty replacement', (x, ctx) => ctx.edit(x.segments[0]!, [{ from: 0, to: 1, text: '' }])],
    ['an edit outside the text', (x, ctx) => ctx.edit(x.segments[0]!, [{ from: 0, to: 999, text: 'x' }])],
    [
      'a segment that is not there',
      (_x, ctx) => ctx.edit({ role: 'user', pointer: '/no', text: 'abc' }, [{ from: 0, to: 1, text: 'x' }]),
    ],
    ['text that cannot be edited in place', (x, ctx) => ctx.edit(x.segments[2]!, [{ from: 0, to: 1, text: 'x' }])],
  ])('a redaction that cannot be carried out is a block: %s', async (_what, edit) => {
    const a = await run([
      check('r', (x, ctx) => {
        edit(x.request, ctx)
        return redact('content_pattern', 'r', [])
      }),
    ])
    expect(a.admitted).toBeUndefined()
    expect(a.refusal?.effect.kind).toBe('block')
  })

  it.each<[string, NonNullable<Check['admit']>]>([
    [
      'throws',
      () => {
        throw new Error('secret text')
      },
    ],
    ['rejects', () => Promise.reject(new Error('secret text'))],
    [
      'throws nothing at all',
      () => {
        throw undefined
      },
    ],
    ['returns undefined', () => JSON.parse('null')],
    ['returns true', () => JSON.parse('true')],
    ['returns an unknown kind', () => JSON.parse('{"kind":"ok"}')],
    ['blocks without a cause', () => JSON.parse('{"kind":"block"}')],
    [
      'has a hostile getter',
      () =>
        Object.defineProperty(JSON.parse('{}'), 'kind', {
          get() {
            throw new Error('x')
          },
        }),
    ],
  ])('a check that %s blocks with check_error and does not leak', async (_what, hook) => {
    const a = await run([check('bad', hook)])
    expect(a.admitted).toBeUndefined()
    const effect = a.refusal?.effect
    expect(effect?.kind === 'block' && effect.because.code).toBe('check_error')
    expect(JSON.stringify(a.refusal)).not.toContain('secret text')
  })

  it('a check that fails is enforced in shadow, a policy verdict is not', async () => {
    const failed = await run(
      [
        check('bad', () => {
          throw new Error('x')
        }),
      ],
      { shadow: true },
    )
    expect(failed.admitted).toBeUndefined()
    const policy = await run([check('deny', () => block('marker', 'm')), redactAll('abc', 'X')], { shadow: true })
    expect(policy.admitted).toBeDefined()
    expect(policy.edits.size).toBe(0)
    expect(policy.exchange.decisions.map(d => [d.verdict.kind, d.effect.kind, d.shadow])).toEqual([
      ['block', 'allow', true],
      ['redact', 'allow', true],
    ])
  })

  it('an owner can be claimed once, during admission only', async () => {
    const alice = humanOwner('alice', { authenticatedBy: 'test' })
    const a = await run([
      check('claim', (_x, ctx) => {
        ctx.claimOwner(alice)
        return ALLOW
      }),
      check('see', x => (x.owner === alice ? ALLOW : block('owner_unresolved', 'x'))),
    ])
    expect(a.admitted?.owner).toBe(alice)
    expect(() => a.ctx.claimOwner(alice)).toThrow()
    const twice = await run([
      check('a', (_x, ctx) => {
        ctx.claimOwner(alice)
        ctx.claimOwner(alice)
        return ALLOW
      }),
    ])
    expect(twice.admitted).toBeUndefined()
  })

  it('shares one scan per text among all checks', async () => {
    const scans = new Set<unknown>()
    const note = (name: string) =>
      check(name, (x, ctx) => {
        scans.add(ctx.scan(x.request.segments[0]!.text))
        return ALLOW
      })
    await run([note('a'), note('b')])
    expect(scans.size).toBe(1)
  })

  it('an empty pipeline, a nameless check, a double name and a hookless check are refused at build', () => {
    const build = (checks: readonly Check[]) => () => buildPipeline({ checks, clock: testClock })
    expect(build([])).toThrow(/at least one check/)
    expect(build([check('A', () => ALLOW)])).toThrow(/name/)
    expect(build([check('a', () => ALLOW), check('a', () => ALLOW)])).toThrow(/twice/)
    expect(build([{ name: 'a', priority: 0, timeLimitMs: 1, describe: () => ({}) }])).toThrow(/no hook/)
    expect(build([check('a', () => ALLOW, { timeLimitMs: 0 })])).toThrow(/timeLimitMs/)
  })

  it('the digest names the policy: options, order and shadow', () => {
    const digest = (d: Record<string, unknown>, shadow = false) =>
      buildPipeline({ checks: [check('a', () => ALLOW, { describe: () => d })], clock: testClock, shadow }).digest
    expect(digest({ x: 1, y: 2 })).toBe(digest({ y: 2, x: 1 }))
    expect(digest({ x: 1 })).not.toBe(digest({ x: 2 }))
    expect(digest({ x: 1 })).not.toBe(digest({ x: 1 }, true))
  })
})

describe('settlement', () => {
  const outcome = { kind: 'completed', forwarded: true, outputChars: 0, outputComplete: true } as const

  it('runs every callback once, in reverse order, even past one that throws', async () => {
    const s = new Settlement()
    const seen: string[] = []
    s.add(() => void seen.push('first'))
    s.add(() => {
      throw new TypeError('x')
    })
    s.add(async () => void seen.push('last'))
    expect(await s.settle(outcome)).toEqual(['TypeError'])
    expect(await s.settle(outcome)).toEqual([])
    expect(seen).toEqual(['last', 'first'])
  })

  it('settles a reservation that comes too late at once', async () => {
    const s = new Settlement()
    await s.settle(outcome)
    const late = await new Promise(resolve => s.add(o => resolve(o)))
    expect(late).toBe(outcome)
  })
})
