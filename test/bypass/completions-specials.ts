/** Attacks on text completions that fit no single carrier. */
import { DONE, event, type Fields } from './chat-answers.ts'
import { body, chunk, said, whole } from './completions-answers.ts'
import { FORBIDDEN, LEAD, REDACTED, SECRET, type Special, TAIL } from './surface.ts'
import type { Answer } from './upstream.ts'

const LEAK = LEAD + FORBIDDEN + TAIL
const HALVES = [FORBIDDEN.slice(0, 9), FORBIDDEN.slice(9)] as const

const raw = (...writes: readonly (string | Uint8Array)[]): Answer => ({
  contentType: 'text/event-stream',
  writes: writes.map(w => (typeof w === 'string' ? Buffer.from(w) : w)),
})
const choice = (fields: Fields) =>
  event(chunk([{ index: 0, text: '', logprobs: null, finish_reason: null, ...fields }]))
const one = (fields: Fields) => whole({ choice: fields }, { mode: 'unary', choice: 0 })
const HELLO = said('Hello. ')
const STOP = said('', 'stop')

const stream = (name: string, answer: Answer, expect: Special['expect'], rest: Partial<Special> = {}): Special => ({
  name,
  mode: 'stream',
  answer,
  expect,
  hidden: [FORBIDDEN, SECRET],
  ...rest,
})
const unary = (name: string, answer: Answer, expect: Special['expect'], rest: Partial<Special> = {}): Special => ({
  ...stream(name, answer, expect, rest),
  mode: 'unary',
})

const SPOKEN = {
  text: LEAD + SECRET,
  token_ids: [791, 3492],
  logprobs: {
    tokens: [LEAD, SECRET],
    token_logprobs: [-0.1, -0.2],
    top_logprobs: [{ [LEAD]: -0.1 }, { [SECRET]: -0.2 }],
    text_offset: [0, LEAD.length],
  },
}
const call = { function: { name: 'format_disk', arguments: '{"disk":"sda-array"}' } }

