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
  /** ASCII units without which, coming next, the word is of no interest (1: of interest). */
  readonly next?: Uint8Array
}

/** Told of every occurrence; at most one call per word and place. */
export interface WordSink {
  /** `end`: offset in the text given to `run`. */
  word(index: number, end: number): void
}

export interface Automaton {
  readonly longest: number
  readonly states: number
  /** Advances from `state` over `text`, telling `sink` of every occurrence. Returns the new state. */
  run(state: number, text: string, sink: WordSink): number
  /** For `runBoth`. */
  readonly table: Table
  /** Number of a state, below `states`. */
  numberOf(state: number): number
  /** Pairs [group, length of the open suffix] of a state; empty for nearly all. */
  open(state: number): readonly number[]
}

interface Table {
  readonly classOf: Uint16Array
  /** Address of the next state, by address of the state plus class of the unit. */
  readonly rows: Int32Array
  readonly classes: number
  /** Words end in the states from this address on. */
  readonly telling: number
  /** By number of the state. */
  readonly ends: readonly (readonly number[])[]
  /** Rows of 128 for the states from `telling` on: which units, coming next, make them worth telling. */
  readonly next: Uint8Array
}

/**
 * Runs two automata over the same text. Their look-ups do not wait for each other, so that takes hardly longer than one.
 * Words that the next unit makes uninteresting are not told.
 */
export function runBoth(a: Automaton, b: Automaton, states: Int32Array, text: string, sink: WordSink): void {
  const { classOf: classOfA, rows: rowsA, telling: tellingA } = a.table
  const { classOf: classOfB, rows: rowsB, telling: tellingB } = b.table
  const { length } = text
  let inA = states[0] ?? START
  let inB = states[1] ?? START
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    inA = rowsA[inA + (classOfA[unit] ?? 0)] ?? START
    inB = rowsB[inB + (classOfB[unit] ?? 0)] ?? START
    if (inA < tellingA && inB < tellingB) continue
    const next = i + 1 < length ? text.charCodeAt(i + 1) : 128
    if (inA >= tellingA && matters(a.table, inA, next)) tell(a.table, inA, i + 1, sink)
    if (inB >= tellingB && matters(b.table, inB, next)) tell(b.table, inB, i + 1, sink)
  }
  states[0] = inA
  states[1] = inB
}

function matters({ next, classes, telling }: Table, address: number, unit: number): boolean {
  return unit >= 128 || next[((address - telling) / classes) * 128 + unit] === 1
}

function tell({ ends, classes }: Table, address: number, end: number, sink: WordSink): void {
  for (const word of ends[address / classes] ?? NONE) sink.word(word, end)
}

export const START = 0
const NONE: readonly number[] = []

/**
 * `ignoreCase`: text may come in any case. Only where the words hold surrogate pairs must it come in lower case, since
 * half a pair has none of its own. Words are told to the sink by their index plus `firstIndex`.
 */
export function buildAutomaton(words: readonly Word[], ignoreCase: boolean, firstIndex = 0): Automaton {
  const classOf = new Uint16Array(65536)
  let classes = 1
  for (const { text } of words) {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (classOf[unit] === 0) classOf[unit] = classes++
    }
  }
  if (ignoreCase) foldCase(classOf)

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
      next[state * classes + unit] = child ?? fallback
      if (child !== undefined) {
        fail[child] = fallback
        queue.push(child)
      }
    }
  }
  // States in which words end come last, so one comparison tells them. A state is known by the address of its row.
  const order = [...queue.keys()].sort((a, b) => Number(outputs[a] !== undefined) - Number(outputs[b] !== undefined))
  const place = new Int32Array(states)
  order.forEach((state, at) => {
    place[state] = at
  })
  const rows = new Int32Array(states * classes)
  for (let state = 0; state < states; state++) {
    for (let unit = 0; unit < classes; unit++) {
      rows[(place[state] ?? 0) * classes + unit] = (place[next[state * classes + unit] ?? 0] ?? 0) * classes
    }
  }
  const ends = order.map(state => (outputs[state] ?? NONE).map(word => word + firstIndex))
  const openOf = order.map(state => opens[state] ?? NONE)
  const telling = ends.findIndex(words => words.length > 0) * classes

  const first = telling / classes
  const after = new Uint8Array((states - first) * 128)
  for (let state = first; state < states; state++) {
    for (const index of ends[state] ?? NONE) {
      const allowed = words[index - firstIndex]?.next
      for (let unit = 0; unit < 128; unit++) {
        if (allowed === undefined || allowed[unit] === 1) after[(state - first) * 128 + unit] = 1
      }
    }
  }
  const table: Table = { classOf, rows, classes, telling, ends, next: after }
  return {
    table,
    longest: words.reduce((most, word) => Math.max(most, word.text.length), 0),
    states,
    run(state, text, sink) {
      let address = state
      for (let i = 0; i < text.length; i++) {
        address = rows[address + (classOf[text.charCodeAt(i)] ?? 0)] ?? START
        if (address >= telling) tell(table, address, i + 1, sink)
      }
      return address
    },
    numberOf: state => state / classes,
    open: state => openOf[state / classes] ?? NONE,
  }
}

/** Gives every unit the class of its small letter, where it has one of its own width. */
function foldCase(classOf: Uint16Array): void {
  for (let i = 0; i < SMALL.length; i += 2) classOf[SMALL[i] ?? 0] = classOf[SMALL[i + 1] ?? 0] ?? 0
}

/** Pairs: a unit that has another small letter of its own width, and that letter. */
const SMALL: Uint16Array = Uint16Array.from(smallLetters())

function* smallLetters(): Generator<number> {
  for (let page = 0; page < 0x10000; page += 256) {
    if (page >= 0xd800 && page < 0xe000) continue
    // Most scripts have one case, and are passed over a page at a time.
    const units = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => page + i))
    if (units.toLowerCase() === units) continue
    for (let unit = page; unit < page + 256; unit++) {
      const lower = String.fromCharCode(unit).toLowerCase()
      if (lower.length === 1 && lower.charCodeAt(0) !== unit) yield* [unit, lower.charCodeAt(0)]
    }
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

/**
 * A group that passes through the state itself is open from there, and from every shorter suffix that begins a word: where
 * the longest may not begin (in text that a match has taken, behind the wrong letter), a shorter one still may.
 */
function joinOpen(passing: ReadonlySet<number>, depth: number, inherited: readonly number[]): readonly number[] {
  if (passing.size === 0) return inherited
  return [...[...passing].flatMap(group => [group, depth]), ...inherited]
}
