/** What an identity strategy is: from one request's headers and connection to its owner, or to a refusal. */
import type { MaybeAsync } from '../core/check.ts'
import type { Declared, Owner } from '../core/exchange.ts'
import type { Fault } from '../core/wire.ts'

export interface IdentityRequest {
  /** As node:http gives them: flat names and values, Latin-1, wire order. Duplicates are already refused. */
  readonly rawHeaders: readonly string[]
  /** The socket's own address, IPv4-mapped IPv6 unmapped; `undefined` for a unix socket. Never from a header. */
  readonly socketAddress: string | undefined
}

export interface Identified {
  readonly kind: 'identified'
  /** `unresolved` when the strategy lets nameless callers through to the checks (only `asserted` does). */
  readonly owner: Owner
  readonly declared: Declared
  /** Lower-case names of the headers that carried the credential: never forwarded upstream. */
  readonly usedHeaders: readonly string[]
}

export interface IdentityStrategy {
  /** Stands in rows as the owner's `authenticatedBy`. */
  readonly name: string
  /** Does a credential, not the caller's word, stand behind the owner? */
  readonly verified: boolean
  /** A presented credential that fails is a fault (`credential_invalid`), never "not mine". */
  identify(request: IdentityRequest): MaybeAsync<Identified | Fault>
}
