import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Check } from '../core/check.ts'
import { ALLOW, block, escalate, redact } from '../core/verdict.ts'
import { bytesOf, FakeReader, open, patternCheck, render, run, type Short } from './fake.test-support.ts'

const MARKER = 'SECRET//NOFORN'
const leak = (options: Parameters<typeof patternCheck>[3] = {}) =>
  patternCheck(
    'leak',
    [{ kind: 'literal', id: 'm', text: MARKER }],
    hits => block('marker', `marker at ${hits[0]?.from}`),
    { priority: 10, ...options },
  )
const cut = (options: Parameters<typeof patternCheck>[3] = {}) =>
  patternCheck(
    'cut',
    [{ kind: 'regex', id: 'k', source: 'sk-[a-z0-9]{4,12}' }],
    hits =>
      redact(
        'output_pattern',
        'a key',
        hits.map(h => ({ from: h.from, to: h.to, text: '[KEY]' })),
      ),
    options,
  )
const tool = (verdicts: Record<string, 'block' | 'escalate'>, delay?: () => Promise<void>): Check => ({
  name: 'tools',
  priority: 0,
  timeLimitMs: 1000,
  describe: () => ({}),
  commit: call => {
    const v = verdicts[call.name]
    const said =
      v === 'block' ? block('tool_tier', 'no') : v === 'escalate' ? escalate('tool_irreversible', 'ask') : ALLOW
    return delay === undefined ? said : delay().then(() => said)
  },
})

const one = (frames: readonly (readonly Short[])[]) => [bytesOf(frames)]
const soon = () => new Promise<void>(resolve => setImmediate(resolve))

/** Cut bytes at the given places. */
const cutAt = (bytes: Uint8Array, places: readonly number[]): Uint8Array[] => {
  const at = [...new Set(places.map(p => p % (bytes.length + 1)))].sort((a, b) => a - b)
  const out: Uint8Array[] = []
  let from = 0
  for (const p of [...at, bytes.length]) {
    out.push(bytes.subarray(from, p))
    from = p
  }
  return out
}

const textOf = (lines: readonly string[]) =>
  lines
    .filter(l => l.startsWith('emit '))
    .map(l => l.slice(5).replace(/⟨[^⟩]*⟩/g, ''))
    .join('')

