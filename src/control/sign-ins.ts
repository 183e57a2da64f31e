/**
 * Sign-ins that were begun and are not over: between a browser's leaving for the issuer and its coming back.
 *
 * Guarantees: each is answered once, good or bad, within ten minutes, and only to whoever holds the secret that the page was
 * given when it began. That secret is kept by the page for its tab (`sessionStorage`: this origin's, port included, which a cookie
 * is not) and never stands in an address, so nobody can have another browser finish what theirs has begun (login CSRF, RFC 6749
 * 10.12). Here it is kept as its hash. Does not: survive a restart. Anybody can begin one, so there are never more than a
 * thousand: the oldest makes room.
 */
import { hash } from 'node:crypto'
import type { Clock, Random } from '../core/clock.ts'
import type { Flow } from './oidc-client.ts'

const LIFE_MS = 600_000
const MOST = 1000

export class SignIns {
  readonly #clock: Clock
  readonly #random: Random
  /** By the hash of the secret, oldest first. */
  readonly #begun = new Map<string, { readonly flow: Flow; readonly untilMs: number }>()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  begin(flow: Flow): { readonly binding: string; readonly untilMs: number } {
    const now = this.#clock.now()
    for (const [key, { untilMs }] of this.#begun) {
      if (untilMs > now) break
      this.#begun.delete(key)
    }
    if (this.#begun.size >= MOST) this.#begun.delete(this.#begun.keys().next().value ?? '')
    const binding = Buffer.from(this.#random.bytes(32)).toString('base64url')
    const untilMs = now + LIFE_MS
    this.#begun.set(keyOf(binding), { flow, untilMs })
    return { binding, untilMs }
  }

  take(binding: string): Flow | undefined {
    const key = keyOf(binding)
    const begun = this.#begun.get(key)
    this.#begun.delete(key)
    return begun === undefined || begun.untilMs <= this.#clock.now() ? undefined : begun.flow
  }
}

function keyOf(binding: string): string {
  return hash('sha256', binding, 'hex')
}
