/** Bytes that grow at their end, in one buffer: thousands of small ones a second would each outlive a garbage collection. */
export class Growing {
  #buffer: Uint8Array<ArrayBuffer>
  #length = 0

  constructor(capacity: number) {
    this.#buffer = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  push(bytes: Uint8Array): void {
    const end = this.#length + bytes.length
    if (end > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(end, this.#buffer.length * 2))
      larger.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#length)
    this.#length = end
  }

  /** A copy, from `from` on: what is written to a disk must not change meanwhile. */
  copy(from = 0): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(from, this.#length)
  }

  /** All of it; this begins anew. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#buffer.subarray(0, this.#length)
    this.#buffer = new Uint8Array(this.#buffer.length)
    this.#length = 0
    return taken
  }
}
