import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Fault, Frame } from '../core/wire.ts'
import {
  bytes,
  calls,
  channels,
  completed,
  delta,
  event,
  faultCode,
  frames,
  functionCall,
  joined,
  load,
  message,
  parts,
  read,
  request,
  said,
  stream,
  text,
  unary,
} from './responses.test-support.ts'
import { responsesDialect } from './responses.ts'

const golden = readdirSync(new URL('testdata/responses/', import.meta.url)).filter(n => /\.sse$|^unary\.json$/.test(n))
const typeOf = (name: string) => (name.endsWith('.sse') ? 'text/event-stream' : 'application/json')
const plain = (items: readonly (Frame | Fault)[]) =>
  items.map(item => (item.kind === 'fault' ? item : { ...item, raw: text(item.raw) }))
const M = 'LEAK-MARKER'
const end = completed()

describe('golden transcripts', () => {
  it.each(golden)('%s reads as recorded', async name => {
    const items = read(load(name), [], { type: typeOf(name) })
    const readable = items.map(item => (item.kind === 'fault' ? item : item.parts))
    const file = `testdata/responses/${name}.parts.json`
    await expect(`${JSON.stringify(readable, null, 1)}\n`).toMatchFileSnapshot(file)
    expect(faultCode(items)).toBeUndefined()
  })

  it.each(golden)('%s: frames are upstream bytes, and the writer returns them untouched', name => {
    const raw = load(name)
    const items = frames(read(raw, [], { type: typeOf(name) }))
    expect(text(joined(items.map(f => f.raw)))).toBe(text(raw))
    const writer = responsesDialect.openWriter(request())
    for (const f of items) expect(writer.write(f, [])).toBe(f.raw)
  })

  it.each(golden)('%s reads alike in any cutting', name => {
    const raw = load(name)
    const whole = plain(read(raw, [], { type: typeOf(name) }))
    expect(
      plain(
        read(
          raw,
          Array.from({ length: raw.length }, (_, i) => i),
          { type: typeOf(name) },
        ),
      ),
    ).toEqual(whole)
    fc.assert(
      fc.property(fc.array(fc.nat(raw.length), { maxLength: 12 }), cuts => {
        expect(plain(read(raw, cuts, { type: typeOf(name) }))).toEqual(whole)
      }),
      { numRuns: 15 },
    )
  })
})

