import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Fault, Frame } from '../core/wire.ts'
import { bytes, channels, faultCode, frames, parts, text } from './chat.test-support.ts'
import { createEmbeddingsDialect, embeddingsDialect } from './embeddings.ts'
import { parseWithoutVectors, readVector } from './embeddings-numbers.ts'
import { isFault, parseJson, toValue } from './json.ts'
import { surface } from './plain.test-support.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'

const { unary, redact, request, segments } = surface(embeddingsDialect, { model: 'm', input: 'hi' })
const allowing = surface(createEmbeddingsDialect({ allowTokenInput: true }), { model: 'm' })
const M = 'LEAK-MARKER'
const spelled = [...bytes(M)]
const sees = (items: readonly (Frame | Fault)[], said = M) =>
  Object.values(channels(items)).some(channel => channel.includes(said))
const answer = (embedding: unknown) => ({ object: 'list', data: [{ object: 'embedding', index: 0, embedding }] })
const base64 = (floats: readonly number[]) => Buffer.from(new Float32Array(floats).buffer).toString('base64')
/** Looks like a real vector: about as long, and made of values that need every digit. */
const vector = (length: number) => Array.from({ length }, (_, i) => Math.fround(Math.sin(i + 1) / 20))

describe('the request', () => {
  it.each<[string, object, object]>([
    ['a string', { input: M }, { 'user /input': M }],
    ['a list of strings', { input: ['a', M] }, { 'user /input/0': 'a', 'user /input/1': M }],
    ['user', { user: M }, { 'other /user': M }],
    ['a title', { title: M }, { 'user /title': M }],
    ['an unknown field', { x: [[M]] }, { 'other /x/0/0': M }],
    ['an unknown key', { [M]: 1 }, { 'other  derived': M }],
    ['bytes that spell it', { x: spelled }, { 'other /x derived': M }],
  ])('%s is read', (_what, body, expected) => {
    expect(segments(body)).toMatchObject(expected)
  })

  it.each<[string, object, string]>([
    ['tokens', { input: [9906, 1917] }, 'opaque_input'],
    ['lists of tokens', { input: [[9906], [1917]] }, 'opaque_input'],
    ['small tokens', { input: spelled }, 'opaque_input'],
    ['no input', { input: undefined }, 'request_invalid'],
    ['null', { input: null }, 'request_invalid'],
    ['an object', { input: { text: M } }, 'request_invalid'],
    ['strings and numbers', { input: ['a', 1] }, 'request_invalid'],
    ['fractions', { input: [0.5] }, 'request_invalid'],
    ['no model', { model: undefined }, 'request_invalid'],
    ['an input in other letters', { Input: M }, 'json_ambiguous_key'],
  ])('%s is refused', (_what, body, code) => {
    expect(segments(body)).toBe(code)
  })

  it('allowed tokens are reported, and read as bytes where they can be', () => {
    const v = allowing.request({ input: [[9906], spelled] })
    expect(v.opaqueInputs).toEqual(['/input/0', '/input/1'])
    expect(v.segments).toContainEqual({ role: 'user', pointer: '/input/1', text: M, derived: true })
  })

  it('asks for no output', () => {
    expect(request()).toMatchObject({ model: 'm', stream: false, n: 1, maxOutputTokens: 0, tools: [] })
  })

  it('is redacted in place', () => {
    const v = request({ input: ['a', 'call 555'] })
    const edits = new Map([['/input/1', [{ from: 5, to: 8, text: '[number]' }]]])
    expect(text(embeddingsDialect.writeRequest(v, edits))).toBe('{"model":"m","input":["a","call [number]"]}')
  })
})

describe('vectors are not text', () => {
  it.each<[string, unknown]>([
    ['floats', vector(256)],
    ['a vector of one dimension', [0.25]],
    ['integers beyond bytes', [-128, 127, 3]],
    ['numbers with exponents', [1e-7, -2.5e-3, 0]],
    ['base64', base64(vector(64))],
    ['long base64', base64(vector(3072))],
    ['an empty list', []],
  ])('%s', (_what, embedding) => {
    expect(parts(unary(answer(embedding)))).toEqual([])
  })

  it('numbers elsewhere neither', () => {
    const items = unary({ object: 'list', embeddings: { float: [vector(8)] }, usage: { cost: 0.1 } })
    expect(Object.values(channels(items))).toEqual(['embeddings', 'float'])
  })

  it('usage is reported, with nothing generated', () => {
    const items = unary({ ...answer([0.5]), usage: { prompt_tokens: 8, total_tokens: 8 } })
    expect(parts(items)).toEqual([{ kind: 'usage', input: 8, output: 0 }])
  })
})

