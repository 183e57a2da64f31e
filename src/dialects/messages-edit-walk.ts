/** The walk over one frame, a second time, that finds the nodes its edits belong to. */
import { BREAK } from '../core/break.ts'
import { normalizeEdits } from '../core/edits.ts'
import type { TextEdit } from '../core/verdict.ts'
import type { Frame, Part } from '../core/wire.ts'
import type { JsonObject, JsonString } from './json.ts'
import { editText, encodeString } from './json-edit.ts'
import type { DecodedPiece } from './messages-json-strings.ts'
import { INPUT_JSON, INPUT_STRINGS } from './messages-parts.ts'
import type { BlockKind, CallBlock, MessagesVisitor, TextMode } from './messages-visitor.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'

type TextPart = Extract<Part, { kind: 'text' }>
type TextEdits = ReadonlyMap<number, readonly TextEdit[]>

/**
 * The parts are a subsequence of what the walk meets (the reader leaves out constants it has seen), so the next part
 * always is the next node that equals it.
 */
export class MessagesEditWalk implements MessagesVisitor {
  readonly texts = new Map<number, { readonly end: number; readonly text: string }>()
  readonly calls: { readonly node: JsonObject; readonly key: string }[] = []
  readonly reasons: JsonString[] = []
  /** The frame continues a block. */
  isDelta = false
  /** The frame begins the block of this number. */
  startIndex: number | undefined
  readonly #edits: TextEdits
  readonly #sticky: Map<string, string>
  readonly #decoded: DecodedPiece | undefined
  readonly #texts: { readonly part: TextPart; readonly index: number }[] = []
  readonly #keys: string[] = []
  readonly #placed = new Set<number>()
  #next = 0

  constructor(f: Frame, edits: TextEdits, sticky: Map<string, string>, decoded: DecodedPiece | undefined) {
    this.#edits = edits
    this.#sticky = sticky
    this.#decoded = decoded
    for (let index = 0; index < f.parts.length; index++) {
      const part = f.parts[index]
      if (part?.kind === 'callPiece') this.#keys.push(part.key)
      else if (part?.kind !== 'text' || part.text === '') continue
      // It stands in no node: there is nothing to write.
      else if (part.text === BREAK) this.#placed.add(index)
      else this.#texts.push({ part, index })
    }
  }

  /** Every edit must have found its node: an edit that fell away would release what was to be redacted. */
  requireAllPlaced(): void {
    for (const index of this.#edits.keys()) {
      if (!this.#placed.has(index)) {
        throw new RedactionUnwritable(`one of ${this.#texts.length} texts of the frame cannot be rewritten in place`)
      }
    }
  }

  text(_name: string, pointer: string, text: string, start: number, end: number, mode: TextMode): void {
    if (text === '') return
    const index = this.#take(pointer, text)
    const edits = index === undefined ? undefined : this.#edits.get(index)
    if (index === undefined || edits === undefined) {
      const known = mode === 'constant' ? this.#sticky.get(`${pointer} ${text}`) : undefined
      if (known !== undefined) this.texts.set(start, { end, text: known })
      return
    }
    if (mode === 'key') throw new RedactionUnwritable('the text to redact is an object key')
    if (mode === 'sealed') throw new RedactionUnwritable('the text to redact is signed or encrypted')
    const edited = editText(text, edits)
    if (mode === 'constant') this.#sticky.set(`${pointer} ${text}`, edited)
    this.texts.set(start, { end, text: edited })
    this.#placed.add(index)
  }

  /** Numbers cannot be rewritten: an edit of them stays unplaced. */
  bytes(pointer: string): void {
    if (this.#texts[this.#next]?.part.channel.pointer === pointer) this.#next++
  }

  element(): void {}

  signed(): void {}

  messageStart(): void {}

  messageStop(): void {}

  inMessage(): void {}

  block(_kind: BlockKind, index: number | undefined): void {
    this.startIndex = index
  }

  blockRead(call: CallBlock | undefined): void {
    const key = call === undefined ? undefined : this.#keys[this.calls.length]
    if (call !== undefined && key !== undefined) this.calls.push({ node: call.node, key })
  }

  delta(): void {
    this.isDelta = true
  }

  /** The input of a tool that upstream runs stands in the frame once and in its parts twice, as text and as strings. */
  partialJson(node: JsonString): void {
    if (this.#keys.length > 0 || this.#decoded === undefined) return
    const json = this.#take(INPUT_JSON, node.value)
    const strings = this.#take(INPUT_STRINGS, this.#decoded.text)
    const ofJson = json === undefined ? undefined : this.#edits.get(json)
    const ofStrings = strings === undefined ? undefined : this.#edits.get(strings)
    if (ofJson === undefined && ofStrings === undefined) return
    const edited = editStrings(node.value, this.#decoded, ofJson ?? [], ofStrings ?? [])
    this.texts.set(node.start, { end: node.end, text: edited })
    if (json !== undefined) this.#placed.add(json)
    if (strings !== undefined) this.#placed.add(strings)
  }

  blockStop(): void {}

  usage(): void {}

  state(): void {}

  finish(node: JsonString): void {
    this.reasons.push(node)
  }

  forged(): void {}

  #take(pointer: string, text: string): number | undefined {
    const target = this.#texts[this.#next]
    if (target === undefined || target.part.channel.pointer !== pointer || target.part.text !== text) return undefined
    this.#next++
    return target.index
  }
}

/** Both lists of edits, written into strings of the JSON text; what does not lie in one string cannot be. */
function editStrings(
  raw: string,
  decoded: DecodedPiece,
  ofJson: readonly TextEdit[],
  ofStrings: readonly TextEdit[],
): string {
  const moved = ofJson.map(edit => {
    const from = decoded.from.indexOf(edit.from)
    const to = decoded.to.indexOf(edit.to) + 1
    if (from < 0 || to <= from) throw new RedactionUnwritable('the text to redact is not inside one string')
    return { from, to, text: edit.text }
  })
  const inJson = normalizeEdits([...ofStrings, ...moved]).map(edit => {
    const from = decoded.from[edit.from]
    let to = from
    for (let i = edit.from; i < edit.to; i++) {
      if (to === undefined || to < 0 || decoded.from[i] !== to) {
        throw new RedactionUnwritable('the text to redact is not inside one string of the event')
      }
      to = decoded.to[i]
    }
    if (from === undefined || to === undefined) throw new RedactionUnwritable('the text to redact is not in the event')
    return { from, to, text: encodeString(edit.text).slice(1, -1) }
  })
  return editText(raw, inJson)
}
