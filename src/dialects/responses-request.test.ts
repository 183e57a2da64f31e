import { describe, expect, it } from 'vitest'
import type { RequestView } from '../core/wire.ts'
import { bytes, text } from './responses.test-support.ts'
import { responsesDialect } from './responses.ts'

const M = 'LEAK-MARKER'
const PNG = `data:image/png;base64,${'iVBORw0KGgo'.repeat(20)}`
const BLOB = 'JVBERi0xLjcKJeLjz9MK'.repeat(16)

function read(body: unknown): RequestView {
  const v = responsesDialect.readRequest(bytes(typeof body === 'string' ? body : JSON.stringify(body)))
  if ('code' in v) throw new Error(`${v.code}: ${v.message}`)
  return v
}

function faultOf(body: unknown): string | undefined {
  const v = responsesDialect.readRequest(bytes(typeof body === 'string' ? body : JSON.stringify(body)))
  return 'code' in v ? v.code : undefined
}

const withItem = (item: object) => read({ model: 'm', input: [item] })
const roles = (v: RequestView, said: string) => v.segments.filter(s => s.text === said).map(s => s.role)

describe('segments', () => {
  it('gives every text its role and place', () => {
    const v = read({
      model: 'gpt-x',
      instructions: 'Be good.',
      input: [
        { role: 'user', content: 'hello' },
        { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'rules' }] },
        {
          type: 'message',
          role: 'assistant',
          content: [
            { type: 'output_text', text: 'said' },
            { type: 'refusal', refusal: 'no' },
          ],
        },
        {
          type: 'reasoning',
          id: 'rs_1',
          summary: [{ type: 'summary_text', text: 'thought' }],
          content: [{ type: 'reasoning_text', text: 'deep' }],
        },
        { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{"a":"b\\u0063"}' },
        { type: 'function_call_output', call_id: 'call_1', output: 'result' },
        { type: 'custom_tool_call', call_id: 'call_2', name: 'g', input: 'free' },
        { type: 'custom_tool_call_output', call_id: 'call_2', output: [{ type: 'input_text', text: 'part' }] },
      ],
    })
    expect(v.segments.filter(s => s.derived === undefined).map(s => [s.role, s.pointer, s.text])).toEqual([
      ['other', '/model', 'gpt-x'],
      ['system', '/instructions', 'Be good.'],
      ['user', '/input/0/content', 'hello'],
      ['developer', '/input/1/content/0/text', 'rules'],
      ['assistant', '/input/2/content/0/text', 'said'],
      ['assistant', '/input/2/content/1/refusal', 'no'],
      ['assistant', '/input/3/id', 'rs_1'],
      ['assistant', '/input/3/summary/0/text', 'thought'],
      ['assistant', '/input/3/content/0/text', 'deep'],
      ['assistant', '/input/4/call_id', 'call_1'],
      ['assistant', '/input/4/name', 'f'],
      ['assistant', '/input/4/arguments', '{"a":"b\\u0063"}'],
      ['tool', '/input/5/call_id', 'call_1'],
      ['tool', '/input/5/output', 'result'],
      ['assistant', '/input/6/call_id', 'call_2'],
      ['assistant', '/input/6/name', 'g'],
      ['assistant', '/input/6/input', 'free'],
      ['tool', '/input/7/call_id', 'call_2'],
      ['tool', '/input/7/output/0/text', 'part'],
    ])
    expect(v.segments.filter(s => s.derived).map(s => s.text)).toEqual(['a', 'bc'])
    expect(v.toolResults).toEqual(['call_1', 'call_2'])
    expect(v.pastCalls).toEqual([
      { name: 'f', argumentsText: '{"a":"b\\u0063"}' },
      { name: 'g', argumentsText: 'free' },
    ])
  })

  it.each<[string, object]>([
    ['a plain input', { input: M }],
    ['instructions as items', { instructions: [{ role: 'system', content: M }] }],
    ['metadata', { metadata: { a: M } }],
    ['a metadata key', { metadata: { [M]: 'a' } }],
    ['user', { user: M }],
    ['safety_identifier', { safety_identifier: M }],
    ['prompt_cache_key', { prompt_cache_key: M }],
    ['prompt variables', { prompt: { id: 'p', variables: { a: M } } }],
    ['a prompt variable part', { prompt: { id: 'p', variables: { a: { type: 'input_text', text: M } } } }],
    ['a prompt variable name', { prompt: { id: 'p', variables: { [M]: 'a' } } }],
    [
      'text.format schema',
      { text: { format: { type: 'json_schema', schema: { properties: { a: { description: M } } } } } },
    ],
    ['text.format schema keys', { text: { format: { type: 'json_schema', schema: { properties: { [M]: {} } } } } }],
    ['a function description', { tools: [{ type: 'function', name: 'f', description: M }] }],
    ['a function parameter', { tools: [{ type: 'function', name: 'f', parameters: { properties: { [M]: {} } } }] }],
    ['a custom tool grammar', { tools: [{ type: 'custom', name: 'f', format: { definition: M } }] }],
    [
      'a namespaced tool',
      { tools: [{ type: 'namespace', name: 'n', tools: [{ type: 'function', name: 'f', description: M }] }] },
    ],
    ['an MCP server description', { tools: [{ type: 'mcp', server_label: 'a', server_description: M }] }],
    ['a search filter', { tools: [{ type: 'web_search', filters: { allowed_domains: [M] } }] }],
    ['an unknown field', { mood: [[{ a: M }]] }],
    ['an unknown key', { [M]: 1 }],
    ['numbers that spell it', { mood: [...bytes(M)] }],
    ['an unknown role', { input: [{ role: M, content: 'a' }] }],
    ['an unknown item', { input: [{ type: 'dream', depth: M }] }],
    ['an unknown item type', { input: [{ type: M }] }],
    ['an unknown content part', { input: [{ role: 'user', content: [{ type: 'poem', verse: M }] }] }],
    ['a content part type', { input: [{ role: 'user', content: [{ type: M }] }] }],
    [
      'annotations',
      { input: [{ role: 'assistant', content: [{ type: 'output_text', text: 'a', annotations: [{ title: M }] }] }] },
    ],
    ['a file name', { input: [{ role: 'user', content: [{ type: 'input_file', filename: M }] }] }],
    ['file data that is text', { input: [{ role: 'user', content: [{ type: 'input_file', file_data: M }] }] }],
    ['an image URL', { input: [{ role: 'user', content: [{ type: 'input_image', image_url: `https://a/${M}` }] }] }],
    ['audio that is not', { input: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: M } }] }] }],
    [
      'a local shell command',
      { input: [{ type: 'local_shell_call', id: 'a', call_id: 'b', action: { command: [M] } }] },
    ],
    ['local shell output', { input: [{ type: 'local_shell_call_output', id: 'a', output: M }] }],
    ['shell output', { input: [{ type: 'shell_call_output', call_id: 'a', output: [{ stdout: M }] }] }],
    ['a patch', { input: [{ type: 'apply_patch_call', call_id: 'a', operation: { diff: M } }] }],
    [
      'computer actions',
      { input: [{ type: 'computer_call', id: 'a', call_id: 'a', action: { type: 'type', text: M } }] },
    ],
    ['an MCP call output', { input: [{ type: 'mcp_call', id: 'a', name: 'b', arguments: '{}', output: M }] }],
    ['an MCP tool list', { input: [{ type: 'mcp_list_tools', id: 'a', tools: [{ name: 'a', description: M }] }] }],
    [
      'an approval reason',
      { input: [{ type: 'mcp_approval_response', approval_request_id: 'a', approve: true, reason: M }] },
    ],
    ['search results', { input: [{ type: 'file_search_call', id: 'a', results: [{ text: M }] }] }],
    ['code', { input: [{ type: 'code_interpreter_call', id: 'a', code: M }] }],
    [
      'tools loaded later',
      {
        input: [
          { type: 'additional_tools', role: 'developer', tools: [{ type: 'function', name: 'f', description: M }] },
        ],
      },
    ],
    ['encrypted text that is not', { input: [{ type: 'reasoning', summary: [], encrypted_content: M }] }],
    [
      'escaped arguments',
      { input: [{ type: 'function_call', call_id: 'a', name: 'f', arguments: '{"a":"LEAK\\u002dMARKER"}' }] },
    ],
    ['argument keys', { input: [{ type: 'function_call', call_id: 'a', name: 'f', arguments: `{"${M}":1}` }] }],
  ])('cover %s', (_what, body) => {
    expect(read({ model: 'm', ...body }).segments.some(s => s.text.includes(M))).toBe(true)
  })

  it('give results of tools to the tool', () => {
    expect(roles(withItem({ type: 'mcp_call', id: 'a', name: 'b', arguments: '{}', output: 'x1' }), 'x1')).toEqual([
      'tool',
    ])
    expect(roles(withItem({ type: 'file_search_call', id: 'a', results: [{ text: 'x2' }] }), 'x2')).toEqual(['tool'])
  })

  it('leave out pictures, sound and files, and say what was not read', () => {
    const v = read({
      model: 'm',
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_image', image_url: PNG },
            { type: 'input_image', image_url: 'https://a/b.png' },
            { type: 'input_file', file_data: BLOB, filename: 'a.pdf' },
            { type: 'input_file', file_url: 'https://a/b.pdf' },
            { type: 'input_audio', input_audio: { data: BLOB, format: 'wav' } },
          ],
        },
        { type: 'reasoning', summary: [], encrypted_content: BLOB },
      ],
    })
    expect(v.segments.some(s => s.text === PNG || s.text === BLOB)).toBe(false)
    expect(v.opaqueInputs).toEqual([
      '/input/0/content/1/image_url',
      '/input/0/content/2/file_data',
      '/input/0/content/3/file_url',
    ])
  })
})

