/**
 * `scope_drift`: output that shows a level above the exchange's ceiling, or runs far beyond the length asked for.
 *
 * Guarantees: every marker of every channel is looked at, none hides another, and nothing of one that is too high is
 * released. The length counts the channels of one choice together, and text that a final snapshot repeats only once.
 * Does not guarantee: an exact token count. Tokens are not visible here, so the length bound is generous on purpose: it
 * stops a runaway, not an answer that is a little long.
 */
import type { Check, Inspection, Inspector, Piece } from '../core/check.ts'
import type { Found, Ladder, MarkerReader, MarkerSet } from '../core/classification.ts'
import type { Exchange } from '../core/exchange.ts'
import { ALLOW, type Block, block } from '../core/verdict.ts'
import type { Channel } from '../core/wire.ts'
import { LEVEL_OPTIONS, type LevelOptions, readLevels } from './levels.ts'
import { CheckOptions, type Common, type CommonOptions, description, rowNumber } from './options.ts'

export interface ScopeDriftOptions extends CommonOptions, LevelOptions {
  /** Share by which output may exceed the estimate. Default 0.1. */
  readonly tokenTolerance?: number
  /**
   * Characters that one token may stand for. Default 16: English prose averages 4, but one token can be a long word,
   * a run of spaces in code or a ruler of dashes, and an honest answer must not be cut.
   */
  readonly charPerTokenEstimate?: number
  /** No answer is too long below this, in UTF-16 units. Default 1024. */
  readonly minimumChars?: number
  /** Look for markers. Default true. */
  readonly checkClassificationDrift?: boolean
}

/** Channels that hold what the model says. `other` holds fields of the envelope. */
const COUNTED: ReadonlySet<Channel['name']> = new Set(['content', 'reasoning', 'refusal', 'transcript', 'arguments'])

export class ScopeDriftCheck implements Check {
  readonly name = 'scope_drift'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly snapshots = 'hits'
  readonly patterns?: MarkerSet['patterns']
  readonly #common: Common
  readonly #ladder: Ladder
  readonly #markers: MarkerSet | undefined
  readonly #charsPerToken: number
  readonly #minimumChars: number
  readonly #options: Readonly<Record<string, unknown>>

  constructor(options: ScopeDriftOptions = {}) {
    const read = new CheckOptions(this.name, options, [
      'tokenTolerance',
      'charPerTokenEstimate',
      'minimumChars',
      'checkClassificationDrift',
      ...LEVEL_OPTIONS,
    ])
    this.#common = read.common(60)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    const tokenTolerance = read.number('tokenTolerance', 0.1, 0)
    const charPerTokenEstimate = read.number('charPerTokenEstimate', 16, 1)
    const checkClassificationDrift = read.flag('checkClassificationDrift', true)
    this.#charsPerToken = charPerTokenEstimate * (1 + tokenTolerance)
    this.#minimumChars = read.whole('minimumChars', 1024, 0)
    const { ladder, markers, described } = readLevels(read)
    this.#ladder = ladder
    this.#markers = checkClassificationDrift && markers.patterns.rules.length > 0 ? markers : undefined
    if (this.#markers !== undefined) this.patterns = this.#markers.patterns
    this.#options = {
      tokenTolerance,
      charPerTokenEstimate,
      minimumChars: this.#minimumChars,
      checkClassificationDrift,
      ...described,
    }
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['inspection'], this.#common, this.#options)
  }

