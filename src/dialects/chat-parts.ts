/**
 * Turns walked answers into parts, remembering over a whole response which channels exist, which constant values were
 * already inspected, and which calls are unfinished. One instance per response.
 */
import { BREAK } from '../core/break.ts'
import type { Channel, Part } from '../core/wire.ts'
import { CallAssembler, type DoneCall } from './chat-calls.ts'
import {
  type AnswerForm,
  type ChatVisitor,
  type Container,
  type Fragment,
  type TextMode,
  Violation,
} from './chat-visitor.ts'
import { CHAT_FORM } from './chat-walk.ts'
import type { JsonNode, JsonObject } from './json.ts'
import type { ForgedField } from './reading.ts'
import { apart } from './reading.ts'
import type { SseEvent } from './sse.ts'
import { Succession } from './succession.ts'

/** Distinct fields one answer may have; far above any real one. */
const MAX_CHANNELS = 2048
/** Longer constants and keys are inspected each time instead of being remembered. */
const MAX_REMEMBERED = 1024

/** Keys of channels that stand for a finished call's own id and name: no single frame holds them. */
export const CALL_TEXT = 'call '
/** Ends the key of a textless part that says: here is sound or a signature that repeats the text. */
export const TWIN_AUDIO = '!audio'
export const TWIN_SIGNED = '!signed'

export class ChatParts implements ChatVisitor {
  readonly #calls: CallAssembler
  readonly #primary: Container
  readonly #form: AnswerForm
  readonly #channels = new Map<string, Channel>()
  /** The last inspected value of each constant field. */
  readonly #constants = new Map<string, string>()
  readonly #succession = new Succession()
  readonly #keys = new Set<string>()
  readonly #decoders = new Map<string, InstanceType<typeof TextDecoder>>()
  readonly #unfinished = new Set<number>()
  readonly #finished = new Map<number, string>()
  /** Elements of lists begun in the document being read, and in which of them each channel spoke last. */
  #elements = 0
  readonly #spokeAt = new Map<string, number>()
  #serial = 0
  #serialBefore = 0
  #parts: Part[] = []
  #forged: ForgedField[] = []
  #saysError = false

  constructor(primary: Container, declaredTools: readonly string[], form: AnswerForm = CHAT_FORM) {
    this.#primary = primary
    this.#form = form
    this.#calls = new CallAssembler(declaredTools)
  }

