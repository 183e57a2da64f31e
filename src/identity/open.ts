/** From the `identity` setting to the strategy it means. Anything that cannot be meant is an error at start, in one line. */
import { type ApiKeyOptions, apiKeyIdentity } from './api-key.ts'
import { assertedIdentity } from './asserted.ts'
import { firstPresented } from './combine.ts'
import type { DocumentEgress } from './issuer-documents.ts'
import type { JwtOptions } from './jwt.ts'
import { type MtlsOptions, mtlsIdentity } from './mtls.ts'
import { ROLES } from './role.ts'
import {
  anyObject,
  either,
  flag,
  listOf,
  number,
  object,
  oneOf,
  optional,
  recordOf,
  required,
  type Shape,
  text,
} from './shape.ts'
import type { IdentityStrategy, VerifiedStrategy } from './strategy.ts'
import { type TrustedProxyOptions, trustedProxyIdentity } from './trusted-proxy.ts'

/** `asserted` alone, or any of the others; of several, the one that a request presents decides. */
export type IdentitySetting = 'asserted' | VerifiedIdentity

export interface VerifiedIdentity {
  readonly jwt?: JwtOptions
  readonly apiKey?: ApiKeyOptions
  readonly mtls?: MtlsOptions
  readonly trustedProxy?: TrustedProxyOptions
}

export interface IdentityPorts {
  /** Calls to issuers go this way. */
  readonly egress: DocumentEgress
  readonly now: () => number
  readonly randomBytes: (length: number) => Uint8Array
}

/** The token verifier is loaded only where it is wanted: most of this room's start-up time and memory is `jose`. */
export async function openIdentity(setting: IdentitySetting, ports: IdentityPorts): Promise<IdentityStrategy> {
  if (setting === 'asserted') return assertedIdentity()
  checkIdentity(setting)
  const { jwt, apiKey, mtls, trustedProxy } = setting
  const strategies: VerifiedStrategy[] = []
  if (jwt !== undefined) {
    const { jwtIdentity } = await import('./jwt.ts')
    strategies.push(jwtIdentity(jwt, ports))
  }
  if (apiKey !== undefined) strategies.push(apiKeyIdentity(apiKey, ports))
  if (mtls !== undefined) strategies.push(mtlsIdentity(mtls, ports))
  if (trustedProxy !== undefined) strategies.push(trustedProxyIdentity(trustedProxy))
  const [only] = strategies
  return only !== undefined && strategies.length === 1 ? only : firstPresented(strategies)
}

/** Throws a `TypeError` that names the setting. What values mean is checked when the strategy is made. */
export function checkIdentity(setting: unknown): asserts setting is IdentitySetting {
  if (setting === 'asserted') return
  if (typeof setting === 'string') throw new TypeError(`identity: ${EXPECTED}`)
  IDENTITY(setting, 'identity')
  const given = typeof setting === 'object' && setting !== null ? Object.values(setting) : []
  if (given.every(entry => entry === undefined)) throw new TypeError(`identity: ${EXPECTED}`)
}

const EXPECTED = 'expected "asserted", or an object with jwt, apiKey, mtls or trustedProxy'

const scalar: Shape = (value, setting) => {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
    throw new TypeError(`${setting}: expected text, a number, true or false`)
}

const claim = either(text, listOf(text))
const principalType = oneOf('human', 'agent', 'policy')

const ISSUER = object({
  issuer: required(text),
  audience: required(either(text, listOf(text))),
  jwksUri: optional(text),
  discovery: optional(flag),
  jwks: optional(anyObject),
  algorithms: optional(listOf(text)),
  types: optional(listOf(text)),
  clockToleranceS: optional(number),
  maxTokenAgeS: optional(number),
  claims: optional(
    object({
      owner: optional(
        object({ claim: required(claim), type: required(oneOf('human', 'agent', 'policy', 'principal')) }),
      ),
      clearance: optional(object({ claim: required(claim), levels: optional(recordOf(text)) })),
      approvalChain: optional(object({ claim: required(claim) })),
      onBehalfOf: optional(object({ claim: required(claim) })),
      role: optional(object({ claim: required(claim), roles: required(recordOf(oneOf(...ROLES))) })),
      actorType: optional(principalType),
      forRules: optional(recordOf(claim)),
    }),
  ),
  requiredClaims: optional(listOf(text)),
  claimValues: optional(recordOf(scalar)),
  requiredScopes: optional(listOf(text)),
  maxAgeS: optional(number),
  maxStaleS: optional(number),
  cooldownS: optional(number),
  name: optional(text),
})

const IDENTITY = object({
  jwt: optional(object({ issuers: required(listOf(ISSUER)), header: optional(text) })),
  apiKey: optional(
    object({
      keys: required(
        listOf(
          object({
            hash: required(text),
            owner: required(text),
            clearance: optional(text),
            approvalChain: optional(listOf(text)),
            onBehalfOf: optional(listOf(text)),
            claims: optional(anyObject),
            expiresAt: optional(text),
            revoked: optional(flag),
          }),
        ),
      ),
      header: optional(either(text, listOf(text))),
    }),
  ),
  mtls: optional(
    object({
      san: required(oneOf('uri', 'dns', 'email')),
      rules: required(
        listOf(
          object({
            name: required(text),
            owner: required(text),
            clearance: optional(text),
            approvalChain: optional(listOf(text)),
            onBehalfOf: optional(listOf(text)),
            claims: optional(anyObject),
          }),
        ),
      ),
    }),
  ),
  trustedProxy: optional(
    object({
      proxies: required(listOf(text)),
      header: required(text),
      ownerType: optional(principalType),
      clearanceHeader: optional(text),
    }),
  ),
})
