/**
 * The members of one JSON object in their canonical order: by code point, each key once.
 *
 * The same few sequences of keys come with every row, so their order is remembered, in a tree that stops growing at a
 * bound: what it does not know is sorted anew and comes out the same.
 */
import { byCodePoint, quote } from './canonical.ts'

/** Keys as long as this may have been cut, and so may be another's equal. */
export const MAX_KEY = 256
const PLAIN_KEY = /^[A-Za-z0-9_.:-]*$/
/** Remembered keys in all their places. A check can name its details as it likes. */
const MAX_REMEMBERED = 4096

export class Members {
  readonly #keys: string[] = []
  readonly #values: string[] = []
  #sequence: Sequence | undefined = FIRST

  get size(): number {
    return this.#keys.length
  }

  /** `key` is well-formed; a key that comes again is left out. */
  add(key: string, json: string): void {
    this.#keys.push(key)
    this.#values.push(json)
    this.#sequence = this.#sequence?.with(key)
  }

  object(): string {
    const known = this.#sequence?.order(this.#keys)
    return known === undefined ? this.#sorted() : this.#ordered(known)
  }

  #ordered({ order, names }: Order): string {
    const values = this.#values
    let json = '{'
    for (let i = 0; i < order.length; i++) json += `${names[i]}${values[order[i] ?? 0]}`
    return `${json}}`
  }

  #sorted(): string {
    const keys = this.#keys
    let json = '{'
    let last: string | undefined
    for (const i of inOrder(keys)) {
      const key = keys[i] ?? ''
      if (key === last) continue
      json += `${last === undefined ? '' : ','}${quote(key)}:${this.#values[i]}`
      last = key
    }
    return `${json}}`
  }
}

interface Order {
  /** Places in the sequence, sorted by their keys. */
  readonly order: readonly number[]
  /** What stands before each value, from the second one on with its comma: `,"key":`. */
  readonly names: readonly string[]
}

let remembered = 0

/** A sequence of plain, different keys. */
class Sequence {
  readonly #longer = new Map<string, Sequence>()
  readonly #keys: ReadonlySet<string>
  #order: Order | undefined

  constructor(keys: ReadonlySet<string>) {
    this.#keys = keys
  }

  /** With one more key; `undefined` when that one has to be looked at, or there is no room to remember it. */
  with(key: string): Sequence | undefined {
    const known = this.#longer.get(key)
    if (known !== undefined) return known
    if (remembered >= MAX_REMEMBERED || !PLAIN_KEY.test(key) || key.length >= MAX_KEY || this.#keys.has(key)) {
      return undefined
    }
    remembered += 1
    const longer = new Sequence(new Set([...this.#keys, key]))
    this.#longer.set(key, longer)
    return longer
  }

  order(keys: readonly string[]): Order {
    if (this.#order !== undefined) return this.#order
    const order = inOrder(keys)
    const names = order.map((at, i) => `${i === 0 ? '' : ','}"${keys[at]}":`)
    this.#order = { order, names }
    return this.#order
  }
}

const FIRST = new Sequence(new Set())

/** Places by their keys; of equal keys the first comes first. */
function inOrder(keys: readonly string[]): number[] {
  return keys.map((_, i) => i).sort((a, b) => byCodePoint(keys[a] ?? '', keys[b] ?? '') || a - b)
}
