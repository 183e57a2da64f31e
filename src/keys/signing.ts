/**
 * Ed25519 signing keys (RFC 8032) behind the port that receipts, capabilities and log notes sign through.
 *
 * Guarantees: `sign` runs in Node's thread pool, so a signature is made while the audit log syncs; the private key is
 * in no string form but `privatePem()`.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { KeyError } from './ring.ts'

/** May be another process (a KMS, an HSM); hence a promise and no private key. */
export interface Signer {
  /** RFC 7638 thumbprint of the public JWK. */
  readonly kid: string
  readonly alg: 'EdDSA'
  sign(data: Uint8Array): Promise<Uint8Array>
  readonly publicJwk: PublicJwk
}

export interface PublicJwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
  readonly kid: string
  readonly alg: 'EdDSA'
  readonly use: 'sig'
}

export class SigningKey implements Signer {
  readonly alg = 'EdDSA'
  readonly kid: string
  readonly publicJwk: PublicJwk
  readonly #private: KeyObject
  readonly #public: KeyObject

  private constructor(key: KeyObject) {
    this.#private = key
    this.#public = createPublicKey(key)
    this.publicJwk = publicJwkOf(this.#public)
    this.kid = this.publicJwk.kid
  }

  static generate(): SigningKey {
    return new SigningKey(generateKeyPairSync('ed25519').privateKey)
  }

  /** PKCS #8 PEM, encrypted or not. */
  static fromPem(pem: string, passphrase?: string): SigningKey {
    let key: KeyObject
    try {
      key = createPrivateKey(passphrase === undefined ? { key: pem } : { key: pem, passphrase })
    } catch {
      // OpenSSL's own message can quote the input; say only what was expected.
      throw new KeyError(
        'key_unreadable',
        'the signing key is not a readable PKCS #8 PEM (or the passphrase is wrong): openssl genpkey -algorithm ed25519',
      )
    }
    if (key.asymmetricKeyType !== 'ed25519') {
      throw new KeyError(
        'key_unreadable',
        `the signing key is ${key.asymmetricKeyType ?? 'of an unknown type'}; an Ed25519 key is needed: openssl genpkey -algorithm ed25519`,
      )
    }
    return new SigningKey(key)
  }

  sign(data: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      sign(null, data, this.#private, (error, signature) => {
        if (error === null) resolve(signature)
        else reject(error)
      })
    })
  }

  privatePem(): string {
    return this.#private.export({ type: 'pkcs8', format: 'pem' }).toString()
  }

  /** SubjectPublicKeyInfo PEM. */
  publicPem(): string {
    return this.#public.export({ type: 'spki', format: 'pem' }).toString()
  }

  /** The raw 32 bytes, for C2SP signed notes. */
  publicBytes(): Uint8Array {
    return new Uint8Array(Buffer.from(this.publicJwk.x, 'base64url'))
  }

  toString(): string {
    return `SigningKey(${this.kid})`
  }
  toJSON(): { readonly kid: string } {
    return { kid: this.kid }
  }
}

/** From an Ed25519 SPKI PEM or KeyObject: what a verifier pins. */
export function publicJwkOf(key: KeyObject | string): PublicJwk {
  let object: KeyObject
  try {
    object = typeof key === 'string' ? createPublicKey(key) : key
  } catch {
    throw new KeyError('key_unreadable', 'the public key is not a readable SPKI PEM')
  }
  if (object.asymmetricKeyType !== 'ed25519') {
    throw new KeyError(
      'key_unreadable',
      `the public key is ${object.asymmetricKeyType ?? 'of an unknown type'}; an Ed25519 key is needed`,
    )
  }
  const { x } = object.export({ format: 'jwk' })
  if (x === undefined) throw new KeyError('key_unreadable', 'the public key has no x coordinate')
  return { kty: 'OKP', crv: 'Ed25519', x, kid: thumbprint(x), alg: 'EdDSA', use: 'sig' }
}

/** RFC 7638 3.2 with RFC 8037: the required members of an OKP key, in lexicographic order. */
function thumbprint(x: string): string {
  return createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url')
}
