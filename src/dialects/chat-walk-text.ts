/** Any text in an answer: strings, keys nobody knows, numbers that spell text, values that repeat. */
import type { Channel } from '../core/wire.ts'
import { byteValues } from './byte-list.ts'
import { ANSWER_COMMON } from './chat-keys.ts'
import { type ChatVisitor, Violation } from './chat-visitor.ts'
import type { JsonNode, JsonObject, JsonString } from './json.ts'
import type { KnownKeys } from './known-keys.ts'
import { isMediaUrl, payloadStart, spelled } from './media.ts'
import { pointerLabel } from './pointer-label.ts'

/** Values the API itself fixes: they need no inspection. Any other value in these fields is text (enumerations age). */
const FIXED = new Set([
  'chat.completion.chunk',
  'chat.completion',
  'text_completion',
  'assistant',
  'function',
  'custom',
  'stop',
  'length',
  'tool_calls',
  'content_filter',
  'function_call',
  'default',
  'auto',
  'end_turn',
  'max_tokens',
  'stop_sequence',
  'pause_turn',
  'tool_use',
])

/** The tokens of a text are one text, in whichever list they stand. */
const TOKENS = /^\/choices\/[0-9]+\/(?:prompt_)?logprobs\//

/** A string the API repeats in every chunk. Anything but a string in its place is text like any other. */
export function constant(node: JsonNode, choice: number, pointer: string, v: ChatVisitor): void {
  if (node.kind !== 'string') walkText(node, 'other', choice, pointer, v)
  else if (!FIXED.has(node.value)) v.text('other', choice, pointer, node.value, node.start, node.end, 'constant')
}

export function walkMember(
  owner: JsonObject,
  i: number,
  key: string,
  value: JsonNode,
  known: KnownKeys,
  choice: number,
  pointer: string,
  v: ChatVisitor,
): void {
  const start = owner.keyStarts[i]
  if (start !== undefined && !known.has(key)) {
    const confused = known === ANSWER_COMMON ? undefined : known.confusedWith(key)
    if (confused !== undefined) {
      throw new Violation('upstream_protocol_violation', `a key differs from \`${confused}\` only in case or form`)
    }
    v.text('other', choice, `${pointer}/~key`, key, start, start, 'key')
  }
  walkText(value, 'other', choice, `${pointer}/${pointerLabel(key)}`, v)
}

/** What a text says that stands in a place for pictures or sound, written as they are. */
export function decoded(node: JsonString, choice: number, pointer: string, v: ChatVisitor): void {
  const said = spelled(node.value, payloadStart(node.value))
  if (said !== undefined) v.bytes(choice, `${pointer}/~decoded`, node, said)
}

/** Any value of a field that carries text, or that the dialect does not know. */
export function walkText(node: JsonNode, name: Channel['name'], choice: number, pointer: string, v: ChatVisitor): void {
  switch (node.kind) {
    case 'string':
      // A picture only where the API puts one (`image_url`, `url`); anywhere else the same string is text.
      if (name !== 'other' || !pointer.endsWith('url') || !isMediaUrl(node.value)) {
        v.text(name, choice, pointer, node.value, node.start, node.end, 'delta')
        if (pointer.endsWith('url')) decoded(node, choice, pointer, v)
      }
      break
    case 'array': {
      const values = byteValues(node.items)
      if (values !== undefined) v.bytes(choice, `${pointer}/*`, node, values)
      else {
        const spells = TOKENS.test(pointer)
        for (const item of node.items) {
          if (!spells) v.element()
          walkText(item, name, choice, `${pointer}/*`, v)
        }
      }
      break
    }
    case 'object':
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const value = node.values[i]
        if (key !== undefined && value !== undefined) walkMember(node, i, key, value, ANSWER_COMMON, choice, pointer, v)
      }
      break
    case 'number':
      // A client joins what stands where text belongs, number or not.
      if (name !== 'other') v.text(name, choice, pointer, node.raw, node.start, node.end, 'delta')
      break
    case 'true':
    case 'false':
    case 'null':
      break
  }
}