describe('everything else is', () => {
  const ascii = (words: string) => Buffer.from(words.padEnd(256, '.')).toString('base64')
  it.each<[string, object]>([
    ['model', { model: M }],
    ['object', { object: M }],
    ['an embedding that is a string', answer(M)],
    ['an embedding that is a long string', answer(`${M} `.repeat(40))],
    ['a list of strings', answer([M])],
    ['a string among numbers', answer([0.5, M])],
    ['bytes that spell it', answer(spelled)],
    ['base64 of a text', answer(ascii(M))],
    ['base64 of a text, short', answer(Buffer.from(M).toString('base64'))],
    ['an unknown field of an item', { data: [{ note: { deep: M } }] }],
    ['an unknown key of an item', { data: [{ [M]: 1 }] }],
    ['an unknown field', { x: M }],
    ['an unknown key', { [M]: 1 }],
    ['error.message', { error: { message: M } }],
    ['usage', { usage: { note: M } }],
    ['data that is no list', { data: M }],
  ])('%s', (_what, body) => {
    expect(sees(unary(body))).toBe(true)
  })

  it('bytes written with fractions and exponents are bytes', () => {
    const written = spelled.map((b, i) => (i % 2 === 0 ? `${b}.0` : `${b * 10}e-1`))
    expect(sees(unary(`{"data":[{"embedding":[${written}]}]}`))).toBe(true)
  })

  it('a base64 vector anywhere but in its place is text', () => {
    const blob = base64(vector(64))
    expect(sees(unary({ data: [{ embedding: [0.5], note: blob }] }), blob)).toBe(true)
    expect(sees(unary({ embedding: blob }), blob)).toBe(true)
  })

  it.each<[string, string]>([
    ['too short for a vector', base64(vector(8))],
    ['no whole number of floats', Buffer.alloc(258, 0xc3).toString('base64')],
    ['values no vector has', base64([...vector(64), 1e30])],
    ['infinity', base64([...vector(64), Number.POSITIVE_INFINITY])],
    ['not a number', base64([...vector(64), Number.NaN])],
    ['the other alphabet', base64(vector(64)).replace(/[+/]/g, c => (c === '+' ? '-' : '_'))],
    ['white space inside', `${base64(vector(64))}\n`],
    ['nothing but zeros, which is also a text', base64(Array(64).fill(0))],
  ])('a payload that is %s is inspected', (_what, blob) => {
    expect(sees(unary(answer(blob)), blob)).toBe(true)
  })

  it('values are texts of their own: two never join into a third', () => {
    const items = unary({ data: [{ note: 'LEAK-' }, { note: 'MARKER' }] })
    expect(sees(items)).toBe(false)
    expect(parts(items).every(p => p.kind === 'text' && p.from === 'snapshot')).toBe(true)
  })

  it('thousands of items may each have an id', () => {
    const items = unary({ data: Array.from({ length: 5000 }, (_, i) => ({ id: `e${i}`, embedding: [0.5] })) })
    expect(parts(items).filter(p => p.kind === 'text' && p.channel.pointer === '/data/*/id')).toHaveLength(5000)
  })

  it('redaction rewrites strings, and leaves vectors to the byte', () => {
    const raw = `{ "data":[{"embedding":[ 0.10, -2e-3 ]}],"model":"a ${M}" }`
    expect(redact(unary(raw), M)).toBe('{ "data":[{"embedding":[ 0.10, -2e-3 ]}],"model":"a [GONE]" }')
  })

  it.each<[string, object]>([
    ['bytes', answer(spelled)],
    ['base64', answer(ascii(M))],
    ['keys', { [M]: 1 }],
  ])('redaction of %s cannot be written, and says so', (_what, body) => {
    expect(() => redact(unary(body), M)).toThrow(RedactionUnwritable)
  })
})

