/** The primary's end of one worker: what it says is parsed, and goes to its rows, its calls or its life. */
import type { Duplex } from 'node:stream'
import type { AuditWriter } from '../core/row.ts'
import type { SigningKeys } from '../keys/signing-keys.ts'
import type { CheckDurations } from '../telemetry/check-durations.ts'
import type { ExchangeCounter } from '../telemetry/counters.ts'
import { AuditServer } from './audit-server.ts'
import { Frames } from './frames.ts'
import { readToPrimary, type SignedPurpose } from './messages.ts'
import { type StatePorts, StateServer } from './state-server.ts'

export interface LinkPorts extends StatePorts {
  readonly audit: AuditWriter
  readonly counter: ExchangeCounter
  readonly times: Pick<CheckDurations, 'merge'>
}

export interface LinkEvents {
  readonly onListening: (facts: Readonly<Record<string, unknown>>) => void
  /** It cannot start; one line. */
  readonly onFailed: (reason: string) => void
}

export class Link {
  readonly #frames: Frames
  readonly #audit: AuditServer
  readonly #state: StateServer
  readonly #ports: LinkPorts
  #load = { active: 0, heldBytes: 0 }
  /** Resolves when the connection is over and what the worker had reserved is charged; says how much that was. */
  readonly over: Promise<number>

  constructor(socket: Duplex, ports: LinkPorts, events: LinkEvents) {
    this.#ports = ports
    const { promise, resolve } = Promise.withResolvers<number>()
    this.over = promise
    this.#frames = new Frames(
      socket,
      message => {
        const said = readToPrimary(message)
        switch (said?.kind) {
          case 'row':
            return this.#audit.row(said.n, said.row)
          case 'durable':
            return this.#audit.durable(said.n)
          case 'call':
            return this.#state.call(said.id, said.call, said.given)
          case 'ended':
            this.#load = { active: said.active, heldBytes: said.heldBytes }
            return ports.counter.exchange(said.outcome)
          case 'times':
            return ports.times.merge(said.measured)
          case 'listening':
            return events.onListening(said.facts)
          case 'failed':
            return events.onFailed(said.reason)
          case undefined:
            // A worker that talks nonsense is not one of ours any more.
            return this.#frames.end()
        }
      },
      () => {
        const open = this.#state.open
        void this.#state.end().then(() => resolve(open))
      },
    )
    this.#audit = new AuditServer(ports.audit, this.#frames)
    this.#state = new StateServer(ports, this.#frames)
    this.keys()
  }

  /** What was under way in the worker when it last said so. */
  get load(): { readonly active: number; readonly heldBytes: number } {
    return this.#load
  }

  /** An escalation was changed elsewhere. */
  noticed(id: string): void {
    this.#frames.say(['noticed', id])
  }

  begin(facts: Readonly<Record<string, unknown>>): void {
    this.#frames.say(['begin', facts])
  }

  /** The log can be written, or not. */
  health(reason: string): void {
    this.#audit.health(reason)
  }

  /** Tells the worker whether the log can be written, if it believes otherwise. */
  look(): void {
    this.#audit.look()
  }

  /** The keys as they are now. */
  keys(): void {
    const { receipts, capabilities, now } = this.#ports
    this.#tell('receipts', receipts, now())
    this.#tell('capabilities', capabilities, now())
  }

  #tell(purpose: SignedPurpose, keys: SigningKeys | undefined, ms: number): void {
    const published = (keys?.published(ms) ?? []).map(({ x, nbf, exp }) => ({
      x,
      ...(nbf === undefined ? {} : { nbf }),
      ...(exp === undefined ? {} : { exp }),
    }))
    this.#frames.say(['keys', purpose, keys?.at(ms) !== undefined, published])
  }

  leave(): void {
    this.#frames.say(['leave'])
  }

  end(): void {
    this.#frames.end()
  }
}
