/**
 * What one exchange holds in memory, counted across exchanges: text held back until checks have decided, a unary answer
 * being gathered, and every frame of an answer that may still have to wait for a human.
 *
 * Guarantees: the shared count goes up and down by the same amounts, and is down when the exchange is over; an answer
 * beyond its bound is not kept, so an escalation then ends it instead of holding it.
 */
import type { Edit, Frame } from '../core/wire.ts'
import type { HeldFrame } from '../escalation/sealed.ts'
import type { Gate } from './gate.ts'

/** What keeping a frame costs beside its bytes, roughly. */
const KEPT_FRAME_BYTES = 256

export class Kept {
  readonly #gate: Pick<Gate, 'load' | 'settings'>
  #frames: HeldFrame[] | undefined
  #frameBytes = 0
  /** Bytes of a unary answer gathered so far. */
  #gathered = 0
  #counted = 0

  constructor(gate: Pick<Gate, 'load' | 'settings'>) {
    this.#gate = gate
  }

  /** Every frame with its edits; `undefined` when they are not kept. */
  get frames(): readonly HeldFrame[] | undefined {
    return this.#frames
  }

  keepFrames(): void {
    this.#frames = []
  }

  gather(bytes: number): void {
    this.#gathered += bytes
  }

  frame(frame: Frame, edits: readonly Edit[]): void {
    if (this.#frames === undefined) return
    const { load, settings } = this.#gate
    const bytes = frame.raw.length + KEPT_FRAME_BYTES
    this.#frameBytes += bytes
    load.heldBytes += bytes
    // Half of the room is for answers that wait already: these only might have to.
    if (this.#frameBytes > settings.maxHeldBytes || load.heldBytes > settings.maxHeldBytesTotal / 2) this.#dropFrames()
    else this.#frames.push({ raw: frame.raw, edits })
  }

  /** `heldBack`: what the release machine holds now. True when all exchanges together hold too much. */
  count(heldBack: number): boolean {
    const { load, settings } = this.#gate
    const now = heldBack + this.#gathered
    load.heldBytes += now - this.#counted
    this.#counted = now
    return now > 0 && load.heldBytes > settings.maxHeldBytesTotal
  }

  /** The exchange is over. */
  release(): void {
    this.#gathered = 0
    this.count(0)
    if (this.#frames !== undefined) this.#dropFrames()
  }

  #dropFrames(): void {
    this.#frames = undefined
    this.#gate.load.heldBytes -= this.#frameBytes
    this.#frameBytes = 0
  }
}
