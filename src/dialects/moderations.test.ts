import { describe, expect, it } from 'vitest'
import type { Fault, Frame } from '../core/wire.ts'
import { bytes, channels, parts, text } from './chat.test-support.ts'
import { createModerationsDialect, moderationsDialect } from './moderations.ts'
import { load, surface } from './plain.test-support.ts'

const { unary, redact, request, segments } = surface(moderationsDialect, { input: 'hi' })
const M = 'LEAK-MARKER'
const picture = `data:image/png;base64,${'iVBORw0KGgo'.repeat(20)}`
const sees = (items: readonly (Frame | Fault)[]) => Object.values(channels(items)).some(channel => channel.includes(M))

describe('the request', () => {
  it.each<[string, object, object]>([
    ['a string', { input: M }, { 'user /input': M }],
    ['a list of strings', { input: ['a', M] }, { 'user /input/0': 'a', 'user /input/1': M }],
    ['text parts', { input: [{ type: 'text', text: M }] }, { 'user /input/0/text': M }],
    ['strings and parts', { input: ['a', { type: 'text', text: M }] }, { 'user /input/1/text': M }],
    ['a part of an unknown type', { input: [{ type: M }] }, { 'user /input/0/type': M }],
    ['an unknown field of a part', { input: [{ type: 'text', text: '', x: [M] }] }, { 'user /input/0/x/0': M }],
    ['an unknown key of a part', { input: [{ [M]: 1 }] }, { 'user /input/0 derived': M }],
    [
      'a picture that is text',
      { input: [{ type: 'image_url', image_url: { url: `data:text/plain,${M}` } }] },
      { 'user /input/0/image_url/url': `data:text/plain,${M}` },
    ],
    [
      'beside a picture',
      { input: [{ type: 'image_url', image_url: { url: picture, detail: M } }] },
      { 'user /input/0/image_url/detail': M },
    ],
    ['an unknown field', { x: M }, { 'other /x': M }],
    ['an unknown key', { [M]: 1 }, { 'other  derived': M }],
    ['model', { model: M }, { 'other /model': M }],
  ])('%s is read', (_what, body, expected) => {
    expect(segments(body)).toMatchObject(expected)
  })

  it.each<[string, object, string]>([
    ['no input', { input: undefined }, 'request_invalid'],
    ['null', { input: null }, 'request_invalid'],
    ['an object', { input: { text: M } }, 'request_invalid'],
    ['tokens', { input: [1, 2] }, 'request_invalid'],
    ['lists in lists', { input: [[M]] }, 'request_invalid'],
    ['a picture that is a number', { input: [{ type: 'image_url', image_url: 7 }] }, 'request_invalid'],
    ['a model that is a number', { model: 7 }, 'request_invalid'],
    ['an input in other letters', { INPUT: M }, 'json_ambiguous_key'],
    ['a part in other letters', { input: [{ Text: M }] }, 'json_ambiguous_key'],
  ])('%s is refused', (_what, body, code) => {
    expect(segments(body)).toBe(code)
  })

  it('a picture in the request is no text, one that must be fetched is opaque', () => {
    const parts = [picture, 'https://pictures.test/a.png'].map(url => ({ type: 'image_url', image_url: { url } }))
    const v = request({ input: parts })
    expect(v.opaqueInputs).toEqual(['/input/1/image_url/url'])
    expect(v.segments.map(s => s.text)).toEqual(['https://pictures.test/a.png'])
    expect(request({ input: [{ type: 'image_url', image_url: 'https://a.test' }] }).opaqueInputs).toEqual([
      '/input/0/image_url',
    ])
  })

  it('the model is upstream’s choice where none is named', () => {
    expect(request()).toMatchObject({ model: '', maxOutputTokens: 0, n: 1 })
    expect(request({ model: null }).model).toBe('')
    expect(request({ model: 'omni-moderation-latest' }).model).toBe('omni-moderation-latest')
  })

  it('is redacted in place', () => {
    const v = request({ input: [{ type: 'text', text: 'call 555' }] })
    const edits = new Map([['/input/0/text', [{ from: 5, to: 8, text: '[n]' }]]])
    expect(text(moderationsDialect.writeRequest(v, edits))).toBe('{"input":[{"type":"text","text":"call [n]"}]}')
  })
})

describe('the answer', () => {
  it.each<[string, object]>([
    ['id', { id: M }],
    ['model', { model: M }],
    ['an unknown field', { x: { y: [M] } }],
    ['an unknown key', { [M]: 1 }],
    ['an unknown category', { results: [{ categories: { [M]: true } }] }],
    ['a score that is a string', { results: [{ category_scores: { hate: M } }] }],
    ['an input type nobody knows', { results: [{ category_applied_input_types: { hate: [M] } }] }],
    ['bytes that spell it', { results: [{ x: [...bytes(M)] }] }],
    ['error.message', { error: { message: M } }],
  ])('%s is text', (_what, body) => {
    expect(sees(unary(body))).toBe(true)
  })

  it('of the API says nothing but its id and model', () => {
    const items = unary(text(load('moderations', 'omni.json')))
    expect(parts(items).map(p => p.kind === 'text' && p.text)).toEqual(['modr-970d409ef3', 'omni-moderation-latest'])
  })

  it('is redacted in place', () => {
    expect(redact(unary({ id: `a ${M}`, results: [] }), M)).toBe('{"id":"a [GONE]","results":[]}')
  })

  it('is bounded', () => {
    const small = surface(createModerationsDialect({ maxUnaryBytes: 20 }), { input: 'x' })
    expect(small.unary({ id: 'x'.repeat(30) })).toMatchObject([{ code: 'upstream_too_large' }])
  })
})
