/** What can be wrong with a key. One line; never the secret. */
export type KeyErrorCode =
  | 'key_id_invalid'
  | 'key_too_short'
  | 'key_not_hex'
  | 'key_duplicate'
  | 'key_unreadable'
  | 'key_not_valid'
  | 'key_unknown'
  | 'signer_unavailable'

export class KeyError extends Error {
  override readonly name = 'KeyError'
  readonly code: KeyErrorCode
  constructor(code: KeyErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
