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

const HEAD = 5
const MASK = 0xfffff

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

/** The ASCII letters of `text[from, to)`, 0..25, without anything between them. */
export function lettersOf(text: string, from: number, to: number): Uint8Array {
  const out = new Uint8Array(to - from)
  let n = 0
  for (let i = from; i < to; i++) {
    const c = (text.charCodeAt(i) | 32) - 97
    if (c >= 0 && c < 26 && text.charCodeAt(i) < 128) out[n++] = c
  }
  return out.subarray(0, n)
}

/** `at`: index among the letters of the word's first letter in reading direction. Return true to stop. */
export type OnWord = (word: string, at: number, disguise: Disguise) => boolean

/** True when `onWord` stopped the search. */
export function findDisguised(letters: Uint8Array, index: WordIndex, onWord: OnWord): boolean {
  const { bits, entries } = index
  let key = 0
  let last = letters[0] ?? 0
  for (let i = 1; i < letters.length; i++) {
    const v = letters[i] ?? 0
    let d = v - last
    if (d < 0) d += 26
    last = v
    key = ((key << 5) | d) & MASK
    if (((bits[key >> 5] ?? 0) >>> (key & 31)) & 1 && i >= HEAD - 1) {
      const start = i - (HEAD - 1)
      for (const e of entries.get(key) ?? []) {
        const shift = shiftOf(letters, start, e.letters)
        if (shift < 0) continue
        const at = e.reversed ? start + e.letters.length - 1 : start
        if (onWord(e.word, at, { shift, mirrored: e.mirrored, reversed: e.reversed })) return true
      }
    }
  }
  return false
}

function shiftOf(letters: Uint8Array, start: number, word: readonly number[]): number {
  if (start + word.length > letters.length) return -1
  const shift = ((letters[start] ?? 0) - (word[0] ?? 0) + 26) % 26
  for (let i = 1; i < word.length; i++) if (((letters[start + i] ?? 0) - (word[i] ?? 0) + 26) % 26 !== shift) return -1
  return shift
}

/** The plain text, letters only and lower case, of at most `count` letters from `at` in reading direction. */
export function undisguise(letters: Uint8Array, at: number, count: number, d: Disguise): string {
  const step = d.reversed ? -1 : 1
  let out = ''
  for (let i = at, n = 0; n < count && i >= 0 && i < letters.length; i += step, n++) {
    const v = ((letters[i] ?? 0) - d.shift + 26) % 26
    out += String.fromCharCode(97 + (d.mirrored ? 25 - v : v))
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
