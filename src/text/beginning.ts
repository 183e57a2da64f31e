/**
 * A quick look at how a text goes on: can a match begin here at all?
 *
 * A small deterministic automaton, made as texts ask for it: its states are what is left to be matched.
 * Guarantees: `false` only where no match begins, whatever text follows; a few nanoseconds per unit; bounded memory.
 * Says yes too often: assertions are passed over, surrogate pairs and everything after `DEPTH` units count as anything.
 */
import type { AST } from '@eslint-community/regexpp'
import { isSingle, type Pattern, type Single } from './pattern.ts'

/** Units looked at. */
const DEPTH = 48
const MOST_STATES = 512
const MOST_OTHERS = 2048
/** Things that may come next, at most, before the answer is yes. */
const MOST_HEADS = 256

const ASCII = 128
const YES = 0
const NO = 1
const START = 2
/** Where nothing of a match has come yet. */
export const START_STATE = START
const UNKNOWN = -1

/** What is left of a pattern: a list, each list made only once, so that equal ones are the same object. */
interface Rest {
  readonly id: number
  readonly pattern: number
  readonly element: AST.Element
  readonly min: number
  readonly max: number
  /** `undefined`: nothing more, the match is complete. */
  readonly next: Rest | undefined
}

interface Head {
  /** ASCII units. */
  readonly accepts: Uint8Array
  /** For the others; undefined when it accepts all. */
  readonly test: RegExp | undefined
  readonly next: Rest | undefined
}

interface State {
  readonly heads: readonly Head[]
  readonly depth: number
}

export class Beginning {
  readonly #patterns: readonly Pattern[]
  readonly #rests = new Map<string, Rest>()
  readonly #accepts = new Map<string, Omit<Head, 'next'>>()
  readonly #others = new Map<number, number>()
  readonly #states: (State | undefined)[] = []
  readonly #byKey = new Map<string, number>()
  readonly #depth: number
  /** Row per state, column per ASCII unit. Grows with the states. */
  #next: Int16Array = new Int16Array(16 * ASCII).fill(UNKNOWN)

  /** Matches of any of the patterns. `furthest`: units that may be looked at, at most. */
  constructor(patterns: readonly Pattern[], furthest = DEPTH) {
    this.#patterns = patterns
    this.#depth = Math.min(furthest, DEPTH)
    this.#states.push(undefined, undefined)
    const heads: Head[] = []
    let all = true
    patterns.forEach((pattern, index) => {
      for (const { elements } of pattern.tree.alternatives) {
        all &&= this.#heads(this.#sequence(index, elements, undefined), heads, new Set())
      }
    })
    this.#states.push({ heads: all ? heads : [ANYTHING], depth: 0 })
  }

  /** False when no match begins at `at`. True as well when the text ends before that can be told. */
  may(text: string, at: number): boolean {
    return this.mayGoOn(START, text, at)
  }

