/**
 * What a dialect turns wire bytes into, and back. Types only. Checks read `Segment`, `Channel` and `ToolCall`;
 * only the pipeline and the gate know frames, parts and edits; only a dialect knows bytes.
 */
import type { Because, Code, Stage, TextEdit } from './verdict.ts'

/** A piece of request text with its provenance. Nothing textual in a request is without a segment. */
export interface Segment {
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool' | 'schema' | 'other'
  /** RFC 6901 JSON pointer into the request body. For text that is not one JSON string (decoded leaves), the pointer of its carrier. */
  readonly pointer: string
  readonly text: string
  /** True for text whose bytes cannot be edited in place (decoded from arguments, token arrays, object keys): a redaction of it blocks. */
  readonly derived?: true
  /**
   * Set on a derived text that joins several segments, which a model reads as one: where in it one ends and the next begins
   * (see `break.ts`). There is one only when a declared pattern matches over such a border.
   */
  readonly breaks?: readonly number[]
}

/** One stream of output text. The same channel is always the same object within a response, and `key` is unique in it. */
export interface Channel {
  readonly key: string
  readonly choice: number
  readonly name: 'content' | 'reasoning' | 'refusal' | 'transcript' | 'arguments' | 'other'
  readonly pointer?: string
  /** Set by the pipeline on text that repeats text already counted (`from: 'snapshot'`, decoded leaves): inspect, do not count. */
  readonly snapshot?: true
}

export interface ToolCall {
  /** Unique in the response; joins `callPiece`, `callDone` and edits. */
  readonly key: string
  readonly choice: number
  readonly id: string
  readonly name: string
  /** As the model wrote them. For a custom (free-form) tool, the input text. */
  readonly argumentsText: string
  /** Parsed strictly; `undefined` when the text is not I-JSON (RFC 7493) or the tool is free-form. Empty text is `{}`. */
  readonly arguments: unknown
  readonly form: 'json' | 'text'
}

export interface RequestView {
  readonly segments: readonly Segment[]
  /** Names of the tools the request declares for the caller to run. */
  readonly tools: readonly string[]
  /** Tools that upstream itself would run (`upstream:<type>[:<server>]`), each a tool call made at admission. */
  readonly upstreamTools: readonly string[]
  /** Call ids of the tool results the request carries. */
  readonly toolResults: readonly string[]
  /** Tool calls that the conversation in the request says were made, in order. */
  readonly pastCalls?: readonly PastCall[]
  readonly model: string
  readonly stream: boolean
  readonly n: number
  readonly maxOutputTokens?: number
  /** State at upstream that the request builds on or hands over by name: it may be another owner's. */
  readonly references?: readonly Reference[]
  /** Pointers of inputs that cannot be read here: URLs upstream would fetch, file contents, encrypted text. */
  readonly opaqueInputs?: readonly string[]
  /** The answer would be produced after the request has been answered, and fetched by other means. */
  readonly background?: boolean
  /** Upstream would keep the exchange under an id that later requests can name. */
  readonly stored?: boolean
  /** What is forwarded when nothing was edited. Normally the caller's own bytes. */
  readonly raw: Uint8Array
}

/** As the caller tells it: nobody has proved that the call was made. */
export interface PastCall {
  readonly name: string
  /** As they stand in the request. */
  readonly argumentsText: string
}

export interface Reference {
  /** `response`, `conversation`, `prompt`, `item`, `file`, `vector_store`, `container`, `skill`, `approval`. */
  readonly kind: string
  readonly id: string
  /** Where in the request body it stands. */
  readonly pointer: string
}

/** Whose API a surface belongs to: which upstream it goes to, and with which credential. */
export type Provider = 'openai' | 'anthropic'

export interface Dialect {
  readonly name: string
  readonly provider: Provider
  readonly routes: readonly Route[]
  /** Every text channel and call carrier of the surface; the bypass matrix is generated from this list. */
  readonly carriers: readonly Carrier[]
  readRequest(raw: Uint8Array): RequestView | Fault
  /** No edits: returns `v.raw`, the same object. */
  writeRequest(v: RequestView, edits: ReadonlyMap<string, readonly TextEdit[]>): Uint8Array
  openResponse(v: RequestView, status: number, contentType: string | undefined): ResponseReader | Fault
  openWriter(v: RequestView): ResponseWriter
  /** The body and headers of an answer that signet itself gives on this surface, in the shape its SDK expects. */
  refuse(r: Refusal): { readonly headers: Readonly<Record<string, string>>; readonly body: Uint8Array }
  /**
   * The body that asks the model again after a turn that is not delivered: `v.raw` byte for byte, its list of messages
   * longer by the turn and by one result for each refused call. `undefined`: this conversation cannot go on so.
   */
  continueRequest?(v: RequestView, turn: RefusedTurn): Uint8Array | undefined
}

