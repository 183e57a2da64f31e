import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Fault } from '../core/wire.ts'
import { bytes, joined, text } from './chat.test-support.ts'
import { type SseEvent, SseFramer } from './sse.ts'

function frame(input: Uint8Array, cuts: readonly number[] = [], maxBytes?: number): (SseEvent | Fault)[] {
  const framer = new SseFramer(maxBytes)
  const out: (SseEvent | Fault)[] = []
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    out.push(...framer.push(input.slice(from, cut)))
    from = cut
  }
  return [...out, ...framer.push(input.slice(from)), ...framer.end()]
}

const seen = (items: readonly (SseEvent | Fault)[]) =>
  items.map(item => (item.kind === 'fault' ? item.code : [item.kind, text(item.raw), item.data]))
const everyByte = (input: Uint8Array) => Array.from({ length: input.length }, (_, i) => i)
const dataOf = (stream: string) => frame(bytes(stream)).map(item => (item.kind === 'fault' ? item.code : item.data))

describe('framing server-sent events', () => {
  it.each([
    ['LF', 'data: a\n\ndata: b\n\n'],
    ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n'],
    ['CR', 'data: a\r\rdata: b\r\r'],
    ['LF then CR', 'data: a\n\rdata: b\n\r'],
    ['CRLF then CR', 'data: a\r\n\rdata: b\r\n\r'],
    ['CR then CRLF', 'data: a\r\r\ndata: b\r\r\n'],
    ['LF then CRLF', 'data: a\n\r\ndata: b\n\r\n'],
  ])('ends events at %s', (_what, stream) => {
    expect(dataOf(stream)).toEqual(['a', 'b'])
    expect(seen(frame(bytes(stream), everyByte(bytes(stream))))).toEqual(seen(frame(bytes(stream))))
  })

  it('keeps U+2028, U+2029 and U+0085 inside a line', () => {
    expect(dataOf('data: {"a":"x\u2028\u2029\u0085SECRET"}\n\n')).toEqual(['{"a":"x\u2028\u2029\u0085SECRET"}'])
  })

  it('joins data lines with LF and takes one space off each', () => {
    expect(dataOf('data:a\ndata:  b\ndata\ndata: c\n\n')).toEqual(['a\n b\n\nc'])
  })

  it('tells comments, fields and unknown fields apart', () => {
    const [event] = frame(bytes(': hi\nevent: x\nid: 7\nretry:10\nDATA: y\ndata: z\n\n'))
    expect(event?.kind === 'event' && event.otherLines.map(line => [line.field, line.value])).toEqual([
      ['', 'hi'],
      ['event', 'x'],
      ['id', '7'],
      ['retry', '10'],
      ['unknown', 'DATA: y'],
    ])
    expect(event?.kind === 'event' && event.data).toBe('z')
  })

  it('tolerates a byte order mark at the start only', () => {
    expect(dataOf('\ufeffdata: a\n\n\ufeffdata: b\n\n')).toEqual(['a', undefined])
  })

  it('delivers an LF event with the chunk that completes it', () => {
    const framer = new SseFramer()
    expect(framer.push(bytes('data: a\n'))).toEqual([])
    expect(framer.push(bytes('\n'))).toHaveLength(1)
    expect(framer.push(bytes('data: b\r\n\r\n'))).toHaveLength(1)
  })

  it('hands an unterminated rest over as a tail, not as an event', () => {
    expect(seen(frame(bytes('data: a\n\ndata: {"SECRET')))).toEqual([
      ['event', 'data: a\n\n', 'a'],
      ['tail', 'data: {"SECRET', '{"SECRET'],
    ])
    expect(seen(frame(bytes('data: a\r\r')))).toEqual([['event', 'data: a\r\r', 'a']])
  })

  it('refuses bytes that are not UTF-8, but not a character cut in two', () => {
    const stream = bytes('data: 東京🗼\n\n')
    expect(seen(frame(stream, everyByte(stream)))).toEqual([['event', 'data: 東京🗼\n\n', '東京🗼']])
    const broken = joined([bytes('data: ok\n\ndata: '), new Uint8Array([0xc3, 0x0a, 0x0a]), bytes('data: later\n\n')])
    expect(seen(frame(broken))).toEqual([['event', 'data: ok\n\n', 'ok'], 'upstream_protocol_violation'])
  })

  it('stops at the event limit however the bytes arrive, and says nothing more', () => {
    const long = bytes(`data: ok\n\ndata: ${'x'.repeat(60)}\n\ndata: later\n\n`)
    const expected = [['event', 'data: ok\n\n', 'ok'], 'upstream_sse_unterminated']
    expect(seen(frame(long, [], 64))).toEqual(expected)
    expect(seen(frame(long, everyByte(long), 64))).toEqual(expected)
    expect(seen(frame(bytes('x'.repeat(65)), [], 64))).toEqual(['upstream_sse_unterminated'])
    const exact = bytes(`data: ${'x'.repeat(56)}\n\n`)
    expect(seen(frame(exact, everyByte(exact), 64))).toHaveLength(1)
    expect(frame(exact, [], 64)[0]?.kind).toBe('event')
  })

  it('gives the same events for any cutting, and loses no byte', () => {
    const piece = fc.constantFrom(
      'data: a',
      'data:',
      ':c',
      'id: 1',
      '\n',
      '\r',
      '\r\n',
      '\n\n',
      '\r\r',
      'é',
      '\u2028',
      'x',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.array(fc.nat(80), { maxLength: 10 }), (list, cuts) => {
        const input = bytes(list.join(''))
        const whole = frame(input)
        const inside = cuts.filter(cut => cut <= input.length)
        expect(seen(frame(input, inside))).toEqual(seen(whole))
        const raw = whole.flatMap(item => (item.kind === 'fault' ? [] : [item.raw]))
        expect(text(joined(raw))).toBe(list.join(''))
      }),
      { numRuns: 300 },
    )
  })
})
