/**
 * Going on after a refused turn, chat completions: the assistant's message with its calls, and a `tool` message for each.
 * Only what the API takes back is said again: the text and the calls, not reasoning, sound or annotations.
 */
import type { RefusedTurn, RequestView } from '../core/wire.ts'
import { areDistinct, extendList, objectsOf, readObject } from './continue.ts'
import { type JsonNode, member } from './json.ts'

export function continueChat(v: RequestView, turn: RefusedTurn): Uint8Array | undefined {
  if (v.n !== 1 || !areDistinct(turn)) return undefined
  const content = turn.stream ? streamed(turn) : whole(turn)
  if (content === undefined) return undefined
  const calls = turn.refused.map(({ call }) =>
    call.form === 'text'
      ? { id: call.id, type: 'custom', custom: { name: call.name, input: call.argumentsText } }
      : { id: call.id, type: 'function', function: { name: call.name, arguments: call.argumentsText } },
  )
  return extendList(v.raw, 'messages', [
    `{"role":"assistant","content":${content},"tool_calls":${JSON.stringify(calls)}}`,
    ...turn.refused.map(r => JSON.stringify({ role: 'tool', tool_call_id: r.call.id, content: r.notice })),
  ])
}

/** The message's content as JSON. `undefined`: the message has what cannot be said again. */
function whole(turn: RefusedTurn): string | undefined {
  const doc = readObject(Buffer.concat(turn.said))
  const message = member(first(member(doc?.root, 'choices')), 'message')
  if (doc === undefined || message?.kind !== 'object') return undefined
  if (hasSound(message) || isLegacy(message)) return undefined
  const content = member(message, 'content')
  if (content === undefined || content.kind === 'null') return 'null'
  // A list of parts may hold kinds that the API only sends.
  return content.kind === 'string' ? JSON.stringify(content.value === '' ? null : content.value) : undefined
}

function streamed(turn: RefusedTurn): string | undefined {
  let text = ''
  for (const { root } of objectsOf(turn)) {
    const delta = member(first(member(root, 'choices')), 'delta')
    if (delta === undefined) continue
    if (hasSound(delta) || isLegacy(delta)) return undefined
    const content = member(delta, 'content')
    if (content?.kind === 'string') text += content.value
    else if (content !== undefined && content.kind !== 'null') return undefined
  }
  return JSON.stringify(text === '' ? null : text)
}

function first(node: JsonNode | undefined): JsonNode | undefined {
  return node?.kind === 'array' ? node.items[0] : undefined
}

function hasSound(message: JsonNode): boolean {
  return isThere(member(message, 'audio'))
}

/** The older form has no id, and so no result that could name it. */
function isLegacy(message: JsonNode): boolean {
  return isThere(member(message, 'function_call'))
}

function isThere(node: JsonNode | undefined): boolean {
  return node !== undefined && node.kind !== 'null'
}
