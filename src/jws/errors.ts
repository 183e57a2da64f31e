/** Every way a compact JWS or a key set can fail, whatever the token is about. Its rooms give these codes their own names. */
export type JwsErrorCode =
  // the token itself
  | 'malformed'
  | 'too_long'
  | 'typ_wrong'
  | 'alg_not_allowed'
  | 'kid_missing'
  | 'header_forbidden'
  | 'signature_invalid'
  | 'claims_malformed'
  // keys
  | 'jwks_invalid'
  | 'jwks_unreachable'
  | 'key_unknown'
  | 'key_unusable'
  | 'key_not_valid'

/** `message` says what was expected and what came; it never quotes key material. */
export class JwsInvalid extends Error {
  override readonly name = 'JwsInvalid'
  readonly code: JwsErrorCode

  constructor(code: JwsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
