/**
 * The same bytes in other network chunks, the same text in other deltas, the same checks answering at other times:
 * nothing that leaves may change. The real dialect and the real pipeline, without HTTP.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RegexOutputCheck } from '../../src/checks/regex-output.ts'
import { ScopeDriftCheck } from '../../src/checks/scope-drift.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import type { Check, Inspection, MaybeAsync, Piece } from '../../src/core/check.ts'
import type { Dialect, RequestView } from '../../src/core/wire.ts'
import { answer, begin, delta, stop } from '../../src/dialects/messages.test-support.ts'
import { DIALECTS } from '../../src/dialects/registry.ts'
import { admit } from '../../src/pipeline/admit.ts'
import { buildPipeline } from '../../src/pipeline/pipeline.ts'
import { Release } from '../../src/pipeline/release.ts'
import { Settlement } from '../../src/pipeline/settle.ts'
import { systemClock } from '../../src/state/system.ts'
import { DEMO_REGISTRY } from '../support/gate.ts'
import { type Cell, cells, SURFACES, TOOLS } from './cells.ts'
import { chunk, DONE, event } from './chat-answers.ts'
import { chunk as textChunk } from './completions-answers.ts'
import { streamed } from './messages-answers.ts'
import { RESPONSES_CUT } from './responses-cut.ts'
import { FORBIDDEN, SECRET } from './surface.ts'
import { type Answer, bodyOf } from './upstream.ts'

function dialectOf(surface: string): Dialect {
  const dialect = DIALECTS.find(d => d.name === surface)
  if (dialect === undefined) throw new Error(`the registry has no dialect ${surface}`)
  return dialect
}

const checks = (): Check[] => [
  new RegexOutputCheck({
    patterns: [
      { pattern: FORBIDDEN, action: 'block', label: 'codename' },
      { pattern: 'sk-test-[A-Za-z0-9]{8,40}', action: 'redact', label: 'key' },
    ],
  }),
  new ScopeDriftCheck(),
  new ToolCallInspectorCheck({ registry: DEMO_REGISTRY }),
]

/** It holds no state of any exchange, so all runs may share it. */
const PIPELINE = buildPipeline({ checks: checks(), clock: systemClock })

function view(surface: string, stream: boolean): RequestView {
  const asked = SURFACES[surface]?.request('m', { mode: stream ? 'stream' : 'unary', choice: 0 }, TOOLS)
  const v = dialectOf(surface).readRequest(Buffer.from(asked === undefined ? '' : JSON.stringify(asked)))
  if ('kind' in v) throw new Error(`the request is refused: ${v.code}`)
  return v
}

interface Run {
  /** Everything that leaves, and how it ends. */
  readonly written: string
  readonly end: string
  readonly noted: readonly string[]
}

/** Drives one answer through the machine and renders what it releases. */
async function run(
  surface: string,
  chunks: readonly Uint8Array[],
  contentType: string,
  pipeline = PIPELINE,
): Promise<Run> {
  const dialect = dialectOf(surface)
  const request = view(surface, contentType === 'text/event-stream')
  const draft = {
    id: 'x1',
    surface: dialect.name,
    receivedAtNs: 0n,
    owner: { type: 'human', id: 'alice', approvalChain: [], authenticatedBy: 'asserted' } as const,
    peerAddress: undefined,
    declared: { classification: undefined, clearance: undefined, clearanceVerified: false },
    levels: undefined,
    session: undefined,
    request,
    requestDigest: 'sha256:00',
  }
  const signal = new AbortController().signal
  const admission = await admit(pipeline, draft, { signal: () => signal, settlement: new Settlement() })
  const reader = dialect.openResponse(request, 200, contentType)
  if (admission.admitted === undefined || 'kind' in reader) throw new Error('expected admission')
  const noted: string[] = []
  const release = new Release({
    pipeline,
    exchange: admission.admitted,
    ctx: admission.ctx,
    reader,
    notice: c => `[refused ${c.call.name}]`,
    note: d => noted.push(`${d.check} ${d.verdict.kind} ${d.channel ?? ''}@${d.at ?? ''} ${d.call?.name ?? ''}`),
  })
  const writer = dialect.openWriter(request)
  let written = ''
  let end = ''
  const see = (steps: Awaited<ReturnType<Release['push']>>) => {
    for (const step of steps) {
      if (step.kind === 'emit') {
        try {
          written += Buffer.from(writer.write(step.frame, step.edits)).toString()
        } catch (error) {
          end += `unwritable ${(error as { code?: string }).code};`
        }
      } else if (step.kind === 'refuse') {
        const { check, channel, at, verdict } = step.decision
        end += `refuse ${check} ${channel}@${at} ${verdict.kind === 'allow' ? '' : verdict.because.code};`
      } else if (step.kind === 'fault') end += `fault ${step.because.code};`
      else if (step.kind === 'escalate') end += `hold ${step.commitment.call.name};`
      else end += `finish ${step.observed.outputChars} ${step.observed.finish ?? ''};`
    }
  }
  for (const bytes of chunks) see(await release.push(bytes))
  see(await release.end())
  return { written, end, noted }
}

