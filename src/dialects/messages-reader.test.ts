import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  answer,
  begin,
  bytes,
  calls,
  channels,
  delta,
  END,
  event,
  faultCode,
  finish,
  frames,
  joined,
  json,
  load,
  parts,
  read,
  request,
  say,
  sound,
  start,
  stop,
  stream,
  text,
  textBlock,
  toolUse,
  unary,
} from './messages.test-support.ts'
import { messagesDialect } from './messages.ts'

const STREAMS = readdirSync(new URL('testdata/messages/', import.meta.url)).filter(name => name.endsWith('.sse'))
const M = 'LEAK-MARKER'
const said = (items: Parameters<typeof channels>[0]) => Object.values(channels(items)).join('\n')
const kinds = (items: Parameters<typeof parts>[0]) => parts(items).map(part => part.kind)

describe('reading recorded streams', () => {
  it.each(STREAMS)('%s: frames are the bytes that came, and any cutting gives the same', name => {
    const all = load(name)
    const whole = read(all)
    expect(text(joined(frames(whole).map(f => f.raw)))).toBe(text(all))
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: all.length - 1 }), { maxLength: 12 }), cuts => {
        expect(read(all, [...new Set(cuts)])).toEqual(whole)
      }),
      { numRuns: 40 },
    )
    expect(
      read(
        all,
        Array.from({ length: all.length - 1 }, (_, i) => i + 1),
      ),
    ).toEqual(whole)
  })

  it('tools.sse: text, three calls, usage and the stop reason', () => {
    const items = sound(read(load('tools.sse')))
    expect(channels(items)['/content/*/text']).toBe("I'll check the weather in Malmö first,\u2028then clean up.")
    expect(calls(items)).toEqual([
      {
        key: 'b1',
        choice: 0,
        id: 'toolu_01KtZ3mQvXc7Yw2Rn5Bd8Ue',
        name: 'get_weather',
        argumentsText: '{"location": "Malm\\u00f6", "unit": "c"}',
        arguments: { location: 'Malmö', unit: 'c' },
        form: 'json',
      },
      expect.objectContaining({ key: 'b2', name: 'delete_file', arguments: { path: '/etc/hosts' } }),
      expect.objectContaining({ key: 'b3', name: 'get_time', argumentsText: '{}', arguments: {} }),
    ])
    expect(parts(items).filter(p => p.kind === 'usage')).toEqual([
      { kind: 'usage', input: 1496, output: 2 },
      { kind: 'usage', input: 1496, output: 131 },
    ])
    expect(kinds(items).slice(-3)).toEqual(['usage', 'finish', 'end'])
    expect(parts(items)).toContainEqual({ kind: 'finish', choice: 0, reason: 'tool_use' })
    const ping = items.find(f => text(f.raw).includes('ping'))
    expect(ping?.parts).toEqual([])
  })

  it('tools.sse: a text delta is one part, and every frame of a call carries a piece of it', () => {
    const items = sound(read(load('tools.sse')))
    const of = (needle: string) => items.filter(f => text(f.raw).includes(needle))
    for (const f of of('"text_delta"')) expect(f.parts).toHaveLength(1)
    for (const f of of('"index":2')) expect(f.parts.some(p => p.kind === 'callPiece' && p.key === 'b2')).toBe(true)
    expect(of('"content_block_stop","index":2')[0]?.parts.map(p => p.kind)).toEqual(['callPiece', 'callDone'])
  })

  it('thinking.sse: reasoning, its signature, sealed thinking, text and a call', () => {
    const items = sound(read(load('thinking.sse')))
    expect(channels(items)['/content/*/thinking']).toBe('The user wants the sum. 40 + 2 is 42.')
    expect(channels(items)['/content/*/text']).toBe('The answer is 42.')
    expect(parts(items).some(p => p.kind === 'text' && p.channel.key.endsWith('!signed'))).toBe(true)
    expect(said(items)).not.toContain('EmwKAhgB')
    expect(calls(items)).toMatchObject([{ name: 'save_result', arguments: { value: 42 } }])
  })

  it('web-search.sse: what upstream ran is inspected as text and is no call', () => {
    const items = sound(read(load('web-search.sse')))
    expect(calls(items)).toEqual([])
    expect(kinds(items)).not.toContain('callPiece')
    const all = channels(items)
    expect(all['/content/*/input/~json']).toBe('{"query": "claude shannon \\u0062irth date"}')
    expect(all['/content/*/input/~strings']).toBe('query\nclaude shannon birth date\n')
    for (const part of ['Shannon at 100', 'https://example.org/shannon', 'American mathematician', 'April 30, 2025']) {
      expect(said(items)).toContain(part)
    }
    expect(all['/content/*/text']).toBe(
      "I'll search for that.\u2060Claude Shannon was born on April 30, 1916, in Petoskey, Michigan",
    )
  })

  it('overloaded.sse: an error ends the stream, and is text', () => {
    const items = sound(read(load('overloaded.sse')))
    expect(said(items)).toContain('Overloaded')
  })

  it('unary.json: blocks in order, calls with the text of their input, the stop reason last', () => {
    const items = sound(read(load('unary.json'), [3, 700], { type: 'application/json; charset=utf-8' }))
    expect(items).toHaveLength(1)
    expect(text(items[0]?.raw ?? bytes(''))).toBe(text(load('unary.json')))
    expect(calls(items)).toMatchObject([
      {
        key: 'b2',
        argumentsText: '{"order": 12345678901234567890, "note": "caf\\u00e9"}',
        // A number that no double holds: no value at all.
        arguments: undefined,
      },
      { key: 'b3', name: 'issue_refund', argumentsText: '{}', arguments: {} },
    ])
    expect(kinds(items).at(-1)).toBe('finish')
    expect(parts(items)).toContainEqual({ kind: 'usage', input: 561, output: 48 })
  })
})

