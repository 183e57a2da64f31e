/** From a right answer to a wrong one: each lie an upstream can tell, as plain data for the server to send. */
import { gzipSync } from 'node:zlib'
import type { Rendered } from './render.ts'
import type { Scenario } from './scenario.ts'

export interface Answer {
  /** Wait before the head. */
  readonly delayMs: number
  /** `undefined`: no head at all; `end` says what happens instead. */
  readonly head: { readonly status: number; readonly headers: Readonly<Record<string, string>> } | undefined
  /** Each is one write. */
  readonly pieces: Iterable<Uint8Array>
  /** Wait before each piece. */
  readonly pieceDelayMs: number
  /** `die` breaks the connection, `hang` keeps it open in silence. */
  readonly end: 'end' | 'die' | 'hang'
}

const JSON_TYPE = 'application/json'
const STREAM_TYPE = 'text/event-stream; charset=utf-8'
const HTML = '<!doctype html><title>Sign in</title><p>Please sign in to continue. SECRET//NOFORN</p>'
const DEFAULT_BYTES = 64 * 1024 * 1024

export function answerOf(rendered: Rendered, stream: boolean, scenario: Scenario): Answer {
  const pieces = stream ? rendered.events.map(data => bytes(`data: ${data}\n\n`)) : [bytes(rendered.body)]
  const right = whole(stream ? STREAM_TYPE : JSON_TYPE, pieces, stream, stream ? (scenario.delayMs ?? 0) : 0)
  switch (scenario.kind) {
    case 'plain':
    case 'place':
    case 'call':
      return right
    case 'html':
      return whole('text/html; charset=utf-8', [bytes(HTML)], false)
    case 'wrong_type':
      return withHeaders(right, { 'content-type': 'application/octet-stream' })
    case 'no_type':
      return { ...right, head: { status: 200, headers: withoutType(right) } }
    case 'truncated_json':
      return whole(JSON_TYPE, [half(bytes(rendered.body))], false)
    case 'die':
      // The unary head has promised the whole length by now.
      return { ...right, pieces: firstHalf(pieces), end: 'die' }
    case 'hang_mid_stream':
      return { ...right, pieces: firstHalf(pieces), end: 'hang' }
    case 'die_at_once':
      return { ...right, head: undefined, pieces: [], end: 'die' }
    case 'hang':
      return { ...right, head: undefined, pieces: [], end: 'hang' }
    case 'slow_headers':
      return { ...right, delayMs: scenario.delayMs ?? 1_000 }
    case 'redirect':
      return withHeaders(whole(JSON_TYPE, [], false), { location: 'https://user:pass@elsewhere.example:8443/v1' }, 302)
    case 'status':
      return errorAnswer(scenario.status ?? 429)
    case 'huge':
      return { ...right, head: openHead(stream), pieces: endless(stream, scenario.bytes ?? DEFAULT_BYTES) }
    case 'unterminated':
      return { ...right, head: openHead(true), pieces: unterminated(scenario.bytes ?? DEFAULT_BYTES) }
    case 'u2028':
      if (!stream) return whole(JSON_TYPE, [bytes(withSeparators(rendered.body))], false)
      return { ...right, pieces: rendered.events.map(data => bytes(`data: ${withSeparators(data)}\n\n`)) }
    case 'crlf':
      if (!stream) return right
      return { ...right, pieces: rendered.events.map(data => bytes(`data: ${data}\r\n\r\n`)) }
    case 'cr':
      if (!stream) return right
      return { ...right, pieces: rendered.events.map(data => bytes(`data: ${data}\r\r`)) }
    case 'no_done':
      if (!stream) return right
      return { ...right, pieces: pieces.slice(0, -1) }
    case 'malformed_event':
      if (!stream) return whole(JSON_TYPE, [bytes('{"choices": [SECRET//NOFORN')], false)
      return {
        ...right,
        pieces: pieces.toSpliced(pieces.length >> 1, 0, bytes('data: {"choices": [SECRET//NOFORN\n\n')),
      }
    case 'malformed_tail':
      if (!stream) return whole(JSON_TYPE, [bytes(`${rendered.body}SECRET//NOFORN`)], false)
      return { ...right, pieces: [...pieces.slice(0, -1), bytes('data: {"choices": [SECRET//NOFORN')] }
    case 'gzip': {
      const body = gzipSync(Buffer.concat(pieces))
      return withHeaders(whole(stream ? STREAM_TYPE : JSON_TYPE, [body], false), { 'content-encoding': 'gzip' })
    }
    case 'empty':
      return whole(stream ? STREAM_TYPE : JSON_TYPE, [], false)
    case 'array':
      return whole(JSON_TYPE, [bytes('[1,2,3]')], false)
    case 'not_utf8': {
      const bad = new Uint8Array([...bytes('data: {"note":"'), 0xc3, 0x28, ...bytes('"}\n\n')])
      return stream ? { ...right, pieces: pieces.toSpliced(1, 0, bad) } : whole(JSON_TYPE, [bad.subarray(6, -2)], false)
    }
    case 'byte_by_byte':
      return { ...right, pieces: singleBytes(pieces) }
  }
}

