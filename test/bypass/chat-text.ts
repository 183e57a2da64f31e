/** Every text carrier of chat completions, and how a model would speak through it. */
import { type Patch, streamed, whole } from './chat-answers.ts'
import type { Place, TextBuilder } from './surface.ts'

interface Shape {
  readonly redaction?: TextBuilder['redaction']
  readonly perChoice?: boolean
  readonly joins?: boolean
  readonly json?: boolean
  readonly channel: RegExp
  readonly before?: string
  readonly finish?: string
  readonly harmless?: readonly string[]
  readonly tools?: readonly string[]
}

/** `patch` is asked for one piece at a time in a stream, and for all of them in a body. */
function text(patch: (pieces: readonly string[], place: Place) => Patch, shape: Shape): TextBuilder {
  return {
    answer: (pieces, place) =>
      place.mode === 'stream'
        ? streamed(
            pieces.map(piece => patch([piece], place)),
            place,
            shape.finish,
          )
        : whole(patch(pieces, place), place, shape.finish),
    redaction: shape.redaction ?? 'redacted',
    perChoice: shape.perChoice ?? true,
    joins: shape.joins ?? true,
    json: shape.json ?? true,
    channel: shape.channel,
    before: shape.before ?? '',
    ...(shape.harmless === undefined ? {} : { harmless: shape.harmless }),
    ...(shape.tools === undefined ? {} : { tools: shape.tools }),
  }
}

const at = (path: string) => new RegExp(`^/choices/[01]/(delta|message)/${path}$`)
const top = (name: string) => ({ perChoice: false, joins: false, channel: new RegExp(`^/${name}#`) })
const line = (name: string) => ({ perChoice: false, joins: false, json: false, channel: new RegExp(`^:${name}#`) })

const encoder = new TextEncoder()

/** Bytes do not respect characters: what a piece begins, the next token may end. */
function tokens(pieces: readonly string[], entry: (piece: string) => object): Patch {
  return { choice: { logprobs: { content: pieces.map(entry), refusal: null } } }
}

const token = (piece: string) => ({ token: piece, logprob: -0.1, bytes: null, top_logprobs: [] })
const calling = (call: object): Patch => ({
  message: { tool_calls: [{ index: 0, id: 'call_1', type: 'function', ...call }] },
})
const harmlessCall = { name: 'get_weather', arguments: '{}' }

export const CHAT_TEXT: Readonly<Record<string, TextBuilder>> = {
  content: text(p => ({ message: { content: p.join('') } }), { channel: at('content') }),
  'content[].text': text(p => ({ message: { content: p.map(t => ({ type: 'text', text: t })) } }), {
    channel: at('content'),
  }),
  refusal: text(p => ({ message: { refusal: p.join('') } }), { channel: at('refusal') }),
  reasoning: text(p => ({ message: { reasoning: p.join('') } }), { channel: at('reasoning') }),
  reasoning_content: text(p => ({ message: { reasoning_content: p.join('') } }), { channel: at('reasoning_content') }),
  'reasoning_details[].text': text(
    p => ({ message: { reasoning_details: p.map(t => ({ type: 'reasoning.text', text: t, index: 0 })) } }),
    { channel: at('reasoning_details/\\*/text') },
  ),
  'reasoning_details[].summary': text(
    p => ({ message: { reasoning_details: p.map(t => ({ type: 'reasoning.summary', summary: t, index: 0 })) } }),
    { channel: at('reasoning_details/\\*/summary') },
  ),
  thinking: text(p => ({ message: { thinking: p.join('') } }), { channel: at('thinking') }),
  'audio.transcript': text(p => ({ message: { audio: { id: 'audio_1', transcript: p.join('') } } }), {
    channel: at('audio/transcript'),
  }),
  'logprobs.content[].token': text(p => tokens(p, token), {
    redaction: 'dropped',
    channel: /^\/choices\/[01]\/logprobs\/content\/\*\/token$/,
  }),
  'logprobs.content[].bytes': text(p => tokens(p, piece => ({ ...token('?'), bytes: [...encoder.encode(piece)] })), {
    redaction: 'dropped',
    json: false,
    channel: /^\/choices\/[01]\/logprobs\/content\/\*\/bytes\/\*$/,
  }),
  'logprobs.content[].top_logprobs[].token': text(
    p => tokens(p, piece => ({ ...token('?'), top_logprobs: [token('!'), token(piece)] })),
    { redaction: 'dropped', channel: /^\/choices\/[01]\/logprobs\/content\/\*\/top_logprobs\/1\/token$/ },
  ),
  annotations: text(
    p => ({
      message: { annotations: p.map(t => ({ type: 'url_citation', url_citation: { title: t, start_index: 0 } })) },
    }),
    { channel: at('annotations/\\*/url_citation/title') },
  ),
  id: text(p => ({ top: { id: p.join('') } }), top('id')),
  model: text(p => ({ top: { model: p.join('') } }), top('model')),
  system_fingerprint: text(p => ({ top: { system_fingerprint: p.join('') } }), top('system_fingerprint')),
  object: text(p => ({ top: { object: p.join('') } }), top('object')),
  role: text(p => ({ message: { role: p.join('') } }), { joins: false, channel: at('role#[0-9]+') }),
  finish_reason: text(p => ({ choice: { finish_reason: p.join('') } }), {
    joins: false,
    channel: /^\/choices\/[01]\/finish_reason#/,
  }),
  'error.message': text(p => ({ top: { error: { message: p.join(''), type: 'server_error' } } }), {
    perChoice: false,
    channel: /^\/error\/message$/,
  }),
  'unknown field': text(p => ({ top: { x_note: p.join('') } }), { perChoice: false, channel: /^\/x_note$/ }),
  'unknown field of the message': text(p => ({ message: { x_note: { deep: [{ er: p.join('') }] } } }), {
    channel: at('x_note/deep/\\*/er'),
  }),
  'unknown key': text(p => ({ message: { [p.join('')]: 1 } }), {
    redaction: 'blocked',
    joins: false,
    channel: at('~key#[0-9]+'),
  }),
  'other message of the choice': text(p => ({ other: { content: p.join('') } }), { channel: at('content') }),
  'tool_calls[].id': text(p => calling({ id: p.join(''), function: harmlessCall }), {
    redaction: 'blocked',
    joins: false,
    finish: 'tool_calls',
    channel: /^call/,
  }),
  'tool_calls[].function.name': text(p => calling({ function: { name: p.join(''), arguments: '' } }), {
    redaction: 'blocked',
    harmless: ['get_', 'weather'],
    tools: [],
    finish: 'tool_calls',
    channel: /^call/,
  }),
  'tool_calls[].function.description': text(
    p => calling({ function: { ...harmlessCall, arguments: '', description: p.join('') } }),
    { finish: 'tool_calls', channel: at('tool_calls/\\*/function/description') },
  ),
  obfuscation: text(p => ({ top: { obfuscation: p.join('') } }), top('obfuscation')),
  'comment line': text(p => ({ lines: `: ${p.join('')}\n` }), line('comment')),
  'event line': text(p => ({ lines: `event: ${p.join('')}\n` }), line('event')),
  'id line': text(p => ({ lines: `id: ${p.join('')}\n` }), line('id')),
  'retry line': text(p => ({ lines: `retry: ${p.join('')}\n` }), line('retry')),
  'unknown line': text(p => ({ lines: `x-note: ${p.join('')}\n` }), { ...line('unknown'), before: 'x-note: ' }),
}
