/** Pattern sets, compiled: two automata for all literals and beginnings of patterns, and the patterns themselves. */
import type { LiteralRule, PatternSet, RegexRule } from './contract.ts'
import { fold } from './fold.ts'
import { type FirstUnits, firstUnits, type Gate, gateOf } from './lane.ts'
import { type Automaton, buildAutomaton, type Word } from './literals.ts'
import { buildMatcher, type Matcher } from './matcher.ts'
import { PatternError } from './pattern.ts'

export interface Rules {
  readonly setIndex: ReadonlyMap<PatternSet, number>
  readonly sets: number
  /** Over the lower-cased fold, and over the fold as is. Groups below `sets` are sets, those above are matchers. */
  readonly lower: WordTable | undefined
  readonly exact: WordTable | undefined
  readonly matchers: readonly Matcher[]
  readonly matcherIds: readonly Owner[]
  readonly gates: readonly Gate[]
  readonly units: FirstUnits
  /** Folded units whose original offsets a stream must remember. */
  readonly memory: number
}

export interface Owner {
  readonly set: number
  readonly id: string
}

/** An automaton's words: a literal has an owner, the beginning of a pattern has none. */
export interface WordTable {
  readonly automaton: Automaton
  readonly words: readonly (Word & { readonly owner?: Owner })[]
}

export function compileRules(given: readonly PatternSet[]): Rules {
  const sets = [...new Set(given)]
  const lower: (Word & { readonly owner?: Owner })[] = []
  const exact: (Word & { readonly owner?: Owner })[] = []
  const matchers: Matcher[] = []
  const matcherIds: Owner[] = []
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
        } else {
          matchers.push(compileRegex(rule))
          matcherIds.push(owner)
        }
      })
    }
  })

  const gates: readonly Gate[] = matchers.map(gateOf)
  gates.forEach((gate, i) => {
    for (const text of gate.words) (gate.ignoreCase ? lower : exact).push({ text, group: sets.length + i })
  })
  const table = (words: WordTable['words'], ignoreCase: boolean): WordTable | undefined =>
    words.length === 0 ? undefined : { words, automaton: buildAutomaton(words, ignoreCase) }
  const lowerTable = table(lower, true)
  const exactTable = table(exact, false)
  const behind = matchers.reduce((most, matcher) => Math.max(most, matcher.behind), 0)
  return {
    setIndex: new Map(sets.map((set, i) => [set, i])),
    sets: sets.length,
    lower: lowerTable,
    exact: exactTable,
    matchers,
    matcherIds,
    gates,
    units: firstUnits(gates),
    memory: Math.max(behind, lowerTable?.automaton.longest ?? 0, exactTable?.automaton.longest ?? 0) + 1,
  }
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

function compileRegex(rule: RegexRule): Matcher {
  return buildMatcher(rule.source, rule.flags ?? '', rule.maxMatch)
}

function named(set: PatternSet, rule: string, compile: () => void): void {
  try {
    compile()
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    throw new PatternError(`pattern set '${set.id}', rule '${rule}': ${error.message}`)
  }
}
