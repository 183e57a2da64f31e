/** What Messages make of upstream's events and bodies. */
import type { Part, ResponseReader } from '../core/wire.ts'
import { type BodyOptions, BodyReader } from './body-reader.ts'
import { Violation } from './chat-visitor.ts'
import { type JsonDocument, type JsonObject, member, parseJson } from './json.ts'
import { EVENT_NAMES } from './messages-keys.ts'
import { MessagesParts } from './messages-parts.ts'
import type { ForgedField } from './reading.ts'
import type { SseEvent } from './sse.ts'
import { type AnswerEvents, StreamReader } from './stream-reader.ts'

class MessagesEvents implements AnswerEvents {
  readonly #parts = new MessagesParts()
  readonly parse = parseJson

  get mayEnd(): boolean {
    return this.#parts.mayEnd
  }

  readLines(event: SseEvent, into: Part[]): void {
    this.#parts.readLines(event, into)
  }

  readWord(data: string): boolean {
    if (!this.#parts.hasEnded) return false
    // Some proxies say this after every stream; the SDKs pass over it.
    if (data.trim() === '[DONE]') return true
    throw new Violation('upstream_protocol_violation', 'upstream sent data after the message had ended')
  }

  readEvent(root: JsonObject, data: string, event: SseEvent, into: Part[]): readonly ForgedField[] {
    requireOneName(event, root)
    return this.#parts.readEvent(root, data, into)
  }
}

/** Some clients go by the event line, some by the event's own type: when one names an event of the API, both must. */
function requireOneName(event: SseEvent, root: JsonObject): void {
  for (const line of event.otherLines) {
    if (line.field !== 'event' || !EVENT_NAMES.has(line.value)) continue
    const type = member(root, 'type')
    if (type?.kind === 'string' ? type.value === line.value : line.value === 'error') continue
    throw new Violation('upstream_protocol_violation', 'the event line and the type of an event do not agree')
  }
}

export function readMessagesStream(maxEventBytes: number): ResponseReader {
  return new StreamReader(new MessagesEvents(), maxEventBytes)
}

/** What the parts of a whole body are. */
export type BodyReading = (doc: JsonDocument, into: Part[]) => readonly ForgedField[]

export function readMessagesBody(options: BodyOptions, read: BodyReading = readMessage): ResponseReader {
  return new BodyReader({ read }, options)
}

export function readMessage(doc: JsonDocument, into: Part[]): readonly ForgedField[] {
  return new MessagesParts().readMessage(doc.root, doc.text, into)
}
