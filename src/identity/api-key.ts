/**
 * `api_key`: the caller holds a key of this gate's own.
 *
 * Guarantees: only hashes are configured, so who reads the configuration cannot call; what a caller sends is looked up
 * under a code that changes with every start and compared in constant time, so that time says nothing about the keys.
 * One SHA-256 is enough: keys are 256 random bits (`newApiKey`), which no guessing reaches, and a slow hash would only
 * give strangers a way to keep the gate busy. Anything not in the form of such a key is refused, so that no password can
 * be one by mistake.
 * Does not guarantee: that whoever sends a key is whom it was given to. A key taken from `keys` counts until the gate
 * has read its configuration again.
 */
import { hash as digest, timingSafeEqual } from 'node:crypto'
import {
  API_KEY_PREFIX,
  BEARER_CHALLENGE,
  badCredential,
  configuredApprovers,
  configuredLevel,
  configuredPrincipal,
  credentialHeader,
  holdsApiKey,
  identified,
  noCredential,
  onlyValue,
  type Proven,
  REPEATED,
  tokenIn,
} from './credential.ts'
import { configuredClaims } from './rule-claims.ts'
import type { VerifiedStrategy } from './strategy.ts'

export interface ApiKey {
  /** `sha256:<64 hex digits>` of the whole key, as `newApiKey` made it. */
  readonly hash: string
  /** A principal: `agent:crawler-7`. */
  readonly owner: string
  readonly clearance?: string
  readonly approvalChain?: readonly string[]
  /** The humans an agent acts for: they may not approve what it does. */
  readonly onBehalfOf?: readonly string[]
  /** What argument rules may compare with: `{ account: 'DE-17' }`. */
  readonly claims?: Readonly<Record<string, string | number | readonly (string | number)[]>>
  /** RFC 3339, with a zone: `2027-01-31T00:00:00Z`. Default: never. */
  readonly expiresAt?: string
  /** Refused, and known as such in the audit log. */
  readonly revoked?: boolean
}

export interface ApiKeyOptions {
  readonly keys: readonly ApiKey[]
  /**
   * Default `authorization` (as `Bearer sgk_…`) and `x-api-key`, where SDKs put what they are given as the provider's
   * key. In `authorization` anything that is not a key of ours is the caller's own business with upstream.
   */
  readonly header?: string | readonly string[]
}

export interface ApiKeyPorts {
  readonly now: () => number
  readonly randomBytes: (length: number) => Uint8Array
}

/** A fresh key, to be shown once, and the hash to configure. */
export function newApiKey(randomBytes: (length: number) => Uint8Array): {
  readonly key: string
  readonly hash: string
} {
  const key = `${API_KEY_PREFIX}${Buffer.from(randomBytes(32)).toString('base64url')}`
  return { key, hash: hashOfApiKey(key) }
}

/** What is configured for a key that is known already. */
export function hashOfApiKey(key: string): string {
  return `sha256:${sha256(key).toString('hex')}`
}

interface Entry {
  readonly hash: Uint8Array
  readonly proven: Proven
  readonly untilMs: number
  readonly revoked: boolean
}

const NAME = 'api_key'
const FORM = /^sgk_[A-Za-z0-9_-]{43}$/
const HASH = /^sha256:[0-9a-f]{64}$/

