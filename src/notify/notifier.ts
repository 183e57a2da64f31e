/**
 * Tells destinations what happens to escalations.
 *
 * Guarantees: what happened is told at least once, under an id that stays the same, to every destination that wants it,
 * also across a kill at any moment: what the store of notices does not have is found again in the escalations. Nobody waits
 * for a notice: `tell` returns at once and never throws, whatever receivers, their addresses or the disk do. Tries come
 * later each time, with jitter, over some twenty hours; a receiver that asks for patience gets it. What is given up is a
 * row. A try is counted on the disk before it is made, so that a gate that keeps dying repeats nothing without end.
 * One notice at a time per destination; a slow one holds up no other.
 * Does not guarantee: order, or that nothing is told twice.
 */
import type { Clock, Random } from '../core/clock.ts'
import type { AuditWriter } from '../core/row.ts'
import type { Notice, NoticeStore } from '../core/state.ts'
import type { Escalation } from '../escalation/escalation.ts'
import { type Destination, SEND_LIMIT_MS, type Sent } from './destination.ts'
import { eventsOf } from './events.ts'
import { disabledRow, givenUpRow } from './rows.ts'
import { afterMs, MAX_ATTEMPTS } from './schedule.ts'

/** What is read of the desk. */
export interface EscalationSource {
  find(id: string): Promise<Escalation | undefined>
  list(query: { readonly before?: string; readonly limit: number }): Promise<readonly Escalation[]>
}

export interface NotifierPorts {
  readonly store: NoticeStore
  readonly destinations: readonly Destination[]
  readonly audit: AuditWriter
  readonly clock: Clock
  readonly random: Random
  /** For the operator: a destination or the store fails, or works again. One line. */
  readonly onState?: (ok: boolean, text: string) => void
  /** The operator's lines name no person either. */
  readonly sealed?: boolean
  /** Notices that may wait for one destination. Default 1,000. */
  readonly mostWaiting?: number
}

export interface DestinationStatus {
  readonly name: string
  readonly label: string
  readonly delivered: number
  readonly failed: number
  readonly givenUp: number
  readonly waiting: number
  readonly disabled: boolean
}

const MOST_WAITING = 1_000
/** A notice whose sender died is tried again after this, the first time. */
const LEASE_MS = SEND_LIMIT_MS + 5_000
/** After a store that failed. */
const STORE_PAUSE_MS = 5_000
/** How often the escalations are looked through for something that was missed. */
const LOOK_MS = 5 * 60_000
const PAGE = 50
/** Settled notices about escalations that are gone are forgotten when they are older. */
const FORGET_MS = 3_600_000

interface Lane {
  readonly to: Destination
  busy: boolean
  again: boolean
  cancel: () => void
  notBeforeMs: number
  failing: boolean
  delivered: number
  failed: number
  givenUp: number
  waiting: number
  disabled: boolean
}

export class Notifier {
  readonly #p: NotifierPorts
  readonly #lanes: readonly Lane[]
  readonly #closing = new AbortController()
  readonly #working = new Set<Promise<unknown>>()
  #desk: EscalationSource | undefined
  #cancelLook: () => void = () => undefined
  /** Something could not be written down; it is in the escalations. */
  #missed = false
  #storeFails = false
  #closed: Promise<void> | undefined

