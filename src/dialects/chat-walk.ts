/**
 * Where everything is in a chat-completions answer, unary body or stream chunk. The reader and the writer walk with this
 * one function, so they cannot disagree about what a part is or in which order parts come.
 *
 * Every string of the answer reaches the visitor, known field or not, and so does every key the dialect does not know.
 * Within a choice: messages first, then other fields, log-probabilities, and last the finish reason.
 * Pointers are patterns: choice numbers are kept (`/choices/1/delta/content`), other array positions are `*`, so that
 * text split over events in the same field joins, and never joins another field's.
 */
import type { Code } from '../core/verdict.ts'
import type { Channel } from '../core/wire.ts'
import { ANSWER_CALL, ANSWER_CHOICE, ANSWER_COMMON, ANSWER_FUNCTION, ANSWER_MESSAGE, ANSWER_TOP } from './chat-keys.ts'
import type { JsonNode, JsonObject } from './json.ts'
import type { KnownKeys } from './known-keys.ts'
import { isBase64, isMediaUrl } from './media.ts'

export type Container = 'delta' | 'message'

/**
 * `delta`: continues what the same pointer said before. `constant`: a whole value, said again in every chunk, and
 * inspected when it changes. `key`: an object key the dialect does not know.
 */
export type TextMode = 'delta' | 'constant' | 'key'

export interface Fragment {
  readonly choice: number
  readonly container: Container
  /** The legacy `function_call` member; there is one per message. */
  readonly legacy: boolean
  readonly node: JsonObject
  /** Upstream's index; unary answers and some servers have none. */
  readonly index: number | undefined
  readonly id: string
  readonly name: string
  readonly argumentsText: string
  readonly form: 'json' | 'text' | undefined
}

export interface ChatVisitor {
  text(
    name: Channel['name'],
    choice: number,
    pointer: string,
    text: string,
    start: number,
    end: number,
    mode: TextMode,
  ): void
  /** Numbers 0 to 255 that may spell text (UTF-8). */
  bytes(choice: number, pointer: string, node: JsonNode, values: Uint8Array): void
  /** Sound or a signature that repeats text in a form nobody can redact. */
  twin(kind: 'audio' | 'signed', choice: number, pointer: string): void
  fragment(f: Fragment): void
  choice(choice: number, node: JsonObject): void
  message(choice: number, container: Container, node: JsonObject): void
  usage(input: number | undefined, output: number | undefined): void
  finish(choice: number, reason: string): void
  /** Signet's own fields, which upstream has no business sending. */
  forged(node: JsonObject, key: string): void
}

/** Upstream broke the protocol. The message never quotes upstream. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly code: Code
  constructor(code: Code, message: string) {
    super(message)
    this.code = code
  }
}

/** Choices, and calls, beyond this no SDK accepts. */
export const MAX_CHOICES = 128

/** Values the API itself fixes: they need no inspection. Any other value in these fields is text (enumerations age). */
const FIXED = new Set([
  'chat.completion.chunk',
  'chat.completion',
  'assistant',
  'function',
  'custom',
  'stop',
  'length',
  'tool_calls',
  'content_filter',
  'function_call',
  'default',
  'auto',
  'end_turn',
  'max_tokens',
  'stop_sequence',
  'pause_turn',
  'tool_use',
])

interface Pointers {
  readonly base: string
  readonly delta: MessagePointers
  readonly message: MessagePointers
}

interface MessagePointers {
  readonly base: string
  readonly content: string
  readonly refusal: string
  readonly transcript: string
  readonly call: string
  readonly legacy: string
}

const pointersOf: Pointers[] = []

function pointers(choice: number): Pointers {
  const known = pointersOf[choice]
  if (known !== undefined) return known
  const base = `/choices/${choice}`
  const made = { base, delta: messagePointers(`${base}/delta`), message: messagePointers(`${base}/message`) }
  pointersOf[choice] = made
  return made
}

function messagePointers(base: string): MessagePointers {
  return {
    base,
    content: `${base}/content`,
    refusal: `${base}/refusal`,
    transcript: `${base}/audio/transcript`,
    call: `${base}/tool_calls/*`,
    legacy: `${base}/function_call`,
  }
}

