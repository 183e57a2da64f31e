import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Fault, Frame } from '../core/wire.ts'
import {
  bytes,
  channels,
  DONE,
  delta,
  event,
  faultCode,
  frames,
  joined,
  parts,
  read,
  request,
  stream,
  text,
} from './chat.test-support.ts'
import { chatDialect } from './chat.ts'

const here = new URL('testdata/', import.meta.url)
const golden = readdirSync(here).filter(name => name.endsWith('.sse') || name === 'unary.json')
const load = (name: string) => new Uint8Array(readFileSync(new URL(name, here)))
const typeOf = (name: string) => (name.endsWith('.sse') ? 'text/event-stream' : 'application/json')
const plain = (items: readonly (Frame | Fault)[]) =>
  items.map(item => (item.kind === 'fault' ? item : { ...item, raw: text(item.raw) }))
const unary = (body: unknown) =>
  read(bytes(typeof body === 'string' ? body : JSON.stringify(body)), [], { type: 'application/json' })
const calls = (items: readonly (Frame | Fault)[]) =>
  parts(items).flatMap(part => (part.kind === 'callDone' ? [part.call] : []))
const call = (index: number | undefined, fields: object) => ({
  tool_calls: [{ ...(index === undefined ? {} : { index }), ...fields }],
})
const end = event({ choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] }) + DONE
const M = 'LEAK-MARKER'

describe('golden transcripts', () => {
  it.each(golden)('%s reads as recorded', async name => {
    const items = read(load(name), [], { type: typeOf(name) })
    const readable = items.map(item => (item.kind === 'fault' ? item : item.parts))
    await expect(`${JSON.stringify(readable, null, 1)}\n`).toMatchFileSnapshot(`testdata/${name}.parts.json`)
  })

  it.each(golden)('%s: frames are upstream bytes, and the writer returns them untouched', name => {
    const raw = load(name)
    const items = frames(read(raw, [], { type: typeOf(name) }))
    expect(text(joined(items.map(f => f.raw)))).toBe(text(raw))
    const writer = chatDialect.openWriter(request())
    for (const f of items) expect(writer.write(f, [])).toBe(f.raw)
  })

  it.each(golden)('%s reads alike in any cutting', name => {
    const raw = load(name)
    const whole = plain(read(raw, [], { type: typeOf(name) }))
    const each = Array.from({ length: raw.length }, (_, i) => i)
    expect(plain(read(raw, each, { type: typeOf(name) }))).toEqual(whole)
    fc.assert(
      fc.property(fc.array(fc.nat(raw.length), { maxLength: 12 }), cuts => {
        expect(plain(read(raw, cuts, { type: typeOf(name) }))).toEqual(whole)
      }),
      { numRuns: 30 },
    )
  })
})