describe('tools', () => {
  const tools = (list: object[]) => read({ model: 'm', input: 'a', tools: list })

  it.each<[string, object, string[], string[]]>([
    ['function', { type: 'function', name: 'f' }, ['f'], []],
    ['custom', { type: 'custom', name: 'g' }, ['g'], []],
    ['namespace', { type: 'namespace', name: 'crm', tools: [{ type: 'function', name: 'f' }] }, ['crm.f'], []],
    ['local_shell', { type: 'local_shell' }, ['local_shell'], []],
    ['apply_patch', { type: 'apply_patch' }, ['apply_patch'], []],
    ['computer', { type: 'computer' }, ['computer'], []],
    ['computer_use_preview', { type: 'computer_use_preview' }, ['computer'], []],
    ['shell here', { type: 'shell', environment: { type: 'local' } }, ['shell'], []],
    ['shell there', { type: 'shell', environment: { type: 'container_auto' } }, [], ['upstream:shell']],
    ['shell anywhere', { type: 'shell' }, ['shell'], ['upstream:shell']],
    ['tool_search here', { type: 'tool_search', execution: 'client' }, ['tool_search'], []],
    ['tool_search there', { type: 'tool_search' }, [], ['upstream:tool_search']],
    ['web_search', { type: 'web_search' }, [], ['upstream:web_search']],
    ['dated web_search', { type: 'web_search_preview_2025_03_11' }, [], ['upstream:web_search']],
    ['file_search', { type: 'file_search' }, [], ['upstream:file_search']],
    ['code_interpreter', { type: 'code_interpreter', container: { type: 'auto' } }, [], ['upstream:code_interpreter']],
    ['image_generation', { type: 'image_generation' }, [], ['upstream:image_generation']],
    ['mcp', { type: 'mcp', server_label: 'dice' }, [], ['upstream:mcp:dice']],
    ['anything else', { type: 'time_travel' }, [], ['upstream:time_travel']],
  ])('%s', (_what, tool, mine, theirs) => {
    const v = tools([tool])
    expect([v.tools, v.upstreamTools]).toEqual([mine, theirs])
  })

  it('are found where items load them', () => {
    const item = (type: string) => ({
      type,
      role: 'developer',
      tools: [
        { type: 'mcp', server_label: 'x' },
        { type: 'function', name: 'f' },
      ],
    })
    for (const type of ['additional_tools', 'tool_search_output']) {
      const v = withItem(item(type))
      expect([v.tools, v.upstreamTools]).toEqual([['f'], ['upstream:mcp:x']])
    }
  })
})

