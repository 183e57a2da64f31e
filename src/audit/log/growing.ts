/**
 * Bytes that grow at their end, in one buffer: thousands of small ones a second would each outlive a garbage collection. Buffers
 * that were taken and are given back are used again: new ones would be new pages of memory, cleared one by one.
 */
const MOST_SPARE = 16

export class Growing {
  readonly #capacity: number
  #buffer: Buffer<ArrayBuffer>
  #length = 0
  readonly #spare: Buffer<ArrayBuffer>[] = []

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#buffer = Buffer.allocUnsafeSlow(capacity)
  }

  get length(): number {
    return this.#length
  }

  push(bytes: Uint8Array): void {
    const end = this.#length + bytes.length
    this.#grow(end)
    this.#buffer.set(bytes, this.#length)
    this.#length = end
  }

  /** A few of `bytes`: to copy a hash byte by byte takes less time than to make a view of it. */
  pushFew(bytes: Uint8Array, from: number, count: number): void {
    const at = this.#length
    this.#grow(at + count)
    for (let i = 0; i < count; i++) this.#buffer[at + i] = bytes[from + i] ?? 0
    this.#length = at + count
  }

  #grow(end: number): void {
    this.#buffer = withRoom(this.#buffer, this.#length, end)
  }

  /** A copy, from `from` on: what is written to a disk must not change meanwhile. */
  copy(from = 0): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffer.subarray(from, this.#length))
  }

  /** All of it; this begins anew. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(this.#buffer.buffer, 0, this.#length)
    this.#buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#capacity)
    this.#length = 0
    return taken
  }

  /** What was taken and is not needed any more. */
  giveBack({ buffer }: Uint8Array<ArrayBuffer>): void {
    if (this.#spare.length < MOST_SPARE && buffer.byteLength >= this.#capacity) this.#spare.push(Buffer.from(buffer))
  }
}

/** A buffer of at least `end` bytes that begins with the first `used` of this one; the same while it is long enough. */
export function withRoom(buffer: Buffer<ArrayBuffer>, used: number, end: number): Buffer<ArrayBuffer> {
  if (end <= buffer.length) return buffer
  const larger = Buffer.allocUnsafeSlow(Math.max(end, buffer.length * 2))
  buffer.copy(larger, 0, 0, used)
  return larger
}
