/** A wire of our own for tests of the machine: one frame is one line of JSON, a list of parts in shorthand. */
import type { Check, Ctx, Inspection, Inspector, Piece } from '../core/check.ts'
import type { Clock } from '../core/clock.ts'
import type { Admitted, Decision } from '../core/exchange.ts'
import { UNRESOLVED } from '../core/owner.ts'
import { ALLOW, type Verdict } from '../core/verdict.ts'
import type { Channel, Edit, Fault, Frame, Part, RequestView, ResponseReader, Segment } from '../core/wire.ts'
import type { PatternSet } from '../text/scan.ts'
import { admit } from './admit.ts'
import { buildPipeline, type Pipeline } from './pipeline.ts'
import { Release } from './release.ts'
import { Settlement } from './settle.ts'
import type { Step } from './step.ts'

/** `t`: text delta on channel `c`; `s`: snapshot; `p`: piece of a call; `d`: call done; `end`. */
export type Short =
  | { readonly t: string; readonly c?: string }
  | { readonly s: string; readonly c?: string }
  | { readonly p: string }
  | { readonly d: string; readonly name: string; readonly args: string }
  | { readonly usage: number }
  | { readonly end: true }
  | { readonly fault: true }

export function bytesOf(frames: readonly (readonly Short[])[]): Uint8Array {
  return Buffer.from(frames.map(f => `${JSON.stringify(f)}\n`).join(''))
}

export class FakeReader implements ResponseReader {
  readonly stream = true
  #pending = Buffer.alloc(0)
  readonly #channels = new Map<string, Channel>()

