/** For tests of the Messages dialect: reading bytes in any cutting, and building events, frames and requests. */
import { readFileSync } from 'node:fs'
import type { Edit, Fault, Frame, RequestView } from '../core/wire.ts'
import { bytes, faultCode, frames, joined, parts, text } from './chat.test-support.ts'
import { messagesDialect } from './messages.ts'

export { bytes, channels, faultCode, frames, joined, parts, text } from './chat.test-support.ts'

export const NOTICE = 'The call was refused by policy.'

export const load = (name: string) =>
  new Uint8Array(readFileSync(new URL(`testdata/messages/${name}`, import.meta.url)))

export function request(body: object = {}): RequestView {
  const ask = { model: 'm', max_tokens: 64, messages: [{ role: 'user', content: 'hi' }], stream: true, ...body }
  const v = messagesDialect.readRequest(bytes(JSON.stringify(ask)))
  if ('code' in v) throw new Error(`the test request is refused: ${v.code}: ${v.message}`)
  return v
}

/** Reads an answer that arrives in pieces cut at `cuts`. */
export function read(
  answer: Uint8Array,
  cuts: readonly number[] = [],
  options: { readonly type?: string; readonly status?: number; readonly view?: RequestView } = {},
): readonly (Frame | Fault)[] {
  const reader = messagesDialect.openResponse(
    options.view ?? request(),
    options.status ?? 200,
    options.type ?? 'text/event-stream',
  )
  if ('code' in reader) return [reader]
  const out: (Frame | Fault)[] = []
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    for (const item of reader.push(answer.subarray(from, cut))) out.push(item)
    from = cut
  }
  return out.concat(reader.push(answer.subarray(from)), reader.end())
}

export const stream = (events: string) => read(bytes(events))
export const unary = (body: unknown, status = 200) =>
  read(bytes(typeof body === 'string' ? body : JSON.stringify(body)), [], { type: 'application/json', status })

export function event(body: { readonly type: string; readonly [key: string]: unknown }): string {
  return `event: ${body.type}\ndata: ${JSON.stringify(body)}\n\n`
}

export const start = (message: object = {}) =>
  event({
    type: 'message_start',
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 3, output_tokens: 1 },
      ...message,
    },
  })
export const begin = (index: number, content_block: object) =>
  event({ type: 'content_block_start', index, content_block })
export const delta = (index: number, body: object) => event({ type: 'content_block_delta', index, delta: body })
export const say = (index: number, said: string) => delta(index, { type: 'text_delta', text: said })
export const json = (index: number, partial_json: string) => delta(index, { type: 'input_json_delta', partial_json })
export const stop = (index: number) => event({ type: 'content_block_stop', index })
export const finish = (stop_reason = 'end_turn', rest: object = {}) =>
  event({ type: 'message_delta', delta: { stop_reason, stop_sequence: null, ...rest }, usage: { output_tokens: 9 } })
export const END = event({ type: 'message_stop' })
export const textBlock = (index: number, ...said: readonly string[]) =>
  begin(index, { type: 'text', text: '' }) + said.map(s => say(index, s)).join('') + stop(index)
export const toolUse = (index: number, name: string, ...args: readonly string[]) =>
  begin(index, { type: 'tool_use', id: `toolu_${index}`, name, input: {} }) +
  args.map(a => json(index, a)).join('') +
  stop(index)
export const answer = (...events: readonly string[]) => start() + events.join('') + finish() + END

export interface Wanted {
  readonly refuse?: readonly string[]
  readonly capability?: readonly string[]
  readonly redact?: string
}

/** What the pipeline does: edits for the frames that carry the calls and texts concerned. */
export function write(items: readonly Frame[], want: Wanted = {}): string {
  const writer = messagesDialect.openWriter(request())
  return text(joined(items.map(f => writer.write(f, editsFor(f, want)))))
}

function editsFor(f: Frame, want: Wanted): Edit[] {
  return f.parts.flatMap((part, i): Edit[] => {
    if (part.kind === 'text' && want.redact !== undefined && part.text.includes(want.redact)) {
      const from = part.text.indexOf(want.redact)
      return [{ kind: 'text', part: i, edits: [{ from, to: from + want.redact.length, text: '[GONE]' }] }]
    }
    if (part.kind !== 'callPiece') return []
    if (want.refuse?.includes(part.key)) return [{ kind: 'refuse', key: part.key, notice: NOTICE }]
    if (want.capability?.includes(part.key)) return [{ kind: 'capability', key: part.key, jws: `jws.of.${part.key}` }]
    return []
  })
}

export const calls = (items: readonly (Frame | Fault)[]) =>
  parts(items).flatMap(part => (part.kind === 'callDone' ? [part.call] : []))
export const callKeys = (items: readonly (Frame | Fault)[]) => calls(items).map(call => call.key)

/** The frames of an answer that must be read without a fault. */
export function sound(items: readonly (Frame | Fault)[]): readonly Frame[] {
  const code = faultCode(items)
  if (code !== undefined) throw new Error(`the test answer is faulty: ${code}`)
  return frames(items)
}
