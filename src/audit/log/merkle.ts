/**
 * RFC 6962 hashes, and the verification of proofs (RFC 9162 sections 2.1.3.2 and 2.1.4.2), with WebCrypto only.
 *
 * Guarantees: a proof of any other length than the index and the sizes call for is refused; nothing is read beyond the
 * arguments. A proof shows that a leaf is in the tree with this root, or that one tree continues another; whose root it
 * is says a checkpoint.
 */
import { concat, same, sha256 } from './bytes.ts'
import { LogInvalid } from './errors.ts'

export const HASH_BYTES = 32

const LEAF = Uint8Array.of(0)
const NODE = Uint8Array.of(1)

/** Section 2.1: SHA-256(0x00 || entry). */
export function leafHash(entry: Uint8Array): Promise<Uint8Array> {
  return sha256(concat(LEAF, entry))
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
  return sha256(concat(NODE, left, right))
}

/** SHA-256 of nothing. */
export function emptyRoot(): Promise<Uint8Array> {
  return sha256(new Uint8Array(0))
}

export interface Inclusion {
  readonly leafHash: Uint8Array
  readonly index: number
  readonly size: number
  readonly proof: readonly Uint8Array[]
  readonly root: Uint8Array
}

/** Rejects with `proof_invalid` unless the leaf stands at this index of the tree. */
export async function verifyInclusion({ leafHash: leaf, index, size, proof, root }: Inclusion): Promise<void> {
  checkSizes(index, size)
  checkHashes([leaf, root, ...proof])
  if (index >= size) throw wrong(`index ${index} is not below the tree's size ${size}`)
  let fn = index
  let sn = size - 1
  let r = leaf
  for (const p of proof) {
    if (sn === 0) throw wrong('it is longer than the tree is high')
    if (isOdd(fn) || fn === sn) {
      r = await nodeHash(p, r)
      while (!isOdd(fn) && fn !== 0) {
        fn = half(fn)
        sn = half(sn)
      }
    } else r = await nodeHash(r, p)
    fn = half(fn)
    sn = half(sn)
  }
  if (sn !== 0) throw wrong('it is shorter than the tree is high')
  if (!same(r, root)) throw wrong('it leads to another root')
}

export interface Consistency {
  readonly older: number
  readonly olderRoot: Uint8Array
  readonly newer: number
  readonly newerRoot: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/** Rejects with `proof_invalid` unless the newer tree begins with the whole older one. */
export async function verifyConsistency({ older, olderRoot, newer, newerRoot, proof }: Consistency): Promise<void> {
  checkSizes(older, newer)
  checkHashes([olderRoot, newerRoot, ...proof])
  if (older > newer) throw wrong(`the older tree has ${older} leaves, the newer only ${newer}`)
  if (older === 0 && !same(olderRoot, await emptyRoot())) throw wrong('an empty tree has another root')
  if (older === newer && !same(olderRoot, newerRoot)) throw wrong('trees of one size have two roots')
  if (older === 0 || older === newer) {
    if (proof.length > 0) throw wrong('it should be empty for these sizes')
    return
  }
  let fn = older - 1
  let sn = newer - 1
  while (isOdd(fn)) {
    fn = half(fn)
    sn = half(sn)
  }
  // An older size that is a power of two is a subtree of its own: its root begins the proof.
  const [first, ...rest] = fn === 0 ? [olderRoot, ...proof] : proof
  if (first === undefined) throw wrong('it is empty')
  let fr = first
  let sr = first
  for (const c of rest) {
    if (sn === 0) throw wrong('it is longer than these sizes call for')
    if (isOdd(fn) || fn === sn) {
      fr = await nodeHash(c, fr)
      sr = await nodeHash(c, sr)
      while (!isOdd(fn) && fn !== 0) {
        fn = half(fn)
        sn = half(sn)
      }
    } else sr = await nodeHash(sr, c)
    fn = half(fn)
    sn = half(sn)
  }
  if (sn !== 0) throw wrong('it is shorter than these sizes call for')
  if (!same(fr, olderRoot)) throw wrong('it does not lead to the older root')
  if (!same(sr, newerRoot)) throw wrong('it does not lead to the newer root')
}

function isOdd(n: number): boolean {
  return n % 2 === 1
}

function half(n: number): number {
  return Math.floor(n / 2)
}

function checkSizes(...sizes: readonly number[]): void {
  if (!sizes.every(size => Number.isSafeInteger(size) && size >= 0)) throw wrong('its sizes are not whole numbers')
}

function checkHashes(hashes: readonly Uint8Array[]): void {
  if (!hashes.every(hash => hash.length === HASH_BYTES)) throw wrong('its hashes are not 32 bytes each')
}

function wrong(why: string): LogInvalid {
  return new LogInvalid('proof_invalid', `the Merkle proof does not hold: ${why}`)
}
