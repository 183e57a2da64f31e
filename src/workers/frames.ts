/**
 * Messages between the primary and a worker, over the two ends of one socket pair: frames of a 4-byte length and a JSON
 * list of messages. What is said in one turn of the event loop goes out as one frame.
 *
 * Guarantees: messages arrive whole and in the order they were said, or the connection is over; a frame that is too long
 * or no JSON ends it. `pending` is what has not been handed to the kernel yet, in bytes. Does not: tell what messages
 * mean (`messages.ts` does), or keep anything for a peer that has gone.
 */
import type { Duplex } from 'node:stream'

/** A held answer is at most 32 MiB by default, a third more in base64. */
export const LONGEST_FRAME = 128 * 1024 * 1024

export class Frames {
  readonly #socket: Duplex
  readonly #onMessage: (message: unknown) => void
  #out: string[] = []
  #chunks: Buffer[] = []
  #length = 0
  #over = false
  readonly #onOver: () => void

  /** `onOver` is called once, when nothing more will arrive. */
  constructor(socket: Duplex, onMessage: (message: unknown) => void, onOver: () => void) {
    this.#socket = socket
    this.#onMessage = onMessage
    this.#onOver = onOver
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => this.end())
    socket.on('end', () => this.end())
    socket.on('close', () => this.end())
  }

  get pending(): number {
    return this.#socket.writableLength
  }

  get over(): boolean {
    return this.#over
  }

  /** `message` is plain JSON. */
  say(message: readonly unknown[]): void {
    if (this.#over) return
    if (this.#out.length === 0) queueMicrotask(this.#flush)
    this.#out.push(JSON.stringify(message))
  }

  end(): void {
    if (this.#over) return
    this.#over = true
    this.#socket.destroy()
    this.#onOver()
  }

  /** What was said goes out, then the connection ends. */
  finish(): Promise<void> {
    if (this.#over) return Promise.resolve()
    this.#flush()
    return new Promise(resolve => this.#socket.end(() => resolve()))
  }

  readonly #flush = (): void => {
    if (this.#out.length === 0 || this.#over) return
    const body = Buffer.from(`[${this.#out.join(',')}]`)
    this.#out = []
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32BE(body.length)
    this.#socket.cork()
    this.#socket.write(length)
    this.#socket.write(body)
    this.#socket.uncork()
  }

  #take(chunk: Buffer): void {
    if (this.#over) return
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#length < 4) return
    // A frame that is still under way is joined once, when it is whole, not at every chunk.
    const first = this.#chunks[0]
    const head = first !== undefined && first.length >= 4 ? first : Buffer.concat(this.#chunks, this.#length)
    const due = head.readUInt32BE(0)
    if (due > LONGEST_FRAME) {
      this.end()
      return
    }
    if (this.#length < 4 + due) return
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#length)
    this.#chunks = []
    while (bytes.length >= 4 && !this.#over) {
      const length = bytes.readUInt32BE(0)
      if (length > LONGEST_FRAME) {
        this.end()
        return
      }
      if (bytes.length < 4 + length) break
      this.#frame(bytes.subarray(4, 4 + length))
      bytes = bytes.subarray(4 + length)
    }
    this.#length = bytes.length
    if (bytes.length > 0) this.#chunks.push(bytes)
  }

  #frame(bytes: Buffer): void {
    let messages: unknown
    try {
      messages = JSON.parse(bytes.toString('utf8'))
    } catch {
      // Ended below.
    }
    if (!Array.isArray(messages)) this.end()
    else for (const message of messages) if (!this.#over) this.#onMessage(message)
  }
}
