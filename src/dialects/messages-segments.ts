/** Gathers the texts of a Messages request: every string below a node, and every key nobody knows. */
import type { Segment } from '../core/wire.ts'
import { byteValues, textOfBytes } from './byte-list.ts'
import type { JsonNode, JsonObject } from './json.ts'
import { pointerToken } from './json-edit.ts'
import { ambiguousKey, type KnownKeys } from './known-keys.ts'
import { isBase64, payloadStart, spelled } from './media.ts'
import { NO_KEYS, SEALED } from './messages-keys.ts'

export type Role = Segment['role']

/** Strings of one list beyond this many share one segment. */
const MAX_LEAVES = 256
/** Separate texts in one request; each costs every check a look. */
const MAX_SEGMENTS = 65_536

export class Invalid extends Error {
  override readonly name = 'Invalid'
  readonly code: 'request_invalid' | 'json_ambiguous_key'
  constructor(code: 'request_invalid' | 'json_ambiguous_key', message: string) {
    super(message)
    this.code = code
  }
}

export function invalid(message: string): never {
  throw new Invalid('request_invalid', message)
}

export class Segments {
  readonly list: Segment[] = []

  add(role: Role, pointer: string, text: string): void {
    if (text !== '') this.#push({ role, pointer, text })
  }

  derive(role: Role, pointer: string, text: string): void {
    if (text !== '') this.#push({ role, pointer, text, derived: true })
  }

  /** Every string below, and the keys nobody knows. */
  strings(node: JsonNode, role: Role, at: string, known: KnownKeys): void {
    if (node.kind === 'string') this.add(role, at, node.value)
    else if (node.kind === 'array') {
      const bytes = byteValues(node.items)
      if (bytes !== undefined) this.derive(role, at, textOfBytes(bytes))
      if (node.items.length > MAX_LEAVES && node.items.every(isPlain)) {
        this.derive(role, at, node.items.map(item => (item.kind === 'string' ? item.value : '')).join('\n'))
        return
      }
      for (let i = 0; i < node.items.length; i++) {
        const item = node.items[i]
        if (item !== undefined && item.kind !== 'number') this.strings(item, role, `${at}/${i}`, known)
      }
    } else if (node.kind === 'object') {
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const value = node.values[i]
        if (key === undefined || value === undefined) continue
        const pointer = `${at}/${pointerToken(key)}`
        if (SEALED.has(key) && known.has(key)) this.sealed(value, role, pointer)
        else this.strings(value, role, pointer, known)
      }
      this.unknownKeys(node, known, role, at)
    }
  }

  /** Signed or encrypted by the API, which refuses it if a byte is changed. A payload is not text; anything else is. */
  sealed(node: JsonNode, role: Role, at: string): void {
    if (node.kind !== 'string') this.strings(node, role, at, NO_KEYS)
    else if (!isBase64(node.value)) {
      this.derive(role, at, node.value)
      this.spelled(role, at, node.value)
    }
  }

  /** Text in the place of a picture or of sealed bytes, written as they are. */
  spelled(role: Role, at: string, text: string): void {
    const said = spelled(text, payloadStart(text))
    if (said !== undefined) this.derive(role, at, new TextDecoder().decode(said))
  }

  /** One segment for the unknown keys of an object, a line each. */
  unknownKeys(node: JsonObject, known: KnownKeys, role: Role, at: string): void {
    const unknown = node.keys.filter(key => key !== '' && !known.has(key))
    if (unknown.length > 0) this.derive(role, at, unknown.join('\n'))
  }

  #push(segment: Segment): void {
    if (this.list.length >= MAX_SEGMENTS) invalid(`the request has more than ${MAX_SEGMENTS} separate texts`)
    this.list.push(segment)
  }
}

export function refuseAmbiguous(node: JsonObject, known: KnownKeys, where: string): void {
  const confused = ambiguousKey(node, known)
  if (confused === undefined) return
  throw new Invalid(
    'json_ambiguous_key',
    `a key of ${where} could be taken for \`${confused}\`; spell it exactly or leave it out`,
  )
}

export function articled(kind: JsonNode['kind'] | 'missing'): string {
  if (kind === 'missing' || kind === 'null' || kind === 'true' || kind === 'false') return kind
  return kind === 'array' || kind === 'object' ? `an ${kind}` : `a ${kind}`
}

function isPlain(node: JsonNode): boolean {
  return node.kind !== 'object' && node.kind !== 'array'
}
