/** The scan's public types; users import them from `scan.ts`. */

export interface Hit {
  /** The rule's id within its set. */
  readonly id: string
  /** UTF-16 offsets in the ORIGINAL text (of the whole channel, for streams). */
  readonly from: number
  readonly to: number
}

/** One matching rule. `literal` rules match folded text; `regex` rules match the original and, where it differs, the folded text. */
export type Rule = LiteralRule | RegexRule

export interface LiteralRule {
  readonly kind: 'literal'
  readonly id: string
  readonly text: string
  /** Default false: both sides lower-cased. */
  readonly caseSensitive?: boolean
}

export interface RegexRule {
  readonly kind: 'regex'
  readonly id: string
  /** JavaScript regular-expression source. */
  readonly source: string
  /** Any of `i`, `m`, `s`, `u`, `v`. */
  readonly flags?: string
  /** Longest match, UTF-16 units. Required when the pattern itself is unbounded; an open match beyond it is a hit of that length. */
  readonly maxMatch?: number
}

/** A check's rules. Identity matters: checks ask `scan.hits(set)` with the object they registered. */
export interface PatternSet {
  readonly id: string
  readonly rules: readonly Rule[]
}

/** What one scan of one text (or one piece of a stream) found. */
export interface Scan {
  /** Hits decided now, in order of `from`. In a stream each hit is reported exactly once, whatever the cutting. */
  hits(set: PatternSet): readonly Hit[]
  /** Earliest offset from which a match of this set could still begin or grow; the text's length when there is none. */
  openFrom(set: PatternSet): number
}

export interface Scanner {
  /** A whole text at once; everything is decided. */
  whole(text: string): Scan
  /** A stream of pieces of one text. */
  open(): ScanStream
}

export interface ScanStream {
  push(text: string): Scan
  /** No more text: decides everything still open. */
  end(): Scan
}
