import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RequestView, Segment } from '../core/wire.ts'
import { bytes, text } from './chat.test-support.ts'
import { chatDialect } from './chat.ts'

const read = (body: unknown) => chatDialect.readRequest(bytes(typeof body === 'string' ? body : JSON.stringify(body)))
const code = (body: unknown) => {
  const v = read(body)
  return 'code' in v ? v.code : 'ok'
}
const view = (body: object): RequestView => {
  const v = read({ model: 'm', messages: [], ...body })
  if ('code' in v) throw new Error(`${v.code}: ${v.message}`)
  return v
}
const brief = (list: readonly Segment[]) =>
  list.map(s => [s.role, s.pointer, s.text, ...(s.derived ? ['derived'] : [])])
const M = 'LEAK-MARKER'

describe('refusing a chat request', () => {
  it.each(['[]', 'null', '123', '"x"', 'true'])('%s is not an object', body => {
    expect(code(body)).toBe('non_object_body')
  })

  it.each([
    ['', 'empty_body'],
    ['{"messages":', 'json_decode_error'],
    ['{"model":"m","messages":[],"temperature":NaN}', 'non_finite_float'],
    ['{"model":"m","messages":[],"temperature":1e999}', 'non_finite_float'],
    ['{"model":"m","messages":[],"messages":[]}', 'json_duplicate_key'],
    [`{"model":"m","messages":[],"x":${'['.repeat(64)}${']'.repeat(64)}}`, 'json_too_deeply_nested'],
    ['{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', 'json_lone_surrogate'],
    ['{"model":"m","messages":[],"Messages":[]}', 'json_ambiguous_key'],
    ['{"model":"m","messages":[],"\uff4dessages":[]}', 'json_ambiguous_key'],
    ['{"model":"m","messages":[{"role":"user","content":"a","Content":"b"}]}', 'json_ambiguous_key'],
    [
      '{"model":"m","messages":[],"tools":[{"type":"function","Function":{"name":"f"},"function":{"name":"g"}}]}',
      'json_ambiguous_key',
    ],
    [
      '{"model":"m","messages":[],"tools":[{"type":"function","function":{"NAME":"f","name":"g"}}]}',
      'json_ambiguous_key',
    ],
    [
      '{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","Arguments":"{}"}}]}]}',
      'json_ambiguous_key',
    ],
  ])('%s: %s', (body, expected) => {
    expect(code(body)).toBe(expected)
  })

  it.each([
    ['messages null', { messages: null }],
    ['messages a number', { messages: 5 }],
    ['messages a string', { messages: 'ignore all previous instructions' }],
    ['messages an object', { messages: { role: 'user', content: 'x' } }],
    ['a message that is a string', { messages: ['x'] }],
    ['a message without a role', { messages: [{ content: 'x' }] }],
    ['a role that is an object', { messages: [{ role: { a: 'x' }, content: 'x' }] }],
    ['content a number', { messages: [{ role: 'user', content: 5 }] }],
    ['content an object', { messages: [{ role: 'user', content: { text: 'x' } }] }],
    ['content a list of numbers', { messages: [{ role: 'user', content: [72, 105] }] }],
    ['model empty', { model: '' }],
    ['model null', { model: null }],
    ['model a list', { model: ['m'] }],
    ['stream the string "false"', { stream: 'false' }],
    ['stream 1', { stream: 1 }],
    ['n zero', { n: 0 }],
    ['n negative', { n: -1 }],
    ['n a fraction', { n: 1.5 }],
    ['n a string', { n: '2' }],
    ['n true', { n: true }],
    ['n too large', { n: 129 }],
    ['max_tokens negative', { max_tokens: -1 }],
    ['max_tokens a string', { max_tokens: '10' }],
    ['max_completion_tokens a fraction', { max_completion_tokens: 0.5 }],
    ['tool_calls an object', { messages: [{ role: 'assistant', tool_calls: {} }] }],
    ['a tool call without a function', { messages: [{ role: 'assistant', tool_calls: [{ id: 'a' }] }] }],
    [
      'a tool call without a name',
      { messages: [{ role: 'assistant', tool_calls: [{ function: { arguments: '{}' } }] }] },
    ],
    [
      'arguments that are an object',
      { messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: {} } }] }] },
    ],
    ['tools an object', { tools: {} }],
    ['a tool without a name', { tools: [{ type: 'function', function: {} }] }],
    ['a tool type with a line end', { tools: [{ type: 'web\nsearch' }] }],
  ])('%s is invalid', (_what, body) => {
    expect(code({ model: 'm', messages: [], ...body })).toBe('request_invalid')
  })

  it('refuses a missing model or messages', () => {
    expect([code({ messages: [] }), code({ model: 'm' })]).toEqual(['request_invalid', 'request_invalid'])
  })
})

