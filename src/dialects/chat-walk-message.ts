/** One message of an answer, `delta` or `message`: content, reasoning, sound, refusal and calls. */
import { ANSWER_COMMON, ANSWER_MESSAGE } from './chat-keys.ts'
import { type ChatVisitor, type Container, Violation } from './chat-visitor.ts'
import { walkCalls, walkLegacyCall } from './chat-walk-calls.ts'
import { constant, decoded, walkMember, walkText } from './chat-walk-text.ts'
import type { JsonNode, JsonObject } from './json.ts'
import { isBase64 } from './media.ts'
import { pointerLabel } from './pointer-label.ts'

export interface Pointers {
  readonly base: string
  readonly delta: MessagePointers
  readonly message: MessagePointers
}

export interface MessagePointers {
  readonly base: string
  readonly content: string
  readonly refusal: string
  readonly transcript: string
  readonly call: string
  readonly legacy: string
}

const pointersOf: Pointers[] = []

export function pointers(choice: number): Pointers {
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

export function walkMessage(
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
  if (node.kind === 'number' && isPrimary) {
    walkText(node, 'content', choice, at.content, v)
    return
  }
  // No list of parts: something else, or numbers that may spell text.
  if (node.kind !== 'array' || node.items.every(item => item.kind === 'number')) {
    walkText(node, 'other', choice, `${at.content}/*`, v)
    return
  }
  const name = isPrimary ? 'content' : 'other'
  for (const item of node.items) {
    v.element()
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
    v.element()
    if (item.kind !== 'object') {
      walkText(item, 'other', choice, `${at}/*`, v)
      continue
    }
    for (let i = 0; i < item.keys.length; i++) {
      const key = item.keys[i]
      const value = item.values[i]
      if (key === undefined || value === undefined || value.kind === 'null') continue
      const pointer = `${at}/*/${pointerLabel(key)}`
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
    else if (key === 'id') {
      if (value.kind === 'string') v.state('audio', value.value)
      constant(value, choice, `${at.base}/audio/id`, v)
    } else if (key === 'data' && value.kind === 'string') {
      v.twin('audio', choice, `${at.base}/audio/data`)
      if (!isBase64(value.value)) {
        walkText(value, 'other', choice, `${at.base}/audio/data`, v)
        decoded(value, choice, `${at.base}/audio/data`, v)
      }
    } else walkMember(node, i, key, value, ANSWER_COMMON, choice, `${at.base}/audio`, v)
  }
}
