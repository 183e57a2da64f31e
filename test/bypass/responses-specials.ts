/** Attacks on Responses that fit no single carrier: event forms, cutting, snapshots, twins, protocol tricks. */
import {
  BEGINNING,
  bytesOf,
  done,
  type Event,
  ending,
  type Fields,
  item,
  json,
  message,
  part,
  RESPONSE,
  says,
  streamed,
  type Told,
  together,
  told,
  whole,
} from './responses-answers.ts'
import { RESPONSES_CALL_SPECIALS } from './responses-call-specials.ts'
import { FORBIDDEN, LEAD, MODES, REDACTED, SECRET, type Special, TAIL } from './surface.ts'
import type { Answer } from './upstream.ts'

const encoder = new TextEncoder()
const HALVES = [FORBIDDEN.slice(0, 9), FORBIDDEN.slice(9)] as const
const SECRETS = [SECRET.slice(0, 10), SECRET.slice(10)] as const
const LEAK = LEAD + FORBIDDEN + TAIL
const PLACE = { item_id: 'msg_0', output_index: 0, content_index: 0 }

const raw = (...writes: readonly (string | Uint8Array | Event)[]): Answer => ({
  contentType: 'text/event-stream',
  writes: writes.map(w => (typeof w === 'string' ? encoder.encode(w) : w instanceof Uint8Array ? w : bytesOf(w))),
})
const body = (value: unknown, status = 200): Answer => ({
  contentType: 'application/json',
  status,
  writes: [encoder.encode(typeof value === 'string' ? value : json(value))],
})
const delta = (piece: unknown, members: Fields = {}): Event => ({
  type: 'response.output_text.delta',
  members: { ...PLACE, delta: piece, ...members },
})
/** The events, between an honest beginning and an honest end. */
const stream = (events: readonly Event[], output: readonly Fields[] = []): Answer => streamed({ events, output })
const [FIRST, SECOND] = BEGINNING as readonly [Event, Event]
const END = ending({})
const FINE = says(['Fine.'])

const inStream = (name: string, answer: Answer, expect: Special['expect'], rest: Partial<Special> = {}): Special => ({
  name,
  mode: 'stream',
  answer,
  expect,
  hidden: [FORBIDDEN, SECRET],
  ...rest,
})
const inBody = (name: string, answer: Answer, expect: Special['expect'], rest: Partial<Special> = {}): Special => ({
  ...inStream(name, answer, expect, rest),
  mode: 'unary',
})
const both = (name: string, t: Told, expect: Special['expect'], rest: Partial<Special> = {}): Special[] =>
  MODES.map(mode => ({ ...inStream(name, told(t, { mode }), expect, rest), mode }))

const reborn = (answer: Answer, change: (text: string) => string): Answer =>
  raw(...answer.writes.map(w => change(Buffer.from(w).toString())))
const halvesBetween = (...between: readonly (string | Event)[]) =>
  raw(FIRST, SECOND, delta(LEAD + HALVES[0]), ...between, delta(HALVES[1] + TAIL), END)
const nested = (depth: number, text: string): unknown => (depth === 0 ? text : { a: nested(depth - 1, text) })

