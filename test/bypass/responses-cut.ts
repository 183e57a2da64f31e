/** One text of a Responses answer, cut into events in any way. */
import { type Event, message, part, says, streamed, type Told } from './responses-answers.ts'
import type { Answer } from './upstream.ts'

const PLACE = { item_id: 'msg_0', output_index: 0, content_index: 0 }
const event = (type: string, members: Event['members']): Event => ({ type, ...(members && { members }) })
const pieces = (type: string, texts: readonly string[]): Event[] => texts.map(delta => event(type, { ...PLACE, delta }))

/** Content in pieces and in snapshots, in pieces of many parts, and text of an event nobody knows. */
const TOLD: Readonly<Record<string, (texts: readonly string[]) => Told>> = {
  'response.output_text.delta': texts => says(texts),
  'response.output_text.delta by part': texts => ({
    events: texts.map((delta, i) => event('response.output_text.delta', { ...PLACE, content_index: i, delta })),
    output: [message(texts.map(t => part(t)))],
  }),
  'response.reasoning_summary_text.delta': texts => ({
    events: pieces('response.reasoning_summary_text.delta', texts),
  }),
  'response.refusal.delta': texts => ({ events: pieces('response.refusal.delta', texts) }),
  'response.dream.delta': texts => ({ events: pieces('response.dream.delta', texts) }),
}

export const RESPONSES_CUT = {
  surface: 'responses',
  fields: Object.keys(TOLD),
  stream: (field: string, texts: readonly string[]): Answer => streamed(TOLD[field]?.(texts) ?? {}),
  of: (one: unknown, field: string): string | undefined => {
    const { type, delta } = one as { readonly type: string; readonly delta?: string }
    return type === field.split(' ')[0] ? delta : undefined
  },
}