describe('reading text', () => {
  it('joins consecutive text blocks, and never a field of the same name elsewhere', () => {
    const items = sound(
      stream(
        answer(
          textBlock(0, 'LEAK-'),
          textBlock(1, 'MARK', 'ER'),
          begin(2, { type: 'commentary', text: 'x', thinking: 'y' }) + stop(2),
          begin(3, { type: 'text', text: 'at once', citations: null }) + stop(3),
        ),
      ),
    )
    expect(channels(items)).toMatchObject({
      '/content/*/text': 'LEAK-\u2060MARKER\u2060at once',
      '/content/*/text~other': 'x',
      '/content/*/thinking~other': 'y',
    })
  })

  it.each<[string, string]>([
    ['an unknown event', event({ type: 'commentary', text: M })],
    ['an unknown field of an event', event({ type: 'ping', extra: { deep: [M] } })],
    ['an unknown field in depth', event({ type: 'ping', extra: { a: [[[[[[[{ b: M }]]]]]]] } })],
    ['an unknown key', event({ type: 'ping', [M]: 1 })],
    ['an unknown key with null', event({ type: 'ping', [M]: null })],
    [
      'an unknown delta',
      textBlock(0) + begin(1, { type: 'text', text: '' }) + delta(1, { type: 'x_delta', y: M }) + stop(1),
    ],
    ['the type of a delta', begin(0, { type: 'text', text: '' }) + delta(0, { type: M }) + stop(0)],
    ['the type of a block', begin(0, { type: M }) + stop(0)],
    [
      'an unknown field of a delta',
      begin(0, { type: 'text', text: '' }) + delta(0, { type: 'text_delta', text: '', z: M }) + stop(0),
    ],
    [
      'a citation',
      begin(0, { type: 'text', text: '' }) +
        delta(0, { type: 'citations_delta', citation: { cited_text: M } }) +
        stop(0),
    ],
    [
      'thinking',
      begin(0, { type: 'thinking', thinking: '' }) + delta(0, { type: 'thinking_delta', thinking: M }) + stop(0),
    ],
    [
      'a signature that is none',
      begin(0, { type: 'thinking', thinking: '' }) + delta(0, { type: 'signature_delta', signature: M }) + stop(0),
    ],
    ['redacted thinking that is readable', begin(0, { type: 'redacted_thinking', data: M }) + stop(0)],
    ['an MCP server name', begin(0, { type: 'mcp_tool_use', id: 'i', name: 'n', server_name: M, input: {} }) + stop(0)],
    [
      'an MCP result',
      begin(0, { type: 'mcp_tool_result', tool_use_id: 'i', content: [{ type: 'text', text: M }] }) + stop(0),
    ],
    ['the output of code', begin(0, { type: 'code_execution_tool_result', content: { stdout: M } }) + stop(0)],
    [
      'a fetched page',
      begin(0, { type: 'web_fetch_tool_result', content: { content: { source: { type: 'text', data: M } } } }) +
        stop(0),
    ],
    [
      'a compaction',
      begin(0, { type: 'compaction', content: null }) + delta(0, { type: 'compaction_delta', content: M }) + stop(0),
    ],
    [
      'the caller of a tool',
      begin(0, { type: 'tool_use', id: 'i', name: 'n', input: {}, caller: { type: M } }) + stop(0),
    ],
    [
      'text in a delta of a call',
      begin(0, { type: 'tool_use', id: 'i', name: 'n', input: {} }) +
        delta(0, { type: 'input_json_delta', partial_json: '{}', z: M }) +
        stop(0),
    ],
    ['bytes', event({ type: 'ping', spelled: [...bytes(M)] })],
    ['a comment line', `: ${M}\n\n`],
    ['an event line', `event: ${M}\ndata: {}\n\n`],
    ['an id line', `id: ${M}\ndata: {}\n\n`],
    ['a retry line', `retry: ${M}\ndata: {}\n\n`],
    ['an unknown line', `${M}: x\ndata: {}\n\n`],
    ['a stop sequence', event({ type: 'message_delta', delta: { stop_sequence: M } })],
    ['the details of a stop', event({ type: 'message_delta', delta: { stop_details: { explanation: M } } })],
    ['a container', event({ type: 'message_delta', delta: { container: { id: M } } })],
    ['a stop reason', event({ type: 'message_delta', delta: { stop_reason: M } })],
    ['usage', event({ type: 'message_delta', delta: {}, usage: { service_tier: M } })],
  ])('%s is text', (_what, events) => {
    expect(said(sound(stream(answer(events))))).toContain(M)
  })

  it.each<[string, object]>([
    ['id', { id: M }],
    ['model', { model: M }],
    ['role', { role: M }],
    ['type', { type: M }],
    ['a text block', { content: [{ type: 'text', text: M }] }],
    ['content that is a string', { content: M }],
    ['an error', { type: 'error', error: { type: 'api_error', message: M } }],
    ['an unknown field', { extra: [{ a: M }] }],
    [
      'the input of a tool upstream ran',
      { content: [{ type: 'server_tool_use', id: 'i', name: 'n', input: { q: [M] } }] },
    ],
    ['a key of that input', { content: [{ type: 'server_tool_use', id: 'i', name: 'n', input: { [M]: 1 } }] }],
    ['stop_sequence', { stop_sequence: M }],
  ])('%s is text, unary and in message_start', (_what, message) => {
    const whole = { id: 'msg', type: 'message', role: 'assistant', content: [], ...message }
    expect(said(sound(unary(whole)))).toContain(M)
    expect(said(sound(stream(start(message) + finish() + END)))).toContain(M)
  })

  it('skips the payload of a picture, and nothing that only says it is one', () => {
    const data = 'iVBORw0KGgo'.repeat(20)
    const block = (source: object) => ({
      content: [{ type: 'web_fetch_tool_result', content: { content: { source } } }],
    })
    expect(said(sound(unary(block({ type: 'base64', media_type: 'application/pdf', data }))))).not.toContain('iVBOR')
    expect(said(sound(unary(block({ type: 'base64', media_type: 'text/plain', data }))))).toContain('iVBOR')
    expect(said(sound(unary(block({ type: 'text', media_type: 'application/pdf', data }))))).toContain('iVBOR')
  })

  it('decodes the input of a tool upstream runs across any cutting', () => {
    const input = JSON.stringify({ q: `a"b\\c\n${M}\u00e9`, list: ['SMILE', ''] })
      .replace(M, '\\u004c\\u0045AK-MARKER')
      .replace('SMILE', '\\ud83d\\ude00')
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: input.length - 1 }), { maxLength: 8 }), cuts => {
        const at = [...new Set([0, ...cuts, input.length])].sort((a, b) => a - b)
        const pieces = at.slice(1).map((to, i) => json(0, input.slice(at[i], to)))
        const block = begin(0, { type: 'server_tool_use', id: 'i', name: 'n', input: {} }) + pieces.join('') + stop(0)
        const all = channels(sound(stream(answer(block))))
        expect(all['/content/*/input/~strings']).toBe(`q\na"b\\c\n${M}\u00e9\nlist\n\u{1f600}\n\n`)
        expect(all['/content/*/input/~json']).toBe(input)
      }),
      { numRuns: 100 },
    )
  })
})

