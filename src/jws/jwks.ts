/**
 * Public keys of receipts and capabilities as a JWK Set (RFC 7517, RFC 8037), published and read.
 * Reading guarantees: https only (plain http on the loopback), no redirect, bounded size and time, and a key set that
 * cannot be refreshed is not used beyond its age. It does not guarantee that the URL is the right one: that, like
 * `issuer`, comes from the verifier's own configuration and never from a token.
 */
import { allowedUrl } from './address.ts'
import { fromUtf8, isObject } from './bytes.ts'
import { JwsInvalid } from './errors.ts'

export interface Ed25519Jwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
  readonly kid: string
  readonly alg?: string
  readonly use?: string
  /** Seconds since 1970: what the key signed is believed from `nbf` on and before `exp`. Absent: without that end. */
  readonly nbf?: number
  readonly exp?: number
  /** What the gate signs with it (RFC 7517 section 4 lets a key carry further members). */
  readonly signet_purpose?: string
}

/** A key that the gate publishes for one kind of token proves no other: what leaks in one place forges nothing in another. */
export type TokenPurpose = 'receipts' | 'capabilities'

export interface JwksDocument {
  readonly keys: readonly object[]
}

/** A pinned document, or a function that finds the document holding `kid` (see `remoteJwks`). */
export type KeySource = JwksDocument | ((kid: string) => Promise<JwksDocument>)