describe('text in a stream', () => {
  it.each<[string, object]>([
    ['refusal', { refusal: M }],
    ['reasoning', { reasoning: M }],
    ['reasoning_content', { reasoning_content: M }],
    ['thinking', { thinking: M }],
    ['reasoning_details text', { reasoning_details: [{ type: 'reasoning.text', text: M }] }],
    ['reasoning_details summary', { reasoning_details: [{ type: 'reasoning.summary', summary: M }] }],
    ['audio transcript', { audio: { transcript: M } }],
    ['audio data that is not base64', { audio: { data: `spoken ${M}` } }],
    ['text', { text: M }],
    ['an invented field', { mood: { is: [[[[[[[M]]]]]]] } }],
    ['an invented key', { [M]: 1 }],
    ['content parts', { content: [{ type: 'text', text: M }] }],
    ['a role nobody knows', { role: M }],
    ['a role that is an object', { role: { a: M } }],
    ['a nested finish_reason', { extra: { finish_reason: M } }],
    ['bytes that spell it', { blob: [...bytes(M)] }],
    ['a call description', call(0, { function: { name: 'f', description: M } })],
    ['a call name', call(0, { id: 'a', function: { name: M } })],
    ['a call id', call(0, { id: M, function: { name: 'f' } })],
    ['an unknown call field', call(0, { note: M, function: { name: 'f' } })],
    ['an unknown call type', call(0, { type: M })],
  ])('is seen in %s', (_what, d) => {
    expect(Object.values(channels(stream(delta(d) + end))).some(said => said.includes(M))).toBe(true)
  })

  it.each<[string, string]>([
    ['id', event({ id: M, choices: [] })],
    ['model', event({ model: M, choices: [] })],
    ['system_fingerprint', event({ system_fingerprint: M, choices: [] })],
    ['object', event({ object: M, choices: [] })],
    ['obfuscation', event({ obfuscation: M, choices: [] })],
    ['error.message', event({ error: { message: M } })],
    ['finish_reason', delta({}, M)],
    ['choices[].text', event({ choices: [{ index: 0, text: M, delta: {} }] })],
    ['choices[].message.content', event({ choices: [{ index: 0, message: { content: M }, delta: {} }] })],
    [
      'logprobs token',
      event({
        choices: [
          { index: 0, delta: {}, logprobs: { content: [{ token: M, bytes: null, logprob: 0, top_logprobs: [] }] } },
        ],
      }),
    ],
    [
      'logprobs bytes',
      event({ choices: [{ index: 0, delta: {}, logprobs: { content: [{ token: '', bytes: [...bytes(M)] }] } }] }),
    ],
    [
      'an alternative token',
      event({
        choices: [{ index: 0, delta: {}, logprobs: { content: [{ token: '', top_logprobs: [{ token: M }] }] } }],
      }),
    ],
    ['usage', event({ choices: [], usage: { note: M } })],
    ['a top-level key', event({ choices: [], [M]: {} })],
    ['a comment', `: ${M}\n\n`],
    ['an event line', `event: ${M}\ndata: {"choices":[]}\n\n`],
    ['an id line', `id: ${M}\ndata: {"choices":[]}\n\n`],
    ['a retry line', `retry: ${M}\ndata: {"choices":[]}\n\n`],
    ['a line of an unknown field', `note: ${M}\ndata: {"choices":[]}\n\n`],
    ['data behind a line separator', event({ choices: [{ index: 0, delta: { content: `a\u2028${M}\u0085` } }] })],
  ])('is seen in %s', (_what, events) => {
    expect(Object.values(channels(stream(events + end))).some(said => said.includes(M))).toBe(true)
  })

  it('joins content over chunks without any envelope text between', () => {
    const chunk = (content: string, i: number) =>
      event({
        id: `id${i}`,
        model: 'm',
        obfuscation: 'zzz',
        choices: [{ index: 0, delta: { content }, finish_reason: null }],
      })
    const said = channels(stream(['LE', 'AK', '-MARK', 'ER'].map(chunk).join('') + end))
    expect(said['/choices/0/delta/content']).toBe(M)
  })

  it('joins string content and content parts of one choice', () => {
    const events = delta({ content: 'LEAK-' }) + delta({ content: [{ type: 'text', text: 'MAR' }, 'KER'] })
    expect(channels(stream(events + end))['/choices/0/delta/content']).toBe('LEAK-MAR\u2060KER')
  })

  it('keeps choices apart', () => {
    const both = event({
      choices: [
        { index: 0, delta: { content: 'LEAK-' } },
        { index: 1, delta: { content: 'MARKER' } },
      ],
    })
    const said = channels(stream(both + delta({}, 'stop') + delta({}, 'stop', 1) + DONE))
    expect([said['/choices/0/delta/content'], said['/choices/1/delta/content']]).toEqual(['LEAK-', 'MARKER'])
  })

  it('keeps two fields with the same reasoning apart', () => {
    const twice = (t: string) => delta({ reasoning: t, reasoning_details: [{ type: 'reasoning.text', text: t }] })
    const said = channels(stream(twice('LEAK-') + twice('MARKER') + end))
    expect(said['/choices/0/delta/reasoning']).toBe(M)
    expect(said['/choices/0/delta/reasoning_details/*/text']).toBe(M)
  })

  it('joins halves in the same unknown field', () => {
    const said = channels(stream(delta({ mood: { now: 'LEAK-' } }) + delta({ mood: { now: 'MARKER' } }) + end))
    expect(said['/choices/0/delta/mood/now']).toBe(M)
  })

  it('inspects a repeated constant once and a changed one again', () => {
    const ids = ['a', 'a', M, 'a'].map(id => event({ id, choices: [] })).join('')
    const said = parts(stream(ids + end)).filter(part => part.kind === 'text' && part.channel.pointer === '/id')
    expect(said.map(part => part.kind === 'text' && part.text)).toEqual([
      'a',
      M,
      `a\u2060${M}`,
      'a',
      `a\u2060${M}\u2060a`,
    ])
    expect(new Set(said.map(part => part.kind === 'text' && part.channel.key)).size).toBe(5)
  })

  it('gives no part to what the API fixes, so ordinary chunks cost one', () => {
    const chunk = event({
      object: 'chat.completion.chunk',
      created: 1,
      system_fingerprint: null,
      choices: [{ index: 0, delta: { role: 'assistant', content: 'Hi' }, logprobs: null, finish_reason: null }],
      usage: null,
    })
    expect(parts(stream(chunk + end)).filter(part => part.kind === 'text')).toHaveLength(1)
  })

  it('does not put a field name that could be a message into a pointer', () => {
    const items = stream(delta({ [`${M} with spaces`]: 'x' }) + end)
    expect(
      parts(items).some(part => part.kind === 'text' && (part.channel.key + part.channel.pointer).includes(M)),
    ).toBe(false)
  })

  it('takes a data address for a picture only where a picture belongs', () => {
    const address = `data:image/png;base64,${'LEAKMARKER'.repeat(20)}`
    const seen = (d: object) =>
      Object.values(channels(stream(delta(d) + end))).some(said => said.includes('LEAKMARKER'))
    expect(seen({ images: [{ type: 'image_url', image_url: { url: address } }] })).toBe(false)
    expect(seen({ images: [{ type: 'image_url', image_url: { url: `${address} and words` } }] })).toBe(true)
    expect(seen({ content: address })).toBe(true)
    expect(seen({ content: [{ type: 'text', text: address }] })).toBe(true)
    expect(seen({ reasoning: address })).toBe(true)
    expect(seen({ mood: address })).toBe(true)
  })

  it('reads one channel as the same object', () => {
    const found = parts(stream(delta({ content: 'a' }) + delta({ content: 'b' }) + end)).flatMap(part =>
      part.kind === 'text' && part.channel.name === 'content' ? [part.channel] : [],
    )
    expect(found).toHaveLength(2)
    expect(found[0]).toBe(found[1])
  })
})

