/** What a walk over a Messages answer reports. See `messages-walk.ts`. */
import type { Channel } from '../core/wire.ts'
import type { JsonObject, JsonString } from './json.ts'

/**
 * `delta`: continues what the same pointer said before. `constant`: a value of its own, inspected when it changes.
 * `key`: an object key the dialect does not know. `sealed`: signed or encrypted by the API, cannot be rewritten.
 */
export type TextMode = 'delta' | 'constant' | 'key' | 'sealed'

/**
 * `call`: a tool the caller runs. `server`: one that upstream runs itself; its input is text. `other`: results of such
 * tools, and any block the dialect does not know.
 */
export type BlockKind = 'text' | 'thinking' | 'call' | 'server' | 'other'

export interface CallBlock {
  readonly node: JsonObject
  readonly id: string
  readonly name: string
  /** The JSON text of `input` as it stands; `''` without one. */
  readonly input: string
}

export interface MessagesVisitor {
  text(name: Channel['name'], pointer: string, text: string, start: number, end: number, mode: TextMode): void
  /** An element of a list begins: what it says does not continue what the one before it said. */
  element(): void
  /** Numbers 0 to 255 that may spell text (UTF-8). */
  bytes(pointer: string, values: Uint8Array): void
  /** A signature over thinking: whoever rewrites the thinking breaks it. */
  signed(pointer: string): void
  /** `message_start`: once per stream. */
  messageStart(): void
  messageStop(): void
  /** Anything that belongs to a message which has begun and not ended. */
  inMessage(): void
  /** A block of a whole message, or (`index` given) the start of one in a stream. Its texts follow. */
  block(kind: BlockKind, index: number | undefined): void
  /** The end of the block's own texts. `call` when it is one. */
  blockRead(call: CallBlock | undefined): void
  /** A delta of `size` characters for the open block; what it says follows. */
  delta(index: number, type: string, size: number): void
  partialJson(node: JsonString): void
  blockStop(index: number): void
  usage(input: number | undefined, output: number | undefined): void
  finish(node: JsonString): void
  /** Something upstream keeps, which later requests may name. */
  state(kind: 'response' | 'container', id: string): void
  /** Signet's own fields, which upstream has no business sending. */
  forged(node: JsonObject, key: string): void
}