/** `primary`: the member that holds the message in this mode, `delta` in a stream and `message` in a unary body. */
export function walkChat(root: JsonNode, source: string, primary: Container, v: ChatVisitor): void {
  if (root.kind !== 'object') {
    walkText(root, 'other', 0, '', v)
    return
  }
  for (let i = 0; i < root.keys.length; i++) {
    const key = root.keys[i]
    const node = root.values[i]
    if (key === undefined || node === undefined) continue
    switch (key) {
      case 'choices':
        walkChoices(node, source, primary, v)
        break
      case 'usage':
        walkUsage(node, v)
        break
      case 'id':
      case 'object':
      case 'model':
      case 'system_fingerprint':
      case 'service_tier':
      case 'provider':
      case 'obfuscation':
        constant(node, 0, `/${key}`, v)
        break
      case 'created':
        if (node.kind !== 'number') walkText(node, 'other', 0, '/created', v)
        break
      case 'signet':
      case 'signet_abort':
        v.forged(root, key)
        break
      default:
        walkMember(root, i, key, node, ANSWER_TOP, 0, '', v)
    }
  }
}

function walkChoices(node: JsonNode, source: string, primary: Container, v: ChatVisitor): void {
  if (node.kind === 'null') return
  if (node.kind !== 'array') throw new Violation('upstream_protocol_violation', '`choices` is not a list')
  let seen: Set<number> | undefined
  for (let i = 0; i < node.items.length; i++) {
    const choice = node.items[i]
    if (choice === undefined) continue
    if (choice.kind !== 'object') throw new Violation('upstream_protocol_violation', 'a choice is not an object')
    const number = indexOf(choice) ?? i
    if (number >= MAX_CHOICES) {
      throw new Violation('upstream_protocol_violation', `a choice index is not below ${MAX_CHOICES}`)
    }
    if (node.items.length > 1) {
      seen ??= new Set()
      if (seen.has(number)) throw new Violation('upstream_protocol_violation', 'two choices have the same index')
      seen.add(number)
    }
    walkChoice(choice, number, source, primary, v)
  }
}

function walkChoice(node: JsonObject, choice: number, source: string, primary: Container, v: ChatVisitor): void {
  const at = pointers(choice)
  v.choice(choice, node)
  let finish: JsonNode | undefined
  let logprobs: JsonNode | undefined
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined) continue
    switch (key) {
      case 'delta':
      case 'message':
        if (value.kind === 'object') walkMessage(value, choice, key, source, key === primary, v)
        else walkText(value, 'other', choice, at[key].base, v)
        break
      case 'finish_reason':
        finish = value
        break
      case 'logprobs':
        logprobs = value
        break
      case 'index':
        break
      case 'native_finish_reason':
      case 'stop_reason':
        constant(value, choice, `${at.base}/${key}`, v)
        break
      default:
        walkMember(node, i, key, value, ANSWER_CHOICE, choice, at.base, v)
    }
  }
  if (logprobs !== undefined && logprobs.kind !== 'null') walkLogprobs(logprobs, choice, `${at.base}/logprobs`, v)
  if (finish === undefined || finish.kind === 'null') return
  constant(finish, choice, `${at.base}/finish_reason`, v)
  // Some servers send an empty reason in every chunk before the last.
  if (finish.kind === 'string' && finish.value !== '') v.finish(choice, finish.value)
}