describe('reading calls', () => {
  it('takes arguments cut anywhere, in the middle of an escape too', () => {
    const args = '{"path":"/tmp/\\u00e9\\\\x","n":1}'
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: args.length - 1 }), { maxLength: 8 }), cuts => {
        const at = [...new Set([0, ...cuts, args.length])].sort((a, b) => a - b)
        const items = sound(stream(answer(toolUse(0, 'f', ...at.slice(1).map((to, i) => args.slice(at[i], to))))))
        expect(calls(items)).toMatchObject([{ name: 'f', argumentsText: args, arguments: { path: '/tmp/é\\x', n: 1 } }])
      }),
      { numRuns: 60 },
    )
  })

  it.each<[string, string, unknown]>([
    ['none', '', {}],
    ['an empty piece', json(0, ''), {}],
    ['an object', json(0, '{"a":1}'), { a: 1 }],
    ['a duplicate key', json(0, '{"a":1,"a":2}'), undefined],
    ['a list', json(0, '[1]'), undefined],
    ['no JSON', json(0, '{"a":'), undefined],
    ['text behind it', json(0, '{"a":1}{"b":2}'), undefined],
  ])('arguments: %s', (_what, pieces, expected) => {
    const events = begin(0, { type: 'tool_use', id: 'i', name: 'f', input: {} }) + pieces + stop(0)
    expect(calls(sound(stream(answer(events))))).toMatchObject([{ arguments: expected }])
  })

  it('reads a call whose input came with its start, and one in message_start', () => {
    const block = { type: 'tool_use', id: 'i', name: 'f', input: { a: 'b' } }
    expect(calls(sound(stream(answer(begin(0, block) + stop(0)))))).toMatchObject([
      { argumentsText: '{"a":"b"}', arguments: { a: 'b' } },
    ])
    const items = sound(stream(start({ content: [block] }) + textBlock(1, 'x') + finish('tool_use') + END))
    expect(calls(items)).toMatchObject([{ key: 'b0', name: 'f', arguments: { a: 'b' } }])
  })

  it.each(['local_tool_use', 'tool_call', 'function_call', 'custom_tool_use', 'computer_tool_use_v2'])(
    'takes a block of the unknown type %s for a call of the caller',
    type => {
      const block = { type, id: 'i', name: 'rm', input: { path: '/' } }
      expect(calls(sound(unary({ content: [block] })))).toMatchObject([{ name: 'rm', arguments: { path: '/' } }])
      expect(calls(sound(stream(answer(begin(0, block) + stop(0)))))).toMatchObject([{ name: 'rm' }])
    },
  )

  it('cuts out fields that are signet’s own', () => {
    const forged = { capability: 'forged' }
    const block = { type: 'tool_use', id: 'i', name: 'f', signet: forged, input: {} }
    const events = answer(begin(0, block), json(0, '{}'), stop(0))
    const clean = text(joined(sound(stream(events)).map(f => f.raw)))
    expect(clean).toBe(events.replace(`,"signet":${JSON.stringify(forged)}`, ''))
    const body = { signet_abort: true, signet: forged, content: [block] }
    const out = text(joined(sound(unary(body)).map(f => f.raw)))
    expect(JSON.parse(out)).toEqual({ content: [{ type: 'tool_use', id: 'i', name: 'f', input: {} }] })
  })
})

