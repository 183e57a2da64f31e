/** What a receipt says, before anybody has checked that it may say so: to find its row in a log, never to rely on. */
import { base64url } from 'jose'
import { fromUtf8 } from '../jws/bytes.ts'
import { type ReceiptClaims, readClaims } from './claims.ts'
import { ReceiptInvalid } from './errors.ts'

const COMPACT = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/
const MAX_LENGTH = 16_384

/** Throws `ReceiptInvalid` for what is no receipt. Nothing about keys, signature or issuer is checked. */
export function unverifiedClaims(compact: string): ReceiptClaims {
  const payload = compact.length > MAX_LENGTH ? undefined : COMPACT.exec(compact)?.[1]
  if (payload === undefined) {
    throw new ReceiptInvalid('receipt_malformed', 'expected a compact JWS: three base64url segments joined by dots')
  }
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(base64url.decode(payload)))
  } catch {
    throw new ReceiptInvalid('claims_malformed', 'expected the claims to be JSON')
  }
  return readClaims(value)
}
