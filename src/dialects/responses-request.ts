/**
 * Reads a Responses request. Strict about what decides anything (shape of `input`, model, `stream`, counts, calls,
 * tools), liberal about the rest: a field it does not know goes through, and its strings are segments.
 *
 * Guarantees: every string of the body is in a segment, and so is every key the dialect does not know; the exceptions are
 * media payloads (see `media.ts`), encrypted text, and fixed values such as an item's type. What the request builds on at
 * upstream is in `references`, what cannot be read here in `opaqueInputs`.
 */
import type { Fault, PastCall, Reference, RequestView } from '../core/wire.ts'
import { fault, isFault, type JsonNode, type JsonObject, member, readJson } from './json.ts'
import { editObject, pointerToken, type Replacement, splice } from './json-edit.ts'
import { isBase64, isMediaUrl } from './media.ts'
import {
  REQUEST_INNER,
  REQUEST_ITEM,
  REQUEST_PART,
  REQUEST_SCHEMA,
  REQUEST_TOP,
  REQUEST_TYPES,
} from './responses-keys.ts'
import { noticeFor } from './responses-notice.ts'
import { articled, Invalid, invalid, RequestText, type Role, refuseAmbiguous } from './responses-request-text.ts'
import { type DeclaredTools, readTools } from './responses-request-tools.ts'

const encoder = new TextEncoder()

export function readResponsesRequest(raw: Uint8Array): RequestView | Fault {
  const doc = readJson(raw)
  if (isFault(doc)) return doc
  if (doc.root.kind !== 'object') {
    return fault('non_object_body', `the body is ${articled(doc.root.kind)}; a JSON object was expected`)
  }
  try {
    return new RequestReading(doc.root, doc.text, raw).view()
  } catch (error) {
    if (error instanceof Invalid) return fault(error.code, error.message)
    throw error
  }
}

const ROLES: Readonly<Record<string, Role>> = Object.assign(Object.create(null), {
  system: 'system',
  developer: 'developer',
  user: 'user',
  assistant: 'assistant',
})

/** Members of items that hold what a tool gave back. */
const RESULTS = new Set(['output', 'outputs', 'result', 'results', 'error', 'tools'])

