/**
 * Writes frames back. Without edits, and without an earlier edit that reaches forward, a frame leaves as the very bytes
 * upstream sent. Otherwise its JSON is read again, walked by the reader's own function, and spliced.
 *
 * What reaches forward: a refused call (its later events go, snapshots show the notice in its place, sequence numbers
 * stay contiguous); a redaction (every repetition of the text is redacted alike, log-probabilities go; sound or encrypted
 * reasoning that repeats it cannot be redacted and throws); a capability (every telling of the call carries it).
 * State is rebuilt from `frame.parts` alone, so a fresh writer over stored frames and edits writes the same bytes.
 */
import type { TextEdit } from '../core/verdict.ts'
import type { Edit, Frame, Part, Refusal, RequestView, ResponseWriter } from '../core/wire.ts'
import { type FrameEdits, sortEdits, type TextPart } from './chat-edit-walk.ts'
import { linePointer } from './chat-parts.ts'
import { decodeUtf8, isFault, type JsonObject, member, parseJson } from './json.ts'
import { editObject, editText, encodeString, type Replacement, splice } from './json-edit.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'
import { openAiRefusal, sseComment } from './refusal.ts'
import { abortEvents, responseIdIn } from './responses-abort.ts'
import { readCallKey } from './responses-calls.ts'
import { EditWalk, isLine } from './responses-edit-walk.ts'
import { type Notice, noticeEvents, noticeId, noticeItem } from './responses-notice.ts'
import { TWIN_AUDIO, TWIN_ENCRYPTED } from './responses-parts.ts'
import { SLOT_PREFIX } from './responses-slots.ts'
import { type Mode, walkResponses } from './responses-walk.ts'
import { dataReplacements, readEvent, type SseEvent } from './sse.ts'

const encoder = new TextEncoder()
const NOTHING = new Uint8Array(0)
const NO_EDITS: readonly TextEdit[] = []

interface ReplacedEvent {
  readonly notice: Notice
  readonly number: number | undefined
}

interface Written {
  length: number
  readonly edits: TextEdit[]
}

export class ResponsesWriter implements ResponseWriter {
  readonly #isStream: boolean
  /** Texts that stream, by channel key: how much was written, and what was redacted. */
  readonly #streams = new Map<string, Written>()
  readonly #trees = new Map<string, string>()
  readonly #lines = new Map<string, string>()
  readonly #refused = new Map<string, Notice>()
  readonly #capable = new Map<string, string>()
  #reachesForward = false
  #redacted = false
  #redactedSpoken = false
  #redactedReasoning = false
  #audioTwin = false
  #encryptedTwin = false
  #isFirst = true
  /** How far our sequence numbers are ahead of upstream's. */
  #ahead = 0
  /** The last frame with an event in it, or the number of the last event we made ourselves. */
  #last: Uint8Array | number | undefined
  #sealed = false
  #responseId: string | undefined
  readonly #model: string

  constructor(v: RequestView) {
    this.#isStream = v.stream
    this.#model = v.model
  }

