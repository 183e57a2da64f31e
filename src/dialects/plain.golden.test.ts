import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Fault, Frame } from '../core/wire.ts'
import { frames, joined, text } from './chat.test-support.ts'
import { completionsDialect } from './completions.ts'
import { embeddingsDialect } from './embeddings.ts'
import { modelsDialect } from './models.ts'
import { moderationsDialect } from './moderations.ts'
import { golden, load, surface, typeOf } from './plain.test-support.ts'

const surfaces = [
  ['completions', surface(completionsDialect, { model: 'm', prompt: 'hi' })],
  ['embeddings', surface(embeddingsDialect, { model: 'm', input: 'hi' })],
  ['moderations', surface(moderationsDialect, { input: 'hi' })],
  ['models', surface(modelsDialect, undefined)],
] as const

const plain = (items: readonly (Frame | Fault)[]) =>
  items.map(item => (item.kind === 'fault' ? item : { ...item, raw: text(item.raw) }))

describe.each(surfaces)('golden transcripts of %s', (folder, { dialect, read, request }) => {
  const status = (name: string) => (name.startsWith('error') ? 400 : 200)

  it.each(golden(folder))('%s reads as recorded', async name => {
    const items = read(load(folder, name), { type: typeOf(name), status: status(name) })
    const readable = items.map(item => (item.kind === 'fault' ? item : item.parts))
    await expect(`${JSON.stringify(readable, null, 1)}\n`).toMatchFileSnapshot(`testdata/${folder}/${name}.parts.json`)
  })

  it.each(golden(folder))('%s: frames are upstream bytes, and the writer returns them untouched', name => {
    const raw = load(folder, name)
    const items = frames(read(raw, { type: typeOf(name), status: status(name) }))
    expect(text(joined(items.map(f => f.raw)))).toBe(text(raw))
    const writer = dialect.openWriter({ ...request(), stream: name.endsWith('.sse') })
    for (const f of items) expect(writer.write(f, [])).toBe(f.raw)
  })

  it.each(golden(folder))('%s reads alike in any cutting', name => {
    const raw = load(folder, name)
    const options = { type: typeOf(name), status: status(name) }
    const whole = plain(read(raw, options))
    expect(plain(read(raw, { ...options, cuts: Array.from(raw.keys()) }))).toEqual(whole)
    fc.assert(
      fc.property(fc.array(fc.nat(raw.length), { maxLength: 12 }), cuts => {
        expect(plain(read(raw, { ...options, cuts }))).toEqual(whole)
      }),
      { numRuns: 30 },
    )
  })
})

describe.each(surfaces)('%s', (_name, { dialect, read, request }) => {
  it('a request without edits is forwarded as it came', () => {
    const v = request()
    expect(dialect.writeRequest(v, new Map())).toBe(v.raw)
  })

  it.each([
    ['text/html', 200],
    ['application/octet-stream', 200],
    ['application/json; charset=utf-16', 200],
    ['text/html', 502],
  ])('an answer of type %s with status %i is refused', (type, status) => {
    expect(read('{}', { type, status })).toMatchObject([{ code: 'upstream_content_type_invalid' }])
  })

  it.each([
    ['[]', 'upstream_protocol_violation'],
    ['"text"', 'upstream_protocol_violation'],
    ['', 'upstream_decode_error'],
    ['{"a":1,"a":2}', 'upstream_decode_error'],
    ['{"a":NaN}', 'upstream_decode_error'],
    [`{"a":${'['.repeat(70)}${']'.repeat(70)}}`, 'upstream_delta_too_deep'],
    ['{"Object":"list"}', 'upstream_protocol_violation'],
  ])('an answer of %s is a fault', (body, code) => {
    expect(read(body)).toMatchObject([{ code }])
  })

  it('signet fields that upstream sends are cut out', () => {
    const [frame] = frames(read('{"signet":{"capability":"x"},"object":"o","signet_abort":true}'))
    expect(text(frame?.raw ?? new Uint8Array())).toBe('{"object":"o"}')
  })

  it('an error body of any JSON is read', () => {
    for (const body of ['["nope"]', '"nope"', '{"detail":"nope"}', '{"error":{"message":"nope"}}']) {
      const [frame] = frames(read(body, { status: 500 }))
      expect(frame?.parts.filter(p => p.kind === 'text').map(p => p.text)).toContain('nope')
    }
  })

  it('refusals have the shape of the OpenAI surfaces', () => {
    const because = { code: 'content_pattern', reason: 'a pattern matched' } as const
    const r = { status: 403, because, stage: 'admission', correlationId: 'c1', strict: true } as const
    const answer = dialect.refuse(r)
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'x-should-retry': 'false' })
    expect(text(answer.body)).toBe('{"error":"refused","correlation_id":"c1"}')
  })

  it('every carrier has a name of its own', () => {
    const names = dialect.carriers.map(c => c.name)
    expect(new Set(names).size).toBe(names.length)
    expect(dialect.carriers.every(c => c.kind === 'text')).toBe(true)
  })
})
