import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import OpenAI, { APIError } from 'openai'
import { describe, expect, it } from 'vitest'
import type { Edit, Frame, Refusal } from '../core/wire.ts'
import {
  bytes,
  DONE,
  delta,
  event,
  faultCode,
  frames,
  joined,
  read,
  request,
  stream,
  text,
} from './chat.test-support.ts'
import { chatDialect } from './chat.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'

const load = (name: string) => new Uint8Array(readFileSync(new URL(`testdata/${name}`, import.meta.url)))
const NOTICE = 'The call was refused by policy.'
const END = delta({}, 'stop') + DONE

/** What the pipeline does: edits for the frames that carry the calls and texts concerned. */
function write(
  items: readonly Frame[],
  want: { readonly refuse?: readonly string[]; readonly capability?: readonly string[]; readonly redact?: string } = {},
): string {
  const writer = chatDialect.openWriter(request())
  return text(joined(items.map(f => writer.write(f, editsFor(f, want)))))
}

function editsFor(f: Frame, want: Parameters<typeof write>[1] = {}): Edit[] {
  return f.parts.flatMap((part, i): Edit[] => {
    if (part.kind === 'text' && want.redact !== undefined && part.text.includes(want.redact)) {
      const from = part.text.indexOf(want.redact)
      return [{ kind: 'text', part: i, edits: [{ from, to: from + want.redact.length, text: '[GONE]' }] }]
    }
    if (part.kind !== 'callPiece') return []
    if (want.refuse?.includes(part.key)) return [{ kind: 'refuse', key: part.key, notice: NOTICE }]
    if (want.capability?.includes(part.key)) return [{ kind: 'capability', key: part.key, jws: `jws.of.${part.key}` }]
    return []
  })
}

const callKeys = (items: readonly Frame[]) =>
  items.flatMap(f => f.parts.flatMap(part => (part.kind === 'callDone' ? [part.call.key] : [])))

/** The vendor's own client, its stream accumulator included, reading `body` as the answer. */
function client(body: string, type = 'text/event-stream', status = 200): OpenAI {
  const fetch = () => Promise.resolve(new Response(body, { status, headers: { 'content-type': type } }))
  return new OpenAI({ apiKey: 'none', baseURL: 'http://upstream.test/v1', fetch, maxRetries: 0 })
}

const ask = { model: 'm', messages: [{ role: 'user' as const, content: 'hi' }] }
const accumulate = (body: string) =>
  client(body)
    .chat.completions.stream({ ...ask, n: 2 })
    .finalChatCompletion()

function echo(message: unknown): string | undefined {
  const v = chatDialect.readRequest(bytes(JSON.stringify({ model: 'm', messages: [message] })))
  return 'code' in v ? v.code : undefined
}