describe('what the request builds on', () => {
  it('is referenced', () => {
    const v = read({
      model: 'm',
      previous_response_id: 'resp_1',
      conversation: { id: 'conv_1' },
      prompt: { id: 'pmpt_1', variables: { a: { type: 'input_file', file_id: 'file_0' } } },
      background: true,
      input: [
        { role: 'user', content: [{ type: 'input_image', file_id: 'file_1' }] },
        { type: 'item_reference', id: 'msg_1' },
        { id: 'rs_9' },
        { type: 'mcp_approval_response', approval_request_id: 'mcpr_1', approve: true },
        { type: 'computer_call_output', call_id: 'c', output: { type: 'computer_screenshot', file_id: 'file_2' } },
        { type: 'code_interpreter_call', id: 'ci', container_id: 'cntr_0', code: 'x' },
      ],
      tools: [
        { type: 'file_search', vector_store_ids: ['vs_1'] },
        { type: 'code_interpreter', container: 'cntr_1' },
        { type: 'code_interpreter', container: { type: 'auto', file_ids: ['file_3'] } },
        { type: 'shell', environment: { type: 'container_reference', container_id: 'cntr_2' } },
        { type: 'image_generation', input_image_mask: { file_id: 'file_4' } },
      ],
    })
    expect(v.references?.map(r => `${r.kind} ${r.id} ${r.pointer}`)).toEqual([
      'response resp_1 /previous_response_id',
      'conversation conv_1 /conversation/id',
      'prompt pmpt_1 /prompt/id',
      'file file_0 /prompt/variables/a/file_id',
      'file file_1 /input/0/content/0/file_id',
      'item msg_1 /input/1/id',
      'item rs_9 /input/2/id',
      'approval mcpr_1 /input/3/approval_request_id',
      'file file_2 /input/4/output/file_id',
      'container cntr_0 /input/5/container_id',
      'vector_store vs_1 /tools/0/vector_store_ids/0',
      'container cntr_1 /tools/1/container',
      'file file_3 /tools/2/container/file_ids/0',
      'container cntr_2 /tools/3/environment/container_id',
      'file file_4 /tools/4/input_image_mask/file_id',
    ])
    expect(v.background).toBe(true)
    expect(read({ model: 'm', conversation: 'conv_2' }).references?.[0]).toMatchObject({
      kind: 'conversation',
      id: 'conv_2',
    })
  })

  it('is nothing in an ordinary request', () => {
    const v = read({ model: 'm', input: 'a', stream: true, max_output_tokens: 5 })
    expect(v).toMatchObject({
      references: [],
      opaqueInputs: [],
      background: false,
      stored: true,
      stream: true,
      n: 1,
      maxOutputTokens: 5,
    })
    expect(read({ model: 'm', input: 'a', store: false }).stored).toBe(false)
  })
})