/** A whole turn of the model in which every call was refused. */
export interface RefusedTurn {
  readonly stream: boolean
  /** The turn frame by frame, redacted text redacted, the refused calls still in it. */
  readonly said: readonly Uint8Array[]
  readonly refused: readonly { readonly call: ToolCall; readonly notice: string }[]
}

export interface Route {
  readonly method: 'GET' | 'POST'
  /** Exact raw path at the gate. */
  readonly path: string
  /** Path below the upstream's base URL. */
  readonly upstreamPath: string
  /** Query strings that cross, spelled exactly so. Any other stays here. */
  readonly queries?: readonly string[]
}

export interface Carrier {
  readonly kind: 'text' | 'call'
  /** For humans and the matrix: `content`, `reasoning`, `tool_calls[].function.arguments`, `unknown field`, … */
  readonly name: string
  readonly modes: readonly ('unary' | 'stream')[]
}

/** A fault is an element in order, not a throw: frames before it in the same chunk still count, or byte splits would differ. */
export interface ResponseReader {
  /** Event stream, or one unary body? Follows what upstream sent, not what the request asked for. */
  readonly stream: boolean
  /** After a fault the reader is spent and returns []. */
  push(bytes: Uint8Array): readonly (Frame | Fault)[]
  end(): readonly (Frame | Fault)[]
}

/** One SSE event with its terminator, or one whole unary body. `raw` is upstream's own bytes; frames concatenated == upstream. */
export interface Frame {
  readonly kind: 'frame'
  readonly raw: Uint8Array
  /** [] = comment, ping: nothing textual at all. */
  readonly parts: readonly Part[]
}

export type Part =
  | {
      readonly kind: 'text'
      readonly channel: Channel
      readonly text: string
      /** `snapshot` repeats a whole text already streamed: inspected in a buffer of its own, redacted alike, counted once. */
      readonly from: 'delta' | 'snapshot'
    }
  /** Belongs to an unfinished call: this frame and everything behind it wait until `callDone(key)` is decided. */
  | { readonly kind: 'callPiece'; readonly key: string; readonly bytes: number }
  | { readonly kind: 'callDone'; readonly call: ToolCall }
  | { readonly kind: 'usage'; readonly input?: number; readonly output?: number }
  | { readonly kind: 'finish'; readonly choice: number; readonly reason: string }
  /** Upstream keeps something under this id, which a later request may name. */
  | { readonly kind: 'state'; readonly reference: Pick<Reference, 'kind' | 'id'> }
  /** `[DONE]`, `message_stop`: the final receipt goes before it. */
  | { readonly kind: 'end' }

/** Called once per frame, strictly in arrival order. No edits and no earlier refused call: returns `frame.raw` itself. */
export interface ResponseWriter {
  write(f: Frame, edits: readonly Edit[]): Uint8Array
  /** The stream's own error frames; nothing may be written after it. */
  abort(r: Refusal): Uint8Array
  /** A line the client ignores (SSE comment); empty on unary answers. */
  comment(text: string): Uint8Array
  /** From here on what is written does not leave: only `abort` still may, and it follows what left before. */
  seal?(): void
}

/** Plain data: sealed beside the frames of a held exchange. `part` indexes `frame.parts`. */
export type Edit =
  | { readonly kind: 'text'; readonly part: number; readonly edits: readonly TextEdit[] }
  /** Put on every frame that carries a piece of the call; the writer removes it, says `notice` instead, renumbers, corrects finish. */
  | { readonly kind: 'refuse'; readonly key: string; readonly notice: string }
  | { readonly kind: 'capability'; readonly key: string; readonly jws: string }

export interface Fault {
  readonly kind: 'fault'
  readonly code: Code
  readonly message: string
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

export interface Refusal {
  readonly status: number
  readonly because: Because
  /** `preflight` and `upstream` are the gate's own; the rest are the pipeline's. */
  readonly stage: Stage | 'preflight' | 'upstream'
  readonly check?: string
  readonly correlationId: string
  readonly strict: boolean
  readonly escalationId?: string
  readonly retryAfterS?: number
}
