/** The facts of one exchange: no sockets, no dialect, no scratch bag. */
import type { Stage, Verdict } from './verdict.ts'
import type { RequestView } from './wire.ts'

export type OwnerType = 'human' | 'agent' | 'policy' | 'unresolved'

/** The accountable principal. `id` is empty exactly when `type` is `unresolved`. */
export interface Owner {
  readonly type: OwnerType
  readonly id: string
  /** Principals (`type:id`) who may approve, in order. */
  readonly approvalChain: readonly string[]
  /** Principals who may not approve what it does, as its credential says: the human behind an agent, the agent that acts for a human. */
  readonly notApprovers?: readonly string[]
  /** Which identity strategy or check named it: `asserted`, `jwt`, `loopback_trust`, … */
  readonly authenticatedBy: string
  /** What its credential says about it, for rules to compare with; there exactly when a credential stands behind the owner. */
  readonly claims?: OwnerClaims
}

export type OwnerClaims = Readonly<Record<string, string | number | readonly (string | number)[]>>

export interface Exchange {
  /** UUIDv7; the correlation id callers see. */
  readonly id: string
  /** The dialect's name. */
  readonly surface: string
  /** Set when the model is asked once more after a refused turn: 1 for the first time. The same exchange, the same id. */
  readonly round?: number
  readonly receivedAtNs: bigint
  readonly owner: Owner
  /** The socket peer, IPv4-mapped IPv6 already unmapped; `undefined` for a unix socket. */
  readonly peerAddress: string | undefined
  readonly declared: Declared
  /** Set by the classification gate; `undefined` while no check has decided. */
  readonly levels: Levels | undefined
  readonly session: string | undefined
  readonly request: RequestView
  /** `sha256:<hex>` of the raw request bytes, before any redaction. */
  readonly requestDigest: string
  /** SHA-256 (hex) over the checks' descriptions: which policy decided. */
  readonly policyDigest: string
  readonly decisions: readonly Decision[]
}

export interface Levels {
  /** The level of the request's data: the highest of declared, found and required. */
  readonly data: string
  /** The highest level its output may reach. */
  readonly ceiling: string
  /** Position of `data` on the ladder; 0 is the lowest level. */
  readonly rank: number
}

export interface Declared {
  /** As the caller or its credential says; not yet parsed. */
  readonly classification: string | undefined
  readonly clearance: string | undefined
  /** True when the clearance comes from a verified credential. */
  readonly clearanceVerified: boolean
}

/**
 * The ONE place where shadow shows: `verdict` is what the check said, `effect` what is enforced.
 * Everything that acts reads `effect`; rows and headers read `verdict`.
 */
export interface Decision {
  readonly stage: Stage
  readonly check: string
  readonly verdict: Verdict
  readonly effect: Verdict
  readonly shadow: boolean
  /** Tool call this is about. */
  readonly call?: { readonly key: string; readonly id: string; readonly name: string; readonly argumentsDigest: string }
  /** Channel and offset of an inspection finding. */
  readonly channel?: string
  readonly at?: number
}

declare const admitted: unique symbol
/** Only `pipeline/admit` makes one; forwarding takes nothing else. */
export interface Admitted extends Exchange {
  readonly [admitted]: true
}

export interface Outcome {
  readonly kind: 'completed' | 'refused' | 'aborted' | 'escalated' | 'disconnected' | 'faulted'
  /** Was upstream called at all? A reservation is given back in full only if not. */
  readonly forwarded: boolean
  /** As upstream reported; `undefined` when it did not. */
  readonly outputTokens?: number
  readonly inputTokens?: number
  /** UTF-16 units of output text that upstream sent, released or not. */
  readonly outputChars: number
  /** False when upstream's answer broke off: what it has counted is then unknown. */
  readonly outputComplete: boolean
  readonly finish?: string
  readonly upstreamStatus?: number
}
