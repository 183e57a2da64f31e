/**
 * A Merkle tree that grows at its right end, in memory that grows with its height: the roots of its perfect subtrees,
 * largest first ("compact range"). Hashing is a port: Node hashes synchronously, a browser has no need to build trees.
 */
import { perfectNodes } from './subtree.ts'

/** Synchronous RFC 6962 hashes. */
export interface TreeHash {
  leaf(entry: Uint8Array): Uint8Array
  node(left: Uint8Array, right: Uint8Array): Uint8Array
  empty(): Uint8Array
}

/** Called for every perfect subtree as it is completed, leaves included (height 0), lowest first. */
export type OnNode = (height: number, index: number, hash: Uint8Array) => void

export class CompactRange {
  readonly #hash: TreeHash
  readonly #nodes: Uint8Array[]
  #size: number

  /** `nodes`: hashes of `perfectNodes({ from: 0, to: size })`, in that order. */
  constructor(hash: TreeHash, size = 0, nodes: readonly Uint8Array[] = []) {
    const expected = perfectNodes({ from: 0, to: size }).length
    if (nodes.length !== expected) throw new RangeError(`a tree of ${size} leaves has ${expected} nodes`)
    this.#hash = hash
    this.#size = size
    this.#nodes = [...nodes]
  }

  get size(): number {
    return this.#size
  }

  append(leaf: Uint8Array, onNode?: OnNode): void {
    let hash = leaf
    let index = this.#size
    let height = 0
    onNode?.(height, index, hash)
    while (index % 2 === 1) {
      const left = this.#nodes.pop()
      if (left === undefined) throw new RangeError('the range has fewer nodes than its size says')
      hash = this.#hash.node(left, hash)
      index = (index - 1) / 2
      height++
      onNode?.(height, index, hash)
    }
    this.#nodes.push(hash)
    this.#size++
  }

  root(): Uint8Array {
    return foldRight(this.#nodes, this.#hash)
  }
}

/** The root over perfect subtrees, largest first; of none, the root of an empty tree. */
export function foldRight(nodes: readonly Uint8Array[], hash: TreeHash): Uint8Array {
  const last = nodes.at(-1)
  if (last === undefined) return hash.empty()
  let root = last
  for (let i = nodes.length - 2; i >= 0; i--) {
    const left = nodes[i]
    if (left !== undefined) root = hash.node(left, root)
  }
  return root
}
