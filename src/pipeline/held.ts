/**
 * The frames that wait to leave, in arrival order, each with the ranges of text and the calls it waits for. Guarantees
 * that a frame taken from the front is forgotten, that taking costs the same however long the queue is, and that `bytes` is
 * what all waiting frames weigh. It decides nothing.
 */
import type { Frame } from '../core/wire.ts'
import type { InspectedChannel } from './channel.ts'

export interface Range {
  readonly part: number
  readonly channel: InspectedChannel
  readonly from: number
  readonly to: number
  /** A second reading of that part: it is inspected, never written. */
  readonly decoded?: true
}

export interface Held {
  readonly frame: Frame
  readonly ranges: Range[]
  readonly calls: string[]
  /** Ranges before this one are free and stay so: a frame of very many parts is not gone through again and again. */
  free: number
  /** What it counts as while it waits. */
  readonly weight: number
}

/** What a waiting frame costs beside its bytes, roughly: without it a flood of tiny frames or parts would be free. */
const FRAME_WEIGHT = 256
const PART_WEIGHT = 32
const SNAPSHOT_WEIGHT = 512

export class HeldFrames {
  /** The queue, and where its head is: shifting an array costs its length. */
  #queue: Held[] = []
  #head = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  get empty(): boolean {
    return this.#head >= this.#queue.length
  }

  get first(): Held | undefined {
    return this.#queue[this.#head]
  }

  add(frame: Frame): Held {
    const held: Held = { frame, ranges: [], calls: [], free: 0, weight: weigh(frame) }
    this.#queue.push(held)
    this.#bytes += held.weight
    return held
  }

  /** The first one leaves. */
  drop(): void {
    const first = this.#queue[this.#head]
    if (first === undefined) return
    this.#bytes -= first.weight
    this.#queue[this.#head] = EMPTY
    this.#head += 1
    if (this.#head > 64 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
  }

  /** Those that wait, front to back. */
  waiting(): readonly Held[] {
    return this.#queue.slice(this.#head)
  }
}

const EMPTY: Held = {
  frame: { kind: 'frame', raw: new Uint8Array(0), parts: [] },
  ranges: [],
  calls: [],
  free: 0,
  weight: 0,
}

function weigh(frame: Frame): number {
  let weight = frame.raw.length + FRAME_WEIGHT
  for (const part of frame.parts) {
    weight += part.kind === 'text' && part.from === 'snapshot' ? SNAPSHOT_WEIGHT : PART_WEIGHT
  }
  return weight
}
