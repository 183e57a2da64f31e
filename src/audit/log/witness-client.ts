/**
 * One witness, asked for its cosignature of a checkpoint (https://c2sp.org/tlog-witness).
 *
 * Guarantees: one request at a time, the newest checkpoint next; a cosignature is given out only when the witness's key
 * made it over exactly this checkpoint, at about this time; requests, answers and tries are bounded; a witness that fails
 * is left alone for a while, twice as long each time. A witness that has seen another tree than this one, or a larger
 * one, rejects with `WitnessAlarm`, also when only our own record of it says so.
 *
 * Does not: decide what an alarm stops, or how many witnesses are enough.
 */
import type { AuditEgress } from '../egress.ts'
import type { Alarm, AlarmKind } from './alarm.ts'
import { same } from './bytes.ts'
import { parseCheckpoint } from './checkpoint.ts'
import { LogInvalid } from './errors.ts'
import type { FolderFiles } from './folder-files.ts'
import { verifyConsistency } from './merkle.ts'
import type { NoteKey } from './note.ts'
import { parseNote } from './note.ts'
import { LogReader } from './reader.ts'
import { cosignatureIn, formatAddCheckpoint, readAnswer, type WitnessAnswer } from './witness-protocol.ts'
import { keepWitnessState, UNSEEN, type WitnessState } from './witness-state.ts'

/** A size that the witness corrects takes a second request; a third allows for another one in between. */
const MAX_TRIES = 3
/** Some signature lines. */
const MAX_ANSWER_BYTES = 64 * 1024
const REQUEST_TIMEOUT_MS = 5_000
const FIRST_BACKOFF_MS = 500
const LAST_BACKOFF_MS = 60_000

export interface AskedWitness {
  /** In the policy. */
  readonly name: string
  readonly key: NoteKey
  /** The submission prefix, without a slash at its end. */
  readonly url: string
}

export interface WitnessPorts {
  readonly egress: AuditEgress
  /** The log's folder: its tiles, and what is kept of witnesses. */
  readonly files: FolderFiles
  readonly nowMs: () => number
  readonly requestTimeoutMs?: number
}

export class WitnessFailed extends Error {
  override readonly name = 'WitnessFailed'
}

export class WitnessAlarm extends Error {
  override readonly name = 'WitnessAlarm'
  readonly alarm: Alarm
  constructor(alarm: Alarm) {
    super(alarm.detail)
    this.alarm = alarm
  }
}

export interface WitnessStatus extends WitnessState {
  readonly name: string
  readonly url: string
  /** Since the start. */
  readonly cosignatures: number
  readonly failures: number
}

interface Target {
  readonly note: string
  readonly size: number
  readonly root: Uint8Array
}

export class WitnessClient {
  readonly #witness: AskedWitness
  readonly #ports: WitnessPorts
  readonly #closing = new AbortController()
  #state: WitnessState
  #wanted: Target | undefined
  #last: Promise<unknown> = Promise.resolve()
  /** A checkpoint is cosigned once, however often it is tried with other witnesses. */
  #done: { readonly note: string; readonly line: string } | undefined
  #backoffMs = 0
  #notBeforeMs = 0
  #cosignatures = 0
  #failures = 0

  constructor(witness: AskedWitness, ports: WitnessPorts, state: WitnessState = UNSEEN) {
    this.#witness = witness
    this.#ports = ports
    this.#state = state
  }

  get witness(): AskedWitness {
    return this.#witness
  }

