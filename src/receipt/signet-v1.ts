/**
 * The Python implementation's receipt header: `signet=v1; alg=ed25519; entry=…; key=…; sig=<hex>`, for callers that
 * already read it. It signs the audit row's canonical bytes, so a verifier needs the whole row, and it says nothing
 * about the response. A verifier pins the algorithm through the key it passes: a header cannot talk it down to another.
 */
import { fromHex, fromUtf8, isObject, owned, toHex } from '../jws/bytes.ts'
import type { ReceiptSigner } from './issue.ts'

export interface SignetV1 {
  readonly alg: string
  readonly entry: string
  readonly key: string
  readonly sig: string
}

export type SignetV1Key =
  | { readonly alg: 'ed25519'; readonly kid: string; readonly jwk: { readonly x: string } }
  | { readonly alg: 'hmac-sha256'; readonly kid: string; readonly secret: Uint8Array }

/** The order of the checks; the first that fails is reported. */
export type SignetV1Result =
  | { readonly ok: true; readonly entryId: string }
  | { readonly ok: false; readonly code: 'malformed' | 'alg_wrong' | 'key_wrong' | 'entry_wrong' | 'signature_invalid' }

const MAX_LENGTH = 4096
/** Entry and key ids go into a header field: no separators, no controls. */
const TOKEN = /^[A-Za-z0-9_.:-]{1,256}$/

export async function issueSignetV1(entryId: string, canonicalRow: Uint8Array, signer: ReceiptSigner): Promise<string> {
  if (!TOKEN.test(entryId) || !TOKEN.test(signer.kid))
    throw new TypeError('entry and key ids must be 1 to 256 characters of A-Z a-z 0-9 _ . : -')
  const signature = await signer.sign(canonicalRow)
  return `signet=v1; alg=ed25519; entry=${entryId}; key=${signer.kid}; sig=${toHex(signature)}`
}

/**
 * Pieces are separated by `;` and trimmed, pieces without `=` are skipped, the last of two equal names stands, and a
 * missing `alg` means hmac-sha256, which the first releases did not write. `undefined` when it is not a v1 receipt.
 */
export function parseSignetV1(header: string): SignetV1 | undefined {
  if (header.length > MAX_LENGTH) return undefined
  const fields = new Map<string, string>()
  for (const piece of header.split(';')) {
    const equals = piece.indexOf('=')
    if (equals >= 0) fields.set(piece.slice(0, equals).trim(), piece.slice(equals + 1).trim())
  }
  const entry = fields.get('entry')
  const key = fields.get('key')
  const sig = fields.get('sig')
  if (fields.get('signet') !== 'v1' || !entry || !key || !sig) return undefined
  return { alg: fields.get('alg') ?? 'hmac-sha256', entry, key, sig }
}

/** `canonicalRow`: the row's canonical bytes without `hmac`, as `signet audit show --canonical` or the log gives them. */
export async function verifySignetV1(
  header: string,
  canonicalRow: Uint8Array,
  key: SignetV1Key,
): Promise<SignetV1Result> {
  const receipt = parseSignetV1(header)
  if (receipt === undefined) return { ok: false, code: 'malformed' }
  if (receipt.alg !== key.alg) return { ok: false, code: 'alg_wrong' }
  if (receipt.key !== key.kid) return { ok: false, code: 'key_wrong' }
  if (receipt.entry !== entryIdOf(canonicalRow)) return { ok: false, code: 'entry_wrong' }
  const good = await (key.alg === 'ed25519'
    ? verifyEd25519(receipt.sig, canonicalRow, key.jwk.x)
    : verifyHmac(receipt.sig, canonicalRow, key.secret))
  return good ? { ok: true, entryId: receipt.entry } : { ok: false, code: 'signature_invalid' }
}

async function verifyEd25519(sig: string, data: Uint8Array, x: string): Promise<boolean> {
  const signature = fromHex(sig, 64)
  if (signature === undefined) return false
  const key = await crypto.subtle.importKey('jwk', { kty: 'OKP', crv: 'Ed25519', x }, 'Ed25519', false, ['verify'])
  return crypto.subtle.verify('Ed25519', key, signature, owned(data))
}

async function verifyHmac(sig: string, data: Uint8Array, secret: Uint8Array): Promise<boolean> {
  const signature = fromHex(sig, 32)
  if (signature === undefined) return false
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', owned(secret), algorithm, false, ['verify'])
  // WebCrypto compares MACs in constant time.
  return crypto.subtle.verify('HMAC', key, signature, owned(data))
}

function entryIdOf(canonicalRow: Uint8Array): unknown {
  try {
    const row: unknown = JSON.parse(fromUtf8(canonicalRow))
    return isObject(row) ? row['entry_id'] : undefined
  } catch {
    return undefined
  }
}
