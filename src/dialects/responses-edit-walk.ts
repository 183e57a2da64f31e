/** Walks a frame a second time and finds again which place of its JSON each part came from. */
import { BREAK } from '../core/break.ts'
import type { TextEdit } from '../core/verdict.ts'
import type { Frame } from '../core/wire.ts'
import type { FrameEdits, TextPart } from './chat-edit-walk.ts'
import type { JsonNode, JsonString } from './json.ts'
import { editText, encodeString, type Replacement, splice } from './json-edit.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'
import { SLOTS } from './responses-slots.ts'
import { type Field, fieldsOf } from './responses-tree.ts'
import type { CallSighting, ResponsesVisitor, SlotPlace } from './responses-visitor.ts'

interface Target {
  readonly part: TextPart
  readonly index: number
}

/** What the writer remembers of earlier frames. */
export interface Remembered {
  /** The redactions of a stretch of a stream, in offsets of that stretch. */
  streamEdits(stream: string, from: number, to: number): readonly TextEdit[]
  /** Edited values: pointer and JSON text, to new JSON text. */
  readonly trees: Map<string, string>
  /** What stands in for a refused call. */
  noticeOf(key: string): string | undefined
}

export class EditWalk implements ResponsesVisitor {
  readonly replacements: Replacement[] = []
  readonly calls: { readonly sighting: CallSighting; readonly key: string }[] = []
  readonly logprobNodes: JsonNode[] = []
  /** Content and notices in the order of the output, for the member that joins them. */
  readonly said: string[] = []
  outputTextNode: JsonString | undefined
  contentChanged = false
  readonly #source: string
  readonly #edits: FrameEdits
  readonly #remembered: Remembered
  readonly #sequence: Target[] = []
  readonly #trees = new Map<number, Target[]>()
  readonly #keys: string[] = []
  readonly #placed = new Set<number>()
  #next = 0

  constructor(f: Frame, source: string, edits: FrameEdits, remembered: Remembered) {
    this.#source = source
    this.#edits = edits
    this.#remembered = remembered
    for (let index = 0; index < f.parts.length; index++) {
      const part = f.parts[index]
      if (part?.kind === 'callPiece') this.#keys.push(part.key)
      if (part?.kind !== 'text' || part.text === '' || isLine(part)) continue
      const start = treeStart(part.channel.key)
      // It stands in no node: there is nothing to write.
      if (start === undefined && part.text === BREAK) this.#placed.add(index)
      else if (start === undefined) this.#sequence.push({ part, index })
      else {
        const known = this.#trees.get(start)
        if (known === undefined) this.#trees.set(start, [{ part, index }])
        else known.push({ part, index })
      }
    }
  }

  /** Every edit must have found its place: one that fell away would release what was to be redacted. */
  requireAllPlaced(isElsewhere: (index: number) => boolean): void {
    for (const index of this.#edits.text.keys()) {
      if (!this.#placed.has(index) && !isElsewhere(index)) {
        throw new RedactionUnwritable('a text of the frame cannot be rewritten in place')
      }
    }
  }

