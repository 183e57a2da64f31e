/**
 * Where everything is in a text-completions answer, unary body or stream chunk. The envelope is that of chat; a choice has
 * `text` instead of a message, and its log-probabilities name tokens by object keys. A `message` or a `delta` here is a
 * field nobody knows, and its strings are text like any other; tool calls, which nobody could commit on this surface, are
 * a protocol violation.
 */
import { type AnswerForm, type ChatVisitor, type Container, Violation } from './chat-visitor.ts'
import { walkEnvelope, walkToken } from './chat-walk.ts'
import { constant, walkMember, walkText } from './chat-walk-text.ts'
import { ANSWER_CHOICE, ANSWER_LOGPROBS } from './completions-keys.ts'
import { type JsonNode, type JsonObject, parseJson } from './json.ts'

/** Every prompt of a batch gives `n` choices. */
export const MAX_COMPLETIONS = 2048
/** Alternatives of one token beyond this many share a channel. */
const MAX_RANK = 32

export const COMPLETIONS_FORM: AnswerForm = { parse: parseJson, walk: walkCompletions, maxSnapshots: 4096 }

function walkCompletions(root: JsonNode, source: string, primary: Container, v: ChatVisitor): void {
  walkEnvelope(root, source, primary, v, walkChoice, MAX_COMPLETIONS)
}

function walkChoice(node: JsonObject, choice: number, _source: string, _primary: Container, v: ChatVisitor): void {
  const at = `/choices/${choice}`
  v.choice(choice, node)
  let finish: JsonNode | undefined
  let logprobs: JsonNode | undefined
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined) continue
    switch (key) {
      case 'text':
        walkSpoken(value, choice, `${at}/text`, v)
        break
      case 'finish_reason':
        finish = value
        break
      case 'logprobs':
        logprobs = value
        break
      case 'prompt_logprobs':
        walkAlternatives(value, choice, `${at}/prompt_logprobs`, v)
        break
      case 'index':
        break
      case 'message':
      case 'delta':
        if (value.kind === 'object') for (const inner of value.keys) refuseCall(inner)
        walkMember(node, i, key, value, ANSWER_CHOICE, choice, at, v)
        break
      case 'native_finish_reason':
      case 'stop_reason':
        constant(value, choice, `${at}/${key}`, v)
        break
      default:
        refuseCall(key)
        walkMember(node, i, key, value, ANSWER_CHOICE, choice, at, v)
    }
  }
  if (logprobs !== undefined) walkLogprobs(logprobs, choice, `${at}/logprobs`, v)
  if (finish === undefined || finish.kind === 'null') return
  constant(finish, choice, `${at}/finish_reason`, v)
  // Some servers send an empty reason in every chunk before the last.
  if (finish.kind === 'string' && finish.value !== '') v.finish(choice, finish.value)
}

/** What a client joins to one text: strings and numbers, by themselves or in a list. */
function walkSpoken(node: JsonNode, choice: number, at: string, v: ChatVisitor): void {
  if (node.kind === 'string' || node.kind === 'number') walkText(node, 'content', choice, at, v)
  else if (node.kind === 'array' && !node.items.every(item => item.kind === 'number')) {
    for (const item of node.items) {
      v.element()
      walkSpoken(item, choice, at, v)
    }
    // Anything else no client takes for text; a list of numbers may spell one.
  } else walkText(node, 'other', choice, at, v)
}

function refuseCall(key: string): void {
  if (key === 'tool_calls' || key === 'function_call') {
    throw new Violation('upstream_protocol_violation', 'a text completion holds a tool call')
  }
}

/** `tokens` spell the text once more. Some servers (llama.cpp) send chat's form here, `content`. */
function walkLogprobs(node: JsonNode, choice: number, at: string, v: ChatVisitor): void {
  if (node.kind !== 'object') {
    walkText(node, 'other', choice, at, v)
    return
  }
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined) continue
    if (key === 'top_logprobs') walkAlternatives(value, choice, `${at}/top_logprobs`, v)
    else if ((key === 'content' || key === 'refusal') && value.kind === 'array') {
      for (const token of value.items) walkToken(token, choice, `${at}/${key}/*`, v)
    } else walkMember(node, i, key, value, ANSWER_LOGPROBS, choice, at, v)
  }
}

/** One object per position, its keys the alternative tokens: those of the same rank spell another text. */
function walkAlternatives(node: JsonNode, choice: number, at: string, v: ChatVisitor): void {
  if (node.kind !== 'array') {
    walkText(node, 'other', choice, at, v)
    return
  }
  for (const position of node.items) {
    if (position.kind !== 'object') {
      walkText(position, 'other', choice, `${at}/*`, v)
      continue
    }
    for (let rank = 0; rank < position.keys.length; rank++) {
      const key = position.keys[rank]
      const start = position.keyStarts[rank]
      const value = position.values[rank]
      if (key === undefined || start === undefined || value === undefined) continue
      const pointer = `${at}/${Math.min(rank, MAX_RANK)}`
      // The writer drops the whole field rather than rename a key.
      v.text('other', choice, pointer, key, start, start, 'delta')
      walkText(value, 'other', choice, `${pointer}/~value`, v)
    }
  }
}
