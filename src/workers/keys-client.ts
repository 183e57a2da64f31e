/**
 * The keys that sign for a worker, of one purpose: public halves and times, told by the primary and told anew when they change. Private keys
 * stay in the primary; a signature is a call to it.
 */

import { createPublicKey } from 'node:crypto'
import type { Signer } from '../keys/signing.ts'
import { publicJwkOf } from '../keys/signing.ts'
import { type PublishedKey, ScheduledSigners, type SigningKeys } from '../keys/signing-keys.ts'
import type { SignedPurpose, ToWorker } from './messages.ts'
import type { Calls } from './state-client.ts'

export class RemoteSigningKeys implements SigningKeys {
  readonly #purpose: SignedPurpose
  readonly #calls: Calls
  #keys = new ScheduledSigners([])
  #available = false

  constructor(purpose: SignedPurpose, calls: Calls) {
    this.#purpose = purpose
    this.#calls = calls
  }

  at(ms: number): Signer | undefined {
    return this.#available ? this.#keys.at(ms) : undefined
  }

  named(kid: string, ms: number): Signer | undefined {
    return this.#available ? this.#keys.named(kid, ms) : undefined
  }

  published(ms: number): readonly PublishedKey[] {
    return this.#keys.published(ms)
  }

  /** True when the message was about these keys. Throws when a key is none. */
  take(said: ToWorker): boolean {
    if (said.kind !== 'keys' || said.purpose !== this.#purpose) return false
    this.#available = said.available
    this.#keys = new ScheduledSigners(
      said.published.map(({ x, nbf, exp }) => ({
        signer: this.#signerFor(x),
        notBefore: nbf === undefined ? undefined : nbf * 1000,
        notAfter: exp === undefined ? undefined : exp * 1000,
        withdrawn: false,
      })),
    )
    return true
  }

  #signerFor(x: string): Signer {
    const publicJwk = publicJwkOf(createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }))
    const { kid } = publicJwk
    return {
      kid,
      alg: 'EdDSA',
      publicJwk,
      sign: data =>
        this.#calls.call('sign', [this.#purpose, kid, Buffer.from(data).toString('base64')], value =>
          typeof value === 'string' ? Buffer.from(value, 'base64') : undefined,
        ),
    }
  }
}
