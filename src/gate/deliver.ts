/**
 * One forwarded exchange: upstream's callbacks drive the release machine, its steps drive a sink, and every way it can
 * end is recorded and settled exactly once.
 *
 * Guarantees: chunks are taken one at a time and upstream is paused meanwhile; `completed`, `refused`, `aborted`,
 * `escalated`, `disconnected` or `faulted` is reported once; a caller who leaves cancels upstream.
 */
import type { MaybeAsync } from '../core/check.ts'
import type { Outcome } from '../core/exchange.ts'
import type { Assurance, Ticket } from '../core/row.ts'
import { type Because, because, block } from '../core/verdict.ts'
import type { Fault, Frame, Part } from '../core/wire.ts'
import { RedactionUnwritable } from '../dialects/redaction-unwritable.ts'
import { highestOf } from '../pipeline/assurance.ts'
import { errorClass, isThenable } from '../pipeline/guard.ts'
import { Release } from '../pipeline/release.ts'
import type { Step } from '../pipeline/step.ts'
import { relayHeaders } from '../upstream/headers.ts'
import type { UpstreamCall, UpstreamHandler, UpstreamHeaders } from '../upstream/upstream.ts'
import { unavailable } from './answer.ts'
import { assure, NotAssured } from './assure.ts'
import { Beats } from './beats.ts'
import { cutOff, faulted, gone, refused } from './break-off.ts'
import { completeStream, finished } from './complete.ts'
import { continued } from './continue.ts'
import { headFrame, withoutText } from './head.ts'
import { openingReceipt, streamHead } from './opening.ts'
import { ReceiptUnsigned } from './receipts.ts'
import { StreamSink, UnarySink } from './sink.ts'
import { type DeliveryOptions, UnderWay } from './under-way.ts'
import type { Due, Withheld } from './withheld.ts'

type Work = Uint8Array | 'end' | Fault | Frame

export class Delivery implements UpstreamHandler {
  readonly #d: UnderWay
  #work: Work[] = []
  #busy = false
  #beats: Beats | undefined
  /** The headers that will be relayed have been inspected. */
  #headKnown = false

  constructor(options: DeliveryOptions) {
    this.#d = new UnderWay(options)
    const { dialect, exchange, line } = options
    if (line?.stream?.started === true) {
      this.#d.stream = line.stream.follow(dialect.openWriter({ ...exchange.request, stream: true }))
      this.#headKnown = true
    }
  }

  /** Resolves when the exchange is over and answered. Never rejects. */
  get over(): Promise<Outcome> {
    return this.#d.over
  }

