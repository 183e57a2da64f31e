/** What is different between the arguments of two calls: per place (RFC 6901 pointer), as they are written. */
import { isFault, type JsonNode, parseJson } from '../dialects/json.ts'

export type Difference =
  | { readonly kind: 'new' }
  | { readonly kind: 'same' }
  | { readonly kind: 'changed'; readonly was: JsonNode; readonly text: string }

export interface Compared {
  /** Of leaves, and of containers that are of another kind than before. */
  at(pointer: string, node: JsonNode): Difference
  /** Places that are no more. */
  readonly gone: readonly { readonly pointer: string; readonly node: JsonNode; readonly text: string }[]
}

/** `undefined` where either is no JSON. */
export function compare(now: string, before: string): Compared | undefined {
  const [a, b] = [parseJson(now), parseJson(before)]
  if (isFault(a) || isFault(b)) return undefined
  const was = new Map<string, JsonNode>()
  collect(b.root, '', was)
  const is = new Map<string, JsonNode>()
  collect(a.root, '', is)
  return {
    at(pointer, node) {
      const old = was.get(pointer)
      if (old === undefined) return { kind: 'new' }
      if (isContainer(node) && old.kind === node.kind) return { kind: 'same' }
      return tokenOf(node) === tokenOf(old) ? { kind: 'same' } : { kind: 'changed', was: old, text: b.text }
    },
    gone: [...was]
      .filter(([pointer, node]) => !is.has(pointer) && !isContainer(node))
      .map(([pointer, node]) => ({ pointer, node, text: b.text })),
  }
}

export function isContainer(node: JsonNode): boolean {
  return node.kind === 'object' || node.kind === 'array'
}

/** One spelling of a leaf; numbers as they are written, for `1.0` and `1` are not sent alike. */
function tokenOf(node: JsonNode): string {
  if (node.kind === 'string') return JSON.stringify(node.value)
  return node.kind === 'number' ? node.raw : node.kind
}

function collect(node: JsonNode, pointer: string, into: Map<string, JsonNode>): void {
  into.set(pointer, node)
  if (node.kind === 'array') {
    for (const [i, item] of node.items.entries()) collect(item, `${pointer}/${i}`, into)
  } else if (node.kind === 'object') {
    for (const [i, value] of node.values.entries()) collect(value, childPointer(pointer, node.keys[i] ?? ''), into)
  }
}

export function childPointer(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`
}
