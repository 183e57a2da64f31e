/**
 * Which subtrees a Merkle proof is made of (RFC 6962 section 2.1). A proof is a list of hashes; here it is a list of leaf
 * ranges, so that whoever can hash a range (the tiles, a test) can make any proof.
 *
 * Sizes and indices are integers up to 2^53-1; there is no bit arithmetic, which JavaScript does on 32 bits.
 */

/** Leaves `[from, to)`. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** A perfect subtree: leaves `[index * 2^height, (index + 1) * 2^height)`. */
export interface Node {
  readonly height: number
  readonly index: number
}

/** The largest power of two smaller than `n`, for `n` > 1. */
export function split(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

/** PATH(m, D[n]) of section 2.1.1: the leaf's sibling first, the root's child last. */
export function inclusionRanges(index: number, size: number): readonly Range[] {
  if (!isIndex(index) || !isIndex(size) || index >= size) {
    throw new RangeError(`expected an index below the size ${size}, got ${index}`)
  }
  const path: Range[] = []
  let from = 0
  let to = size
  while (to - from > 1) {
    const middle = from + split(to - from)
    if (index < middle) {
      path.push({ from: middle, to })
      to = middle
    } else {
      path.push({ from, to: middle })
      from = middle
    }
  }
  return path.reverse()
}

/** PROOF(m, D[n]) of section 2.1.2. Empty from size 0, which every tree extends, and between equal sizes. */
export function consistencyRanges(older: number, newer: number): readonly Range[] {
  if (!isIndex(older) || !isIndex(newer) || older > newer) {
    throw new RangeError(`expected an older size of at most ${newer}, got ${older}`)
  }
  if (older === 0 || older === newer) return []
  const path: Range[] = []
  let from = 0
  let to = newer
  let whole = true
  while (older !== to) {
    const middle = from + split(to - from)
    if (older <= middle) {
      path.push({ from: middle, to })
      to = middle
    } else {
      path.push({ from, to: middle })
      from = middle
      whole = false
    }
  }
  if (!whole) path.push({ from, to })
  return path.reverse()
}

/**
 * The perfect subtrees that make up a range as it stands in a tree (its start is a multiple of a power of two no smaller
 * than its length), largest first. Their hashes folded from the right are the hash of the range.
 */
export function perfectNodes({ from, to }: Range): readonly Node[] {
  const nodes: Node[] = []
  let at = from
  while (at < to) {
    let height = 0
    let width = 1
    while (width * 2 <= to - at) {
      width *= 2
      height++
    }
    nodes.push({ height, index: at / width })
    at += width
  }
  return nodes
}

function isIndex(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0
}
