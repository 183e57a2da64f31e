/**
 * Reads Responses answers: a unary body, or a stream of events. Both keep upstream's bytes; the one exception is a frame
 * in which upstream sent fields that are signet's own (`signet`, `signet_abort`), which are cut out.
 *
 * Guarantees: nothing leaves as a frame that was not read strictly and whole; after a fault nothing more comes; a stream
 * that stops without a terminal event (`response.completed`, `.incomplete`, `.failed`, `error`) ends in a fault.
 */
import type { Fault, Frame, Part, ResponseReader } from '../core/wire.ts'
import type { UnaryOptions } from './chat-reader.ts'
import { fault, isFault, type JsonNode, member, parseJson, readJson } from './json.ts'
import { type Replacement, splice } from './json-edit.ts'
import type { ForgedField } from './reading.ts'
import { Body, isHarmlessTail, streamFault, unaryFault, violation, withoutForged } from './reading.ts'
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
    const cuts = withoutForged(forged)
    const clean = splice(event.text, dataReplacements(event, splice(data, cuts)))
    return { raw: encoder.encode(clean), parts: moved(parts, cuts) }
  }
}

export class ResponsesUnaryReader implements ResponseReader {
  readonly stream = false
  readonly #answer = new ResponsesParts('response')
  readonly #body: Body
  readonly #isError: boolean
  #spent = false

  constructor(options: UnaryOptions) {
    this.#body = new Body(options.maxBytes)
    this.#isError = options.isError
  }

  push(bytes: Uint8Array): readonly (Frame | Fault)[] {
    if (this.#spent || bytes.length === 0) return NOTHING
    const tooLarge = this.#body.add(bytes)
    if (tooLarge === undefined) return NOTHING
    this.#spent = true
    return [tooLarge]
  }

  end(): readonly (Frame | Fault)[] {
    if (this.#spent) return NOTHING
    this.#spent = true
    return [this.#read(this.#body.take())]
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
      const cuts = withoutForged(forged)
      return { kind: 'frame', raw: encoder.encode(splice(doc.text, cuts)), parts: moved(parts, cuts) }
    } catch (error) {
      return violation(error)
    }
  }
}

/** Some clients go by the event's name, some by `type`: an event that says both must mean the same. */
function misnamed(event: SseEvent, root: JsonNode): boolean {
  const name = event.otherLines.findLast(line => line.field === 'event')?.value
  if (name === undefined || !EVENT_NAMES.has(name)) return false
  const type = member(root, 'type')
  if (type === undefined) return name !== 'error' && name !== 'keepalive'
  return type.kind !== 'string' || type.value !== name
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
