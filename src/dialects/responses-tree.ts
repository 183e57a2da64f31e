/**
 * Values that are said whole, and again and again: everything in an answer that does not stream. All strings of one field
 * (the descriptions of all listed tools, say) are one text, so that nothing hides by spreading over list elements.
 */
import { BREAK } from '../core/break.ts'
import { byteValues, textOfBytes } from './byte-list.ts'
import type { JsonNode, JsonObject } from './json.ts'
import { pointerLabel } from './pointer-label.ts'
import { ANSWER_COMMON, REQUEST_SCHEMA, REQUEST_TOOL } from './responses-keys.ts'

export interface Leaf {
  readonly text: string
  /** Where the string stands in the JSON text; equal for what cannot be rewritten: keys, and bytes that spell text. */
  readonly start: number
  readonly end: number
}

export interface Field {
  readonly pointer: string
  readonly leaves: readonly Leaf[]
  readonly text: string
  /** Characters in `text` between two leaves, which stand in none of them. */
  readonly gap: number
}

/** The texts of a value, in order of first appearance. */
export function fieldsOf(node: JsonNode, pointer: string): readonly Field[] {
  if (node.kind === 'string') {
    if (node.value === '') return []
    const { start, end, value } = node
    return [{ pointer, leaves: [{ text: value, start, end }], text: value, gap: 0 }]
  }
  const gathered = new Map<string, Leaf[]>()
  gather(node, pointer, gathered)
  const fields: Field[] = []
  // Tokens spell one text; anything else in a list is a text of its own.
  const between = pointer.startsWith('/logprobs') ? '' : BREAK
  for (const [at, leaves] of gathered) {
    const text = leaves.map(l => l.text).join(between)
    fields.push({ pointer: at, leaves, text, gap: between.length })
  }
  return fields
}

function gather(node: JsonNode, pointer: string, into: Map<string, Leaf[]>): void {
  switch (node.kind) {
    case 'string':
      add(into, pointer, { text: node.value, start: node.start, end: node.end })
      break
    case 'array': {
      const values = byteValues(node.items)
      if (values !== undefined)
        add(into, `${pointer}/~bytes`, { text: textOfBytes(values), start: node.start, end: node.start })
      else if (pointer.endsWith('/top_logprobs')) {
        // Alternatives of one rank spell a text over the tokens.
        node.items.forEach((item, rank) => {
          gather(item, `${pointer}/${Math.min(rank, 32)}`, into)
        })
      } else for (const item of node.items) gather(item, `${pointer}/*`, into)
      break
    }
    case 'object':
      for (let i = 0; i < node.keys.length; i++) {
        const key = node.keys[i]
        const value = node.values[i]
        if (key === undefined || value === undefined) continue
        if (!isVocabulary(key)) add(into, `${pointer}/~key`, keyLeaf(node, i, key))
        gather(value, `${pointer}/${pointerLabel(key)}`, into)
      }
      break
    case 'number':
    case 'true':
    case 'false':
    case 'null':
      break
  }
}

/** Answers repeat the request's tools and schemas, whose words of art say nothing by themselves. */
function isVocabulary(key: string): boolean {
  return ANSWER_COMMON.has(key) || REQUEST_SCHEMA.has(key) || REQUEST_TOOL.has(key)
}

function keyLeaf(owner: JsonObject, i: number, key: string): Leaf {
  const start = owner.keyStarts[i] ?? owner.start
  return { text: key, start, end: start }
}

function add(into: Map<string, Leaf[]>, pointer: string, leaf: Leaf): void {
  if (leaf.text === '') return
  const known = into.get(pointer)
  if (known === undefined) into.set(pointer, [leaf])
  else known.push(leaf)
}
