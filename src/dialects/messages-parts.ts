/**
 * Turns walked answers into parts, and holds upstream to the protocol: blocks come one after the other, numbered without
 * a gap, each begun, continued and ended in its place. Clients find a block by its position and not by its number, so an
 * answer that breaks this would have two readings, and is a violation. One instance per response.
 */
import { BREAK } from '../core/break.ts'
import type { Channel, Part, ToolCall } from '../core/wire.ts'
import { readArguments } from './arguments.ts'
import { MAX_ARGUMENT_BYTES, MAX_CALLS } from './chat-calls.ts'
import { Violation } from './chat-visitor.ts'
import type { JsonNode, JsonObject, JsonString } from './json.ts'
import { JsonStrings } from './messages-json-strings.ts'
import { FIXED } from './messages-keys.ts'
import type { BlockKind, CallBlock, MessagesVisitor, TextMode } from './messages-visitor.ts'
import { walkEvent, walkMessage } from './messages-walk.ts'
import { INPUT, TEXT, THINKING } from './messages-walk-block.ts'
import type { ForgedField } from './reading.ts'
import { apart } from './reading.ts'
import type { SseEvent } from './sse.ts'

/** Distinct fields one answer may have; far above any real one. */
const MAX_CHANNELS = 2048
/** Whole values (constants, keys, comments) in one event or body; each is inspected on its own. */
const MAX_SNAPSHOTS = 4096
/** Longer constants and keys are inspected each time instead of being remembered. */
const MAX_REMEMBERED = 1024

/** Ends the key of a textless part that says: here is a signature over the thinking. */
export const TWIN_SIGNED = '!signed'
/** The input of a tool that upstream runs, as a stream spells it, and once more as the tool reads it. */
export const INPUT_JSON = `${INPUT}/~json`
export const INPUT_STRINGS = `${INPUT}/~strings`
/** Ends the key of a textless part that says: here such an input begins. */
export const INPUT_BEGINS = '!begins'

interface OpenBlock {
  readonly kind: BlockKind
  readonly index: number
  readonly isWhole: boolean
  call: OpenCall | undefined
  strings: JsonStrings | undefined
}

interface OpenCall {
  readonly key: string
  readonly id: string
  readonly name: string
  /** What the start said. */
  readonly given: string
  argumentsText: string
}

/** Which deltas a block of each kind takes; one that is in no list may go on in any block, as text. */
const DELTAS: Readonly<Record<string, readonly BlockKind[]>> = {
  text_delta: ['text', 'other'],
  citations_delta: ['text', 'other'],
  thinking_delta: ['thinking', 'other'],
  signature_delta: ['thinking', 'other'],
  input_json_delta: ['call', 'server', 'other'],
}

export class MessagesParts implements MessagesVisitor {
  readonly #channels = new Map<string, Channel>()
  /** The last inspected value of each constant field. */
  readonly #constants = new Map<string, string>()
  readonly #keys = new Set<string>()
  readonly #decoders = new Map<string, InstanceType<typeof TextDecoder>>()
  readonly #callIds = new Set<string>()
  /** The block in which each channel spoke last, and the element of a list in the event being read. */
  readonly #spokeIn = new Map<string, number>()
  readonly #spokeAt = new Map<string, number>()
  /** Elements of lists begun in the event being read. */
  #elements = 0
  /** Texts are values of their own: those of a whole block, not those of a delta. */
  #isWhole = false
  #serial = 0
  #serialBefore = 0
  #calls = 0
  /** Blocks begun so far, and the one that has not ended. */
  #blocks = 0
  #open: OpenBlock | undefined
  #state: 'before' | 'message' | 'after' = 'before'
  #saysError = false
  /** The last of each kind that upstream is known to keep. */
  readonly #kept = new Map<string, string>()
  #parts: Part[] = []
  #forged: ForgedField[] = []

  /** Upstream may end the stream here: the message has ended, or it reported an error instead. */
  get mayEnd(): boolean {
    return this.#state === 'after' || (this.#saysError && this.#open?.kind !== 'call')
  }

  get hasEnded(): boolean {
    return this.#state === 'after'
  }

  /** The parts of one stream event. Throws a `Violation`. */
  readEvent(root: JsonObject, source: string, into: Part[]): readonly ForgedField[] {
    this.#parts = into
    this.#serialBefore = this.#serial
    this.#forged = []
    this.#beginLists()
    if (root.keys.includes('error')) this.#saysError = true
    walkEvent(root, source, this)
    return this.#forged
  }

