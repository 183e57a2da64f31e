/**
 * A worker's end of its connection: the ports that the gate in it stands on, and when to begin and to leave.
 *
 * Guarantees: when the connection is over, every row and every call that waits is refused before `onOver` is called, so
 * nothing is released on the strength of a primary that is gone.
 */
import type { Duplex } from 'node:stream'
import type { Clock } from '../core/clock.ts'
import type { AuditWriter } from '../core/row.ts'
import type { EscalationStore, IssuedState, RedemptionStore, SharedState } from '../core/state.ts'
import type { CheckTimes } from '../core/timing.ts'
import type { SigningKeys } from '../keys/signing-keys.ts'
import { CheckDurations } from '../telemetry/check-durations.ts'
import type { ExchangeCounter } from '../telemetry/counters.ts'
import { AuditClient } from './audit-client.ts'
import { remoteIssued, remoteRedemptions } from './capability-client.ts'
import { Frames } from './frames.ts'
import { RemoteSigningKeys } from './keys-client.ts'
import { readToWorker } from './messages.ts'
import { Calls, type RemoteLog, remoteEscalations, remoteLog, remoteState } from './state-client.ts'

export interface WorkerGround {
  readonly audit: AuditWriter
  readonly receipts: SigningKeys
  readonly capabilities: SigningKeys
  readonly issued: IssuedState
  /** `durable`: does what the primary keeps outlive it? */
  redemptions(durable: boolean): RedemptionStore
  readonly shared: SharedState
  readonly escalations: EscalationStore
  readonly log: RemoteLog
  /** Counts in the primary; `load`: what is under way here now. */
  counting(load: () => { readonly active: number; readonly heldBytes: number }): ExchangeCounter
  /** Counts here, and is added up in the primary; `nowMs`: of a clock that never goes back. */
  timing(clock: Clock, nowMs: () => number): CheckTimes
}

/** Whoever looks at the primary's metrics sees what a worker measured so much later, at most. */
const TELL_MS = 500

export class Worker {
  readonly ground: WorkerGround
  /** What the primary says before this worker listens. */
  readonly begun: Promise<Readonly<Record<string, unknown>>>
  /** The primary asks it to leave. */
  readonly asked: Promise<void>
  readonly #frames: Frames

  constructor(socket: Duplex, { onOver }: { readonly onOver: () => void }) {
    const begun = Promise.withResolvers<Readonly<Record<string, unknown>>>()
    const asked = Promise.withResolvers<void>()
    this.begun = begun.promise
    this.asked = asked.promise
    let finishing = false
    const frames = new Frames(
      socket,
      message => {
        const said = readToWorker(message)
        if (said === undefined) frames.end()
        else if (said.kind === 'begin') begun.resolve(said.facts)
        else if (said.kind === 'leave') asked.resolve()
        else if (said.kind === 'noticed') this.onNoticed(said.id)
        else if (!audit.take(said) && !calls.take(said) && !receipts.take(said)) capabilities.take(said)
      },
      () => {
        audit.fence()
        calls.fence()
        if (!finishing) onOver()
      },
    )
    const audit = new AuditClient(frames)
    const calls = new Calls(frames)
    const receipts = new RemoteSigningKeys('receipts', calls)
    const capabilities = new RemoteSigningKeys('capabilities', calls)
    let cancel: (() => void) | undefined
    let times: CheckDurations | undefined
    const tell = (): void => {
      cancel?.()
      cancel = undefined
      const measured = times?.take() ?? []
      if (measured.length > 0) frames.say(['times', measured])
    }
    this.#frames = frames
    this.ground = {
      audit,
      receipts,
      capabilities,
      issued: remoteIssued(calls),
      redemptions: durable => remoteRedemptions(calls, durable),
      shared: remoteState(calls),
      escalations: remoteEscalations(calls),
      log: remoteLog(calls),
      timing: (clock, nowMs) =>
        (times = new CheckDurations(nowMs, () => {
          cancel = clock.timer(TELL_MS, tell)
        })),
      counting: load => ({
        exchange: outcome => {
          const { active, heldBytes } = load()
          frames.say(['ended', outcome, active, heldBytes])
        },
      }),
    }
    this.finish = () => {
      finishing = true
      tell()
      return frames.finish()
    }
  }

  readonly finish: () => Promise<void>
  /** Another process has changed this escalation. */
  onNoticed: (id: string) => void = () => undefined

  listening(facts: Readonly<Record<string, unknown>>): void {
    this.#frames.say(['listening', facts])
  }

  failed(reason: string): void {
    this.#frames.say(['failed', reason])
  }
}
