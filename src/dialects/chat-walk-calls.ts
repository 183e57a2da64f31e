/** Tool calls in an answer: `tool_calls` elements, whole or in fragments, and the legacy `function_call`. */
import { ANSWER_CALL, ANSWER_FUNCTION } from './chat-keys.ts'
import { type ChatVisitor, type Container, Violation } from './chat-visitor.ts'
import { constant, walkMember } from './chat-walk-text.ts'
import type { JsonNode, JsonObject } from './json.ts'

export function walkCalls(
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

export function walkLegacyCall(
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

function stringOf(node: JsonNode, what: string): string {
  if (node.kind === 'string') return node.value
  throw new Violation('upstream_protocol_violation', `the ${what} of a tool call is not a string`)
}

/** `index` as a non-negative integer. Booleans and strings are not numbers. */
export function indexOf(node: JsonObject): number | undefined {
  const at = node.keys.indexOf('index')
  const value = at < 0 ? undefined : node.values[at]
  if (value === undefined || value.kind === 'null') return undefined
  if (value.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0) return value.value
  throw new Violation('upstream_protocol_violation', 'an index is not a non-negative integer')
}
