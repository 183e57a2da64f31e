/**
 * Where everything is in a chat-completions answer, unary body or stream chunk. The reader and the writer walk with this
 * one function, so they cannot disagree about what a part is or in which order parts come.
 *
 * Every string of the answer reaches the visitor, known field or not, and so does every key the dialect does not know.
 * Within a choice: messages first, then other fields, log-probabilities, and last the finish reason.
 * Pointers are patterns: choice numbers are kept (`/choices/1/delta/content`), other array positions are `*`, so that
 * text split over events in the same field joins, and never joins another field's.
 */
import { ANSWER_CHOICE, ANSWER_COMMON, ANSWER_TOP } from './chat-keys.ts'
import { type AnswerForm, type ChatVisitor, type Container, MAX_CHOICES, Violation } from './chat-visitor.ts'
import { indexOf } from './chat-walk-calls.ts'
import { pointers, walkMessage } from './chat-walk-message.ts'
import { constant, walkMember, walkText } from './chat-walk-text.ts'
import { type JsonNode, type JsonObject, parseJson } from './json.ts'

/** `primary`: the member that holds the message in this mode, `delta` in a stream and `message` in a unary body. */
export function walkChat(root: JsonNode, source: string, primary: Container, v: ChatVisitor): void {
  walkEnvelope(root, source, primary, v, walkChoice, MAX_CHOICES)
}

export const CHAT_FORM: AnswerForm = { parse: parseJson, walk: walkChat, maxSnapshots: 4096 }

export type ChoiceWalk = (node: JsonObject, choice: number, source: string, primary: Container, v: ChatVisitor) => void

/** Everything around the choices, which the older text completions have in common with chat. */
export function walkEnvelope(
  root: JsonNode,
  source: string,
  primary: Container,
  v: ChatVisitor,
  walkOne: ChoiceWalk,
  maxChoices: number,
): void {
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
        walkChoices(node, source, primary, v, walkOne, maxChoices)
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

function walkChoices(
  node: JsonNode,
  source: string,
  primary: Container,
  v: ChatVisitor,
  walkOne: ChoiceWalk,
  maxChoices: number,
): void {
  if (node.kind === 'null') return
  if (node.kind !== 'array') throw new Violation('upstream_protocol_violation', '`choices` is not a list')
  let seen: Set<number> | undefined
  for (let i = 0; i < node.items.length; i++) {
    const choice = node.items[i]
    if (choice === undefined) continue
    if (choice.kind !== 'object') throw new Violation('upstream_protocol_violation', 'a choice is not an object')
    const number = indexOf(choice) ?? i
    if (number >= maxChoices) {
      throw new Violation('upstream_protocol_violation', `a choice index is not below ${maxChoices}`)
    }
    if (node.items.length > 1) {
      seen ??= new Set()
      if (seen.has(number)) throw new Violation('upstream_protocol_violation', 'two choices have the same index')
      seen.add(number)
    }
    walkOne(choice, number, source, primary, v)
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

export function walkToken(node: JsonNode, choice: number, at: string, v: ChatVisitor): void {
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
