/** What an identity strategy is: from one request's headers and connection to its owner, or to a refusal. */
import type { MaybeAsync } from '../core/check.ts'
import type { Declared, Owner } from '../core/exchange.ts'
import type { Fault } from '../core/wire.ts'
import type { Role } from './role.ts'

export interface IdentityRequest {
  /** As node:http gives them: flat names and values, Latin-1, wire order. Duplicates are already refused. */
  readonly rawHeaders: readonly string[]
  /** The socket's own address, IPv4-mapped IPv6 unmapped; `undefined` for a unix socket. Never from a header. */
  readonly socketAddress: string | undefined
  /** The certificate that the caller's end of this very connection proved to hold; absent when it showed none. */
  readonly tls?: TlsPeer | undefined
}

export interface TlsPeer {
  /** Does its chain end at one of the listener's own authorities, unrevoked, made for clients? As TLS found at the handshake. */
  readonly authorized: boolean
  readonly certificate: PeerCertificate
}

export interface PeerCertificate {
  /** `undefined` when the names cannot be read with certainty; then none of them counts. */
  readonly names: readonly CertificateName[] | undefined
  readonly notBefore: number
  readonly notAfter: number
}

/** One subject alternative name (RFC 5280 4.2.1.6). */
export interface CertificateName {
  readonly kind: 'uri' | 'dns' | 'email' | 'other'
  readonly value: string
}

export interface Identified {
  readonly kind: 'identified'
  /** `unresolved` when the strategy lets nameless callers through to the checks (only `asserted` does). */
  readonly owner: Owner
  readonly declared: Declared
  /** Lower-case names of the headers that carried the credential: never forwarded upstream. */
  readonly usedHeaders: readonly string[]
  /** What the credential says they may do at the control plane; without one, what the operator's lists say. */
  readonly role?: Role
}

export interface IdentityStrategy {
  /** Stands in rows as the owner's `authenticatedBy`. */
  readonly name: string
  /** Does a credential, not the caller's word, stand behind the owner? */
  readonly verified: boolean
  /** Lower-case names of headers that it reads and that must not repeat, beyond those that never may. */
  readonly headers?: readonly string[]
  /** What a 401 says in `WWW-Authenticate` (RFC 9110 11.6.1). */
  readonly challenge?: string
  /** Must the listener ask callers for a certificate? */
  readonly clientCertificates?: boolean
  /** A presented credential that fails is a fault (`credential_invalid`), never "not mine". */
  identify(request: IdentityRequest): MaybeAsync<Identified | Fault>
}

/** A strategy that `firstPresented` can put beside others. */
export interface VerifiedStrategy extends IdentityStrategy {
  readonly verified: true
  readonly headers: readonly string[]
  /** Where its credentials travel. Two strategies with a carrier in common cannot stand side by side. */
  readonly carriers: readonly string[]
  /** Does the request hold a credential of this kind, good or bad? */
  presents(request: IdentityRequest): boolean
}
