/** A redaction that cannot be written into every representation of the text. The pipeline blocks with this code instead. */
export class RedactionUnwritable extends Error {
  override readonly name = 'RedactionUnwritable'
  readonly code = 'redaction_unwritable'
}
