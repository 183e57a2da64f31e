/**
 * Reads a chat-completions request. Strict about what decides anything (shape of `messages`, model, `stream`, counts,
 * tool calls), liberal about the rest: a field it does not know goes through, and its strings are segments.
 *
 * Guarantees: every string of the body is in a segment, and so is every key the dialect does not know; the exceptions are
 * media payloads (see `media.ts`) and fixed values such as a message's role. Segments are in document order within a field.
 */
import type { Fault, PastCall, Reference, RequestView, Segment } from '../core/wire.ts'
import { argumentStrings } from './arguments.ts'
import { byteValues, textOfBytes } from './byte-list.ts'
import {
  REQUEST_CALL,
  REQUEST_CALLED,
  REQUEST_FUNCTION,
  REQUEST_INNER,
  REQUEST_MESSAGE,
  REQUEST_PART,
  REQUEST_SCHEMA,
  REQUEST_TOOL,
  REQUEST_TOP,
} from './chat-keys.ts'
import { fault, isFault, type JsonNode, type JsonObject, member, readJson } from './json.ts'
import { editObject, pointerToken, type Replacement, splice } from './json-edit.ts'
import { ambiguousKey, type KnownKeys } from './known-keys.ts'
import { isBase64, isMediaUrl, payloadStart, spelled } from './media.ts'

const MAX_N = 128
/** Strings of one list, or of one call's arguments, beyond this many share one segment. */
const MAX_LEAVES = 256
/** Separate texts in one request; each costs every check a look. */
const MAX_SEGMENTS = 65_536
const encoder = new TextEncoder()

export function readChatRequest(raw: Uint8Array): RequestView | Fault {
  const doc = readJson(raw)
  if (isFault(doc)) return doc
  if (doc.root.kind !== 'object')
    return fault('non_object_body', `the body is ${articled(doc.root.kind)}; a JSON object was expected`)
  try {
    return new RequestReading(doc.root, doc.text, raw).view()
  } catch (error) {
    if (error instanceof Invalid) return fault(error.code, error.message)
    throw error
  }
}

class Invalid extends Error {
  override readonly name = 'Invalid'
  readonly code: 'request_invalid' | 'json_ambiguous_key'
  constructor(code: 'request_invalid' | 'json_ambiguous_key', message: string) {
    super(message)
    this.code = code
  }
}

function invalid(message: string): never {
  throw new Invalid('request_invalid', message)
}

type Role = Segment['role']

const ROLES: Readonly<Record<string, Role>> = Object.assign(Object.create(null), {
  system: 'system',
  developer: 'developer',
  user: 'user',
  assistant: 'assistant',
  tool: 'tool',
  function: 'tool',
})

class RequestReading {
  readonly #root: JsonObject
  readonly #text: string
  readonly #raw: Uint8Array
  readonly #segments: Segment[] = []
  readonly #tools: string[] = []
  readonly #upstreamTools: string[] = []
  readonly #toolResults: string[] = []
  readonly #pastCalls: PastCall[] = []
  readonly #stripped: Replacement[] = []
  readonly #references: Reference[] = []
  readonly #opaque: string[] = []

  constructor(root: JsonObject, text: string, raw: Uint8Array) {
    this.#root = root
    this.#text = text
    this.#raw = raw
  }

