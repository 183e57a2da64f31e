/**
 * Writes frames back. Without edits, and without an earlier edit that reaches forward, a frame leaves as the very bytes
 * upstream sent. Otherwise its JSON is read again, walked by the reader's own functions, and spliced.
 *
 * A refused call becomes a text block with the notice, at the same index: its start is changed and the notice sent behind
 * it as a delta, its own deltas are left out, its end stays. So positions agree with numbers, and the turn can be echoed.
 * What reaches forward: a refused call (the stop reason), a redacted constant (upstream may repeat it). Thinking that is
 * signed cannot be redacted and throws.
 * State is rebuilt from `frame.parts` alone, so a fresh writer over stored frames and edits writes the same bytes.
 */
import type { TextEdit } from '../core/verdict.ts'
import type { Edit, Frame, Refusal, RequestView, ResponseWriter } from '../core/wire.ts'
import { decodeUtf8, isFault, parseJson } from './json.ts'
import { editObject, encodeString, type Replacement, splice } from './json-edit.ts'
import { MessagesEditWalk } from './messages-edit-walk.ts'
import { type DecodedPiece, JsonStrings } from './messages-json-strings.ts'
import { INPUT_BEGINS, INPUT_JSON, linePointer, TWIN_SIGNED } from './messages-parts.ts'
import { messagesAbort, messagesRefusal } from './messages-refusal.ts'
import { walkEvent, walkMessage } from './messages-walk.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'
import { noticePart, sseComment } from './refusal.ts'
import { dataReplacements, readEvent, type SseEvent } from './sse.ts'

const encoder = new TextEncoder()
const NOTHING = new Uint8Array(0)

interface FrameEdits {
  readonly text: ReadonlyMap<number, readonly TextEdit[]>
  readonly refuse: ReadonlyMap<string, string>
  readonly capability: ReadonlyMap<string, string>
}

export class MessagesWriter implements ResponseWriter {
  readonly #isStream: boolean
  /** Redacted constants: pointer and value, to replacement. */
  readonly #sticky = new Map<string, string>()
  #strings = new JsonStrings()
  #signed = false
  #redactedThinking = false
  #delivered = 0
  #refused = 0
  #isFirst = true

  constructor(v: RequestView) {
    this.#isStream = v.stream
  }

  write(f: Frame, edits: readonly Edit[]): Uint8Array {
    const isFirst = this.#isFirst
    this.#isFirst = false
    const decoded = this.#follow(f, edits)
    const reachesForward = this.#sticky.size > 0 || (this.#refused > 0 && this.#delivered === 0)
    return edits.length > 0 || reachesForward ? this.#rewrite(f, sortEdits(edits), decoded, isFirst) : f.raw
  }

  abort(r: Refusal): Uint8Array {
    return this.#isStream ? messagesAbort(r) : messagesRefusal(r).body
  }

  comment(text: string): Uint8Array {
    return this.#isStream ? sseComment(text) : NOTHING
  }

  /** Takes note of what the parts say. Returns the decoded strings of a streamed input, if the frame has a piece of one. */
  #follow(f: Frame, edits: readonly Edit[]): DecodedPiece | undefined {
    let decoded: DecodedPiece | undefined
    for (let i = 0; i < f.parts.length; i++) {
      const part = f.parts[i]
      if (part?.kind === 'callDone') {
        if (edits.some(edit => edit.kind === 'refuse' && edit.key === part.call.key)) this.#refused++
        else this.#delivered++
      } else if (part?.kind === 'text') {
        if (part.text === '') {
          if (part.channel.key.endsWith(TWIN_SIGNED)) this.#signed = true
          else if (part.channel.key.endsWith(INPUT_BEGINS)) this.#strings = new JsonStrings()
        } else if (part.channel.pointer === INPUT_JSON) decoded = this.#strings.push(part.text)
        if (part.channel.name === 'reasoning' && edits.some(e => e.kind === 'text' && e.part === i)) {
          this.#redactedThinking = true
        }
      }
    }
    if (this.#signed && this.#redactedThinking) throw new RedactionUnwritable('the redacted thinking is signed')
    return decoded
  }

