/**
 * The release machine: one FIFO of upstream's frames. It knows neither HTTP nor sockets; the gate, replay and the tests
 * drive the same machine.
 *
 * Guarantees: frames leave in arrival order; a frame leaves only when every text part of it lies below what all checks of
 * its channel have settled and every call it carries a piece of is decided; frames are taken one at a time, and while a
 * check is deciding nothing further is taken, so neither network splits nor timing change the result; what is held is
 * bounded. After a `refuse` or `finish` step it is spent.
 *
 * Not guaranteed: that a caller who was already sent earlier frames can unsee them.
 */
import type { Ctx, MaybeAsync } from '../core/check.ts'
import type { Admitted, Decision, Outcome } from '../core/exchange.ts'
import { type Because, because } from '../core/verdict.ts'
import type { Channel, Edit, Fault, Frame, Part, ResponseReader, ToolCall } from '../core/wire.ts'
import { InspectedChannel, type OpenCheck } from './channel.ts'
import { argumentLeaves, type Commitment, commit } from './commit.ts'
import { DecodedReading } from './decoded.ts'
import { isThenable } from './guard.ts'
import type { Pipeline } from './pipeline.ts'
import { unescapeAll } from './unescape.ts'

export type Step =
  /** Write it. `needs`: call decisions whose rows must be durable before one byte of it leaves. */
  | {
      readonly kind: 'emit'
      readonly frame: Frame
      readonly edits: readonly Edit[]
      readonly needs: readonly Commitment[]
    }
  /** A policy block: 4xx if nothing was sent, else the dialect's abort frame. */
  | { readonly kind: 'refuse'; readonly decision: Decision }
  /** Upstream broke the protocol, or a bound was passed. */
  | { readonly kind: 'fault'; readonly because: Because }
  /** A call waits for a human. The gate swaps its sink for the sealed one; later steps keep coming. */
  | { readonly kind: 'escalate'; readonly commitment: Commitment }
  | { readonly kind: 'finish'; readonly observed: Observed }

/** What upstream sent, released or not. */
export type Observed = Pick<Outcome, 'outputTokens' | 'inputTokens' | 'outputChars' | 'finish' | 'outputComplete'>

export interface ReleaseOptions {
  readonly pipeline: Pipeline
  readonly exchange: Admitted
  readonly ctx: Ctx
  readonly reader: ResponseReader
  /** Bytes of frames that may wait. Default 8 MiB. */
  readonly maxHeldBytes?: number
  /** Text channels one response may open. Default 4096. */
  readonly maxChannels?: number
  /** What the caller reads in place of a refused call. */
  readonly notice: (commitment: Commitment) => string
  /** Every non-allow decision, shadowed ones included. */
  readonly note: (decision: Decision) => void
}

interface Range {
  readonly part: number
  readonly channel: InspectedChannel
  readonly from: number
  readonly to: number
  /** A second reading of that part: it is inspected, never written. */
  readonly decoded?: true
}

interface Held {
  readonly frame: Frame
  readonly ranges: Range[]
  readonly calls: string[]
  /** Ranges before this one are free and stay so: a frame of very many parts is not gone through again and again. */
  free: number
  /** What it counts as while it waits. */
  readonly weight: number
}

/** What a waiting frame costs beside its bytes, roughly: without it a flood of tiny frames or parts would be free. */
const FRAME_WEIGHT = 256
const PART_WEIGHT = 32
const SNAPSHOT_WEIGHT = 512
/** Decoded strings of one call inspected one by one; the rest share one text. */
const MAX_LEAVES = 256