describe('strictness', () => {
  it.each<[string, unknown, string]>([
    ['no model', { input: 'a' }, 'request_invalid'],
    ['a model that is a number', { model: 1, input: 'a' }, 'request_invalid'],
    ['a model that is a number, with a prompt', { model: 1, prompt: { id: 'p' } }, 'request_invalid'],
    ['input of the wrong type', { model: 'm', input: { role: 'user' } }, 'request_invalid'],
    ['an item that is a string', { model: 'm', input: ['a'] }, 'request_invalid'],
    ['a message without content', { model: 'm', input: [{ role: 'user' }] }, 'request_invalid'],
    ['content of the wrong type', { model: 'm', input: [{ role: 'user', content: {} }] }, 'request_invalid'],
    ['a role of the wrong type', { model: 'm', input: [{ role: ['user'], content: 'a' }] }, 'request_invalid'],
    ['a type of the wrong type', { model: 'm', input: [{ type: {}, role: 'user', content: 'a' }] }, 'request_invalid'],
    ['a call without a name', { model: 'm', input: [{ type: 'function_call', arguments: '{}' }] }, 'request_invalid'],
    [
      'a call whose arguments are an object',
      { model: 'm', input: [{ type: 'function_call', name: 'f', arguments: {} }] },
      'request_invalid',
    ],
    [
      'a call id that is a number',
      { model: 'm', input: [{ type: 'function_call_output', call_id: 1, output: '' }] },
      'request_invalid',
    ],
    ['stream as a string', { model: 'm', input: 'a', stream: 'true' }, 'request_invalid'],
    ['background as a number', { model: 'm', input: 'a', background: 1 }, 'request_invalid'],
    ['a token limit that is none', { model: 'm', input: 'a', max_output_tokens: 1.5 }, 'request_invalid'],
    ['tools of the wrong type', { model: 'm', tools: {} }, 'request_invalid'],
    ['a tool without a type', { model: 'm', tools: [{ name: 'f' }] }, 'request_invalid'],
    ['a function without a name', { model: 'm', tools: [{ type: 'function' }] }, 'request_invalid'],
    ['an MCP server without a label', { model: 'm', tools: [{ type: 'mcp', server_url: 'x' }] }, 'request_invalid'],
    [
      'an MCP label that is a sentence',
      { model: 'm', tools: [{ type: 'mcp', server_label: 'a b' }] },
      'request_invalid',
    ],
    ['a previous response of the wrong type', { model: 'm', previous_response_id: 1 }, 'request_invalid'],
    ['a prompt of the wrong type', { model: 'm', prompt: 'p' }, 'request_invalid'],
    ['a look-alike of input', { model: 'm', Input: 'a' }, 'json_ambiguous_key'],
    [
      'a look-alike in an item',
      { model: 'm', input: [{ role: 'user', content: 'a', CONTENT: 'b' }] },
      'json_ambiguous_key',
    ],
    [
      'a look-alike in a part',
      { model: 'm', input: [{ role: 'user', content: [{ type: 'input_text', Text: 'b' }] }] },
      'json_ambiguous_key',
    ],
    [
      'a look-alike in a tool',
      { model: 'm', tools: [{ type: 'function', name: 'f', Type: 'mcp' }] },
      'json_ambiguous_key',
    ],
    ['a list', [], 'non_object_body'],
    ['nothing', '', 'empty_body'],
    ['a duplicate key', '{"model":"m","model":"n"}', 'json_duplicate_key'],
  ])('refuses %s', (_what, body, code) => {
    expect(faultOf(body)).toBe(code)
  })

  it.each<[string, object]>([
    ['a prompt instead of a model', { prompt: { id: 'p' } }],
    ['no input', { model: 'm', previous_response_id: 'r' }],
    [
      'nulls everywhere',
      {
        model: 'm',
        input: null,
        instructions: null,
        tools: null,
        prompt: null,
        stream: null,
        background: null,
        max_output_tokens: null,
        metadata: null,
        text: null,
        conversation: null,
        previous_response_id: null,
      },
    ],
  ])('takes %s', (_what, body) => {
    expect(faultOf(body)).toBeUndefined()
  })
})

