/**
 * Reads a Messages request. Strict about what decides anything (shape of `messages` and their blocks, model, `stream`,
 * `max_tokens`, tool calls and results, tools), liberal about the rest: a field it does not know goes through, and its
 * strings are segments.
 *
 * Guarantees: every string of the body is in a segment, and so is every key the dialect does not know; the exceptions are
 * media payloads, payloads that the API itself has encrypted or signed, and fixed values such as a block's type. Segments
 * are in document order within a field.
 */
import type { Fault, PastCall, Reference, RequestView } from '../core/wire.ts'
import { fault, isFault, type JsonNode, type JsonObject, member, readJson } from './json.ts'
import { editObject, pointerToken, type Replacement, splice } from './json-edit.ts'
import { isBase64 } from './media.ts'
import {
  FIXED,
  NO_KEYS,
  REQUEST_BLOCK,
  REQUEST_INNER,
  REQUEST_MESSAGE,
  REQUEST_SOURCE,
  REQUEST_TOP,
  SEALED,
} from './messages-keys.ts'
import { DeclaredTools } from './messages-request-tools.ts'
import { articled, Invalid, invalid, type Role, refuseAmbiguous, Segments } from './messages-segments.ts'
import { blockKind } from './messages-walk-block.ts'
import { isPayload } from './messages-walk-text.ts'

const encoder = new TextEncoder()

export interface MessagesRequestOptions {
  /** Token counting: nothing is generated, so there is no limit to it and no stream. */
  readonly isCount?: boolean
}

export function readMessagesRequest(raw: Uint8Array, options: MessagesRequestOptions = {}): RequestView | Fault {
  const doc = readJson(raw)
  if (isFault(doc)) return doc
  if (doc.root.kind !== 'object')
    return fault('non_object_body', `the body is ${articled(doc.root.kind)}; a JSON object was expected`)
  try {
    return new RequestReading(doc.root, doc.text, raw).view(options.isCount === true)
  } catch (error) {
    if (error instanceof Invalid) return fault(error.code, error.message)
    throw error
  }
}

const ROLES: Readonly<Record<string, Role>> = Object.assign(Object.create(null), {
  system: 'system',
  user: 'user',
  assistant: 'assistant',
})

/** Block types whose name says nothing. */
const PLAIN_TYPES: ReadonlySet<string> = new Set([
  'image',
  'document',
  'search_result',
  'tool_result',
  'tool_reference',
  'tool_addition',
  'tool_removal',
])

class RequestReading {
  readonly #root: JsonObject
  readonly #text: string
  readonly #raw: Uint8Array
  readonly #segments = new Segments()
  readonly #tools = new DeclaredTools(this.#segments)
  readonly #toolResults: string[] = []
  readonly #pastCalls: PastCall[] = []
  readonly #references: Reference[] = []
  readonly #opaque: string[] = []
  readonly #stripped: Replacement[] = []

  constructor(root: JsonObject, text: string, raw: Uint8Array) {
    this.#root = root
    this.#text = text
    this.#raw = raw
  }

