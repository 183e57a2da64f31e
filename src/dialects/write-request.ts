/** Puts edited segment texts back into a request, leaving every other byte alone. Shared by every JSON surface. */
import type { TextEdit } from '../core/verdict.ts'
import type { RequestView } from '../core/wire.ts'
import { isFault, readJson } from './json.ts'
import { editText, encodeString, type Replacement, resolvePointer, splice } from './json-edit.ts'

const encoder = new TextEncoder()

export function writeJsonRequest(v: RequestView, edits: ReadonlyMap<string, readonly TextEdit[]>): Uint8Array {
  const wanted = [...edits].filter(([, list]) => list.length > 0)
  if (wanted.length === 0) return v.raw
  const doc = readJson(v.raw)
  if (isFault(doc)) throw new Error('the request to edit is not JSON')
  const replacements: Replacement[] = wanted.map(([pointer, list]) => {
    const node = resolvePointer(doc.root, pointer)
    // Keys, byte lists and decoded arguments have no string of their own to edit; the pipeline blocks those.
    if (node?.kind !== 'string') throw new Error(`no string to edit at ${pointer === '' ? 'the top' : pointer}`)
    return { start: node.start, end: node.end, text: encodeString(editText(node.value, list)) }
  })
  return encoder.encode(splice(doc.text, replacements))
}
