/** The event framer: the same events in any cutting, and every byte in exactly one of them. */

import type { Fault } from '../../../src/core/wire.ts'
import { readEvent, type SseEvent, SseFramer } from '../../../src/dialects/sse.ts'
import { Random } from '../random.ts'
import { bytesOf, equal, must, type Target } from '../target.ts'

function events(bytes: Uint8Array, cuts: readonly number[]): (SseEvent | Fault)[] {
  const framer = new SseFramer(8192)
  const out: (SseEvent | Fault)[] = []
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    out.push(...framer.push(bytes.slice(from, cut)))
    from = Math.max(from, cut)
  }
  return [...out, ...framer.push(bytes.slice(from)), ...framer.end()]
}

/** Cuts that depend on the bytes alone, so that a failure is one input. */
export function cutsOf(bytes: Uint8Array): number[] {
  const random = new Random(bytes.length * 31 + (bytes[0] ?? 0) + (bytes.at(-1) ?? 0) * 7)
  return random.list(8, () => random.below(bytes.length + 1))
}

export const sse: Target = {
  name: 'sse',
  words: [
    'data:',
    'data',
    'event: e\n',
    ': c\n',
    'id: 1\n',
    'retry: 1\r',
    '\r\n\r\n',
    '\r\r',
    '\n\r',
    'data: {"a":1}\n\n',
  ],
  build: random =>
    bytesOf(
      random
        .list(6, () =>
          random.pick(['data: x\n', 'data:y\r\n', ': c\r', 'event: e\n', '\n', '\r\n', '\r', 'z: \u2028\n']),
        )
        .join(''),
    ),
  check: bytes => {
    const once = events(bytes, [])
    equal(events(bytes, cutsOf(bytes)), once, 'the events, cut otherwise')
    if (bytes.length < 512) {
      const each = Array.from(bytes, (_, i) => i)
      equal(events(bytes, each), once, 'the events, byte by byte')
    }
    const faults = once.filter(item => item.kind === 'fault')
    must(faults.length <= 1 && (faults.length === 0 || once.at(-1)?.kind === 'fault'), 'a fault is the last thing')
    const raw = Buffer.concat(once.flatMap(item => (item.kind === 'fault' ? [] : [item.raw])))
    must(raw.equals(Buffer.from(bytes.subarray(0, raw.length))), 'events are the bytes that came, in order')
    must(faults.length > 0 || raw.length === bytes.length, 'every byte is in an event')
    once.forEach((item, i) => {
      if (item.kind === 'fault') return
      equal(readEvent(item.raw, item.text, i === 0, item.kind), item, 'an event, read again')
      for (const line of [...item.dataLines, ...item.otherLines])
        must(item.text.slice(line.from, line.to) === line.value, 'a line stands where it is said to')
    })
  },
}
