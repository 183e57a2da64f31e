/** Puts the results of the units together: how they link, what the manifest says of each file, and what the head says. */
import type { HeadState } from './head.ts'
import type { Layout, Piece } from './layout.ts'
import type { VerifyFrom } from './verify-report.ts'
import type { StartAt, Unit, UnitResult } from './verify-units.ts'
import { type Break, type BreakKind, linkDetail, MAX_BREAKS, type WalkReport } from './walk.ts'

export interface Joined {
  readonly rows: number
  readonly breaks: readonly Break[]
  readonly moreBreaks: number
  readonly goodRows: number
  readonly goodHmac: string
  readonly lastHmac: string
  readonly lastTsNs: bigint | undefined
  /** Segments that are not there although the manifest knows them. */
  readonly missing: readonly string[]
  /** Rows of those, and of segments that could not be opened. */
  readonly unread: number
}

export interface JoinInput {
  readonly layout: Layout
  readonly units: readonly Unit[]
  readonly results: readonly UnitResult[]
  /** Pieces that could not be opened. */
  readonly faults: ReadonlyMap<number, string>
  readonly head: HeadState | undefined
  /** Bytes of the live file that were looked at. */
  readonly size: number
  readonly from: VerifyFrom | undefined
  readonly start: StartAt
  /** A segment that is elsewhere is not a break: the manifest fixes where the next one begins. */
  readonly allowMissing: boolean
}

export function joinUnits(input: JoinInput): Joined {
  const joining = new Joining(input)
  return joining.run()
}

class Joining {
  readonly #in: JoinInput
  readonly #breaks: Break[] = []
  readonly #missing: string[] = []
  #more = 0
  #unread = 0
  #rows: number
  #lastHmac: string | undefined
  #lastTsNs: bigint | undefined
  #goodRows: number
  #goodHmac: string
  #salted = false
  /** The file under way: its name, and its first row. */
  #file: string | undefined
  #fileRow = 0
  #headSeen = false

  constructor(input: JoinInput) {
    this.#in = input
    const position = input.from?.position
    this.#rows = Number(position?.count ?? 0n)
    this.#lastHmac = position?.hmac ?? ''
    this.#lastTsNs = position === undefined || position.count === 0n ? undefined : position.tsNs
    this.#goodRows = this.#rows
    this.#goodHmac = position?.hmac ?? ''
  }

  run(): Joined {
    const { layout, start, from } = this.#in
    for (const { line, detail } of layout.manifest.faults) {
      this.#here('manifest_invalid', `line ${line} of ${layout.path}.manifest ${detail}`)
    }
    for (const name of layout.unlisted) {
      this.#here('segment_unlisted', `${name} is named like a segment, and the manifest does not know it`)
    }
    this.#compareHead(from?.position.length ?? 0)
    for (const [i, piece] of layout.pieces.entries()) {
      if (i >= start.piece) this.#piece(piece, i, i === start.piece && start.offset > 0)
    }
    this.#live()
    this.#checkHead()
    return {
      rows: this.#rows,
      breaks: this.#breaks,
      moreBreaks: this.#more,
      goodRows: this.#goodRows,
      goodHmac: this.#goodHmac,
      lastHmac: this.#lastHmac ?? '',
      lastTsNs: this.#lastTsNs,
      missing: this.#missing,
      unread: this.#unread,
    }
  }

