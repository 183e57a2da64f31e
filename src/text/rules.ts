/**
 * Pattern sets, compiled: two automata for all literals and beginnings of patterns, and the patterns themselves. Rules
 * that several sets share are compiled, and looked for, once.
 */
import type { LiteralRule, PatternSet, RegexRule } from './contract.ts'
import { fold, isHighSurrogate } from './fold.ts'
import { firstUnits, type LaneRules } from './lane.ts'
import { buildDoors, type Door, type Doors, type Lead } from './lead.ts'
import { type Automaton, buildAutomaton, type Word } from './literals.ts'
import { buildMatcher, type Matcher } from './matcher.ts'
import { firstTest, PatternError } from './pattern.ts'

export interface Rules extends LaneRules {
  readonly setIndex: ReadonlyMap<PatternSet, number>
  readonly sets: number
  /** Over the fold, in any case and as is. */
  readonly lower: WordTable | undefined
  readonly exact: WordTable | undefined
  /** The words of both tables, by the index that the automata tell. */
  readonly words: readonly RuleWord[]
  /** The rules that each matcher stands for. */
  readonly owners: readonly (readonly Owner[])[]
  /** Folded units whose original offsets a stream must remember. */
  readonly memory: number
}

export interface Owner {
  readonly set: number
  readonly id: string
}

/** A literal has an owner, the beginning of a pattern a door. */
export interface RuleWord extends Word {
  readonly owner?: Owner
  readonly door?: Door
  /** The door's state after the word. */
  readonly after?: number
}

/** Where something may begin, as many units before the end as `depth` says. */
export interface Opening {
  readonly depth: number
  readonly lead: Lead | undefined
  readonly sets: readonly number[]
  /** Empty for literals. */
  readonly matchers: readonly number[]
}

/** What one state of an automaton leaves open. */
export interface Openings {
  readonly list: readonly Opening[]
  /** Doors that only the patterns themselves can answer for. */
  readonly knocks: readonly (readonly [door: Door, depth: number])[]
}

export interface WordTable {
  readonly automaton: Automaton
  /** The text must come in lower case. */
  readonly needsLower: boolean
  openings(state: number): Openings
}

const NO_OPENINGS: Openings = { list: [], knocks: [] }

export function compileRules(given: readonly PatternSet[]): Rules {
  const sets = [...new Set(given)]
  const lower: RuleWord[] = []
  const exact: RuleWord[] = []
  const matchers: Matcher[] = []
  const owners: Owner[][] = []
  const byRule = new Map<string, number>()
  const seen = new Set<string>()

  sets.forEach((set, index) => {
    for (const rule of set.rules) {
      const owner = { set: index, id: rule.id }
      named(set, rule.id, () => {
        if (rule.kind === 'literal') {
          const text = foldLiteral(rule)
          const key = JSON.stringify([index, rule.id, rule.caseSensitive === true, text])
          if (!seen.has(key)) (rule.caseSensitive === true ? exact : lower).push({ text, group: index, owner })
          seen.add(key)
          return
        }
        const key = JSON.stringify([rule.source, [...(rule.flags ?? '')].sort().join(''), rule.maxMatch])
        const known = byRule.get(key)
        if (known === undefined) {
          matchers.push(compileRegex(rule))
          byRule.set(key, owners.push([owner]) - 1)
        } else {
          owners[known]?.push(owner)
        }
      })
    }
  })

  const doors = buildDoors(matchers)
  doors.list.forEach((door, i) => {
    for (const text of door.words) {
      const { beginning } = door
      const word = { text, group: sets.length + i, door, after: beginning.after(text), next: beginning.nextOf(text) }
      ;(door.ignoreCase ? lower : exact).push(word)
    }
  })
  const openings = (pairs: readonly number[]): Openings => openingsOf(pairs, sets.length, doors, owners)
  const lowerTable = lower.length === 0 ? undefined : buildTable(lower, true, 0, openings)
  const exactTable = exact.length === 0 ? undefined : buildTable(exact, false, lower.length, openings)
  const behind = matchers.reduce((most, matcher) => Math.max(most, matcher.behind), 0)
  const longest = Math.max(lowerTable?.automaton.longest ?? 0, exactTable?.automaton.longest ?? 0)
  return {
    setIndex: new Map(sets.map((set, i) => [set, i])),
    sets: sets.length,
    lower: lowerTable,
    exact: exactTable,
    words: [...lower, ...exact],
    matchers,
    owners,
    doors,
    units: firstUnits(
      matchers.map((matcher, i) => (doors.of[i] === undefined ? firstTest(matcher.pattern) : undefined)),
    ),
    context: behind + longest,
    memory: behind + longest + 1,
  }
}

