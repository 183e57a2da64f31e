import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fold } from './fold.ts'

const wild = fc.string({ unit: 'binary', maxLength: 40 })
const lone = fc
  .array(fc.oneof(wild, fc.constantFrom('\ud83d', '\ude00', 'ﬁ', 'é', '\u200b', '\u{e0041}', 'İ', 'ẞ', 'Σ')), {
    maxLength: 8,
  })
  .map(parts => parts.join(''))

describe('fold', () => {
  it.each([
    ['ＳＥＣＲＥＴ', 'SECRET'],
    ['ⓈⒺⒸⓇⒺⓉ', 'SECRET'],
    ['🅂🄴🄲🅁🄴🅃', 'SECRET'],
    ['🅢🅔🅒🅡🅔🅣', 'SECRET'],
    ['🆂🅴🅲🆁🅴🆃', 'SECRET'],
    ['🇸🇪🇨🇷🇪🇹', 'SECRET'],
    ['𝐒𝑬𝒞𝓡𝔈𝕋', 'SECRET'],
    ['ЅЕСRЕТ', 'SECRET'],
    ['SΕCRΕΤ', 'SECRET'],
    ['sеcrеt', 'secret'],
    ['ꜱᴇᴄʀᴇᴛ', 'secret'],
    ['S\u200bE\u00adC\u2060R\ufe0fE\u{e0020}T\u180e\u3164', 'SECRET'],
    ['S\u0301E\u0336C\u0489RET', 'SECRET'],
    ['ᏚᎬᏟᎡᎬᎢ', 'SECRET'],
    ['ꭺꮯꭼ', 'ace'],
    ['Ⅷ ⅳ', 'VIII iv'],
    ['ﬁle ½', 'file 1/2'],
    ['٠١٢ ०१२ １２３', '012 012 123'],
    ['❶⓵➉', '1110'],
    ['non‑break–dash ⁄ ∕', 'non-break-dash / /'],
    ['\u202eabc\u2066', 'abc'],
    ['a\u00a0b\u3000c', 'a b c'],
    ['\ud83d\u0301\ude00', '\ufffd\ufffd'],
    ['naïve Größe Łódź', 'naive Grosse Lodz'],
  ])('%j reads %j', (text, plain) => {
    expect(fold(text).text).toBe(plain)
    expect(fold(text).lower).toBe(plain.toLowerCase())
  })

  it.each(['plain ASCII ~!@#', '中文 のテスト', 'ไทย', '😀 🎉', ''])('%j stays itself', text => {
    const folded = fold(text)
    expect(folded.identity).toBe(true)
    expect(folded.text).toBe(text)
  })

  it('leaves ordinary text of other scripts unlike Latin words', () => {
    for (const text of ['中文字符', '日本語', '한국어', 'שלום', 'مرحبا', 'ไทย', 'हिन्दी', 'فارسی']) {
      expect(fold(text).text).not.toMatch(/[A-Za-z]/)
    }
  })

  it('is free of context, keeps lengths equal in lower case, is its own fold, and maps every unit back', () => {
    fc.assert(
      fc.property(lone, text => {
        const folded = fold(text)
        expect(folded.lower.length).toBe(folded.text.length)
        expect(fold(folded.text).text).toBe(folded.text)
        expect(folded.identity).toBe(folded.text === text)
        let at = 0
        let unit = 0
        for (const character of text) {
          const one = fold(character)
          for (let i = 0; i < one.text.length; i++, unit++) {
            expect(folded.text[unit]).toBe(one.text[i])
            expect(folded.lower[unit]).toBe(one.lower[i])
            expect(folded.toOriginal(unit)).toBe(at)
            expect(folded.toOriginalEnd(unit + 1)).toBe(at + character.length)
          }
          at += character.length
        }
        expect(unit).toBe(folded.text.length)
        expect(folded.toOriginal(unit)).toBe(text.length)
        expect(folded.toOriginalEnd(0)).toBe(0)
      }),
    )
  })

  it('keeps its offsets and its text in long texts and after expansions', () => {
    const text = 'ﬁ\u200b中é😀𝐒 a\ud83d'.repeat(3000)
    const folded = fold(text)
    expect(folded.text).toBe('fi中e😀S a\ufffd'.repeat(3000))
    expect(folded.toOriginal(10 * 2999)).toBe(11 * 2999)
    expect([1, 2, 5, 6, 7, 9].map(i => folded.toOriginal(i))).toEqual([0, 2, 4, 6, 8, 10])
  })
})
