import { describe, expect, it } from 'vitest'
import type { Fault, Frame } from '../core/wire.ts'
import { bytes, channels, DONE, event, faultCode, frames, parts, text } from './chat.test-support.ts'
import { completionsDialect } from './completions.ts'
import { load, surface } from './plain.test-support.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'

const { read, unary, redact, request } = surface(completionsDialect, { model: 'm', prompt: 'hi' })
const M = 'LEAK-MARKER'
const spelled = [...bytes(M)]
const stream = (events: string) => read(events, { type: 'text/event-stream' })
const chunk = (choice: object) => event({ choices: [{ index: 0, text: '', finish_reason: null, ...choice }] })
const END = chunk({ finish_reason: 'stop' }) + DONE
const sees = (items: readonly (Frame | Fault)[], said = M) =>
  Object.values(channels(items)).some(channel => channel.includes(said))

const CHOICE_FIELDS: [string, object][] = [
  ['text', { text: M }],
  ['text that is a list', { text: ['a', M] }],
  ['tokens', { logprobs: { tokens: [M] } }],
  ['tokens in pieces', { logprobs: { tokens: ['LEAK', '-', 'MARKER'] } }],
  ['alternative tokens', { logprobs: { top_logprobs: [{ [M]: -1 }] } }],
  ['alternatives in pieces', { logprobs: { top_logprobs: [{ x: 0, LEAK: -1 }, null, { y: 0, '-MARKER': -1 }] } }],
  ['an unknown field of the log-probabilities', { logprobs: { note: M } }],
  ['log-probabilities in the form of chat', { logprobs: { content: [{ token: M, top_logprobs: [] }] } }],
  ['the bytes of such a token', { logprobs: { content: [{ token: '', bytes: spelled }] } }],
  ['log-probabilities that are a string', { logprobs: M }],
  ['text offsets that spell it', { logprobs: { text_offset: spelled } }],
  ['token ids that spell it', { token_ids: spelled }],
  ['tokens of the prompt', { prompt_logprobs: [null, { 42: { logprob: 0, decoded_token: M } }] }],
  ['a finish reason', { finish_reason: M }],
  ['a stop reason', { stop_reason: M }],
  ['a message', { message: { role: 'assistant', content: M } }],
  ['a delta', { delta: { content: M } }],
  ['an unknown field', { mood: { is: [[M]] } }],
  ['an unknown key', { [M]: 1 }],
]
const TOP_FIELDS: [string, object][] = [
  ['id', { id: M }],
  ['model', { model: M }],
  ['object', { object: M }],
  ['system_fingerprint', { system_fingerprint: M }],
  ['error.message', { error: { message: M } }],
  ['usage', { usage: { note: M } }],
  ['an unknown field', { invented: [M] }],
  ['an unknown key', { [M]: null }],
]

