/**
 * Keys that only look like a key the dialect knows. Some parsers match keys without regard to case (Go's encoding/json)
 * or normalise them; such a reader would act on `Messages` while we inspected `messages`. They are refused.
 */
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
  const folded = new Map(keys.map(key => [fold(key), key]))
  return {
    has: key => exact.has(key),
    confusedWith: key => (exact.has(key) ? undefined : folded.get(fold(key))),
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

/** Like Unicode's NFKC_Casefold, and upper-casing too (a dotless or a long letter). ASCII keeps to the short way. */
function fold(key: string): string {
  if (/^[\x20-\x7e]*$/.test(key)) return key.toLowerCase()
  return key
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .normalize('NFKC')
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC')
}
