/**
 * Entries on their way to the tree, as a bundle has them: in one buffer, because a row that is kept until the next checkpoint
 * outlives its garbage collection.
 *
 * Guarantees: they follow one another without a gap, and are at most `MOST`. What does not fit, or does not follow, begins the
 * queue anew: what is lost here is read again from the audit log.
 */
import { withRoom } from './growing.ts'
import { checkEntryBytes, LENGTH_BYTES, TILE_WIDTH } from './tile.ts'

/** Some two megabytes. */
const MOST = 8192
/** Of as many entries as are handed over at a time. */
const USUAL_BYTES = 320 * 1024
/** What a UTF-16 unit takes as UTF-8, at most. */
const UNIT_BYTES = 3

export interface QueuedEntries {
  /** Index of the first of them. */
  readonly first: number
  readonly count: number
  /** Each behind its length. A buffer of its own. */
  readonly bundle: Uint8Array<ArrayBuffer>
}

export class EntryQueue {
  #buffer = Buffer.allocUnsafeSlow(USUAL_BYTES)
  #used = 0
  #first = 0
  #length = 0
  /** Of those that come before the last multiple of `TILE_WIDTH`. */
  #fullLength = 0
  #fullUsed = 0

  get length(): number {
    return this.#length
  }

  /** The index of the next entry to be taken; of an empty queue, `undefined`. */
  get first(): number | undefined {
    return this.#length === 0 ? undefined : this.#first
  }

  /** The entry's text: its bytes come to be here, and nowhere else. Throws `LogInvalid` for one that is too long. */
  push(index: number, entry: string): void {
    if (this.#length === MOST || index !== this.#first + this.#length) this.clear()
    const at = this.#used + LENGTH_BYTES
    this.#buffer = withRoom(this.#buffer, this.#used, at + entry.length * UNIT_BYTES)
    const bytes = this.#buffer.write(entry, at)
    checkEntryBytes(bytes)
    this.#buffer.writeUInt16BE(bytes, this.#used)
    this.#used = at + bytes
    if (this.#length === 0) this.#first = index
    this.#length++
    if ((index + 1) % TILE_WIDTH !== 0) return
    this.#fullLength = this.#length
    this.#fullUsed = this.#used
  }

  /** All of them. */
  take(): QueuedEntries {
    return this.#take(this.#length, this.#used)
  }

  /** Those that end with a full tile; `undefined` when there are none. */
  takeFull(): QueuedEntries | undefined {
    return this.#fullLength === 0 ? undefined : this.#take(this.#fullLength, this.#fullUsed)
  }

  #take(count: number, used: number): QueuedEntries {
    const before = this.#buffer
    const rest = before.subarray(used, this.#used)
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(USUAL_BYTES, rest.length))
    this.#buffer.set(rest)
    const first = this.#first
    this.#first += count
    this.#length -= count
    this.#used = rest.length
    this.#fullLength = 0
    this.#fullUsed = 0
    return { first, count, bundle: new Uint8Array(before.buffer, 0, used) }
  }

  clear(): void {
    this.#length = 0
    this.#used = 0
    this.#fullLength = 0
    this.#fullUsed = 0
    if (this.#buffer.length > USUAL_BYTES) this.#buffer = Buffer.allocUnsafeSlow(USUAL_BYTES)
  }
}
