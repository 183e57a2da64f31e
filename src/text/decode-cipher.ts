/**
 * Finds words hidden by a substitution of the alphabet without decoding anything: the differences between neighbouring letters
 * are the same under every Caesar shift, negated under Atbash, and reversed and negated in a text written backwards. One pass over
 * the letters therefore looks for every word in all 104 disguises at once, and in plain text whose letters were spread apart.
 *
 * Guarantees one table look-up per letter however long the text; only verified words are reported.
 */

/** `shift` 0..25. `mirrored`: Atbash first. `reversed`: the word runs backwards from `at`. */
export interface Disguise {
  readonly shift: number
  readonly mirrored: boolean
  readonly reversed: boolean
}

export interface WordIndex {
  readonly bits: Uint32Array
  readonly entries: ReadonlyMap<number, readonly Entry[]>
}
interface Entry {
  readonly word: string
  readonly letters: readonly number[]
  readonly mirrored: boolean
  readonly reversed: boolean
}

/** Letters whose differences are looked up: three differences of five bits index a table that stays in the first cache. */
const HEAD = 4
const MASK = 0x7fff

/** Words of at least five letters a-z. */
export function indexWords(words: readonly string[]): WordIndex {
  const bits = new Uint32Array((MASK + 1) / 32)
  const entries = new Map<number, Entry[]>()
  for (const word of words) {
    const letters = Array.from(word, c => c.charCodeAt(0) - 97)
    if (letters.length < HEAD) throw new RangeError(`a disguised word needs at least ${HEAD} letters, got '${word}'`)
    for (const reversed of [false, true]) {
      for (const mirrored of [false, true]) {
        const written = letters.map(v => (mirrored ? 25 - v : v))
        if (reversed) written.reverse()
        let key = 0
        for (let i = 1; i < HEAD; i++)
          key = ((key << 5) | (((written[i] ?? 0) - (written[i - 1] ?? 0) + 26) % 26)) & MASK
        bits[key >> 5] = (bits[key >> 5] ?? 0) | (1 << (key & 31))
        const list = entries.get(key) ?? []
        list.push({ word, letters: written, mirrored, reversed })
        entries.set(key, list)
      }
    }
  }
  return { bits, entries }
}

/** 0..25, or -1. */
function letterAt(text: string, i: number): number {
  const c = text.charCodeAt(i)
  if (c > 127) return -1
  const v = (c | 32) - 97
  return v >= 0 && v < 26 ? v : -1
}

/** `at`: position of the word's first letter in reading direction. Return true to stop. */
export type OnWord = (word: string, at: number, disguise: Disguise) => boolean

/** True when `onWord` stopped the search. */
export function findDisguised(text: string, index: WordIndex, onWord: OnWord): boolean {
  const { bits, entries } = index
  let key = 0
  let last = 0
  for (let i = 0; i < text.length; i++) {
    const v = (text.charCodeAt(i) | 32) - 97
    if (v < 0 || v > 25 || text.charCodeAt(i) > 127) continue
    let d = v - last
    if (d < 0) d += 26
    last = v
    key = ((key << 5) | d) & MASK
    if (((bits[key >> 5] ?? 0) >>> (key & 31)) & 1) {
      for (const e of entries.get(key) ?? []) {
        const start = back(text, i, HEAD - 1)
        if (start < 0) continue
        const found = verify(text, start, e.letters)
        if (found === undefined) continue
        const at = e.reversed ? found.end : start
        if (onWord(e.word, at, { shift: found.shift, mirrored: e.mirrored, reversed: e.reversed })) return true
      }
    }
  }
  return false
}

/** Position of the letter `count` letters before the one at `i`; -1 when there is none. */
function back(text: string, i: number, count: number): number {
  let left = count
  let at = i
  while (left > 0) {
    at--
    if (at < 0 || i - at > MAX_SPREAD) return -1
    if (letterAt(text, at) >= 0) left--
  }
  return at
}

/** Between the letters of one word at most this much may stand, all in all. */
const MAX_SPREAD = 256

function verify(text: string, start: number, word: readonly number[]): { shift: number; end: number } | undefined {
  const shift = (letterAt(text, start) - (word[0] ?? 0) + 26) % 26
  let k = 1
  let i = start + 1
  for (; k < word.length; i++) {
    if (i >= text.length || i - start > MAX_SPREAD) return undefined
    const v = letterAt(text, i)
    if (v < 0) continue
    if ((v - (word[k] ?? 0) + 26) % 26 !== shift) return undefined
    k++
  }
  return { shift, end: i - 1 }
}

/** The plain text, letters only and lower case, of at most `count` letters from `at` in reading direction. */
export function undisguise(text: string, at: number, count: number, d: Disguise): string {
  const step = d.reversed ? -1 : 1
  let out = ''
  let n = 0
  for (let i = at, walked = 0; n < count && i >= 0 && i < text.length && walked < count * 8; i += step, walked++) {
    const letter = letterAt(text, i)
    if (letter < 0) continue
    const v = (letter - d.shift + 26) % 26
    out += String.fromCharCode(97 + (d.mirrored ? 25 - v : v))
    n++
  }
  return out
}

/** What people call it. Mirroring with any shift is one of the affine family; shift 0 is Atbash proper. */
export function disguiseName(d: Disguise): string {
  const base = d.mirrored ? 'atbash' : d.shift === 0 ? '' : d.shift === 13 ? 'rot13' : `caesar-${d.shift}`
  return d.reversed ? (base === '' ? 'reversed' : `reversed-${base}`) : base
}

/** ROT47 turns the printable ASCII range by half; its own inverse. */
export function rot47(text: string): string {
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    out += c >= 33 && c <= 126 ? String.fromCharCode(33 + ((c - 33 + 47) % 94)) : text.charAt(i)
  }
  return out
}
