/** `signet audit show`, `tail` and `count`. A damaged line is said in one line and counted; it never ends the reading. */
import type { CountField } from '../../audit/facts.ts'
import { deciding } from '../../audit/facts.ts'
import type { FilterField } from '../../audit/filter-fields.ts'
import { ERASED, unsealRow } from '../../audit/seal-row.ts'
import { findKeyRing } from '../chain-keys.ts'
import type { Context } from '../context.ts'
import { shorten } from '../escape.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'
import { filterOf, ownerName, withReader } from '../log-reader.ts'
import { indented, rowJson, rowProof, timeOf } from '../row-text.ts'
import { findSealing, type SealingOptions } from '../sealing-option.ts'

interface ReadOptions extends LogOptions, SealingOptions {
  /** False: do not use the index. */
  readonly index: boolean
}

export async function show(
  id: string,
  given: string | undefined,
  options: ReadOptions,
  context: Context,
): Promise<void> {
  const { terminal } = context
  const { shown, path, folders } = logOf(given, options, context)
  const ring = findKeyRing(options, context)
  const sealing = findSealing(options, path, context)
  await withReader(path, { folders, index: options.index }, context, reader => {
    const found = reader.byId(id.trim().toLowerCase())
    if (found.length === 0) throw new CommandError(`${shown}: no row and no exchange has this id`, FAILED)
    let sound = reader.damaged === 0
    for (const row of found) {
      const open = unsealRow(row, sealing)
      for (const line of indented(rowJson(open)).split('\n')) terminal.line(line)
      const proof = ring === undefined ? 'not checked, no key given' : rowProof(row, ring)
      sound &&= proof !== 'does not hold'
      terminal.note(`${timeOf(row.tsNs)}, hmac: `, {
        text: proof,
        colour: proof === 'holds' ? 'green' : proof === 'does not hold' ? 'red' : 'yellow',
      })
      if (open.ownerId !== row.ownerId) {
        terminal.note(
          open.ownerId === ERASED
            ? 'its owner was erased'
            : 'personal fields are shown opened; the row holds them sealed',
        )
      }
    }
    context.exit(sound ? DONE : FAILED)
  })
}

export async function tail(
  given: string | undefined,
  options: ReadOptions & {
    readonly lines: number
    readonly filter?: ReadonlyMap<FilterField, string>
    readonly json?: true
  },
  context: Context,
): Promise<void> {
  const { terminal } = context
  const { path, folders } = logOf(given, options, context)
  const sealing = findSealing(options, path, context)
  const filter = filterOf(options.filter, sealing)
  await withReader(path, { folders, index: options.index && filter !== undefined }, context, async reader => {
    const rows = await reader.tail(filter, options.lines)
    if (options.json === true) for (const row of rows) terminal.line(rowJson(row))
    else if (rows.length === 0) terminal.note('no rows')
    else {
      terminal.table([
        ['time', 'decision', 'check', 'owner', 'entry', 'reason'],
        ...rows.map(row => {
          const open = unsealRow(row, sealing)
          return [
            timeOf(row.tsNs),
            row.decision === 'allow'
              ? row.decision
              : { text: row.decision, colour: row.decision === 'block' ? ('red' as const) : ('yellow' as const) },
            shorten(deciding(row), 32),
            shorten(row.ownerType === 'unresolved' ? 'unresolved' : `${open.ownerType}:${open.ownerId}`, 40),
            row.entryId,
            shorten(row.reason, 80),
          ]
        }),
      ])
    }
    context.exit(reader.damaged === 0 ? DONE : FAILED)
  })
}

export async function count(
  given: string | undefined,
  options: ReadOptions & { readonly by?: CountField; readonly json?: true },
  context: Context,
): Promise<void> {
  const { terminal } = context
  const { path, folders } = logOf(given, options, context)
  const sealing = findSealing(options, path, context)
  const { by } = options
  await withReader(path, { folders, index: options.index }, context, reader => {
    const { total, counts } = reader.count(by)
    const named = new Map<string, number>()
    for (const [value, n] of counts) {
      const name = by === 'owner' ? ownerName(value, sealing) : value
      named.set(name, (named.get(name) ?? 0) + n)
    }
    const ordered = [...named].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    if (options.json === true) {
      terminal.json({
        total,
        damaged_lines: reader.damaged,
        ...(by === undefined ? {} : { by, counts: Object.fromEntries(ordered) }),
      })
    } else if (by === undefined) terminal.line(String(total))
    else {
      terminal.table([[by, 'rows'], ...ordered.map(([value, n]) => [value, String(n)]), ['total', String(total)]], [1])
    }
    context.exit(reader.damaged === 0 ? DONE : FAILED)
  })
}
