/**
 * Changing a JSON document by replacing spans of its text, so that everything not touched keeps its bytes.
 */
import type { TextEdit } from '../core/verdict.ts'
import type { JsonArray, JsonNode, JsonObject } from './json.ts'

export interface Replacement {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** Replacements in any order. One that lies inside another is moot; two that cross are a programming error. */
export function splice(text: string, replacements: readonly Replacement[]): string {
  if (replacements.length === 0) return text
  const ordered = [...replacements].sort((a, b) => a.start - b.start || b.end - a.end)
  let out = ''
  let at = 0
  for (const r of ordered) {
    if (r.start < at) {
      if (r.end > at) throw new Error('replacements overlap')
      continue
    }
    out += text.slice(at, r.start) + r.text
    at = r.end
  }
  return out + text.slice(at)
}

export function encodeString(value: string): string {
  return JSON.stringify(value)
}

/** Applies edits given in offsets of the original text. They must be in order, inside the text, and apart. */
export function editText(text: string, edits: readonly TextEdit[]): string {
  let out = ''
  let at = 0
  for (const edit of [...edits].sort((a, b) => a.from - b.from || a.to - b.to)) {
    if (edit.from < at || edit.to < edit.from || edit.to > text.length) {
      throw new RangeError('text edits must be inside the text and must not overlap')
    }
    out += text.slice(at, edit.from) + edit.text
    at = edit.to
  }
  return out + text.slice(at)
}

/** Drops members by key and sets others to raw JSON text; a key that is not there yet is appended. */
export function editObject(
  node: JsonObject,
  drop: ReadonlySet<string>,
  set: ReadonlyMap<string, string>,
): Replacement[] {
  const out: Replacement[] = []
  const ends = node.values.map(value => value.end)
  const kept = dropItems(node.keyStarts, ends, i => drop.has(node.keys[i] ?? ''), out)
  const added: string[] = []
  for (const [key, json] of set) {
    const at = node.keys.indexOf(key)
    const value = at < 0 || drop.has(key) ? undefined : node.values[at]
    if (value === undefined) added.push(`${encodeString(key)}:${json}`)
    else out.push({ start: value.start, end: value.end, text: json })
  }
  if (added.length > 0) {
    const text = added.join(',')
    if (kept === 0) return [{ start: node.start + 1, end: node.end - 1, text }]
    out.push({ start: node.end - 1, end: node.end - 1, text: `,${text}` })
  } else if (kept === 0 && node.keys.length > 0) {
    return [{ start: node.start + 1, end: node.end - 1, text: '' }]
  }
  return out
}

/** Drops items by position. */
export function editArray(node: JsonArray, drop: ReadonlySet<number>): Replacement[] {
  const out: Replacement[] = []
  const starts = node.items.map(item => item.start)
  const ends = node.items.map(item => item.end)
  const kept = dropItems(starts, ends, i => drop.has(i), out)
  return kept === 0 ? [{ start: node.start + 1, end: node.end - 1, text: '' }] : out
}

/** A dropped run takes the comma before it, or, at the front, the comma behind it. Returns how many stay. */
function dropItems(
  starts: readonly number[],
  ends: readonly number[],
  drop: (i: number) => boolean,
  out: Replacement[],
): number {
  let kept = 0
  let runFrom = -1
  const close = (to: number, next: number | undefined): void => {
    const before = ends[runFrom - 1]
    const first = starts[runFrom]
    const last = ends[to]
    if (first === undefined || last === undefined) return
    if (before !== undefined) out.push({ start: before, end: last, text: '' })
    else if (next !== undefined) out.push({ start: first, end: next, text: '' })
  }
  for (let i = 0; i < starts.length; i++) {
    if (drop(i)) {
      if (runFrom < 0) runFrom = i
    } else {
      kept++
      if (runFrom >= 0) close(i - 1, starts[i])
      runFrom = -1
    }
  }
  if (runFrom >= 0 && kept > 0) close(starts.length - 1, undefined)
  return kept
}

/** One reference token of a JSON pointer (RFC 6901 section 3). */
export function pointerToken(key: string): string {
  return key.includes('~') || key.includes('/') ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key
}

/** The node at an RFC 6901 pointer. */
export function resolvePointer(root: JsonNode, pointer: string): JsonNode | undefined {
  if (pointer === '') return root
  if (!pointer.startsWith('/')) return undefined
  let node: JsonNode | undefined = root
  for (const token of pointer.slice(1).split('/')) {
    if (node.kind === 'object') {
      const at = node.keys.indexOf(token.replaceAll('~1', '/').replaceAll('~0', '~'))
      node = at < 0 ? undefined : node.values[at]
    } else if (node.kind === 'array') {
      node = /^(0|[1-9][0-9]{0,9})$/.test(token) ? node.items[Number(token)] : undefined
    } else {
      node = undefined
    }
    if (node === undefined) return undefined
  }
  return node
}
