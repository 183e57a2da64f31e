/**
 * Where everything is in a Responses answer, unary body or stream event. The reader and the writer walk with this one
 * function, so they cannot disagree about what a part is or in which order parts come.
 *
 * Every string of the answer reaches the visitor, known field or not, and so does every key the dialect does not know.
 * Two kinds of text: slots, which stream in pieces and repeat whole in `*.done` events and snapshots; and trees, values
 * that are always said whole. Pointers are patterns (array positions are left out), the same for stream and unary.
 */
import { Violation } from './chat-visitor.ts'
import { type JsonNode, type JsonObject, member } from './json.ts'
import { isBase64 } from './media.ts'
import { pointerLabel } from './pointer-label.ts'
import {
  CALL_EVENTS,
  type CallEvent,
  EVENT_NAMES,
  ITEM_EVENTS,
  LIFECYCLE,
  PART_EVENTS,
  TEXT_EVENTS,
} from './responses-events.ts'
import { ANSWER_COMMON, ANSWER_RESPONSE } from './responses-keys.ts'
import type { ResponsesVisitor } from './responses-visitor.ts'
import { walkItem, walkLogprobs, walkPart } from './responses-walk-item.ts'
import {
  constant,
  decoded,
  indexIn,
  memberTree,
  refuseConfused,
  stray,
  stringIn,
  tree,
  unknownKey,
} from './responses-walk-text.ts'

export type Mode = 'event' | 'response'

export function walkResponses(root: JsonNode, source: string, mode: Mode, v: ResponsesVisitor): void {
  if (root.kind !== 'object') {
    tree(root, '', v)
    return
  }
  if (mode === 'response') walkResponse(root, source, true, v)
  else walkEvent(root, source, v)
}

function walkEvent(root: JsonObject, source: string, v: ResponsesVisitor): void {
  const typeNode = member(root, 'type')
  const type = typeNode?.kind === 'string' ? typeNode.value : ''
  const textEvent = TEXT_EVENTS.get(type)
  const callEvent = CALL_EVENTS.get(type)
  const ends = LIFECYCLE.get(type)
  const output = indexIn(root, 'output_index') ?? -1
  const content = indexIn(root, 'content_index')
  const summary = indexIn(root, 'summary_index')
  // Clients go by the one that the event's text is numbered by; the other says nothing about it.
  const partIndex = (type.startsWith('response.reasoning_summary') ? summary : content) ?? 0
  const at = `/${EVENT_NAMES.has(type) ? type : '?'}`
  const atItem = output < 0 ? at : `${at}/${Math.min(output, 1024)}`
  if (callEvent !== undefined) walkCallEvent(root, callEvent, output, v)
  else if (output >= 0 && !ITEM_EVENTS.has(type) && !EVENT_NAMES.has(type)) walkCallEvent(root, UNKNOWN_CALL, output, v)
  for (let i = 0; i < root.keys.length; i++) {
    const key = root.keys[i]
    const node = root.values[i]
    if (key === undefined || node === undefined || node.kind === 'null') continue
    switch (key) {
      case 'type':
        if (node.kind !== 'string' || !EVENT_NAMES.has(node.value)) constant(node, '/type', v)
        continue
      case 'sequence_number':
      case 'output_index':
      case 'content_index':
      case 'summary_index':
      case 'annotation_index':
      case 'command_index':
        if (node.kind !== 'number') constant(node, `/${key}`, v)
        continue
      case 'item_id':
      case 'obfuscation':
        constant(node, `/${key}`, v)
        continue
      case 'signet':
      case 'signet_abort':
        v.forged(root, key)
        continue
      default:
    }
    if (key === 'response' && ends !== undefined) {
      if (node.kind !== 'object') throw new Violation('upstream_protocol_violation', '`response` is not an object')
      walkResponse(node, source, ends, v, type)
    } else if (key === 'item' && ITEM_EVENTS.has(type)) {
      walkItem(node, source, {
        output,
        event: root,
        state: type === 'response.output_item.done' ? 'whole' : 'open',
        v,
      })
    } else if (key === 'part' && PART_EVENTS.has(type)) {
      walkPart(node, output, partIndex, type.startsWith('response.reasoning_summary') ? 'summary' : 'message', v)
    } else if (textEvent !== undefined && key === textEvent.field && node.kind === 'string') {
      v.slot({ kind: textEvent.slot, output, part: partIndex }, textEvent.mode, node.value, node.start, node.end)
    } else if (callEvent !== undefined && callEvent.mode !== 'command' && (key === callEvent.field || key === 'name')) {
      if (node.kind !== 'string') throw new Violation('upstream_protocol_violation', `\`${key}\` is not a string`)
    } else if (key === 'logprobs') walkLogprobs(node, textEvent?.mode === 'piece' ? 'piece' : 'whole', v)
    else if (type === 'response.audio.delta' && key === 'delta') {
      v.twin('audio', at)
      if (node.kind !== 'string' || !isBase64(node.value)) {
        stray(node, `${at}/delta`, v)
        decoded(node, `${at}/delta`, v)
      }
    } else if (key === 'partial_image_b64' && node.kind === 'string' && isBase64(node.value)) {
      // A picture: nothing textual.
    } else if (key === 'annotation') {
      v.element()
      stray(node, '/annotation', v)
    } else if (type === 'error' || key === 'error') tree(node, `/error/${pointerLabel(key)}`, v)
    else {
      refuseConfused(key, ANSWER_COMMON)
      unknownKey(root, i, atItem, v)
      stray(node, `${atItem}/${pointerLabel(key)}`, v)
      if (key === 'partial_image_b64') decoded(node, `${atItem}/${key}`, v)
    }
  }
  if (type === 'error' || (type === '' && root.keys.includes('error'))) v.failed()
  if (ends === true) v.end()
}

