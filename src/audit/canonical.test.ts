import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { byCodePoint, canonical, Float, pythonFloat, quote } from './canonical.ts'
import { JsonFault, parseJson } from './json.ts'
import { SECRET, testRing } from './testing/rows.test-support.ts'
import { Walk } from './walk.ts'

// Made by the Python implementation: key id k1, secret 00..1f.
const V1 =
  '{"approval_chain":[],"check_name":"pipeline.complete","decision":"allow","entry_id":"00000000-0000-4000-8000-000000000002","metadata":{"_anchor":{"backend":"noop","success":true},"_signing_key_id":"k1"},"owner_id":"","owner_type":"unresolved","prev_hmac":"4cc7b63c062c385177b01552151ac242f71eb9511506986edc83113d1c3b3300","reason":"request completed","request_fingerprint":"","ts_ns":1747000000123456790}'
const V1_HMAC = '070690970a37af931fa37617d5cdb6c82248a85a61b405f7506d937e49e4a3a4'
const V2 =
  '{"big":1e+16,"f":0.5,"list":[1,"x"],"n":1,"neg0":-0.0,"nested":{"a":2,"b":1},"small":1e-07,"t":true,"z":null,"\uffee":2,"\u{1F600}":1}'

describe('the canonical form', () => {
  it('is the one the Python implementation signs', () => {
    expect(canonical(parseJson(V1))).toBe(V1)
    expect(
      createHmac('sha256', SECRET)
        .update(canonical(parseJson(V1)))
        .digest('hex'),
    ).toBe(V1_HMAC)
    const line = Buffer.from(`${V1.replace('"metadata"', `"hmac":"${V1_HMAC}","metadata"`)}\n`)
    const walk = new Walk(testRing(), {
      prevHmac: '4cc7b63c062c385177b01552151ac242f71eb9511506986edc83113d1c3b3300',
      tsNs: undefined,
    })
    walk.lines(line, line.length)
    expect(walk.report()).toMatchObject({ rows: 1, breaks: [], lastHmac: V1_HMAC })
  })

  it('orders keys by code point and keeps integers and floats apart', () => {
    expect(canonical(parseJson(V2))).toBe(V2)
    const shuffled = `{"\u{1F600}":1, "\uffee":2, "z":null, "t":true, "small":0.0000001, "nested":{"b":1,"a":2},
      "neg0":-0.0, "n":1, "list":[1,"x"], "f":5e-1, "big":1E16}`
    expect(canonical(parseJson(shuffled))).toBe(V2)
  })

  it.each([
    [0, '0.0'],
    [-0, '-0.0'],
    [1, '1.0'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [123456789012345680, '1.2345678901234568e+17'],
    [1e22, '1e+22'],
    [1e-4, '0.0001'],
    [1e-5, '1e-05'],
    [1.5e-7, '1.5e-07'],
    [5e-324, '5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [0.1 + 0.2, '0.30000000000000004'],
    [-2.5, '-2.5'],
  ])('writes the float %d as Python does', (value, text) => {
    expect(pythonFloat(value)).toBe(text)
  })

  it('refuses what is no number', () => {
    for (const x of [Number.NaN, Number.POSITIVE_INFINITY]) expect(() => canonical(new Float(x))).toThrow(RangeError)
  })

  it('sorts like the UTF-8 bytes do', () => {
    const text = fc.string({ unit: 'binary' }).filter(s => s.isWellFormed())
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(byCodePoint(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
      }),
    )
  })

  it('escapes only what it must', () => {
    expect(quote('"\\\b\f\n\r\t\u0000\u001f\u007f\u2028é\u{1F600}/')).toBe(
      '"\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\u007f\u2028é\u{1F600}/"',
    )
    expect(quote('a\ud800b')).toBe('"a\ufffdb"')
  })
})

describe('the strict reader', () => {
  it.each([
    ['', 'malformed'],
    ['{"a":1,"a":2}', 'duplicate_key'],
    ['{"a":1,"\\u0061":2}', 'duplicate_key'],
    ['{"x":{"a":1,"a":1}}', 'duplicate_key'],
    ['NaN', 'malformed'],
    ['[Infinity]', 'malformed'],
    ['[1e999]', 'malformed'],
    ['[01]', 'malformed'],
    ['[1.]', 'malformed'],
    ['["\\ud800"]', 'malformed'],
    ['["a\u0001"]', 'malformed'],
    ['["\\x"]', 'malformed'],
    ['["a', 'malformed'],
    ['["a\\', 'malformed'],
    ['[1,]', 'malformed'],
    ['{"a"}', 'malformed'],
    ['{a:1}', 'malformed'],
    ['[1] 2', 'malformed'],
    ['\ufeff{}', 'malformed'],
    ['tru', 'malformed'],
    ['['.repeat(100), 'malformed'],
    ['['.repeat(100_000), 'malformed'],
  ])('refuses %j', (text, kind) => {
    try {
      parseJson(text)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(JsonFault)
      expect((error as JsonFault).kind).toBe(kind)
    }
  })

  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), value => {
        const text = JSON.stringify(value)
        expect(JSON.parse(canonical(parseJson(text)))).toEqual(JSON.parse(text))
      }),
    )
  })

  it('keeps integers beyond 2^53 exact', () => {
    expect(canonical(parseJson('[1747000000123456790,123456789012345678901234567890,-0]'))).toBe(
      '[1747000000123456790,123456789012345678901234567890,0]',
    )
  })
})
