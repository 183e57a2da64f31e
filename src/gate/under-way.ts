/**
 * One answer under way: what is known of it, what was written, and whether it is over. Upstream's side (`deliver.ts`) and
 * the ways it can end (`complete.ts`, `break-off.ts`, `hold.ts`) share it.
 *
 * Guarantees: `end` counts once, and afterwards nothing more is counted as held.
 */
import type { ServerResponse } from 'node:http'
import type { Admitted, Decision, Outcome } from '../core/exchange.ts'
import type { Assurance, Ticket } from '../core/row.ts'
import type { Dialect, Frame, ToolCall } from '../core/wire.ts'
import type { Admission } from '../pipeline/admit.ts'
import type { Commitment } from '../pipeline/commit.ts'
import type { Release } from '../pipeline/release.ts'
import { type CompletionFacts, callAllowedRow, decisionRow } from '../pipeline/rows.ts'
import type { Observed } from '../pipeline/step.ts'
import type { UpstreamCall } from '../upstream/upstream.ts'
import { type Asked, gateHeaders } from './answer.ts'
import type { Gate } from './gate.ts'
import { Kept } from './kept.ts'
import { Minting } from './mint.ts'
import { Given } from './references.ts'
import type { StreamSink, UnarySink } from './sink.ts'
import { Withheld } from './withheld.ts'

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
  /** Something was let through by shadow alone before this round. */
  readonly shadowed?: boolean
  /** The stream to the caller, when comments have opened it in a round before. */
  readonly line?: { stream: StreamSink | undefined }
  /** The turn is withheld until it ends; asked when every call in it was refused. `undefined`: deliver it. Never rejects. */
  readonly goOn?: (turn: RefusedAnswer) => Promise<GoingOn | undefined>
}

/** A turn in which every call was refused, before anything of it has left. */
export interface RefusedAnswer {
  readonly stream: boolean
  /** Frame by frame as inspection left it, with the calls. Throws when a redaction cannot be written. */
  readonly said: () => readonly Uint8Array[]
  readonly refused: readonly { readonly call: ToolCall; readonly notice: string }[]
  readonly outcome: Outcome
  readonly shadowed: boolean
}

/** The next round, admitted. One of the two is called. */
export interface GoingOn {
  /** `sha256:<hex>` of the body the model is asked with. */
  readonly digest: string
  take(): void
  leave(): Promise<void>
}

/** Redactions and shadowed findings of one answer that get a row each; the last row counts the rest. */
const MAX_NOTED = 256

export class UnderWay {
  readonly o: DeliveryOptions
  readonly newId: () => string
  readonly kept: Kept
  readonly given: Given
  readonly minting: Minting
  readonly withheld: Withheld | undefined
  /** Resolves when the exchange is over and answered. Never rejects. */
  readonly over: Promise<Outcome>
  call: UpstreamCall | undefined
  release: Release | undefined
  /** One of the two, from upstream's head on. */
  unary: UnarySink | undefined
  stream: StreamSink | undefined
  /** Upstream's; 0 before its head. */
  status = 0
  /** Upstream's headers that the caller will see. */
  relayed: readonly string[] = []
  /** The text of the relayed headers, which passes every check like the rest of the answer. */
  head: Frame | undefined
  /** Calls waiting for a human; from the first one on, nothing more is written. */
  readonly escalated: Commitment[] = []
  /** The completion row of a stream has been appended. */
  completed = false
  done = false
  /** The call of a unary answer that demands more than a durable row, and what it demands. */
  demand: { readonly ticket: Ticket; readonly level: Assurance } | undefined
  /** The receipt that opens a stream, once it has been asked for. */
  opening: Promise<string> | undefined
  #resolve: (outcome: Outcome) => void = () => undefined
  #calls = { released: 0, refused: 0 }
  /** Of a withheld turn. */
  readonly #recorded: Map<string, Ticket> | undefined
  /** Redactions and shadowed findings so far. */
  #noted = 0
  #shadowed: boolean

