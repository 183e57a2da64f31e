/**
 * Entries on their way to the tree, as a bundle has them: in one buffer, because a row that is kept until the next checkpoint
 * outlives its garbage collection.
 *
 * Guarantees: they follow one another without a gap, and are at most `MOST`. What does not fit, or does not follow, begins the
 * queue anew: what is lost here is read again from the audit log.
 */
import { Growing } from './growing.ts'
import { entryLength } from './tile.ts'

/** Some two megabytes. */
const MOST = 8192
/** Of as many entries as are handed over at a time. */
const USUAL_BYTES = 96 * 1024

export interface QueuedEntries {
  /** Index of the first of them. */
  readonly first: number
  readonly count: number
  /** Each behind its length. A buffer of its own. */
  readonly bundle: Uint8Array<ArrayBuffer>
}

export class EntryQueue {
  #bytes = new Growing(USUAL_BYTES)
  #first = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The index of the next entry to be taken; of an empty queue, `undefined`. */
  get first(): number | undefined {
    return this.#length === 0 ? undefined : this.#first
  }

  push(index: number, entry: Uint8Array): void {
    if (this.#length === MOST || index !== this.#first + this.#length) this.clear()
    if (this.#length === 0) this.#first = index
    this.#bytes.push(entryLength(entry))
    this.#bytes.push(entry)
    this.#length++
  }

  /** All of them. */
  take(): QueuedEntries {
    const taken = { first: this.#first, count: this.#length, bundle: this.#bytes.copy() }
    this.clear()
    return taken
  }

  clear(): void {
    this.#length = 0
    this.#bytes = new Growing(USUAL_BYTES)
  }
}
