/**
 * Going on after a refused turn, responses: the model's items as they came, and an output for each call. A request that
 * builds on a conversation kept upstream cannot go on: upstream has written the turn into it already.
 */
import type { RefusedTurn, RequestView } from '../core/wire.ts'
import { areDistinct, extendList, objectsOf, readObject, replaced, type Source } from './continue.ts'
import { type JsonNode, member } from './json.ts'

const RESULTS: Readonly<Record<string, string>> = {
  function_call: 'function_call_output',
  custom_tool_call: 'custom_tool_call_output',
}

export function continueResponses(v: RequestView, turn: RefusedTurn): Uint8Array | undefined {
  if (!areDistinct(turn)) return undefined
  const request = readObject(v.raw)
  const conversation = member(request?.root, 'conversation')
  if (request === undefined || (conversation !== undefined && conversation.kind !== 'null')) return undefined
  const added = itemsOf(turn, v.stored !== false)
  if (added === undefined) return undefined
  for (const { call, notice } of turn.refused) {
    const type = RESULTS[added.types.get(call.id) ?? '']
    if (type === undefined) return undefined
    added.items.push(JSON.stringify({ type, call_id: call.id, output: notice }))
  }
  const input = member(request.root, 'input')
  if (input?.kind !== 'string') return extendList(v.raw, 'input', added.items)
  // A text alone is short for one message of the user.
  const said = `{"role":"user","content":${request.text.slice(input.start, input.end)}}`
  return replaced(request.text, { start: input.start, end: input.end, text: `[${[said, ...added.items].join(',')}]` })
}

interface Items {
  readonly items: string[]
  /** Of each call's item, by its call id. */
  readonly types: Map<string, string>
}

/** `kept`: upstream keeps the items, and finds one by its id again. */
function itemsOf(turn: RefusedTurn, kept: boolean): Items | undefined {
  const out: Items = { items: [], types: new Map() }
  const add = (source: Source, item: JsonNode): void => {
    const type = member(item, 'type')
    const callId = member(item, 'call_id')
    // It would be looked up, and is not there.
    const isBare = member(item, 'encrypted_content')?.kind !== 'string'
    if (!kept && isBare && type?.kind === 'string' && type.value === 'reasoning') return
    if (type?.kind === 'string' && callId?.kind === 'string') out.types.set(callId.value, type.value)
    out.items.push(source.text.slice(item.start, item.end))
  }
  if (turn.stream) {
    for (const source of objectsOf(turn)) {
      const type = member(source.root, 'type')
      const item = member(source.root, 'item')
      if (type?.kind === 'string' && type.value === 'response.output_item.done' && item !== undefined) add(source, item)
    }
    return out
  }
  const source = readObject(Buffer.concat(turn.said))
  const output = member(source?.root, 'output')
  if (source === undefined || output?.kind !== 'array') return undefined
  for (const item of output.items) add(source, item)
  return out
}
