/**
 * Answers that signet itself gives instead of the model's: refusals, escalations, faults. Every one of them has a row,
 * and the row is durable before the answer leaves; when it cannot be, the answer is 503 and says nothing else.
 */
import { hash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Row, Ticket } from '../core/row.ts'
import { type Because, because, type Verdict } from '../core/verdict.ts'
import type { Dialect, Refusal } from '../core/wire.ts'
import type { ReceiptStage } from '../receipt/claims.ts'
import type { CountedOutcome } from '../telemetry/counters.ts'
import type { Gate } from './gate.ts'
import { signReceipt } from './receipts.ts'
import { endAnswer } from './sink.ts'
import { mayRetry, statusOf } from './status.ts'

/** The facts an answer needs about its exchange, known from the first byte on. */
export interface Asked {
  readonly id: string
  readonly upstreamLabel: string
  /** `sha256:<hex>` of the request bytes; `undefined` while the body has not been read. */
  requestDigest: string | undefined
  /** `type:id`, once resolved. */
  owner: string | undefined
  /** How long the caller is kept waiting for a human, in milliseconds; 0: it is told at once. */
  waitMs: number
  /** `X-Signet-Shadow-…` headers of what would have been refused. */
  shadowHeaders: Record<string, string>
  /** What the gate itself said, or let through, for the access log. */
  told: { readonly decision: Verdict['kind']; readonly code?: string } | undefined
  /** How it ended, as it is counted. */
  outcome: CountedOutcome | undefined
}

export interface Answer {
  readonly because: Because
  readonly stage: Refusal['stage']
  readonly decision: Verdict['kind']
  /** The row behind it, to be written, or written already. */
  readonly row?: Row
  readonly ticket?: Ticket
  readonly check?: string
  readonly status?: number
  readonly retryAfterS?: number
  readonly escalationId?: string
  readonly shadow?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

/** Writes the row, waits until it is durable, answers. Never throws. */
export async function refuse(
  gate: Gate,
  res: ServerResponse,
  dialect: Dialect,
  asked: Asked,
  answer: Answer,
): Promise<void> {
  asked.told = { decision: answer.decision, code: answer.because.code }
  const ticket = ticketOf(gate, answer)
  const escalated = answer.decision === 'escalate' && answer.because.code === 'escalated'
  const status = answer.status ?? (escalated ? escalatedStatus(gate) : statusOf(answer.because))
  const made = dialect.refuse(refusalOf(gate, asked, answer, status))
  const durable = ticket.durable()
  let receipt: string | undefined
  try {
    receipt = await refusalReceipt(gate, asked, answer, ticket, made.body)
    await durable
  } catch {
    durable.catch(() => undefined)
    unavailable(gate, res, dialect, asked)
    return
  }
  send(gate, res, asked, status, { ...made.headers, ...answer.headers }, made.body, answer.retryAfterS, receipt)
}

function escalatedStatus(gate: Gate): number {
  return gate.settings.onEscalate === '403' ? 403 : 202
}

function ticketOf(gate: Gate, { row, ticket }: Answer): Ticket {
  if (ticket !== undefined) return ticket
  if (row === undefined) throw new Error('an answer of the gate needs its row')
  return gate.audit.append(row)
}

/** The log cannot be written, or its receipt not signed: no row, no release. */
export function unavailable(gate: Gate, res: ServerResponse, dialect: Dialect, asked: Asked): void {
  const what = gate.audit.ok ? 'the receipt of this decision cannot be signed' : 'the audit log cannot be written'
  const why = because('audit_unavailable', `${what}; nothing is released until it can`)
  asked.told = { decision: 'block', code: why.code }
  const made = dialect.refuse(refusalOf(gate, asked, { because: why, stage: 'preflight' }, 503))
  send(gate, res, asked, 503, made.headers, made.body, 1, undefined)
}

function refusalOf(
  gate: Gate,
  asked: Asked,
  answer: Pick<Answer, 'because' | 'stage' | 'check' | 'retryAfterS' | 'escalationId'>,
  status: number,
): Refusal {
  return {
    status,
    because: answer.because,
    stage: answer.stage,
    correlationId: asked.id,
    strict: gate.settings.strict,
    ...(answer.check === undefined ? {} : { check: answer.check }),
    ...(answer.retryAfterS === undefined ? {} : { retryAfterS: answer.retryAfterS }),
    ...(answer.escalationId === undefined ? {} : { escalationId: answer.escalationId }),
  }
}

async function refusalReceipt(
  gate: Gate,
  asked: Asked,
  answer: Answer,
  ticket: Ticket,
  body: Uint8Array,
): Promise<string | undefined> {
  if (gate.receipts === undefined || asked.requestDigest === undefined) return undefined
  const stage: ReceiptStage = answer.stage
  return signReceipt(gate, gate.receipts, {
    ticket,
    exchange: asked.id,
    stage,
    decision: answer.decision,
    req: asked.requestDigest,
    res: `sha256:${hash('sha256', body, 'hex')}`,
    ...(answer.shadow ? { shadow: true } : {}),
    owner: asked.owner,
    check: answer.check,
  })
}

function send(
  gate: Gate,
  res: ServerResponse,
  asked: Asked,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  retryAfterS: number | undefined,
  receipt: string | undefined,
): void {
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  res.writeHead(status, {
    ...headers,
    ...gateHeaders(asked),
    'content-length': body.length,
    ...(receipt === undefined || gate.receipts === undefined ? {} : { [gate.receipts.headerName]: receipt }),
    ...(retryAfterS === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterS))) }),
    ...(mayRetry(status) || status < 300 ? {} : { 'x-should-retry': 'false' }),
  })
  endAnswer(res, body)
}

/** On every gated answer. */
export function gateHeaders(asked: Asked): Record<string, string> {
  return {
    'x-signet-correlation-id': asked.id,
    'x-signet-upstream': asked.upstreamLabel,
    ...asked.shadowHeaders,
  }
}
