/**
 * An answer that came to its end. Guarantees that its completion row is durable, and its receipt signed, before the last
 * of it leaves: a unary body whole, a stream's end mark. What it gave its owner is on record by then, unless the record
 * is down.
 */
import { hash } from 'node:crypto'
import { because } from '../core/verdict.ts'
import { completedRow } from '../pipeline/rows.ts'
import type { Observed } from '../pipeline/step.ts'
import { assure } from './assure.ts'
import { auditLost, faulted } from './break-off.ts'
import { hold } from './hold.ts'
import { signReceipt } from './receipts.ts'
import { shadowHeaders } from './shadow.ts'
import { endAnswer, type StreamSink } from './sink.ts'
import type { UnderWay } from './under-way.ts'

export async function finished(d: UnderWay, observed: Observed): Promise<void> {
  if (d.escalated.length > 0) return hold(d, observed)
  const stream = d.stream
  if (stream !== undefined) {
    await stream.flush()
    if (!d.completed && !d.done) await completeStream(d, stream)
    await stream.flush()
    if (d.done) return
    if (!stream.started) {
      await faulted(d, because('upstream_truncated', 'upstream sent no event at all'))
      return
    }
    d.end(d.outcome('completed', observed))
    endAnswer(d.o.res)
    return
  }
  await completeUnary(d, observed)
}

async function completeUnary(d: UnderWay, observed: Observed): Promise<void> {
  const { gate, res, asked, exchange } = d.o
  // Before the row that says the answer is complete: a call that may not leave completes nothing.
  if (d.demand !== undefined) {
    await assure(gate, d.demand.ticket, d.demand.level)
    if (d.done) return
    if (d.minting.waits) {
      await d.minting.mint(d.shadowed)
      if (d.done) return
      const writer = d.o.dialect.openWriter({ ...exchange.request, stream: false })
      d.unary?.rewrite(writer, (frame, edits) => d.minting.edits(frame, edits))
    }
  }
  const body = d.unary?.body() ?? new Uint8Array(0)
  const outcome = d.outcome('completed', observed)
  const digest = hash('sha256', body, 'hex')
  const ticket = gate.audit.append(completedRow(exchange, outcome, d.facts(body.length, digest), d.newId))
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
    const remembered = d.given.remembered()
    if (remembered !== undefined) await remembered
  } catch {
    durable.catch(() => undefined)
    await auditLost(d, observed)
    return
  }
  if (d.done) return
  d.end(outcome)
  if (res.destroyed) return
  // Nothing has been sent: what inspection and commitment would have done is known too.
  const shadowed = shadowHeaders(d.o.admission.decisions, asked.id, gate.settings.strict)
  asked.shadowHeaders = { ...asked.shadowHeaders, ...shadowed }
  res.writeHead(d.status, {
    ...d.answerHeaders(),
    'content-length': body.length,
    'x-signet-upstream-status': d.status,
    ...(signed === undefined || gate.receipts === undefined ? {} : { [gate.receipts.headerName]: signed }),
  })
  endAnswer(res, body)
}

/**
 * The row behind the end of a stream, and the receipt over everything that is said in it: before a bare end mark
 * (`[DONE]`, `message_stop`), after a last event that repeats the answer (`response.completed`).
 */
export async function completeStream(
  d: UnderWay,
  stream: StreamSink,
  last?: { readonly rendered: Uint8Array; readonly speaks: boolean },
): Promise<void> {
  const { gate, asked, exchange, res } = d.o
  d.completed = true
  await stream.flush()
  const remembered = d.given.remembered()
  if (remembered !== undefined) await remembered
  if (d.done) return
  const outcome = d.outcome('completed', d.observed)
  const said = last?.speaks === true ? last.rendered : undefined
  const digest = stream.digest(said)
  const facts = d.facts(stream.bytes + (said?.length ?? 0), digest)
  const ticket = gate.audit.append(completedRow(exchange, outcome, facts, d.newId))
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