describe('reading a chat request', () => {
  it('gives each message its role', () => {
    const v = view({
      messages: [
        { role: 'system', content: 'a' },
        { role: 'developer', content: 'b' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'c' },
            { type: 'image_url', image_url: { url: 'https://x.test/i.png' } },
          ],
          name: 'bob',
        },
        { role: 'assistant', content: null, refusal: 'no', reasoning_content: 'hm' },
        { role: 'tool', tool_call_id: 'call_1', content: 'e' },
        { role: 'function', name: 'f', content: 'g' },
        { role: 'critic', content: 'h' },
      ],
    })
    expect(brief(v.segments.filter(s => s.pointer.startsWith('/messages')))).toEqual([
      ['system', '/messages/0/content', 'a'],
      ['developer', '/messages/1/content', 'b'],
      ['user', '/messages/2/content/0/text', 'c'],
      ['user', '/messages/2/content/1/image_url/url', 'https://x.test/i.png'],
      ['user', '/messages/2/name', 'bob'],
      ['assistant', '/messages/3/refusal', 'no'],
      ['assistant', '/messages/3/reasoning_content', 'hm'],
      ['tool', '/messages/4/tool_call_id', 'call_1'],
      ['tool', '/messages/4/content', 'e'],
      ['tool', '/messages/5/name', 'f'],
      ['tool', '/messages/5/content', 'g'],
      ['other', '/messages/6/role', 'critic'],
      ['other', '/messages/6/content', 'h'],
    ])
    expect(v.toolResults).toEqual(['call_1'])
    expect(v.pastCalls).toBeUndefined()
  })

  it('tells the calls that the conversation holds, in order', () => {
    const call = (id: string, rest: object) => ({ role: 'assistant', content: null, tool_calls: [{ id, ...rest }] })
    const v = view({
      messages: [
        call('a', { type: 'function', function: { name: 'f', arguments: '{"p": 1}' } }),
        { role: 'tool', tool_call_id: 'a', content: 'done' },
        { role: 'assistant', content: null, function_call: { name: 'g', arguments: '' } },
        call('b', { type: 'custom', custom: { name: 'h', input: 'free text' } }),
      ],
    })
    expect(v.pastCalls).toEqual([
      { name: 'f', argumentsText: '{"p": 1}' },
      { name: 'g', argumentsText: '' },
      { name: 'h', argumentsText: 'free text' },
    ])
  })

  it('reads arguments raw and as the strings a tool would get', () => {
    const v = view({
      messages: [
        {
          role: 'assistant',
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{"p":"\\u0041B"}' } }],
        },
        { role: 'assistant', function_call: { name: 'g', arguments: 'not json' } },
        { role: 'assistant', tool_calls: [{ id: 'c2', type: 'custom', custom: { name: 'h', input: 'free text' } }] },
      ],
    })
    expect(brief(v.segments.filter(s => s.pointer.startsWith('/messages')))).toEqual([
      ['assistant', '/messages/0/tool_calls/0/id', 'c1'],
      ['assistant', '/messages/0/tool_calls/0/function/name', 'f'],
      ['assistant', '/messages/0/tool_calls/0/function/arguments', '{"p":"\\u0041B"}'],
      ['assistant', '/messages/0/tool_calls/0/function/arguments', 'p', 'derived'],
      ['assistant', '/messages/0/tool_calls/0/function/arguments', 'AB', 'derived'],
      ['assistant', '/messages/1/function_call/name', 'g'],
      ['assistant', '/messages/1/function_call/arguments', 'not json'],
      ['assistant', '/messages/2/tool_calls/0/id', 'c2'],
      ['assistant', '/messages/2/tool_calls/0/custom/name', 'h'],
      ['assistant', '/messages/2/tool_calls/0/custom/input', 'free text'],
    ])
  })

  it.each<[string, object]>([
    ['model', { model: M }],
    ['user', { user: M }],
    ['metadata value', { metadata: { a: M } }],
    ['metadata key', { metadata: { [M]: 'a' } }],
    ['stop', { stop: ['x', M] }],
    ['prediction', { prediction: { type: 'content', content: M } }],
    ['instructions', { instructions: M }],
    ['an unknown field', { vendor: { deep: [{ deeper: M }] } }],
    ['an unknown key', { [M]: 1 }],
    ['tool description', { tools: [{ type: 'function', function: { name: 'f', description: M } }] }],
    [
      'tool schema text',
      { tools: [{ type: 'function', function: { name: 'f', parameters: { properties: { a: { enum: [M] } } } } }] },
    ],
    [
      'tool schema key',
      { tools: [{ type: 'function', function: { name: 'f', parameters: { properties: { [M]: {} } } } }] },
    ],
    ['legacy function', { functions: [{ name: 'f', description: M }] }],
    [
      'custom tool grammar',
      {
        tools: [
          {
            type: 'custom',
            custom: { name: 'c', format: { type: 'grammar', grammar: { syntax: 'lark', definition: M } } },
          },
        ],
      },
    ],
    ['tool_choice', { tool_choice: { type: 'function', function: { name: M } } }],
    ['response_format', { response_format: { type: 'json_schema', json_schema: { name: M, schema: {} } } }],
    ['web search place', { web_search_options: { user_location: { type: 'approximate', approximate: { city: M } } } }],
    ['a role nobody knows', { messages: [{ role: M, content: 'x' }] }],
    ['a content part nobody knows', { messages: [{ role: 'user', content: [{ type: M, other: 'x' }] }] }],
    [
      'an image address',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: `https://x.test/?q=${M}` } }] }] },
    ],
    [
      'a file name',
      { messages: [{ role: 'user', content: [{ type: 'file', file: { filename: M, file_data: 'x' } }] }] },
    ],
    [
      'text in a media slot',
      {
        messages: [
          { role: 'user', content: [{ type: 'input_audio', input_audio: { data: `hello ${M}`, format: 'wav' } }] },
        ],
      },
    ],
    [
      'a text data address',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: `data:text/plain,${M}` } }] }] },
    ],
    [
      'an image address that is not base64',
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: `data:image/svg+xml,<svg>${M}</svg>` } }] },
        ],
      },
    ],
    ['bytes that spell it', { blob: [...bytes(M)] }],
    [
      'a key beside a media payload',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x', [M]: 1 } }] }] },
    ],
  ])('finds text in %s', (_what, body) => {
    expect(view(body).segments.some(s => s.text.includes(M))).toBe(true)
  })

  it('skips the payload of a picture, a recording and a file', () => {
    const blob = 'iVBORw0KGgoA'.repeat(34)
    const v = view({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: `data:image/png;base64,${blob}`, detail: 'low' } },
            { type: 'input_audio', input_audio: { data: blob, format: 'wav' } },
            { type: 'file', file: { file_data: `data:application/pdf;base64,${blob}`, filename: 'a.pdf' } },
          ],
        },
      ],
    })
    expect(v.segments.some(s => s.text.includes('iVBOR'))).toBe(false)
    expect(v.segments.map(s => s.text)).toEqual(expect.arrayContaining(['low', 'wav', 'a.pdf']))
  })

  it('names declared tools and the tools upstream would run', () => {
    const v = view({
      tools: [
        { type: 'function', function: { name: 'f' } },
        { type: 'custom', custom: { name: 'c' } },
        { type: 'mcp', server_label: 'drive' },
        { type: 'code_interpreter' },
      ],
      functions: [{ name: 'old' }],
      web_search_options: {},
      plugins: [{ id: 'web' }],
    })
    expect(v.tools).toEqual(['f', 'c', 'old'])
    expect(v.upstreamTools).toEqual([
      'upstream:mcp:drive',
      'upstream:code_interpreter',
      'upstream:web_search',
      'upstream:web',
    ])
    expect(view({ web_search_options: null }).upstreamTools).toEqual([])
  })

  it('reads counts', () => {
    expect(view({ n: 3, max_tokens: 10, max_completion_tokens: 20, stream: true })).toMatchObject({
      n: 3,
      maxOutputTokens: 20,
      stream: true,
    })
    expect(view({ n: null, max_tokens: null, stream: null })).toMatchObject({ n: 1, stream: false })
    expect(view({})).not.toHaveProperty('maxOutputTokens')
    expect(view({ max_tokens: 0 }).maxOutputTokens).toBe(0)
  })

  it('finds a marker wherever a string can stand', () => {
    const leaf = fc.constantFrom('a', 1, true, null, M)
    const tree = fc.letrec(tie => ({
      node: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'text', 'url', M), tie('node'), { maxKeys: 3 }),
      ),
    })).node
    fc.assert(
      fc.property(
        tree,
        fc.constantFrom('vendor', 'metadata', 'response_format', 'tool_choice', 'prediction', 'user'),
        (value, key) => {
          const expected = JSON.stringify(value)?.includes(M) ?? false
          expect(view({ [key]: value }).segments.some(s => s.text.includes(M))).toBe(expected)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('writing a chat request', () => {
  const body =
    '{ "model":"m", "temperature":1.0, "seed":12345678901234567890,\n "messages":[{"role":"user","content":"my key is sk-123 \\u00e9"}] }'

  it('returns the same object without edits', () => {
    const v = read(body)
    if ('code' in v) throw new Error(v.code)
    expect(chatDialect.writeRequest(v, new Map())).toBe(v.raw)
    expect(chatDialect.writeRequest(v, new Map([['/messages/0/content', []]]))).toBe(v.raw)
  })

  it('changes the edited string and no other byte', () => {
    const v = read(body)
    if ('code' in v) throw new Error(v.code)
    const out = chatDialect.writeRequest(v, new Map([['/messages/0/content', [{ from: 10, to: 16, text: '[KEY]' }]]]))
    expect(text(out)).toBe(body.replace('"my key is sk-123 \\u00e9"', '"my key is [KEY] é"'))
  })

  it('throws for a pointer that is not one string', () => {
    const v = view({ metadata: { secret: 'x' } })
    for (const pointer of ['/metadata', '/nothing', '']) {
      expect(() => chatDialect.writeRequest(v, new Map([[pointer, [{ from: 0, to: 1, text: 'y' }]]]))).toThrow(
        /no string to edit/,
      )
    }
  })

  it('strips capabilities that a client echoes', () => {
    const call = {
      id: 'a',
      type: 'function',
      function: { name: 'f', arguments: '{}' },
      signet: { capability: 'eyJ.x.y' },
    }
    const v = view({ messages: [{ role: 'assistant', content: null, tool_calls: [call] }] })
    expect(text(v.raw)).not.toContain('signet')
    expect(JSON.parse(text(v.raw)).messages[0].tool_calls[0]).toEqual({
      id: 'a',
      type: 'function',
      function: { name: 'f', arguments: '{}' },
    })
    expect(v.segments.some(s => s.text.includes('eyJ'))).toBe(false)
  })

  it('can rewrite every segment that is not derived', () => {
    const v = view({
      user: 'aé',
      tools: [
        {
          type: 'function',
          function: { name: 'f', description: 'd"q', parameters: { properties: { 'a/b~c': { description: 'x' } } } },
        },
      ],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'line\nend' }, 'plain'] }],
    })
    const edits = new Map(
      v.segments.filter(s => !s.derived).map(s => [s.pointer, [{ from: 0, to: s.text.length, text: `<${s.text}>` }]]),
    )
    const again = chatDialect.readRequest(chatDialect.writeRequest(v, edits))
    if ('code' in again) throw new Error(again.code)
    expect(again.segments.filter(s => !s.derived).map(s => s.text)).toEqual(
      v.segments.filter(s => !s.derived).map(s => `<${s.text}>`),
    )
  })
})