/** One of each kind: every carrier's block and redaction, every call carrier, every special. */
const sample: readonly Cell[] = cells().filter(
  c =>
    c.choice === 0 &&
    // Without a reader there is nothing to cut.
    c.answer.contentType !== 'application/x-ndjson' &&
    (c.column === 'special' || /^(allow|block split|redact|redact split|refuse|escalate)$/.test(c.column)),
)

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [...new Set(cuts.map(c => c % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length))
}

describe('any cutting of the same bytes', () => {
  it('is the same answer, for every carrier and every attack', async () => {
    expect(sample.length).toBeGreaterThan(250)
    for (const cell of sample) {
      const bytes = bodyOf(cell.answer)
      const { name } = cell.surface
      const { contentType, writes } = cell.answer
      const once = await run(name, [bytes], contentType)
      const each = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
      expect(await run(name, each, contentType), `${name} ${cell.row}, byte by byte`).toEqual(once)
      expect(await run(name, writes, contentType), `${name} ${cell.row}, event by event`).toEqual(once)
    }
  })

  it('is the same answer at random cuts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...sample), fc.array(fc.nat(5000), { maxLength: 12 }), async (cell, cuts) => {
        const bytes = bodyOf(cell.answer)
        const { name } = cell.surface
        const { contentType } = cell.answer
        expect(await run(name, cutAt(bytes, cuts), contentType)).toEqual(await run(name, [bytes], contentType))
      }),
      { numRuns: 200 },
    )
  })
})

interface Cut {
  readonly surface: string
  readonly fields: readonly string[]
  readonly stream: (field: string, deltas: readonly string[]) => Answer
  /** What the field says in one event. */
  readonly of: (event: unknown, field: string) => string | undefined
}

const CHAT_CUT: Cut = {
  surface: 'chat',
  fields: ['content', 'reasoning', 'refusal', 'x_note'],
  stream: (field, deltas) => ({
    contentType: 'text/event-stream',
    writes: [
      ...deltas.map(text => event(chunk([{ index: 0, delta: { [field]: text }, finish_reason: null }]))),
      event(chunk([{ index: 0, delta: {}, finish_reason: 'stop' }])),
      DONE,
    ],
  }),
  of: (one, field) => (one as { choices: { delta: Record<string, string> }[] }).choices[0]?.delta[field],
}

/** A field is a kind of delta and the member it speaks through. */
const MESSAGES_CUT: Cut = {
  surface: 'messages',
  fields: ['text', 'thinking', 'x_note'],
  stream: (field, deltas) => {
    const said = deltas.map(text => delta(0, { type: `${field}_delta`, [field]: text }))
    return streamed(answer(begin(0, { type: field, [field]: '' }) + said.join('') + stop(0)))
  },
  of: (one, field) => (one as { delta?: Record<string, string> }).delta?.[field],
}

const COMPLETIONS_CUT: Cut = {
  surface: 'completions',
  fields: ['text', 'x_note'],
  stream: (field, deltas) => ({
    contentType: 'text/event-stream',
    writes: [
      ...deltas.map(text => event(textChunk([{ index: 0, [field]: text, finish_reason: null }]))),
      event(textChunk([{ index: 0, text: '', finish_reason: 'stop' }])),
      DONE,
    ],
  }),
  of: (one, field) => (one as { choices: Record<string, string>[] }).choices[0]?.[field],
}

/** Are these the characters of `text`, in order, with some left out? */
function isWithin(left: string, text: string): boolean {
  let at = 0
  for (const unit of left) {
    at = text.indexOf(unit, at)
    if (at < 0) return false
    at += unit.length
  }
  return true
}

