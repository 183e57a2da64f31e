/** Every way a log, a note or a proof can fail to prove what it claims. Match on `code`, never on the message. */
export type LogErrorCode =
  // not written as the format says
  | 'malformed'
  | 'too_large'
  | 'key_invalid'
  | 'policy_invalid'
  // signed notes
  | 'signature_missing'
  | 'signature_invalid'
  | 'origin_wrong'
  | 'quorum_unmet'
  // Merkle proofs
  | 'proof_invalid'
  | 'entry_mismatch'
  // a log on the disk or over HTTP
  | 'tile_missing'
  | 'tile_conflict'
  | 'not_yet_logged'
  | 'log_behind'
  | 'log_forked'
  | 'log_unreadable'
  | 'log_halted'

/** One line: what was expected, what came. */
export class LogInvalid extends Error {
  override readonly name = 'LogInvalid'
  readonly code: LogErrorCode
  constructor(code: LogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
