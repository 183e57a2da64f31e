/**
 * Aho-Corasick automaton over UTF-16 units: every occurrence of every word in one pass, one table look-up per unit.
 *
 * A state also knows, per group, the longest suffix of the text so far that is a proper prefix of one of the group's
 * words: from there a match could still begin. That makes a stream's hold-back exact.
 */

export interface Word {
  /** Not empty. Lower case when the automaton ignores case. */
  readonly text: string
  /** Words of one group share their open offset. */
  readonly group: number
}

export interface Automaton {
  readonly longest: number
  /** Advances from `state` over `text`; calls `found(word index, end offset in text)` for every occurrence. Returns the new state. */
  run(state: number, text: string, found: (word: number, end: number) => void): number
  /** Pairs [group, length of the open suffix] of a state; empty for nearly all. */
  open(state: number): readonly number[]
}

export const START = 0
const NONE: readonly number[] = []

/** `ignoreCase` lets ASCII capitals through as their small letters; other text must come lower-cased. */
export function buildAutomaton(words: readonly Word[], ignoreCase: boolean): Automaton {
  const classOf = new Uint16Array(65536)
  let classes = 1
  for (const { text } of words) {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (classOf[unit] === 0) classOf[unit] = classes++
    }
  }
  if (ignoreCase) for (let unit = 65; unit <= 90; unit++) classOf[unit] = classOf[unit + 32] ?? 0

  const trie = buildTrie(words, classOf)
  const states = trie.depth.length
  const next = new Int32Array(states * classes)
  const fail = new Int32Array(states)
  const outputs: (readonly number[] | undefined)[] = trie.ends.map(ends => (ends.length > 0 ? ends : undefined))
  const opens: (readonly number[])[] = new Array<readonly number[]>(states).fill(NONE)

  // Breadth first: a state's fail state is shallower, so it is complete when it is needed.
  const queue: number[] = [START]
  for (let at = 0; at < queue.length; at++) {
    const state = queue[at] ?? START
    const back = fail[state] ?? START
    if (state !== START) {
      const inherited = outputs[back]
      if (inherited !== undefined) outputs[state] = [...(outputs[state] ?? NONE), ...inherited]
      opens[state] = joinOpen(trie.passing[state] ?? new Set(), trie.depth[state] ?? 0, opens[back] ?? NONE)
    }
    for (let unit = 0; unit < classes; unit++) {
      const child = trie.children[state]?.get(unit)
      const fallback = state === START ? START : (next[back * classes + unit] ?? START)
      if (child === undefined) {
        next[state * classes + unit] = fallback
      } else {
        // Table rows are addressed by state number times row length; `next` holds such addresses for speed.
        next[state * classes + unit] = child * classes
        fail[child] = fallback / classes
        queue.push(child)
      }
    }
  }
  const hasOutput = new Uint8Array(states * classes)
  outputs.forEach((ends, state) => {
    if (ends !== undefined) hasOutput[state * classes] = 1
  })

  return {
    longest: words.reduce((most, word) => Math.max(most, word.text.length), 0),
    run(state, text, found) {
      let address = state
      for (let i = 0; i < text.length; i++) {
        address = next[address + (classOf[text.charCodeAt(i)] ?? 0)] ?? START
        if (hasOutput[address] === 1) for (const word of outputs[address / classes] ?? NONE) found(word, i + 1)
      }
      return address
    },
    open: state => opens[state / classes] ?? NONE,
  }
}

interface Trie {
  readonly children: Map<number, number>[]
  readonly depth: number[]
  readonly ends: number[][]
  /** Groups with a word that goes on beyond this state. */
  readonly passing: Set<number>[]
}

function buildTrie(words: readonly Word[], classOf: Uint16Array): Trie {
  const trie: Trie = { children: [new Map()], depth: [0], ends: [[]], passing: [new Set()] }
  words.forEach(({ text, group }, index) => {
    let state = START
    for (let i = 0; i < text.length; i++) {
      if (state !== START) trie.passing[state]?.add(group)
      const unit = classOf[text.charCodeAt(i)] ?? 0
      let child = trie.children[state]?.get(unit)
      if (child === undefined) {
        child = trie.depth.length
        trie.children.push(new Map())
        trie.depth.push(i + 1)
        trie.ends.push([])
        trie.passing.push(new Set())
        trie.children[state]?.set(unit, child)
      }
      state = child
    }
    trie.ends[state]?.push(index)
  })
  return trie
}

/** A group that passes through the state itself is open from there, which is longer than anything inherited. */
function joinOpen(passing: ReadonlySet<number>, depth: number, inherited: readonly number[]): readonly number[] {
  if (passing.size === 0) return inherited
  const pairs: number[] = []
  for (const group of passing) pairs.push(group, depth)
  for (let i = 0; i < inherited.length; i += 2) {
    const group = inherited[i] ?? 0
    if (!passing.has(group)) pairs.push(group, inherited[i + 1] ?? 0)
  }
  return pairs
}
