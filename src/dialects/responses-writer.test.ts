import fc from 'fast-check'
import OpenAI, { APIError } from 'openai'
import type { Response as Answer, ResponseFailedEvent, ResponseStreamEvent } from 'openai/resources/responses/responses'
import { describe, expect, it } from 'vitest'
import type { Frame, Refusal } from '../core/wire.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'
import {
  bytes,
  calls,
  channels,
  completed,
  delta,
  editsOf,
  event,
  faultCode,
  frames,
  functionCall,
  GONE,
  load,
  message,
  NOTICE,
  read,
  request,
  stream,
  text,
  unary,
  write,
} from './responses.test-support.ts'
import { responsesDialect } from './responses.ts'

const keys = (list: readonly Frame[]) => calls(list).map(c => c.key)

/** The vendor's own client, reading `body` as the answer. */
function client(body: string, type = 'text/event-stream', status = 200): OpenAI {
  const fetch = () => Promise.resolve(new Response(body, { status, headers: { 'content-type': type } }))
  return new OpenAI({ apiKey: 'none', baseURL: 'http://upstream.test/v1', fetch, maxRetries: 0 })
}

const ask = { model: 'm', input: 'hi' }

/** Through the SDK's accumulator; the snapshot it built by itself just before the final event, and the final response. */
async function accumulate(body: string): Promise<{ final: Answer; events: ResponseStreamEvent[] }> {
  const events: ResponseStreamEvent[] = []
  const runner = client(body).responses.stream(ask)
  runner.on('event', e => events.push(e))
  return { final: await runner.finalResponse(), events }
}

/** The SDK's accumulation of the events alone: the final event is told without its output. */
async function fromEventsAlone(body: string): Promise<Answer> {
  const stripped = body.replace(
    /data: (\{"type":"response\.(?:completed|incomplete)"[^\n]*\})/,
    (_all, json: string) => {
      const e = JSON.parse(json)
      delete e.response.output
      return `data: ${JSON.stringify(e)}`
    },
  )
  expect(stripped).not.toBe(body)
  return (await accumulate(stripped)).final
}

