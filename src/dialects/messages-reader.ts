/**
 * Reads Messages answers: a unary body, or a stream of events. Both keep upstream's bytes; the one exception is a frame
 * in which upstream sent fields that are signet's own (`signet`, `signet_abort`), which are cut out.
 *
 * Guarantees: nothing leaves as a frame that was not read strictly and whole; after a fault nothing more comes; a stream
 * that stops in the middle ends in a fault, never in a silent end.
 */
import type { Fault, Frame, Part, ResponseReader } from '../core/wire.ts'
import { Violation } from './chat-visitor.ts'
import { fault, isFault, type JsonDocument, type JsonNode, member, parseJson, readJson } from './json.ts'
import { splice } from './json-edit.ts'
import { EVENT_NAMES } from './messages-keys.ts'
import { MessagesParts } from './messages-parts.ts'
import type { ForgedField } from './reading.ts'
import { Body, isHarmlessTail, streamFault, unaryFault, violation, withoutForged } from './reading.ts'
import { dataReplacements, type SseEvent, SseFramer } from './sse.ts'

const NOTHING: readonly (Frame | Fault)[] = []
const NO_PARTS: readonly Part[] = []
const encoder = new TextEncoder()

export class MessagesStreamReader implements ResponseReader {
  readonly stream = true
  readonly #framer: SseFramer
  readonly #parts = new MessagesParts()
  #spent = false

  constructor(maxEventBytes?: number) {
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
    if (this.#parts.mayEnd) return out
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
      if (event.otherLines.length > 0) this.#parts.readLines(event, parts)
      if (data === undefined || data === '') return { kind: 'frame', raw: event.raw, parts }
      if (this.#parts.hasEnded) {
        // Some proxies say this after every stream; the SDKs pass over it.
        if (data.trim() === '[DONE]') return { kind: 'frame', raw: event.raw, parts }
        return fault('upstream_protocol_violation', 'upstream sent data after the message had ended')
      }
      const doc = parseJson(data)
      if (isFault(doc)) return streamFault(doc)
      const { root } = doc
      if (root.kind !== 'object') return fault('upstream_sse_malformed', 'an upstream event is not a JSON object')
      requireOneName(event, root)
      const forged = this.#parts.readEvent(root, data, parts)
      if (forged.length === 0) return { kind: 'frame', raw: event.raw, parts }
      const clean = splice(event.text, dataReplacements(event, splice(data, withoutForged(forged))))
      return { kind: 'frame', raw: encoder.encode(clean), parts }
    } catch (error) {
      return violation(error)
    }
  }
}

export interface UnaryOptions {
  readonly maxBytes?: number
  /** An error body that upstream sent with a 4xx or 5xx status: any JSON will do. */
  readonly isError: boolean
}

/** What the parts of a whole body are. */
export type BodyReading = (doc: JsonDocument, into: Part[]) => readonly ForgedField[]

export class MessagesUnaryReader implements ResponseReader {
  readonly stream = false
  readonly #reading: BodyReading
  readonly #body: Body
  readonly #isError: boolean
  #spent = false

  constructor(options: UnaryOptions, reading: BodyReading = readMessage) {
    this.#reading = reading
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
      const forged = this.#reading(doc, parts)
      if (forged.length === 0) return { kind: 'frame', raw, parts }
      return { kind: 'frame', raw: encoder.encode(splice(doc.text, withoutForged(forged))), parts }
    } catch (error) {
      return violation(error)
    }
  }
}

function readMessage(doc: JsonDocument, into: Part[]): readonly ForgedField[] {
  return new MessagesParts().readMessage(doc.root, doc.text, into)
}

/** Some clients go by the event line, some by the event's own type: when one names an event of the API, both must. */
function requireOneName(event: SseEvent, root: JsonNode): void {
  for (const line of event.otherLines) {
    if (line.field !== 'event' || !EVENT_NAMES.has(line.value)) continue
    const type = member(root, 'type')
    if (type?.kind === 'string' ? type.value === line.value : line.value === 'error') continue
    throw new Violation('upstream_protocol_violation', 'the event line and the type of an event do not agree')
  }
}
