/**
 * What a signer process says, line by line (docs/keys.md): JSON objects, at most 64 KiB each. Everything it says is
 * parsed here once; what does not fit ends the process, for a signer that talks nonsense is not to be asked again.
 */
import { KeyError } from './error.ts'

/** Longest line, newline included. */
export const LONGEST_LINE = 64 * 1024
const MOST_KEYS = 64

export interface AnnouncedKey {
  /** The raw public key, base64url (RFC 8037). */
  readonly x: string
  /** Milliseconds since 1970. */
  readonly notBefore: number | undefined
  readonly notAfter: number | undefined
}

export type SignerMessage =
  | { readonly kind: 'keys'; readonly keys: readonly AnnouncedKey[] }
  | { readonly kind: 'signature'; readonly id: number; readonly signature: Uint8Array }
  | { readonly kind: 'refused'; readonly id: number }

export function signRequest(id: number, kid: string, data: Uint8Array): string {
  return `${JSON.stringify({ id, kid, data: Buffer.from(data).toString('base64') })}\n`
}

/** Throws `KeyError`; the message quotes nothing of what came. */
export function readSignerLine(line: string): SignerMessage {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw nonsense('a line that is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw nonsense('a line that is no object')
  const said = new Map<string, unknown>(Object.entries(value))
  const keys = said.get('keys')
  if (keys !== undefined) {
    if (said.get('v') !== 1) throw nonsense('another version of the protocol than 1')
    if (!Array.isArray(keys) || keys.length === 0 || keys.length > MOST_KEYS)
      throw nonsense(`no list of 1 to ${MOST_KEYS} keys`)
    return { kind: 'keys', keys: keys.map(announced) }
  }
  const id = said.get('id')
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) throw nonsense('an answer without an id')
  const signature = said.get('signature')
  if (typeof signature !== 'string') return { kind: 'refused', id }
  const bytes = Buffer.from(signature, 'base64')
  if (bytes.length !== 64 || bytes.toString('base64') !== signature)
    throw nonsense('a signature that is not 64 bytes in base64')
  return { kind: 'signature', id, signature: bytes }
}

function announced(value: unknown): AnnouncedKey {
  if (typeof value !== 'object' || value === null) throw nonsense('a key that is no object')
  const said = new Map<string, unknown>(Object.entries(value))
  const x = said.get('x')
  if (typeof x !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(x))
    throw nonsense('a key without "x" (32 bytes in base64url)')
  return { x, notBefore: seconds(said.get('nbf')), notAfter: seconds(said.get('exp')) }
}

function seconds(value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw nonsense('a time that is not whole seconds')
  return value * 1000
}

function nonsense(what: string): KeyError {
  return new KeyError('signer_unavailable', `said ${what}; see docs/keys.md`)
}