function numbers(body: string): number[] {
  return [...body.matchAll(/^data: \{"type":"[^"]+","sequence_number":(\d+)/gm)].map(m => Number(m[1]))
}

function echo(output: unknown): string | undefined {
  const v = responsesDialect.readRequest(bytes(JSON.stringify({ model: 'm', input: output })))
  return 'code' in v ? `${v.code} ${v.message}` : undefined
}

const shape = (answer: Answer) =>
  answer.output.map(item =>
    item.type === 'function_call' || item.type === 'custom_tool_call'
      ? item.name
      : item.type === 'message'
        ? item.content.map(part => (part.type === 'output_text' ? part.text : part.refusal)).join('|')
        : item.type,
  )

describe('refusing calls in a stream', () => {
  const items = frames(read(load('calls.sse')))
  const [first, second, third] = keys(items) as [string, string, string]
  const LOOK = 'Let me look.'

  it.each<[string, string[], string[]]>([
    ['none', [], [LOOK, 'get_weather', 'delete_file', 'get_time']],
    ['the first', [first], [LOOK, NOTICE, 'delete_file', 'get_time']],
    ['the middle one', [second], [LOOK, 'get_weather', NOTICE, 'get_time']],
    ['the last', [third], [LOOK, 'get_weather', 'delete_file', NOTICE]],
    ['two', [first, third], [LOOK, NOTICE, 'delete_file', NOTICE]],
    ['all', [first, second, third], [LOOK, NOTICE, NOTICE, NOTICE]],
  ])('%s: the SDK accumulates what is left', async (_what, refuse, expected) => {
    const out = write(items, { refuse })
    const { final } = await accumulate(out)
    expect(shape(final)).toEqual(expected)
    expect(shape(await fromEventsAlone(out))).toEqual(expected)
    expect(final.output_text).toBe(expected.filter(s => s === LOOK || s === NOTICE).join(''))
    expect(final.usage?.output_tokens).toBe(30)
    expect(numbers(out)).toEqual(numbers(out).map((_, i) => i))
    expect(echo(final.output)).toBeUndefined()
    expect(faultCode(stream(out))).toBeUndefined()
    expect(keys(frames(stream(out)))).toHaveLength(3 - refuse.length)
    for (const item of final.output) expect(String(item.id)).toMatch(/^(?:msg|fc)_.{1,60}$/)
  })

  it('removes every trace of the call', () => {
    expect(write(items, { refuse: [second] })).not.toMatch(/delete_file|SECRET|call_2|fc_2"/)
  })

  it('tells the notice in the API’s own order, under the refused index', async () => {
    const { events } = await accumulate(write(items, { refuse: [second] }))
    const about = events.filter(e => 'output_index' in e && e.output_index === 2).map(e => e.type)
    expect(about).toEqual([
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
    ])
  })

  it('handles calls whose events interleave, custom ones too', async () => {
    const list = frames(read(load('parallel.sse')))
    const [one, two] = keys(list) as [string, string]
    for (const [refuse, expected] of [
      [[one], [NOTICE, 'shell', 'Done.']],
      [[two], ['get_weather', NOTICE, 'Done.']],
      [
        [one, two],
        [NOTICE, NOTICE, 'Done.'],
      ],
    ] as const) {
      const out = write(list, { refuse })
      expect(shape((await accumulate(out)).final)).toEqual(expected)
      expect(shape(await fromEventsAlone(out))).toEqual(expected)
      expect(numbers(out)).toEqual(numbers(out).map((_, i) => i))
    }
  })

  it('refuses calls of the caller’s own tools', async () => {
    const list = frames(read(load('caller-run.sse')))
    expect(calls(list).map(c => c.name)).toEqual(['shell', 'apply_patch', 'computer'])
    const out = write(list, { refuse: keys(list) })
    expect(out).not.toMatch(/shell_call|apply_patch|computer_call|ls -l/)
    expect(shape((await accumulate(out)).final)).toEqual([NOTICE, NOTICE, NOTICE])
    expect(numbers(out)).toEqual(numbers(out).map((_, i) => i))
  })

  it('refuses a call that only an item, or only the final snapshot, tells of', async () => {
    const start = event('response.created', { response: { id: 'resp_1', output: [] } })
    const added = event('response.output_item.added', { output_index: 0, item: functionCall({ arguments: '' }) })
    const done = event('response.output_item.done', { output_index: 0, item: functionCall() })
    for (const events of [start + added + done + completed([functionCall()]), start + completed([functionCall()])]) {
      const list = frames(stream(events))
      const out = write(list, { refuse: keys(list) })
      expect(shape((await accumulate(out)).final)).toEqual([NOTICE])
      expect(out).not.toContain('function_call')
    }
  })

  it('keeps an event stream without names or numbers so', () => {
    const bare = (body: object) => `data: ${JSON.stringify(body)}\n\n`
    const events =
      bare({ type: 'response.output_item.done', output_index: 0, item: functionCall() }) +
      bare({ type: 'response.completed', response: { output: [] } })
    const list = frames(stream(events))
    expect(write(list, { refuse: keys(list) })).not.toMatch(/event:|sequence_number/)
  })

  it('rewrites a top-level output_text', () => {
    const list = frames(unary({ output: [message('a'), functionCall()], output_text: 'a' }))
    expect(JSON.parse(write(list, { refuse: keys(list) })).output_text).toBe(`a${NOTICE}`)
  })

  it('removes a call with its name and arguments whatever pieces they came in', () => {
    const args = '{"path":"/etc/SECRET"}'
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: args.length - 1 }), { maxLength: 6 }), cuts => {
        const at = [...new Set([0, ...cuts, args.length])].sort((a, b) => a - b)
        const item = functionCall({ name: 'delete_file', arguments: args })
        let n = 0
        const events =
          event('response.output_item.added', { output_index: 0, item: { ...item, arguments: '' } }, n++) +
          at
            .slice(1)
            .map((to, i) =>
              event('response.function_call_arguments.delta', { output_index: 0, delta: args.slice(at[i], to) }, n++),
            )
            .join('') +
          event('response.output_item.done', { output_index: 0, item }, n++) +
          event('response.completed', { response: { output: [item] } }, n++)
        const list = frames(stream(events))
        const out = write(list, { refuse: keys(list) })
        expect(keys(frames(stream(out)))).toEqual([])
        expect(out).not.toMatch(/delete_file|SECRET/)
        expect(numbers(out)).toEqual([0, 1, 2, 3, 4, 5, 6])
      }),
      { numRuns: 50 },
    )
  })

  it('writes the same bytes from a fresh writer over stored frames', () => {
    const stored = items.map(f => ({ raw: text(f.raw), parts: JSON.parse(JSON.stringify(f.parts)) as Frame['parts'] }))
    const again: Frame[] = stored.map(f => ({ kind: 'frame', raw: bytes(f.raw), parts: f.parts }))
    expect(write(again, { refuse: [second], redact: 'look' })).toBe(write(items, { refuse: [second], redact: 'look' }))
  })
})

