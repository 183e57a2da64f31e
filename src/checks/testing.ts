/**
 * A bench for checks, built-in or your own: it makes exchanges, runs one check's hooks and keeps what the check did.
 * It enforces nothing and reads no wire format; what the whole gate does with a verdict is the pipeline's affair.
 */
import type { Check, Ctx, Inspection } from '../core/check.ts'
import type { Exchange, Levels, Outcome, Owner } from '../core/exchange.ts'
import { humanOwner } from '../core/owner.ts'
import type { TextEdit, Verdict } from '../core/verdict.ts'
import type { Channel, RequestView, Segment, ToolCall } from '../core/wire.ts'
import { compileScanner, type PatternSet, type Scanner } from '../text/scan.ts'

export interface ExchangeFacts extends Partial<Omit<Exchange, 'request' | 'declared'>> {
  readonly request?: Partial<RequestView>
  readonly declared?: Partial<Exchange['declared']>
}

/** An exchange of `human:alice` with nothing in it but what the facts say. */
export function exchangeOf(facts: ExchangeFacts = {}): Exchange {
  return {
    id: '01890000-0000-7000-8000-000000000000',
    surface: 'openai.chat',
    receivedAtNs: 0n,
    owner: humanOwner('alice', { authenticatedBy: 'asserted' }),
    peerAddress: undefined,
    levels: undefined,
    session: undefined,
    requestDigest: '',
    policyDigest: '',
    decisions: [],
    ...facts,
    declared: { classification: undefined, clearance: undefined, clearanceVerified: false, ...facts.declared },
    request: {
      segments: [],
      tools: [],
      upstreamTools: [],
      toolResults: [],
      model: 'test-model',
      stream: false,
      n: 1,
      raw: new Uint8Array(),
      ...facts.request,
    },
  }
}

/** A user's message. */
export function segmentOf(text: string, more: Partial<Segment> = {}): Segment {
  return { role: 'user', pointer: '/messages/0/content', text, ...more }
}

export function channelOf(more: Partial<Channel> = {}): Channel {
  return { key: 'content:0', choice: 0, name: 'content', ...more }
}

/** A call with no arguments. */
export function callOf(name: string, more: Partial<ToolCall> = {}): ToolCall {
  return { key: '0:0', choice: 0, id: 'call_1', name, argumentsText: '{}', arguments: {}, form: 'json', ...more }
}

export function outcomeOf(more: Partial<Outcome> = {}): Outcome {
  return { kind: 'completed', forwarded: true, outputChars: 0, outputComplete: true, ...more }
}

const NO_PATTERNS: PatternSet = Object.freeze({ id: 'none', rules: Object.freeze([]) })
const scanners = new WeakMap<PatternSet, Scanner>()

function scannerOf({ patterns = NO_PATTERNS }: Check): Scanner {
  const scanner = scanners.get(patterns) ?? compileScanner([patterns])
  scanners.set(patterns, scanner)
  return scanner
}

/** The context of one exchange; what the check does to it is there to be read. */
export class TestContext implements Ctx {
  readonly signal: Ctx['signal'] = new AbortController().signal
  readonly edits: { readonly segment: Segment; readonly edits: readonly TextEdit[] }[] = []
  readonly #scanner: Scanner
  readonly #settling: ((outcome: Outcome) => void | Promise<void>)[] = []
  nowMs = 0
  owner: Owner | undefined
  levels: Levels | undefined

  constructor(check: Check) {
    this.#scanner = scannerOf(check)
  }

  now(): number {
    return this.nowMs
  }

  scan(text: string) {
    return this.#scanner.whole(text)
  }

  edit(segment: Segment, edits: readonly TextEdit[]): void {
    this.edits.push({ segment, edits })
  }

  claimOwner(owner: Owner): void {
    if (this.owner !== undefined) throw new Error('an owner is already resolved')
    this.owner = owner
  }

  setLevels(levels: Levels): void {
    this.levels = levels
  }

  onSettle(f: (outcome: Outcome) => void | Promise<void>): void {
    this.#settling.push(f)
  }

