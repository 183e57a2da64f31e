/**
 * One text under scan. Literals run on the fold; patterns run on the original and, as long as the two differ near the
 * end of what came, on the fold too. Where a pattern finds the same range in both it is reported once.
 *
 * ASCII that holds no word costs two automaton look-ups per unit and one small object per piece.
 */
import type { Hit, PatternSet, Scan, ScanStream } from './contract.ts'
import { Drift, sameTail } from './drift.ts'
import { type Folded, fold, isAscii, isHighSurrogate } from './fold.ts'
import { type Found, Lane } from './lane.ts'
import { type Door, mayGoOn } from './lead.ts'
import { runBoth, START, type WordSink } from './literals.ts'
import type { Opening, Rules, WordTable } from './rules.ts'

const NO_HITS: readonly Hit[] = Object.freeze([])

export function scanOnce(rules: Rules, text: string, glance: (text: string) => boolean): Scan {
  if (glance(text)) return new Outcome(rules, undefined, undefined, text.length)
  return new Cursor(rules).advance(text, true)
}

export class StreamScan implements ScanStream {
  readonly #cursor: Cursor
  /** A high surrogate at the end of a piece waits for its other half. */
  #half = ''
  #ended = false

  constructor(rules: Rules) {
    this.#cursor = new Cursor(rules)
  }

  push(text: string): Scan {
    if (this.#ended) throw new Error('the stream of text has ended: open a new one')
    let ready = text
    if (text !== '') {
      if (this.#half !== '') {
        ready = this.#half + text
        this.#half = ''
      }
      if (isHighSurrogate(ready.charCodeAt(ready.length - 1))) {
        this.#half = ready.slice(-1)
        ready = ready.slice(0, -1)
      }
    }
    return this.#cursor.advance(ready, false)
  }

  end(): Scan {
    if (this.#ended) throw new Error('the stream of text has ended already')
    this.#ended = true
    return this.#cursor.advance(this.#half, true)
  }
}

class Outcome implements Scan {
  readonly #rules: Rules
  readonly #hits: readonly (readonly Hit[] | undefined)[] | undefined
  readonly #open: readonly number[] | undefined
  readonly #total: number

  constructor(
    rules: Rules,
    hits: readonly (readonly Hit[] | undefined)[] | undefined,
    open: readonly number[] | undefined,
    total: number,
  ) {
    this.#rules = rules
    this.#hits = hits
    this.#open = open
    this.#total = total
  }

  hits(set: PatternSet): readonly Hit[] {
    const index = this.#index(set)
    return this.#hits?.[index] ?? NO_HITS
  }

  openFrom(set: PatternSet): number {
    const index = this.#index(set)
    return this.#open?.[index] ?? this.#total
  }

  #index(set: PatternSet): number {
    const index = this.#rules.setIndex.get(set)
    if (index === undefined) throw new Error(`pattern set '${set.id}' is not part of this scanner: compile it in`)
    return index
  }
}

class Cursor implements WordSink {
  readonly #rules: Rules
  readonly #lane: Lane
  /** Reports what the original's lane finds. Made when first needed. */
  #found: Found | undefined
  #foundFolded: Found | undefined
  #drift: Drift | undefined
  /** Of the automata: in any case, and as is. */
  readonly #states = new Int32Array(2)
  /** Units so far, of the original and of the fold. */
  #original = 0
  #folded = 0
  /** How many of the last units are the same, one for one, in both. */
  #same = 0
  #text = ''
  /** The piece at hand; undefined when it is ASCII and there is no drift. */
  #piece: Folded | undefined
  /** One character may fold to several units, so a short word may be found several times in it: the last range of each. */
  #last: Map<number, string> | undefined
  #hits: Hit[][] | undefined
  /** Being put together: per set, from where it is open. */
  #open: number[] | undefined

  constructor(rules: Rules) {
    this.#rules = rules
    this.#lane = new Lane(rules)
  }

