/**
 * Questions to the index. What is counted comes from it; rows are read from the log, at the places that it names, and looked
 * at again: a stale or wrong place costs a row that is not found, never a row that is not there.
 */
import type { DatabaseSync } from 'node:sqlite'
import { type CountField, type Filter, factsOf, matches } from './facts.ts'
import { BLOCK_ROWS, idHash, indexedTo, SLOT_MS } from './index-db.ts'
import type { Layout } from './layout.ts'
import { linesFrom, split } from './lines.ts'
import type { LineFault } from './stored.ts'
import { readStored, type StoredRow } from './stored.ts'

const COLUMNS: Readonly<Record<CountField, string>> = {
  check: 'chk',
  owner: 'owner',
  decision: 'decision',
  owner_type: 'owner_type',
  stage: 'stage',
}

/** A row where it stands: `index` is its place in the log, and its leaf's in the transparency log. */
export interface PlacedRow {
  readonly index: number
  /** As stored, without its newline. */
  readonly line: string
  readonly row: StoredRow
}

/** How many rows of one kind fell into one slot. */
export interface Cell {
  readonly slot: number
  readonly decision: string
  readonly check: string
  readonly filed: string
  readonly n: number
}

export interface Damaged {
  readonly row: number
  readonly fault: Pick<LineFault, 'kind' | 'detail'>
}

export class LogIndex {
  readonly #db: DatabaseSync
  readonly #layout: Layout

  constructor(db: DatabaseSync, layout: Layout) {
    this.#db = db
    this.#layout = layout
  }

