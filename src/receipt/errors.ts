import { type JwsErrorCode, JwsInvalid } from '../jws/errors.ts'

/** Every way a receipt can fail to prove what it claims. Codes are stable: match on `code`, never on the message. */
export type ReceiptErrorCode =
  // the token itself
  | 'receipt_malformed'
  | 'receipt_too_long'
  | 'receipt_legacy_form'
  | 'receipt_typ_wrong'
  | 'receipt_alg_not_allowed'
  | 'receipt_kid_missing'
  | 'receipt_header_forbidden'
  | 'receipt_signature_invalid'
  // keys
  | 'jwks_invalid'
  | 'jwks_unreachable'
  | 'key_unknown'
  | 'key_unusable'
  | 'key_not_valid'
  // claims
  | 'claims_malformed'
  | 'claims_inconsistent'
  | 'issuer_wrong'
  | 'exchange_wrong'
  | 'shadow_refused'
  | 'not_final'
  // what the claims say about bytes
  | 'request_mismatch'
  | 'response_mismatch'
  | 'stream_receipt_missing'
  | 'stream_remainder_unsigned'
  // the older form
  | 'row_missing'

/** The receipt proves nothing. `message` says what was expected and what came; it never quotes key material. */
export class ReceiptInvalid extends Error {
  override readonly name = 'ReceiptInvalid'
  readonly code: ReceiptErrorCode

  constructor(code: ReceiptErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** What is wrong with any token, as it is called of a receipt; anything else is thrown as it is. */
export function asReceiptInvalid(error: unknown): never {
  if (error instanceof JwsInvalid) throw new ReceiptInvalid(CODES[error.code], error.message, { cause: error.cause })
  throw error
}

const CODES: Readonly<Record<JwsErrorCode, ReceiptErrorCode>> = {
  malformed: 'receipt_malformed',
  too_long: 'receipt_too_long',
  typ_wrong: 'receipt_typ_wrong',
  alg_not_allowed: 'receipt_alg_not_allowed',
  kid_missing: 'receipt_kid_missing',
  header_forbidden: 'receipt_header_forbidden',
  signature_invalid: 'receipt_signature_invalid',
  claims_malformed: 'claims_malformed',
  jwks_invalid: 'jwks_invalid',
  jwks_unreachable: 'jwks_unreachable',
  key_unknown: 'key_unknown',
  key_unusable: 'key_unusable',
  key_not_valid: 'key_not_valid',
}
