/** When a notice that failed is tried again: 5 s, 20 s, 80 s, 5 min, 21 min, 85 min, 5.7 h, then every 6 h; ten tries in about 20 hours. */
import type { Random } from '../core/clock.ts'

export const MAX_ATTEMPTS = 10
/** Standard Webhooks takes `Retry-After` into account; a receiver that asks for more than this asks too much. */
export const LONGEST_PAUSE_MS = 24 * 3_600_000

const FIRST_MS = 5_000
const FACTOR = 4
const LAST_MS = 6 * 3_600_000
/** Up to this part of the pause is added or taken away: senders that failed together do not come back together. */
const JITTER = 0.2

/** After `attempts` earlier tries, and one more that has just failed. */
export function afterMs(attempts: number, random: Pick<Random, 'bytes'>): number {
  const pause = Math.min(FIRST_MS * FACTOR ** attempts, LAST_MS)
  const [a = 0, b = 0] = random.bytes(2)
  const part = (a * 256 + b) / 65_535
  return Math.round(pause * (1 + JITTER * (2 * part - 1)))
}

/** RFC 9110 10.2.3: seconds, or a date. */
export function readRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  // IMF-fixdate (RFC 9110 5.6.7); `Date.parse` alone takes much that is none.
  const isDate = /^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT$/.test(text)
  const ms = /^[0-9]{1,9}$/.test(text) ? Number(text) * 1000 : isDate ? Date.parse(text) - nowMs : Number.NaN
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_PAUSE_MS)
}
