/** Responses answers in the two modes: an item with the events that tell it, and what stands around the items. */
import { spelled } from './chat-answers.ts'
import type { Place } from './surface.ts'
import type { Answer } from './upstream.ts'

export type Fields = Readonly<Record<string, unknown>>

/** An event: its type, its members, and what stands before its data instead of `event: <type>`. */
export interface Event {
  readonly type: string
  readonly members?: Fields
  readonly lines?: string
}

/** What an answer says between its beginning and its end. */
export interface Told {
  readonly events?: readonly Event[]
  readonly output?: readonly Fields[]
  /** Members of the response itself, where it is whole. */
  readonly response?: Fields
  readonly status?: 'completed' | 'incomplete' | 'failed'
  /** The stream ends in these events and never says the response again. */
  readonly ending?: readonly Event[]
}

const encoder = new TextEncoder()

/** JSON text that stands for itself inside a value: its escapes survive. */
const VERBATIM = /"\u{f1000}((?:[^"\\]|\\.)*)"/gu
export function verbatim(text: string): string {
  return `\u{f1000}${text}`
}

export function json(value: unknown): string {
  return spelled(JSON.stringify(value).replace(VERBATIM, (_, inner: string) => JSON.parse(`"${inner}"`) as string))
}

export const RESPONSE = {
  id: 'resp_9',
  object: 'response',
  created_at: 1_760_000_000,
  background: false,
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: {},
  model: 'm-1',
  parallel_tool_calls: true,
  store: true,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [],
  truncation: 'disabled',
}
const USAGE = { input_tokens: 9, output_tokens: 3, total_tokens: 12 }

export function bytesOf(e: Event, number?: number): Uint8Array {
  const sequence = number === undefined ? {} : { sequence_number: number }
  const data = json({ type: e.type, ...sequence, ...e.members })
  return encoder.encode(`${e.lines ?? `event: ${e.type}\n`}data: ${data}\n\n`)
}

export const BEGINNING: readonly Event[] = ['created', 'in_progress'].map(status => ({
  type: `response.${status}`,
  members: { response: { ...RESPONSE, status: 'in_progress', output: [] } },
}))

export function ending(told: Told): Event {
  const status = told.status ?? 'completed'
  const response = { ...RESPONSE, status, output: told.output ?? [], usage: USAGE, ...told.response }
  return { type: `response.${status}`, members: { response } }
}

export function streamed(told: Told): Answer {
  const events = [...BEGINNING, ...(told.events ?? []), ...(told.ending ?? [ending(told)])]
  return { contentType: 'text/event-stream', writes: events.map((e, i) => bytesOf(e, i)) }
}

export function whole(told: Told): Answer {
  const status = told.status ?? 'completed'
  const body = { ...RESPONSE, status, output: told.output ?? [], usage: USAGE, ...told.response }
  return { contentType: 'application/json', writes: [encoder.encode(json(body))] }
}

export function told(t: Told, { mode }: Pick<Place, 'mode'>): Answer {
  return mode === 'stream' ? streamed(t) : whole(t)
}

/** One after another in one answer. */
export function together(...list: readonly Told[]): Told {
  return {
    events: list.flatMap(t => t.events ?? []),
    output: list.flatMap(t => t.output ?? []),
    response: Object.assign({}, ...list.map(t => t.response ?? {})) as Fields,
  }
}

export const part = (text: string, members: Fields = {}): Fields => ({
  type: 'output_text',
  annotations: [],
  logprobs: [],
  text,
  ...members,
})

export const message = (content: readonly unknown[], output = 0, members: Fields = {}): Fields => ({
  id: `msg_${output}`,
  type: 'message',
  status: 'completed',
  role: 'assistant',
  content,
  ...members,
})

export const added = (item: Fields, output = 0): Event => ({
  type: 'response.output_item.added',
  members: { output_index: output, item },
})

export const done = (item: Fields, output = 0): Event => ({
  type: 'response.output_item.done',
  members: { output_index: output, item },
})

/** An item that upstream says whole, when it is done and at the end. */
export function item(fields: Fields, output = 0): Told {
  const open = { id: fields['id'], type: fields['type'], status: 'in_progress' }
  return { events: [added(open, output), done(fields, output)], output: [fields] }
}

export interface Spoken {
  readonly output?: number
  readonly id?: string
  readonly item?: Fields
  readonly part?: Fields
  /** Members of the delta of a piece. */
  readonly delta?: (piece: string) => Fields
}

/** A message as the API streams it: item, part, pieces, then each of them whole. */
export function says(pieces: readonly string[], spoken: Spoken = {}): Told {
  const { output = 0 } = spoken
  const id = spoken.id ?? `msg_${output}`
  const text = pieces.join('')
  const full = message([part(text, spoken.part)], output, { id, ...spoken.item })
  const place = { item_id: id, output_index: output, content_index: 0 }
  const logprobs = spoken.part?.['logprobs'] ?? []
  return {
    events: [
      added({ ...full, status: 'in_progress', content: [] }, output),
      { type: 'response.content_part.added', members: { ...place, part: part('') } },
      ...pieces.map(
        (piece): Event => ({
          type: 'response.output_text.delta',
          members: { ...place, delta: piece, logprobs: [], ...spoken.delta?.(piece) },
        }),
      ),
      { type: 'response.output_text.done', members: { ...place, text, logprobs } },
      { type: 'response.content_part.done', members: { ...place, part: part(text, spoken.part) } },
      done(full, output),
    ],
    output: [full],
  }
}
