/**
 * Follows proposed tool calls through a Responses answer. A call is said many times: its item when it begins, pieces of
 * its arguments, the whole arguments, the whole item, and once more in the final snapshot.
 *
 * Guarantees: one `ToolCall` per call, handed out when it is first complete; bounded in number and size; whatever is said
 * of a call afterwards is exactly what was handed out, or the answer is a protocol violation. A client may act on any of
 * the tellings, so all must agree.
 */
import type { ToolCall } from '../core/wire.ts'
import { readArguments } from './arguments.ts'
import { MAX_ARGUMENT_BYTES, MAX_CALLS } from './chat-calls.ts'
import { Violation } from './chat-visitor.ts'
import { isFault, type JsonNode, member, parseJson } from './json.ts'
import type { CallSighting } from './responses-visitor.ts'

interface Pending {
  readonly key: string
  readonly output: number
  itemId: string
  callId: string
  name: string
  argumentsText: string
  form: 'json' | 'text' | undefined
  /** An item was seen, so the name and the call id are known. */
  hasItem: boolean
  /** Arguments of a structured call as they stood when it began. */
  begun: string
  /** Shell commands as events have told them. */
  readonly commands: string[]
  done: boolean
  /** Its item was finished by an event of its own. */
  delivered: boolean
}

export class CallBook {
  readonly #calls: Pending[] = []
  readonly #byOutput = new Map<number, Pending>()
  readonly #maxBytes: number
  /** In the document being read. */
  readonly #listed = new Set<Pending>()
  #open = 0

  constructor(maxBytes = MAX_ARGUMENT_BYTES) {
    this.#maxBytes = maxBytes
  }

  get isEmpty(): boolean {
    return this.#open === 0
  }

  /** A new document begins. */
  begin(): void {
    if (this.#listed.size > 0) this.#listed.clear()
  }

  /** The key of the call, and the call itself if it is now complete. `undefined`: the event is about no call. */
  see(c: CallSighting): { readonly key: string; readonly done: ToolCall | undefined } | undefined {
    const known = this.#find(c)
    if (c.state === 'command') {
      if (known === undefined) return undefined
      if (c.argumentsText !== '') this.#command(known, c.argumentsText)
      return { key: known.key, done: undefined }
    }
    const call = known ?? this.#create(c)
    if (c.where === 'nested') this.#once(call)
    else if (c.item !== undefined && c.state === 'whole') {
      if (call.delivered)
        throw new Violation('upstream_protocol_violation', 'upstream finishes the same tool call twice')
      call.delivered = true
    }
    this.#learn(call, c)
    const tells = c.argumentsText
    if (call.done) {
      const agrees =
        c.state === 'piece' ? tells === '' : tells === call.argumentsText || (c.state === 'open' && tells === '')
      if (!agrees) disagree()
    } else if (c.state === 'piece') call.argumentsText += tells
    else if (c.state === 'open') this.#begin(call, c)
    else this.#complete(call, c)
    if (call.argumentsText.length + call.name.length + call.callId.length > this.#maxBytes) {
      throw new Violation('upstream_too_large', `a tool call is longer than ${this.#maxBytes} characters`)
    }
    const isComplete = !call.done && c.state === 'whole' && call.hasItem
    return { key: call.key, done: isComplete ? this.#finish(call) : undefined }
  }

  /** Calls that no event has completed. */
  finish(): readonly ToolCall[] {
    if (this.#open === 0) return []
    return this.#calls.filter(call => !call.done).map(call => this.#finish(call))
  }

  #finish(call: Pending): ToolCall {
    call.done = true
    this.#open--
    const form = call.form ?? 'json'
    return {
      key: call.key,
      choice: 0,
      id: call.callId === '' ? call.itemId : call.callId,
      name: call.name,
      argumentsText: call.argumentsText,
      arguments: form === 'json' ? readArguments(call.argumentsText) : undefined,
      form,
    }
  }

  /** Two items of one call would be run twice on one decision. */
  #once(call: Pending): void {
    if (this.#listed.has(call)) {
      throw new Violation('upstream_protocol_violation', 'an answer lists the same tool call twice')
    }
    this.#listed.add(call)
  }

  #command(call: Pending, command: string): void {
    if (call.done && !hasCommand(call.argumentsText, command)) disagree()
    call.commands.push(command)
    if (call.commands.length > MAX_CALLS)
      throw new Violation('upstream_too_large', 'a shell call has too many commands')
  }