describe('refusing calls in a stream', () => {
  const items = frames(read(load('parallel-calls.sse')))
  const [first, second, third] = callKeys(items) as [string, string, string]

  it.each([
    ['none', [], ['get_weather', 'delete_file', 'get_time'], 'tool_calls'],
    ['the first', [first], ['delete_file', 'get_time'], 'tool_calls'],
    ['the middle one', [second], ['get_weather', 'get_time'], 'tool_calls'],
    ['the last', [third], ['get_weather', 'delete_file'], 'tool_calls'],
    ['two', [first, third], ['delete_file'], 'tool_calls'],
    ['all', [first, second, third], [], 'stop'],
  ])('%s: the SDK accumulates what is left', async (_what, refuse, names, finish) => {
    const out = write(items, { refuse })
    const completion = await accumulate(out)
    const [choice] = completion.choices
    const left = choice?.message.tool_calls ?? []
    expect(left.map(call => call.type === 'function' && call.function.name)).toEqual(names)
    for (const call of left) expect(() => call.type === 'function' && JSON.parse(call.function.arguments)).not.toThrow()
    expect(choice?.finish_reason).toBe(finish)
    expect(choice?.message.content ?? null).toBe(refuse.length === 0 ? null : refuse.map(() => NOTICE).join('\n\n'))
    expect(completion.usage?.completion_tokens).toBe(30)
    expect(echo(choice?.message)).toBeUndefined()
    expect(faultCode(stream(out))).toBeUndefined()
    const indices = [...out.matchAll(/"tool_calls":\[\{"index":(\d+)/g)].map(match => Number(match[1]))
    expect([...new Set(indices)].sort()).toEqual(names.map((_, i) => i))
  })

  it('puts the notice behind what was already said, and before what is said later', async () => {
    const call = { tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] }
    const events =
      delta({ role: 'assistant', content: 'Let me see.' }) +
      delta(call) +
      delta({ content: 'So.' }) +
      delta({}, 'tool_calls') +
      DONE
    const list = frames(stream(events))
    const completion = await accumulate(write(list, { refuse: callKeys(list) }))
    expect(completion.choices[0]?.message).toMatchObject({ content: `Let me see.\n\n${NOTICE}\n\nSo.` })
    expect(completion.choices[0]?.message.tool_calls).toBeUndefined()
    expect(completion.choices[0]?.finish_reason).toBe('stop')
  })

  it('handles a call, a role, content and the finish in one chunk', async () => {
    const call = {
      role: 'assistant',
      content: 'Hm.',
      tool_calls: [
        { index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } },
        { index: 1, id: 'b', type: 'function', function: { name: 'g', arguments: '{}' } },
      ],
    }
    const list = frames(stream(delta(call, 'tool_calls') + DONE))
    const [one, two] = callKeys(list) as [string, string]
    const both = await accumulate(write(list, { refuse: [one, two] }))
    expect(both.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: `Hm.\n\n${NOTICE}\n\n${NOTICE}` },
    })
    const single = await accumulate(write(list, { refuse: [one] }))
    expect(single.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: `Hm.\n\n${NOTICE}`, tool_calls: [{ id: 'b' }] },
    })
  })

  it('refuses legacy and custom calls, each in its choice', async () => {
    const list = frames(read(load('legacy-and-custom.sse')))
    const out = write(list, { refuse: callKeys(list) })
    expect(out).not.toMatch(/function_call|tool_calls|lookup|shell/)
    expect(out.match(/"finish_reason":"stop"/g)).toHaveLength(2)
    expect(out.split(NOTICE)).toHaveLength(3)
  })

  it('leaves the other choice alone', () => {
    const call = (index: number) =>
      delta({ tool_calls: [{ index: 0, id: `c${index}`, function: { name: 'f', arguments: '{}' } }] }, null, index)
    const list = frames(stream(call(0) + call(1) + delta({}, 'tool_calls', 1) + delta({}, 'tool_calls') + DONE))
    const keys = callKeys(list)
    const out = write(list, { refuse: keys.filter(key => key.startsWith('c0')) })
    expect(out).toContain(call(1))
    expect(out).toContain(delta({}, 'tool_calls', 1))
    expect(out).toContain('"index":0,"delta":{},"finish_reason":"stop"')
  })

  it('removes a call with its name and arguments whatever frames they came in', () => {
    const args = '{"path":"/etc/SECRET"}'
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: args.length - 1 }), { maxLength: 6 }),
        fc.boolean(),
        (cuts, lead) => {
          const at = [...new Set([0, ...cuts, args.length])].sort((a, b) => a - b)
          const pieces = at.slice(1).map((to, i) => args.slice(at[i], to))
          const one = (fields: object) => delta({ tool_calls: [{ index: 0, ...fields }] })
          const events =
            (lead ? delta({ role: 'assistant', content: 'x' }) : '') +
            one({ id: 'a', type: 'function', function: { name: 'delete_file' } }) +
            pieces.map(p => one({ function: { arguments: p } })).join('') +
            delta({}, 'tool_calls') +
            DONE
          const list = frames(stream(events))
          const again = frames(stream(write(list, { refuse: callKeys(list) })))
          expect(callKeys(again)).toEqual([])
          expect(again).toHaveLength(list.length)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('writes the same bytes from a fresh writer over stored frames', () => {
    const stored = items.map(f => ({ raw: text(f.raw), parts: JSON.parse(JSON.stringify(f.parts)) as Frame['parts'] }))
    const again: Frame[] = stored.map(f => ({ kind: 'frame', raw: bytes(f.raw), parts: f.parts }))
    expect(write(again, { refuse: [second] })).toBe(write(items, { refuse: [second] }))
  })
})