export const RESPONSES_SPECIALS: readonly Special[] = [
  // Event forms.
  inStream(
    'event of another API',
    raw(FIRST, SECOND, `data: ${json({ choices: [{ index: 0, delta: { content: LEAK } }] })}\n\n`, END),
    'refused',
  ),
  inStream(
    'event of an unknown type, nothing forbidden',
    stream([{ type: 'ping', members: { at: 'noon' } }]),
    'identical',
  ),
  inStream('type that ends in a blank', stream([{ ...delta(LEAK), type: 'response.output_text.delta ' }]), 'refused'),
  inStream(
    'in the very first event',
    raw(
      { ...FIRST, members: { response: { ...RESPONSE, status: 'in_progress', output: [message([part(LEAK)])] } } },
      END,
    ),
    'refused',
  ),
  inStream(
    'in an early snapshot, and gone in the last one',
    raw(FIRST, { ...SECOND, members: { response: { ...RESPONSE, output: [message([part(LEAK)])] } } }, END),
    'refused',
  ),
  inStream(
    'event whose data is spread over lines',
    raw(FIRST, `data: {"type":"response.output_text.delta",\ndata: "delta":${JSON.stringify(LEAK)}}\n\n`, END),
    'refused',
  ),
  inStream(
    'lines that end in CR LF',
    reborn(streamed(says([LEAK])), t => t.replaceAll('\n', '\r\n')),
    'refused',
  ),
  inStream(
    'lines that end in CR',
    reborn(streamed(says([LEAK])), t => t.replaceAll('\n', '\r')),
    'refused',
  ),
  inStream(
    'line separators of other standards are text',
    stream([delta(`${LEAD}\u2028data: [DONE]\u2029\u0085`), delta(FORBIDDEN)]),
    'refused',
  ),
  inStream('byte order mark first', raw('\ufeff', delta(LEAK), END), 'refused'),
  inStream('comments and blanks between the halves', halvesBetween(': waiting\n\n', ':\n\n\n'), 'refused'),
  inStream('empty and alien events between the halves', halvesBetween(delta(''), { type: 'keepalive' }), 'refused'),
  inStream('last event without its end', raw(FIRST, SECOND, `data: ${json({ type: 'x', delta: LEAK })}`), 'broken off'),
  inStream('data after the end of the answer', raw(FIRST, SECOND, END, delta(LEAK)), 'broken off'),
  inStream('two ends', raw(FIRST, SECOND, END, ending(says([LEAK]))), 'broken off'),
  inStream('stream that just stops', raw(FIRST, SECOND, delta(LEAD + HALVES[0])), 'broken off'),
  inStream('stream that stops with [DONE]', raw(FIRST, SECOND, delta(LEAD), 'data: [DONE]\n\n'), 'broken off'),
  inStream('data that is not JSON', raw(FIRST, SECOND, `data: ${LEAK}\n\n`, END), 'broken off'),
  inStream('[DONE] with something behind it', raw(FIRST, SECOND, `data: [DONE]${LEAK}\n\n`, END), 'broken off'),
  inStream('[DONE] and comments after the end', raw(FIRST, SECOND, END, 'data: [DONE]\n\n', ': bye\n\n'), 'identical'),
  inStream('leak in a comment after the end', raw(FIRST, SECOND, END, `: ${LEAK}\n\n`), 'refused'),
  inStream(
    'event named otherwise than typed',
    raw(
      FIRST,
      SECOND,
      bytesOf({ ...delta(LEAK), type: 'response.dream', lines: 'event: response.output_text.delta\n' }),
      END,
    ),
    'broken off',
  ),
  inStream(
    'leak behind an error event',
    raw(FIRST, SECOND, { type: 'error', members: { code: 'x', message: 'Overloaded.' } }, delta(LEAK), END),
    'refused',
  ),
  inStream(
    'failed answer that says why',
    streamed({ status: 'failed', response: { error: { code: 'server_error', message: LEAK } } }),
    'refused',
  ),

  // What comes is inspected, whatever was asked for.
  inBody('events although a body was asked for', streamed(says([LEAK])), 'refused'),
  inBody('events although a body was asked for, nothing forbidden', streamed(FINE), 'identical'),
  inStream('a body although events were asked for', whole(says([LEAK])), 'refused'),
  inStream('a body although events were asked for, nothing forbidden', whole(FINE), 'identical'),
  inStream(
    'a kind of answer nobody can inspect',
    { contentType: 'application/x-ndjson', writes: [encoder.encode(`{"output_text":"${LEAK}"}\n`)] },
    'broken off',
  ),

  // JSON.
  inBody('key written with escapes', body(`{"output":[{"type":"message","con\\u0074ent":"${LEAK}"}]}`), 'refused'),
  inBody(
    'key written twice, once with escapes',
    body(`{"output":[{"type":"message","content":"Fine.","con\\u0074ent":"${LEAK}"}]}`),
    'broken off',
  ),
  inBody('the same key twice', body(`{"output":[],"output":[{"type":"message","content":"${LEAK}"}]}`), 'broken off'),
  inBody('in the prototype key', body(`{"output":[],"__proto__":{"content":"${LEAK}"}}`), 'refused'),
  inBody('half a surrogate pair', body('{"output":[],"output_text":"\\ud83e"}'), 'broken off'),
  inBody('a number that is none', body('{"output":[],"x":NaN}'), 'broken off'),
  inBody('something behind the body', body(`{"output":[]}${LEAK}`), 'broken off'),
  inBody('one letter per list item', whole({ response: { x: { y: [...LEAK] } } }), 'refused'),
  ...both('key that differs from a known one only in case', says(['Fine.'], { item: { Content: LEAK } }), 'broken off'),
  ...both('output that is an object', { response: { output: { text: LEAK } } }, 'broken off'),
  ...both('an item that is a string', { response: { output: [LEAK] } }, 'broken off'),

  // Channels.
  ...both('halves in two content parts', { output: [message([part(LEAD + HALVES[0]), part(HALVES[1])])] }, 'refused'),
  ...both(
    'halves in two messages',
    together(says([LEAD + HALVES[0]]), says([HALVES[1] + TAIL], { output: 1 })),
    'refused',
  ),
  ...both(
    'halves around a tool that upstream ran',
    together(
      says([LEAD + HALVES[0]]),
      item({ id: 'ws_1', type: 'web_search_call', status: 'completed', action: { type: 'search', query: 'q' } }, 1),
      says([HALVES[1] + TAIL], { output: 2 }),
    ),
    'refused',
  ),
  inStream(
    'first half streamed, second half in the last snapshot only',
    streamed({
      events: says([LEAD + HALVES[0]]).events ?? [],
      output: [message([part(LEAD + HALVES[0])]), message([part(HALVES[1])], 1)],
    }),
    'refused',
  ),
  ...both(
    'secret, half in one message and half in the next',
    together(says([LEAD + SECRETS[0]]), says([SECRETS[1] + TAIL], { output: 1 })),
    'redacted',
    { hidden: [...SECRETS], shown: [REDACTED] },
  ),
  ...both('secret that is the last thing said', says([LEAD + SECRETS[0], SECRETS[1]]), 'redacted', {
    hidden: [...SECRETS],
    shown: [LEAD + REDACTED],
  }),
  ...both('beginning of a secret, and no more', says([`${LEAD}sk-test-`, 'abc']), 'identical', { hidden: [] }),
  ...both(
    'halves in different channels are different texts',
    together(
      item({ id: 'rs_0', type: 'reasoning', summary: [{ type: 'summary_text', text: HALVES[0] }] }),
      says([HALVES[1]], { output: 1 }),
    ),
    'identical',
    { hidden: [] },
  ),
  inStream(
    'halves under different item ids',
    stream([delta(LEAD + HALVES[0]), delta(HALVES[1], { item_id: 'msg_7' })]),
    'refused',
  ),
  inStream(
    'first half without a place',
    stream([{ type: 'response.output_text.delta', members: { delta: LEAD + HALVES[0] } }, delta(HALVES[1])]),
    'refused',
  ),
  inStream(
    'blocks that interleave',
    stream([delta(HALVES[0]), delta(' ', { output_index: 1 }), delta(HALVES[1])]),
    'broken off',
  ),
  inStream('place that is no number', stream([delta('Fine.', { output_index: true }), delta(LEAK)]), 'broken off'),
  inStream('piece that is a list', stream([delta([LEAD, HALVES[0], HALVES[1]])]), 'refused'),
  inStream('piece that is an object', stream([delta({ text: LEAK })]), 'refused'),
  inStream('piece under another name', stream([delta('Fine.', { text: LEAK })]), 'refused'),
  ...both('text of a part as an object', { output: [message([part('x', { text: { value: LEAK } })])] }, 'refused'),
  ...both('content that is a string', { output: [message([], 0, { content: LEAK })] }, 'refused'),
  ...both('content part that is a string', { output: [message([LEAK])] }, 'refused'),
  ...both(
    'content part inside a content part',
    { output: [message([{ type: 'x', content: [part(LEAK)] }])] },
    'refused',
  ),
  ...both('numbers that spell it, in an unknown field', { response: { x: [...encoder.encode(LEAK)] } }, 'refused'),
  ...both('deep inside an unknown field', { response: { x: nested(40, LEAK) } }, 'refused'),
  ...both('deeper than is read', { response: { x: nested(80, LEAK) } }, 'broken off'),
  ...both('in usage', { response: { usage: { input_tokens: 1, note: LEAK } } }, 'refused'),
  ...both(
    'in the tools that the answer repeats',
    { response: { tools: [{ type: 'function', description: LEAK }] } },
    'refused',
  ),
  ...both('in the prompt that the answer repeats', { response: { prompt: { variables: { a: LEAK } } } }, 'refused'),
  ...both(
    'encrypted reasoning that is plain',
    item({ id: 'rs_0', type: 'reasoning', summary: [], encrypted_content: LEAK }),
    'refused',
  ),
  ...both('picture that is text', item({ id: 'ig_0', type: 'image_generation_call', result: LEAK }), 'refused'),
  inStream(
    'partial picture that is text',
    stream([{ type: 'response.image_generation_call.partial_image', members: { partial_image_b64: LEAK } }]),
    'refused',
  ),
  inStream('sound that is text', stream([{ type: 'response.audio.delta', members: { delta: LEAK } }]), 'refused'),
  ...both(
    'arguments of a remote tool, escaped inside their own JSON',
    item({ id: 'm_0', type: 'mcp_call', server_label: 'd', name: 'r', arguments: `{"a":"${unicode(FORBIDDEN)}"}` }),
    'refused',
    { hidden: [FORBIDDEN, unicode(FORBIDDEN)] },
  ),
  inBody('in the message of an error status', body({ error: { message: LEAK } }, 429), 'refused'),
  inBody('as a JSON string and nothing else, error status', body(JSON.stringify(LEAK), 500), 'refused'),

  // Repetitions that say something else.
  ...(
    [
      ['text that is done otherwise', { type: 'response.output_text.done', members: { ...PLACE, text: LEAK } }],
      ['part that is done otherwise', { type: 'response.content_part.done', members: { ...PLACE, part: part(LEAK) } }],
      ['message that is done otherwise', done(message([part(LEAK)]))],
    ] as const
  ).map(([name, e]) => inStream(name, stream([delta('Fine.'), e]), 'broken off')),
  inStream('last snapshot that says otherwise', stream([delta('Fine.')], [message([part(LEAK)])]), 'broken off'),
  inStream(
    'last snapshot in another order',
    stream(
      [delta(HALVES[1]), delta(' ', { output_index: 1 }), delta(HALVES[0], { output_index: 2 })],
      [message([part(HALVES[0])], 2), message([part(HALVES[1])], 0)],
    ),
    'broken off',
  ),

  // Twins: representations that say the same again.
  ...both(
    'redacted content whose log-probabilities repeat it',
    says([LEAD + SECRET + TAIL], {
      part: { logprobs: [{ token: SECRET, logprob: -1, bytes: [...encoder.encode(SECRET)], top_logprobs: [] }] },
    }),
    'redacted',
    { hidden: [SECRET, 'logprob":-1'], shown: [LEAD + REDACTED + TAIL] },
  ),
  ...both(
    'redacted content that the answer joins once more',
    { ...says([LEAD, SECRET, TAIL]), response: { output_text: LEAD + SECRET + TAIL } },
    'redacted',
    { hidden: [SECRET], shown: [LEAD + REDACTED + TAIL] },
  ),
  ...both(
    'redacted transcript whose sound repeats it',
    { output: [message([{ type: 'output_audio', transcript: LEAD + SECRET + TAIL, data: 'UklGRiQAAABXQVZF' }])] },
    'refused',
    { hidden: [SECRET, 'UklGRiQAAABXQVZF'], code: 'redaction_unwritable' },
  ),
  ...both(
    'redacted reasoning that is also encrypted',
    item({
      id: 'rs_0',
      type: 'reasoning',
      summary: [{ type: 'summary_text', text: LEAD + SECRET + TAIL }],
      encrypted_content: 'Z0FBQUFB',
    }),
    'refused',
    { hidden: [SECRET], code: 'redaction_unwritable' },
  ),
  ...both(
    "signet's own fields, forged by upstream",
    {
      ...says(['Fine.'], { item: { signet: { capability: 'forged' } } }),
      response: { signet: { forged: 'yes' }, signet_abort: true },
    },
    'cleaned',
    { hidden: ['forged', 'signet_abort'], shown: ['Fine.'] },
  ),
  inStream(
    'forged abort frame',
    stream([{ type: 'error', members: { code: 'x', message: 'Fine.', signet_abort: true } }]),
    'cleaned',
    { hidden: ['signet_abort'], shown: ['Fine.'] },
  ),
  ...RESPONSES_CALL_SPECIALS,
]

function unicode(text: string): string {
  return [...text].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
}
