/**
 * All regular expressions over one spelling of one text (the original, or its fold), piece by piece.
 *
 * Guarantees: keeps only the undecided tail and the few units before it that lookbehinds may ask for; a pattern is run
 * only where it can begin (its first character, or a word the automaton found) or is already open.
 */
import type { Matcher } from './matcher.ts'
import { firstTest, type Lead, leadOf, prefixesOf } from './pattern.ts'

export interface Gate {
  /** Words one of which begins every match; empty when the first character decides instead. */
  readonly words: readonly string[]
  readonly ignoreCase: boolean
  readonly first: (character: string) => boolean
  /** What a match needs before its first word. */
  readonly lead: Lead
}

export function gateOf(matcher: Matcher): Gate {
  const words = prefixesOf(matcher.pattern)
  return {
    words,
    ignoreCase: matcher.pattern.flags.includes('i'),
    first: words.length > 0 ? () => false : firstTest(matcher.pattern),
    lead: leadOf(matcher.pattern, words),
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

/** Places where the automaton saw the beginning of a match, or may be seeing one at the end of the text. */
export class Triggers {
  /** Matchers triggered, each once. */
  readonly matchers: number[] = []
  readonly #at: Float64Array
  readonly #whole: Uint8Array

  constructor(matchers: number) {
    this.#at = new Float64Array(matchers).fill(-1)
    this.#whole = new Uint8Array(matchers)
  }

  /** `whole`: a whole word was seen, not only its first characters. */
  add(matcher: number, at: number, whole: boolean): void {
    const earlier = this.at(matcher)
    if (earlier < 0) this.matchers.push(matcher)
    if (earlier < 0 || at < earlier) this.#at[matcher] = at
    if (whole) this.#whole[matcher] = 1
  }

  /** Earliest place, -1 when there is none. */
  at(matcher: number): number {
    return this.#at[matcher] ?? -1
  }

  isWhole(matcher: number): boolean {
    return this.#whole[matcher] === 1
  }

  clear(): void {
    for (const matcher of this.matchers) {
      this.#at[matcher] = -1
      this.#whole[matcher] = 0
    }
    this.matchers.length = 0
  }
}

type Found = (matcher: number, from: number, to: number) => void

export class Lane {
  readonly #matchers: readonly Matcher[]
  readonly #gates: readonly Gate[]
  readonly #units: FirstUnits
  readonly #behind: number
  readonly #bits: Int32Array
  /** Matcher index to the earliest offset where its pattern is undecided. */
  readonly #open: Map<number, number>
  /** Matchers open only because the text ends inside a word they begin with: the automaton will tell whether it goes on. */
  #awaited: number[]
  #awaitedBefore: number[] = []
  /** Where each of those would begin, -1 for the others. */
  readonly #awaitedAt: Float64Array
  /** Triggered matchers that have run already, for the piece at hand. */
  readonly #resumed: Uint8Array
  readonly #resumedList: number[] = []
  #kept: string
  /** Offset of `#kept` in the lane's text. */
  #base: number

  /** `from`: another lane whose text has been the same as far back as matters, at offsets larger by `shift`. */
  constructor(
    matchers: readonly Matcher[],
    gates: readonly Gate[],
    units: FirstUnits,
    from?: { readonly lane: Lane; readonly shift: number },
  ) {
    this.#matchers = matchers
    this.#gates = gates
    this.#units = units
    this.#behind = matchers.reduce((most, matcher) => Math.max(most, matcher.behind), 0)
    this.#bits = new Int32Array(units.wordsPerUnit)
    this.#open = new Map()
    this.#awaited = []
    this.#resumed = new Uint8Array(matchers.length)
    this.#awaitedAt = new Float64Array(matchers.length).fill(-1)
    this.#kept = from === undefined ? '' : from.lane.#kept
    this.#base = from === undefined ? 0 : from.lane.#base - from.shift
    if (from === undefined) return
    for (const [matcher, at] of from.lane.#open) this.#open.set(matcher, at - from.shift)
    for (const matcher of from.lane.#awaited) this.#await(matcher, (from.lane.#awaitedAt[matcher] ?? 0) - from.shift)
  }

  /** First offset whose text is still kept. */
  get base(): number {
    return this.#base
  }

  /** Nothing is undecided. */
  get quiet(): boolean {
    return this.#open.size === 0 && this.#awaited.length === 0
  }

  /** From where a matcher is undecided; undefined when it is not. */
  openAt(matcher: number): number | undefined {
    const awaited = this.#awaitedAt[matcher] ?? -1
    return awaited >= 0 ? awaited : this.#open.get(matcher)
  }

  /** Every undecided matcher, each once. */
  eachOpen(see: (matcher: number, at: number) => void): void {
    for (const [matcher, at] of this.#open) see(matcher, at)
    for (const matcher of this.#awaited) see(matcher, this.#awaitedAt[matcher] ?? 0)
  }

  /** `place` turns the triggers' offsets into the lane's own. */
  feed(piece: string, triggers: Triggers, place: (at: number) => number, ended: boolean, found: Found): void {
    const bits = this.#bits
    let any = !this.quiet || triggers.matchers.length > 0
    if (bits.length > 0) {
      bits.fill(0)
      this.#units.collect(piece, bits)
      for (let w = 0; w < bits.length; w++) any ||= bits[w] !== 0
    }
    if (any) this.#run(piece, triggers, place, ended, found)
    else this.#keep(piece)
  }

  #run(piece: string, triggers: Triggers, place: (at: number) => number, ended: boolean, found: Found): void {
    const bits = this.#bits
    const start = this.#base + this.#kept.length
    const text = this.#kept + piece
    if (this.#open.size > 0) this.#resume(text, triggers, ended, found)
    const before = this.#awaited
    this.#awaited = this.#awaitedBefore
    this.#awaitedBefore = before
    for (const matcher of triggers.matchers) {
      if (this.#resumed[matcher] === 1) continue
      // What lies before this piece and is not open has been decided already.
      const open = this.#awaitedAt[matcher] ?? -1
      const least = open >= 0 ? open : start
      const at = place(triggers.at(matcher))
      this.#awaitedAt[matcher] = -1
      if (!triggers.isWhole(matcher) && at >= least && this.#mayBegin(matcher, text, at - this.#base)) {
        this.#await(matcher, at)
      } else {
        this.#search(matcher, text, Math.max(at, least), ended, found)
      }
    }
    for (const matcher of before) if (triggers.at(matcher) < 0) this.#awaitedAt[matcher] = -1
    before.length = 0
    for (let w = 0; w < bits.length; w++) {
      for (let left = bits[w] ?? 0; left !== 0; left &= left - 1) {
        this.#search(w * 32 + 31 - Math.clz32(left & -left), text, start, ended, found)
      }
    }
    let keepFrom = text.length
    if (this.#open.size > 0) for (const at of this.#open.values()) keepFrom = Math.min(keepFrom, at - this.#base)
    for (const matcher of this.#awaited) keepFrom = Math.min(keepFrom, (this.#awaitedAt[matcher] ?? 0) - this.#base)
    if (this.#resumedList.length > 0) {
      for (const matcher of this.#resumedList) this.#resumed[matcher] = 0
      this.#resumedList.length = 0
    }
    const drop = Math.max(0, keepFrom - this.#behind)
    this.#kept = text.slice(drop)
    this.#base += drop
  }

  #search(index: number, text: string, at: number, ended: boolean, found: Found): void {
    const base = this.#base
    const matcher = this.#matchers[index]
    const open =
      matcher?.search(text, at - base, ended, (from, to) => found(index, from + base, to + base)) ?? text.length
    if (open < text.length) this.#open.set(index, open + base)
    else this.#open.delete(index)
  }

  /** Patterns that were undecided go on where they were. */
  #resume(text: string, triggers: Triggers, ended: boolean, found: Found): void {
    for (const [matcher, at] of this.#open) {
      this.#search(matcher, text, at, ended, found)
      // Each matcher runs once per piece.
      const bit = this.#bits[matcher >> 5]
      if (bit !== undefined) this.#bits[matcher >> 5] = bit & ~(1 << (matcher & 31))
      if (triggers.at(matcher) < 0) continue
      this.#resumed[matcher] = 1
      this.#resumedList.push(matcher)
    }
  }

  #await(matcher: number, at: number): void {
    this.#awaited.push(matcher)
    this.#awaitedAt[matcher] = at
  }

  /** Whether what stands before the word allows it, as far as that can be told without running the pattern. */
  #mayBegin(matcher: number, text: string, at: number): boolean {
    const lead = this.#gates[matcher]?.lead
    if (lead === 'nothing') return true
    return lead === 'word boundary' && (at === 0 || !isWordUnit(text.charCodeAt(at - 1)))
  }

  #keep(piece: string): void {
    const end = this.#base + this.#kept.length + piece.length
    const text = piece.length >= this.#behind ? piece : this.#kept + piece
    this.#kept = text.length > this.#behind ? text.slice(text.length - this.#behind) : text
    this.#base = end - this.#kept.length
  }
}

/** `\w` without the `iu` flags. */
function isWordUnit(unit: number): boolean {
  return (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || unit === 95 || (unit >= 97 && unit <= 122)
}
