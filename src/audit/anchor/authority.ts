/** One request to a time-stamping authority over HTTP: RFC 3161 section 3.4. */
import type { AuditEgress } from '../egress.ts'
import { AnchorInvalid } from './errors.ts'
import type { Stamper } from './load.ts'
import type { Stamp } from './response.ts'

const TIMEOUT_MS = 20_000
const NONCE_BYTES = 16
/** A response with a few certificates has some 6 kB. */
const MAX_BYTES = 64 * 1024

export interface AuthorityPorts {
  readonly egress: AuditEgress
  readonly stamper: Stamper
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
  readonly timeoutMs?: number
}

/** A verified answer. Rejects with `AnchorInvalid`. */
export async function askAuthority(
  url: string,
  data: Uint8Array,
  policy: string | undefined,
  { egress, stamper, nowMs, random, timeoutMs = TIMEOUT_MS }: AuthorityPorts,
  signal: AbortSignal,
): Promise<{ readonly stamp: Stamp; readonly response: Uint8Array }> {
  const { bytes, nonce } = await stamper.request(data, policy, random(NONCE_BYTES))
  const atMs = nowMs()
  const answer = await egress
    .send({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/timestamp-query', accept: 'application/timestamp-reply' },
      body: bytes,
      timeoutMs,
      maxBytes: MAX_BYTES,
      signal,
    })
    .catch((error: unknown) => {
      const why = error instanceof Error ? (error.message.split('\n')[0] ?? '').slice(0, 200) : 'it cannot be asked'
      throw new AnchorInvalid('unavailable', `no answer: ${why}`, { cause: error })
    })
  if (answer.status !== 200) throw new AnchorInvalid('unavailable', `expected the status 200, got ${answer.status}`)
  if (answer.contentType?.split(';')[0]?.trim().toLowerCase() !== 'application/timestamp-reply')
    throw new AnchorInvalid('unavailable', 'expected an answer of the type application/timestamp-reply')
  const stamp = await stamper.verify(answer.body, data, { policy, nowMs: nowMs(), asked: { nonce, atMs } })
  return { stamp, response: answer.body }
}
