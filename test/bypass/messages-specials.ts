/** Attacks on Messages that fit no single carrier: event forms, cutting, block order, twins, protocol tricks. */
import {
  answer,
  begin,
  delta,
  END,
  event,
  finish,
  json,
  say,
  start,
  stop,
  textBlock,
  toolUse,
} from '../../src/dialects/messages.test-support.ts'
import { message, streamed, whole } from './messages-answers.ts'
import { FORBIDDEN, LEAD, REDACTED, SECRET, type Special, TAIL } from './surface.ts'
import type { Answer } from './upstream.ts'

const encoder = new TextEncoder()
const HALVES = [FORBIDDEN.slice(0, 9), FORBIDDEN.slice(9)] as const
const LEAK = LEAD + FORBIDDEN + TAIL
const SAID = LEAD + SECRET + TAIL
const PAYLOAD = 'iVBORw0KGgoA'.repeat(14)

const stream = (name: string, said: string | Answer, expect: Special['expect'], rest: Partial<Special> = {}) => ({
  name,
  mode: 'stream' as const,
  answer: typeof said === 'string' ? streamed(said) : said,
  expect,
  hidden: [FORBIDDEN, SECRET],
  ...rest,
})
const unary = (name: string, said: unknown, expect: Special['expect'], rest: Partial<Special> = {}) => ({
  name,
  mode: 'unary' as const,
  answer: whole(said),
  expect,
  hidden: [FORBIDDEN, SECRET],
  ...rest,
})
/** A block in both modes: whole in a body, and begun and ended in a stream. */
const both = (name: string, block: object, expect: Special['expect'], rest: Partial<Special> = {}): Special[] => [
  unary(name, message([block]), expect, rest),
  stream(name, answer(begin(0, block) + stop(0)), expect, rest),
]

const HELLO = textBlock(0, 'Hello. ')
const TEXT = { type: 'text', text: '' }
const THINKING = { type: 'thinking', thinking: '', signature: '' }
const called = (...events: readonly string[]) => start() + events.join('') + finish('tool_use') + END
const use = (name: string, input: object, rest: object = {}) => ({ type: 'tool_use', id: 'c', name, input, ...rest })
const opening = (index: number, name: string, input: object = {}) => begin(index, use(name, input, { id: `c${index}` }))
const thought = (text: string) => delta(0, { type: 'thinking_delta', thinking: text })
const sign = (signature: string) => delta(0, { type: 'signature_delta', signature })
const server = { type: 'server_tool_use', id: 's', name: 'web_search', input: {} }
const nested = (depth: number, text: string): unknown => (depth === 0 ? text : { a: nested(depth - 1, text) })
const unicode = (text: string) => [...text].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
const REFUSED = 'signet refused the tool call format_disk'