  inspect(x: Exchange): (channel: Channel) => Inspector | undefined {
    const { maxOutputTokens } = x.request
    const cap =
      maxOutputTokens !== undefined && maxOutputTokens >= 0
        ? Math.max(this.#minimumChars, Math.floor(maxOutputTokens * this.#charsPerToken))
        : undefined
    const ceiling = this.#ceiling(x)
    const choices = new Map<number, ChoiceLength>()
    return channel => {
      let length: ChoiceLength | undefined
      if (cap !== undefined && channel.snapshot !== true && COUNTED.has(channel.name)) {
        length = choices.get(channel.choice) ?? new ChoiceLength(cap, maxOutputTokens ?? 0)
        choices.set(channel.choice, length)
      }
      if (length === undefined && this.#markers === undefined) return undefined
      return new DriftInspector(channel, this.#ladder, ceiling, this.#markers, length)
    }
  }

  /** Without a decision of the gate: what the caller declared, and the lowest level for anything unreadable. */
  #ceiling(x: Exchange): string {
    const decided = x.levels?.ceiling
    if (decided !== undefined && this.#ladder.rank(decided) !== undefined) return decided
    return this.#ladder.parse(x.declared.classification ?? '') ?? this.#ladder.lowest
  }
}

/** Characters of one choice over all its channels. */
class ChoiceLength {
  readonly cap: number
  readonly maxTokens: number
  #total = 0

  constructor(cap: number, maxTokens: number) {
    this.cap = cap
    this.maxTokens = maxTokens
  }

  /** How many of these characters still fit under the cap. */
  take(chars: number): number {
    const room = this.cap - this.#total
    this.#total += chars
    return Math.max(0, Math.min(room, chars))
  }
}

function rangesOf(found: readonly Found[]) {
  return found.map(({ from, to }) => ({ from, to }))
}

class DriftInspector implements Inspector {
  readonly #channel: Channel
  readonly #ladder: Ladder
  readonly #ceiling: string
  readonly #markers: MarkerSet | undefined
  readonly #reader: MarkerReader | undefined
  readonly #length: ChoiceLength | undefined
  /** Markers above the ceiling, not reported yet, in order. */
  #pending: readonly Found[] = []
  #crossedAt: number | undefined
  #crossingTold = false

  constructor(
    channel: Channel,
    ladder: Ladder,
    ceiling: string,
    markers: MarkerSet | undefined,
    length: ChoiceLength | undefined,
  ) {
    this.#channel = channel
    this.#ladder = ladder
    this.#ceiling = ceiling
    this.#markers = markers
    this.#reader = markers?.open()
    this.#length = length
  }

  /**
   * A finding is reported when nothing undecided could begin before it: whichever of two findings comes first in the
   * text is then reported first, however the text was cut.
   */
  push(piece: Piece): Inspection {
    this.#read(piece)
    const length = piece.at + piece.text.length
    const openFrom =
      this.#markers === undefined ? length : Math.min(length, piece.scan.openFrom(this.#markers.patterns))
    const crossedAt = this.#crossing()
    if (this.#pending.length === 0 && crossedAt === undefined) return { settled: openFrom, verdict: ALLOW }
    const limit = Math.min(openFrom, (crossedAt ?? length) + 1)
    const ready = this.#pending.filter(found => found.from < limit)
    const [first] = ready
    if (first !== undefined) {
      this.#pending = this.#pending.slice(ready.length)
      const settled = Math.min(openFrom, crossedAt ?? length, this.#pending[0]?.from ?? length)
      return { settled, verdict: this.#marker(first), at: first.from, ranges: rangesOf(ready) }
    }
    if (crossedAt !== undefined && crossedAt < openFrom) {
      this.#crossingTold = true
      return { settled: Math.min(openFrom, this.#pending[0]?.from ?? length), verdict: this.#tooLong(), at: crossedAt }
    }
    return { settled: Math.min(openFrom, crossedAt ?? length, this.#pending[0]?.from ?? length), verdict: ALLOW }
  }

  /** Everything is decided: what is left is said at once, the first of it as the reason. */
  end(piece: Piece): Inspection {
    this.#read(piece)
    const settled = piece.at + piece.text.length
    const crossedAt = this.#crossing()
    const ready = this.#pending
    const [first] = ready
    if (crossedAt !== undefined && (first === undefined || crossedAt < first.from)) {
      return { settled, verdict: this.#tooLong(), at: crossedAt }
    }
    if (first === undefined) return { settled, verdict: ALLOW }
    const found: Inspection = { settled, verdict: this.#marker(first), at: first.from }
    // With a crossing beside it the block is never moot.
    return crossedAt === undefined ? { ...found, ranges: rangesOf(ready) } : found
  }

  /** Where the length was exceeded, while that is not reported yet. */
  #crossing(): number | undefined {
    return this.#crossingTold ? undefined : this.#crossedAt
  }

  #read(piece: Piece): void {
    if (this.#length !== undefined && piece.text.length > 0) {
      const fits = this.#length.take(piece.text.length)
      if (fits < piece.text.length) this.#crossedAt ??= piece.at + fits
    }
    if (this.#markers === undefined || this.#reader === undefined) return
    const hits = piece.scan.hits(this.#markers.patterns)
    if (hits.length === 0) return
    const above = this.#reader.read(hits).filter(found => this.#ladder.compare(found.level, this.#ceiling) > 0)
    if (above.length === 0) return
    // Of two at one place the higher comes first; the name only makes the order definite.
    this.#pending = [...this.#pending, ...above].sort(
      (a, b) => a.from - b.from || this.#ladder.compare(b.level, a.level) || (a.marker < b.marker ? -1 : 1),
    )
  }

  #marker({ marker, level, from }: Found): Block {
    return block('marker', `classification marker ${marker} above ${this.#ceiling}`, {
      drift_kind: 'classification',
      marker,
      marker_level: level,
      request_level: this.#ceiling,
      offset: from,
      channel: this.#channel.name,
      choice: this.#channel.choice,
    })
  }

  #tooLong(): Block {
    const cap = this.#length?.cap ?? 0
    const maxTokens = this.#length?.maxTokens ?? 0
    return block('length_exceeded', `output runs beyond ${cap} characters for a limit of ${maxTokens} tokens`, {
      drift_kind: 'token_count',
      cap: rowNumber(cap),
      max_tokens: rowNumber(maxTokens),
      channel: this.#channel.name,
      choice: this.#channel.choice,
    })
  }
}
