/**
 * When two calls are the same: one tool, and arguments that are the same JSON value (RFC 8785). Arguments with no canonical
 * form, and the text for a free-form tool, are the same only letter by letter.
 */
import { canonicalJson } from '../../core/jcs.ts'
import type { RequestView, ToolCall } from '../../core/wire.ts'

export function canonicalArguments(call: ToolCall): string {
  if (call.form === 'text' || call.arguments === undefined) return call.argumentsText
  try {
    return canonicalJson(call.arguments)
  } catch {
    return call.argumentsText
  }
}

/** How often the conversation in the request holds this very call. It is the caller's word: a loop is a fault and no attack. */
export function pastRepeats(request: RequestView, call: ToolCall): number {
  const calls = request.pastCalls
  if (calls === undefined) return 0
  const counts = countsOf(request)
  const kind = call.form === 'text' ? 'text' : 'json'
  return counts.get(keyOf(call.name, kind, canonicalArguments(call))) ?? 0
}

/** An answer may propose a hundred calls; its conversation is read once. */
const counted = new WeakMap<RequestView, ReadonlyMap<string, number>>()

function countsOf(request: RequestView): ReadonlyMap<string, number> {
  const known = counted.get(request)
  if (known !== undefined) return known
  const counts = new Map<string, number>()
  const add = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)
  for (const { name, argumentsText } of request.pastCalls ?? []) {
    add(keyOf(name, 'text', argumentsText))
    add(keyOf(name, 'json', canonicalText(argumentsText)))
  }
  counted.set(request, counts)
  return counts
}

/** Empty text is `{}`: models leave out empty arguments. */
function canonicalText(text: string): string {
  if (text === '') return '{}'
  try {
    return canonicalJson(JSON.parse(text))
  } catch {
    return text
  }
}

function keyOf(name: string, kind: 'json' | 'text', canonical: string): string {
  return JSON.stringify([name, kind, canonical])
}
