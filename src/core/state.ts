/** Ports of shared state. Drivers live in `state/`; every call may be remote, so every call may fail: a failure refuses. */
import type { MaybeAsync } from './check.ts'

export interface RateLimitState {
  /**
   * Take one token of `key`'s bucket, atomically. `nowMs` is wall clock, so that hosts agree; a driver whose store has a
   * clock of its own goes by that one instead, here and below.
   * `remaining` after taking; `retryAfterS` when refused (`undefined` for a quota that never refills). `owner`: whose key it
   * is, when one owner can have many: a driver that is bounded gives one of them a part of its room.
   */
  take(
    key: string,
    capacity: number,
    refillPerSecond: number,
    nowMs: number,
    owner?: string,
  ): MaybeAsync<{ readonly ok: boolean; readonly remaining: number; readonly retryAfterS?: number }>
}

export interface BudgetState {
  /** Reserve `amount` of `cap` in the fixed window that holds `nowMs`, atomically. `owner`: as above. */
  reserve(
    key: string,
    amount: number,
    cap: number,
    windowMs: number,
    nowMs: number,
    owner?: string,
  ): MaybeAsync<
    | { readonly ok: true; readonly reservation: string }
    | { readonly ok: false; readonly used: number; readonly reserved: number; readonly retryAfterS: number }
  >
  /** Replace the reservation by what was really used. Exactly once per reservation; a second call does nothing. */
  settle(reservation: string, used: number): MaybeAsync<void>
}

export interface Session {
  readonly id: string
  readonly owner: string
  readonly createdAtMs: number
  readonly lastSeenAtMs: number
  readonly requestCount: number
}

/** What upstream keeps under an id, and which owner got it through this gate, at which level. Forgetting refuses. */
export interface ReferenceState {
  remember(owner: string, kind: string, id: string, rank: number): MaybeAsync<void>
  /** The highest level position at which this owner got it; `undefined` when the gate knows of none. */
  find(owner: string, kind: string, id: string): MaybeAsync<number | undefined>
}

export interface SessionState {
  /** Load or create the session of this owner and count the request. Another owner's session of the same id is another session. */
  touch(owner: string, id: string, nowMs: number): MaybeAsync<Session>
}

/** One driver for each port that several gates can share, and the store behind them. */
export interface SharedState {
  readonly rateLimits: RateLimitState
  readonly budgets: BudgetState
  readonly sessions: SessionState
  readonly references: ReferenceState
  /** Asks the store. Never throws, and answers within the driver's own time limit. */
  reachable(): MaybeAsync<boolean>
  /** Lets calls under way end, within their time limit; later calls fail. */
  close(): Promise<void>
}

/** What a store has to know of an escalation to find it; the rest is in `record`, sealed. Times in milliseconds since the epoch. */
export interface StoredEscalation {
  readonly id: string
  /** Stands for the owner without naming it: bounds are per owner. */
  readonly ownerTag: string
  readonly state: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** Counts the transitions, from 1. */
  readonly version: number
  readonly record: Uint8Array
}

export interface EscalationQuery {
  /** All states when absent. */
  readonly states?: readonly string[]
  /** Only those made before this id in the order of the list: the last id of the page before. */
  readonly before?: string
  /** At most this many, newest first. */
  readonly limit: number
}

/**
 * Escalations with their held answers. A call that has resolved is durable, as far as the driver is at all. What is not over
 * yet is bounded in all and per owner, so that one owner's escalations never take another's place: `create` then throws
 * `StateFull`. What is over (denied, expired, released) makes room, oldest first.
 */
export interface EscalationStore {
  /** Throws when the id is taken. */
  create(e: StoredEscalation, answer: Uint8Array): MaybeAsync<void>
  get(id: string): MaybeAsync<StoredEscalation | undefined>
  answer(id: string): MaybeAsync<Uint8Array | undefined>
  /**
   * Compare and set: takes effect only while the stored version is `next.version - 1`, and says whether it did. The
   * owner and the time of making stay. `answer` takes the place of the one kept; `drop` forgets it.
   */
  replace(next: StoredEscalation, answer?: Uint8Array | 'drop'): MaybeAsync<boolean>
  list(query: EscalationQuery): MaybeAsync<readonly StoredEscalation[]>
  /** Ids in one of these states whose time is over at `nowMs`. */
  due(nowMs: number, states: readonly string[], limit: number): MaybeAsync<readonly string[]>
  /** Drops the answers kept in one of these states whose time is over at `nowMs`. */
  dropAnswers(nowMs: number, states: readonly string[]): MaybeAsync<void>
  /** Removes what is in one of these states and expired before `beforeMs`. */
  forget(beforeMs: number, states: readonly string[]): MaybeAsync<void>
  close(): MaybeAsync<void>
}

/** What a store has to know of a passkey to find it; the rest is in `record`, sealed. */
export interface StoredPasskey {
  /** The credential id, in base64url. */
  readonly id: string
  /** Stands for its principal without naming it. */
  readonly ownerTag: string
  readonly createdAtMs: number
  /** Counts the changes, from 1. */
  readonly version: number
  readonly record: Uint8Array
}