describe('writing', () => {
  it('forwards the very bytes, and numbers as they were written', () => {
    const raw = bytes('{"model":"m", "input":"a","temperature":1.0,"metadata":{"n":"x"},"top_p":12345678901234567890}')
    const v = responsesDialect.readRequest(raw)
    if ('code' in v) throw new Error(v.code)
    expect(v.raw).toBe(raw)
    expect(responsesDialect.writeRequest(v, new Map())).toBe(raw)
    const edited = text(responsesDialect.writeRequest(v, new Map([['/input', [{ from: 0, to: 1, text: '[X]' }]]])))
    expect(edited).toBe(
      '{"model":"m", "input":"[X]","temperature":1.0,"metadata":{"n":"x"},"top_p":12345678901234567890}',
    )
  })

  it('tells upstream a notice of the gate’s own in words, where the caller names it by its id', () => {
    const id = 'msg_signet_2_a853705f6c5dc279'
    const v = read({
      model: 'm',
      input: [
        { type: 'item_reference', id: 'rs_1' },
        { type: 'item_reference', id },
        { role: 'user', content: 'hi' },
      ],
    })
    expect(v.references).toMatchObject([{ kind: 'item', id: 'rs_1' }])
    const { input } = JSON.parse(text(v.raw)) as { readonly input: readonly unknown[] }
    expect(input).toEqual([
      { type: 'item_reference', id: 'rs_1' },
      {
        id,
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', annotations: [], logprobs: [], text: '[signet refused a tool call]' }],
      },
      { role: 'user', content: 'hi' },
    ])
    for (const other of ['msg_signet_2_A853705f6c5dc279', 'msg_signet__a853705f6c5dc279', `x${id}`, `${id}0`]) {
      const one = read({ model: 'm', input: [{ id: other }] })
      expect(one.references).toMatchObject([{ kind: 'item', id: other }])
    }
  })

  it('strips capabilities', () => {
    const v = withItem({
      type: 'function_call',
      call_id: 'a',
      name: 'f',
      arguments: '{}',
      signet: { capability: 'jws' },
    })
    expect(text(v.raw)).not.toMatch(/signet|jws/)
    expect(v.segments.some(s => s.text.includes('jws'))).toBe(false)
  })
})