describe('the reader without vectors', () => {
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer({ min: 0, max: 300 }),
    fc.constantFrom('1E+2', '-0', '0.0', '65.0', '1e-400', '-1.50', '6.5e1').map(raw => ({ raw })),
  )
  const { value } = fc.letrec(tie => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.array(number, { maxLength: 5 }),
      fc.string({ maxLength: 6 }),
      fc.constantFrom('[1.5]', '"[', '\\', ']', ',[0.5,', '\\"[0.1]'),
      number,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string({ maxLength: 4 }), tie('value'), { maxKeys: 3 }),
    ),
  }))
  const write = (node: unknown): string => {
    if (Array.isArray(node)) return `[ ${node.map(write).join(' ,')}]`
    if (typeof node !== 'object' || node === null) return JSON.stringify(node)
    if ('raw' in node && typeof node.raw === 'string') return node.raw
    return `{${Object.entries(node).map(([k, v]) => `${JSON.stringify(k)}: ${write(v)}`)}}`
  }
  const isVector = (node: unknown): boolean =>
    Array.isArray(node) &&
    node.every(n => typeof n === 'number') &&
    !node.every(n => Number.isInteger(n) && n >= 0 && n <= 255)
  const without = (node: unknown): unknown => {
    if (isVector(node)) return []
    if (Array.isArray(node)) return node.map(without)
    if (typeof node !== 'object' || node === null) return node
    return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, without(v)]))
  }

  it('reads the same document but for the vectors, with the same spans', () => {
    fc.assert(
      fc.property(value, v => {
        const source = write(v)
        const lean = parseWithoutVectors(source)
        const full = parseJson(source)
        if (isFault(lean) || isFault(full)) return expect(lean).toEqual(full)
        expect(lean.text).toBe(source)
        expect(lean.root).toMatchObject({ kind: full.root.kind, start: full.root.start, end: full.root.end })
        expect(JSON.stringify(toValue(lean.root))).toBe(JSON.stringify(without(toValue(full.root))))
      }),
      { numRuns: 300 },
    )
  })

  it('accepts nothing the strict reader refuses', () => {
    fc.assert(
      fc.property(
        value,
        fc.nat(),
        fc.constantFrom('', '"', '[', ']', '0', ',', '\\', 'NaN', '1e999'),
        (v, at, junk) => {
          const source = write(v)
          const cut = at % (source.length + 1)
          const broken = source.slice(0, cut) + junk + source.slice(cut + (junk === '' ? 1 : 0))
          const lean = parseWithoutVectors(broken)
          const full = parseJson(broken)
          expect(isFault(lean) ? lean.code : 'ok').toBe(isFault(full) ? full.code : 'ok')
        },
      ),
      { numRuns: 300 },
    )
  })

  it.each([
    '[1.5,]',
    '[01.5]',
    '[1.5 2]',
    '[+1.5]',
    '[.5]',
    '[1.5,NaN]',
    '[1.5,1e999]',
    `[1.5,${'9'.repeat(400)}]`,
    '[1.5',
    '[1.5}',
    '[1.5]]',
    '[1.5,\u00a02]',
  ])('%s is refused as the strict reader refuses it', source => {
    const full = parseJson(source)
    expect(isFault(full)).toBe(true)
    expect(isFault(parseWithoutVectors(source))).toBe(true)
  })

  it('holds no node for a number of a vector, so that large answers fit', () => {
    // More numbers than a strict tree may have values.
    const floats = `[${'0.5,'.repeat(49_999)}0.5]`
    const items = unary(`{"data":[${Array(70).fill(`{"embedding":${floats}}`).join(',')}]}`)
    expect(faultCode(items)).toBeUndefined()
    expect(parts(items)).toEqual([])
  })

  it('has room for the largest batch, in base64', () => {
    const data = Array(2048).fill({ object: 'embedding', index: 0, embedding: base64(vector(3072)) })
    const answer = JSON.stringify({ object: 'list', data })
    expect(answer.length).toBeGreaterThan(32 * 1024 * 1024)
    expect(parts(unary(answer))).toEqual([])
  })

  it('is bounded by the length of the answer', () => {
    const small = surface(createEmbeddingsDialect({ maxUnaryBytes: 100 }), { model: 'm', input: 'x' })
    expect(faultCode(small.unary(answer(vector(100))))).toBe('upstream_too_large')
    expect(frames(small.unary(answer([0.5])))).toHaveLength(1)
  })

  it('brackets and quotes without end take no more than their length', () => {
    for (const unit of ['[1,', '[', '"', '[1,"]",', '\\"', '[0.5],']) {
      expect(isFault(parseWithoutVectors(unit.repeat(200_000)))).toBe(true)
    }
  })
})

it('readVector takes every float vector an encoder writes', () => {
  const float = fc.float({ min: -4, max: 4, noNaN: true }).filter(x => x !== 0)
  fc.assert(
    fc.property(fc.array(float, { minLength: 64, maxLength: 80 }), floats => {
      const blob = base64(floats)
      const read = readVector(blob)
      // Bytes below 0x80 throughout are a text, however unlikely.
      expect(read === 'numbers' || read instanceof Uint8Array).toBe(true)
      if (floats.some(x => x < 0)) expect(read).toBe('numbers')
    }),
    { numRuns: 100 },
  )
})
