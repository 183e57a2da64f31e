/** One issuer of tokens as configured: checked once, at start. */
import type { JWTVerifyOptions } from 'jose'
import { configuredLevel } from './credential.ts'
import { type DocumentEgress, discoveredKeys, isRecord, issuerUrl, keysAt, readKeySet } from './issuer-documents.ts'
import { fetchedKeys, type IssuerKeys, type KeyLimits, pinnedKeys } from './issuer-keys.ts'
import { type ClaimMapping, type ClaimPath, type Claims, claimAt } from './jwt-claims.ts'
import { refuseReserved } from './rule-claims.ts'
import { DEFAULT_ALGORITHMS, DEFAULT_TOLERANCE_S } from './token-defaults.ts'

export interface JwtIssuer {
  /** `iss`, exactly. */
  readonly issuer: string
  /** `aud` must be, or hold, one of these: names that stand for this gate and for nothing else. */
  readonly audience: string | readonly string[]
  /** Where its keys are: exactly one of these three. */
  readonly jwksUri?: string
  /** By way of `<issuer>/.well-known/openid-configuration`. */
  readonly discovery?: boolean
  /** A JWK Set that does not change: no calls out. */
  readonly jwks?: object
  /** Default RS256, PS256, ES256, EdDSA. */
  readonly algorithms?: readonly string[]
  /** Values of `typ` in the token's header. Default: `JWT`, `at+jwt` (RFC 9068) or none. Given, it must be there. */
  readonly types?: readonly string[]
  /** Clocks may differ by this much. Default 30. */
  readonly clockToleranceS?: number
  /** Refuse a token issued longer ago, whatever its `exp`. Default: no limit. */
  readonly maxTokenAgeS?: number
  readonly claims?: ClaimMapping
  /** Claims that must be there, beyond `iss`, `aud`, `exp` and what `claims` needs. */
  readonly requiredClaims?: readonly string[]
  /** Claims that must be, or hold, this value: `{ typ: 'Bearer', azp: 'agents' }`. */
  readonly claimValues?: Readonly<Record<string, string | number | boolean>>
  /** All of them in `scope` or `scp`. */
  readonly requiredScopes?: readonly string[]
  /** Keys are looked up again at this age. Default 600. */
  readonly maxAgeS?: number
  /** Without an answer from the issuer, keys serve this long. Default 3600. */
  readonly maxStaleS?: number
  /** A key id that is not known causes a look-up at most this often. Default 30. */
  readonly cooldownS?: number
  /** Stands in rows as `authenticatedBy`. Default `jwt`. */
  readonly name?: string
}

export interface Issuer {
  readonly name: string
  readonly algorithms: readonly string[]
  readonly keys: IssuerKeys
  readonly expects: JWTVerifyOptions
  readonly claims: ClaimMapping
  allowsType(typ: unknown): boolean
  /** What of the operator's own rules the verified claims break. */
  refuses(claims: Claims, nowMs: number): string | undefined
  /** When they stop counting, tolerance included. */
  endsAt(claims: Claims): number
}

/** Asymmetric signatures (RFC 7518 3.1, RFC 8037, RFC 9864). `none` and shared secrets are no choice. */
const ALGORITHMS: ReadonlySet<string> = new Set([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
])

export function openIssuer(
  o: JwtIssuer,
  setting: string,
  ports: { readonly egress?: DocumentEgress; readonly now: () => number },
): Issuer {
  const audience = typeof o.audience === 'string' ? [o.audience] : [...o.audience]
  if (o.issuer === '') throw new TypeError(`${setting}.issuer: expected the issuer's name, as in iss`)
  if (audience.length === 0 || audience.includes(''))
    throw new TypeError(`${setting}.audience: expected the name of this gate, as in aud`)
  const algorithms = o.algorithms ?? DEFAULT_ALGORITHMS
  for (const alg of algorithms) {
    if (!ALGORITHMS.has(alg))
      throw new TypeError(`${setting}.algorithms: expected asymmetric ones (${[...ALGORITHMS].join(', ')})`)
  }
  if (algorithms.length === 0) throw new TypeError(`${setting}.algorithms: expected at least one`)
  const tolerance = seconds(o.clockToleranceS, DEFAULT_TOLERANCE_S, 0, 600, `${setting}.clockToleranceS`)
  const limits: KeyLimits = {
    maxAgeS: seconds(o.maxAgeS, 600, 1, 86_400, `${setting}.maxAgeS`),
    maxStaleS: seconds(o.maxStaleS, 3600, 1, 604_800, `${setting}.maxStaleS`),
    cooldownS: seconds(o.cooldownS, 30, 1, 3600, `${setting}.cooldownS`),
  }
  if (limits.maxStaleS < limits.maxAgeS) throw new TypeError(`${setting}.maxStaleS: expected at least maxAgeS`)
  const maxTokenAge =
    o.maxTokenAgeS === undefined ? undefined : seconds(o.maxTokenAgeS, 0, 1, 31_622_400, `${setting}.maxTokenAgeS`)
  const types = o.types?.map(mediaType)
  const values = Object.entries(o.claimValues ?? {})
  const scopes = o.requiredScopes ?? []
  const claims = checkMapping(o.claims ?? {}, `${setting}.claims`)
  return {
    name: o.name ?? 'jwt',
    algorithms,
    keys: openKeys(o, setting, limits, ports),
    claims,
    expects: {
      algorithms: [...algorithms],
      issuer: o.issuer,
      audience,
      clockTolerance: tolerance,
      requiredClaims: ['exp', ...(o.requiredClaims ?? [])],
      ...(maxTokenAge === undefined ? {} : { maxTokenAge }),
    },
    allowsType: typ => {
      if (types !== undefined) return typeof typ === 'string' && types.includes(mediaType(typ))
      return typ === undefined || (typeof typ === 'string' && DEFAULT_TYPES.has(mediaType(typ)))
    },
    refuses: (read, nowMs) => {
      const { iat } = read
      if (iat !== undefined && (typeof iat !== 'number' || iat * 1000 > nowMs + tolerance * 1000)) return 'claim_iat'
      if (values.some(([name, value]) => !holds(claimAt(read, name), value))) return 'claim_value'
      if (scopes.length > 0) {
        const granted = scopesOf(read)
        if (!scopes.every(scope => granted.includes(scope))) return 'scope_missing'
      }
      return undefined
    },
    endsAt: read => {
      const exp = typeof read['exp'] === 'number' ? read['exp'] : 0
      const { iat } = read
      const aged = maxTokenAge === undefined || typeof iat !== 'number' ? exp : Math.min(exp, iat + maxTokenAge)
      return (aged + tolerance) * 1000
    },
  }
}

