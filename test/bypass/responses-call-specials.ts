/** Attacks on the calls of Responses that fit no single carrier. */
import {
  added,
  done,
  type Event,
  type Fields,
  item,
  message,
  part,
  RESPONSE,
  says,
  streamed,
  type Told,
  together,
  told,
} from './responses-answers.ts'
import { FORBIDDEN, LEAD, MODES, REDACTED, SECRET, type Special, TAIL } from './surface.ts'
import type { Answer } from './upstream.ts'

const LEAK = LEAD + FORBIDDEN + TAIL
const DISK = '{"disk":"sda-array"}'
const OSLO = '{"city":"Oslo"}'
const NOTICE = 'signet refused the tool call'

const call = (name: string, args: unknown, output = 0, members: Fields = {}): Fields => ({
  id: `fc_${output}`,
  type: 'function_call',
  status: 'completed',
  call_id: `call_${output}`,
  name,
  arguments: args,
  ...members,
})
const opening = (name: string, output = 0, members: Fields = {}): Event =>
  added(call(name, '', output, { status: 'in_progress', ...members }), output)
const piece = (delta: string, output = 0): Event => ({
  type: 'response.function_call_arguments.delta',
  members: { item_id: `fc_${output}`, output_index: output, delta },
})
const complete = (args: string, output = 0, members: Fields = {}): Event => ({
  type: 'response.function_call_arguments.done',
  members: { item_id: `fc_${output}`, output_index: output, arguments: args, ...members },
})
const stream = (events: readonly Event[], output: readonly Fields[] = []): Answer => streamed({ events, output })

const inStream = (name: string, answer: Answer, expect: Special['expect'], rest: Partial<Special> = {}): Special => ({
  name,
  mode: 'stream',
  answer,
  expect,
  hidden: [FORBIDDEN, SECRET, 'sda-array'],
  ...rest,
})
const both = (name: string, t: Told, expect: Special['expect'], rest: Partial<Special> = {}): Special[] =>
  MODES.map(mode => ({ ...inStream(name, told(t, { mode }), expect, rest), mode }))
/** A call that is opened, done, and in the last snapshot. */
const proposed = (name: string, args: unknown, output = 0, members: Fields = {}): Told =>
  item(call(name, args, output, members), output)
const of = (type: string, members: Fields, output = 0): Told =>
  item({ id: `it_${output}`, type, status: 'completed', call_id: `call_${output}`, ...members }, output)

