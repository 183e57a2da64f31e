/** The token counting surface, for the matrix: an answer is a number, and anything else it says is inspected. */

import { ASKING, MESSAGES, READING, SEALED } from './messages.ts'
import { whole } from './messages-answers.ts'
import type { Surface, TextBuilder } from './surface.ts'

type Shape = Pick<TextBuilder, 'redaction' | 'channel'>

const text = (body: (said: string) => object, shape: Shape): TextBuilder => ({
  answer: pieces => whole(body(pieces.join(''))),
  perChoice: false,
  joins: false,
  json: true,
  before: '',
  ...shape,
})

export const COUNT_TOKENS: Surface = {
  name: 'count-tokens',
  path: '/v1/messages/count_tokens',
  choices: [0],
  reading: READING,
  aborted: MESSAGES.aborted,
  held: MESSAGES.held,
  begins: () => false,
  promise: MESSAGES.promise,
  request: (model, _place, tools) => ({
    model,
    messages: [{ role: 'user', content: 'Go on.' }],
    ...(tools.length === 0 ? {} : { tools: tools.map(name => ({ name, input_schema: { type: 'object' } })) }),
  }),
  asking: ASKING,
  otherwise: SEALED,
  text: {
    'error.message': text(said => ({ type: 'error', error: { type: 'api_error', message: said } }), {
      redaction: 'redacted',
      channel: /^\/error\/message#[0-9]+$/,
    }),
    'unknown field': text(said => ({ input_tokens: 42, note: [said] }), {
      redaction: 'redacted',
      channel: /^\/note\/\*$/,
    }),
    'unknown key': text(said => ({ input_tokens: 42, [said]: 1 }), {
      redaction: 'blocked',
      channel: /^\/~key#[0-9]+$/,
    }),
  },
  calls: {},
  specials: [],
}
