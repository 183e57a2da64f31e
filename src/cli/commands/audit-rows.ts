/** `signet audit show`, `tail` and `count`. A damaged line is said in one line and counted; it never ends the reading. */
import { basename } from 'node:path'
import { AuditError } from '../../audit/files.ts'
import { type ReadRow, readRows, tailRows } from '../../audit/read.ts'
import type { StoredRow } from '../../audit/stored.ts'
import { findKeyRing } from '../chain-keys.ts'
import type { Context } from '../context.ts'
import { shorten } from '../escape.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type FilterField, type LogOptions, logOf } from '../log-option.ts'
import { deciding, indented, metaText, ownerOf, rowJson, rowProof, stageOf, timeOf } from '../row-text.ts'

export async function show(
  id: string,
  given: string | undefined,
  options: LogOptions,
  context: Context,
): Promise<void> {
  const { terminal } = context
  const { shown, path, folders } = logOf(given, options, context)
  const wanted = id.trim().toLowerCase()
  const ring = findKeyRing(options, context)
  const found: StoredRow[] = []
  const damaged = await walk(path, folders, context, row => {
    if (row.entryId.toLowerCase() === wanted || metaText(row, '_exchange_id')?.toLowerCase() === wanted) found.push(row)
  })
  if (found.length === 0) throw new CommandError(`${shown}: no row and no exchange has this id`, FAILED)
  let sound = damaged === 0
  for (const row of found) {
    for (const line of indented(rowJson(row)).split('\n')) terminal.line(line)
    const proof = ring === undefined ? 'not checked, no key given' : rowProof(row, ring)
    sound &&= proof !== 'does not hold'
    terminal.note(`${timeOf(row.tsNs)}, hmac: `, {
      text: proof,
      colour: proof === 'holds' ? 'green' : proof === 'does not hold' ? 'red' : 'yellow',
    })
  }
  context.exit(sound ? DONE : FAILED)
}

export async function tail(
  given: string | undefined,
  options: LogOptions & {
    readonly lines: number
    readonly filter?: ReadonlyMap<FilterField, string>
    readonly json?: true
  },
  context: Context,
): Promise<void> {
  const { terminal } = context
  const { path, folders } = logOf(given, options, context)
  const { filter } = options
  const rows: StoredRow[] = []
  let damaged = 0
  if (filter === undefined) {
    for (const read of await reading(() => tailRows(path, options.lines, { folders }))) {
      if (read.kind === 'row') rows.push(read.row)
      else damaged += sayDamaged(read, context)
    }
  } else {
    damaged = await walk(path, folders, context, row => {
      if (matches(row, filter) && rows.push(row) > 2 * options.lines) rows.splice(0, options.lines)
    })
    rows.splice(0, Math.max(0, rows.length - options.lines))
  }
  if (options.json === true) for (const row of rows) terminal.line(rowJson(row))
  else if (rows.length === 0) terminal.note('no rows')
  else {
    terminal.table([
      ['time', 'decision', 'check', 'owner', 'entry', 'reason'],
      ...rows.map(row => [
        timeOf(row.tsNs),
        row.decision === 'allow'
          ? row.decision
          : { text: row.decision, colour: row.decision === 'block' ? ('red' as const) : ('yellow' as const) },
        shorten(deciding(row), 32),
        shorten(ownerOf(row), 40),
        row.entryId,
        shorten(row.reason, 80),
      ]),
    ])
  }
  context.exit(damaged === 0 ? DONE : FAILED)
}

export async function count(
  given: string | undefined,
  options: LogOptions & { readonly by?: CountField; readonly json?: true },
  context: Context,
): Promise<void> {
  const { terminal } = context
  const { path, folders } = logOf(given, options, context)
  const { by } = options
  let total = 0
  const counts = new Map<string, number>()
  const damaged = await walk(path, folders, context, row => {
    total++
    if (by === undefined) return
    const value = COUNTED[by](row)
    counts.set(value, (counts.get(value) ?? 0) + 1)
  })
  const ordered = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
  if (options.json === true) {
    terminal.json({
      total,
      damaged_lines: damaged,
      ...(by === undefined ? {} : { by, counts: Object.fromEntries(ordered) }),
    })
  } else if (by === undefined) terminal.line(String(total))
  else terminal.table([[by, 'rows'], ...ordered.map(([value, n]) => [value, String(n)]), ['total', String(total)]], [1])
  context.exit(damaged === 0 ? DONE : FAILED)
}

export type CountField = 'check' | 'owner' | 'decision' | 'owner_type' | 'stage'

const COUNTED: Readonly<Record<CountField, (row: StoredRow) => string>> = {
  check: deciding,
  owner: ownerOf,
  decision: row => row.decision,
  owner_type: row => row.ownerType,
  stage: stageOf,
}

function matches(row: StoredRow, filter: ReadonlyMap<FilterField, string>): boolean {
  for (const [field, value] of filter) {
    if (field === 'exchange') {
      if (metaText(row, '_exchange_id') !== value) return false
    } else if (field === 'check') {
      // By the check that fired, and by the name the row is filed under.
      if (deciding(row) !== value && row.checkName !== value) return false
    } else if (COUNTED[field](row) !== value) return false
  }
  return true
}

/** Every row in order; returns how many lines were none. */
export async function walk(
  path: string,
  folders: readonly string[],
  context: Context,
  each: (row: StoredRow) => void,
): Promise<number> {
  let damaged = 0
  await reading(async () => {
    for await (const read of readRows(path, { folders })) {
      if (read.kind === 'row') each(read.row)
      else damaged += sayDamaged(read, context)
    }
  })
  return damaged
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

async function reading<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof AuditError) throw new CommandError(error.message)
    throw error
  }
}