describe('any cutting of the same text into deltas', () => {
  const words = [
    'The harbour ',
    'orchid',
    '-nightfal',
    FORBIDDEN,
    SECRET,
    'sk-test-',
    'sk-test-abc',
    ' ',
    'é🦁',
    '\u200b',
    '. ',
  ]

  it.each([CHAT_CUT, COMPLETIONS_CUT, MESSAGES_CUT, RESPONSES_CUT])(
    'gives the same verdict, offset and text: $surface',
    async ({ surface, fields, stream, of }) => {
      const said = (written: string, field: string) =>
        [...written.matchAll(/^data: (\{.*\})$/gm)].map(m => of(JSON.parse(m[1] ?? '{}'), field) ?? '').join('')
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...fields),
          fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 6 }).map(list => list.join('')),
          fc.array(fc.nat(120), { maxLength: 20 }),
          async (field, text, cuts) => {
            const points = [...text]
            const at = [...new Set(cuts.map(c => c % (points.length + 1)))].sort((a, b) => a - b)
            const deltas = [0, ...at].map((from, i) => points.slice(from, at[i] ?? points.length).join(''))
            const one = await run(surface, stream(field, [text]).writes, 'text/event-stream')
            const many = await run(surface, stream(field, deltas).writes, 'text/event-stream')
            const each = await run(surface, stream(field, points).writes, 'text/event-stream')
            if (field.endsWith('by part')) {
              // What ends at a break may be a finding where it is none in the middle of a word: more is found, never less.
              for (const cut of [many, each]) {
                const shown = said(cut.written, field)
                expect(isWithin(shown.replaceAll('[REDACTED]', ''), text), `${shown} of ${text}`).toBe(true)
                if (!one.end.startsWith('finish')) expect(cut.end).not.toMatch(/^finish/)
                if (!cut.end.startsWith('finish')) expect(shown).not.toContain(FORBIDDEN)
              }
              return
            }
            expect(many.end).toBe(one.end)
            expect(each.end).toBe(one.end)
            if (one.end.startsWith('finish')) {
              expect(said(many.written, field)).toBe(said(one.written, field))
              expect(said(each.written, field)).toBe(said(one.written, field))
            } else {
              // A whole event waits for its last character: finer deltas may show more of what is before the finding.
              const offset = Number(/@([0-9]+)/.exec(one.end)?.[1])
              const whole = said(each.written, field)
              expect(whole).not.toContain(FORBIDDEN)
              expect(whole.replaceAll('[REDACTED]', SECRET).length).toBeLessThanOrEqual(offset + SECRET.length)
              expect(whole.startsWith(said(many.written, field))).toBe(true)
            }
          },
        ),
        { numRuns: 200 },
      )
    },
  )
})

describe('the timing of asynchronous checks', () => {
  /** The same check, answering after some turns of the event loop. */
  function late(check: Check, turns: () => number): Check {
    const wait = async <T>(value: MaybeAsync<T>): Promise<T> => {
      for (let n = turns(); n > 0; n -= 1) await Promise.resolve()
      return value
    }
    return {
      name: check.name,
      priority: check.priority,
      timeLimitMs: check.timeLimitMs,
      ...(check.patterns === undefined ? {} : { patterns: check.patterns }),
      describe: () => check.describe(),
      ...(check.inspect === undefined
        ? {}
        : {
            inspect: (x, ctx) => {
              const make = check.inspect?.(x, ctx)
              return channel => {
                const own = make?.(channel)
                if (own === undefined) return undefined
                const slow = (f: (piece: Piece) => MaybeAsync<Inspection>) => (piece: Piece) => {
                  const said = f(piece)
                  return turns() % 2 === 0 ? said : wait(said)
                }
                return { push: slow(p => own.push(p)), end: slow(p => own.end(p)) }
              }
            },
          }),
      ...(check.commit === undefined
        ? {}
        : { commit: (call, x, ctx) => wait(check.commit?.(call, x, ctx) ?? { kind: 'allow' as const }) }),
    }
  }

  it('changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...sample),
        fc.array(fc.nat(5), { minLength: 1, maxLength: 30 }),
        fc.array(fc.nat(5000), { maxLength: 6 }),
        async (cell, delays, cuts) => {
          let i = 0
          const slow = buildPipeline({
            checks: checks().map(check => late(check, () => delays[i++ % delays.length] ?? 0)),
            clock: systemClock,
          })
          const bytes = bodyOf(cell.answer)
          const { name } = cell.surface
          const { contentType } = cell.answer
          expect(await run(name, cutAt(bytes, cuts), contentType, slow)).toEqual(await run(name, [bytes], contentType))
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('a frame without edits', () => {
  it('is written as the very bytes it came in, object and all', () => {
    let frames = 0
    for (const { answer, surface } of sample) {
      const dialect = dialectOf(surface.name)
      const request = view(surface.name, answer.contentType === 'text/event-stream')
      const reader = dialect.openResponse(request, 200, answer.contentType)
      if ('kind' in reader) throw new Error('expected a reader')
      const writer = dialect.openWriter(request)
      for (const item of [...reader.push(bodyOf(answer)), ...reader.end()]) {
        if (item.kind === 'fault') break
        expect(writer.write(item, [])).toBe(item.raw)
        frames += 1
      }
    }
    expect(frames).toBeGreaterThan(1000)
  })
})
