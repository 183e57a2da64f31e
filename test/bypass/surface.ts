/** What a surface must say about itself before the bypass matrix can attack it. */
import type { RequestOutcome } from './request-cells.ts'
import type { Answer } from './upstream.ts'

export type Mode = 'unary' | 'stream'
export const MODES: readonly Mode[] = ['unary', 'stream']

/** Text in front of and behind what is looked for. */
export const LEAD = 'The word is '
export const TAIL = ' and nothing else.'
/** Blocked by the matrix's pipeline. */
export const FORBIDDEN = 'orchid-nightfall'
/** Redacted by it. */
export const SECRET = 'sk-test-abcdefgh1234'
export const REDACTED = '[REDACTED]'
export const HARMLESS = 'quiet afternoon'

/** A schema with text in every place of one that a model reads. */
export const SCHEMA = {
  type: 'object',
  title: 'Place',
  properties: { city: { type: 'string', description: 'Where.', enum: ['Oslo'], default: 'Oslo' } },
}

export interface Place {
  readonly mode: Mode
  readonly choice: number
}

/** How a text that must be redacted comes out of a carrier. */
export type Redaction =
  /** Replaced in place. */
  | 'redacted'
  /** The carrier repeats the content, and goes whole. */
  | 'dropped'
  /** It cannot be rewritten there: the answer is refused. */
  | 'blocked'

export interface TextBuilder {
  /** Puts the pieces into the carrier: one event each in a stream, one body otherwise. */
  readonly answer: (pieces: readonly string[], place: Place) => Answer
  readonly redaction: Redaction
  /** The carrier belongs to a choice (otherwise to the answer or the event). */
  readonly perChoice: boolean
  /** Clients join the pieces of this field; the others hold one value at a time. */
  readonly joins: boolean
  /** The text passes through JSON, so that it can be escaped. */
  readonly json: boolean
  /** The audit row's channel. */
  readonly channel: RegExp
  /** What the channel holds in front of the pieces, or what it may hold where several channels say the same. */
  readonly before: string | readonly string[]
  /** The pieces are values of their own: something stands between them in the channel. */
  readonly apart?: true
  /** What says nothing wrong there, where any text would not do. */
  readonly harmless?: readonly string[]
  /** The request's own tools, where they decide. */
  readonly tools?: readonly string[]
}

export interface ProposedCall {
  readonly name: string
  /** Cut as streamed. */
  readonly argumentPieces: readonly string[]
}

export interface CallBuilder {
  readonly answer: (calls: readonly ProposedCall[], place: Place) => Answer
  /** Arguments are JSON (otherwise free text). */
  readonly form: 'json' | 'text'
  /** One call per message is all the carrier can hold. */
  readonly single?: true
  /** What the gate knows the call by, where that is not the name upstream gives. */
  readonly called?: (name: string) => string
  /** The audit row's channel, where arguments are text of the answer as well. */
  readonly channel?: RegExp
}

/** A hand-written attack that fits no single carrier. */
export interface Special {
  readonly name: string
  readonly mode: Mode
  readonly answer: Answer
  readonly expect: Expected
  /** What the caller must not see in any form. */
  readonly hidden?: readonly string[]
  /** What the caller must see. */
  readonly shown?: readonly string[]
  /** The request's own tools. */
  readonly tools?: readonly string[]
  /** The code in the audit row. */
  readonly code?: string
}

export type Expected =
  /** Upstream's bytes. */
  | 'identical'
  /** The text is replaced where it stands. */
  | 'redacted'
  /** Whatever repeats the text is gone. */
  | 'dropped'
  /** Fields that are signet's own are cut out of what upstream sent. */
  | 'cleaned'
  /** The answer ends: 403, or the abort frame of a stream that has begun. */
  | 'refused'
  /** The call is replaced by a notice, the rest is delivered. */
  | 'call refused'
  /** A human decides: 202, or the abort frame with the code `escalated`. */
  | 'held'
  /** Upstream broke the protocol: 502, or the abort frame with an `upstream_` code. */
  | 'broken off'

/** How an answer of a surface is read by the reader of `released.ts`. */
export interface Reading {
  /** The gate's abort frame, last in its stream; its JSON is group 1. */
  readonly abort: RegExp
  /** Do the items of this list go by a number of their own? All others of a list are one field. */
  readonly numbered: (pointer: string) => boolean
  /** Stands before the fields of an event, so that what clients keep apart is not joined. */
  readonly under: (event: unknown) => string
  /** Fields whose whole text is JSON. */
  readonly jsonText: RegExp
  /** Objects whose keys spell text: those of one rank, over all objects of the field. */
  readonly keys?: RegExp
}

export interface Surface {
  /** The dialect's name. */
  readonly name: string
  readonly path: string
  /** Choices that a carrier of its own may belong to. */
  readonly choices: readonly number[]
  readonly reading: Reading
  /** What the abort frame says in any case, and what else when a call is held. */
  readonly aborted: (status: number) => object
  readonly held: object
  /** Is this the first event of a stream that says nothing wrong yet? Then it has begun when the rest is refused. */
  readonly begins: (first: string) => boolean
  /** A finish reason that promises calls. */
  readonly promise: RegExp
  /** `undefined`: a GET, which has no body. */
  readonly request: (model: string, place: Place, tools: readonly string[]) => object | undefined
  /** A request with every field of the API that can hold text, which is allowed as it stands; `undefined`: it has no body. */
  readonly asking: object | undefined
  /** Places of it that are not answered as most are (`request-cells.ts`): a pointer, or a pointer and a column. */
  readonly otherwise?: Readonly<Record<string, RequestOutcome>>
  readonly text: Readonly<Record<string, TextBuilder>>
  readonly calls: Readonly<Record<string, CallBuilder>>
  readonly specials: readonly Special[]
}