  push(bytes: Uint8Array): readonly (Frame | Fault)[] {
    this.#pending = Buffer.concat([this.#pending, bytes])
    const out: (Frame | Fault)[] = []
    for (let n = this.#pending.indexOf(10); n >= 0; n = this.#pending.indexOf(10)) {
      const raw = this.#pending.subarray(0, n + 1)
      this.#pending = this.#pending.subarray(n + 1)
      const shorts: readonly Short[] = JSON.parse(raw.toString())
      if (shorts.some(s => 'fault' in s)) {
        out.push({ kind: 'fault', code: 'upstream_sse_malformed', message: 'broken' })
        return out
      }
      out.push({ kind: 'frame', raw, parts: shorts.flatMap(s => this.#part(s)) })
    }
    return out
  }

  end(): readonly (Frame | Fault)[] {
    return this.#pending.length === 0 ? [] : [{ kind: 'fault', code: 'upstream_truncated', message: 'cut' }]
  }

  #part(s: Short): Part[] {
    if ('t' in s) return [{ kind: 'text', channel: this.#channel(s.c ?? 'content'), text: s.t, from: 'delta' }]
    if ('s' in s) return [{ kind: 'text', channel: this.#channel(s.c ?? 'content'), text: s.s, from: 'snapshot' }]
    if ('p' in s) return [{ kind: 'callPiece', key: s.p, bytes: 1 }]
    if ('usage' in s) return [{ kind: 'usage', output: s.usage }]
    if ('d' in s) {
      let args: unknown
      try {
        args = JSON.parse(s.args)
      } catch {
        args = undefined
      }
      return [
        {
          kind: 'callDone',
          call: { key: s.d, choice: 0, id: s.d, name: s.name, argumentsText: s.args, arguments: args, form: 'json' },
        },
      ]
    }
    return 'end' in s ? [{ kind: 'end' }] : []
  }

  #channel(key: string): Channel {
    let c = this.#channels.get(key)
    if (c === undefined) {
      c = { key, choice: 0, name: key === 'reasoning' ? 'reasoning' : 'content' }
      this.#channels.set(key, c)
    }
    return c
  }
}

/** Writes what the caller would see: text parts with their edits, calls by name, refused calls as their notice. */
export function render(frame: Frame, edits: readonly Edit[]): string {
  let out = ''
  frame.parts.forEach((part, i) => {
    if (part.kind === 'text') {
      const e = edits.find(x => x.kind === 'text' && x.part === i)
      let text = part.text
      if (e?.kind === 'text')
        for (const t of [...e.edits].reverse()) text = text.slice(0, t.from) + t.text + text.slice(t.to)
      out += `⟨${part.channel.key}⟩${text}`
    } else if (part.kind === 'callDone') {
      const refused = edits.find(x => x.kind === 'refuse' && x.key === part.call.key)
      out += refused?.kind === 'refuse' ? refused.notice : `{${part.call.name}}`
    }
  })
  return out
}

export const testClock: Clock = {
  now: () => 1_700_000_000_000,
  nowNs: () => 1_700_000_000_000_000_000n,
  timer: () => () => undefined,
}

export const VIEW: RequestView = {
  segments: [],
  tools: [],
  upstreamTools: [],
  toolResults: [],
  model: 'm',
  stream: true,
  n: 1,
  raw: new Uint8Array(0),
}

export function draft(segments: readonly Segment[] = []) {
  return {
    id: 'x1',
    surface: 'fake',
    receivedAtNs: 0n,
    owner: UNRESOLVED,
    peerAddress: '127.0.0.1',
    declared: { classification: undefined, clearance: undefined, clearanceVerified: false },
    levels: undefined,
    session: undefined,
    request: { ...VIEW, segments },
    requestDigest: 'sha256:00',
  }
}

export interface Opened {
  readonly release: Release
  readonly noted: Decision[]
  readonly exchange: Admitted
  readonly ctx: Ctx
}

export async function open(
  checks: readonly Check[],
  options: { shadow?: boolean; maxHeldBytes?: number; clock?: Clock } = {},
): Promise<Opened> {
  const clock = options.clock ?? testClock
  const pipeline: Pipeline = buildPipeline({ checks, clock, shadow: options.shadow ?? false })
  const admission = await admit(pipeline, draft(), {
    signal: () => new AbortController().signal,
    settlement: new Settlement(),
  })
  if (admission.admitted === undefined) throw new Error('expected admission')
  const noted: Decision[] = []
  const release = new Release({
    pipeline,
    exchange: admission.admitted,
    ctx: admission.ctx,
    reader: new FakeReader(),
    ...(options.maxHeldBytes === undefined ? {} : { maxHeldBytes: options.maxHeldBytes }),
    notice: c => `[no ${c.call.name}]`,
    note: d => noted.push(d),
  })
  return { release, noted, exchange: admission.admitted, ctx: admission.ctx }
}

/** Everything observable about one run, in a form that can be compared. */
export async function run(
  checks: readonly Check[],
  chunks: readonly Uint8Array[],
  options: Parameters<typeof open>[1] = {},
): Promise<string[]> {
  const { release } = await open(checks, options)
  const out: string[] = []
  const see = (steps: readonly Step[]) => {
    for (const s of steps) {
      if (s.kind === 'emit')
        out.push(
          `emit ${render(s.frame, s.edits)}${s.needs.map(n => ` needs ${n.call.key}=${n.worst.effect.kind}`).join('')}`,
        )
      else if (s.kind === 'refuse')
        out.push(`refuse ${s.decision.check} ${s.decision.channel ?? ''}@${s.decision.at ?? ''}`)
      else if (s.kind === 'fault') out.push(`fault ${s.because.code}`)
      else if (s.kind === 'escalate') out.push(`escalate ${s.commitment.call.key}`)
      else
        out.push(
          `finish chars=${s.observed.outputChars} tokens=${s.observed.outputTokens ?? '-'} complete=${s.observed.outputComplete}`,
        )
    }
  }
  for (const chunk of chunks) see(await release.push(chunk))
  see(await release.end())
  return out
}

/** Reports every hit of its patterns by `verdict`. */
export function patternCheck(
  name: string,
  rules: PatternSet['rules'],
  verdict: (hits: readonly { readonly id: string; readonly from: number; readonly to: number }[]) => Verdict,
  options: { priority?: number; shadow?: boolean; delay?: () => Promise<void> } = {},
): Check {
  const set: PatternSet = { id: name, rules }
  const look = (piece: Piece): Inspection => {
    const hits = piece.scan.hits(set)
    const first = hits[0]
    return {
      settled: piece.scan.openFrom(set),
      verdict: first === undefined ? ALLOW : verdict(hits),
      ...(first === undefined ? {} : { at: first.from, ranges: hits.map(h => ({ from: h.from, to: h.to })) }),
    }
  }
  const delay = options.delay
  const inspector = (): Inspector => ({
    push: p => (delay === undefined ? look(p) : delay().then(() => look(p))),
    end: p => (delay === undefined ? look(p) : delay().then(() => look(p))),
  })
  return {
    name,
    priority: options.priority ?? 0,
    timeLimitMs: 1000,
    ...(options.shadow === undefined ? {} : { shadow: options.shadow }),
    patterns: set,
    describe: () => ({ name }),
    inspect: () => () => inspector(),
  }
}