  constructor(ports: NotifierPorts) {
    this.#p = ports
    this.#lanes = ports.destinations.map(to => ({
      to,
      busy: false,
      again: false,
      cancel: () => undefined,
      notBeforeMs: 0,
      failing: false,
      delivered: 0,
      failed: 0,
      givenUp: 0,
      waiting: 0,
      disabled: false,
    }))
  }

  /** Says who the destinations are. Before the first escalation is held: what happens from now on is for them. */
  async open(): Promise<void> {
    const { store, destinations, clock } = this.#p
    await store.use(
      destinations.map(({ name, address }) => ({ name, address })),
      clock.now(),
    )
  }

  /** Begins to send; what happened and is not in the store yet is looked for in the escalations. */
  start(desk: EscalationSource): void {
    this.#desk = desk
    this.#look()
    for (const lane of this.#lanes) this.#wake(lane)
  }

  readonly tell = (e: Escalation): void => {
    if (this.#closing.signal.aborted) return
    this.#track(
      this.#keep([e]).catch(error => {
        this.#missed = true
        this.#sayStore(error)
        this.#lookIn(STORE_PAUSE_MS)
      }),
    )
  }

  get status(): readonly DestinationStatus[] {
    return this.#lanes.map(({ to, delivered, failed, givenUp, waiting, disabled }) => ({
      name: to.name,
      label: to.label,
      delivered,
      failed,
      givenUp,
      waiting,
      disabled,
    }))
  }

  /** Resolves when nothing is under way; what waits for its time is not. */
  async quiet(): Promise<void> {
    while (this.#working.size > 0) await Promise.allSettled([...this.#working])
  }

  /** Ends what is being sent; it is sent again at the next start. */
  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    this.#closing.abort(new Error('the gate is closing'))
    this.#cancelLook()
    for (const lane of this.#lanes) lane.cancel()
    await this.quiet()
    await this.#p.store.close()
  }

  async #keep(escalations: readonly Escalation[]): Promise<void> {
    const { store, destinations, mostWaiting = MOST_WAITING } = this.#p
    const notices = escalations.flatMap(e =>
      eventsOf(e).flatMap(({ id, type, atMs }) =>
        destinations
          .filter(d => d.events.includes(type))
          .map((d): Notice => ({ id, destination: d.name, escalation: e.id, event: type, atMs })),
      ),
    )
    if (notices.length === 0) return
    const gaveWay = await store.add(notices, mostWaiting)
    for (const notice of gaveWay) this.#gaveUp(notice, 0, `more than ${mostWaiting} notices wait; the oldest gives way`)
    for (const lane of this.#lanes) this.#wake(lane)
  }

  #look(): void {
    this.#track(
      this.#lookThrough()
        .then(() => {
          this.#missed = false
          this.#sayStore(undefined)
        })
        .catch(error => {
          this.#missed = true
          this.#sayStore(error)
        })
        .finally(() => this.#lookIn(this.#missed ? STORE_PAUSE_MS : LOOK_MS)),
    )
  }

  #lookIn(ms: number): void {
    this.#cancelLook()
    if (this.#closing.signal.aborted || this.#desk === undefined) return
    this.#cancelLook = this.#p.clock.timer(ms, () => this.#look())
  }

  /** Page by page, so that exchanges go on in between. */
  async #lookThrough(): Promise<void> {
    const desk = this.#desk
    if (desk === undefined) return
    let before: string | undefined
    for (;;) {
      const page = await desk.list({ limit: PAGE, ...(before === undefined ? {} : { before }) })
      // Oldest first: where room is short, the oldest gives way.
      await this.#keep([...page].reverse())
      before = page.at(-1)?.id ?? before
      if (page.length < PAGE || this.#closing.signal.aborted) break
    }
    if (!this.#closing.signal.aborted && before !== undefined)
      await this.#p.store.forget(before, this.#p.clock.now() - FORGET_MS)
  }

  #wake(lane: Lane): void {
    lane.again = true
    if (lane.busy || this.#closing.signal.aborted || this.#desk === undefined) return
    lane.busy = true
    lane.cancel()
    this.#track(
      this.#run(lane)
        .catch(error => {
          this.#sayStore(error)
          this.#lookIn(STORE_PAUSE_MS)
          return this.#p.clock.now() + STORE_PAUSE_MS
        })
        .then(nextMs => {
          lane.busy = false
          if (this.#closing.signal.aborted) return
          if (lane.again) return this.#wake(lane)
          if (nextMs === undefined) return
          lane.cancel = this.#p.clock.timer(Math.max(1, nextMs - this.#p.clock.now()), () => this.#wake(lane))
        }),
    )
  }

  /** Sends what is due; says when to look again. */
  async #run(lane: Lane): Promise<number | undefined> {
    const { store, clock } = this.#p
    for (;;) {
      lane.again = false
      const now = clock.now()
      if (now < lane.notBeforeMs) return lane.notBeforeMs
      if (this.#closing.signal.aborted) return undefined
      const { taken, nextMs, waiting, disabled } = await store.take(lane.to.name, now, now + LEASE_MS)
      lane.waiting = waiting
      if (taken === undefined) {
        lane.disabled = disabled !== undefined
        return nextMs
      }
      await this.#send(lane, taken.notice, taken.attempts)
    }
  }

  async #send(lane: Lane, notice: Notice, attempts: number): Promise<void> {
    const { store, clock, random } = this.#p
    const { to } = lane
    const { signal } = this.#closing
    // The one before this died with the process that made it.
    if (attempts >= MAX_ATTEMPTS)
      return await this.#giveUp(lane, notice, attempts, 'the gate ended each time while it was being sent')
    // Counted before it is made: a try that ends the process, or is ended with it, is a try, and the next comes later still.
    const pause = Math.max(LEASE_MS, afterMs(attempts, random))
    await store.settle(to.name, notice.id, { kind: 'again', atMs: clock.now() + pause, attempts: attempts + 1 })
    const sent = await this.#sendTo(to, notice)
    if (signal.aborted && sent.kind === 'failed')
      return await store.settle(to.name, notice.id, { kind: 'again', atMs: clock.now(), attempts })
    switch (sent.kind) {
      case 'delivered':
        lane.delivered += 1
        this.#say(lane, true, `notices reach ${this.#called(to)} again`)
        return await store.settle(to.name, notice.id, {
          kind: 'delivered',
          ...(sent.receipt === undefined ? {} : { receipt: sent.receipt }),
        })
      case 'skipped':
        return await store.settle(to.name, notice.id, { kind: 'delivered' })
      case 'failed': {
        lane.failed += 1
        this.#say(lane, false, `notices do not reach ${this.#called(to)}: ${sent.because}`)
        if (attempts + 1 >= MAX_ATTEMPTS) return await this.#giveUp(lane, notice, attempts + 1, sent.because)
        const atMs = clock.now() + Math.max(afterMs(attempts, random), sent.afterMs ?? 0)
        if (sent.all === true) lane.notBeforeMs = atMs
        return await store.settle(to.name, notice.id, { kind: 'again', atMs, attempts: attempts + 1 })
      }
      case 'refused':
        lane.failed += 1
        return await this.#giveUp(lane, notice, attempts + 1, sent.because)
      case 'gone':
        lane.failed += 1
        lane.disabled = true
        this.#say(lane, false, `nothing is sent to ${this.#called(to)} any more: ${sent.because}`)
        await store.disable(to.name, sent.because)
        this.#row(disabledRow(to.label, sent.because, random.uuid()))
        return this.#gaveUp(notice, attempts + 1, sent.because)
    }
  }

  async #sendTo(to: Destination, notice: Notice): Promise<Sent> {
    const { store, clock } = this.#p
    try {
      const e = await this.#desk?.find(notice.escalation)
      if (e === undefined) return { kind: 'refused', because: 'the escalation is not kept any longer' }
      return await to.send(notice, e, {
        nowMs: clock.now(),
        signal: this.#closing.signal,
        receipt: async () => store.receipt(to.name, notice.escalation),
      })
    } catch {
      return { kind: 'failed', because: 'the notice could not be made' }
    }
  }

  async #giveUp(lane: Lane, notice: Notice, attempts: number, because: string): Promise<void> {
    await this.#p.store.settle(lane.to.name, notice.id, { kind: 'given_up' })
    this.#gaveUp(notice, attempts, because)
  }

  #gaveUp(notice: Notice, attempts: number, because: string): void {
    const lane = this.#lanes.find(({ to }) => to.name === notice.destination)
    if (lane !== undefined) lane.givenUp += 1
    this.#row(givenUpRow(notice, lane?.to.label ?? 'gone', attempts, because, this.#p.random.uuid()))
  }

  /** Nobody waits for it, and a log that fails says so itself. */
  #row(row: Parameters<AuditWriter['append']>[0]): void {
    this.#p.audit
      .append(row)
      .durable()
      .catch(() => undefined)
  }

  #say(lane: Lane, ok: boolean, text: string): void {
    if (lane.failing === !ok) return
    lane.failing = !ok
    this.#p.onState?.(ok, text)
  }

  #called({ name, label }: Destination): string {
    return this.#p.sealed === true ? label : name
  }

  /** `undefined`: it took everything. */
  #sayStore(error: unknown): void {
    const ok = error === undefined
    if (this.#storeFails === !ok || this.#closing.signal.aborted) return
    this.#storeFails = !ok
    const why = error instanceof Error ? error.message : 'no reason was given'
    this.#p.onState?.(ok, ok ? 'notices are written down again' : `notices cannot be written down: ${why}`)
  }

  #track(work: Promise<unknown>): void {
    const tracked = work.catch(() => undefined).finally(() => this.#working.delete(tracked))
    this.#working.add(tracked)
  }
}
