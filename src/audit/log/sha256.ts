/** RFC 6962 hashes with `node:crypto`: synchronous, about a microsecond each. */
import { hash } from 'node:crypto'
import type { TreeHash } from './range.ts'

/** Prefix and two hashes: the input of a node, without an allocation per node. */
const node = Buffer.alloc(1 + 32 + 32)
node[0] = 1

export const NODE_SHA256: TreeHash = {
  leaf(entry) {
    const input = Buffer.allocUnsafe(1 + entry.length)
    input[0] = 0
    input.set(entry, 1)
    return hash('sha256', input, 'buffer')
  },
  node(left, right) {
    node.set(left, 1)
    node.set(right, 33)
    return hash('sha256', node, 'buffer')
  },
  empty() {
    return hash('sha256', new Uint8Array(0), 'buffer')
  },
}