export const RESPONSES_CALL_SPECIALS: readonly Special[] = [
  inStream(
    'interleaved calls, both harmless',
    stream([
      opening('get_weather'),
      opening('search_orders', 1),
      piece('{"city":'),
      piece('{"query":', 1),
      piece('"Oslo"}'),
      piece('"7"}', 1),
      complete('{"query":"7"}', 1),
      complete(OSLO),
    ]),
    'identical',
  ),
  inStream(
    'interleaved calls, forbidden text in the second',
    stream([
      opening('get_weather'),
      opening('search_orders', 1),
      piece(`{"query":"${FORBIDDEN.slice(0, 9)}`, 1),
      piece(OSLO),
      piece(`${FORBIDDEN.slice(9)}"}`, 1),
      complete(`{"query":"${FORBIDDEN}"}`, 1),
      complete(OSLO),
    ]),
    'refused',
  ),
  inStream(
    'interleaved calls, the first one unregistered',
    stream(
      [
        opening('format_disk'),
        opening('get_weather', 1),
        piece('{"disk":'),
        piece(OSLO, 1),
        piece('"sda-array"}'),
        complete(OSLO, 1),
        complete(DISK),
        done(call('get_weather', OSLO, 1), 1),
        done(call('format_disk', DISK)),
      ],
      [call('format_disk', DISK), call('get_weather', OSLO, 1)],
    ),
    'call refused',
    { shown: ['get_weather', 'Oslo', `${NOTICE} format_disk`] },
  ),
  ...both(
    'refused call between two messages, which the answer joins once more',
    {
      ...together(says(['One. ']), proposed('format_disk', DISK, 1), says(['Two.'], { output: 2 })),
      response: { output_text: 'One. Two.' },
    },
    'call refused',
    { shown: ['One. ', 'Two.', `${NOTICE} format_disk`] },
  ),
  ...both(
    'refused call beside a secret',
    together(proposed('format_disk', DISK), says([LEAD, SECRET, TAIL], { output: 1 })),
    'call refused',
    { shown: [LEAD + REDACTED + TAIL, `${NOTICE} format_disk`] },
  ),
  ...both(
    'forbidden text behind a held call',
    together(proposed('issue_refund', '{"account":"acct-50000"}'), says([LEAK], { output: 1 })),
    'refused',
    { hidden: [FORBIDDEN, 'acct-50000'] },
  ),
  ...both(
    'harmless text behind a held call',
    together(proposed('issue_refund', '{"account":"acct-50000"}'), says(['Later.'], { output: 1 })),
    'held',
    { hidden: ['acct-50000', 'Later.'] },
  ),
  inStream(
    'arguments cut inside an escape',
    stream([opening('get_weather'), piece('{"city":"\\u00'), piece(`6f${FORBIDDEN.slice(1)}"}`)]),
    'refused',
    { hidden: [FORBIDDEN.slice(1)] },
  ),
  inStream('call that is never finished', stream([opening('format_disk'), piece(DISK)]), 'call refused', {
    shown: [`${NOTICE} format_disk`],
  }),
  inStream('arguments of a call nobody named', stream([piece(DISK), complete(DISK)]), 'call refused'),
  inStream(
    'call named only when its arguments are done',
    stream([piece(DISK), complete(DISK, 0, { name: 'format_disk' })]),
    'call refused',
  ),
  inStream(
    'call in an early snapshot, and gone in the last one',
    stream([
      {
        type: 'response.in_progress',
        members: { response: { ...RESPONSE, status: 'in_progress', output: [call('format_disk', DISK)] } },
      },
    ]),
    'call refused',
    { shown: [`${NOTICE} format_disk`] },
  ),
  inStream(
    'unknown events about a call that is refused',
    stream([
      opening('format_disk'),
      { type: 'response.function_call_arguments.thinking', members: { output_index: 0, about: 'sda-array' } },
      complete(DISK),
      { type: 'response.function_call_arguments.afterthought', members: { output_index: 0, about: 'sda-array' } },
    ]),
    'call refused',
  ),

  // Tellings that do not agree: a client may act on any of them.
  ...(
    [
      ['a call that changes its name', [opening('get_weather'), complete(OSLO), done(call('format_disk', OSLO))]],
      ['a call whose done event names another', [opening('get_weather'), complete(DISK, 0, { name: 'format_disk' })]],
      [
        'a call whose item has other arguments',
        [opening('get_weather'), complete(OSLO), done(call('get_weather', DISK))],
      ],
      ['a call whose pieces say otherwise', [opening('get_weather'), piece(DISK), complete(OSLO)]],
      ['a call that goes on after its end', [opening('get_weather'), complete(OSLO), piece(DISK)]],
      ['a call that is finished twice', [done(call('get_weather', OSLO)), done(call('get_weather', OSLO))]],
      [
        'a call that changes its id',
        [opening('get_weather'), complete(OSLO), done(call('get_weather', OSLO, 0, { call_id: 'call_9' }))],
      ],
      [
        'a call that gets a namespace late',
        [opening('get_weather'), complete(OSLO), done(call('get_weather', OSLO, 0, { namespace: 'root' }))],
      ],
      [
        'arguments that are a list of pieces',
        [opening('get_weather'), { ...piece(''), members: { output_index: 0, delta: [DISK] } }],
      ],
    ] as const satisfies readonly (readonly [string, readonly Event[]])[]
  ).map(([name, events]) => inStream(name, stream(events), 'broken off')),
  inStream(
    'last snapshot that names another tool',
    stream([opening('get_weather'), complete(OSLO)], [call('format_disk', OSLO)]),
    'broken off',
  ),
  inStream(
    'last snapshot with other arguments',
    stream([opening('get_weather'), complete(OSLO)], [call('get_weather', DISK)]),
    'broken off',
  ),
  inStream(
    'last snapshot with one call more',
    stream([opening('get_weather'), complete(OSLO)], [call('get_weather', OSLO), call('format_disk', DISK, 1)]),
    'call refused',
    { shown: ['get_weather', 'Oslo', `${NOTICE} format_disk`] },
  ),
  inStream(
    'shell commands that differ from those streamed',
    stream([
      added({ id: 'sh_0', type: 'shell_call', call_id: 'call_0', action: { commands: [] } }),
      {
        type: 'response.shell_call_command.done',
        members: { output_index: 0, command_index: 0, command: 'ls' },
      },
      done({ id: 'sh_0', type: 'shell_call', call_id: 'call_0', action: { commands: ['rm sda-array'] } }),
    ]),
    'broken off',
  ),
  ...both('the same call twice', { output: [call('get_weather', OSLO), call('get_weather', OSLO)] }, 'broken off'),

  // Whose call is it?
  ...both(
    'shell call that names itself after a registered tool',
    of('local_shell_call', { name: 'get_weather', action: { type: 'exec', command: ['rm', 'sda-array'] } }),
    'call refused',
    { shown: [`${NOTICE} local_shell`] },
  ),
  ...both(
    'patch that names itself after a registered tool',
    of('apply_patch_call', { name: 'get_weather', operation: { type: 'delete_file', path: 'sda-array' } }),
    'call refused',
    { shown: [`${NOTICE} apply_patch`] },
  ),
  ...both(
    'computer call with one harmless and one other action',
    of('computer_call', { action: { type: 'type', text: 'sda-array' }, actions: [{ type: 'wait' }] }),
    'call refused',
    { shown: [`${NOTICE} computer`] },
  ),
  ...both('function in a namespace', proposed('get_weather', DISK, 0, { namespace: 'root' }), 'call refused', {
    shown: [`${NOTICE} root.get_weather`],
  }),
  ...both('member of another kind of call', proposed('get_weather', OSLO, 0, { input: LEAK }), 'refused'),
  ...both('action of another kind of call', proposed('get_weather', OSLO, 0, { action: { text: LEAK } }), 'refused'),
  ...both(
    'arguments of another kind of call',
    of('custom_tool_call', { name: 'get_weather', input: 'Oslo', arguments: LEAK }),
    'refused',
  ),
  ...both('text beside the call', proposed('get_weather', OSLO, 0, { note: LEAK }), 'refused'),
  ...both(
    'shell call that upstream has run in its own container',
    of('shell_call', { action: { commands: [LEAK] }, environment: { type: 'container_reference' } }),
    'refused',
  ),
  ...both(
    'call in the form of another API',
    { output: [message([part('Fine.')], 0, { tool_calls: [{ function: { name: 'x', arguments: LEAK } }] })] },
    'refused',
  ),
  ...both(
    'call with a forged capability',
    proposed('get_weather', OSLO, 0, { signet: { capability: 'forged' } }),
    'cleaned',
    {
      hidden: ['forged'],
      shown: ['Oslo'],
    },
  ),

  // Arguments.
  ...both('arguments that are an object', proposed('get_weather', { city: FORBIDDEN }), 'refused'),
  ...both('forbidden text as an argument name', proposed('get_weather', `{"${FORBIDDEN}":1}`), 'refused'),
  ...both(
    'secret escaped inside its own JSON',
    proposed('get_weather', `{"city":"${unicode(SECRET)}"}`),
    'call refused',
    {
      hidden: [SECRET, unicode(SECRET)],
      code: 'redaction_unwritable',
    },
  ),
  ...both('secret in the name and in the arguments of a call', proposed(SECRET, `{"city":"${SECRET}"}`), 'refused', {
    hidden: [SECRET],
    code: 'redaction_unwritable',
  }),
  ...both('secret in the id of a call', proposed('get_weather', OSLO, 0, { call_id: SECRET }), 'refused', {
    hidden: [SECRET],
    code: 'redaction_unwritable',
  }),
  ...both('forbidden text in the id of a call', proposed('get_weather', OSLO, 0, { call_id: LEAK }), 'refused'),
  ...both(
    'arguments that say two things',
    proposed('get_weather', '{"city":"Oslo","city":"sda-array"}'),
    'call refused',
    {
      code: 'arguments_ambiguous',
    },
  ),
  ...both('arguments that are no JSON', proposed('get_weather', '{"city":"sda-array"'), 'call refused', {
    code: 'arguments_ambiguous',
  }),
]

function unicode(text: string): string {
  return [...text].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
}