describe('holding upstream to the protocol', () => {
  const open = begin(0, { type: 'text', text: '' })
  const call = begin(0, { type: 'tool_use', id: 'i', name: 'f', input: {} })
  it.each<[string, string]>([
    ['a block before the message', open + stop(0)],
    ['a second message', start() + start()],
    ['a second message with an unfinished block', start() + open + start()],
    ['a block inside a block', start() + open + begin(1, { type: 'text', text: '' })],
    ['a gap in the numbers', start() + begin(1, { type: 'text', text: '' })],
    ['a number used twice', start() + open + stop(0) + open],
    ['a delta for a block that has ended', start() + open + stop(0) + say(0, 'x')],
    ['a delta for another block', start() + open + say(1, 'x')],
    ['a stop for another block', start() + open + stop(1)],
    [
      'a delta without an index',
      start() + open + event({ type: 'content_block_delta', delta: { type: 'text_delta' } }),
    ],
    ['an index that is a string', start() + event({ type: 'content_block_start', index: '0', content_block: {} })],
    ['text that is a number', start() + open + delta(0, { type: 'text_delta', text: 4111 })],
    ['text that is a list', start() + begin(0, { type: 'text', text: ['x'] })],
    ['thinking that is an object', start() + begin(0, { type: 'thinking', thinking: { a: 'x' } })],
    ['text in a call', start() + call + say(0, 'x')],
    ['input in a text', start() + open + json(0, '{}')],
    ['thinking in a text', start() + open + delta(0, { type: 'thinking_delta', thinking: 'x' })],
    [
      'input given twice',
      start() + begin(0, { type: 'tool_use', id: 'i', name: 'f', input: { a: 1 } }) + json(0, '{}'),
    ],
    ['partial_json in another delta', start() + call + delta(0, { type: 'x_delta', partial_json: '{}' })],
    ['partial_json that is no string', start() + call + delta(0, { type: 'input_json_delta', partial_json: {} })],
    ['two calls with one id', start() + call + stop(0) + begin(1, { type: 'tool_use', id: 'i', name: 'g', input: {} })],
    ['a call without a name', start() + begin(0, { type: 'tool_use', id: 'i', input: {} })],
    ['a call whose name is an object', start() + begin(0, { type: 'tool_use', id: 'i', name: {}, input: {} })],
    ['a block without a type', start() + begin(0, { text: 'x' })],
    ['a message that ends inside a block', start() + call + END],
    ['data behind the end', answer() + event({ type: 'ping' })],
    ['a message delta before the message', finish()],
    ['a name that only looks like one', start() + begin(0, { type: 'text', Type: 'tool_use', text: '' })],
    ['an event without its message', event({ type: 'message_start' })],
    ['an event line that disagrees', start() + open.replace('event: content_block_start', 'event: ping')],
    ['an event line for data without a type', `${start()}event: content_block_start\ndata: {"index":0}\n\n`],
    ['two event lines', `${start()}event: ping\n${open}`],
  ])('%s', (_what, events) => {
    expect(faultCode(stream(events))).toBe('upstream_protocol_violation')
  })

  it.each<[string, string, string]>([
    ['bad JSON', `${start()}data: {"type":\n\n`, 'upstream_sse_malformed'],
    ['a list', `${start()}data: []\n\n`, 'upstream_sse_malformed'],
    ['a duplicate key', `${start()}data: {"type":"ping","type":"x"}\n\n`, 'upstream_sse_malformed'],
    ['deep nesting', `${start()}data: ${'{"a":'.repeat(70)}1${'}'.repeat(70)}\n\n`, 'upstream_delta_too_deep'],
    ['no end', start() + textBlock(0, 'x') + finish(), 'upstream_truncated'],
    ['an end inside a block', start() + open + say(0, 'x'), 'upstream_truncated'],
    ['an end inside an event', `${answer()}data: {"type"`, 'upstream_truncated'],
    ['nothing', '', 'upstream_truncated'],
    [
      'an error inside a call',
      `${start()}${call}${event({ type: 'error', error: { message: 'x' } })}`,
      'upstream_truncated',
    ],
  ])('%s', (_what, events, code) => {
    expect(faultCode(stream(events))).toBe(code)
  })

  it.each<[string, string]>([
    ['comments behind the end', `${answer()}: stream complete\n\n`],
    ['an unfinished comment', `${answer()}: stream complete`],
    ['[DONE] behind the end', `${answer()}data: [DONE]\n\n`],
    ['no event lines', answer(textBlock(0, 'x')).replaceAll(/^event: .*\n/gm, '')],
    ['no spaces behind the colons', answer(textBlock(0, 'x')).replaceAll(/^(event|data): /gm, '$1:')],
    ['CRLF', answer(textBlock(0, 'x')).replaceAll('\n', '\r\n')],
    ['several message deltas', start() + textBlock(0, 'x') + finish() + finish() + END],
    ['an unnamed error', `${start()}event: error\ndata: {"error":{"message":"x"}}\n\n`],
  ])('bears with %s', (_what, events) => {
    const items = stream(events)
    expect(faultCode(items)).toBeUndefined()
    expect(text(joined(frames(items).map(f => f.raw)))).toBe(events)
  })

  it('says nothing more after a fault, and what came before it counts', () => {
    const items = stream(start() + open + say(0, 'before') + say(7, 'x') + say(0, 'after'))
    expect(said(items)).toContain('before')
    expect(said(items)).not.toContain('after')
    expect(items.at(-1)?.kind).toBe('fault')
  })

  it.each<[string, unknown, string]>([
    ['no JSON', '<html>', 'upstream_decode_error'],
    ['a list', [], 'upstream_protocol_violation'],
    ['content that is an object', { content: {} }, 'upstream_protocol_violation'],
    ['a block that is a string', { content: ['x'] }, 'upstream_protocol_violation'],
    [
      'two calls with one id',
      {
        content: [
          { type: 'tool_use', id: 'i', name: 'f' },
          { type: 'tool_use', id: 'i', name: 'g' },
        ],
      },
      'upstream_protocol_violation',
    ],
  ])('unary: %s', (_what, body, code) => {
    expect(faultCode(unary(body))).toBe(code)
  })

  it('bounds calls, their size, events and bodies', () => {
    const many = Array.from({ length: 129 }, (_, i) => ({ type: 'tool_use', id: `i${i}`, name: 'f', input: {} }))
    expect(faultCode(unary({ content: many }))).toBe('upstream_too_large')
    const piece = json(0, 'x'.repeat(200_000))
    expect(faultCode(stream(start() + call + piece.repeat(6)))).toBe('upstream_too_large')
    expect(faultCode(stream(`data: ${'x'.repeat(1024 * 1024)}`))).toBe('upstream_sse_unterminated')
  })
})

