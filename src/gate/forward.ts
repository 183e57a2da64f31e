/** The forwarding half of an exchange: rows first, then upstream, then delivery. */
import type { ServerResponse } from 'node:http'
import type { Admitted, Exchange, Outcome } from '../core/exchange.ts'
import type { Ticket } from '../core/row.ts'
import { because } from '../core/verdict.ts'
import type { Dialect } from '../core/wire.ts'
import type { Admission } from '../pipeline/admit.ts'
import { highestOf } from '../pipeline/assurance.ts'
import { abortedRow, admittedRow, decisionRow } from '../pipeline/rows.ts'
import type { UpstreamRequest } from '../upstream/upstream.ts'
import { type Asked, refuse, unavailable } from './answer.ts'
import { assure, NotAssured } from './assure.ts'
import { Delivery } from './deliver.ts'
import type { Gate } from './gate.ts'
import type { DeliveryOptions } from './under-way.ts'

export interface Forwarding {
  readonly gate: Gate
  readonly res: ServerResponse
  readonly dialect: Dialect
  readonly asked: Asked
  readonly to: Pick<UpstreamRequest, 'method' | 'path'>
  readonly headers: readonly string[]
}

/**
 * Takes nothing but an admitted exchange. `goOn`: the turn is withheld until it ends, and this is asked when every call in
 * it was refused.
 */
export async function forward(
  { gate, res, dialect, asked, to, headers }: Forwarding,
  admission: Admission,
  x: Admitted,
  withholding?: Pick<DeliveryOptions, 'goOn' | 'shadowed' | 'line'>,
): Promise<Outcome> {
  const target = gate.targets[dialect.provider]
  const newId = () => gate.random.uuid()
  for (const d of x.decisions) gate.audit.append(decisionRow(x, d, newId))
  const ticket: Ticket = gate.audit.append(admittedRow(x, newId))
  // Calls of tools that upstream runs fire before anybody can judge them: what they demand is demanded of this row.
  const level = highestOf(x.request.upstreamTools.map(tool => gate.pipeline.assurance.of(tool)))
  const early = level !== 'durable' || beforeForward(gate, x)
  if (early || x.request.stream) {
    // A stream's first byte needs this row anyway: let the sync run beside the call.
    const durable = ticket.durable()
    durable.catch(() => undefined)
    if (early) {
      const outcome = { kind: 'faulted', forwarded: false, outputChars: 0, outputComplete: false } as const
      try {
        await assure(gate, ticket, level)
      } catch (error) {
        if (error instanceof NotAssured) {
          const facts = { responseBytes: 0, callsReleased: 0, callsRefused: 0 }
          const row = abortedRow(x, error.because, outcome, facts, newId)
          await refuse(gate, res, dialect, asked, {
            because: error.because,
            stage: 'admission',
            decision: 'block',
            row,
          })
        } else unavailable(gate, res, dialect, asked)
        return outcome
      }
    }
  }
  if (res.destroyed) {
    const outcome = { kind: 'disconnected', forwarded: false, outputChars: 0, outputComplete: false } as const
    const why = because('client_disconnect', 'the caller left before the model was called')
    gate.audit.append(abortedRow(x, why, outcome, { responseBytes: 0, callsReleased: 0, callsRefused: 0 }, newId))
    return outcome
  }
  const forwarded = dialect.writeRequest(x.request, admission.edits)
  const delivery = new Delivery({
    gate,
    res,
    dialect,
    asked,
    admission,
    exchange: x,
    admissionTicket: ticket,
    forwarded,
    ...withholding,
  })
  delivery.begin(
    target.upstream.forward(
      {
        ...to,
        headers,
        ...(to.method === 'GET' ? {} : { body: forwarded }),
      },
      delivery,
    ),
  )
  return delivery.over
}

function beforeForward(gate: Gate, x: Exchange): boolean {
  switch (gate.settings.beforeForward) {
    case 'always':
      return true
    case 'never':
      return false
    case 'auto':
      return (x.levels?.rank ?? 0) > 0 || x.request.upstreamTools.length > 0
  }
}
