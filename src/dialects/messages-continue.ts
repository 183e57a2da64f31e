/**
 * Going on after a refused turn, messages: the assistant's blocks as they came, signed thinking included, and one user
 * message with a result for each call.
 */
import type { RefusedTurn, RequestView } from '../core/wire.ts'
import { areDistinct, extendList, objectsOf, readObject } from './continue.ts'
import { type JsonNode, type JsonObject, member, toValue } from './json.ts'

export function continueMessages(v: RequestView, turn: RefusedTurn): Uint8Array | undefined {
  if (!areDistinct(turn)) return undefined
  const blocks = turn.stream ? streamed(turn) : whole(turn)
  if (blocks === undefined) return undefined
  const results = turn.refused.map(r => ({
    type: 'tool_result',
    tool_use_id: r.call.id,
    content: r.notice,
    is_error: true,
  }))
  return extendList(v.raw, 'messages', [
    `{"role":"assistant","content":[${blocks.join(',')}]}`,
    `{"role":"user","content":${JSON.stringify(results)}}`,
  ])
}

function whole(turn: RefusedTurn): string[] | undefined {
  const source = readObject(Buffer.concat(turn.said))
  const content = member(source?.root, 'content')
  if (source === undefined || content?.kind !== 'array') return undefined
  // The API takes no empty text back.
  const kept = content.items.filter(block => !(textOf(block, 'type') === 'text' && textOf(block, 'text') === ''))
  return kept.map(block => source.text.slice(block.start, block.end))
}

/** A block of a stream, being put together: members that grow, apart from those that stand. */
interface Building {
  readonly block: Record<string, unknown>
  readonly type: string
  readonly texts: Map<string, string>
  /** A call's input, in pieces. */
  input: string
  readonly given: string
}

/** Which member a delta adds to. Another kind of delta is nothing that could be said again here. */
const GROWS: Readonly<Record<string, readonly [delta: string, member: string]>> = {
  text_delta: ['text', 'text'],
  thinking_delta: ['thinking', 'thinking'],
  signature_delta: ['signature', 'signature'],
}

function streamed(turn: RefusedTurn): string[] | undefined {
  const blocks: Building[] = []
  for (const { root, text } of objectsOf(turn)) {
    const open = blocks.at(-1)
    switch (textOf(root, 'type')) {
      case 'content_block_start': {
        const begun = begin(member(root, 'content_block'), text)
        if (begun === undefined) return undefined
        blocks.push(begun)
        break
      }
      case 'content_block_delta':
        if (open === undefined || !grow(open, member(root, 'delta'))) return undefined
        break
      default:
    }
  }
  const said: string[] = []
  for (const block of blocks) {
    const one = written(block)
    if (one === undefined) return undefined
    if (one !== '') said.push(one)
  }
  return said
}

function begin(node: JsonNode | undefined, text: string): Building | undefined {
  if (node?.kind !== 'object') return undefined
  const type = textOf(node, 'type') ?? ''
  const input = member(node, 'input')
  const block = membersOf(node)
  return {
    block,
    type,
    texts: new Map(),
    input: '',
    given: input === undefined ? '{}' : text.slice(input.start, input.end),
  }
}

function grow(open: Building, delta: JsonNode | undefined): boolean {
  const type = textOf(delta, 'type') ?? ''
  if (type === 'input_json_delta') {
    open.input += textOf(delta, 'partial_json') ?? ''
    return true
  }
  const [from, to] = GROWS[type] ?? []
  const more = from === undefined ? undefined : textOf(delta, from)
  if (to === undefined || more === undefined) return false
  const before = open.texts.get(to) ?? open.block[to]
  open.texts.set(to, (typeof before === 'string' ? before : '') + more)
  return true
}

/** `''`: a text block without text, which the API does not take back. */
function written(b: Building): string | undefined {
  const block = { ...b.block, ...Object.fromEntries(b.texts) }
  if (b.type === 'text' && block['text'] === '') return ''
  if (!('input' in block)) return JSON.stringify(block)
  const { input: _, ...rest } = block
  // As the model spelled it, so that numbers keep their digits; and one object, so that nothing else can be spelled with it.
  const input = b.input.trim() === '' ? b.given : b.input
  return readObject(input) === undefined ? undefined : `${JSON.stringify(rest).slice(0, -1)},"input":${input}}`
}

function membersOf(node: JsonObject): Record<string, unknown> {
  return Object.fromEntries(
    node.keys.flatMap((key, i) => {
      const value = node.values[i]
      return value === undefined ? [] : [[key, toValue(value)] as const]
    }),
  )
}

function textOf(node: JsonNode | undefined, key: string): string | undefined {
  const value = member(node, key)
  return value?.kind === 'string' ? value.value : undefined
}
