/** Every text carrier of text completions, and how a model would speak through it. */
import { type Patch, streamed, whole } from './completions-answers.ts'
import type { Place, TextBuilder } from './surface.ts'

interface Shape {
  readonly redaction?: TextBuilder['redaction']
  readonly perChoice?: boolean
  readonly joins?: boolean
  readonly json?: boolean
  readonly channel: RegExp
  readonly before?: string
}

/** `patch` is asked for one piece at a time in a stream, and for all of them in a body. */
function text(patch: (pieces: readonly string[], place: Place) => Patch, shape: Shape): TextBuilder {
  return {
    answer: (pieces, place) =>
      place.mode === 'stream'
        ? streamed(
            pieces.map(piece => patch([piece], place)),
            place,
          )
        : whole(patch(pieces, place), place),
    redaction: shape.redaction ?? 'redacted',
    perChoice: shape.perChoice ?? true,
    joins: shape.joins ?? true,
    json: shape.json ?? true,
    channel: shape.channel,
    before: shape.before ?? '',
  }
}

const at = (path: string) => new RegExp(`^/choices/[01]/${path}$`)
const constant = (name: string) => ({ joins: false, channel: at(`${name}#[0-9]+`) })
const top = (name: string) => ({ perChoice: false, joins: false, channel: new RegExp(`^/${name}#`) })
const line = (name: string) => ({ perChoice: false, joins: false, json: false, channel: new RegExp(`^:${name}#`) })

/** The writer drops what spells the text once more. */
const twin = (path: string) => ({ redaction: 'dropped' as const, channel: at(path) })

const bytesOf = (text: string) => [...new TextEncoder().encode(text)]
const logprobs = (fields: object): Patch => ({ choice: { logprobs: fields } })
const token = (fields: object) => ({ token: '?', logprob: -0.1, bytes: null, top_logprobs: [], ...fields })

export const COMPLETIONS_TEXT: Readonly<Record<string, TextBuilder>> = {
  text: text(p => ({ choice: { text: p.join('') } }), { channel: at('text') }),
  'logprobs.tokens[]': text(
    p => logprobs({ tokens: p, token_logprobs: p.map(() => -0.1), top_logprobs: null }),
    twin('logprobs/tokens/\\*'),
  ),
  'logprobs.top_logprobs[] key': text(
    p => logprobs({ tokens: p.map(() => '?'), top_logprobs: p.map(piece => ({ [piece]: -0.1 })) }),
    twin('logprobs/top_logprobs/0'),
  ),
  'logprobs.content[].token': text(
    p => logprobs({ content: p.map(piece => token({ token: piece })) }),
    twin('logprobs/content/\\*/token'),
  ),
  'logprobs.content[].bytes': text(p => logprobs({ content: p.map(piece => token({ bytes: bytesOf(piece) })) }), {
    ...twin('logprobs/content/\\*/bytes/\\*'),
    json: false,
  }),
  'prompt_logprobs[] key': text(
    p => ({ choice: { prompt_logprobs: [null, ...p.map(piece => ({ [piece]: { logprob: -0.1, rank: 1 } }))] } }),
    twin('prompt_logprobs/0'),
  ),
  'prompt_logprobs[].decoded_token': text(
    p => ({ choice: { prompt_logprobs: p.map(piece => ({ '?': { logprob: -0.1, decoded_token: piece } })) } }),
    twin('prompt_logprobs/0/~value/decoded_token'),
  ),
  'token_ids that spell text': text(p => ({ choice: { token_ids: bytesOf(p.join('')) } }), {
    ...twin('token_ids/\\*'),
    json: false,
  }),
  id: text(p => ({ top: { id: p.join('') } }), top('id')),
  model: text(p => ({ top: { model: p.join('') } }), top('model')),
  system_fingerprint: text(p => ({ top: { system_fingerprint: p.join('') } }), top('system_fingerprint')),
  object: text(p => ({ top: { object: p.join('') } }), top('object')),
  finish_reason: text(p => ({ choice: { finish_reason: p.join('') } }), constant('finish_reason')),
  stop_reason: text(p => ({ choice: { stop_reason: p.join('') } }), constant('stop_reason')),
  'error.message': text(p => ({ top: { error: { message: p.join(''), type: 'server_error' } } }), {
    perChoice: false,
    channel: /^\/error\/message$/,
  }),
  'unknown field': text(p => ({ top: { x_note: p.join('') } }), { perChoice: false, channel: /^\/x_note$/ }),
  'unknown field of the choice': text(p => ({ choice: { x_note: { deep: [{ er: p.join('') }] } } }), {
    channel: at('x_note/deep/\\*/er'),
  }),
  'unknown key': text(p => ({ choice: { [p.join('')]: 1 } }), {
    redaction: 'blocked',
    joins: false,
    channel: at('~key#[0-9]+'),
  }),
  'message of a choice': text(p => ({ choice: { message: { role: 'assistant', content: p.join('') } } }), {
    channel: at('message/content'),
  }),
  obfuscation: text(p => ({ top: { obfuscation: p.join('') } }), top('obfuscation')),
  'comment line': text(p => ({ lines: `: ${p.join('')}\n` }), line('comment')),
  'event line': text(p => ({ lines: `event: ${p.join('')}\n` }), line('event')),
  'id line': text(p => ({ lines: `id: ${p.join('')}\n` }), line('id')),
  'retry line': text(p => ({ lines: `retry: ${p.join('')}\n` }), line('retry')),
  'unknown line': text(p => ({ lines: `x-note: ${p.join('')}\n` }), { ...line('unknown'), before: 'x-note: ' }),
}
