/** Every way a time stamp can fail to prove what it should. Match on `code`, never on the message. */
export type AnchorErrorCode =
  | 'unavailable'
  | 'malformed'
  | 'rejected'
  | 'content_wrong'
  | 'imprint_wrong'
  | 'nonce_wrong'
  | 'policy_wrong'
  | 'time_wrong'
  | 'signer_wrong'
  | 'signature_invalid'
  | 'purpose_wrong'
  | 'chain_untrusted'
  | 'conflict'

/** One line: what was expected, what came. */
export class AnchorInvalid extends Error {
  override readonly name = 'AnchorInvalid'
  readonly code: AnchorErrorCode
  constructor(code: AnchorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