export function apiKeyIdentity(options: ApiKeyOptions, ports: ApiKeyPorts): VerifiedStrategy {
  const headers = readHeaders(options.header ?? ['authorization', 'x-api-key'])
  if (options.keys.length === 0) throw new TypeError('identity.apiKey.keys: expected at least one key')
  const placeKey = ports.randomBytes(32)
  // Both parts have one length, so a plain hash over the two is a keyed one.
  const place = (hash: Uint8Array): string => digest('sha256', Buffer.concat([placeKey, hash]), 'base64url')
  const entries = new Map<string, Entry>()
  for (const [index, key] of options.keys.entries()) {
    const entry = readEntry(key, `identity.apiKey.keys[${String(index)}]`)
    const at = place(entry.hash)
    if (entries.has(at)) throw new TypeError(`identity.apiKey.keys[${String(index)}].hash: stands there twice`)
    entries.set(at, entry)
  }
  const used = new Map(headers.map(header => [header, [header]]))

  return {
    name: NAME,
    verified: true,
    headers,
    carriers: headers.map(header => (header === SHARED ? `${header} ${API_KEY_PREFIX}` : header)),
    ...(headers.includes(SHARED) ? { challenge: BEARER_CHALLENGE } : {}),
    presents({ rawHeaders }) {
      return headers.some(header => isPresented(onlyValue(rawHeaders, header), header))
    },
    identify({ rawHeaders }) {
      let key: string | undefined
      let from: string | undefined
      let otherScheme = false
      for (const header of headers) {
        const value = onlyValue(rawHeaders, header)
        if (value === undefined) continue
        if (value === REPEATED) return badCredential(NAME, 'sent_twice')
        if (!isPresented(value, header)) {
          otherScheme = true
          continue
        }
        if (from !== undefined) return badCredential(NAME, 'sent_twice')
        key = tokenIn(value, header)
        from = header
      }
      if (from === undefined) return otherScheme ? badCredential(NAME, 'not_an_api_key') : noCredential(NAME)
      if (key === undefined || !FORM.test(key)) return badCredential(NAME, 'not_an_api_key')
      const hash = sha256(key)
      const entry = entries.get(place(hash))
      if (entry === undefined || !timingSafeEqual(entry.hash, hash)) return badCredential(NAME, 'unknown')
      if (entry.revoked) return badCredential(NAME, 'revoked')
      if (ports.now() >= entry.untilMs) return badCredential(NAME, 'expired')
      return identified(entry.proven, NAME, rawHeaders, used.get(from) ?? headers)
    },
  }
}

/** Also where tokens of other kinds travel. */
const SHARED = 'authorization'

function isPresented(value: string | undefined | typeof REPEATED, header: string): boolean {
  if (value === undefined || value === REPEATED) return value === REPEATED
  return header !== SHARED || holdsApiKey(value)
}

function readHeaders(given: string | readonly string[]): readonly string[] {
  const names = typeof given === 'string' ? [given] : given
  if (names.length === 0) throw new TypeError('identity.apiKey.header: expected at least one header')
  return [...new Set(names.map(name => credentialHeader(name, 'identity.apiKey.header')))]
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/

function readEntry(key: ApiKey, setting: string): Entry {
  if (!HASH.test(key.hash)) {
    // The value is not repeated: it may be the key itself, put here by mistake.
    throw new TypeError(`${setting}.hash: expected sha256: and 64 lower-case hex digits; make one with newApiKey`)
  }
  const { type, id } = configuredPrincipal(key.owner, `${setting}.owner`)
  const until = key.expiresAt === undefined ? Number.POSITIVE_INFINITY : readInstant(key.expiresAt)
  if (Number.isNaN(until)) throw new TypeError(`${setting}.expiresAt: expected a time such as 2027-01-31T00:00:00Z`)
  return {
    hash: Buffer.from(key.hash.slice('sha256:'.length), 'hex'),
    proven: {
      type,
      id,
      clearance: configuredLevel(key.clearance, `${setting}.clearance`),
      approvalChain: configuredApprovers(key.approvalChain, `${setting}.approvalChain`),
      notApprovers: configuredApprovers(key.onBehalfOf, `${setting}.onBehalfOf`),
      claims: configuredClaims(key.claims, `${setting}.claims`),
    },
    untilMs: until,
    revoked: key.revoked === true,
  }
}

function readInstant(text: string): number {
  return INSTANT.test(text) ? Date.parse(text) : Number.NaN
}

function sha256(text: string): Buffer {
  return digest('sha256', text, 'buffer')
}
