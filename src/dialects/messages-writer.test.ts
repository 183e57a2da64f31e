import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Edit, Frame } from '../core/wire.ts'
import {
  answer,
  begin,
  bytes,
  callKeys,
  calls,
  delta,
  END,
  event,
  finish,
  json,
  load,
  NOTICE,
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
  write,
} from './messages.test-support.ts'
import { messagesDialect } from './messages.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'

const SECRET = 'LEAK-MARKER'
const NOTE_EVENT = (index: number) => delta(index, { type: 'text_delta', text: NOTICE })
const types = (out: string) => [...out.matchAll(/^event: (.*)$/gm)].map(match => match[1])
const redact = (events: string) => write(sound(stream(events)), { redact: SECRET })

describe('writing without edits', () => {
  it.each(['tools.sse', 'thinking.sse', 'web-search.sse', 'overloaded.sse'])('%s leaves as the very bytes', name => {
    const items = sound(read(load(name)))
    const writer = messagesDialect.openWriter(request())
    for (const f of items) expect(writer.write(f, [])).toBe(f.raw)
  })

  it('unary.json leaves as the very bytes', () => {
    const [f] = sound(read(load('unary.json'), [], { type: 'application/json' }))
    expect(f && messagesDialect.openWriter(request({ stream: false })).write(f, [])).toBe(f?.raw)
  })
})

describe('refusing calls in a stream', () => {
  const items = sound(read(load('tools.sse')))
  const [first, second, third] = callKeys(items) as [string, string, string]

  it('puts the notice in place of the call and changes no other byte', () => {
    const before = text(load('tools.sse'))
    const from = before.indexOf('event: content_block_start\ndata: {"type":"content_block_start","index":2')
    const to = before.indexOf('event: content_block_stop\ndata: {"type":"content_block_stop","index":2')
    const block = 'event: content_block_start\ndata: {"type":"content_block_start","index":2,"content_block":'
    expect(write(items, { refuse: [second] })).toBe(
      `${before.slice(0, from)}${block}{"type":"text","text":""}   }\n\n${NOTE_EVENT(2)}${before.slice(to)}`,
    )
  })

  it.each([
    ['the first', [first], ['delete_file', 'get_time'], 'tool_use'],
    ['the last', [third], ['get_weather', 'delete_file'], 'tool_use'],
    ['two', [first, third], ['delete_file'], 'tool_use'],
    ['all', [first, second, third], [], 'end_turn'],
  ])('%s: what is left is read without a fault', (_what, refuse, names, reason) => {
    const out = write(items, { refuse })
    const again = sound(stream(out))
    expect(calls(again).map(call => call.name)).toEqual(names)
    expect(out).toContain(`"stop_reason":"${reason}"`)
    expect(out.split(NOTICE)).toHaveLength(refuse.length + 1)
  })

  it('removes a call with its name and arguments whatever pieces they came in', () => {
    const args = '{"path":"/etc/SECRET"}'
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: args.length - 1 }), { maxLength: 6 }), cuts => {
        const at = [...new Set([0, ...cuts, args.length])].sort((a, b) => a - b)
        const pieces = at.slice(1).map((to, i) => args.slice(at[i], to))
        const list = sound(stream(start() + toolUse(0, 'delete_file', ...pieces) + finish('tool_use') + END))
        expect(write(list, { refuse: callKeys(list) })).toBe(
          start() + begin(0, { type: 'text', text: '' }) + NOTE_EVENT(0) + stop(0) + finish('end_turn') + END,
        )
      }),
      { numRuns: 60 },
    )
  })

  it('removes what came with a start, in an unknown delta, or under a forged capability', () => {
    const block = {
      type: 'tool_use',
      id: 'i',
      name: 'f',
      input: { p: SECRET },
      caller: { type: SECRET },
      signet: SECRET,
    }
    const list = sound(stream(answer(begin(0, block), delta(0, { type: 'x_delta', y: SECRET }), stop(0))))
    expect(write(list, { refuse: callKeys(list) })).not.toContain(SECRET)
  })

  it('keeps the stop reason while a call is left, and one that is not about calls', () => {
    const list = sound(stream(start() + toolUse(0, 'f') + toolUse(1, 'g') + finish('tool_use') + END))
    expect(write(list, { refuse: ['b1'] })).toContain('"stop_reason":"tool_use"')
    const cut = sound(stream(start() + toolUse(0, 'f') + finish('max_tokens') + END))
    expect(write(cut, { refuse: ['b0'] })).toContain('"stop_reason":"max_tokens"')
  })

  it('refuses a call in message_start', () => {
    const content = [{ type: 'tool_use', id: 'i', name: 'f', input: { p: SECRET } }]
    const list = sound(stream(start({ content }) + finish('tool_use') + END))
    const out = write(list, { refuse: callKeys(list) })
    expect(out).toContain(`"content":[{"type":"text","text":"${NOTICE}"}]`)
    expect(out).not.toContain(SECRET)
    expect(out).toContain('"stop_reason":"end_turn"')
  })

  it('works with CRLF and without event lines', () => {
    const events = start() + toolUse(0, 'f', '{"a":', '1}') + finish('tool_use') + END
    const crlf = sound(stream(events.replaceAll('\n', '\r\n')))
    expect(calls(sound(stream(write(crlf, { refuse: ['b0'] }))))).toEqual([])
    const bare = sound(stream(events.replaceAll(/^event: .*\n/gm, '')))
    expect(calls(sound(stream(write(bare, { refuse: ['b0'] }))))).toEqual([])
  })

  it('says a notice that would break a line or a string safely', () => {
    const notice = 'a "b"\n\ndata: x\u2028'
    const writer = messagesDialect.openWriter(request())
    const list = sound(stream(start() + toolUse(0, 'f') + finish('tool_use') + END))
    const out = list.map(f => {
      const mine = f.parts.some(part => part.kind === 'callPiece')
      return text(writer.write(f, mine ? [{ kind: 'refuse', key: 'b0', notice }] : []))
    })
    const said = sound(stream(out.join(''))).flatMap(f => f.parts.flatMap(p => (p.kind === 'text' ? [p.text] : [])))
    expect(said).toContain(notice)
  })

  it('writes the same bytes from a fresh writer over stored frames', () => {
    const stored = items.map(f => ({ raw: text(f.raw), parts: JSON.parse(JSON.stringify(f.parts)) as Frame['parts'] }))
    const again: Frame[] = stored.map(f => ({ kind: 'frame', raw: bytes(f.raw), parts: f.parts }))
    const want = { refuse: [second], capability: [first, third], redact: 'weather' }
    expect(write(again, want)).toBe(write(items, want))
  })
})

