/** Chat-completions answers in the two modes, from patches: what one event, or the one body, says. */
import type { Place } from './surface.ts'
import type { Answer } from './upstream.ts'

export type Fields = Readonly<Record<string, unknown>>

/** What is put where. `message` is the delta of a stream and the message of a body. */
export interface Patch {
  readonly message?: Fields
  /** The member of the choice that this mode does not use for its message. */
  readonly other?: Fields
  readonly choice?: Fields
  readonly top?: Fields
  /** Lines of the event before its data. */
  readonly lines?: string
}

const TOP = { id: 'chatcmpl-9', created: 1_760_000_000, model: 'm-1', system_fingerprint: 'fp_1' }
const encoder = new TextEncoder()

export function json(value: unknown): string {
  return spelled(JSON.stringify(value))
}

/** JSON text whose escapes have been held back by `escaped`. */
export function spelled(text: string): string {
  return text.replace(ESCAPED, one => {
    const code = (one.codePointAt(0) ?? ESCAPE_BASE) - ESCAPE_BASE
    return `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** A private plane stands for `\uXXXX`: JSON escapes survive the builders this way. */
const ESCAPE_BASE = 0xf0000
const ESCAPED = /[\u{f0000}-\u{f00ff}]/gu
export function escaped(text: string): string {
  return [...text].map(c => String.fromCodePoint(ESCAPE_BASE + (c.codePointAt(0) ?? 0))).join('')
}

export function event(data: unknown, lines = ''): Uint8Array {
  return encoder.encode(`${lines}data: ${typeof data === 'string' ? data : json(data)}\n\n`)
}

export const DONE = event('[DONE]')

export function chunk(choices: readonly Fields[], top: Fields = {}): Fields {
  return { ...TOP, object: 'chat.completion.chunk', choices, ...top }
}

/** Both choices begin; the patches follow in order; both end. */
export function streamed(patches: readonly Patch[], place: Place, finish = 'stop'): Answer {
  const { choice } = place
  const writes: Uint8Array[] = []
  for (const index of [0, 1]) {
    writes.push(event(chunk([{ index, delta: { role: 'assistant', content: '' }, finish_reason: null }])))
  }
  for (const p of patches) {
    const own = { index: choice, delta: p.message ?? {}, ...(p.other === undefined ? {} : { message: p.other }) }
    writes.push(event(chunk([{ ...own, finish_reason: null, ...p.choice }], p.top), p.lines))
  }
  for (const index of [0, 1]) {
    const reason = index === choice ? finish : 'stop'
    writes.push(event(chunk([{ index, delta: {}, finish_reason: reason }])))
  }
  return { contentType: 'text/event-stream', writes: [...writes, DONE] }
}

/** One body in which the patch belongs to `place.choice`. */
export function whole(patch: Patch, place: Place, finish = 'stop'): Answer {
  const choices = [0, 1].map(index => {
    const message: Fields = { role: 'assistant', content: index === place.choice ? null : 'Hello.', refusal: null }
    if (index !== place.choice) return { index, message, logprobs: null, finish_reason: 'stop' }
    return {
      index,
      message: { ...message, ...patch.message },
      ...(patch.other === undefined ? {} : { delta: patch.other }),
      logprobs: null,
      finish_reason: finish,
      ...patch.choice,
    }
  })
  const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }
  const body = { ...TOP, object: 'chat.completion', choices, usage, ...patch.top }
  return { contentType: 'application/json', writes: [encoder.encode(json(body))] }
}
