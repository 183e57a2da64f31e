/** How a stream opens: its head waits for the admission row to be durable, and carries the receipt of it. */
import { signReceipt } from './receipts.ts'
import type { Head } from './sink.ts'
import type { UnderWay } from './under-way.ts'

/** Signed once, beside the call and the sync of its row: begun by the first who asks. */
export function openingReceipt(d: UnderWay): Promise<string> | undefined {
  const { gate, asked, exchange, admissionTicket } = d.o
  if (gate.receipts === undefined) return undefined
  return (d.opening ??= signReceipt(gate, gate.receipts, {
    ticket: admissionTicket,
    exchange: asked.id,
    stage: 'admission',
    decision: 'allow',
    req: exchange.requestDigest,
    owner: asked.owner,
    check: undefined,
  }))
}

export async function streamHead(d: UnderWay): Promise<Head> {
  const { gate, admissionTicket } = d.o
  const durable = admissionTicket.durable()
  durable.catch(() => undefined)
  const headers: Record<string, string> = { ...d.answerHeaders(), 'cache-control': 'no-cache' }
  headers['content-type'] ??= 'text/event-stream; charset=utf-8'
  if (gate.pipeline.shadow) headers['x-signet-shadow-inspection-active'] = '1'
  const receipt = openingReceipt(d)
  if (gate.receipts !== undefined && receipt !== undefined) {
    headers[gate.receipts.headerName] = await receipt
    // Trailers need chunks, which HTTP/1.0 does not know.
    if (d.o.res.useChunkedEncodingByDefault) headers['trailer'] = `${gate.receipts.headerName}-Final`
  }
  await durable
  return { status: d.status, headers }
}
