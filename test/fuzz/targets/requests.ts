/** Each surface's request reader: what is forwarded is what was inspected. */
import type { Dialect } from '../../../src/core/wire.ts'
import { DIALECTS } from '../../../src/dialects/registry.ts'
import { SURFACES } from '../../bypass/cells.ts'
import type { Random } from '../random.ts'
import { bytesOf, type Entry, equal, must, type Target, textOf } from '../target.ts'
import { buildJson } from './json.ts'

const TEXTS = ['hi', 'SECRET//NOFORN', 'a\u200bb', '\u{1F5FC}', '', 'x'.repeat(300)]
const text = (random: Random) => random.pick(TEXTS)
const odd = (random: Random, usual: unknown) => (random.chance(12) ? buildJson(random) : usual)

function parts(random: Random, type: string): unknown {
  return random.list(3, () =>
    random.pick<unknown>([
      { type, text: text(random) },
      { type: 'text', text: text(random), cache_control: { type: 'ephemeral' } },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo' } },
      { type: 'input_image', image_url: 'https://example.com/a.png' },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } },
      { type: 'tool_result', tool_use_id: 'c', content: [{ type: 'text', text: text(random) }] },
      { type: 'tool_use', id: 'c', name: 'f', input: { q: text(random) } },
      { type: 'thinking', thinking: text(random), signature: 'c2ln' },
      text(random),
      buildJson(random),
    ]),
  )
}

function message(random: Random, type: string): unknown {
  return {
    role: odd(random, random.pick(['user', 'assistant', 'system', 'tool', 'developer'])),
    content: odd(random, random.chance(2) ? text(random) : parts(random, type)),
    ...(random.chance(4)
      ? {
          tool_calls: [
            { id: 'c', type: 'function', function: { name: 'f', arguments: JSON.stringify(buildJson(random)) } },
          ],
        }
      : {}),
    ...(random.chance(6) ? { tool_call_id: 'c', name: text(random) } : {}),
  }
}

const tool = (random: Random) =>
  random.pick<unknown>([
    { type: 'function', function: { name: 'f', description: text(random), parameters: buildJson(random) } },
    { type: 'function', name: 'f', parameters: { type: 'object' }, strict: true },
    { name: 'f', description: text(random), input_schema: { type: 'object' } },
    { type: 'web_search' },
    { type: 'mcp', server_label: 'x', server_url: 'https://example.com' },
    buildJson(random),
  ])

/** One shape that has something of every surface. */
function body(random: Random, surface: string): unknown {
  const common = {
    model: odd(random, 'm'),
    stream: odd(random, random.chance(2)),
    ...(random.chance(3) ? { max_tokens: odd(random, 16), temperature: 0.5, n: odd(random, 1) } : {}),
    ...(random.chance(3) ? { tools: random.list(3, () => tool(random)) } : {}),
    ...(random.chance(5) ? { metadata: buildJson(random), x_unknown: text(random) } : {}),
  }
  switch (surface) {
    case 'chat':
    case 'messages':
    case 'count-tokens':
      return {
        ...common,
        ...(surface === 'chat' ? {} : { max_tokens: 16, system: odd(random, text(random)) }),
        messages: odd(
          random,
          random.list(4, () => message(random, 'text')),
        ),
      }
    case 'responses':
      return {
        ...common,
        instructions: odd(random, text(random)),
        input: random.chance(3)
          ? text(random)
          : random.list(4, () =>
              random.pick<unknown>([
                message(random, 'input_text'),
                { type: 'function_call', call_id: 'c', name: 'f', arguments: JSON.stringify(buildJson(random)) },
                { type: 'function_call_output', call_id: 'c', output: text(random) },
                { type: 'reasoning', summary: [{ type: 'summary_text', text: text(random) }] },
              ]),
            ),
        ...(random.chance(5) ? { previous_response_id: 'resp_1', background: false, store: true } : {}),
      }
    case 'completions':
      return { ...common, prompt: odd(random, random.chance(2) ? text(random) : [text(random), text(random)]) }
    default:
      return { model: 'm', input: odd(random, random.chance(2) ? text(random) : [text(random), [104, 105]]) }
  }
}

/** What stands at an RFC 6901 pointer. */
function at(root: unknown, pointer: string): unknown {
  let value = root
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value
}

/** The surface's fullest request and its smallest. */
function asked(name: string): readonly Entry[] {
  const surface = SURFACES[name]
  const bodies = [surface?.asking, surface?.request('m', { mode: 'unary', choice: 0 }, [])]
  return bodies.flatMap((asks, i) =>
    asks === undefined ? [] : [{ name: `asked-${i}`, bytes: bytesOf(JSON.stringify(asks)) }],
  )
}

function target(dialect: Dialect): Target {
  return {
    name: `request-${dialect.name}`,
    words: [
      '"role":"user"',
      '"content":',
      '"tools":[',
      '"stream":true',
      '"MODEL":"m"',
      '"signet":{"capability":"x"}',
      '"type":"text"',
    ],
    build: random => bytesOf(JSON.stringify(body(random, dialect.name))),
    seeds: () => asked(dialect.name),
    check: bytes => {
      const view = dialect.readRequest(bytes)
      if ('kind' in view) {
        must(!/[\r\n]/.test(view.message), 'a fault is one line')
        return
      }
      const untouched = dialect.writeRequest(view, new Map())
      must(untouched === view.raw, 'without edits the bytes are the same object')
      if (bytes.length === 0) return
      const forwarded: unknown = JSON.parse(textOf(view.raw))
      for (const s of view.segments) {
        must(s.text !== '', 'a segment says something')
        if (s.derived !== true) equal(at(forwarded, s.pointer), s.text, `the text at ${s.pointer.slice(0, 80)}`)
      }
      equal(dialect.readRequest(view.raw), { ...view, raw: view.raw }, 'what is forwarded, read again')
      const [first] = view.segments.filter(s => s.derived !== true)
      if (first === undefined) return
      const edit = { from: 0, to: first.text.length, text: '[GONE]' }
      const edited = dialect.writeRequest(view, new Map([[first.pointer, [edit]]]))
      equal(at(JSON.parse(textOf(edited)), first.pointer), '[GONE]', 'the redacted text')
    },
  }
}

export const requests: readonly Target[] = DIALECTS.filter(d => d.name !== 'models').map(target)