export class Release {
  readonly #o: ReleaseOptions
  readonly #maxHeld: number
  readonly #maxChannels: number
  readonly #checks: OpenCheck[]
  readonly #channels = new Map<string, InspectedChannel>()
  readonly #decoded = new Map<string, DecodedReading>()
  readonly #calls = new Map<string, Commitment | undefined>()
  #announced = new Set<string>()
  /** The queue, and where its head is: shifting an array costs its length. */
  #queue: Held[] = []
  #head = 0
  #heldBytes = 0
  #opened = 0
  #over = false
  #outputTokens: number | undefined
  #inputTokens: number | undefined
  #finish: string | undefined
  #chars = 0
  #complete = false
  /** A finding in a call's arguments ends the exchange when the queue reaches the first frame of the call. */
  readonly #argumentFindings = new Map<string, Decision>()

  constructor(options: ReleaseOptions) {
    this.#o = options
    this.#maxHeld = options.maxHeldBytes ?? 8 * 1024 * 1024
    this.#maxChannels = options.maxChannels ?? 4096
    this.#checks = openChecks(options)
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** What upstream has sent so far; for an exchange that ends early. */
  get observed(): Observed {
    return {
      ...(this.#outputTokens === undefined ? {} : { outputTokens: this.#outputTokens }),
      ...(this.#inputTokens === undefined ? {} : { inputTokens: this.#inputTokens }),
      ...(this.#finish === undefined ? {} : { finish: this.#finish }),
      outputChars: this.#chars,
      outputComplete: this.#complete,
    }
  }

  /** Text that stands before the answer itself (its headers), as a frame of its own. Before the first `push`. */
  head(frame: Frame): MaybeAsync<readonly Step[]> {
    return this.#over ? [] : this.#feed([frame], 0, [])
  }

  /** Do not call again before the last call's result is there: that is the back-pressure. */
  push(bytes: Uint8Array): MaybeAsync<readonly Step[]> {
    if (this.#over) return []
    return this.#feed(this.#o.reader.push(bytes), 0, [])
  }

  end(): MaybeAsync<readonly Step[]> {
    if (this.#over) return []
    const fed = this.#feed(this.#o.reader.end(), 0, [])
    return isThenable(fed) ? fed.then(steps => this.#finishAll(steps)) : this.#finishAll(fed)
  }

  #feed(elements: readonly (Frame | Fault)[], from: number, out: Step[]): MaybeAsync<Step[]> {
    for (let i = from; i < elements.length && !this.#over; i += 1) {
      const element = elements[i]
      if (element === undefined) break
      if (element.kind === 'fault') {
        this.#fault(because(element.code, element.message, element.details), out)
        break
      }
      const taken = this.#take(element, out)
      if (isThenable(taken)) return taken.then(() => this.#feed(elements, i + 1, out))
    }
    return out
  }

  #finishAll(steps: readonly Step[]): MaybeAsync<readonly Step[]> {
    if (this.#over) return steps
    const out = [...steps]
    const ended = this.#endChannels()
    const close = (): readonly Step[] => {
      this.#drain(out)
      if (this.#over) return out
      if (this.#head < this.#queue.length) {
        this.#fault(because('upstream_truncated', 'the answer ended inside a tool call'), out)
        return out
      }
      const last = this.#lastWord()
      if (last !== undefined) {
        this.#refuse(last, out)
        return out
      }
      this.#over = true
      this.#complete = true
      out.push({ kind: 'finish', observed: this.observed })
      return out
    }
    return isThenable(ended) ? ended.then(close) : close()
  }

  #take(frame: Frame, out: Step[]): MaybeAsync<void> {
    const held: Held = { frame, ranges: [], calls: [], free: 0, weight: weigh(frame) }
    this.#queue.push(held)
    this.#heldBytes += held.weight
    return this.#parts(held, 0, out)
  }

  #parts(held: Held, from: number, out: Step[]): MaybeAsync<void> {
    const parts = held.frame.parts
    for (let i = from; i < parts.length && !this.#over; i += 1) {
      const part = parts[i]
      if (part === undefined) break
      const done = this.#part(held, part, i, out)
      if (isThenable(done)) return done.then(() => this.#parts(held, i + 1, out))
    }
    this.#drain(out)
    if (!this.#over && this.#heldBytes > this.#maxHeld) {
      this.#fault(
        because('upstream_too_large', `more than ${this.#maxHeld} bytes of the answer would have to be held`),
        out,
      )
    }
    return undefined
  }

  #part(held: Held, part: Part, index: number, out: Step[]): MaybeAsync<void> {
    switch (part.kind) {
      case 'text':
        return part.from === 'delta'
          ? this.#delta(held, part.channel, part.text, index, out)
          : this.#snapshot(held, part.channel, part.text, index, out)
      case 'callPiece':
        if (!this.#calls.has(part.key)) this.#calls.set(part.key, undefined)
        if (!held.calls.includes(part.key)) held.calls.push(part.key)
        return undefined
      case 'callDone':
        if (!held.calls.includes(part.call.key)) held.calls.push(part.call.key)
        return this.#callDone(part.call, out)
      case 'usage':
        if (part.output !== undefined) this.#outputTokens = Math.max(this.#outputTokens ?? 0, part.output)
        if (part.input !== undefined) this.#inputTokens = Math.max(this.#inputTokens ?? 0, part.input)
        return undefined
      case 'finish':
        this.#finish = part.reason
        return undefined
      case 'state':
        return undefined
      case 'end':
        this.#complete = true
        return this.#endChannels()
    }
  }

  #delta(held: Held, channel: Channel, text: string, part: number, out: Step[]): MaybeAsync<void> {
    let c = this.#channels.get(channel.key)
    if (c === undefined) {
      c = this.#open(channel, out)
      if (c === undefined) return undefined
      this.#channels.set(channel.key, c)
    }
    const from = c.length
    this.#chars += text.length
    held.ranges.push({ part, channel: c, from, to: from + text.length })
    const pushed = c.push(text)
    // Both are JSON to somebody: content in JSON mode, and arguments of tools that upstream runs itself.
    if (channel.name !== 'content' && channel.name !== 'arguments') return pushed
    if (isThenable(pushed)) return pushed.then(() => this.#decode(held, channel, c, text, part, out))
    return this.#decode(held, channel, c, text, part, out)
  }

  /** See `decoded.ts`. The reading begins with the text that still waits: a match may begin there. */
  #decode(
    held: Held,
    channel: Channel,
    plain: InspectedChannel,
    text: string,
    part: number,
    out: Step[],
  ): MaybeAsync<void> {
    const known = this.#decoded.get(channel.key)
    if (known !== undefined) return this.#readDecoded(held, known, text, part)
    if (!text.includes('\\')) return undefined
    const c = this.#open({ ...channel, key: `${channel.key} decoded`, snapshot: true }, out)
    if (c === undefined) return undefined
    const reading = new DecodedReading(c)
    this.#decoded.set(channel.key, reading)
    this.#channels.set(c.channel.key, c)
    const waiting: (() => MaybeAsync<void>)[] = []
    for (let i = this.#head; i < this.#queue.length; i += 1) {
      const earlier = this.#queue[i]
      for (const r of earlier?.ranges ?? []) {
        const p = r.channel === plain ? earlier?.frame.parts[r.part] : undefined
        if (earlier !== undefined && p?.kind === 'text')
          waiting.push(() => this.#readDecoded(earlier, reading, p.text, r.part))
      }
    }
    return inTurn(waiting, 0)
  }

  #readDecoded(held: Held, reading: DecodedReading, text: string, part: number): MaybeAsync<void> {
    const { from, to, done } = reading.push(text)
    held.ranges.push({ part, channel: reading.channel, from, to, decoded: true })
    // A range that was free may have to wait again.
    held.free = 0
    return done
  }

  #snapshot(held: Held, channel: Channel, text: string, part: number, out: Step[]): MaybeAsync<void> {
    const c = this.#open({ ...channel, snapshot: true }, out)
    if (c === undefined) return undefined
    held.ranges.push({ part, channel: c, from: 0, to: text.length })
    return whole(c, text)
  }

  #open(channel: Channel, out: Step[]): InspectedChannel | undefined {
    this.#opened += channel.snapshot ? 0 : 1
    if (this.#opened > this.#maxChannels) {
      this.#fault(
        because('upstream_protocol_violation', `more than ${this.#maxChannels} text channels in one answer`),
        out,
      )
      return undefined
    }
    return new InspectedChannel({
      channel,
      checks: this.#checks,
      scanner: this.#o.pipeline.scanner,
      clock: this.#o.pipeline.clock,
      shadow: this.#o.pipeline.shadow,
      note: this.#o.note,
    })
  }

  /** Arguments are inspected raw and as decoded string leaves, then the call is committed. */
  #callDone(call: ToolCall, out: Step[]): MaybeAsync<void> {
    this.#chars += call.argumentsText.length
    const base: Channel = { key: `call:${call.key}`, choice: call.choice, name: 'arguments' }
    const texts: { readonly channel: Channel; readonly text: string }[] = []
    const twin = (text: string, i: number) =>
      texts.push({ channel: { ...base, key: `${base.key}#${i}`, snapshot: true }, text })
    // First, because a refusal of the arguments names the call.
    twin(call.name, 0)
    twin(call.id, 1)
    const labels = texts.length
    texts.push({ channel: base, text: call.argumentsText })
    // What is not one unambiguous value can still be decoded by a reader less strict than the gate.
    const leaves = call.arguments === undefined ? escapedTwin(call.argumentsText) : argumentLeaves(call.arguments)
    for (let i = 0; i < Math.min(leaves.length, MAX_LEAVES); i += 1) twin(leaves[i] ?? '', i + 2)
    if (leaves.length > MAX_LEAVES) twin(leaves.slice(MAX_LEAVES).join('\n'), MAX_LEAVES + 2)

    const inspect = (from: number): MaybeAsync<void> => {
      for (let i = from; i < texts.length; i += 1) {
        const t = texts[i]
        if (t === undefined || t.text === '') continue
        const c = this.#open(t.channel, out)
        if (c === undefined) return undefined
        const done = whole(c, t.text)
        if (isThenable(done)) {
          return done.then(() => (judge(c, t.text.length, i < labels) ? undefined : inspect(i + 1)))
        }
        if (judge(c, t.text.length, i < labels)) return undefined
      }
      return decideCall()
    }
    /** True when the call needs no further looking at. */
    const judge = (c: InspectedChannel, length: number, isLabel: boolean): boolean => {
      const blocked = c.blocked()
      if (blocked !== undefined) {
        this.#argumentFindings.set(call.key, blocked)
        return true
      }
      const edits = c.editsOf(0, length)
      if (edits.length === 0) return false
      if (isLabel) {
        this.#argumentFindings.set(call.key, redactedLabel(c.channel.key, edits[0]?.from ?? 0))
        return true
      }
      this.#settleCall(redactedArguments(call, c.channel.key, this.#o.pipeline.shadow), out)
      return true
    }
    const decideCall = (): MaybeAsync<void> => {
      const said = commit(this.#o.pipeline, call, this.#o.exchange, this.#o.ctx)
      return isThenable(said) ? said.then(c => this.#settleCall(c, out)) : this.#settleCall(said, out)
    }
    return inspect(0)
  }

  #settleCall(c: Commitment, out: Step[]): void {
    for (const d of c.decisions) this.#o.note(d)
    if (c.worst.effect.kind === 'escalate') {
      // What is free to go leaves before the sink is swapped: the call still counts as undecided here.
      this.#drain(out)
      if (this.#over) return
      out.push({ kind: 'escalate', commitment: c })
    }
    this.#calls.set(c.call.key, c)
  }

  #drain(out: Step[]): void {
    while (!this.#over) {
      const held = this.#queue[this.#head]
      if (held === undefined) break
      const refusal = this.#refusalAt(held)
      if (refusal !== undefined) {
        this.#refuse(refusal, out)
        return
      }
      if (!this.#free(held)) return
      this.#queue[this.#head] = EMPTY
      this.#head += 1
      if (this.#head > 64 && this.#head * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#head)
        this.#head = 0
      }
      this.#heldBytes -= held.weight
      out.push(this.#emit(held))
    }
  }

  #refusalAt(held: Held): Decision | undefined {
    for (let i = held.free; i < held.ranges.length; i += 1) {
      const r = held.ranges[i]
      const blocked = r?.channel.blocked()
      if (r === undefined || blocked?.at === undefined) continue
      if (blocked.at < r.to || (r.channel.ended && r.to === r.channel.length)) return blocked
    }
    const cut = this.#unwritable(held)
    if (cut !== undefined) return cut
    if (this.#complete && held.frame.parts.some(p => p.kind === 'end')) {
      const last = this.#lastWord()
      if (last !== undefined) return last
    }
    for (const key of held.calls) {
      const finding = this.#argumentFindings.get(key)
      if (finding !== undefined) return finding
    }
    return undefined
  }

  /** A redaction that only the decoded reading asks for. */
  #unwritable(held: Held): Decision | undefined {
    for (const r of held.ranges) {
      if (r.decoded !== true || r.channel.releasable() < r.to) continue
      const wanted = r.channel.editsOf(r.from, r.to)
      if (wanted.length === 0) continue
      const plain = held.ranges.find(each => each.part === r.part && each.decoded !== true)
      const written = plain === undefined ? 0 : plain.channel.editsOf(plain.from, plain.to).length
      if (wanted.length > written) return redactedEscape(r.channel.channel.key, r.from + (wanted[0]?.from ?? 0))
    }
    return undefined
  }

  /** A check may block at the end, about text that has gone or about none: then the end does not go. */
  #lastWord(): Decision | undefined {
    for (const c of this.#channels.values()) {
      const blocked = c.ended ? c.blocked() : undefined
      if (blocked !== undefined) return blocked
    }
    return undefined
  }

  #free(held: Held): boolean {
    for (let r = held.ranges[held.free]; r !== undefined; r = held.ranges[held.free]) {
      if (r.to > r.from && r.channel.releasable() < r.to) return false
      held.free += 1
    }
    for (const key of held.calls) if (this.#calls.get(key) === undefined) return false
    return true
  }

  #emit(held: Held): Step {
    let edits: Edit[] | undefined
    let needs: Commitment[] | undefined
    for (const r of held.ranges) {
      if (r.decoded === true) continue
      const textEdits = r.channel.editsOf(r.from, r.to)
      if (textEdits.length > 0) (edits ??= []).push({ kind: 'text', part: r.part, edits: textEdits })
    }
    for (const key of held.calls) {
      const c = this.#calls.get(key)
      if (c === undefined) continue
      if (c.worst.effect.kind === 'block') (edits ??= []).push({ kind: 'refuse', key, notice: this.#o.notice(c) })
      if (!this.#announced.has(key)) {
        this.#announced.add(key)
        ;(needs ??= []).push(c)
      }
    }
    return { kind: 'emit', frame: held.frame, edits: edits ?? NONE, needs: needs ?? NONE }
  }

  #endChannels(): MaybeAsync<void> {
    const decoded = new Set([...this.#decoded.values()].map(d => d.channel))
    const open: { end(): MaybeAsync<void> }[] = [
      ...[...this.#channels.values()].filter(c => !decoded.has(c)),
      ...this.#decoded.values(),
    ]
    const from = (i: number): MaybeAsync<void> => {
      for (let k = i; k < open.length; k += 1) {
        const done = open[k]?.end()
        if (isThenable(done)) return done.then(() => from(k + 1))
      }
      return undefined
    }
    return from(0)
  }

  #refuse(decision: Decision, out: Step[]): void {
    this.#over = true
    this.#o.note(decision)
    out.push({ kind: 'refuse', decision })
  }

  /** Upstream broke off. A finding that was waiting for more text says more than the fault does. */
  #fault(why: Because, out: Step[]): void {
    if (this.#over) return
    this.#drain(out)
    if (this.#over) return
    for (let i = this.#head; i < this.#queue.length; i += 1) {
      const held = this.#queue[i]
      const decision = held === undefined ? undefined : this.#refusalAt(held)
      if (decision !== undefined) {
        this.#refuse(decision, out)
        return
      }
    }
    for (const c of this.#channels.values()) {
      const decision = c.suspected()
      if (decision !== undefined) {
        this.#refuse(decision, out)
        return
      }
    }
    this.#over = true
    out.push({ kind: 'fault', because: why })
  }
}

const NONE: readonly never[] = Object.freeze([])
const EMPTY: Held = {
  frame: { kind: 'frame', raw: new Uint8Array(0), parts: [] },
  ranges: [],
  calls: [],
  free: 0,
  weight: 0,
}

function weigh(frame: Frame): number {
  let weight = frame.raw.length + FRAME_WEIGHT
  for (const part of frame.parts) {
    weight += part.kind === 'text' && part.from === 'snapshot' ? SNAPSHOT_WEIGHT : PART_WEIGHT
  }
  return weight
}

function whole(c: InspectedChannel, text: string): MaybeAsync<void> {
  const pushed = c.push(text)
  return isThenable(pushed) ? pushed.then(() => c.end()) : c.end()
}

function openChecks(o: ReleaseOptions): OpenCheck[] {
  return o.pipeline.inspection.map(check => {
    try {
      const forChannel = check.inspect?.(o.exchange, o.ctx)
      if (typeof forChannel === 'function') return { check, forChannel }
    } catch (error) {
      return { check, forChannel: () => raise(error) }
    }
    return { check, forChannel: () => raise(new TypeError('inspect() returned no function')) }
  })
}

function raise(error: unknown): never {
  throw error
}

/** Arguments are never rewritten: a redaction of them refuses the call. */
function redactedArguments(call: ToolCall, channel: string, shadow: boolean): Commitment {
  const why = because('redaction_unwritable', 'text in its arguments would have to be redacted', {
    tool: call.name.replace(/[^A-Za-z0-9_.:-]/g, '?').slice(0, 64),
  })
  const verdict = { kind: 'block', because: why } as const
  const worst: Decision = { stage: 'commitment', check: 'pipeline', verdict, effect: verdict, shadow, channel }
  return { call, worst, decisions: [worst] }
}

function inTurn(steps: readonly (() => MaybeAsync<void>)[], from: number): MaybeAsync<void> {
  for (let i = from; i < steps.length; i += 1) {
    const done = steps[i]?.()
    if (isThenable(done)) return done.then(() => inTurn(steps, i + 1))
  }
  return undefined
}

function escapedTwin(text: string): readonly string[] {
  return text.includes('\\') ? [unescapeAll(text)] : []
}

function redactedEscape(channel: string, at: number): Decision {
  const why = because(
    'redaction_unwritable',
    'text to redact was written in escapes, which cannot be rewritten in place',
  )
  const verdict = { kind: 'block', because: why } as const
  return { stage: 'inspection', check: 'pipeline', verdict, effect: verdict, shadow: false, channel, at }
}

/** The name or the id of a call: a notice would repeat it, so the answer ends where the call begins. */
function redactedLabel(channel: string, at: number): Decision {
  const why = because('redaction_unwritable', 'the name or the id of a tool call would have to be redacted')
  const verdict = { kind: 'block', because: why } as const
  return { stage: 'inspection', check: 'pipeline', verdict, effect: verdict, shadow: false, channel, at }
}
