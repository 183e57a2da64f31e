/**
 * Test controls. Any OpenAI SDK can pass them: `metadata: { signet_demo: JSON.stringify({ kind: 'html' }) }`.
 * They make the demo model put text in a chosen place, or misbehave in a chosen way.
 */

/** Where a piece of text can hide in an answer. */
export const PLACES = [
  'content',
  'reasoning',
  'refusal',
  'tool_arguments',
  'tool_name',
  'custom_tool',
  'function_call',
  'unknown_field',
  'second_choice',
  'logprobs',
  'envelope',
] as const
export type Place = (typeof PLACES)[number]

/** How an upstream can lie. */
export const FAULTS = [
  /** 200 with an HTML page. */
  'html',
  /** 200 with `application/octet-stream`. */
  'wrong_type',
  /** The right answer without any content type. */
  'no_type',
  /** A JSON body cut in half, with a length that matches the half. */
  'truncated_json',
  /** The connection dies after half of the answer. */
  'die',
  /** The connection dies before any answer. */
  'die_at_once',
  /** 302 to a URL with a user name and password in it. */
  'redirect',
  /** Content without end; `bytes` bounds it. */
  'huge',
  /** A single event without a terminator; `bytes` bounds it. */
  'unterminated',
  /** The head comes after `delayMs`. */
  'slow_headers',
  /** No answer, ever. */
  'hang',
  /** Half an answer, then silence. */
  'hang_mid_stream',
  /** `status` (default 429) with an error in JSON and rate-limit headers. */
  'status',
  /** U+2028, U+2029 and U+0085 inside an event: not line ends (WHATWG server-sent events, section 9.2.6). */
  'u2028',
  /** Lines end in CR LF. */
  'crlf',
  /** Lines end in CR. */
  'cr',
  /** The stream ends without `[DONE]`. */
  'no_done',
  /** One event in the middle is not JSON. */
  'malformed_event',
  /** The last event is malformed and has no terminator. */
  'malformed_tail',
  /** Gzip although identity was asked for. */
  'gzip',
  /** 200 with no body. */
  'empty',
  /** 200 with a JSON array. */
  'array',
  /** Bytes that are not UTF-8 in the middle of the answer. */
  'not_utf8',
  /** One network write per byte. */
  'byte_by_byte',
] as const
export type FaultKind = (typeof FAULTS)[number]

export interface Scenario {
  /** `plain` follows the script; `place` puts `text` into `place`; `call` proposes `calls`; the rest are faults. */
  readonly kind: 'plain' | 'place' | 'call' | FaultKind
  /** What is said instead of the script's answer, or put in the place. */
  readonly text?: string
  readonly place?: Place
  readonly calls?: readonly { readonly name: string; readonly arguments: string }[]
  /** Characters per streamed piece, of text and of arguments. */
  readonly chunk?: number
  /** Before each streamed piece, and before the head for `slow_headers`. */
  readonly delayMs?: number
  readonly status?: number
  readonly bytes?: number
}

export const PLAIN: Scenario = { kind: 'plain' }

/** A scenario, or what is wrong with it. */
export function readScenario(metadata: unknown): Scenario | string {
  if (typeof metadata !== 'object' || metadata === null || !('signet_demo' in metadata)) return PLAIN
  const given = metadata.signet_demo
  let value: unknown = given
  if (typeof given === 'string') {
    try {
      value = JSON.parse(given)
    } catch {
      return 'metadata.signet_demo is not JSON'
    }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'metadata.signet_demo: expected an object'
  }
  const fields = new Map<string, unknown>(Object.entries(value))
  const kind = KINDS.find(known => known === (fields.get('kind') ?? 'plain'))
  if (kind === undefined) return `metadata.signet_demo.kind: expected one of ${KINDS.join(', ')}`
  const place = PLACES.find(known => known === (fields.get('place') ?? 'content'))
  if (place === undefined) return `metadata.signet_demo.place: expected one of ${PLACES.join(', ')}`
  const text = fields.get('text')
  if (text !== undefined && typeof text !== 'string') return 'metadata.signet_demo.text: expected a string'
  const calls = readCalls(fields.get('calls'))
  if (typeof calls === 'string') return calls
  const numbers: { chunk?: number; delayMs?: number; status?: number; bytes?: number } = {}
  for (const [name, max] of [
    ['chunk', 1e6],
    ['delayMs', 60_000],
    ['status', 599],
    ['bytes', 2 ** 33],
  ] as const) {
    const number = fields.get(name)
    if (number === undefined) continue
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0 || number > max) {
      return `metadata.signet_demo.${name}: expected a whole number up to ${String(max)}`
    }
    numbers[name] = number
  }
  return { kind, place, ...(text === undefined ? {} : { text }), ...(calls === undefined ? {} : { calls }), ...numbers }
}

const KINDS = ['plain', 'place', 'call', ...FAULTS] as const

function readCalls(value: unknown): Scenario['calls'] | string {
  if (value === undefined) return undefined
  if (!Array.isArray(value)) return 'metadata.signet_demo.calls: expected a list'
  const calls: { name: string; arguments: string }[] = []
  for (const item of value as readonly unknown[]) {
    if (typeof item !== 'object' || item === null || !('name' in item) || !('arguments' in item)) {
      return 'metadata.signet_demo.calls: expected { name, arguments } entries'
    }
    const { name, arguments: given } = item
    if (typeof name !== 'string') return 'metadata.signet_demo.calls: expected a name that is a string'
    calls.push({ name, arguments: typeof given === 'string' ? given : JSON.stringify(given) })
  }
  return calls
}
