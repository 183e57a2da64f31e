import { describe, expect, it } from 'vitest'
import { argumentStrings, readArguments } from './arguments.ts'

describe('arguments as I-JSON', () => {
  it.each([
    ['', {}],
    ['{}', {}],
    [
      ' {"a":[1,2.5,-3e2,1.0,0.1,1e2,9007199254740992],"b":{"c":null}} ',
      { a: [1, 2.5, -300, 1, 0.1, 100, 9007199254740992], b: { c: null } },
    ],
    [
      '{"a":0.30000000000000004,"b":5e-324,"c":0e0,"d":1.7976931348623157e308}',
      { a: 0.30000000000000004, b: 5e-324, c: 0, d: 1.7976931348623157e308 },
    ],
    ['{"emoji":"\\ud83d\\ude00"}', { emoji: '😀' }],
  ])('reads %s', (text, value) => {
    expect(readArguments(text)).toEqual(value)
  })

  it.each([
    ['a list', '[1]'],
    ['a string', '"rm"'],
    ['null', 'null'],
    ['truncated text', '{"location": "Par'],
    ['two objects', '{}{}'],
    ['a duplicate key', '{"amount":1,"amount":1000}'],
    ['a duplicate key by escape', '{"amount":1,"\\u0061mount":1000}'],
    ['an integer a double cannot hold', '{"id":9007199254740993}'],
    ['a large integer', '{"id":12345678901234567890}'],
    ['too many digits', '{"pi":3.141592653589793238462643383279}'],
    ['a number that vanishes', '{"x":1e-400}'],
    ['a number that overflows', '{"x":1E400}'],
    ['NaN', '{"x":NaN}'],
    ['half a surrogate pair', '{"x":"\\ud800"}'],
    ['a non-character', '{"x":"\uffff"}'],
    ['a byte order mark', '\ufeff{}'],
    ['nesting beyond the limit', `{"x":${'['.repeat(64)}${']'.repeat(64)}}`],
  ])('has no value for %s', (_what, text) => {
    expect(readArguments(text)).toBeUndefined()
  })

  it('makes `__proto__` an ordinary key', () => {
    const value = readArguments('{"__proto__":{"admin":true}}')
    expect(Object.getPrototypeOf(value)).toBeNull()
    expect(Object.keys(value ?? {})).toEqual(['__proto__'])
  })

  it('lists every string a tool would see, keys too', () => {
    expect(argumentStrings('{"path":"\\u002fetc\\u002fpasswd","deep":[{"k":"v"}]}')).toEqual([
      'path',
      'deep',
      '/etc/passwd',
      'k',
      'v',
    ])
    expect(argumentStrings('{"path": "Par')).toEqual([])
  })
})