  slot(place: SlotPlace, _mode: 'piece' | 'whole', text: string, start: number, end: number): void {
    if (text === '') return
    const { pointer } = SLOTS[place.kind]
    const target = this.#take(pointer, text)
    const own = target === undefined ? undefined : this.#edits.text.get(target.index)
    let edits = own ?? []
    const again = target === undefined ? null : /^(.*)=([0-9]+)#[0-9]+$/.exec(target.part.channel.key)
    if (again !== null) {
      const from = Number(again[2])
      edits = united(this.#remembered.streamEdits(again[1] ?? '', from, from + text.length), edits)
    }
    const edited = edits.length === 0 ? text : editText(text, edits)
    if (place.kind === 'content') this.said.push(edited)
    if (edits.length === 0) return
    if (place.kind === 'content') this.contentChanged = true
    if (target !== undefined) this.#placed.add(target.index)
    this.replacements.push({ start, end, text: encodeString(edited) })
  }

  tree(pointer: string, node: JsonNode): void {
    const name = `${pointer} ${node.kind === 'string' ? node.value : this.#source.slice(node.start, node.end)}`
    const targets = this.#trees.get(node.start)?.filter(target => target.part.channel.pointer?.startsWith(pointer))
    const edited = targets?.filter(target => this.#edits.text.has(target.index)) ?? []
    if (edited.length === 0) {
      const known = this.#remembered.trees.get(name)
      if (known !== undefined) this.replacements.push({ start: node.start, end: node.end, text: known })
      return
    }
    const inside: Replacement[] = []
    const fields = new Map(fieldsOf(node, pointer).map(field => [field.pointer, field]))
    for (const { part, index } of edited) {
      this.#placed.add(index)
      // Log-probabilities are dropped whole.
      if (pointer.startsWith('/logprobs')) continue
      const field = fields.get(part.channel.pointer ?? '')
      if (field?.text !== part.text) throw new RedactionUnwritable('the text to redact was not found again')
      inside.push(...distribute(field, this.#edits.text.get(index) ?? []))
    }
    if (inside.length === 0) return
    this.replacements.push(...inside)
    const moved = inside.map(r => ({ start: r.start - node.start, end: r.end - node.start, text: r.text }))
    this.#remembered.trees.set(name, splice(this.#source.slice(node.start, node.end), moved))
  }

  stray(pointer: string, text: string, start: number, end: number): void {
    if (text === '') return
    const target = this.#take(pointer, text)
    const edits = target === undefined ? undefined : this.#edits.text.get(target.index)
    if (target === undefined || edits === undefined) return
    this.#placed.add(target.index)
    if (!pointer.startsWith('/logprobs'))
      this.replacements.push({ start, end, text: encodeString(editText(text, edits)) })
  }

  bytes(pointer: string): void {
    const target = this.#sequence[this.#next]
    if (target === undefined || target.part.channel.pointer !== pointer) return
    this.#next++
    // Numbers cannot be rewritten; log-probabilities are dropped whole.
    if (pointer.startsWith('/logprobs')) this.#placed.add(target.index)
  }

  call(sighting: CallSighting): void {
    const key = this.#keys[this.calls.length]
    if (key === undefined) return
    this.calls.push({ sighting, key })
    const notice = this.#edits.refuse.get(key) ?? this.#remembered.noticeOf(key)
    if (notice === undefined || sighting.where !== 'nested') return
    this.said.push(notice)
    this.contentChanged = true
  }

  logprobs(node: JsonNode): void {
    this.logprobNodes.push(node)
  }

  outputText(node: JsonNode): void {
    if (node.kind === 'string') this.outputTextNode = node
  }

  element(): void {}

  twin(): void {}

  state(): void {}
  usage(): void {}
  finish(): void {}
  failed(): void {}
  end(): void {}
  forged(): void {}

  #take(pointer: string, text: string): Target | undefined {
    if (text === BREAK) return undefined
    const target = this.#sequence[this.#next]
    if (target === undefined || target.part.channel.pointer !== pointer || target.part.text !== text) {
      throw new RedactionUnwritable('the parts of the frame are not those of its JSON')
    }
    this.#next++
    return target
  }
}

export function isLine(part: TextPart): boolean {
  return part.channel.pointer?.startsWith(':') === true
}

function treeStart(key: string): number | undefined {
  const at = key.lastIndexOf('@')
  return at < 0 ? undefined : Number.parseInt(key.slice(at + 1), 10)
}

/**
 * What was redacted while the text streamed, and what its repetition asks for: mostly the same. Pieces that touch were
 * one redaction, cut where events were cut.
 */
function united(streamed: readonly TextEdit[], own: readonly TextEdit[]): TextEdit[] {
  const out: TextEdit[] = []
  for (const edit of streamed) {
    const last = out.at(-1)
    if (last !== undefined && last.to === edit.from && edit.text === '') {
      out[out.length - 1] = { from: last.from, to: edit.to, text: last.text }
    } else out.push(edit)
  }
  for (const edit of own) {
    const covers = out.some(known => known.from <= edit.from && edit.to <= known.to)
    if (covers) continue
    const touched = out.filter(known => known.from < edit.to && edit.from < known.to)
    const from = Math.min(edit.from, ...touched.map(known => known.from))
    const to = Math.max(edit.to, ...touched.map(known => known.to))
    const kept = out.filter(known => !touched.includes(known))
    out.length = 0
    out.push(...kept, { from, to, text: edit.text === '' ? (touched[0]?.text ?? '') : edit.text })
  }
  return out
}

/** Edits of a field's text, given to the strings it is made of. */
function distribute(field: Field, edits: readonly TextEdit[]): Replacement[] {
  const out: Replacement[] = []
  let at = 0
  for (const leaf of field.leaves) {
    const end = at + leaf.text.length
    const mine: TextEdit[] = []
    for (const edit of edits) {
      if (edit.to <= at || edit.from >= end) continue
      mine.push({
        from: Math.max(edit.from, at) - at,
        to: Math.min(edit.to, end) - at,
        text: edit.from >= at ? edit.text : '',
      })
    }
    if (mine.length > 0) {
      if (leaf.start === leaf.end)
        throw new RedactionUnwritable('the text to redact is an object key or made of numbers')
      out.push({ start: leaf.start, end: leaf.end, text: encodeString(editText(leaf.text, mine)) })
    }
    at = end + field.gap
  }
  return out
}
