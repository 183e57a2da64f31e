/**
 * Upstream's relayed headers as text. A request id or a rate-limit header is a string that upstream chooses, so it is
 * inspected like any other string of the answer; plain counts, durations and known content types say nothing.
 */
import type { Frame } from '../core/wire.ts'

/** One frame for all of them, or `undefined` when none holds text. `flat`: names and values in turn. */
export function headFrame(flat: readonly string[]): Frame | undefined {
  let text = ''
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = flat[i] ?? ''
    const value = flat[i + 1] ?? ''
    if (isText(name, value)) text += `${name}: ${value}\n`
  }
  if (text === '') return undefined
  const channel = { key: ':headers', choice: 0, name: 'other', pointer: ':headers' } as const
  return { kind: 'frame', raw: new Uint8Array(0), parts: [{ kind: 'text', channel, text, from: 'snapshot' }] }
}

/** What is left when something in them would have to be redacted. */
export function withoutText(flat: readonly string[]): readonly string[] {
  const out: string[] = []
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = flat[i] ?? ''
    const value = flat[i + 1] ?? ''
    if (!isText(name, value)) out.push(name, value)
    else if (name === 'content-type') {
      out.push(name, /^text\/event-stream/i.test(value) ? 'text/event-stream' : 'application/json')
    }
  }
  return out
}

const COUNTED =
  /^(?:openai-processing-ms|retry-after|retry-after-ms|(?:x-|anthropic-)?ratelimit-(?:(?:limit|remaining|reset)(?:-(?:requests|tokens))?|(?:(?:input-|output-)?tokens|requests)-(?:limit|remaining)))$/
const COUNT = /^[0-9]{1,10}(?:\.[0-9]{1,6})?(?:ms|[smhd])?$/
const TYPE = /^(?:application\/json|text\/event-stream)(?:; ?charset=utf-8)?$/i

function isText(name: string, value: string): boolean {
  if (name === 'content-type') return !TYPE.test(value)
  return !(COUNTED.test(name) && COUNT.test(value))
}
