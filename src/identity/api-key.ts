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
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import {
  API_KEY_PREFIX,
  BEARER_CHALLENGE,
  badCredential,
  configuredApprovers,
  configuredLevel,
  configuredPrincipal,
  credentialHeader,
  identified,
  noCredential,
  onlyValue,
  type Proven,
  REPEATED,
  tokenIn,
} from './credential.ts'
import type { VerifiedStrategy } from './strategy.ts'

export interface ApiKey {
  /** `sha256:<64 hex digits>` of the whole key, as `newApiKey` made it. */
  readonly hash: string
  /** A principal: `agent:crawler-7`. */
  readonly owner: string
  readonly clearance?: string
  readonly approvalChain?: readonly string[]
  /** RFC 3339, with a zone: `2027-01-31T00:00:00Z`. Default: never. */
  readonly expiresAt?: string
  /** Refused, and known as such in the audit log. */
  readonly revoked?: boolean
}

export interface ApiKeyOptions {
  readonly keys: readonly ApiKey[]
  /** Default `x-api-key`. `authorization` holds `Bearer sgk_…`. */
  readonly header?: string
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
  return { key, hash: `sha256:${sha256(key).toString('hex')}` }
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
  const header = credentialHeader(options.header ?? 'x-api-key', 'identity.apiKey.header')
  const shared = header === 'authorization'
  if (options.keys.length === 0) throw new TypeError('identity.apiKey.keys: expected at least one key')
  const placeKey = ports.randomBytes(32)
  const place = (hash: Uint8Array): string => createHmac('sha256', placeKey).update(hash).digest('base64url')
  const entries = new Map<string, Entry>()
  for (const [index, key] of options.keys.entries()) {
    const entry = readEntry(key, `identity.apiKey.keys[${String(index)}]`)
    const at = place(entry.hash)
    if (entries.has(at)) throw new TypeError(`identity.apiKey.keys[${String(index)}].hash: stands there twice`)
    entries.set(at, entry)
  }
  const headers = [header]

  return {
    name: NAME,
    verified: true,
    headers,
    carriers: [shared ? `${header} ${API_KEY_PREFIX}` : header],
    ...(shared ? { challenge: BEARER_CHALLENGE } : {}),
    presents({ rawHeaders }) {
      const value = onlyValue(rawHeaders, header)
      if (value === undefined || value === REPEATED) return value === REPEATED
      return !shared || tokenIn(value, header)?.startsWith(API_KEY_PREFIX) === true
    },
    identify({ rawHeaders }) {
      const value = onlyValue(rawHeaders, header)
      if (value === undefined) return noCredential(NAME)
      if (value === REPEATED) return badCredential(NAME, 'sent_twice')
      const key = tokenIn(value, header)
      if (key === undefined || !FORM.test(key)) return badCredential(NAME, 'not_an_api_key')
      const hash = sha256(key)
      const entry = entries.get(place(hash))
      if (entry === undefined || !timingSafeEqual(entry.hash, hash)) return badCredential(NAME, 'unknown')
      if (entry.revoked) return badCredential(NAME, 'revoked')
      if (ports.now() >= entry.untilMs) return badCredential(NAME, 'expired')
      return identified(entry.proven, NAME, rawHeaders, headers)
    },
  }
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
    },
    untilMs: until,
    revoked: key.revoked === true,
  }
}

function readInstant(text: string): number {
  return INSTANT.test(text) ? Date.parse(text) : Number.NaN
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
