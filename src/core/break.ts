/**
 * Stands between texts that are not one: of different blocks, content parts, elements of a list. What only looks at the
 * letters reads on over it, as a person would (the fold drops it); a pattern that asks for the edge of a word finds one. It
 * is in no request and in no answer.
 */
import type { Segment } from './wire.ts'

export const BREAK = '\u2060'

/** Does what was found in this segment lie in none of the texts it joins? True for segments that join nothing. */
export function isNew(segment: Segment, found: { readonly from: number; readonly to: number }): boolean {
  const { breaks } = segment
  if (breaks === undefined) return true
  // The first border behind the beginning: thousands of texts may hold thousands of matches.
  let low = 0
  let high = breaks.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((breaks[middle] ?? 0) > found.from) high = middle
    else low = middle + 1
  }
  const at = breaks[low]
  return at !== undefined && found.to > at + BREAK.length
}
