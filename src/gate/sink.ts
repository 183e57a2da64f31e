/**
 * Where released frames go. A sink renders through the dialect's writer and writes to the caller; it decides nothing.
 * Guarantees that not one byte of an answer leaves before the rows it stands on are durable, that one network read
 * costs at most one write and one hash update, and that a slow caller slows upstream down.
 */
import { createHash, type Hash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { MaybeAsync } from '../core/check.ts'
import type { Edit, Frame, Refusal, ResponseWriter } from '../core/wire.ts'

/** Status and headers of the answer, given once the rows behind the first byte are durable. */
export interface Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string | number>>
}

/** A caller that takes not one byte for so long is cut off: it would hold its slot, and a connection to upstream, for ever. */
const STALLED_MS = 60_000

/** The last write of an answer. */
export function endAnswer(res: ServerResponse, body?: Uint8Array): void {
  const { socket } = res
  // node:http destroys the connection when the time is up; the kernel taking some bytes begins it anew.
  res.setTimeout(STALLED_MS)
  res.once('finish', () => {
    // A keep-alive time-out is already set; if not, another answer of the same connection is under way.
    if (socket?.timeout === STALLED_MS) socket.setTimeout(0)
  })
  if (body === undefined) res.end()
  else res.end(body)
}

/** Frames that upstream sent in one piece, and that leave unchanged, are one piece still: they need no copy. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts
  if (first === undefined) return NOTHING
  let end = first.byteOffset + first.length
  for (let i = 1; i < parts.length; i += 1) {
    const part = parts[i]
    if (part === undefined || part.buffer !== first.buffer || part.byteOffset !== end) return Buffer.concat(parts)
    end += part.length
  }
  return parts.length === 1 ? first : Buffer.from(first.buffer, first.byteOffset, end - first.byteOffset)
}

const NOTHING = new Uint8Array(0)

/** Buffers the whole body: nothing leaves before `finish`. */
export class UnarySink {
  readonly #writer: ResponseWriter
  #parts: Uint8Array[] = []
  readonly #frames: { readonly frame: Frame; readonly edits: readonly Edit[] }[] = []

  constructor(writer: ResponseWriter) {
    this.#writer = writer
  }

  emit(frame: Frame, edits: readonly Edit[]): void {
    this.#parts.push(this.#writer.write(frame, edits))
    this.#frames.push({ frame, edits })
  }

  /** Everything once more, through a fresh writer, with what has come to be known since. */
  rewrite(writer: ResponseWriter, more: (frame: Frame, edits: readonly Edit[]) => readonly Edit[]): void {
    this.#parts = this.#frames.map(({ frame, edits }) => writer.write(frame, more(frame, edits)))
  }

  body(): Uint8Array {
    return joined(this.#parts)
  }
}

/** Writes frames as they are released. */
export class StreamSink {
  #writer: ResponseWriter
  readonly #res: ServerResponse
  /** Resolves when the rows behind the first byte are durable. Called once. */
  readonly #head: () => MaybeAsync<Head>
  readonly #hash: Hash = createHash('sha256')
  #batch: Uint8Array[] = []
  #started = false
  #bytes = 0
  #frameBytes = 0

  constructor(writer: ResponseWriter, res: ServerResponse, head: () => MaybeAsync<Head>) {
    this.#writer = writer
    this.#res = res
    this.#head = head
  }

  get started(): boolean {
    return this.#started
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Bytes of frames taken so far; the gate's own comments are not among them. */
  get frameBytes(): number {
    return this.#frameBytes
  }

  /** Nothing of an answer has been written, comments at most: what another one says is written from here on. */
  follow(writer: ResponseWriter): this {
    this.#writer = writer
    return this
  }

  emit(frame: Frame, edits: readonly Edit[]): void {
    this.take(this.#writer.write(frame, edits))
  }

  /** Renders a frame that will not leave; throws what rendering it throws. */
  rehearse(frame: Frame, edits: readonly Edit[]): void {
    this.#writer.seal?.()
    this.#writer.write(frame, edits)
  }

  /** Renders a frame for `take`; throws what rendering it throws. */
  render(frame: Frame, edits: readonly Edit[]): Uint8Array {
    return this.#writer.write(frame, edits)
  }

  take(rendered: Uint8Array): void {
    this.#frameBytes += rendered.length
    this.#batch.push(rendered)
  }

  comment(text: string): void {
    this.#batch.push(this.#writer.comment(text))
  }

  abort(refusal: Refusal): void {
    this.#batch = [this.#writer.abort(refusal)]
  }

  /** SHA-256 (hex) of every byte written so far, and of `next`, which will be written. Flush first. */
  digest(next?: Uint8Array): string {
    const so = this.#hash.copy()
    return (next === undefined ? so : so.update(next)).digest('hex')
  }

  flush(): MaybeAsync<void> {
    if (this.#batch.length === 0) return undefined
    if (this.#started) return this.#write()
    const head = this.#head()
    if (head instanceof Promise) {
      return head.then(h => {
        this.#begin(h)
        return this.#write()
      })
    }
    this.#begin(head)
    return this.#write()
  }

  #begin(head: Head): void {
    if (!this.#res.destroyed) this.#res.writeHead(head.status, head.headers)
    this.#started = true
  }

  #write(): MaybeAsync<void> {
    const bytes = joined(this.#batch)
    this.#batch = []
    this.#hash.update(bytes)
    this.#bytes += bytes.length
    const res = this.#res
    if (res.destroyed || res.write(bytes)) return undefined
    return new Promise(resolve => {
      const done = () => {
        res.off('drain', done)
        res.off('close', done)
        res.setTimeout(0)
        resolve()
      }
      res.setTimeout(STALLED_MS)
      res.on('drain', done)
      res.on('close', done)
    })
  }
}