  constructor(options: DeliveryOptions) {
    this.o = options
    this.newId = () => options.gate.random.uuid()
    this.kept = new Kept(options.gate)
    this.given = new Given(options.gate, options.exchange)
    this.minting = new Minting(options.gate, options.exchange)
    this.withheld = options.goOn === undefined ? undefined : new Withheld()
    this.#recorded = options.goOn === undefined ? undefined : new Map()
    this.#shadowed = options.shadowed === true || options.admission.decisions.some(isShadowed)
    this.over = new Promise(resolve => {
      this.#resolve = resolve
    })
  }

  end(outcome: Outcome): void {
    if (this.done) return
    this.done = true
    this.kept.release()
    this.#resolve(outcome)
  }

  /** A row for each call, once: what was recorded when a withheld turn ended is not recorded again when it leaves. */
  recordCall(c: Commitment): Ticket {
    if (this.#recorded === undefined) return this.#recordCall(c)
    const ticket = this.#recorded.get(c.call.key) ?? this.#recordCall(c)
    this.#recorded.set(c.call.key, ticket)
    return ticket
  }

  #recordCall(c: Commitment): Ticket {
    const { gate, exchange } = this.o
    if (c.worst.effect.kind === 'block') {
      this.#calls.refused += 1
      return gate.audit.append(decisionRow(exchange, c.worst, this.newId))
    }
    this.#calls.released += 1
    const ticket = gate.audit.append(callAllowedRow(exchange, c, this.newId))
    this.minting.add(c, ticket.entryId)
    return ticket
  }

  /** Decisions that do not end the exchange; those that do are written where it ends. */
  note(d: Decision): void {
    this.#shadowed ||= isShadowed(d)
    // A hostile answer must not turn what does not end it into rows without end.
    if (d.effect.kind !== 'block' && ++this.#noted > MAX_NOTED) return
    this.o.admission.decisions.push(d)
    if (d.effect.kind === 'allow' || d.effect.kind === 'redact')
      this.o.gate.audit.append(decisionRow(this.o.exchange, d, this.newId))
  }

  /** Was anything found so far and, in shadow, not enforced? */
  get shadowed(): boolean {
    return this.#shadowed
  }

  notice(c: Commitment): string {
    const why = c.worst.verdict.kind === 'allow' ? '' : `: ${c.worst.verdict.because.reason}`
    return `[signet refused the tool call ${printable(c.call.name)}${this.o.gate.settings.strict ? '' : why}]`
  }

  get observed(): Observed {
    return this.release?.observed ?? { outputChars: 0, outputComplete: false }
  }

  outcome(kind: Outcome['kind'], observed: Observed): Outcome {
    return { ...observed, kind, forwarded: true, ...(this.status === 0 ? {} : { upstreamStatus: this.status }) }
  }

  facts(bytes: number, digest?: string): CompletionFacts {
    return {
      responseBytes: bytes,
      ...(digest === undefined ? {} : { responseDigest: digest }),
      callsReleased: this.#calls.released,
      callsRefused: this.#calls.refused,
      decisionsUnnoted: Math.max(0, this.#noted - MAX_NOTED),
    }
  }

  upstreamStatus(): Record<string, string> {
    return this.status === 0 ? {} : { 'x-signet-upstream-status': String(this.status) }
  }

  answerHeaders(): Record<string, string> {
    const out: Record<string, string> = {}
    for (const [name, value] of pairs(this.relayed)) out[name] = value
    return { ...out, ...gateHeaders(this.o.asked) }
  }
}

export function pairs(flat: readonly string[]): [string, string][] {
  const out: [string, string][] = []
  for (let i = 0; i + 1 < flat.length; i += 2) out.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return out
}

function isShadowed(d: Decision): boolean {
  return d.shadow && d.verdict.kind !== 'allow'
}

/** A model chose this name: it goes into text the caller's model will read. */
function printable(name: string): string {
  return name.replace(/[^A-Za-z0-9_.:-]/g, '?').slice(0, 64)
}
