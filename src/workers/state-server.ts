/**
 * The primary's side of one worker's calls: state, escalations, the transparency log, signatures.
 *
 * Guarantees: every call gets one answer. Reservations that a worker has not settled when its connection ends are settled
 * with their whole amount, as an answer that broke off is: nobody knows what upstream has done, and a crash must not be a
 * way to spend without being charged. A signature is made only with a key that may sign now, and only of what begins as
 * that key's kind of token does: a worker that was taken over gets no other signed.
 */
import { CAPABILITY_TYP } from '../capability/claims.ts'
import type { LogLevel, RowLog } from '../core/row.ts'
import type { EscalationStore, IssuedState, RedemptionStore, SharedState, StoredEscalation } from '../core/state.ts'
import { isTokenInput } from '../jws/sign.ts'
import type { Signer } from '../keys/signing.ts'
import type { SigningKeys } from '../keys/signing-keys.ts'
import { RECEIPT_TYP } from '../receipt/claims.ts'
import type { Frames } from './frames.ts'
import type { Call, CallArguments } from './messages.ts'

export interface StatePorts {
  readonly shared: SharedState
  readonly escalations: EscalationStore
  /** A worker has made or changed an escalation. */
  readonly onEscalation: (id: string) => void
  /** `undefined`: there is no transparency log. */
  readonly log: RowLog | undefined
  readonly receipts: SigningKeys | undefined
  readonly capabilities: SigningKeys | undefined
  readonly issued: IssuedState
  readonly redemptions: RedemptionStore
  /** Which form of receipt is issued. */
  readonly form: 'jws' | 'signet-v1'
  /** Milliseconds since 1970. */
  readonly now: () => number
}

const DONE = 'done'
const LEVELS: readonly LogLevel[] = ['logged', 'witnessed']
/** How every canonical row begins. */
const ROW = '{"approval_chain":['

export class StateServer {
  readonly #ports: StatePorts
  readonly #frames: Frames
  /** Reservations of this worker, with what they reserve. */
  readonly #reserved = new Map<string, number>()
  #over = false

  constructor(ports: StatePorts, frames: Frames) {
    this.#ports = ports
    this.#frames = frames
  }

  get open(): number {
    return this.#reserved.size
  }

