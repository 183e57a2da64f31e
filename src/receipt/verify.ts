/**
 * Verifying receipts, with WebCrypto only: the same file runs in Node, Deno, Bun, workers and browsers.
 *
 * Guarantees, when `verifyReceipt` resolves: the holder of the key that YOU trust under this `kid` and issuer stated
 * exactly these claims, and dated them within that key's validity; bytes that were passed in are the bytes it stated them about. It does not show that the row is
 * in the log (take `leaf` to an inclusion proof for that), nor when it was made beyond what `iat` says.
 * RFC 8725 is followed throughout: one algorithm, explicit type, exact issuer, no key material from the token.
 */
import { base64url, compactVerify, errors } from 'jose'
import { fromUtf8, isObject, sha256Digest } from './bytes.ts'
import { leafBytes, RECEIPT_TYP, type ReceiptClaims, readClaims } from './claims.ts'
import { ReceiptInvalid } from './errors.ts'
import { findKey, type KeySource } from './jwks.ts'

export interface VerifyReceiptOptions {
  /** A pinned JWK Set, or `remoteJwks(url)`. */
  readonly keys: KeySource
  /** Must equal `iss` exactly. */
  readonly issuer: string
  /** The request body as it was sent: must be what `req` covers. */
  readonly requestBytes?: Uint8Array
  /** Every body byte received before the receipt: must be what `res` covers; a receipt that is not final is then refused. */
  readonly responseBytes?: Uint8Array
  /** The correlation id of the exchange this receipt must be about. */
  readonly exchange?: string
  /** Refuse a receipt that covers no response. */
  readonly requireFinal?: boolean
  /** Accept decisions that were recorded and not enforced. Default false. */
  readonly allowShadow?: boolean
}

export interface VerifiedReceipt {
  readonly claims: ReceiptClaims
  readonly kid: string
  /** Whether the request, or the response, was given and compared. */
  readonly covers: { readonly request: boolean; readonly response: boolean }
  /** The log entry that the row's inclusion proof is about. */
  readonly leaf: Uint8Array
}

const MAX_LENGTH = 16_384
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** RFC 7515 section 4.1: members that bring a key along, or change how the token must be read. */
const FORBIDDEN = ['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'crit', 'b64', 'zip']

/** Resolves with the proven claims; rejects with `ReceiptInvalid`. */
export async function verifyReceipt(compact: string, options: VerifyReceiptOptions): Promise<VerifiedReceipt> {
  const kid = readHeader(compact)
  const { x, nbf, exp } = await findKey(options.keys, kid)
  const claims = readClaims(await openPayload(compact, x))
  if ((nbf !== undefined && claims.iat < nbf) || (exp !== undefined && claims.iat >= exp))
    throw new ReceiptInvalid('key_not_valid', 'the receipt says it was issued at a time when its key was not valid')
  if (claims.iss !== options.issuer)
    throw new ReceiptInvalid('issuer_wrong', 'the receipt was issued by another issuer than the expected one')
  if (claims.shadow === true && options.allowShadow !== true)
    throw new ReceiptInvalid(
      'shadow_refused',
      'the decision was recorded and not enforced (shadow); pass `allowShadow` to accept it',
    )
  if (options.exchange !== undefined && claims.exchange !== options.exchange)
    throw new ReceiptInvalid('exchange_wrong', 'the receipt is about another exchange than the expected one')
  if (!claims.final && (options.requireFinal === true || options.responseBytes !== undefined))
    throw new ReceiptInvalid('not_final', 'expected a final receipt; this one covers no response')
  await match(options.requestBytes, claims.req, 'request_mismatch', 'request')
  await match(options.responseBytes, claims.res, 'response_mismatch', 'response')
  return {
    claims,
    kid,
    covers: { request: options.requestBytes !== undefined, response: options.responseBytes !== undefined },
    leaf: leafBytes(claims.leaf),
  }
}

/** Everything about the header that must hold before a key is even looked up. Returns `kid`. */
function readHeader(compact: unknown): string {
  if (typeof compact !== 'string') throw new ReceiptInvalid('receipt_malformed', 'expected the receipt to be a string')
  if (compact.length > MAX_LENGTH)
    throw new ReceiptInvalid('receipt_too_long', `expected a receipt of at most ${MAX_LENGTH} characters`)
  if (/^\s*signet\s*=/.test(compact))
    throw new ReceiptInvalid(
      'receipt_legacy_form',
      'this is the older `signet=v1` form, which covers no response; check it with verifySignetV1 and the audit row',
    )
  if (!COMPACT.test(compact))
    throw new ReceiptInvalid('receipt_malformed', 'expected a compact JWS: three base64url segments joined by dots')
  const header = jsonObject(compact.slice(0, compact.indexOf('.')))
  if (header['typ'] !== RECEIPT_TYP)
    throw new ReceiptInvalid('receipt_typ_wrong', `expected a token of type ${RECEIPT_TYP}`)
  if (header['alg'] !== 'EdDSA')
    throw new ReceiptInvalid('receipt_alg_not_allowed', 'expected the algorithm EdDSA; no other is accepted')
  for (const name of FORBIDDEN)
    if (Object.hasOwn(header, name))
      throw new ReceiptInvalid('receipt_header_forbidden', `a receipt's header may not carry \`${name}\``)
  const kid = header['kid']
  if (typeof kid !== 'string' || kid === '')
    throw new ReceiptInvalid('receipt_kid_missing', 'expected a key id (`kid`) in the header')
  return kid
}

async function openPayload(compact: string, x: string): Promise<unknown> {
  const signature = compact.slice(compact.lastIndexOf('.') + 1)
  // RFC 4648 section 3.5: unused trailing bits must be zero, else one signature has several spellings.
  if (signature.length !== 86 || base64url.encode(base64url.decode(signature)) !== signature)
    throw new ReceiptInvalid('receipt_signature_invalid', 'expected an Ed25519 signature of 64 bytes in base64url')
  let payload: Uint8Array
  try {
    const key = { kty: 'OKP', crv: 'Ed25519', x, alg: 'EdDSA' }
    ;({ payload } = await compactVerify(compact, key, { algorithms: ['EdDSA'] }))
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed)
      throw new ReceiptInvalid('receipt_signature_invalid', "the signature is not that of the receipt's key")
    if (error instanceof errors.JOSEError)
      throw new ReceiptInvalid('receipt_malformed', 'the receipt is not a valid JWS', { cause: error })
    throw new ReceiptInvalid('key_unusable', 'the key that the receipt names cannot be used', { cause: error })
  }
  try {
    return JSON.parse(fromUtf8(payload))
  } catch {
    throw new ReceiptInvalid('claims_malformed', 'expected the claims to be JSON')
  }
}

function jsonObject(segment: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(fromUtf8(base64url.decode(segment)))
    if (isObject(value)) return value
  } catch {
    // Not base64url, not UTF-8 or not JSON: all the same to the caller.
  }
  throw new ReceiptInvalid('receipt_malformed', 'expected the header to be a JSON object in base64url')
}

async function match(
  bytes: Uint8Array | undefined,
  stated: string | undefined,
  code: 'request_mismatch' | 'response_mismatch',
  what: string,
): Promise<void> {
  if (bytes !== undefined && (await sha256Digest(bytes)) !== stated)
    throw new ReceiptInvalid(code, `these are not the ${what} bytes that the receipt covers`)
}
