/**
 * Where escalations lie while humans decide: the transitions of `transitions.ts`, made durable, with a row for each.
 *
 * Guarantees: a decision has its row before it has its effect, and a released answer before one byte of it leaves; of all
 * who decide or release at once exactly one is heard, in this process and in others that share the store; what was released
 * is the same bytes however often it is read; an escalation whose time is over is never decided or released, whether or not
 * the sweep has been by.
 * Does not guarantee: that a store put back to an older copy does not offer an old approval again, within its time.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock, Random } from '../core/clock.ts'
import type { Owner } from '../core/exchange.ts'
import { ownerString } from '../core/owner.ts'
import type { AuditWriter, Row, Ticket } from '../core/row.ts'
import type { EscalationStore, StoredEscalation } from '../core/state.ts'
import { type ApprovalPolicy, ruleFor } from './approvers.ts'
import { type Box, SealBroken } from './box.ts'
import { approvalDigest, argumentsDigest, digestOf } from './digest.ts'
import type { ApproverDecision, Escalation, EscalationState, ProposedCall, Release } from './escalation.ts'
import { fromStored, type Read, toStored } from './record.ts'
import { decidedRow, expiredRow, refusedRow, releasedRow, unreadableRow, withdrawnRow } from './rows.ts'
import { type HeldAnswer, openAnswer, sealAnswer } from './sealed.ts'
import { decide, expire, type RefusedBecause, release, type Transition, withdraw } from './transitions.ts'

export interface DeskPorts {
  readonly store: EscalationStore
  readonly box: Box
  readonly audit: AuditWriter
  readonly clock: Clock
  readonly random: Random
  readonly policy: ApprovalPolicy
  /** How long a human has to decide, and the caller then to fetch, in milliseconds. */
  readonly ttlMs: number
  /** How long an escalation that is over stays listed, in milliseconds. Default seven days. */
  readonly keepMs?: number
  /** Every new state, in order: notifications, the live view. Must not throw. */
  readonly onChange?: (e: Escalation) => void
  /** Another process that shares the store expires what is due; of two that do, each would write its row. */
  readonly sweptElsewhere?: boolean
}

/** What an exchange brings to be held. */
export interface Held {
  readonly exchange: string
  readonly owner: Owner
  /** Did a credential say who the owner is, and who its approvers are? */
  readonly claimsVerified: boolean
  readonly stage: Escalation['stage']
  readonly surface: string
  readonly upstream: string
  readonly policyDigest: string
  readonly requestDigest: string
  readonly check: string
  readonly reason: string
  readonly audienceOf: (tool: string) => string | undefined
  /** Whoever approves must have signed with a passkey. */
  readonly approverAuth?: 'passkey' | undefined
  readonly answer: HeldAnswer
}

export interface Opened {
  readonly escalation: Escalation
  /** For the status address; it is kept nowhere. */
  readonly token: string
}

export type Decided =
  | { readonly kind: 'decided'; readonly escalation: Escalation }
  | {
      readonly kind: 'refused'
      readonly because: RefusedBecause
      readonly message: string
      readonly escalation: Escalation
    }
  | { readonly kind: 'unknown' }

/** What a release makes of a held answer; the gate gives it, since it knows dialects, the pipeline and keys. */
export type Made =
  | {
      readonly kind: 'bytes'
      readonly bytes: Uint8Array
      readonly tail: number
      readonly jtis: readonly string[]
      readonly untilMs: number
    }
  | { readonly kind: 'denied'; readonly reason: string }

export type Released =
  | {
      readonly kind: 'released'
      readonly escalation: Escalation
      readonly release: Release
      readonly bytes: Uint8Array
      readonly answer: HeldAnswer
      /** The row behind this release: durable already. */
      readonly ticket: Ticket
      /** This very call released it; the others read it again. */
      readonly first: boolean
    }
  | { readonly kind: 'not_released'; readonly escalation: Escalation }
  | { readonly kind: 'unknown' }

const TOKEN_BYTES = 32
const SWEEP_MS = 5_000
const SWEEP_MOST = 100
const WAITING: readonly EscalationState[] = ['pending', 'approved']
const KEEP_MS = 7 * 24 * 3_600_000
/** How often somebody else in another process may have been faster. */
const TRIES = 8