class RequestReading {
  readonly #root: JsonObject
  readonly #source: string
  readonly #raw: Uint8Array
  readonly #text = new RequestText()
  readonly #toolResults: string[] = []
  readonly #pastCalls: PastCall[] = []
  readonly #stripped: Replacement[] = []
  readonly #references: Reference[] = []
  readonly #opaque: string[] = []
  readonly #declared: DeclaredTools = {
    tools: [],
    upstream: [],
    refer: (kind, id, pointer) => this.#refer(kind, id, pointer),
    opaque: pointer => this.#opaque.push(pointer),
  }

  constructor(root: JsonObject, source: string, raw: Uint8Array) {
    this.#root = root
    this.#source = source
    this.#raw = raw
  }

  view(): RequestView {
    const root = this.#root
    refuseAmbiguous(root, REQUEST_TOP, 'the request')
    const model = member(root, 'model')
    // A stored prompt may name the model.
    const isStored = member(root, 'prompt')?.kind === 'object'
    const named = model?.kind === 'string' && model.value !== '' ? model.value : undefined
    if (named === undefined && !(isStored && (model === undefined || model.kind === 'null'))) {
      invalid('`model` must be a non-empty string')
    }
    const stream = this.#flag('stream', false)
    const background = this.#flag('background', false)
    const stored = this.#flag('store', true)
    const maxOutputTokens = this.#count('max_output_tokens')
    this.#members(root)
    return {
      segments: this.#text.segments,
      tools: this.#declared.tools,
      upstreamTools: [...new Set(this.#declared.upstream)],
      toolResults: this.#toolResults,
      ...(this.#pastCalls.length === 0 ? {} : { pastCalls: this.#pastCalls }),
      model: named ?? '',
      stream,
      n: 1,
      ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
      references: this.#references,
      opaqueInputs: this.#opaque,
      background,
      stored,
      raw: this.#stripped.length === 0 ? this.#raw : encoder.encode(splice(this.#source, this.#stripped)),
    }
  }

  #members(root: JsonObject): void {
    for (let i = 0; i < root.keys.length; i++) {
      const key = root.keys[i]
      const value = root.values[i]
      if (key === undefined || value === undefined) continue
      const pointer = `/${pointerToken(key)}`
      switch (key) {
        case 'input':
          this.#input(value, pointer)
          break
        case 'instructions':
          if (value.kind === 'string') this.#text.add('system', pointer, value.value)
          else if (value.kind === 'array') this.#items(value, pointer)
          else if (value.kind !== 'null') invalid('`instructions` must be a string')
          break
        case 'tools':
          readTools(value, pointer, this.#text, this.#declared)
          break
        case 'text':
          if (value.kind !== 'object' && value.kind !== 'null') invalid('`text` must be an object')
          this.#text.strings(value, 'schema', pointer, REQUEST_SCHEMA)
          break
        case 'prompt':
          this.#prompt(value, pointer)
          break
        case 'previous_response_id':
          this.#reference('response', value, pointer)
          break
        case 'conversation':
          if (value.kind === 'object') this.#reference('conversation', member(value, 'id'), `${pointer}/id`)
          else this.#reference('conversation', value, pointer)
          this.#text.strings(value, 'other', pointer, REQUEST_INNER)
          break
        default:
          this.#text.strings(value, 'other', pointer, REQUEST_INNER)
      }
      if (key === 'previous_response_id') this.#text.strings(value, 'other', pointer, REQUEST_INNER)
    }
    this.#text.unknownKeys(root, REQUEST_TOP, 'other', '')
  }

  #input(node: JsonNode, at: string): void {
    if (node.kind === 'string') this.#text.add('user', at, node.value)
    else if (node.kind === 'array') this.#items(node, at)
    else if (node.kind !== 'null') invalid(`\`${at}\` must be a string or a list of items, not ${articled(node.kind)}`)
  }

  #items(node: Extract<JsonNode, { kind: 'array' }>, at: string): void {
    for (let i = 0; i < node.items.length; i++) {
      const item = node.items[i]
      if (item?.kind !== 'object') invalid(`\`${at}/${i}\` must be an object`)
      this.#item(item, `${at}/${i}`)
    }
  }

  #item(node: JsonObject, at: string): void {
    refuseAmbiguous(node, REQUEST_ITEM, at)
    this.#strip(node)
    const typeNode = member(node, 'type')
    if (typeNode !== undefined && typeNode.kind !== 'string' && typeNode.kind !== 'null') {
      invalid(`\`${at}/type\` must be a string`)
    }
    const roleNode = member(node, 'role')
    if (roleNode !== undefined && roleNode.kind !== 'string' && roleNode.kind !== 'null') {
      invalid(`\`${at}/role\` must be a string`)
    }
    const named = typeNode?.kind === 'string' ? typeNode.value : undefined
    const type = named ?? (roleNode?.kind === 'string' ? 'message' : 'item_reference')
    const role = this.#roleOf(type, roleNode)
    this.#requireShape(node, type, at)
    if (type === 'function_call' || type === 'custom_tool_call') this.#past(node, type)
    if (type === 'item_reference') this.#itemReference(node, at)
    if (type === 'mcp_approval_response') {
      this.#reference('approval', member(node, 'approval_request_id'), `${at}/approval_request_id`)
    }
    this.#declared.refer('container', member(node, 'container_id'), `${at}/container_id`)
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined || key === 'signet') continue
      this.#itemMember(key, value, type, role, `${at}/${pointerToken(key)}`)
    }
    this.#text.unknownKeys(node, REQUEST_ITEM, role, at)
  }

  /** A function in a namespace goes by both names, as in answers. */
  #past(node: JsonObject, type: string): void {
    const text = (key: string): string => {
      const value = member(node, key)
      return value?.kind === 'string' ? value.value : ''
    }
    const namespace = text('namespace')
    this.#pastCalls.push({
      name: namespace === '' ? text('name') : `${namespace}.${text('name')}`,
      argumentsText: text(type === 'function_call' ? 'arguments' : 'input'),
    })
  }

  #itemReference(node: JsonObject, at: string): void {
    const id = member(node, 'id')
    const notice = id?.kind === 'string' ? noticeFor(id.value) : undefined
    if (notice === undefined) this.#reference('item', id, `${at}/id`)
    else this.#stripped.push({ start: node.start, end: node.end, text: notice })
  }

  #itemMember(key: string, value: JsonNode, type: string, role: Role, pointer: string): void {
    switch (key) {
      case 'type':
        if (value.kind === 'string' && !REQUEST_TYPES.has(value.value)) this.#text.add(role, pointer, value.value)
        return
      case 'role':
        if (value.kind === 'string' && ROLES[value.value] === undefined) this.#text.add(role, pointer, value.value)
        return
      case 'content':
      case 'summary':
        this.#content(value, role, pointer)
        return
      case 'arguments':
        if (value.kind === 'string') this.#text.arguments(role, pointer, value.value)
        else this.#text.strings(value, role, pointer, REQUEST_INNER)
        return
      case 'call_id':
      case 'id':
        if (value.kind !== 'string' && value.kind !== 'null') invalid(`\`${pointer}\` must be a string`)
        if (value.kind !== 'string') return
        if (isResult(type, key)) this.#toolResults.push(value.value)
        this.#text.add(role, pointer, value.value)
        return
      case 'encrypted_content':
        if (value.kind === 'null') return
        // Upstream wrote it and upstream reads it; agents that keep no state there have to send it back.
        if (value.kind !== 'string' || !isBase64(value.value)) this.#slot(value, role, pointer)
        return
      case 'tools':
        if (type === 'additional_tools' || type === 'tool_search_output') {
          readTools(value, pointer, this.#text, this.#declared)
          return
        }
        break
      case 'output':
        if (value.kind === 'array') this.#content(value, 'tool', pointer)
        else if (value.kind === 'object') this.#part(value, 'tool', pointer)
        else this.#text.strings(value, 'tool', pointer, REQUEST_INNER)
        return
      case 'result':
        if (type === 'image_generation_call' && value.kind === 'string' && isBase64(value.value)) return
        break
      default:
    }
    this.#text.strings(value, RESULTS.has(key) ? 'tool' : role, pointer, REQUEST_INNER)
  }

  #roleOf(type: string, roleNode: JsonNode | undefined): Role {
    if (type === 'message') return roleNode?.kind === 'string' ? (ROLES[roleNode.value] ?? 'other') : 'other'
    if (type.endsWith('_output')) return 'tool'
    if (type === 'additional_tools') return 'developer'
    if (type === 'mcp_approval_response') return 'user'
    return 'assistant'
  }

  /** What a call, its result or a message cannot be without. */
  #requireShape(node: JsonObject, type: string, at: string): void {
    const strings = REQUIRED[type]
    for (const key of strings ?? []) {
      if (member(node, key)?.kind !== 'string') invalid(`\`${at}/${key}\` must be a string`)
    }
    if (type === 'message') {
      const content = member(node, 'content')
      if (content?.kind !== 'string' && content?.kind !== 'array') {
        invalid(`\`${at}/content\` must be a string or a list of content parts`)
      }
      if (member(node, 'role')?.kind !== 'string') invalid(`\`${at}/role\` must be a string`)
    }
  }

  #content(node: JsonNode, role: Role, at: string): void {
    if (node.kind === 'string') this.#text.add(role, at, node.value)
    else if (node.kind === 'array') {
      for (let i = 0; i < node.items.length; i++) {
        const part = node.items[i]
        if (part?.kind === 'string') this.#text.add(role, `${at}/${i}`, part.value)
        else if (part?.kind === 'object') this.#part(part, role, `${at}/${i}`)
        else invalid(`\`${at}/${i}\` must be a content part`)
      }
    } else if (node.kind !== 'null') invalid(`\`${at}\` must be a string, a list of content parts or null`)
  }

  #part(node: JsonObject, role: Role, at: string): void {
    refuseAmbiguous(node, REQUEST_PART, at)
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined || value.kind === 'null') continue
      const pointer = `${at}/${pointerToken(key)}`
      if (key === 'type' && value.kind === 'string' && REQUEST_TYPES.has(value.value)) continue
      if (key === 'image_url' || key === 'file_url') this.#url(value, role, pointer)
      else if (key === 'file_data') {
        this.#opaque.push(pointer)
        const isBlob = value.kind === 'string' && (isMediaUrl(value.value) || isBase64(value.value))
        if (!isBlob) this.#slot(value, role, pointer)
      } else if (key === 'input_audio') this.#audio(value, role, pointer)
      else {
        if (key === 'file_id') this.#reference('file', value, pointer)
        this.#text.strings(value, role, pointer, REQUEST_INNER)
      }
    }
    this.#text.unknownKeys(node, REQUEST_PART, role, at)
  }

  /** A picture in the request itself is no text; anything upstream would have to fetch is opaque. */
  #url(node: JsonNode, role: Role, at: string): void {
    if (node.kind === 'string' && isMediaUrl(node.value)) {
      if (at.endsWith('/file_url')) this.#opaque.push(at)
      return
    }
    if (node.kind === 'string' && !/^data:/i.test(node.value)) this.#opaque.push(at)
    else if (at.endsWith('/file_url')) this.#opaque.push(at)
    this.#slot(node, role, at)
  }

  /** What is no picture, no sound and not sealed, in a place for them. */
  #slot(node: JsonNode, role: Role, at: string): void {
    this.#text.strings(node, role, at, REQUEST_INNER)
    if (node.kind === 'string') this.#text.spelled(role, at, node.value)
  }

  #audio(node: JsonNode, role: Role, at: string): void {
    const data = member(node, 'data')
    if (node.kind !== 'object' || data?.kind !== 'string' || !isBase64(data.value)) {
      this.#text.strings(node, role, at, REQUEST_INNER)
      if (data?.kind === 'string') this.#text.spelled(role, `${at}/data`, data.value)
      return
    }
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined || key === 'data') continue
      this.#text.strings(value, role, `${at}/${pointerToken(key)}`, REQUEST_INNER)
    }
    this.#text.unknownKeys(node, REQUEST_INNER, role, at)
  }

  #prompt(node: JsonNode, at: string): void {
    if (node.kind === 'null') return
    if (node.kind !== 'object') invalid(`\`${at}\` must be an object`)
    const id = member(node, 'id')
    if (id?.kind !== 'string') invalid(`\`${at}/id\` must be a string`)
    this.#reference('prompt', id, `${at}/id`)
    const variables = member(node, 'variables')
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined || value === variables) continue
      this.#text.strings(value, 'other', `${at}/${pointerToken(key)}`, REQUEST_INNER)
    }
    this.#text.unknownKeys(node, REQUEST_INNER, 'other', at)
    if (variables === undefined || variables.kind === 'null') return
    if (variables.kind !== 'object') invalid(`\`${at}/variables\` must be an object`)
    for (let i = 0; i < variables.keys.length; i++) {
      const key = variables.keys[i]
      const value = variables.values[i]
      if (key === undefined || value === undefined) continue
      const pointer = `${at}/variables/${pointerToken(key)}`
      if (value.kind === 'object') this.#part(value, 'user', pointer)
      else this.#text.strings(value, 'user', pointer, REQUEST_INNER)
    }
    this.#text.unknownKeys(variables, REQUEST_INNER, 'user', `${at}/variables`)
  }

  #reference(kind: string, id: JsonNode | undefined, pointer: string): void {
    if (id === undefined || id.kind === 'null') return
    if (id.kind !== 'string') invalid(`\`${pointer}\` must be a string`)
    this.#refer(kind, id, pointer)
  }

  #refer(kind: string, id: JsonNode | undefined, pointer: string): void {
    if (id?.kind === 'string' && id.value !== '') this.#references.push({ kind, id: id.value, pointer })
  }

  /** Capabilities are for the executor; a model has no use for them, and a client may have echoed one. */
  #strip(node: JsonObject): void {
    if (node.keys.includes('signet')) this.#stripped.push(...editObject(node, new Set(['signet']), new Map()))
  }

  #flag(key: string, otherwise: boolean): boolean {
    const node = member(this.#root, key)
    if (node === undefined || node.kind === 'null') return otherwise
    if (node.kind === 'true' || node.kind === 'false') return node.kind === 'true'
    invalid(`\`${key}\` must be true, false or null, not ${articled(node.kind)}`)
  }

  #count(key: string): number | undefined {
    const node = member(this.#root, key)
    if (node === undefined || node.kind === 'null') return undefined
    const ok = node.kind === 'number' && Number.isSafeInteger(node.value) && node.value >= 0
    if (!ok) invalid(`\`${key}\` must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}`)
    return node.value
  }
}

const REQUIRED: Readonly<Record<string, readonly string[]>> = Object.assign(Object.create(null), {
  function_call: ['name', 'arguments'],
  custom_tool_call: ['name', 'input'],
  item_reference: ['id'],
  mcp_approval_response: ['approval_request_id'],
})

/** Results name their call, some by `call_id`, the local shell by `id`. */
function isResult(type: string, key: string): boolean {
  if (!type.endsWith('_output') || type === 'program_output') return false
  return key === (type === 'local_shell_call_output' ? 'id' : 'call_id')
}