  /** Rows, without lines that are none. */
  get rows(): number {
    return Number(indexedTo(this.#db).rows) - this.damaged().length
  }

  /** Lines that are no rows, at most a thousand. */
  damaged(): readonly Damaged[] {
    return this.#db
      .prepare('SELECT row, kind, detail FROM damaged ORDER BY row LIMIT 1000')
      .all()
      .map(r => ({ row: Number(r['row']), fault: { kind: kindOf(r['kind']), detail: String(r['detail']) } }))
  }

  countBy(field: CountField): ReadonlyMap<string, number> {
    const column = COLUMNS[field]
    const found = this.#db
      .prepare(`SELECT ${column} AS v, SUM(n) AS n FROM totals JOIN dims ON dims.id = totals.dim GROUP BY ${column}`)
      .all()
    return new Map(found.map(r => [String(r['v']), Number(r['n'])]))
  }

  /** The last `n` rows of a kind, oldest first. */
  tail(filter: Filter, n: number): readonly StoredRow[] {
    const found: StoredRow[] = []
    for (const block of this.#blocksOf(filter)) {
      const rows = this.#rowsOf(block).filter(row => matches(factsOf(row), filter))
      found.push(...rows.reverse().slice(0, n - found.length))
      if (found.length >= n) break
    }
    return found.reverse()
  }

  /** Rows with this entry id, or of this exchange. */
  byId(id: string): readonly StoredRow[] {
    const wanted = id.toLowerCase()
    const blocks = this.#db.prepare('SELECT block FROM ids WHERE h = ? ORDER BY block').all(idHash(wanted))
    return blocks
      .flatMap(b => this.#rowsOf(Number(b['block'])))
      .filter(row => {
        const { entryId, exchange } = factsOf(row)
        return entryId.toLowerCase() === wanted || exchange.toLowerCase() === wanted
      })
  }

  /** Counts per kind of whole slots: `[fromSlot, toSlot)`. */
  *cells(
    fromSlot: number,
    toSlot: number,
  ): Generator<{ readonly decision: string; readonly check: string; readonly owner: string; readonly n: number }> {
    const found = this.#db
      .prepare(
        'SELECT decision, chk, owner, SUM(n) AS n FROM cells JOIN dims ON dims.id = cells.dim WHERE slot >= ? AND slot < ? GROUP BY dim',
      )
      .iterate(fromSlot, toSlot)
    for (const r of found) {
      yield { decision: String(r['decision']), check: String(r['chk']), owner: String(r['owner']), n: Number(r['n']) }
    }
  }

  /** Counts per slot and kind of whole slots: `[fromSlot, toSlot)`. */
  *perSlot(fromSlot: number, toSlot: number): Generator<Cell> {
    const found = this.#db
      .prepare(
        'SELECT slot, decision, chk, filed, SUM(n) AS n FROM cells JOIN dims ON dims.id = cells.dim WHERE slot >= ? AND slot < ? GROUP BY slot, decision, chk, filed',
      )
      .iterate(fromSlot, toSlot)
    for (const r of found) {
      const [decision, check, filed] = [String(r['decision']), String(r['chk']), String(r['filed'])]
      yield { slot: Number(r['slot']), decision, check, filed, n: Number(r['n']) }
    }
  }

  /** Every line up to here is indexed. */
  get size(): number {
    return Number(indexedTo(this.#db).rows)
  }

  /**
   * Rows before `before` and not older than `sinceMs` that can match, newest first; whole blocks are read, and each row is
   * still to be looked at. Times rise with rows, but for a clock that was set back: a block's own bounds say.
   */
  *newestFirst(filter: Filter, before: number, sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER): Generator<PlacedRow> {
    const times = this.#db.prepare('SELECT min_ms, max_ms FROM blocks WHERE block = ?')
    for (const block of filter.size === 0 ? this.#blocksBefore(before) : this.#blocksOf(filter)) {
      if (block * BLOCK_ROWS >= before) continue
      const found = times.get(block)
      if (found === undefined || Number(found['max_ms']) < sinceMs || Number(found['min_ms']) > untilMs) continue
      const placed: PlacedRow[] = []
      for (const { index, line } of this.#linesOf(block)) {
        if (index >= before) break
        const read = readStored(line)
        if (read.ok) placed.push({ index, line: line.toString(), row: read.row })
      }
      yield* placed.reverse()
    }
  }

  *#blocksBefore(before: number): Generator<number> {
    const found = this.#db
      .prepare('SELECT block FROM blocks WHERE block * ? < ? ORDER BY block DESC')
      .iterate(BLOCK_ROWS, before)
    for (const b of found) yield Number(b['block'])
  }

  /** The rows of one slot, in any order of time. */
  *slot(slot: number): Generator<StoredRow> {
    const [from, to] = [slot * SLOT_MS, (slot + 1) * SLOT_MS]
    const blocks = this.#db
      .prepare('SELECT block FROM blocks WHERE min_ms < ? AND max_ms >= ? ORDER BY block')
      .all(to, from)
    for (const b of blocks) {
      for (const row of this.#rowsOf(Number(b['block']))) {
        const { tsMs } = factsOf(row)
        if (tsMs >= from && tsMs < to) yield row
      }
    }
  }

  /** Newest first. */
  *#blocksOf(filter: Filter): Generator<number> {
    const exchange = filter.get('exchange')?.[0]
    if (exchange !== undefined) {
      const found = this.#db.prepare('SELECT block FROM ids WHERE h = ? ORDER BY block DESC').all(idHash(exchange))
      for (const b of found) yield Number(b['block'])
      return
    }
    const where: string[] = []
    const values: string[] = []
    for (const [field, wanted] of filter) {
      if (field === 'exchange') continue
      const marks = wanted.map(() => '?').join(', ')
      where.push(field === 'check' ? `(chk IN (${marks}) OR filed IN (${marks}))` : `${COLUMNS[field]} IN (${marks})`)
      values.push(...wanted)
      if (field === 'check') values.push(...wanted)
    }
    const dims = `SELECT id FROM dims ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`}`
    const found = this.#db
      .prepare(`SELECT DISTINCT block FROM present WHERE dim IN (${dims}) ORDER BY block DESC`)
      .iterate(...values)
    for (const b of found) yield Number(b['block'])
  }

  #rowsOf(block: number): StoredRow[] {
    const rows: StoredRow[] = []
    for (const { line } of this.#linesOf(block)) {
      const read = readStored(line)
      if (read.ok) rows.push(read.row)
    }
    return rows
  }

  *#linesOf(block: number): Generator<{ readonly index: number; readonly line: Buffer }> {
    const pos = this.#db.prepare('SELECT pos FROM blocks WHERE block = ?').get(block)?.['pos']
    if (typeof pos !== 'number') return
    const first = BigInt(block * BLOCK_ROWS)
    for (const chunk of linesFrom(this.#layout, { row: first, pos })) {
      if (chunk.kind === 'gap') return
      let row = chunk.row
      for (const line of split(chunk.bytes)) {
        if (row >= first + BigInt(BLOCK_ROWS)) return
        yield { index: Number(row), line }
        row++
      }
      if (row >= first + BigInt(BLOCK_ROWS)) return
    }
  }
}

function kindOf(text: unknown): LineFault['kind'] {
  return text === 'duplicate_key' || text === 'unknown_field' ? text : 'malformed_line'
}