function walkMessage(
  node: JsonObject,
  choice: number,
  container: Container,
  source: string,
  isPrimary: boolean,
  v: ChatVisitor,
): void {
  v.message(choice, container, node)
  const at = pointers(choice)[container]
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined || value.kind === 'null') continue
    switch (key) {
      case 'content':
        if (value.kind === 'string') {
          v.text(isPrimary ? 'content' : 'other', choice, at.content, value.value, value.start, value.end, 'delta')
        } else walkContent(value, choice, at, isPrimary, v)
        break
      case 'role':
        constant(value, choice, `${at.base}/role`, v)
        break
      case 'refusal':
        walkText(value, isPrimary ? 'refusal' : 'other', choice, at.refusal, v)
        break
      case 'reasoning':
      case 'reasoning_content':
      case 'thinking':
        walkText(value, isPrimary ? 'reasoning' : 'other', choice, `${at.base}/${key}`, v)
        break
      case 'reasoning_details':
        walkReasoningDetails(value, choice, `${at.base}/reasoning_details`, isPrimary, v)
        break
      case 'signature':
      case 'reasoning_signature':
      case 'reasoning_opaque':
        v.twin('signed', choice, `${at.base}/${key}`)
        walkText(value, 'other', choice, `${at.base}/${key}`, v)
        break
      case 'audio':
        walkAudio(value, choice, at, isPrimary, v)
        break
      case 'tool_calls':
        walkCalls(value, choice, container, at.call, source, v)
        break
      case 'function_call':
        if (value.kind !== 'object')
          throw new Violation('upstream_protocol_violation', 'a function call is not an object')
        walkLegacyCall(value, choice, container, at.legacy, source, v)
        break
      default:
        walkMember(node, i, key, value, ANSWER_MESSAGE, choice, at.base, v)
    }
  }
}

/** Content as a list of parts: their texts form one channel with plain string content. */
function walkContent(node: JsonNode, choice: number, at: MessagePointers, isPrimary: boolean, v: ChatVisitor): void {
  if (node.kind !== 'array') {
    walkText(node, 'other', choice, `${at.content}/*`, v)
    return
  }
  const name = isPrimary ? 'content' : 'other'
  for (const item of node.items) {
    if (item.kind === 'string') {
      v.text(name, choice, at.content, item.value, item.start, item.end, 'delta')
    } else if (item.kind === 'object') {
      for (let i = 0; i < item.keys.length; i++) {
        const key = item.keys[i]
        const value = item.values[i]
        if (key === undefined || value === undefined) continue
        if (key === 'text') walkText(value, name, choice, at.content, v)
        else if (key === 'refusal') walkText(value, isPrimary ? 'refusal' : 'other', choice, at.refusal, v)
        else walkMember(item, i, key, value, ANSWER_COMMON, choice, `${at.content}/*`, v)
      }
    } else {
      walkText(item, 'other', choice, `${at.content}/*`, v)
    }
  }
}

function walkReasoningDetails(node: JsonNode, choice: number, at: string, isPrimary: boolean, v: ChatVisitor): void {
  if (node.kind !== 'array') {
    walkText(node, 'other', choice, at, v)
    return
  }
  const name = isPrimary ? 'reasoning' : 'other'
  for (const item of node.items) {
    if (item.kind !== 'object') {
      walkText(item, 'other', choice, `${at}/*`, v)
      continue
    }
    for (let i = 0; i < item.keys.length; i++) {
      const key = item.keys[i]
      const value = item.values[i]
      if (key === undefined || value === undefined || value.kind === 'null') continue
      const pointer = `${at}/*/${label(key)}`
      if (key === 'text' || key === 'summary') walkText(value, name, choice, pointer, v)
      else if (key === 'type' || key === 'format' || key === 'id') constant(value, choice, pointer, v)
      else {
        if (key === 'signature' || key === 'data') v.twin('signed', choice, pointer)
        walkMember(item, i, key, value, ANSWER_COMMON, choice, `${at}/*`, v)
      }
    }
  }
}

function walkAudio(node: JsonNode, choice: number, at: MessagePointers, isPrimary: boolean, v: ChatVisitor): void {
  if (node.kind !== 'object') {
    walkText(node, 'other', choice, `${at.base}/audio`, v)
    return
  }
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined) continue
    if (key === 'transcript') walkText(value, isPrimary ? 'transcript' : 'other', choice, at.transcript, v)
    else if (key === 'id') constant(value, choice, `${at.base}/audio/id`, v)
    else if (key === 'data' && value.kind === 'string') {
      v.twin('audio', choice, `${at.base}/audio/data`)
      if (!isBase64(value.value)) walkText(value, 'other', choice, `${at.base}/audio/data`, v)
    } else walkMember(node, i, key, value, ANSWER_COMMON, choice, `${at.base}/audio`, v)
  }
}

