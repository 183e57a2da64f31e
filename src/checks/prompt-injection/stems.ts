/**
 * Which stems occur in a text: one automaton (Aho and Corasick) over all stems of a rule set, one table look-up per character.
 * It decides which patterns are worth trying; on ordinary text, none.
 */
import type { InjectionRule } from './rule.ts'

const LETTERS = 26

export interface StemIndex {
  readonly rules: readonly InjectionRule[]
  /** `step[state * 32 + letter]`; slot 26 is every other character. */
  readonly step: Uint16Array
  /** Stem ids that end in a state. */
  readonly ends: readonly (readonly number[] | undefined)[]
  /** Per rule, its groups as stem ids. */
  readonly groups: readonly (readonly (readonly number[])[])[]
  readonly count: number
}

export function indexStems(rules: readonly InjectionRule[]): StemIndex {
  const ids = new Map<string, number>()
  const stems = rules.flatMap(r => r.stems.flat())
  // First a tree: a step of 0 is none, since nothing leads back to the root.
  const step = new Uint16Array(32 * (1 + stems.reduce((letters, stem) => letters + stem.length, 0)))
  const ends: number[][] = [[]]
  for (const stem of stems) {
    if (ids.has(stem)) continue
    if (!/^[a-z]+$/.test(stem)) throw new RangeError(`a stem is letters a-z, got '${stem}'`)
    let state = 0
    for (let i = 0; i < stem.length; i++) {
      const at = (state << 5) | (stem.charCodeAt(i) - 97)
      if (step[at] === 0) step[at] = ends.push([]) - 1
      state = step[at] ?? 0
    }
    ends[state]?.push(ids.size)
    ids.set(stem, ids.size)
  }
  // Breadth first: where the tree has no step, the one of the longest suffix that has.
  const fallback = new Uint16Array(ends.length)
  const queue = [0]
  for (const state of queue) {
    for (let letter = 0; letter < LETTERS; letter++) {
      const at = (state << 5) | letter
      const child = step[at] ?? 0
      const back = state === 0 ? 0 : (step[((fallback[state] ?? 0) << 5) | letter] ?? 0)
      if (child === 0) {
        step[at] = back
        continue
      }
      fallback[child] = back
      ends[child]?.push(...(ends[back] ?? []))
      queue.push(child)
    }
  }
  const groups = rules.map(r => r.stems.map(group => group.map(stem => ids.get(stem) ?? 0)))
  return {
    rules,
    step: step.slice(0, 32 * ends.length),
    ends: ends.map(list => (list.length === 0 ? undefined : list)),
    groups,
    count: ids.size,
  }
}

/** The rules whose stems are all in `text` (folded, lower case). `undefined`: none. */
export function rulesFor(index: StemIndex, text: string): readonly InjectionRule[] | undefined {
  const { step, ends } = index
  let seen: Uint8Array | undefined
  let state = 0
  for (let i = 0; i < text.length; i++) {
    const letter = text.charCodeAt(i) - 97
    if (letter < 0 || letter > 25) {
      state = 0
      continue
    }
    state = step[(state << 5) | letter] ?? 0
    const found = ends[state]
    if (found === undefined) continue
    seen ??= new Uint8Array(index.count)
    for (let k = 0; k < found.length; k++) seen[found[k] ?? 0] = 1
  }
  if (seen === undefined) return undefined
  let wanted: InjectionRule[] | undefined
  for (let i = 0; i < index.groups.length; i++) {
    const rule = index.rules[i]
    if (rule !== undefined && all(index.groups[i] ?? [], seen)) (wanted ??= []).push(rule)
  }
  return wanted
}

function all(groups: readonly (readonly number[])[], seen: Uint8Array): boolean {
  for (let g = 0; g < groups.length; g++) {
    const group = groups[g] ?? []
    let any = false
    for (let k = 0; k < group.length && !any; k++) any = seen[group[k] ?? 0] === 1
    if (!any) return false
  }
  return true
}
