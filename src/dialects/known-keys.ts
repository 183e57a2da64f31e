/**
 * Keys that only look like a key the dialect knows. Some parsers match keys without regard to case (Go's encoding/json)
 * or normalise them; such a reader would act on `Messages` while we inspected `messages`. They are refused.
 */
import { caseless } from '../text/caseless.ts'
import type { JsonObject } from './json.ts'

export interface KnownKeys {
  has(key: string): boolean
  /** The known key that `key` could be taken for, or `undefined` when it is that key or nothing like it. */
  confusedWith(key: string): string | undefined
}

/** Takes the keys as words separated by white space. */
export function knownKeys(words: string): KnownKeys {
  const keys = words.trim().split(/\s+/)
  const exact = new Set(keys)
  const folded = new Map(keys.map(key => [caseless(key), key]))
  return {
    has: key => exact.has(key),
    confusedWith: key => (exact.has(key) ? undefined : folded.get(caseless(key))),
  }
}

/** The first known key that some key of `node` could be taken for. */
export function ambiguousKey(node: JsonObject, known: KnownKeys): string | undefined {
  for (const key of node.keys) {
    const confused = known.confusedWith(key)
    if (confused !== undefined) return confused
  }
  return undefined
}
