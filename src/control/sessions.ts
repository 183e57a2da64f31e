/**
 * Sessions of the console: what a page holds instead of the credential that was shown once.
 *
 * Guarantees: a session opens what its credential opens and no more, for the credential is asked again each time, so a
 * session ends with it at the latest (where the issuer renews it, with the last one); it ends `maxMs` after its start, `idleMs` after the last request of a person, and with
 * this process; its token travels in the `Authorization` header alone, never in a cookie, so no other page can make a
 * browser send it; the token is kept here only as its hash. Does not: outlive a restart, or follow a person to another tab.
 */
import { hash } from 'node:crypto'
import type { Clock, Random } from '../core/clock.ts'
import { headerValue } from '../identity/headers.ts'
import type { Renewal } from './renewal.ts'

export interface SessionTimes {
  readonly maxMs: number
  readonly idleMs: number
}

export interface Session {
  readonly principal: string
  readonly openedAtMs: number
  readonly expiresAtMs: number
  seenAtMs: number
  /** The headers of the credential that it was opened with, or of the one that took its place, as node:http gives them. */
  credential: readonly string[]
  /** Absent: the session ends with its credential. */
  readonly renewal?: Renewal
}

/** Of a credential that says when it ends. */
export interface Ending {
  readonly endsAtMs: number
  readonly renewal: Renewal | undefined
}

export interface SessionPorts {
  readonly clock: Clock
  readonly random: Random
  readonly times: SessionTimes
  /** A session whose time was over, when that is noticed. Must not throw. */
  readonly onExpired?: (session: Session) => void
}

export const SESSION_PREFIX = 'sgs_'
const TOKEN = /^Bearer (sgs_[A-Za-z0-9_-]{43})$/
/** Sign-ins that are open at once: of all people, and of one. */
const MOST = 1000
const MOST_OF_ONE = 20
/** A page that only looks by itself says so, and keeps nothing open. */
export const BACKGROUND_HEADER = 'signet-background'

/** The session's token that a request shows, good or bad; `undefined`: it shows none. */
export function sessionToken(rawHeaders: readonly string[]): string | undefined {
  const value = headerValue(rawHeaders, 'authorization')
  if (value?.startsWith(`Bearer ${SESSION_PREFIX}`) !== true) return undefined
  return TOKEN.exec(value)?.[1] ?? ''
}

export class Sessions {
  readonly #p: SessionPorts
  /** By the hash of the token, oldest first. */
  readonly #open = new Map<string, Session>()

  constructor(ports: SessionPorts) {
    this.#p = ports
  }

  get clock(): Clock {
    return this.#p.clock
  }

  get times(): SessionTimes {
    return this.#p.times
  }

  open(
    principal: string,
    credential: readonly string[],
    ending?: Ending,
  ): {
    readonly token: string
    readonly session: Session
  } {
    const { clock, random, times } = this.#p
    const now = clock.now()
    this.#sweep(now)
    const own = [...this.#open].filter(([, s]) => s.principal === principal)
    if (own.length >= MOST_OF_ONE) this.#drop(own[0]?.[0] ?? '')
    if (this.#open.size >= MOST) this.#drop(this.#open.keys().next().value ?? '')
    const token = `${SESSION_PREFIX}${Buffer.from(random.bytes(32)).toString('base64url')}`
    const longest = now + times.maxMs
    const session: Session = {
      principal,
      openedAtMs: now,
      expiresAtMs: ending === undefined || ending.renewal !== undefined ? longest : Math.min(longest, ending.endsAtMs),
      seenAtMs: now,
      credential,
      ...(ending?.renewal === undefined ? {} : { renewal: ending.renewal }),
    }
    this.#open.set(keyOf(token), session)
    return { token, session }
  }

  /** `touch`: a person asks, not a page by itself. */
  find(token: string, touch: boolean): Session | undefined {
    const key = keyOf(token)
    const session = this.#open.get(key)
    if (session === undefined) return undefined
    const now = this.#p.clock.now()
    if (this.#isOver(session, now)) {
      this.#expire(key)
      return undefined
    }
    if (touch) session.seenAtMs = now
    return session
  }

  close(token: string): void {
    this.#drop(keyOf(token))
  }

  /** What it was opened with opens nothing any more. */
  lose(token: string): void {
    this.#expire(keyOf(token))
  }

  /** When it ends if nobody does anything. */
  endsAtMs(session: Session): number {
    return Math.min(session.expiresAtMs, session.seenAtMs + this.#p.times.idleMs)
  }

  #isOver(session: Session, now: number): boolean {
    return now >= this.endsAtMs(session)
  }

  #sweep(now: number): void {
    for (const [key, session] of this.#open) {
      if (this.#isOver(session, now)) this.#expire(key)
    }
  }

  #expire(key: string): void {
    const session = this.#drop(key)
    if (session !== undefined) this.#p.onExpired?.(session)
  }

  /** What could renew its credential goes with it. */
  #drop(key: string): Session | undefined {
    const session = this.#open.get(key)
    this.#open.delete(key)
    session?.renewal?.end()
    return session
  }
}

function keyOf(token: string): string {
  return hash('sha256', token, 'hex')
}