  /** Ends the exchange, in reverse order of registration. */
  async settle(outcome: Outcome): Promise<void> {
    for (const f of this.#settling.splice(0).reverse()) await f(outcome)
  }
}

export interface OutputPiece {
  readonly channel: Channel
  readonly text: string
}

export interface Finding {
  readonly channel: string
  readonly verdict: Verdict
  readonly at: number | undefined
  readonly ranges: Inspection['ranges']
}

export interface Inspected {
  readonly findings: readonly Finding[]
  /** How much of each channel could leave, after each piece and after the end: what is settled, up to the first block. */
  readonly releasable: ReadonlyMap<string, readonly number[]>
  /** Output by channel with every redaction made. */
  readonly text: ReadonlyMap<string, string>
}

/** Feeds output to a check as the pipeline would, to the end of every channel. Breaking the inspector's contract throws. */
export async function inspectPieces(check: Check, x: Exchange, pieces: readonly OutputPiece[]): Promise<Inspected> {
  const scanner = scannerOf(check)
  const open = check.inspect?.(x, new TestContext(check))
  const findings: Finding[] = []
  const releasable = new Map<string, number[]>()
  const whole = new Map<string, string>()
  const edits = new Map<string, TextEdit[]>()
  const inspectors = new Map<string, { step(text: string | undefined): Promise<void> }>()
  for (const { channel } of pieces) {
    if (inspectors.has(channel.key)) continue
    const inspector = open?.(channel)
    const scan = scanner.open()
    let at = 0
    let reported = 0
    let blockedAt = Number.POSITIVE_INFINITY
    releasable.set(channel.key, [])
    inspectors.set(channel.key, {
      async step(text) {
        const start = at
        at += text?.length ?? 0
        whole.set(channel.key, (whole.get(channel.key) ?? '') + (text ?? ''))
        if (inspector === undefined) return
        const piece = { text: text ?? '', at: start, scan: text === undefined ? scan.end() : scan.push(text) }
        const found = await (text === undefined ? inspector.end(piece) : inspector.push(piece))
        const { verdict } = found
        if (found.settled < reported || found.settled > at) throw new Error(`settled went to ${found.settled}`)
        if (verdict.kind !== 'allow') {
          if ((found.at ?? reported) < reported) throw new Error(`finding at ${found.at} below settled ${reported}`)
          findings.push({ channel: channel.key, verdict, at: found.at, ranges: found.ranges })
        }
        if (verdict.kind === 'redact') {
          if (verdict.edits.some(edit => edit.from < reported)) throw new Error(`an edit below settled ${reported}`)
          edits.set(channel.key, [...(edits.get(channel.key) ?? []), ...verdict.edits])
        }
        if (verdict.kind === 'block') blockedAt = Math.min(blockedAt, found.at ?? reported)
        reported = found.settled
        if (text === undefined && reported !== at) throw new Error(`the end left text unsettled in ${channel.key}`)
        releasable.get(channel.key)?.push(Math.min(reported, blockedAt))
      },
    })
  }
  for (const { channel, text } of pieces) await inspectors.get(channel.key)?.step(text)
  for (const inspector of inspectors.values()) await inspector.step(undefined)
  const text = new Map([...whole].map(([key, original]) => [key, applied(original, edits.get(key) ?? [])] as const))
  return { findings, releasable, text }
}

/** One channel, cut at the given offsets. */
export function inspectText(check: Check, x: Exchange, text: string, cuts: readonly number[] = []): Promise<Inspected> {
  const channel = channelOf()
  const places = [...new Set(cuts.filter(cut => cut > 0 && cut < text.length))].sort((a, b) => a - b)
  const pieces = [0, ...places].map((from, i) => ({ channel, text: text.slice(from, places[i] ?? text.length) }))
  return inspectPieces(check, x, pieces)
}

function applied(text: string, edits: readonly TextEdit[]): string {
  let out = ''
  let at = 0
  for (const edit of [...edits].sort((a, b) => a.from - b.from)) {
    if (edit.from < at) throw new Error('overlapping edits')
    out += text.slice(at, edit.from) + edit.text
    at = edit.to
  }
  return out + text.slice(at)
}
