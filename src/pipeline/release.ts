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
import type { Admitted, Decision } from '../core/exchange.ts'
import { type Because, because } from '../core/verdict.ts'
import type { Edit, Fault, Frame, Part, ResponseReader, ToolCall } from '../core/wire.ts'
import { type CallText, inspectCall } from './call-text.ts'
import { type Commitment, commit } from './commit.ts'
import { isThenable } from './guard.ts'
import { type Held, HeldFrames } from './held.ts'
import { OpenChannels } from './open-channels.ts'
import type { Pipeline } from './pipeline.ts'
import type { Observed, Step } from './step.ts'

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

export class Release {
  readonly #o: ReleaseOptions
  readonly #maxHeld: number
  readonly #maxChannels: number
  readonly #held = new HeldFrames()
  readonly #channels: OpenChannels
  readonly #calls = new Map<string, Commitment | undefined>()
  #announced = new Set<string>()
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
    const { pipeline, exchange, ctx, note } = options
    this.#channels = new OpenChannels({ pipeline, exchange, ctx, note, maxChannels: this.#maxChannels }, this.#held)
  }

  get heldBytes(): number {
    return this.#held.bytes
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

  // --- intake ---

  #feed(elements: readonly (Frame | Fault)[], from: number, out: Step[]): MaybeAsync<Step[]> {
    for (let i = from; i < elements.length && !this.#over; i += 1) {
      const element = elements[i]
      if (element === undefined) break
      if (element.kind === 'fault') {
        this.#fault(because(element.code, element.message, element.details), out)
        break
      }
      const taken = this.#parts(this.#held.add(element), 0, out)
      if (isThenable(taken)) return taken.then(() => this.#feed(elements, i + 1, out))
    }
    return out
  }

  #parts(held: Held, from: number, out: Step[]): MaybeAsync<void> {
    const parts = held.frame.parts
    for (let i = from; i < parts.length && !this.#over; i += 1) {
      const part = parts[i]
      if (part === undefined) break
      const done = this.#part(held, part, i, out)
      if (isThenable(done)) {
        return done.then(() => {
          this.#stopWhenFull(out)
          return this.#parts(held, i + 1, out)
        })
      }
      this.#stopWhenFull(out)
    }
    this.#drain(out)
    if (!this.#over && this.#held.bytes > this.#maxHeld) {
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
        if (part.from === 'snapshot') return this.#channels.snapshot(held, part.channel, part.text, index)
        this.#chars += part.text.length
        return this.#channels.delta(held, part.channel, part.text, index)
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
        return this.#channels.end()
    }
  }

  #stopWhenFull(out: Step[]): void {
    if (this.#over || !this.#channels.full) return
    this.#fault(
      because('upstream_protocol_violation', `more than ${this.#maxChannels} text channels in one answer`),
      out,
    )
  }

  // --- calls ---

  /** Arguments are inspected raw and as decoded string leaves, then the call is committed. */
  #callDone(call: ToolCall, out: Step[]): MaybeAsync<void> {
    this.#chars += call.argumentsText.length
    const read = inspectCall(call, this.#channels, this.#o.pipeline.shadow)
    return isThenable(read) ? read.then(said => this.#callRead(call, said, out)) : this.#callRead(call, read, out)
  }

  #callRead(call: ToolCall, said: CallText, out: Step[]): MaybeAsync<void> {
    switch (said.kind) {
      case 'unread':
        return undefined
      case 'finding':
        this.#argumentFindings.set(call.key, said.decision)
        return undefined
      case 'refused':
        return this.#settleCall(said.commitment, out)
      case 'clean': {
        const decided = commit(this.#o.pipeline, call, this.#o.exchange, this.#o.ctx)
        return isThenable(decided) ? decided.then(c => this.#settleCall(c, out)) : this.#settleCall(decided, out)
      }
    }
  }

  #settleCall(c: Commitment, out: Step[]): undefined {
    for (const d of c.decisions) this.#o.note(d)
    if (c.worst.effect.kind === 'escalate') {
      // What is free to go leaves before the sink is swapped: the call still counts as undecided here.
      this.#drain(out)
      if (this.#over) return undefined
      out.push({ kind: 'escalate', commitment: c })
    }
    this.#calls.set(c.call.key, c)
    return undefined
  }

  // --- leaving ---

  #drain(out: Step[]): void {
    while (!this.#over) {
      const held = this.#held.first
      if (held === undefined) break
      const refusal = this.#refusalAt(held)
      if (refusal !== undefined) {
        this.#refuse(refusal, out)
        return
      }
      if (!this.#free(held)) return
      this.#held.drop()
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
    const cut = unwritable(held)
    if (cut !== undefined) return cut
    if (this.#complete && held.frame.parts.some(p => p.kind === 'end')) {
      const last = this.#channels.lastWord()
      if (last !== undefined) return last
    }
    for (const key of held.calls) {
      const finding = this.#argumentFindings.get(key)
      if (finding !== undefined) return finding
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

  // --- the ways it ends ---

  #finishAll(steps: readonly Step[]): MaybeAsync<readonly Step[]> {
    if (this.#over) return steps
    const out = [...steps]
    const ended = this.#channels.end()
    const close = (): readonly Step[] => {
      this.#drain(out)
      if (this.#over) return out
      if (!this.#held.empty) {
        this.#fault(because('upstream_truncated', 'the answer ended inside a tool call'), out)
        return out
      }
      const last = this.#channels.lastWord()
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
    for (const held of this.#held.waiting()) {
      const decision = this.#refusalAt(held)
      if (decision !== undefined) {
        this.#refuse(decision, out)
        return
      }
    }
    const suspected = this.#channels.suspected()
    if (suspected !== undefined) {
      this.#refuse(suspected, out)
      return
    }
    this.#over = true
    out.push({ kind: 'fault', because: why })
  }
}

const NONE: readonly never[] = Object.freeze([])

/** A redaction that only the decoded reading asks for. */
function unwritable(held: Held): Decision | undefined {
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

function redactedEscape(channel: string, at: number): Decision {
  const why = because(
    'redaction_unwritable',
    'text to redact was written in escapes, which cannot be rewritten in place',
  )
  const verdict = { kind: 'block', because: why } as const
  return { stage: 'inspection', check: 'pipeline', verdict, effect: verdict, shadow: false, channel, at }
}