  begin(call: UpstreamCall): void {
    this.#d.call = call
    // A stream's first byte needs its receipt: let it be signed beside the call, like the sync of its row.
    if (this.#d.o.exchange.request.stream && this.#d.withheld === undefined)
      openingReceipt(this.#d)?.catch(() => undefined)
    if (this.#d.o.exchange.request.stream && this.#d.withheld !== undefined) {
      const beats = new Beats(
        this.#d.o.gate.clock,
        () => this.#beat(),
        error => this.#crashed(error),
      )
      this.#beats = beats
      this.#d.over.then(
        () => beats.stop(),
        () => undefined,
      )
    }
    this.#d.o.res.on('close', () => gone(this.#d))
    if (this.#d.o.res.destroyed) gone(this.#d)
  }

  // --- upstream's side ---

  onHead(status: number, headers: UpstreamHeaders): void {
    if (this.#d.done) return
    const { gate, dialect, exchange, res } = this.#d.o
    this.#d.status = status
    this.#d.relayed = relayHeaders(headers)
    const type = headers['content-type']
    const reader = dialect.openResponse(exchange.request, status, typeof type === 'string' ? type : undefined)
    if ('kind' in reader) {
      this.#take(reader)
      return
    }
    const opened = this.#d.stream
    if (opened !== undefined && !reader.stream) {
      const message = 'upstream answered with no stream where the caller has been told to expect one'
      this.#take({ kind: 'fault', code: 'upstream_protocol_violation', message, details: { upstream_status: status } })
      return
    }
    // A stream request may be answered with JSON, an error say: the writer follows what came.
    const writer = dialect.openWriter({ ...exchange.request, stream: reader.stream })
    if (reader.stream) {
      this.#d.stream = opened?.follow(writer) ?? new StreamSink(writer, res, () => streamHead(this.#d))
      if (this.#d.o.line !== undefined) this.#d.o.line.stream = this.#d.stream
      // A model may call a tool the request never declared, and that call may have to wait for a human too.
      if (gate.pipeline.commitment.length > 0) this.#d.kept.keepFrames()
    } else {
      this.#d.unary = new UnarySink(writer)
      this.#d.kept.keepFrames()
    }
    this.#d.release = new Release({
      pipeline: gate.pipeline,
      exchange,
      ctx: this.#d.o.admission.ctx,
      reader,
      maxHeldBytes: gate.settings.maxHeldBytes,
      notice: c => this.#d.notice(c),
      note: d => this.#d.note(d),
    })
    this.#d.head = headFrame(this.#d.relayed)
    if (this.#d.head !== undefined) this.#take(this.#d.head)
    else this.#headKnown = true
  }

  onData(chunk: Uint8Array): void {
    if (this.#d.unary !== undefined) this.#d.kept.gather(chunk.length)
    this.#take(chunk)
  }

  onEnd(): void {
    this.#take('end')
  }

  onError(fault: Fault): void {
    this.#take(fault)
  }

  // --- one thing at a time ---

  #take(work: Work): void {
    if (this.#d.done) return
    this.#work.push(work)
    if (!this.#busy) this.#pump()
  }

  #pump(): void {
    for (;;) {
      if (this.#d.done) {
        this.#work = []
        break
      }
      const work = this.#work.shift()
      if (work === undefined) break
      let result: MaybeAsync<void>
      try {
        result = this.#process(work)
      } catch (error) {
        this.#crashed(error)
        return
      }
      if (isThenable(result)) {
        this.#busy = true
        this.#d.call?.pause()
        result.then(
          () => {
            this.#busy = false
            this.#pump()
            if (!this.#busy && !this.#d.done) this.#d.call?.resume()
          },
          (error: unknown) => this.#crashed(error),
        )
        return
      }
    }
  }

  #process(work: Work): MaybeAsync<void> {
    if (isFault(work)) return this.#fault(because(work.code, work.message, work.details))
    const release = this.#d.release
    if (release === undefined) {
      return faulted(this.#d, because('upstream_protocol_violation', 'upstream ended its answer before it began'))
    }
    const steps = work === 'end' ? release.end() : 'kind' in work ? release.head(work) : release.push(work)
    return isThenable(steps) ? steps.then(s => this.#apply(s)) : this.#apply(steps)
  }

  /** Upstream broke off, or too much is held. What was withheld goes the way it would have gone without. */
  #fault(why: Because): MaybeAsync<void> {
    const { withheld } = this.#d
    if (withheld?.open !== true) return faulted(this.#d, why)
    return this.#due({ kind: 'deliver', steps: [...withheld.let(), { kind: 'fault', because: why }] })
  }

  #withhold(steps: readonly Step[], withheld: Withheld): MaybeAsync<void> {
    const due = withheld.take(steps)
    this.#countHeld()
    for (const step of steps) {
      if (step.kind !== 'emit' || step.frame !== this.#d.head) continue
      // Nothing leaves by this: it says with which headers a stream may open.
      if (step.edits.length > 0) this.#d.relayed = withoutText(this.#d.relayed)
      this.#headKnown = true
    }
    if (due === undefined) return undefined
    return this.#due(due)
  }

  #due(due: Due): MaybeAsync<void> {
    // A comment under way opens the stream: what comes next has to find it open, or not.
    const beaten = this.#beats?.stop()
    return beaten === undefined ? this.#do(due) : beaten.then(() => this.#do(due))
  }

  #do(due: Due): MaybeAsync<void> {
    if (due.kind === 'deliver') return this.#apply(due.steps)
    return continued(this.#d, due.turn).then(goesOn => (goesOn || this.#d.done ? undefined : this.#apply(due.steps)))
  }

  /** Clients ignore comments. */
  #beat(): MaybeAsync<void> {
    const { stream, done, o } = this.#d
    if (stream === undefined || done || !this.#headKnown || o.res.writableNeedDrain) return undefined
    stream.comment('signet withholds this turn until it ends')
    return stream.flush()
  }

  #apply(steps: readonly Step[]): MaybeAsync<void> {
    // A check may answer after the caller has left: what is held is no longer counted, and no row may follow the last.
    if (this.#d.done) return undefined
    const { withheld } = this.#d
    if (withheld?.open === true) return this.#withhold(steps, withheld)
    this.#countHeld()
    for (let i = 0; i < steps.length; i += 1) {
      const step = steps[i]
      if (step === undefined) break
      const done = this.#step(step)
      // The caller may have left meanwhile; its row then stands, and nothing may follow it.
      if (isThenable(done)) return done.then(() => (this.#d.done ? undefined : this.#apply(steps.slice(i + 1))))
      if (this.#d.done) return undefined
    }
    return this.#d.stream?.flush()
  }

  #step(step: Step): MaybeAsync<void> {
    switch (step.kind) {
      case 'emit':
        return this.#emit(step.frame, step)
      case 'escalate':
        this.#d.escalated.push(step.commitment)
        return undefined
      case 'refuse':
        return refused(this.#d, step.decision)
      case 'fault':
        return faulted(this.#d, step.because)
      case 'finish':
        return finished(this.#d, step.observed)
    }
  }

  #emit(frame: Frame, step: Extract<Step, { kind: 'emit' }>): MaybeAsync<void> {
    if (frame === this.#d.head) {
      if (step.edits.length > 0) this.#d.relayed = withoutText(this.#d.relayed)
      return undefined
    }
    this.#d.given.frame(frame)
    this.#d.kept.frame(frame, step.edits)
    let last: Ticket | undefined
    let level: Assurance = 'durable'
    for (const c of step.needs) {
      // A call that waits for a human is not approved: its row is written where the answer is held.
      if (c.worst.effect.kind === 'escalate') continue
      last = this.#d.recordCall(c)
      if (c.worst.effect.kind === 'allow') level = highestOf([level, this.#d.o.gate.pipeline.assurance.of(c.call.name)])
    }
    const stream = this.#d.stream
    // Written even when it will be held: a redaction that cannot be made must not wait for a human to find out.
    if (stream === undefined) {
      if (last !== undefined && (level !== 'durable' || this.#d.minting.waits)) {
        this.#d.demand = { ticket: last, level: highestOf([level, this.#d.demand?.level ?? level]) }
      }
      this.#d.unary?.emit(frame, step.edits)
      return undefined
    }
    if (this.#d.escalated.length > 0) {
      stream.rehearse(frame, step.edits)
      return undefined
    }
    const ends = !this.#d.completed && frame.parts.some(p => p.kind === 'end')
    if (last === undefined && !ends) {
      stream.emit(frame, this.#d.minting.edits(frame, step.edits))
      return undefined
    }
    return this.#emitAfterRows(stream, frame, step, last && { ticket: last, level }, ends)
  }

  /** A call leaves only when its row is as sure as its tool demands; the end only when the completion row is durable. */
  async #emitAfterRows(
    stream: StreamSink,
    frame: Frame,
    step: Extract<Step, { kind: 'emit' }>,
    last: { readonly ticket: Ticket; readonly level: Assurance } | undefined,
    ends: boolean,
  ): Promise<void> {
    await stream.flush()
    if (last !== undefined) await assure(this.#d.o.gate, last.ticket, last.level)
    if (this.#d.done) return
    if (this.#d.minting.waits) {
      await this.#d.minting.mint(this.#d.shadowed)
      if (this.#d.done) return
    }
    // The last frame may hold text: one that cannot be written must not stand behind a row that says it was.
    const rendered = stream.render(frame, this.#d.minting.edits(frame, step.edits))
    if (ends) await completeStream(this.#d, stream, { rendered, speaks: frame.parts.some(speaks) })
    else stream.take(rendered)
  }

  /** Something here threw: durability was refused, or a defect. Nothing more leaves. */
  #crashed(error: unknown): void {
    if (this.#d.done) {
      this.#d.o.res.destroy()
      return
    }
    const { gate, res, dialect, asked } = this.#d.o
    this.#d.call?.cancel()
    // Nothing further is taken, though the end may still have to wait for what was released before it.
    this.#busy = true
    const observed = this.#d.observed
    const started = this.#d.stream?.started === true
    if (isAuditLoss(error) || !gate.audit.ok) {
      this.#d.end(this.#d.outcome('faulted', observed))
      if (started && this.#d.stream !== undefined) cutOff(this.#d, this.#d.stream)
      else unavailable(gate, res, dialect, asked)
      return
    }
    if (error instanceof ReceiptUnsigned) {
      faulted(this.#d, because('audit_unavailable', error.message)).catch(() => res.destroy())
      return
    }
    if (error instanceof NotAssured) {
      faulted(this.#d, error.because).catch(() => res.destroy())
      return
    }
    if (isUnwritable(error)) {
      const verdict = block('redaction_unwritable', 'what would have to be redacted cannot be rewritten in this answer')
      const told = refused(this.#d, { stage: 'inspection', check: 'pipeline', verdict, effect: verdict, shadow: false })
      told.catch(() => res.destroy())
      return
    }
    const done = faulted(
      this.#d,
      because('check_error', 'signet failed while it inspected the answer', { error_class: errorClass(error) }),
    )
    done.catch(() => res.destroy())
  }

  #countHeld(): void {
    const withheld = this.#d.withheld?.bytes ?? 0
    if (this.#d.kept.count((this.#d.release?.heldBytes ?? 0) + withheld)) {
      this.#work = [{ kind: 'fault', code: 'overloaded', message: 'too much of too many answers is being held back' }]
    } else if (withheld > this.#d.o.gate.settings.maxHeldBytes) {
      const message = `more than ${this.#d.o.gate.settings.maxHeldBytes} bytes of the answer would have to be withheld`
      this.#work = [{ kind: 'fault', code: 'upstream_too_large', message }]
    }
  }
}

/** Is there anything in it that a caller reads as part of the answer? */
function speaks(part: Part): boolean {
  return part.kind === 'text' || part.kind === 'callPiece' || part.kind === 'callDone'
}

function isFault(work: Work): work is Fault {
  return typeof work === 'object' && 'kind' in work && work.kind === 'fault'
}

function isAuditLoss(error: unknown): boolean {
  return error instanceof Error && error.name === 'AuditUnavailable'
}

function isUnwritable(error: unknown): boolean {
  return error instanceof RedactionUnwritable
}
