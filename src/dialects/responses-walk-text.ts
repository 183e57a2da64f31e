/** Any text in a Responses answer that has no place of its own: constants, repeated values, fields nobody knows. */
import { byteValues } from './byte-list.ts'
import { Violation } from './chat-visitor.ts'
import type { JsonNode, JsonObject } from './json.ts'
import type { KnownKeys } from './known-keys.ts'
import { isBase64, spelled } from './media.ts'
import { pointerLabel } from './pointer-label.ts'
import { ANSWER_COMMON, FIXED } from './responses-keys.ts'
import type { ResponsesVisitor } from './responses-visitor.ts'

/** A short value the API repeats. Anything but a string in its place is text like any other. */
export function constant(node: JsonNode, pointer: string, v: ResponsesVisitor): void {
  if (node.kind !== 'string') tree(node, pointer, v)
  else if (node.value !== '' && !FIXED.has(node.value)) v.tree(pointer, node)
}

/** A whole value, inspected once however often it repeats unchanged. */
export function tree(node: JsonNode, pointer: string, v: ResponsesVisitor): void {
  const isTextual =
    node.kind === 'string'
      ? node.value !== ''
      : node.kind === 'array'
        ? node.items.length > 0
        : node.kind === 'object' && node.keys.length > 0
  if (isTextual) v.tree(pointer, node)
}

/** A member of an object, and its key where the dialect does not know it. */
export function memberTree(owner: JsonObject, i: number, pointer: string, v: ResponsesVisitor): void {
  const key = owner.keys[i]
  const value = owner.values[i]
  if (key === undefined || value === undefined) return
  refuseConfused(key, ANSWER_COMMON)
  unknownKey(owner, i, pointer, v)
  tree(value, `${pointer}/${pointerLabel(key)}`, v)
}

/** A client that reads keys without regard to case would act on `Output` while we inspected `output`. */
export function refuseConfused(key: string, known: KnownKeys): void {
  const confused = ANSWER_COMMON.has(key) ? undefined : known.confusedWith(key)
  if (confused !== undefined) {
    throw new Violation('upstream_protocol_violation', `a key differs from \`${confused}\` only in case or form`)
  }
}

/** A key is text of its own, and cannot be rewritten: it ends where it starts. */
export function unknownKey(owner: JsonObject, i: number, pointer: string, v: ResponsesVisitor): void {
  const key = owner.keys[i]
  const start = owner.keyStarts[i]
  if (key === undefined || start === undefined || key === '' || ANSWER_COMMON.has(key)) return
  v.tree(`${pointer}/~key`, { kind: 'string', value: key, start, end: start })
}

/** A field of an event nobody knows: what it says goes on in the next event of the same kind about the same item. */
export function stray(node: JsonNode, pointer: string, v: ResponsesVisitor): void {
  switch (node.kind) {
    case 'string':
      v.stray(pointer, node.value, node.start, node.end)
      break
    case 'array': {
      const values = byteValues(node.items)
      if (values !== undefined) v.bytes(`${pointer}/~bytes`, values)
      else {
        for (const item of node.items) {
          v.element()
          stray(item, `${pointer}/*`, v)
        }
      }
      break
    }
    case 'object':
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const value = node.values[i]
        if (key === undefined || value === undefined) continue
        unknownKey(node, i, pointer, v)
        stray(value, `${pointer}/${pointerLabel(key)}`, v)
      }
      break
    case 'number':
    case 'true':
    case 'false':
    case 'null':
      break
  }
}

/** A picture or sound as base64, where the API puts one. Anything else there is text. */
export function payload(node: JsonNode, pointer: string, v: ResponsesVisitor): void {
  if (node.kind === 'string' && isBase64(node.value)) return
  tree(node, pointer, v)
  decoded(node, pointer, v)
}

/** What a text says that stands in a place for pictures or sound, written as they are. */
export function decoded(node: JsonNode, pointer: string, v: ResponsesVisitor): void {
  const said = node.kind === 'string' ? spelled(node.value) : undefined
  if (said !== undefined) v.bytes(`${pointer}/~decoded`, said)
}

/** `output_index` and the like: a non-negative integer. Booleans and strings are not numbers. */
export function indexIn(owner: JsonObject, key: string): number | undefined {
  const at = owner.keys.indexOf(key)
  const value = at < 0 ? undefined : owner.values[at]
  if (value === undefined || value.kind === 'null') return undefined
  if (value.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0) return value.value
  throw new Violation('upstream_protocol_violation', `\`${key}\` is not a non-negative integer`)
}

export function stringIn(owner: JsonObject, key: string): string {
  const at = owner.keys.indexOf(key)
  const value = at < 0 ? undefined : owner.values[at]
  if (value === undefined || value.kind === 'null') return ''
  if (value.kind === 'string') return value.value
  throw new Violation('upstream_protocol_violation', `\`${key}\` is not a string`)
}
