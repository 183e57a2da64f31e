/**
 * The keys of one purpose that have a public half, over time: who signs now, and what verifiers need to know.
 *
 * Guarantees: a key is published from the moment it is known here, so before it signs, and for `retentionMs` after its
 * signatures stopped counting; a withdrawn one is not published at all. `replace` takes effect between two signatures.
 */
import type { Period } from './schedule.ts'
import { Schedule } from './schedule.ts'
import type { PublicJwk, Signer } from './signing.ts'

/** What the gate signs through: keys in files, or another process. */
export interface SigningKeys {
  /** Who signs at `ms` (milliseconds since 1970); `undefined` when nobody may, and then nothing is signed. */
  at(ms: number): Signer | undefined
  /** The key called `kid`, if something dated `ms` may be signed with it: a signature asked for just before a rotation. */
  named(kid: string, ms: number): Signer | undefined
  /** The public halves to publish at `ms`. */
  published(ms: number): readonly PublishedKey[]
}

/** A public key with the times, in seconds since 1970, between which its signatures count. */
export type PublishedKey = PublicJwk & { readonly nbf?: number; readonly exp?: number }

export interface DatedSigner extends Period {
  readonly signer: Signer
  readonly withdrawn: boolean
}

const DAY_MS = 86_400_000
/** Receipts are looked at long after they were issued. */
export const RETENTION_MS = 400 * DAY_MS

export class ScheduledSigners implements SigningKeys {
  #schedule: Schedule<DatedSigner>
  #signers: readonly DatedSigner[]
  readonly #retentionMs: number

  constructor(signers: readonly DatedSigner[], retentionMs: number = RETENTION_MS) {
    this.#signers = signers
    this.#schedule = new Schedule(signers)
    this.#retentionMs = retentionMs
  }

  /** One key without an end. */
  static of(signer: Signer): ScheduledSigners {
    return new ScheduledSigners([{ signer, notBefore: undefined, notAfter: undefined, withdrawn: false }])
  }

  replace(signers: readonly DatedSigner[]): void {
    this.#signers = signers
    this.#schedule = new Schedule(signers)
  }

  at(ms: number): Signer | undefined {
    const found = this.#schedule.at(ms)
    return found === undefined || found.withdrawn ? undefined : found.signer
  }

  named(kid: string, ms: number): Signer | undefined {
    const found = this.#signers.find(s => s.signer.kid === kid)
    if (found === undefined || found.withdrawn) return undefined
    return this.#schedule.accepts(found, ms) ? found.signer : undefined
  }

  published(ms: number): readonly PublishedKey[] {
    const keys: PublishedKey[] = []
    for (const entry of this.#signers) {
      const until = this.#schedule.acceptedUntil(entry)
      if (entry.withdrawn || until + this.#retentionMs <= ms || until <= (entry.notBefore ?? -Infinity)) continue
      keys.push({
        ...entry.signer.publicJwk,
        ...(entry.notBefore === undefined ? {} : { nbf: Math.floor(entry.notBefore / 1000) }),
        ...(until === Infinity ? {} : { exp: Math.ceil(until / 1000) }),
      })
    }
    return keys
  }
}
