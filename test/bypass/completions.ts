/** The text-completions surface, for the matrix. */
import { CHAT } from './chat.ts'
import { COMPLETIONS_SPECIALS } from './completions-specials.ts'
import { COMPLETIONS_TEXT } from './completions-text.ts'
import type { Surface } from './surface.ts'

export const COMPLETIONS: Surface = {
  name: 'completions',
  path: '/v1/completions',
  choices: [0, 1],
  reading: {
    abort: CHAT.reading.abort,
    numbered: pointer => pointer === '/choices',
    under: () => '',
    jsonText: /(?!)/,
    keys: /\/(top|prompt)_logprobs\/\*$/,
  },
  aborted: CHAT.aborted,
  held: {},
  begins: first => /"text":"(Hello\. )?"/.test(first),
  promise: CHAT.promise,
  request: (model, { mode }) => ({ model, stream: mode === 'stream', n: 2, prompt: 'Go on.' }),
  asking: { model: 'm', prompt: ['Go on.', 'And on.'], suffix: 'The end.', stop: ['END', 'FIN'], user: 'u-1' },
  text: COMPLETIONS_TEXT,
  calls: {},
  specials: COMPLETIONS_SPECIALS,
}