  write(f: Frame, edits: readonly Edit[]): Uint8Array {
    const isFirst = this.#isFirst
    this.#isFirst = false
    for (const part of f.parts) if (part.kind === 'text') this.#meet(part)
    let written = f.raw
    if (edits.length > 0 || this.#reachesForward) {
      const sorted = sortEdits(edits)
      this.#note(f, sorted)
      written = this.#rewrite(f, sorted, isFirst)
    }
    for (const part of f.parts)
      if (part.kind === 'text' && isStreamed(part)) this.#stream(part.channel.key).length += part.text.length
    // A comment numbers nothing.
    if (written === f.raw && written.length > 0 && written[0] !== 0x3a) this.#left(written)
    // Only what has left as upstream sent it may be said again.
    if (written === f.raw && !this.#sealed) this.#responseId ??= responseIdIn(f)
    return written
  }

  abort(r: Refusal): Uint8Array {
    if (!this.#isStream) return openAiRefusal(r).body
    return encoder.encode(abortEvents(r, this.#nextNumber(), this.#model, this.#responseId))
  }

  comment(text: string): Uint8Array {
    return this.#isStream ? sseComment(text) : NOTHING
  }

  seal(): void {
    this.#sealed = true
  }

  #left(what: Uint8Array | number): void {
    if (!this.#sealed) this.#last = what
  }

  #stream(key: string): Written {
    const known = this.#streams.get(key)
    if (known !== undefined) return known
    const made: Written = { length: 0, edits: [] }
    this.#streams.set(key, made)
    return made
  }

  #meet(part: TextPart): void {
    if (part.text !== '') return
    if (part.channel.key.endsWith(TWIN_AUDIO)) this.#audioTwin = true
    else if (part.channel.key.endsWith(TWIN_ENCRYPTED)) this.#encryptedTwin = true
    this.#refuseTwins()
  }

  #refuseTwins(): void {
    if (this.#redactedSpoken && this.#audioTwin) {
      throw new RedactionUnwritable('the redacted text was also sent as sound')
    }
    if (this.#redactedReasoning && this.#encryptedTwin) {
      throw new RedactionUnwritable('the redacted reasoning was also sent encrypted')
    }
  }

  /** What the edits of this frame mean for it and for all that follow. */
  #note(f: Frame, edits: FrameEdits): void {
    if (edits.text.size > 0 || edits.refuse.size > 0 || edits.capability.size > 0) this.#reachesForward = true
    for (const [key, jws] of edits.capability) this.#capable.set(key, jws)
    for (const index of edits.text.keys()) {
      const part = f.parts[index]
      if (part?.kind !== 'text') throw new RedactionUnwritable('a text edit names a part that is not text')
      this.#redacted = true
      if (part.channel.name === 'reasoning') this.#redactedReasoning = true
      else if (part.channel.name === 'content' || part.channel.name === 'transcript') this.#redactedSpoken = true
      this.#refuseTwins()
    }
    if (edits.text.size === 0) return
    // Offsets in the stream: one event may hold several pieces of it.
    const lengths = new Map<string, number>()
    for (let index = 0; index < f.parts.length; index++) {
      const part = f.parts[index]
      if (part?.kind !== 'text' || !isStreamed(part)) continue
      const { key } = part.channel
      const written = this.#stream(key)
      const at = lengths.get(key) ?? written.length
      for (const e of edits.text.get(index) ?? [])
        written.edits.push({ from: at + e.from, to: at + e.to, text: e.text })
      lengths.set(key, at + part.text.length)
    }
  }

