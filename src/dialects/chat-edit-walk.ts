/** Edits of one frame, and the walk that finds the nodes they belong to. */
import { BREAK } from '../core/break.ts'
import type { Edit, Frame, Part } from '../core/wire.ts'
import { CALL_TEXT } from './chat-parts.ts'
import type { ChatVisitor, Container, Fragment, TextMode } from './chat-visitor.ts'
import type { JsonObject } from './json.ts'
import { editText } from './json-edit.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'
import { isRewritten, runStart } from './succession.ts'

export type TextPart = Extract<Part, { kind: 'text' }>

/** Members of a choice that say its text once more, token by token; the last three are vLLM's. */
export const TOKEN_TWINS = ['logprobs', 'token_ids', 'prompt_logprobs', 'prompt_token_ids'] as const

export interface FrameEdits {
  readonly text: ReadonlyMap<number, Extract<Edit, { kind: 'text' }>['edits']>
  readonly refuse: ReadonlyMap<string, string>
  readonly capability: ReadonlyMap<string, string>
}

export function sortEdits(edits: readonly Edit[]): FrameEdits {
  const text = new Map<number, Extract<Edit, { kind: 'text' }>['edits']>()
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

/**
 * Walks a frame a second time and finds again which node each part came from. The parts are a subsequence of what the
 * walk meets (the reader leaves out constants it has seen), so the next part always is the next node that equals it.
 */
export class EditWalk implements ChatVisitor {
  readonly texts = new Map<number, { readonly end: number; readonly text: string }>()
  readonly choices: { readonly number: number; readonly node: JsonObject }[] = []
  readonly messages: { readonly choice: number; readonly node: JsonObject }[] = []
  readonly fragments: { readonly fragment: Fragment; readonly key: string }[] = []
  readonly #edits: FrameEdits
  readonly #sticky: Map<string, string>
  readonly #texts: { readonly part: TextPart; readonly index: number }[] = []
  readonly #keys: string[] = []
  readonly #placed = new Set<number>()
  #next = 0

  constructor(f: Frame, edits: FrameEdits, sticky: Map<string, string>) {
    this.#edits = edits
    this.#sticky = sticky
    for (let index = 0; index < f.parts.length; index++) {
      const part = f.parts[index]
      if (part?.kind === 'callPiece') this.#keys.push(part.key)
      else if (part?.kind !== 'text' || part.text === '' || part.channel.key.startsWith(CALL_TEXT)) continue
      // It stands in no node: there is nothing to write.
      else if (part.text === BREAK) this.#placed.add(index)
      else if (runStart(part.channel.key) !== undefined) {
        if (isRewritten(part.channel.key, edits.text.get(index) ?? [])) this.#placed.add(index)
      } else this.#texts.push({ part, index })
    }
  }

  /** Every edit must have found its node: an edit that fell away would release what was to be redacted. */
  requireAllPlaced(parts: readonly TextPart[]): void {
    for (const index of this.#edits.text.keys()) {
      if (!this.#placed.has(index)) {
        throw new RedactionUnwritable(`one of ${parts.length} texts of the frame cannot be rewritten in place`)
      }
    }
  }

  text(
    _name: string,
    _choice: number,
    pointer: string,
    text: string,
    start: number,
    end: number,
    mode: TextMode,
  ): void {
    if (text === '') return
    const target = this.#texts[this.#next]
    const isTarget = target !== undefined && target.part.channel.pointer === pointer && target.part.text === text
    if (isTarget) this.#next++
    const edits = isTarget ? this.#edits.text.get(target.index) : undefined
    const known = mode === 'constant' ? this.#sticky.get(`${pointer} ${text}`) : undefined
    if (edits === undefined) {
      if (known !== undefined) this.texts.set(start, { end, text: known })
      return
    }
    if (mode === 'key') throw new RedactionUnwritable('the text to redact is an object key')
    const edited = editText(text, edits)
    if (mode === 'constant') this.#sticky.set(`${pointer} ${text}`, edited)
    this.texts.set(start, { end, text: edited })
    this.#placed.add(target?.index ?? -1)
  }

  bytes(_choice: number, pointer: string): void {
    const target = this.#texts[this.#next]
    if (target === undefined || target.part.channel.pointer !== pointer) return
    this.#next++
    if (!this.#edits.text.has(target.index)) return
    // Log-probabilities and token ids are dropped whole; numbers anywhere else cannot be rewritten.
    if (!/^\/choices\/[0-9]+\/(?:logprobs|token_ids|prompt_logprobs|prompt_token_ids)\//.test(pointer)) return
    this.#placed.add(target.index)
  }

  element(): void {}

  twin(): void {}

  state(): void {}

  fragment(f: Fragment): void {
    const key = this.#keys[this.fragments.length]
    if (key !== undefined) this.fragments.push({ fragment: f, key })
  }

  choice(number: number, node: JsonObject): void {
    this.choices.push({ number, node })
  }

  message(choice: number, _container: Container, node: JsonObject): void {
    this.messages.push({ choice, node })
  }

  usage(): void {}

  finish(): void {}

  forged(): void {}
}
