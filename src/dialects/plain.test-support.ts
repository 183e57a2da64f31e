/** For tests of the smaller OpenAI surfaces: one dialect read and written in any cutting. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Dialect, Edit, Fault, Frame, RequestView } from '../core/wire.ts'
import { bytes, frames, joined, text } from './chat.test-support.ts'

export interface Reading {
  readonly type?: string
  readonly status?: number
  readonly cuts?: readonly number[]
}

export function surface(dialect: Dialect, smallest: object | undefined) {
  const request = (body: object = {}): RequestView => {
    const raw = smallest === undefined ? '' : JSON.stringify({ ...smallest, ...body })
    const v = dialect.readRequest(bytes(raw))
    if ('code' in v) throw new Error(`the test request is refused: ${v.code} ${v.message}`)
    return v
  }
  /** The code of the fault, or the texts of the segments by pointer. */
  const segments = (body: object): string | Record<string, string> => {
    const v = dialect.readRequest(bytes(JSON.stringify({ ...smallest, ...body })))
    if ('code' in v) return v.code
    return Object.fromEntries(v.segments.map(s => [`${s.role} ${s.pointer}${s.derived ? ' derived' : ''}`, s.text]))
  }
  const read = (answer: Uint8Array | string, o: Reading = {}): readonly (Frame | Fault)[] => {
    const type = o.type ?? 'application/json'
    const whole = typeof answer === 'string' ? bytes(answer) : answer
    const view = { ...request(), stream: type === 'text/event-stream' }
    const reader = dialect.openResponse(view, o.status ?? 200, type)
    if ('code' in reader) return [reader]
    const out: (Frame | Fault)[] = []
    let from = 0
    for (const cut of [...(o.cuts ?? [])].sort((a, b) => a - b)) {
      out.push(...reader.push(whole.subarray(from, cut)))
      from = cut
    }
    return out.concat(reader.push(whole.subarray(from)), reader.end())
  }
  const unary = (body: unknown, status = 200) =>
    read(typeof body === 'string' ? body : JSON.stringify(body), { status })
  /** What the pipeline does with a check that replaces `what` wherever a part holds it whole. */
  const redact = (items: readonly (Frame | Fault)[], what: string, isStream = false): string => {
    const writer = dialect.openWriter({ ...request(), stream: isStream })
    return text(joined(frames(items).map(f => writer.write(f, redactions(f, what)))))
  }
  return { dialect, request, segments, read, unary, redact }
}

export function redactions(f: Frame, what: string): Edit[] {
  return f.parts.flatMap((part, i): Edit[] => {
    const from = part.kind === 'text' ? part.text.indexOf(what) : -1
    return from < 0 ? [] : [{ kind: 'text', part: i, edits: [{ from, to: from + what.length, text: '[GONE]' }] }]
  })
}

const here = (folder: string) => new URL(`testdata/${folder}/`, import.meta.url)

export function golden(folder: string): string[] {
  return readdirSync(here(folder)).filter(name => !name.endsWith('.parts.json'))
}

export function load(folder: string, name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, here(folder))))
}

export function typeOf(name: string): string {
  return name.endsWith('.sse') ? 'text/event-stream' : 'application/json'
}
