/** Key sets as whoever verifies receipts sees them: the same as for any token of the gate, with the errors of a receipt. */
import * as jwks from '../jws/jwks.ts'
import { asReceiptInvalid } from './errors.ts'

export type { Ed25519Jwk, FetchJwksOptions, JwksDocument, KeySource, RemoteJwksOptions } from '../jws/jwks.ts'

/** The document to publish. Only public members are copied: a private `d` given by mistake is an error, not a leak. */
export function buildJwks(keys: readonly object[]): { readonly keys: readonly jwks.Ed25519Jwk[] } {
  return sync(() => jwks.buildJwks(keys))
}

/** The one Ed25519 verification key called `kid`; two of that name are refused, for either could be meant. */
export function findKey(source: jwks.KeySource, kid: string): Promise<jwks.Ed25519Jwk> {
  return jwks.findKey(source, kid, 'receipts').catch(asReceiptInvalid)
}

/** One fetch of a key set, validated. */
export function fetchJwks(url: string, options: jwks.FetchJwksOptions = {}): Promise<jwks.JwksDocument> {
  return jwks.fetchJwks(url, options).catch(asReceiptInvalid)
}

/** A key source that fetches on first use, keeps the document, and looks again for a key id it has not seen (rotation). */
export function remoteJwks(
  url: string,
  options: jwks.RemoteJwksOptions = {},
): (kid: string) => Promise<jwks.JwksDocument> {
  const source = sync(() => jwks.remoteJwks(url, options))
  return kid => source(kid).catch(asReceiptInvalid)
}

function sync<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    return asReceiptInvalid(error)
  }
}
