/** The chat-completions surface, for the matrix. */
import { CHAT_CALLS } from './chat-calls.ts'
import { CHAT_SPECIALS } from './chat-specials.ts'
import { CHAT_TEXT } from './chat-text.ts'
import type { Surface } from './surface.ts'

export const CHAT: Surface = {
  name: 'chat',
  path: '/v1/chat/completions',
  request: (model, { mode }, tools) => ({
    model,
    stream: mode === 'stream',
    n: 2,
    messages: [{ role: 'user', content: 'Go on.' }],
    ...(tools.length === 0 ? {} : { tools: tools.map(name => ({ type: 'function', function: { name } })) }),
  }),
  text: CHAT_TEXT,
  calls: CHAT_CALLS,
  specials: CHAT_SPECIALS,
}
