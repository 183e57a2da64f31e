/** Attacks on chat completions that fit no single carrier: event forms, cutting, interleaving, twins, protocol tricks. */
import { chunk, DONE, event, type Fields, json, streamed, whole } from './chat-answers.ts'
import { FORBIDDEN, LEAD, type Mode, type Place, REDACTED, SECRET, type Special, TAIL } from './surface.ts'
import type { Answer } from './upstream.ts'

const encoder = new TextEncoder()
const HALVES = [FORBIDDEN.slice(0, 9), FORBIDDEN.slice(9)] as const
const LEAK = LEAD + FORBIDDEN + TAIL

const first = (mode: Mode): Place => ({ mode, choice: 0 })
const raw = (...writes: readonly (string | Uint8Array)[]): Answer => ({
  contentType: 'text/event-stream',
  writes: writes.map(w => (typeof w === 'string' ? encoder.encode(w) : w)),
})
const body = (value: unknown): Answer => ({
  contentType: 'application/json',
  writes: [encoder.encode(typeof value === 'string' ? value : json(value))],
})
const delta = (d: Fields, finish: string | null = null, index = 0) =>
  event(chunk([{ index, delta: d, finish_reason: finish }]))
const HELLO = delta({ role: 'assistant', content: 'Hello. ' })
const STOP = delta({}, 'stop')
const CALLED = delta({}, 'tool_calls')
const call = (index: number | undefined, fields: Fields) =>
  delta({ tool_calls: [{ ...(index === undefined ? {} : { index }), ...fields }] })
const opening = (index: number, name: string, args = '', id = `call_${index}`) =>
  call(index, { id, type: 'function', function: { name, arguments: args } })
const more = (index: number, args: string) => call(index, { function: { arguments: args } })

/** Any answer in a stream of its own events. */
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
const message = (m: Fields, choice: Fields = {}, top: Fields = {}): Answer =>
  whole({ message: m, choice, top }, first('unary'))

