import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JsonStrings } from './messages-json-strings.ts'

const decode = (...pieces: readonly string[]) => {
  const strings = new JsonStrings()
  return pieces.map(piece => strings.push(piece).text).join('')
}

describe('strings of JSON text in pieces', () => {
  it.each<[string, string]>([
    ['{"a":"b"}', 'a\nb\n'],
    ['["\\"\\\\\\/\\b\\f\\n\\r\\t"]', '"\\/\b\f\n\r\t\n'],
    ['["\\u0041\\uD83D\\uDE00"]', 'A\u{1f600}\n'],
    ['["\\ud83d","\\ude00x"]', '\ufffd\n\ufffdx\n'],
    ['{"n":12345678,"t":true}', 'n\nt\n'],
    ['"never ends', 'never ends'],
    ['"\\u00', ''],
    ['', ''],
  ])('%s', (json, expected) => {
    expect(decode(json)).toBe(expected)
    expect(decode(...json)).toBe(expected)
  })

  it('agrees with a JSON parser, whatever the cutting', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.array(fc.nat(200)), (texts, cuts) => {
        const json = JSON.stringify(texts)
        const at = [...new Set([0, ...cuts.filter(cut => cut < json.length), json.length])].sort((a, b) => a - b)
        expect(decode(...at.slice(1).map((to, i) => json.slice(at[i], to)))).toBe(texts.map(t => `${t}\n`).join(''))
      }),
    )
  })

  it('knows which characters a unit came from, and which came earlier', () => {
    const strings = new JsonStrings()
    expect(strings.push('"a\\u0')).toEqual({ text: 'a', from: [1], to: [2] })
    expect(strings.push('062\\n"')).toEqual({ text: 'b\n\n', from: [-1, 3, -1], to: [3, 5, -1] })
    expect(strings.push('"\\ud83d\\ude00"').from).toEqual([1, 13, -1])
  })
})