describe('tool calls in a stream', () => {
  it('are the same whatever the cutting of their arguments', () => {
    const args = '{"q":"\\u0041\\n\\"é🗼","n":1.5}'
    fc.assert(
      fc.property(fc.array(fc.nat(args.length), { maxLength: 8 }), cuts => {
        const at = [...new Set([0, ...cuts, args.length])].sort((a, b) => a - b)
        const pieces = at
          .slice(1)
          .map((to, i) => args.slice(at[i], to))
          .filter(piece => piece.isWellFormed())
        fc.pre(pieces.join('') === args)
        const events =
          delta(call(0, { id: 'c', type: 'function', function: { name: 'f', arguments: '' } })) +
          pieces.map(p => delta(call(0, { function: { arguments: p } }))).join('')
        expect(calls(stream(events + end))).toMatchObject([
          { id: 'c', name: 'f', argumentsText: args, arguments: { q: 'A\n"é🗼', n: 1.5 }, form: 'json' },
        ])
      }),
      { numRuns: 100 },
    )
  })

  it('hold every frame that carries a piece, and are done before the finish part', () => {
    const items = stream(
      delta(call(0, { id: 'c', function: { name: 'f', arguments: '{' } })) +
        delta({ content: 'x' }) +
        delta(call(0, { function: { arguments: '}' } })) +
        end,
    )
    const kinds = frames(items).map(f => f.parts.map(part => part.kind))
    expect(kinds).toEqual([['callPiece'], ['text'], ['callPiece'], ['text', 'text', 'callDone', 'finish'], ['end']])
  })

  it.each<[string, object[], unknown]>([
    [
      'a repeated id and name',
      [
        call(0, { id: 'c', function: { name: 'f', arguments: '{' } }),
        call(0, { id: 'c', function: { name: 'f', arguments: '}' } }),
      ],
      [['c', 'f', '{}']],
    ],
    [
      'an id and a name in pieces',
      [
        call(0, { id: 'ca', function: { name: 'get_' } }),
        call(0, { id: 'll', function: { name: 'it', arguments: '{}' } }),
      ],
      [['call', 'get_it', '{}']],
    ],
    [
      'empty repeats',
      [call(0, { id: 'c', function: { name: 'f' } }), call(0, { id: '', function: { name: '', arguments: '{}' } })],
      [['c', 'f', '{}']],
    ],
    [
      'interleaved calls',
      [
        call(0, { id: 'a', function: { name: 'f', arguments: '{"x"' } }),
        call(1, { id: 'b', function: { name: 'g', arguments: '{' } }),
        call(0, { function: { arguments: ':1}' } }),
        call(1, { function: { arguments: '}' } }),
      ],
      [
        ['a', 'f', '{"x":1}'],
        ['b', 'g', '{}'],
      ],
    ],
    [
      'index gaps',
      [
        call(5, { id: 'b', function: { name: 'g', arguments: '{}' } }),
        call(2, { id: 'a', function: { name: 'f', arguments: '{}' } }),
      ],
      [
        ['a', 'f', '{}'],
        ['b', 'g', '{}'],
      ],
    ],
    [
      'no index, told apart by id',
      [
        call(undefined, { id: 'a', function: { name: 'f', arguments: '{' } }),
        call(undefined, { id: 'b', function: { name: 'g', arguments: '{}' } }),
        call(undefined, { id: 'a', function: { arguments: '}' } }),
      ],
      [
        ['a', 'f', '{}'],
        ['b', 'g', '{}'],
      ],
    ],
    [
      'no index and no id',
      [
        call(undefined, { function: { name: 'f', arguments: '{' } }),
        call(undefined, { function: { arguments: '}' } }),
        call(undefined, { function: { name: 'g' } }),
      ],
      [
        ['', 'f', '{}'],
        ['', 'g', ''],
      ],
    ],
    [
      'every call numbered 0',
      [
        call(0, { id: 'a', function: { name: 'f', arguments: '{}' } }),
        call(0, { id: 'b', function: { name: 'f', arguments: '{}' } }),
      ],
      [
        ['a', 'f', '{}'],
        ['b', 'f', '{}'],
      ],
    ],
    [
      'arguments as an object',
      [call(0, { id: 'a', function: { name: 'f', arguments: { x: 1 } } })],
      [['a', 'f', '{"x":1}']],
    ],
    [
      'a custom tool',
      [
        call(0, { id: 'a', type: 'custom', custom: { name: 'sh', input: 'ls ' } }),
        call(0, { custom: { input: '-l' } }),
      ],
      [['a', 'sh', 'ls -l']],
    ],
    [
      'the legacy form',
      [{ function_call: { name: 'f', arguments: '{' } }, { function_call: { arguments: '}' } }],
      [['', 'f', '{}']],
    ],
    ['a call without anything', [call(0, {})], [['', '', '']]],
  ])('assemble %s', (_what, deltas, expected) => {
    const items = stream(deltas.map(d => delta(d)).join('') + end)
    expect(faultCode(items)).toBeUndefined()
    expect(calls(items).map(c => [c.id, c.name, c.argumentsText])).toEqual(expected)
  })

  it('are done at [DONE] when no finish reason came', () => {
    const items = stream(delta(call(0, { id: 'a', function: { name: 'f', arguments: '{}' } })) + DONE)
    expect(
      frames(items)
        .at(-1)
        ?.parts.map(part => part.kind),
    ).toEqual(['text', 'text', 'callDone', 'end'])
  })

  it('have no value when their arguments are not I-JSON, and none for free text', () => {
    const two = call(0, { id: 'a', function: { name: 'f', arguments: '{"a":1,"a":2}' } })
    expect(calls(stream(delta(two) + end))[0]?.arguments).toBeUndefined()
    const custom = call(0, { id: 'a', custom: { name: 'f', input: '{}' } })
    expect(calls(stream(delta(custom) + end))[0]).toMatchObject({ form: 'text', arguments: undefined })
    expect(calls(stream(delta(call(0, { function: { name: 'f' } })) + end))[0]?.arguments).toEqual({})
  })

  it('in a `message` beside the delta are calls too', () => {
    const both = event({
      choices: [
        { index: 0, delta: {}, message: { tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{}' } }] } },
      ],
    })
    expect(calls(stream(both + end))).toMatchObject([{ name: 'f' }])
  })

  it.each<[string, string]>([
    [
      'a piece after the finish',
      delta(call(0, { id: 'a', function: { name: 'f' } })) +
        delta({}, 'tool_calls') +
        delta(call(0, { function: { arguments: '{}' } })),
    ],
    ['tool_calls that are an object', delta({ tool_calls: { 0: {} } })],
    ['a call that is a string', delta({ tool_calls: ['f'] })],
    ['a name that is an object', delta(call(0, { function: { name: { a: 1 } } }))],
    ['arguments that are a number', delta(call(0, { function: { name: 'f', arguments: 5 } }))],
    ['a boolean call index', delta({ tool_calls: [{ index: true }] })],
    ['a call that is both kinds', delta(call(0, { function: { name: 'f' }, custom: { name: 'g' } }))],
    ['a key that only differs in case', delta(call(0, { Function: { name: 'f' } }))],
    ['`Tool_Calls`', delta({ Tool_Calls: [] })],
  ])('refuse %s', (_what, events) => {
    expect(faultCode(stream(events + end))).toBe('upstream_protocol_violation')
  })

  it('refuse a split name whose last piece alone is a declared tool', () => {
    const view = request({ tools: [{ type: 'function', function: { name: 'pay' } }] })
    const split = delta(call(0, { id: 'a', function: { name: 'no_' } })) + delta(call(0, { function: { name: 'pay' } }))
    expect(faultCode(stream(split + end, { view }))).toBe('upstream_protocol_violation')
    expect(faultCode(stream(split + end))).toBeUndefined()
  })

  it('are bounded in number and size', () => {
    const many = Array.from({ length: 129 }, (_, i) => delta(call(i, { function: { name: 'f' } }))).join('')
    expect(faultCode(stream(many + end))).toBe('upstream_too_large')
    const long = Array.from({ length: 3 }, () => delta(call(0, { function: { arguments: 'x'.repeat(400_000) } }))).join(
      '',
    )
    expect(faultCode(stream(long + end))).toBe('upstream_too_large')
  })
})

describe('a stream upstream breaks', () => {
  it.each<[string, string, string]>([
    ['data that is not JSON', 'data: ha this is not json!\n\n', 'upstream_sse_malformed'],
    [
      'a junk line in the middle of an event',
      'data: {"choices":[{"delta":{"content":"SECRET"}}]}\ndata: junk\n\n',
      'upstream_sse_malformed',
    ],
    [
      'a duplicate key',
      'data: {"choices":[],"choices":[{"delta":{"content":"SECRET"}}]}\n\n',
      'upstream_sse_malformed',
    ],
    ['a list', 'data: []\n\n', 'upstream_sse_malformed'],
    ['a number', 'data: 5\n\n', 'upstream_sse_malformed'],
    ['too much nesting', event(`{"choices":[],"x":${'['.repeat(64)}${']'.repeat(64)}}`), 'upstream_delta_too_deep'],
    ['choices that are a string', event({ choices: 'x' }), 'upstream_protocol_violation'],
    ['a choice that is a number', event({ choices: [1] }), 'upstream_protocol_violation'],
    ['a boolean index', event({ choices: [{ index: true, delta: {} }] }), 'upstream_protocol_violation'],
    ['an index as text', event({ choices: [{ index: '0', delta: {} }] }), 'upstream_protocol_violation'],
    ['a huge index', event({ choices: [{ index: 128, delta: {} }] }), 'upstream_protocol_violation'],
    [
      'one index twice',
      event({
        choices: [
          { index: 0, delta: {} },
          { index: 0, delta: {} },
        ],
      }),
      'upstream_protocol_violation',
    ],
    ['`Choices`', event({ Choices: [] }), 'upstream_protocol_violation'],
    ['data after [DONE]', `${delta({}, 'stop')}${DONE}${delta({ content: 'SECRET' })}`, 'upstream_protocol_violation'],
    [
      'an end inside an event',
      `${delta({}, 'stop')}data: {"choices":[{"delta":{"content":"SECRET"}}]}\n`,
      'upstream_truncated',
    ],
    ['an end before the finish', delta({ content: 'half' }), 'upstream_truncated'],
    ['one of two choices unfinished', delta({ content: 'a' }, null, 1) + delta({}, 'stop'), 'upstream_truncated'],
    ['nothing at all', '', 'upstream_truncated'],
  ])('%s', (_what, events, code) => {
    const items = stream(events)
    expect(faultCode(items)).toBe(code)
    expect(items.at(-1)?.kind).toBe('fault')
    expect(JSON.stringify(items.filter(item => item.kind === 'fault'))).not.toContain('SECRET')
    expect(frames(items).some(f => text(f.raw).includes('SECRET'))).toBe(false)
    const raw = bytes(events)
    expect(
      plain(
        read(
          raw,
          Array.from({ length: raw.length }, (_, i) => i),
        ),
      ),
    ).toEqual(plain(items))
  })

  it('accepts the ends that compatible servers make', () => {
    const one = delta({ content: 'a' }) + delta({}, 'stop')
    expect(faultCode(stream(one))).toBeUndefined()
    expect(faultCode(stream(`${one}data: [DONE]`))).toBeUndefined()
    expect(faultCode(stream(`${one}data: [DONE]\n`))).toBeUndefined()
    expect(faultCode(stream(`${one}${DONE}: bye\n\n\n`))).toBeUndefined()
    expect(faultCode(stream(event({ error: { message: 'overloaded' } })))).toBeUndefined()
  })

  it('accepts finish reasons and object names nobody has heard of', () => {
    expect(
      faultCode(
        stream(
          event({ object: 'vendor.chunk', choices: [{ delta: { role: 'model', content: '' }, finish_reason: 'eos' }] }),
        ),
      ),
    ).toBeUndefined()
    expect(faultCode(stream(delta({ content: 'a' }, '') + delta({}, 'stop')))).toBeUndefined()
    for (const reason of ['end_turn', 'max_tokens', 'stop_sequence', 'pause_turn', 'tool_use'])
      expect(faultCode(stream(delta({ role: 'developer', content: 'a' }) + delta({}, reason))), reason).toBeUndefined()
  })

  it('says nothing after a fault', () => {
    const reader = chatDialect.openResponse(request(), 200, 'text/event-stream')
    if ('code' in reader) throw new Error(reader.code)
    expect(reader.push(bytes('data: junk\n\n'))).toHaveLength(1)
    expect([reader.push(bytes(delta({ content: 'x' }))), reader.end()]).toEqual([[], []])
  })

  it('bounds events and the number of fields', () => {
    const reader = read(bytes(`data: ${' '.repeat(1024 * 1024)}`))
    expect(faultCode(reader)).toBe('upstream_sse_unterminated')
    // Complete, and in one piece.
    expect(faultCode(read(bytes(delta({ content: 'x'.repeat(1024 * 1024) }))))).toBe('upstream_sse_unterminated')
    const fields = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`f${i}`, 'x']))
    expect(faultCode(stream(delta(fields) + end))).toBe('upstream_too_large')
  })
})

