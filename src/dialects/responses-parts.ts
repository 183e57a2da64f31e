/**
 * Turns walked Responses answers into parts, remembering over a whole response what each text has said so far, which
 * repeated values were already inspected, and which calls are unfinished. One instance per response.
 *
 * The keys of channels tell the writer where a part stands, so that it needs no state of the reader:
 * `<pointer>`: a stream; `<pointer>=<from>#<n>`: repeats the stream from that offset; `<pointer>!<n>`: a text of one event
 * that repeats nothing; `<pointer>@<start>#<n>`: a field of the repeated value that starts there in the event's JSON.
 */
import { BREAK } from '../core/break.ts'
import type { Channel, Part } from '../core/wire.ts'
import { linePointer } from './chat-parts.ts'
import { Violation } from './chat-visitor.ts'
import type { JsonNode, JsonObject } from './json.ts'
import type { ForgedField } from './reading.ts'
import { apart } from './reading.ts'
import { CallBook } from './responses-calls.ts'
import { EVENT_NAMES } from './responses-events.ts'
import { SLOTS, type SlotFacts } from './responses-slots.ts'
import { fieldsOf } from './responses-tree.ts'
import type { CallSighting, ResponsesVisitor, SlotPlace } from './responses-visitor.ts'
import { type Mode, walkResponses } from './responses-walk.ts'
import type { SseEvent } from './sse.ts'

/** Ids of one answer that are reported as upstream state. */
const MAX_STATES = 512
const MAX_CHANNELS = 2048
/** Characters of text, and of repeated values, that are remembered. */
const MAX_TEXT = 16 * 1024 * 1024
const MAX_SEEN = 8 * 1024 * 1024

export const TWIN_AUDIO = '!audio'
export const TWIN_ENCRYPTED = '!encrypted'

interface Slot {
  /** Orders blocks as a client shows them. */
  readonly output: number
  readonly part: number
  readonly channel: Channel
  /** Where in the channel it begins. */
  readonly from: number
  /** Its number among the blocks of the channel. */
  readonly index: number
  text: string
}

interface Stream {
  readonly channel: Channel
  length: number
  readonly slots: Slot[]
}

export class ResponsesParts implements ResponsesVisitor {
  readonly #mode: Mode
  readonly #calls = new CallBook()
  readonly #channels = new Map<string, Channel>()
  readonly #streams = new Map<string, Stream>()
  readonly #slots = new Map<string, Slot>()
  readonly #decoders = new Map<string, InstanceType<typeof TextDecoder>>()
  readonly #seen = new Set<string>()
  readonly #states = new Set<string>()
  /** The last value of each constant, which is nearly always the next one too. */
  readonly #constants = new Map<string, string>()
  /** In the document being read: the last block of each channel. */
  readonly #lastTold = new Map<string, number>()
  /** Elements of lists begun so far, and in which of them each stray channel spoke last. */
  #elements = 0
  readonly #spokeAt = new Map<string, number>()
  #seenChars = 0
  #textChars = 0
  #serial = 0
  #source = ''
  #parts: Part[] = []
  #forged: ForgedField[] = []
  #ended = false
  #failed = false

  constructor(mode: Mode) {
    this.#mode = mode
  }

  /** A terminal event was read. */
  get ended(): boolean {
    return this.#ended
  }

  /** Upstream may end the stream here: the response has ended, or it reported an error instead. */
  get mayEnd(): boolean {
    return this.#ended || this.#failed
  }

