/**
 * Keys that are read anew while a gate runs may gain a key, and a key may end sooner. Anything else is no rotation: a file
 * that was lost, replaced or put back as it was, and a gate that took it over would write rows that its own log's verifier
 * refuses, or sign with a key that has ended.
 */
import { KeyError } from './error.ts'
import type { KeyPurpose, StoredKey } from './key-file.ts'

/** Throws `key_unreadable`; what was read before then stays in use. */
export function refuseLoss(purpose: KeyPurpose, before: readonly StoredKey[], now: readonly StoredKey[]): void {
  for (const known of before) {
    const found = now.find(key => key.id === known.id)
    const why = found === undefined ? 'has no file any more' : differenceOf(known, found)
    if (why === undefined) continue
    throw new KeyError(
      'key_unreadable',
      `the ${purpose} key ${known.id} ${why}; restore its file, or restart the gate if it is meant`,
    )
  }
}

function differenceOf(known: StoredKey, found: StoredKey): string | undefined {
  // The id of a signing key is made from its public half.
  if (known.form === 'mac' && found.form === 'mac' && known.secretHex !== found.secretHex) return 'has another secret'
  if (known.notBefore !== found.notBefore) return 'begins at another time'
  if ((found.notAfter ?? Infinity) > (known.notAfter ?? Infinity)) return 'had ended, or was about to, and no longer is'
  if (known.withdrawn && !found.withdrawn) return 'was withdrawn, and no longer is'
  return undefined
}
