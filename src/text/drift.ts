/** Where original and fold differ near the end of what came: the fold's own lane, and the way back from its offsets. */
import type { Folded } from './fold.ts'
import { Lane } from './lane.ts'
import type { Rules } from './rules.ts'

/** Ranges remembered per matcher before the old ones are dropped. */
const MANY = 64

export class Drift {
  readonly lane: Lane
  /** Units so far, of the original and of the fold. */
  original: number
  folded: number
  readonly #memory: number
  /** First folded unit that is remembered: original start and end of each from here on. */
  #from: number
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  /** Ranges found while original and fold differ, per matcher: the other spelling may find them again. */
  readonly #found = new Map<number, Map<string, number>>()

  constructor(rules: Rules, lane: Lane, original: number, folded: number) {
    const shift = original - folded
    this.lane = new Lane(rules, { lane, shift })
    this.original = original
    this.folded = folded
    this.#memory = rules.memory
    this.#from = Math.max(0, Math.min(this.lane.base, folded - rules.memory))
    for (let at = this.#from; at < folded; at++) {
      this.#starts.push(at + shift)
      this.#ends.push(at + shift + 1)
    }
  }

  /** Original offset of a folded one; `piece` is the one at hand. */
  startOf(at: number, piece: Folded): number {
    return at >= this.folded ? this.original + piece.toOriginal(at - this.folded) : this.pastStart(at)
  }

  endOf(at: number, piece: Folded): number {
    if (at > this.folded) return this.original + piece.toOriginalEnd(at - this.folded)
    return this.#ends[at - 1 - this.#from] ?? at + this.original - this.folded
  }

  pastStart(at: number): number {
    return this.#starts[at - this.#from] ?? at + this.original - this.folded
  }

  /** False when the matcher's range has been found already, in either spelling. */
  isNew(matcher: number, from: number, to: number): boolean {
    let found = this.#found.get(matcher)
    if (found === undefined) {
      found = new Map()
      this.#found.set(matcher, found)
    }
    const key = `${from}:${to}`
    if (found.has(key)) return false
    found.set(key, to)
    return true
  }

  remember(piece: Folded): void {
    for (let i = 0; i < piece.text.length; i++) {
      this.#starts.push(this.original + piece.toOriginal(i))
      this.#ends.push(this.original + piece.toOriginalEnd(i + 1))
    }
    this.original += piece.original.length
    this.folded += piece.text.length
    const needed = Math.min(this.lane.base, this.folded - this.#memory)
    const excess = needed - this.#from
    if (excess < 256 || excess < this.#starts.length / 2) return
    this.#starts.splice(0, excess)
    this.#ends.splice(0, excess)
    this.#from = needed
  }

  /** Forgets ranges that neither spelling looks at again. */
  settle(lane: Lane): void {
    for (const [matcher, found] of this.#found) {
      if (found.size < MANY) continue
      const mine = lane.openAt(matcher)
      const other = this.lane.openAt(matcher)
      // A word that is still incomplete may begin this far back.
      const floor = Math.min(
        mine ?? this.original,
        other === undefined ? this.original : this.pastStart(other),
        this.pastStart(this.folded - this.#memory),
      )
      for (const [key, to] of found) if (to <= floor) found.delete(key)
    }
  }
}

/** How many of the last folded units are the original's own last units. */
export function sameTail(piece: Folded): number {
  const { original, text } = piece
  const shift = original.length - text.length
  let same = 0
  for (let i = text.length - 1; i >= 0 && i + shift >= 0; i--) {
    if (text.charCodeAt(i) !== original.charCodeAt(i + shift)) break
    same++
  }
  return same
}