describe('refusing calls in a unary answer', () => {
  const list = frames(read(load('unary.json'), [], { type: 'application/json' }))
  const [first, second] = keys(list) as [string, string]

  it.each<[string, string[], string[]]>([
    ['one', [second], ['reasoning', 'Let me look.| Again.', 'get_weather', NOTICE]],
    ['both', [first, second], ['reasoning', 'Let me look.| Again.', NOTICE, NOTICE]],
  ])('%s', async (_what, refuse, expected) => {
    const out = write(list, { refuse })
    const answer = await client(out, 'application/json').responses.create(ask)
    expect(shape(answer)).toEqual(expected)
    expect(answer.output_text).toBe(`Let me look. Again.${NOTICE.repeat(refuse.length)}`)
    expect(out).toContain('12345678901234567890')
    expect(echo(answer.output)).toBeUndefined()
    expect(new Set(answer.output.map(item => item.id)).size).toBe(4)
  })
})

describe('redaction', () => {
  it('is the same in pieces, ends and snapshots', async () => {
    const list = frames(read(load('text.sse')))
    const out = write(list, { redact: ' aus 東京 🗼' })
    expect(out).not.toContain('東京')
    const { final } = await accumulate(out)
    expect(shape(final)).toEqual(['reasoning', `Grüße${GONE}\u2028ok`])
    expect(shape(await fromEventsAlone(out))).toEqual(shape(final))
    expect(faultCode(stream(out))).toBeUndefined()
  })

  it('of a text that spans two blocks reaches every repetition', async () => {
    const list = frames(read(load('crlf.sse')))
    const out = write(list, { redact: 'loSec' })
    expect(Object.values(channels(stream(out))).join()).not.toMatch(/Hello|Sec/)
    expect(shape((await accumulate(out)).final)).toEqual([`Hel${GONE}`, 'ond'])
    expect(out).toContain('\r\n\r\n')
  })

  it('reaches blocks that only the final snapshot holds', () => {
    const list = frames(
      unary({ output: [message('the SE'), message('CRET is', { id: 'msg_2' })], output_text: 'the SECRET is' }),
    )
    const body = JSON.parse(write(list, { redact: 'SECRET' }))
    expect(body.output.map((m: { content: { text: string }[] }) => m.content[0]?.text)).toEqual([`the ${GONE}`, ' is'])
    expect(body.output_text).toBe(`the ${GONE} is`)
  })

  it('drops log-probabilities, which spell the text', async () => {
    const list = frames(read(load('logprobs.sse')))
    const out = write(list, { redact: 'wörld' })
    expect(out).not.toMatch(/wör|119,195,182/)
    expect(out).toContain('"token":"Hel"')
    const { final } = await accumulate(out)
    expect(shape(final)).toEqual([`Hello ${GONE}`])
    expect(final.incomplete_details?.reason).toBe('max_output_tokens')
  })

  it.each<[string, string]>([
    ['a refusal', 'more'],
    ['reasoning text', 'think'],
    ['code', 'print'],
    ['remote tool output', '4, 2'],
    ['remote tool arguments', '{"n"'],
    ['a search query', 'tokyo'],
    ['logs', '42'],
    ['an unknown event', 'new text'],
    ['an echoed tool', 'Weather'],
    ['an id', 'resp_built'],
    ['a container', 'cntr'],
  ])('of %s', (_what, redact) => {
    const out = write(frames(read(load('builtin.sse'))), { redact })
    const again = stream(out)
    expect(faultCode(again)).toBeUndefined()
    expect(Object.values(channels(again)).join('\n')).not.toContain(redact)
    expect(Object.values(channels(again)).join('\n')).toContain(GONE)
  })

  it('of lines stays one line', () => {
    const list = frames(stream(`: SECRET\nid: SECRET\n${completed()}`))
    const out = write(list, { redact: 'SECRET' })
    expect(out).toContain(`: ${GONE}\nid: ${GONE}\n`)
  })

  it('blocks where reasoning is also sent encrypted, before or after', () => {
    const before = frames(read(load('text.sse')))
    expect(() => write(before, { redact: 'king' })).toThrow(RedactionUnwritable)
    expect(() => write(before, { redact: '東京' })).not.toThrow()
    const item = {
      type: 'reasoning',
      id: 'rs',
      summary: [{ type: 'summary_text', text: 'thinking' }],
      encrypted_content: 'x'.repeat(200),
    }
    const piece = event('response.reasoning_summary_text.delta', {
      output_index: 0,
      summary_index: 0,
      delta: 'thinking',
    })
    expect(() => write(frames(stream(piece + completed([item]))), { redact: 'king' })).toThrow(RedactionUnwritable)
  })

  it('blocks where a transcript is also sent as sound', () => {
    const sound = event('response.audio.delta', { delta: 'iVBORw0KGgoA'.repeat(20) })
    const spoken = event('response.audio.transcript.delta', { delta: 'secret' })
    expect(() => write(frames(stream(spoken + sound + completed())), { redact: 'secret' })).toThrow(RedactionUnwritable)
  })

  it('blocks where the text is an object key or made of numbers', () => {
    expect(() => write(frames(stream(completed([], { mood: { SECRET: 1 } }))), { redact: 'SECRET' })).toThrow(
      RedactionUnwritable,
    )
    const spelled = completed([], { mood: [...bytes('SECRET')] })
    expect(() => write(frames(stream(spelled)), { redact: 'SECRET' })).toThrow(RedactionUnwritable)
  })

  it('gives the same text whatever the cutting into pieces', async () => {
    const whole = 'a SECRET, twice SECRET.'
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: whole.length - 1 }), { maxLength: 8 }), async cuts => {
        const at = [...new Set([0, ...cuts, whole.length])].sort((a, b) => a - b)
        const open = { id: 'msg_1', type: 'message', role: 'assistant', status: 'in_progress', content: [] }
        const place = { item_id: 'msg_1', output_index: 0, content_index: 0 }
        const part = { type: 'output_text', text: '', annotations: [] }
        const events =
          event('response.created', { response: { id: 'resp_1', output: [] } }) +
          event('response.output_item.added', { output_index: 0, item: open }) +
          event('response.content_part.added', { ...place, part }) +
          at
            .slice(1)
            .map((to, i) => delta(whole.slice(at[i], to)))
            .join('') +
          event('response.output_text.done', { ...place, text: whole }) +
          event('response.output_item.done', { output_index: 0, item: message(whole) }) +
          completed([message(whole)])
        const out = write(frames(stream(events)), { redact: 'SECRET' })
        expect(shape((await accumulate(out)).final)).toEqual([`a ${GONE}, twice ${GONE}.`])
        expect(shape(await fromEventsAlone(out))).toEqual([`a ${GONE}, twice ${GONE}.`])
      }),
      { numRuns: 25 },
    )
  })

  it('repeats what was redacted while it streamed even when the repetition itself raises nothing', () => {
    const list = frames(read(load('crlf.sse')))
    const edits = editsOf(list, { redact: 'ello' }).map((of, i) =>
      of.filter(e => e.kind !== 'text' || list[i]?.parts[e.part]?.kind !== 'text' || isDelta(list[i], e.part)),
    )
    const writer = responsesDialect.openWriter(request())
    const out = list.map((f, i) => text(writer.write(f, edits[i] ?? []))).join('')
    expect(out).not.toContain('ello')
    expect(out.split(GONE)).toHaveLength(6)
  })
})