describe('release', () => {
  it('emits ordinary frames at once and finishes', async () => {
    const { release } = await open([leak(), cut()])
    const first = await release.push(bytesOf([[{ t: 'Hello, ' }], [{ t: 'world' }]]))
    expect(first.map(s => s.kind)).toEqual(['emit', 'emit'])
    const rest = await release.push(bytesOf([[{ usage: 3 }], [{ end: true }]]))
    expect(rest.map(s => s.kind)).toEqual(['emit', 'emit'])
    expect(await release.end()).toEqual([
      { kind: 'finish', observed: { outputChars: 12, outputComplete: true, outputTokens: 3 } },
    ])
  })

  it('releases not one character of a marker that arrives one character per frame', async () => {
    const frames: Short[][] = [...`ok ${MARKER} tail`].map(c => [{ t: c }])
    const lines = await run([leak()], one(frames))
    expect(textOf(lines)).toBe('ok ')
    expect(lines.at(-1)).toBe('refuse leak content@3')
  })

  it.each(['second', 'reasoning', 'other:x'])('finds it on channel %s, between frames of another channel', async c => {
    const frames: Short[][] = [...MARKER].flatMap(ch => [[{ t: ch, c }], [{ t: 'x' }]])
    const lines = await run([leak()], one(frames))
    expect(lines.some(l => l.includes('SE'))).toBe(false)
    expect(lines.at(-1)).toBe(`refuse leak ${c}@0`)
  })

  it('does not join halves that travel on different channels', async () => {
    const lines = await run([leak()], one([[{ t: 'SECRET//', c: 'a' }], [{ t: 'NOFORN', c: 'b' }], [{ end: true }]]))
    expect(lines.at(-1)).toMatch(/^finish/)
  })

  it('finds it after five million characters of padding, holding next to nothing', async () => {
    const { release } = await open([leak()])
    const pad = bytesOf([[{ t: 'lorem ipsum dolor sit amet '.repeat(2000) }]])
    for (let i = 0; i < 100; i += 1) {
      await release.push(pad)
      expect(release.heldBytes).toBeLessThan(pad.length + 1)
    }
    const steps = await release.push(bytesOf([[{ t: MARKER }]]))
    expect(steps.at(-1)?.kind).toBe('refuse')
  })

  it('redacts across frames: the first piece carries the replacement, the rest is cut', async () => {
    const frames: Short[][] = ['a sk', '-ab', 'cd', 'ef z'].map(t => [{ t }])
    expect(textOf(await run([cut()], one([...frames, [{ end: true }]])))).toBe('a [KEY] z')
  })

  it('lets a later check see the redacted text: its finding inside the cut is moot', async () => {
    const later = patternCheck('later', [{ kind: 'literal', id: 'x', text: 'abcd' }], () => block('marker', 'x'), {
      priority: 5,
    })
    expect(textOf(await run([cut(), later], one([[{ t: 'a sk-abcd z' }]])))).toBe('a [KEY] z')
    expect((await run([cut(), later], one([[{ t: 'a sk-abcd abcd z' }]]))).at(-1)).toBe('refuse later content@5')
    const earlier = patternCheck('earlier', [{ kind: 'literal', id: 'x', text: 'abcd' }], () => block('marker', 'x'), {
      priority: -5,
    })
    expect((await run([cut(), earlier], one([[{ t: 'a sk-abcd z' }]]))).at(-1)).toMatch(/^refuse earlier/)
  })

  it('inspects snapshots in a buffer of their own and counts them once', async () => {
    const lines = await run([cut()], one([[{ t: 'sk-' }], [{ t: 'abcd' }], [{ s: 'sk-abcd' }], [{ end: true }]]))
    expect(lines.slice(0, 3)).toEqual(['emit ⟨content⟩[KEY]', 'emit ⟨content⟩', 'emit ⟨content⟩[KEY]'])
    expect(lines.at(-1)).toContain('chars=7')
    expect((await run([leak()], one([[{ s: MARKER }]]))).at(-1)).toMatch(/^refuse leak/)
  })

  describe('calls', () => {
    const call = (key: string, name: string, args = '{}'): Short[][] => [
      [{ p: key }],
      [{ p: key }],
      [{ d: key, name, args }],
    ]

    it('waits with a call, and with what follows it, until the call is decided; text before it has gone', async () => {
      const { release } = await open([tool({})])
      const steps = await release.push(bytesOf([[{ t: 'first' }], [{ p: 'k' }], [{ t: 'after' }]]))
      expect(steps.map(s => (s.kind === 'emit' ? render(s.frame, s.edits) : s.kind))).toEqual(['⟨content⟩first'])
      const rest = await release.push(bytesOf([[{ d: 'k', name: 'weather', args: '{}' }]]))
      expect(rest.map(s => (s.kind === 'emit' ? render(s.frame, s.edits) : s.kind))).toEqual([
        '',
        '⟨content⟩after',
        '{weather}',
      ])
    })

    it('names the row a call needs exactly once, on the first frame that carries it', async () => {
      const lines = await run([tool({})], one(call('k', 'weather')))
      expect(lines).toEqual(['emit  needs k=allow', 'emit ', 'emit {weather}', expect.stringMatching(/^finish/)])
    })

    it('puts the refusal on every frame of a refused call and lets the other go', async () => {
      const { release } = await open([tool({ refund: 'block' })])
      const steps = await release.push(bytesOf([...call('a', 'refund'), ...call('b', 'weather'), [{ end: true }]]))
      const refused = steps.filter(s => s.kind === 'emit' && s.edits.some(e => e.kind === 'refuse' && e.key === 'a'))
      expect(refused).toHaveLength(3)
      expect(steps.map(s => (s.kind === 'emit' ? render(s.frame, s.edits) : s.kind)).join('')).toBe(
        '[no refund]{weather}',
      )
    })

    it('asks a human before the frames of the call, and goes on', async () => {
      const lines = await run(
        [tool({ refund: 'escalate' })],
        one([[{ t: 'hi' }], ...call('a', 'refund'), [{ end: true }]]),
      )
      expect(lines.map(l => l.split(' ')[0])).toEqual(['emit', 'escalate', 'emit', 'emit', 'emit', 'emit', 'finish'])
    })

    it('inspects arguments raw, as decoded leaves and keys, and the name', async () => {
      const hidden = MARKER.replace('S', '\\u0053')
      for (const s of [
        call('k', 't', JSON.stringify({ a: [MARKER] })),
        call('k', 't', `{"${hidden}":1}`),
        call('k', 't', `{"a":{"b":"${hidden}"}}`),
        call('k', MARKER),
      ]) {
        const lines = await run([leak(), tool({})], one(s))
        expect(lines).toHaveLength(1)
        expect(lines[0]).toMatch(/^refuse leak call:k/)
      }
    })

    it('refuses a call whose arguments would have to be redacted', async () => {
      const { release, noted } = await open([cut(), tool({})])
      const steps = await release.push(bytesOf([...call('k', 't', '{"a":"sk-abcd"}'), [{ end: true }]]))
      expect(steps.flatMap(s => (s.kind === 'emit' ? s.needs.map(n => n.worst.effect.kind) : [s.kind]))).toEqual([
        'block',
      ])
      expect(noted.map(d => d.check)).toContain('pipeline')
    })

    it('a call that never completes ends in a fault, not in a release', async () => {
      expect(await run([tool({})], one([[{ p: 'k' }], [{ t: 'x' }]]))).toEqual(['fault upstream_truncated'])
    })
  })

  describe('failing checks', () => {
    const failing = (name: string, inspect: NonNullable<Check['inspect']>): Check => ({
      name,
      priority: 0,
      timeLimitMs: 1000,
      describe: () => ({}),
      inspect,
    })
    const bad: [string, Check][] = [
      [
        'throws when opened',
        failing('bad', () => {
          throw new Error('x')
        }),
      ],
      [
        'throws per channel',
        failing('bad', () => () => {
          throw new Error('x')
        }),
      ],
      [
        'throws on push',
        failing('bad', () => () => ({
          push: () => {
            throw new Error('x')
          },
          end: p => ({ settled: p.at, verdict: ALLOW }),
        })),
      ],
      [
        'rejects',
        failing('bad', () => () => ({
          push: () => Promise.reject(new Error('x')),
          end: p => ({ settled: p.at, verdict: ALLOW }),
        })),
      ],
      [
        'returns nonsense',
        failing('bad', () => () => ({
          push: () => JSON.parse('{"settled":"9"}'),
          end: p => ({ settled: p.at, verdict: ALLOW }),
        })),
      ],
      [
        'settles too far',
        failing('bad', () => () => ({
          push: p => ({ settled: p.at + 99, verdict: ALLOW }),
          end: p => ({ settled: p.at, verdict: ALLOW }),
        })),
      ],
      [
        'leaves text unsettled at the end',
        failing('bad', () => () => ({
          push: () => ({ settled: 0, verdict: ALLOW }),
          end: () => ({ settled: 0, verdict: ALLOW }),
        })),
      ],
      [
        'edits outside the text',
        failing('bad', () => () => ({
          push: p => ({ settled: p.at, verdict: redact('output_pattern', 'r', [{ from: 0, to: 999, text: 'x' }]) }),
          end: p => ({ settled: p.at, verdict: ALLOW }),
        })),
      ],
      [
        'replaces by nothing',
        failing('bad', () => () => ({
          push: p => ({ settled: p.at, verdict: redact('output_pattern', 'r', [{ from: 0, to: 1, text: '' }]) }),
          end: p => ({ settled: p.at, verdict: ALLOW }),
        })),
      ],
      [
        'escalates',
        failing('bad', () => () => ({
          push: p => ({ settled: p.at, verdict: escalate('tool_tier', 'e') }),
          end: p => ({ settled: p.at, verdict: ALLOW }),
        })),
      ],
    ]
    it.each(bad)('%s: nothing is released', async (_what, check) => {
      const lines = await run([check], one([[{ t: 'hello' }], [{ end: true }]]))
      expect(textOf(lines)).toBe('')
      expect(lines.at(-1)).toMatch(/^refuse bad/)
    })

    it('an asynchronous check that outlives its limit blocks', async () => {
      const timers: (() => void)[] = []
      const clock = {
        now: () => 0,
        nowNs: () => 0n,
        timer: (_ms: number, f: () => void) => {
          timers.push(f)
          return () => undefined
        },
      }
      const check = failing('slow', () => () => ({
        push: () => new Promise(() => undefined),
        end: p => ({ settled: p.at, verdict: ALLOW }),
      }))
      const { release } = await open([check], { clock })
      const pending = release.push(bytesOf([[{ t: 'hello' }]]))
      for (const f of timers) f()
      const steps = await pending
      expect(
        steps.map(s =>
          s.kind === 'refuse' && s.decision.effect.kind === 'block' ? s.decision.effect.because.code : s.kind,
        ),
      ).toEqual(['check_timeout'])
    })
  })

  it('in shadow nothing is enforced and everything is noted', async () => {
    const checks = [leak(), cut(), tool({ refund: 'block' })]
    const frames: Short[][] = [
      [{ t: `${MARKER} sk-abcd` }],
      [{ p: 'a' }],
      [{ d: 'a', name: 'refund', args: '{}' }],
      [{ end: true }],
    ]
    const { release, noted } = await open(checks, { shadow: true })
    const steps = [...(await release.push(bytesOf(frames))), ...(await release.end())]
    expect(steps.map(s => (s.kind === 'emit' ? render(s.frame, s.edits) : s.kind)).join('|')).toBe(
      `⟨content⟩${MARKER} sk-abcd||{refund}||finish`,
    )
    expect(noted.map(d => `${d.check} ${d.verdict.kind} ${d.effect.kind} ${d.shadow}`).sort()).toEqual([
      'cut redact allow true',
      'leak block allow true',
      'tools block allow true',
    ])
  })

  it('shadows one check and enforces the other', async () => {
    const lines = await run([leak({ shadow: true }), cut()], one([[{ t: `${MARKER} sk-abcd ` }], [{ end: true }]]))
    expect(textOf(lines)).toBe(`${MARKER} [KEY] `)
  })

  it('is bounded in what it holds', async () => {
    const { release } = await open([tool({})], { maxHeldBytes: 1000 })
    let last = 'none'
    await release.push(bytesOf([[{ p: 'k' }]]))
    for (let i = 0; i < 100 && last !== 'fault'; i += 1)
      last = (await release.push(bytesOf([[{ t: 'x'.repeat(50) }]]))).at(-1)?.kind ?? 'none'
    expect(last).toBe('fault')
    expect(await release.push(bytesOf([[{ t: 'more' }]]))).toEqual([])
  })

  it('says what was found when upstream breaks off before the finding could be acted on', async () => {
    const open2 = patternCheck('slow', [{ kind: 'regex', id: 'd', source: 'N[a-z]{0,40}!' }], () => ALLOW, {
      priority: 20,
    })
    const lines = await run([leak(), open2], one([[{ t: `${MARKER}`.replace('NOFORN', 'NOFORN') }], [{ fault: true }]]))
    expect(lines.at(-1)).toMatch(/^refuse leak/)
  })

  describe('properties', () => {
    const piece = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          'a',
          ' ',
          'sk-',
          'abcd',
          'SECRET',
          '//',
          'NOFORN',
          's',
          'S',
          'é',
          '\u200b',
          '😀',
          'x'.repeat(30),
        ),
      },
      { weight: 1, arbitrary: fc.string({ maxLength: 5 }) },
    )
    const channel = fc.constantFrom('content', 'content', 'reasoning')
    const part: fc.Arbitrary<Short> = fc.oneof(
      { weight: 6, arbitrary: fc.record({ t: piece, c: channel }) },
      { weight: 1, arbitrary: fc.record({ s: piece, c: channel }) },
    )
    const frames = fc.array(fc.array(part, { maxLength: 3 }), { maxLength: 12 })
    const withCalls = fc
      .tuple(
        frames,
        frames,
        fc.constantFrom('weather', 'refund', 'wire'),
        fc.constantFrom('{}', '{"a":"sk-abcd"}', `{"a":"${MARKER}"}`),
      )
      .map(([before, between, name, args]): Short[][] => [
        ...before,
        [{ p: 'k' }],
        ...between,
        [{ d: 'k', name, args }],
        [{ end: true }],
      ])
    const checks = (delay?: () => Promise<void>): Check[] => [
      leak(delay === undefined ? {} : { delay }),
      cut(delay === undefined ? {} : { delay }),
      tool({ refund: 'block', wire: 'escalate' }, delay),
    ]

    it('any split of the bytes releases the same', async () => {
      await fc.assert(
        fc.asyncProperty(withCalls, fc.array(fc.nat(), { maxLength: 12 }), async (f, places) => {
          const bytes = bytesOf(f)
          expect(await run(checks(), cutAt(bytes, places))).toEqual(await run(checks(), [bytes]))
        }),
        { numRuns: 150 },
      )
    })

    it('timing of asynchronous checks changes nothing', async () => {
      await fc.assert(
        fc.asyncProperty(withCalls, fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }), async (f, waits) => {
          let i = 0
          const delay = async () => {
            i += 1
            if (waits[i % waits.length]) await soon()
          }
          expect(await run(checks(delay), [bytesOf(f)])).toEqual(await run(checks(), [bytesOf(f)]))
        }),
        { numRuns: 60 },
      )
    })

    it('any split of the text into deltas gives the same verdict, offset and redacted text', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(piece, { maxLength: 14 }),
          fc.array(fc.nat(), { maxLength: 20 }),
          async (pieces, places) => {
            const text = pieces.join('')
            const at = [...new Set(places.map(p => p % (text.length + 1)))].sort((a, b) => a - b)
            const parts: string[] = []
            let from = 0
            for (const p of [...at, text.length]) {
              parts.push(text.slice(from, p))
              from = p
            }
            const whole = await run(checks(), one([[{ t: text }], [{ end: true }]]))
            const split = await run(checks(), one([...parts.map(t => [{ t }]), [{ end: true }]]))
            expect(split.at(-1)).toBe(whole.at(-1))
            if (whole.at(-1)?.startsWith('refuse')) {
              // Frames are released whole: a finer split may release more of what comes before the finding, never any of it.
              expect(text.startsWith(textOf(split)) || textOf(split).includes('[KEY]')).toBe(true)
              expect(textOf(split).toUpperCase().includes(MARKER)).toBe(false)
            } else expect(textOf(split)).toBe(textOf(whole))
          },
        ),
        { numRuns: 200 },
      )
    })

    it('frames leave in order, each once', async () => {
      await fc.assert(
        fc.asyncProperty(withCalls, async f => {
          const { release } = await open([tool({})])
          const steps = [...(await release.push(bytesOf(f))), ...(await release.end())]
          const out = Buffer.concat(steps.flatMap(s => (s.kind === 'emit' ? [s.frame.raw] : [])))
          expect(out.equals(Buffer.from(bytesOf(f)))).toBe(true)
          for (const s of steps) if (s.kind === 'emit') expect(s.edits).toHaveLength(0)
        }),
        { numRuns: 60 },
      )
    })
  })

  it('the fake reader itself frames independently of splits', () => {
    const bytes = bytesOf([[{ t: 'a' }], [{ t: 'b' }]])
    const whole = new FakeReader().push(bytes).length
    const reader = new FakeReader()
    let n = 0
    for (const b of bytes) n += reader.push(Uint8Array.of(b)).length
    expect(n).toBe(whole)
  })
})

