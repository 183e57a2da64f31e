/**
 * Reads upstream's answer in one body, on every surface. The frame is upstream's own bytes; the one exception is a body in
 * which upstream sent fields that are signet's own (`signet`, `signet_abort`), which are cut out.
 *
 * Guarantees: nothing leaves as a frame that was not read strictly and whole; after a fault nothing more comes; no more than
 * `maxBytes` are kept.
 */
import type { Fault, Frame, Part, ResponseReader } from '../core/wire.ts'
import { fault, isFault, type JsonDocument, parseJson, readJson } from './json.ts'
import { type Replacement, splice } from './json-edit.ts'
import { Body, type ForgedField, unaryFault, violation, withoutForged } from './reading.ts'

/** What a surface makes of a body. May throw a `Violation`. */
export interface AnswerBody {
  read(doc: JsonDocument, into: Part[]): readonly ForgedField[]
  parse?(text: string): JsonDocument | Fault
  /** For parts that name places in the body: those behind a cut move with it. */
  moved?(parts: readonly Part[], cuts: readonly Replacement[]): readonly Part[]
}

export interface BodyOptions {
  /** Of the body, as it comes. */
  readonly maxBytes: number
  /** An error body that upstream sent with a 4xx or 5xx status: any JSON will do. */
  readonly isError: boolean
}

const NOTHING: readonly (Frame | Fault)[] = []
const encoder = new TextEncoder()

export class BodyReader implements ResponseReader {
  readonly stream = false
  readonly #answer: AnswerBody
  readonly #body: Body
  readonly #isError: boolean
  #spent = false

  constructor(answer: AnswerBody, { maxBytes, isError }: BodyOptions) {
    this.#answer = answer
    this.#body = new Body(maxBytes)
    this.#isError = isError
  }

  push(bytes: Uint8Array): readonly (Frame | Fault)[] {
    if (this.#spent || bytes.length === 0) return NOTHING
    const tooLarge = this.#body.add(bytes)
    if (tooLarge === undefined) return NOTHING
    this.#spent = true
    return [tooLarge]
  }

  end(): readonly (Frame | Fault)[] {
    if (this.#spent) return NOTHING
    this.#spent = true
    return [this.#read(this.#body.take())]
  }

  #read(raw: Uint8Array): Frame | Fault {
    const doc = readJson(raw, this.#answer.parse ?? parseJson)
    if (isFault(doc)) return unaryFault(doc)
    if (doc.root.kind !== 'object' && !this.#isError) {
      return fault('upstream_protocol_violation', 'the upstream answer is not a JSON object')
    }
    const parts: Part[] = []
    try {
      const forged = this.#answer.read(doc, parts)
      if (forged.length === 0) return { kind: 'frame', raw, parts }
      const cuts = withoutForged(forged)
      const clean = encoder.encode(splice(doc.text, cuts))
      return { kind: 'frame', raw: clean, parts: this.#answer.moved?.(parts, cuts) ?? parts }
    } catch (error) {
      return violation(error)
    }
  }
}
