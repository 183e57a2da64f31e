/**
 * Tool-call arguments as I-JSON (RFC 7493), the form in which two parsers cannot disagree: unique keys, no surrogate or
 * non-character code points, numbers that a double holds exactly as written. The gate, the capability and the executor
 * must all read the same value, so anything else is no value at all.
 */
import { compareDecimals, readDecimal } from '../core/decimal.ts'
import { isFault, type JsonNode, parseJson, toValue } from './json.ts'

/** The object, or `undefined` when the text is not an I-JSON object. Empty text is `{}`: models leave out empty arguments. */
export function readArguments(text: string): Readonly<Record<string, unknown>> | undefined {
  if (text === '') return Object.create(null)
  const doc = parseArguments(text)
  if (doc === undefined) return undefined
  const value = toValue(doc)
  return isRecord(value) ? value : undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parseArguments(text: string): JsonNode | undefined {
  if (!text.isWellFormed()) return undefined
  const doc = parseJson(text)
  if (isFault(doc) || doc.root.kind !== 'object') return undefined
  return isInteroperable(doc.root) ? doc.root : undefined
}

/** Every string in the arguments, keys included, as the tool will see them. Nothing when the text is not JSON at all. */
export function argumentStrings(text: string): readonly string[] {
  const doc = parseJson(text)
  if (isFault(doc)) return []
  const out: string[] = []
  collect(doc.root, out)
  return out
}

function collect(node: JsonNode, out: string[]): void {
  if (node.kind === 'string') {
    if (node.value !== '') out.push(node.value)
  } else if (node.kind === 'array') {
    for (const item of node.items) collect(item, out)
  } else if (node.kind === 'object') {
    for (const key of node.keys) if (key !== '') out.push(key)
    for (const value of node.values) collect(value, out)
  }
}

const NON_CHARACTER = /\p{Noncharacter_Code_Point}/u

function isInteroperable(node: JsonNode): boolean {
  switch (node.kind) {
    case 'string':
      return !NON_CHARACTER.test(node.value)
    case 'number':
      return isExact(node.raw, node.value)
    case 'array':
      return node.items.every(isInteroperable)
    case 'object':
      return !node.keys.some(key => NON_CHARACTER.test(key)) && node.values.every(isInteroperable)
    default:
      return true
  }
}

/** RFC 7493 section 2.2: the decimal written and the shortest decimal of the double are the same number. */
function isExact(raw: string, value: number): boolean {
  if (raw.length <= 15 && Number.isInteger(value) && !/[.eE]/.test(raw)) return true
  const [written, held] = [readDecimal(raw), readDecimal(String(value))]
  return written !== undefined && held !== undefined && compareDecimals(written, held) === 0
}