describe('text that its receiver will parse once more', () => {
  const escapedMarker = MARKER.replace('R', '\\u0052')

  it.each([
    ['whole', [[{ t: `{"a":"${escapedMarker}"}` }]]],
    ['one character per frame', [...`{"a":"${escapedMarker}"}`].map(c => [{ t: c }])],
    ['only later letters escaped', [[{ t: 'SECRET//NO' }], [{ t: 'FO\\u0052N and more' }], [{ t: 'tail' }]]],
    [
      'every letter escaped',
      [[{ t: [...MARKER].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('') }]],
    ],
  ] satisfies [string, Short[][]][])('a marker in escapes is found: %s', async (_what, frames) => {
    const lines = await run([leak()], one([[{ t: 'ok ' }], ...frames, [{ end: true }]]))
    expect(lines.at(-1)).toMatch(/^refuse leak content decoded/)
    expect(textOf(lines)).not.toMatch(/SECRET|NOFORN|\\u0052N/)
  })

  it.each(['C:\\Users\\new', 'a\\nb \\"quoted\\" \\\\ end', '$\\alpha + \\beta$', '{"a":"caf\\u00e9"}', 'ends in \\'])(
    '%j passes unchanged',
    async text => {
      expect(
        textOf(await run([leak(), cut()], one([...text].map(c => [{ t: c }]).concat([[{ end: true } as never]])))),
      ).toBe(text)
    },
  )

  it('a key cut out of the plain reading does not end the answer, one in escapes does', async () => {
    expect(textOf(await run([cut()], one([[{ t: '{"k":"sk-abcd","n":"a\\nb"} ' }], [{ end: true }]])))).toBe(
      '{"k":"[KEY]","n":"a\\nb"} ',
    )
    expect((await run([cut()], one([[{ t: '{"k":"s\\u006b-abcd"} ' }], [{ end: true }]]))).at(-1)).toMatch(
      /^refuse pipeline/,
    )
  })
})
