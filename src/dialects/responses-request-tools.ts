/** Tools a Responses request declares, wherever it does: in `tools`, in a namespace, in items that load more. */
import { type JsonNode, type JsonObject, member } from './json.ts'
import { pointerToken } from './json-edit.ts'
import { REQUEST_SCHEMA, REQUEST_TOOL } from './responses-keys.ts'
import { invalid, type RequestText, refuseAmbiguous } from './responses-request-text.ts'

export interface DeclaredTools {
  /** Run by the caller. */
  readonly tools: string[]
  /** Run by upstream itself, before anybody could refuse a call. */
  readonly upstream: string[]
  /** Things at upstream that a tool works on. */
  refer(kind: string, id: JsonNode | undefined, pointer: string): void
  opaque(pointer: string): void
}

export function readTools(node: JsonNode, at: string, text: RequestText, into: DeclaredTools, namespace = ''): void {
  if (node.kind === 'null') return
  if (node.kind !== 'array') invalid(`\`${at}\` must be a list`)
  for (let i = 0; i < node.items.length; i++) {
    const tool = node.items[i]
    const pointer = `${at}/${i}`
    if (tool?.kind !== 'object') invalid(`\`${pointer}\` must be an object`)
    refuseAmbiguous(tool, REQUEST_TOOL, pointer)
    const type = member(tool, 'type')
    if (type?.kind !== 'string' || type.value === '') invalid(`\`${pointer}/type\` must be a non-empty string`)
    declare(tool, type.value, pointer, text, into, namespace)
    for (let j = 0; j < tool.keys.length; j++) {
      const key = tool.keys[j]
      const value = tool.values[j]
      if (key === undefined || value === undefined || key === 'type') continue
      if (key === 'tools' && type.value === 'namespace') continue
      text.strings(value, 'schema', `${pointer}/${pointerToken(key)}`, REQUEST_SCHEMA)
    }
    // Types the gate knows are names of the API; any other is the caller's own word.
    if (!KNOWN_TYPES.has(type.value)) text.add('schema', `${pointer}/type`, type.value)
    text.unknownKeys(tool, REQUEST_TOOL, 'schema', pointer)
  }
}

function declare(
  tool: JsonObject,
  type: string,
  at: string,
  text: RequestText,
  into: DeclaredTools,
  namespace: string,
): void {
  switch (type) {
    case 'function':
    case 'custom':
      into.tools.push(qualified(namespace, nameOf(tool, at)))
      return
    case 'namespace': {
      const inner = member(tool, 'tools')
      if (inner === undefined) invalid(`\`${at}/tools\` must be a list`)
      readTools(inner, `${at}/tools`, text, into, qualified(namespace, nameOf(tool, at)))
      return
    }
    case 'local_shell':
    case 'apply_patch':
      into.tools.push(type)
      return
    case 'computer':
    case 'computer_use_preview':
    case 'computer_use':
      into.tools.push('computer')
      return
    case 'shell':
      declareShell(tool, at, into)
      return
    case 'tool_search': {
      const execution = member(tool, 'execution')
      if (execution?.kind === 'string' && execution.value === 'client') into.tools.push(type)
      else into.upstream.push('upstream:tool_search')
      return
    }
    default:
      into.upstream.push(upstreamTool(type, tool, at))
      referTo(tool, at, into)
  }
}

/** In a container the commands run at upstream; where the request does not say, either may happen. */
function declareShell(tool: JsonObject, at: string, into: DeclaredTools): void {
  const environment = member(tool, 'environment')
  const type = member(environment, 'type')
  const isLocal = type?.kind === 'string' && type.value === 'local'
  if (!isLocal) into.upstream.push('upstream:shell')
  if (isLocal || type === undefined) into.tools.push('shell')
  referToContainer(environment, `${at}/environment`, into)
  const skills = member(environment, 'skills')
  if (skills?.kind !== 'array') return
  for (let i = 0; i < skills.items.length; i++) {
    const pointer = `${at}/environment/skills/${i}`
    into.refer('skill', member(skills.items[i], 'skill_id'), `${pointer}/skill_id`)
    if (member(skills.items[i], 'source') !== undefined) into.opaque(`${pointer}/source`)
  }
}

function referTo(tool: JsonObject, at: string, into: DeclaredTools): void {
  const stores = member(tool, 'vector_store_ids')
  if (stores?.kind === 'array') {
    stores.items.forEach((id, i) => {
      into.refer('vector_store', id, `${at}/vector_store_ids/${i}`)
    })
  }
  const container = member(tool, 'container')
  if (container?.kind === 'string') into.refer('container', container, `${at}/container`)
  else referToContainer(container, `${at}/container`, into)
  const mask = member(tool, 'input_image_mask')
  into.refer('file', member(mask, 'file_id'), `${at}/input_image_mask/file_id`)
}

function referToContainer(node: JsonNode | undefined, at: string, into: DeclaredTools): void {
  into.refer('container', member(node, 'container_id'), `${at}/container_id`)
  const files = member(node, 'file_ids')
  if (files?.kind !== 'array') return
  files.items.forEach((id, i) => {
    into.refer('file', id, `${at}/file_ids/${i}`)
  })
}

function nameOf(tool: JsonObject, at: string): string {
  const name = member(tool, 'name')
  if (name?.kind !== 'string' || name.value === '') invalid(`\`${at}/name\` must be a non-empty string`)
  return name.value
}

function qualified(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}.${name}`
}

/** Dated and preview editions of one tool go by one name, so that an operator registers it once. */
function upstreamTool(type: string, tool: JsonObject, at: string): string {
  const server = member(tool, 'server_label')
  if (type === 'mcp' && (server?.kind !== 'string' || server.value === '')) {
    invalid(`\`${at}/server_label\` must be a non-empty string`)
  }
  const label = server?.kind === 'string' ? `:${server.value}` : ''
  const name = `upstream:${/^web_search(?:_|$)/.test(type) ? 'web_search' : type}${label}`
  // The name goes into rows and the tool registry: nothing but plain characters.
  if (!/^upstream:[A-Za-z0-9_.-]{1,64}(?::[A-Za-z0-9_.-]{1,64})?$/.test(name)) {
    invalid(`\`${at}\` must have a plain type and label of letters, digits, \`_\`, \`.\` and \`-\``)
  }
  return name
}

const KNOWN_TYPES = new Set([
  'function',
  'custom',
  'namespace',
  'local_shell',
  'apply_patch',
  'computer',
  'computer_use_preview',
  'shell',
  'tool_search',
  'web_search',
  'web_search_preview',
  'file_search',
  'code_interpreter',
  'image_generation',
  'mcp',
  'programmatic_tool_calling',
])