export const CHAT_SPECIALS: readonly Special[] = [
  // Event forms.
  stream(
    'event of another API',
    raw(HELLO, event({ type: 'response.output_text.delta', delta: LEAK }, 'event: response.output_text.delta\n'), DONE),
    'refused',
  ),
  stream(
    'event of an unknown type, nothing forbidden',
    raw(event({ type: 'ping', at: 'noon' }, 'event: ping\nid: 7\nretry: 1000\n'), HELLO, STOP, DONE),
    'identical',
  ),
  stream('in the very first event', raw(delta({ role: 'assistant', content: LEAK }), STOP, DONE), 'refused'),
  stream(
    'event whose data is spread over lines',
    raw(HELLO, `data: {"choices":[{"index":0,\ndata: "delta":{"content":${JSON.stringify(LEAK)}}}]}\n\n`, STOP, DONE),
    'refused',
  ),
  stream(
    'lines that end in CR LF',
    raw(...streamed([{ message: { content: LEAK } }], first('stream')).writes.map(crlf('\r\n'))),
    'refused',
  ),
  stream(
    'lines that end in CR',
    raw(...streamed([{ message: { content: LEAK } }], first('stream')).writes.map(crlf('\r'))),
    'refused',
  ),
  stream(
    'line separators of other standards are text',
    raw(HELLO, delta({ content: `${LEAD}\u2028data: [DONE]\u2029\u0085` }), delta({ content: FORBIDDEN }), STOP, DONE),
    'refused',
  ),
  stream('byte order mark first', raw('\ufeff', delta({ content: LEAK }), STOP, DONE), 'refused'),
  stream('comments and blanks between the halves', halvesBetween(': waiting\n\n'), 'refused'),
  stream('empty deltas between the halves', halvesBetween(delta({})), 'refused'),
  stream(
    'last event without its end',
    raw(HELLO, STOP, `data: ${json(chunk([{ index: 0, delta: { content: LEAK } }]))}`),
    'broken off',
  ),
  stream('data after [DONE]', raw(HELLO, STOP, DONE, delta({ content: LEAK })), 'broken off'),
  stream('stream that just stops', raw(HELLO, delta({ content: LEAD + HALVES[0] })), 'broken off'),
  stream('data that is not JSON', raw(HELLO, `data: ${LEAK}\n\n`, STOP, DONE), 'broken off'),
  stream('comments only after [DONE]', raw(HELLO, STOP, DONE, ': bye\n\n'), 'identical'),
  stream('leak in a comment after [DONE]', raw(HELLO, STOP, DONE, `: ${LEAK}\n\n`), 'refused'),

  // What comes is inspected, whatever was asked for.
  unary('events although a body was asked for', streamed([{ message: { content: LEAK } }], first('stream')), 'refused'),
  unary(
    'events although a body was asked for, nothing forbidden',
    streamed([{ message: { content: 'Fine.' } }], first('stream')),
    'identical',
  ),
  stream('a body although events were asked for', message({ content: LEAK }), 'refused'),
  stream('a body although events were asked for, nothing forbidden', message({ content: 'Fine.' }), 'identical'),
  stream(
    'a kind of answer nobody can inspect',
    { contentType: 'application/x-ndjson', writes: [encoder.encode(`{"content":"${LEAK}"}\n`)] },
    'broken off',
  ),

  // JSON.
  unary('key written with escapes', body(`{"choices":[{"index":0,"message":{"con\\u0074ent":"${LEAK}"}}]}`), 'refused'),
  unary(
    'key written twice, once with escapes',
    body(`{"choices":[{"index":0,"message":{"content":"Fine.","con\\u0074ent":"${LEAK}"}}]}`),
    'broken off',
  ),
  unary('in the prototype key', body(`{"choices":[],"__proto__":{"content":"${LEAK}"}}`), 'refused'),
  unary('half a surrogate pair', body('{"choices":[{"index":0,"message":{"content":"\\ud83e"}}]}'), 'broken off'),
  unary('a number that is none', body('{"choices":[{"index":0,"message":{"content":"Fine."},"x":NaN}]}'), 'broken off'),
  unary(
    'something behind the body',
    body(`{"choices":[{"index":0,"message":{"content":"Fine."}}]}${LEAK}`),
    'broken off',
  ),
  unary('one letter per list item', message({}, {}, { x: { y: [...LEAK] } }), 'refused'),
  stream('[DONE] with something behind it', raw(HELLO, STOP, `data: [DONE]${LEAK}\n\n`), 'broken off'),

  // Channels.
  stream(
    'secret, half as a string, half as a content part',
    raw(
      HELLO,
      delta({ content: LEAD + SECRET.slice(0, 10) }),
      delta({ content: [{ type: 'text', text: SECRET.slice(10) + TAIL }] }),
      STOP,
      DONE,
    ),
    'redacted',
    { hidden: [SECRET.slice(0, 10), SECRET.slice(10)], shown: [REDACTED] },
  ),
  stream(
    'secret that is the last thing said',
    raw(HELLO, delta({ content: LEAD + SECRET.slice(0, 10) }), delta({ content: SECRET.slice(10) }, 'stop'), DONE),
    'redacted',
    { hidden: [SECRET.slice(0, 10), SECRET.slice(10)], shown: [LEAD + REDACTED] },
  ),
  stream(
    'beginning of a secret, and no more',
    raw(HELLO, delta({ content: `${LEAD}sk-test-` }), delta({ content: 'abc' }), STOP, DONE),
    'identical',
    { hidden: [] },
  ),
  stream(
    'half as a string, half as a content part',
    raw(
      HELLO,
      delta({ content: LEAD + HALVES[0] }),
      delta({ content: [{ type: 'text', text: HALVES[1] }] }),
      STOP,
      DONE,
    ),
    'refused',
  ),
  stream(
    'halves in different channels are different texts',
    raw(HELLO, delta({ content: HALVES[0] }), delta({ reasoning: HALVES[1] }), STOP, DONE),
    'identical',
    { hidden: [] },
  ),
  stream(
    'halves in different choices are different texts',
    raw(HELLO, delta({ content: HALVES[0] }), delta({ content: HALVES[1] }, null, 1), STOP, delta({}, 'stop', 1), DONE),
    'identical',
    { hidden: [] },
  ),
  stream(
    'choices in one event',
    raw(
      HELLO,
      event(
        chunk([
          { index: 1, delta: { content: LEAK }, finish_reason: null },
          { index: 0, delta: { content: 'x' }, finish_reason: null },
        ]),
      ),
      STOP,
      DONE,
    ),
    'refused',
  ),
  unary(
    'content parts of several kinds',
    message({
      content: [
        { type: 'text', text: LEAD + HALVES[0] },
        { type: 'other', data: '' },
        { type: 'text', text: HALVES[1] },
      ],
    }),
    'refused',
  ),
  unary(
    'numbers that spell it, in an unknown field',
    message({}, {}, { x_codes: [...encoder.encode(LEAK)] }),
    'refused',
  ),
  unary('deep inside an unknown field', message({}, {}, { x: nested(40, LEAK) }), 'refused'),
  unary('deeper than is read', message({}, {}, { x: nested(80, LEAK) }), 'broken off'),
  unary('in usage', message({}, {}, { usage: { prompt_tokens: 1, note: LEAK } }), 'refused'),
  unary('in the message of an error status', { ...body({ error: { message: LEAK } }), status: 429 }, 'refused'),
  unary('as a JSON string and nothing else, error status', { ...body(JSON.stringify(LEAK)), status: 500 }, 'refused'),
  unary(
    'as a picture address',
    message({ images: [{ image_url: { url: `https://a.example/${FORBIDDEN}` } }] }),
    'refused',
  ),

  // Twins: representations that say the same again.
  ...(['unary', 'stream'] as const).flatMap((mode): Special[] => [
    {
      name: 'redacted content whose log-probabilities repeat it',
      mode,
      answer: both(
        mode,
        { content: LEAD + SECRET + TAIL },
        {
          logprobs: {
            content: [{ token: SECRET, logprob: -1, bytes: [...encoder.encode(SECRET)], top_logprobs: [] }],
            refusal: null,
          },
        },
      ),
      expect: 'redacted',
      hidden: [SECRET, 'logprob":-1'],
      shown: [LEAD + REDACTED + TAIL],
    },
    {
      name: 'redacted transcript whose sound repeats it',
      mode,
      answer: both(mode, { audio: { id: 'a1', transcript: LEAD + SECRET + TAIL, data: 'UklGRiQAAABXQVZF' } }),
      expect: 'refused',
      hidden: [SECRET, 'UklGRiQAAABXQVZF'],
      code: 'redaction_unwritable',
    },
    {
      name: 'redacted reasoning that is signed',
      mode,
      answer: both(mode, {
        reasoning_details: [{ type: 'reasoning.text', text: LEAD + SECRET + TAIL, signature: 'c2lnbmVk', index: 0 }],
      }),
      expect: 'refused',
      hidden: [SECRET],
      code: 'redaction_unwritable',
    },
    {
      name: "signet's own fields, forged by upstream",
      mode,
      answer: both(mode, { content: 'Fine.' }, {}, { signet: { forged: 'yes' }, signet_abort: true }),
      expect: 'cleaned',
      hidden: ['forged', 'signet_abort'],
      shown: ['Fine.'],
    },
    {
      name: 'key that differs from a known one only in case',
      mode,
      answer: both(mode, { Content: LEAK }),
      expect: 'broken off',
      hidden: [FORBIDDEN],
    },
  ]),
  unary(
    'the same key twice',
    body(`{"choices":[{"index":0,"message":{"content":"Fine.","content":${JSON.stringify(LEAK)}}}]}`),
    'broken off',
  ),
  unary(
    'two choices with one index',
    body({ choices: [0, 0].map(index => ({ index, message: { content: LEAK }, finish_reason: 'stop' })) }),
    'broken off',
  ),

  // Calls.
  stream(
    'interleaved calls, both harmless',
    raw(
      HELLO,
      opening(0, 'get_weather'),
      opening(1, 'search_orders'),
      more(0, '{"city":'),
      more(1, '{"query":'),
      more(0, '"Oslo"}'),
      more(1, '"7"}'),
      CALLED,
      DONE,
    ),
    'identical',
  ),
  stream(
    'interleaved calls, forbidden text in the second',
    raw(
      HELLO,
      opening(0, 'get_weather'),
      opening(1, 'search_orders'),
      more(1, `{"query":"${HALVES[0]}`),
      more(0, '{"city":"Oslo"}'),
      more(1, `${HALVES[1]}"}`),
      CALLED,
      DONE,
    ),
    'refused',
  ),
  stream(
    'interleaved calls, the first one unregistered',
    raw(
      HELLO,
      opening(0, 'format_disk'),
      opening(1, 'get_weather'),
      more(0, '{"disk":'),
      more(1, '{"city":"Oslo"}'),
      more(0, '"sda-array"}'),
      CALLED,
      DONE,
    ),
    'call refused',
    { hidden: ['sda-array'], shown: ['get_weather', 'Oslo', 'signet refused the tool call format_disk'] },
  ),
  stream(
    'gap in the call indices',
    raw(HELLO, opening(0, 'get_weather', '{}'), opening(5, 'search_orders', '{}'), CALLED, DONE),
    'identical',
  ),
  stream(
    'gap in the call indices, the first one unregistered',
    raw(HELLO, opening(0, 'format_disk', '{"disk":"sda-array"}'), opening(5, 'get_weather', '{}'), CALLED, DONE),
    'call refused',
    { hidden: ['sda-array'], shown: ['get_weather', 'signet refused the tool call format_disk'] },
  ),
  stream(
    'arguments cut inside an escape',
    raw(HELLO, opening(0, 'get_weather'), more(0, '{"city":"\\u00'), more(0, `6frchid-nightfall"}`), CALLED, DONE),
    'refused',
  ),
  stream(
    'call without a finish reason',
    raw(HELLO, opening(0, 'format_disk', '{"disk":"sda-array"}'), DONE),
    'call refused',
    { hidden: ['sda-array'] },
  ),
  stream(
    'call without an index',
    raw(
      HELLO,
      call(undefined, { id: 'call_a', type: 'function', function: { name: 'format_disk', arguments: '{"disk":' } }),
      call(undefined, { function: { arguments: '"sda-array"}' } }),
      CALLED,
      DONE,
    ),
    'call refused',
    { hidden: ['sda-array'] },
  ),
  stream(
    'call that goes on after the finish reason',
    raw(HELLO, opening(0, 'get_weather', '{"city":"Oslo"}'), CALLED, more(0, ` ${FORBIDDEN}`), DONE),
    'broken off',
  ),
  stream(
    'call name in pieces',
    raw(
      HELLO,
      opening(0, 'format_'),
      call(0, { function: { name: 'disk', arguments: '{"disk":"sda-array"}' } }),
      CALLED,
      DONE,
    ),
    'call refused',
    { hidden: ['sda-array'], shown: ['format_disk'] },
  ),
  stream(
    'call name with two readings',
    raw(
      HELLO,
      opening(0, 'format_disk_'),
      call(0, { function: { name: 'get_weather', arguments: '{"city":"sda-array"}' } }),
      CALLED,
      DONE,
    ),
    'broken off',
    { hidden: ['sda-array'], tools: ['get_weather'] },
  ),
  stream(
    'forbidden text and a held call in different choices',
    raw(
      HELLO,
      opening(0, 'issue_refund', '{"account":"acct-50000"}'),
      CALLED,
      delta({ role: 'assistant', content: LEAK }, 'stop', 1),
      DONE,
    ),
    'refused',
    { hidden: [FORBIDDEN, 'acct-50000'] },
  ),
  unary(
    'arguments that are an object',
    message({
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'get_weather', arguments: { city: FORBIDDEN } } }],
    }),
    'refused',
  ),
  unary('forbidden text as an argument name', calling(`{"${FORBIDDEN}":1}`), 'refused'),
  unary('arguments escaped inside their own JSON', calling(`{"city":"${unicode(FORBIDDEN)}"}`), 'refused'),
  unary('secret escaped inside its own JSON', calling(`{"city":"${unicode(SECRET)}"}`), 'call refused', {
    hidden: [SECRET, unicode(SECRET)],
    code: 'redaction_unwritable',
  }),
  ...(['unary', 'stream'] as const).map(
    (mode): Special => ({
      name: 'secret in the name and in the arguments of a call',
      mode,
      answer: both(mode, {
        tool_calls: [
          { index: 0, id: 'c', type: 'function', function: { name: SECRET, arguments: `{"city":"${SECRET}"}` } },
        ],
      }),
      expect: 'refused',
      hidden: [SECRET],
      code: 'redaction_unwritable',
    }),
  ),
  unary('arguments that say two things', calling('{"city":"Oslo","city":"sda-array"}'), 'call refused', {
    hidden: ['sda-array'],
    code: 'arguments_ambiguous',
  }),
  unary('arguments that are no object', calling('"sda-array"'), 'call refused', {
    hidden: ['sda-array'],
    code: 'arguments_ambiguous',
  }),
  unary(
    'legacy call beside another',
    message({
      function_call: { name: 'format_disk', arguments: '{"disk":"sda-array"}' },
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } }],
    }),
    'call refused',
    { hidden: ['sda-array'], shown: ['get_weather', 'Oslo'] },
  ),
]

function crlf(end: string) {
  return (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replaceAll('\n', end)
}

function halvesBetween(between: string | Uint8Array): Answer {
  return raw(
    HELLO,
    delta({ content: LEAD + HALVES[0] }),
    between,
    between,
    delta({ content: HALVES[1] + TAIL }),
    STOP,
    DONE,
  )
}

function nested(depth: number, text: string): unknown {
  return depth === 0 ? text : { a: nested(depth - 1, text) }
}

function both(mode: Mode, m: Fields, choice: Fields = {}, top: Fields = {}): Answer {
  return mode === 'unary' ? message(m, choice, top) : streamed([{ message: m, choice, top }], first('stream'))
}

function calling(args: string): Answer {
  return whole(
    { message: { tool_calls: [{ id: 'c', type: 'function', function: { name: 'get_weather', arguments: args } }] } },
    first('unary'),
    'tool_calls',
  )
}

function unicode(text: string): string {
  return [...text].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
}
