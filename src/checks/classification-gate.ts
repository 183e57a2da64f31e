/**
 * `classification_gate`: a caller gets no answer about data above its clearance.
 *
 * The effective data level is the highest of what the caller declares, what markers in the request show and what the
 * operator demands as a minimum. An unknown level is refused, never guessed. How far a clearance can be believed is
 * for the identity strategy: without a verified credential it is what the caller says.
 */
import type { Check, Ctx } from '../core/check.ts'
import type { Ladder, MarkerSet } from '../core/classification.ts'
import type { Exchange } from '../core/exchange.ts'
import { ALLOW, type Block, block, type Verdict } from '../core/verdict.ts'
import { LEVEL_OPTIONS, type LevelOptions, readLevel, readLevels } from './levels.ts'
import { CheckOptions, type Common, type CommonOptions, description, printable } from './options.ts'

export interface ClassificationGateOptions extends CommonOptions, LevelOptions {
  /** Level of a request that declares none. Default: the lowest. */
  readonly defaultClassification?: string
  /** Clearance of a caller that has none. Default: the lowest. */
  readonly defaultClearance?: string
  /** Markers in the request raise its level. Default true. */
  readonly scanRequest?: boolean
  /** Every request counts at least as this level. Default: the lowest. */
  readonly minimumLevel?: string
}

interface Raised {
  readonly marker: string
  readonly level: string
  readonly pointer: string
  readonly offset: number
}

export class ClassificationGateCheck implements Check {
  readonly name = 'classification_gate'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly patterns?: MarkerSet['patterns']
  readonly #common: Common
  readonly #ladder: Ladder
  readonly #markers: MarkerSet | undefined
  readonly #defaultClassification: string
  readonly #defaultClearance: string
  readonly #minimumLevel: string
  readonly #options: Readonly<Record<string, unknown>>

  constructor(options: ClassificationGateOptions = {}) {
    const read = new CheckOptions(this.name, options, [
      'defaultClassification',
      'defaultClearance',
      'scanRequest',
      'minimumLevel',
      ...LEVEL_OPTIONS,
    ])
    this.#common = read.common(30)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    const { ladder, markers, described } = readLevels(read)
    this.#ladder = ladder
    this.#defaultClassification = readLevel(read, 'defaultClassification', ladder, ladder.lowest)
    this.#defaultClearance = readLevel(read, 'defaultClearance', ladder, ladder.lowest)
    this.#minimumLevel = readLevel(read, 'minimumLevel', ladder, ladder.lowest)
    const scanRequest = read.flag('scanRequest', true)
    this.#markers = scanRequest && markers.patterns.rules.length > 0 ? markers : undefined
    if (this.#markers !== undefined) this.patterns = this.#markers.patterns
    this.#options = {
      defaultClassification: this.#defaultClassification,
      defaultClearance: this.#defaultClearance,
      minimumLevel: this.#minimumLevel,
      scanRequest,
      ...described,
    }
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['admission'], this.#common, this.#options)
  }

  admit(x: Exchange, ctx: Ctx): Verdict {
    const declared = this.#read(x.declared.classification, this.#defaultClassification)
    if (declared === undefined) return unknown('classification', 'X-Classification', x.declared.classification)
    const clearance = this.#read(x.declared.clearance, this.#defaultClearance)
    if (clearance === undefined) return unknown('clearance', 'X-Caller-Clearance', x.declared.clearance)
    const ladder = this.#ladder
    const raised = this.#raised(x, ctx)
    const stated = ladder.max(declared, this.#minimumLevel)
    const data = raised === undefined ? stated : ladder.max(stated, raised.level)
    const ceiling = x.declared.clearanceVerified ? ladder.min(declared, clearance) : declared
    ctx.setLevels({ data, ceiling, rank: ladder.rank(data) ?? 0 })
    if (ladder.compare(clearance, data) >= 0) return ALLOW
    return block(
      'clearance_insufficient',
      `caller clearance ${clearance} insufficient for data classification ${data}`,
      {
        classification: data,
        clearance,
        declared,
        ...(raised === undefined || ladder.compare(raised.level, stated) <= 0
          ? {}
          : { marker: raised.marker, pointer: raised.pointer, offset: raised.offset }),
      },
    )
  }

  #read(value: string | undefined, fallback: string): string | undefined {
    return value === undefined || value.trim() === '' ? fallback : this.#ladder.parse(value)
  }

  /** The highest marker of the request. All of them are looked at: a low one must not hide a high one behind it. */
  #raised(x: Exchange, ctx: Ctx): Raised | undefined {
    if (this.#markers === undefined) return undefined
    let highest: Raised | undefined
    for (const segment of x.request.segments) {
      const hits = ctx.scan(segment.text).hits(this.#markers.patterns)
      if (hits.length === 0) continue
      for (const { marker, level, from } of this.#markers.open().read(hits)) {
        if (highest !== undefined && this.#ladder.compare(level, highest.level) <= 0) continue
        highest = { marker, level, pointer: segment.pointer.slice(0, 256), offset: from }
      }
    }
    return highest
  }
}

function unknown(what: string, header: string, value: string | undefined): Block {
  const shown = printable(value ?? '')
  return block('classification_unknown', `unrecognized ${what} header value: '${shown}'`, { header, value: shown })
}