  view(): RequestView {
    const root = this.#root
    refuseAmbiguous(root, REQUEST_TOP, 'the request')
    const model = member(root, 'model')
    if (model?.kind !== 'string' || model.value === '') invalid('`model` must be a non-empty string')
    const stream = this.#flag('stream')
    const n = this.#count('n', 1, MAX_N) ?? 1
    const limits = [this.#count('max_completion_tokens', 0), this.#count('max_tokens', 0)].filter(x => x !== undefined)
    this.#messages(member(root, 'messages'))
    this.#members(root)
    return {
      segments: this.#segments,
      tools: this.#tools,
      upstreamTools: [...new Set(this.#upstreamTools)],
      toolResults: this.#toolResults,
      ...(this.#pastCalls.length === 0 ? {} : { pastCalls: this.#pastCalls }),
      model: model.value,
      stream,
      n,
      ...(limits.length === 0 ? {} : { maxOutputTokens: Math.max(...limits) }),
      ...(this.#references.length === 0 ? {} : { references: this.#references }),
      ...(this.#opaque.length === 0 ? {} : { opaqueInputs: this.#opaque }),
      raw: this.#stripped.length === 0 ? this.#raw : encoder.encode(splice(this.#text, this.#stripped)),
    }
  }

  #messages(node: JsonNode | undefined): void {
    if (node?.kind !== 'array')
      invalid(`\`messages\` must be a list of objects, not ${articled(node?.kind ?? 'missing')}`)
    for (let i = 0; i < node.items.length; i++) {
      const item = node.items[i]
      if (item?.kind !== 'object') invalid(`\`messages[${i}]\` must be an object`)
      this.#message(item, `/messages/${i}`)
    }
  }

  #message(node: JsonObject, at: string): void {
    refuseAmbiguous(node, REQUEST_MESSAGE, at)
    const roleNode = member(node, 'role')
    if (roleNode?.kind !== 'string') invalid(`\`${at}/role\` must be a string`)
    const role = ROLES[roleNode.value] ?? 'other'
    if (role === 'other') this.#add(role, `${at}/role`, roleNode.value)
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined || key === 'role') continue
      const pointer = `${at}/${pointerToken(key)}`
      switch (key) {
        case 'content':
          this.#content(value, role, pointer)
          break
        case 'tool_calls':
          this.#toolCalls(value, role, pointer)
          break
        case 'function_call':
          if (value.kind === 'object') this.#called(value, role, pointer, 'arguments')
          else if (value.kind !== 'null') invalid(`\`${pointer}\` must be an object`)
          break
        case 'tool_call_id':
          if (value.kind === 'string') {
            this.#toolResults.push(value.value)
            this.#add(role, pointer, value.value)
          } else if (value.kind !== 'null') invalid(`\`${pointer}\` must be a string`)
          break
        case 'audio': {
          // Sound that upstream keeps from an earlier answer.
          const id = value.kind === 'object' ? member(value, 'id') : undefined
          if (id?.kind === 'string') this.#references.push({ kind: 'audio', id: id.value, pointer: `${pointer}/id` })
          this.#strings(value, role, pointer, REQUEST_INNER)
          break
        }
        default:
          this.#strings(value, role, pointer, REQUEST_INNER)
      }
    }
    this.#unknownKeys(node, REQUEST_MESSAGE, role, at)
  }

  #content(node: JsonNode, role: Role, at: string): void {
    if (node.kind === 'string') this.#add(role, at, node.value)
    else if (node.kind === 'array') {
      for (let i = 0; i < node.items.length; i++) {
        const part = node.items[i]
        if (part?.kind === 'string') this.#add(role, `${at}/${i}`, part.value)
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
      if (key === undefined || value === undefined) continue
      const pointer = `${at}/${pointerToken(key)}`
      if (key === 'type' && value.kind === 'string' && PART_TYPES.has(value.value)) continue
      if (isPayload(key, value)) this.#payload(value, role, pointer)
      else this.#strings(value, role, pointer, REQUEST_INNER)
    }
    this.#unknownKeys(node, REQUEST_PART, role, at)
  }

  /** A media slot: the payload is skipped if it is one; everything beside it, and anything else in it, is text. */
  #payload(node: JsonNode, role: Role, at: string): void {
    if (node.kind === 'string') {
      if (!isMediaUrl(node.value)) {
        this.#fetched(node.value, at)
        this.#add(role, at, node.value)
        this.#spelled(node.value, role, at)
      }
      return
    }
    if (node.kind !== 'object') return
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined) continue
      const isBlob =
        value.kind === 'string' &&
        (isMediaUrl(value.value) || ((key === 'data' || key === 'file_data') && isBase64(value.value)))
      const pointer = `${at}/${pointerToken(key)}`
      if (value.kind === 'string') {
        if (key === 'file_id') this.#references.push({ kind: 'file', id: value.value, pointer })
        else if (key === 'file_data') this.#opaque.push(pointer)
        else if (key === 'url' && !isBlob) this.#fetched(value.value, pointer)
      }
      if (!isBlob) this.#strings(value, role, pointer, REQUEST_INNER)
      if (!isBlob && value.kind === 'string') this.#spelled(value.value, role, pointer)
    }
    this.#unknownKeys(node, REQUEST_INNER, role, at)
  }

  /** Text in the place of a picture, written as one. */
  #spelled(text: string, role: Role, at: string): void {
    const said = spelled(text, payloadStart(text))
    if (said !== undefined) this.#derive(role, at, new TextDecoder().decode(said))
  }

  /** Upstream would fetch it; what it finds there nobody here has seen. */
  #fetched(url: string, at: string): void {
    if (!/^data:/i.test(url)) this.#opaque.push(at)
  }

  #toolCalls(node: JsonNode, role: Role, at: string): void {
    if (node.kind === 'null') return
    if (node.kind !== 'array') invalid(`\`${at}\` must be a list`)
    for (let i = 0; i < node.items.length; i++) {
      const call = node.items[i]
      const pointer = `${at}/${i}`
      if (call?.kind !== 'object') invalid(`\`${pointer}\` must be an object`)
      refuseAmbiguous(call, REQUEST_CALL, pointer)
      this.#strip(call)
      const body = member(call, 'function') ?? member(call, 'custom')
      if (body?.kind !== 'object') invalid(`\`${pointer}\` must have a \`function\` or \`custom\` object`)
      for (let j = 0; j < call.keys.length; j++) {
        const key = call.keys[j]
        const value = call.values[j]
        if (key === undefined || value === undefined || key === 'signet') continue
        if ((key === 'function' || key === 'custom') && value.kind === 'object') {
          this.#called(value, role, `${pointer}/${key}`, key === 'custom' ? 'input' : 'arguments')
        } else if (!isFixed(key, value)) this.#strings(value, role, `${pointer}/${pointerToken(key)}`, REQUEST_INNER)
      }
      this.#unknownKeys(call, REQUEST_CALL, role, pointer)
    }
  }

  /** Arguments are read twice: as they stand, and as the strings a tool would get. */
  #called(node: JsonObject, role: Role, at: string, argumentsKey: 'arguments' | 'input'): void {
    refuseAmbiguous(node, REQUEST_CALLED, at)
    this.#strip(node)
    const name = member(node, 'name')
    if (name?.kind !== 'string') invalid(`\`${at}/name\` must be a string`)
    const said = member(node, argumentsKey)
    this.#pastCalls.push({ name: name.value, argumentsText: said?.kind === 'string' ? said.value : '' })
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]
      const value = node.values[i]
      if (key === undefined || value === undefined || key === 'signet') continue
      const pointer = `${at}/${pointerToken(key)}`
      if (key === argumentsKey) {
        if (value.kind === 'null') continue
        if (value.kind !== 'string') invalid(`\`${pointer}\` must be a string`)
        this.#add(role, pointer, value.value)
        if (key === 'arguments') this.#leaves(value.value, role, pointer)
      } else this.#strings(value, role, pointer, REQUEST_INNER)
    }
    this.#unknownKeys(node, REQUEST_CALLED, role, at)
  }

  #leaves(text: string, role: Role, pointer: string): void {
    const leaves = argumentStrings(text)
    if (leaves.length > MAX_LEAVES) this.#derive(role, pointer, leaves.join('\n'))
    else for (const leaf of leaves) this.#derive(role, pointer, leaf)
  }

  /** Everything beside the messages. */
  #members(root: JsonObject): void {
    for (let i = 0; i < root.keys.length; i++) {
      const key = root.keys[i]
      const value = root.values[i]
      if (key === undefined || value === undefined || key === 'messages') continue
      const pointer = `/${pointerToken(key)}`
      switch (key) {
        case 'tools':
          this.#declaredTools(value, pointer)
          break
        case 'functions':
          this.#functions(value, pointer)
          break
        case 'response_format':
          this.#strings(value, 'schema', pointer, REQUEST_SCHEMA)
          break
        case 'web_search_options':
        case 'search_parameters':
          if (value.kind !== 'null' && value.kind !== 'false') this.#upstreamTools.push('upstream:web_search')
          this.#strings(value, 'other', pointer, REQUEST_INNER)
          break
        // Azure and other servers fetch these before the model answers.
        case 'data_sources':
        case 'mcp_servers':
        case 'web_search':
        case 'search_options':
        case 'search_settings':
          if (value.kind !== 'null' && value.kind !== 'false') {
            this.#upstreamTools.push(key.includes('search') ? 'upstream:web_search' : `upstream:${key}`)
          }
          this.#strings(value, 'other', pointer, REQUEST_INNER)
          break
        case 'enable_search':
          if (value.kind !== 'null' && value.kind !== 'false') this.#upstreamTools.push('upstream:web_search')
          this.#strings(value, 'other', pointer, REQUEST_INNER)
          break
        case 'plugins':
          this.#plugins(value)
          this.#strings(value, 'other', pointer, REQUEST_INNER)
          break
        default:
          this.#strings(value, 'other', pointer, REQUEST_INNER)
      }
    }
    this.#unknownKeys(root, REQUEST_TOP, 'other', '')
  }

  #declaredTools(node: JsonNode, at: string): void {
    if (node.kind === 'null') return
    if (node.kind !== 'array') invalid(`\`${at}\` must be a list`)
    for (let i = 0; i < node.items.length; i++) {
      const tool = node.items[i]
      const pointer = `${at}/${i}`
      if (tool?.kind !== 'object') invalid(`\`${pointer}\` must be an object`)
      refuseAmbiguous(tool, REQUEST_TOOL, pointer)
      const type = member(tool, 'type')
      if (type !== undefined && type.kind !== 'string') invalid(`\`${pointer}/type\` must be a string`)
      const body = member(tool, type?.value === 'custom' ? 'custom' : 'function')
      if (type === undefined || type.value === 'function' || type.value === 'custom') {
        if (body?.kind !== 'object') invalid(`\`${pointer}\` must have a \`function\` or \`custom\` object`)
        this.#declare(body, `${pointer}/${type?.value ?? 'function'}`)
      } else {
        this.#upstreamTools.push(upstreamTool(type.value, member(tool, 'server_label'), `${pointer}/type`))
      }
      for (let j = 0; j < tool.keys.length; j++) {
        const key = tool.keys[j]
        const value = tool.values[j]
        if (key === undefined || value === undefined || isFixed(key, value)) continue
        this.#strings(value, 'schema', `${pointer}/${pointerToken(key)}`, REQUEST_SCHEMA)
      }
      this.#unknownKeys(tool, REQUEST_TOOL, 'schema', pointer)
    }
  }

  #functions(node: JsonNode, at: string): void {
    if (node.kind === 'null') return
    if (node.kind !== 'array') invalid(`\`${at}\` must be a list`)
    for (let i = 0; i < node.items.length; i++) {
      const item = node.items[i]
      if (item?.kind !== 'object') invalid(`\`${at}/${i}\` must be an object`)
      this.#declare(item, `${at}/${i}`)
      this.#strings(item, 'schema', `${at}/${i}`, REQUEST_SCHEMA)
    }
  }

  #declare(node: JsonObject, at: string): void {
    refuseAmbiguous(node, REQUEST_FUNCTION, at)
    const name = member(node, 'name')
    if (name?.kind !== 'string' || name.value === '') invalid(`\`${at}/name\` must be a non-empty string`)
    this.#tools.push(name.value)
  }

  /** OpenRouter's plugins run upstream. */
  #plugins(node: JsonNode): void {
    if (node.kind === 'null') return
    if (node.kind !== 'array') invalid('`/plugins` must be a list')
    for (let i = 0; i < node.items.length; i++) {
      const id = member(node.items[i], 'id')
      if (id?.kind !== 'string') invalid(`\`/plugins/${i}/id\` must be a string`)
      this.#upstreamTools.push(upstreamTool(id.value, undefined, `/plugins/${i}/id`))
    }
  }

  /** Every string below, and the keys nobody knows. */
  #strings(node: JsonNode, role: Role, at: string, known: KnownKeys): void {
    if (node.kind === 'string') this.#add(role, at, node.value)
    else if (node.kind === 'array') {
      const bytes = byteValues(node.items)
      if (bytes !== undefined) this.#derive(role, at, textOfBytes(bytes))
      if (node.items.length > MAX_LEAVES && node.items.every(isPlain)) {
        this.#derive(role, at, node.items.map(item => (item.kind === 'string' ? item.value : '')).join('\n'))
        return
      }
      for (let i = 0; i < node.items.length; i++) {
        const item = node.items[i]
        if (item !== undefined && item.kind !== 'number') this.#strings(item, role, `${at}/${i}`, known)
      }
    } else if (node.kind === 'object') {
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const value = node.values[i]
        if (key !== undefined && value !== undefined) this.#strings(value, role, `${at}/${pointerToken(key)}`, known)
      }
      this.#unknownKeys(node, known, role, at)
    }
  }

  /** One segment for the unknown keys of an object, a line each. */
  #unknownKeys(node: JsonObject, known: KnownKeys, role: Role, at: string): void {
    const unknown = node.keys.filter(key => key !== '' && !known.has(key))
    if (unknown.length > 0) this.#derive(role, at, unknown.join('\n'))
  }

  #add(role: Role, pointer: string, text: string): void {
    if (text !== '') this.#push({ role, pointer, text })
  }

  #derive(role: Role, pointer: string, text: string): void {
    if (text !== '') this.#push({ role, pointer, text, derived: true })
  }

  #push(segment: Segment): void {
    if (this.#segments.length >= MAX_SEGMENTS) invalid(`the request has more than ${MAX_SEGMENTS} separate texts`)
    this.#segments.push(segment)
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

  #count(key: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const node = member(this.#root, key)
    if (node === undefined || node.kind === 'null') return undefined
    const ok = node.kind === 'number' && Number.isSafeInteger(node.value) && node.value >= least && node.value <= most
    if (!ok) invalid(`\`${key}\` must be an integer from ${least} to ${most}`)
    return node.value
  }
}

