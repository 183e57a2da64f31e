/** The chat-completions surface, for the matrix. */
import { CHAT_CALLS } from './chat-calls.ts'
import { CHAT_SPECIALS } from './chat-specials.ts'
import { CHAT_TEXT } from './chat-text.ts'
import type { Surface } from './surface.ts'

export const CHAT: Surface = {
  name: 'chat',
  path: '/v1/chat/completions',
  choices: [0, 1],
  reading: {
    abort: /^data: (\{"signet_abort":true.*\})\n\ndata: \{"error":.*\}\n\ndata: \[DONE\]\n\n(?![\s\S])/m,
    numbered: pointer => pointer === '/choices' || pointer.endsWith('/tool_calls'),
    under: () => '',
    jsonText: /\/arguments$/,
  },
  aborted: () => ({ choices: [], error: { type: 'signet_refusal' } }),
  held: { error: { code: 'escalated' } },
  begins: first => /"content":"(Hello\. )?"/.test(first),
  promise: /"finish_reason":"(tool_calls|function_call)"/,
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