describe('text is seen', () => {
  it.each(CHOICE_FIELDS)('in a stream: %s', (_what, fields) => {
    expect(sees(stream(chunk(fields) + END))).toBe(true)
  })

  it.each(CHOICE_FIELDS)('in a unary answer, second choice: %s', (_what, fields) => {
    const items = unary({
      choices: [
        { index: 0, text: 'a' },
        { index: 1, text: '', ...fields },
      ],
    })
    expect(sees(items)).toBe(true)
    expect(parts(items).every(p => p.kind !== 'text' || !p.text.includes(M) || p.channel.choice === 1)).toBe(true)
  })

  it.each(TOP_FIELDS)('in a stream: %s', (_what, fields) => {
    expect(sees(stream(event({ choices: [], ...fields }) + END))).toBe(true)
  })

  it.each(TOP_FIELDS)('in a unary answer: %s', (_what, fields) => {
    expect(sees(unary({ choices: [], ...fields }))).toBe(true)
  })

  it.each([
    ['comment', `: ${M}\n\n`],
    ['event', `event: ${M}\ndata: {"choices":[]}\n\n`],
    ['id', `id: ${M}\n\n`],
    ['retry', `retry: ${M}\n\n`],
    ['unknown', `${M}\n\n`],
  ])('in a %s line', (_what, lines) => {
    expect(sees(stream(lines + END))).toBe(true)
  })

  it('text of a choice is one channel over all events, and never joins another choice', () => {
    const items = stream(chunk({ text: 'LEAK-' }) + chunk({ index: 1, text: 'x' }) + chunk({ text: 'MARKER' }) + END)
    expect(channels(items)).toMatchObject({ '/choices/0/text': M, '/choices/1/text': 'x' })
    expect(parts(items).find(p => p.kind === 'text')).toMatchObject({ channel: { name: 'content', choice: 0 } })
  })

  it('a list or a number where the text belongs is the same text, and is redacted there', () => {
    const items = stream(chunk({ text: 'sk-' }) + chunk({ text: ['li', 've'] }) + chunk({ text: 77 }) + END)
    expect(channels(items)).toEqual({ '/choices/0/text': 'sk-li\u2060ve77' })
    expect(redact(unary({ choices: [{ index: 0, text: ['a', M] }] }), M)).toBe(
      '{"choices":[{"index":0,"text":["a","[GONE]"]}]}',
    )
    expect(redact(unary({ choices: [{ index: 0, text: 77 }] }), '77')).toBe('{"choices":[{"index":0,"text":"[GONE]"}]}')
  })

  it('an answer with nothing unusual has no text but the model’s own', () => {
    const body = { id: 'cmpl-1', object: 'text_completion', model: 'm', choices: [{ index: 0, text: 'Hello' }] }
    expect(Object.values(channels(unary(body)))).toEqual(['cmpl-1', 'm', 'Hello'])
  })
})

describe('the end of an answer', () => {
  it('reports finish and usage', () => {
    const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }
    const items = unary({ choices: [{ index: 0, text: 'a', finish_reason: 'length' }], usage })
    expect(parts(items)).toContainEqual({ kind: 'finish', choice: 0, reason: 'length' })
    expect(parts(items)).toContainEqual({ kind: 'usage', input: 3, output: 4 })
  })

  it.each([
    ['in the middle', chunk({ text: 'a' }), 'upstream_truncated'],
    ['before anything', '', 'upstream_truncated'],
    ['inside an event', `${chunk({ text: 'a', finish_reason: 'stop' })}data: {"choices":[]`, 'upstream_truncated'],
    ['with a choice unfinished', chunk({ finish_reason: 'stop' }) + chunk({ index: 1 }), 'upstream_truncated'],
    ['with data behind the end', END + chunk({ text: 'b' }), 'upstream_protocol_violation'],
    ['finished, without [DONE]', chunk({ finish_reason: 'stop' }), undefined],
    ['with an error', event({ error: { message: 'overloaded' } }), undefined],
    ['with [DONE]', END, undefined],
  ])('a stream that stops %s', (_what, events, code) => {
    expect(faultCode(stream(events))).toBe(code)
  })

  it.each([
    ['no list', { choices: 'x' }],
    ['holds a string', { choices: ['x'] }],
    [
      'repeats an index',
      {
        choices: [
          { index: 1, text: 'a' },
          { index: 1, text: 'b' },
        ],
      },
    ],
    ['has a choice far out', { choices: [{ index: 2048, text: 'a' }] }],
    ['has an index that is a string', { choices: [{ index: '0', text: 'a' }] }],
    ['has a key in other letters', { choices: [{ index: 0, Text: 'a' }] }],
  ])('`choices` that %s is a protocol violation', (_what, body) => {
    expect(faultCode(unary(body))).toBe('upstream_protocol_violation')
  })

  it.each([
    ['a delta', { delta: { tool_calls: [{ function: { name: 'f', arguments: '{}' } }] } }],
    ['a message', { message: { function_call: { name: 'f', arguments: '{}' } } }],
    ['the choice itself', { tool_calls: [] }],
  ])('a tool call in %s, which nobody could commit, is a protocol violation', (_what, fields) => {
    expect(faultCode(stream(chunk(fields) + END))).toBe('upstream_protocol_violation')
    expect(faultCode(unary({ choices: [{ index: 0, text: '', ...fields }] }))).toBe('upstream_protocol_violation')
  })

  it('a batch of a thousand prompts is read', () => {
    const choices = Array.from({ length: 1000 }, (_, index) => ({ index, text: `t${index}`, finish_reason: 'stop' }))
    expect(parts(unary({ choices })).filter(p => p.kind === 'text' && p.channel.name === 'content')).toHaveLength(1000)
  })

  it('a stream request answered with a JSON error is read as such', () => {
    const reader = completionsDialect.openResponse({ ...request(), stream: true }, 429, 'application/json')
    expect('stream' in reader && reader.stream).toBe(false)
  })
})

