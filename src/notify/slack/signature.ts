/**
 * Is this request Slack's? https://docs.slack.dev/authentication/verifying-requests-from-slack
 *
 * Guarantees: the signature is over the bytes that came, compared in constant time; a request older or newer than five
 * minutes is refused, and so is one that was here already. Bounded: when more requests than that are remembered, new ones
 * are refused until the old ones are too old to come again. Does not guarantee: that a request from before a restart of this
 * process is known again; the desk decides nothing twice.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'

export type SignatureProblem = 'signature_missing' | 'signature_stale' | 'signature_invalid' | 'replayed' | 'too_many'

export const WINDOW_MS = 5 * 60_000
const MOST_REMEMBERED = 20_000

export class SlackSignatures {
  readonly #secret: string
  readonly #clock: Pick<Clock, 'now'>
  readonly #most: number
  /** Signature to when it is too old. In the order in which they came. */
  readonly #seen = new Map<string, number>()

  constructor(secret: string, clock: Pick<Clock, 'now'>, most = MOST_REMEMBERED) {
    this.#secret = secret
    this.#clock = clock
    this.#most = most
  }

  /** `undefined`: it is Slack's, and it is here for the first time. */
  check(timestamp: string | undefined, signature: string | undefined, body: Uint8Array): SignatureProblem | undefined {
    if (timestamp === undefined || signature === undefined) return 'signature_missing'
    if (!/^[0-9]{1,12}$/.test(timestamp) || !/^v0=[0-9a-f]{64}$/.test(signature)) return 'signature_invalid'
    const now = this.#clock.now()
    const sentMs = Number(timestamp) * 1000
    if (Math.abs(now - sentMs) > WINDOW_MS) return 'signature_stale'
    const expected = createHmac('sha256', this.#secret).update(`v0:${timestamp}:`).update(body).digest()
    if (!timingSafeEqual(expected, Buffer.from(signature.slice(3), 'hex'))) return 'signature_invalid'
    this.#forget(now)
    if (this.#seen.has(signature)) return 'replayed'
    if (this.#seen.size >= this.#most) return 'too_many'
    this.#seen.set(signature, sentMs + WINDOW_MS)
    return undefined
  }

  #forget(now: number): void {
    if (this.#seen.size < this.#most / 2) return
    for (const [signature, untilMs] of this.#seen) if (untilMs < now) this.#seen.delete(signature)
  }
}
