/**
 * The witnesses of a policy, asked together, off the request path.
 *
 * Guarantees: `cosign` resolves as soon as enough of them have cosigned and not before, with nothing but the checkpoint and
 * their verified lines; one that is slow or down holds up nothing while the others are enough. The first alarm is kept
 * in the log's folder before anybody is told, and from then on nothing is ever cosigned by this object.
 *
 * Does not: ask a witness for anything but the log's own checkpoints, and does not show that witnesses are independent.
 */
import { type Alarm, halted, raiseAlarm } from './alarm.ts'
import { openCheckpoint } from './checkpoint.ts'
import { LogInvalid } from './errors.ts'
import type { NoteKey } from './note.ts'
import { meets, type Policy } from './policy.ts'
import { cosigned } from './proof.ts'
import {
  type AskedWitness,
  WitnessAlarm,
  WitnessClient,
  type WitnessPorts,
  type WitnessStatus,
} from './witness-client.ts'
import { readWitnessState } from './witness-state.ts'
import type { Witnesses } from './witnesses.ts'

export interface QuorumOptions extends WitnessPorts {
  readonly policy: Policy
  /** The log's own key. */
  readonly logKey: NoteKey
  /** A first alarm, once it is kept: stop the log. `kept` is false when it could not be written. */
  readonly onAlarm: (alarm: Alarm, kept: boolean) => void
}

export interface WitnessQuorum extends Witnesses {
  readonly status: readonly WitnessStatus[]
  close(): Promise<void>
}

/** Rejects with `policy_invalid` when the policy can never be met by asking. */
export async function openWitnesses(o: QuorumOptions): Promise<WitnessQuorum> {
  const clients: WitnessClient[] = []
  for (const witness of askedWitnesses(o.policy, o.logKey)) {
    clients.push(new WitnessClient(witness, o, await readWitnessState(o.files, witness.key)))
  }
  return new Quorum(o, clients)
}

/** Those of the policy that have an address. */
export function askedWitnesses(policy: Policy, logKey: NoteKey): readonly AskedWitness[] {
  const invalid = (text: string) => new LogInvalid('policy_invalid', text)
  if (policy.quorum.kind === 'none') throw invalid('quorum none asks for no witness; name a quorum, or use no policy')
  const known = policy.logs.some(({ key }) => key.name === logKey.name && key.id === logKey.id)
  if (policy.logs.length > 0 && !known)
    throw invalid(`none of its log lines has the key of this log, ${logKey.name}; add it (signet log key prints it)`)
  const asked = policy.witnesses.flatMap(({ name, key, url }) =>
    url === undefined ? [] : [{ name, key, url: url.replace(/\/+$/, '') }],
  )
  if (!meets(policy.quorum, new Set(asked.map(({ name }) => name))))
    throw invalid('its quorum cannot be met by the witnesses that have a URL; add their submission URLs')
  return asked
}

class Quorum implements WitnessQuorum {
  readonly #o: QuorumOptions
  readonly #clients: readonly WitnessClient[]
  #alarm: Alarm | undefined

  constructor(o: QuorumOptions, clients: readonly WitnessClient[]) {
    this.#o = o
    this.#clients = clients
  }

  get status(): readonly WitnessStatus[] {
    return this.#clients.map(client => client.status)
  }

  cosign(note: string): Promise<string> {
    if (this.#alarm !== undefined) return Promise.reject(halted(this.#alarm))
    return new Promise((resolve, reject) => {
      const lines = new Map<string, string>()
      const failures: string[] = []
      for (const client of this.#clients) {
        const { name } = client.witness
        client
          .submit(note)
          .then(
            line => {
              lines.set(name, line)
              if (meets(this.#o.policy.quorum, new Set(lines.keys()))) resolve(this.#note(note, lines))
            },
            async (error: unknown) => {
              if (error instanceof WitnessAlarm) reject(halted(await this.#raise(error.alarm)))
              failures.push(`${name}: ${error instanceof Error ? error.message : 'it failed'}`)
            },
          )
          .then(() => {
            if (lines.size + failures.length === this.#clients.length) reject(unmet(failures))
          }, reject)
      }
    })
  }

  async accepts(note: string): Promise<boolean> {
    try {
      await cosigned(await openCheckpoint(note, [this.#o.logKey]), this.#o.policy)
      return true
    } catch (error) {
      if (error instanceof LogInvalid) return false
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(client => client.close()))
  }

  /** In the order of the policy, so that the same cosignatures are the same note. */
  #note(note: string, lines: ReadonlyMap<string, string>): string {
    const ordered = this.#clients.flatMap(({ witness }) => lines.get(witness.name) ?? [])
    return note + ordered.map(line => `${line}\n`).join('')
  }

  async #raise(alarm: Alarm): Promise<Alarm> {
    const first = this.#alarm
    if (first !== undefined) return first
    this.#alarm = alarm
    let kept = true
    try {
      await raiseAlarm(this.#o.files, alarm)
    } catch {
      kept = false
    }
    this.#o.onAlarm(alarm, kept)
    return alarm
  }
}

function unmet(failures: readonly string[]): LogInvalid {
  return new LogInvalid('quorum_unmet', `too few witnesses have cosigned; ${failures.join('; ')}`)
}
