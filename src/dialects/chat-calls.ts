/**
 * Puts tool calls together from their fragments.
 *
 * Guarantees: one `ToolCall` per call whatever the cutting, interleaving or index gaps; bounded in number and size; a
 * fragment for a call that was already handed out is a protocol violation, never an unchecked addition.
 * A name or id that repeats counts once; one that continues is joined. Clients differ here (some let the first fragment
 * win, some the last, some join what repeats), so a name that comes in fragments and would be a tool the request declared
 * in another of these readings is refused.
 */
import type { ToolCall } from '../core/wire.ts'
import { readArguments } from './arguments.ts'
import { type Fragment, Violation } from './chat-visitor.ts'
import { isFault, parseJson } from './json.ts'

export const MAX_CALLS = 128
export const MAX_ARGUMENT_BYTES = 1024 * 1024

interface Pending {
  readonly key: string
  readonly choice: number
  readonly place: string
  readonly index: number
  readonly ordinal: number
  readonly legacy: boolean
  id: string
  name: string
  /** The first fragment of the name. */
  first: string
  argumentsText: string
  form: 'json' | 'text' | undefined
  done: boolean
}

export interface DoneCall {
  readonly call: ToolCall
  readonly pointer: string
}

export class CallAssembler {
  readonly #declared: readonly string[]
  readonly #maxBytes: number
  readonly #byIndex = new Map<string, Pending>()
  readonly #last = new Map<string, Pending>()
  #open: Pending[] = []
  #count = 0

  constructor(declared: readonly string[], maxBytes = MAX_ARGUMENT_BYTES) {
    this.#declared = declared
    this.#maxBytes = maxBytes
  }

  get isEmpty(): boolean {
    return this.#open.length === 0
  }

  /** The key of the call this fragment belongs to. */
  add(f: Fragment): string {
    const call = this.#callOf(f)
    if (call.done) {
      throw new Violation('upstream_protocol_violation', 'a tool call goes on after its choice has finished')
    }
    if (f.id !== '' && f.id !== call.id) call.id += f.id
    if (f.name !== '') this.#nameOf(call, f.name)
    if (call.first === '') call.first = f.name
    if (f.form !== undefined) {
      if (call.form !== undefined && call.form !== f.form) {
        throw new Violation('upstream_protocol_violation', 'a tool call is both a function and a custom call')
      }
      call.form = f.form
    }
    call.argumentsText += f.argumentsText
    if (call.argumentsText.length + call.name.length + call.id.length > this.#maxBytes) {
      throw new Violation('upstream_too_large', `a tool call is longer than ${this.#maxBytes} characters`)
    }
    return call.key
  }

  #nameOf(call: Pending, fragment: string): void {
    const before = call.name
    const joined = before + fragment
    if (fragment !== before) call.name = joined
    if (before === '') return
    const others = fragment === before ? [joined] : [call.first, fragment]
    if (others.some(name => this.#declared.includes(name))) {
      throw new Violation('upstream_protocol_violation', 'the name of a tool call has two readings')
    }
  }

  /** Hands out the calls of a choice (of all choices without one), in index order. */
  finish(choice?: number): readonly DoneCall[] {
    if (this.#open.length === 0) return []
    const done = this.#open.filter(call => choice === undefined || call.choice === choice)
    this.#open = this.#open.filter(call => !done.includes(call))
    done.sort((a, b) => a.choice - b.choice || a.index - b.index || a.ordinal - b.ordinal)
    return done.map(call => {
      call.done = true
      return { call: toolCall(call), pointer: call.place }
    })
  }

  #callOf(f: Fragment): Pending {
    const place = `/choices/${f.choice}/${f.container}/${f.legacy ? 'function_call' : 'tool_calls'}`
    const last = this.#last.get(place)
    if (f.legacy) return last ?? this.#create(f, place, 0)
    // In a whole message every element is a call of its own.
    if (f.container === 'message') return this.#create(f, place, this.#count)
    if (f.index === undefined) {
      const same = f.id === '' ? undefined : this.#open.find(call => call.place === place && call.id === f.id)
      if (same !== undefined) return same
      return last !== undefined && f.id === '' && f.name === '' ? last : this.#create(f, place, this.#count)
    }
    const known = this.#byIndex.get(`${place}/${f.index}`)
    if (known === undefined) return this.#create(f, place, f.index)
    // Some servers number every parallel call 0 and tell them apart by id: a new id and a name begin a new call,
    // once the arguments so far are a complete object. (`1` and `2` would be `12` for a client that goes by the index.)
    const isNew =
      f.id !== '' && f.id !== known.id && known.id !== '' && f.name !== '' && isJsonObject(known.argumentsText)
    return isNew ? this.#create(f, place, f.index) : known
  }

  #create(f: Fragment, place: string, index: number): Pending {
    if (this.#count >= MAX_CALLS) throw new Violation('upstream_too_large', `more than ${MAX_CALLS} tool calls`)
    const ordinal = this.#count++
    const call: Pending = {
      key: callKey(f, ordinal),
      choice: f.choice,
      place,
      index,
      ordinal,
      legacy: f.legacy,
      id: '',
      name: '',
      first: '',
      argumentsText: '',
      form: undefined,
      done: false,
    }
    this.#last.set(place, call)
    if (f.index !== undefined) this.#byIndex.set(`${place}/${f.index}`, call)
    this.#open.push(call)
    return call
  }
}

/** `c<choice>.<d|m><ordinal>` and, where upstream numbered it, `.i<index>`: the writer reads these without parsing frames. */
function callKey(f: Fragment, ordinal: number): string {
  const index = f.index === undefined ? '' : `.i${f.index}`
  return `c${f.choice}.${f.legacy ? 'f' : f.container === 'delta' ? 'd' : 'm'}${ordinal}${index}`
}

export function readCallKey(key: string): { readonly choice: number; readonly index: number | undefined } {
  const parts = /^c([0-9]+)\.[dmf][0-9]+(?:\.i([0-9]+))?$/.exec(key)
  return { choice: Number(parts?.[1] ?? 0), index: parts?.[2] === undefined ? undefined : Number(parts[2]) }
}

function isJsonObject(text: string): boolean {
  const doc = parseJson(text)
  return !isFault(doc) && doc.root.kind === 'object'
}

function toolCall(call: Pending): ToolCall {
  const form = call.form ?? 'json'
  return {
    key: call.key,
    choice: call.choice,
    id: call.id,
    name: call.name,
    argumentsText: call.argumentsText,
    arguments: form === 'json' ? readArguments(call.argumentsText) : undefined,
    form,
  }
}