describe('a unary answer', () => {
  it.each<[string, string, string]>([
    ['HTML', '<html>login</html>', 'upstream_decode_error'],
    ['nothing', '', 'upstream_decode_error'],
    ['a truncated body', '{"choices":[', 'upstream_decode_error'],
    ['bytes that are not UTF-8', '{"a":"\\ud800"}', 'upstream_decode_error'],
    ['a list', '[]', 'upstream_protocol_violation'],
    ['null', 'null', 'upstream_protocol_violation'],
    ['a number', '5', 'upstream_protocol_violation'],
    ['a string', '"x"', 'upstream_protocol_violation'],
    ['true', 'true', 'upstream_protocol_violation'],
    ['choices as text', '{"choices":"x"}', 'upstream_protocol_violation'],
    ['a choice as a number', '{"choices":[1]}', 'upstream_protocol_violation'],
    ['nesting', `{"x":${'['.repeat(64)}${']'.repeat(64)}}`, 'upstream_delta_too_deep'],
  ])('that is %s is a fault', (_what, body, code) => {
    expect(faultCode(unary(body))).toBe(code)
  })

  it.each(['{}', '{"choices":[]}', '{"choices":null}'])('%s is fine', body => {
    expect(faultCode(unary(body))).toBeUndefined()
  })

  it('reads every choice, its calls and the usage', () => {
    const items = unary({
      choices: [
        {
          message: {
            role: 'assistant',
            content: 'a',
            tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{"k":1}' } }],
          },
          finish_reason: 'tool_calls',
        },
        { message: { content: 'b' }, finish_reason: 'stop' },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 4 },
    })
    expect(channels(items)).toMatchObject({ '/choices/0/message/content': 'a', '/choices/1/message/content': 'b' })
    expect(calls(items)).toMatchObject([{ choice: 0, id: 'x', name: 'f', arguments: { k: 1 } }])
    expect(parts(items)).toContainEqual({ kind: 'usage', input: 3, output: 4 })
  })

  it('hands out calls even without a finish reason, two with one id apart', () => {
    const same = { id: 'x', function: { name: 'f', arguments: '{}' } }
    expect(calls(unary({ choices: [{ message: { tool_calls: [same, same] } }] }))).toHaveLength(2)
  })

  it('is bounded', () => {
    const dialect = chatDialect.openResponse(request({ stream: false }), 200, 'application/json')
    if ('code' in dialect) throw new Error(dialect.code)
    const chunk = new Uint8Array(8 * 1024 * 1024).fill(0x20)
    const out = [1, 2, 3, 4, 5].flatMap(() => dialect.push(chunk))
    expect(out).toMatchObject([{ kind: 'fault', code: 'upstream_too_large' }])
    expect(dialect.end()).toEqual([])
  })
})

