/** A small HTTP/1.1 client on a raw socket: as little as possible between the clock and the wire. One request at a time. */
import { connect, type Socket } from 'node:net'

export interface Timing {
  readonly status: number
  /** Milliseconds from writing the request to the first body byte, and to the last. */
  readonly firstMs: number
  readonly totalMs: number
  readonly bytes: number
}

export class Connection {
  readonly #port: number
  #socket: Socket
  #buffer: Buffer = Buffer.alloc(0)
  #started = 0
  #first = 0
  #bytes = 0
  #headEnd = -1
  #length = -1
  #chunked = false
  #status = 0
  #resolve: ((t: Timing) => void) | undefined
  #reject: ((e: Error) => void) | undefined

  private constructor(port: number, socket: Socket) {
    this.#port = port
    this.#socket = this.#listened(socket)
  }

  static async open(port: number): Promise<Connection> {
    return new Connection(port, await connected(port))
  }

  async request(bytes: Uint8Array): Promise<Timing> {
    // Closed while other targets had their turn: a server ends what has been idle for some seconds. Not part of the time.
    if (this.#socket.destroyed || this.#socket.readableEnded) {
      this.#socket = this.#listened(await connected(this.#port))
    }
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#headEnd = -1
      this.#first = 0
      this.#bytes = 0
      this.#buffer = Buffer.alloc(0)
      this.#started = performance.now()
      this.#socket.write(bytes)
    })
  }

  #listened(socket: Socket): Socket {
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#take(chunk))
    socket.on('error', e => this.#reject?.(e))
    socket.on('close', () => this.#reject?.(new Error('the connection closed')))
    return socket
  }

  close(): void {
    this.#reject = undefined
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    if (this.#headEnd < 0) {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
      this.#headEnd = this.#buffer.indexOf('\r\n\r\n')
      if (this.#headEnd < 0) return
      const head = this.#buffer.toString('latin1', 0, this.#headEnd).toLowerCase()
      this.#status = Number(head.slice(9, 12))
      this.#chunked = head.includes('transfer-encoding: chunked')
      const length = /content-length: (\d+)/.exec(head)
      this.#length = length === null ? -1 : Number(length[1])
      chunk = this.#buffer.subarray(this.#headEnd + 4)
      this.#buffer = Buffer.alloc(0)
      if (chunk.length === 0 && this.#length !== 0) return
    }
    if (this.#first === 0) this.#first = performance.now()
    this.#bytes += chunk.length
    // The last chunk ends `0 CRLF trailers CRLF`: only the tail needs looking at.
    this.#buffer = this.#chunked ? Buffer.from(Buffer.concat([this.#buffer, chunk]).subarray(-2048)) : this.#buffer
    const over = this.#chunked ? endsChunked(this.#buffer) : this.#bytes >= this.#length
    if (over) this.#done()
  }

  #done(): void {
    const now = performance.now()
    const resolve = this.#resolve
    this.#resolve = undefined
    this.#reject = undefined
    resolve?.({
      status: this.#status,
      firstMs: this.#first - this.#started,
      totalMs: now - this.#started,
      bytes: this.#bytes,
    })
  }
}

function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket))
    socket.once('error', reject)
  })
}

function endsChunked(tail: Buffer): boolean {
  if (tail.length < 5 || tail.toString('latin1', tail.length - 4) !== '\r\n\r\n') return false
  const text = tail.toString('latin1')
  const zero = text.lastIndexOf('\r\n0\r\n')
  return text.startsWith('0\r\n') || zero >= 0
}

export function requestBytes(path: string, body: string): Uint8Array {
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-commit-owner: human:bench@example.com\r\nauthorization: Bearer bench\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