  call(id: number, call: Call, given: CallArguments): void {
    this.#answer(call, new Given(given)).then(
      value => this.#frames.say(['answer', id, value]),
      // Its class only: a driver's message may name what it was asked about.
      (error: unknown) => this.#frames.say(['refusal', id, error instanceof Error ? error.name : 'Error']),
    )
  }

  /** The worker is gone. Resolves when what it had reserved is charged. */
  async end(): Promise<void> {
    this.#over = true
    const open = [...this.#reserved]
    this.#reserved.clear()
    await Promise.allSettled(
      open.map(async ([reservation, amount]) => this.#ports.shared.budgets.settle(reservation, amount)),
    )
  }

  async #answer(call: Call, given: Given): Promise<unknown> {
    const { shared, escalations, issued, redemptions, log } = this.#ports
    switch (call) {
      case 'rate-limit.take':
        return shared.rateLimits.take(
          given.text(0),
          given.number(1),
          given.number(2),
          given.number(3),
          given.textIfAny(4),
        )
      case 'budget.reserve': {
        const amount = given.number(1)
        const made = await shared.budgets.reserve(
          given.text(0),
          amount,
          given.number(2),
          given.number(3),
          given.number(4),
          given.textIfAny(5),
        )
        if (!made.ok) return made
        // Its worker died while a remote store answered.
        if (this.#over) await shared.budgets.settle(made.reservation, amount)
        else this.#reserved.set(made.reservation, amount)
        return made
      }
      case 'budget.settle': {
        const reservation = given.text(0)
        const used = given.number(1)
        // Only its own, and once.
        if (this.#reserved.delete(reservation)) await shared.budgets.settle(reservation, used)
        return DONE
      }
      case 'session.touch':
        return shared.sessions.touch(given.text(0), given.text(1), given.number(2))
      case 'reference.remember':
        await shared.references.remember(given.text(0), given.text(1), given.text(2), given.number(3))
        return DONE
      case 'reference.find':
        return (await shared.references.find(given.text(0), given.text(1), given.text(2))) ?? null
      case 'escalation.create': {
        const e = given.escalation()
        await escalations.create(e, given.bytes(7))
        this.#ports.onEscalation(e.id)
        return DONE
      }
      case 'escalation.get': {
        const found = await escalations.get(given.text(0))
        return found === undefined ? null : { ...found, record: Buffer.from(found.record).toString('base64') }
      }
      case 'escalation.answer': {
        const found = await escalations.answer(given.text(0))
        return found === undefined ? null : Buffer.from(found).toString('base64')
      }
      case 'escalation.replace': {
        const e = given.escalation()
        const answer = given.has(7) ? (given.text(7) === '' ? 'drop' : given.bytes(7)) : undefined
        const took = await escalations.replace(e, answer)
        if (took) this.#ports.onEscalation(e.id)
        return took
      }
      case 'issued.put': {
        const [jti, made, tool, capability] = [given.text(2), given.text(3), given.text(4), given.text(5)]
        await issued.put(given.text(0), given.text(1), {
          jti,
          call: made,
          tool,
          capability,
          expiresAtMs: given.number(6),
        })
        return DONE
      }
      case 'issued.of':
        return issued.of(given.text(0), given.text(1))
      case 'issued.knows':
        return issued.knows(given.text(0))
      case 'redemption.redeem':
        return redemptions.redeem(given.text(0), given.text(1), given.number(2), given.number(3))
      case 'redemption.find':
        return (await redemptions.find(given.text(0))) ?? null
      case 'redemption.settle':
        return redemptions.settle(given.text(0))
      case 'log.reached': {
        const level = LEVELS.find(known => known === given.text(1))
        if (log === undefined || level === undefined) throw new Error('there is no transparency log')
        await log.reached(given.number(0), level)
        return DONE
      }
      case 'log.status':
        if (log === undefined) throw new Error('there is no transparency log')
        return log.status
      case 'reachable':
        return shared.reachable()
      case 'sign':
        return this.#sign(given.text(0), given.text(1), Buffer.from(given.text(2), 'base64'))
    }
  }

  async #sign(purpose: string, kid: string, input: Buffer): Promise<string> {
    const { receipts, capabilities, now } = this.#ports
    const keys = purpose === 'receipts' ? receipts : purpose === 'capabilities' ? capabilities : undefined
    const signer = keys?.named(kid, now())
    if (signer === undefined) throw new Error('no key of that id and purpose may sign now')
    if (!this.#fits(purpose, input, signer)) throw new Error('a key signs its own kind of token and nothing else')
    return Buffer.from(await signer.sign(input)).toString('base64')
  }

  #fits(purpose: string, input: Buffer, signer: Signer): boolean {
    if (purpose === 'capabilities') return isTokenInput(CAPABILITY_TYP, input, signer)
    // The older form signs the canonical row itself.
    if (this.#ports.form === 'signet-v1') return input.toString('latin1', 0, ROW.length) === ROW
    return isTokenInput(RECEIPT_TYP, input, signer)
  }
}

class Given {
  readonly #values: CallArguments

  constructor(values: CallArguments) {
    this.#values = values
  }

  text(at: number): string {
    const value = this.#values[at]
    if (typeof value !== 'string') throw new TypeError(`argument ${at}: expected text`)
    return value
  }

  textIfAny(at: number): string | undefined {
    return this.has(at) ? this.text(at) : undefined
  }

  has(at: number): boolean {
    return at < this.#values.length
  }

  bytes(at: number): Uint8Array {
    return Buffer.from(this.text(at), 'base64')
  }

  /** The first seven. */
  escalation(): StoredEscalation {
    return {
      id: this.text(0),
      ownerTag: this.text(1),
      state: this.text(2),
      createdAtMs: this.number(3),
      expiresAtMs: this.number(4),
      version: this.number(5),
      record: this.bytes(6),
    }
  }

  number(at: number): number {
    const value = this.#values[at]
    if (typeof value !== 'number') throw new TypeError(`argument ${at}: expected a number`)
    return value
  }
}
