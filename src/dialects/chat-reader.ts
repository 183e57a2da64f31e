/**
 * Reads chat-completions answers: a unary body, or a stream of chunks. Both keep upstream's bytes; the one exception is a
 * frame in which upstream sent fields that are signet's own (`signet`, `signet_abort`), which are cut out.
 *
 * Guarantees: nothing leaves as a frame that was not read strictly and whole; after a fault nothing more comes; a stream
 * that stops in the middle ends in a fault, never in a silent end.
 */
import type { Fault, Frame, Part, ResponseReader } from '../core/wire.ts'
import { ChatParts } from './chat-parts.ts'
import type { AnswerForm } from './chat-visitor.ts'
import { CHAT_FORM } from './chat-walk.ts'
import { fault, isFault, readJson } from './json.ts'
import { splice } from './json-edit.ts'
import { Body, isHarmlessTail, streamFault, unaryFault, violation, withoutForged } from './reading.ts'
import { dataReplacements, type SseEvent, SseFramer } from './sse.ts'

const NOTHING: readonly (Frame | Fault)[] = []
const NO_PARTS: readonly Part[] = []
const encoder = new TextEncoder()

export class ChatStreamReader implements ResponseReader {
  readonly stream = true
  readonly #framer: SseFramer
  readonly #chat: ChatParts
  readonly #form: AnswerForm
  #done = false
  #spent = false

  constructor(declaredTools: readonly string[], maxEventBytes?: number, form: AnswerForm = CHAT_FORM) {
    this.#framer = new SseFramer(maxEventBytes)
    this.#chat = new ChatParts('delta', declaredTools, form)
    this.#form = form
  }

  push(bytes: Uint8Array): readonly (Frame | Fault)[] {
    return this.#spent ? NOTHING : this.#readAll(this.#framer.push(bytes))
  }

  end(): readonly (Frame | Fault)[] {
    if (this.#spent) return NOTHING
    const out = this.#readAll(this.#framer.end())
    if (this.#spent) return out
    this.#spent = true
    if (this.#done || this.#chat.mayEnd) return out
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
      if (event.otherLines.length > 0) this.#chat.readLines(event, parts)
      if (data === undefined || data === '') return { kind: 'frame', raw: event.raw, parts }
      if (this.#done) return fault('upstream_protocol_violation', 'upstream sent data after [DONE]')
      if (data.trim() === '[DONE]') {
        this.#done = true
        this.#chat.finishCalls(parts)
        parts.push({ kind: 'end' })
        return { kind: 'frame', raw: event.raw, parts }
      }
      const doc = this.#form.parse(data)
      if (isFault(doc)) return streamFault(doc)
      if (doc.root.kind !== 'object') return fault('upstream_sse_malformed', 'an upstream event is not a JSON object')
      const forged = this.#chat.read(doc.root, data, parts)
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
  readonly form?: AnswerForm
}

export class ChatUnaryReader implements ResponseReader {
  readonly stream = false
  readonly #chat: ChatParts
  readonly #body: Body
  readonly #isError: boolean
  readonly #form: AnswerForm
  #spent = false

  constructor(declaredTools: readonly string[], options: UnaryOptions) {
    this.#form = options.form ?? CHAT_FORM
    this.#chat = new ChatParts('message', declaredTools, this.#form)
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
    const doc = readJson(raw, this.#form.parse)
    if (isFault(doc)) return unaryFault(doc)
    if (doc.root.kind !== 'object' && !this.#isError) {
      return fault('upstream_protocol_violation', 'the upstream answer is not a JSON object')
    }
    const parts: Part[] = []
    try {
      const forged = this.#chat.read(doc.root, doc.text, parts)
      this.#chat.finishCalls(parts)
      if (forged.length === 0) return { kind: 'frame', raw, parts }
      return { kind: 'frame', raw: encoder.encode(splice(doc.text, withoutForged(forged))), parts }
    } catch (error) {
      return violation(error)
    }
  }
}
