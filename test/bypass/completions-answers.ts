/** Text-completions answers in the two modes, from patches: what one event, or the one body, says. */
import { DONE, event, type Fields, json } from './chat-answers.ts'
import type { Place } from './surface.ts'
import type { Answer } from './upstream.ts'

/** What is put where. */
export interface Patch {
  readonly choice?: Fields
  readonly top?: Fields
  /** Lines of the event before its data. */
  readonly lines?: string
}

const TOP = { id: 'cmpl-9', object: 'text_completion', created: 1_760_000_000, model: 'm-1' }

export function chunk(choices: readonly Fields[], top: Fields = {}): Fields {
  return { ...TOP, choices, ...top }
}

export const said = (text: string, finish_reason: string | null = null, index = 0) =>
  event(chunk([{ index, text, logprobs: null, finish_reason }]))

/** Both choices begin; the patches follow in order; both end. */
export function streamed(patches: readonly Patch[], { choice }: Place): Answer {
  const writes = [said('', null, 0), said('', null, 1)]
  for (const p of patches) {
    writes.push(
      event(chunk([{ index: choice, text: '', logprobs: null, finish_reason: null, ...p.choice }], p.top), p.lines),
    )
  }
  writes.push(said('', 'stop', 0), said('', 'stop', 1), DONE)
  return { contentType: 'text/event-stream', writes }
}

/** One body in which the patch belongs to `place.choice`. */
export function whole(patch: Patch, place: Place): Answer {
  const choices = [0, 1].map(index => {
    const own = index === place.choice
    return { index, text: own ? '' : 'Hello.', logprobs: null, finish_reason: 'stop', ...(own ? patch.choice : {}) }
  })
  const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }
  return body({ ...chunk(choices), usage, ...patch.top })
}

export function body(value: unknown): Answer {
  return { contentType: 'application/json', writes: [Buffer.from(typeof value === 'string' ? value : json(value))] }
}