function walkCalls(
  node: JsonNode,
  choice: number,
  container: Container,
  at: string,
  source: string,
  v: ChatVisitor,
): void {
  if (node.kind !== 'array') throw new Violation('upstream_protocol_violation', '`tool_calls` is not a list')
  for (const item of node.items) {
    if (item.kind !== 'object') throw new Violation('upstream_protocol_violation', 'a tool call is not an object')
    const index = indexOf(item)
    let id = ''
    let type = ''
    let custom: JsonNode | undefined
    let plain: JsonNode | undefined
    for (let i = 0; i < item.keys.length; i++) {
      const key = item.keys[i]
      const value = item.values[i]
      if (key === undefined || value === undefined || value.kind === 'null') continue
      if (key === 'id') id = stringOf(value, 'id')
      else if (key === 'type') {
        type = stringOf(value, 'type')
        constant(value, choice, `${at}/type`, v)
      } else if (key === 'function') plain = value
      else if (key === 'custom') custom = value
      else if (key === 'signet') v.forged(item, key)
      else if (key !== 'index') walkMember(item, i, key, value, ANSWER_CALL, choice, at, v)
    }
    if (plain !== undefined && custom !== undefined) {
      throw new Violation('upstream_protocol_violation', 'a tool call is both a function and a custom call')
    }
    const form =
      custom !== undefined || type === 'custom' ? 'text' : plain !== undefined || type !== '' ? 'json' : undefined
    const body = readCallBody(
      custom ?? plain,
      choice,
      `${at}/${custom === undefined ? 'function' : 'custom'}`,
      source,
      v,
    )
    v.fragment({ choice, container, legacy: false, node: item, index, id, form, ...body })
  }
}

function walkLegacyCall(
  node: JsonObject,
  choice: number,
  container: Container,
  at: string,
  source: string,
  v: ChatVisitor,
): void {
  if (node.keys.includes('signet')) v.forged(node, 'signet')
  const body = readCallBody(node, choice, at, source, v)
  v.fragment({ choice, container, legacy: true, node, index: undefined, id: '', form: 'json', ...body })
}

function readCallBody(
  node: JsonNode | undefined,
  choice: number,
  at: string,
  source: string,
  v: ChatVisitor,
): { readonly name: string; readonly argumentsText: string } {
  if (node === undefined) return { name: '', argumentsText: '' }
  if (node.kind !== 'object')
    throw new Violation('upstream_protocol_violation', 'the function of a tool call is not an object')
  let name = ''
  let argumentsText = ''
  const isCustom = at.endsWith('/custom')
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined || value.kind === 'null') continue
    if (key === 'name') name = stringOf(value, 'name')
    else if (key === (isCustom ? 'input' : 'arguments')) {
      // Some servers send the arguments as an object instead of its text.
      argumentsText = value.kind === 'object' ? source.slice(value.start, value.end) : stringOf(value, 'arguments')
    } else if (key !== 'signet' || !at.endsWith('/function_call'))
      walkMember(node, i, key, value, ANSWER_FUNCTION, choice, at, v)
  }
  return { name, argumentsText }
}

/** `tokens` and `bytes` spell the content once more; alternatives of the same rank spell another text. */
function walkLogprobs(node: JsonNode, choice: number, at: string, v: ChatVisitor): void {
  if (node.kind !== 'object') {
    walkText(node, 'other', choice, at, v)
    return
  }
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined) continue
    if ((key === 'content' || key === 'refusal') && value.kind === 'array') {
      for (const token of value.items) walkToken(token, choice, `${at}/${key}/*`, v)
    } else walkMember(node, i, key, value, ANSWER_COMMON, choice, at, v)
  }
}

