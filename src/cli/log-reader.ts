/**
 * A log for commands that read rows: through its index when there is one, else by scanning. Both give the same answers; the
 * index is brought up to date first, and without it (or when it cannot be used) everything still works, only slower.
 */
import { basename } from 'node:path'
import type { CountField, Filter } from '../audit/facts.ts'
import { counted, factsOf, matches } from '../audit/facts.ts'
import { AuditError } from '../audit/files.ts'
import type { FilterField } from '../audit/filter-fields.ts'
import type { LogIndex } from '../audit/index-query.ts'
import { closeLayout, type Layout, openLayout } from '../audit/layout.ts'
import { type ReadRow, rowsOf, tailRows } from '../audit/read.ts'
import type { SealingFolder } from '../audit/seal.ts'
import type { StoredRow } from '../audit/stored.ts'
import type { Context } from './context.ts'
import { CommandError } from './failure.ts'
import { addFacts, addRow, type Period } from './report.ts'

export interface LogReader {
  /** Counts per value, and of all rows. */
  count(by: CountField | undefined): { readonly total: number; readonly counts: ReadonlyMap<string, number> }
  /** The last `n` that match, oldest first. */
  tail(filter: Filter | undefined, n: number): Promise<readonly StoredRow[]>
  byId(id: string): readonly StoredRow[]
  report(period: Period): void
  /** Every row from the first. */
  each(f: (row: StoredRow, text: string, index: bigint) => void): void
  /** Lines and segments that could not be read; each was said in one line. */
  readonly damaged: number
}

const SLOT_NS = 900_000_000_000n

export async function withReader<T>(
  path: string,
  options: { readonly folders: readonly string[]; readonly index: boolean },
  context: Context,
  act: (reader: LogReader) => T | Promise<T>,
): Promise<T> {
  try {
    const { hasIndex, openIndex, updateIndex } = await import('../audit/index-db.ts')
    if (options.index && hasIndex(path)) {
      let db: ReturnType<typeof openIndex> | undefined
      try {
        db = openIndex(path)
        await updateIndex(db, path, { folders: options.folders })
      } catch (error) {
        db?.close()
        db = undefined
        if (!(error instanceof AuditError)) throw error
        context.terminal.note(`without the index: ${error.message}`)
      }
      if (db !== undefined) {
        const { LogIndex } = await import('../audit/index-query.ts')
        const layout = await openLayout(path, { folders: options.folders })
        try {
          return await act(indexed(new LogIndex(db, layout), layout, context))
        } finally {
          closeLayout(layout)
          db.close()
        }
      }
    }
    const layout = await openLayout(path, { folders: options.folders })
    try {
      return await act(scanning(path, layout, options.folders, context))
    } finally {
      closeLayout(layout)
    }
  } catch (error) {
    if (error instanceof AuditError) throw new CommandError(error.message)
    throw error
  }
}

function scanning(path: string, layout: Layout, folders: readonly string[], context: Context): LogReader {
  let damaged = 0
  const each = (f: (row: StoredRow, text: string, index: bigint) => void): void => {
    for (const read of rowsOf(layout)) {
      if (read.kind === 'row') f(read.row, read.text, read.index)
      else damaged += sayDamaged(read, context)
    }
  }
  return {
    each,
    count(by) {
      const counts = new Map<string, number>()
      let total = 0
      each(row => {
        total++
        if (by === undefined) return
        const value = counted(factsOf(row), by)
        counts.set(value, (counts.get(value) ?? 0) + 1)
      })
      return { total, counts }
    },
    async tail(filter, n) {
      const rows: StoredRow[] = []
      if (filter === undefined) {
        for (const read of await tailRows(path, n, { folders })) {
          if (read.kind === 'row') rows.push(read.row)
          else damaged += sayDamaged(read, context)
        }
        return rows
      }
      each(row => {
        if (matches(factsOf(row), filter) && rows.push(row) > 2 * n) rows.splice(0, n)
      })
      return rows.slice(-n)
    },
    byId(id) {
      const found: StoredRow[] = []
      each(row => {
        const { entryId, exchange } = factsOf(row)
        if (entryId.toLowerCase() === id || exchange.toLowerCase() === id) found.push(row)
      })
      return found
    },
    report: period => each(row => addRow(period, row)),
    get damaged() {
      return damaged
    },
  }
}

function indexed(index: LogIndex, layout: Layout, context: Context): LogReader {
  const lines = index.damaged()
  for (const { row, fault } of lines) {
    context.terminal.note({ text: 'damaged: ', colour: 'red' }, `row ${row}: ${fault.detail} (${fault.kind})`)
  }
  return {
    damaged: lines.length,
    count: by => ({ total: index.rows, counts: by === undefined ? new Map() : index.countBy(by) }),
    tail: async (filter, n) => index.tail(filter ?? new Map(), n),
    byId: id => index.byId(id),
    report(period) {
      const length = period.toNs - period.fromNs
      // Slots that a boundary goes through are counted row by row, the others as they were added up.
      const edges = [period.fromNs - length, period.fromNs, period.toNs].map(ns => Number(ns / SLOT_NS))
      const [first = 0, middle = 0, last = 0] = edges
      for (const slot of new Set(edges)) for (const row of index.slot(slot)) addRow(period, row)
      for (const cell of index.cells(first + 1, middle)) addFacts(period.before, cell, cell.n)
      for (const cell of index.cells(middle + 1, last)) addFacts(period.now, cell, cell.n)
    },
    each(f) {
      for (const read of rowsOf(layout)) if (read.kind === 'row') f(read.row, read.text, read.index)
    },
  }
}

function sayDamaged(read: Exclude<ReadRow, { kind: 'row' }>, { terminal }: Context): 1 {
  if (read.kind === 'gap') {
    terminal.note(
      { text: 'not here: ', colour: 'red' },
      `rows ${read.row} to ${read.end - 1n}: ${read.file}, ${read.why}`,
    )
    return 1
  }
  const { line, file, fault } = read
  const where = line < 0 ? `line ${-line} from the end` : `line ${line}`
  terminal.note({ text: 'damaged: ', colour: 'red' }, `${where} of ${basename(file)}: ${fault.detail} (${fault.kind})`)
  return 1
}

/** What the caller asked for, with the keys that an owner's sealed rows are under. */
export function filterOf(
  given: ReadonlyMap<FilterField, string> | undefined,
  sealing: SealingFolder | undefined,
): Filter | undefined {
  if (given === undefined) return undefined
  return new Map(
    [...given].map(([field, value]) => {
      const key = field === 'owner' ? sealing?.keyIdOf(value) : undefined
      return [field, key === undefined ? [value] : [value, `sealed:${key}`]]
    }),
  )
}

/** The name behind the id of a key, while there is one. */
export function ownerName(owner: string, sealing: SealingFolder | undefined): string {
  const id = /^sealed:([0-9a-f]{32})$/.exec(owner)?.[1]
  if (id === undefined || sealing === undefined) return owner
  return sealing.personOf(id) ?? `[erased] ${id}`
}