describe('text in a stream', () => {
  const item = (members: object) =>
    event('response.output_item.done', { output_index: 0, item: { id: 'x', ...members } })
  const part = (members: object) =>
    event('response.content_part.done', { item_id: 'm', output_index: 0, content_index: 0, part: members })
  const said1 = (type: string, members: object) => event(type, { item_id: 'm', output_index: 0, ...members })

  it.each<[string, string]>([
    ['output_text.delta', delta(M)],
    ['output_text.done alone', said1('response.output_text.done', { content_index: 0, text: M })],
    [
      'content_part.added',
      said1('response.content_part.added', { content_index: 0, part: { type: 'output_text', text: M } }),
    ],
    ['content_part.done', part({ type: 'output_text', text: M })],
    ['an unknown content part', part({ type: 'poem', verse: M })],
    ['a message item', item({ type: 'message', content: [{ type: 'output_text', text: M }] })],
    ['a message whose content is a string', item({ type: 'message', content: M })],
    ['the final snapshot', completed([message(M)])],
    ['refusal.delta', said1('response.refusal.delta', { content_index: 0, delta: M })],
    ['refusal.done', said1('response.refusal.done', { content_index: 0, refusal: M })],
    ['reasoning_text.delta', said1('response.reasoning_text.delta', { content_index: 0, delta: M })],
    ['reasoning_summary_text.delta', said1('response.reasoning_summary_text.delta', { summary_index: 0, delta: M })],
    [
      'reasoning_summary_part.done',
      said1('response.reasoning_summary_part.done', { summary_index: 0, part: { text: M } }),
    ],
    ['a reasoning item', item({ type: 'reasoning', summary: [{ type: 'summary_text', text: M }] })],
    ['encrypted_content that is not', item({ type: 'reasoning', summary: [], encrypted_content: M })],
    ['audio.transcript.delta', event('response.audio.transcript.delta', { delta: M })],
    ['audio.delta that is not base64', event('response.audio.delta', { delta: M })],
    ['code_interpreter_call_code.delta', said1('response.code_interpreter_call_code.delta', { delta: M })],
    ['code interpreter logs', item({ type: 'code_interpreter_call', outputs: [{ type: 'logs', logs: M }] })],
    ['mcp_call_arguments.delta', said1('response.mcp_call_arguments.delta', { delta: M })],
    ['an mcp call output', item({ type: 'mcp_call', output: M })],
    ['an mcp tool list', item({ type: 'mcp_list_tools', tools: [{ name: 'a', description: M }] })],
    ['a web search query', item({ type: 'web_search_call', action: { type: 'search', query: M } })],
    ['file search results', item({ type: 'file_search_call', results: [{ text: M }] })],
    ['a revised prompt', item({ type: 'image_generation_call', revised_prompt: M })],
    ['an image that is not base64', item({ type: 'image_generation_call', result: M })],
    ['a partial image that is not', said1('response.image_generation_call.partial_image', { partial_image_b64: M })],
    ['shell output', item({ type: 'shell_call_output', output: [{ stdout: M }] })],
    ['shell output deltas', said1('response.shell_call_output_content.delta', { delta: { stdout: M } })],
    [
      'a shell call in a container',
      item({ type: 'shell_call', environment: { type: 'container_reference' }, action: M }),
    ],
    ['a program', item({ type: 'program', call_id: 'c', code: M })],
    ['an unknown item', item({ type: 'dream', [M]: 1 })],
    ['an unknown event', event('response.dream.delta', { delta: M })],
    ['an unknown event in depth', event('response.dream.delta', { a: [{ b: [[[[[[[{ c: M }]]]]]]] }] })],
    ['an event without a type', 'data: {"delta":"LEAK-MARKER"}\n\n'],
    ['an event type', event(M)],
    ['an invented field', said1('response.output_text.delta', { delta: 'x', mood: M })],
    ['an invented key', said1('response.output_text.delta', { delta: 'x', [M]: 1 })],
    ['an invented field of the response', completed([], { mood: { is: M } })],
    ['bytes that spell it', said1('response.output_text.delta', { blob: [...bytes(M)] })],
    ['logprobs tokens', said1('response.output_text.delta', { delta: 'x', logprobs: [{ token: M }] })],
    [
      'logprobs bytes',
      said1('response.output_text.delta', { delta: 'x', logprobs: [{ token: '', bytes: [...bytes(M)] }] }),
    ],
    ['alternatives', said1('response.output_text.delta', { logprobs: [{ token: '', top_logprobs: [{ token: M }] }] })],
    ['logprobs of a part', part({ type: 'output_text', text: 'x', logprobs: [{ token: M }] })],
    ['annotations', part({ type: 'output_text', text: 'x', annotations: [{ type: 'url_citation', title: M }] })],
    ['annotation.added', said1('response.output_text.annotation.added', { annotation: { title: M } })],
    ['item_id', event('response.output_text.delta', { item_id: M, delta: 'x' })],
    ['obfuscation', said1('response.output_text.delta', { delta: 'x', obfuscation: M })],
    ['response id', completed([], { id: M })],
    ['model', completed([], { model: M })],
    ['object', completed([], { object: M })],
    ['status', completed([], { status: M })],
    ['incomplete_details', completed([], { incomplete_details: { reason: M } })],
    ['error', completed([], { error: { code: 'x', message: M } })],
    ['metadata', completed([], { metadata: { a: M } })],
    ['instructions', completed([], { instructions: M })],
    ['tools', completed([], { tools: [{ description: M }] })],
    ['top-level output_text', completed([], { output_text: M })],
    ['an item id', completed([message('x', { id: M })])],
    ['a role', completed([message('x', { role: M })])],
    ['a role that is an object', completed([message('x', { role: { a: M } })])],
    ['the id of a call item', completed([functionCall({ id: M })])],
    ['an unknown field of a call', completed([functionCall({ note: M })])],
    ['an error event', event('error', { code: 'x', message: M })],
    ['a comment line', `: ${M}\n\n`],
    ['an event line', `event: ${M}\ndata: {"type":"keepalive"}\n\n`],
    ['an id line', `id: ${M}\n\n`],
    ['a retry line', `retry: ${M}\n\n`],
    ['an unknown line', `${M}: 1\n\n`],
  ])('is seen in %s', (_what, events) => {
    expect(
      Object.values(channels(stream(events + (events.includes('response.completed') ? '' : end)))).join('\n'),
    ).toContain(M)
  })

  it('joins pieces of a block, and blocks with each other', () => {
    const events = delta('LEAK') + delta('-', 0, 1) + delta('MARKER', 1)
    expect(said(stream(events + end), 'content')).toBe(M)
  })

  it.each([
    ['response.output_text.delta', 'content_index', 'summary_index'],
    ['response.reasoning_text.delta', 'content_index', 'summary_index'],
    ['response.reasoning_summary_text.delta', 'summary_index', 'content_index'],
  ])('goes by the number that a client goes by: %s is of one %s, whatever the %s', (type, mine, other) => {
    const piece = (delta: string, number: number) =>
      event(type, { item_id: 'a', output_index: 0, [mine]: 0, [other]: number, delta })
    // No break between the two, as there would be between blocks.
    const texts = parts(stream(piece('LEAK-', 0) + piece('MARKER', 1) + end)).flatMap(p =>
      p.kind === 'text' ? [p.text] : [],
    )
    expect(texts.slice(0, 3)).toEqual(['a', 'LEAK-', 'MARKER'])
  })

  it('never joins content with an unknown field, or two ids with each other', () => {
    const events =
      event('response.output_text.delta', {
        item_id: 'a',
        output_index: 0,
        content_index: 0,
        delta: 'LEAK-',
        mood: 'MARKER',
      }) + event('response.output_text.delta', { item_id: 'b', output_index: 0, content_index: 0, delta: 'x' })
    expect(Object.values(channels(stream(events + end)))).not.toContain(M)
  })

  it('joins what an unknown event says of one item over events', () => {
    const piece = (said: string, output: number) => event('response.dream.delta', { output_index: output, delta: said })
    const all = Object.values(channels(stream(piece('LEAK-', 1) + piece('zzz', 2) + piece('MARKER', 1) + end)))
    expect(all).toContain(M)
  })

  it('joins the elements of a list nobody knows', () => {
    expect(Object.values(channels(stream(completed([], { mood: ['LEAK', '-MAR', 'KER'] }))))).toContain(M)
    expect(Object.values(channels(stream(completed([], { mood: [{ a: 'LEAK' }, { a: '-MARKER' }] }))))).toContain(M)
  })

  it('refuses blocks that interleave, which would hide a text from a stream of one', () => {
    expect(faultCode(stream(delta('LEAK-') + delta('x', 1) + delta('MARKER', 0) + end))).toBe(
      'upstream_protocol_violation',
    )
    expect(faultCode(stream(delta('LEAK-', 1) + delta('x', 0) + end))).toBe('upstream_protocol_violation')
  })

  it('counts a text once however often it repeats', () => {
    const items = read(load('text.sse'))
    expect(said(items, 'content')).toBe('Grüße aus 東京 🗼\u2028ok')
    expect(said(items, 'reasoning')).toBe('**Thinking**About Grüße 🗼')
    const repeats = parts(items).filter(p => p.kind === 'text' && p.from === 'snapshot' && p.channel.name === 'content')
    expect(repeats).toHaveLength(4)
  })

  it('counts a text that was never streamed', () => {
    expect(said(stream(completed([message('never streamed')])), 'content')).toBe('never streamed')
    expect(said(stream(delta('one') + completed([message('one'), message('two', { id: 'msg_2' })])), 'content')).toBe(
      'onetwo',
    )
  })

  it('refuses a repetition that says something else', () => {
    expect(faultCode(stream(delta('said') + completed([message('other')])))).toBe('upstream_protocol_violation')
    const done = event('response.output_text.done', { output_index: 0, content_index: 0, text: 'other' })
    expect(faultCode(stream(delta('said') + done + end))).toBe('upstream_protocol_violation')
  })

  it('refuses a snapshot whose blocks read otherwise than they streamed', () => {
    const events = delta('RET') + delta('x', 1) + delta('SEC', 2)
    const blocks = (...list: string[]) => completed(list.map((said, i) => message(said, { id: `msg_${i}` })))
    expect(faultCode(stream(events + blocks('RET', 'x', 'SEC')))).toBeUndefined()
    expect(faultCode(stream(events + blocks('SEC', 'RET')))).toBe('upstream_protocol_violation')
    expect(faultCode(stream(events + blocks('RET', 'SEC')))).toBe('upstream_protocol_violation')
    expect(said(stream(events + blocks('RET', 'x', 'SEC', 'RET')), 'content')).toBe('RETxSECRET')
  })

  it('joins equal blocks of a unary answer like any other', () => {
    const texts = ['RET', 'SEC', 'RET'].map((said, i) => message(said, { id: `msg_${i}` }))
    expect(said(unary({ output: texts }), 'content')).toBe('RETSECRET')
  })

  it('finds the repeated text where the final snapshot left items out', () => {
    const items = stream(delta('said', 3) + completed([message('said')]))
    expect(said(items, 'content')).toBe('said')
  })

  it('joins annotations, listed or one event each', () => {
    const pieces = ['LEAK', '-MAR', 'KER']
    const listed = message('x', {
      content: [
        { type: 'output_text', text: 'x', annotations: pieces.map(title => ({ type: 'url_citation', title })) },
      ],
    })
    const events = pieces.map(title =>
      event('response.output_text.annotation.added', { output_index: 0, annotation: { type: 'url_citation', title } }),
    )
    for (const items of [unary({ output: [listed] }), stream(events.join('') + end)]) {
      expect(Object.values(channels(items))).toContain(M)
    }
  })

  it('joins alternatives by rank, in a body as in pieces', () => {
    const tokens = [...M].map(token => ({ token: '', top_logprobs: [{ token: '!' }, { token }] }))
    const body = message('x', { content: [{ type: 'output_text', text: 'x', logprobs: tokens }] })
    expect(Object.values(channels(unary({ output: [body] })))).toContain(M)
  })

  it('inspects what repeats the request once', () => {
    const response = { id: 'r', instructions: 'Be good.', tools: [{ name: 'f', description: 'd' }], output: [] }
    const events = event('response.created', { response }) + event('response.in_progress', { response })
    expect(
      parts(stream(events + completed([], response))).filter(p => p.kind === 'text' && p.text === 'Be good.'),
    ).toHaveLength(1)
  })
})

