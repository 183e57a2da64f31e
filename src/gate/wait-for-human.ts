/**
 * A caller that is kept waiting. Guarantees that a decision made at any moment is seen at once, also one made by another
 * process (at the next beat), and that a caller who leaves stops waiting; the escalation goes on without it.
 */
import type { ServerResponse } from 'node:http'
import type { MaybeAsync } from '../core/check.ts'
import type { Escalation } from '../escalation/escalation.ts'
import type { Gate } from './gate.ts'

/** Between two looks, and two comments that keep a stream alive. */
const BEAT_MS = 10_000
/** Nobody waits longer, whatever they prefer. */
export const LONGEST_WAIT_MS = 15 * 60_000

/** As it stands when it is decided, when `ms` have passed, or when the caller has gone. */
export async function waitForHuman(
  gate: Gate,
  res: ServerResponse,
  id: string,
  ms: number,
  beat: () => MaybeAsync<void> = () => undefined,
): Promise<Escalation> {
  const gone = new AbortController()
  const leave = () => gone.abort()
  res.once('close', leave)
  const until = gate.clock.now() + Math.min(ms, LONGEST_WAIT_MS)
  try {
    for (;;) {
      // Asked before looking: a decision between the two is not missed.
      const left = until - gate.clock.now()
      const change = gate.desk.changed(id, Math.max(0, Math.min(left, BEAT_MS)), gone.signal)
      const e = await gate.desk.find(id)
      if (e === undefined) throw new Error('the escalation is gone')
      if (e.state !== 'pending' || left <= 0 || res.destroyed) return e
      await change
      if (!res.destroyed) await beat()
    }
  } finally {
    res.off('close', leave)
    gone.abort()
  }
}

/**
 * `Prefer: wait=N` in seconds (RFC 7240 4.3), as the caller wrote it; `undefined` when it did not. The first one counts
 * (RFC 7240 2); what is no number of seconds is ignored, as preferences are.
 */
export function preferredWaitMs(rawHeaders: readonly string[]): number | undefined {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'prefer') continue
    const found = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?=$|[,;])/i.exec(rawHeaders[i + 1] ?? '')
    if (found !== null) return Math.min(Number(found[1]) * 1000, LONGEST_WAIT_MS)
  }
  return undefined
}