describe('what upstream says it sends', () => {
  const open = (streaming: boolean, status: number, type: string | undefined) => {
    const reader = chatDialect.openResponse(request({ stream: streaming }), status, type)
    return 'code' in reader ? reader.code : reader.stream ? 'stream' : 'unary'
  }

  it.each<[boolean, number, string | undefined, string]>([
    [true, 200, 'text/event-stream', 'stream'],
    [true, 200, 'text/event-stream; charset=utf-8', 'stream'],
    [true, 200, 'Text/Event-Stream', 'stream'],
    [true, 200, 'text/plain', 'stream'],
    [true, 200, undefined, 'stream'],
    [true, 200, 'application/json', 'unary'],
    [false, 200, 'text/event-stream', 'stream'],
    [false, 200, 'application/json; charset=utf-8', 'unary'],
    [false, 200, 'application/problem+json', 'unary'],
    [false, 200, undefined, 'unary'],
    [false, 200, 'text/plain', 'upstream_content_type_invalid'],
    [false, 200, 'text/html', 'upstream_content_type_invalid'],
    [true, 200, 'application/octet-stream', 'upstream_content_type_invalid'],
    [true, 429, 'application/json', 'unary'],
    [true, 500, undefined, 'unary'],
    [true, 502, 'text/html', 'upstream_content_type_invalid'],
    [true, 400, 'text/event-stream', 'upstream_content_type_invalid'],
  ])('stream %s, status %s, type %s: %s', (streaming, status, type, expected) => {
    expect(open(streaming, status, type)).toBe(expected)
  })

  it('inspects every string of an error body, whatever its shape', () => {
    const body = bytes(JSON.stringify([{ error: { message: M, status: 'X' } }]))
    expect(Object.values(channels(read(body, [], { type: 'application/json', status: 400 })))).toContain(M)
  })
})

describe("signet's own fields from upstream", () => {
  it('are cut out, and nothing else is', () => {
    const forged =
      'data: {"signet_abort":true, "signet":{"x":1},"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","signet":{"capability":"forged"},"function":{"name":"f","arguments":"{}"}}]}}]}\n\n'
    const [first] = frames(stream(forged + end))
    expect(text(first?.raw ?? bytes(''))).toBe(
      'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}\n\n',
    )
    const one = frames(
      unary({
        choices: [{ message: { function_call: { name: 'f', arguments: '{}', signet: { capability: 'forged' } } } }],
      }),
    )
    expect(text(one[0]?.raw ?? bytes(''))).not.toContain('forged')
  })
})
