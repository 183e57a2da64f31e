import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes, text } from './chat.test-support.ts'
import { completionsDialect, createCompletionsDialect } from './completions.ts'
import { surface } from './plain.test-support.ts'

const { request, segments } = surface(completionsDialect, { model: 'm' })
const allowing = surface(createCompletionsDialect({ allowTokenInput: true }), { model: 'm' })
const M = 'LEAK-MARKER'
const spelled = [...bytes(M)]

describe('the prompt', () => {
  it.each<[string, unknown, object]>([
    ['a string', M, { 'user /prompt': M }],
    ['a list of strings', ['a', M], { 'user /prompt/0': 'a', 'user /prompt/1': M }],
    ['null', null, {}],
    ['empty', '', {}],
    ['an empty list', [], {}],
  ])('as %s', (_what, prompt, expected) => {
    expect(segments({ prompt })).toEqual({ ...expected, 'other /model': 'm' })
  })

  it.each<[string, unknown]>([
    ['a number', 7],
    ['an object', { text: M }],
    ['a list of objects', [{ text: M }]],
    ['true', true],
    ['strings and numbers', ['a', 1]],
    ['numbers and strings', [1, M]],
    ['fractions', [1.5]],
    ['negative tokens', [-1]],
    ['lists in lists in lists', [[[1]]]],
  ])('as %s is refused', (_what, prompt) => {
    expect(segments({ prompt })).toBe('request_invalid')
    expect(allowing.segments({ prompt })).toBe('request_invalid')
  })

  it.each<[string, object]>([
    ['a list of tokens', { prompt: [9906, 1917] }],
    ['lists of tokens', { prompt: [[9906], [1917]] }],
    ['small tokens, which are bytes to some models and words to others', { prompt: spelled }],
    ['one list of tokens among strings', { prompt: ['a', [9906]] }],
    ['prompt embeddings', { prompt_embeds: 'AAAA' }],
  ])('%s cannot be read and is refused', (_what, body) => {
    expect(segments(body)).toBe('opaque_input')
  })

  it('allowed tokens are reported, and read as bytes where they can be', () => {
    const v = allowing.request({ prompt: [[9906, 1917], spelled, []], prompt_embeds: 'x' })
    expect(v.opaqueInputs).toEqual(['/prompt/0', '/prompt/1', '/prompt_embeds'])
    expect(v.segments).toContainEqual({ role: 'user', pointer: '/prompt/1', text: M, derived: true })
    expect(allowing.request({ prompt: [9906] }).opaqueInputs).toEqual(['/prompt'])
    expect(allowing.request({ prompt: 'text' }).opaqueInputs).toBeUndefined()
  })
})

