/**
 * Verifying compact JWS (RFC 7515) with EdDSA (RFC 8037), on WebCrypto only. RFC 8725 is followed throughout: one algorithm,
 * an explicit type, no key material from the token, one spelling of a signature.
 *
 * Guarantees, when `verifyCompact` resolves: the holder of the trusted key called `kid` signed exactly this payload as a
 * token of exactly this type. What the payload says is for the caller to judge.
 */
import { base64url, compactVerify, errors } from 'jose'
import { fromUtf8, isObject } from './bytes.ts'
import { JwsInvalid } from './errors.ts'
import { type Ed25519Jwk, findKey, isWithin, type KeySource, type TokenPurpose } from './jwks.ts'

export interface CompactRules {
  /** What the token is, for messages. */
  readonly what: 'receipt' | 'capability'
  /** `typ` of the protected header, exactly (RFC 8725 section 3.11). */
  readonly typ: string
  readonly purpose: TokenPurpose
}

const MAX_LENGTH = 16_384
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** RFC 7515 section 4.1: members that bring a key along, or change how the token must be read. */
const FORBIDDEN = ['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'crit', 'b64', 'zip']

/** Resolves with the JSON value of the payload; rejects with `JwsInvalid`. */
export async function verifyCompact(
  compact: unknown,
  keys: KeySource,
  rules: CompactRules,
): Promise<{ readonly kid: string; readonly payload: unknown; readonly key: Ed25519Jwk }> {
  const { token, kid } = readHeader(compact, rules)
  const key = await findKey(keys, kid, rules.purpose)
  return { kid, key, payload: await openPayload(token, key.x, rules.what) }
}

/** A token dates itself; the key must have been valid then. `at`: seconds since 1970. */
export function checkKeyTime(key: Ed25519Jwk, at: number, { what }: CompactRules): void {
  if (!isWithin(key, at))
    throw new JwsInvalid('key_not_valid', `the ${what} says it was issued at a time when its key was not valid`)
}

/** Everything about the header that must hold before a key is even looked up. */
function readHeader(compact: unknown, { what, typ }: CompactRules): { readonly token: string; readonly kid: string } {
  if (typeof compact !== 'string') throw new JwsInvalid('malformed', `expected the ${what} to be a string`)
  if (compact.length > MAX_LENGTH)
    throw new JwsInvalid('too_long', `expected a ${what} of at most ${MAX_LENGTH} characters`)
  if (!COMPACT.test(compact))
    throw new JwsInvalid('malformed', 'expected a compact JWS: three base64url segments joined by dots')
  const header = jsonObject(compact.slice(0, compact.indexOf('.')))
  if (header['typ'] !== typ) throw new JwsInvalid('typ_wrong', `expected a token of type ${typ}`)
  if (header['alg'] !== 'EdDSA')
    throw new JwsInvalid('alg_not_allowed', 'expected the algorithm EdDSA; no other is accepted')
  for (const name of FORBIDDEN)
    if (Object.hasOwn(header, name))
      throw new JwsInvalid('header_forbidden', `a ${what}'s header may not carry \`${name}\``)
  const kid = header['kid']
  if (typeof kid !== 'string' || kid === '')
    throw new JwsInvalid('kid_missing', 'expected a key id (`kid`) in the header')
  return { token: compact, kid }
}

async function openPayload(compact: string, x: string, what: string): Promise<unknown> {
  const signature = compact.slice(compact.lastIndexOf('.') + 1)
  // RFC 4648 section 3.5: unused trailing bits must be zero, else one signature has several spellings.
  if (signature.length !== 86 || base64url.encode(base64url.decode(signature)) !== signature)
    throw new JwsInvalid('signature_invalid', 'expected an Ed25519 signature of 64 bytes in base64url')
  let payload: Uint8Array
  try {
    const key = { kty: 'OKP', crv: 'Ed25519', x, alg: 'EdDSA' }
    ;({ payload } = await compactVerify(compact, key, { algorithms: ['EdDSA'] }))
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed)
      throw new JwsInvalid('signature_invalid', `the signature is not that of the ${what}'s key`)
    if (error instanceof errors.JOSEError)
      throw new JwsInvalid('malformed', `the ${what} is not a valid JWS`, { cause: error })
    throw new JwsInvalid('key_unusable', `the key that the ${what} names cannot be used`, { cause: error })
  }
  try {
    return JSON.parse(fromUtf8(payload))
  } catch {
    throw new JwsInvalid('claims_malformed', 'expected the claims to be JSON')
  }
}

function jsonObject(segment: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(fromUtf8(base64url.decode(segment)))
    if (isObject(value)) return value
  } catch {
    // Not base64url, not UTF-8 or not JSON: all the same to the caller.
  }
  throw new JwsInvalid('malformed', 'expected the header to be a JSON object in base64url')
}
