/**
 * MAC keys: one active key signs, the active and the legacy ones verify.
 *
 * Guarantees: a secret is never in `toString`, `inspect`, JSON or an error. Ids are unique within a ring, so a row's
 * key id names one key for ever. Does not: give keys validity periods, or wipe memory.
 */
import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'

export type KeyErrorCode = 'key_id_invalid' | 'key_too_short' | 'key_not_hex' | 'key_duplicate' | 'key_unreadable'

export class KeyError extends Error {
  override readonly name = 'KeyError'
  readonly code: KeyErrorCode
  constructor(code: KeyErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** What a library caller may use; the server asks for `SERVER_KEY_BYTES`. */
export const MIN_KEY_BYTES = 16
export const SERVER_KEY_BYTES = 32

const KEY_ID = /^[A-Za-z0-9_.:-]{1,128}$/
const BLOCK = 64
/** Longest message that takes the two-hash path; a longer one pays for a streaming HMAC instead of a bigger buffer. */
const ROOM = 64 * 1024

export class Key {
  readonly id: string
  /** Bytes of secret. */
  readonly size: number
  readonly #secret: KeyObject
  /** HMAC (RFC 2104) by two one-shot hashes: half the cost of a `createHmac` object for messages of a row's size. */
  readonly #inner: Buffer
  readonly #outer: Buffer

  constructor(id: string, secret: Uint8Array) {
    if (!KEY_ID.test(id)) {
      throw new KeyError('key_id_invalid', 'a key id must be 1 to 128 characters of A-Z a-z 0-9 _ . : -')
    }
    if (secret.length < MIN_KEY_BYTES) {
      throw new KeyError(
        'key_too_short',
        `key ${id} has ${secret.length} bytes; use at least ${MIN_KEY_BYTES}, better ${SERVER_KEY_BYTES}: openssl rand -hex 32`,
      )
    }
    this.id = id
    this.size = secret.length
    this.#secret = createSecretKey(secret)
    this.#inner = Buffer.alloc(BLOCK + ROOM)
    this.#outer = Buffer.alloc(BLOCK + 32)
    const block = secret.length > BLOCK ? hash('sha256', secret, 'buffer') : secret
    for (let i = 0; i < BLOCK; i++) {
      const byte = block[i] ?? 0
      this.#inner[i] = byte ^ 0x36
      this.#outer[i] = byte ^ 0x5c
    }
  }

  static fromHex(id: string, hex: string, minBytes: number = MIN_KEY_BYTES): Key {
    const digits = /^0x/i.test(hex) ? hex.slice(2) : hex
    if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
      throw new KeyError(
        'key_not_hex',
        `the secret of key ${KEY_ID.test(id) ? id : '(invalid id)'} is not an even number of hexadecimal digits: openssl rand -hex 32`,
      )
    }
    const secret = Buffer.from(digits, 'hex')
    if (secret.length < minBytes) {
      throw new KeyError(
        'key_too_short',
        `key ${KEY_ID.test(id) ? id : '(invalid id)'} has ${secret.length} bytes; at least ${minBytes} are needed: openssl rand -hex 32`,
      )
    }
    return new Key(id, secret)
  }

  /** HMAC-SHA256, lower-case hex. */
  mac(data: Uint8Array): string {
    if (data.length > ROOM) return createHmac('sha256', this.#secret).update(data).digest('hex')
    this.#inner.set(data, BLOCK)
    return this.#finish(data.length)
  }

  /** The same over `source[from, cut)` followed by `source[resume, to)`: a stored row without its `hmac` field. */
  macWithout(source: Buffer, from: number, cut: number, resume: number, to: number): string {
    const first = cut - from
    const length = first + to - resume
    if (length > ROOM) {
      return createHmac('sha256', this.#secret)
        .update(source.subarray(from, cut))
        .update(source.subarray(resume, to))
        .digest('hex')
    }
    source.copy(this.#inner, BLOCK, from, cut)
    source.copy(this.#inner, BLOCK + first, resume, to)
    return this.#finish(length)
  }

  #finish(length: number): string {
    this.#outer.write(hash('sha256', this.#inner.subarray(0, BLOCK + length), 'hex'), BLOCK, 'hex')
    return hash('sha256', this.#outer, 'hex')
  }

  /** Constant-time: for MACs that an attacker may send online. */
  verify(data: Uint8Array, macHex: string): boolean {
    if (!/^[0-9a-f]{64}$/.test(macHex)) return false
    return timingSafeEqual(Buffer.from(this.mac(data), 'hex'), Buffer.from(macHex, 'hex'))
  }

  /** For handing the key to a worker thread: opaque, prints nothing. */
  keyObject(): KeyObject {
    return this.#secret
  }

  toString(): string {
    return `Key(${this.id})`
  }
  toJSON(): { readonly id: string } {
    return { id: this.id }
  }
}

/** What a worker thread needs to rebuild a ring. */
export interface SharedRing {
  readonly active: { readonly id: string; readonly secret: KeyObject }
  readonly legacy: readonly { readonly id: string; readonly secret: KeyObject }[]
}

export class KeyRing {
  #active: Key
  readonly #keys = new Map<string, Key>()

  constructor(active: Key, legacy: readonly Key[] = []) {
    this.#active = active
    this.#keys.set(active.id, active)
    for (const key of legacy) this.addLegacy(key)
  }

  static fromHex(
    active: { readonly id: string; readonly hex: string },
    legacy: readonly { readonly id: string; readonly hex: string }[] = [],
    minBytes: number = MIN_KEY_BYTES,
  ): KeyRing {
    return new KeyRing(
      Key.fromHex(active.id, active.hex, minBytes),
      legacy.map(k => Key.fromHex(k.id, k.hex)),
    )
  }

  get active(): Key {
    return this.#active
  }

  get ids(): readonly string[] {
    return [...this.#keys.keys()]
  }

  get(id: string): Key | undefined {
    return this.#keys.get(id)
  }

  addLegacy(key: Key): void {
    this.#refuseKnown(key)
    this.#keys.set(key.id, key)
  }

  /** The old active key stays, to verify what it signed. */
  rotate(next: Key): void {
    this.#refuseKnown(next)
    this.#keys.set(next.id, next)
    this.#active = next
  }

  #refuseKnown(key: Key): void {
    if (this.#keys.has(key.id)) {
      throw new KeyError('key_duplicate', `key id ${key.id} is already in the ring; give every key an id of its own`)
    }
  }

  share(): SharedRing {
    const legacy: { id: string; secret: KeyObject }[] = []
    for (const key of this.#keys.values()) {
      if (key !== this.#active) legacy.push({ id: key.id, secret: key.keyObject() })
    }
    return { active: { id: this.#active.id, secret: this.#active.keyObject() }, legacy }
  }

  static fromShared(shared: SharedRing): KeyRing {
    const rebuild = (k: { readonly id: string; readonly secret: KeyObject }) => new Key(k.id, k.secret.export())
    return new KeyRing(rebuild(shared.active), shared.legacy.map(rebuild))
  }

  toString(): string {
    return `KeyRing(${this.ids.join(', ')})`
  }
  toJSON(): { readonly active: string; readonly ids: readonly string[] } {
    return { active: this.#active.id, ids: this.ids }
  }
}
