/** For tests of the Responses dialect: reading bytes in any cutting, and building events and requests. */

import { readFileSync } from 'node:fs'
import { BREAK } from '../core/break.ts'
import type { Edit, Fault, Frame, Part, RequestView, ToolCall } from '../core/wire.ts'
import { responsesDialect } from './responses.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const bytes = (text: string): Uint8Array => encoder.encode(text)
export const text = (raw: Uint8Array): string => decoder.decode(raw)

export function load(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`testdata/responses/${name}`, import.meta.url)))
}

export function request(body: object = {}): RequestView {
  const v = responsesDialect.readRequest(bytes(JSON.stringify({ model: 'm', input: 'hi', stream: true, ...body })))
  if ('code' in v) throw new Error(`the test request is refused: ${v.code} ${v.message}`)
  return v
}

/** Reads an answer that arrives in pieces cut at `cuts`. */
export function read(
  answer: Uint8Array,
  cuts: readonly number[] = [],
  options: { readonly type?: string; readonly status?: number } = {},
): readonly (Frame | Fault)[] {
  const type = options.type ?? 'text/event-stream'
  const reader = responsesDialect.openResponse(request(), options.status ?? 200, type)
  if ('code' in reader) return [reader]
  const out: (Frame | Fault)[] = []
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    for (const item of reader.push(answer.subarray(from, cut))) out.push(item)
    from = cut
  }
  return out.concat(reader.push(answer.subarray(from)), reader.end())
}

export const stream = (events: string): readonly (Frame | Fault)[] => read(bytes(events))

export function unary(body: unknown, status = 200): readonly (Frame | Fault)[] {
  const answer = typeof body === 'string' ? body : JSON.stringify(body)
  return read(bytes(answer), [], { type: 'application/json', status })
}

export function frames(items: readonly (Frame | Fault)[]): readonly Frame[] {
  return items.filter(item => item.kind === 'frame')
}

export function parts(items: readonly (Frame | Fault)[]): readonly Part[] {
  return frames(items).flatMap(frame => frame.parts)
}

export function calls(items: readonly (Frame | Fault)[]): readonly ToolCall[] {
  return parts(items).flatMap(part => (part.kind === 'callDone' ? [part.call] : []))
}

export function faultCode(items: readonly (Frame | Fault)[]): string | undefined {
  return items.find(item => item.kind === 'fault')?.code
}

/** Everything each channel said, joined as a reader takes it. */
export function channels(items: readonly (Frame | Fault)[]): Record<string, string> {
  const out: Record<string, string> = Object.create(null)
  for (const part of parts(items)) {
    if (part.kind === 'text' && part.text !== '')
      out[part.channel.key] = (out[part.channel.key] ?? '') + part.text.replaceAll(BREAK, '')
  }
  return out
}

/** What was counted as said in channels of that name. */
export function said(items: readonly (Frame | Fault)[], name: string): string {
  return parts(items)
    .map(part =>
      part.kind === 'text' && part.from === 'delta' && part.channel.name === name && part.text !== BREAK
        ? part.text
        : '',
    )
    .join('')
}

export function event(type: string, members: object = {}, sequence?: number): string {
  const number = sequence === undefined ? {} : { sequence_number: sequence }
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...number, ...members })}\n\n`
}

export const delta = (piece: string, output = 0, part = 0): string =>
  event('response.output_text.delta', { item_id: 'msg_1', output_index: output, content_index: part, delta: piece })

export const completed = (output: readonly unknown[] = [], members: object = {}): string =>
  event('response.completed', {
    response: { id: 'resp_1', object: 'response', status: 'completed', output, ...members },
  })

export const functionCall = (members: object = {}): object => ({
  id: 'fc_1',
  type: 'function_call',
  call_id: 'call_1',
  name: 'f',
  arguments: '{}',
  status: 'completed',
  ...members,
})

export const message = (said: string, members: object = {}): object => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text: said, annotations: [] }],
  ...members,
})

export function joined(list: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(list))
}

export interface Wanted {
  readonly refuse?: readonly string[]
  readonly capability?: readonly string[]
  readonly redact?: string
}

export const NOTICE = 'The call was refused by policy.'
export const GONE = '[GONE]'

/** What the pipeline does: edits for the frames that carry the calls and texts concerned; matches may span pieces. */
export function editsOf(list: readonly Frame[], want: Wanted): Edit[][] {
  const texts = new Map<string, { text: string; readonly pieces: { frame: number; part: number; at: number }[] }>()
  const edits: Edit[][] = list.map(() => [])
  list.forEach((f, frame) => {
    f.parts.forEach((part, i) => {
      if (part.kind === 'callPiece') {
        const { key } = part
        if (want.refuse?.includes(key)) edits[frame]?.push({ kind: 'refuse', key, notice: NOTICE })
        if (want.capability?.includes(key)) edits[frame]?.push({ kind: 'capability', key, jws: `jws.of.${key}` })
      } else if (part.kind === 'text' && part.text !== BREAK) {
        const key = part.from === 'delta' ? part.channel.key : `${frame} ${i}`
        const known = texts.get(key) ?? { text: '', pieces: [] }
        known.pieces.push({ frame, part: i, at: known.text.length })
        known.text += part.text
        texts.set(key, known)
      }
    })
  })
  if (want.redact === undefined) return edits
  for (const { text: whole, pieces } of texts.values()) {
    for (let at = whole.indexOf(want.redact); at >= 0; at = whole.indexOf(want.redact, at + want.redact.length)) {
      const end = at + want.redact.length
      pieces.forEach((p, i) => {
        const to = pieces[i + 1]?.at ?? whole.length
        if (p.at >= end || to <= at) return
        const edit = { from: Math.max(at, p.at) - p.at, to: Math.min(end, to) - p.at, text: at >= p.at ? GONE : '' }
        edits[p.frame]?.push({ kind: 'text', part: p.part, edits: [edit] })
      })
    }
  }
  return edits
}

export function write(list: readonly Frame[], want: Wanted = {}): string {
  const writer = responsesDialect.openWriter(request())
  const edits = editsOf(list, want)
  return text(joined(list.map((f, i) => writer.write(f, edits[i] ?? []))))
}