  /** Upstream may end the stream here: every choice has finished, or it reported an error instead. */
  get mayEnd(): boolean {
    if (!this.#calls.isEmpty) return false
    return this.#saysError || (this.#unfinished.size === 0 && this.#finished.size > 0)
  }

  /** The parts of one JSON document. Throws a `Violation`. */
  read(root: JsonNode, source: string, into: Part[]): readonly ForgedField[] {
    this.#parts = into
    this.#serialBefore = this.#serial
    this.#forged = []
    if (this.#elements > 0) this.#spokeAt.clear()
    this.#elements = 0
    if (root.kind === 'object' && root.keys.includes('error')) this.#saysError = true
    this.#form.walk(root, source, this.#primary, this)
    // What was read is not kept until the next document comes.
    this.#parts = []
    return this.#forged
  }

  /** Comments and fields of an event outside its data. */
  readLines(event: SseEvent, into: Part[]): void {
    this.#parts = into
    this.#serialBefore = this.#serial
    for (const line of event.otherLines) {
      this.text('other', 0, linePointer(line.field), line.value, line.from, line.to, 'constant')
    }
  }

  /** Calls no finish reason has closed. */
  finishCalls(into: Part[]): void {
    this.#parts = into
    this.#emitCalls(this.#calls.finish())
  }

  text(
    name: Channel['name'],
    choice: number,
    pointer: string,
    text: string,
    _start: number,
    _end: number,
    mode: TextMode,
  ): void {
    if (text === '') return
    if (mode === 'delta') {
      const channel = this.#channel(name, choice, pointer)
      if (this.#elements > 0) this.#breakOff(channel)
      this.#parts.push({ kind: 'text', channel, text, from: 'delta' })
      return
    }
    if (mode === 'constant') {
      if (this.#constants.get(pointer) === text) return
      if (text.length <= MAX_REMEMBERED) this.#constants.set(pointer, apart(text))
      else this.#constants.delete(pointer)
    } else {
      const seen = `${pointer} ${text}`
      if (this.#keys.has(seen)) return
      if (this.#keys.size < MAX_CHANNELS && seen.length <= MAX_REMEMBERED) this.#keys.add(seen)
    }
    const most = this.#form.maxSnapshots
    if (this.#serial - this.#serialBefore >= most) {
      throw new Violation('upstream_too_large', `more than ${most} separate values in one event or body`)
    }
    // Each value is a text of its own: two ids never join into one.
    const channel: Channel = { key: `${pointer}#${++this.#serial}`, choice, name, pointer }
    this.#parts.push({ kind: 'text', channel, text, from: 'snapshot' })
    const run =
      mode === 'constant' && this.#primary === 'delta'
        ? this.#succession.next(pointer, text, () => ++this.#serial)
        : undefined
    if (run === undefined) return
    const joined: Channel = { key: run.key, choice, name, pointer }
    this.#parts.push({ kind: 'text', channel: joined, text: run.text, from: 'snapshot' })
  }

  element(): void {
    this.#elements += 1
  }

  bytes(choice: number, pointer: string, _node: JsonNode, values: Uint8Array): void {
    let decoder = this.#decoders.get(pointer)
    if (decoder === undefined) {
      decoder = new TextDecoder('utf-8', { ignoreBOM: true })
      this.#decoders.set(pointer, decoder)
    }
    // A character may be spread over the byte lists of several tokens.
    const text = decoder.decode(values, { stream: true })
    if (text === '') return
    this.#parts.push({ kind: 'text', channel: this.#channel('other', choice, pointer), text, from: 'delta' })
  }

  twin(kind: 'audio' | 'signed', choice: number, pointer: string): void {
    const key = `${pointer}${kind === 'audio' ? TWIN_AUDIO : TWIN_SIGNED}`
    this.#parts.push({ kind: 'text', channel: this.#channel('other', choice, pointer, key), text: '', from: 'delta' })
  }

  state(kind: 'audio', id: string): void {
    if (id !== '') this.#parts.push({ kind: 'state', reference: { kind, id } })
  }

  fragment(f: Fragment): void {
    const key = this.#calls.add(f)
    this.#parts.push({ kind: 'callPiece', key, bytes: f.node.end - f.node.start })
  }

  choice(choice: number): void {
    if (!this.#finished.has(choice)) this.#unfinished.add(choice)
  }

  message(): void {}

  usage(input: number | undefined, output: number | undefined): void {
    this.#parts.push({
      kind: 'usage',
      ...(input === undefined ? {} : { input }),
      ...(output === undefined ? {} : { output }),
    })
  }

  finish(choice: number, reason: string): void {
    this.#emitCalls(this.#calls.finish(choice))
    this.#unfinished.delete(choice)
    if (this.#finished.get(choice) === reason) return
    this.#finished.set(choice, reason)
    this.#parts.push({ kind: 'finish', choice, reason })
  }

  forged(node: JsonObject, key: string): void {
    this.#forged.push({ node, key })
  }

  /** What an element of a list says, and what the same field said before the list, are texts of their own. */
  #breakOff(channel: Channel): void {
    const last = this.#spokeAt.get(channel.key)
    this.#spokeAt.set(channel.key, this.#elements)
    if (last === this.#elements) return
    const spoke = last !== undefined || this.#parts.some(p => p.kind === 'text' && p.channel === channel)
    if (spoke) this.#parts.push({ kind: 'text', channel, text: BREAK, from: 'delta' })
  }

  /** A call's id and name may have come in pieces, so they are inspected whole, where the call is decided. */
  #emitCalls(done: readonly DoneCall[]): void {
    for (const { call, pointer } of done) {
      for (const [field, text] of [
        ['id', call.id],
        ['name', call.name],
      ] as const) {
        if (text === '') continue
        const channel: Channel = {
          key: `${CALL_TEXT}${call.key} ${field}`,
          choice: call.choice,
          name: 'other',
          pointer: `${pointer}/*/${field}`,
        }
        this.#parts.push({ kind: 'text', channel, text, from: 'snapshot' })
      }
      this.#parts.push({ kind: 'callDone', call })
    }
  }

  #channel(name: Channel['name'], choice: number, pointer: string, key = pointer): Channel {
    const known = this.#channels.get(key)
    if (known !== undefined) return known
    if (this.#channels.size >= MAX_CHANNELS) {
      throw new Violation('upstream_too_large', `the answer has more than ${MAX_CHANNELS} different text fields`)
    }
    const channel: Channel = { key, choice, name, pointer }
    this.#channels.set(key, channel)
    return channel
  }
}

export function linePointer(field: string): string {
  return field === '' ? ':comment' : `:${field}`
}
