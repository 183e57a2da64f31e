/**
 * Reads upstream's stream of events, on every surface that has one. A frame is upstream's own bytes; the one exception is an
 * event in which upstream sent fields that are signet's own (`signet`, `signet_abort`), which are cut out.
 *
 * Guarantees: nothing leaves as a frame that was not read strictly and whole; after a fault nothing more comes; a stream
 * that stops in the middle ends in a fault, never in a silent end.
 */
import type { Fault, Frame, Part, ResponseReader } from '../core/wire.ts'
import { fault, isFault, type JsonDocument, type JsonObject } from './json.ts'
import { type Replacement, splice } from './json-edit.ts'
import { type ForgedField, isHarmlessTail, streamFault, violation, withoutForged } from './reading.ts'
import { dataReplacements, type SseEvent, SseFramer } from './sse.ts'

/** What a surface makes of the events of one stream. All but `parse` may throw a `Violation`. */
export interface AnswerEvents {
  /** Upstream may end the stream here. */
  readonly mayEnd: boolean
  parse(data: string): JsonDocument | Fault
  /** Lines of an event outside its data: comments, `event`, `id`, `retry`, unknown ones. */
  readLines(event: SseEvent, into: Part[]): void
  /** Is it a word that this surface knows, like `[DONE]`? Here also: nothing may come after the end. */
  readWord(data: string, into: Part[]): boolean
  readEvent(root: JsonObject, data: string, event: SseEvent, into: Part[]): readonly ForgedField[]
  /** For parts that name places in the event: those behind a cut move with it. */
  moved?(parts: readonly Part[], cuts: readonly Replacement[]): readonly Part[]
}

const NOTHING: readonly (Frame | Fault)[] = []
const NO_PARTS: readonly Part[] = []
const encoder = new TextEncoder()

export class StreamReader implements ResponseReader {
  readonly stream = true
  readonly #framer: SseFramer
  readonly #answer: AnswerEvents
  #spent = false

  constructor(answer: AnswerEvents, maxEventBytes: number) {
    this.#framer = new SseFramer(maxEventBytes)
    this.#answer = answer
  }

  push(bytes: Uint8Array): readonly (Frame | Fault)[] {
    return this.#spent ? NOTHING : this.#readAll(this.#framer.push(bytes))
  }

  end(): readonly (Frame | Fault)[] {
    if (this.#spent) return NOTHING
    const out = this.#readAll(this.#framer.end())
    if (this.#spent) return out
    this.#spent = true
    if (this.#answer.mayEnd) return out
    return [...out, fault('upstream_truncated', 'the upstream stream ended before its answer was complete')]
  }

  #readAll(events: readonly (SseEvent | Fault)[]): readonly (Frame | Fault)[] {
    if (events.length === 0) return NOTHING
    const out: (Frame | Fault)[] = []
    for (const event of events) {
      const read = event.kind === 'fault' ? event : this.#read(event)
      out.push(read)
      if (read.kind === 'fault') {
        this.#spent = true
        break
      }
    }
    return out
  }

  #read(event: SseEvent): Frame | Fault {
    const { data, raw } = event
    if (event.kind === 'tail' && !isHarmlessTail(event)) {
      return fault('upstream_truncated', 'the upstream stream ended inside an event')
    }
    if (data === undefined && event.otherLines.length === 0) return { kind: 'frame', raw, parts: NO_PARTS }
    const parts: Part[] = []
    try {
      if (event.otherLines.length > 0) this.#answer.readLines(event, parts)
      if (data === undefined || data === '') return { kind: 'frame', raw, parts }
      if (this.#answer.readWord(data, parts)) return { kind: 'frame', raw, parts }
      const doc = this.#answer.parse(data)
      if (isFault(doc)) return streamFault(doc)
      if (doc.root.kind !== 'object') return fault('upstream_sse_malformed', 'an upstream event is not a JSON object')
      const forged = this.#answer.readEvent(doc.root, data, event, parts)
      if (forged.length === 0) return { kind: 'frame', raw, parts }
      const cuts = withoutForged(forged)
      const clean = splice(event.text, dataReplacements(event, splice(data, cuts)))
      return { kind: 'frame', raw: encoder.encode(clean), parts: this.#answer.moved?.(parts, cuts) ?? parts }
    } catch (error) {
      return violation(error)
    }
  }
}