function walkToken(node: JsonNode, choice: number, at: string, v: ChatVisitor): void {
  if (node.kind !== 'object') {
    walkText(node, 'other', choice, at, v)
    return
  }
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined) continue
    if (key === 'top_logprobs' && value.kind === 'array') {
      for (let rank = 0; rank < value.items.length; rank++) {
        const alternative = value.items[rank]
        if (alternative !== undefined) walkToken(alternative, choice, `${at}/top_logprobs/${Math.min(rank, 32)}`, v)
      }
    } else walkMember(node, i, key, value, ANSWER_COMMON, choice, at, v)
  }
}

function walkUsage(node: JsonNode, v: ChatVisitor): void {
  walkText(node, 'other', 0, '/usage', v)
  if (node.kind !== 'object') return
  const input = countOf(node, 'prompt_tokens')
  const output = countOf(node, 'completion_tokens')
  if (input !== undefined || output !== undefined) v.usage(input, output)
}

function countOf(node: JsonObject, key: string): number | undefined {
  const value = node.values[node.keys.indexOf(key)]
  return value?.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0 ? value.value : undefined
}

/** A string the API repeats in every chunk. Anything but a string in its place is text like any other. */
function constant(node: JsonNode, choice: number, pointer: string, v: ChatVisitor): void {
  if (node.kind !== 'string') walkText(node, 'other', choice, pointer, v)
  else if (!FIXED.has(node.value)) v.text('other', choice, pointer, node.value, node.start, node.end, 'constant')
}

function walkMember(
  owner: JsonObject,
  i: number,
  key: string,
  value: JsonNode,
  known: KnownKeys,
  choice: number,
  pointer: string,
  v: ChatVisitor,
): void {
  const start = owner.keyStarts[i]
  if (start !== undefined && !known.has(key)) {
    const confused = known === ANSWER_COMMON ? undefined : known.confusedWith(key)
    if (confused !== undefined) {
      throw new Violation('upstream_protocol_violation', `a key differs from \`${confused}\` only in case or form`)
    }
    v.text('other', choice, `${pointer}/~key`, key, start, start, 'key')
  }
  walkText(value, 'other', choice, `${pointer}/${label(key)}`, v)
}

/** Any value of a field that carries text, or that the dialect does not know. */
export function walkText(node: JsonNode, name: Channel['name'], choice: number, pointer: string, v: ChatVisitor): void {
  switch (node.kind) {
    case 'string':
      if (!isMediaUrl(node.value)) v.text(name, choice, pointer, node.value, node.start, node.end, 'delta')
      break
    case 'array': {
      const values = byteValues(node.items)
      if (values !== undefined) v.bytes(choice, `${pointer}/*`, node, values)
      else for (const item of node.items) walkText(item, name, choice, `${pointer}/*`, v)
      break
    }
    case 'object':
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const value = node.values[i]
        if (key !== undefined && value !== undefined) walkMember(node, i, key, value, ANSWER_COMMON, choice, pointer, v)
      }
      break
    case 'number':
    case 'true':
    case 'false':
    case 'null':
      break
  }
}

function byteValues(items: readonly JsonNode[]): Uint8Array | undefined {
  if (items.length === 0) return undefined
  const bytes = new Uint8Array(items.length)
  for (let i = 0; i < items.length; i++) {
    const item = items[i]
    if (item?.kind !== 'number' || !Number.isInteger(item.value) || item.value < 0 || item.value > 255) return undefined
    bytes[i] = item.value
  }
  return bytes
}

/** A field name in a pointer. Pointers are recorded, so a name that could itself be a message is not repeated in one. */
function label(key: string): string {
  return ANSWER_COMMON.has(key) || (key.length <= 40 && /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(key)) ? key : '?'
}

function stringOf(node: JsonNode, what: string): string {
  if (node.kind === 'string') return node.value
  throw new Violation('upstream_protocol_violation', `the ${what} of a tool call is not a string`)
}

/** `index` as a non-negative integer. Booleans and strings are not numbers. */
function indexOf(node: JsonObject): number | undefined {
  const at = node.keys.indexOf('index')
  const value = at < 0 ? undefined : node.values[at]
  if (value === undefined || value.kind === 'null') return undefined
  if (value.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0) return value.value
  throw new Violation('upstream_protocol_violation', 'an index is not a non-negative integer')
}