export class Desk {
  readonly #p: DeskPorts
  /** One change at a time per escalation in this process. */
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #watchers = new Map<string, Set<() => void>>()
  #cancelSweep: () => void = () => undefined
  /** How many the last sweep could not open. */
  #unreadable = 0
  #closed = false

  constructor(ports: DeskPorts) {
    this.#p = ports
    if (ports.sweptElsewhere !== true) this.#nextSweep()
  }

  /**
   * Makes the escalation durable. `nobody`: there is no one who may approve it. Throws when the store is full or does not
   * answer; then nothing is held.
   */
  async hold(held: Held): Promise<Opened | { readonly kind: 'nobody' }> {
    const { clock, random, box, store, policy, ttlMs } = this.#p
    const rule = ruleFor(policy, held.owner, held.claimsVerified, held.approverAuth)
    if (rule === undefined) return { kind: 'nobody' }
    const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('base64url')
    const now = clock.now()
    const { exchange, owner, stage, surface, upstream, policyDigest, requestDigest, check, reason, answer } = held
    const base = {
      id: random.uuid(),
      exchange,
      owner,
      stage,
      surface,
      upstream,
      policyDigest,
      requestDigest,
      check,
      reason,
      calls: answer.calls.map(c => proposed(c, held.audienceOf(c.name))),
      createdAtMs: now,
      expiresAtMs: now + ttlMs,
      rule,
    }
    const escalation: Escalation = {
      ...base,
      digest: approvalDigest(base),
      tokenHash: hashToken(token),
      state: 'pending',
      decisions: [],
    }
    await store.create(toStored(box, escalation, 1), sealAnswer(box, escalation.id, answer))
    this.#changed(escalation)
    return { escalation, token }
  }

  /** How whatever is held is approved, by the operator's policy in force. */
  get approverAuth(): ApprovalPolicy['auth'] {
    return this.#p.policy.auth
  }

