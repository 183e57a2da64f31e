/**
 * Signatures of webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
 * `v1` is HMAC-SHA256 with a `whsec_` secret, `v1a` is Ed25519 with a `whsk_` key. While a secret is rotated there are
 * several, and each signs.
 */
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'

export interface WebhookSigner {
  /** The value of `webhook-signature`. */
  sign(id: string, timestamp: number, body: string): string
}

/** "Random. At least 24 bytes (192 bits, 512 maximum)". */
const LEAST_BYTES = 24
const MOST_BYTES = 64
/** PKCS #8 of an Ed25519 key (RFC 8410 7), up to its 32 bytes. */
const ED25519_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Throws a `TypeError` that never repeats a secret. */
export function createWebhookSigner(secrets: readonly string[]): WebhookSigner {
  if (secrets.length === 0) throw new TypeError('expected at least one secret, whsec_… or whsk_…')
  const each = secrets.map(signerOf)
  return { sign: (id, timestamp, body) => each.map(s => s(`${id}.${timestamp}.${body}`)).join(' ') }
}

function signerOf(secret: string): (content: string) => string {
  const [, kind, base64 = ''] = /^(whsec|whsk)_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? []
  const bytes = Buffer.from(base64, 'base64')
  if (kind === 'whsec') {
    if (bytes.length < LEAST_BYTES || bytes.length > MOST_BYTES)
      throw new TypeError(`a whsec_ secret must be base64 of ${LEAST_BYTES} to ${MOST_BYTES} bytes`)
    return content => `v1,${createHmac('sha256', bytes).update(content).digest('base64')}`
  }
  if (kind === 'whsk') {
    const key = privateKey(bytes)
    return content => `v1a,${sign(null, Buffer.from(content), key).toString('base64')}`
  }
  throw new TypeError('expected whsec_ or whsk_, and base64 behind it')
}

/** 32 bytes, or those followed by the 32 of the public key, which then must be its own. */
function privateKey(bytes: Buffer): KeyObject {
  if (bytes.length !== 32 && bytes.length !== 64)
    throw new TypeError('a whsk_ key must be base64 of 32 bytes, or of 64 with its public half')
  const key = createPrivateKey({
    key: Buffer.concat([ED25519_HEAD, bytes.subarray(0, 32)]),
    format: 'der',
    type: 'pkcs8',
  })
  if (bytes.length === 64 && !publicBytes(key).equals(bytes.subarray(32)))
    throw new TypeError('the two halves of a whsk_ key do not belong together')
  return key
}

function publicBytes(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
}

/** `whpk_…` of a `whsk_` key: what receivers are given. */
export function webhookPublicKey(secret: string): string | undefined {
  const base64 = /^whsk_(.*)$/.exec(secret)?.[1]
  return base64 === undefined
    ? undefined
    : `whpk_${publicBytes(privateKey(Buffer.from(base64, 'base64'))).toString('base64')}`
}
