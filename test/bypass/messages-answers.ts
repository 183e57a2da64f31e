/** Messages answers for the matrix, from the builders that the dialect's own tests use. */
import { spelled } from './chat-answers.ts'
import type { Answer } from './upstream.ts'

const encoder = new TextEncoder()

/** Each event in a network write of its own. */
export function streamed(events: string): Answer {
  const writes = events.split(/(?<=\n\n|\r\n\r\n|\r\r)/).map(one => encoder.encode(spelled(one)))
  return { contentType: 'text/event-stream', writes }
}

/** A body: a value, or its JSON text. */
export function whole(body: unknown): Answer {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { contentType: 'application/json', writes: [encoder.encode(spelled(text))] }
}

export function message(content: readonly unknown[], rest: object = {}): object {
  return {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude',
    content,
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 3, output_tokens: 9 },
    ...rest,
  }
}
