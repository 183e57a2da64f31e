/**
 * `regex_output`: block or redact what an operator's patterns find in model output, streamed or not.
 *
 * The whole of every channel is looked at, whatever its length. Nothing of a match is released: text is settled only
 * up to the first place where a match could still begin or grow. Overlapping matches are one redaction, and it is made
 * only when nothing undecided can overlap it, so the same text gives the same edits however it is cut.
 */
import type { Check, Inspection, Inspector, Piece } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import { ALLOW, block, redact } from '../core/verdict.ts'
import type { Channel } from '../core/wire.ts'
import type { Hit } from '../text/scan.ts'
import { CheckOptions, type Common, type CommonOptions, description } from './options.ts'
import { describePatterns, inOrder, type Pattern, type Patterns, readPatterns, redactions } from './pattern.ts'

export interface RegexOutputOptions extends CommonOptions {
  readonly patterns: readonly Pattern[]
}

export class RegexOutputCheck implements Check {
  readonly name = 'regex_output'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly snapshots = 'hits'
  readonly patterns
  readonly #common: Common
  readonly #patterns: Patterns

  constructor(options: RegexOutputOptions) {
    const read = new CheckOptions(this.name, options, ['patterns'])
    this.#common = read.common(40)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    this.#patterns = readPatterns(read, this.name)
    this.patterns = this.#patterns.set
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['inspection'], this.#common, { patterns: describePatterns(this.#patterns.list) })
  }

  inspect(_x: Exchange): (channel: Channel) => Inspector {
    return channel => new PatternInspector(channel, this.#patterns)
  }
}

/** Hits that overlap one another, decided together: a block if any of them blocks. */
interface Group {
  readonly hits: Hit[]
  to: number
  blocks: boolean
}

class PatternInspector implements Inspector {
  readonly #channel: Channel
  readonly #patterns: Patterns
  #pending: readonly Hit[] = []

  constructor(channel: Channel, patterns: Patterns) {
    this.#channel = channel
    this.#patterns = patterns
  }

  push(piece: Piece): Inspection {
    const openFrom = piece.scan.openFrom(this.#patterns.set)
    const length = piece.at + piece.text.length
    if (!this.#add(piece)) return { settled: Math.min(openFrom, length), verdict: ALLOW }
    const ready = this.#groups().filter(group => group.to <= openFrom)
    // One verdict at a time, in order of place: redactions up to the first block, or blocks up to the next redaction.
    const change = ready.findIndex(group => group.blocks !== ready[0]?.blocks)
    const now = change < 0 ? ready : ready.slice(0, change)
    const decided = now.reduce((count, group) => count + group.hits.length, 0)
    this.#pending = this.#pending.slice(decided)
    return this.#report(now, Math.min(openFrom, length, this.#pending[0]?.from ?? length))
  }

  end(piece: Piece): Inspection {
    const length = piece.at + piece.text.length
    if (!this.#add(piece)) return { settled: length, verdict: ALLOW }
    return this.#report(this.#groups(), length)
  }

  /** Takes over what the piece found, in order; false when there is nothing to decide. */
  #add(piece: Piece): boolean {
    const hits = piece.scan.hits(this.#patterns.set)
    if (hits.length > 0) this.#pending = [...this.#pending, ...hits].sort(inOrder(this.#patterns))
    return this.#pending.length > 0
  }

  #groups(): readonly Group[] {
    const groups: Group[] = []
    for (const hit of this.#pending) {
      const blocks = this.#patterns.of(hit).action === 'block'
      const last = groups.at(-1)
      if (last === undefined || hit.from >= last.to) {
        groups.push({ hits: [hit], to: hit.to, blocks })
      } else {
        last.hits.push(hit)
        last.to = Math.max(last.to, hit.to)
        last.blocks ||= blocks
      }
    }
    return groups
  }

  #report(groups: readonly Group[], settled: number): Inspection {
    const hits = groups.flatMap(group => group.hits)
    const [first] = hits
    if (first === undefined) return { settled, verdict: ALLOW }
    const blocking = hits.find(hit => this.#patterns.of(hit).action === 'block')
    if (blocking !== undefined) {
      const { label } = this.#patterns.of(blocking)
      return {
        settled,
        verdict: block('output_pattern', `pattern '${label}' matched`, this.#place(blocking)),
        at: blocking.from,
        ranges: hits.map(({ from, to }) => ({ from, to })),
      }
    }
    const { label } = this.#patterns.of(first)
    const edits = redactions(hits, this.#patterns)
    return {
      settled,
      verdict: redact('output_pattern', `pattern '${label}' redacted`, edits, this.#place(first)),
      at: first.from,
    }
  }

  #place(hit: Hit) {
    return {
      pattern_label: this.#patterns.of(hit).label,
      offset: hit.from,
      length: hit.to - hit.from,
      channel: this.#channel.name,
      choice: this.#channel.choice,
    }
  }
}
