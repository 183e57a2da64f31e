/**
 * Sealed bytes: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. What they are for and whose they are is bound as
 * associated data, so one sealed thing cannot be put in another's place.
 *
 * Guarantees: opening gives exactly the bytes that were sealed for this purpose and id, or throws `SealBroken`. Not
 * guaranteed: that they are the newest ones of their id; who can write the store can put back an older record.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import type { Random } from '../core/clock.ts'

export interface Box {
  seal(purpose: string, id: string, plain: Uint8Array): Uint8Array
  open(purpose: string, id: string, sealed: Uint8Array): Uint8Array
  /** Stands for a text without giving it away: an HMAC under a key derived for that alone. */
  tag(text: string): string
}

export class SealBroken extends Error {
  override readonly name = 'SealBroken'
  readonly code = 'seal_broken'
}

const FORM = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** `key`: 32 bytes. */
export function createBox(key: Uint8Array, random: Random): Box {
  if (key.length !== 32) throw new TypeError(`the sealing key must be 32 bytes, got ${key.length}`)
  const tagKey = createHmac('sha256', key).update('signet escalation owner tag').digest()
  return {
    seal(purpose, id, plain) {
      const nonce = random.bytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      cipher.setAAD(associated(purpose, id))
      const body = Buffer.concat([cipher.update(plain), cipher.final()])
      return Buffer.concat([Buffer.of(FORM), nonce, body, cipher.getAuthTag()])
    },
    open(purpose, id, sealed) {
      if (sealed.length < 1 + NONCE_BYTES + TAG_BYTES || sealed[0] !== FORM) {
        throw new SealBroken(`the sealed ${purpose} has no known form`)
      }
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + NONCE_BYTES))
      decipher.setAAD(associated(purpose, id))
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
      try {
        return Buffer.concat([
          decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.length - TAG_BYTES)),
          decipher.final(),
        ])
      } catch {
        throw new SealBroken(`the sealed ${purpose} does not open with this key for this id`)
      }
    },
    tag: text => createHmac('sha256', tagKey).update(text).digest('base64url'),
  }
}

function associated(purpose: string, id: string): Uint8Array {
  return Buffer.from(`signet ${purpose} v${FORM}\n${id}`)
}
