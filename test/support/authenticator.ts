/**
 * An authenticator in software, and the browser around it, for tests: what a passkey says, byte by byte
 * (https://www.w3.org/TR/webauthn-3/#sctn-authenticator-data), and every lie it could tell.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { encodeCBOR } from '@levischuck/tiny-cbor'

export interface Lies {
  readonly type?: string
  readonly challenge?: string
  readonly origin?: string
  readonly rpId?: string
  readonly crossOrigin?: boolean
  /** Flags instead of: present, verified. */
  readonly flags?: number
  readonly counter?: number
  readonly id?: string
  /** Signs with another key than its own. */
  readonly key?: KeyObject
}

const PRESENT = 0x01
const VERIFIED = 0x04
const ATTESTED = 0x40

export class Authenticator {
  readonly id = randomBytes(32)
  readonly #alg: 'ES256' | 'EdDSA'
  readonly #pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  readonly #origin: string
  #counter: number | undefined

  /** `counts`: it counts its signatures, as security keys do; synced passkeys do not. */
  constructor(alg: 'ES256' | 'EdDSA', origin: string, counts = true) {
    this.#alg = alg
    this.#origin = origin
    this.#counter = counts ? 0 : undefined
    this.#pair = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
  }

  get key(): KeyObject {
    return this.#pair.privateKey
  }

  /** `navigator.credentials.create`, as toJSON() writes it. */
  create(options: { readonly challenge: string; readonly rp: { readonly id: string } }, lies: Lies = {}) {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(this.id.length)
    const attested = Buffer.concat([Buffer.alloc(16), length, this.id, this.#coseKey()])
    const authData = Buffer.concat([this.#authData(options.rp.id, ATTESTED, lies), attested])
    const attestation = new Map<string, unknown>([
      ['fmt', 'none'],
      ['attStmt', new Map()],
      ['authData', new Uint8Array(authData)],
    ])
    return {
      ...this.#outside(lies),
      response: {
        clientDataJSON: b64(this.#clientData('webauthn.create', options.challenge, lies)),
        attestationObject: b64(encodeCBOR(attestation as Parameters<typeof encodeCBOR>[0])),
        transports: ['internal'],
      },
    }
  }

  /** `navigator.credentials.get`, as toJSON() writes it. */
  get(options: { readonly challenge: string; readonly rpId: string }, lies: Lies = {}) {
    const authData = this.#authData(options.rpId, 0, lies)
    const client = this.#clientData('webauthn.get', options.challenge, lies)
    const base = Buffer.concat([authData, createHash('sha256').update(client).digest()])
    const signature = sign(this.#alg === 'ES256' ? 'sha256' : null, base, lies.key ?? this.#pair.privateKey)
    return {
      ...this.#outside(lies),
      response: { clientDataJSON: b64(client), authenticatorData: b64(authData), signature: b64(signature) },
    }
  }

  #outside(lies: Lies) {
    const id = lies.id ?? b64(this.id)
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, authenticatorAttachment: 'platform' }
  }

  #authData(rpId: string, more: number, lies: Lies): Buffer {
    if (this.#counter !== undefined) this.#counter += 1
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(lies.counter ?? this.#counter ?? 0)
    const hash = createHash('sha256')
      .update(lies.rpId ?? rpId)
      .digest()
    return Buffer.concat([hash, Buffer.of((lies.flags ?? PRESENT | VERIFIED) | more), counter])
  }

  #clientData(type: string, challenge: string, lies: Lies): Buffer {
    const { origin = this.#origin, crossOrigin = false } = lies
    return Buffer.from(
      JSON.stringify({ type: lies.type ?? type, challenge: lies.challenge ?? challenge, origin, crossOrigin }),
    )
  }

  /** RFC 9053: kty 1, alg 3; of a curve crv -1, x -2, y -3. */
  #coseKey(): Uint8Array {
    const { x = '', y = '' } = this.#pair.publicKey.export({ format: 'jwk' })
    const raw = (part: string) => new Uint8Array(Buffer.from(part, 'base64url'))
    const members: [number, number | Uint8Array][] =
      this.#alg === 'ES256'
        ? [
            [1, 2],
            [3, -7],
            [-1, 1],
            [-2, raw(x)],
            [-3, raw(y)],
          ]
        : [
            [1, 1],
            [3, -8],
            [-1, 6],
            [-2, raw(x)],
          ]
    return encodeCBOR(new Map(members))
  }
}

function b64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
