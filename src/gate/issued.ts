/**
 * Capabilities that this process has issued, until they expire: for callers whose SDK drops what it does not know, and for
 * the redeem endpoint.
 *
 * Guarantees: an owner's capabilities are found by that owner only; bounded in all and per owner. Beyond a bound a
 * capability is not kept here; it still stands on its call.
 */
import type { Clock } from '../core/clock.ts'
import type { IssuedCapability, IssuedState } from '../core/state.ts'

interface Entry {
  readonly owner: string
  readonly exchange: string
  readonly issued: IssuedCapability
}

const MOST = 100_000
const MOST_OF_ONE_OWNER = 10_000

export class IssuedCapabilities implements IssuedState {
  readonly #clock: Pick<Clock, 'now'>
  /** By jti, in the order of issuing, which is that of expiry: all live equally long. */
  readonly #entries = new Map<string, Entry>()
  readonly #byExchange = new Map<string, Set<string>>()
  readonly #owned = new Map<string, number>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  put(owner: string, exchange: string, issued: IssuedCapability): void {
    this.#sweep()
    const owned = this.#owned.get(owner) ?? 0
    if (this.#entries.has(issued.jti) || this.#entries.size >= MOST || owned >= MOST_OF_ONE_OWNER) return
    this.#entries.set(issued.jti, { owner, exchange, issued })
    this.#owned.set(owner, owned + 1)
    const those = this.#byExchange.get(exchange) ?? new Set()
    this.#byExchange.set(exchange, those.add(issued.jti))
  }

  /** In the order of issuing; empty for anybody else's exchange. */
  of(owner: string, exchange: string): readonly IssuedCapability[] {
    this.#sweep()
    return [...(this.#byExchange.get(exchange) ?? [])].flatMap(jti => {
      const entry = this.#entries.get(jti)
      return entry?.owner === owner ? [entry.issued] : []
    })
  }

  knows(jti: string): boolean {
    return this.#entries.has(jti)
  }

  #sweep(): void {
    const now = this.#clock.now()
    for (const [jti, { owner, exchange, issued }] of this.#entries) {
      if (issued.expiresAtMs > now) break
      this.#entries.delete(jti)
      const left = (this.#owned.get(owner) ?? 1) - 1
      if (left === 0) this.#owned.delete(owner)
      else this.#owned.set(owner, left)
      const those = this.#byExchange.get(exchange)
      those?.delete(jti)
      if (those?.size === 0) this.#byExchange.delete(exchange)
    }
  }
}