export const COMPLETIONS_SPECIALS: readonly Special[] = [
  stream('in the very first event', raw(said(LEAK), STOP, DONE), 'refused'),
  stream(
    'text in two lines of data',
    raw(HELLO, `data: {"choices":[{"index":0,\ndata: "text":"${LEAK}"}]}\n\n`, STOP, DONE),
    'refused',
  ),
  stream(
    'last event without its end',
    raw(HELLO, STOP, `data: {"choices":[{"index":0,"text":"${LEAK}"}]}`),
    'broken off',
  ),
  stream('data after [DONE]', raw(HELLO, STOP, DONE, said(LEAK)), 'broken off'),
  stream('leak in a comment after [DONE]', raw(HELLO, STOP, DONE, `: ${LEAK}\n\n`), 'refused'),
  stream('stream that just stops', raw(HELLO, said(LEAD + HALVES[0])), 'broken off'),
  stream(
    'halves with an empty choice between them',
    raw(HELLO, said(LEAD + HALVES[0]), said('', null, 1), said(HALVES[1]), STOP, said('', 'stop', 1), DONE),
    'refused',
  ),
  stream(
    'halves in different choices are different texts',
    raw(HELLO, said(HALVES[0]), said(HALVES[1], null, 1), STOP, said('', 'stop', 1), DONE),
    'identical',
    { hidden: [] },
  ),
  stream(
    'halves in the text and in its tokens are different texts',
    raw(HELLO, said(HALVES[0]), choice({ logprobs: { tokens: [HALVES[1]] } }), STOP, DONE),
    'identical',
    { hidden: [] },
  ),
  stream('text that is a list', raw(HELLO, choice({ text: [LEAD, ...HALVES] }), STOP, DONE), 'refused'),
  stream(
    'half as a string, half as a list',
    raw(HELLO, said(LEAD + HALVES[0]), choice({ text: [HALVES[1]] }), STOP, DONE),
    'refused',
  ),
  stream('a delta, as on the chat surface', raw(HELLO, choice({ delta: { content: LEAK } }), STOP, DONE), 'refused'),
  stream(
    'alternatives of the second rank spell it',
    raw(HELLO, ...HALVES.map(half => choice({ logprobs: { top_logprobs: [{ '?': -0.1, [half]: -2 }] } })), STOP, DONE),
    'refused',
  ),
  unary(
    'alternatives of the second rank spell it',
    one({ logprobs: { top_logprobs: HALVES.map(half => ({ '?': -0.1, [half]: -2 })) } }),
    'refused',
  ),
  unary(
    'text offsets that spell it',
    one({ logprobs: { tokens: [], text_offset: [...Buffer.from(LEAK)] } }),
    'refused',
  ),
  unary('log-probabilities that are a string', one({ logprobs: LEAK }), 'refused'),
  unary('redacted text whose tokens repeat it', one(SPOKEN), 'redacted', { shown: [LEAD + REDACTED] }),
  stream('redacted text whose tokens repeat it', raw(HELLO, choice(SPOKEN), STOP, DONE), 'redacted', {
    shown: [LEAD + REDACTED],
  }),
  stream(
    'redacted text, its tokens an event later',
    raw(HELLO, said(LEAD + SECRET), choice({ logprobs: SPOKEN.logprobs }), STOP, DONE),
    'redacted',
    { shown: [LEAD + REDACTED] },
  ),
  unary(
    'a prompt echoed back with its tokens, nothing forbidden',
    one({
      ...SPOKEN,
      text: 'Go on. Fine.',
      logprobs: {
        tokens: ['Go on. ', 'Fine.'],
        token_logprobs: [null, -0.1],
        top_logprobs: [null, { 'Fine.': -0.1, ' Bad.': -2 }],
        text_offset: [0, 7],
      },
    }),
    'identical',
    { hidden: [] },
  ),

  // Tool calls, which nobody could commit here.
  stream('a tool call in a delta', raw(HELLO, choice({ delta: { tool_calls: [call] } }), STOP, DONE), 'broken off', {
    hidden: ['sda-array'],
  }),
  unary('a tool call in a message', one({ message: { tool_calls: [call] } }), 'broken off', { hidden: ['sda-array'] }),
  unary('a legacy call in a message', one({ message: { function_call: call.function } }), 'broken off', {
    hidden: ['sda-array'],
  }),
  unary('a tool call in the choice', one({ tool_calls: [call] }), 'broken off', { hidden: ['sda-array'] }),

  // What comes is inspected, whatever was asked for.
  unary('events although a body was asked for', raw(HELLO, said(LEAK), STOP, DONE), 'refused'),
  stream('a body although events were asked for', one({ text: LEAK }), 'refused'),
  stream('a body although events were asked for, nothing forbidden', one({ text: 'Fine.' }), 'identical'),
  stream(
    'a kind of answer nobody can inspect',
    { contentType: 'application/x-ndjson', writes: [Buffer.from(`{"text":"${LEAK}"}\n`)] },
    'broken off',
  ),
  unary('key written with escapes', body(`{"choices":[{"index":0,"te\\u0078t":"${LEAK}"}]}`), 'refused'),
  unary(
    'key written twice, once with escapes',
    body(`{"choices":[{"index":0,"text":"Fine.","te\\u0078t":"${LEAK}"}]}`),
    'broken off',
  ),
  unary(
    'key that differs from a known one only in case',
    body(`{"choices":[{"index":0,"Text":"${LEAK}"}]}`),
    'broken off',
  ),
  unary(
    'two choices of one index',
    body({
      choices: [
        { index: 0, text: LEAD + HALVES[0] },
        { index: 0, text: HALVES[1] },
      ],
    }),
    'broken off',
  ),
  unary(
    "signet's own fields, forged by upstream",
    body({ ...chunk([{ index: 0, text: 'Fine.', finish_reason: 'stop' }]), signet: { x: LEAK }, signet_abort: true }),
    'cleaned',
    { shown: ['Fine.'] },
  ),
]