export const MESSAGES_SPECIALS: readonly Special[] = [
  // Event forms.
  stream('event of another API', answer(HELLO, event({ type: 'response.output_text.delta', delta: LEAK })), 'refused'),
  stream('chunk of another API', answer(HELLO, `data: {"choices":[{"delta":{"content":"${LEAK}"}}]}\n\n`), 'refused'),
  stream(
    'event of an unknown type, nothing forbidden',
    start() + event({ type: 'vendor_status', at: 'noon' }) + HELLO + finish() + END,
    'identical',
  ),
  stream('in the very first event', start({ content: [{ type: 'text', text: LEAK }] }) + finish() + END, 'refused'),
  stream('before the first event', `: ${LEAK}\n\n${answer(HELLO)}`, 'refused'),
  stream(
    'event whose data is spread over lines',
    answer(
      begin(0, TEXT),
      `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,\ndata: "delta":{"type":"text_delta","text":"${LEAK}"}}\n\n`,
      stop(0),
    ),
    'refused',
  ),
  stream('lines that end in CR LF', lines('\r\n', answer(textBlock(0, LEAD, ...HALVES))), 'refused'),
  stream('lines that end in CR', lines('\r', answer(textBlock(0, LEAD, ...HALVES))), 'refused'),
  stream(
    'line separators of other standards are text',
    answer(textBlock(0, `${LEAD}\u2028event: message_stop\u2029\u0085`, FORBIDDEN)),
    'refused',
  ),
  stream('byte order mark first', `\ufeff${answer(textBlock(0, LEAK))}`, 'refused'),
  stream('comments and pings between the halves', halves(`: waiting\n\n${event({ type: 'ping' })}`), 'refused'),
  stream('empty deltas between the halves', halves(say(0, '')), 'refused'),
  stream('events without an event line', answer(textBlock(0, LEAK)).replace(/^event: .*\n/gm, ''), 'refused'),
  stream(
    'events without an event line, nothing forbidden',
    answer(textBlock(0, 'Fine.')).replace(/^event: .*\n/gm, ''),
    'identical',
  ),
  stream(
    'event line and type that do not agree',
    answer(begin(0, TEXT), say(0, LEAK).replace('event: content_block_delta', 'event: ping'), stop(0)),
    'broken off',
  ),
  stream('last event without its end', (start() + textBlock(0, LEAK)).slice(0, -2), 'refused'),
  stream('data after the end', answer(HELLO) + textBlock(1, LEAK), 'broken off'),
  stream('leak in a comment after the end', `${answer(HELLO)}: ${LEAK}\n\n`, 'refused'),
  stream('comments only after the end', `${answer(HELLO)}: bye\n\n`, 'identical'),
  stream('[DONE] of other APIs after the end', `${answer(HELLO)}data: [DONE]\n\n`, 'identical'),
  stream('stream that just stops', start() + begin(0, TEXT) + say(0, LEAD + HALVES[0]), 'broken off'),
  stream('stream without a start', textBlock(0, LEAK) + finish() + END, 'broken off'),
  stream('a second message', start() + HELLO + start({ content: [{ type: 'text', text: LEAK }] }), 'broken off'),
  stream('data that is not JSON', `${start() + HELLO}data: ${LEAK}\n\n${finish()}${END}`, 'broken off'),
  stream('data that is a list', `${start() + HELLO}data: ["${LEAK}"]\n\n${finish()}${END}`, 'broken off'),

  // What comes is inspected, whatever was asked for.
  { ...stream('events although a body was asked for', answer(textBlock(0, LEAK)), 'refused'), mode: 'unary' },
  {
    ...stream('events although a body was asked for, nothing forbidden', answer(HELLO), 'identical'),
    mode: 'unary',
  },
  {
    ...unary('a body although events were asked for', message([{ type: 'text', text: LEAK }]), 'refused'),
    mode: 'stream',
  },
  stream(
    'a kind of answer nobody can inspect',
    { contentType: 'application/x-ndjson', writes: [encoder.encode(`{"content":"${LEAK}"}\n`)] },
    'broken off',
  ),
  stream(
    'an error, then the forbidden text',
    start() + event({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }) + textBlock(0, LEAK),
    'refused',
  ),
  stream(
    'an error of upstream',
    start() + HELLO + event({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }),
    'identical',
    { hidden: [] },
  ),

  // JSON.
  unary('key written with escapes', `{"content":[{"type":"text","te\\u0078t":"${LEAK}"}]}`, 'refused'),
  unary(
    'key written twice, once with escapes',
    `{"content":[{"type":"text","text":"Fine.","te\\u0078t":"${LEAK}"}]}`,
    'broken off',
  ),
  unary('the same key twice', `{"content":[{"type":"text","text":"Fine.","text":"${LEAK}"}]}`, 'broken off'),
  unary('in the prototype key', `{"content":[],"__proto__":{"text":"${LEAK}"}}`, 'refused'),
  unary('half a surrogate pair', '{"content":[{"type":"text","text":"\\ud83e"}]}', 'broken off'),
  unary('a number that is none', '{"content":[],"x":NaN}', 'broken off'),
  unary('something behind the body', JSON.stringify(message([])) + LEAK, 'broken off'),
  unary('one letter per list item', message([], { x: { y: [...LEAK] } }), 'refused'),
  unary('numbers that spell it, in an unknown field', message([], { x: [...encoder.encode(LEAK)] }), 'refused'),
  unary('deep inside an unknown field', message([], { x: nested(40, LEAK) }), 'refused'),
  unary('deeper than is read', message([], { x: nested(80, LEAK) }), 'broken off'),
  unary('content that is a string', message([], { content: LEAK }), 'refused'),
  unary('text that is a list', message([{ type: 'text', text: [LEAK] }]), 'broken off'),
  unary('a block that is a string', message([LEAK]), 'broken off'),
  {
    ...unary('in the message of an error status', { type: 'error', error: { type: 'x', message: LEAK } }, 'refused'),
    answer: { ...whole({ type: 'error', error: { type: 'x', message: LEAK } }), status: 429 },
  },
  {
    ...unary('as a JSON string and nothing else, error status', '', 'refused'),
    answer: { ...whole(JSON.stringify(LEAK)), status: 500 },
  },
  ...both('key that differs from a known one only in case', { type: 'text', text: '', Text: LEAK }, 'broken off'),

  // Texts.
  stream(
    'secret in pieces, the last thing said',
    answer(textBlock(0, LEAD + SECRET.slice(0, 10), SECRET.slice(10))),
    'redacted',
    {
      hidden: [SECRET.slice(0, 10), SECRET.slice(10)],
      shown: [LEAD + REDACTED],
    },
  ),
  stream('beginning of a secret, and no more', answer(textBlock(0, `${LEAD}sk-test-`, 'abc')), 'identical', {
    hidden: [],
  }),
  stream('halves in neighbouring blocks', answer(textBlock(0, LEAD + HALVES[0]), textBlock(1, HALVES[1])), 'refused'),
  unary(
    'halves in neighbouring blocks',
    message([
      { type: 'text', text: LEAD + HALVES[0] },
      { type: 'text', text: HALVES[1] },
    ]),
    'refused',
  ),
  stream(
    'half where a block begins, half in its delta',
    answer(begin(0, { type: 'text', text: LEAD + HALVES[0] }), say(0, HALVES[1]), stop(0)),
    'refused',
  ),
  stream(
    'half in the start of the message, half in a block',
    start({ content: [{ type: 'text', text: LEAD + HALVES[0] }] }) + textBlock(1, HALVES[1]) + finish() + END,
    'refused',
  ),
  stream(
    'secret over two blocks',
    answer(textBlock(0, LEAD + SECRET.slice(0, 10)), textBlock(1, SECRET.slice(10) + TAIL)),
    'redacted',
    { hidden: [SECRET.slice(0, 10), SECRET.slice(10)], shown: [LEAD + REDACTED] },
  ),
  stream(
    'halves in different channels are different texts',
    answer(begin(0, { type: 'thinking', thinking: '' }), thought(HALVES[0]), stop(0), textBlock(1, HALVES[1])),
    'identical',
    { hidden: [] },
  ),
  ...both('text of a block that is no text block', { type: 'thinking', thinking: '', text: LEAK }, 'refused'),
  ...both('an input beside text', { type: 'text', text: 'Fine.', input: { q: LEAK } }, 'refused'),
  ...both(
    'as the address of a picture',
    { type: 'image', source: { type: 'url', url: `https://a.example/${FORBIDDEN}` } },
    'refused',
  ),
  stream(
    'delta of a kind nobody knows',
    answer(begin(0, TEXT), delta(0, { type: 'x', y: [LEAK] }), stop(0)),
    'refused',
  ),
  stream(
    'delta that does not fit its block',
    answer(begin(0, { type: 'thinking', thinking: '' }), say(0, LEAK), stop(0)),
    'broken off',
  ),

  // Block order: clients find a block by its position, or by its number.
  stream('delta of a block that never began', answer(say(0, LEAK)), 'broken off'),
  stream('delta of a block that has ended', answer(HELLO, say(0, LEAK)), 'broken off'),
  stream('delta of another block', answer(begin(0, TEXT), say(1, LEAK), stop(0)), 'broken off'),
  stream('gap in the block numbers', answer(HELLO, textBlock(5, LEAK)), 'broken off'),
  stream('the same block number twice', answer(HELLO, textBlock(0, LEAK)), 'broken off'),
  stream('interleaved blocks', answer(begin(0, TEXT), begin(1, TEXT), say(0, LEAK), stop(0), stop(1)), 'broken off'),
  stream(
    'block without a number',
    answer(event({ type: 'content_block_start', content_block: { type: 'text', text: LEAK } })),
    'broken off',
  ),
  stream('end inside a block', answer(begin(0, TEXT), say(0, LEAD)), 'broken off'),

  // Twins.
  ...(['unary', 'stream'] as const).map(
    (mode): Special => ({
      name: 'redacted thinking that is signed',
      mode,
      answer:
        mode === 'unary'
          ? whole(message([{ type: 'thinking', thinking: SAID, signature: PAYLOAD }]))
          : streamed(answer(begin(0, THINKING), thought(SAID), sign(PAYLOAD), stop(0))),
      expect: 'refused',
      hidden: [SECRET, PAYLOAD],
      code: 'redaction_unwritable',
    }),
  ),
  stream('signed thinking', answer(begin(0, THINKING), thought('Hm.'), sign(PAYLOAD), stop(0)), 'identical', {
    shown: [PAYLOAD],
  }),
  unary(
    "signet's own fields, forged by upstream",
    message([{ type: 'text', text: 'Fine.', signet: { forged: 'yes' } }], {
      signet: { forged: 'yes' },
      signet_abort: true,
    }),
    'cleaned',
    { hidden: ['forged', 'signet_abort'], shown: ['Fine.'] },
  ),
  stream(
    "signet's own fields, forged by upstream",
    start({ signet: { forged: 'yes' } }) +
      begin(0, { ...TEXT, signet: { forged: 'yes' } }) +
      say(0, 'Fine.') +
      stop(0) +
      event({ type: 'ping', signet_abort: true, signet: { forged: 'yes' } }) +
      finish() +
      END,
    'cleaned',
    { hidden: ['forged', 'signet_abort'], shown: ['Fine.'] },
  ),
  ...both('call with a forged capability', use('get_weather', {}, { signet: { capability: 'forged' } }), 'cleaned', {
    hidden: ['forged'],
    shown: ['get_weather'],
  }),

  // Calls.
  stream(
    'two harmless calls',
    called(toolUse(0, 'get_weather', '{"city":', '"Oslo"}'), toolUse(1, 'search_orders', '{"query":"7"}')),
    'identical',
  ),
  stream(
    'text, then a refused call, then an allowed one',
    called(HELLO, toolUse(1, 'format_disk', '{"disk":', '"sda-array"}'), toolUse(2, 'get_weather', '{"city":"Oslo"}')),
    'call refused',
    { hidden: ['sda-array'], shown: ['Hello.', REFUSED, 'get_weather', 'Oslo', '"stop_reason":"tool_use"'] },
  ),
  stream(
    'interleaved calls',
    called(
      opening(0, 'get_weather'),
      opening(1, 'format_disk'),
      json(0, '{}'),
      json(1, '{"disk":"sda-array"}'),
      stop(0),
      stop(1),
    ),
    'broken off',
    { hidden: ['sda-array'] },
  ),
  stream(
    'input where the call begins and in its deltas',
    called(opening(0, 'get_weather', { city: 'Oslo' }), json(0, '{"city":"sda-array"}'), stop(0)),
    'broken off',
    { hidden: ['sda-array'] },
  ),
  stream('call without an input', called(opening(0, 'format_disk'), stop(0)), 'call refused', { shown: [REFUSED] }),
  stream('call that does not end', called(opening(0, 'format_disk'), json(0, '{"disk":"sda-array"}')), 'broken off', {
    hidden: ['sda-array'],
  }),
  stream(
    'call in a message that stops for another reason',
    answer(toolUse(0, 'format_disk', '{"disk":"sda-array"}')),
    'call refused',
    {
      hidden: ['sda-array'],
      shown: [REFUSED, '"stop_reason":"end_turn"'],
    },
  ),
  stream(
    'text that continues a call',
    called(opening(0, 'get_weather'), json(0, '{}'), say(0, LEAK), stop(0)),
    'broken off',
  ),
  stream(
    'unknown delta that continues a refused call',
    called(opening(0, 'format_disk'), delta(0, { type: 'x_delta', disk: 'sda-array' }), json(0, '{}'), stop(0)),
    'call refused',
    { hidden: ['sda-array'], shown: [REFUSED] },
  ),
  stream(
    'input cut inside an escape',
    called(opening(0, 'get_weather'), json(0, '{"city":"\\u00'), json(0, '6frchid-nightfall"}'), stop(0)),
    'refused',
  ),
  stream(
    'input of a tool upstream runs, cut inside an escape',
    answer(begin(0, server), json(0, '{"q":"\\u00'), json(0, '6frchid-nightfall"}'), stop(0)),
    'refused',
  ),
  stream(
    'input of a tool upstream runs, escaped',
    answer(begin(0, server), json(0, `{"q":"${unicode(FORBIDDEN)}"}`), stop(0)),
    'refused',
    {
      hidden: [FORBIDDEN, unicode(FORBIDDEN)],
    },
  ),
  stream(
    'secret in the input of a tool upstream runs, escaped',
    answer(begin(0, server), json(0, `{"q":"${unicode(SECRET)}"}`), stop(0)),
    'redacted',
    { hidden: [SECRET, unicode(SECRET)], shown: [REDACTED] },
  ),
  unary(
    'two calls with one id',
    message([use('get_weather', {}), use('get_weather', { city: 'sda-array' })]),
    'broken off',
    { hidden: ['sda-array'] },
  ),
  unary('call without a name', message([{ type: 'tool_use', id: 'c', input: { disk: 'sda-array' } }]), 'broken off', {
    hidden: ['sda-array'],
  }),
  unary(
    'input that is JSON in a string',
    message([use('get_weather', {}, { input: `{"city":"${FORBIDDEN}"}` })]),
    'refused',
  ),
  unary('input that is a list', message([use('get_weather', {}, { input: ['sda-array'] })]), 'call refused', {
    hidden: ['sda-array'],
    code: 'arguments_ambiguous',
  }),
  unary(
    'input that says two things',
    '{"content":[{"type":"tool_use","id":"c","name":"get_weather","input":{"city":"Oslo","city":"sda-array"}}]}',
    'broken off',
    {
      hidden: ['sda-array'],
    },
  ),
  unary('forbidden text as an argument name', message([use('get_weather', { [FORBIDDEN]: 1 })]), 'refused'),
  unary('secret in the name and in the input of a call', message([use(SECRET, { city: SECRET })]), 'refused', {
    code: 'redaction_unwritable',
  }),
  stream(
    'forbidden text and a held call',
    called(toolUse(0, 'issue_refund', '{"account":"acct-50000"}'), textBlock(1, LEAK)),
    'refused',
    {
      hidden: [FORBIDDEN, 'acct-50000'],
    },
  ),
  stream(
    'a tool that only upstream should run, under the name of a tool of the caller',
    called(toolUse(0, 'web_search', '{"query":"sda-array"}')),
    'call refused',
    { hidden: ['sda-array'], code: 'tool_unregistered' },
  ),
  ...both(
    'a call in the form of another API',
    {
      type: 'function_call',
      call_id: 'c',
      name: 'format_disk',
      arguments: '{"disk":"sda-array"}',
    },
    'call refused',
    { hidden: ['sda-array'] },
  ),
]

function lines(end: string, events: string): string {
  return events.replaceAll('\n', end)
}

function halves(between: string): string {
  return answer(begin(0, TEXT), say(0, LEAD + HALVES[0]), between, between, say(0, HALVES[1] + TAIL), stop(0))
}