function isDelta(f: Frame | undefined, part: number): boolean {
  const p = f?.parts[part]
  return p?.kind === 'text' && p.from === 'delta'
}

describe('capabilities', () => {
  it('travel on every telling of the call, and are stripped from the next request', async () => {
    const list = frames(read(load('calls.sse')))
    const [first, second] = keys(list) as [string, string]
    const out = write(list, { capability: [first, second] })
    expect(out.split(`"signet":{"capability":"jws.of.${first}"}`)).toHaveLength(4)
    const { final } = await accumulate(out)
    expect(final.output[1]).toMatchObject({ name: 'get_weather', signet: { capability: `jws.of.${first}` } })
    expect(final.output[3]).not.toHaveProperty('signet')
    const v = responsesDialect.readRequest(bytes(JSON.stringify({ model: 'm', input: final.output })))
    expect('code' in v ? v.code : text(v.raw)).not.toMatch(/signet|jws/)
    expect(numbers(out)).toEqual(numbers(text(load('calls.sse'))))
  })

  it('travel beside a refused call', async () => {
    const list = frames(read(load('calls.sse')))
    const [first, second] = keys(list) as [string, string]
    const { final } = await accumulate(write(list, { capability: [first], refuse: [second] }))
    expect(final.output[1]).toHaveProperty('signet')
    expect(final.output[2]).toMatchObject({ type: 'message' })
  })
})

