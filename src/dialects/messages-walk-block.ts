/** One content block of an answer, whole or as a stream begins it, and the deltas that continue it. */
import { Violation } from './chat-visitor.ts'
import type { JsonNode, JsonObject } from './json.ts'
import { ANSWER_BLOCK, ANSWER_DELTA, FIXED } from './messages-keys.ts'
import type { BlockKind, MessagesVisitor } from './messages-visitor.ts'
import { constant, sealed, walkMember, walkText } from './messages-walk-text.ts'

/** Every block of the message shares these: a text that goes on in the next block is one text. */
export const BLOCK = '/content/*'
export const TEXT = `${BLOCK}/text`
export const THINKING = `${BLOCK}/thinking`
export const INPUT = `${BLOCK}/input`
const DELTA = `${BLOCK}/delta`

/** `index`: where a stream puts it; `undefined` in a whole message. */
export function walkBlock(node: JsonNode, index: number | undefined, source: string, v: MessagesVisitor): void {
  if (node.kind !== 'object') throw new Violation('upstream_protocol_violation', 'a content block is not an object')
  const type = stringMember(node, 'type', 'a content block')
  const kind = blockKind(type)
  v.block(kind, index)
  let id = ''
  let name = ''
  let input = ''
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined) continue
    if (key === 'signet') v.forged(node, key)
    else if (value.kind === 'null' && ANSWER_BLOCK.has(key)) continue
    else if (key === 'text' && kind === 'text') said(value, 'content', TEXT, v)
    else if (key === 'thinking' && kind === 'thinking') said(value, 'reasoning', THINKING, v)
    else if (key === 'signature') walkSignature(value, kind, `${BLOCK}/signature`, v)
    else if (key === 'data' && type === 'redacted_thinking') sealed(value, `${BLOCK}/data`, v)
    else if (kind === 'call' && key === 'id') id = stringOf(value, 'id')
    else if (kind === 'call' && key === 'name') name = stringOf(value, 'name')
    else if (kind === 'call' && key === 'input') input = source.slice(value.start, value.end)
    // The summary comes with its own encrypted form: it cannot be changed alone.
    else if (key === 'content' && type === 'compaction') walkSealedText(value, `${BLOCK}/content`, v)
    else walkMember(node, i, key, value, ANSWER_BLOCK, BLOCK, v, FIXED.has(type) ? 'constant' : 'delta')
  }
  if (kind === 'call' && name === '') {
    throw new Violation('upstream_protocol_violation', 'a tool call has no name')
  }
  v.blockRead(kind === 'call' ? { node, id, name, input } : undefined)
}

/** A block that looks like a call and is not known to run upstream is one: the caller might run it. */
export function blockKind(type: string): BlockKind {
  if (type === 'text' || type === 'thinking') return type
  if (type === 'tool_use') return 'call'
  if (type === 'server_tool_use' || type === 'mcp_tool_use') return 'server'
  return /(?:^|_)tool_(?:use|call)(?:_|$)|function_call/i.test(type) && !/_result$/.test(type) ? 'call' : 'other'
}

export function walkDelta(node: JsonNode, index: number, v: MessagesVisitor): void {
  if (node.kind !== 'object') throw new Violation('upstream_protocol_violation', 'a delta is not an object')
  const type = stringMember(node, 'type', 'a delta')
  v.delta(index, type, node.end - node.start)
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined) continue
    if (key === 'signet') v.forged(node, key)
    else if (value.kind === 'null' && ANSWER_DELTA.has(key)) continue
    else if (key === 'text' && type === 'text_delta') said(value, 'content', TEXT, v)
    else if (key === 'thinking' && type === 'thinking_delta') said(value, 'reasoning', THINKING, v)
    else if (key === 'partial_json') {
      // Some clients add it to the arguments whatever the delta says it is.
      if (value.kind !== 'string' || type !== 'input_json_delta') {
        throw new Violation('upstream_protocol_violation', '`partial_json` is not a string of an `input_json_delta`')
      }
      v.partialJson(value)
    } else if (key === 'signature') walkSignature(value, 'thinking', `${BLOCK}/signature`, v)
    else if (key === 'citation') walkText(value, 'other', `${BLOCK}/citations/*`, v, 'constant')
    else if (key === 'content' && type === 'compaction_delta') walkSealedText(value, `${BLOCK}/content`, v)
    else if (key === 'type') constant(value, `${DELTA}/type`, v)
    else walkMember(node, i, key, value, ANSWER_DELTA, DELTA, v, 'delta')
  }
}

/** Clients join whatever stands here to what was said before, a number too: only a string has one reading. */
function said(node: JsonNode, name: 'content' | 'reasoning', pointer: string, v: MessagesVisitor): void {
  if (node.kind !== 'string') throw new Violation('upstream_protocol_violation', `a piece of ${name} is not a string`)
  v.text(name, pointer, node.value, node.start, node.end, 'delta')
}

/** An empty one announces that a signature follows. */
function walkSignature(node: JsonNode, kind: BlockKind, pointer: string, v: MessagesVisitor): void {
  if (kind === 'thinking') v.signed(pointer)
  sealed(node, pointer, v)
}

function walkSealedText(node: JsonNode, pointer: string, v: MessagesVisitor): void {
  if (node.kind === 'string') v.text('other', pointer, node.value, node.start, node.end, 'sealed')
  else walkText(node, 'other', pointer, v, 'constant')
}

function stringMember(node: JsonObject, key: string, what: string): string {
  const value = node.values[node.keys.indexOf(key)]
  if (value?.kind === 'string') return value.value
  throw new Violation('upstream_protocol_violation', `the ${key} of ${what} is not a string`)
}

function stringOf(node: JsonNode, what: string): string {
  if (node.kind === 'string') return node.value
  throw new Violation('upstream_protocol_violation', `the ${what} of a tool call is not a string`)
}