  /** As it stands; one whose time is over is `expired` even before the sweep has said so. */
  async find(id: string): Promise<Escalation | undefined> {
    return (await this.#read(id))?.escalation
  }

  /** The owner's own view: only with the token that was given out, and only for the same owner. */
  async ofOwner(id: string, owner: Owner, token: string): Promise<Escalation | undefined> {
    const e = await this.find(id)
    // Both are compared whatever the other says: the time taken tells nothing.
    const tokenFits = sameHash(e?.tokenHash ?? hashToken(''), hashToken(token))
    const ownerFits = e !== undefined && ownerString(e.owner) === ownerString(owner)
    return tokenFits && ownerFits ? e : undefined
  }

  /** The same for an owner whom a credential has proved: no token is needed. */
  async ofVerifiedOwner(id: string, owner: Owner): Promise<Escalation | undefined> {
    const e = await this.find(id)
    return e !== undefined && ownerString(e.owner) === ownerString(owner) ? e : undefined
  }

  /** Newest first. One that cannot be opened is passed over: it must not hide the others. */
  async list(query: {
    readonly states?: readonly EscalationState[]
    readonly before?: string
    readonly limit: number
  }): Promise<readonly Escalation[]> {
    const found: Escalation[] = []
    for (let from = query; ; ) {
      const limit = query.limit - found.length
      const page = await this.#p.store.list({ ...from, limit })
      for (const stored of page) {
        const read = this.#open(stored)
        if (read !== undefined) found.push(this.#asOfNow(read.escalation))
      }
      const last = page.at(-1)?.id
      if (last === undefined || page.length < limit || found.length === query.limit) return found
      from = { ...query, before: last }
    }
  }

  /** `seen`: how many had decided when it was shown; what has changed since is shown again before it is decided. */
  decide(id: string, said: Omit<ApproverDecision, 'atMs'>, seen?: number): Promise<Decided> {
    return this.#inTurn(id, async () => {
      for (let tries = 0; tries < TRIES; tries += 1) {
        const read = await this.#read(id)
        if (read === undefined) return { kind: 'unknown' }
        const decision = { ...said, atMs: this.#p.clock.now() }
        const t = decide(read.escalation, decision, seen)
        if (t.kind === 'refused') {
          await this.#row(refusedRow(read.escalation, decision, t.because, this.#newId))
          return { ...t, escalation: read.escalation }
        }
        await this.#row(decidedRow(read.escalation, decision, this.#newId))
        const drop = t.escalation.state === 'denied'
        if (await this.#replace(read, t.escalation, drop ? 'drop' : undefined)) {
          return { kind: 'decided', escalation: t.escalation }
        }
      }
      throw new Error('the escalation changed again and again while it was decided')
    })
  }

  /** Writes down that a decision did not count, where that was found out before it got as far as `decide`. */
  async notCounted(e: Escalation, said: Omit<ApproverDecision, 'atMs'>, because: RefusedBecause): Promise<void> {
    await this.#row(refusedRow(e, { ...said, atMs: this.#p.clock.now() }, because, this.#newId))
  }

  /** Releases an approved answer, or gives what was released again while its time lasts. */
  release(id: string, make: (e: Escalation, answer: HeldAnswer) => Promise<Made>): Promise<Released> {
    return this.#inTurn(id, async () => {
      for (let tries = 0; tries < TRIES; tries += 1) {
        const read = await this.#read(id)
        if (read === undefined) return { kind: 'unknown' }
        const e = read.escalation
        if (e.release !== undefined) return await this.#readAgain(e, e.release)
        if (e.state !== 'approved') return { kind: 'not_released', escalation: e }
        const answer = await this.#answer(id)
        // Another process may have released it between the two readings: then this is the answer of another version.
        if ((await this.#p.store.get(id))?.version !== read.version) continue
        if (answer === undefined) return { kind: 'not_released', escalation: e }
        const made = await make(e, answer)
        const t = made.kind === 'denied' ? withdraw(e, made.reason, this.#p.clock.now()) : this.#released(e, made)
        if (t.kind === 'refused') return { kind: 'not_released', escalation: this.#asOfNow(e) }
        if (made.kind === 'denied') {
          await this.#row(withdrawnRow(e, made.reason, this.#newId))
          if (await this.#replace(read, t.escalation, 'drop')) return { kind: 'not_released', escalation: t.escalation }
          continue
        }
        const { release: what } = t.escalation
        if (what === undefined) throw new Error('a release must say what was released')
        const kept = sealAnswer(this.#p.box, id, { ...answer, request: made.bytes, frames: [] })
        if (!(await this.#replace(read, t.escalation, kept))) continue
        const ticket = await this.#row(releasedRow(t.escalation, what, false, this.#newId))
        return {
          kind: 'released',
          escalation: t.escalation,
          release: what,
          bytes: made.bytes,
          answer,
          ticket,
          first: true,
        }
      }
      throw new Error('the escalation changed again and again while it was released')
    })
  }

  /** Resolves at the next change of this escalation, or after `ms`, or when `signal` aborts. */
  changed(id: string, ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const watchers = this.#watchers.get(id) ?? new Set()
      this.#watchers.set(id, watchers)
      const done = () => {
        cancel()
        signal?.removeEventListener('abort', done)
        watchers.delete(done)
        if (watchers.size === 0 && this.#watchers.get(id) === watchers) this.#watchers.delete(id)
        resolve()
      }
      const cancel = this.#p.clock.timer(ms, done)
      watchers.add(done)
      if (signal?.aborted === true || this.#closed) done()
      else signal?.addEventListener('abort', done)
    })
  }

  /** Another process has changed this escalation: who waits for it here looks again. */
  noticed(id: string): void {
    for (const done of [...(this.#watchers.get(id) ?? [])]) done()
  }

  /** Expires what nobody decided or fetched in time, and forgets what was over long ago, or cannot be opened and is due. */
  async sweep(): Promise<void> {
    const { store, clock, keepMs = KEEP_MS } = this.#p
    const now = clock.now()
    const most = SWEEP_MOST + this.#unreadable
    const due = await store.due(now, WAITING, most)
    const unreadable: string[] = []
    for (const id of due) {
      await this.#inTurn(id, async () => {
        const stored = await store.get(id)
        const read = stored === undefined ? undefined : this.#open(stored)
        if (stored !== undefined && read === undefined) unreadable.push(id)
        const t = read === undefined ? undefined : expire(read.escalation, now)
        if (read === undefined || t?.kind !== 'next') return
        await this.#row(expiredRow(read.escalation, this.#newId))
        await this.#replace(read, t.escalation, 'drop')
      })
    }
    this.#unreadable = unreadable.length
    // All that were due have been seen: those still waiting are the ones that cannot be opened, and they take up room.
    if (unreadable.length > 0 && due.length < most) {
      for (const id of unreadable) await this.#row(unreadableRow(id, this.#newId))
      await store.forget(now + 1, WAITING)
      this.#unreadable = 0
    }
    await store.dropAnswers(now, ['released'])
    await store.forget(now - keepMs, ['denied', 'expired', 'released'])
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelSweep()
    for (const watchers of this.#watchers.values()) for (const done of [...watchers]) done()
    await Promise.allSettled(this.#turns.values())
    await this.#p.store.close()
  }

  readonly #newId = (): string => this.#p.random.uuid()

  #released(e: Escalation, made: Extract<Made, { kind: 'bytes' }>): Transition {
    const { jtis, untilMs, bytes, tail } = made
    const body = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    return release(e, { atMs: this.#p.clock.now(), untilMs, jtis, body, tail })
  }

  async #readAgain(e: Escalation, what: Release): Promise<Released> {
    if (this.#p.clock.now() >= what.untilMs) return { kind: 'not_released', escalation: e }
    const answer = await this.#answer(e.id)
    if (answer === undefined) return { kind: 'not_released', escalation: e }
    const ticket = await this.#row(releasedRow(e, what, true, this.#newId))
    return { kind: 'released', escalation: e, release: what, bytes: answer.request, answer, ticket, first: false }
  }

  async #answer(id: string): Promise<HeldAnswer | undefined> {
    const sealed = await this.#p.store.answer(id)
    return sealed === undefined ? undefined : openAnswer(this.#p.box, id, sealed)
  }

  async #read(id: string): Promise<Read | undefined> {
    const read = await this.#stored(id)
    return read === undefined ? undefined : { ...read, escalation: this.#asOfNow(read.escalation) }
  }

  /** `undefined`: not what was sealed, or sealed with another key. */
  #open(stored: StoredEscalation): Read | undefined {
    try {
      return fromStored(this.#p.box, stored)
    } catch (error) {
      if (error instanceof SealBroken) return undefined
      throw error
    }
  }

  async #stored(id: string): Promise<Read | undefined> {
    const stored = await this.#p.store.get(id)
    return stored === undefined ? undefined : fromStored(this.#p.box, stored)
  }

  #asOfNow(e: Escalation): Escalation {
    const t = expire(e, this.#p.clock.now())
    return t.kind === 'next' ? t.escalation : e
  }

  async #replace(read: Read, next: Escalation, answer?: Uint8Array | 'drop'): Promise<boolean> {
    const took = await this.#p.store.replace(toStored(this.#p.box, next, read.version + 1), answer)
    if (took) this.#changed(next)
    return took
  }

  async #row(row: Row): Promise<Ticket> {
    const ticket = this.#p.audit.append(row)
    await ticket.durable()
    return ticket
  }

  #changed(e: Escalation): void {
    for (const done of [...(this.#watchers.get(e.id) ?? [])]) done()
    this.#p.onChange?.(e)
  }

  async #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(id) ?? Promise.resolve()
    const mine = before.then(work, work)
    this.#turns.set(id, mine)
    try {
      return await mine
    } finally {
      if (this.#turns.get(id) === mine) this.#turns.delete(id)
    }
  }

  #nextSweep(): void {
    if (this.#closed) return
    this.#cancelSweep = this.#p.clock.timer(SWEEP_MS, () => {
      // A store or log that fails now is asked again at the next sweep; nothing is released meanwhile.
      this.sweep()
        .catch(() => undefined)
        .finally(() => this.#nextSweep())
    })
  }
}

function proposed(c: HeldAnswer['calls'][number], audience: string | undefined): ProposedCall {
  return {
    key: c.key,
    id: c.id,
    tool: c.name,
    argumentsText: c.argumentsText,
    argumentsDigest: argumentsDigest(c.argumentsText) ?? digestOf(c.argumentsText),
    ...(audience === undefined ? {} : { audience }),
    ...(c.tier === undefined ? {} : { tier: c.tier }),
  }
}

function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

function sameHash(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a), Buffer.from(b))
}
