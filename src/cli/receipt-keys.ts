/** Public keys of receipts from a file: a JWK Set, an SPKI PEM, or the 32 bytes of an Ed25519 key in hex. */
import { publicJwkOf } from '../keys/signing.ts'
import type { JwksDocument } from '../receipt/index.ts'
import { CommandError } from './failure.ts'

/** RFC 8410 section 4: the SubjectPublicKeyInfo of an Ed25519 key is these twelve bytes and the key. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/**
 * `keyId`: the id under which a single key is pinned. Without it a PEM or hex key is known by its RFC 7638 thumbprint,
 * which is what this gate writes.
 */
export function readPublicKeys(path: string, text: string, keyId: string | undefined): JwksDocument {
  if (text.includes('PRIVATE KEY')) throw new CommandError(`${path}: holds a private key, expected public ones`)
  const hex = /^\s*([0-9a-fA-F]{64})\s*$/.exec(text)?.[1]
  if (hex !== undefined || text.includes('-----BEGIN PUBLIC KEY-----')) {
    const pem = hex === undefined ? text : pemOf(Buffer.from(hex, 'hex'))
    const jwk = publicJwkOf(pem)
    return { keys: [keyId === undefined ? { ...jwk } : { ...jwk, kid: keyId }] }
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new CommandError(`${path}: expected a JWK Set (JSON), a public key (PEM), or 64 hex digits`)
  }
  if (typeof value !== 'object' || value === null || !('keys' in value) || !Array.isArray(value.keys))
    throw new CommandError(`${path}: expected a JWK Set: an object with a list of "keys"`)
  if (keyId !== undefined)
    throw new CommandError(`--key-id: ${path} is a JWK Set, whose keys have ids of their own; leave it out`)
  return { keys: value.keys }
}

function pemOf(key: Uint8Array): string {
  const der = Buffer.concat([SPKI_PREFIX, key]).toString('base64')
  return `-----BEGIN PUBLIC KEY-----\n${der}\n-----END PUBLIC KEY-----\n`
}
