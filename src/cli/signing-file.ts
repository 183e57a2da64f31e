/** A signing key from a file that a setting names. */
import { KeyError } from '../keys/ring.ts'
import { SigningKey } from '../keys/signing.ts'
import { readSecretFile } from '../keys/store.ts'

/** `text`: what the file holds, where it was read already. Throws `KeyError` that names the file. */
export function signingKeyOf(path: string, text: string = readSecretFile(path)): SigningKey {
  try {
    return SigningKey.fromPem(text)
  } catch (error) {
    throw error instanceof KeyError ? new KeyError(error.code, `${path}: ${error.message}`) : error
  }
}
