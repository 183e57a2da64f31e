/**
 * RFC 6962 section 2.1 hashes with `node:crypto`: synchronous, a quarter of a microsecond each. As a string of one character for a
 * byte they come without an `ArrayBuffer` of their own, which takes longer to make than the hash, and then the garbage collector's
 * time.
 */
import { hash } from 'node:crypto'
import { HASH_BYTES } from './merkle.ts'
import { MAX_ENTRY_BYTES } from './tile.ts'

const NODE_PREFIX = 1

/** Prefix 0 and an entry. */
const entryInput = Buffer.alloc(1 + MAX_ENTRY_BYTES)
/** Prefix 1 and two hashes. */
const nodeInput = Buffer.alloc(1 + 2 * HASH_BYTES, NODE_PREFIX)

/** Of an entry that a bundle can hold, into `target` at `at`. */
export function leafHashInto(entry: Uint8Array, target: Buffer, at: number): void {
  entryInput.set(entry, 1)
  digestInto(entryInput.subarray(0, 1 + entry.length), target, at)
}

/**
 * Of two hashes one after the other, in place of the first. `pair` is where they are, from the byte before them on, which is
 * their prefix meanwhile.
 */
export function nodeHashInPlace(pair: Buffer): void {
  const before = pair[0] ?? 0
  pair[0] = NODE_PREFIX
  digestInto(pair, pair, 1)
  pair[0] = before
}

export function nodeHashOf(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1)
  nodeInput.set(right, 1 + HASH_BYTES)
  return digest(nodeInput)
}

export function leafHashOf(entry: Uint8Array): Uint8Array {
  const found = Buffer.alloc(HASH_BYTES)
  leafHashInto(entry, found, 0)
  return found
}

export function emptyTreeHash(): Uint8Array {
  return digest(new Uint8Array(0))
}

function digest(input: Uint8Array): Uint8Array {
  return Buffer.from(hash('sha256', input, 'binary'), 'latin1')
}

function digestInto(input: Uint8Array, target: Buffer, at: number): void {
  target.write(hash('sha256', input, 'binary'), at, HASH_BYTES, 'latin1')
}