  view(isCount: boolean): RequestView {
    const root = this.#root
    refuseAmbiguous(root, REQUEST_TOP, 'the request')
    const model = member(root, 'model')
    if (model?.kind !== 'string' || model.value === '') invalid('`model` must be a non-empty string')
    const stream = this.#flag('stream')
    if (isCount && stream) invalid('`stream` must be left out: counting tokens is not streamed')
    const limit = this.#limit(isCount)
    this.#members(root)
    return {
      segments: this.#segments.list,
      tools: this.#tools.tools,
      upstreamTools: this.#tools.upstreamTools,
      toolResults: this.#toolResults,
      ...(this.#pastCalls.length === 0 ? {} : { pastCalls: this.#pastCalls }),
      model: model.value,
      stream,
      n: 1,
      maxOutputTokens: limit,
      ...(this.#references.length === 0 ? {} : { references: this.#references }),
      ...(this.#opaque.length === 0 ? {} : { opaqueInputs: this.#opaque }),
      // A thread is a conversation that upstream keeps.
      ...(member(root, 'thread')?.kind === 'object' ? { stored: true } : {}),
      raw: this.#stripped.length === 0 ? this.#raw : encoder.encode(splice(this.#text, this.#stripped)),
    }
  }

  #members(root: JsonObject): void {
    const messages = member(root, 'messages')
    if (messages?.kind !== 'array') {
      invalid(`\`messages\` must be a list of objects, not ${articled(messages?.kind ?? 'missing')}`)
    }
    const system = member(root, 'system')
    if (system !== undefined) this.#content(system, 'system', '/system')
    for (let i = 0; i < messages.items.length; i++) {
      const item = messages.items[i]
      if (item?.kind !== 'object') invalid(`\`messages[${i}]\` must be an object`)
      this.#message(item, `/messages/${i}`)
    }
    for (let i = 0; i < root.keys.length; i++) {
      const key = root.keys[i]
      const value = root.values[i]
      if (key === undefined || value === undefined || key === 'messages' || key === 'system') continue
      const pointer = `/${pointerToken(key)}`
      if (key === 'tools') this.#tools.list(value, pointer)
      else if (key === 'mcp_servers') this.#tools.servers(value, pointer)
      else {
        if (key === 'container') this.#container(value, pointer)
        else if (key === 'thread' || key === 'diagnostics') this.#earlier(value, pointer)
        this.#segments.strings(
          value,
          key === 'output_config' || key === 'output_format' ? 'schema' : 'other',
          pointer,
          REQUEST_INNER,
        )
      }
    }
    this.#segments.unknownKeys(root, REQUEST_TOP, 'other', '')
  }

  #message(node: JsonObject, at: string): void {
    refuseAmbiguous(node, REQUEST_MESSAGE, at)
    const roleNode = member(node, 'role')
    if (roleNode?.kind !== 'string') invalid(`\`${at}/role\` must be a string`)
    const role = ROLES[roleNode.value] ?? 'other'
    if (role === 'other') this.#segments.add(role, `${at}/role`, roleNode.value)
    const content = member(node, 'content')
    if (content === undefined) invalid(`\`${at}/content\` must be a string or a list of blocks`)
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined || key === 'role') continue
      const pointer = `${at}/${pointerToken(key)}`
      if (key === 'content') this.#content(value, role, pointer)
      else this.#segments.strings(value, role, pointer, REQUEST_INNER)
    }
    this.#segments.unknownKeys(node, REQUEST_MESSAGE, role, at)
  }

  #content(node: JsonNode, role: Role, at: string): void {
    if (node.kind === 'string') {
      this.#segments.add(role, at, node.value)
      return
    }
    if (node.kind === 'null' && at === '/system') return
    if (node.kind !== 'array') invalid(`\`${at}\` must be a string or a list of blocks, not ${articled(node.kind)}`)
    for (let i = 0; i < node.items.length; i++) {
      const block = node.items[i]
      if (block?.kind !== 'object') invalid(`\`${at}/${i}\` must be a content block`)
      this.#block(block, role, `${at}/${i}`)
    }
  }

  #block(node: JsonObject, outer: Role, at: string): void {
    refuseAmbiguous(node, REQUEST_BLOCK, at)
    const typeNode = member(node, 'type')
    if (typeNode?.kind !== 'string') invalid(`\`${at}/type\` must be a string`)
    const type = typeNode.value
    const kind = blockKind(type)
    const role = type.endsWith('tool_result') ? 'tool' : outer
    const isPlain = FIXED.has(type) || PLAIN_TYPES.has(type)
    if (!isPlain) this.#segments.add(role, `${at}/type`, type)
    this.#strip(node)
    if (kind === 'call' || kind === 'server') requireCall(node, at)
    if (kind === 'call') this.#past(node)
    if (type === 'tool_result') this.#toolResults.push(requireString(node, 'tool_use_id', at))
    if (type === 'text') requireString(node, 'text', at)
    // Changing signed thinking makes the API refuse the request.
    const isSigned = kind === 'thinking' && isFilled(member(node, 'signature'))
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined || key === 'type' || key === 'signet') continue
      const pointer = `${at}/${pointerToken(key)}`
      if (key === 'thinking' && isSigned && value.kind === 'string') this.#segments.derive(role, pointer, value.value)
      else if (key === 'input' && (kind === 'call' || kind === 'server')) {
        this.#segments.strings(value, role, pointer, NO_KEYS)
      } else if (key === 'content') this.#inner(value, role, pointer)
      else if (key === 'source' && value.kind === 'object') this.#source(value, role, pointer)
      else if (key === 'tool' && type === 'tool_addition' && value.kind === 'object') this.#tools.added(value, pointer)
      else if (SEALED.has(key) || (key === 'data' && type === 'redacted_thinking')) {
        this.#segments.sealed(value, role, pointer)
      } else {
        if (key === 'file_id' && value.kind === 'string') this.#refer('file', value.value, pointer)
        this.#segments.strings(value, role, pointer, REQUEST_INNER)
      }
    }
    this.#segments.unknownKeys(node, REQUEST_BLOCK, role, at)
  }

  #past(node: JsonObject): void {
    const name = member(node, 'name')
    const input = member(node, 'input')
    if (name?.kind !== 'string' || input === undefined) return
    this.#pastCalls.push({ name: name.value, argumentsText: this.#text.slice(input.start, input.end) })
  }

  /** The content of a block: a text, blocks, or one block (server tools). Anything else is a value like any other. */
  #inner(node: JsonNode, role: Role, at: string): void {
    if (node.kind === 'array' && node.items.every(isBlock)) this.#content(node, role, at)
    else if (isBlock(node) && node.kind === 'object') this.#block(node, role, at)
    else this.#segments.strings(node, role, at, REQUEST_INNER)
  }

  /** Where a picture or a document comes from: a payload is skipped, what upstream would fetch is noted. */
  #source(node: JsonObject, role: Role, at: string): void {
    refuseAmbiguous(node, REQUEST_SOURCE, at)
    const type = requireString(node, 'type', at)
    if (type === 'url') this.#opaque.push(`${at}/url`)
    if (!['url', 'file', 'base64', 'text', 'content'].includes(type)) this.#segments.add(role, `${at}/type`, type)
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined || key === 'type') continue
      const pointer = `${at}/${pointerToken(key)}`
      if (key === 'data' && isPayload(node, value)) {
        if (!isPicture(node)) this.#opaque.push(pointer)
      } else if (key === 'content') this.#inner(value, role, pointer)
      else {
        if (key === 'file_id' && value.kind === 'string') {
          this.#refer('file', value.value, pointer)
          this.#opaque.push(pointer)
        }
        if (key === 'data' && type === 'base64' && value.kind === 'string' && isBase64(value.value))
          this.#opaque.push(pointer)
        this.#segments.strings(value, role, pointer, REQUEST_INNER)
        if (key === 'data' && value.kind === 'string') this.#segments.spelled(role, pointer, value.value)
      }
    }
    this.#segments.unknownKeys(node, REQUEST_SOURCE, role, at)
  }

  /** An earlier container, with the files in it; skills are files that upstream loads into one. */
  #container(node: JsonNode, at: string): void {
    if (node.kind === 'string') this.#refer('container', node.value, at)
    const id = member(node, 'id')
    if (id?.kind === 'string') this.#refer('container', id.value, `${at}/id`)
    const skills = member(node, 'skills')
    if (skills?.kind !== 'array') return
    skills.items.forEach((skill, i) => {
      const type = member(skill, 'type')
      const skillId = member(skill, 'skill_id')
      if (skillId?.kind !== 'string' || (type?.kind === 'string' && type.value === 'anthropic')) return
      this.#refer('skill', skillId.value, `${at}/skills/${i}/skill_id`)
    })
  }

  /** Messages that upstream has kept. */
  #earlier(node: JsonNode, at: string): void {
    const id = member(node, 'previous_message_id')
    if (id?.kind === 'string') this.#refer('response', id.value, `${at}/previous_message_id`)
  }

  #refer(kind: string, id: string, pointer: string): void {
    this.#references.push({ kind, id, pointer })
  }

  /** Capabilities are for the executor; a model has no use for them, and a client may have echoed one. */
  #strip(node: JsonObject): void {
    if (node.keys.includes('signet')) this.#stripped.push(...editObject(node, new Set(['signet']), new Map()))
  }

  #flag(key: string): boolean {
    const node = member(this.#root, key)
    if (node === undefined || node.kind === 'null' || node.kind === 'false') return false
    if (node.kind === 'true') return true
    invalid(`\`${key}\` must be true, false or null, not ${articled(node.kind)}`)
  }

  #limit(isCount: boolean): number {
    const node = member(this.#root, 'max_tokens')
    if (isCount && (node === undefined || node.kind === 'null')) return 0
    if (node?.kind !== 'number' || !Number.isSafeInteger(node.value) || node.value < 0) {
      invalid('`max_tokens` must be an integer from 0')
    }
    return isCount ? 0 : node.value
  }
}

function requireCall(node: JsonObject, at: string): void {
  requireString(node, 'id', at)
  requireString(node, 'name', at)
  const input = member(node, 'input')
  if (input?.kind !== 'object') invalid(`\`${at}/input\` must be an object`)
}

function requireString(node: JsonObject, key: string, at: string): string {
  const value = member(node, key)
  if (value?.kind !== 'string') invalid(`\`${at}/${key}\` must be a string`)
  return value.value
}

function isBlock(node: JsonNode): boolean {
  return node.kind === 'object' && member(node, 'type')?.kind === 'string'
}

function isFilled(node: JsonNode | undefined): boolean {
  return node?.kind === 'string' && node.value !== ''
}

function isPicture(source: JsonObject): boolean {
  const media = member(source, 'media_type')
  return media?.kind === 'string' && /^image\//i.test(media.value)
}
