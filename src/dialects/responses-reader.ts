/**
 * Reads Responses answers: a unary body, or a stream of events. Both keep upstream's bytes; the one exception is a frame
 * in which upstream sent fields that are signet's own (`signet`, `signet_abort`), which are cut out.
 *
 * Guarantees: nothing leaves as a frame that was not read strictly and whole; after a fault nothing more comes; a stream
 * that stops without a terminal event (`response.completed`, `.incomplete`, `.failed`, `error`) ends in a fault.
 */
import type { Fault, Frame, Part, ResponseReader } from '../core/wire.ts'
import type { ForgedField } from './chat-parts.ts'
import { MAX_UNARY_BYTES, type UnaryOptions } from './chat-reader.ts'
import { Violation } from './chat-visitor.ts'
import { fault, isFault, type JsonNode, member, parseJson, readJson } from './json.ts'
import { editObject, type Replacement, splice } from './json-edit.ts'
import { EVENT_NAMES } from './responses-events.ts'
import { ResponsesParts } from './responses-parts.ts'
import { dataReplacements, type SseEvent, SseFramer } from './sse.ts'

/** The last event repeats the whole answer, and the request's instructions and tools with it. */
export const MAX_RESPONSES_EVENT_BYTES = 8 * 1024 * 1024

const NOTHING: readonly (Frame | Fault)[] = []
const NO_PARTS: readonly Part[] = []
const encoder = new TextEncoder()

export class ResponsesStreamReader implements ResponseReader {
  readonly stream = true
  readonly #framer: SseFramer
  readonly #answer = new ResponsesParts('event')
  #done = false
  #spent = false

  constructor(maxEventBytes = MAX_RESPONSES_EVENT_BYTES) {
    this.#framer = new SseFramer(maxEventBytes)
  }

  push(bytes: Uint8Array): readonly (Frame | Fault)[] {
    return this.#spent ? NOTHING : this.#readAll(this.#framer.push(bytes))
  }

  end(): readonly (Frame | Fault)[] {
    if (this.#spent) return NOTHING
    const out = this.#readAll(this.#framer.end())
    if (this.#spent) return out
    this.#spent = true
    if (this.#answer.mayEnd) return out
    return [...out, fault('upstream_truncated', 'the upstream stream ended before its answer was complete')]
  }

  #readAll(events: readonly (SseEvent | Fault)[]): readonly (Frame | Fault)[] {
    if (events.length === 0) return NOTHING
    const out: (Frame | Fault)[] = []
    for (const event of events) {
      const read = event.kind === 'fault' ? event : this.#read(event)
      out.push(read)
      if (read.kind === 'fault') {
        this.#spent = true
        break
      }
    }
    return out
  }

  #read(event: SseEvent): Frame | Fault {
    const { data } = event
    if (event.kind === 'tail' && !isHarmlessTail(event)) {
      return fault('upstream_truncated', 'the upstream stream ended inside an event')
    }
    if (data === undefined && event.otherLines.length === 0) return { kind: 'frame', raw: event.raw, parts: NO_PARTS }
    const parts: Part[] = []
    try {
      if (event.otherLines.length > 0) this.#answer.readLines(event, parts)
      if (data === undefined || data === '') return { kind: 'frame', raw: event.raw, parts }
      // Not part of this API, but servers that speak both add it; it ends nothing.
      if (data.trim() === '[DONE]') {
        this.#done = true
        return { kind: 'frame', raw: event.raw, parts }
      }
      if (this.#done || this.#answer.ended) {
        return fault('upstream_protocol_violation', 'upstream sent data after the end of its answer')
      }
      const doc = parseJson(data)
      if (isFault(doc)) return streamFault(doc)
      if (doc.root.kind !== 'object') return fault('upstream_sse_malformed', 'an upstream event is not a JSON object')
      if (event.otherLines.length > 0 && misnamed(event, doc.root)) {
        return fault('upstream_protocol_violation', 'the name of an upstream event is not the type in its data')
      }
      const forged = this.#answer.read(doc.root, data, parts)
      if (forged.length === 0) return { kind: 'frame', raw: event.raw, parts }
      return { kind: 'frame', ...this.#withoutForged(event, data, forged, parts) }
    } catch (error) {
      return violation(error)
    }
  }

  /** Parts name places in the event's JSON, so those behind a cut move with it. */
  #withoutForged(event: SseEvent, data: string, forged: readonly ForgedField[], parts: readonly Part[]) {
    const cuts = cutsOf(forged)
    const clean = splice(event.text, dataReplacements(event, splice(data, cuts)))
    return { raw: encoder.encode(clean), parts: moved(parts, cuts) }
  }
}

export class ResponsesUnaryReader implements ResponseReader {
  readonly stream = false
  readonly #answer = new ResponsesParts('response')
  readonly #maxBytes: number
  readonly #isError: boolean
  readonly #chunks: Uint8Array[] = []
  #length = 0
  #spent = false