const UNKNOWN_CALL: CallEvent = { field: '', mode: 'command' }

function walkCallEvent(root: JsonObject, e: CallEvent, output: number, v: ResponsesVisitor): void {
  const text = member(root, e.field)
  const isText = e.mode !== 'command'
  const isCommand = stringIn(root, 'type') === 'response.shell_call_command.done'
  if ((isText || isCommand) && text !== undefined && text.kind !== 'string') {
    throw new Violation('upstream_protocol_violation', 'the arguments of a tool call are not a string')
  }
  v.call({
    node: root,
    item: undefined,
    where: 'event',
    output,
    itemId: stringIn(root, 'item_id'),
    callId: '',
    name: isText ? stringIn(root, 'name') : '',
    form: !isText ? undefined : stringIn(root, 'type').startsWith('response.custom') ? 'text' : 'json',
    state: e.mode,
    argumentsText: (isText || isCommand) && text?.kind === 'string' ? text.value : '',
  })
}

function walkResponse(
  root: JsonObject,
  source: string,
  isFinal: boolean,
  v: ResponsesVisitor,
  event = 'response.completed',
): void {
  for (let i = 0; i < root.keys.length; i++) {
    const key = root.keys[i]
    const node = root.values[i]
    if (key === undefined || node === undefined || node.kind === 'null') continue
    switch (key) {
      case 'output':
        walkOutput(node, source, isFinal, v)
        break
      case 'output_text':
        v.outputText(node)
        tree(node, '/output_text', v)
        break
      case 'usage':
        tree(node, '/usage', v)
        walkUsage(node, v)
        break
      case 'id':
        if (node.kind === 'string') v.state('response', node.value)
        constant(node, '/id', v)
        break
      case 'object':
      case 'model':
      case 'status':
        constant(node, `/${key}`, v)
        break
      case 'signet':
      case 'signet_abort':
        v.forged(root, key)
        break
      default:
        refuseConfused(key, ANSWER_RESPONSE)
        if (ANSWER_RESPONSE.has(key)) tree(node, `/${key}`, v)
        else memberTree(root, i, '', v)
    }
  }
  if (isFinal) walkFinish(root, event, v)
}

function walkOutput(node: JsonNode, source: string, isFinal: boolean, v: ResponsesVisitor): void {
  if (node.kind !== 'array') throw new Violation('upstream_protocol_violation', '`output` is not a list')
  for (let i = 0; i < node.items.length; i++) {
    const item = node.items[i]
    if (item === undefined) continue
    if (item.kind !== 'object') throw new Violation('upstream_protocol_violation', 'an output item is not an object')
    walkItem(item, source, { output: i, event: undefined, state: isFinal ? 'whole' : 'open', v })
  }
}

function walkUsage(node: JsonNode, v: ResponsesVisitor): void {
  if (node.kind !== 'object') return
  const input = countOf(node, 'input_tokens')
  const output = countOf(node, 'output_tokens')
  if (input !== undefined || output !== undefined) v.usage(input, output)
}

function countOf(node: JsonObject, key: string): number | undefined {
  const value = member(node, key)
  return value?.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0 ? value.value : undefined
}

/** `completed`, or why not: the reason of an incomplete answer says more than its status. */
function walkFinish(root: JsonObject, event: string, v: ResponsesVisitor): void {
  const reason = member(member(root, 'incomplete_details'), 'reason')
  const status = member(root, 'status')
  if (reason?.kind === 'string' && reason.value !== '') v.finish(reason.value)
  else if (status?.kind === 'string' && status.value !== '') v.finish(status.value)
  else if (root.keys.includes('output')) v.finish(event.slice('response.'.length))
}
