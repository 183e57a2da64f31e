/**
 * Where everything is in a Messages answer, unary body or stream event. The reader and the writer walk with these
 * functions, so they cannot disagree about what a part is or in which order parts come.
 *
 * Every string of the answer reaches the visitor, known field or not, and so does every key the dialect does not know.
 * Pointers are patterns: array positions are `*`, and a delta has the pointer of the field it continues, so that text
 * split over events or blocks joins, and never joins another field's. The stop reason comes last.
 */

import { Violation } from './chat-visitor.ts'
import { indexOf } from './chat-walk-calls.ts'
import { type JsonNode, type JsonObject, member } from './json.ts'
import { ANSWER_DELTA, ANSWER_EVENT, ANSWER_MESSAGE } from './messages-keys.ts'
import type { MessagesVisitor } from './messages-visitor.ts'
import { TEXT, walkBlock, walkDelta } from './messages-walk-block.ts'
import { constant, walkMember, walkText } from './messages-walk-text.ts'

/** A unary body: a message, or an error. */
export function walkMessage(root: JsonNode, source: string, v: MessagesVisitor): void {
  if (root.kind === 'object') walkWhole(root, '', source, v)
  else walkText(root, 'other', '', v, 'constant')
}

/** One event of a stream. */
export function walkEvent(root: JsonObject, source: string, v: MessagesVisitor): void {
  const type = member(root, 'type')
  switch (type?.kind === 'string' ? type.value : '') {
    case 'message_start': {
      const message = objectMember(root, 'message')
      v.messageStart()
      walkRest(root, 'message', v)
      walkWhole(message, '/message', source, v)
      break
    }
    case 'content_block_start': {
      const block = objectMember(root, 'content_block')
      walkRest(root, 'content_block', v)
      walkBlock(block, indexMember(root), source, v)
      break
    }
    case 'content_block_delta': {
      const delta = objectMember(root, 'delta')
      walkDelta(delta, indexMember(root), v)
      walkRest(root, 'delta', v)
      break
    }
    case 'content_block_stop':
      walkRest(root, undefined, v)
      v.blockStop(indexMember(root))
      break
    case 'message_delta': {
      v.inMessage()
      const delta = objectMember(root, 'delta')
      walkRest(root, 'delta', v)
      for (let i = 0; i < delta.keys.length; i++) {
        const key = delta.keys[i]
        const value = delta.values[i]
        if (key === undefined || value === undefined || key === 'stop_reason') continue
        if (key === 'signet') v.forged(delta, key)
        else if (key === 'stop_sequence') constant(value, '/stop_sequence', v)
        else {
          if (key === 'container') kept('container', member(value, 'id'), v)
          walkMember(delta, i, key, value, ANSWER_DELTA, '', v, 'constant')
        }
      }
      walkStop(delta, v)
      break
    }
    case 'message_stop':
      walkRest(root, undefined, v)
      v.messageStop()
      break
    default:
      walkRest(root, undefined, v)
  }
}

/** The members of an event beside the one that was or will be walked by its own rules. */
function walkRest(root: JsonObject, except: string | undefined, v: MessagesVisitor): void {
  for (let i = 0; i < root.keys.length; i++) {
    const key = root.keys[i]
    const value = root.values[i]
    if (key === undefined || value === undefined || key === except) continue
    if (key === 'index' && value.kind === 'number') continue
    if (key === 'signet' || key === 'signet_abort') v.forged(root, key)
    else if (key === 'usage') walkUsage(value, v)
    else walkMember(root, i, key, value, ANSWER_EVENT, '', v, 'constant')
  }
}

/** A message with its blocks. */
function walkWhole(node: JsonObject, at: string, source: string, v: MessagesVisitor): void {
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined) continue
    switch (key) {
      case 'content':
        walkContent(value, source, v)
        break
      case 'id':
        kept('response', value, v)
        constant(value, `${at}/id`, v)
        break
      case 'type':
      case 'role':
      case 'model':
      case 'stop_sequence':
        constant(value, `${at}/${key}`, v)
        break
      case 'usage':
        walkUsage(value, v)
        break
      case 'stop_reason':
        break
      case 'signet':
      case 'signet_abort':
        v.forged(node, key)
        break
      default:
        if (key === 'container') kept('container', member(value, 'id'), v)
        walkMember(node, i, key, value, ANSWER_MESSAGE, at, v, 'constant')
    }
  }
  walkStop(node, v)
}

/** What upstream keeps under this id, a later request may name: `thread.previous_message_id`, `container`. */
function kept(kind: 'response' | 'container', id: JsonNode | undefined, v: MessagesVisitor): void {
  if (id?.kind === 'string' && id.value !== '') v.state(kind, id.value)
}

function walkContent(node: JsonNode, source: string, v: MessagesVisitor): void {
  if (node.kind === 'null') return
  if (node.kind === 'string') {
    v.text('content', TEXT, node.value, node.start, node.end, 'delta')
    return
  }
  if (node.kind !== 'array') throw new Violation('upstream_protocol_violation', '`content` is not a list')
  for (const block of node.items) walkBlock(block, undefined, source, v)
}

function walkStop(node: JsonObject, v: MessagesVisitor): void {
  const reason = member(node, 'stop_reason')
  if (reason === undefined || reason.kind === 'null') return
  constant(reason, '/stop_reason', v)
  if (reason.kind === 'string' && reason.value !== '') v.finish(reason)
}

/** The input of a request is what was read anew, written to a cache and read from one, together. */
function walkUsage(node: JsonNode, v: MessagesVisitor): void {
  walkText(node, 'other', '/usage', v, 'constant')
  if (node.kind !== 'object') return
  const fresh = countOf(node, 'input_tokens')
  const input =
    fresh === undefined
      ? undefined
      : fresh + (countOf(node, 'cache_creation_input_tokens') ?? 0) + (countOf(node, 'cache_read_input_tokens') ?? 0)
  const output = countOf(node, 'output_tokens')
  if (input !== undefined || output !== undefined) v.usage(input, output)
}

function countOf(node: JsonObject, key: string): number | undefined {
  const value = member(node, key)
  return value?.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0 ? value.value : undefined
}

function objectMember(root: JsonObject, key: string): JsonObject {
  const value = member(root, key)
  if (value?.kind === 'object') return value
  throw new Violation('upstream_protocol_violation', `an event has no \`${key}\` object`)
}

function indexMember(root: JsonObject): number {
  const index = indexOf(root)
  if (index !== undefined) return index
  throw new Violation('upstream_protocol_violation', 'an event about a content block has no index')
}