  get status(): WitnessStatus {
    const { name, url } = this.#witness
    return { name, url, ...this.#state, cosignatures: this.#cosignatures, failures: this.#failures }
  }

  /** Its signature line, without a newline. Rejects with `WitnessFailed` or `WitnessAlarm`. */
  submit(note: string): Promise<string> {
    if (this.#done?.note === note) return Promise.resolve(this.#done.line)
    const { size, root } = parseCheckpoint(parseNote(note).text)
    const target = { note, size, root }
    this.#wanted = target
    const turn = this.#last.then(() => this.#turn(target))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the gate is closing'))
    await this.#last
  }

  async #turn(target: Target): Promise<string> {
    if (this.#done?.note === target.note) return this.#done.line
    if (this.#wanted !== target) throw new WitnessFailed('a newer checkpoint took its place')
    if (this.#ports.nowMs() < this.#notBeforeMs) throw new WitnessFailed(this.#state.problem ?? 'it is left alone')
    try {
      const line = await this.#ask(target)
      this.#backoffMs = 0
      this.#notBeforeMs = 0
      this.#cosignatures++
      this.#done = { note: target.note, line }
      return line
    } catch (error) {
      if (error instanceof WitnessAlarm) throw error
      throw await this.#failed(error)
    }
  }

  async #ask(target: Target): Promise<string> {
    await this.#compare(target)
    const reader = new LogReader(this.#ports.files, target.size)
    let old = this.#state.size
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const answer = await this.#send(old, await reader.consistency(old), target)
      switch (answer.kind) {
        case 'cosigned':
          return this.#accept(answer.lines, target)
        case 'has':
          if (answer.size > target.size) {
            throw this.#alarm('rollback', target, `it has ${answer.size} entries, this log only ${target.size}`)
          }
          if (answer.size === old) throw new WitnessFailed(`it refuses the size ${old}, and says that it has ${old}`)
          old = answer.size
          break
        case 'split_view':
          throw this.#alarm('split_view', target, answer.detail)
        case 'refused':
        case 'later':
          throw new WitnessFailed(answer.detail)
      }
    }
    throw new WitnessFailed(`it named another size ${MAX_TRIES} times`)
  }

  /** With what this witness cosigned before, as our own file has it: it may have lost its memory, we should not. */
  async #compare(target: Target): Promise<void> {
    const { size, root } = this.#state
    if (root === undefined) return
    if (size > target.size) {
      throw this.#alarm('rollback', target, `it cosigned ${size} entries, this log has only ${target.size}`)
    }
    const proof = await new LogReader(this.#ports.files, target.size).consistency(size)
    try {
      await verifyConsistency({
        older: size,
        olderRoot: root,
        newer: target.size,
        newerRoot: target.root,
        proof,
      })
    } catch (error) {
      if (!(error instanceof LogInvalid)) throw error
      throw this.#alarm('split_view', target, `the log does not continue the ${size} entries that it cosigned`)
    }
  }

  async #send(old: number, proof: readonly Uint8Array[], { note }: Target): Promise<WitnessAnswer> {
    const { egress, requestTimeoutMs = REQUEST_TIMEOUT_MS } = this.#ports
    const { status, contentType, body } = await egress.send({
      url: `${this.#witness.url}/add-checkpoint`,
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: formatAddCheckpoint(old, proof, note),
      timeoutMs: requestTimeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
      signal: this.#closing.signal,
    })
    return readAnswer(status, contentType, body)
  }

  async #accept(lines: string, { note, size, root }: Target): Promise<string> {
    const { line, time } = await cosignatureIn(lines, note, this.#witness.key, this.#ports.nowMs())
    const before = this.#state
    const changed = before.problem !== undefined || before.root === undefined || !same(before.root, root)
    this.#state = { size, root, cosignedAt: Number(time), problem: undefined }
    if (changed) await this.#keep()
    return line
  }

  async #failed(error: unknown): Promise<WitnessFailed> {
    const failed = error instanceof WitnessFailed ? error : new WitnessFailed(oneLine(error), { cause: error })
    if (this.#closing.signal.aborted) return failed
    this.#failures++
    this.#backoffMs = Math.min(this.#backoffMs === 0 ? FIRST_BACKOFF_MS : this.#backoffMs * 2, LAST_BACKOFF_MS)
    this.#notBeforeMs = this.#ports.nowMs() + this.#backoffMs
    const isNew = this.#state.problem !== failed.message
    this.#state = { ...this.#state, problem: failed.message }
    if (isNew) await this.#keep()
    return failed
  }

  /** A record that cannot be written costs a request after the next start; a cosignature is not refused over it. */
  async #keep(): Promise<void> {
    await keepWitnessState(this.#ports.files, this.#witness.key, this.#state).catch(() => undefined)
  }

  #alarm(kind: AlarmKind, { note }: Target, detail: string): WitnessAlarm {
    this.#state = { ...this.#state, problem: detail }
    return new WitnessAlarm({ kind, witness: this.#witness.name, detail, atMs: this.#ports.nowMs(), note })
  }
}

function oneLine(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '').slice(0, 300) : 'it cannot be asked'
}
