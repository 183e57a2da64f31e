/**
 * A session's credential, renewed at its issuer before it ends.
 *
 * Guarantees: a request renews it when its time has nearly come, and never two at once, so a refresh token that may be used once is
 * used once; nothing is renewed for a session that is over, so nobody's absence is bridged; what the issuer has withdrawn ends the
 * session now. An issuer that cannot be reached changes nothing until the credential ends; then the answer is "unreachable"
 * and not "over", for the person is still signed in. Does not: renew by itself, without a request.
 */
import type { Clock } from '../core/clock.ts'
import type { OidcClient, Refresh, Tokens } from './oidc-client.ts'

/** This long before the end, or a quarter of its life if that is shorter. */
const MARGIN_MS = 60_000
/** After a failure nobody waits for the issuer again sooner. */
const RETRY_MS = 5_000

/** What becomes of the session. */
export type Kept = 'kept' | 'over' | 'unreachable'

export class Renewal {
  readonly #client: Pick<OidcClient, 'renew' | 'revoke'>
  readonly #clock: Clock
  #refresh: Refresh | undefined
  #dueAtMs: number
  #endsAtMs: number
  #running: Promise<Kept> | undefined

  constructor(client: Pick<OidcClient, 'renew' | 'revoke'>, clock: Clock, refresh: Refresh, endsAtMs: number) {
    this.#client = client
    this.#clock = clock
    this.#refresh = refresh
    this.#endsAtMs = endsAtMs
    this.#dueAtMs = dueAt(clock.now(), endsAtMs)
  }

  /** Before each use of the session. */
  keep(session: { credential: readonly string[] }): Kept | Promise<Kept> {
    if (this.#refresh === undefined) return 'kept'
    const now = this.#clock.now()
    // Between two tries its end may have come.
    if (now < this.#dueAtMs) return now < this.#endsAtMs ? 'kept' : 'unreachable'
    this.#running ??= this.#renew(session, this.#refresh).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** The session is over: the issuer is told, and nobody waits for it. */
  end(): void {
    const refresh = this.#refresh
    this.#refresh = undefined
    if (refresh !== undefined) void this.#client.revoke(refresh)
  }

  async #renew(session: { credential: readonly string[] }, with_: Refresh): Promise<Kept> {
    const got = await this.#client.renew(with_)
    switch (got.kind) {
      case 'tokens':
        this.#take(session, got)
        return 'kept'
      case 'refused':
        // RFC 6749 5.2: expired, revoked, or used by somebody else. Any other refusal is about this client and not the person.
        if (got.said === 'invalid_grant') return 'over'
        this.#refresh = undefined
        return 'kept'
      case 'unreachable': {
        const now = this.#clock.now()
        this.#dueAtMs = now + RETRY_MS
        return now < this.#endsAtMs ? 'kept' : 'unreachable'
      }
    }
  }

  #take(session: { credential: readonly string[] }, { credential, endsAtMs, refresh }: Tokens): void {
    // Signed out meanwhile: what has just been given goes back.
    if (this.#refresh === undefined) {
      if (refresh !== undefined) void this.#client.revoke(refresh)
      return
    }
    session.credential = credential
    this.#refresh = refresh
    this.#endsAtMs = endsAtMs
    this.#dueAtMs = dueAt(this.#clock.now(), endsAtMs)
  }
}

function dueAt(now: number, endsAtMs: number): number {
  return endsAtMs - Math.min(MARGIN_MS, Math.max(0, endsAtMs - now) / 4)
}
