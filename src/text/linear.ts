/**
 * Refuses regular expressions whose backtracking grows out of hand on hostile text. JavaScript's matcher cannot be
 * interrupted, so a pattern from a configuration file is checked when it is read.
 *
 * Found: a repeated group whose rounds can be divided in several ways ((a+)+, (\w+\s*)+, (a|a)*), and endless
 * repetitions side by side that take the same characters (\d+\d*). Not found: every polynomial pattern. What passes is
 * still bounded by the matcher's windows.
 */
import type { AST } from '@eslint-community/regexpp'
import { isSingle, type Pattern, PatternError, parsePattern, type Single } from './pattern.ts'

/** A group repeated fewer times than this stays cheap whatever is in it. */
const MANY = 10

/** Characters that stand for all: everything up to Latin Extended-B, and some of each large script. */
const SAMPLE: readonly string[] = [
  ...Array.from({ length: 0x250 }, (_, unit) => String.fromCharCode(unit)),
  ...'αЖאعक한あ中\u2028\u3000😀',
]

/** Indices into the sample. */
type Characters = ReadonlySet<number>

interface First {
  readonly set: Characters
  readonly nullable: boolean
}

const NOTHING: Characters = new Set()
const EVERYTHING: Characters = new Set(SAMPLE.keys())

/** Throws a `PatternError` naming the part that would backtrack without bound. */
export function assertLinearEnough(source: string, flags = ''): void {
  const pattern = parsePattern(source, flags)
  new Check(pattern).any(pattern.tree.alternatives, undefined)
}

class Check {
  readonly #pattern: Pattern
  readonly #sets = new Map<string, Characters>()

  constructor(pattern: Pattern) {
    this.#pattern = pattern
  }

  /** `after`: what can come next within the enclosing repetition; undefined outside of one. */
  any(alternatives: readonly AST.Alternative[], after: Characters | undefined): void {
    for (const { elements } of alternatives) this.#sequence(elements, after)
  }

  #sequence(elements: readonly AST.Element[], after: Characters | undefined): void {
    elements.forEach((element, i) => {
      const rest = elements.slice(i + 1)
      if (element.type === 'Quantifier') {
        this.#neighbours(element, rest)
        this.#quantifier(element, rest, after)
      } else if (element.type === 'Group' || element.type === 'CapturingGroup') {
        this.any(element.alternatives, after === undefined ? undefined : this.#follow(rest, after))
      } else if (element.type === 'Assertion' && 'alternatives' in element) {
        this.any(element.alternatives, undefined)
      }
    })
  }

  #quantifier(quantifier: AST.Quantifier, rest: readonly AST.Element[], after: Characters | undefined): void {
    const { element, min, max } = quantifier
    const first = this.#firstOf(element).set
    const follow = this.#follow(rest, after ?? NOTHING)
    if (after !== undefined && max > min && overlap(first, follow)) {
      throw new PatternError(
        `'${quantifier.raw}' is repeated inside a repetition that can continue with the same characters: ` +
          'separate the rounds by a character that neither takes, or allow fewer than 10 rounds',
      )
    }
    if (isSingle(element)) return
    if (element.type !== 'Group' && element.type !== 'CapturingGroup') return
    if (max >= MANY) this.#alternatives(element)
    const inside = max >= MANY || after !== undefined
    this.any(element.alternatives, inside ? union(follow, max > 1 ? first : NOTHING) : undefined)
  }

  /** X*Y* with a character in both: every split of a run of it is tried. */
  #neighbours(quantifier: AST.Quantifier, rest: readonly AST.Element[]): void {
    if (quantifier.max !== Number.POSITIVE_INFINITY) return
    const mine = this.#firstOf(quantifier.element).set
    for (const next of rest) {
      if (next.type === 'Quantifier' && next.max === Number.POSITIVE_INFINITY) {
        if (overlap(mine, this.#firstOf(next.element).set)) {
          throw new PatternError(
            `'${quantifier.raw}' and '${next.raw}' stand side by side and take the same characters: join them or bound one`,
          )
        }
      }
      if (!this.#firstOf(next).nullable) return
    }
  }

  /** (a|a)*: alternatives of a repeated group that can take the same text. */
  #alternatives(group: AST.Group | AST.CapturingGroup): void {
    const heads = group.alternatives.map(alternative => this.#head(alternative))
    heads.forEach((a, i) => {
      for (const b of heads.slice(i + 1)) {
        const length = Math.min(a.length, b.length)
        let same = true
        for (let at = 0; at < length; at++) same &&= overlap(a[at] ?? NOTHING, b[at] ?? NOTHING)
        if (same) {
          throw new PatternError(
            `'${group.raw}' is repeated and two of its alternatives can begin alike: make them differ in some character`,
          )
        }
      }
    })
  }

  /** The sets of the leading single characters; a repetition or group ends it, counted once by its first characters. */
  #head(alternative: AST.Alternative): readonly Characters[] {
    const head: Characters[] = []
    for (const element of alternative.elements) {
      if (element.type === 'Assertion') continue
      const first = this.#firstOf(element)
      if (first.nullable) return head
      head.push(first.set)
      if (!isSingle(element)) return head
    }
    return head
  }

  #follow(rest: readonly AST.Element[], after: Characters): Characters {
    const first = this.#firstOfSequence(rest)
    return first.nullable ? union(first.set, after) : first.set
  }

  #firstOfSequence(elements: readonly AST.Element[]): First {
    let set = NOTHING
    for (const element of elements) {
      const first = this.#firstOf(element)
      set = union(set, first.set)
      if (!first.nullable) return { set, nullable: false }
    }
    return { set, nullable: true }
  }

  #firstOf(element: AST.Element): First {
    if (isSingle(element)) return { set: this.#charactersOf(element), nullable: false }
    switch (element.type) {
      case 'Group':
      case 'CapturingGroup': {
        const firsts = element.alternatives.map(alternative => this.#firstOfSequence(alternative.elements))
        return {
          set: firsts.reduce((all, first) => union(all, first.set), NOTHING),
          nullable: firsts.some(first => first.nullable),
        }
      }
      case 'Quantifier': {
        const first = this.#firstOf(element.element)
        return { set: first.set, nullable: first.nullable || element.min === 0 }
      }
      case 'Backreference':
        return { set: EVERYTHING, nullable: true }
      default:
        return { set: NOTHING, nullable: true }
    }
  }

  #charactersOf(single: Single): Characters {
    let set = this.#sets.get(single.raw)
    if (set === undefined) {
      const test = new RegExp(`^(?:${single.raw})`, this.#pattern.flags)
      set = new Set([...EVERYTHING].filter(i => test.test(SAMPLE[i] ?? '')))
      this.#sets.set(single.raw, set)
    }
    return set
  }
}

function overlap(a: Characters, b: Characters): boolean {
  for (const i of a) if (b.has(i)) return true
  return false
}

function union(a: Characters, b: Characters): Characters {
  return a.size === 0 ? b : b.size === 0 ? a : new Set([...a, ...b])
}
