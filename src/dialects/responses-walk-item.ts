/** One item of a Responses answer: messages, reasoning, proposed calls, and what upstream's own tools did. */
import { byteValues } from './byte-list.ts'
import { Violation } from './chat-visitor.ts'
import { isFault, type JsonNode, type JsonObject, member, parseJson } from './json.ts'
import { encodeString } from './json-edit.ts'
import { pointerLabel } from './pointer-label.ts'
import type { SlotKind } from './responses-events.ts'
import type { ResponsesVisitor } from './responses-visitor.ts'
import { constant, memberTree, payload, stringIn, tree } from './responses-walk-text.ts'

export interface ItemContext {
  readonly output: number
  /** The event, when it is about this item alone. */
  readonly event: JsonObject | undefined
  readonly state: 'open' | 'whole'
  readonly v: ResponsesVisitor
}

/** Items upstream itself has already acted on, or that only tell; none of them asks the caller to do something. */
const TOLD = new Set([
  'web_search_call',
  'file_search_call',
  'code_interpreter_call',
  'image_generation_call',
  'mcp_call',
  'mcp_list_tools',
  'mcp_approval_response',
  'compaction',
  'program',
  'program_output',
  'additional_tools',
  'tool_search_output',
])

export function walkItem(node: JsonNode, source: string, c: ItemContext): void {
  const { v } = c
  if (node.kind !== 'object') throw new Violation('upstream_protocol_violation', 'an output item is not an object')
  const typeNode = member(node, 'type')
  const type = typeNode?.kind === 'string' ? typeNode.value : ''
  const at = `/item/${pointerLabel(type)}`
  const isCall = isProposal(node, type)
  const spoken = isCall ? spokenFor(type) : NOTHING_SPOKEN
  if (isCall) v.call(sighting(node, type, source, c))
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined || value.kind === 'null') continue
    if (key === 'id' && value.kind === 'string') v.state('item', value.value)
    if (key === 'type' || key === 'id' || key === 'status' || key === 'role' || key === 'phase') {
      constant(value, `/item/${key}`, v)
    } else if (key === 'signet') v.forged(node, key)
    else if (isCall) {
      if (!spoken.has(key)) memberTree(node, i, at, v)
    } else if (type === 'message' && key === 'content') walkParts(value, c.output, 'message', v)
    else if (type === 'reasoning' && key === 'summary') walkParts(value, c.output, 'summary', v)
    else if (type === 'reasoning' && key === 'content') walkParts(value, c.output, 'message', v)
    else if (key === 'encrypted_content') {
      if (type === 'reasoning') v.twin('encrypted', `${at}/encrypted_content`)
      tree(value, `${at}/encrypted_content`, v)
    } else if (type === 'code_interpreter_call' && key === 'code' && value.kind === 'string') {
      slot('code', c.output, value, v)
    } else if (type === 'mcp_call' && key === 'arguments' && value.kind === 'string') slot('mcp', c.output, value, v)
    else if (type === 'image_generation_call' && key === 'result') payload(value, `${at}/result`, v)
    else memberTree(node, i, at, v)
  }
}

function slot(kind: SlotKind, output: number, node: Extract<JsonNode, { kind: 'string' }>, v: ResponsesVisitor): void {
  v.slot({ kind, output, part: 0 }, 'whole', node.value, node.start, node.end)
}

function walkParts(node: JsonNode, output: number, where: 'message' | 'summary', v: ResponsesVisitor): void {
  if (node.kind !== 'array') {
    tree(node, `/item/${where}`, v)
    return
  }
  for (let i = 0; i < node.items.length; i++) {
    const part = node.items[i]
    if (part !== undefined) walkPart(part, output, i, where, v)
  }
}

/** A content part or a summary part. */
export function walkPart(
  node: JsonNode,
  output: number,
  part: number,
  where: 'message' | 'summary',
  v: ResponsesVisitor,
): void {
  if (node.kind !== 'object') {
    tree(node, '/part', v)
    return
  }
  const typeNode = member(node, 'type')
  const type = typeNode?.kind === 'string' ? typeNode.value : ''
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined || value.kind === 'null') continue
    if (key === 'type') constant(value, '/part/type', v)
    else if (key === 'text' && value.kind === 'string') {
      const kind = where === 'summary' ? 'summary' : type === 'reasoning_text' ? 'reasoning' : 'content'
      v.slot({ kind, output, part }, 'whole', value.value, value.start, value.end)
    } else if (key === 'refusal' && value.kind === 'string') {
      v.slot({ kind: 'refusal', output, part }, 'whole', value.value, value.start, value.end)
    } else if (key === 'transcript' && value.kind === 'string') {
      v.slot({ kind: 'transcript', output, part }, 'whole', value.value, value.start, value.end)
    } else if (key === 'data' && type === 'output_audio') {
      v.twin('audio', '/part/data')
      payload(value, '/part/data', v)
    } else if (key === 'logprobs') walkLogprobs(value, 'whole', v)
    else if (key === 'annotations') tree(value, '/annotation', v)
    else memberTree(node, i, '/part', v)
  }
}

/** `tokens` and `bytes` spell the content once more; alternatives spell another text. */
export function walkLogprobs(node: JsonNode, mode: 'piece' | 'whole', v: ResponsesVisitor): void {
  if (node.kind === 'array' && node.items.length === 0) return
  v.logprobs(node)
  if (mode === 'whole') tree(node, '/logprobs', v)
  else strayTokens(node, '/logprobs', v)
}

