/** What Responses make of upstream's events and bodies. A stream ends with `response.completed`, `.incomplete`, `.failed` or `error`. */
import type { Part, ResponseReader } from '../core/wire.ts'
import { type BodyOptions, BodyReader } from './body-reader.ts'
import { Violation } from './chat-visitor.ts'
import { type JsonObject, member, parseJson } from './json.ts'
import type { Replacement } from './json-edit.ts'
import type { ForgedField } from './reading.ts'
import { EVENT_NAMES } from './responses-events.ts'
import { ResponsesParts } from './responses-parts.ts'
import type { SseEvent } from './sse.ts'
import { type AnswerEvents, StreamReader } from './stream-reader.ts'

/** The last event repeats the whole answer, and the request's instructions and tools with it. */
export const MAX_RESPONSES_EVENT_BYTES = 8 * 1024 * 1024

class ResponsesEvents implements AnswerEvents {
  readonly #answer = new ResponsesParts('event')
  readonly parse = parseJson
  readonly moved = moved
  #done = false

  get mayEnd(): boolean {
    return this.#answer.mayEnd
  }

  readLines(event: SseEvent, into: Part[]): void {
    this.#answer.readLines(event, into)
  }

  readWord(data: string): boolean {
    // Not part of this API, but servers that speak both add it; it ends nothing.
    if (data.trim() === '[DONE]') {
      this.#done = true
      return true
    }
    if (!this.#done && !this.#answer.ended) return false
    throw new Violation('upstream_protocol_violation', 'upstream sent data after the end of its answer')
  }

  readEvent(root: JsonObject, data: string, event: SseEvent, into: Part[]): readonly ForgedField[] {
    if (event.otherLines.length > 0 && misnamed(event, root)) {
      throw new Violation('upstream_protocol_violation', 'the name of an upstream event is not the type in its data')
    }
    return this.#answer.read(root, data, into)
  }
}

/** Some clients go by the event's name, some by `type`: an event that says both must mean the same. */
function misnamed(event: SseEvent, root: JsonObject): boolean {
  const name = event.otherLines.findLast(line => line.field === 'event')?.value
  if (name === undefined || !EVENT_NAMES.has(name)) return false
  const type = member(root, 'type')
  if (type === undefined) return name !== 'error' && name !== 'keepalive'
  return type.kind !== 'string' || type.value !== name
}

/** Parts name places in the event's JSON. */
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

export function readResponsesStream(maxEventBytes: number): ResponseReader {
  return new StreamReader(new ResponsesEvents(), maxEventBytes)
}

export function readResponsesBody(options: BodyOptions): ResponseReader {
  const answer = new ResponsesParts('response')
  return new BodyReader({ read: ({ root, text }, into) => answer.read(root, text, into), moved }, options)
}