/** The document to publish. Only public members are copied: a private `d` given by mistake is an error, not a leak. */
export function buildJwks(keys: readonly object[]): {
  readonly keys: readonly Ed25519Jwk[]
} {
  const seen = new Set<string>()
  return {
    keys: readJwks({ keys }).map(key => {
      if (Object.hasOwn(key, 'd')) throw new JwsInvalid('jwks_invalid', 'expected a public key; this one is private')
      const { x, kid } = key
      if (key['kty'] !== 'OKP' || key['crv'] !== 'Ed25519' || typeof x !== 'string' || !X.test(x))
        throw new JwsInvalid('jwks_invalid', 'expected an Ed25519 public key (kty OKP, crv Ed25519, x of 32 bytes)')
      if (typeof kid !== 'string' || kid === '') throw new JwsInvalid('jwks_invalid', 'expected a key id (`kid`)')
      if (seen.has(kid)) throw new JwsInvalid('jwks_invalid', `two keys share the id ${kid}; ids must be unique`)
      seen.add(kid)
      const purpose = key['signet_purpose']
      const about = typeof purpose === 'string' ? { signet_purpose: purpose } : {}
      return { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig', ...about, ...periodOf(key) }
    }),
  }
}

/** 32 bytes in base64url. */
const X = /^[A-Za-z0-9_-]{43}$/

/**
 * The one Ed25519 verification key called `kid`; two of that name are refused, for either could be meant. `purpose`: a key
 * that says it is for something else is refused; one that says nothing was pinned by whoever trusts it.
 */
export async function findKey(source: KeySource, kid: string, purpose?: TokenPurpose): Promise<Ed25519Jwk> {
  const document = typeof source === 'function' ? await source(kid) : source
  const named = readJwks(document).filter(key => key['kid'] === kid)
  const [key] = named
  if (key === undefined) throw new JwsInvalid('key_unknown', 'no key of the key set has the id that the token names')
  if (named.length > 1)
    throw new JwsInvalid('jwks_invalid', 'two keys of the key set share the id that the token names')
  const { kty, crv, x, alg, use, signet_purpose: meant } = key
  if (
    kty !== 'OKP' ||
    crv !== 'Ed25519' ||
    typeof x !== 'string' ||
    !X.test(x) ||
    (alg !== undefined && alg !== 'EdDSA' && alg !== 'Ed25519') ||
    (use !== undefined && use !== 'sig') ||
    (purpose !== undefined && meant !== undefined && meant !== purpose)
  )
    throw new JwsInvalid(
      'key_unusable',
      'expected an Ed25519 signature key for this kind of token under the id that the token names',
    )
  return { kty, crv, x, kid, ...periodOf(key) }
}

/** Was the key valid when what it signed says it was made (seconds since 1970)? */
export function isWithin({ nbf, exp }: Pick<Ed25519Jwk, 'nbf' | 'exp'>, at: number): boolean {
  return (nbf === undefined || at >= nbf) && (exp === undefined || at < exp)
}

/** RFC 7517 section 4 leaves room for members of one's own; these are named as in RFC 7519. */
function periodOf(key: Readonly<Record<string, unknown>>): { readonly nbf?: number; readonly exp?: number } {
  const { nbf, exp } = key
  for (const time of [nbf, exp]) {
    if (time !== undefined && !(typeof time === 'number' && Number.isSafeInteger(time)))
      throw new JwsInvalid('jwks_invalid', 'expected `nbf` and `exp` of a key to be whole seconds')
  }
  return { ...(typeof nbf === 'number' ? { nbf } : {}), ...(typeof exp === 'number' ? { exp } : {}) }
}

function readJwks(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  const keys = isObject(value) ? value['keys'] : undefined
  if (!Array.isArray(keys) || !keys.every(isObject))
    throw new JwsInvalid('jwks_invalid', 'expected a JWK Set: an object with a list of keys')
  return keys
}

export interface FetchJwksOptions {
  /** Default: the global one. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
  /** Default 5000. */
  readonly timeoutMs?: number
  /** Default 65536. */
  readonly maxBytes?: number
}

export interface RemoteJwksOptions extends FetchJwksOptions {
  /** A document older than this is fetched again before use. Default 600000. */
  readonly maxAgeMs?: number
  /** An unknown key id causes a new fetch at most this often. Default 30000. */
  readonly cooldownMs?: number
  /** Default: the wall clock. */
  readonly now?: () => number
}

/** One fetch of a key set, validated. */
export async function fetchJwks(url: string, options: FetchJwksOptions = {}): Promise<JwksDocument> {
  const { fetch: send = fetch, timeoutMs = 5000, maxBytes = 65_536 } = options
  const target = allowedUrl(url, 'the key set')
  let bytes: Uint8Array
  try {
    const response = await send(target, {
      // Not followed: anything but 200 is refused below. Workers have no 'error' here.
      redirect: 'manual',
      credentials: 'omit',
      headers: { accept: 'application/jwk-set+json, application/json' },
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new JwsInvalid('jwks_unreachable', `expected 200 from the key set's address, got ${response.status}`)
    }
    bytes = await readCapped(response, maxBytes)
  } catch (error) {
    if (error instanceof JwsInvalid) throw error
    throw new JwsInvalid('jwks_unreachable', 'the key set could not be fetched', { cause: error })
  }
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(bytes))
  } catch {
    throw new JwsInvalid('jwks_invalid', 'expected the key set to be JSON')
  }
  return { keys: readJwks(value) }
}

/** A key source that fetches on first use, keeps the document, and looks again for a key id it has not seen (rotation). */
export function remoteJwks(url: string, options: RemoteJwksOptions = {}): (kid: string) => Promise<JwksDocument> {
  allowedUrl(url, 'the key set')
  const { maxAgeMs = 600_000, cooldownMs = 30_000, now = Date.now } = options
  let held: { readonly document: JwksDocument; readonly at: number } | undefined
  let running: Promise<JwksDocument> | undefined
  const refresh = (): Promise<JwksDocument> => {
    running ??= fetchJwks(url, options)
      .then(document => {
        held = { document, at: now() }
        return document
      })
      .finally(() => {
        running = undefined
      })
    return running
  }
  return async kid => {
    if (held === undefined) return refresh()
    const age = now() - held.at
    // A clock set back must not keep an old document for ever.
    if (age > maxAgeMs || age < 0) return refresh()
    if (age > cooldownMs && !readJwks(held.document).some(key => key['kid'] === kid)) return refresh()
    return held.document
  }
}

async function readCapped(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = response.body?.getReader()
  while (reader !== undefined) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.byteLength
    if (size > maxBytes) {
      await reader.cancel()
      throw new JwsInvalid('jwks_invalid', `expected a key set of at most ${maxBytes} bytes`)
    }
    chunks.push(value)
  }
  const whole = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}