const PART_TYPES = new Set([
  'text',
  'refusal',
  'image_url',
  'input_audio',
  'file',
  'input_text',
  'output_text',
  'video_url',
])

function isPayload(key: string, value: JsonNode): boolean {
  return (
    (key === 'image_url' || key === 'video_url' || key === 'input_audio' || key === 'file') &&
    (value.kind === 'object' || value.kind === 'string')
  )
}

function isPlain(node: JsonNode): boolean {
  return node.kind !== 'object' && node.kind !== 'array'
}

function isFixed(key: string, value: JsonNode): boolean {
  return key === 'type' && value.kind === 'string' && (value.value === 'function' || value.value === 'custom')
}

function upstreamTool(type: string, server: JsonNode | undefined, at: string): string {
  const label = server?.kind === 'string' ? `:${server.value}` : ''
  const name = `upstream:${type}${label}`
  // The name goes into rows and the tool registry: nothing but plain characters.
  if (!/^upstream:[A-Za-z0-9_.-]{1,64}(?::[A-Za-z0-9_.-]{1,64})?$/.test(name)) {
    invalid(`\`${at}\` must be a plain name of letters, digits, \`_\`, \`.\` and \`-\``)
  }
  return name
}

function refuseAmbiguous(node: JsonObject, known: KnownKeys, where: string): void {
  const confused = ambiguousKey(node, known)
  if (confused !== undefined) {
    throw new Invalid(
      'json_ambiguous_key',
      `a key of ${where} could be taken for \`${confused}\`; spell it exactly or leave it out`,
    )
  }
}

function articled(kind: JsonNode['kind'] | 'missing'): string {
  if (kind === 'missing' || kind === 'null' || kind === 'true' || kind === 'false') return kind
  return kind === 'array' || kind === 'object' ? `an ${kind}` : `a ${kind}`
}