  #piece(piece: Piece, i: number, entered: boolean): void {
    const { entry, name } = piece
    const { from, to } = entry
    this.#file = name
    this.#fileRow = Number(from.count)
    if (!entered) this.#rows = Number(from.count)
    const fault = this.#in.faults.get(i)
    if (piece.kind === 'missing' || fault !== undefined) {
      if (piece.kind === 'missing') {
        this.#missing.push(name)
        if (!this.#in.allowMissing) {
          this.#here(
            'segment_missing',
            `${name} with rows ${from.count} to ${to.count - 1n} is not there; name its folder with --segments`,
          )
        }
      } else this.#here('segment_damaged', `${name}: ${fault}`)
      this.#unread += Number(to.count) - this.#rows
      this.#skipTo(piece)
      return
    }
    const before = this.#breaks.length + this.#more
    const swapped = piece.kind === 'packed' && this.#digest(piece, i)
    const whole = this.#units(i, from.length)
    if (!whole) {
      this.#skipTo(piece)
      return
    }
    if (BigInt(this.#rows) !== to.count || this.#lastHmac !== to.hmac) {
      // What the rows themselves say is enough; a segment that is sound and another one says nothing by itself.
      if (this.#breaks.length + this.#more === before || swapped) {
        this.#here(
          'segment_mismatch',
          `${name} does not end with the row that the manifest names (row ${to.count - 1n}, hmac ${to.hmac.slice(0, 16)}…)`,
        )
      }
      this.#skipTo(piece)
    }
    this.#compareHead(to.length)
  }

  /** Go on behind a piece as the manifest knows it. */
  #skipTo({ entry: { to } }: Piece): void {
    this.#rows = Number(to.count)
    this.#lastHmac = to.hmac
    this.#lastTsNs = to.tsNs
    if (this.#breaks.length === 0) {
      this.#goodRows = this.#rows
      this.#goodHmac = to.hmac
    }
  }

  /** True when the file is not the one that was packed. */
  #digest(piece: Extract<Piece, { kind: 'packed' }>, i: number): boolean {
    const { units, results, layout } = this.#in
    const result = results[units.findIndex(u => u.piece === i && u.kind === 'digest')]
    const { packed } = piece.entry
    if (result?.kind !== 'digest' || packed === undefined || result.sha256 === packed.sha256) return false
    if (result.fault !== undefined) {
      this.#here('segment_damaged', `${piece.name}: ${result.fault}`)
      return true
    }
    const other = layout.manifest.entries.find(e => e.packed?.sha256 === result.sha256)
    if (other === undefined) {
      this.#here('segment_damaged', `${piece.name} is not the file that was packed: its SHA-256 is another`)
    } else {
      this.#here('segment_swapped', `${piece.name} holds segment ${other.number} of this log`)
    }
    return true
  }

  #live(): void {
    const { layout, start } = this.#in
    const i = layout.pieces.length
    this.#file = undefined
    this.#fileRow = Number(layout.base.count)
    if (start.piece !== i) this.#rows = Number(layout.base.count)
    this.#units(i, layout.base.length - layout.liveFrom)
    // Only a gate rolls, and a gate keeps a head file.
    this.#salted ||= i > 0
  }

  /** False when a file could not be read to its end. */
  #units(piece: number, fileAt: number): boolean {
    const { units, results } = this.#in
    for (const [i, unit] of units.entries()) {
      const result = results[i]
      if (unit.piece !== piece || unit.kind === 'digest' || result?.kind !== 'rows') continue
      this.#join(result.report)
      if (result.fault !== undefined) {
        this.#here('segment_damaged', `${this.#file}: ${result.fault}`)
        return false
      }
      if (result.torn > 0) {
        const inside = unit.kind === 'plain' && unit.to !== this.#in.size
        this.#here('torn_tail', `${result.torn} bytes after the last complete line${inside ? ' of the head' : ''}`)
      }
      if (unit.kind === 'plain') this.#compareHead(fileAt + unit.to)
    }
    return true
  }

  #join(report: WalkReport): void {
    let joined: Break | undefined
    if (report.firstPrevHmac !== undefined && this.#lastHmac !== undefined && report.firstPrevHmac !== this.#lastHmac) {
      const alone = this.#rows === 0 && report.firstPrevHmac !== ''
      joined = this.#here(
        'link_mismatch',
        alone ? 'the log does not begin with its first row' : linkDetail(this.#lastHmac),
        report.firstEntryId,
      )
    } else if (report.firstSalted && this.#lastTsNs !== undefined && (report.firstTsNs ?? 0n) <= this.#lastTsNs) {
      joined = this.#here(
        'timestamp_regression',
        `ts_ns ${report.firstTsNs} is not after ${this.#lastTsNs}`,
        report.firstEntryId,
      )
    }
    if (this.#breaks.length === 0) {
      this.#goodRows = this.#rows + report.goodRows
      if (report.goodRows > 0) this.#goodHmac = report.goodHmac
    }
    for (const found of report.breaks) {
      // One row, one cause: the walk that did not know the row before may also have said so.
      const again = joined !== undefined && found.index === 0
      if (again && (found.kind === 'self_mismatch' || found.kind === joined?.kind)) continue
      this.#add({ ...found, index: this.#rows + found.index, line: this.#rows - this.#fileRow + found.line })
    }
    this.#more += report.moreBreaks
    this.#rows += report.rows
    if (report.rows > 0) {
      this.#lastHmac = report.lastHmac
      this.#lastTsNs = report.lastTsNs
    }
    this.#salted ||= report.salted
  }

  /** Called wherever units meet; says something where the head names that very byte of the log. */
  #compareHead(at: number): void {
    const { head } = this.#in
    if (head?.kind !== 'found' || at !== head.position.length || this.#headSeen) return
    this.#headSeen = true
    const { count, hmac } = head.position
    if (BigInt(this.#rows) !== count) {
      this.#here('head_mismatch', `the head file counts ${count} rows here, the log has ${this.#rows}`)
    } else if (this.#lastHmac !== undefined && this.#lastHmac !== hmac) {
      this.#here('head_mismatch', 'the row that the head file names has another hmac')
    }
  }

  #checkHead(): void {
    const { head, layout, size } = this.#in
    if (head === undefined) return
    const bytes = layout.base.length + size - layout.liveFrom
    switch (head.kind) {
      case 'absent':
        if (this.#salted)
          this.#here('head_mismatch', 'the head file is missing, so rows lost at the end would go unnoticed')
        return
      case 'invalid':
        this.#here('head_mismatch', `the head file is not valid: ${head.detail}`)
        return
      case 'found':
        if (head.damaged) this.#here('head_mismatch', 'one of the two records of the head file is damaged')
        if (bytes < head.position.length) {
          this.#here(
            'log_truncated',
            `the head file knows ${head.position.count} rows in ${head.position.length} bytes, the log has ${bytes} bytes`,
          )
        }
    }
  }

  #here(kind: BreakKind, detail: string, entryId = ''): Break {
    const found = { index: this.#rows, entry_id: entryId, kind, detail, line: this.#rows - this.#fileRow + 1 }
    this.#add(found)
    return found
  }

  #add(found: Break): void {
    const named = this.#file === undefined ? found : { ...found, file: this.#file }
    if (this.#breaks.length < MAX_BREAKS) this.#breaks.push(named)
    else this.#more++
  }
}
