/** Every way a capability can fail to permit a call. Codes are stable: match on `code`, never on the message. */
import { type JwsErrorCode, JwsInvalid } from '../jws/errors.ts'

export type CapabilityErrorCode =
  // the token itself
  | 'capability_missing'
  | 'capability_malformed'
  | 'capability_too_long'
  | 'capability_typ_wrong'
  | 'capability_alg_not_allowed'
  | 'capability_kid_missing'
  | 'capability_header_forbidden'
  | 'capability_signature_invalid'
  // keys
  | 'jwks_invalid'
  | 'jwks_unreachable'
  | 'key_unknown'
  | 'key_unusable'
  | 'key_not_valid'
  // claims
  | 'claims_malformed'
  | 'issuer_wrong'
  | 'audience_wrong'
  | 'tool_wrong'
  | 'not_yet_valid'
  | 'expired'
  | 'shadow_refused'
  // the call at hand
  | 'arguments_ambiguous'
  | 'arguments_mismatch'
  // use
  | 'already_used'
  | 'replay_unavailable'

/** The call is not permitted. `message` says what was expected; it quotes neither arguments nor key material. */
export class CapabilityInvalid extends Error {
  override readonly name = 'CapabilityInvalid'
  readonly code: CapabilityErrorCode

  constructor(code: CapabilityErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Could the same call pass a little later? Then an executor answers 503 and not 403. */
export function isOutage(error: CapabilityInvalid): boolean {
  return error.code === 'replay_unavailable' || error.code === 'jwks_unreachable'
}

/** What is wrong with any token, as it is called of a capability; anything else came from a key source and is one too. */
export function asCapabilityInvalid(error: unknown): never {
  if (error instanceof JwsInvalid) throw new CapabilityInvalid(CODES[error.code], error.message, { cause: error.cause })
  if (error instanceof CapabilityInvalid) throw error
  throw new CapabilityInvalid('jwks_unreachable', 'the key set could not be had', { cause: error })
}

const CODES: Readonly<Record<JwsErrorCode, CapabilityErrorCode>> = {
  malformed: 'capability_malformed',
  too_long: 'capability_too_long',
  typ_wrong: 'capability_typ_wrong',
  alg_not_allowed: 'capability_alg_not_allowed',
  kid_missing: 'capability_kid_missing',
  header_forbidden: 'capability_header_forbidden',
  signature_invalid: 'capability_signature_invalid',
  claims_malformed: 'claims_malformed',
  jwks_invalid: 'jwks_invalid',
  jwks_unreachable: 'jwks_unreachable',
  key_unknown: 'key_unknown',
  key_unusable: 'key_unusable',
  key_not_valid: 'key_not_valid',
}
