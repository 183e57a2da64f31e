/**
 * A Merkle tree that grows at its right end, in memory that grows with its height: the roots of its perfect subtrees,
 * largest first ("compact range"). They stand one after the other in one buffer: an entry costs two hashes and no allocation.
 */
import { HASH_BYTES } from './merkle.ts'
import { emptyTreeHash, leafHashInto, nodeHashInPlace, nodeHashOf } from './sha256.ts'
import { perfectNodes } from './subtree.ts'

/** Of 2^53 - 1 leaves, and one that is just being added. */
const MOST_NODES = 54

/**
 * Called for every perfect subtree as it is completed, leaves included (height 0), lowest first. Its hash stands in `bytes` from
 * `at` on until the call returns.
 */
export type OnNode = (height: number, index: number, bytes: Buffer, at: number) => void

export class CompactRange {
  /** Behind the byte that is the prefix of the first two. */
  readonly #stack = Buffer.alloc(1 + MOST_NODES * HASH_BYTES)
  /** Of each node, it and the next, with the byte before them. */
  readonly #pairs: readonly Buffer[] = Array.from({ length: MOST_NODES - 1 }, (_, i) =>
    this.#stack.subarray(i * HASH_BYTES, 1 + (i + 2) * HASH_BYTES),
  )
  #nodes: number
  #size: number

  /** `nodes`: hashes of `perfectNodes({ from: 0, to: size })`, in that order. */
  constructor(size = 0, nodes: readonly Uint8Array[] = []) {
    const expected = perfectNodes({ from: 0, to: size }).length
    if (nodes.length !== expected) throw new RangeError(`a tree of ${size} leaves has ${expected} nodes`)
    this.#size = size
    this.#nodes = expected
    nodes.forEach((hash, i) => {
      this.#stack.set(hash, placeOf(i))
    })
  }

  get size(): number {
    return this.#size
  }

  append(entry: Uint8Array, onNode?: OnNode): void {
    const stack = this.#stack
    let node = this.#nodes
    let index = this.#size
    let height = 0
    leafHashInto(entry, stack, placeOf(node))
    onNode?.(height, index, stack, placeOf(node))
    while (index % 2 === 1) {
      node--
      const pair = this.#pairs[node]
      if (pair === undefined) throw new RangeError('the range has fewer nodes than its size says')
      nodeHashInPlace(pair)
      index = (index - 1) / 2
      height++
      onNode?.(height, index, stack, placeOf(node))
    }
    this.#nodes = node + 1
    this.#size++
  }

  root(): Uint8Array {
    const hashes = Array.from({ length: this.#nodes }, (_, i) => this.#stack.subarray(placeOf(i), placeOf(i + 1)))
    return Uint8Array.from(foldRight(hashes))
  }
}

function placeOf(node: number): number {
  return 1 + node * HASH_BYTES
}

/** The root over perfect subtrees, largest first; of none, the root of an empty tree. */
export function foldRight(nodes: readonly Uint8Array[]): Uint8Array {
  const last = nodes.at(-1)
  if (last === undefined) return emptyTreeHash()
  let root = last
  for (let i = nodes.length - 2; i >= 0; i--) {
    const left = nodes[i]
    if (left !== undefined) root = nodeHashOf(left, root)
  }
  return root
}
