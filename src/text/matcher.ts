/**
 * One regular expression, ready to be run on a text that arrives in pieces.
 *
 * What a match is, for whole texts and streams alike: from the left, at each place, the original's own match (cut to
 * `limit` units when longer); or, where the pattern is still undecided after `limit` units and what it may look ahead, a
 * hit of `limit` units. A hit never splits a surrogate pair. The search goes on where the hit ends. The outcome at a place depends only on `behind` units
 * before it and `reach` units after it, never on how the text was cut.
 *
 * Work: a place costs at most what the pattern costs on `reach` units, so a text costs at most its length times that.
 */
import { splitsPair } from './fold.ts'
import { measure, type Pattern, PatternError, parsePattern } from './pattern.ts'
import { prefixClosed } from './prefix-closed.ts'

export interface Matcher {
  readonly pattern: Pattern
  /** Units of settled text it needs before the place it looks at. */
  readonly behind: number
  /** Units after a place that decide what happens there. */
  readonly reach: number
  /**
   * Searches `text` from `at`; calls `hit(from, to)` for what is decided. Returns the earliest place still undecided,
   * `text.length` when there is none. `ended`: no more text will follow.
   */
  search(text: string, at: number, ended: boolean, hit: (from: number, to: number) => void): number
  /** The same for the one place `at`: where its match ends, `NO_MATCH`, or `UNDECIDED`. Not for half a surrogate pair. */
  matchAt(text: string, at: number, ended: boolean): number
}

export const NO_MATCH = -1
export const UNDECIDED = -2

export function buildMatcher(source: string, flags: string, maxMatch: number | undefined): Matcher {
  const pattern = parsePattern(source, flags)
  const size = measure(pattern)
  if (size.max === 0) throw new PatternError('the pattern can only match nothing: let it match at least one character')
  if (maxMatch !== undefined && !(Number.isSafeInteger(maxMatch) && maxMatch > 0)) {
    throw new PatternError(`maxMatch must be a whole number above 0, not ${maxMatch}`)
  }
  if (maxMatch === undefined && size.backreferences) {
    throw new PatternError('a backreference needs a bound: give maxMatch, the longest match in characters')
  }
  if (maxMatch === undefined && size.max === Number.POSITIVE_INFINITY) {
    throw new PatternError('the pattern has no longest match (*, + or {n,}): bound it, as in {1,64}, or give maxMatch')
  }
  if (maxMatch === undefined && size.ahead === Number.POSITIVE_INFINITY) {
    throw new PatternError('a lookahead has no longest match: bound it, as in {0,64}, or give maxMatch')
  }
  const limit = Math.min(size.max, maxMatch ?? Number.POSITIVE_INFINITY)
  const ahead = Number.isFinite(size.ahead) ? size.ahead : (maxMatch ?? limit)
  const narrow = size.backreferences || !Number.isFinite(size.ahead)

  const partial = prefixClosed(pattern)
  const windowed = narrow ? prefixClosed(pattern, { fullWindow: true }) : partial
  const compile = (form: string, mode: 'g' | 'y'): RegExp => {
    try {
      return new RegExp(form, flags + mode)
    } catch {
      throw new PatternError('the pattern is too large or too deeply nested: split it into several rules')
    }
  }
  return new PatternMatcher({
    pattern,
    behind: size.behind + 2,
    limit,
    reach: limit + Math.max(1, ahead) + 1,
    bounded: size.max <= limit && !narrow,
    original: compile(source, 'g'),
    partial: compile(partial.source, 'g'),
    originalHere: compile(source, 'y'),
    partialHere: compile(partial.source, 'y'),
    partialMarkers: partial.markers,
    windowed: narrow ? compile(windowed.source, 'y') : undefined,
    windowedMarkers: windowed.markers,
  })
}

interface Parts {
  readonly pattern: Pattern
  readonly behind: number
  /** Longest hit. */
  readonly limit: number
  /** Units after a place that decide what happens there. */
  readonly reach: number
  /** No match can be longer than `limit`. */
  readonly bounded: boolean
  readonly original: RegExp
  readonly partial: RegExp
  /** The two, at one place only. */
  readonly originalHere: RegExp
  readonly partialHere: RegExp
  readonly partialMarkers: readonly number[]
  /** Decides a full window for patterns whose partial form is too generous there (backreferences, endless lookaheads). */
  readonly windowed: RegExp | undefined
  readonly windowedMarkers: readonly number[]
}

type Hit = (from: number, to: number) => void

