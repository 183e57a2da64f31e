/**
 * One forwarded exchange: upstream's callbacks drive the release machine, its steps drive a sink, and every way it can
 * end is recorded and settled exactly once.
 *
 * Guarantees: chunks are taken one at a time and upstream is paused meanwhile; `completed`, `refused`, `aborted`,
 * `escalated`, `disconnected` or `faulted` is reported once; a caller who leaves cancels upstream.
 */
import { hash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { MaybeAsync } from '../core/check.ts'
import type { Admitted, Decision, Outcome } from '../core/exchange.ts'
import { ownerString } from '../core/owner.ts'
import type { Ticket } from '../core/row.ts'
import { type Because, because, block } from '../core/verdict.ts'
import type { Dialect, Fault, Frame, Part, Refusal } from '../core/wire.ts'
import { RedactionUnwritable } from '../dialects/redaction-unwritable.ts'
import type { Admission } from '../pipeline/admit.ts'
import type { Commitment } from '../pipeline/commit.ts'
import { errorClass, isThenable, within } from '../pipeline/guard.ts'
import { type Observed, Release, type Step } from '../pipeline/release.ts'
import { abortedRow, type CompletionFacts, callAllowedRow, completedRow, decisionRow } from '../pipeline/rows.ts'
import { relayHeaders } from '../upstream/headers.ts'
import type { UpstreamCall, UpstreamHandler, UpstreamHeaders } from '../upstream/upstream.ts'
import { type Asked, gateHeaders, refuse, unavailable } from './answer.ts'
import type { Gate } from './gate.ts'
import { headFrame, withoutText } from './head.ts'
import { Kept } from './kept.ts'
import { signReceipt } from './receipts.ts'
import { Given } from './references.ts'
import { shadowHeaders } from './shadow.ts'
import { endAnswer, type Head, StreamSink, UnarySink } from './sink.ts'
import { statusOf } from './status.ts'

export interface DeliveryOptions {
  readonly gate: Gate
  readonly res: ServerResponse
  readonly dialect: Dialect
  readonly asked: Asked
  readonly admission: Admission
  readonly exchange: Admitted
  readonly admissionTicket: Ticket
  /** What was sent upstream. */
  readonly forwarded: Uint8Array
}

/** A store that does not answer for longer counts as unavailable. */
const STATE_LIMIT_MS = 5_000

/** Redactions and shadowed findings of one answer that get a row each; the last row counts the rest. */
const MAX_NOTED = 256

type Work = Uint8Array | 'end' | Fault | Frame

export class Delivery implements UpstreamHandler {
  /** Resolves when the exchange is over and answered. Never rejects. */
  readonly over: Promise<Outcome>
  readonly #o: DeliveryOptions
  readonly #newId: () => string
  #resolve: (outcome: Outcome) => void = () => undefined
  #call: UpstreamCall | undefined
  #release: Release | undefined
  #unary: UnarySink | undefined
  #stream: StreamSink | undefined
  #status = 0
  #relayed: readonly string[] = []
  /** The text of the relayed headers, which passes every check like the rest of the answer. */
  #head: Frame | undefined
  #work: Work[] = []
  #busy = false
  #done = false
  #calls = { released: 0, refused: 0 }
  /** Calls waiting for a human; from the first one on, nothing more is written. */
  #escalated: Commitment[] = []
  readonly #kept: Kept
  readonly #given: Given
  #completed = false
  /** Redactions and shadowed findings so far. */
  #noted = 0
  /** The receipt that opens a stream. */
  #opening: Promise<string> | undefined

  constructor(options: DeliveryOptions) {
    this.#o = options
    this.#newId = () => options.gate.random.uuid()
    this.#kept = new Kept(options.gate)
    this.#given = new Given(options.gate, options.exchange)
    this.over = new Promise(resolve => {
      this.#resolve = resolve
    })
  }

  begin(call: UpstreamCall): void {
    this.#call = call
    // A stream's first byte needs its receipt: let it be signed beside the call, like the sync of its row.
    if (this.#o.exchange.request.stream) this.#openingReceipt()?.catch(() => undefined)
    this.#o.res.on('close', () => this.#gone())
    if (this.#o.res.destroyed) this.#gone()
  }

  // --- upstream's side ---

  onHead(status: number, headers: UpstreamHeaders): void {
    if (this.#done) return
    const { gate, dialect, exchange, res } = this.#o
    this.#status = status
    this.#relayed = relayHeaders(headers)
    const type = headers['content-type']
    const reader = dialect.openResponse(exchange.request, status, typeof type === 'string' ? type : undefined)
    if ('kind' in reader) {
      this.#take(reader)
      return
    }
    // A stream request may be answered with JSON, an error say: the writer follows what came.
    const writer = dialect.openWriter({ ...exchange.request, stream: reader.stream })
    if (reader.stream) {
      this.#stream = new StreamSink(writer, res, () => this.#streamHead())
      // A model may call a tool the request never declared, and that call may have to wait for a human too.
      if (gate.pipeline.commitment.length > 0) this.#kept.keepFrames()
    } else {
      this.#unary = new UnarySink(writer)
      this.#kept.keepFrames()
    }
    this.#release = new Release({
      pipeline: gate.pipeline,
      exchange,
      ctx: this.#o.admission.ctx,
      reader,
      maxHeldBytes: gate.settings.maxHeldBytes,
      notice: c => this.#notice(c),
      note: d => this.#note(d),
    })
    this.#head = headFrame(this.#relayed)
    if (this.#head !== undefined) this.#take(this.#head)
  }

  onData(chunk: Uint8Array): void {
    if (this.#unary !== undefined) this.#kept.gather(chunk.length)
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
    if (this.#done) return
    this.#work.push(work)
    if (!this.#busy) this.#pump()
  }

  #pump(): void {
    while (!this.#done) {
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
        this.#call?.pause()
        result.then(
          () => {
            this.#busy = false
            this.#pump()
            if (!this.#busy && !this.#done) this.#call?.resume()
          },
          (error: unknown) => this.#crashed(error),
        )
        return
      }
    }
  }

  #process(work: Work): MaybeAsync<void> {
    if (isFault(work)) return this.#faulted(because(work.code, work.message, work.details))
    const release = this.#release
    if (release === undefined) {
      return this.#faulted(because('upstream_protocol_violation', 'upstream ended its answer before it began'))
    }
    const steps = work === 'end' ? release.end() : 'kind' in work ? release.head(work) : release.push(work)
    return isThenable(steps) ? steps.then(s => this.#apply(s)) : this.#apply(steps)
  }

  #apply(steps: readonly Step[]): MaybeAsync<void> {
    // A check may answer after the caller has left: what is held is no longer counted, and no row may follow the last.
    if (this.#done) return undefined
    this.#countHeld()
    for (let i = 0; i < steps.length; i += 1) {
      const step = steps[i]
      if (step === undefined) break
      const done = this.#step(step)
      // The caller may have left meanwhile; its row then stands, and nothing may follow it.
      if (isThenable(done)) return done.then(() => (this.#done ? undefined : this.#apply(steps.slice(i + 1))))
      if (this.#done) return undefined
    }
    return this.#stream?.flush()
  }

  #step(step: Step): MaybeAsync<void> {
    switch (step.kind) {
      case 'emit':
        return this.#emit(step.frame, step)
      case 'escalate':
        this.#escalated.push(step.commitment)
        return undefined
      case 'refuse':
        return this.#refused(step.decision)
      case 'fault':
        return this.#faulted(step.because)
      case 'finish':
        return this.#finished(step.observed)
    }
  }

  #emit(frame: Frame, step: Extract<Step, { kind: 'emit' }>): MaybeAsync<void> {
    if (frame === this.#head) {
      if (step.edits.length > 0) this.#relayed = withoutText(this.#relayed)
      return undefined
    }
    this.#given.frame(frame)
    this.#kept.frame(frame, step.edits)
    let last: Ticket | undefined
    // A call that waits for a human is not approved: its row is written where the answer is held.
    for (const c of step.needs) if (c.worst.effect.kind !== 'escalate') last = this.#recordCall(c)
    const stream = this.#stream
    // Written even when it will be held: a redaction that cannot be made must not wait for a human to find out.
    if (stream === undefined) {
      this.#unary?.emit(frame, step.edits)
      return undefined
    }
    if (this.#escalated.length > 0) {
      stream.rehearse(frame, step.edits)
      return undefined
    }
    const ends = !this.#completed && frame.parts.some(p => p.kind === 'end')
    if (last === undefined && !ends) {
      stream.emit(frame, step.edits)
      return undefined
    }
    return this.#emitAfterRows(stream, frame, step, last, ends)
  }

  /** A call leaves only when its row is durable; the end only when the completion row is. */
  async #emitAfterRows(
    stream: StreamSink,
    frame: Frame,
    step: Extract<Step, { kind: 'emit' }>,
    last: Ticket | undefined,
    ends: boolean,
  ): Promise<void> {
    await stream.flush()
    if (last !== undefined) await last.durable()
    if (this.#done) return
    // The last frame may hold text: one that cannot be written must not stand behind a row that says it was.
    const rendered = stream.render(frame, step.edits)
    if (ends) await this.#completeStream(stream, { rendered, speaks: frame.parts.some(speaks) })
    else stream.take(rendered)
  }

  // --- the ways it ends ---

  async #finished(observed: Observed): Promise<void> {
    if (this.#escalated.length > 0) return this.#held(observed)
    const stream = this.#stream
    if (stream !== undefined) {
      await stream.flush()
      if (!this.#completed && !this.#done) await this.#completeStream(stream)
      await stream.flush()
      if (this.#done) return
      if (!stream.started) {
        await this.#faulted(because('upstream_truncated', 'upstream sent no event at all'))
        return
      }
      this.#end(this.#outcome('completed', observed))
      endAnswer(this.#o.res)
      return
    }
    await this.#finishUnary(observed)
  }

  async #finishUnary(observed: Observed): Promise<void> {
    const { gate, res, asked, exchange } = this.#o
    const body = this.#unary?.body() ?? new Uint8Array(0)
    const outcome = this.#outcome('completed', observed)
    const digest = hash('sha256', body, 'hex')
    const ticket = gate.audit.append(completedRow(exchange, outcome, this.#facts(body.length, digest), this.#newId))
    // Asked first, so that the sync runs while the receipt is signed.
    const durable = ticket.durable()
    const receipt =
      gate.receipts === undefined
        ? undefined
        : signReceipt(gate, gate.receipts, {
            ticket,
            exchange: asked.id,
            stage: 'complete',
            decision: 'allow',
            req: exchange.requestDigest,
            res: `sha256:${digest}`,
            owner: asked.owner,
            check: undefined,
          })
    let signed: string | undefined
    try {
      signed = await receipt
      await durable
      const remembered = this.#given.remembered()
      if (remembered !== undefined) await remembered
    } catch {
      durable.catch(() => undefined)
      await this.#auditLost(observed)
      return
    }
    if (this.#done) return
    this.#end(outcome)
    if (res.destroyed) return
    // Nothing has been sent: what inspection and commitment would have done is known too.
    asked.shadowHeaders = shadowHeaders(this.#o.admission.decisions, asked.id, gate.settings.strict)
    res.writeHead(this.#status, {
      ...this.#answerHeaders(),
      'content-length': body.length,
      'x-signet-upstream-status': this.#status,
      ...(signed === undefined || gate.receipts === undefined ? {} : { [gate.receipts.headerName]: signed }),
    })
    endAnswer(res, body)
  }

  /**
   * The row behind the end of a stream, and the receipt over everything that is said in it: before a bare end mark
   * (`[DONE]`, `message_stop`), after a last event that repeats the answer (`response.completed`).
   */
  async #completeStream(
    stream: StreamSink,
    last?: { readonly rendered: Uint8Array; readonly speaks: boolean },
  ): Promise<void> {
    const { gate, asked, exchange, res } = this.#o
    this.#completed = true
    await stream.flush()
    const remembered = this.#given.remembered()
    if (remembered !== undefined) await remembered
    if (this.#done) return
    const outcome = this.#outcome('completed', this.#observed())
    const said = last?.speaks === true ? last.rendered : undefined
    const digest = stream.digest(said)
    const facts = this.#facts(stream.bytes + (said?.length ?? 0), digest)
    const ticket = gate.audit.append(completedRow(exchange, outcome, facts, this.#newId))
    const durable = ticket.durable()
    durable.catch(() => undefined)
    if (gate.receipts !== undefined) {
      const receipt = await signReceipt(gate, gate.receipts, {
        ticket,
        exchange: asked.id,
        stage: 'complete',
        decision: 'allow',
        req: exchange.requestDigest,
        res: `sha256:${digest}`,
        owner: asked.owner,
        check: undefined,
      })
      await durable
      if (said !== undefined) stream.take(said)
      stream.comment(`signet-receipt ${receipt}`)
      if (stream.started && !res.destroyed && res.useChunkedEncodingByDefault)
        res.addTrailers({ [`${gate.receipts.headerName}-Final`]: receipt })
    } else {
      await durable
      if (said !== undefined) stream.take(said)
    }
    if (last !== undefined && said === undefined) stream.take(last.rendered)
  }

  async #refused(decision: Decision): Promise<void> {
    const { gate, res, dialect, asked, exchange } = this.#o
    const observed = this.#observed()
    this.#call?.cancel()
    const before = this.#sendReleased()
    if (isThenable(before)) await before
    if (this.#done) return
    const effect = decision.effect
    const why = effect.kind === 'allow' ? because('check_error', 'refused') : effect.because
    const started = this.#stream?.started === true
    const row = decisionRow(exchange, decision, this.#newId, this.#abortFacts(started))
    this.#end(this.#outcome(started ? 'aborted' : 'refused', observed))
    if (started && this.#stream !== undefined) {
      await this.#abort(this.#stream, gate.audit.append(row), why, decision.stage, decision.check)
      return
    }
    await refuse(gate, res, dialect, asked, {
      because: why,
      stage: decision.stage,
      decision: decision.verdict.kind,
      row,
      check: decision.check,
      headers: this.#upstreamStatus(),
    })
  }

  async #faulted(why: Because): Promise<void> {
    const { gate, res, dialect, asked, exchange } = this.#o
    const observed = this.#observed()
    this.#call?.cancel()
    const before = this.#sendReleased()
    if (isThenable(before)) await before
    if (this.#done) return
    const started = this.#stream?.started === true
    const outcome = this.#outcome('faulted', observed)
    const row = abortedRow(exchange, why, outcome, this.#facts(this.#stream?.bytes ?? 0), this.#newId)
    this.#end(outcome)
    if (started && this.#stream !== undefined) {
      await this.#abort(this.#stream, gate.audit.append(row), why, 'upstream', undefined)
      return
    }
    await refuse(gate, res, dialect, asked, {
      because: why,
      stage: 'upstream',
      decision: 'block',
      row,
      headers: this.#upstreamStatus(),
    })
  }

  /** A stream that has begun ends with the dialect's own error frame, once the row is durable. */
  async #abort(
    stream: StreamSink,
    ticket: Ticket,
    why: Because,
    stage: Refusal['stage'],
    check: string | undefined,
    escalationId?: string,
  ): Promise<void> {
    const { gate, asked, res } = this.#o
    let told = why
    try {
      await ticket.durable()
    } catch {
      told = because('audit_unavailable', 'the audit log cannot be written')
    }
    stream.abort({
      status: statusOf(told),
      because: told,
      stage,
      correlationId: asked.id,
      strict: gate.settings.strict,
      ...(check === undefined || told !== why ? {} : { check }),
      ...(escalationId === undefined ? {} : { escalationId }),
    })
    await stream.flush()
    endAnswer(res)
  }

  /** The whole answer, sealed until a human has decided. */
  async #held(observed: Observed): Promise<void> {
    const { gate, res, dialect, asked, exchange } = this.#o
    const first = this.#escalated[0]
    if (first === undefined || first.worst.effect.kind !== 'escalate') return
    const frames = this.#kept.frames
    if (frames === undefined) {
      await this.#faulted(because('upstream_too_large', 'the answer is too large to be held for approval'))
      return
    }
    const before = this.#sendReleased()
    if (isThenable(before)) await before
    if (this.#done) return
    const escalationId = gate.random.uuid()
    const expiresAtMs = gate.clock.now() + gate.held.ttlMs
    const sealed = gate.held.sealer.seal(escalationId, {
      dialect: dialect.name,
      request: this.#o.forwarded,
      stream: this.#stream !== undefined,
      status: this.#status,
      headers: pairs(this.#relayed),
      calls: this.#escalated.map(c => ({
        key: c.call.key,
        id: c.call.id,
        name: c.call.name,
        argumentsText: c.call.argumentsText,
      })),
      frames,
    })
    const why = first.worst.effect.because
    let row = decisionRow(exchange, first.worst, this.#newId, {
      _escalation_id: escalationId,
      _expires_at_ms: expiresAtMs,
    })
    try {
      const kept = gate.held.store.put(escalationId, ownerString(exchange.owner), sealed, expiresAtMs)
      if (isThenable(kept)) await within(gate.clock, STATE_LIMIT_MS, kept)
    } catch {
      if (!this.#done) await this.#faulted(because('state_unavailable', 'the held answer could not be kept'))
      return
    }
    if (this.#done) return
    for (const c of this.#escalated.slice(1)) {
      gate.audit.append(row)
      row = decisionRow(exchange, c.worst, this.#newId, { _escalation_id: escalationId, _expires_at_ms: expiresAtMs })
    }
    this.#end(this.#outcome('escalated', observed))
    const told = because('escalated', why.reason, why.details)
    if (this.#stream !== undefined) {
      await this.#abort(this.#stream, gate.audit.append(row), told, 'commitment', first.worst.check, escalationId)
      return
    }
    await refuse(gate, res, dialect, asked, {
      because: told,
      stage: 'commitment',
      decision: 'escalate',
      row,
      check: first.worst.check,
      escalationId,
      headers: this.#upstreamStatus(),
    })
  }

  /** What was released goes out before the end does: how an answer ends must not depend on how the network cut it. */
  #sendReleased(): MaybeAsync<void> {
    return this.#stream?.flush()
  }

  #gone(): void {
    if (this.#done) return
    const { gate, exchange } = this.#o
    this.#call?.cancel()
    const outcome = this.#outcome('disconnected', this.#observed())
    gate.audit.append(
      abortedRow(
        exchange,
        because('client_disconnect', 'the caller left before the answer was complete'),
        outcome,
        this.#facts(this.#stream?.bytes ?? 0),
        this.#newId,
      ),
    )
    this.#end(outcome)
  }

  async #auditLost(observed: Observed): Promise<void> {
    const { gate, res, dialect, asked } = this.#o
    this.#call?.cancel()
    this.#end(this.#outcome('faulted', observed))
    unavailable(gate, res, dialect, asked)
  }

  /** Something here threw: durability was refused, or a defect. Nothing more leaves. */
  #crashed(error: unknown): void {
    if (this.#done) {
      this.#o.res.destroy()
      return
    }
    const { gate, res, dialect, asked } = this.#o
    this.#call?.cancel()
    // Nothing further is taken, though the end may still have to wait for what was released before it.
    this.#busy = true
    const observed = this.#observed()
    const started = this.#stream?.started === true
    if (isAuditLoss(error) || !gate.audit.ok) {
      this.#end(this.#outcome('faulted', observed))
      if (started && this.#stream !== undefined) this.#cutOff(this.#stream)
      else unavailable(gate, res, dialect, asked)
      return
    }
    if (isUnwritable(error)) {
      const verdict = block('redaction_unwritable', 'what would have to be redacted cannot be rewritten in this answer')
      const told = this.#refused({ stage: 'inspection', check: 'pipeline', verdict, effect: verdict, shadow: false })
      told.catch(() => res.destroy())
      return
    }
    const done = this.#faulted(
      because('check_error', 'signet failed while it inspected the answer', { error_class: errorClass(error) }),
    )
    done.catch(() => res.destroy())
  }

  /** The log is lost in the middle of a stream: say so with the dialect's error frame, which releases nothing. */
  #cutOff(stream: StreamSink): void {
    const { gate, asked, res } = this.#o
    stream.abort({
      status: 503,
      because: because('audit_unavailable', 'the audit log cannot be written'),
      stage: 'upstream',
      correlationId: asked.id,
      strict: gate.settings.strict,
    })
    const flushed = stream.flush()
    if (isThenable(flushed)) flushed.then(() => endAnswer(res)).catch(() => res.destroy())
    else endAnswer(res)
  }

  #end(outcome: Outcome): void {
    if (this.#done) return
    this.#done = true
    this.#work = []
    this.#kept.release()
    this.#resolve(outcome)
  }

  // --- facts ---

  #recordCall(c: Commitment): Ticket {
    const { gate, exchange } = this.#o
    if (c.worst.effect.kind === 'block') {
      this.#calls.refused += 1
      return gate.audit.append(decisionRow(exchange, c.worst, this.#newId))
    }
    this.#calls.released += 1
    return gate.audit.append(callAllowedRow(exchange, c, this.#newId))
  }

  /** Decisions that do not end the exchange; those that do are written where it ends. */
  #note(d: Decision): void {
    // A hostile answer must not turn what does not end it into rows without end.
    if (d.effect.kind !== 'block' && ++this.#noted > MAX_NOTED) return
    this.#o.admission.decisions.push(d)
    if (d.effect.kind === 'allow' || d.effect.kind === 'redact')
      this.#o.gate.audit.append(decisionRow(this.#o.exchange, d, this.#newId))
  }

  #notice(c: Commitment): string {
    const why = c.worst.verdict.kind === 'allow' ? '' : `: ${c.worst.verdict.because.reason}`
    return `[signet refused the tool call ${printable(c.call.name)}${this.#o.gate.settings.strict ? '' : why}]`
  }

  #observed(): Observed {
    return this.#release?.observed ?? { outputChars: 0, outputComplete: false }
  }

  #outcome(kind: Outcome['kind'], observed: Observed): Outcome {
    return { ...observed, kind, forwarded: true, ...(this.#status === 0 ? {} : { upstreamStatus: this.#status }) }
  }

  #facts(bytes: number, digest?: string): CompletionFacts {
    return {
      responseBytes: bytes,
      ...(digest === undefined ? {} : { responseDigest: digest }),
      callsReleased: this.#calls.released,
      callsRefused: this.#calls.refused,
      decisionsUnnoted: Math.max(0, this.#noted - MAX_NOTED),
    }
  }

  #abortFacts(started: boolean) {
    return { response_bytes: this.#stream?.bytes ?? 0, abort_stage: 'inspection', _started: started }
  }

  #upstreamStatus(): Record<string, string> {
    return this.#status === 0 ? {} : { 'x-signet-upstream-status': String(this.#status) }
  }

  #answerHeaders(): Record<string, string> {
    const out: Record<string, string> = {}
    for (const [name, value] of pairs(this.#relayed)) out[name] = value
    return { ...out, ...gateHeaders(this.#o.asked) }
  }

  #openingReceipt(): Promise<string> | undefined {
    const { gate, asked, exchange, admissionTicket } = this.#o
    if (gate.receipts === undefined) return undefined
    return (this.#opening ??= signReceipt(gate, gate.receipts, {
      ticket: admissionTicket,
      exchange: asked.id,
      stage: 'admission',
      decision: 'allow',
      req: exchange.requestDigest,
      owner: asked.owner,
      check: undefined,
    }))
  }

  async #streamHead(): Promise<Head> {
    const { gate, admissionTicket } = this.#o
    const durable = admissionTicket.durable()
    durable.catch(() => undefined)
    const headers: Record<string, string> = { ...this.#answerHeaders(), 'cache-control': 'no-cache' }
    headers['content-type'] ??= 'text/event-stream; charset=utf-8'
    if (gate.pipeline.shadow) headers['x-signet-shadow-inspection-active'] = '1'
    const receipt = this.#openingReceipt()
    if (gate.receipts !== undefined && receipt !== undefined) {
      headers[gate.receipts.headerName] = await receipt
      // Trailers need chunks, which HTTP/1.0 does not know.
      if (this.#o.res.useChunkedEncodingByDefault) headers['trailer'] = `${gate.receipts.headerName}-Final`
    }
    await durable
    return { status: this.#status, headers }
  }

  #countHeld(): void {
    if (this.#kept.count(this.#release?.heldBytes ?? 0)) {
      this.#work = [{ kind: 'fault', code: 'overloaded', message: 'too much of too many answers is being held back' }]
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

function pairs(flat: readonly string[]): [string, string][] {
  const out: [string, string][] = []
  for (let i = 0; i + 1 < flat.length; i += 2) out.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return out
}

function isAuditLoss(error: unknown): boolean {
  return error instanceof Error && error.name === 'AuditUnavailable'
}

function isUnwritable(error: unknown): boolean {
  return error instanceof RedactionUnwritable
}

/** A model chose this name: it goes into text the caller's model will read. */
function printable(name: string): string {
  return name.replace(/[^A-Za-z0-9_.:-]/g, '?').slice(0, 64)
}
