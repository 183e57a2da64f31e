import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFault, type JsonNode, member, parseJson, readJson, toValue } from './json.ts'
import { editArray, editObject, editText, encodeString, resolvePointer, splice } from './json-edit.ts'
import { ambiguousKey, knownKeys } from './known-keys.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const code = (input: string | Uint8Array) => {
  const read = readJson(typeof input === 'string' ? bytes(input) : input)
  return isFault(read) ? read.code : 'ok'
}
const root = (text: string): JsonNode => {
  const doc = parseJson(text)
  if (isFault(doc)) throw new Error(doc.code)
  return doc.root
}

describe('reading JSON', () => {
  it.each([
    ['an empty body', '', 'empty_body'],
    ['a truncated object', '{"a":', 'json_decode_error'],
    ['garbage', 'ha this is not json', 'json_decode_error'],
    ['text after the value', '{} x', 'json_decode_error'],
    ['two values', '{}{}', 'json_decode_error'],
    ['a trailing comma in an object', '{"a":1,}', 'json_decode_error'],
    ['a trailing comma in an array', '[1,]', 'json_decode_error'],
    ['a raw line end in a string', '"a\nb"', 'json_decode_error'],
    ['a bad escape', '"\\x41"', 'json_decode_error'],
    ['a half escape at the end', '"\\', 'json_decode_error'],
    ['a leading zero', '[01]', 'json_decode_error'],
    ['a plus sign', '[+1]', 'json_decode_error'],
    ['a bare point', '[1.]', 'json_decode_error'],
    ['a bare exponent', '[1e]', 'json_decode_error'],
    ['single quotes', "{'a':1}", 'json_decode_error'],
    ['a comment', '{}// x', 'json_decode_error'],
    ['a no-break space', '\u00a0{}', 'json_decode_error'],
    ['NaN', '{"a":NaN}', 'non_finite_float'],
    ['Infinity', '[Infinity]', 'non_finite_float'],
    ['-Infinity', '[-Infinity]', 'non_finite_float'],
    ['1e999', '{"a":1e999}', 'non_finite_float'],
    ['a duplicate key', '{"a":1,"a":2}', 'json_duplicate_key'],
    ['a duplicate key spelled with an escape', '{"messages":1,"m\\u0065ssages":2}', 'json_duplicate_key'],
    ['a duplicate `__proto__`', '{"__proto__":1,"__proto__":2}', 'json_duplicate_key'],
    ['a lone high surrogate in a value', '["\\ud800"]', 'json_lone_surrogate'],
    ['a lone low surrogate in a key', '{"\\udc00":1}', 'json_lone_surrogate'],
    ['surrogates in the wrong order', '["\\udc00\\ud800"]', 'json_lone_surrogate'],
  ])('refuses %s', (_what, text, expected) => {
    expect(code(text)).toBe(expected)
  })

  it.each([
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
    ['UTF-16 with a mark', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
    ['UTF-16 without a mark', [0x7b, 0x00, 0x7d, 0x00]],
    ['Latin-1', [0x22, 0xe9, 0x22]],
    ['gzip', [0x1f, 0x8b, 0x08, 0x00]],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
  ])('refuses %s as encoding', (_what, list) => {
    expect(code(new Uint8Array(list))).toBe('invalid_encoding')
  })

  it('lets exactly 64 levels pass', () => {
    expect(code(`${'['.repeat(64)}${']'.repeat(64)}`)).toBe('ok')
    expect(code(`${'['.repeat(65)}${']'.repeat(65)}`)).toBe('json_too_deeply_nested')
    expect(code(`${'{"a":'.repeat(64)}1${'}'.repeat(64)}`)).toBe('ok')
    expect(code(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`)).toBe('json_too_deeply_nested')
    expect(code('['.repeat(500_000))).toBe('json_too_deeply_nested')
  })

  it('does not count brackets in strings', () => {
    expect(code(`{"a":"${'['.repeat(1000)}\\"${'{'.repeat(1000)}"}`)).toBe('ok')
  })

  it('keeps the spelling of numbers', () => {
    const list = root('[1.0, 12345678901234567890, -0, 1E+2, 0.1]')
    expect(list.kind === 'array' && list.items.map(item => (item.kind === 'number' ? item.raw : '?'))).toEqual([
      '1.0',
      '12345678901234567890',
      '-0',
      '1E+2',
      '0.1',
    ])
  })

  it('finds one duplicate among many keys', () => {
    const many = Array.from({ length: 50_000 }, (_, i) => `"k${i}":${i}`).join(',')
    expect(code(`{${many}}`)).toBe('ok')
    expect(code(`{${many},"k31337":0}`)).toBe('json_duplicate_key')
  })

  it('treats hostile keys as strings', () => {
    const node = root('{"__proto__":{"polluted":true},"constructor":1,"hasOwnProperty":2}')
    const value = toValue(node)
    expect(Object.getPrototypeOf(value)).toBeNull()
    expect(Object.keys(value as object)).toEqual(['__proto__', 'constructor', 'hasOwnProperty'])
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    expect(member(node, 'toString')).toBeUndefined()
    expect(member(node, 'constructor')).toMatchObject({ kind: 'number', value: 1 })
  })

  it('never repeats the text in a message', () => {
    const read = readJson(bytes('{"password":"hunter2" oops'))
    expect(isFault(read) && read.message).not.toMatch(/hunter2|oops|password/)
  })

  it('agrees with JSON.parse about every value, and spans cover it exactly', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        fc.pre(!/\\ud[89a-f]/i.test(text))
        const node = root(text)
        expect(toValue(node)).toEqual(JSON.parse(text))
        expect([node.start, node.end]).toEqual([0, text.length])
      }),
      { numRuns: 200 },
    )
  })

  it('accepts only what JSON.parse accepts', () => {
    const snippets = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '1',
      '-',
      '.5',
      'e3',
      'null',
      'tru',
      ' ',
      '\n',
    )
    fc.assert(
      fc.property(fc.array(snippets, { maxLength: 12 }), list => {
        const text = list.join('')
        if (isFault(parseJson(text))) return
        expect(() => JSON.parse(text)).not.toThrow()
      }),
      { numRuns: 300 },
    )
  })
})