describe('refusing calls in a unary answer', () => {
  const list = frames(read(load('unary.json'), [], { type: 'application/json' }))
  const [first, second] = callKeys(list) as [string, string]
  const complete = (body: string) => client(body, 'application/json').chat.completions.create(ask)

  it.each([
    ['one', [second], 'tool_calls', ['get_weather'], `Let me look.\n\n${NOTICE}`],
    ['both', [first, second], 'stop', undefined, `Let me look.\n\n${NOTICE}\n\n${NOTICE}`],
  ])('%s', async (_what, refuse, finish, names, content) => {
    const out = write(list, { refuse })
    const [choice, other] = (await complete(out)).choices
    expect(choice?.finish_reason).toBe(finish)
    expect(choice?.message.content).toBe(content)
    expect(choice?.message.tool_calls?.map(call => call.type === 'function' && call.function.name)).toEqual(names)
    expect(other?.message.content).toBe('Second.')
    expect(out).toContain('12345678901234567890')
    expect(echo(choice?.message)).toBeUndefined()
  })

  it('puts the notice where content is null, missing or a list', () => {
    const calls = { tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{}' } }] }
    const content = (message: object) => {
      const body = JSON.stringify({ choices: [{ message: { ...message, ...calls }, finish_reason: 'tool_calls' }] })
      const one = frames(read(bytes(body), [], { type: 'application/json' }))
      const message0 = JSON.parse(write(one, { refuse: callKeys(one) })).choices[0].message
      expect(message0).not.toHaveProperty('tool_calls')
      return message0.content
    }
    expect(content({ content: null })).toBe(NOTICE)
    expect(content({})).toBe(NOTICE)
    expect(content({ content: [{ type: 'text', text: 'a' }] })).toEqual([
      { type: 'text', text: 'a' },
      { type: 'text', text: NOTICE },
    ])
    expect(content({ content: [] })).toEqual([{ type: 'text', text: NOTICE }])
  })
})

describe('capabilities', () => {
  it('ride on the first fragment of their call and leave every other frame alone', async () => {
    const items = frames(read(load('parallel-calls.sse')))
    const keys = callKeys(items)
    const out = write(items, { capability: keys })
    expect(out.match(/"signet":\{"capability":/g)).toHaveLength(3)
    expect(out.replaceAll(/,"signet":\{"capability":"[^"]*"\}/g, '')).toBe(text(load('parallel-calls.sse')))
    const completion = await accumulate(out)
    expect(completion.choices[0]?.message.tool_calls).toMatchObject(
      keys.map(key => ({ signet: { capability: `jws.of.${key}` } })),
    )
    expect(echo(completion.choices[0]?.message)).toBeUndefined()
  })

  it('sit on each call of a unary answer', () => {
    const list = frames(read(load('unary.json'), [], { type: 'application/json' }))
    const calls = JSON.parse(write(list, { capability: callKeys(list) })).choices[0].message.tool_calls
    expect(calls.map((call: { signet: unknown }) => call.signet)).toEqual(
      callKeys(list).map(key => ({ capability: `jws.of.${key}` })),
    )
  })

  it('survive the refusal of a call before them', async () => {
    const items = frames(read(load('parallel-calls.sse')))
    const [first, ...rest] = callKeys(items)
    const completion = await accumulate(write(items, { refuse: [first ?? ''], capability: rest }))
    expect(completion.choices[0]?.message.tool_calls).toMatchObject(
      rest.map(key => ({ signet: { capability: `jws.of.${key}` } })),
    )
  })
})

describe('redacting', () => {
  it.each<[string, object]>([
    ['content', { content: 'the SECRET é' }],
    [
      'content parts',
      {
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'the SECRET' },
        ],
      },
    ],
    ['reasoning', { reasoning: 'the SECRET' }],
    ['refusal', { refusal: 'SECRET' }],
    ['transcript', { audio: { transcript: 'SECRET' } }],
    ['an unknown field', { mood: { deep: ['x', 'SECRET'] } }],
    ['a call field nobody knows', { tool_calls: [{ index: 0, function: { name: 'f', description: 'SECRET' } }] }],
  ])('%s changes that string and nothing else', (_what, d) => {
    const events = delta(d) + END
    expect(write(frames(stream(events)), { redact: 'SECRET' })).toBe(events.replace('SECRET', '[GONE]'))
    const body = JSON.stringify({ choices: [{ message: d, finish_reason: 'stop' }] })
    const list = frames(read(bytes(body), [], { type: 'application/json' }))
    expect(write(list, { redact: 'SECRET' })).toBe(body.replace('SECRET', '[GONE]'))
  })

  it.each([': SECRET here\n\n', 'event: SECRET\ndata: {"choices":[]}\n\n', 'id: SECRET\nretry: 5\n\n'])(
    '%j as a line',
    events => {
      expect(write(frames(stream(events + END)), { redact: 'SECRET' })).toBe(events.replace('SECRET', '[GONE]') + END)
    },
  )

  it('keeps several data lines an event', () => {
    const events = `id: 1\r\ndata: {"choices":[{"index":0,\r\ndata: "delta":{"content":"SECRET"}}]}\r\n: c\r\n\r\n${END}`
    const out = write(frames(stream(events)), { redact: 'SECRET' })
    expect(out).not.toContain('SECRET')
    expect(faultCode(stream(out))).toBeUndefined()
    expect(out).toContain('[GONE]')
    expect(out).toContain(': c\r\n')
  })

  it('writes an event of very many data lines', () => {
    const events = `${delta({ content: 'SECRET' }).trim()}\n${'data:\n'.repeat(150_000)}\n${END}`
    const out = write(frames(stream(events)), { redact: 'SECRET' })
    expect(out.startsWith('data: {"choices":[{"index":0,"delta":{"content":"[GONE]"}')).toBe(true)
    expect(faultCode(stream(out))).toBeUndefined()
  })

  it('drops log-probabilities of that choice from then on, in this choice only', () => {
    const logprobs = { content: [{ token: 'SECRET', bytes: null, logprob: -1, top_logprobs: [] }] }
    const later = { content: [{ token: 'later', bytes: null, logprob: -1, top_logprobs: [] }] }
    const chunk = (content: string, lp: object, index = 0) =>
      event({ choices: [{ index, delta: { content }, logprobs: lp, finish_reason: null }] })
    const events =
      chunk('SECRET', logprobs) +
      chunk('later', later) +
      chunk('other', later, 1) +
      delta({}, 'stop') +
      delta({}, 'stop', 1) +
      DONE
    const [one, two, three] = write(frames(stream(events)), { redact: 'SECRET' }).split('\n\n')
    expect(one).toBe(
      'data: {"choices":[{"index":0,"delta":{"content":"[GONE]"},"logprobs":null,"finish_reason":null}]}',
    )
    expect(two).toContain('"logprobs":null')
    expect(three).toBe(chunk('other', later, 1).trim())
  })

  it('drops log-probabilities when only their bytes spell it', () => {
    const logprobs = { content: [{ token: '', bytes: [...bytes('SECRET')], logprob: -1, top_logprobs: [] }] }
    const events = event({ choices: [{ index: 0, delta: { content: 'x' }, logprobs, finish_reason: 'stop' }] }) + DONE
    expect(write(frames(stream(events)), { redact: 'SECRET' })).toContain('"logprobs":null')
  })

  it('redacts a constant in every later chunk that repeats it', () => {
    const chunk = event({ id: 'x', model: 'gpt-SECRET', choices: [{ index: 0, delta: { content: 'a' } }] })
    const out = write(frames(stream(chunk + chunk + chunk + END)), { redact: 'SECRET' })
    expect(out.match(/gpt-\[GONE\]/g)).toHaveLength(3)
    expect(out).not.toContain('SECRET')
  })

  it.each<[string, string]>([
    ['an object key', delta({ SECRET_key: 'a' })],
    ['a call name', delta({ tool_calls: [{ index: 0, function: { name: 'SECRET' } }] })],
    ['bytes in an unknown field', delta({ blob: [...bytes('SECRET')] })],
    ['text that was also sent as sound before', delta({ audio: { data: 'UklGRg==' } }) + delta({ content: 'SECRET' })],
    ['signed reasoning', delta({ reasoning_details: [{ type: 'reasoning.text', text: 'SECRET', signature: 'sig' }] })],
  ])('throws for %s', (_what, events) => {
    expect(() => write(frames(stream(events + END)), { redact: 'SECRET' })).toThrow(RedactionUnwritable)
  })

  it('throws when sound of redacted text follows', () => {
    const events = delta({ content: 'SECRET' }) + delta({ audio: { data: 'UklGRg==' } }) + END
    expect(() => write(frames(stream(events)), { redact: 'SECRET' })).toThrow(/sound/)
  })

  it('throws for an edit it cannot place', () => {
    const [f] = frames(stream(delta({ content: 'a' }) + END))
    if (f === undefined) throw new Error('no frame')
    const writer = chatDialect.openWriter(request())
    const stale: Frame = {
      ...f,
      parts: [
        {
          kind: 'text',
          channel: { key: 'k', choice: 0, name: 'content', pointer: '/elsewhere' },
          text: 'zz',
          from: 'delta',
        },
      ],
    }
    expect(() => writer.write(stale, [{ kind: 'text', part: 0, edits: [{ from: 0, to: 1, text: 'x' }] }])).toThrow(
      RedactionUnwritable,
    )
  })

  it('redacts in place whatever the cutting, and the answer stays readable', () => {
    const word = fc.constantFrom('a', 'SECRET', 'é"\\', '\n', '東')
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.array(word, { minLength: 1, maxLength: 3 }), fc.nat(1)), { maxLength: 8 }),
        list => {
          const events = list.map(([words, index]) => delta({ content: words.join('') }, null, index)).join('')
          const out = write(frames(stream(events + delta({}, 'stop') + delta({}, 'stop', 1) + DONE)), {
            redact: 'SECRET',
          })
          const said = frames(stream(out)).flatMap(f =>
            f.parts.flatMap(part => (part.kind === 'text' ? [part.text] : [])),
          )
          expect(said).toEqual(list.map(([words]) => words.join('').replace('SECRET', '[GONE]')))
        },
      ),
      { numRuns: 80 },
    )
  })
})