describe('calls', () => {
  const added = (members: object = {}) =>
    event('response.output_item.added', {
      output_index: 0,
      item: functionCall({ arguments: '', status: 'in_progress', ...members }),
    })
  const args = (piece: string) =>
    event('response.function_call_arguments.delta', { item_id: 'fc_1', output_index: 0, delta: piece })
  const argsDone = (whole: string, members: object = {}) =>
    event('response.function_call_arguments.done', { item_id: 'fc_1', output_index: 0, arguments: whole, ...members })
  const done = (members: object = {}) =>
    event('response.output_item.done', { output_index: 0, item: functionCall({ arguments: '{"a":1}', ...members }) })

  it('is handed out when its arguments are complete, and every telling carries its key', () => {
    const items = frames(
      stream(
        added() +
          args('{"a"') +
          args(':1}') +
          argsDone('{"a":1}') +
          done() +
          completed([functionCall({ arguments: '{"a":1}' })]),
      ),
    )
    expect(
      items.map(f => f.parts.filter(p => p.kind === 'callPiece' || p.kind === 'callDone').map(p => p.kind)),
    ).toEqual([['callPiece'], ['callPiece'], ['callPiece'], ['callPiece', 'callDone'], ['callPiece'], ['callPiece']])
    expect(calls(items)).toEqual([
      { key: 'r0.o0', choice: 0, id: 'call_1', name: 'f', argumentsText: '{"a":1}', arguments: { a: 1 }, form: 'json' },
    ])
  })

  it.each<[string, string]>([
    ['arguments that differ from their pieces', added() + args('{"a":2}') + argsDone('{"a":1}')],
    ['an item that differs from its arguments', added() + argsDone('{"a":2}') + done()],
    ['a name that changes', added() + argsDone('{"a":1}') + done({ name: 'g' })],
    ['a name that changes before the end', added() + done({ name: 'g' })],
    ['a call id that changes', added() + argsDone('{"a":1}') + done({ call_id: 'call_2' })],
    ['a name in the arguments that differs', added() + argsDone('{"a":1}', { name: 'g' })],
    ['an item finished twice', added() + done() + done()],
    ['pieces after the end', added() + argsDone('{"a":1}') + args(' ')],
    [
      'a final snapshot that differs',
      added() + argsDone('{"a":1}') + done() + completed([functionCall({ arguments: '{}' })]),
    ],
    ['a namespace that comes late', added() + argsDone('{"a":1}') + done({ namespace: 'n' })],
    ['a boolean for an index', event('response.function_call_arguments.delta', { output_index: true, delta: 'x' })],
    [
      'arguments that are no string',
      added() + event('response.function_call_arguments.done', { output_index: 0, arguments: [1] }),
    ],
  ])('refuses %s', (_what, events) => {
    expect(faultCode(stream(events + end))).toBe('upstream_protocol_violation')
  })

  it.each<[string, string, object]>([
    ['only an item', done(), { name: 'f', arguments: { a: 1 } }],
    ['only a final snapshot', completed([functionCall()]), { id: 'call_1', name: 'f' }],
    [
      'ids left empty',
      added({ id: '' }) +
        argsDone('{"a":1}') +
        done({ id: '' }) +
        completed([functionCall({ id: '', arguments: '{"a":1}' })]),
      { name: 'f' },
    ],
    [
      'arguments never finished',
      added() + args('{"a"') + event('response.incomplete', { response: { output: [], status: 'incomplete' } }),
      { argumentsText: '{"a"', arguments: undefined },
    ],
    ['a namespace', done({ namespace: 'crm' }), { name: 'crm.f' }],
    ['arguments as an object', done({ arguments: { b: 2 } }), { argumentsText: '{"b":2}' }],
  ])('handles %s', (_what, events, expected) => {
    const items = stream(events.includes('"output":[') ? events : events + end)
    expect(faultCode(items)).toBeUndefined()
    expect(calls(items)).toHaveLength(1)
    expect(calls(items)[0]).toMatchObject(expected)
  })

  it.each<[string, object, object]>([
    [
      'local_shell_call',
      { action: { type: 'exec', command: ['ls'] } },
      { name: 'local_shell', arguments: { command: ['ls'] } },
    ],
    ['shell_call', { action: { commands: ['ls'] } }, { name: 'shell', arguments: { commands: ['ls'] } }],
    [
      'apply_patch_call',
      { operation: { type: 'delete_file', path: 'a' } },
      { name: 'apply_patch', arguments: { path: 'a' } },
    ],
    ['computer_call', { action: { type: 'type', text: 'x' } }, { name: 'computer', arguments: { text: 'x' } }],
    [
      'computer_call',
      { actions: [{ type: 'wait' }] },
      { name: 'computer', arguments: { actions: [{ type: 'wait' }] } },
    ],
    ['tool_search_call', { execution: 'client', arguments: { q: 1 } }, { name: 'tool_search', arguments: { q: 1 } }],
    [
      'mcp_approval_request',
      { server_label: 'dice', name: 'roll', arguments: '{"n":1}' },
      { name: 'upstream:mcp:dice', arguments: { name: 'roll', arguments: { n: 1 } } },
    ],
    ['python_call', { source: 'x' }, { name: 'python', arguments: { source: 'x' } }],
  ])('takes %s as a call', (type, members, expected) => {
    const item = { id: 'i1', type, call_id: 'c1', status: 'completed', ...members }
    for (const items of [unary({ output: [item] }), stream(completed([item]))]) {
      expect(calls(items)).toHaveLength(1)
      expect(calls(items)[0]).toMatchObject(expected)
    }
  })

  it('refuses a shell call whose commands differ from those streamed', () => {
    const item = (commands: string[]) => ({ id: 's', type: 'shell_call', call_id: 'c', action: { commands } })
    const events = (told: string) =>
      event('response.output_item.added', { output_index: 0, item: item([]) }) +
      event('response.shell_call_command.done', { output_index: 0, command_index: 0, command: told }) +
      event('response.output_item.done', { output_index: 0, item: item(['ls']) })
    expect(faultCode(stream(events('ls') + end))).toBeUndefined()
    expect(faultCode(stream(events('rm -rf /') + end))).toBe('upstream_protocol_violation')
  })

  it('refuses an answer that lists a call twice, to be run twice on one decision', () => {
    expect(faultCode(unary({ output: [functionCall(), functionCall()] }))).toBe('upstream_protocol_violation')
    expect(faultCode(unary({ output: [functionCall(), functionCall({ id: 'fc_2' })] }))).toBe(
      'upstream_protocol_violation',
    )
    expect(
      faultCode(
        stream(
          done() +
            completed([functionCall({ arguments: '{"a":1}' }), functionCall({ id: 'fc_2', arguments: '{"a":1}' })]),
        ),
      ),
    ).toBe('upstream_protocol_violation')
    const two = [functionCall(), functionCall({ id: 'fc_2', call_id: 'call_2' })]
    expect(calls(unary({ output: two })).map(c => c.id)).toEqual(['call_1', 'call_2'])
  })

  it('holds events nobody knows about an open call', () => {
    const events = added() + event('response.dream_call.delta', { output_index: 0, delta: 'x' }) + argsDone('{}')
    expect(frames(stream(events + end))[1]?.parts).toContainEqual(
      expect.objectContaining({ kind: 'callPiece', key: 'r0.o0' }),
    )
  })

  it('goes by the type where a tool of the API’s own gives itself a name', () => {
    for (const type of ['local_shell', 'shell', 'apply_patch']) {
      const item = { id: 'i', type: `${type}_call`, call_id: 'c', name: 'get_weather', action: {}, operation: {} }
      expect(calls(unary({ output: [item] }))[0]?.name).toBe(type)
    }
  })

  it('decides both where a computer call has `action` and `actions`', () => {
    const item = { id: 'i', type: 'computer_call', call_id: 'c', action: { type: 'wait' }, actions: [{ type: 'type' }] }
    expect(calls(unary({ output: [item] }))[0]?.arguments).toEqual({
      action: { type: 'wait' },
      actions: [{ type: 'type' }],
    })
  })

  it.each(['input', 'action', 'actions', 'operation'])(
    'sees text in `%s`, which a function call does not have',
    key => {
      for (const items of [unary({ output: [functionCall({ [key]: M })] }), stream(done({ [key]: M }) + end)]) {
        expect(Object.values(channels(items))).toContain(M)
      }
    },
  )

  it('tells two calls apart whose pieces interleave', () => {
    expect(calls(read(load('parallel.sse'))).map(c => [c.name, c.argumentsText, c.form])).toEqual([
      ['get_weather', '{"city":"Paris"}', 'json'],
      ['shell', 'rm -rf /tmp/x', 'text'],
    ])
  })
})