describe('editing JSON', () => {
  it('leaves everything else byte for byte', () => {
    const text = '{ "n": 12345678901234567890,\n\t"s" : "x\\u0041\\/" , "list":[1.0, 2] }'
    const node = resolvePointer(root(text), '/s')
    if (node === undefined) throw new Error('no node')
    expect(splice(text, [{ start: node.start, end: node.end, text: encodeString('a"b') }])).toBe(
      '{ "n": 12345678901234567890,\n\t"s" : "a\\"b" , "list":[1.0, 2] }',
    )
  })

  it('ignores a replacement inside another and refuses two that cross', () => {
    const inner = { start: 2, end: 3, text: 'x' }
    expect(splice('abcdef', [inner, { start: 1, end: 5, text: '-' }])).toBe('a-f')
    expect(() =>
      splice('abcdef', [
        { start: 0, end: 3, text: '' },
        { start: 2, end: 5, text: '' },
      ]),
    ).toThrow(/overlap/)
  })

  it('drops any members or items and stays JSON', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 7 }),
        fc.boolean(),
        fc.constantFrom('', ' ', '\n  '),
        (drops, add, gap) => {
          const keys = drops.map((_, i) => `k${i}`)
          const object = `{${gap}${keys.map((k, i) => `"${k}"${gap}:${gap}${i}`).join(`${gap},${gap}`)}${gap}}`
          const node = root(object)
          if (node.kind !== 'object') throw new Error('not an object')
          const dropped = new Set(keys.filter((_, i) => drops[i]))
          const set = new Map(
            add
              ? [
                  ['k0', '"new"'],
                  ['z', 'true'],
                ]
              : [],
          )
          const expected = new Map<string, unknown>(keys.map((k, i) => [k, i]))
          for (const k of dropped) expected.delete(k)
          for (const [k, json] of set) expected.set(k, JSON.parse(json))
          expect(JSON.parse(splice(object, editObject(node, dropped, set)))).toEqual(Object.fromEntries(expected))

          const array = `[${gap}${keys.map((_, i) => i).join(`${gap},${gap}`)}${gap}]`
          const list = root(array)
          if (list.kind !== 'array') throw new Error('not an array')
          const positions = new Set(keys.map((_, i) => i).filter(i => drops[i]))
          expect(JSON.parse(splice(array, editArray(list, positions)))).toEqual(
            keys.map((_, i) => i).filter(i => !positions.has(i)),
          )
        },
      ),
      { numRuns: 200 },
    )
  })

  it('applies text edits in any order and refuses overlaps', () => {
    const edits = [
      { from: 4, to: 6, text: '[b]' },
      { from: 0, to: 2, text: '[a]' },
    ]
    expect(editText('012345', edits)).toBe('[a]23[b]')
    expect(() =>
      editText('0123', [
        { from: 0, to: 3, text: '' },
        { from: 2, to: 4, text: '' },
      ]),
    ).toThrow(RangeError)
    expect(() => editText('0123', [{ from: 3, to: 9, text: '' }])).toThrow(RangeError)
  })

  it('resolves JSON pointers as RFC 6901 section 5 has them', () => {
    const node = root('{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8,"__proto__":{"x":3}}')
    const at = (pointer: string) => {
      const found = resolvePointer(node, pointer)
      return found === undefined ? undefined : toValue(found)
    }
    expect([at('/foo/1'), at('/'), at('/a~1b'), at('/m~0n'), at('/__proto__/x')]).toEqual(['baz', 0, 1, 8, 3])
    expect([at('/foo/01'), at('/foo/-'), at('foo'), at('/constructor')]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })
})

describe('keys that look like a known key', () => {
  const known = knownKeys('messages stream tool_calls')
  const confused = (key: string) => {
    const node = root(JSON.stringify({ [key]: 1 }))
    return node.kind === 'object' ? ambiguousKey(node, known) : 'not an object'
  }

  it.each(['Messages', 'MESSAGES', '\uff4dessages', 'me\u017fsages', 'mess\u200bages', 'Tool_Calls', '\u{1d42c}tream'])(
    'notices %j',
    key => {
      expect(confused(key)).toBeDefined()
    },
  )

  it.each(['messages', 'message', 'tools', 'tool-calls', 'nachrichten', '__proto__'])('leaves %j alone', key => {
    expect(confused(key)).toBeUndefined()
  })
})
