/** One fuzzing run over a target, as long as `go` says; the same seed gives the same inputs in the same order. */
import { mutate } from './mutate.ts'
import { Random } from './random.ts'
import type { Target } from './target.ts'

export interface Failure {
  readonly bytes: Uint8Array
  readonly error: unknown
  /** Which input of the run it was. */
  readonly at: number
}

const POOL = 400

export async function fuzz(
  target: Target,
  corpus: readonly Uint8Array[],
  seed: number,
  go: (runs: number) => boolean,
): Promise<{ readonly runs: number; readonly failure?: Failure }> {
  const random = new Random(seed)
  const pool = [...corpus]
  let runs = 0
  while (go(runs)) {
    const fresh = pool.length === 0 || random.chance(4)
    const base = fresh ? target.build(random) : random.pick(pool)
    const bytes = fresh && random.chance(3) ? base : mutate(base, pool, target.words ?? [], random)
    if (fresh) {
      if (pool.length < POOL) pool.push(base)
      else pool[corpus.length + random.below(POOL - corpus.length)] = base
    }
    runs += 1
    try {
      await target.check(bytes)
    } catch (error) {
      return { runs, failure: { bytes: await smaller(target, bytes), error, at: runs } }
    }
  }
  return { runs }
}

/** Cuts pieces off for as long as it still fails. */
async function smaller(target: Target, bytes: Uint8Array): Promise<Uint8Array> {
  let least = bytes
  for (let size = least.length >> 1; size > 0; ) {
    let cut = false
    for (let from = 0; from + size <= least.length; from += size) {
      const without = new Uint8Array(Buffer.concat([least.subarray(0, from), least.subarray(from + size)]))
      try {
        await target.check(without)
      } catch {
        least = without
        cut = true
        break
      }
    }
    if (!cut) size >>= 1
  }
  return least
}