  #streamEdits(stream: string, from: number, to: number): readonly TextEdit[] {
    const edits = this.#streams.get(stream)?.edits
    if (edits === undefined || edits.length === 0) return NO_EDITS
    return edits
      .filter(e => e.from < to && e.to > from)
      .map(e => ({ from: Math.max(e.from, from) - from, to: Math.min(e.to, to) - from, text: e.text }))
  }

  #rewrite(f: Frame, edits: FrameEdits, isFirst: boolean): Uint8Array {
    const text = decodeUtf8(f.raw)
    if (text === undefined) throw new RedactionUnwritable('the frame to edit is not UTF-8')
    const trimmed = text.trimStart()
    if (trimmed.startsWith('{') || trimmed.startsWith('[')) {
      const edited = this.#rewriteJson(f, text, 'response', edits)
      return typeof edited !== 'string' || edited === text ? f.raw : encoder.encode(edited)
    }
    const event = readEvent(f.raw, text, isFirst)
    let replacements = this.#rewriteLines(f, event, edits)
    const { data } = event
    if (data !== undefined && data !== '' && data.trim() !== '[DONE]') {
      const edited = this.#rewriteJson(f, data, 'event', edits)
      if (typeof edited !== 'string') return this.#replaced(edited.notice, edited.number, event)
      if (edited !== data) replacements = replacements.concat(dataReplacements(event, edited))
    } else this.#requireLinesOnly(f, edits)
    if (replacements.length === 0) return f.raw
    const written = encoder.encode(splice(text, replacements))
    this.#left(written)
    return written
  }

  #requireLinesOnly(f: Frame, edits: FrameEdits): void {
    for (const index of edits.text.keys()) {
      const part = f.parts[index]
      if (part?.kind !== 'text' || !isLine(part)) throw new RedactionUnwritable('the frame to edit holds no event')
    }
  }

  /** The new JSON text, or the notice when the whole event is about a refused call. */
  #rewriteJson(f: Frame, source: string, mode: Mode, edits: FrameEdits): string | ReplacedEvent {
    const doc = parseJson(source)
    if (isFault(doc)) throw new RedactionUnwritable('the frame to edit is not JSON')
    const walk = new EditWalk(f, source, edits, {
      streamEdits: (stream, from, to) => this.#streamEdits(stream, from, to),
      trees: this.#trees,
      noticeOf: key => this.#refused.get(key)?.text,
    })
    walkResponses(doc.root, source, mode, walk)
    const out: Replacement[] = []
    for (const { sighting, key } of walk.calls) {
      const notice = this.#noticeFor(key, sighting.output, sighting.itemId || sighting.callId, edits)
      if (notice !== undefined) {
        if (sighting.where === 'event') return { notice, number: sequenceNumber(sighting.node) }
        out.push({ start: sighting.node.start, end: sighting.node.end, text: noticeItem(notice) })
        continue
      }
      const jws = this.#capable.get(key)
      if (jws !== undefined && sighting.item !== undefined) {
        out.push(...editObject(sighting.item, new Set(), new Map([['signet', `{"capability":${encodeString(jws)}}`]])))
      }
    }
    if (this.#redacted) {
      for (const node of walk.logprobNodes) out.push({ start: node.start, end: node.end, text: '[]' })
    }
    const joined = walk.outputTextNode
    if (joined !== undefined && walk.contentChanged) {
      out.push({ start: joined.start, end: joined.end, text: encodeString(walk.said.join('')) })
    }
    if (mode === 'event' && this.#ahead !== 0 && doc.root.kind === 'object') out.push(...this.#renumber(doc.root))
    walk.requireAllPlaced(index => {
      const part = f.parts[index]
      return part?.kind === 'text' && isLine(part)
    })
    // Last: where a node already has a replacement (a refused item, dropped log-probabilities), that one holds.
    return splice(source, [...out, ...walk.replacements])
  }

  #noticeFor(key: string, output: number, id: string, edits: FrameEdits): Notice | undefined {
    const known = this.#refused.get(key)
    const text = edits.refuse.get(key)
    if (known !== undefined || text === undefined) return known
    const at = output >= 0 ? output : readCallKey(key)
    const made: Notice = { text, id: noticeId(at, id), output: at, told: false }
    this.#refused.set(key, made)
    return made
  }

  /** The first event of a refused call becomes the whole notice; the others go. */
  #replaced(notice: Notice, number: number | undefined, event: SseEvent): Uint8Array {
    if (notice.told) {
      if (number !== undefined) this.#ahead--
      return NOTHING
    }
    notice.told = true
    const isNamed = event.otherLines.some(line => line.field === 'event')
    const { text, count } = noticeEvents(notice, number === undefined ? undefined : number + this.#ahead, isNamed)
    if (number !== undefined) {
      this.#ahead += count - 1
      this.#left(number + this.#ahead)
    }
    return encoder.encode(text)
  }

  #renumber(root: JsonObject): Replacement[] {
    const node = member(root, 'sequence_number')
    if (node?.kind !== 'number' || !Number.isSafeInteger(node.value)) return []
    return [{ start: node.start, end: node.end, text: String(node.value + this.#ahead) }]
  }

  #nextNumber(): number {
    const last = this.#last
    if (last === undefined) return 0
    if (typeof last === 'number') return last + 1
    const text = decodeUtf8(last)
    const data = text === undefined ? undefined : readEvent(last, text, true).data
    const doc = data === undefined ? undefined : parseJson(data)
    if (doc === undefined || isFault(doc) || doc.root.kind !== 'object') return 0
    const number = sequenceNumber(doc.root)
    return number === undefined ? 0 : number + 1
  }

  /** A line's replacement must stay one line. */
  #rewriteLines(f: Frame, event: SseEvent, edits: FrameEdits): Replacement[] {
    const targets = f.parts.flatMap((part, index) => (part.kind === 'text' && isLine(part) ? [{ part, index }] : []))
    const out: Replacement[] = []
    let next = 0
    for (const line of event.otherLines) {
      const pointer = linePointer(line.field)
      const name = `${pointer} ${line.value}`
      const target = targets[next]
      const isTarget = target?.part.channel.pointer === pointer && target.part.text === line.value
      if (isTarget) next++
      const own = isTarget && target !== undefined ? edits.text.get(target.index) : undefined
      const text = own === undefined ? this.#lines.get(name) : editText(line.value, own).replace(/[\r\n\0]+/g, ' ')
      if (text === undefined) continue
      this.#lines.set(name, text)
      out.push({ start: line.from, end: line.to, text })
    }
    return out
  }
}

/** A piece of a text that repeats later. */
function isStreamed(part: Extract<Part, { kind: 'text' }>): boolean {
  const { key } = part.channel
  return part.from === 'delta' && key.startsWith(SLOT_PREFIX) && !key.includes('!') && !key.includes('@')
}

function sequenceNumber(root: JsonObject | undefined): number | undefined {
  const node = member(root, 'sequence_number')
  return node?.kind === 'number' && Number.isSafeInteger(node.value) ? node.value : undefined
}
