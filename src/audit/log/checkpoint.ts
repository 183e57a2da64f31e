/** Checkpoints (https://c2sp.org/tlog-checkpoint): a log's signed statement of how large it is and what its root is. */
import { fromBase64, readDecimal, toBase64 } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import { HASH_BYTES } from './merkle.ts'
import { ED25519, isKeyName, type NoteKey, noteVerifier, type OpenedNote, openNote, parseNote } from './note.ts'

export interface Checkpoint {
  /** The log's name, unique in the world: a URL without its scheme. */
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

export interface OpenedCheckpoint extends Checkpoint {
  readonly note: OpenedNote
}

/** The text that is signed. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  if (!isKeyName(origin)) throw new LogInvalid('malformed', 'expected an origin without spaces and without "+"')
  return `${origin}\n${size}\n${toBase64(root)}\n`
}

/**
 * Extension lines are refused: the logs that this reads write none, and a witness's newer kind of signature would not
 * cover them.
 */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', size = '', root = '', end, ...more] = text.split('\n')
  if (origin === '' || end !== '' || more.length > 0) {
    throw new LogInvalid('malformed', 'expected a checkpoint: three lines, with origin, size and root')
  }
  const hash = fromBase64(root)
  if (hash?.length !== HASH_BYTES)
    throw new LogInvalid('malformed', "expected a checkpoint's root as base64 of 32 bytes")
  return { origin, size: readDecimal(size, "a checkpoint's size"), root: hash }
}

/** A checkpoint signed by one of these keys for an origin of its own name (the log's key is named as the log is). */
export async function openCheckpoint(note: string, logKeys: readonly NoteKey[]): Promise<OpenedCheckpoint> {
  const parsed = parseNote(note)
  const checkpoint = parseCheckpoint(parsed.text)
  const keys = logKeys.filter(key => key.name === checkpoint.origin && key.type === ED25519)
  if (keys.length === 0) {
    const known = logKeys.map(key => key.name).join(' or ')
    throw new LogInvalid('origin_wrong', `the checkpoint is of the log ${checkpoint.origin}, expected ${known}`)
  }
  return { ...checkpoint, note: await openNote(parsed, keys.map(noteVerifier)) }
}
