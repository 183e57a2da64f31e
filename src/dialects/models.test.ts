import { describe, expect, it } from 'vitest'
import { bytes, channels, faultCode, parts, text } from './chat.test-support.ts'
import { createModelsDialect, modelsDialect } from './models.ts'
import { surface } from './plain.test-support.ts'

const { unary, redact } = surface(modelsDialect, undefined)
const M = 'LEAK-MARKER'
const list = (model: object) => ({ object: 'list', data: [{ id: 'a', object: 'model' }, model] })

describe('the request', () => {
  it('is empty, and gives checks nothing to read', () => {
    const empty = new Uint8Array(0)
    const v = modelsDialect.readRequest(empty)
    if ('code' in v) throw new Error(v.code)
    expect(v).toMatchObject({ segments: [], tools: [], model: '', stream: false, n: 1, maxOutputTokens: 0 })
    expect(v.raw).toBe(empty)
    expect(modelsDialect.writeRequest(v, new Map())).toBe(empty)
  })

  it.each(['{}', ' ', '\0', '{"model":"m"}'])('with a body of %j is refused', body => {
    expect(modelsDialect.readRequest(bytes(body))).toMatchObject({ code: 'request_invalid' })
  })

  it('is a GET of exactly these paths', () => {
    expect(modelsDialect.routes).toEqual([
      { method: 'GET', path: '/v1/models', upstreamPath: '/models' },
      { method: 'GET', path: '/v1/models/', upstreamPath: '/models' },
    ])
  })
})

describe('the answer', () => {
  it.each<[string, object]>([
    ['id', list({ id: M })],
    ['owned_by', list({ owned_by: M })],
    ['a description', list({ description: `about ${M}.` })],
    ['an unknown field', list({ x: { y: [M] } })],
    ['an unknown key', list({ [M]: 1 })],
    ['bytes that spell it', list({ x: [...bytes(M)] })],
    ['a field of the list', { x: M }],
    ['error.message', { error: { message: M } }],
  ])('%s is text', (_what, body) => {
    expect(Object.values(channels(unary(body))).some(said => said.includes(M))).toBe(true)
  })

  it('values are texts of their own: words keep their boundaries', () => {
    const texts = parts(unary({ data: [{ id: 'one' }, { id: 'two' }] })).map(p => p.kind === 'text' && p.text)
    expect(texts).toEqual(['one', 'two'])
  })

  it('a value that repeats is redacted everywhere', () => {
    const data = [{ owned_by: M }, { owned_by: M }, { owned_by: 'x' }, { owned_by: M }]
    const gone = data.map(({ owned_by }) => ({ owned_by: owned_by === M ? '[GONE]' : owned_by }))
    expect(JSON.parse(redact(unary({ data }), M))).toEqual({ data: gone })
  })

  it('hundreds of models with many fields are read', () => {
    const data = Array.from({ length: 600 }, (_, i) =>
      Object.fromEntries(Array.from({ length: 20 }, (_, j) => [`field_${j}`, `value ${i} ${j}`])),
    )
    const items = unary({ data })
    expect(faultCode(items)).toBeUndefined()
    expect(parts(items).length).toBeGreaterThan(12_000)
  })

  it('is bounded in length and in number', () => {
    const small = surface(createModelsDialect({ maxUnaryBytes: 20 }), undefined)
    expect(faultCode(small.unary(list({})))).toBe('upstream_too_large')
    const data = Array.from({ length: 70_000 }, (_, i) => `m${i}`)
    expect(faultCode(unary({ data }))).toBe('upstream_too_large')
  })

  it('an error of upstream is read whatever its shape', () => {
    expect(text(new Uint8Array(bytes(redact(unary({ error: { message: M } }, 401), M))))).toContain('[GONE]')
  })
})
