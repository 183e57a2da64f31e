/**
 * The tools a Messages request declares. A tool without a type is the caller's; so are the ones Anthropic defines and the
 * caller runs (shell, editor, computer, browser, memory). Every other type is run by upstream, an unknown one included.
 */

import { REQUEST_SCHEMA } from './chat-keys.ts'
import { type JsonNode, type JsonObject, member } from './json.ts'
import { pointerToken } from './json-edit.ts'
import { REQUEST_INNER, REQUEST_SERVER, REQUEST_TOOL } from './messages-keys.ts'
import { articled, invalid, refuseAmbiguous, type Segments } from './messages-segments.ts'

const RUN_BY_CALLER = /^(?:bash|text_editor|computer|memory|computer_toolset|browser_toolset)_[0-9]{8}$/

export class DeclaredTools {
  readonly tools: string[] = []
  readonly #upstream = new Set<string>()
  readonly #segments: Segments

  constructor(segments: Segments) {
    this.#segments = segments
  }

  get upstreamTools(): readonly string[] {
    return [...this.#upstream]
  }

  list(node: JsonNode, at: string): void {
    if (node.kind === 'null') return
    if (node.kind !== 'array') invalid(`\`${at}\` must be a list, not ${articled(node.kind)}`)
    for (let i = 0; i < node.items.length; i++) {
      const tool = node.items[i]
      if (tool?.kind !== 'object') invalid(`\`${at}/${i}\` must be an object`)
      this.#tool(tool, `${at}/${i}`)
    }
  }

  /** A tool that a message adds or brings back in the middle of a conversation. */
  added(node: JsonObject, at: string): void {
    const type = textOf(node, 'type', at)
    if (type === 'tool_definition') {
      const definition = member(node, 'definition')
      if (definition?.kind !== 'object') invalid(`\`${at}/definition\` must be an object`)
      this.#tool(definition, `${at}/definition`)
    } else if (type !== 'tool_reference') {
      // `mcp_tool_reference`, `mcp_toolset_reference`, and whatever comes later.
      const server = member(node, 'server_name')
      this.#runByUpstream(server?.kind === 'string' ? `upstream:mcp:${server.value}` : `upstream:${type}`, `${at}/type`)
    }
    this.#segments.strings(node, 'schema', at, REQUEST_INNER)
  }

  /** Remote MCP servers, which upstream connects to by itself. */
  servers(node: JsonNode, at: string): void {
    if (node.kind === 'null') return
    if (node.kind !== 'array') invalid(`\`${at}\` must be a list, not ${articled(node.kind)}`)
    for (let i = 0; i < node.items.length; i++) {
      const server = node.items[i]
      const pointer = `${at}/${i}`
      if (server?.kind !== 'object') invalid(`\`${pointer}\` must be an object`)
      refuseAmbiguous(server, REQUEST_SERVER, pointer)
      this.#runByUpstream(`upstream:mcp:${textOf(server, 'name', pointer)}`, `${pointer}/name`)
      for (let j = 0; j < server.keys.length; j++) {
        const key = server.keys[j]
        const value = server.values[j]
        if (key === undefined || value === undefined) continue
        if (key === 'type' && value.kind === 'string' && value.value === 'url') continue
        this.#segments.strings(value, 'other', `${pointer}/${pointerToken(key)}`, REQUEST_INNER)
      }
      this.#segments.unknownKeys(server, REQUEST_SERVER, 'other', pointer)
    }
  }

  #tool(tool: JsonObject, at: string): void {
    refuseAmbiguous(tool, REQUEST_TOOL, at)
    const type = member(tool, 'type')
    const isTyped = type !== undefined && type.kind !== 'null'
    if (isTyped && type.kind !== 'string') invalid(`\`${at}/type\` must be a string`)
    const name = isTyped && type.kind === 'string' && type.value !== 'custom' ? type.value : undefined
    if (name === undefined) this.tools.push(textOf(tool, 'name', at))
    else if (RUN_BY_CALLER.test(name)) {
      const given = member(tool, 'name')
      this.tools.push(given?.kind === 'string' && given.value !== '' ? given.value : name)
    } else if (name === 'mcp_toolset') {
      this.#runByUpstream(`upstream:mcp:${textOf(tool, 'mcp_server_name', at)}`, `${at}/mcp_server_name`)
    } else this.#runByUpstream(`upstream:${name}`, `${at}/type`)
    for (let i = 0; i < tool.keys.length; i++) {
      const key = tool.keys[i]
      const value = tool.values[i]
      if (key === undefined || value === undefined || (key === 'type' && value.kind === 'string' && name === undefined))
        continue
      this.#segments.strings(value, 'schema', `${at}/${pointerToken(key)}`, REQUEST_SCHEMA)
    }
    this.#segments.unknownKeys(tool, REQUEST_TOOL, 'schema', at)
  }

  #runByUpstream(name: string, at: string): void {
    // The name goes into rows and the tool registry: nothing but plain characters.
    if (!/^upstream:[A-Za-z0-9_.-]{1,64}(?::[A-Za-z0-9_.-]{1,64})?$/.test(name)) {
      invalid(`\`${at}\` must be a plain name of letters, digits, \`_\`, \`.\` and \`-\``)
    }
    this.#upstream.add(name)
  }
}

function textOf(node: JsonObject, key: string, at: string): string {
  const value = member(node, key)
  if (value?.kind !== 'string' || value.value === '') invalid(`\`${at}/${key}\` must be a non-empty string`)
  return value.value
}
