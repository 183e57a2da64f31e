/** What a walk over a chat-completions answer reports, and how it fails. See `chat-walk.ts`. */
import type { Code } from '../core/verdict.ts'
import type { Channel, Fault } from '../core/wire.ts'
import type { JsonDocument, JsonNode, JsonObject } from './json.ts'

export type Container = 'delta' | 'message'

/**
 * `delta`: continues what the same pointer said before. `constant`: a whole value, said again in every chunk, and
 * inspected when it changes. `key`: an object key the dialect does not know.
 */
export type TextMode = 'delta' | 'constant' | 'key'

export interface Fragment {
  readonly choice: number
  readonly container: Container
  /** The legacy `function_call` member; there is one per message. */
  readonly legacy: boolean
  readonly node: JsonObject
  /** Upstream's index; unary answers and some servers have none. */
  readonly index: number | undefined
  readonly id: string
  readonly name: string
  readonly argumentsText: string
  readonly form: 'json' | 'text' | undefined
}

export interface ChatVisitor {
  text(
    name: Channel['name'],
    choice: number,
    pointer: string,
    text: string,
    start: number,
    end: number,
    mode: TextMode,
  ): void
  /** An element of a list begins: what it says does not continue what the one before it said. */
  element(): void
  /** Numbers 0 to 255 that may spell text (UTF-8). */
  bytes(choice: number, pointer: string, node: JsonNode, values: Uint8Array): void
  /** Sound or a signature that repeats text in a form nobody can redact. */
  twin(kind: 'audio' | 'signed', choice: number, pointer: string): void
  /** An id that later requests may name. */
  state(kind: 'audio', id: string): void
  fragment(f: Fragment): void
  choice(choice: number, node: JsonObject): void
  message(choice: number, container: Container, node: JsonObject): void
  usage(input: number | undefined, output: number | undefined): void
  finish(choice: number, reason: string): void
  /** Signet's own fields, which upstream has no business sending. */
  forged(node: JsonObject, key: string): void
}

/** What sets one surface's answers apart from another's; reader and writer must be given the same one. */
export interface AnswerForm {
  /** Reads the JSON text of one answer or event. Offsets are in that text. */
  readonly parse: (text: string) => JsonDocument | Fault
  readonly walk: (root: JsonNode, source: string, primary: Container, v: ChatVisitor) => void
  /** Whole values (constants, keys, comments) in one event or body; each is inspected on its own. */
  readonly maxSnapshots: number
}

/** Upstream broke the protocol. The message never quotes upstream. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly code: Code
  constructor(code: Code, message: string) {
    super(message)
    this.code = code
  }
}

/** Choices, and calls, beyond this no SDK accepts. */
export const MAX_CHOICES = 128
