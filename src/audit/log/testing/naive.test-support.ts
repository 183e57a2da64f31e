/** RFC 6962 section 2.1 as it is written there: recursive, slow, over all entries at once. */
import { createHash } from 'node:crypto'

const sha = (...parts: readonly Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

export const entriesUpTo = (n: number): Uint8Array[] => Array.from({ length: n }, (_, i) => Buffer.from(`entry-${i}`))

function k(n: number): number {
  let power = 1
  while (power << 1 < n) power <<= 1
  return power
}

export function mth(d: readonly Uint8Array[]): Uint8Array {
  if (d.length === 0) return sha()
  if (d.length === 1) return sha(Uint8Array.of(0), d[0] as Uint8Array)
  return sha(Uint8Array.of(1), mth(d.slice(0, k(d.length))), mth(d.slice(k(d.length))))
}

export function path(m: number, d: readonly Uint8Array[]): Uint8Array[] {
  if (d.length === 1) return []
  const left = d.slice(0, k(d.length))
  const right = d.slice(k(d.length))
  return m < left.length ? [...path(m, left), mth(right)] : [...path(m - left.length, right), mth(left)]
}

export function proof(m: number, d: readonly Uint8Array[]): Uint8Array[] {
  return m === 0 ? [] : subproof(m, d, true)
}

function subproof(m: number, d: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (m === d.length) return whole ? [] : [mth(d)]
  const left = d.slice(0, k(d.length))
  const right = d.slice(k(d.length))
  if (m <= left.length) return [...subproof(m, left, whole), mth(right)]
  return [...subproof(m - left.length, right, false), mth(left)]
}
