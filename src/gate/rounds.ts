/**
 * An admitted exchange, in one round or in several: with `onRefuse: 'continue'` a turn in which every call was refused is
 * not delivered, and the model is asked again with the refusals as results of its calls.
 *
 * Guarantees: at most two further rounds; each is admitted by the whole pipeline on the body it really sends, forwarded,
 * recorded, settled and closed once; the answer that leaves is one upstream answer as the pipeline released it. Whatever
 * keeps the gate from going on has a row, and the refused turn is then delivered.
 */
import { hash } from 'node:crypto'
import type { Admitted, Decision, Exchange, Outcome } from '../core/exchange.ts'
import { type Because, because } from '../core/verdict.ts'
import type { RequestView } from '../core/wire.ts'
import { type Admission, admit } from '../pipeline/admit.ts'
import { errorClass } from '../pipeline/guard.ts'
import { abortedRow, decisionRow, notContinuedRow } from '../pipeline/rows.ts'
import { Settlement } from '../pipeline/settle.ts'
import { close, settle } from './close.ts'
import { type Forwarding, forward } from './forward.ts'
import { receiptsReady } from './receipts.ts'
import { judgeReferences } from './references.ts'
import { shadowHeaders } from './shadow.ts'
import type { DeliveryOptions, GoingOn, RefusedAnswer } from './under-way.ts'

/** How often the model is asked again. */
const MOST_ROUNDS = 2

export interface Round {
  /** Before admission: the next round is admitted anew. */
  readonly draft: Omit<Exchange, 'policyDigest' | 'decisions'>
  readonly admission: Admission
  readonly exchange: Admitted
  readonly settlement: Settlement
  /** A round before this one was let through by shadow alone. */
  readonly shadowed: boolean
}

export interface Rounds extends Forwarding {
  readonly signal: () => AbortSignal
}

/** Closes every round but the last, which is the caller's to close with its outcome. */
export async function inRounds(o: Rounds, first: Round): Promise<{ readonly outcome: Outcome; readonly round: Round }> {
  if (!mayGoOn(o, first.exchange)) {
    return { outcome: await forward(o, first.admission, first.exchange), round: first }
  }
  let round = first
  const line: NonNullable<DeliveryOptions['line']> = { stream: undefined }
  try {
    for (;;) {
      const here = round
      let next: Round | undefined
      const goOn = async (turn: RefusedAnswer): Promise<GoingOn | undefined> => {
        const found = await nextRound(o, here, turn)
        if (found === undefined) return undefined
        return {
          digest: digestOf(found.draft.request.raw),
          take: () => {
            next = found
          },
          leave: () => left(o, found),
        }
      }
      // The key stands for the caller's request: upstream would take the next one for the same, or refuse it.
      const headers = round === first ? o.headers : withoutKey(o.headers)
      const more = { line, shadowed: here.shadowed, ...(mayGoOn(o, here.exchange) ? { goOn } : {}) }
      const outcome = await forward({ ...o, headers }, here.admission, here.exchange, more)
      if (next === undefined) return { outcome, round: here }
      // First: whatever happens from here on, it is this round's reservations that have to come back.
      round = next
      await close(o.gate, here.admission, here.settlement, outcome)
    }
  } catch (error) {
    // The first one's reservations are settled where they were made.
    if (round !== first) await round.settlement.settle({ ...NOTHING_SAID, kind: 'faulted' })
    throw error
  }
}

/**
 * Without tools the model is not expected to call any, and in shadow or without a check of calls nothing is refused: such
 * an answer need not be withheld.
 */
function mayGoOn({ gate, dialect }: Rounds, x: Admitted): boolean {
  if (gate.settings.onRefuse !== 'continue' || dialect.continueRequest === undefined) return false
  if (gate.pipeline.shadow || gate.pipeline.commitment.length === 0) return false
  return x.request.n === 1 && x.request.tools.length > 0 && (x.round ?? 0) < MOST_ROUNDS
}