describe('the end', () => {
  it.each([
    ['completed', 'completed', {}],
    ['incomplete', 'max_output_tokens', { incomplete_details: { reason: 'max_output_tokens' } }],
    ['failed', 'failed', { error: { code: 'server_error', message: 'x' } }],
  ])('%s finishes with %s', (status, reason, members) => {
    const events = event(`response.${status}`, {
      response: { output: [], status, usage: { input_tokens: 3, output_tokens: 4 }, ...members },
    })
    const list = parts(stream(events)).filter(p => p.kind !== 'text')
    expect(list).toEqual([
      { kind: 'usage', input: 3, output: 4 },
      { kind: 'finish', choice: 0, reason },
      { kind: 'end' },
    ])
  })

  it('says so when the stream stops without a terminal event', () => {
    expect(faultCode(stream(delta('x')))).toBe('upstream_truncated')
    expect(faultCode(stream(`${delta('x')}data: [DONE]\n\n`))).toBe('upstream_truncated')
    expect(faultCode(stream(`${delta('x')}data: {"type":`))).toBe('upstream_truncated')
    expect(faultCode(stream(event('error', { message: 'x' })))).toBeUndefined()
    expect(faultCode(stream(`${end}data: [DONE]\n\n`))).toBeUndefined()
    expect(faultCode(stream(end + delta('x')))).toBe('upstream_protocol_violation')
  })
})

