/** What a walk over a Responses answer reports. See `responses-walk.ts`. */
import type { JsonNode, JsonObject } from './json.ts'
import type { SlotKind } from './responses-events.ts'

/** Which text: a block of an item. Numbers are upstream's own, or positions where it gave none. */
export interface SlotPlace {
  readonly kind: SlotKind
  readonly output: number
  readonly part: number
}

/** One appearance of a proposed call: its item, or an event about it. */
export interface CallSighting {
  /** The whole event, or the item inside a snapshot. */
  readonly node: JsonObject
  /** The item itself, where this is not only a piece of its arguments. */
  readonly item: JsonObject | undefined
  /** `event`: the event is about this call alone. `nested`: one item among others. */
  readonly where: 'event' | 'nested'
  readonly output: number
  readonly itemId: string
  readonly callId: string
  /** Empty where the event does not say. */
  readonly name: string
  readonly form: 'json' | 'text' | undefined
  /** `open`: the beginning of it; `piece`: more of it; `whole`: complete. `command`: a piece in a form of its own. */
  readonly state: 'open' | 'piece' | 'whole' | 'command'
  readonly argumentsText: string
}

export interface ResponsesVisitor {
  /** A text with a place. `piece` continues it; `whole` says all of it, perhaps again. */
  slot(place: SlotPlace, mode: 'piece' | 'whole', text: string, start: number, end: number): void
  /** A value that is said whole, perhaps again and again. See `responses-tree.ts`. */
  tree(pointer: string, node: JsonNode): void
  /** A piece of a text in an event nobody knows: continues what the same field of the same item said before. */
  stray(pointer: string, text: string, start: number, end: number): void
  /** An element of a list in such an event begins: it does not continue the one before it. */
  element(): void
  /** The like in numbers 0 to 255 that may spell text (UTF-8). */
  bytes(pointer: string, values: Uint8Array): void
  /** Sound, or reasoning in encrypted form, that repeats text nobody can redact there. */
  twin(kind: 'audio' | 'encrypted', pointer: string): void
  call(c: CallSighting): void
  /** Token log-probabilities: they spell the content once more. */
  logprobs(node: JsonNode): void
  /** The convenience member that joins all content. */
  outputText(node: JsonNode): void
  usage(input: number | undefined, output: number | undefined): void
  finish(reason: string): void
  failed(): void
  /** An id that later requests may name. */
  state(kind: 'response' | 'item', id: string): void
  end(): void
  /** Signet's own fields, which upstream has no business sending. */
  forged(node: JsonObject, key: string): void
}
