/** What the requests of the smaller OpenAI surfaces have in common: one JSON object, a model, flags and counts. */
import type { Fault, RequestView } from '../core/wire.ts'
import { fault, isFault, type JsonObject, member, readJson } from './json.ts'
import { articled, Invalid, invalid } from './messages-segments.ts'

/** A request that asks for nothing: what a dialect fills in. */
export const PLAIN_REQUEST = {
  segments: [],
  tools: [],
  upstreamTools: [],
  toolResults: [],
  model: '',
  stream: false,
  n: 1,
} as const

export function readObjectRequest(
  raw: Uint8Array,
  read: (root: JsonObject) => RequestView | Fault,
): RequestView | Fault {
  const doc = readJson(raw)
  if (isFault(doc)) return doc
  if (doc.root.kind !== 'object') {
    return fault('non_object_body', `the body is ${articled(doc.root.kind)}; a JSON object was expected`)
  }
  try {
    return read(doc.root)
  } catch (error) {
    if (error instanceof Invalid) return fault(error.code, error.message)
    throw error
  }
}

export function modelOf(root: JsonObject): string {
  const model = member(root, 'model')
  if (model?.kind !== 'string' || model.value === '') invalid('`model` must be a non-empty string')
  return model.value
}

export function flagOf(root: JsonObject, key: string): boolean {
  const node = member(root, key)
  if (node === undefined || node.kind === 'null' || node.kind === 'false') return false
  if (node.kind === 'true') return true
  invalid(`\`${key}\` must be true, false or null, not ${articled(node.kind)}`)
}

export function countOf(
  root: JsonObject,
  key: string,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const node = member(root, key)
  if (node === undefined || node.kind === 'null') return undefined
  const ok = node.kind === 'number' && Number.isSafeInteger(node.value) && node.value >= least && node.value <= most
  if (!ok) invalid(`\`${key}\` must be an integer from ${least} to ${most}`)
  return node.value
}