describe('unary answers', () => {
  it('reads content, reasoning, calls, usage and finish', () => {
    const items = read(load('unary.json'), [], { type: 'application/json' })
    expect(said(items, 'content')).toBe('Let me look. Again.')
    expect(said(items, 'reasoning')).toBe('Hm.')
    expect(calls(items).map(c => c.name)).toEqual(['get_weather', 'exec'])
    expect(parts(items).at(-1)).toEqual({ kind: 'finish', choice: 0, reason: 'completed' })
  })

  it('reads an error body as text', () => {
    const items = unary({ error: { message: M, type: 'x' } }, 400)
    expect(Object.values(channels(items)).join()).toContain(M)
  })

  it.each<[string, unknown, string]>([
    ['output that is no list', { output: {} }, 'upstream_protocol_violation'],
    ['an item that is no object', { output: [1] }, 'upstream_protocol_violation'],
    ['a look-alike key', { Output: [] }, 'upstream_protocol_violation'],
    ['a list', [], 'upstream_protocol_violation'],
    ['no JSON', '<html>', 'upstream_decode_error'],
    ['two readings', '{"output":[],"output":[]}', 'upstream_decode_error'],
  ])('refuses %s', (_what, body, code) => {
    expect(faultCode(unary(body))).toBe(code)
  })
})