describe('refusing and aborting', () => {
  const refusal: Refusal = {
    status: 403,
    because: { code: 'marker', reason: 'a classification marker' },
    stage: 'inspection',
    check: 'classification_gate',
    correlationId: 'x-1',
    strict: false,
  }

  it('aborts with the API’s own error event, which makes the SDK raise', async () => {
    const list = frames(read(load('text.sse'))).slice(0, 6)
    const writer = responsesDialect.openWriter(request())
    const sent = list.map(f => text(writer.write(f, []))).join('')
    const abort = text(writer.abort(refusal))
    expect(abort).toMatch(
      /^event: error\ndata: \{"type":"error","sequence_number":6,"code":"marker","message":"[^"]+","param":null,"signet_abort":true,"reason":"a classification marker","correlation_id":"x-1","stage":"inspection","check":"classification_gate","error":\{.+\}\}\n\nevent: response.failed\n/,
    )
    const raised = await accumulate(sent + abort).catch((error: unknown) => error)
    expect(raised).toBeInstanceOf(APIError)
    expect(raised).toMatchObject({ code: 'marker', type: 'signet_refusal' })
    const seen: string[] = []
    const iterate = async () => {
      for await (const e of await client(sent + abort).responses.create({ ...ask, stream: true })) seen.push(e.type)
    }
    await expect(iterate()).rejects.toBeInstanceOf(APIError)
    expect(seen).toHaveLength(6)
  })

  it('aborts with the response that failed too, for clients that wait for its end', () => {
    const failed = (r: Refusal, count: number) => {
      const list = frames(read(load('text.sse'))).slice(0, count)
      const writer = responsesDialect.openWriter(request())
      for (const f of list) writer.write(f, [])
      const [, data = ''] = text(writer.abort(r)).split('event: response.failed\ndata: ')
      return JSON.parse(data) as ResponseFailedEvent
    }
    const created = frames(read(load('text.sse')))[0]
    const id = /"id":"(resp_[^"]+)"/.exec(text(created?.raw ?? new Uint8Array()))?.[1]
    const policy = failed(refusal, 6)
    expect(policy).toMatchObject({
      type: 'response.failed',
      sequence_number: 7,
      response: { id, status: 'failed', output: [], error: { code: 'invalid_prompt' } },
    })
    expect(policy.response.error?.message).toContain('a classification marker')
    // Nothing was sent yet: the id is the exchange's, and so is the time in it.
    const correlationId = '019a3c5e-8000-7000-8000-000000000000'
    const early = failed({ ...refusal, correlationId }, 0)
    expect(early.response.id).toBe(`resp_${correlationId}`)
    expect(new Date(early.response.created_at * 1000).toISOString()).toBe('2025-10-31T22:23:37.000Z')
    // Worth asking again, or not.
    expect(failed({ ...refusal, status: 429 }, 1).response.error?.code).toBe('rate_limit_exceeded')
    expect(failed({ ...refusal, status: 503 }, 1).response.error?.code).toBe('server_error')
    expect(JSON.stringify(failed({ ...refusal, strict: true }, 1))).not.toMatch(/marker|classification/)
  })

  it('does not repeat an id that was redacted, or that never left', () => {
    const [first] = frames(read(load('text.sse')))
    if (first === undefined) throw new Error('expected a frame')
    const at = first.parts.findIndex(part => part.kind === 'text' && part.text.startsWith('resp_'))
    const redacted = responsesDialect.openWriter(request())
    redacted.write(first, [{ kind: 'text', part: at, edits: [{ from: 0, to: 8, text: '[REDACTED]' }] }])
    const sealed = responsesDialect.openWriter(request())
    sealed.seal?.()
    sealed.write(first, [])
    for (const writer of [redacted, sealed]) expect(text(writer.abort(refusal))).toContain('"id":"resp_x-1"')
  })

  it('numbers the error behind what was really sent', () => {
    const list = frames(read(load('calls.sse')))
    const writer = responsesDialect.openWriter(request())
    const edits = editsOf(list, { refuse: keys(list).slice(0, 1) })
    const sent = list
      .slice(0, -3)
      .map((f, i) => text(writer.write(f, edits[i] ?? [])))
      .join('')
    const number = /"sequence_number":(\d+)/.exec(text(writer.abort(refusal)))?.[1]
    expect(Number(number)).toBe((numbers(sent).at(-1) ?? 0) + 1)
    expect(text(responsesDialect.openWriter(request()).abort(refusal))).toContain('"sequence_number":0')
  })

  it('counts nothing that was written after the seal: it never left', () => {
    const list = frames(stream(event('a', {}, 0) + event('b', {}, 1) + event('c', {}, 2)))
    const writer = responsesDialect.openWriter(request())
    for (const [i, f] of list.entries()) {
      if (i === 1) writer.seal?.()
      writer.write(f, [])
    }
    expect(text(writer.abort(refusal))).toContain('"sequence_number":1')
  })

  it('says nothing more in strict mode, but for transport tokens', () => {
    const strict = text(responsesDialect.openWriter(request()).abort({ ...refusal, strict: true }))
    expect(strict).not.toMatch(/marker|classification/)
    const because = { code: 'upstream_truncated', reason: 'upstream broke off' } as const
    const broken = text(responsesDialect.openWriter(request()).abort({ ...refusal, strict: true, because }))
    expect(broken).toContain('upstream_truncated')
  })

  it('answers a unary request with a body the SDK raises', async () => {
    const { headers, body } = responsesDialect.refuse(refusal)
    const asked = client(text(body), headers['content-type'], 403).responses.create(ask)
    await expect(asked).rejects.toMatchObject({ status: 403 })
    expect(text(responsesDialect.openWriter({ ...request(), stream: false }).abort(refusal))).toBe(text(body))
  })

  it('comments are ignored by clients', async () => {
    const writer = responsesDialect.openWriter(request())
    const out = text(writer.comment('signet-receipt\nabc')) + text(load('crlf.sse'))
    expect(shape((await accumulate(out)).final)).toEqual(['Hello', 'Second'])
    expect(responsesDialect.openWriter({ ...request(), stream: false }).comment('x')).toHaveLength(0)
  })
})
