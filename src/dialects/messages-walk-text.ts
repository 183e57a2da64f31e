/** Any text in a Messages answer: strings, keys nobody knows, numbers that spell text, values that repeat. */
import type { Channel } from '../core/wire.ts'
import { byteValues } from './byte-list.ts'
import { Violation } from './chat-visitor.ts'
import { type JsonNode, type JsonObject, type JsonString, member } from './json.ts'
import type { KnownKeys } from './known-keys.ts'
import { isBase64, spelled } from './media.ts'
import { ANSWER_COMMON, FIXED, SEALED } from './messages-keys.ts'
import type { MessagesVisitor, TextMode } from './messages-visitor.ts'
import { pointerLabel } from './pointer-label.ts'

/** A string that stands for itself. Anything but a string in its place is text like any other. */
export function constant(node: JsonNode, pointer: string, v: MessagesVisitor): void {
  if (node.kind !== 'string') walkText(node, 'other', pointer, v, 'constant')
  else if (!FIXED.has(node.value)) v.text('other', pointer, node.value, node.start, node.end, 'constant')
}

/** Signed or encrypted by the API. A payload is not text; anything that is not one is, but cannot be rewritten. */
export function sealed(node: JsonNode, pointer: string, v: MessagesVisitor): void {
  if (node.kind !== 'string') walkText(node, 'other', pointer, v, 'constant')
  else if (!isBase64(node.value)) {
    v.text('other', pointer, node.value, node.start, node.end, 'sealed')
    decoded(node, pointer, v)
  }
}

/**
 * How far a value goes: `constant` is a whole one, ended where it ends; `delta` may go on in the next event. What hangs
 * under a key the dialect does not know may always go on.
 */
export type Extent = Extract<TextMode, 'delta' | 'constant'>

/** A member that has no meaning of its own to the dialect. `known`: the keys its object is known to have. */
export function walkMember(
  owner: JsonObject,
  i: number,
  key: string,
  value: JsonNode,
  known: KnownKeys,
  pointer: string,
  v: MessagesVisitor,
  extent: Extent,
): void {
  const start = owner.keyStarts[i]
  const isKnown = known.has(key)
  if (start !== undefined && !isKnown) {
    const confused = known === ANSWER_COMMON ? undefined : known.confusedWith(key)
    if (confused !== undefined) {
      throw new Violation('upstream_protocol_violation', `a key differs from \`${confused}\` only in case or form`)
    }
    v.text('other', `${pointer}/~key`, key, start, start, 'key')
  }
  if (value.kind === 'null') return
  const at = `${pointer}/${pointerLabel(key)}`
  if (key === 'type') constant(value, at, v)
  else if (SEALED.has(key)) sealed(value, at, v)
  else if (key === 'data' && isPayload(owner, value)) return
  else {
    walkText(value, 'other', at, v, isKnown ? extent : 'delta')
    if (key === 'data' && value.kind === 'string') decoded(value, at, v)
  }
}

/** What a text says that stands in a place for pictures or sealed bytes, written as they are. */
function decoded(node: JsonString, pointer: string, v: MessagesVisitor): void {
  const said = spelled(node.value)
  if (said !== undefined) v.bytes(`${pointer}/~decoded`, said)
}

/** Any value of a field that carries text, or that the dialect does not know. */
export function walkText(
  node: JsonNode,
  name: Channel['name'],
  pointer: string,
  v: MessagesVisitor,
  extent: Extent,
): void {
  switch (node.kind) {
    case 'string':
      if (extent === 'delta' || !FIXED.has(node.value)) {
        v.text(name, pointer, node.value, node.start, node.end, extent)
      }
      break
    case 'array': {
      const values = byteValues(node.items)
      if (values !== undefined) v.bytes(`${pointer}/*`, values)
      else {
        for (const item of node.items) {
          v.element()
          walkText(item, name, `${pointer}/*`, v, extent)
        }
      }
      break
    }
    case 'object':
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const value = node.values[i]
        if (key !== undefined && value !== undefined) walkMember(node, i, key, value, ANSWER_COMMON, pointer, v, extent)
      }
      break
    case 'number':
    case 'true':
    case 'false':
    case 'null':
      break
  }
}

/** The bytes of a picture or a file: base64, in a base64 source, of a media type that is not text. */
export function isPayload(source: JsonObject, data: JsonNode): boolean {
  if (data.kind !== 'string') return false
  const type = member(source, 'type')
  const media = member(source, 'media_type')
  if (type?.kind !== 'string' || type.value !== 'base64' || media?.kind !== 'string') return false
  return (
    /^(?:image\/(?!svg)|audio\/|video\/|application\/(?:pdf|octet-stream|zip)\b)/i.test(media.value) &&
    isBase64(data.value)
  )
}
