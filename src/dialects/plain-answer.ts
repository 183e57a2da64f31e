/**
 * Answers that hold no generated text: embeddings, moderation results, lists of models. Every string is inspected as a
 * whole of its own (two ids never join into one word), and so is every key the surface is not known to have; numbers
 * that spell text count as text.
 */
import { byteValues } from './byte-list.ts'
import { type AnswerForm, type ChatVisitor, Violation } from './chat-visitor.ts'
import { type JsonNode, type JsonObject, parseJson } from './json.ts'
import type { KnownKeys } from './known-keys.ts'
import { pointerLabel } from './pointer-label.ts'

export interface PlainRules {
  /** Keys of the answer object itself: one that could be taken for them is a protocol violation. */
  readonly top: KnownKeys
  /** Keys further inside that say nothing by themselves. */
  readonly inner: KnownKeys
  /** Values the API itself fixes. */
  readonly fixed: ReadonlySet<string>
  /** What a string at this pointer holds in disguise: nothing but numbers, or the bytes of a text. */
  readonly payload?: (pointer: string, value: string) => 'numbers' | Uint8Array | undefined
  readonly parse?: AnswerForm['parse']
  readonly maxSnapshots?: number
}

export function plainForm(rules: PlainRules): AnswerForm {
  return {
    parse: rules.parse ?? parseJson,
    walk: (root, _source, _primary, v) => walkAnswer(root, rules, v),
    maxSnapshots: rules.maxSnapshots ?? 4096,
  }
}

function walkAnswer(root: JsonNode, rules: PlainRules, v: ChatVisitor): void {
  if (root.kind !== 'object') {
    walkValue(root, '', rules, v)
    return
  }
  for (let i = 0; i < root.keys.length; i++) {
    const key = root.keys[i]
    const value = root.values[i]
    if (key === undefined || value === undefined) continue
    if (key === 'signet' || key === 'signet_abort') {
      v.forged(root, key)
      continue
    }
    const confused = rules.top.confusedWith(key)
    if (confused !== undefined) {
      throw new Violation('upstream_protocol_violation', `a key differs from \`${confused}\` only in case or form`)
    }
    walkKey(root, i, key, rules.top, '', v)
    walkValue(value, `/${pointerLabel(key)}`, rules, v)
    if (key === 'usage' && value.kind === 'object') readUsage(value, v)
  }
}

function walkValue(node: JsonNode, at: string, rules: PlainRules, v: ChatVisitor): void {
  switch (node.kind) {
    case 'string': {
      const payload = rules.fixed.has(node.value) ? 'numbers' : rules.payload?.(at, node.value)
      if (payload === 'numbers') return
      v.text('other', 0, at, node.value, node.start, node.end, 'constant')
      if (payload !== undefined) v.bytes(0, `${at}/~decoded`, node, payload)
      return
    }
    case 'array': {
      const values = byteValues(node.items)
      if (values !== undefined) v.bytes(0, `${at}/*`, node, values)
      else for (const item of node.items) walkValue(item, `${at}/*`, rules, v)
      return
    }
    case 'object':
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const value = node.values[i]
        if (key === undefined || value === undefined) continue
        walkKey(node, i, key, rules.inner, at, v)
        walkValue(value, `${at}/${pointerLabel(key)}`, rules, v)
      }
      return
    case 'number':
    case 'true':
    case 'false':
    case 'null':
      return
  }
}

function walkKey(owner: JsonObject, i: number, key: string, known: KnownKeys, at: string, v: ChatVisitor): void {
  const start = owner.keyStarts[i]
  if (start !== undefined && !known.has(key)) v.text('other', 0, `${at}/~key`, key, start, start, 'key')
}

/** Nothing is generated on these surfaces: the output is nothing unless upstream says otherwise. */
function readUsage(node: JsonObject, v: ChatVisitor): void {
  const count = (key: string): number | undefined => {
    const value = node.values[node.keys.indexOf(key)]
    return value?.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0 ? value.value : undefined
  }
  v.usage(count('prompt_tokens') ?? count('total_tokens'), count('completion_tokens') ?? 0)
}
