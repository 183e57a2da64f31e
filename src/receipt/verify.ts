/**
 * Verifying receipts, with WebCrypto only: the same file runs in Node, Deno, Bun, workers and browsers.
 *
 * Guarantees, when `verifyReceipt` resolves: the holder of the key that YOU trust under this `kid` and issuer stated
 * exactly these claims, and dated them within that key's validity; bytes that were passed in are the bytes it stated them about. It does not show that the row is
 * in the log (take `leaf` to an inclusion proof for that), nor when it was made beyond what `iat` says.
 * RFC 8725 is followed throughout: one algorithm, explicit type, exact issuer, no key material from the token.
 */
import { sha256Digest } from '../jws/bytes.ts'
import { checkKeyTime, verifyCompact } from '../jws/compact.ts'
import type { KeySource } from '../jws/jwks.ts'
import { leafBytes, RECEIPT_TYP, type ReceiptClaims, readClaims } from './claims.ts'
import { asReceiptInvalid, ReceiptInvalid } from './errors.ts'

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

/** What is longer is no receipt of any form. */
const LEGACY_MAX = 16_384
const RULES = { what: 'receipt', typ: RECEIPT_TYP, purpose: 'receipts' } as const

/** Resolves with the proven claims; rejects with `ReceiptInvalid`. */
export async function verifyReceipt(compact: string, options: VerifyReceiptOptions): Promise<VerifiedReceipt> {
  if (typeof compact === 'string' && compact.length <= LEGACY_MAX && /^\s*signet\s*=/.test(compact))
    throw new ReceiptInvalid(
      'receipt_legacy_form',
      'this is the older `signet=v1` form, which covers no response; check it with verifySignetV1 and the audit row',
    )
  const { kid, key, payload } = await verifyCompact(compact, options.keys, RULES).catch(asReceiptInvalid)
  const claims = readClaims(payload)
  try {
    checkKeyTime(key, claims.iat, RULES)
  } catch (error) {
    asReceiptInvalid(error)
  }
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

async function match(
  bytes: Uint8Array | undefined,
  stated: string | undefined,
  code: 'request_mismatch' | 'response_mismatch',
  what: string,
): Promise<void> {
  if (bytes !== undefined && (await sha256Digest(bytes)) !== stated)
    throw new ReceiptInvalid(code, `these are not the ${what} bytes that the receipt covers`)
}
