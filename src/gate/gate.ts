/** What one gate is made of. Built once at start; everything below the listener takes it as its first argument. */
import type { MaybeAsync } from '../core/check.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { AuditWriter, RowLog, RowLogStatus } from '../core/row.ts'
import type { IssuedState, RedemptionStore, ReferenceState, SessionState, SharedState } from '../core/state.ts'
import type { Dialect, Fault, Provider } from '../core/wire.ts'
import type { Desk } from '../escalation/desk.ts'
import type { ListenerRule } from '../identity/host.ts'
import type { PeerResolver } from '../identity/peer.ts'
import type { IdentityStrategy } from '../identity/strategy.ts'
import type { SigningKeys } from '../keys/signing-keys.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import type { ExchangeCounter } from '../telemetry/counters.ts'
import type { RequestHeaders } from '../upstream/headers.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Redeemers } from './redeemers.ts'

export interface Gate {
  readonly pipeline: Pipeline
  readonly dialects: readonly Dialect[]
  /** Where each provider's surfaces go; several may share one upstream. */
  readonly targets: Readonly<Record<Provider, Target>>
  readonly identity: IdentityStrategy
  readonly peer: PeerResolver
  /** Host and Origin of this listener. */
  readonly listenerRule: ListenerRule
  /** Headers that may not repeat. */
  readonly duplicates: (rawHeaders: readonly string[]) => Fault | undefined
  readonly audit: AuditWriter
  /** The transparency log over the rows; `undefined` when it is off. */
  readonly log: GateLog | undefined
  /** `undefined`: no receipts are issued. */
  readonly receipts: Receipts | undefined
  /** `undefined`: no capabilities are issued. */
  readonly capabilities: Capabilities | undefined
  /** Public keys as they are now, as JSON: served at `/.well-known/jwks.json`. */
  readonly jwks: () => string
  readonly sessions: SessionState
  /** Where escalations wait for humans. */
  readonly desk: Desk
  readonly references: References
  /** `undefined`: all state is this process's own. */
  readonly shared: Pick<SharedState, 'reachable'> | undefined
  readonly settings: GateSettings
  /** Counted across exchanges. */
  readonly load: { active: number; heldBytes: number }
  readonly counter: ExchangeCounter
  /** `undefined`: requests leave no line. */
  readonly access: Pick<AccessLog, 'write' | 'close'> | undefined
  readonly clock: Clock
  readonly random: Random
  readonly version: string
}

/** One model API behind the gate. */
export interface Target {
  readonly upstream: Upstream
  /** What of the caller's headers crosses, and whose credential goes along. */
  readonly requestHeaders: RequestHeaders
}

export interface Receipts {
  /** Who signs, and what is served at `/.well-known/jwks.json`; both change with rotation. */
  readonly keys: SigningKeys
  /** `iss`: exactly this in every receipt. */
  readonly issuer: string
  readonly headerName: string
  /** `jws`, or the Python implementation's `signet=v1` form. */
  readonly form: 'jws' | 'signet-v1'
}

export interface Capabilities {
  /** Who signs, and what the redeem endpoint verifies with; both change with rotation. */
  readonly keys: SigningKeys
  /** `iss`: exactly this in every capability. */
  readonly issuer: string
  /** From release, in whole seconds. */
  readonly ttlS: number
  readonly issued: IssuedState
  readonly redemptions: RedemptionStore
  /** How long a used capability of an approved call is remembered, in milliseconds: as long as its approval could come back. */
  readonly approvedMs: number
  readonly redeemers: Redeemers
}

export interface GateLog {
  /** Its state may have to be asked for. */
  readonly rows: Pick<RowLog, 'reached'> & { readonly status: MaybeAsync<RowLogStatus> }
  /** How long a call may wait for the level that its tool demands. */
  readonly timeLimitMs: number
}

export interface References {
  readonly state: ReferenceState
  /** Kinds (`file`, `vector_store`, …) accepted without a record: the operator vouches for who may name them. */
  readonly allowKinds: readonly string[]
  /** Accept inputs that only upstream can read: URLs it fetches, documents, token lists. */
  readonly allowOpaque: boolean
  /** Accept background runs, whose answers do not pass this gate. */
  readonly allowBackground: boolean
}

export interface GateSettings {
  /** Coarse refusals: no reason, no check. The production default. */
  readonly strict: boolean
  readonly maxBodyBytes: number
  /** Exchanges at once; more are refused with 503. */
  readonly maxConcurrent: number
  /** Bytes of one answer that may be held back. */
  readonly maxHeldBytes: number
  /** Bytes of answers held back in all exchanges together. */
  readonly maxHeldBytesTotal: number
  /**
   * What an escalated exchange answers at once: 202, or 403 with the code `escalated`, which makes SDKs raise their typed
   * error. `hold` keeps the request open until a human has decided, and answers 202 when that takes too long.
   */
  readonly onEscalate: '202' | '403' | 'hold'
  /** A turn in which every call is refused: deliver it with notices, or tell the model and deliver what it says next. */
  readonly onRefuse: 'deliver' | 'continue'
  /** Make the admission row durable before upstream is called: always, never, or above the lowest level and with upstream-run tools. */
  readonly beforeForward: 'auto' | 'always' | 'never'
  readonly cors: Cors | undefined
}

export interface Cors {
  readonly origins: readonly string[]
  readonly methods: readonly string[]
  readonly headers: readonly string[]
  readonly credentials: boolean
}