describe('the other fields', () => {
  it.each<[string, object]>([
    ['suffix', { suffix: M }],
    ['stop', { stop: M }],
    ['a list of stops', { stop: ['a', M] }],
    ['user', { user: M }],
    ['metadata', { metadata: { note: M } }],
    ['an unknown field', { invented: { deep: [M] } }],
    ['an unknown key', { [M]: 1 }],
    ['a key of logit_bias', { logit_bias: { [M]: 1 } }],
    ['bytes that spell it', { invented: spelled }],
    ['a grammar', { guided_regex: M }],
    ['a messages field, which belongs to chat', { messages: [{ role: 'user', content: M }] }],
    ['echo of the wrong type inside an object', { extra: { echo: M } }],
  ])('%s is read', (_what, body) => {
    expect(Object.values(segments({ prompt: 'x', ...body })).some(said => said.includes(M))).toBe(true)
  })

  it.each<[string, object, string]>([
    ['no model', { model: undefined }, 'request_invalid'],
    ['an empty model', { model: '' }, 'request_invalid'],
    ['stream as a string', { stream: 'true' }, 'request_invalid'],
    ['echo as a string', { echo: 'yes' }, 'request_invalid'],
    ['n of 0', { n: 0 }, 'request_invalid'],
    ['n of 129', { n: 129 }, 'request_invalid'],
    ['n of 1.5', { n: 1.5 }, 'request_invalid'],
    ['best_of of 1000', { best_of: 1000 }, 'request_invalid'],
    ['negative max_tokens', { max_tokens: -1 }, 'request_invalid'],
    ['more completions than a client can use', { prompt: Array(100).fill('a'), n: 100 }, 'request_invalid'],
    ['a prompt in other letters', { Prompt: 'x' }, 'json_ambiguous_key'],
    ['a stream flag in other letters', { STREAM: true }, 'json_ambiguous_key'],
    ['tools', { tools: [{ type: 'web_search' }] }, 'request_invalid'],
    ['plugins that are no list', { plugins: 'web' }, 'request_invalid'],
    ['a plugin with a strange name', { plugins: [{ id: 'a b' }] }, 'request_invalid'],
  ])('%s is refused', (_what, body, code) => {
    expect(segments({ prompt: 'x', ...body })).toBe(code)
  })

  it.each(['[]', 'null', '7'])('a body of %s is refused', body => {
    expect(completionsDialect.readRequest(bytes(body))).toMatchObject({ code: 'non_object_body' })
  })

  it('a duplicate prompt is refused', () => {
    const raw = bytes('{"model":"m","prompt":"a","prompt":"b"}')
    expect(completionsDialect.readRequest(raw)).toMatchObject({ code: 'json_duplicate_key' })
  })

  it('counts what is generated, batch and best_of included', () => {
    expect(request({ prompt: 'x' })).toMatchObject({ model: 'm', n: 1, stream: false, tools: [] })
    expect(request({ prompt: ['x', 'y'], n: 2, best_of: 5, stream: true })).toMatchObject({ n: 10, stream: true })
    expect(request({ prompt: 'x', best_of: null, n: null, stream: null, echo: null }).n).toBe(1)
  })

  it('an echoed prompt counts as output', () => {
    expect(request({ prompt: 'x'.repeat(400), max_tokens: 5 }).maxOutputTokens).toBe(5)
    expect(request({ prompt: 'x'.repeat(400), max_tokens: 5, echo: true }).maxOutputTokens).toBe(105)
    expect(request({ prompt: 'x', echo: true }).maxOutputTokens).toBeUndefined()
  })

  it('what upstream would run itself is declared', () => {
    const v = request({ prompt: 'x', plugins: [{ id: 'web' }], web_search_options: {}, mcp_servers: [] })
    expect(v.upstreamTools).toEqual(['upstream:web', 'upstream:web_search', 'upstream:mcp_servers'])
    expect(request({ prompt: 'x', plugins: null, enable_search: false, tools: [] }).upstreamTools).toEqual([])
  })

  it('every string of the body is in a segment', () => {
    const leaf = fc.oneof(fc.stringMatching(/^[a-z]{6,12}$/), fc.integer(), fc.boolean(), fc.constant(null))
    const { value } = fc.letrec(tie => ({
      value: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.stringMatching(/^x[a-z]{4,8}$/), tie('value'), { maxKeys: 3 }),
      ),
    }))
    const strings = (node: unknown): string[] => {
      if (typeof node === 'string') return [node]
      if (typeof node !== 'object' || node === null) return []
      return Object.entries(node).flatMap(([k, v]) => [...(Array.isArray(node) ? [] : [k]), ...strings(v)])
    }
    fc.assert(
      fc.property(value, extra => {
        const said = Object.values(segments({ prompt: 'x', extra })).join('\n')
        for (const s of strings(extra)) expect(said).toContain(s)
      }),
      { numRuns: 100 },
    )
  })
})

it('a redacted prompt leaves every other byte alone', () => {
  const raw = bytes('{ "model":"m", "seed": 1.0, "prompt":["keep","call 555 now"] }')
  const v = completionsDialect.readRequest(raw)
  if ('code' in v) throw new Error(v.code)
  const edits = new Map([['/prompt/1', [{ from: 5, to: 8, text: '[number]' }]]])
  expect(text(completionsDialect.writeRequest(v, edits))).toBe(
    '{ "model":"m", "seed": 1.0, "prompt":["keep","call [number] now"] }',
  )
})
