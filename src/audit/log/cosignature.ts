/**
 * Cosignatures (https://c2sp.org/tlog-cosignature): a witness's word that at some time this was the largest tree of the
 * log it had seen, and that the tree continued all it had seen before. They say nothing about whether entries are true.
 */

import { toUtf8 } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import {
  COSIGNATURE_ED25519,
  keyId,
  type NoteKey,
  type NoteSignature,
  type NoteVerifier,
  verifyEd25519,
} from './note.ts'

const TIMESTAMP_BYTES = 8
const MAX_TIMESTAMP = 2n ** 63n - 1n

/** What a witness signs: the checkpoint's text without its signatures, under a time. */
export function cosignedMessage(checkpointText: string, timestamp: bigint): string {
  return `cosignature/v1\ntime ${timestamp}\n${checkpointText}`
}

/**
 * For a witness's key. Some tools write it with the type of a plain key; the id on a cosignature is always that of the
 * cosignature type, so it is computed, never compared across types.
 */
export async function cosignatureVerifier(key: NoteKey): Promise<NoteVerifier> {
  const id = await keyId(key.name, COSIGNATURE_ED25519, key.publicKey)
  return {
    name: key.name,
    id,
    verify: async (text, signature) => {
      const time = timeIn(signature)
      if (time === undefined) return false
      return verifyEd25519(key.publicKey, toUtf8(cosignedMessage(text, time)), signature.slice(TIMESTAMP_BYTES))
    },
  }
}

/** Seconds since 1970, as the witness stated them. */
export function cosignatureTime(signature: NoteSignature): bigint {
  const time = timeIn(signature.bytes)
  if (time === undefined) throw new LogInvalid('malformed', `expected a cosignature of ${signature.name} of 76 bytes`)
  return time
}

function timeIn(signature: Uint8Array): bigint | undefined {
  if (signature.length !== TIMESTAMP_BYTES + 64) return undefined
  const time = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0)
  return time > MAX_TIMESTAMP ? undefined : time
}
