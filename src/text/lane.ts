/**
 * All regular expressions over one spelling of one text (the original, or its fold), piece by piece.
 *
 * Guarantees: keeps only the undecided tail and the few units before it that lookbehinds may ask for; a pattern is run
 * only where it can begin (a word the automaton found, looked at once more by its door; or its first character) or is
 * already open. For each piece: `begin`, then `knock` for every word found, then `finish`.
 */
import { type Door, type Doors, type Lead, mayBegin } from './lead.ts'
import { type Matcher, UNDECIDED } from './matcher.ts'

/** Which of the matchers may begin with a unit: one bit each. */
export interface FirstUnits {
  readonly wordsPerUnit: number
  /** Adds the bits of every unit of `text` to `into`. */
  collect(text: string, into: Int32Array): void
}

/** `firsts`: each matcher's test of a first character; undefined for those that begin with a word. */
export function firstUnits(firsts: readonly (((character: string) => boolean) | undefined)[]): FirstUnits {
  const wordsPerUnit = firsts.every(first => first === undefined) ? 0 : Math.ceil(firsts.length / 32)
  const bitsOf = (character: string): Int32Array => {
    const bits = new Int32Array(wordsPerUnit)
    firsts.forEach((first, i) => {
      if (first?.(character) === true) bits[i >> 5] = (bits[i >> 5] ?? 0) | (1 << (i & 31))
    })
    return bits
  }
  const ascii = new Int32Array(128 * wordsPerUnit)
  for (let unit = 0; unit < 128; unit++) ascii.set(bitsOf(String.fromCharCode(unit)), unit * wordsPerUnit)
  /** Half of a pair may begin anything that is not gated by a word. */
  const everything = new Int32Array(wordsPerUnit)
  firsts.forEach((first, i) => {
    if (first !== undefined) everything[i >> 5] = (everything[i >> 5] ?? 0) | (1 << (i & 31))
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

/** What lanes run. */
export interface LaneRules {
  readonly matchers: readonly Matcher[]
  readonly doors: Doors
  readonly units: FirstUnits
  /** Settled units that must be kept: the most that any pattern looks behind, and the longest word. */
  readonly context: number
}

export type Found = (matcher: number, from: number, to: number) => void

/** Short pieces are joined, and cut, only now and then. */
const SLACK = 192

export class Lane {
  readonly #rules: LaneRules
  /** Matcher index to the earliest offset where its pattern is undecided. */
  #open: Map<number, number> | undefined
  /** Per matcher: everything before this offset is decided. Made with the first hit. */
  #settled: Float64Array | undefined
  #mostSettled = 0
  #kept = ''
  /** Offset of `#kept` in the lane's text. */
  #base = 0
  #piece = ''
  /** Offset of `#piece`. */
  #start = 0
  /** `#kept` and `#piece`, once somebody asks. */
  #joined: string | undefined
  #ended = false
  /** Places to be put in order first: pairs of offset and door. */
  #deferred: (readonly [at: number, door: Door])[] | undefined
  /** Matchers without a word that have run already, for the piece at hand. */
  #resumed: number[] | undefined

  /** `from`: another lane whose text has been the same as far back as matters, at offsets larger by `shift`. */
  constructor(rules: LaneRules, from?: { readonly lane: Lane; readonly shift: number }) {
    this.#rules = rules
    if (from === undefined) return
    const { lane, shift } = from
    this.#kept = lane.#kept
    this.#base = lane.#base - shift
    if (lane.#open !== undefined) this.#open = new Map([...lane.#open].map(([matcher, at]) => [matcher, at - shift]))
    if (lane.#settled !== undefined) this.#settled = lane.#settled.map(at => at - shift)
    this.#mostSettled = lane.#mostSettled - shift
  }

  /** First offset whose text is still kept. */
  get base(): number {
    return this.#base
  }

  /** No pattern is undecided; one of their words may still be incomplete. */
  get quiet(): boolean {
    return this.#open === undefined || this.#open.size === 0
  }

  /** From where a matcher is undecided; undefined when it is not. */
  openAt(matcher: number): number | undefined {
    return this.#open?.get(matcher)
  }

  eachOpen(see: (matcher: number, at: number) => void): void {
    for (const [matcher, at] of this.#open ?? []) see(matcher, at)
  }

  /** Whether a match of some matcher ends after `at`. */
  hasSettled(at: number): boolean {
    return at < this.#mostSettled
  }

  /** Whether a match of this matcher may still begin at `at`, where one of its words has begun in either spelling. */
  awaits(matcher: number, at: number): boolean {
    if (at < this.#base || at < this.#settledAt(matcher)) return false
    const place = at - this.#base
    if (this.#rules.doors.of[matcher]?.beginning.may(this.#kept, place) === false) return false
    // Beyond ASCII, a word may be one in the other spelling only.
    return (
      this.#kept.charCodeAt(place) < 128 ||
      this.#rules.matchers[matcher]?.matchAt(this.#kept, place, false) === UNDECIDED
    )
  }

  /** Whether a match may begin at `at`, among the last units, where a word has begun. To be asked after `finish`. */
  allows(lead: Lead, at: number): boolean {
    const inPiece = at - this.#start
    if (inPiece >= lead.behind) return lead.allows(this.#piece, inPiece)
    return at >= this.#base && lead.allows(this.#kept, at - this.#base)
  }

  /** Takes the next piece, and goes on with patterns that were undecided. */
  begin(piece: string, ended: boolean, found: Found): void {
    this.#start = this.#base + this.#kept.length
    this.#piece = piece
    this.#ended = ended
    this.#joined = undefined
    if (!this.quiet) this.#resume(found)
  }

  /** A word of this door stands at `at`, or its beginning at the end of the piece. `seen`: the door has been asked. */
  knock(door: Door, at: number, found: Found, seen = false): void {
    if (door.disorderly) {
      this.#deferred ??= []
      this.#deferred.push([at, door])
    } else {
      this.#try(door, at, found, seen)
    }
  }

  finish(found: Found): void {
    if (this.#deferred !== undefined) {
      for (const [at, door] of this.#deferred.sort((a, b) => a[0] - b[0])) this.#try(door, at, found, false)
      this.#deferred = undefined
    }
    if (this.#rules.units.wordsPerUnit > 0) this.#runUnworded(found)
    if (!this.#ended) this.#keep()
  }

  #text(): string {
    return (this.#joined ??= this.#kept === '' ? this.#piece : this.#kept + this.#piece)
  }

  #settledAt(matcher: number): number {
    return this.#settled?.[matcher] ?? Number.NEGATIVE_INFINITY
  }

  #settle(matcher: number, at: number): void {
    this.#settled ??= new Float64Array(this.#rules.matchers.length)
    this.#settled[matcher] = at
    if (at > this.#mostSettled) this.#mostSettled = at
  }

  #setOpen(matcher: number, at: number): void {
    this.#open ??= new Map()
    this.#open.set(matcher, at)
  }

  #try(door: Door, at: number, found: Found, seen: boolean): void {
    const base = this.#base
    // What began before the text that is kept is not the word, in this spelling.
    if (at < base || (at < this.#mostSettled && !this.#anyLeft(door, at))) return
    const text = this.#text()
    if (!seen && !mayBegin(door, text, at - base)) return
    for (const index of door.matchers) {
      if (this.#open?.has(index) || at < this.#settledAt(index)) continue
      const end = this.#rules.matchers[index]?.matchAt(text, at - base, this.#ended) ?? 0
      if (end === UNDECIDED) {
        this.#setOpen(index, at)
      } else if (end >= 0) {
        this.#settle(index, end + base)
        found(index, at, end + base)
      }
    }
  }

  #anyLeft(door: Door, at: number): boolean {
    for (const index of door.matchers) if (at >= this.#settledAt(index)) return true
    return false
  }

  #resume(found: Found): void {
    for (const [index, at] of this.#open ?? []) {
      const door = this.#rules.doors.of[index]
      if (door !== undefined) {
        this.#resumeAt(index, door, at, found)
        continue
      }
      this.#search(index, at, found)
      this.#resumed ??= []
      this.#resumed.push(index)
    }
  }

  /** Goes on at `at` and, once that is decided, with the places passed over since. */
  #resumeAt(index: number, door: Door, at: number, found: Found): void {
    const matcher = this.#rules.matchers[index]
    const base = this.#base
    const text = this.#text()
    let place = at
    while (matcher !== undefined) {
      const end = matcher.matchAt(text, place - base, this.#ended)
      if (end === UNDECIDED) {
        this.#setOpen(index, place)
        return
      }
      if (end >= 0) found(index, place, end + base)
      place = end >= 0 ? end + base : place + 1
      while (place < this.#start && !mayBegin(door, text, place - base)) place++
      if (place >= this.#start) break
    }
    this.#settle(index, place)
    this.#open?.delete(index)
  }

  /** Patterns that begin with no word: from their first character on. */
  #runUnworded(found: Found): void {
    const { units } = this.#rules
    const bits = new Int32Array(units.wordsPerUnit)
    units.collect(this.#piece, bits)
    if (this.#resumed !== undefined) {
      for (const index of this.#resumed) bits[index >> 5] = (bits[index >> 5] ?? 0) & ~(1 << (index & 31))
      this.#resumed = undefined
    }
    for (let w = 0; w < bits.length; w++) {
      for (let left = bits[w] ?? 0; left !== 0; left &= left - 1) {
        this.#search(w * 32 + 31 - Math.clz32(left & -left), this.#start, found)
      }
    }
  }

  #search(index: number, at: number, found: Found): void {
    const base = this.#base
    const text = this.#text()
    const open =
      this.#rules.matchers[index]?.search(text, at - base, this.#ended, (from, to) =>
        found(index, from + base, to + base),
      ) ?? text.length
    if (open < text.length) this.#setOpen(index, open + base)
    else this.#open?.delete(index)
  }

  #keep(): void {
    const { context } = this.#rules
    const end = this.#start + this.#piece.length
    if (this.quiet) {
      const text = this.#piece.length >= context ? this.#piece : (this.#joined ?? this.#kept + this.#piece)
      this.#kept = text.length > context + SLACK || text === this.#piece ? tail(text, context) : text
    } else {
      let from = end
      for (const at of this.#open?.values() ?? []) from = Math.min(from, at)
      const text = this.#text()
      const drop = from - context - this.#base
      this.#kept = drop > 0 ? text.slice(drop) : text
    }
    this.#base = end - this.#kept.length
    this.#joined = undefined
  }
}

function tail(text: string, length: number): string {
  return text.length > length ? text.slice(text.length - length) : text
}