describe('ending a stream', () => {
  const refusal: Refusal = {
    status: 403,
    because: { code: 'marker', reason: 'a classification marker above the declared level', details: { at: 7 } },
    stage: 'inspection',
    check: 'scope_drift',
    correlationId: '0192',
    strict: false,
  }
  const writer = chatDialect.openWriter(request())

  it('says so in the wire contract, key order included', () => {
    expect(text(writer.abort({ ...refusal, escalationId: 'e1' }))).toBe(
      'data: {"signet_abort":true,"reason":"a classification marker above the declared level","correlation_id":"0192","stage":"inspection","check":"scope_drift","escalation_id":"e1","choices":[],"error":{"message":"signet refused this response: a classification marker above the declared level","type":"signet_refusal","code":"marker"}}\n\ndata: {"error":{"message":"signet refused this response: a classification marker above the declared level","type":"permission_error","param":null,"code":"marker"}}\n\ndata: [DONE]\n\n',
    )
    expect(text(writer.abort({ ...refusal, strict: true }))).toBe(
      'data: {"signet_abort":true,"reason":"refused","correlation_id":"0192","stage":"inspection","choices":[],"error":{"message":"refused","type":"signet_refusal","code":"refused"}}\n\ndata: {"error":{"message":"refused","type":"permission_error","param":null,"code":"refused"}}\n\ndata: [DONE]\n\n',
    )
  })

  it('keeps transport tokens in strict mode', () => {
    const transport: Refusal = {
      ...refusal,
      strict: true,
      stage: 'upstream',
      because: { code: 'upstream_truncated', reason: 'x' },
    }
    expect(text(writer.abort(transport))).toContain('"reason":"upstream_truncated"')
    const policy: Refusal = { ...transport, because: { code: 'upstream_tool', reason: 'x' } }
    expect(text(writer.abort(policy))).toContain('"reason":"refused"')
  })

  it("makes the vendor's client raise its typed error, in streams raw and accumulated", async () => {
    const body = delta({ role: 'assistant', content: 'so far' }) + text(writer.abort(refusal))
    const seen: string[] = []
    const raw = async () => {
      for await (const chunk of await client(body).chat.completions.create({ ...ask, stream: true }))
        seen.push(chunk.choices[0]?.delta.content ?? '')
    }
    await expect(raw()).rejects.toMatchObject({ code: 'marker', type: 'signet_refusal' })
    expect(seen).toEqual(['so far'])
    await expect(accumulate(body)).rejects.toThrow(APIError)
  })

  it('comments stay on one line, and are nothing on a unary answer', async () => {
    expect(text(writer.comment('a\r\ndata: {"choices":[]}\n\nb'))).toBe(': a data: {"choices":[]} b\n\n')
    const unary = chatDialect.openWriter(request({ stream: false }))
    expect(unary.comment('x')).toHaveLength(0)
    expect(JSON.parse(text(unary.abort(refusal)))).toMatchObject({ error: 'signet refused this request' })
    const completion = await accumulate(
      text(writer.comment('receipt')) + delta({ role: 'assistant', content: 'a' }) + text(writer.comment('x')) + END,
    )
    expect(completion.choices[0]?.message.content).toBe('a')
  })
})
