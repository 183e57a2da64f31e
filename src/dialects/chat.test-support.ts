/** For tests of the chat dialect: reading bytes in any cutting, and building frames and requests. */
import type { Fault, Frame, Part, RequestView } from '../core/wire.ts'
import { chatDialect } from './chat.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function bytes(text: string): Uint8Array {
  return encoder.encode(text)
}

export function text(raw: Uint8Array): string {
  return decoder.decode(raw)
}

export function request(body: object = {}): RequestView {
  const v = chatDialect.readRequest(bytes(JSON.stringify({ model: 'm', messages: [], stream: true, ...body })))
  if ('code' in v) throw new Error(`the test request is refused: ${v.code}`)
  return v
}

/** Reads an answer that arrives in pieces cut at `cuts`. */
export function read(
  answer: Uint8Array,
  cuts: readonly number[] = [],
  options: { readonly type?: string; readonly status?: number; readonly view?: RequestView } = {},
): readonly (Frame | Fault)[] {
  const reader = chatDialect.openResponse(
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

export function stream(events: string, options: Parameters<typeof read>[2] = {}): readonly (Frame | Fault)[] {
  return read(bytes(events), [], options)
}

export function frames(items: readonly (Frame | Fault)[]): readonly Frame[] {
  return items.filter(item => item.kind === 'frame')
}

export function parts(items: readonly (Frame | Fault)[]): readonly Part[] {
  return frames(items).flatMap(frame => frame.parts)
}

export function faultCode(items: readonly (Frame | Fault)[]): string | undefined {
  return items.find(item => item.kind === 'fault')?.code
}

/** Everything each channel said, joined. */
export function channels(items: readonly (Frame | Fault)[]): Record<string, string> {
  const out: Record<string, string> = Object.create(null)
  for (const part of parts(items)) {
    if (part.kind === 'text' && part.text !== '') out[part.channel.key] = (out[part.channel.key] ?? '') + part.text
  }
  return out
}

export function event(body: unknown): string {
  return `data: ${typeof body === 'string' ? body : JSON.stringify(body)}\n\n`
}

export function delta(d: object, finish: string | null = null, index = 0): string {
  return event({ choices: [{ index, delta: d, finish_reason: finish }] })
}

export const DONE = 'data: [DONE]\n\n'

export function joined(list: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(list.reduce((sum, item) => sum + item.length, 0))
  let at = 0
  for (const item of list) {
    out.set(item, at)
    at += item.length
  }
  return out
}
