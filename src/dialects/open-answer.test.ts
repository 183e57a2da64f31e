import { describe, expect, it } from 'vitest'
import { DIALECTS } from './registry.ts'

const MESSAGES = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }] }
const REQUESTS: Readonly<Record<string, object>> = {
  chat: { model: 'm', messages: [{ role: 'user', content: 'Hi' }] },
  responses: { model: 'm', input: 'Hi' },
  messages: MESSAGES,
  'count-tokens': MESSAGES,
  completions: { model: 'm', prompt: 'Hi' },
  embeddings: { model: 'm', input: 'Hi' },
  moderations: { model: 'm', input: 'Hi' },
}

function opening(dialect: (typeof DIALECTS)[number], stream: boolean) {
  const isGet = dialect.routes.every(route => route.method === 'GET')
  const request = REQUESTS[dialect.name]
  if (!isGet && request === undefined) throw new Error(`no request for the surface ${dialect.name} here`)
  const body = isGet ? '' : JSON.stringify(stream ? { ...request, stream } : request)
  const view = dialect.readRequest(Buffer.from(body))
  if ('code' in view) throw new Error(`${dialect.name}: ${view.message}`)
  return (contentType: string | undefined, status = 200) => {
    const reader = dialect.openResponse(view, status, contentType)
    return 'code' in reader ? reader.code : reader.stream ? 'stream' : 'body'
  }
}

const modes = DIALECTS.flatMap(dialect =>
  (['unary', 'stream'] as const)
    .filter(mode => dialect.carriers.some(carrier => carrier.modes.includes(mode)))
    .map(mode => ({ surface: dialect.name, mode, open: opening(dialect, mode === 'stream') })),
)

describe('which reader an answer gets', () => {
  it('has every surface and mode below', () => {
    expect(modes).toHaveLength(12)
  })

  it.each(modes)('$surface, $mode: none in another charset than was inspected', ({ open }) => {
    for (const type of [
      'application/json; charset=utf-7',
      'application/json;charset="UTF-16"',
      'text/event-stream; charset=utf-7',
      'text/event-stream; charset=utf-8; charset=utf-7',
      'text/event-stream; Charset*=utf-7',
      '; charset=utf-16',
    ]) {
      expect([type, open(type)]).toEqual([type, 'upstream_content_type_invalid'])
    }
  })

  it.each(modes)('$surface, $mode: none for what cannot be inspected', ({ open }) => {
    for (const type of ['text/html', 'multipart/mixed; boundary=x', 'application/x-ndjson', 'audio/mpeg', '*/*']) {
      expect([type, open(type)]).toEqual([type, 'upstream_content_type_invalid'])
    }
    // Errors come in one body on every API: a stream of them is nobody's.
    expect(open('text/event-stream', 500)).toBe('upstream_content_type_invalid')
  })

  it.each(modes)('$surface, $mode: the one that upstream says, else the one that was asked for', ({ open, mode }) => {
    for (const type of ['application/json', 'application/json; charset=utf-8', 'APPLICATION/JSON;charset="UTF-8"']) {
      expect(open(type)).toBe('body')
    }
    expect(open('application/problem+json', 400)).toBe('body')
    expect(open(undefined, 429)).toBe('body')
    expect(open(undefined)).toBe(mode === 'stream' ? 'stream' : 'body')
    if (mode === 'stream') {
      for (const type of ['text/event-stream', 'Text/Event-Stream; charset=utf-8', 'text/plain']) {
        expect(open(type)).toBe('stream')
      }
    }
  })
})
