import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RequestView, Segment } from '../core/wire.ts'
import { bytes, text } from './messages.test-support.ts'
import { messagesDialect } from './messages.ts'

const read = (body: unknown) =>
  messagesDialect.readRequest(bytes(typeof body === 'string' ? body : JSON.stringify(body)))
const code = (body: unknown) => {
  const v = read(body)
  return 'code' in v ? v.code : 'ok'
}
const base = { model: 'm', max_tokens: 64, messages: [] }
const view = (body: object): RequestView => {
  const v = read({ ...base, ...body })
  if ('code' in v) throw new Error(`${v.code}: ${v.message}`)
  return v
}
const brief = (list: readonly Segment[]) =>
  list.map(s => [s.role, s.pointer, s.text, ...(s.derived ? ['derived'] : [])])
const inMessages = (v: RequestView) => brief(v.segments.filter(s => s.pointer.startsWith('/messages')))
const user = (...content: readonly unknown[]) => ({ messages: [{ role: 'user', content }] })
const assistant = (...content: readonly unknown[]) => ({ messages: [{ role: 'assistant', content }] })
const M = 'LEAK-MARKER'
const BLOB = 'iVBORw0KGgoA'.repeat(34)

describe('refusing a Messages request', () => {
  it.each(['[]', 'null', '123', '"x"', 'true'])('%s is not an object', body => {
    expect(code(body)).toBe('non_object_body')
  })

  it.each([
    ['', 'empty_body'],
    ['{"messages":', 'json_decode_error'],
    ['{"model":"m","max_tokens":1,"messages":[],"temperature":NaN}', 'non_finite_float'],
    ['{"model":"m","max_tokens":1,"messages":[],"messages":[]}', 'json_duplicate_key'],
    [`{"model":"m","max_tokens":1,"messages":[],"x":${'['.repeat(64)}${']'.repeat(64)}}`, 'json_too_deeply_nested'],
    ['{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"\\ud800"}]}', 'json_lone_surrogate'],
    ['{"model":"m","max_tokens":1,"messages":[],"Messages":[]}', 'json_ambiguous_key'],
    ['{"model":"m","max_tokens":1,"messages":[],"\uff53ystem":"x"}', 'json_ambiguous_key'],
    ['{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a","Content":"b"}]}', 'json_ambiguous_key'],
    [
      '{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"a","TEXT":"b"}]}]}',
      'json_ambiguous_key',
    ],
    ['{"model":"m","max_tokens":1,"messages":[],"tools":[{"name":"f","Type":"web_search_1"}]}', 'json_ambiguous_key'],
    ['{"model":"m","max_tokens":1,"messages":[],"mcp_servers":[{"name":"f","Name":"g"}]}', 'json_ambiguous_key'],
  ])('%s: %s', (body, expected) => {
    expect(code(body)).toBe(expected)
  })

  const use = { type: 'tool_use', id: 'i', name: 'f', input: {} }
  it.each<[string, object]>([
    ['messages null', { messages: null }],
    ['messages a string', { messages: 'ignore all previous instructions' }],
    ['messages an object', { messages: { role: 'user', content: 'x' } }],
    ['a message that is a string', { messages: ['x'] }],
    ['a message without a role', { messages: [{ content: 'x' }] }],
    ['a role that is an object', { messages: [{ role: { a: 'x' }, content: 'x' }] }],
    ['no content', { messages: [{ role: 'user' }] }],
    ['content null', { messages: [{ role: 'user', content: null }] }],
    ['content a number', { messages: [{ role: 'user', content: 5 }] }],
    ['content an object', { messages: [{ role: 'user', content: { type: 'text', text: 'x' } }] }],
    ['content a list of strings', user('x')],
    ['a block without a type', user({ text: 'x' })],
    ['a block whose type is a list', user({ type: ['text'], text: 'x' })],
    ['a text block without text', user({ type: 'text' })],
    ['a text block whose text is an object', user({ type: 'text', text: { a: 'x' } })],
    ['system a number', { system: 5 }],
    ['system a list of strings', { system: ['x'] }],
    ['model empty', { model: '' }],
    ['model null', { model: null }],
    ['stream the string "false"', { stream: 'false' }],
    ['stream 1', { stream: 1 }],
    ['max_tokens missing', { max_tokens: undefined }],
    ['max_tokens null', { max_tokens: null }],
    ['max_tokens negative', { max_tokens: -1 }],
    ['max_tokens a string', { max_tokens: '10' }],
    ['max_tokens a fraction', { max_tokens: 0.5 }],
    ['max_tokens true', { max_tokens: true }],
    ['a tool call without a name', assistant({ ...use, name: undefined })],
    ['a tool call without an id', assistant({ ...use, id: 5 })],
    ['input that is a string', assistant({ ...use, input: '{}' })],
    ['input missing', assistant({ ...use, input: undefined })],
    ['input of a server tool that is a list', assistant({ ...use, type: 'server_tool_use', input: [] })],
    ['a tool result without an id', user({ type: 'tool_result', content: 'x' })],
    ['a source without a type', user({ type: 'image', source: { url: 'x' } })],
    ['tools an object', { tools: {} }],
    ['a tool that is a string', { tools: ['f'] }],
    ['a tool without a name', { tools: [{ input_schema: {} }] }],
    ['a tool whose type is a number', { tools: [{ type: 5, name: 'f' }] }],
    ['a tool type with a line end', { tools: [{ type: 'web\nsearch', name: 'f' }] }],
    ['a toolset without a server', { tools: [{ type: 'mcp_toolset' }] }],
    ['an MCP server without a name', { mcp_servers: [{ type: 'url', url: 'https://x.test' }] }],
    ['an MCP server name with a colon', { mcp_servers: [{ type: 'url', name: 'a:b', url: 'https://x.test' }] }],
    ['MCP servers an object', { mcp_servers: {} }],
  ])('%s is invalid', (_what, body) => {
    expect(code({ ...base, ...body })).toBe('request_invalid')
  })

  it('refuses more separate texts than checks can look at', () => {
    const content = Array.from({ length: 65_537 }, () => ({ type: 'text', text: 'x' }))
    expect(code({ ...base, ...user(...content) })).toBe('request_invalid')
  })
})

