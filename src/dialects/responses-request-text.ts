/** Gathers the text of a Responses request: every string a segment, every unknown key too. */
import type { Segment } from '../core/wire.ts'
import { argumentStrings } from './arguments.ts'
import { byteValues, textOfBytes } from './byte-list.ts'
import type { JsonNode, JsonObject } from './json.ts'
import { pointerToken } from './json-edit.ts'
import { ambiguousKey, type KnownKeys } from './known-keys.ts'
import { payloadStart, spelled } from './media.ts'

/** Strings of one list, or of one call's arguments, beyond this many share one segment. */
const MAX_LEAVES = 256

export type Role = Segment['role']

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

export function refuseAmbiguous(node: JsonObject, known: KnownKeys, where: string): void {
  const confused = ambiguousKey(node, known)
  if (confused !== undefined) {
    throw new Invalid(
      'json_ambiguous_key',
      `a key of ${where} could be taken for \`${confused}\`; spell it exactly or leave it out`,
    )
  }
}

export function articled(kind: JsonNode['kind'] | 'missing'): string {
  if (kind === 'missing' || kind === 'null' || kind === 'true' || kind === 'false') return kind
  return kind === 'array' || kind === 'object' ? `an ${kind}` : `a ${kind}`
}

export class RequestText {
  readonly segments: Segment[] = []

  add(role: Role, pointer: string, text: string): void {
    if (text !== '') this.segments.push({ role, pointer, text })
  }

  /** Text in the place of a picture or of sealed bytes, written as they are. */
  spelled(role: Role, pointer: string, text: string): void {
    const said = spelled(text, payloadStart(text))
    if (said !== undefined) this.derive(role, pointer, new TextDecoder().decode(said))
  }

  derive(role: Role, pointer: string, text: string): void {
    if (text !== '') this.segments.push({ role, pointer, text, derived: true })
  }

  /** Arguments are read twice: as they stand, and as the strings a tool would get. */
  arguments(role: Role, pointer: string, text: string): void {
    this.add(role, pointer, text)
    const leaves = argumentStrings(text)
    if (leaves.length > MAX_LEAVES) this.derive(role, pointer, leaves.join('\n'))
    else for (const leaf of leaves) this.derive(role, pointer, leaf)
  }

  /** Every string below, and the keys nobody knows. */
  strings(node: JsonNode, role: Role, at: string, known: KnownKeys): void {
    if (node.kind === 'string') this.add(role, at, node.value)
    else if (node.kind === 'array') {
      const values = byteValues(node.items)
      if (values !== undefined) this.derive(role, at, textOfBytes(values))
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
        if (key !== undefined && value !== undefined) this.strings(value, role, `${at}/${pointerToken(key)}`, known)
      }
      this.unknownKeys(node, known, role, at)
    }
  }

  /** One segment for the unknown keys of an object, a line each. */
  unknownKeys(node: JsonObject, known: KnownKeys, role: Role, at: string): void {
    const unknown = node.keys.filter(key => key !== '' && !known.has(key))
    if (unknown.length > 0) this.derive(role, at, unknown.join('\n'))
  }
}

function isPlain(node: JsonNode): boolean {
  return node.kind !== 'object' && node.kind !== 'array'
}