  constructor(options: UnaryOptions) {
    this.#maxBytes = options.maxBytes ?? MAX_UNARY_BYTES
    this.#isError = options.isError
  }

  push(bytes: Uint8Array): readonly (Frame | Fault)[] {
    if (this.#spent || bytes.length === 0) return NOTHING
    this.#length += bytes.length
    if (this.#length > this.#maxBytes) {
      this.#spent = true
      this.#chunks.length = 0
      return [fault('upstream_too_large', `the upstream answer is longer than ${this.#maxBytes} bytes`)]
    }
    this.#chunks.push(bytes)
    return NOTHING
  }

  end(): readonly (Frame | Fault)[] {
    if (this.#spent) return NOTHING
    this.#spent = true
    const raw = joined(this.#chunks, this.#length)
    this.#chunks.length = 0
    return [this.#read(raw)]
  }

  #read(raw: Uint8Array): Frame | Fault {
    const doc = readJson(raw)
    if (isFault(doc)) return unaryFault(doc)
    if (doc.root.kind !== 'object' && !this.#isError) {
      return fault('upstream_protocol_violation', 'the upstream answer is not a JSON object')
    }
    const parts: Part[] = []
    try {
      const forged = this.#answer.read(doc.root, doc.text, parts)
      if (forged.length === 0) return { kind: 'frame', raw, parts }
      const cuts = cutsOf(forged)
      return { kind: 'frame', raw: encoder.encode(splice(doc.text, cuts)), parts: moved(parts, cuts) }
    } catch (error) {
      return violation(error)
    }
  }
}

/** At the end of a stream: only `[DONE]`, comments and blanks may lack the blank line that ends an event. */
function isHarmlessTail(event: SseEvent): boolean {
  if (event.data !== undefined) return event.data.trim() === '[DONE]'
  return event.otherLines.every(line => line.field === '' || line.value.trim() === '')
}

/** Some clients go by the event's name, some by `type`: an event that says both must mean the same. */
function misnamed(event: SseEvent, root: JsonNode): boolean {
  const name = event.otherLines.findLast(line => line.field === 'event')?.value
  if (name === undefined || !EVENT_NAMES.has(name)) return false
  const type = member(root, 'type')
  if (type === undefined) return name !== 'error' && name !== 'keepalive'
  return type.kind !== 'string' || type.value !== name
}

function cutsOf(forged: readonly ForgedField[]): Replacement[] {
  const keys = new Map<ForgedField['node'], Set<string>>()
  for (const { node, key } of forged) {
    const drop = keys.get(node)
    if (drop === undefined) keys.set(node, new Set([key]))
    else drop.add(key)
  }
  return [...keys].flatMap(([node, drop]) => editObject(node, drop, new Map()))
}

function moved(parts: readonly Part[], cuts: readonly Replacement[]): Part[] {
  return parts.map(part => {
    if (part.kind !== 'text') return part
    const place = /^(.*)@([0-9]+)(#[0-9]+)$/s.exec(part.channel.key)
    if (place === null) return part
    const start = Number(place[2])
    const before = cuts.reduce((sum, cut) => (cut.end <= start ? sum + cut.end - cut.start - cut.text.length : sum), 0)
    return { ...part, channel: { ...part.channel, key: `${place[1]}@${start - before}${place[3]}` } }
  })
}

function streamFault(f: Fault): Fault {
  if (f.code === 'json_too_deeply_nested') {
    return fault('upstream_delta_too_deep', 'an upstream event is nested too deeply')
  }
  return fault('upstream_sse_malformed', `an upstream event is not strict JSON: ${f.message}`)
}

function unaryFault(f: Fault): Fault {
  if (f.code === 'json_too_deeply_nested') {
    return fault('upstream_delta_too_deep', 'the upstream answer is nested too deeply')
  }
  return fault('upstream_decode_error', `the upstream answer is not strict JSON: ${f.message}`)
}

function violation(error: unknown): Fault {
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