  /** The same for a match that has come as far as `at`; `state` is what `after` gave for what stands before. */
  mayGoOn(state: number, text: string, at: number): boolean {
    let now = state
    if (now <= NO) return now === YES
    for (let i = at; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      let next = unit < ASCII ? (this.#next[now * ASCII + unit] ?? YES) : this.#afterOther(now, unit)
      if (next === UNKNOWN) next = this.#grow(now, unit)
      if (next <= NO) return next === YES
      now = next
    }
    return true
  }

  /** The state after a word that begins a match. */
  after(word: string): number {
    let state = START
    for (let i = 0; i < word.length && state > NO; i++) {
      const unit = word.charCodeAt(i)
      const next = unit < ASCII ? (this.#next[state * ASCII + unit] ?? YES) : YES
      state = next === UNKNOWN ? this.#grow(state, unit) : next
    }
    return state
  }

  /** Units beyond ASCII are remembered one by one, as many as there is room for. */
  #afterOther(state: number, unit: number): number {
    // No pattern of ours begins with half a pair: a beginning is a word of ASCII, or its look-alikes under `iu`.
    if (unit >= 0xd800 && unit <= 0xdfff) return state === START ? NO : YES
    const key = state * 0x10000 + unit
    let next = this.#others.get(key)
    if (next === undefined) {
      if (this.#others.size >= MOST_OTHERS) return YES
      next = this.#after(this.#states[state], unit)
      this.#others.set(key, next)
    }
    return next
  }

  /** Which ASCII units can follow `word` in a match that begins with it; 1 for those. */
  nextOf(word: string): Uint8Array {
    return Uint8Array.from({ length: ASCII }, (_, unit) => (this.may(word + String.fromCharCode(unit), 0) ? 1 : 0))
  }

  #grow(state: number, unit: number): number {
    const next = this.#after(this.#states[state], unit)
    this.#next[state * ASCII + unit] = next
    return next
  }

  #after(state: State | undefined, unit: number): number {
    if (state === undefined) return YES
    const rests: (Rest | undefined)[] = []
    for (const head of state.heads) {
      if (accepts(head, unit) && !rests.includes(head.next)) rests.push(head.next)
    }
    if (rests.length === 0) return NO
    if (rests.includes(undefined) || state.depth + 1 >= this.#depth) return YES
    const depth = state.depth + 1
    const key = `${depth}:${rests
      .map(rest => rest?.id ?? 0)
      .sort((a, b) => a - b)
      .join()}`
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const heads: Head[] = []
    const visited = new Set<Rest>()
    for (const rest of rests) if (!this.#heads(rest, heads, visited)) return YES
    const index = this.#states.length
    if (index >= MOST_STATES) return YES
    this.#states.push({ heads, depth })
    this.#byKey.set(key, index)
    if ((index + 1) * ASCII > this.#next.length) {
      const more = new Int16Array(this.#next.length * 2).fill(UNKNOWN)
      more.set(this.#next)
      this.#next = more
    }
    return index
  }

  /** Adds what can come next; false when that may be anything, or nothing. */
  #heads(rest: Rest | undefined, into: Head[], visited: Set<Rest>): boolean {
    if (rest === undefined || visited.size >= MOST_HEADS) return false
    if (visited.has(rest)) return true
    visited.add(rest)
    const { element, min, max, next, pattern } = rest
    if (max === 0) return this.#heads(next, into, visited)
    if (max > 1 || min === 0) {
      const left = this.#rest(pattern, element, Math.max(0, min - 1), max - 1, next)
      if (!this.#heads(this.#rest(pattern, element, 1, 1, left), into, visited)) return false
      return min > 0 || this.#heads(next, into, visited)
    }
    if (isSingle(element)) {
      into.push({ ...this.#acceptsOf(pattern, element), next })
      return true
    }
    switch (element.type) {
      case 'Assertion':
        return this.#heads(next, into, visited)
      case 'Quantifier':
        return this.#heads(this.#rest(pattern, element.element, element.min, element.max, next), into, visited)
      case 'Group':
      case 'CapturingGroup':
        if (element.type === 'Group' && element.modifiers !== null) return false
        for (const { elements } of element.alternatives) {
          if (!this.#heads(this.#sequence(pattern, elements, next), into, visited)) return false
        }
        return true
      default:
        return false
    }
  }

  #sequence(pattern: number, elements: readonly AST.Element[], next: Rest | undefined): Rest | undefined {
    return elements.reduceRight<Rest | undefined>((tail, element) => this.#rest(pattern, element, 1, 1, tail), next)
  }

  #rest(pattern: number, element: AST.Element, min: number, max: number, next: Rest | undefined): Rest {
    const key = `${pattern}:${element.start}:${element.end}:${element.type}:${min}:${max}:${next?.id ?? 0}`
    let rest = this.#rests.get(key)
    if (rest === undefined) {
      rest = { id: this.#rests.size + 1, pattern, element, min, max, next }
      this.#rests.set(key, rest)
    }
    return rest
  }

  #acceptsOf(pattern: number, single: Single): Omit<Head, 'next'> {
    const flags = this.#patterns[pattern]?.flags ?? ''
    const key = `${flags}:${single.raw}`
    let known = this.#accepts.get(key)
    if (known === undefined) {
      const test = new RegExp(`^(?:${single.raw})`, flags)
      const accepts = Uint8Array.from({ length: ASCII }, (_, unit) => (test.test(String.fromCharCode(unit)) ? 1 : 0))
      known = { accepts, test }
      this.#accepts.set(key, known)
    }
    return known
  }
}

const ANYTHING: Head = { accepts: new Uint8Array(ASCII).fill(1), test: undefined, next: undefined }

function accepts({ accepts: ascii, test }: Head, unit: number): boolean {
  return unit < ASCII ? ascii[unit] === 1 : test === undefined || test.test(String.fromCharCode(unit))
}
