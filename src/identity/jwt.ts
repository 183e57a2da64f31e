/**
 * `jwt`: the caller holds a token that an issuer signed (RFC 7519, RFC 9068, OpenID Connect).
 *
 * Guarantees: the owner and the clearance are what a key of the configured issuer signed, for this audience, at this
 * time; RFC 8725 is followed throughout: listed asymmetric algorithms only, no key material and no address from the
 * token, explicit type, exact issuer and audience, an end to its life. A token that fails is refused whatever else the
 * request holds, and the answer does not repeat any of it.
 * Does not guarantee: that whoever sends the token is whom it was issued to. It is a bearer token: until it ends,
 * whoever has it may use it, here and (without an audience of its own) elsewhere. A token withdrawn early is not noticed.
 */
import { hash } from 'node:crypto'
import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import type { Fault } from '../core/wire.ts'
import { readJson, toValue } from '../dialects/json.ts'
import {
  BEARER_CHALLENGE,
  badCredential,
  credentialHeader,
  holdsApiKey,
  identified,
  noCredential,
  onlyValue,
  type Proven,
  REPEATED,
  tokenIn,
} from './credential.ts'
import { type DocumentEgress, IssuerUnavailable, isRecord } from './issuer-documents.ts'
import type { HeldKeys } from './issuer-keys.ts'
import { type Claims, readClaims } from './jwt-claims.ts'
import { type Issuer, type JwtIssuer, openIssuer } from './jwt-issuer.ts'
import type { Identified, VerifiedStrategy } from './strategy.ts'

export interface JwtOptions {
  /** Whose tokens count. A token's `iss` chooses among them; then everything is checked against that one alone. */
  readonly issuers: readonly JwtIssuer[]
  /** Default `authorization`, with the scheme `Bearer`. Another header holds the bare token. */
  readonly header?: string
}

export interface JwtPorts {
  /** Not needed when every issuer's keys are pinned. */
  readonly egress?: DocumentEgress
  readonly now: () => number
}

/** A longer token is refused unread. */
export const MAX_TOKEN_CHARS = 16 * 1024

/** Tokens of one caller repeat: what was verified once is only looked at again until it ends or the keys change. */
const MAX_REMEMBERED = 1024

interface Verified {
  readonly issuer: Issuer
  readonly generation: number
  readonly proven: Proven
  readonly authenticatedBy: string
  /** Usable from here (it is then that it was verified) and before there. */
  readonly fromMs: number
  readonly untilMs: number
}

export function jwtIdentity(options: JwtOptions, ports: JwtPorts): VerifiedStrategy {
  const header = credentialHeader(options.header ?? 'authorization', 'identity.jwt.header')
  if (options.issuers.length === 0) throw new TypeError('identity.jwt.issuers: expected at least one issuer')
  const issuers = new Map<string, Issuer>()
  for (const [index, each] of options.issuers.entries()) {
    const issuer = openIssuer(each, `identity.jwt.issuers[${String(index)}]`, ports)
    if (issuers.has(each.issuer)) throw new TypeError(`identity.jwt.issuers: two entries have the same issuer`)
    issuers.set(each.issuer, issuer)
  }
  const remembered = new Map<string, Verified>()
  const headers = [header]

  const found = (v: Verified, rawHeaders: readonly string[]): Identified =>
    identified(v.proven, v.authenticatedBy, rawHeaders, headers)

  const verify = async (token: string, digest: string, rawHeaders: readonly string[]): Promise<Identified | Fault> => {
    const read = readUnverified(token, issuers)
    if ('problem' in read) return badCredential(NAME, read.problem)
    const { issuer, claims } = read
    try {
      const generation = await verifySignature(token, issuer, ports.now)
      const problem = issuer.refuses(claims, ports.now())
      if (problem !== undefined) return badCredential(NAME, problem)
      const proven = readClaims(claims, issuer.claims)
      if ('problem' in proven) return badCredential(NAME, proven.problem)
      const verified: Verified = {
        issuer,
        generation,
        proven,
        authenticatedBy: proven.actor === undefined ? issuer.name : `${issuer.name}, acting: ${proven.actor}`,
        fromMs: ports.now(),
        untilMs: issuer.endsAt(claims),
      }
      remember(remembered, digest, verified)
      return found(verified, rawHeaders)
    } catch (error) {
      if (error instanceof IssuerUnavailable) return unavailable(error)
      return badCredential(NAME, problemOf(error))
    }
  }

  return {
    name: NAME,
    verified: true,
    headers,
    carriers: [header],
    challenge: BEARER_CHALLENGE,
    presents({ rawHeaders }) {
      const value = onlyValue(rawHeaders, header)
      if (value === undefined || value === REPEATED) return value === REPEATED
      return !holdsApiKey(value)
    },
    identify({ rawHeaders }) {
      const value = onlyValue(rawHeaders, header)
      if (value === undefined) return noCredential(NAME)
      if (value === REPEATED) return badCredential(NAME, 'sent_twice')
      const token = tokenIn(value, header)
      if (token === undefined) return badCredential(NAME, 'not_a_bearer_token')
      if (token.length > MAX_TOKEN_CHARS) return badCredential(NAME, 'too_long')
      if (!COMPACT.test(token)) return badCredential(NAME, 'malformed')
      const digest = hash('sha256', token, 'base64url')
      const known = remembered.get(digest)
      if (known !== undefined) {
        const now = ports.now()
        const generation = known.issuer.keys.fresh()?.generation
        if (generation === known.generation && now >= known.fromMs && now < known.untilMs)
          return found(known, rawHeaders)
        remembered.delete(digest)
      }
      return verify(token, digest, rawHeaders)
    },
  }
}