/** RFC 7515 4.1.9: `application/` may be left out, and case does not count. */
function mediaType(typ: string): string {
  const lower = typ.toLowerCase()
  return lower.includes('/') ? lower : `application/${lower}`
}

/** Others (`dpop+jwt`, `logout+jwt`, `secevent+jwt`, this gate's own receipts) are signed for other ends (RFC 8725 3.11). */
const DEFAULT_TYPES: ReadonlySet<string> = new Set(['application/jwt', 'application/at+jwt'])

function holds(claim: unknown, value: string | number | boolean): boolean {
  return claim === value || (Array.isArray(claim) && claim.includes(value))
}

/** `scope` is a list in one string (RFC 8693 4.2); some issuers write `scp`, as a string or as a list. */
function scopesOf(claims: Claims): readonly unknown[] {
  const value = claimAt(claims, 'scope') ?? claimAt(claims, 'scp')
  if (typeof value === 'string') return value.split(' ')
  return Array.isArray(value) ? value : []
}

function openKeys(
  o: JwtIssuer,
  setting: string,
  limits: KeyLimits,
  ports: { readonly egress?: DocumentEgress; readonly now: () => number },
): IssuerKeys {
  const given = [o.jwksUri !== undefined, o.discovery === true, o.jwks !== undefined].filter(Boolean).length
  if (given !== 1) throw new TypeError(`${setting}: expected exactly one of jwksUri, discovery and jwks`)
  if (o.jwks !== undefined) {
    if (!isRecord(o.jwks)) throw new TypeError(`${setting}.jwks: expected a JWK Set`)
    const set = readKeySet(o.jwks)
    if (set.keys.length === 0) throw new TypeError(`${setting}.jwks: expected at least one public signature key`)
    return pinnedKeys(set)
  }
  if (ports.egress === undefined)
    throw new TypeError(`${setting}: its keys have to be fetched, and nothing fetches them`)
  const fetchKeys =
    o.jwksUri === undefined
      ? discoveredKeys(o.issuer, `${setting}.issuer`, ports.egress)
      : keysAt(issuerUrl(o.jwksUri, `${setting}.jwksUri`), ports.egress)
  return fetchedKeys(fetchKeys, limits, ports.now)
}

function checkMapping(mapping: ClaimMapping, setting: string): ClaimMapping {
  const { owner, clearance, approvalChain, onBehalfOf, role, forRules } = mapping
  for (const [name, path] of [
    ['owner', owner?.claim],
    ['clearance', clearance?.claim],
    ['approvalChain', approvalChain?.claim],
    ['onBehalfOf', onBehalfOf?.claim],
    ['role', role?.claim],
  ] as const) {
    if (path !== undefined && !isPath(path)) throw new TypeError(`${setting}.${name}: expected the name of a claim`)
  }
  for (const [name, path] of Object.entries(forRules ?? {})) {
    refuseReserved(name, `${setting}.forRules`)
    if (!isPath(path)) throw new TypeError(`${setting}.forRules.${name}: expected the name of a claim`)
  }
  if (clearance?.levels !== undefined) {
    const levels = Object.entries(clearance.levels)
    if (levels.length === 0) throw new TypeError(`${setting}.clearance.levels: expected at least one entry`)
    for (const [name, level] of levels) {
      configuredLevel(level, `${setting}.clearance.levels`)
      // JavaScript moves such keys to the front, and the first entry decides.
      if (/^\d+$/.test(name)) throw new TypeError(`${setting}.clearance.levels: expected names that are not numbers`)
    }
  }
  if (role !== undefined && Object.keys(role.roles).length === 0)
    throw new TypeError(`${setting}.role.roles: expected at least one entry`)
  return mapping
}

function isPath(path: ClaimPath): boolean {
  return typeof path === 'string' ? path !== '' : path.length > 0 && !path.includes('')
}

function seconds(value: number | undefined, fallback: number, least: number, most: number, setting: string): number {
  const given = value ?? fallback
  if (!Number.isInteger(given) || given < least || given > most)
    throw new TypeError(`${setting}: expected a whole number of seconds from ${String(least)} to ${String(most)}`)
  return given
}
