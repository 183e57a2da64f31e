/**
 * Writing the request that goes on after a turn in which every call was refused. Every byte the caller wrote stays; one
 * list grows by what the model said and by what became of its calls.
 */
import type { RefusedTurn } from '../core/wire.ts'
import { decodeUtf8, isFault, type JsonObject, member, parseJson, readJson } from './json.ts'
import { type Replacement, splice } from './json-edit.ts'
import { readEvent } from './sse.ts'

const encoder = new TextEncoder()

/** The calls can be told apart: a result names its call by nothing but the id. */
export function areDistinct(turn: RefusedTurn): boolean {
  const ids = new Set(turn.refused.map(r => r.call.id))
  return ids.size === turn.refused.length && !ids.has('') && turn.refused.every(r => r.call.choice === 0)
}

export interface Source {
  readonly text: string
  readonly root: JsonObject
}

/** One JSON object, with the text that its spans are offsets of. */
export function readObject(json: string | Uint8Array): Source | undefined {
  const doc = typeof json === 'string' ? parseJson(json) : readJson(json)
  return isFault(doc) || doc.root.kind !== 'object' ? undefined : { text: doc.text, root: doc.root }
}

/** What a stream said, event by event; comments, `[DONE]` and the like are left out. */
export function* objectsOf(turn: RefusedTurn): Generator<Source> {
  let isFirst = true
  for (const raw of turn.said) {
    const text = decodeUtf8(raw)
    if (text === undefined) continue
    const { data } = readEvent(raw, text, isFirst)
    isFirst = false
    const source = data === undefined ? undefined : readObject(data)
    if (source !== undefined) yield source
  }
}

/** The list at `key`, longer by `items` (JSON). `undefined` when there is no such list. */
export function extendList(raw: Uint8Array, key: string, items: readonly string[]): Uint8Array | undefined {
  const doc = readObject(raw)
  const list = member(doc?.root, key)
  if (doc === undefined || list?.kind !== 'array') return undefined
  const lead = list.items.length === 0 ? '' : ','
  return replaced(doc.text, { start: list.end - 1, end: list.end - 1, text: lead + items.join(',') })
}

export function replaced(text: string, replacement: Replacement): Uint8Array {
  return encoder.encode(splice(text, [replacement]))
}
