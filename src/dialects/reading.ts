/**
 * What the readers of every surface share: gathering a bounded body, what may stand at the end of a stream, cutting out
 * fields that are signet's own, and how a broken answer is called.
 */
import type { Fault } from '../core/wire.ts'
import { Violation } from './chat-visitor.ts'
import { fault, type JsonObject } from './json.ts'
import { editObject, type Replacement } from './json-edit.ts'
import type { SseEvent } from './sse.ts'

export const MAX_UNARY_BYTES = 32 * 1024 * 1024

/** A field that only signet writes, sent by upstream. */
export interface ForgedField {
  readonly node: JsonObject
  readonly key: string
}

/** A unary body as it arrives, bounded by the bytes that really come. */
export class Body {
  readonly #maxBytes: number
  readonly #chunks: Uint8Array[] = []
  #length = 0

  constructor(maxBytes: number = MAX_UNARY_BYTES) {
    this.#maxBytes = maxBytes
  }

  add(bytes: Uint8Array): Fault | undefined {
    this.#length += bytes.length
    if (this.#length > this.#maxBytes) {
      this.#chunks.length = 0
      return fault('upstream_too_large', `the upstream answer is longer than ${this.#maxBytes} bytes`)
    }
    this.#chunks.push(bytes)
    return undefined
  }

  take(): Uint8Array {
    const raw = joined(this.#chunks, this.#length)
    this.#chunks.length = 0
    return raw
  }
}

/** At the end of a stream: only `[DONE]`, comments and blanks may lack the blank line that ends an event. */
export function isHarmlessTail(event: SseEvent): boolean {
  if (event.data !== undefined) return event.data.trim() === '[DONE]'
  return event.otherLines.every(line => line.field === '' || line.value.trim() === '')
}

export function withoutForged(forged: readonly ForgedField[]): Replacement[] {
  const keys = new Map<ForgedField['node'], Set<string>>()
  for (const { node, key } of forged) {
    const drop = keys.get(node)
    if (drop === undefined) keys.set(node, new Set([key]))
    else drop.add(key)
  }
  return [...keys].flatMap(([node, drop]) => editObject(node, drop, new Map()))
}

export function streamFault(f: Fault): Fault {
  if (f.code === 'json_too_deeply_nested') {
    return fault('upstream_delta_too_deep', 'an upstream event is nested too deeply')
  }
  return fault('upstream_sse_malformed', `an upstream event is not strict JSON: ${f.message}`)
}

export function unaryFault(f: Fault): Fault {
  if (f.code === 'json_too_deeply_nested') {
    return fault('upstream_delta_too_deep', 'the upstream answer is nested too deeply')
  }
  return fault('upstream_decode_error', `the upstream answer is not strict JSON: ${f.message}`)
}

export function violation(error: unknown): Fault {
  if (error instanceof Violation) return fault(error.code, error.message)
  throw error
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = chunks
  if (chunks.length === 1 && only !== undefined) return only
  const out = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

/**
 * The same text, apart from the document it was cut out of: V8 keeps the whole of that one for a piece that is remembered,
 * and an event may be a megabyte. Shorter pieces are copies already.
 */
export function apart(text: string): string {
  return text.length < 13 ? text : text.split('').join('')
}