describe('redaction', () => {
  const withLogprobs = {
    index: 0,
    text: `say ${M} now`,
    token_ids: [1, 2, 3000],
    logprobs: { tokens: ['say ', M, ' now'], token_logprobs: [0, 0, 0], top_logprobs: [{ [M]: 0 }], text_offset: [0] },
    finish_reason: 'stop',
  }

  it('rewrites the text and drops every token-wise copy of it', () => {
    const body = { created: 1.0, choices: [withLogprobs, { index: 1, text: 'b', logprobs: { tokens: ['b'] } }] }
    expect(JSON.parse(redact(unary(body), M))).toEqual({
      created: 1,
      choices: [
        { ...withLogprobs, text: 'say [GONE] now', token_ids: null, logprobs: null },
        { index: 1, text: 'b', logprobs: { tokens: ['b'] } },
      ],
    })
  })

  it('drops log-probabilities where only a token is to go', () => {
    const body = { choices: [{ index: 0, text: 'harmless', logprobs: { top_logprobs: [{ [M]: 0 }] } }] }
    expect(JSON.parse(redact(unary(body), M))).toEqual({ choices: [{ index: 0, text: 'harmless', logprobs: null }] })
  })

  it('in a stream, later log-probabilities of that choice go too', () => {
    const events = chunk({ text: M }) + chunk({ text: 'b', logprobs: { tokens: ['b'] } }) + END
    const out = redact(stream(events), M, true)
    expect(out).toBe(chunk({ text: '[GONE]' }) + chunk({ text: 'b', logprobs: null }) + END)
  })

  it('reaches ids, errors and comments', () => {
    expect(redact(unary({ id: M, choices: [] }), M)).toBe('{"id":"[GONE]","choices":[]}')
    expect(redact(unary({ error: { message: M } }, 400), M)).toBe('{"error":{"message":"[GONE]"}}')
    expect(redact(stream(`: ${M}\n\n${END}`), M, true)).toBe(`: [GONE]\n\n${END}`)
  })

  it('of a key or of numbers elsewhere cannot be written, and says so', () => {
    expect(() => redact(unary({ choices: [], [M]: 1 }), M)).toThrow(RedactionUnwritable)
    expect(() => redact(unary({ choices: [], blob: spelled }), M)).toThrow(RedactionUnwritable)
  })

  it('changes nothing else in a recorded stream', () => {
    const raw = text(load('completions', 'stream.sse'))
    const out = redact(stream(raw), 'brown', true)
    expect(out).toBe(raw.replaceAll('brown', '[GONE]'))
    expect(out).not.toBe(raw)
  })
})

describe('what the gate says itself', () => {
  const because = { code: 'output_pattern', reason: 'a pattern matched' } as const
  const r = { status: 403, because, stage: 'inspection', correlationId: 'c', strict: false } as const

  it('aborts a stream with an error event and the end', () => {
    const writer = completionsDialect.openWriter({ ...request(), stream: true })
    expect(text(writer.abort(r))).toMatch(
      /^data: \{"signet_abort":true,.*\}\n\ndata: \{"error":.*\}\n\ndata: \[DONE\]\n\n$/,
    )
    expect(text(writer.comment('receipt x'))).toBe(': receipt x\n\n')
  })

  it('has no comments in a unary answer', () => {
    expect(completionsDialect.openWriter(request()).comment('x')).toHaveLength(0)
  })
})

it('golden streams end with the end part', () => {
  const items = frames(stream(text(load('completions', 'stream.sse'))))
  expect(items.at(-1)?.parts).toEqual([{ kind: 'end' }])
})
