/** What a client reads in place of a refused call: an assistant message with one text, under the refused item's index. */
import { encodeString } from './json-edit.ts'

export interface Notice {
  readonly text: string
  readonly id: string
  readonly output: number
  /** The events that say it were written. */
  told: boolean
}

/**
 * The API takes message ids that begin with `msg` and are at most 64 characters; they must differ within an answer and
 * over the turns of a conversation. Made from a fingerprint: an id of upstream's could itself be text to be redacted.
 */
export function noticeId(output: number, callId: string): string {
  return `msg_signet_${output}_${fingerprint(callId, 0x811c9dc5)}${fingerprint(callId, 0x2b992ddf)}`
}

const NOTICE_ID = /^msg_signet_[0-9]{1,9}_[0-9a-f]{16}$/

/**
 * What upstream is told in place of a reference to a notice. Clients that let upstream keep their items name them by id in
 * the next turn, and upstream has never seen this one. What was refused is not kept anywhere: the message says the rest.
 */
export function noticeFor(id: string): string | undefined {
  if (!NOTICE_ID.test(id)) return undefined
  return noticeItem({ text: '[signet refused a tool call]', id, output: 0, told: true })
}

/** FNV-1a: to tell ids apart, not to keep anything secret. */
function fingerprint(text: string, seed: number): string {
  let hash = seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}

export function noticeItem(notice: Notice): string {
  return message(notice, 'completed', `[${part(notice.text)}]`)
}

/** The events of a whole message. `number`: the first one's sequence number, where upstream numbers its events. */
export function noticeEvents(
  notice: Notice,
  number: number | undefined,
  isNamed: boolean,
): { text: string; count: number } {
  const place = `"item_id":${encodeString(notice.id)},"output_index":${notice.output},"content_index":0`
  const text = encodeString(notice.text)
  const events: readonly (readonly [string, string])[] = [
    ['response.output_item.added', `"output_index":${notice.output},"item":${message(notice, 'in_progress', '[]')}`],
    ['response.content_part.added', `${place},"part":${part('')}`],
    ['response.output_text.delta', `${place},"delta":${text},"logprobs":[]`],
    ['response.output_text.done', `${place},"text":${text},"logprobs":[]`],
    ['response.content_part.done', `${place},"part":${part(notice.text)}`],
    ['response.output_item.done', `"output_index":${notice.output},"item":${noticeItem(notice)}`],
  ]
  const lines = events.map(([type, members], i) => {
    const sequence = number === undefined ? '' : `"sequence_number":${number + i},`
    const data = `data: {"type":"${type}",${sequence}${members}}\n\n`
    return isNamed ? `event: ${type}\n${data}` : data
  })
  return { text: lines.join(''), count: events.length }
}

function message(notice: Notice, status: string, content: string): string {
  return `{"id":${encodeString(notice.id)},"type":"message","status":"${status}","role":"assistant","content":${content}}`
}

function part(text: string): string {
  return `{"type":"output_text","annotations":[],"logprobs":[],"text":${encodeString(text)}}`
}