  /** The parts of one JSON document. Throws a `Violation`. */
  read(root: JsonNode, source: string, into: Part[]): readonly ForgedField[] {
    this.#parts = into
    this.#source = source
    if (this.#lastTold.size > 0) this.#lastTold.clear()
    this.#calls.begin()
    if (this.#forged.length > 0) this.#forged = []
    walkResponses(root, source, this.#mode, this)
    if (this.#mode === 'response') this.#finishCalls()
    return this.#forged
  }

  /** Comments and fields of an event outside its data. `event:` repeats the type in the data. */
  readLines(event: SseEvent, into: Part[]): void {
    this.#parts = into
    for (const line of event.otherLines) {
      const pointer = linePointer(line.field)
      if (line.value === '' || this.#constants.get(pointer) === line.value) continue
      if (line.field === 'event' && EVENT_NAMES.has(line.value)) continue
      if (line.value.length <= 1024) this.#constants.set(pointer, apart(line.value))
      const channel = this.#once(`${pointer}!${++this.#serial}`, pointer, 'other')
      into.push({ kind: 'text', channel, text: line.value, from: 'snapshot' })
    }
  }

  slot(place: SlotPlace, mode: 'piece' | 'whole', text: string): void {
    if (text === '') return
    const facts = SLOTS[place.kind]
    const key = `${place.kind} ${place.output} ${place.part}`
    const known = this.#slots.get(key)
    if (mode === 'piece') {
      const slot = known ?? this.#openSlot(place, key)
      if (slot === undefined || this.#isBehind(slot)) {
        throw new Violation(
          'upstream_protocol_violation',
          'the text of an earlier block goes on after a later one began',
        )
      }
      this.#say(slot, text)
      return
    }
    const slot = this.#told(place, facts, known, key, text)
    if (slot === undefined) {
      if (facts.joins) {
        throw new Violation('upstream_protocol_violation', 'a repeated text is not what its pieces said')
      }
      // A text of its own, and it counts.
      const channel = this.#channel(`${facts.pointer}!${++this.#serial}`, facts.pointer, facts.name)
      this.#parts.push({ kind: 'text', channel, text, from: 'delta' })
      return
    }
    if (facts.joins) this.#follow(slot)
    if (slot.text === '') this.#say(slot, text)
    else {
      const again = this.#once(`${slot.channel.key}=${slot.from}#${++this.#serial}`, facts.pointer, facts.name)
      this.#parts.push({ kind: 'text', channel: again, text, from: 'snapshot' })
    }
  }

  tree(pointer: string, node: JsonNode): void {
    if (node.kind === 'string') {
      if (this.#constants.get(pointer) === node.value) return
      if (node.value.length <= 256) this.#constants.set(pointer, apart(node.value))
      else if (this.#wasSeen(`${pointer} ${node.value}`)) return
    } else if (this.#wasSeen(`${pointer} ${this.#source.slice(node.start, node.end)}`)) return
    for (const field of fieldsOf(node, pointer)) {
      const channel = this.#once(`${field.pointer}@${node.start}#${++this.#serial}`, field.pointer, 'other')
      this.#parts.push({ kind: 'text', channel, text: field.text, from: 'snapshot' })
    }
  }

  stray(pointer: string, text: string): void {
    if (text === '') return
    const channel = this.#channel(pointer, pointer, 'other')
    if (this.#elements > 0) {
      const last = this.#spokeAt.get(pointer)
      this.#spokeAt.set(pointer, this.#elements)
      if (last !== undefined && last !== this.#elements)
        this.#parts.push({ kind: 'text', channel, text: BREAK, from: 'delta' })
    }
    this.#parts.push({ kind: 'text', channel, text, from: 'delta' })
  }

  element(): void {
    this.#elements += 1
  }

  bytes(pointer: string, values: Uint8Array): void {
    let decoder = this.#decoders.get(pointer)
    if (decoder === undefined) {
      decoder = new TextDecoder('utf-8', { ignoreBOM: true })
      this.#decoders.set(pointer, decoder)
    }
    // A character may be spread over the byte lists of several tokens.
    this.stray(pointer, decoder.decode(values, { stream: true }))
  }

  state(kind: 'response' | 'item', id: string): void {
    const seen = `${kind} ${id}`
    if (id === '' || this.#states.has(seen) || this.#states.size >= MAX_STATES) return
    this.#states.add(seen)
    this.#parts.push({ kind: 'state', reference: { kind, id } })
  }

  twin(kind: 'audio' | 'encrypted', pointer: string): void {
    const key = `${pointer}${kind === 'audio' ? TWIN_AUDIO : TWIN_ENCRYPTED}`
    this.#parts.push({ kind: 'text', channel: this.#channel(key, pointer, 'other'), text: '', from: 'delta' })
  }

  call(c: CallSighting): void {
    const seen = this.#calls.see(c)
    if (seen === undefined) return
    this.#parts.push({ kind: 'callPiece', key: seen.key, bytes: c.node.end - c.node.start })
    if (seen.done !== undefined) this.#parts.push({ kind: 'callDone', call: seen.done })
  }

  logprobs(): void {}

  outputText(): void {}

  usage(input: number | undefined, output: number | undefined): void {
    this.#parts.push({
      kind: 'usage',
      ...(input === undefined ? {} : { input }),
      ...(output === undefined ? {} : { output }),
    })
  }

  finish(reason: string): void {
    this.#finishCalls()
    this.#parts.push({ kind: 'finish', choice: 0, reason })
  }

  failed(): void {
    this.#finishCalls()
    this.#failed = true
  }

  end(): void {
    this.#finishCalls()
    this.#ended = true
    this.#parts.push({ kind: 'end' })
  }

  forged(node: JsonObject, key: string): void {
    this.#forged.push({ node, key })
  }

  /** Calls no event has completed: what there is of them is decided now. */
  #finishCalls(): void {
    for (const call of this.#calls.finish()) this.#parts.push({ kind: 'callDone', call })
  }

  /** The block this text repeats, or a new one (still empty) where it is the first telling. */
  #told(place: SlotPlace, facts: SlotFacts, known: Slot | undefined, key: string, text: string): Slot | undefined {
    if (known?.text === text) return known
    const fresh = known === undefined ? this.#openSlot(place, key) : undefined
    return fresh ?? this.#sameText(facts, text)
  }

  /**
   * Blocks that stand side by side in one snapshot are read as one text. They were inspected as one only if they streamed
   * side by side.
   */
  #follow(slot: Slot): void {
    const before = this.#lastTold.get(slot.channel.key)
    if (before !== undefined && slot.index !== before + 1) {
      throw new Violation(
        'upstream_protocol_violation',
        'a snapshot has its blocks in another order than they streamed',
      )
    }
    this.#lastTold.set(slot.channel.key, slot.index)
  }

  /** `undefined` when the block would stand before one that has already spoken. */
  #openSlot(place: SlotPlace, key: string): Slot | undefined {
    const facts = SLOTS[place.kind]
    const streamKey = facts.joins ? facts.pointer : `${facts.pointer}/${place.output}`
    let stream = this.#streams.get(streamKey)
    if (stream === undefined) {
      stream = { channel: this.#channel(streamKey, facts.pointer, facts.name), length: 0, slots: [] }
      this.#streams.set(streamKey, stream)
    }
    const last = stream.slots.at(-1)
    if (last !== undefined && isBefore(place, last)) return undefined
    if (this.#slots.size >= 2 * MAX_CHANNELS) {
      throw new Violation('upstream_too_large', `the answer has more than ${2 * MAX_CHANNELS} text blocks`)
    }
    // The block begins where the one before it ended: a text of its own, though clients show both as one.
    if (stream.length > 0) {
      stream.length += BREAK.length
      this.#parts.push({ kind: 'text', channel: stream.channel, text: BREAK, from: 'delta' })
    }
    const slot: Slot = {
      output: place.output,
      part: place.part,
      channel: stream.channel,
      from: stream.length,
      index: stream.slots.length,
      text: '',
    }
    stream.slots.push(slot)
    this.#slots.set(key, slot)
    return slot
  }

  #isBehind(slot: Slot): boolean {
    return this.#streams.get(slot.channel.key)?.slots.at(-1) !== slot
  }

  #say(slot: Slot, text: string): void {
    const stream = this.#streams.get(slot.channel.key)
    this.#textChars += text.length
    if (this.#textChars > MAX_TEXT) {
      throw new Violation('upstream_too_large', `the answer has more than ${MAX_TEXT} characters of text`)
    }
    slot.text += text
    if (stream !== undefined) stream.length += text.length
    this.#parts.push({ kind: 'text', channel: slot.channel, text, from: 'delta' })
  }

  /** Positions in the final snapshot may have shifted, where upstream leaves items out of it. */
  #sameText(facts: SlotFacts, text: string): Slot | undefined {
    if (!facts.joins) return undefined
    return this.#streams.get(facts.pointer)?.slots.find(slot => slot.text.length === text.length && slot.text === text)
  }

  #wasSeen(what: string): boolean {
    if (this.#seen.has(what)) return true
    if (this.#seenChars + what.length <= MAX_SEEN) {
      this.#seenChars += what.length
      this.#seen.add(what)
    }
    return false
  }

  #channel(key: string, pointer: string, name: Channel['name']): Channel {
    const known = this.#channels.get(key)
    if (known !== undefined) return known
    if (this.#channels.size >= MAX_CHANNELS) {
      throw new Violation('upstream_too_large', `the answer has more than ${MAX_CHANNELS} different text fields`)
    }
    const channel = this.#once(key, pointer, name)
    this.#channels.set(key, channel)
    return channel
  }

  /** A channel of one part only. */
  #once(key: string, pointer: string, name: Channel['name']): Channel {
    return { key, choice: 0, name, pointer }
  }
}

function isBefore(a: { readonly output: number; readonly part: number }, b: Slot): boolean {
  return a.output < b.output || (a.output === b.output && a.part < b.part)
}
