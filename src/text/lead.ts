/**
 * Doors: what must stand before, and at the beginning of, a match of patterns that begin with a word. Patterns with the
 * same words and the same condition before them share a door, so a place is looked at once for all of them.
 */
import type { AST } from '@eslint-community/regexpp'
import { Beginning, START_STATE } from './beginning.ts'
import type { Matcher } from './matcher.ts'
import { holdsLead, measure, type Pattern, parsePattern, prefixesOf } from './pattern.ts'

const AT_START = 128

/** The assertions before a pattern's first character: `\b`, `^`, lookbehinds. */
export class Lead {
  /** Units before the place that it looks at. */
  readonly behind: number
  readonly #test: RegExp
  /** The answer for each ASCII unit before the place, where that is all that counts. */
  readonly #table: Uint8Array | undefined

  constructor(source: string, flags: string, firsts: readonly string[]) {
    this.#test = new RegExp(source, `${flags}y`)
    this.behind = measure(parsePattern(`${source}a`, flags)).behind
    this.#table = this.behind <= 1 ? this.#tabulate(firsts) : undefined
  }

  /** Asking costs next to nothing. */
  get quick(): boolean {
    return this.#table !== undefined
  }

  /** Whether a match may begin at `at`, where the text has one of the words or its beginning. `text` begins `behind` units earlier, or is all there is. */
  allows(text: string, at: number): boolean {
    if (this.#table !== undefined) {
      const before = at === 0 ? AT_START : text.charCodeAt(at - 1)
      if (at === 0 || before < AT_START) return this.#table[before] === 1
    }
    this.#test.lastIndex = at
    return this.#test.test(text)
  }

  /** Undefined when the answer differs among the characters that the words begin with. */
  #tabulate(firsts: readonly string[]): Uint8Array | undefined {
    const answers = [...new Set(firsts)].map(first =>
      Uint8Array.from({ length: AT_START + 1 }, (_, unit) => {
        this.#test.lastIndex = unit === AT_START ? 0 : 1
        return this.#test.test(unit === AT_START ? first : String.fromCharCode(unit) + first) ? 1 : 0
      }),
    )
    const [table, ...others] = answers
    return others.some(other => other.some((answer, unit) => answer !== table?.[unit])) ? undefined : table
  }
}

export interface Door {
  /** ASCII words one of which begins every match. */
  readonly words: readonly string[]
  readonly ignoreCase: boolean
  /** Undefined when there is no condition, or none that can be told without running the pattern (see `blind`). */
  readonly lead: Lead | undefined
  /** Only the patterns themselves know whether a match may begin where a word has begun. */
  readonly blind: boolean
  readonly beginning: Beginning
  readonly matchers: readonly number[]
  /** The places of its words may come out of order: one word stands inside another. */
  readonly disorderly: boolean
}

/** False where no match of the door's patterns begins. `text` begins `behind` units earlier, or is all there is. */
export function mayBegin(door: Door, text: string, at: number): boolean {
  return mayGoOn(door, text, at, START_STATE, at)
}

/** The same where a word is known to stand at `at`; `after` is its state, `end` its end. */
export function mayGoOn({ lead, beginning }: Door, text: string, at: number, after: number, end: number): boolean {
  // The cheaper question first.
  if (lead === undefined) return beginning.mayGoOn(after, text, end)
  if (lead.quick) return lead.allows(text, at) && beginning.mayGoOn(after, text, end)
  return beginning.mayGoOn(after, text, end) && lead.allows(text, at)
}

export interface Doors {
  readonly list: readonly Door[]
  /** Per matcher; undefined for those that begin with no word. */
  readonly of: readonly (Door | undefined)[]
}

export function buildDoors(matchers: readonly Matcher[]): Doors {
  const patterns = matchers.map(matcher => matcher.pattern)
  const leads = new Map<string, Lead>()
  const shared = new Map<string, Omit<Door, 'matchers' | 'beginning'> & { readonly matchers: number[] }>()
  patterns.forEach((pattern, matcher) => {
    const words = prefixesOf(pattern)
    if (words.length === 0) return
    const ignoreCase = pattern.flags.includes('i')
    const source = leadOf(pattern)
    const blind = source === undefined
    const flags = pattern.flags
    const firsts = [...new Set(words.map(word => word.charAt(0)))].sort()
    const leadKey = JSON.stringify([source, flags, firsts])
    let lead = blind || source === '' ? undefined : leads.get(leadKey)
    if (!blind && source !== '' && lead === undefined) {
      lead = new Lead(source, flags, firsts)
      leads.set(leadKey, lead)
    }
    const key = JSON.stringify([words, ignoreCase, leadKey, blind ? matcher : -1])
    const door = shared.get(key)
    if (door !== undefined) {
      door.matchers.push(matcher)
      return
    }
    const disorderly = words.some(a => words.some(b => a.indexOf(b, 1) > 0))
    shared.set(key, { words, ignoreCase, lead, blind, matchers: [matcher], disorderly })
  })
  const list = [...shared.values()].map(door => {
    const own = door.matchers.flatMap(matcher => matchers[matcher] ?? [])
    // A door that looked further than its matchers would turn away, where the text is there already, what they find in pieces.
    const furthest = Math.min(...own.map(matcher => matcher.reach))
    return {
      ...door,
      beginning: new Beginning(
        own.map(matcher => matcher.pattern),
        furthest,
      ),
    }
  })
  return { list, of: patterns.map((_, matcher) => list.find(door => door.matchers.includes(matcher))) }
}

/** The source of the assertions before the first character: empty when there are none, undefined when they stand elsewhere too. */
function leadOf(pattern: Pattern): string | undefined {
  const { alternatives } = pattern.tree
  if (!alternatives.some(({ elements }) => holdsLead(elements))) return ''
  const elements = alternatives[0]?.elements ?? []
  const end = elements.findIndex(element => !isBehind(element))
  if (alternatives.length > 1 || end <= 0 || holdsLead(elements.slice(end))) return undefined
  return elements
    .slice(0, end)
    .map(element => element.raw)
    .join('')
}

/** An assertion that is settled by the text before the place and one unit after it. */
function isBehind(element: AST.Element): boolean {
  if (element.type !== 'Assertion') return false
  if (element.kind === 'lookbehind') return !/\(\?[=!]|\(\?<|\\[1-9k]/.test(element.raw.slice(4))
  return element.kind === 'start' || element.kind === 'word'
}