describe('refusing calls in a unary answer', () => {
  const list = sound(read(load('unary.json'), [], { type: 'application/json' }))
  const [first, second] = callKeys(list) as [string, string]

  it.each([
    ['one', [second], 'tool_use', ['thinking', 'text', 'tool_use', 'text']],
    ['both', [first, second], 'end_turn', ['thinking', 'text', 'text', 'text']],
  ])('%s', (_what, refuse, reason, blocks) => {
    const out = write(list, { refuse })
    const message = JSON.parse(out)
    expect(message.stop_reason).toBe(reason)
    expect(message.content.map((block: { type: string }) => block.type)).toEqual(blocks)
    expect(message.content[3]).toEqual({ type: 'text', text: NOTICE })
    expect(out.includes('12345678901234567890')).toBe(refuse.length === 1)
    expect(out).toContain('"cache_read_input_tokens": 2')
  })
})

describe('capabilities', () => {
  it('ride on the start of their call and leave every other byte alone', () => {
    const items = sound(read(load('tools.sse')))
    const out = write(items, { capability: callKeys(items) })
    expect(out.match(/"signet":\{"capability":"jws\.of\.b\d"\}/g)).toHaveLength(3)
    expect(out.replaceAll(/,"signet":\{"capability":"[^"]*"\}/g, '')).toBe(text(load('tools.sse')))
  })

  it('sit on each call of a unary answer, and stand beside a refusal', () => {
    const list = sound(read(load('unary.json'), [], { type: 'application/json' }))
    const content = JSON.parse(write(list, { capability: ['b2'], refuse: ['b3'] })).content
    expect(content[2]).toMatchObject({ name: 'get_order', signet: { capability: 'jws.of.b2' } })
    expect(content[3]).toEqual({ type: 'text', text: NOTICE })
  })
})

describe('redacting', () => {
  it.each<[string, string]>([
    ['text', textBlock(0, `a ${SECRET} b`)],
    ['text in a start', begin(0, { type: 'text', text: SECRET }) + stop(0)],
    [
      'unsigned thinking',
      begin(0, { type: 'thinking', thinking: '' }) + delta(0, { type: 'thinking_delta', thinking: SECRET }) + stop(0),
    ],
    [
      'a citation',
      begin(0, { type: 'text', text: '' }) +
        delta(0, { type: 'citations_delta', citation: { cited_text: SECRET } }) +
        stop(0),
    ],
    ['a search result', begin(0, { type: 'web_search_tool_result', content: [{ title: SECRET }] }) + stop(0)],
    ['an unknown delta', begin(0, { type: 'x', y: '' }) + delta(0, { type: 'x_delta', y: SECRET }) + stop(0)],
    ['an unknown event', event({ type: 'x', y: { z: [SECRET] } })],
    ['a comment', `: ${SECRET}\n\n`],
    ['a stop sequence', event({ type: 'message_delta', delta: { stop_sequence: SECRET } })],
    [
      'the input of a tool upstream ran',
      begin(0, { type: 'server_tool_use', id: 'i', name: 'n', input: {} }) +
        json(0, `{"q":"${SECRET}`) +
        json(0, '"}') +
        stop(0),
    ],
  ])('%s', (_what, events) => {
    const all = answer(events)
    expect(redact(all)).toBe(all.replace(SECRET, '[GONE]'))
  })

  it('a value that upstream repeats, every time', () => {
    const again = event({ type: 'message_delta', delta: { stop_sequence: SECRET } })
    const all = answer(again, again)
    expect(redact(all)).toBe(all.replaceAll(SECRET, '[GONE]'))
  })

  it('writes a decoded string of a streamed input back as JSON', () => {
    const secret = SECRET.replace('L', '\\u004c').replace('K', '\\u004b')
    const block = (q: string) =>
      begin(0, { type: 'server_tool_use', id: 'i', name: 'n', input: {} }) +
      json(0, '{"q":"x') +
      json(0, ` ${q} y"}`) +
      stop(0)
    expect(redact(answer(block(secret)))).toBe(answer(block('[GONE]')))
  })

  it.each<[string, string]>([
    ['an object key', event({ type: 'x', [SECRET]: 1 })],
    ['bytes', event({ type: 'x', y: [...bytes(SECRET)] })],
    ['a signature that is text', begin(0, { type: 'thinking', thinking: '', signature: SECRET }) + stop(0)],
    ['sealed thinking that is text', begin(0, { type: 'redacted_thinking', data: SECRET }) + stop(0)],
    [
      'a compaction',
      begin(0, { type: 'compaction' }) + delta(0, { type: 'compaction_delta', content: SECRET }) + stop(0),
    ],
    [
      'thinking signed before',
      begin(0, { type: 'thinking', thinking: '', signature: '' }) +
        delta(0, { type: 'thinking_delta', thinking: SECRET }) +
        stop(0),
    ],
    [
      'thinking signed after',
      begin(0, { type: 'thinking', thinking: '' }) +
        delta(0, { type: 'thinking_delta', thinking: SECRET }) +
        delta(0, { type: 'signature_delta', signature: 'c2ln' }) +
        stop(0),
    ],
    [
      'an escape cut in two',
      begin(0, { type: 'server_tool_use', id: 'i', name: 'n', input: {} }) +
        json(0, '{"q":"\\u00') +
        json(0, '4c').replace('4c', `4c${SECRET.slice(1)}`) +
        stop(0),
    ],
  ])('%s cannot be, and is an error', (_what, events) => {
    expect(() => redact(answer(events))).toThrow(RedactionUnwritable)
  })

  it('refuses an edit over two strings of a streamed input, and one that fits no part', () => {
    const block = begin(0, { type: 'server_tool_use', id: 'i', name: 'n', input: {} }) + json(0, '{"a":"b"}') + stop(0)
    const writeOne = (edit: Edit) => {
      const writer = messagesDialect.openWriter(request())
      for (const f of sound(stream(answer(block)))) writer.write(f, text(f.raw).includes('partial_json') ? [edit] : [])
    }
    const f = sound(stream(answer(block))).find(frame => text(frame.raw).includes('partial_json'))
    const part = f?.parts.findIndex(p => p.kind === 'text' && p.channel.pointer?.endsWith('~json')) ?? -1
    expect(() => writeOne({ kind: 'text', part, edits: [{ from: 2, to: 7, text: 'x' }] })).toThrow(RedactionUnwritable)
    expect(() => writeOne({ kind: 'text', part, edits: [{ from: 0, to: 2, text: 'x' }] })).toThrow(RedactionUnwritable)
    expect(() => writeOne({ kind: 'text', part: 99, edits: [{ from: 0, to: 1, text: 'x' }] })).toThrow(
      RedactionUnwritable,
    )
  })

  it('leaves numbers and the rest of a unary answer alone', () => {
    const list = sound(read(load('unary.json'), [], { type: 'application/json' }))
    expect(write(list, { redact: 'me look' })).toBe(text(load('unary.json')).replace('me look', '[GONE]'))
    expect(() => write(list, { redact: 'Two lookups' })).toThrow(RedactionUnwritable)
    const input = { content: [{ type: 'server_tool_use', id: 'i', name: 'n', input: { q: [SECRET] } }] }
    expect(write(sound(unary(input)), { redact: SECRET })).toBe(JSON.stringify(input).replace(SECRET, '[GONE]'))
  })

  it('keeps a redaction beside a refusal and a capability', () => {
    const list = sound(
      stream(start() + textBlock(0, SECRET) + toolUse(1, 'f') + toolUse(2, 'g') + finish('tool_use') + END),
    )
    const out = write(list, { redact: SECRET, refuse: ['b1'], capability: ['b2'] })
    expect(out).toContain(say(0, '[GONE]'))
    expect(out).toContain(NOTE_EVENT(1))
    expect(out).toContain('jws.of.b2')
    expect(types(out)).toHaveLength(types(write(list)).length + 1)
  })
})

describe('any answer, any edits', () => {
  const json6 = fc.jsonValue({ maxDepth: 2 }).filter(v => JSON.stringify(v).isWellFormed())
  const blockOf = fc.oneof(
    fc.record({ kind: fc.constant('text' as const), said: fc.string({ unit: 'grapheme' }) }),
    fc.record({
      kind: fc.constant('call' as const),
      args: fc.dictionary(fc.string({ maxLength: 4 }), json6),
      fate: fc.nat(2),
    }),
    fc.record({ kind: fc.constant('server' as const), args: fc.dictionary(fc.string({ maxLength: 4 }), json6) }),
  )
  const cut = (all: string, at: number) =>
    at > 0 && at < all.length && all.slice(0, at).isWellFormed() ? [all.slice(0, at), all.slice(at)] : [all]

  it('what is not refused is read again as it was, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(blockOf, { maxLength: 5 }), fc.nat(40), fc.boolean(), (blocks, at, isStream) => {
        const streamed = blocks.map((b, i) => {
          if (b.kind === 'text') return textBlock(i, ...cut(b.said, at))
          const type = b.kind === 'call' ? 'tool_use' : 'server_tool_use'
          const pieces = cut(JSON.stringify(b.args), at).map(piece => json(i, piece))
          return begin(i, { type, id: `id${i}`, name: `f${i}`, input: {} }) + pieces.join('') + stop(i)
        })
        const content = blocks.map((b, i) => {
          if (b.kind === 'text') return { type: 'text', text: b.said }
          return {
            type: b.kind === 'call' ? 'tool_use' : 'server_tool_use',
            id: `id${i}`,
            name: `f${i}`,
            input: b.args,
          }
        })
        const list = isStream
          ? sound(stream(start() + streamed.join('') + finish('tool_use') + END))
          : sound(unary({ type: 'message', content, stop_reason: 'tool_use' }))
        const fates = (fate: number) =>
          blocks.flatMap((b, i) => (b.kind === 'call' && b.fate === fate ? [`b${i}`] : []))
        const out = write(list, { refuse: fates(1), capability: fates(2) })
        const again = isStream ? sound(stream(out)) : sound(unary(out))
        expect(calls(again)).toEqual(calls(list).filter(call => !fates(1).includes(call.key)))
        expect(out.split(NOTICE)).toHaveLength(fates(1).length + 1)
        const isMoot = fates(1).length > 0 && fates(1).length === calls(list).length
        expect(out.includes('"stop_reason":"end_turn"')).toBe(isMoot)
        if (fates(1).length + fates(2).length === 0) expect(out).toBe(list.map(f => text(f.raw)).join(''))
      }),
      { numRuns: 150 },
    )
  })
})