export function errorAnswer(status: number, message = 'the demo model was asked to fail', type = 'demo_error'): Answer {
  const body = bytes(JSON.stringify({ error: { message, type, param: null, code: null } }))
  return withHeaders(
    whole(JSON_TYPE, [body], false),
    {
      'x-request-id': 'req_demo',
      'retry-after': '7',
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '0',
      'set-cookie': 'session=secret',
    },
    status,
  )
}

export function jsonAnswer(value: unknown): Answer {
  return whole(JSON_TYPE, [bytes(JSON.stringify(value))], false)
}

/** Unary answers state their length; streams are chunked. */
function whole(type: string, pieces: readonly Uint8Array[], chunked: boolean, pieceDelayMs = 0): Answer {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const headers = {
    'content-type': type,
    'x-request-id': 'req_demo',
    'openai-processing-ms': '1',
    ...(chunked ? { 'cache-control': 'no-cache' } : { 'content-length': String(length) }),
  }
  return { delayMs: 0, head: { status: 200, headers }, pieces, pieceDelayMs, end: 'end' }
}

function withHeaders(
  answer: Answer,
  more: Readonly<Record<string, string>>,
  status = answer.head?.status ?? 200,
): Answer {
  return { ...answer, head: { status, headers: { ...answer.head?.headers, ...more } } }
}

function withoutType(answer: Answer): Readonly<Record<string, string>> {
  const { 'content-type': _, ...rest } = answer.head?.headers ?? {}
  return rest
}

function openHead(stream: boolean) {
  return { status: 200, headers: { 'content-type': stream ? STREAM_TYPE : JSON_TYPE } }
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'utf8')
}

function half(body: Uint8Array): Uint8Array {
  return body.subarray(0, body.length >> 1)
}

/** Half of the events, or half of the one body. */
function firstHalf(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  const [only] = pieces
  return pieces.length === 1 && only !== undefined ? [half(only)] : pieces.slice(0, pieces.length >> 1)
}

/** Inside every string value of the event: legal JSON, and no line end to an event stream. */
function withSeparators(data: string): string {
  return data.replace(/"content":"(?=[^"])/g, '"content":"\u2028\u2029\u0085')
}

function* endless(stream: boolean, total: number): Generator<Uint8Array> {
  const filler = 'x'.repeat(16_000)
  const open =
    '{"id":"chatcmpl-demo","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"'
  const piece = bytes(
    stream
      ? `data: {"id":"chatcmpl-demo","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"${filler}"},"finish_reason":null}]}\n\n`
      : filler,
  )
  if (!stream) yield bytes(open)
  for (let sent = 0; sent < total; sent += piece.length) yield piece
  yield bytes(stream ? 'data: [DONE]\n\n' : '"},"finish_reason":"stop"}]}')
}

function* unterminated(total: number): Generator<Uint8Array> {
  const piece = bytes('x'.repeat(16_000))
  yield bytes('data: {"choices":[{"index":0,"delta":{"content":"')
  for (let sent = 0; sent < total; sent += piece.length) yield piece
}

function* singleBytes(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at++) yield piece.subarray(at, at + 1)
  }
}
