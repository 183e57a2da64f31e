/**
 * All regular expressions over one spelling of one text (the original, or its fold), piece by piece.
 *
 * Guarantees: keeps only the undecided tail and the few units before it that lookbehinds may ask for; a pattern is run
 * only where it can begin (its first character, or a word the automaton found) or is already open.
 */
import { firstTest, prefixesOf } from './pattern.ts'
import type { Matcher } from './matcher.ts'

export interface Gate {
  /** Words one of which begins every match; empty when the first character decides instead. */
  readonly words: readonly string[]
  readonly ignoreCase: boolean
  readonly first: (character: string) => boolean
}

export function gateOf(matcher: Matcher): Gate {
  const words = prefixesOf(matcher.pattern)
  return {
    words,
    ignoreCase: matcher.pattern.flags.includes('i'),
    first: words.length > 0 ? () => false : firstTest(matcher.pattern),
  }
}

/** Which of the matchers may begin with a unit: one bit each. */
export interface FirstUnits {
  readonly wordsPerUnit: number
  /** Adds the bits of every unit of `text` to `into`. */
  collect(text: string, into: Int32Array): void
}

export function firstUnits(gates: readonly Gate[]): FirstUnits {
  const wordsPerUnit = Math.ceil(gates.length / 32)
  const bitsOf = (character: string): Int32Array => {
    const bits = new Int32Array(wordsPerUnit)
    gates.forEach((gate, i) => {
      if (gate.first(character)) bits[i >> 5] = (bits[i >> 5] ?? 0) | (1 << (i & 31))
    })
    return bits
  }
  const ascii = new Int32Array(128 * wordsPerUnit)
  for (let unit = 0; unit < 128; unit++) ascii.set(bitsOf(String.fromCharCode(unit)), unit * wordsPerUnit)
  /** Half of a pair may begin anything that is not gated by a word. */
  const everything = new Int32Array(wordsPerUnit)
  gates.forEach((gate, i) => {
    if (gate.words.length === 0) everything[i >> 5] = (everything[i >> 5] ?? 0) | (1 << (i & 31))
  })
  const others = new Map<number, Int32Array>()
  const other = (unit: number): Int32Array => {
    if (unit >= 0xd800 && unit <= 0xdfff) return everything
    let bits = others.get(unit)
    if (bits === undefined) {
      bits = bitsOf(String.fromCharCode(unit))
      others.set(unit, bits)
    }
    return bits
  }
  return {
    wordsPerUnit,
    collect(text, into) {
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i)
        if (unit < 128) {
          const at = unit * wordsPerUnit
          for (let w = 0; w < wordsPerUnit; w++) into[w] = (into[w] ?? 0) | (ascii[at + w] ?? 0)
        } else {
          const bits = other(unit)
          for (let w = 0; w < wordsPerUnit; w++) into[w] = (into[w] ?? 0) | (bits[w] ?? 0)
        }
      }
    },
  }
}

/** Places where the automaton saw, or may be seeing, the beginning of a match: matcher index to the earliest offset. */
export type Triggers = ReadonlyMap<number, number>

export class Lane {
  readonly #matchers: readonly Matcher[]
  readonly #units: FirstUnits
  readonly #behind: number
  readonly #bits: Int32Array
  /** Matcher index to its earliest undecided offset. */
  readonly #open: Map<number, number>
  #kept: string
  /** Offset of `#kept` in the lane's text. */
  #base: number

  constructor(matchers: readonly Matcher[], units: FirstUnits, from?: { readonly lane: Lane; readonly shift: number }) {
    this.#matchers = matchers
    this.#units = units
    this.#behind = matchers.reduce((most, matcher) => Math.max(most, matcher.behind), 0)
    this.#bits = new Int32Array(units.wordsPerUnit)
    this.#open = new Map()
    this.#kept = from === undefined ? '' : from.lane.#kept
    this.#base = from === undefined ? 0 : from.lane.#base - from.shift
    if (from !== undefined) for (const [matcher, at] of from.lane.#open) this.#open.set(matcher, at - from.shift)
  }

  /** First offset whose text is still kept. */
  get base(): number {
    return this.#base
  }

  get behind(): number {
    return this.#behind
  }

  /** Matchers that are undecided, with the offset from which. */
  get open(): ReadonlyMap<number, number> {
    return this.#open
  }

  feed(piece: string, triggers: Triggers, ended: boolean, hit: (matcher: number, from: number, to: number) => void): void {
    const start = this.#base + this.#kept.length
    const work = this.#work(piece, triggers, start)
    if (work === undefined) {
      this.#keep(piece)
      return
    }
    const base = this.#base
    const text = this.#kept + piece
    for (const [index, at] of work) {
      const matcher = this.#matchers[index]
      if (matcher === undefined) continue
      const open = matcher.search(text, at - base, ended, (from, to) => hit(index, from + base, to + base))
      if (open < text.length) this.#open.set(index, open + base)
      else this.#open.delete(index)
    }
    let keepFrom = text.length
    for (const at of this.#open.values()) keepFrom = Math.min(keepFrom, at - base)
    const drop = Math.max(0, keepFrom - this.#behind)
    this.#kept = text.slice(drop)
    this.#base = base + drop
  }

  /** Which matchers to run and from where; undefined when none: the common case. */
  #work(piece: string, triggers: Triggers, start: number): Map<number, number> | undefined {
    const bits = this.#bits
    let any = this.#open.size > 0 || triggers.size > 0
    if (bits.length > 0) {
      bits.fill(0)
      this.#units.collect(piece, bits)
      for (let w = 0; w < bits.length; w++) any ||= bits[w] !== 0
    }
    if (!any) return undefined
    const work = new Map(this.#open)
    // A place before this piece that is not open has been decided already.
    for (const [index, at] of triggers) if (!work.has(index)) work.set(index, Math.max(at, start))
    for (let w = 0; w < bits.length; w++) {
      for (let left = bits[w] ?? 0; left !== 0; left &= left - 1) {
        const index = w * 32 + 31 - Math.clz32(left & -left)
        if (!work.has(index)) work.set(index, start)
      }
    }
    return work
  }

  #keep(piece: string): void {
    const end = this.#base + this.#kept.length + piece.length
    const text = piece.length >= this.#behind ? piece : this.#kept + piece
    this.#kept = text.length > this.#behind ? text.slice(text.length - this.#behind) : text
    this.#base = end - this.#kept.length
  }
}