  #rewrite(f: Frame, edits: FrameEdits, decoded: DecodedPiece | undefined, isFirst: boolean): Uint8Array {
    const text = decodeUtf8(f.raw)
    if (text === undefined) throw new RedactionUnwritable('the frame to edit is not UTF-8')
    for (const index of edits.text.keys()) {
      if (f.parts[index]?.kind !== 'text') throw new RedactionUnwritable('a text edit names a part that is not text')
    }
    const walk = new MessagesEditWalk(f, edits.text, this.#sticky, decoded)
    if (!this.#isStream || /^\s*[{[]/.test(text)) {
      const edited = this.#rewriteJson(text, false, walk, edits)
      walk.requireAllPlaced()
      return edited === text ? f.raw : encoder.encode(edited)
    }
    const event = readEvent(f.raw, text, isFirst)
    let replacements: Replacement[] = lineReplacements(event, walk)
    const { data } = event
    if (data !== undefined && data !== '' && data.trim() !== '[DONE]') {
      const edited = this.#rewriteJson(data, true, walk, edits)
      // A piece of a refused call: what it says was in its place is said already.
      if (walk.isDelta && f.parts.some(part => part.kind === 'callPiece' && edits.refuse.has(part.key))) return NOTHING
      if (edited !== data) replacements = replacements.concat(dataReplacements(event, edited))
    }
    walk.requireAllPlaced()
    if (replacements.length === 0) return f.raw
    return encoder.encode(splice(text, replacements) + noticeEvents(walk, edits.refuse))
  }

  #rewriteJson(source: string, isEvent: boolean, walk: MessagesEditWalk, edits: FrameEdits): string {
    const doc = parseJson(source)
    if (isFault(doc)) throw new RedactionUnwritable('the frame to edit is not JSON')
    if (!isEvent) walkMessage(doc.root, source, walk)
    else if (doc.root.kind === 'object') walkEvent(doc.root, source, walk)
    const replacements: Replacement[] = []
    for (const { node, key } of walk.calls) {
      const notice = edits.refuse.get(key)
      const jws = edits.capability.get(key)
      if (notice !== undefined) {
        replacements.push({
          start: node.start,
          end: node.end,
          text: noticePart(walk.startIndex === undefined ? notice : ''),
        })
      } else if (jws !== undefined) {
        const signet = `{"capability":${encodeString(jws)}}`
        replacements.push(...editObject(node, new Set(), new Map([['signet', signet]])))
      }
    }
    for (const reason of walk.reasons) {
      const isMoot = this.#refused > 0 && this.#delivered === 0 && reason.value === 'tool_use'
      if (isMoot && !walk.texts.has(reason.start)) {
        replacements.push({ start: reason.start, end: reason.end, text: '"end_turn"' })
      }
    }
    // Last: inside a block that is replaced, these are moot.
    for (const [start, { end, text }] of walk.texts) replacements.push({ start, end, text: encodeString(text) })
    return splice(source, replacements)
  }
}

/** Behind the start of a block that was a call: what the block says instead. */
function noticeEvents(walk: MessagesEditWalk, refuse: ReadonlyMap<string, string>): string {
  if (walk.startIndex === undefined) return ''
  return walk.calls
    .map(({ key }) => refuse.get(key))
    .filter(notice => notice !== undefined && notice !== '')
    .map(text => {
      const body = { type: 'content_block_delta', index: walk.startIndex, delta: { type: 'text_delta', text } }
      return `event: content_block_delta\ndata: ${JSON.stringify(body)}\n\n`
    })
    .join('')
}

function sortEdits(edits: readonly Edit[]): FrameEdits {
  const text = new Map<number, readonly TextEdit[]>()
  const refuse = new Map<string, string>()
  const capability = new Map<string, string>()
  for (const edit of edits) {
    if (edit.kind === 'text') {
      if (edit.edits.length > 0) text.set(edit.part, [...(text.get(edit.part) ?? []), ...edit.edits])
    } else if (edit.kind === 'refuse') refuse.set(edit.key, edit.notice)
    else capability.set(edit.key, edit.jws)
  }
  return { text, refuse, capability }
}

/** A line's replacement must stay one line. */
function lineReplacements(event: SseEvent, walk: MessagesEditWalk): Replacement[] {
  for (const line of event.otherLines) {
    walk.text('other', linePointer(line.field), line.value, line.from, line.to, 'constant')
  }
  const out: Replacement[] = []
  for (const [start, { end, text }] of walk.texts) out.push({ start, end, text: text.replace(/[\r\n\0]+/g, ' ') })
  walk.texts.clear()
  return out
}