  #begin(call: Pending, c: CallSighting): void {
    if (streams(c)) {
      if (c.argumentsText === '' || c.argumentsText === call.argumentsText) return
      if (call.argumentsText !== '') disagree()
      call.argumentsText = c.argumentsText
    } else call.begun = c.argumentsText
  }

  #complete(call: Pending, c: CallSighting): void {
    if (call.argumentsText !== '' && call.argumentsText !== c.argumentsText) disagree()
    if (call.begun !== '' && !grows(call.begun, c.argumentsText)) disagree()
    if (!call.commands.every(command => hasCommand(c.argumentsText, command))) disagree()
    call.argumentsText = c.argumentsText
  }

  #learn(call: Pending, c: CallSighting): void {
    if (c.form !== undefined && call.form !== undefined && c.form !== call.form) disagree()
    call.form ??= c.form
    if (c.item === undefined) {
      // Events name a function without its namespace.
      if (c.name !== '' && call.hasItem && c.name !== call.name && !call.name.endsWith(`.${c.name}`)) disagree()
      return
    }
    if (c.name !== '') {
      if (call.name !== '' && call.name !== c.name) disagree()
      call.name = c.name
    }
    if (c.callId !== '') {
      if (call.callId !== '' && call.callId !== c.callId) disagree()
      if (call.done && call.callId === '') disagree()
      call.callId = c.callId
    }
    if (call.itemId === '') call.itemId = c.itemId
    if (c.name !== '') call.hasItem = true
  }

  /** Upstream's position decides; in a snapshot, whose positions may have shifted, the ids do. */
  #find(c: CallSighting): Pending | undefined {
    const byOutput = this.#byOutput.get(c.output)
    if (c.where === 'event' && c.output >= 0) return byOutput
    const byId = c.itemId === '' ? undefined : this.#calls.find(call => call.itemId === c.itemId)
    if (byId !== undefined) return byId
    const byCallId = c.callId === '' ? undefined : this.#calls.find(call => call.callId === c.callId)
    if (byCallId !== undefined) return byCallId
    if (c.where === 'event') return this.#calls.findLast(call => !call.done)
    if (byOutput === undefined || (c.callId !== '' && byOutput.callId !== '')) return undefined
    return byOutput
  }

  #create(c: CallSighting): Pending {
    const ordinal = this.#calls.length
    if (ordinal >= MAX_CALLS) throw new Violation('upstream_too_large', `more than ${MAX_CALLS} tool calls`)
    const output = c.output >= 0 ? c.output : ordinal
    const call: Pending = {
      key: `r${ordinal}.o${output}`,
      output,
      itemId: c.itemId,
      callId: '',
      name: '',
      argumentsText: '',
      form: undefined,
      hasItem: false,
      begun: '',
      commands: [],
      done: false,
      delivered: false,
    }
    this.#calls.push(call)
    if (!this.#byOutput.has(output)) this.#byOutput.set(output, call)
    this.#open++
    return call
  }
}

/** The position of the call's item, as a client knows it; the writer reads it without parsing frames. */
export function readCallKey(key: string): number {
  return Number(/^r[0-9]+\.o([0-9]+)$/.exec(key)?.[1] ?? 0)
}

function disagree(): never {
  throw new Violation('upstream_protocol_violation', 'two tellings of one tool call do not agree')
}

function hasCommand(argumentsText: string, command: string): boolean {
  const doc = parseJson(argumentsText)
  const commands = isFault(doc) ? undefined : member(doc.root, 'commands')
  return commands?.kind === 'array' && commands.items.some(item => item.kind === 'string' && item.value === command)
}

/** Arguments of these come in pieces; those of other calls stand in the item. */
function streams(c: CallSighting): boolean {
  const at = c.item?.keys.indexOf('type') ?? -1
  const type = c.item?.values[at]
  return type?.kind === 'string' && (type.value === 'function_call' || type.value === 'custom_tool_call')
}

/** May a structured call that began as `from` have become `to`? Texts and lists only grow. */
function grows(from: string, to: string): boolean {
  if (from === to) return true
  const a = parseJson(from)
  const b = parseJson(to)
  return !isFault(a) && !isFault(b) && growsNode(a.root, b.root)
}

function growsNode(a: JsonNode, b: JsonNode): boolean {
  if (a.kind === 'null') return true
  if (a.kind === 'string') return b.kind === 'string' && b.value.startsWith(a.value)
  if (a.kind === 'number') return b.kind === 'number' && a.raw === b.raw
  if (a.kind === 'array') {
    return b.kind === 'array' && a.items.every((item, i) => b.items[i] !== undefined && growsNode(item, b.items[i]))
  }
  if (a.kind === 'object') {
    return (
      b.kind === 'object' &&
      a.keys.every((key, i) => {
        const from = a.values[i]
        const to = b.values[b.keys.indexOf(key)]
        return from !== undefined && to !== undefined && growsNode(from, to)
      })
    )
  }
  return a.kind === b.kind
}