  /** The parts of a unary body. Throws a `Violation`. */
  readMessage(root: JsonNode, source: string, into: Part[]): readonly ForgedField[] {
    this.#parts = into
    this.#serialBefore = this.#serial
    this.#forged = []
    this.#beginLists()
    walkMessage(root, source, this)
    return this.#forged
  }

  /** Comments and fields of an event outside its data. */
  readLines(event: SseEvent, into: Part[]): void {
    this.#parts = into
    this.#serialBefore = this.#serial
    for (const line of event.otherLines) {
      if (line.field === 'event' && FIXED.has(line.value)) continue
      this.text('other', linePointer(line.field), line.value, line.from, line.to, 'constant')
    }
  }

  text(name: Channel['name'], pointer: string, text: string, _start: number, _end: number, mode: TextMode): void {
    if (text === '') return
    if (mode === 'delta' || mode === 'sealed') {
      const channel = this.#channel(name, pointer)
      this.#breakOff(channel)
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
    if (this.#serial - this.#serialBefore >= MAX_SNAPSHOTS) {
      throw new Violation('upstream_too_large', `more than ${MAX_SNAPSHOTS} separate values in one event or body`)
    }
    // Each value is a text of its own: two ids never join into one.
    const channel: Channel = { key: `${pointer}#${++this.#serial}`, choice: 0, name, pointer }
    this.#parts.push({ kind: 'text', channel, text, from: 'snapshot' })
  }

  bytes(pointer: string, values: Uint8Array): void {
    let decoder = this.#decoders.get(pointer)
    if (decoder === undefined) {
      decoder = new TextDecoder('utf-8', { ignoreBOM: true })
      this.#decoders.set(pointer, decoder)
    }
    const text = decoder.decode(values, { stream: true })
    if (text === '') return
    this.#parts.push({ kind: 'text', channel: this.#channel('other', pointer), text, from: 'delta' })
  }

  signed(pointer: string): void {
    this.#mark(pointer, TWIN_SIGNED)
  }

  messageStart(): void {
    if (this.#state !== 'before') broken('a second message begins')
    this.#state = 'message'
  }

  messageStop(): void {
    this.inMessage()
    if (this.#open !== undefined) broken('the message ends inside a content block')
    this.#state = 'after'
    this.#parts.push({ kind: 'end' })
  }

  inMessage(): void {
    if (this.#state !== 'message') broken('an event about a message comes before its start or after its end')
  }

  block(kind: BlockKind, index: number | undefined): void {
    if (index !== undefined) {
      this.inMessage()
      if (this.#open !== undefined) broken('a content block begins before the last one has ended')
      if (index !== this.#blocks) broken('content blocks are not numbered one after the other')
    }
    const isWhole = index === undefined
    this.#isWhole = true
    this.#open = { kind, index: this.#blocks++, isWhole, call: undefined, strings: undefined }
  }

  blockRead(call: CallBlock | undefined): void {
    this.#isWhole = false
    const open = this.#open
    if (open === undefined) return
    if (call !== undefined) {
      if (++this.#calls > MAX_CALLS) throw new Violation('upstream_too_large', `more than ${MAX_CALLS} tool calls`)
      if (call.id !== '' && this.#callIds.has(call.id)) broken('two tool calls have the same id')
      this.#callIds.add(call.id)
      const key = `b${open.index}`
      open.call = { key, id: call.id, name: call.name, given: call.input, argumentsText: '' }
      this.#parts.push({ kind: 'callPiece', key, bytes: call.node.end - call.node.start })
      this.#bound(open.call)
    }
    if (open.isWhole) this.#close(open)
  }

  delta(index: number, type: string, size: number): void {
    const open = this.#openAt(index)
    if (DELTAS[type]?.includes(open.kind) === false) broken('a delta does not fit the content block it continues')
    // Whatever continues a call waits with it, and goes with it if it is refused.
    if (open.call !== undefined) this.#parts.push({ kind: 'callPiece', key: open.call.key, bytes: size })
  }

  partialJson(node: JsonString): void {
    const open = this.#open
    if (open === undefined) return
    const { call } = open
    if (call === undefined) {
      if (open.strings === undefined) {
        open.strings = new JsonStrings()
        this.#mark(INPUT_JSON, INPUT_BEGINS)
      }
      this.text('other', INPUT_JSON, node.value, node.start, node.end, 'delta')
      this.text('other', INPUT_STRINGS, open.strings.push(node.value).text, node.start, node.end, 'delta')
      return
    }
    // Some clients take what the start said, some what the deltas say.
    if (!isEmptyInput(call.given)) broken('the input of a tool call comes twice')
    call.argumentsText += node.value
    this.#bound(call)
  }

  blockStop(index: number): void {
    const open = this.#openAt(index)
    if (open.call !== undefined) this.#parts.push({ kind: 'callPiece', key: open.call.key, bytes: 0 })
    this.#close(open)
  }

  usage(input: number | undefined, output: number | undefined): void {
    this.#parts.push({
      kind: 'usage',
      ...(input === undefined ? {} : { input }),
      ...(output === undefined ? {} : { output }),
    })
  }

  state(kind: 'response' | 'container', id: string): void {
    if (this.#kept.get(kind) === id) return
    this.#kept.set(kind, id)
    this.#parts.push({ kind: 'state', reference: { kind, id } })
  }

  finish(node: JsonString): void {
    this.#parts.push({ kind: 'finish', choice: 0, reason: node.value })
  }

  forged(node: JsonObject, key: string): void {
    this.#forged.push({ node, key })
  }

  element(): void {
    this.#elements += 1
  }

  #beginLists(): void {
    if (this.#elements === 0) return
    this.#elements = 0
    this.#spokeAt.clear()
  }

  /** A text that no delta continues ends where its block does, and an element of a list where the next begins. */
  #breakOff(channel: Channel): void {
    const block = this.#open?.index
    if (block === undefined) return
    const last = this.#spokeIn.get(channel.key)
    const element = this.#elements === 0 ? undefined : this.#spokeAt.get(channel.key)
    if (this.#elements > 0) this.#spokeAt.set(channel.key, this.#elements)
    if (last === block && !this.#isWhole && (element === undefined || element === this.#elements)) return
    this.#spokeIn.set(channel.key, block)
    if (last !== undefined) this.#parts.push({ kind: 'text', channel, text: BREAK, from: 'delta' })
  }

  #openAt(index: number): OpenBlock {
    this.inMessage()
    const open = this.#open
    if (open === undefined || open.index !== index) broken('an event is about a content block that is not open')
    return open
  }

  #close(open: OpenBlock): void {
    this.#open = undefined
    if (open.call !== undefined) this.#parts.push({ kind: 'callDone', call: toolCall(open.call) })
  }

  #bound(call: OpenCall): void {
    if (call.argumentsText.length + call.given.length + call.name.length + call.id.length > MAX_ARGUMENT_BYTES) {
      throw new Violation('upstream_too_large', `a tool call is longer than ${MAX_ARGUMENT_BYTES} characters`)
    }
  }

  #mark(pointer: string, ending: string): void {
    const channel = this.#channel('other', pointer, pointer + ending)
    this.#parts.push({ kind: 'text', channel, text: '', from: 'delta' })
  }

  #channel(name: Channel['name'], pointer: string, key = channelKey(name, pointer)): Channel {
    const known = this.#channels.get(key)
    if (known !== undefined) return known
    if (this.#channels.size >= MAX_CHANNELS) {
      throw new Violation('upstream_too_large', `the answer has more than ${MAX_CHANNELS} different text fields`)
    }
    const channel: Channel = { key, choice: 0, name, pointer }
    this.#channels.set(key, channel)
    return channel
  }
}

/** A field of the same name in a block of another kind never joins the content. */
function channelKey(name: Channel['name'], pointer: string): string {
  return name === 'other' && (pointer === TEXT || pointer === THINKING) ? `${pointer}~other` : pointer
}

function toolCall(call: OpenCall): ToolCall {
  const given = call.given === '""' ? '' : call.given
  const argumentsText = call.argumentsText === '' ? given : call.argumentsText
  return {
    key: call.key,
    choice: 0,
    id: call.id,
    name: call.name,
    argumentsText,
    arguments: readArguments(argumentsText),
    form: 'json',
  }
}

function isEmptyInput(text: string): boolean {
  return text === '' || text === '""' || /^\{[ \t\r\n]*\}$/.test(text)
}

export function linePointer(field: string): string {
  return field === '' ? ':comment' : `:${field}`
}

function broken(what: string): never {
  throw new Violation('upstream_protocol_violation', what)
}
