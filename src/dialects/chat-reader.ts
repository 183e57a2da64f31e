/** What chat completions make of upstream's events and bodies; and text completions and the plain surfaces, by their form. */
import type { Part, ResponseReader } from '../core/wire.ts'
import { type BodyOptions, BodyReader } from './body-reader.ts'
import { ChatParts } from './chat-parts.ts'
import { type AnswerForm, Violation } from './chat-visitor.ts'
import { CHAT_FORM } from './chat-walk.ts'
import type { JsonObject } from './json.ts'
import type { ForgedField } from './reading.ts'
import type { SseEvent } from './sse.ts'
import { type AnswerEvents, StreamReader } from './stream-reader.ts'

class ChatEvents implements AnswerEvents {
  readonly #chat: ChatParts
  readonly #form: AnswerForm
  #done = false

  constructor(declaredTools: readonly string[], form: AnswerForm) {
    this.#chat = new ChatParts('delta', declaredTools, form)
    this.#form = form
  }

  get mayEnd(): boolean {
    return this.#done || this.#chat.mayEnd
  }

  parse(data: string) {
    return this.#form.parse(data)
  }

  readLines(event: SseEvent, into: Part[]): void {
    this.#chat.readLines(event, into)
  }

  readWord(data: string, into: Part[]): boolean {
    if (this.#done) throw new Violation('upstream_protocol_violation', 'upstream sent data after [DONE]')
    if (data.trim() !== '[DONE]') return false
    this.#done = true
    this.#chat.finishCalls(into)
    into.push({ kind: 'end' })
    return true
  }

  readEvent(root: JsonObject, data: string, _event: SseEvent, into: Part[]): readonly ForgedField[] {
    return this.#chat.read(root, data, into)
  }
}

export function readChatStream(tools: readonly string[], maxEventBytes: number, form = CHAT_FORM): ResponseReader {
  return new StreamReader(new ChatEvents(tools, form), maxEventBytes)
}

export function readChatBody(tools: readonly string[], options: BodyOptions, form = CHAT_FORM): ResponseReader {
  const chat = new ChatParts('message', tools, form)
  return new BodyReader(
    {
      parse: form.parse,
      read: ({ root, text }, into) => {
        const forged = chat.read(root, text, into)
        chat.finishCalls(into)
        return forged
      },
    },
    options,
  )
}
