import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { escapeJson, escapeText, shorten, width } from './escape.ts'

const anything = fc
  .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 40 })
  .map(points => String.fromCodePoint(...points))
const at = (n: number): string => String.fromCodePoint(n)

describe('escapeText', () => {
  it.each([
    ['colour', '\x1b[31mred\x1b[0m', '\\x1b[31mred\\x1b[0m'],
    ['window title', '\x1b]0;pwned\x07', '\\x1b]0;pwned\\x07'],
    ['hyperlink', '\x1b]8;;http://evil\x1b\\click', '\\x1b]8;;http://evil\\x1b\\click'],
    ['carriage return', 'OK\rBROKEN', 'OK\\x0dBROKEN'],
    ['line feed', 'a\nb', 'a\\x0ab'],
    ['tab', 'a\tb', 'a\\x09b'],
    ['backspace', 'a\b', 'a\\x08'],
    ['delete', '\x7f', '\\x7f'],
    ['C1 control sequence introducer', `${at(0x9b)}31m`, '\\u009b31m'],
    ['next line', at(0x85), '\\u0085'],
    ['right-to-left override', `${at(0x202e)}txt.exe`, '\\u202etxt.exe'],
    ['isolate', at(0x2066), '\\u2066'],
    ['right-to-left mark', at(0x200f), '\\u200f'],
    ['zero-width space', `pay${at(0x200b)}ment`, 'pay\\u200bment'],
    ['byte-order mark', at(0xfeff), '\\ufeff'],
    ['soft hyphen', at(0xad), '\\u00ad'],
    ['line separator', at(0x2028), '\\u2028'],
    ['tag letter', at(0xe0041), '\\u{e0041}'],
    ['variation selector', at(0xe0100), '\\u{e0100}'],
    ['Hangul filler', at(0x3164), '\\u3164'],
    ['lone surrogate', '\ud800x', '\\ud800x'],
    ['private use', at(0xe000), '\\ue000'],
  ])('%s', (_name, text, expected) => {
    expect(escapeText(text)).toBe(expected)
  })

  it.each(['plain ASCII ~!', 'José Ünï', '日本語', 'Привет', 'שלום', '😀', 'é'])('%s stays as it is', text => {
    expect(escapeText(text)).toBe(text)
  })

  it('leaves nothing that a terminal obeys, whatever comes', () => {
    fc.assert(
      fc.property(anything, text => {
        expect(escapeText(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u)
      }),
    )
  })
})

describe('escapeJson', () => {
  it('is the same JSON, safe to print', () => {
    fc.assert(
      fc.property(anything, text => {
        const json = escapeJson(JSON.stringify({ [text]: [text] }, undefined, 2))
        expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u)
        expect(JSON.parse(json)).toEqual({ [text]: [text] })
      }),
    )
  })
})

describe('width', () => {
  it.each([
    ['abc', 3],
    ['日本', 4],
    ['한글', 4],
    ['é', 1],
    ['😀', 2],
    ['ｆｕｌｌ', 8],
    ['', 0],
  ])('%j takes %i columns', (text, columns) => {
    expect(width(text)).toBe(columns)
  })

  it('shortens to the columns given and never further', () => {
    expect(shorten('short', 10)).toBe('short')
    expect(shorten('0123456789abc', 10)).toBe('0123456...')
    expect(shorten('日本語日本語', 9)).toBe('日本語...')
  })
})