class PatternMatcher implements Matcher {
  readonly pattern: Pattern
  readonly behind: number
  readonly reach: number
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.pattern = parts.pattern
    this.behind = parts.behind
    this.reach = parts.reach
    this.#parts = parts
  }

  search(text: string, at: number, ended: boolean, hit: Hit): number {
    const { bounded, partial, partialMarkers } = this.#parts
    if (bounded && ended) return this.#searchOriginal(text, at, hit)
    let place = at
    while (place < text.length) {
      const edge = bounded ? text.length : Math.min(this.#windowEnd(text, place), text.length)
      const low = edge < text.length ? Math.max(0, place - this.behind) : 0
      const window = edge < text.length ? text.slice(low, edge) : text
      partial.lastIndex = place - low
      const match = partial.exec(window)
      if (match === null) {
        place = edge
        continue
      }
      const from = match.index + low
      if (!isMarked(match, partialMarkers)) {
        place = this.#take(text, from, match[0].length, hit)
      } else if (edge < text.length && from > place) {
        place = from
      } else if (!bounded && this.#windowEnd(text, from) <= text.length) {
        // The window at `from` is full: undecided here means longer than the limit.
        if (from > place) place = from
        else place = this.#decideFull(text, window, from, low, hit)
      } else if (!ended) {
        return wholePair(text, from)
      } else {
        place = this.#decideLast(text, from, hit)
      }
    }
    return text.length
  }

  matchAt(text: string, at: number, ended: boolean): number {
    const { bounded, partialHere, partialMarkers } = this.#parts
    if (bounded && ended) return this.#originalAt(text, at)
    const full = bounded ? text.length + 1 : this.#windowEnd(text, at)
    const low = full < text.length ? Math.max(0, at - this.behind) : 0
    const window = full < text.length ? text.slice(low, full) : text
    partialHere.lastIndex = at - low
    const match = partialHere.exec(window)
    if (match === null) return NO_MATCH
    if (!isMarked(match, partialMarkers)) return this.#endOf(text, at, match[0].length)
    if (full <= text.length) return this.#fullAt(text, window, at, low)
    return ended ? this.#originalAt(text, at) : UNDECIDED
  }

  #originalAt(text: string, at: number): number {
    const { originalHere } = this.#parts
    originalHere.lastIndex = at
    return originalHere.test(text) ? this.#endOf(text, at, originalHere.lastIndex - at) : NO_MATCH
  }

  #fullAt(text: string, window: string, at: number, low: number): number {
    const { windowed, windowedMarkers, limit } = this.#parts
    if (windowed === undefined) return this.#endOf(text, at, limit)
    windowed.lastIndex = at - low
    const match = windowed.exec(window)
    if (match === null) return NO_MATCH
    return this.#endOf(text, at, isMarked(match, windowedMarkers) ? limit : match[0].length)
  }

  /** Empty matches are none; a hit is widened to whole surrogate pairs. */
  #endOf(text: string, at: number, length: number): number {
    if (length === 0) return NO_MATCH
    const end = at + Math.min(length, this.#parts.limit)
    return splitsPair(text, end) ? end + 1 : end
  }

  #windowEnd(text: string, place: number): number {
    const end = place + this.#parts.reach
    return splitsPair(text, end) ? end + 1 : end
  }

  /** JavaScript's own matches, in a pattern that cannot exceed its limit. */
  #searchOriginal(text: string, at: number, hit: Hit): number {
    let place = at
    while (place < text.length) place = this.#decideLast(text, place, hit)
    return text.length
  }

  /** The text ends within reach: the original pattern knows. */
  #decideLast(text: string, from: number, hit: Hit): number {
    const { original } = this.#parts
    original.lastIndex = from
    const match = original.exec(text)
    return match === null ? text.length : this.#take(text, match.index, match[0].length, hit)
  }

  #decideFull(text: string, window: string, from: number, low: number, hit: Hit): number {
    const end = this.#fullAt(text, window, from, low)
    return end === NO_MATCH ? this.#next(text, from) : this.#take(text, from, end - from, hit)
  }

  /** Reports a match and returns where to go on. */
  #take(text: string, from: number, length: number, hit: Hit): number {
    const to = this.#endOf(text, from, length)
    if (to === NO_MATCH) return this.#next(text, from)
    hit(wholePair(text, from), to)
    return to
  }

  #next(text: string, from: number): number {
    return this.pattern.unicode && splitsPair(text, from + 1) ? from + 2 : from + 1
  }
}

function wholePair(text: string, from: number): number {
  return splitsPair(text, from) ? from - 1 : from
}

function isMarked(match: RegExpExecArray, markers: readonly number[]): boolean {
  for (const marker of markers) if (match[marker] !== undefined) return true
  return false
}