function strayTokens(node: JsonNode, at: string, v: ResponsesVisitor): void {
  if (node.kind === 'string') v.stray(at, node.value, node.start, node.end)
  else if (node.kind === 'array') {
    const values = byteValues(node.items)
    if (values !== undefined) {
      v.bytes(at, values)
      return
    }
    const ranked = at.endsWith('/top_logprobs')
    for (let rank = 0; rank < node.items.length; rank++) {
      const item = node.items[rank]
      if (item !== undefined) strayTokens(item, ranked ? `${at}/${Math.min(rank, 32)}` : at, v)
    }
  } else if (node.kind === 'object') {
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key !== undefined && value !== undefined) strayTokens(value, `${at}/${pointerLabel(key)}`, v)
    }
  }
}

/**
 * Members that are the call itself: its sighting carries them, the commitment stage inspects them. What another kind of
 * call would have is text like any other.
 */
function spokenFor(type: string): ReadonlySet<string> {
  return SPOKEN_FOR.get(type) ?? NAMED
}

const NOTHING_SPOKEN: ReadonlySet<string> = new Set()
const NAMED: ReadonlySet<string> = new Set(['call_id', 'name'])
const SPOKEN_FOR: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['function_call', new Set(['call_id', 'name', 'namespace', 'arguments'])],
  ['custom_tool_call', new Set(['call_id', 'name', 'namespace', 'input'])],
  ['local_shell_call', new Set(['call_id', 'action'])],
  ['shell_call', new Set(['call_id', 'action'])],
  ['apply_patch_call', new Set(['call_id', 'operation'])],
  ['computer_call', new Set(['call_id', 'action', 'actions'])],
  ['tool_search_call', new Set(['call_id', 'arguments'])],
  ['mcp_approval_request', new Set(['call_id', 'name', 'arguments'])],
])

/**
 * Does the item ask the caller to do something? A type the dialect does not know that carries a call id does, unless it
 * is the result of one.
 */
function isProposal(node: JsonObject, type: string): boolean {
  switch (type) {
    case 'function_call':
    case 'custom_tool_call':
    case 'local_shell_call':
    case 'apply_patch_call':
    case 'computer_call':
    case 'mcp_approval_request':
      return true
    case 'shell_call': {
      // In a container of upstream's the commands have already run.
      const environment = member(member(node, 'environment'), 'type')
      return !(environment?.kind === 'string' && environment.value.startsWith('container'))
    }
    case 'tool_search_call': {
      const execution = member(node, 'execution')
      return execution?.kind === 'string' && execution.value === 'client'
    }
    default:
      return !TOLD.has(type) && !type.endsWith('_output') && member(node, 'call_id')?.kind === 'string'
  }
}

function sighting(node: JsonObject, type: string, source: string, c: ItemContext) {
  return {
    node: c.event ?? node,
    item: node,
    where: c.event === undefined ? 'nested' : 'event',
    output: c.output,
    itemId: stringIn(node, 'id'),
    callId: stringIn(node, 'call_id'),
    name: callName(node, type),
    form: type === 'custom_tool_call' ? 'text' : 'json',
    state: c.state,
    argumentsText: callArguments(node, type, source),
  } as const
}

/** Tools of the API's own go by their declared type; a function in a namespace by both names. */
function callName(node: JsonObject, type: string): string {
  switch (type) {
    case 'function_call':
    case 'custom_tool_call': {
      const namespace = stringIn(node, 'namespace')
      const name = stringIn(node, 'name')
      return namespace === '' || name === '' ? name : `${namespace}.${name}`
    }
    case 'computer_call':
      return 'computer'
    case 'local_shell_call':
    case 'shell_call':
    case 'apply_patch_call':
    case 'tool_search_call':
      // Whatever else it is named: a client goes by the type.
      return type.slice(0, -'_call'.length)
    case 'mcp_approval_request':
      return `upstream:mcp:${stringIn(node, 'server_label')}`
    default: {
      const name = stringIn(node, 'name')
      return name !== '' ? name : type.endsWith('_call') ? type.slice(0, -5) : type
    }
  }
}

function callArguments(node: JsonObject, type: string, source: string): string {
  switch (type) {
    case 'function_call':
      return textOrSource(member(node, 'arguments'), source)
    case 'custom_tool_call':
      return textOrSource(member(node, 'input'), source)
    case 'local_shell_call':
    case 'shell_call':
      return textOrSource(member(node, 'action'), source)
    case 'apply_patch_call':
      return textOrSource(member(node, 'operation'), source)
    case 'tool_search_call':
      return textOrSource(member(node, 'arguments'), source)
    case 'computer_call': {
      // Older clients run `action`, newer ones `actions`: with both, both are decided.
      const action = textOrSource(member(node, 'action'), source)
      const actions = textOrSource(member(node, 'actions'), source)
      if (actions === '') return action
      return action === '' ? `{"actions":${actions}}` : `{"action":${action},"actions":${actions}}`
    }
    case 'mcp_approval_request': {
      const text = textOrSource(member(node, 'arguments'), source)
      const json = parseJson(text)
      return `{"name":${encodeString(stringIn(node, 'name'))},"arguments":${isFault(json) ? encodeString(text) : text}}`
    }
    default:
      return rest(node, source)
  }
}

function textOrSource(node: JsonNode | undefined, source: string): string {
  if (node === undefined || node.kind === 'null') return ''
  return node.kind === 'string' ? node.value : source.slice(node.start, node.end)
}

/** Everything an unknown kind of call says, but for what names it. */
function rest(node: JsonObject, source: string): string {
  const members: string[] = []
  for (let i = 0; i < node.keys.length; i++) {
    const key = node.keys[i]
    const value = node.values[i]
    if (key === undefined || value === undefined || NAMING.has(key)) continue
    members.push(`${encodeString(key)}:${source.slice(value.start, value.end)}`)
  }
  return `{${members.join(',')}}`
}

const NAMING = new Set(['id', 'type', 'status', 'call_id', 'name', 'signet', 'created_by'])
