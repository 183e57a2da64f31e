/**
 * One text under scan. Literals run on the fold; patterns run on the original and, as long as the two differ near the
 * end of what came, on the fold too. Where a pattern finds the same range in both it is reported once.
 */
import type { Hit, PatternSet, Scan, ScanStream } from './contract.ts'
import { type Folded, type FoldStream, openFold } from './fold.ts'
import { Lane, Triggers } from './lane.ts'
import { START } from './literals.ts'
import type { Rules, WordTable } from './rules.ts'

const NO_HITS: readonly Hit[] = []

export function scanOnce(rules: Rules, folded: Folded): Scan {
  return new Cursor(rules).advance(folded, true)
}

export class StreamScan implements ScanStream {
  readonly #cursor: Cursor
  readonly #fold: FoldStream = openFold()
  #ended = false

  constructor(rules: Rules) {
    this.#cursor = new Cursor(rules)
  }

  push(text: string): Scan {
    if (this.#ended) throw new Error('the stream of text has ended: open a new one')
    const folded = this.#fold.push(text)
    return this.#cursor.advance(folded, false)
  }

  end(): Scan {
    if (this.#ended) throw new Error('the stream of text has ended already')
    this.#ended = true
    return this.#cursor.advance(this.#fold.end(), true)
  }
}

class Outcome implements Scan {
  readonly #rules: Rules
  readonly #hits: (Hit[] | undefined)[] | undefined
  readonly #open: readonly number[] | undefined
  readonly #total: number

  constructor(
    rules: Rules,
    hits: (Hit[] | undefined)[] | undefined,
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

/** Where folded units came from, once original and fold have drifted apart. */
interface Drift {
  readonly lane: Lane
  /** Original start and end of each folded unit from `from` on. */
  from: number
  readonly starts: number[]
  readonly ends: number[]
  /** Ranges found while original and fold differ, per matcher: the other spelling may find them again. */
  readonly found: Map<number, Map<string, number>>
}

class Cursor {
  readonly #rules: Rules
  readonly #lane: Lane
  readonly #triggers: Triggers
  #drift: Drift | undefined
  #lowerState = START
  #exactState = START
  /** Units so far, of the original and of the fold. */
  #original = 0
  #folded = 0
  /** How many of the last units are the same, one for one, in both. */
  #same = 0
  #hits: (Hit[] | undefined)[] | undefined
  /** Being put together: per set, from where it is open. */
  #open: number[] | undefined

  constructor(rules: Rules) {
    this.#rules = rules
    this.#lane = new Lane(rules.matchers, rules.gates, rules.units)
    this.#triggers = new Triggers(rules.matchers.length)
  }

  advance(piece: Folded, ended: boolean): Scan {
    this.#hits = undefined
    if (!piece.identity && this.#drift === undefined) this.#drift = this.#startDrift()
    this.#triggers.clear()
    this.#scanWords(piece, ended)
    if (this.#rules.matchers.length > 0) this.#runLanes(piece, ended)
    if (this.#drift !== undefined && !ended) this.#remember(this.#drift, piece)
    this.#original += piece.original.length
    this.#folded += piece.text.length
    this.#same = piece.identity ? this.#same + piece.text.length : sameTail(piece)
    const open = ended ? undefined : this.#openOffsets()
    if (this.#drift !== undefined) this.#settleDrift(this.#drift)
    // A waiting half of a surrogate pair is not counted in `#original`, so it stays open.
    return new Outcome(this.#rules, this.#sorted(), open, this.#original)
  }

  // Literals, and the words that patterns begin with.

  #scanWords(piece: Folded, ended: boolean): void {
    const { lower, exact } = this.#rules
    if (lower !== undefined) {
      const text = piece.ascii ? piece.text : piece.lower
      this.#lowerState = this.#runWords(lower, this.#lowerState, text, piece, ended)
    }
    if (exact !== undefined) this.#exactState = this.#runWords(exact, this.#exactState, piece.text, piece, ended)
  }

  #runWords(table: WordTable, state: number, text: string, piece: Folded, ended: boolean): number {
    const { sets } = this.#rules
    // One character may fold to several units, so a short word may be found several times in it.
    const last: Map<number, string> | undefined = piece.identity ? undefined : new Map()
    const after = table.automaton.run(state, text, (index, end) => {
      const word = table.words[index]
      if (word === undefined) return
      const at = this.#folded + end - word.text.length
      if (word.owner === undefined) {
        this.#triggers.add(word.group - sets, at, true)
        return
      }
      const from = this.#startOf(at, piece)
      const to = this.#endOf(this.#folded + end, piece)
      if (last?.get(index) === `${from}:${to}`) return
      last?.set(index, `${from}:${to}`)
      this.#report(word.owner.set, word.owner.id, from, to)
    })
    const open = ended ? NO_PAIRS : table.automaton.open(after)
    for (let i = 0; i < open.length; i += 2) {
      const group = open[i] ?? 0
      if (group >= sets) this.#triggers.add(group - sets, this.#folded + text.length - (open[i + 1] ?? 0), false)
    }
    return after
  }

  // Patterns.

  #runLanes(piece: Folded, ended: boolean): void {
    const drift = this.#drift
    const { matcherIds } = this.#rules
    if (drift === undefined) {
      const shift = this.#original - this.#folded
      const place = (at: number): number => at + shift
      this.#lane.feed(piece.original, this.#triggers, place, ended, (matcher, from, to) => {
        const owner = matcherIds[matcher]
        if (owner !== undefined) this.#report(owner.set, owner.id, from, to)
      })
      return
    }
    const once = (matcher: number, from: number, to: number): void => {
      const owner = matcherIds[matcher]
      let found = drift.found.get(matcher)
      if (found === undefined) {
        found = new Map()
        drift.found.set(matcher, found)
      }
      const key = `${from}:${to}`
      if (owner === undefined || found.has(key)) return
      found.set(key, to)
      this.#report(owner.set, owner.id, from, to)
    }
    this.#lane.feed(piece.original, this.#triggers, at => this.#startOf(at, piece), ended, once)
    const same = (at: number): number => at
    drift.lane.feed(piece.text, this.#triggers, same, ended, (matcher, from, to) =>
      once(matcher, this.#startOf(from, piece), this.#endOf(to, piece)),
    )
  }

  // Offsets.

  /** Original offset of a folded one; `piece` begins at `#folded` and `#original`. */
  #startOf(at: number, piece: Folded): number {
    if (at >= this.#folded) return this.#original + piece.toOriginal(at - this.#folded)
    return this.#pastStart(at)
  }

  #pastStart(at: number): number {
    const drift = this.#drift
    return drift?.starts[at - drift.from] ?? at + this.#original - this.#folded
  }

  #endOf(at: number, piece: Folded): number {
    if (at > this.#folded) return this.#original + piece.toOriginalEnd(at - this.#folded)
    const drift = this.#drift
    return drift?.ends[at - 1 - drift.from] ?? at + this.#original - this.#folded
  }

  #startDrift(): Drift {
    const shift = this.#original - this.#folded
    const lane = new Lane(this.#rules.matchers, this.#rules.gates, this.#rules.units, { lane: this.#lane, shift })
    const from = Math.max(0, Math.min(lane.base, this.#folded - this.#rules.memory))
    const starts: number[] = []
    for (let at = from; at < this.#folded; at++) starts.push(at + shift)
    return { lane, from, starts, ends: starts.map(start => start + 1), found: new Map() }
  }

  #remember(drift: Drift, piece: Folded): void {
    for (let i = 0; i < piece.text.length; i++) {
      drift.starts.push(this.#original + piece.toOriginal(i))
      drift.ends.push(this.#original + piece.toOriginalEnd(i + 1))
    }
    const needed = Math.min(drift.lane.base, this.#folded + piece.text.length - this.#rules.memory)
    const excess = needed - drift.from
    if (excess < 256 || excess < drift.starts.length / 2) return
    drift.starts.splice(0, excess)
    drift.ends.splice(0, excess)
    drift.from = needed
  }

  /** When both spellings agree again as far back as anyone looks, one of them is enough. */
  #settleDrift(drift: Drift): void {
    for (const [matcher, found] of drift.found) {
      const mine = this.#lane.openAt(matcher)
      const other = drift.lane.openAt(matcher)
      if (mine === undefined && other === undefined) drift.found.delete(matcher)
      if (found.size < MANY) continue
      // Neither spelling looks again at what lies before the places where both are undecided.
      const floor = Math.min(mine ?? this.#original, other === undefined ? this.#original : this.#pastStart(other))
      for (const [key, to] of found) if (to <= floor) found.delete(key)
    }
    if (this.#lane.quiet && drift.lane.quiet && this.#same >= this.#rules.memory) this.#drift = undefined
  }

  #openOffsets(): readonly number[] | undefined {
    const { lower, exact } = this.#rules
    this.#open = undefined
    if (lower !== undefined) this.#openWords(lower.automaton.open(this.#lowerState))
    if (exact !== undefined) this.#openWords(exact.automaton.open(this.#exactState))
    const drift = this.#drift
    if (!this.#lane.quiet) this.#lane.eachOpen((matcher, at) => this.#openFrom(this.#setOf(matcher), at))
    if (drift?.lane.quiet === false) {
      drift.lane.eachOpen((matcher, at) => this.#openFrom(this.#setOf(matcher), this.#pastStart(at)))
    }
    return this.#open
  }

  #openWords(pairs: readonly number[]): void {
    for (let i = 0; i < pairs.length; i += 2) {
      const group = pairs[i] ?? 0
      if (group < this.#rules.sets) this.#openFrom(group, this.#pastStart(this.#folded - (pairs[i + 1] ?? 0)))
    }
  }

  #setOf(matcher: number): number {
    return this.#rules.matcherIds[matcher]?.set ?? 0
  }

  #openFrom(set: number, at: number): void {
    if (this.#open === undefined) {
      this.#open = []
      for (let i = 0; i < this.#rules.sets; i++) this.#open.push(this.#original)
    }
    if (at < (this.#open[set] ?? 0)) this.#open[set] = at
  }

  // Hits.

  #report(set: number, id: string, from: number, to: number): void {
    this.#hits ??= new Array<Hit[] | undefined>(this.#rules.sets).fill(undefined)
    let hits = this.#hits[set]
    if (hits === undefined) {
      hits = []
      this.#hits[set] = hits
    }
    hits.push({ id, from, to })
  }

  #sorted(): (Hit[] | undefined)[] | undefined {
    for (const hits of this.#hits ?? []) hits?.sort((a, b) => a.from - b.from || a.to - b.to)
    return this.#hits
  }
}

const NO_PAIRS: readonly number[] = []
/** Ranges remembered per matcher before the old ones are dropped. */
const MANY = 64

/** How many of the last folded units are the original's own last units. */
function sameTail(piece: Folded): number {
  const { original, text } = piece
  const shift = original.length - text.length
  let same = 0
  for (let i = text.length - 1; i >= 0 && i + shift >= 0; i--) {
    if (text.charCodeAt(i) !== original.charCodeAt(i + shift)) break
    same++
  }
  return same
}