function buildTable(
  words: readonly RuleWord[],
  ignoreCase: boolean,
  firstIndex: number,
  openings: (pairs: readonly number[]) => Openings,
): WordTable {
  const automaton = buildAutomaton(words, ignoreCase, firstIndex)
  const plans = new Array<Openings | undefined>(automaton.states).fill(undefined)
  return {
    automaton,
    needsLower: ignoreCase && words.some(({ text }) => [...text].some(part => isHighSurrogate(part.charCodeAt(0)))),
    openings(state) {
      const number = automaton.numberOf(state)
      return (plans[number] ??= openings(automaton.open(state)))
    },
  }
}

/** `pairs`: group, which is a set or a door, and length of the open suffix. */
function openingsOf(
  pairs: readonly number[],
  sets: number,
  doors: Doors,
  owners: readonly (readonly Owner[])[],
): Openings {
  if (pairs.length === 0) return NO_OPENINGS
  const list: Opening[] = []
  const knocks: (readonly [Door, number])[] = []
  for (let i = 0; i < pairs.length; i += 2) {
    const group = pairs[i] ?? 0
    const depth = pairs[i + 1] ?? 0
    const door = doors.list[group - sets]
    if (door === undefined) {
      list.push({ depth, lead: undefined, sets: [group], matchers: [] })
      continue
    }
    if (door.blind || door.disorderly) {
      knocks.push([door, depth])
      continue
    }
    const same = list.findIndex(o => o.depth === depth && o.lead === door.lead && o.matchers.length > 0)
    const matchers = [...(list[same]?.matchers ?? []), ...door.matchers]
    const merged = {
      depth,
      lead: door.lead,
      sets: [...new Set(matchers.flatMap(matcher => (owners[matcher] ?? []).map(owner => owner.set)))],
      matchers,
    }
    if (same < 0) list.push(merged)
    else list[same] = merged
  }
  return { list, knocks }
}

function foldLiteral(rule: LiteralRule): string {
  const folded = fold(rule.text)
  const text = rule.caseSensitive === true ? folded.text : folded.lower
  if (text === '') {
    throw new PatternError(
      'the literal is empty, or only of invisible characters: give it at least one visible character',
    )
  }
  return text
}

/** Patterns of the configuration, compiled: several checks may have the same one, and each is tried before it is joined. */
const compiled = new Map<string, Matcher>()
const MAX_COMPILED = 512

function compileRegex(rule: RegexRule): Matcher {
  const flags = rule.flags ?? ''
  const key = `${flags}/${rule.maxMatch ?? ''}/${rule.source}`
  const known = compiled.get(key)
  if (known !== undefined) return known
  const matcher = buildMatcher(rule.source, flags, rule.maxMatch)
  if (compiled.size >= MAX_COMPILED) compiled.clear()
  compiled.set(key, matcher)
  return matcher
}

/** Throws what `compileRules` would throw for this rule, without joining it to anything. */
export function assertUsable(set: PatternSet, rule: RegexRule): void {
  named(set, rule.id, () => buildDoors([compileRegex(rule)]))
}

function named(set: PatternSet, rule: string, compile: () => void): void {
  try {
    compile()
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    throw new PatternError(`pattern set '${set.id}', rule '${rule}': ${error.message}`)
  }
}
