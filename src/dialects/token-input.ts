/**
 * Input that may be text or token numbers: `prompt` of the completions surface, `input` of embeddings.
 *
 * Token numbers cannot be read without the model's own tokenizer, so they are refused unless the operator allows them;
 * allowed, they are reported as opaque inputs. Numbers 0 to 255 are read as bytes as well, because byte-level models take
 * them so; for every other model they are still tokens, and still opaque.
 */
import { textOfBytes } from './byte-list.ts'
import type { JsonNode } from './json.ts'
import { articled, invalid, type Role, type Segments } from './messages-segments.ts'

export interface TokenInput {
  /** How many inputs there are: a string, or a list of tokens, is one. */
  readonly count: number
  /** UTF-16 units of the longest text among them. */
  readonly longest: number
  /** Pointers of the token lists. */
  readonly opaque: readonly string[]
}

export function readTextOrTokens(node: JsonNode, at: string, role: Role, segments: Segments): TokenInput {
  if (node.kind === 'string') {
    segments.add(role, at, node.value)
    return { count: 1, longest: node.value.length, opaque: [] }
  }
  if (node.kind !== 'array') {
    invalid(`\`${at}\` must be a string, a list of strings or a list of tokens, not ${articled(node.kind)}`)
  }
  const { items } = node
  if (items[0]?.kind === 'number') {
    readTokens(items, at, role, segments)
    return { count: 1, longest: 0, opaque: [at] }
  }
  const opaque: string[] = []
  let longest = 0
  for (let i = 0; i < items.length; i++) {
    const item = items[i]
    const pointer = `${at}/${i}`
    if (item?.kind === 'string') {
      longest = Math.max(longest, item.value.length)
      segments.add(role, pointer, item.value)
    } else if (item?.kind === 'array') {
      readTokens(item.items, pointer, role, segments)
      if (item.items.length > 0) opaque.push(pointer)
    } else invalid(`\`${pointer}\` must be a string or a list of tokens, not ${articled(item?.kind ?? 'missing')}`)
  }
  return { count: Math.max(1, items.length), longest, opaque }
}

function readTokens(items: readonly JsonNode[], at: string, role: Role, segments: Segments): void {
  let isBytes = true
  for (const item of items) {
    if (item.kind !== 'number' || !Number.isSafeInteger(item.value) || item.value < 0) {
      invalid(`\`${at}\` must hold nothing but token numbers (integers from 0 on)`)
    }
    if (item.value > 255) isBytes = false
  }
  if (!isBytes || items.length === 0) return
  const bytes = Uint8Array.from(items, item => (item.kind === 'number' ? item.value : 0))
  segments.derive(role, at, textOfBytes(bytes))
}

export const TOKENS_REFUSED =
  'holds token numbers, which cannot be inspected; send the text instead (an operator can allow token input)'