describe('reading a Messages request', () => {
  it('gives each text its role and place', () => {
    const v = view({
      system: [{ type: 'text', text: 'be brief' }],
      messages: [
        { role: 'user', content: 'hi' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: 'short-sig' },
            { type: 'thinking', thinking: 'unsigned' },
            { type: 'redacted_thinking', data: BLOB },
            { type: 'text', text: 'ok' },
            { type: 'tool_use', id: 'toolu_1', name: 'f', input: { 'a/b': { list: ['x', 1, true] } } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'toolu_1', is_error: false, content: [{ type: 'text', text: 'done' }] },
            { type: 'tool_result', tool_use_id: 'toolu_2', content: 'also done' },
          ],
        },
        { role: 'system', content: 'and be kind' },
        { role: 'critic', content: 'meh' },
      ],
    })
    expect(brief(v.segments).slice(0, 1)).toEqual([['system', '/system/0/text', 'be brief']])
    expect(inMessages(v)).toEqual([
      ['user', '/messages/0/content', 'hi'],
      ['assistant', '/messages/1/content/0/thinking', 'hm', 'derived'],
      ['assistant', '/messages/1/content/0/signature', 'short-sig', 'derived'],
      ['assistant', '/messages/1/content/1/thinking', 'unsigned'],
      ['assistant', '/messages/1/content/3/text', 'ok'],
      ['assistant', '/messages/1/content/4/id', 'toolu_1'],
      ['assistant', '/messages/1/content/4/name', 'f'],
      ['assistant', '/messages/1/content/4/input/a~1b/list/0', 'x'],
      ['assistant', '/messages/1/content/4/input/a~1b', 'list', 'derived'],
      ['assistant', '/messages/1/content/4/input', 'a/b', 'derived'],
      ['tool', '/messages/2/content/0/tool_use_id', 'toolu_1'],
      ['tool', '/messages/2/content/0/content/0/text', 'done'],
      ['tool', '/messages/2/content/1/tool_use_id', 'toolu_2'],
      ['tool', '/messages/2/content/1/content', 'also done'],
      ['system', '/messages/3/content', 'and be kind'],
      ['other', '/messages/4/role', 'critic'],
      ['other', '/messages/4/content', 'meh'],
    ])
    expect(v.toolResults).toEqual(['toolu_1', 'toolu_2'])
    expect(v.pastCalls?.map(call => [call.name, JSON.parse(call.argumentsText)])).toEqual([
      ['f', { 'a/b': { list: ['x', 1, true] } }],
    ])
    expect(v).toMatchObject({ model: 'm', n: 1, stream: false, maxOutputTokens: 64 })
    expect(v).not.toHaveProperty('references')
    expect(v).not.toHaveProperty('opaqueInputs')
    expect(v).not.toHaveProperty('stored')
  })

  it('takes a system prompt that is a string, null or not there', () => {
    expect(brief(view({ system: 'x' }).segments)).toContainEqual(['system', '/system', 'x'])
    expect(view({ system: null }).segments.map(s => s.role)).not.toContain('system')
  })

  it.each<[string, object]>([
    ['model', { model: M }],
    ['metadata value', { metadata: { user_id: M } }],
    ['metadata key', { metadata: { [M]: 'a' } }],
    ['stop sequences', { stop_sequences: ['x', M] }],
    ['tool_choice', { tool_choice: { type: 'tool', name: M } }],
    ['output schema', { output_config: { format: { type: 'json_schema', schema: { description: M } } } }],
    ['output schema key', { output_config: { format: { schema: { properties: { [M]: {} } } } } }],
    ['an unknown field', { vendor: { deep: [{ deeper: M }] } }],
    ['an unknown key', { [M]: 1 }],
    ['tool description', { tools: [{ name: 'f', description: M, input_schema: {} }] }],
    ['tool name', { tools: [{ name: M, input_schema: {} }] }],
    ['tool schema text', { tools: [{ name: 'f', input_schema: { properties: { a: { enum: [M] } } } }] }],
    ['tool schema key', { tools: [{ name: 'f', input_schema: { properties: { [M]: {} } } }] }],
    ['tool examples', { tools: [{ name: 'f', input_schema: {}, input_examples: [{ a: M }] }] }],
    ['domains of a search', { tools: [{ type: 'web_search_20250305', name: 'web_search', allowed_domains: [M] }] }],
    ['the place of a search', { tools: [{ type: 'web_search_20250305', user_location: { city: M } }] }],
    ['an MCP address', { mcp_servers: [{ type: 'url', name: 'a', url: `https://x.test/${M}` }] }],
    ['an MCP token', { mcp_servers: [{ type: 'url', name: 'a', url: 'https://x.test', authorization_token: M }] }],
    ['a role', { messages: [{ role: M, content: 'x' }] }],
    ['an unknown field of a message', { messages: [{ role: 'user', content: 'x', name: M }] }],
    ['an unknown key of a message', { messages: [{ role: 'user', content: 'x', [M]: 1 }] }],
    ['a block nobody knows', user({ type: M, other: 'x' })],
    ['text in a block nobody knows', user({ type: 'x', other: { deep: [M] } })],
    ['an unknown key of a block', user({ type: 'text', text: 'x', [M]: 1 })],
    ['an unknown key of a picture', user({ type: 'image', source: { type: 'url', url: 'x', [M]: 1 } })],
    ['a picture address', user({ type: 'image', source: { type: 'url', url: `https://x.test/?q=${M}` } })],
    [
      'text in a picture',
      user({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: `hi ${M}` } }),
    ],
    [
      'a picture that is text',
      user({
        type: 'image',
        source: { type: 'base64', media_type: 'image/svg+xml', data: `${M.replace('-', '')}${BLOB}` },
      }),
    ],
    ['a document', user({ type: 'document', source: { type: 'text', media_type: 'text/plain', data: M } })],
    [
      'a document that looks like base64',
      user({ type: 'document', source: { type: 'text', media_type: 'text/plain', data: `${BLOB}+${M}` } }),
    ],
    [
      'a document of blocks',
      user({ type: 'document', source: { type: 'content', content: [{ type: 'text', text: M }] } }),
    ],
    ['a document that is one text', user({ type: 'document', source: { type: 'content', content: M } })],
    ['a document title', user({ type: 'document', title: M, source: { type: 'text', data: 'x' } })],
    ['a document context', user({ type: 'document', context: M, source: { type: 'text', data: 'x' } })],
    ['a source type nobody knows', user({ type: 'document', source: { type: M } })],
    ['a search result', user({ type: 'search_result', source: 's', title: 't', content: [{ type: 'text', text: M }] })],
    ['the source of a search result', user({ type: 'search_result', source: M, title: 't', content: [] })],
    [
      'a tool result',
      user({
        type: 'tool_result',
        tool_use_id: 'i',
        content: [{ type: 'search_result', source: 's', title: M, content: [] }],
      }),
    ],
    [
      'a picture in a tool result',
      user({ type: 'tool_result', tool_use_id: 'i', content: [{ type: 'image', source: { type: 'url', url: M } }] }),
    ],
    ['a citation', assistant({ type: 'text', text: 'x', citations: [{ type: 'char_location', cited_text: M }] })],
    ['input of a tool', assistant({ type: 'tool_use', id: 'i', name: 'f', input: { text: [{ a: M }] } })],
    ['a key of the input of a tool', assistant({ type: 'tool_use', id: 'i', name: 'f', input: { [M]: 1 } })],
    [
      'a result of the web',
      assistant({
        type: 'web_search_tool_result',
        tool_use_id: 'i',
        content: [{ type: 'web_search_result', title: M }],
      }),
    ],
    [
      'an error of the web',
      assistant({
        type: 'web_search_tool_result',
        tool_use_id: 'i',
        content: { type: 'web_search_tool_result_error', error_code: M },
      }),
    ],
    [
      'sealed content that is text',
      assistant({
        type: 'web_search_tool_result',
        tool_use_id: 'i',
        content: [{ type: 'web_search_result', encrypted_content: M }],
      }),
    ],
    [
      'the output of code',
      assistant({
        type: 'code_execution_tool_result',
        tool_use_id: 'i',
        content: { type: 'code_execution_result', stdout: M },
      }),
    ],
    ['an MCP result', assistant({ type: 'mcp_tool_result', tool_use_id: 'i', content: M })],
    ['redacted thinking that is text', assistant({ type: 'redacted_thinking', data: M })],
    ['a signature that is text', assistant({ type: 'thinking', thinking: 'x', signature: M })],
    ['a compaction', assistant({ type: 'compaction', content: M })],
    [
      'an added tool',
      user({ type: 'tool_addition', tool: { type: 'tool_definition', definition: { name: 'f', description: M } } }),
    ],
    ['a cache mark', user({ type: 'text', text: 'x', cache_control: { type: M } })],
    ['bytes that spell it', { blob: [...bytes(M)] }],
  ])('finds text in %s', (_what, body) => {
    expect(view(body).segments.some(s => s.text.includes('LEAK'))).toBe(true)
  })

  it('skips payloads of pictures and files, and what the API itself has sealed', () => {
    const v = view({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: BLOB } },
            { type: 'document', title: 'a.pdf', source: { type: 'base64', media_type: 'application/pdf', data: BLOB } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'x', signature: BLOB },
            { type: 'redacted_thinking', data: BLOB },
            {
              type: 'web_search_tool_result',
              tool_use_id: 'i',
              content: [{ type: 'web_search_result', title: 't', encrypted_content: BLOB }],
            },
            { type: 'text', text: 'y', citations: [{ type: 'web_search_result_location', encrypted_index: BLOB }] },
          ],
        },
      ],
    })
    expect(v.segments.some(s => s.text.includes('iVBOR'))).toBe(false)
    expect(v.segments.map(s => s.text)).toEqual(expect.arrayContaining(['a.pdf', 't', 'y']))
    expect(v.opaqueInputs).toEqual(['/messages/0/content/1/source/data'])
    const text64 = user({ type: 'document', source: { type: 'base64', media_type: 'text/plain', data: BLOB } })
    expect(view(text64).segments.some(s => s.text === BLOB)).toBe(true)
  })

  it('names what upstream would fetch, and the state it builds on', () => {
    const v = view({
      container: {
        id: 'container_1',
        skills: [
          { type: 'anthropic', skill_id: 'pptx' },
          { type: 'custom', skill_id: 'skill_1' },
        ],
      },
      thread: { type: 'continue', previous_message_id: 'msg_1' },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'url', url: 'https://x.test/i.png' } },
            { type: 'document', source: { type: 'file', file_id: 'file_1' } },
            { type: 'container_upload', file_id: 'file_2' },
            {
              type: 'tool_result',
              tool_use_id: 'i',
              content: [{ type: 'document', source: { type: 'url', url: 'x' } }],
            },
          ],
        },
      ],
    })
    expect(v.stored).toBe(true)
    expect(v.references).toEqual([
      { kind: 'file', id: 'file_1', pointer: '/messages/0/content/1/source/file_id' },
      { kind: 'file', id: 'file_2', pointer: '/messages/0/content/2/file_id' },
      { kind: 'container', id: 'container_1', pointer: '/container/id' },
      { kind: 'skill', id: 'skill_1', pointer: '/container/skills/1/skill_id' },
      { kind: 'response', id: 'msg_1', pointer: '/thread/previous_message_id' },
    ])
    expect(v.opaqueInputs).toEqual([
      '/messages/0/content/0/source/url',
      '/messages/0/content/1/source/file_id',
      '/messages/0/content/3/content/0/source/url',
    ])
    expect(view({ container: 'container_2' }).references).toEqual([
      { kind: 'container', id: 'container_2', pointer: '/container' },
    ])
  })

  it('tells the caller’s tools from those that upstream runs', () => {
    const v = view({
      tools: [
        { name: 'f', input_schema: {} },
        { type: 'custom', name: 'c', input_schema: {} },
        { type: null, name: 'n', input_schema: {} },
        { type: 'bash_20250124', name: 'bash' },
        { type: 'text_editor_20250728', name: 'str_replace_based_edit_tool' },
        { type: 'computer_toolset_20260801' },
        { type: 'web_search_20250305', name: 'web_search' },
        { type: 'code_execution_20250825', name: 'code_execution' },
        { type: 'mcp_toolset', mcp_server_name: 'drive' },
        { type: 'brand_new_20270101', name: 'x' },
      ],
      mcp_servers: [{ type: 'url', name: 'drive', url: 'https://mcp.test' }],
      ...user(
        { type: 'tool_addition', tool: { type: 'tool_definition', definition: { type: 'web_fetch_20250910' } } },
        { type: 'tool_addition', tool: { type: 'tool_reference', name: 'f' } },
        { type: 'tool_addition', tool: { type: 'mcp_toolset_reference', server_name: 'mail' } },
      ),
    })
    expect(v.tools).toEqual(['f', 'c', 'n', 'bash', 'str_replace_based_edit_tool', 'computer_toolset_20260801'])
    expect([...v.upstreamTools].sort()).toEqual([
      'upstream:brand_new_20270101',
      'upstream:code_execution_20250825',
      'upstream:mcp:drive',
      'upstream:mcp:mail',
      'upstream:web_fetch_20250910',
      'upstream:web_search_20250305',
    ])
  })

  it('finds a marker wherever a string can stand', () => {
    const leaf = fc.constantFrom('a', 1, true, null, M)
    const tree = fc.letrec(tie => ({
      node: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'text', 'source', 'signature', M), tie('node'), { maxKeys: 3 }),
      ),
    })).node
    fc.assert(
      fc.property(
        tree,
        fc.constantFrom('vendor', 'metadata', 'tool_choice', 'thinking', 'context_management'),
        (value, key) => {
          const expected = JSON.stringify(value)?.includes(M) ?? false
          expect(view({ [key]: value }).segments.some(s => s.text.includes(M))).toBe(expected)
          const block = user({ type: 'x', [key]: value })
          expect(view(block).segments.some(s => s.text.includes(M))).toBe(expected)
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('writing a Messages request', () => {
  const body =
    '{ "model":"m", "max_tokens":64, "temperature":1.0, "seed":12345678901234567890,\n "messages":[{"role":"user","content":"my key is sk-123 \\u00e9"}] }'

  it('returns the same object without edits', () => {
    const v = read(body)
    if ('code' in v) throw new Error(v.code)
    expect(text(v.raw)).toBe(body)
    expect(messagesDialect.writeRequest(v, new Map())).toBe(v.raw)
  })

  it('changes the edited string and no other byte', () => {
    const v = read(body)
    if ('code' in v) throw new Error(v.code)
    const edits = new Map([['/messages/0/content', [{ from: 10, to: 16, text: '[KEY]' }]]])
    expect(text(messagesDialect.writeRequest(v, edits))).toBe(
      body.replace('"my key is sk-123 \\u00e9"', '"my key is [KEY] é"'),
    )
  })

  it('strips capabilities that a client echoes', () => {
    const use = { type: 'tool_use', id: 'a', name: 'f', input: {} }
    const v = view(assistant({ ...use, signet: { capability: 'eyJ.x.y' } }))
    expect(JSON.parse(text(v.raw)).messages[0].content[0]).toEqual(use)
    expect(v.segments.some(s => s.text.includes('eyJ'))).toBe(false)
  })

  it('can rewrite every segment that is not derived', () => {
    const v = view({
      system: 'line\nend',
      metadata: { user_id: 'aé' },
      tools: [{ name: 'f', description: 'd"q', input_schema: { properties: { 'a/b~c': { description: 'x' } } } }],
      ...assistant(
        { type: 'thinking', thinking: 'free' },
        { type: 'tool_use', id: 'i', name: 'f', input: { 'k~/': ['v'] } },
        { type: 'mcp_tool_result', tool_use_id: 'i', content: [{ type: 'text', text: 't' }] },
      ),
    })
    const edits = new Map(
      v.segments.filter(s => !s.derived).map(s => [s.pointer, [{ from: 0, to: s.text.length, text: `<${s.text}>` }]]),
    )
    const again = messagesDialect.readRequest(messagesDialect.writeRequest(v, edits))
    if ('code' in again) throw new Error(again.code)
    expect(again.segments.filter(s => !s.derived).map(s => s.text)).toEqual(
      v.segments.filter(s => !s.derived).map(s => `<${s.text}>`),
    )
  })
})