describe('which answers are read', () => {
  const open = (type: string | undefined, status = 200, isStream = true) => {
    const v = messagesDialect.readRequest(
      bytes(JSON.stringify({ model: 'm', max_tokens: 1, messages: [], stream: isStream })),
    )
    if ('code' in v) return v.code
    const reader = messagesDialect.openResponse(v, status, type)
    return 'code' in reader ? reader.code : reader.stream ? 'stream' : 'unary'
  }

  it('follows what upstream says it sends', () => {
    expect(open('text/event-stream; charset=utf-8')).toBe('stream')
    expect(open('application/json')).toBe('unary')
    expect(open('text/event-stream', 200, false)).toBe('stream')
    expect(open(undefined)).toBe('stream')
    expect(open(undefined, 529)).toBe('unary')
    expect(open(undefined, 200, false)).toBe('unary')
    for (const type of ['text/html', 'application/json; charset=utf-16', 'text/event-stream; charset=utf-7']) {
      expect(open(type)).toBe('upstream_content_type_invalid')
    }
    expect(open('text/event-stream', 500)).toBe('upstream_content_type_invalid')
  })
})

describe('attacks on other readers of such streams', () => {
  const leak = textBlock(0, `so ${M}`)

  it('C02: finds text whatever ends the lines', () => {
    for (const ending of ['\r', '\r\n', '\n']) {
      const items = stream(answer(leak).replaceAll('\n', ending))
      expect(said(items)).toContain(M)
      expect(faultCode(items)).toBeUndefined()
    }
  })

  it('C03: several data lines with junk in a later one release nothing', () => {
    const items = stream(`${start()}event: ping\ndata: {"type":"ping","x":"${M}"}\ndata: junk\n\n`)
    expect(faultCode(items)).toBe('upstream_sse_malformed')
    expect(text(joined(frames(items).map(f => f.raw)))).not.toContain(M)
  })

  it('C04: several data lines are one document', () => {
    const items = sound(stream(answer(`event: ping\ndata: {"type":"ping",\ndata: "x":"${M}"}\n\n`)))
    expect(said(items)).toContain(M)
    expect(faultCode(stream('data: [DONE]\n\n'))).toBe('upstream_sse_malformed')
  })

  it('C07: bytes that are not UTF-8 end the stream', () => {
    const items = read(new Uint8Array([...bytes(start()), 0x3a, 0xff, 0x0a, 0x0a]))
    expect(faultCode(items)).toBe('upstream_protocol_violation')
  })

  it('C08: finds text at any depth, and beyond the bound nothing passes', () => {
    const nested = (depth: number) => `{"type":"ping","x":${'['.repeat(depth)}"${M}"${']'.repeat(depth)}}`
    expect(said(sound(stream(answer(`event: ping\ndata: ${nested(60)}\n\n`))))).toContain(M)
    expect(faultCode(stream(answer(`event: ping\ndata: ${nested(64)}\n\n`)))).toBe('upstream_delta_too_deep')
  })

  it('C13, C14: values nobody knows, and of the wrong type, are text and end nothing', () => {
    const items = sound(stream(start({ role: { a: [M] } }) + finish('brand_new_reason') + END))
    expect(said(items)).toContain(M)
    expect(said(items)).toContain('brand_new_reason')
  })

  it('C15: true is not an index', () => {
    const events =
      start() + event({ type: 'content_block_start', index: true, content_block: { type: 'text', text: '' } })
    expect(faultCode(stream(events))).toBe('upstream_protocol_violation')
  })

  it('C16: text behind a megabyte of other text is still read', () => {
    const long = Array.from({ length: 300 }, () => say(0, 'x'.repeat(4000))).join('')
    const items = sound(stream(answer(begin(0, { type: 'text', text: '' }) + long + say(0, M) + stop(0))))
    expect(said(items)).toContain(M)
  })
})