/** `undefined`: the refused turn is to be delivered, and a row says why, unless the caller has left. */
async function nextRound(o: Rounds, here: Round, turn: RefusedAnswer): Promise<Round | undefined> {
  const { gate, res } = o
  const { exchange: x } = here
  // What the turn cost counts when the next one is admitted.
  await settle(gate, here.admission, here.settlement, turn.outcome)
  if (res.destroyed) return undefined
  // Where the log is lost nothing is delivered either, and delivery says so.
  if (!gate.audit.ok || !receiptsReady(gate)) return undefined
  const request = nextRequest(o, x, turn)
  if ('code' in request) return stay(o, x, request)
  const settlement = new Settlement(gate.clock)
  const draft = { ...here.draft, round: (x.round ?? 0) + 1, request }
  let admission: Admission
  try {
    admission = await admit(gate.pipeline, draft, { signal: o.signal, settlement })
    if (admission.admitted !== undefined) {
      const objection = await judgeReferences(gate, admission.admitted)
      if (objection !== undefined) admission.decisions.push(objection)
    }
  } catch (error) {
    await settlement.settle({ ...NOTHING_SAID, kind: 'faulted' })
    const why = because('check_error', 'signet failed while it decided', { error_class: errorClass(error) })
    return stay(o, { ...x, round: draft.round }, why)
  }
  const { admitted, exchange } = admission
  const shadowed = here.shadowed || turn.shadowed
  const refusal = admission.refusal ?? admission.decisions.find(d => isObjection(d))
  if (admitted === undefined || refusal !== undefined) {
    for (const d of admission.decisions) gate.audit.append(decisionRow(exchange, d, newIdOf(o)))
    await settle(gate, admission, settlement, { ...NOTHING_SAID, kind: 'refused' })
    const why = refusal === undefined ? undefined : refusal.verdict
    return stay(o, exchange, why === undefined || why.kind === 'allow' ? NOT_ADMITTED : why.because)
  }
  const next = { draft, admission, exchange: admitted, settlement, shadowed }
  if (!res.destroyed) {
    o.asked.shadowHeaders = {
      ...o.asked.shadowHeaders,
      ...shadowHeaders(exchange.decisions, o.asked.id, gate.settings.strict),
    }
    return next
  }
  await left(o, next)
  return undefined
}

function nextRequest({ gate, dialect }: Rounds, x: Admitted, turn: RefusedAnswer): RequestView | Because {
  let body: Uint8Array | undefined
  try {
    body = dialect.continueRequest?.(x.request, { stream: turn.stream, said: turn.said(), refused: turn.refused })
  } catch {
    // What would have to be redacted cannot be: delivering the turn will find out too, and end it.
  }
  if (body === undefined) {
    return because('custom:not_continued', 'the refused turn has what cannot be handed back to the model')
  }
  if (body.length > gate.settings.maxBodyBytes) {
    return because('body_too_large', 'the conversation with the refusals is longer than a request may be', {
      bytes: body.length,
    })
  }
  const view = dialect.readRequest(body)
  return 'kind' in view ? because(view.code, view.message, view.details) : view
}

function stay({ gate }: Rounds, x: Exchange, why: Because): undefined {
  gate.audit.append(notContinuedRow(x, why, () => gate.random.uuid()))
  return undefined
}

/** The caller left before the model was asked again. */
async function left(o: Rounds, { admission, exchange, settlement }: Round): Promise<void> {
  const { gate } = o
  const outcome = { ...NOTHING_SAID, kind: 'disconnected' } as const
  for (const d of admission.decisions) gate.audit.append(decisionRow(exchange, d, newIdOf(o)))
  const why = because('client_disconnect', 'the caller left before the model was asked again')
  const facts = { responseBytes: 0, callsReleased: 0, callsRefused: 0 }
  gate.audit.append(abortedRow(exchange, why, outcome, facts, newIdOf(o)))
  await settle(gate, admission, settlement, outcome)
}

function isObjection(d: Decision): boolean {
  return d.effect.kind === 'block'
}

function withoutKey(flat: readonly string[]): readonly string[] {
  return flat.filter((_, i) => flat[i - (i % 2)]?.toLowerCase() !== 'idempotency-key')
}

function newIdOf({ gate }: Rounds): () => string {
  return () => gate.random.uuid()
}

function digestOf(body: Uint8Array): string {
  return `sha256:${hash('sha256', body, 'hex')}`
}

const NOTHING_SAID = Object.freeze({ forwarded: false, outputChars: 0, outputComplete: false })
const NOT_ADMITTED = because('check_error', 'the conversation with the refusals was not admitted')