describe('protocol', () => {
  it.each<[string, string | Uint8Array, string]>([
    ['junk in a second data line', `data: {"type":"x","delta":"${M}"}\ndata: junk\n\n`, 'upstream_sse_malformed'],
    ['an event that is no object', 'data: [1]\n\n', 'upstream_sse_malformed'],
    [
      'bytes that are not UTF-8',
      new Uint8Array([...bytes('data: {"a":"'), 0xff, ...bytes('"}\n\n')]),
      'upstream_protocol_violation',
    ],
    ['nesting beyond the bound', `data: ${'{"a":'.repeat(70)}1${'}'.repeat(70)}\n\n`, 'upstream_delta_too_deep'],
    ['an event beyond the bound', `data: ${'x'.repeat(9 * 1024 * 1024)}`, 'upstream_sse_unterminated'],
    ['a look-alike key', event('response.output_text.delta', { Delta: 'x' }), 'upstream_protocol_violation'],
    [
      'an event named otherwise than typed',
      'event: response.output_item.done\ndata: {"type":"response.dream","item":{"type":"function_call"}}\n\n',
      'upstream_protocol_violation',
    ],
    [
      'an event named but not typed',
      'event: response.output_item.done\ndata: {"item":{"type":"function_call"}}\n\n',
      'upstream_protocol_violation',
    ],
  ])('refuses %s', (_what, answer, code) => {
    const raw = typeof answer === 'string' ? bytes(answer) : answer
    const items = read(raw)
    expect(faultCode(items)).toBe(code)
    expect(frames(items)).toEqual([])
  })

  it('sees a marker behind a megabyte of benign text', () => {
    const events = Array.from({ length: 40 }, () => delta('benign words '.repeat(2500))).join('')
    expect(said(stream(events + delta(M) + end), 'content')).toContain(M)
  })

  it('takes U+2028, U+2029 and U+0085 for text', () => {
    const odd = 'a\u2028data: b\u2029c\u0085d'
    expect(said(stream(delta(odd) + end), 'content')).toBe(odd)
  })

  it('cuts out what is signet’s own', () => {
    const forged = completed([functionCall({ signet: { capability: 'forged' } })], { signet: 1, model: 'gpt-x' })
    const [frame] = frames(
      stream(forged.replace('"type":"response.completed"', '"signet_abort":true,"type":"response.completed"')),
    )
    expect(text(frame?.raw ?? bytes(''))).not.toMatch(/signet|forged/)
    const again = frames(stream(text(frame?.raw ?? bytes(''))))
    const strip = (f: Frame | undefined) => f?.parts.map(p => (p.kind === 'text' ? p.channel.key : p.kind))
    expect(strip(again[0])).toEqual(strip(frame))
  })

  it.each([
    ['application/json; charset=utf-8', 200, false],
    ['text/event-stream', 200, true],
    ['text/html', 200, undefined],
    ['text/event-stream', 500, undefined],
  ])('%s with %i', (type, status, isStream) => {
    const reader = responsesDialect.openResponse(request(), status, type)
    expect('code' in reader ? undefined : reader.stream).toBe(isStream)
  })
})