describe('what upstream keeps', () => {
  const kept = (items: ReturnType<typeof stream>) =>
    parts(items).flatMap(part => (part.kind === 'state' ? [`${part.reference.kind} ${part.reference.id}`] : []))

  it('is the message and its container, wherever they are named', () => {
    const container = { id: 'container_1', expires_at: '2026-01-01T00:00:00Z' }
    const inBody = unary({ id: 'msg_1', type: 'message', role: 'assistant', content: [], container })
    expect(kept(inBody)).toEqual(['response msg_1', 'container container_1'])
    const atTheEnd = stream(start() + finish('end_turn', { container }) + END)
    expect(kept(atTheEnd)).toEqual(['response msg_1', 'container container_1'])
    expect(kept(stream(start({ container }) + finish('end_turn', { container }) + END))).toHaveLength(2)
  })
})

describe('texts of different blocks', () => {
  const said = (items: ReturnType<typeof stream>, pointer: string) => channels(items)[pointer]

  it('are told apart by a pattern that asks for the end of a word', () => {
    const items = stream(answer(textBlock(0, 'The key is AKIAIOSFODNN7EXAMPLE'), textBlock(1, 'Done', '.')))
    expect(said(items, '/content/*/text')).toBe('The key is AKIAIOSFODNN7EXAMPLE\u2060Done.')
    expect(said(items, '/content/*/text')).toMatch(/(?<![A-Za-z0-9])AKIA[A-Z0-9]{16}(?![A-Za-z0-9])/)
  })

  it('are told apart in a body, field by field', () => {
    const search = (id: string, q: readonly string[]) => ({
      type: 'server_tool_use',
      id,
      name: 'web_search',
      input: { q },
    })
    const items = unary({ type: 'message', content: [search('s1', ['a', 'b']), search('s2', ['c'])] })
    expect(said(items, '/content/*/input/q/*')).toBe('a\u2060b\u2060c')
  })

  it('are not broken where a delta goes on', () => {
    const items = stream(answer(begin(0, { type: 'text', text: 'a' }) + say(0, 'b') + say(0, 'c') + stop(0)))
    expect(said(items, '/content/*/text')).toBe('abc')
  })

  it('are redacted on both sides', () => {
    const items = sound(stream(answer(textBlock(0, 'LEAK-'), textBlock(1, 'MARKER'))))
    const writer = messagesDialect.openWriter(request())
    const out = items.map(f =>
      text(
        writer.write(
          f,
          f.parts.flatMap((part, i) =>
            part.kind === 'text' && part.channel.pointer === '/content/*/text'
              ? [{ kind: 'text' as const, part: i, edits: [{ from: 0, to: part.text.length, text: '' }] }]
              : [],
          ),
        ),
      ),
    )
    expect(out.join('')).not.toMatch(/LEAK|MARKER|\u2060/)
    expect(faultCode(stream(out.join('')))).toBeUndefined()
  })
})