  advance(text: string, ended: boolean): Scan {
    const rules = this.#rules
    let piece = isAscii(text) ? undefined : fold(text)
    this.#last = undefined
    this.#hits = undefined
    this.#open = undefined
    if (piece?.identity === false) this.#drift ??= new Drift(rules, this.#lane, this.#original, this.#folded)
    if (this.#drift !== undefined) piece ??= fold(text)
    this.#piece = piece
    this.#text = text
    const lanes = rules.matchers.length > 0
    if (lanes) this.#beginLanes(text, ended)
    this.#runWords(text, piece, ended)
    if (lanes) this.#finishLanes()
    const length = piece === undefined ? text.length : piece.text.length
    if (!ended && piece !== undefined) this.#drift?.remember(piece)
    this.#original += text.length
    this.#folded += length
    this.#same = piece === undefined || piece.identity ? this.#same + length : sameTail(piece)
    if (!ended) this.#openOffsets()
    if (this.#drift !== undefined) this.#settleDrift(this.#drift)
    // A waiting half of a surrogate pair is not counted in `#original`, so it stays open.
    return new Outcome(rules, this.#sorted(), this.#open, this.#original)
  }

  // Literals, and the words that patterns begin with.

  #runWords(text: string, piece: Folded | undefined, ended: boolean): void {
    const { lower, exact } = this.#rules
    const folded = piece === undefined ? text : piece.text
    const states = this.#states
    // Where the fold changes what follows a word, that says nothing of what follows it in the original.
    if (lower !== undefined && exact !== undefined && (piece === undefined || (piece.identity && !lower.needsLower))) {
      runBoth(lower.automaton, exact.automaton, states, folded, this)
    } else {
      const given = lower?.needsLower === true && piece !== undefined ? piece.lower : folded
      if (lower !== undefined) states[0] = lower.automaton.run(states[0] ?? START, given, this)
      if (exact !== undefined) states[1] = exact.automaton.run(states[1] ?? START, folded, this)
    }
    if (ended) return
    if (lower !== undefined) this.#knockBlindly(lower, states[0] ?? START, folded.length)
    if (exact !== undefined) this.#knockBlindly(exact, states[1] ?? START, folded.length)
  }

  word(index: number, end: number): void {
    const word = this.#rules.words[index]
    if (word === undefined) return
    const at = this.#folded + end - word.text.length
    const { door } = word
    if (door !== undefined) {
      const from = end - word.text.length
      // Most words are turned away at once, where the piece shows enough.
      const shown = from >= (door.lead?.behind ?? 0) || (from >= 0 && this.#original === 0)
      const seen = shown && this.#drift === undefined && !this.#lane.hasSettled(this.#original + from)
      if (seen && !mayGoOn(door, this.#text, from, word.after ?? 0, end)) return
      this.#knock(door, at, seen)
    } else if (word.owner !== undefined) {
      const from = this.#startOf(at)
      const to = this.#endOf(this.#folded + end)
      if (this.#drift !== undefined) {
        this.#last ??= new Map()
        const range = `${from}:${to}`
        if (this.#last.get(index) === range) return
        this.#last.set(index, range)
      }
      this.#report(word.owner.set, word.owner.id, from, to)
    }
  }

  /** Doors that cannot tell by themselves whether the beginning of a word counts. */
  #knockBlindly(table: WordTable, state: number, length: number): void {
    for (const [door, depth] of table.openings(state).knocks) this.#knock(door, this.#folded + length - depth, false)
  }

  // Patterns.

  #knock(door: Door, at: number, seen: boolean): void {
    this.#lane.knock(door, this.#startOf(at), this.#reporter(), seen)
    if (this.#drift !== undefined) this.#drift.lane.knock(door, at, this.#foldedReporter())
  }

  #beginLanes(text: string, ended: boolean): void {
    this.#lane.begin(text, ended, this.#reporter())
    const drift = this.#drift
    if (drift !== undefined) drift.lane.begin(this.#piece?.text ?? text, ended, this.#foldedReporter())
  }

  #finishLanes(): void {
    this.#lane.finish(this.#reporter())
    this.#drift?.lane.finish(this.#foldedReporter())
  }

  #reporter(): Found {
    this.#found ??= (matcher, from, to) => {
      if (this.#drift?.isNew(matcher, from, to) !== false) this.#reportAll(matcher, from, to)
    }
    return this.#found
  }

  #foldedReporter(): Found {
    this.#foundFolded ??= (matcher, from, to) => {
      const start = this.#startOf(from)
      const end = this.#endOf(to)
      if (this.#drift?.isNew(matcher, start, end) !== false) this.#reportAll(matcher, start, end)
    }
    return this.#foundFolded
  }

  // Offsets. Without drift, original and fold differ by a constant.

  #startOf(at: number): number {
    const drift = this.#drift
    if (drift === undefined) return at + this.#original - this.#folded
    return drift.startOf(at, this.#piece ?? NOTHING)
  }

  #endOf(at: number): number {
    const drift = this.#drift
    if (drift === undefined) return at + this.#original - this.#folded
    return drift.endOf(at, this.#piece ?? NOTHING)
  }

  /** When both spellings agree again as far back as anyone looks, one of them is enough. */
  #settleDrift(drift: Drift): void {
    drift.settle(this.#lane)
    if (this.#lane.quiet && drift.lane.quiet && this.#same >= this.#rules.memory) this.#drift = undefined
  }

  #openOffsets(): void {
    const { lower, exact } = this.#rules
    if (lower !== undefined) this.#openWords(lower.openings(this.#states[0] ?? START).list)
    if (exact !== undefined) this.#openWords(exact.openings(this.#states[1] ?? START).list)
    if (!this.#lane.quiet) this.#lane.eachOpen((matcher, at) => this.#openMatcher(matcher, at))
    const drift = this.#drift
    if (drift?.lane.quiet === false) {
      drift.lane.eachOpen((matcher, at) => this.#openMatcher(matcher, drift.pastStart(at)))
    }
  }

  #openWords(openings: readonly Opening[]): void {
    for (const opening of openings) {
      const folded = this.#folded - opening.depth
      const drift = this.#drift
      const at = drift === undefined ? folded + this.#original - this.#folded : drift.pastStart(folded)
      if (opening.matchers.length === 0) {
        this.#openSets(opening.sets, at)
        continue
      }
      this.#openDoor(opening, this.#lane, at, at)
      if (drift !== undefined) this.#openDoor(opening, drift.lane, folded, at)
    }
  }

  #openDoor({ lead, sets, matchers }: Opening, lane: Lane, place: number, at: number): void {
    if (lead !== undefined && !lane.allows(lead, place)) return
    if (this.#drift === undefined && !lane.hasSettled(place)) {
      this.#openSets(sets, at)
      return
    }
    for (const matcher of matchers) if (lane.awaits(matcher, place)) this.#openMatcher(matcher, at)
  }

  #openMatcher(matcher: number, at: number): void {
    for (const owner of this.#rules.owners[matcher] ?? []) this.#openSet(owner.set, at)
  }

  #openSets(sets: readonly number[], at: number): void {
    for (const set of sets) this.#openSet(set, at)
  }

  #openSet(set: number, at: number): void {
    this.#open ??= new Array<number>(this.#rules.sets).fill(this.#original)
    if (at < (this.#open[set] ?? 0)) this.#open[set] = at
  }

  // Hits.

  #reportAll(matcher: number, from: number, to: number): void {
    for (const owner of this.#rules.owners[matcher] ?? []) this.#report(owner.set, owner.id, from, to)
  }

  #report(set: number, id: string, from: number, to: number): void {
    this.#hits ??= Array.from({ length: this.#rules.sets }, () => [])
    this.#hits[set]?.push({ id, from, to })
  }

  #sorted(): readonly (readonly Hit[])[] | undefined {
    for (const hits of this.#hits ?? []) if (!inOrder(hits)) hits.sort((a, b) => a.from - b.from || a.to - b.to)
    return this.#hits
  }
}

function inOrder(hits: readonly Hit[]): boolean {
  let from = 0
  let to = 0
  for (const hit of hits) {
    if (hit.from < from || (hit.from === from && hit.to < to)) return false
    from = hit.from
    to = hit.to
  }
  return true
}

const NOTHING: Folded = fold('')
