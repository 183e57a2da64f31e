/**
 * Who may use capabilities up at this gate: executors, each by a secret of its own, one per audience. Only hashes are
 * configured; one SHA-256 is enough for 256 random bits, and nothing shorter is asked to be guessed (see `api-key.ts`).
 */
import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { headerValue } from '../identity/headers.ts'

export const REDEEM_PATH = '/signet/v1/redeem'
export const OUTCOME_PATH = /^\/signet\/v1\/redeem\/([A-Za-z0-9_-]{1,64})\/outcome$/

export function isRedeemPath(path: string): boolean {
  return path === REDEEM_PATH || OUTCOME_PATH.test(path)
}

export interface Redeemers {
  /** The audience whose secret the request carries as `Authorization: Bearer …`. */
  audienceOf(req: IncomingMessage): string | undefined
}

const HASH = /^sha256:[0-9a-f]{64}$/
/** RFC 6750 section 2.1. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{16,512}=*)$/i

/** Throws a one-line error that does not repeat what was given: it may be the secret itself. */
export function createRedeemers(hashes: Readonly<Record<string, string>>): Redeemers {
  const known = Object.entries(hashes).map(([audience, digest]) => {
    if (audience === '') throw new TypeError('redeemers: expected the audience of a tool, got an empty name')
    if (!HASH.test(digest))
      throw new TypeError(`redeemers[${JSON.stringify(audience)}]: expected sha256:<64 hex digits>`)
    return { audience, hash: Buffer.from(digest.slice('sha256:'.length), 'hex') }
  })
  return {
    audienceOf(req) {
      const [, secret] = BEARER.exec(headerValue(req.rawHeaders, 'authorization') ?? '') ?? []
      if (secret === undefined) return undefined
      const digest = hash('sha256', secret, 'buffer')
      let found: string | undefined
      // All are compared: the time taken does not tell which one it was.
      for (const one of known) if (timingSafeEqual(one.hash, digest)) found ??= one.audience
      return found
    },
  }
}