/** Passkeys, and who was invited to register one. A call that has resolved is durable, as far as the driver is at all. */
export interface PasskeyStore {
  /**
   * `invitation`: the hash of one; it is used up with the passkey in one step, or nothing is added (`not_invited`).
   * `most`: of one owner.
   */
  add(
    passkey: StoredPasskey,
    invitation: string | undefined,
    most: number,
    nowMs: number,
  ): MaybeAsync<'added' | 'taken' | 'not_invited' | 'too_many'>
  get(id: string): MaybeAsync<StoredPasskey | undefined>
  /** Oldest first. */
  of(ownerTag: string): MaybeAsync<readonly StoredPasskey[]>
  /** Compare and set: takes effect only while the stored version is `next.version - 1`, and says whether it did. */
  replace(next: StoredPasskey): MaybeAsync<boolean>
  /** Was it there? */
  remove(id: string): MaybeAsync<boolean>
  /** Throws `StateFull` rather than forget an invitation that still counts. */
  invite(hash: string, ownerTag: string, untilMs: number, nowMs: number): MaybeAsync<void>
  invited(hash: string, ownerTag: string, nowMs: number): MaybeAsync<boolean>
  /** Evidence of an escalation, for as long as the store is there; it takes the place of what was kept of it before. */
  keep(escalation: string, evidence: Uint8Array): MaybeAsync<void>
  kept(escalation: string): MaybeAsync<Uint8Array | undefined>
  close(): MaybeAsync<void>
}

/**
 * Capabilities that executors used up at the gate. A call that has resolved is durable, as far as the driver is at all.
 * Bounded: a full store throws `StateFull` and forgets nothing that is not over.
 */
export interface RedemptionStore {
  /** Does what it knows outlive the process? */
  readonly durable: boolean
  /** True for exactly one call of all with this jti until `untilMs`. `facts`: what its rows say, as JSON. */
  redeem(jti: string, facts: string, untilMs: number, nowMs: number): MaybeAsync<boolean>
  find(jti: string): MaybeAsync<string | undefined>
  /** True for exactly one call of all for a redeemed jti: its outcome is being recorded. */
  settle(jti: string): MaybeAsync<boolean>
  close(): MaybeAsync<void>
}

/** A capability that has left, for its owner to ask for again. Times in milliseconds since the epoch. */
export interface IssuedCapability {
  readonly jti: string
  /** The call's id in the answer. */
  readonly call: string
  readonly tool: string
  readonly capability: string
  readonly expiresAtMs: number
}

/** Capabilities that have left, until they expire; bounded, so one may not be kept. */
export interface IssuedState {
  put(owner: string, exchange: string, issued: IssuedCapability): MaybeAsync<void>
  /** In the order of issuing; empty for anybody else's exchange. */
  of(owner: string, exchange: string): MaybeAsync<readonly IssuedCapability[]>
  knows(jti: string): MaybeAsync<boolean>
}

/** How much a store holds. */
export interface EscalationBounds {
  /** Not over yet, in all; and as many that are over. Default 1,000. */
  readonly maxEntries?: number
  /** Bytes of records and answers in all. Default 256 MiB. */
  readonly maxBytes?: number
  /** Of one owner, not over yet. Default 100. */
  readonly maxPerOwner?: number
}

/** One notice for one destination. `id` is the event's own: the same for every destination and every try. */
export interface Notice {
  readonly id: string
  readonly destination: string
  readonly escalation: string
  readonly event: string
  /** When it happened, not when it is sent. */
  readonly atMs: number
}

export interface NoticeDestination {
  readonly name: string
  /** Changes when the destination becomes another one: then it is no longer disabled. */
  readonly address: string
}

/** What a store gives out to be sent, and what else it knows of the destination. */
export interface NoticeTurn {
  readonly taken: { readonly notice: Notice; readonly attempts: number } | undefined
  /** When the next one is due, if none was. */
  readonly nextMs: number | undefined
  readonly waiting: number
  readonly disabled: string | undefined
}

export type NoticeOutcome =
  /** `receipt`: what the destination calls it, for later ones about the same escalation. */
  | { readonly kind: 'delivered'; readonly receipt?: string }
  /** `attempts`: how many there have been. */
  | { readonly kind: 'again'; readonly atMs: number; readonly attempts: number }
  | { readonly kind: 'given_up' }

/**
 * Notices that are to be sent, and which were. A call that has resolved is durable. Bounded per destination in what waits:
 * the oldest gives way.
 */
export interface NoticeStore {
  /** Says who the destinations are. A new one gets what happens from `nowMs` on; what waits for one that is gone is dropped. */
  use(destinations: readonly NoticeDestination[], nowMs: number): MaybeAsync<void>
  /** Adds those it has not seen; those before their destination's time, or for a disabled one, are never sent. Returns those that gave way. */
  add(notices: readonly Notice[], mostWaiting: number): MaybeAsync<readonly Notice[]>
  /** Gives out the next one that is due, to nobody else before `leaseUntilMs`. */
  take(destination: string, nowMs: number, leaseUntilMs: number): MaybeAsync<NoticeTurn>
  settle(destination: string, id: string, outcome: NoticeOutcome): MaybeAsync<void>
  receipt(destination: string, escalation: string): MaybeAsync<string | undefined>
  /** Nothing is sent there any more, and what waits is dropped. `undefined`: it is enabled again. */
  disable(destination: string, because: string | undefined): MaybeAsync<void>
  /** Forgets what is settled, about escalations before this id, and happened before `beforeMs`. */
  forget(beforeId: string, beforeMs: number): MaybeAsync<void>
  close(): MaybeAsync<void>
}
