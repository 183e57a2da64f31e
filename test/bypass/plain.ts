/** What the surfaces have in common whose answer is one JSON body without generated text, for the matrix. */
import { CHAT } from './chat.ts'
import { json } from './chat-answers.ts'
import type { Special, Surface, TextBuilder } from './surface.ts'
import type { Answer } from './upstream.ts'

export function body(value: unknown): Answer {
  return { contentType: 'application/json', writes: [Buffer.from(typeof value === 'string' ? value : json(value))] }
}

/** A value or a key of its own: it never joins another. */
export function value(
  said: (text: string) => object,
  channel: RegExp,
  redaction: TextBuilder['redaction'] = 'redacted',
): TextBuilder {
  return {
    answer: pieces => body(said(pieces.join(''))),
    redaction,
    perChoice: false,
    joins: false,
    json: true,
    channel,
    before: '',
  }
}

/** A string at this pointer. */
export const at = (pointer: string) => new RegExp(`^${pointer.replaceAll('*', '\\*')}#[0-9]+$`)

export const special = (
  name: string,
  answer: unknown,
  expect: Special['expect'],
  rest: Partial<Special> = {},
): Special => ({ name, mode: 'unary', answer: body(answer), expect, ...rest })

export function plainSurface(
  own: Pick<Surface, 'name' | 'path' | 'request' | 'asking' | 'otherwise' | 'text' | 'specials'>,
): Surface {
  return {
    choices: [0],
    reading: { ...CHAT.reading, numbered: () => false },
    aborted: CHAT.aborted,
    held: {},
    begins: () => false,
    promise: CHAT.promise,
    calls: {},
    ...own,
  }
}