const NAME = 'jwt'
/** RFC 7515 7.1: three parts. An encrypted token has five, an unsigned one an empty third. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/** Everything that needs no key. Nothing read here is believed; it decides only whose keys are asked and what is refused. */
function readUnverified(
  token: string,
  issuers: ReadonlyMap<string, Issuer>,
): { readonly issuer: Issuer; readonly claims: Claims } | { readonly problem: string } {
  const [protectedPart = '', payloadPart = ''] = token.split('.')
  // Strict JSON: of two members with one name, readers differ in which one they believe (RFC 7515 4, RFC 7519 4).
  const header = strictObject(protectedPart)
  const claims = strictObject(payloadPart)
  if (header === undefined || claims === undefined) return { problem: 'malformed' }
  const { iss } = claims
  const issuer = typeof iss === 'string' ? issuers.get(iss) : undefined
  if (issuer === undefined) return { problem: 'issuer_unknown' }
  const { alg, typ, kid } = header
  if (typeof alg !== 'string' || !issuer.algorithms.includes(alg)) return { problem: 'algorithm_not_allowed' }
  // No extension is understood here, so none that must be understood can be (RFC 7515 4.1.11).
  if (Object.hasOwn(header, 'crit')) return { problem: 'critical_extension' }
  if (!issuer.allowsType(typ)) return { problem: 'type_not_allowed' }
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > 256)) return { problem: 'malformed' }
  return { issuer, claims }
}

function strictObject(part: string): Claims | undefined {
  const read = readJson(Buffer.from(part, 'base64url'))
  if (read.kind === 'fault') return undefined
  const value = toValue(read.root)
  return isRecord(value) ? value : undefined
}

/** The generation of the keys that the signature verified with. */
async function verifySignature(token: string, issuer: Issuer, now: () => number): Promise<number> {
  const attempt = async (keys: HeldKeys): Promise<number> => {
    const find: JWTVerifyGetKey = keys.find
    await jwtVerify(token, find, { ...issuer.expects, currentDate: new Date(now()) })
    return keys.generation
  }
  const keys = issuer.keys.fresh() ?? (await issuer.keys.usable())
  try {
    return await attempt(keys)
  } catch (error) {
    if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
    const newer = await issuer.keys.again(keys)
    if (newer === undefined) throw error
    return attempt(newer)
  }
}

function remember(remembered: Map<string, Verified>, digest: string, verified: Verified): void {
  if (remembered.size >= MAX_REMEMBERED) {
    const oldest = remembered.keys().next()
    if (oldest.done !== true) remembered.delete(oldest.value)
  }
  remembered.set(digest, verified)
}

function problemOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWTClaimValidationFailed) {
    return CLAIMS_NAMED.has(error.claim) ? `claim_${error.claim}` : 'claim_required'
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature'
  if (error instanceof errors.JWKSNoMatchingKey) return 'key_unknown'
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'key_ambiguous'
  if (error instanceof errors.JOSEError) return 'malformed'
  return 'key_unusable'
}

const CLAIMS_NAMED: ReadonlySet<string> = new Set(['iss', 'aud', 'exp', 'nbf', 'iat'])

function unavailable(error: IssuerUnavailable): Fault {
  return {
    kind: 'fault',
    code: 'state_unavailable',
    message: 'the issuer of credentials cannot be reached',
    details: { strategy: NAME, problem: error.message },
  }
}
